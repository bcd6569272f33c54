/*
 * Bytes to frames. Frames are cut where the bytes arrived; only the beginning of a frame whose end
 * is still to come is copied, into memory that grows with what came, whatever its length word says.
 *
 *   1. part is empty, or holds less than one frame; while held it may hold many.
 *   2. After each call of the core the connection may have ended: look at state first.
 */
#include "memory.h"

#include <string.h>

#define WORD 4u /* the length word */

static uint32_t get_word(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void memory_input_free(struct mosaic_conn *c)
{
	memory_free(c->transport, c->part);
	c->part = NULL;
	c->part_len = c->part_size = 0;
}

static bool keep(struct mosaic_conn *c, const uint8_t *bytes, uint32_t len)
{
	struct mosaic_transport *t = c->transport;

	if (len == 0)
		return true;
	if (c->part_len + len > c->part_size) {
		uint32_t size = 2 * c->part_size > c->part_len + len ? 2 * c->part_size
								     : c->part_len + len;
		uint8_t *part = t->host->alloc(t->host, size);
		if (part == NULL) {
			memory_conn_end(c, MOSAIC_E_NOMEM, "no memory for a part of a frame");
			return false;
		}
		if (c->part_len > 0)
			memcpy(part, c->part, c->part_len);
		memory_free(t, c->part);
		c->part = part;
		c->part_size = size;
	}
	memcpy(c->part + c->part_len, bytes, len);
	c->part_len += len;
	return true;
}

/* Length of the frame with its word; 0: not allowed, the connection has ended (TRANS-05). */
static uint32_t frame_size(struct mosaic_conn *c, const uint8_t *word)
{
	uint32_t len = get_word(word); /* negative: far above any max_frame */

	if (len > 0 && c->max_frame >= WORD && len <= c->max_frame - WORD)
		return len + WORD;
	memory_conn_end(c, MOSAIC_E_CORRUPT, "bad frame length");
	return 0;
}

static bool is_read(const struct mosaic_conn *c)
{
	return c->state == MEMORY_OPEN && !c->held;
}

static void deliver(struct mosaic_conn *c, uint8_t *frame, uint32_t size)
{
	c->events->frame(c->user, c, frame + WORD, size - WORD);
	if (!is_read(c) || c->pending <= c->transport->options.high_pending)
		return;
	c->held = true;
	c->transport->network->pause(c->end, 1);
	memory_mark(c);
}

/* Whole frames at the start of the bytes; returns how many bytes they were. */
static uint32_t cut(struct mosaic_conn *c, uint8_t *bytes, uint32_t len)
{
	uint32_t at = 0;

	while (is_read(c) && len - at >= WORD) {
		uint32_t size = frame_size(c, bytes + at);
		if (size == 0 || size > len - at)
			break;
		deliver(c, bytes + at, size);
		at += size;
	}
	return at;
}

static void input(struct mosaic_conn *c, uint8_t *bytes, uint32_t len)
{
	uint32_t used = cut(c, bytes, len);

	if (c->state == MEMORY_OPEN)
		(void)keep(c, bytes + used, len - used);
	if (c->state == MEMORY_OPEN)
		c->events->burst_end(c->user, c);
}

/* All that is there at once: what was kept, as the bytes that were received. */
static void input_part(struct mosaic_conn *c)
{
	uint8_t *bytes = c->part;
	uint32_t len = c->part_len;

	c->part = NULL; /* the connection may end on the way, which frees part */
	c->part_len = c->part_size = 0;
	input(c, bytes, len);
	memory_free(c->transport, bytes);
}

void memory_input(struct mosaic_conn *c, uint8_t *bytes, uint32_t len)
{
	if (c->state != MEMORY_OPEN)
		return;
	if (c->part_len == 0 && !c->held) {
		input(c, bytes, len);
		return;
	}
	if (keep(c, bytes, len) && !c->held)
		input_part(c);
}

void memory_input_resume(struct mosaic_conn *c)
{
	c->held = false;
	if (c->part_len > 0)
		input_part(c);
	if (is_read(c))
		c->transport->network->pause(c->end, 0);
}
