/* What the files of this plugin share. Names begin with tcp_: programs may link plugins in. */
#ifndef TRANSPORT_TCP_H
#define TRANSPORT_TCP_H

#include "../transport-common/link.h"
#include <mosaic/transport.h>
#include <sys/socket.h>
#include <uv.h>

#define READ_BYTES (64u * 1024) /* one buffer for all connections: a read is used up at once */
/* Read per turn of the loop, all connections together: what it costs to serve these bytes is what
 * everything else on the thread waits for, about half a millisecond. */
#define TURN_BYTES (128u * 1024)
#define CHUNK_BYTES (16u * 1024) /* output; 64 KiB gained nothing, and 5,000 writers hold 80 MiB */
#define CHUNKS_KEPT 256u         /* free chunks kept: 4 MiB */
#define IDLE_SLOTS 32u
#define FLUSH_NS UINT64_C(1000000000) /* transport.h: at most a second */

struct tcp_options {
	const char *listen; /* read by the node, which passes it to listen() */
	int64_t max_connections;
	uint64_t high_pending, max_pending, max_frame_memory, idle_ns;
};

/* Log lines that strangers can cause: a burst, then a count once a second. */
struct tcp_limiter {
	uint64_t window_ms;
	uint32_t lines, suppressed;
};

struct mosaic_transport {
	const struct mosaic_host *host;
	struct tcp_options options;
	uv_loop_t *loop;
	char *read_buffer;
	uint32_t turn, turn_bytes; /* read in this turn */
	uint32_t round; /* of turns, in which each connection that has something is read once */
	bool is_short;       /* a connection was not read in this turn: TURN_BYTES were used up */
	bool goes_on;        /* the round of the turn before did not end with it */
	uint32_t n_handles; /* libuv's that are not closed yet, and look-ups that run */
	uint32_t n_conns;   /* accepted or dialled */
	uint64_t frame_memory; /* bytes of partial and held frames of all connections */
	struct link dirty;     /* connections with output of this turn */
	struct link idle[IDLE_SLOTS]; /* every open connection, by when it may become idle */
	uint32_t idle_slot;           /* now */
	uint64_t idle_tick_ms;
	struct mosaic_timer idle_timer;
	struct link flushing; /* connections that end after their output, in order of deadline */
	struct mosaic_timer flush_timer;
	struct link listeners, dials;
	struct tcp_chunk *free_chunks;
	uint32_t n_free_chunks;
	uv_prepare_t prepare;
	struct mosaic_req nudge; /* keeps the loop turning while output is left over */
	bool nudged;
	bool is_started;
	int spare_fd; /* given up for a moment to turn a connection away when descriptors are out */
	struct tcp_limiter limiter;
	struct mosaic_req *close_req;
};

struct tcp_listener {
	uv_poll_t poll;
	struct mosaic_transport *transport;
	struct mosaic_listener *api;
	struct link link;
	int fd;
	struct mosaic_timer pause; /* accept() failed for lack of memory: try again later */
};

/* A run of output bytes, or a span of the caller. Lies in a chunk, before the bytes it is about. */
struct tcp_piece {
	struct tcp_piece *next;
	const uint8_t *ptr;
	uint32_t len;
	uint32_t reserved0;
	struct mosaic_out_span *span; /* NULL: bytes of the chunk */
	struct tcp_chunk *chunk;      /* that holds this struct */
};

struct tcp_chunk {
	struct tcp_chunk *next; /* in the free list */
	uint32_t size, used;    /* of data */
	uint32_t live;          /* pieces in it that have not left */
	uint32_t reserved0;
	uint8_t data[];
};

enum tcp_state {
	TCP_CONNECTING, /* dialled; the core does not know it yet */
	TCP_PROBING,    /* accepted; its first bytes decide. The core does not know it yet */
	TCP_OPEN,
	TCP_FLUSHING, /* nothing is read any more; ends when the output has left */
	TCP_ENDED     /* libuv closes it; then closed() and free */
};

struct mosaic_conn {
	struct mosaic_transport *transport;
	const struct mosaic_conn_events *events; /* NULL until the core knows it */
	void *user;
	struct mosaic_listener *listener; /* NULL when dialled */
	struct link link;                 /* transport->idle[] or ->flushing */
	struct link dirty;
	uint64_t active_ms; /* last read or write */
	uint32_t max_frame;
	uint32_t turn, round; /* that it was read in last */
	uint8_t state; /* enum tcp_state */
	bool proxied;  /* a PROXY header was taken */
	bool reading, writing;
	bool held;    /* back-pressure: nothing is read or delivered */
	bool refused; /* the core waits for writable() */

