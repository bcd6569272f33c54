/* One NameServer put together: transport, KV file, services, listener. [core] unless it says
 * [main]. */
#ifndef NODE_NAMESRV_NODE_H
#define NODE_NAMESRV_NODE_H

#include "namesrv/namesrv.h"
#include "node/dispatch.h"
#include "node/endpoint.h"
#include "node/kv_file.h"

struct namesrv_node_config {
	struct endpoint_config endpoint;
	const char *kv_path; /* NULL: memory only */
	struct namesrv_config settings; /* host and docs are set here */
};

struct namesrv_node {
	struct namesrv_node_config config;
	struct endpoint endpoint;
	struct namesrv *namesrv;
	struct kv_file kv;
	struct dispatch dispatch;
	struct peer_handler handler;
	bool has_kv;
	struct mosaic_req step;
	struct mosaic_req *waiter;
};

/* Reads the KV file and creates everything. [main] */
NODISCARD int namesrv_node_create(struct namesrv_node *n, const struct namesrv_node_config *config,
				  struct mosaic_error *err);
NODISCARD int namesrv_node_start(struct namesrv_node *n, struct mosaic_error *err);
/* Also after a start that failed. */
void namesrv_node_stop(struct namesrv_node *n, struct mosaic_req *req);
void namesrv_node_destroy(struct namesrv_node *n); /* [main] */

#endif
