/* What the files of this plugin share. Names begin with memory_: programs may link plugins in. */
#ifndef TRANSPORT_MEMORY_H
#define TRANSPORT_MEMORY_H

#include "../transport-common/link.h"
#include <mosaic/draft/network.h>

struct memory_options {
	const char *listen; /* read by the node, which passes it to listen() */
	uint64_t high_pending, max_pending, window, idle_ns;
};

struct mosaic_transport {
	const struct mosaic_host *host;
	const struct mosaic_ext_network *network; /* NULL: the host has none */
	struct memory_options options;
	struct link conns, listeners, dials;
	struct link dirty;       /* connections with something to do at the end of the turn */
	struct mosaic_req turn;  /* posted while `turning` */
	bool turning;
	struct mosaic_timer idle_timer;
	struct mosaic_req *close_req;
};

struct memory_listener {
	struct mosaic_net_listener net;
	struct mosaic_transport *transport;
	struct mosaic_listener *api;
	struct link link;
};

/* A run of output bytes that lie behind the struct, or a span of the caller. */
struct memory_piece {
	struct memory_piece *next;
	const uint8_t *ptr;
	uint32_t len;
	uint32_t size; /* of bytes[] */
	struct mosaic_out_span *span;
	uint8_t bytes[];
};

enum memory_state {
	MEMORY_OPEN,
	MEMORY_FLUSHING, /* ends when the output has arrived, or by flush_timer */
	MEMORY_ENDED     /* the network was told; ended() is still to come */
};

struct mosaic_conn {
	struct mosaic_transport *transport;
	struct mosaic_net_end *end;
	const struct mosaic_conn_events *events;
	void *user;
	struct link link, dirty;
	uint32_t max_frame;
	uint8_t state; /* enum memory_state */
	bool held;     /* back-pressure: nothing is delivered, the network is paused */
	bool refused;  /* the core waits for writable() */
	uint64_t active_ns;

	/* input: the beginning of a frame; while held all that was received but not delivered */
	uint8_t *part;
	uint32_t part_len, part_size;

	/* output */
	struct memory_piece *first, *last;
	struct memory_piece *room; /* of the last reserve(), NULL: none */
	uint64_t inflight;         /* sent, not arrived */
	uint64_t pending;          /* inflight and all pieces */

	struct mosaic_timer flush_timer;
	int32_t status; /* for closed() */
	char why[96];
};

/* transport.c */
int32_t memory_error(struct mosaic_error *error, int32_t code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void *memory_alloc(struct mosaic_transport *t, size_t size); /* zeroed, or NULL */
void memory_free(struct mosaic_transport *t, void *ptr);
/* Something is to be done for c at the end of this turn. */
void memory_mark(struct mosaic_conn *c);
void memory_conn_gone(struct mosaic_transport *t);

/* conn.c */
extern const struct mosaic_net_events memory_net_events;
struct mosaic_conn *memory_conn_create(struct mosaic_transport *t, struct mosaic_net_end *end,
				       uint32_t max_frame);
void memory_conn_end(struct mosaic_conn *c, int32_t status, const char *why);
void memory_conn_close(struct mosaic_conn *c, int32_t flush, const char *why);
void memory_idle_tick(struct mosaic_timer *timer);

/* input.c */
void memory_input(struct mosaic_conn *c, uint8_t *bytes, uint32_t len);
void memory_input_resume(struct mosaic_conn *c);
void memory_input_free(struct mosaic_conn *c);

/* output.c */
uint8_t *memory_reserve(struct mosaic_conn *c, uint32_t len);
void memory_commit(struct mosaic_conn *c, uint32_t len);
int32_t memory_send_span(struct mosaic_conn *c, struct mosaic_out_span *span);
uint64_t memory_pending(const struct mosaic_conn *c);
void memory_output_turn(struct mosaic_conn *c);
void memory_output_free(struct mosaic_conn *c);

#endif
