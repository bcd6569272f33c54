/* What a role answers on: an instance of a transport and its listener. [core] unless it says
 * [main]. */
#ifndef NODE_ENDPOINT_H
#define NODE_ENDPOINT_H

#include "node/hosts.h"
#include "plugin/loaded.h"
#include "rpc/peer.h"

struct endpoint_config {
	const struct node_hosts *hosts;
	struct plugin_instance transport;
	const char *listen; /* "0.0.0.0:10911"; port 0: any. Outlives the endpoint */
	uint32_t max_connections;
};

struct endpoint {
	struct endpoint_config config;
	const struct mosaic_transport_ops *ops;
	const struct mosaic_host *host; /* the transport's */
	struct mosaic_transport *transport;
	struct peer_listener listener;
	uint32_t port; /* bound */
	bool is_listening;
};

/* 0, or what the transport said; endpoint_destroy() follows in either case. events may be NULL.
 * [main] */
NODISCARD int endpoint_create(struct endpoint *e, const struct endpoint_config *config,
			      const struct host_events *events, void *user,
			      struct mosaic_error *err);
NODISCARD int endpoint_listen(struct endpoint *e, const struct peer_handler *handler,
			      struct mosaic_error *err);
/* No new peers; also when it never listened. */
void endpoint_unlisten(struct endpoint *e);
/* Ends all peers, then req->done. Once. */
void endpoint_close(struct endpoint *e, struct mosaic_req *req);
void endpoint_destroy(struct endpoint *e); /* [main] */

#endif