	/* input: the beginning of a frame; while held all that was read but not delivered */
	uint8_t *part;
	uint32_t part_len, part_size;

	/* output */
	struct tcp_piece *first, *last;
	struct tcp_chunk *chunk; /* being filled */
	uint8_t *room;           /* of the last reserve(), NULL: none */
	uint32_t room_len;
	uint32_t inflight; /* bytes that libuv writes now */
	uint64_t pending;

	uint64_t flush_deadline_ns;
	int32_t status; /* for closed() */
	char why[96];
	struct mosaic_address peer;
	uv_tcp_t tcp;
	union {
		uv_connect_t connect; /* while TCP_CONNECTING */
		uv_write_t write;     /* while writing */
	} req;
};

/* transport.c */
void *tcp_alloc(struct mosaic_transport *t, size_t size); /* zeroed, or NULL */
void tcp_free(struct mosaic_transport *t, void *ptr);
void tcp_log(struct mosaic_transport *t, uint32_t level, const char *event, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* For what strangers cause. */
void tcp_log_limited(struct mosaic_transport *t, uint32_t level, const char *event,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
void tcp_start(struct mosaic_transport *t);
void tcp_handle_closed(struct mosaic_transport *t); /* one of n_handles */
int32_t tcp_error(struct mosaic_error *error, int32_t code, int os_errno, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* listener.c */
int32_t tcp_listen(struct mosaic_transport *t, struct mosaic_listener *api,
		   struct mosaic_error *error);
void tcp_unlisten(struct mosaic_transport *t, struct mosaic_listener *api);

/* dial.c */
int32_t tcp_connect(struct mosaic_transport *t, struct mosaic_connect *req);
void tcp_cancel_dials(struct mosaic_transport *t);

/* conn.c */
struct mosaic_conn *tcp_conn_create(struct mosaic_transport *t, enum tcp_state state); /* or NULL */
/* The stream is connected: options of the socket, idle watch, reading. 0 or libuv's error. */
int tcp_conn_begin(struct mosaic_conn *c);
/* Ends it now (no-op when ended): closed() comes from the loop later. */
void tcp_conn_end(struct mosaic_conn *c, int32_t status, const char *why);
/* Ends it when the output has left, or after FLUSH_NS. */
void tcp_conn_finish(struct mosaic_conn *c, int32_t status, const char *why);
void tcp_conn_close(struct mosaic_conn *c, int32_t flush, const char *why);
void tcp_conn_set_reading(struct mosaic_conn *c, bool on);
void tcp_conn_active(struct mosaic_conn *c);
void tcp_idle_tick(struct mosaic_timer *timer);
void tcp_flush_expired(struct mosaic_timer *timer);

/* input.c */
void tcp_input(struct mosaic_conn *c, uint8_t *bytes, uint32_t len);
void tcp_input_resume(struct mosaic_conn *c);
void tcp_input_free(struct mosaic_conn *c);
void tcp_input_turn(struct mosaic_transport *t); /* a turn ends */

/* output.c */
uint8_t *tcp_reserve(struct mosaic_conn *c, uint32_t len);
void tcp_commit(struct mosaic_conn *c, uint32_t len);
int32_t tcp_send_span(struct mosaic_conn *c, struct mosaic_out_span *span);
uint64_t tcp_pending(const struct mosaic_conn *c);
void tcp_output_flush(struct mosaic_conn *c);
void tcp_output_free(struct mosaic_conn *c);
void tcp_output_turn(uv_prepare_t *prepare);
void tcp_output_nudged(struct mosaic_req *req);
void tcp_chunks_free(struct mosaic_transport *t);

/* proxy.c: PROXY protocol header at the start of the bytes? */
#define TCP_PROXY_NONE 0
#define TCP_PROXY_MORE (-1) /* could become one */
#define TCP_PROXY_BAD (-2)
/* The length of the header (and *peer replaced, unless it names nobody), or one of these. */
int tcp_proxy_parse(const uint8_t *bytes, uint32_t len, struct mosaic_address *peer);

/* address.c */
void tcp_address_set(struct mosaic_address *out, const struct sockaddr *sa);
/* "host:port", "[v6]:port". 0 or MOSAIC_E_INVAL. */
int tcp_address_split(const char *text, char *host, size_t host_size, uint16_t *port);
/* Numeric host only. */
int tcp_address_numeric(const char *host, uint16_t port, struct sockaddr_storage *out);

#endif
