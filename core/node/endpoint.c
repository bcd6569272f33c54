#include "node/endpoint.h"
#include "wire/frame.h"
#include <string.h>

int endpoint_create(struct endpoint *e, const struct endpoint_config *config,
		    const struct host_events *events, void *user, struct mosaic_error *err)
{
	const struct node_hosts *hosts = config->hosts;
	*e = (struct endpoint){ .config = *config };
	e->ops = &config->transport.plugin->ops.transport;
	e->host = hosts->make(hosts->ctx, config->transport.plugin->desc.name, events, user);
	return e->ops->create(e->host, config->transport.options, &e->transport, err);
}

int endpoint_listen(struct endpoint *e, const struct peer_handler *handler,
		    struct mosaic_error *err)
{
	struct peer_listener *l = &e->listener;
	l->listener.address = e->config.listen;
	l->listener.max_frame = FRAME_MAX;
	l->host = e->config.hosts->core;
	l->ops = e->ops;
	l->handler = handler;
	l->max_peers = e->config.max_connections;
	int rc = peer_listen(l, e->transport, err);
	if (rc != 0)
		return rc;
	e->is_listening = true;
	e->port = l->listener.port;
	return 0;
}

void endpoint_unlisten(struct endpoint *e)
{
	if (e->is_listening)
		e->ops->unlisten(e->transport, &e->listener.listener);
	e->is_listening = false;
}

void endpoint_close(struct endpoint *e, struct mosaic_req *req)
{
	int rc = e->ops->close(e->transport, req);
	ASSERT(rc >= 0); /* closing once is always accepted */
}

void endpoint_destroy(struct endpoint *e)
{
	const struct node_hosts *hosts = e->config.hosts;
	if (e->transport != NULL)
		e->ops->destroy(e->transport);
	if (e->host != NULL)
		hosts->mute(hosts->ctx, e->host);
	memset(e, 0, sizeof(*e));
}
