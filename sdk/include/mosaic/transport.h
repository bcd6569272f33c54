/*
 * mosaic/transport.h - connections that carry frames. A transport accepts, connects, cuts the byte
 * stream into frames by their 4-byte length word and writes; it knows nothing of what is in them.
 *
 *   TRANS-01 frames arrive whole and in order, or the connection is reported closed.
 *   TRANS-02 closed() runs exactly once per connection that was handed to the core, last of all its
 *            callbacks, never inside a call of the core; the handle is dead when it returns.
 *   TRANS-03 bytes that were committed or sent as spans leave in order; a span's release() runs
 *            exactly once, also when the connection breaks, before closed().
 *   TRANS-04 memory per connection is bounded: above `max_pending` bytes of output reserve() and
 *            send_span() refuse; above `high_pending` nothing more is read from that peer until the
 *            output has drained. An idle connection holds no buffers.
 *   TRANS-05 a length word above max_frame (counted with the word itself), zero or negative closes
 *            the connection.
 *   TRANS-06 output of one turn of the loop leaves with one write where the system allows it.
 *
 * Kind change log, newest first:
 *   0.1  first shape
 */
#ifndef MOSAIC_TRANSPORT_H
#define MOSAIC_TRANSPORT_H

#include <mosaic/host.h>
#include <mosaic/plugin.h>

#define MOSAIC_TRANSPORT_MAJOR 0
#define MOSAIC_TRANSPORT_MINOR 1
#define MOSAIC_KIND_TRANSPORT                                                                     \
	.kind = MOSAIC_TRANSPORT, .kind_major = MOSAIC_TRANSPORT_MAJOR,                           \
	.kind_minor = MOSAIC_TRANSPORT_MINOR

#define MOSAIC_TRANSPORT_CAP_REMOTE (UINT64_C(1) << 0) /* reaches other machines */

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_transport; /* the plugin's */
struct mosaic_conn;      /* the plugin's */

/* Address of the other end; for RocketMQ's born host and for log lines. */
struct mosaic_address {
	uint8_t ip[16];  /* network order; the first ip_len bytes count */
	uint32_t ip_len; /* 4 or 16 */
	uint32_t port;
	char text[56]; /* "127.0.0.1:1234", "[::1]:1234" */
};

/* What the core wants to hear of a connection. All [core]. */
struct mosaic_conn_events {
	uint32_t struct_size;
	uint32_t reserved0;
	/* One frame: the bytes after the length word, writable, valid until the call returns. */
	void (*frame)(void *user, struct mosaic_conn *conn, uint8_t *frame, uint32_t len);
	/* All frames of this read have been given. May be called without frames. */
	void (*burst_end)(void *user, struct mosaic_conn *conn);
	/* Output fell below half of high_pending after reserve() or send_span() had refused. */
	void (*writable)(void *user, struct mosaic_conn *conn);
	/* The connection is gone; why: a short text for the log, never NULL. */
	void (*closed)(void *user, struct mosaic_conn *conn, int32_t status, const char *why);
};

/* Bytes of the caller that are written without a copy. Caller's storage until release(). */
struct mosaic_out_span {
	struct mosaic_out_span *next; /* the transport's */
	const uint8_t *ptr;
	uint32_t len;
	uint32_t reserved0;
	void (*release)(struct mosaic_out_span *span); /* [core] */
	void *data;
};

/* A place to listen at. Storage is the caller's until close() of the transport completed. */
struct mosaic_listener {
	const char *address; /* "0.0.0.0:10911"; port 0: any free one */
	uint32_t max_frame;  /* bytes including the length word */
	uint32_t port;       /* out: the port that was bound */
	void *user;
	/* [core] a new connection: set *events and *conn_user, or return negative to refuse it */
	int32_t (*accepted)(void *user, struct mosaic_conn *conn,
			    const struct mosaic_address *peer,
			    const struct mosaic_conn_events **events, void **conn_user);
	void *reserved; /* the transport's */
};

/* An outgoing connection. done(): status 0 and conn set, or an error and error->text. */
struct mosaic_connect {
	struct mosaic_req req;
	const char *address; /* "host:port"; names are resolved without blocking */
	uint32_t max_frame;
	uint32_t reserved0;
	uint64_t timeout_ns;
	const struct mosaic_conn_events *events;
	void *user; /* for the events */
	struct mosaic_conn *conn;    /* out */
	struct mosaic_address peer;  /* out */
	struct mosaic_error *error;  /* may be NULL */
	void *reserved1; /* the transport's */
};

struct mosaic_transport_ops {
	uint32_t struct_size;
	uint32_t reserved0;
	/* [main] */
	int32_t (*create)(const struct mosaic_host *host, const void *options,
			  struct mosaic_transport **out, struct mosaic_error *error);
	/* [core] bind and accept; at once */
	int32_t (*listen)(struct mosaic_transport *transport, struct mosaic_listener *listener,
			  struct mosaic_error *error);
	/* [core] stop accepting on this listener; connections stay */
	void (*unlisten)(struct mosaic_transport *transport, struct mosaic_listener *listener);
	/* [core] asynchronous */
	int32_t (*connect)(struct mosaic_transport *transport, struct mosaic_connect *req);
	/* [core] close all listeners and connections (closed() runs for each), then done() */
	int32_t (*close)(struct mosaic_transport *transport, struct mosaic_req *req);
	/* [main] after close completed */
	void (*destroy)(struct mosaic_transport *transport);

	/* [core] contiguous room for len bytes of output, or NULL (TRANS-04). The room is lost at
	 * the next reserve or when the callback of the core returns without commit. */
	uint8_t *(*reserve)(struct mosaic_conn *conn, uint32_t len);
	/* [core] the first len bytes of the room are output now */
	void (*commit)(struct mosaic_conn *conn, uint32_t len);
	/* [core] 0 or E_AGAIN, E_CLOSED (then release() does not run) */
	int32_t (*send_span)(struct mosaic_conn *conn, struct mosaic_out_span *span);
	/* [core] bytes of output that have not left yet */
	uint64_t (*pending)(const struct mosaic_conn *conn);
	/* [core] end the connection: closed() runs later. flush: write what is pending first, for
	 * at most a second. */
	void (*conn_close)(struct mosaic_conn *conn, int32_t flush, const char *why);
};

#ifdef __cplusplus
}
#endif
#endif
