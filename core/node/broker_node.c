/*
 * Up: create instances -> listen (the bound port is part of the advertised address) -> open the
 * broker. Down: stop listening -> close the broker -> close the transport -> destroy in reverse
 * order.
 *
 * Failure modes: each step undoes only the steps before it; a plugin's failure while running turns
 * the log read-only (log_fail) and leaves everything else up.
 */
#include "node/broker_node.h"
#include "base/err.h"
#include "broker/control_rows.h"
#include "broker/wishes.h"
#include "wire/codes.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STORE(n) (&(n)->config.store.plugin->ops.store)
#define FLUSH(n) (&(n)->config.flush.plugin->ops.flush)

static void on_watermark(void *user, uint32_t which, uint64_t upto)
{
	struct broker_node *n = user;
	log_watermark(n->log, which, upto);
}

static void on_promise(void *user, uint32_t which, uint32_t state)
{
	struct broker_node *n = user;
	log_promise(n->log, which, state);
}

static void on_fail(void *user, const struct mosaic_error *error)
{
	struct broker_node *n = user;
	log_fail(n->log, error);
}

static const struct host_events plugin_events = { .watermark = on_watermark,
						  .promise = on_promise,
						  .fail = on_fail };

/* -- requests ---------------------------------------------------------------------------------- */

static void on_request(void *ctx, struct request *req)
{
	struct broker_node *n = ctx;
	/* While it closes, its documents may be saved already: a commit now would be lost. */
	if (LIKELY(n->is_open && !n->broker->is_closing))
		dispatch_request(&n->dispatch, req);
	else
		reply_remark(&req->ticket, RES_SERVICE_NOT_AVAILABLE,
			     "service not available now: the broker is starting or stopping");
}

static void on_burst_end(void *ctx, struct peer *peer)
{
	struct broker_node *n = ctx;
	(void)peer;
	if (LIKELY(n->is_open))
		broker_burst_end(n->broker);
}

static void on_peer_closed(void *ctx, struct peer *peer)
{
	struct broker_node *n = ctx;
	broker_peer_closed(n->broker, peer);
}

/* -- create ------------------------------------------------------------------------------------ */

static int create_instances(struct broker_node *n, struct mosaic_error *err)
{
	const struct node_hosts *hosts = n->config.endpoint.hosts;
	int rc = endpoint_create(&n->endpoint, &n->config.endpoint, &plugin_events, n, err);
	if (rc != 0)
		return rc;
	n->store_host =
		hosts->make(hosts->ctx, n->config.store.plugin->desc.name, &plugin_events, n);
	rc = STORE(n)->create(n->store_host, n->config.store.options, &n->store, err);
	if (rc != 0 || n->config.flush.plugin == NULL)
		return rc;
	n->flush_host =
		hosts->make(hosts->ctx, n->config.flush.plugin->desc.name, &plugin_events, n);
	return FLUSH(n)->create(n->flush_host, n->config.flush.options, &n->flush, err);
}

/* The broker is made after the log. */
static void look_at_wishes(void *ctx)
{
	struct broker_node *n = ctx;
	wishes_look(n->broker);
}

static uint32_t local_hour(uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = { 0 };
	return localtime_r(&seconds, &tm) ? (uint32_t)tm.tm_hour : 0;
}

static void create_log(struct broker_node *n)
{
	bool has_flush = n->flush != NULL;
	struct log_config c = {
		.host = n->config.endpoint.hosts->core,
		.store_ops = STORE(n),
		.store = n->store,
		.flush_ops = has_flush ? FLUSH(n) : NULL,
		.flush = n->flush,
		.flush_gates =
			has_flush && (n->config.flush.plugin->desc.caps & MOSAIC_FLUSH_CAP_GATES),
		.max_record_bytes = n->config.settings.max_message_bytes + 64 * 1024,
		.index = n->config.index,
		.retention = n->config.retention,
	};
	c.retention.look = look_at_wishes;
	c.retention.ctx = n;
	c.retention.hour = local_hour;
	n->log = log_create(&c);
}

