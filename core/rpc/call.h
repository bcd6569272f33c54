/*
 * Requests that we send: on a peer that is there, or to an address through a dialer that keeps one
 * connection per address. Each call ends exactly once: answered, timed out or broken. All [core].
 */
#ifndef RPC_CALL_H
#define RPC_CALL_H

#include "base/map.h"
#include "rpc/peer.h"
#include "wire/header.h"

/*
 * Storage is the caller's until done(); zero it before the first use, then set done and data.
 * status: 0 (response and body are set, valid during done), MOSAIC_E_TIMEOUT, MOSAIC_E_CLOSED (the
 * connection broke), MOSAIC_E_LIMIT (the fields did not fit the room asked for; nothing was sent),
 * MOSAIC_E_CANCELED.
 */
struct call {
	struct list link;
	void (*done)(struct call *call);
	void *data;
	int status;
	int32_t opaque;
	struct mosaic_timer timer;
	struct peer *peer;             /* holds a reference while it waits */
	const struct header *response; /* in done(), status 0 */
	struct mosaic_slice body;      /* in done(), status 0 */
};

/* A request under construction: call_begin, header_put... on writer, call_end or
 * call_end_oneway. */
struct call_writer {
	struct header_writer w;
	struct peer *peer;
	int32_t opaque;
	uint32_t body_room;
};

/* room: HEADER_ROOM and HEADER_FIELD_ROOM of each field (CALL_ROOM does for a handful of short
 * ones); body_room: the most that call_end will be given. */
#define CALL_ROOM 512
/* false: the peer is closed, which one that is ending becomes here, or does not read
 * (peer_is_open); nothing must be put. */
bool call_begin(struct call_writer *cw, struct peer *peer, int32_t code, bool oneway, uint32_t room,
		uint32_t body_room);
/* Sends and registers; done() runs later, exactly once. */
void call_end(struct call_writer *cw, struct mosaic_slice body, struct call *call,
	      uint64_t timeout_ns);
void call_end_oneway(struct call_writer *cw, struct mosaic_slice body);
/* Ends a waiting call now with MOSAIC_E_CANCELED (done runs inside). No-op when it is not
 * waiting. */
void call_cancel(struct call *call);
/* For peer.c: hands a response to its call; false when none waits for that opaque. */
bool call_answered(struct peer *peer, const struct header *response, struct mosaic_slice body);
/* For peer.c: ends all calls of a peer with `status`. */
void call_break_all(struct peer *peer, int status);

/*
 * Dialer: connections to named addresses, made on first use and again after they broke (at most one
 * attempt a second per address). Callers get the open peer or wait for it.
 */
struct dialer {
	const struct mosaic_host *host;
	const struct mosaic_transport_ops *ops;
	struct mosaic_transport *transport;
	const struct peer_handler *handler; /* requests that come back on these connections */
	struct map links;                   /* address -> struct dial_link */
	bool is_closing;
};

#define DIAL_PERIOD_NS SECOND_NS /* between two attempts for one address */

/* Storage is the caller's until done(); zero it before the first use. */
struct dial_wait {
	struct list link;
	struct mosaic_timer timer;
	/* peer is NULL on failure, and why says what happened. Borrowed. */
	void (*done)(struct dial_wait *wait, struct peer *peer, const char *why);
	void *data;
};

/* handler may be NULL: all requests get code 3. */
void dialer_init(struct dialer *d, const struct mosaic_host *host,
		 const struct mosaic_transport_ops *ops, struct mosaic_transport *transport,
		 const struct peer_handler *handler);
/* done() runs inside the call when the connection is open, cannot be tried or the dialer is
 * closing. After timeout_ns without a connection it gets NULL. */
void dialer_get(struct dialer *d, const char *address, uint64_t timeout_ns, struct dial_wait *wait);
/* The wait ends without done(). No-op when it is not waiting. */
void dialer_cancel(struct dialer *d, struct dial_wait *wait);
/* The open peer of an address, or NULL; makes no attempt. */
struct peer *dialer_peek(struct dialer *d, const char *address);
/* Closes every connection; waiting callers get NULL. The dialer is empty when their closed()
 * ran. */
void dialer_close(struct dialer *d);
void dialer_free(struct dialer *d); /* after the transport is closed */

#endif
