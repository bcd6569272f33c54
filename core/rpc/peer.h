/*
 * A peer: one connection seen from the core, with both directions of the protocol on it. Requests
 * of the other side go to the owner's handler; answers to ours find their call by opaque.
 *
 * Life: made when the transport accepts or connects, referenced by whoever may still answer on it,
 * freed when the connection is closed and the last reference is gone. Answering on a closed peer is
 * allowed and does nothing. All [core].
 */
#ifndef RPC_PEER_H
#define RPC_PEER_H

#include "base/host.h"
#include "base/list.h"
#include "wire/header.h"
#include <mosaic/transport.h>

struct peer;
struct peer_listener;
struct request;

/* What the owner of a listener or an outgoing connection hears. */
struct peer_handler {
	void *ctx;
	/* A request (not a response). The request and its slices die when this returns, unless
	 * request_keep(). */
	void (*request)(void *ctx, struct request *req);
	/* All requests of one read have been given: release gates, tell the flush plugin. Also
	 * before closed(), for a read that the connection did not survive. May be NULL. */
	void (*burst_end)(void *ctx, struct peer *peer);
	/* The connection is gone; peer->service is still there. May be NULL. */
	void (*closed)(void *ctx, struct peer *peer);
};

/* Warnings that peers cause: a peer must not be able to fill the log. */
#define PEER_LINES_PER_SECOND 20
struct peer_log {
	uint64_t since_ns; /* of the second that is counted */
	uint32_t lines, left_out;
};

struct peer {
	uint32_t magic;
	uint32_t refs;
	struct mosaic_conn *conn; /* NULL while connecting and from peer_close on */
	const struct mosaic_transport_ops *ops;
	const struct mosaic_host *host;
	const struct peer_handler *handler;
	struct mosaic_address address;
	void *service;     /* the handler's own state for this peer */
	struct list calls; /* struct call, waiting for an answer */
	struct list link;  /* in the owner's list of peers */
	struct peer_listener *listener; /* that accepted it, else NULL */
	struct list held;  /* the service's: requests of this peer that it holds */
	int32_t next_opaque;
};

/* Events for struct mosaic_listener / mosaic_connect: user must be the struct peer. */
extern const struct mosaic_conn_events peer_conn_events;

/* The reference it returns is the connection's: closed() drops it. conn is NULL for an outgoing
 * connection that is not there yet; then peer_connected tells it, or peer_unref ends it. */
struct peer *peer_create(const struct mosaic_host *host, const struct mosaic_transport_ops *ops,
			 struct mosaic_conn *conn, const struct mosaic_address *address,
			 const struct peer_handler *handler);
void peer_connected(struct peer *peer, struct mosaic_conn *conn,
		    const struct mosaic_address *address);
struct peer *peer_ref(struct peer *peer);
void peer_unref(struct peer *peer);
static inline bool peer_is_open(const struct peer *peer) { return peer->conn != NULL; }
/* Closes the connection (flush: what is already written still leaves). From now on nothing is read
 * or written; waiting calls break and the handler's closed() runs later. No-op on a closed peer. */
void peer_close(struct peer *peer, bool flush, const char *why);

/* A warning that this peer causes: at most PEER_LINES_PER_SECOND of all peers of its listener; the
 * next line after that is "lines_left_out" with their number. */
void peer_warn(struct peer *peer, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

/* A listener that makes a peer of each connection. Storage is the caller's. */
struct peer_listener {
	struct mosaic_listener listener; /* set address and max_frame */
	const struct mosaic_host *host;
	const struct mosaic_transport_ops *ops;
	const struct peer_handler *handler;
	struct list peers; /* struct peer.link of open connections */
	uint32_t n_peers, max_peers; /* above max_peers a connection is refused with a log line */
	struct peer_log log;
};
NODISCARD int peer_listen(struct peer_listener *pl, struct mosaic_transport *transport,
			  struct mosaic_error *err);

#endif