static void create_broker(struct broker_node *n)
{
	struct broker_config c = n->config.settings;
	c.host = n->config.endpoint.hosts->core;
	c.log = n->log;
	c.transport_ops = n->endpoint.ops;
	c.transport = n->endpoint.transport;
	c.peer_handler = &n->handler;
	c.address = n->address;
	n->broker = broker_create(&c);
	dispatch_add(&n->dispatch, broker_rows, broker_n_rows, n->broker);
	dispatch_add(&n->dispatch, control_rows, control_n_rows, n->broker);
}

int broker_node_create(struct broker_node *n, const struct broker_node_config *config,
		       struct mosaic_error *err)
{
	memset(n, 0, sizeof(*n));
	n->config = *config;
	n->handler = (struct peer_handler){ .ctx = n,
					    .request = on_request,
					    .burst_end = on_burst_end,
					    .closed = on_peer_closed };
	int rc = create_instances(n, err);
	if (rc != 0) {
		broker_node_destroy(n);
		return rc;
	}
	create_log(n);
	create_broker(n);
	return 0;
}

/* -- start ------------------------------------------------------------------------------------- */

static void set_address(struct broker_node *n)
{
	const struct mosaic_address *from = &n->config.address;
	struct host_address *to = &n->broker->config.store_host;
	char ip[INET6_ADDRSTRLEN] = "";
	memcpy(to->ip, from->ip, sizeof(to->ip));
	to->ip_len = from->ip_len;
	to->port = from->port ? from->port : n->endpoint.port;
	(void)inet_ntop(to->ip_len == 4 ? AF_INET : AF_INET6, to->ip, ip, sizeof(ip));
	snprintf(n->address, sizeof(n->address), to->ip_len == 4 ? "%s:%u" : "[%s]:%u", ip,
		 to->port);
}

static void on_opened(struct mosaic_req *req)
{
	struct broker_node *n = req->data;
	struct mosaic_req *waiter = n->waiter;
	n->waiter = NULL;
	n->is_open = req->status == 0;
	if (req->status != 0 && n->err != NULL)
		*n->err = n->opening.err;
	waiter->status = req->status;
	waiter->done(waiter);
}

int broker_node_start(struct broker_node *n, struct mosaic_req *req, struct mosaic_error *err)
{
	int rc = endpoint_listen(&n->endpoint, &n->handler, err);
	if (rc != 0)
		return rc;
	set_address(n);
	n->waiter = req;
	n->err = err;
	n->opening.err.struct_size = sizeof(n->opening.err);
	n->opening.req.done = on_opened;
	n->opening.req.data = n;
	rc = broker_open(n->broker, &n->opening);
	if (rc < 0 && err != NULL)
		*err = n->opening.err;
	return rc < 0 ? rc : 0;
}

/* -- stop -------------------------------------------------------------------------------------- */

static void stop_transport(struct mosaic_req *step)
{
	struct broker_node *n = step->data;
	n->is_open = false;
	n->stop_status = n->log->is_broken ? step->status : 0; /* a full disk loses nothing */
	endpoint_close(&n->endpoint, n->waiter);
}

void broker_node_stop(struct broker_node *n, struct mosaic_req *req)
{
	n->waiter = req;
	n->step = (struct mosaic_req){ .done = stop_transport, .data = n };
	endpoint_unlisten(&n->endpoint);
	if (n->is_open && broker_close(n->broker, &n->step) >= 0)
		return;
	stop_transport(&n->step);
}

static void mute(struct broker_node *n, const struct mosaic_host *host)
{
	const struct node_hosts *hosts = n->config.endpoint.hosts;
	if (host != NULL)
		hosts->mute(hosts->ctx, host);
}

void broker_node_destroy(struct broker_node *n)
{
	broker_destroy(n->broker);
	if (n->log != NULL)
		log_destroy(n->log);
	if (n->flush != NULL)
		FLUSH(n)->destroy(n->flush);
	if (n->store != NULL)
		STORE(n)->destroy(n->store);
	endpoint_destroy(&n->endpoint);
	mute(n, n->flush_host);
	mute(n, n->store_host);
	memset(n, 0, sizeof(*n));
}
