/*
 * Output of a connection: a list of pieces. At the end of the turn as many as fit the window are
 * copied into one buffer of the network, and their spans are given back.
 *
 *   1. pending is inflight and the lengths of all pieces.
 *   2. release() of a span and writable() run in a turn of our own, never inside a call of the core.
 */
#include "memory.h"

#include <string.h>

static bool fits(struct mosaic_conn *c, uint32_t len)
{
	if (c->pending + len <= c->transport->options.max_pending)
		return true;
	c->refused = true;
	memory_mark(c); /* so that writable() comes even when nothing is under way */
	return false;
}

static void drop_room(struct mosaic_conn *c)
{
	memory_free(c->transport, c->room);
	c->room = NULL;
}

static void append(struct mosaic_conn *c, struct memory_piece *p)
{
	if (c->last != NULL)
		c->last->next = p;
	else
		c->first = p;
	c->last = p;
	c->pending += p->len;
	memory_mark(c);
}

uint8_t *memory_reserve(struct mosaic_conn *c, uint32_t len)
{
	drop_room(c);
	if (c->state != MEMORY_OPEN || !fits(c, len))
		return NULL;
	struct memory_piece *p = c->transport->host->alloc(c->transport->host, sizeof(*p) + len);
	if (p == NULL)
		return NULL;
	*p = (struct memory_piece){ .ptr = p->bytes, .size = len };
	c->room = p;
	return p->bytes;
}

void memory_commit(struct mosaic_conn *c, uint32_t len)
{
	struct memory_piece *p = c->room;

	if (p == NULL || len == 0)
		return;
	if (len > p->size) { /* wrote beyond its room: memory cannot be trusted any more */
		memory_conn_end(c, MOSAIC_E_INVAL, "commit beyond the room");
		return;
	}
	c->room = NULL;
	p->len = len;
	append(c, p);
}

int32_t memory_send_span(struct mosaic_conn *c, struct mosaic_out_span *span)
{
	drop_room(c);
	if (c->state != MEMORY_OPEN)
		return MOSAIC_E_CLOSED;
	if (!fits(c, span->len))
		return MOSAIC_E_AGAIN;
	struct memory_piece *p = c->transport->host->alloc(c->transport->host, sizeof(*p));
	if (p == NULL)
		return MOSAIC_E_AGAIN;
	*p = (struct memory_piece){ .ptr = span->ptr, .len = span->len, .span = span };
	append(c, p);
	return 0;
}

uint64_t memory_pending(const struct mosaic_conn *c)
{
	return c->pending;
}

/* ---- the end of the turn ---- */

static void pop(struct mosaic_conn *c)
{
	struct memory_piece *p = c->first;
	struct mosaic_out_span *span = p->span;

	c->first = p->next;
	if (c->first == NULL)
		c->last = NULL;
	memory_free(c->transport, p);
	if (span != NULL)
		span->release(span);
}

/* Moves what fits the window to the network; the last piece may go in parts. */
static void send(struct mosaic_conn *c)
{
	const struct mosaic_ext_network *net = c->transport->network;
	uint64_t window = c->transport->options.window;
	uint64_t room = window > c->inflight ? window - c->inflight : 0, len = 0;

	for (const struct memory_piece *p = c->first; p != NULL && len < room; p = p->next)
		len += p->len < room - len ? p->len : room - len;
	uint8_t *buffer = len > 0 ? net->buffer(net->ctx, (uint32_t)len) : NULL;
	if (buffer == NULL)
		return;
	for (uint64_t at = 0; at < len;) {
		struct memory_piece *p = c->first;
		uint32_t n = p->len < len - at ? p->len : (uint32_t)(len - at);

		memcpy(buffer + at, p->ptr, n);
		p->ptr += n;
		p->len -= n;
		at += n;
		if (p->len == 0)
			pop(c);
	}
	c->inflight += len;
	net->send(c->end, buffer, (uint32_t)len);
}

void memory_output_turn(struct mosaic_conn *c)
{
	uint64_t high = c->transport->options.high_pending;

	drop_room(c);
	send(c);
	if (c->state == MEMORY_FLUSHING && c->first == NULL)
		memory_conn_end(c, MOSAIC_OK, "");
	if (c->state == MEMORY_OPEN && c->refused && c->pending <= high / 2) {
		c->refused = false;
		c->events->writable(c->user, c);
	}
	if (c->state == MEMORY_OPEN && c->held && c->pending <= high / 2)
		memory_input_resume(c);
}

void memory_output_free(struct mosaic_conn *c)
{
	drop_room(c);
	while (c->first != NULL)
		pop(c);
}
