#include "node/namesrv_node.h"
#include <string.h>

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
	const struct mosaic_host *core = n->config.endpoint.hosts->core;
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
	int rc = endpoint_create(&n->endpoint, &config->endpoint, NULL, n, err);
	if (rc == 0)
		rc = create_services(n, err);
	if (rc != 0)
		namesrv_node_destroy(n);
	return rc;
}

int namesrv_node_start(struct namesrv_node *n, struct mosaic_error *err)
{
	int rc = endpoint_listen(&n->endpoint, &n->handler, err);
	if (rc == 0)
		namesrv_start(n->namesrv);
	return rc;
}

static void on_services_stopped(struct mosaic_req *step)
{
	struct namesrv_node *n = step->data;
	endpoint_close(&n->endpoint, n->waiter);
}

void namesrv_node_stop(struct namesrv_node *n, struct mosaic_req *req)
{
	n->waiter = req;
	n->step.data = n;
	n->step.done = on_services_stopped;
	endpoint_unlisten(&n->endpoint);
	namesrv_stop(n->namesrv, &n->step);
}

void namesrv_node_destroy(struct namesrv_node *n)
{
	if (n->namesrv != NULL)
		namesrv_destroy(n->namesrv);
	if (n->has_kv)
		kv_file_close(&n->kv);
	endpoint_destroy(&n->endpoint);
	memset(n, 0, sizeof(*n));
}
