/*
 * The NameServer: brokers register with it, clients ask it for routes. Each is independent of all
 * others; its only state on disk is the KV config. No sockets, no files, no clock. All [core].
 */
#ifndef NAMESRV_NAMESRV_H
#define NAMESRV_NAMESRV_H

#include "base/host.h"
#include "rpc/request.h"

/* Where the KV config is kept: given by the node (a file) or the simulator (memory). */
struct namesrv_docs {
	void *ctx;
	/* Content at open; empty when there is none. Borrowed during namesrv_create. */
	struct mosaic_slice kv_config;
	/* Replaces the document atomically (write, fsync, rename, fsync of the folder). content
	 * must be copied; req->done runs later with the status. NULL: kept in memory only. */
	int (*save)(void *ctx, struct mosaic_slice content, struct mosaic_req *req);
};

struct namesrv_config {
	const struct mosaic_host *host;
	struct namesrv_docs docs;
	uint64_t broker_expiry_ms; /* 120000: without heartbeat */
	uint64_t scan_ms;          /* 5000 */
	uint32_t max_topics;       /* 500000 over all brokers */
	uint32_t max_brokers;      /* 10000 */
	uint32_t listen_port;      /* told by GET_NAMESRV_CONFIG; 0: not told */
};

struct namesrv;

/* Rows for core/node's table; service is the struct namesrv. */
extern const struct request_row namesrv_rows[];
extern const uint32_t namesrv_n_rows;

/* NULL and *err when the KV config cannot be read. */
struct namesrv *namesrv_create(const struct namesrv_config *config, struct mosaic_error *err);
void namesrv_start(struct namesrv *n); /* the expiry scan */
/* Stops timers and refuses changes of the KV config; req->done when those that were accepted are
 * saved and answered. */
void namesrv_stop(struct namesrv *n, struct mosaic_req *req);
void namesrv_destroy(struct namesrv *n);
/* From the node's peer handler: brokers registered over this connection are gone at once. */
void namesrv_peer_closed(struct namesrv *n, struct peer *peer);

#endif
