/*
 * Bytes to frames. Bytes are cut where they were read; only the beginning of a frame whose end has
 * not arrived is copied, into memory that grows with what really came, whatever its length word
 * says.
 *
 *   1. part is empty, or holds less than one frame; while held it may hold many.
 *   2. frame_memory is the sum of part_size over all connections and stays below maxFrameMemory.
 *   3. After each call of the core the connection may have ended: look at state first.
 */
#include "tcp.h"

#include <string.h>

#define WORD 4u /* the length word */

static uint32_t get_word(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- the copy of what cannot be delivered yet ---- */

static void free_bytes(struct mosaic_transport *t, uint8_t *bytes, uint32_t size)
{
	t->frame_memory -= size;
	tcp_free(t, bytes);
}

void tcp_input_free(struct mosaic_conn *c)
{
	free_bytes(c->transport, c->part, c->part_size);
	c->part = NULL;
	c->part_len = c->part_size = 0;
}

/* Doubles, but not beyond limit unless that much is there. False: the connection has ended. */
static bool grow(struct mosaic_conn *c, uint32_t need, uint32_t limit)
{
	struct mosaic_transport *t = c->transport;
	uint32_t size = c->part_size < 32 ? 64 : 2 * c->part_size;

	if (need <= c->part_size)
		return true;
	if (size > limit)
		size = limit;
	if (size < need)
		size = need;
	uint8_t *part = NULL;
	if (t->frame_memory + size <= t->options.max_frame_memory)
		part = t->host->alloc(t->host, size);
	if (part == NULL) {
		tcp_log_limited(t, MOSAIC_LOG_WARN, "frame_memory_full",
				"peer=%s bytes=%llu text=\"closed: its frame does not fit\"",
				c->peer.text, (unsigned long long)t->frame_memory);
		tcp_conn_end(c, MOSAIC_E_LIMIT, "no memory is left for parts of frames");
		return false;
	}
	if (c->part_len > 0)
		memcpy(part, c->part, c->part_len);
	free_bytes(t, c->part, c->part_size);
	c->part = part;
	c->part_size = size;
	t->frame_memory += size;
	return true;
}

static bool keep(struct mosaic_conn *c, const uint8_t *bytes, uint32_t len, uint32_t limit)
{
	if (len == 0)
		return true;
	if (!grow(c, c->part_len + len, limit))
		return false;
	memcpy(c->part + c->part_len, bytes, len);
	c->part_len += len;
	return true;
}

/* ---- frames ---- */

/* Length of the frame with its word; 0: not allowed, the connection has ended (TRANS-05). */
static uint32_t frame_size(struct mosaic_conn *c, const uint8_t *word)
{
	uint32_t len = get_word(word); /* negative: far above any max_frame */

	if (len > 0 && c->max_frame >= WORD && len <= c->max_frame - WORD)
		return len + WORD;
	tcp_log_limited(c->transport, MOSAIC_LOG_WARN, "bad_frame_length",
			"peer=%s length=%d max=%u text=\"closed\"", c->peer.text, (int32_t)len,
			c->max_frame - WORD);
	tcp_conn_end(c, MOSAIC_E_CORRUPT, "bad frame length");
	return 0;
}

/* Above highPending output is pushed out at once; what the peer does not take stops its input. */
static void deliver(struct mosaic_conn *c, uint8_t *frame, uint32_t size)
{
	c->events->frame(c->user, c, frame + WORD, size - WORD);
	if (c->state != TCP_OPEN || c->pending <= c->transport->options.high_pending)
		return;
	tcp_output_flush(c);
	if (c->state == TCP_OPEN && c->pending > c->transport->options.high_pending) {
		c->held = true;
		tcp_conn_set_reading(c, false);
	}
}

/* Completes the frame in part as far as bytes go; returns how many were taken. */
static uint32_t complete_part(struct mosaic_conn *c, const uint8_t *bytes, uint32_t len)
{
	uint32_t taken = 0, size;

	if (c->part_len < WORD) {
		taken = WORD - c->part_len < len ? WORD - c->part_len : len;
		if (!keep(c, bytes, taken, UINT32_MAX) || c->part_len < WORD)
			return taken;
	}
	size = frame_size(c, c->part);
	if (size == 0)
		return taken;
	uint32_t more = size - c->part_len < len - taken ? size - c->part_len : len - taken;
	if (!keep(c, bytes + taken, more, size))
		return taken;
	if (c->part_len == size) {
		uint8_t *part = c->part;
		uint32_t part_size = c->part_size;
		c->part = NULL; /* deliver() may end the connection, which frees part */
		c->part_len = c->part_size = 0;
		deliver(c, part, size);
		free_bytes(c->transport, part, part_size);
	}
	return taken + more;
}

static void cut(struct mosaic_conn *c, uint8_t *bytes, uint32_t len)
{
	while (len > 0 && c->state == TCP_OPEN) {
		if (c->held) {
			(void)keep(c, bytes, len, UINT32_MAX);
			break;
		}
		uint32_t size;
		if (c->part_len > 0 || len < WORD) {
			size = complete_part(c, bytes, len);
		} else {
			size = frame_size(c, bytes);
			if (size == 0)
				return;
			if (size > len) {
				(void)keep(c, bytes, len, size);
				break;
			}
			deliver(c, bytes, size);
		}
		bytes += size;
		len -= size;
	}
	if (c->state == TCP_OPEN)
		c->events->burst_end(c->user, c);
}

/* The output has drained: first what was held, then the socket. */
void tcp_input_resume(struct mosaic_conn *c)
{
	uint8_t *bytes = c->part;
	uint32_t len = c->part_len, size = c->part_size;

	c->held = false;
	c->part = NULL;
	c->part_len = c->part_size = 0;
	if (len > 0)
		cut(c, bytes, len);
	free_bytes(c->transport, bytes, size);
	if (c->state == TCP_OPEN && !c->held)
		tcp_conn_set_reading(c, true);
}

/* ---- the first bytes of an accepted connection ---- */

static bool introduce(struct mosaic_conn *c)
{
	struct mosaic_listener *l = c->listener;
	const struct mosaic_conn_events *events = NULL;
	void *user = NULL;

	if (l->accepted(l->user, c, &c->peer, &events, &user) < 0 || events == NULL) {
		tcp_conn_end(c, MOSAIC_E_CANCELED, "refused");
		return false;
	}
	c->events = events; /* from here on closed() is owed, even when accepted() ended it */
	c->user = user;
	if (c->state == TCP_PROBING)
		c->state = TCP_OPEN;
	return c->state == TCP_OPEN;
}

/* How many bytes belonged to a PROXY header; negative: more is needed, or the connection ended. */
static int first_bytes(struct mosaic_conn *c, const uint8_t *bytes, uint32_t len)
{
	int n = c->proxied ? TCP_PROXY_NONE : tcp_proxy_parse(bytes, len, &c->peer);

	if (n == TCP_PROXY_BAD) {
		tcp_log_limited(c->transport, MOSAIC_LOG_WARN, "bad_proxy_header",
				"peer=%s text=\"closed\"", c->peer.text);
		tcp_conn_end(c, MOSAIC_E_CORRUPT, "bad PROXY header");
	}
	if (n < 0)
		return n;
	if (n > 0)
		c->proxied = true;
	if (len == (uint32_t)n)
		return n; /* the next byte decides */
	if (bytes[n] == 0x16) { /* a TLS handshake record; as a length it would mean 369 MB */
		tcp_log_limited(c->transport, MOSAIC_LOG_WARN, "tls_not_configured",
				"peer=%s text=\"closed: it speaks TLS, this transport does not\"",
				c->peer.text);
		tcp_conn_end(c, MOSAIC_E_UNSUPPORTED, "TLS is not configured");
		return TCP_PROXY_BAD;
	}
	return introduce(c) ? n : TCP_PROXY_BAD;
}

static void probe(struct mosaic_conn *c, uint8_t *bytes, uint32_t len)
{
	uint8_t *part = NULL;
	uint32_t part_size = 0;

	if (c->part_len > 0) { /* an unfinished PROXY header */
		if (!keep(c, bytes, len, UINT32_MAX))
			return;
		bytes = c->part;
		len = c->part_len;
	}
	int n = first_bytes(c, bytes, len);
	if (n == TCP_PROXY_MORE && c->part_len == 0)
		(void)keep(c, bytes, len, UINT32_MAX);
	if (n < 0)
		return;
	part = c->part;
	part_size = c->part_size;
	c->part = NULL;
	c->part_len = c->part_size = 0;
	if (len > (uint32_t)n)
		cut(c, bytes + n, len - (uint32_t)n);
	free_bytes(c->transport, part, part_size);
}

void tcp_input(struct mosaic_conn *c, uint8_t *bytes, uint32_t len)
{
	if (c->state == TCP_PROBING)
		probe(c, bytes, len);
	else if (c->state == TCP_OPEN)
		cut(c, bytes, len);
}
