#include "client.h"
#include "base/err.h"
#include "base/mem.h"
#include "defaults.h"
#include "rpc/request.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The broker may push requests (40, 220): this client has no rebalance, it answers none of them. */
static void on_request(void *ctx, struct request *req)
{
	(void)ctx;
	(void)req;
}

void client_wait(struct client *c, const bool *done)
{
	while (!*done)
		host_loop_turn(&c->loop);
}

int client_open(struct client *c, const char *namesrv, struct mosaic_error *err)
{
	const struct loaded_plugin *plugin;
	memset(c, 0, sizeof(*c));
	c->namesrv = namesrv;
	logger_init(&c->logger, STDERR_FILENO);
	logger_set_level(&c->logger, MOSAIC_LOG_WARN);
	signal(SIGPIPE, SIG_IGN); /* host_loop.h */
	int rc = host_loop_init(&c->loop, &c->logger, err);
	if (rc != 0)
		return rc;
	c->has_loop = true;
	host_init(&c->host, &c->loop, "client", NULL, NULL);
	c->plugins = tools_plugins();
	plugins_add_default_folders(c->plugins);
	if (plugins_is_empty(c->plugins))
		return err_set(err, MOSAIC_E_NOTFOUND, "there are no plugins: neither plugins nor "
			       "../lib/mosaic/plugins is beside the program");
	rc = plugins_find(c->plugins, plugins_default(c->plugins, MOSAIC_TRANSPORT),
			  MOSAIC_TRANSPORT, &plugin, err);
	if (rc != 0)
		return rc;
	plugin_instance_init(&c->transport_plugin, plugin);
	c->ops = &plugin->ops.transport;
	rc = c->ops->create(&c->host.api, c->transport_plugin.options, &c->transport, err);
	if (rc != 0)
		return rc;
	c->has_transport = true;
	c->handler.request = on_request;
	c->handler.ctx = c;
	dialer_init(&c->dialer, &c->host.api, c->ops, c->transport, &c->handler);
	return 0;
}

static void on_closed(struct mosaic_req *req)
{
	*(bool *)req->data = true;
}

void client_close(struct client *c)
{
	bool closed = false;
	struct mosaic_req req = { .done = on_closed, .data = &closed };
	if (c->has_transport) {
		dialer_close(&c->dialer);
		if (c->ops->close(c->transport, &req) == 0)
			client_wait(c, &closed);
		dialer_free(&c->dialer);
		c->ops->destroy(c->transport);
		plugin_instance_free(&c->transport_plugin);
	}
	if (c->has_loop)
		host_loop_fini(&c->loop);
	if (c->plugins != NULL)
		plugins_destroy(&c->plugins);
}

/* -- connections ------------------------------------------------------------------------------- */

struct dialing {
	struct dial_wait wait;
	struct peer *peer;
	char why[256];
	bool done;
};

static void on_dialed(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct dialing *d = wait->data;
	d->peer = peer;
	snprintf(d->why, sizeof(d->why), "%s", why ? why : "");
	d->done = true;
}

int client_peer(struct client *c, const char *address, struct peer **peer, struct mosaic_error *err)
{
	struct dialing d = { .wait.done = on_dialed };
	d.wait.data = &d;
	dialer_get(&c->dialer, address, CLIENT_TIMEOUT_NS, &d.wait);
	client_wait(c, &d.done);
	*peer = d.peer;
	if (d.peer == NULL)
		return err_set(err, MOSAIC_E_CLOSED, "%s", d.why);
	return 0;
}

/* -- routes ------------------------------------------------------------------------------------ */

struct route_query {
	struct call call;
	bool done;
	int status, code;
	json_t *root;
	struct mosaic_error *err;
};

static void on_route(struct call *call)
{
	struct route_query *q = call->data;
	q->done = true;
	q->status = call->status;
	if (call->status != 0)
		return;
	q->code = call->response->code;
	if (q->code == RES_SUCCESS)
		q->root = json_read(call->body, q->err);
}

static const char *master_of(json_t *brokers, const char *name)
{
	size_t i;
	json_t *broker;
	json_array_foreach(brokers, i, broker)
	{
		struct mosaic_slice broker_name = json_get_str(broker, "brokerName");
		struct mosaic_slice master =
			json_get_str(json_object_get(broker, "brokerAddrs"), "0");
		if (slice_is(broker_name, name) && master.ptr != NULL)
			return (const char *)master.ptr;
	}
	return NULL;
}

static void route_read(json_t *root, bool for_write, struct client_queue *queues, uint32_t *n)
{
	size_t i;
	json_t *data, *brokers = json_object_get(root, "brokerDatas");
	json_array_foreach(json_object_get(root, "queueDatas"), i, data)
	{
		struct mosaic_slice name = json_get_str(data, "brokerName");
		const char *address = name.ptr ? master_of(brokers, (const char *)name.ptr) : NULL;
		int64_t perm = json_get_i64(data, "perm", 0);
		int64_t count =
			json_get_i64(data, for_write ? "writeQueueNums" : "readQueueNums", 0);
		if (address == NULL || !(perm & (for_write ? 2 : 4)))
			continue;
		for (int32_t id = 0; id < count && *n < CLIENT_QUEUES_MAX; id++) {
			struct client_queue *q = &queues[(*n)++];
			snprintf(q->address, sizeof(q->address), "%s", address);
			snprintf(q->broker, sizeof(q->broker), "%s", (const char *)name.ptr);
			q->id = id;
		}
	}
}

int client_route(struct client *c, const char *topic, bool for_write, struct client_queue *queues,
		 uint32_t *n, struct mosaic_error *err)
{
	struct peer *peer;
	struct call_writer cw;
	struct route_query q = { .call.done = on_route, .err = err };
	q.call.data = &q;
	*n = 0;
	char why[sizeof(err->text)];
	int rc = client_peer(c, c->namesrv, &peer, err);
	if (rc != 0) {
		snprintf(why, sizeof(why), "%s", err->text);
		return err_set(err, rc, "%s. Is a NameServer running there (mosaic run)? "
			       "--namesrv HOST:PORT names another", why);
	}
	if (!call_begin(&cw, peer, REQ_GET_ROUTEINFO_BY_TOPIC, false, REPLY_ROOM + 1024, 0))
		return err_set(err, MOSAIC_E_CLOSED, "the connection to %s broke", c->namesrv);
	header_put_str(&cw.w, "topic", topic);
	call_end(&cw, slice(NULL, 0), &q.call, CLIENT_TIMEOUT_NS);
	client_wait(c, &q.done);
	if (q.status != 0)
		return err_set(err, q.status, "%s did not answer: %s", c->namesrv,
			       status_text(q.status));
	if (q.code == RES_TOPIC_NOT_EXIST)
		return 0;
	if (q.code != RES_SUCCESS)
		return err_set(err, MOSAIC_E_INVAL, "%s answered code %d", c->namesrv, q.code);
	if (q.root == NULL)
		return err->code;
	route_read(q.root, for_write, queues, n);
	json_decref(q.root);
	return 0;
}
