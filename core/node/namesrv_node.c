#include "node/namesrv_node.h"
#include "wire/frame.h"
#include <string.h>

#define TRANSPORT(n) (&(n)->config.transport.plugin->ops.transport)

static void on_request(void *ctx, struct request *req)
{
	struct namesrv_node *n = ctx;
	dispatch_request(&n->dispatch, req);
}

static void on_peer_closed(void *ctx, struct peer *peer)
{
	struct namesrv_node *n = ctx;
	namesrv_peer_closed(n->namesrv, peer);
}

static int create_services(struct namesrv_node *n, struct mosaic_error *err)
{
	const struct mosaic_host *core = n->config.hosts->core;
	struct namesrv_config c = n->config.settings;
	int rc = kv_file_open(&n->kv, core, n->config.kv_path, err);
	if (rc != 0)
		return rc;
	n->has_kv = true;
	c.host = core;
	c.docs = (struct namesrv_docs){ .ctx = &n->kv,
					.kv_config = buf_slice(&n->kv.content),
					.save = kv_file_save };
	n->namesrv = namesrv_create(&c, err);
	if (n->namesrv == NULL)
		return err->code;
	dispatch_add(&n->dispatch, namesrv_rows, namesrv_n_rows, n->namesrv);
	return 0;
}

int namesrv_node_create(struct namesrv_node *n, const struct namesrv_node_config *config,
			struct mosaic_error *err)
{
	memset(n, 0, sizeof(*n));
	n->config = *config;
	n->handler =
		(struct peer_handler){ .ctx = n, .request = on_request, .closed = on_peer_closed };
	const struct node_hosts *hosts = config->hosts;
	n->transport_host = hosts->make(hosts->ctx, config->transport.plugin->desc.name, NULL, n);
	int rc = TRANSPORT(n)->create(n->transport_host, config->transport.options, &n->transport,
				      err);
	if (rc == 0)
		rc = create_services(n, err);
	if (rc != 0)
		namesrv_node_destroy(n);
	return rc;
}

int namesrv_node_start(struct namesrv_node *n, struct mosaic_error *err)
{
	struct peer_listener *l = &n->listener;
	l->listener.address = n->config.listen;
	l->listener.max_frame = FRAME_MAX;
	l->host = n->config.hosts->core;
	l->ops = TRANSPORT(n);
	l->handler = &n->handler;
	l->max_peers = n->config.max_connections;
	int rc = peer_listen(l, n->transport, err);
	if (rc != 0)
		return rc;
	n->is_listening = true;
	n->port = l->listener.port;
	namesrv_start(n->namesrv);
	return 0;
}

static void on_transport_closed(struct mosaic_req *step)
{
	struct namesrv_node *n = step->data;
	struct mosaic_req *waiter = n->waiter;
	n->waiter = NULL;
	waiter->status = 0;
	waiter->done(waiter);
}

static void on_services_stopped(struct mosaic_req *step)
{
	struct namesrv_node *n = step->data;
	n->step.done = on_transport_closed;
	int rc = TRANSPORT(n)->close(n->transport, &n->step);
	ASSERT(rc >= 0); /* closing once is always accepted */
}

void namesrv_node_stop(struct namesrv_node *n, struct mosaic_req *req)
{
	n->waiter = req;
	n->step.data = n;
	n->step.done = on_services_stopped;
	if (n->is_listening)
		TRANSPORT(n)->unlisten(n->transport, &n->listener.listener);
	namesrv_stop(n->namesrv, &n->step);
}

void namesrv_node_destroy(struct namesrv_node *n)
{
	const struct node_hosts *hosts = n->config.hosts;
	if (n->namesrv != NULL)
		namesrv_destroy(n->namesrv);
	if (n->has_kv)
		kv_file_close(&n->kv);
	if (n->transport != NULL)
		TRANSPORT(n)->destroy(n->transport);
	if (n->transport_host != NULL)
		hosts->mute(hosts->ctx, n->transport_host);
	memset(n, 0, sizeof(*n));
}
