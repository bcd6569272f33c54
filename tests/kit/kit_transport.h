/*
 * A transport under test: the plugin on the real host, with one listener whose connections record
 * what they hear, and plain sockets as the other side. Checks in every call that closed() and
 * release() are not run inside it, and that closed() is the last callback.
 */
#ifndef KIT_TRANSPORT_H
#define KIT_TRANSPORT_H

#include "loop/host.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include <mosaic/transport.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define KIT_MAX_FRAME (64u * 1024)

struct kit;

/* The core's side of a connection. */
struct side {
	struct kit *kit;
	struct mosaic_conn *conn; /* NULL once closed */
	struct mosaic_address peer;
	struct buf received; /* frames with their length words, one after the other */
	uint32_t n_frames, n_bursts, n_writable, n_closed;
	int32_t status;
	char why[128];
};

struct kit {
	struct logger logger; /* into a file in memory */
	struct host_loop loop;
	struct host host;
	const struct mosaic_transport_ops *ops;
	struct mosaic_transport *transport;
	struct mosaic_listener listener;
	struct side *sides[4096];
	uint32_t n_sides;
	bool in_call;   /* of the core into the transport */
	bool is_closed; /* the transport */
	int32_t refuse; /* what accepted() returns */
	uint64_t allocated; /* bytes the transport holds */
	uint32_t fail_in;   /* the n-th allocation from now fails; 0: none */
	/* What a side does with a frame beside recording it. */
	void (*on_frame)(struct side *side, uint8_t *frame, uint32_t len);
	void (*on_writable)(struct side *side);
};

struct kit_option {
	const char *name; /* NULL ends the list */
	uint64_t value;
};

/* Starts plugin with these options (the others as their fallback says) listening at a free port. */
void kit_start(struct kit *kit, const struct mosaic_plugin *plugin,
	       const struct kit_option *options);
/* Closes and destroys; checks that every connection heard closed() once and nothing is held. */
void kit_stop(struct kit *kit);
/* The same for transport-tcp; the kit is freed by kit_tcp_stop(). */
struct kit *kit_tcp_start(const struct kit_option *options);
void kit_tcp_stop(struct kit *kit);
void kit_turn(struct kit *kit); /* one turn that does not wait */
bool kit_logged(struct kit *kit, const char *text);

extern const struct mosaic_conn_events kit_events; /* user: struct side */
struct side *kit_side(struct kit *kit, uint32_t i);   /* the i-th accepted; waits for it */
struct side *kit_side_create(struct kit *kit);        /* for an outgoing connection */

/* Waits for the loop to make a condition true. */
#define KIT_UNTIL(kit, condition)                                                                 \
	while (!(condition))                                                                      \
	kit_turn(kit)

/* Calls of the core, with the checks. */
bool side_send(struct side *side, const void *bytes, uint32_t len);
int32_t side_send_span(struct side *side, struct mosaic_out_span *span);
void side_close(struct side *side, bool flush);
/* For kit.on_frame: the frame goes back; the connection ends at a frame that begins with 'c', and
 * at one with 'f' after it went back. */
void side_echo(struct side *side, uint8_t *frame, uint32_t len);
void side_close_at_once(struct side *side, uint8_t *frame, uint32_t len);

/* The other side: non-blocking sockets. */
int peer_open(struct kit *kit);
void peer_send(struct kit *kit, int fd, const void *bytes, size_t len); /* all of it */
void peer_send_frame(struct kit *kit, int fd, const void *body, uint32_t len);
void peer_read(struct kit *kit, int fd, void *bytes, size_t len); /* exactly so many */
bool peer_is_at_end(struct kit *kit, int fd); /* waits; false when bytes come instead */

#endif
