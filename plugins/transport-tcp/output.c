/*
 * Output of a connection: a list of pieces, each a run of bytes in a chunk or a span of the caller.
 * What a turn of the loop produced leaves before the next poll with one writev; the rest is libuv's
 * to write, and its completion continues here.
 *
 *   1. pending is the sum of the pieces' lengths.
 *   2. A chunk is freed when no piece lives in it and nothing is appended to it any more; when the
 *      output is empty the connection holds no chunk.
 *   3. While `writing`, only on_written() takes pieces away.
 */
#include "tcp.h"


#define MAX_IOV 128u             /* pieces per write */
#define MAX_WRITE (8u << 20)     /* bytes per write, a span that is longer goes alone */
#define PASSES 16                /* over the dirty list per turn; more waits for the next turn */
#define ALIGNED(n) (((n) + 7u) & ~7u)

_Static_assert(sizeof(struct tcp_piece) % 8 == 0, "pieces follow each other in a chunk");

/* ---- chunks ---- */

static struct tcp_chunk *chunk_get(struct mosaic_transport *t, uint32_t need)
{
	uint32_t size = CHUNK_BYTES - (uint32_t)sizeof(struct tcp_chunk);
	struct tcp_chunk *k = t->free_chunks;

	if (need <= size && k != NULL) {
		t->free_chunks = k->next;
		t->n_free_chunks--;
		return k;
	}
	if (need > size)
		size = need;
	k = t->host->alloc(t->host, sizeof(*k) + size);
	if (k != NULL)
		*k = (struct tcp_chunk){ .size = size };
	return k;
}

static void chunk_put(struct mosaic_transport *t, struct tcp_chunk *k)
{
	if (k->size != CHUNK_BYTES - sizeof(*k) || t->n_free_chunks == CHUNKS_KEPT) {
		tcp_free(t, k);
		return;
	}
	*k = (struct tcp_chunk){ .next = t->free_chunks, .size = k->size };
	t->free_chunks = k;
	t->n_free_chunks++;
}

void tcp_chunks_free(struct mosaic_transport *t)
{
	while (t->free_chunks != NULL) {
		struct tcp_chunk *next = t->free_chunks->next;
		tcp_free(t, t->free_chunks);
		t->free_chunks = next;
	}
}

/* The chunk being filled, with room for need more bytes; NULL: no memory. */
static struct tcp_chunk *chunk_for(struct mosaic_conn *c, uint32_t need)
{
	if (c->chunk != NULL && c->chunk->size - c->chunk->used >= need)
		return c->chunk;
	struct tcp_chunk *k = chunk_get(c->transport, need);
	if (k == NULL)
		return NULL;
	if (c->chunk != NULL && c->chunk->live == 0)
		chunk_put(c->transport, c->chunk);
	c->chunk = k;
	return k;
}

static void drop_chunk(struct mosaic_conn *c)
{
	c->room = NULL;
	if (c->chunk != NULL)
		chunk_put(c->transport, c->chunk);
	c->chunk = NULL;
}

/* ---- pieces ---- */

static void append(struct mosaic_conn *c, struct tcp_chunk *k, struct tcp_piece piece)
{
	uint32_t at = ALIGNED(k->used);
	struct tcp_piece *p = (struct tcp_piece *)(void *)(k->data + at);

	k->used = at + (uint32_t)sizeof(*p);
	k->live++;
	piece.chunk = k;
	*p = piece;
	if (c->last != NULL)
		c->last->next = p;
	else
		c->first = p;
	c->last = p;
}

static void pop(struct mosaic_conn *c)
{
	struct tcp_piece *p = c->first;
	struct tcp_chunk *k = p->chunk;
	struct mosaic_out_span *span = p->span;

	c->first = p->next;
	if (c->first == NULL)
		c->last = NULL;
	c->pending -= p->len;
	if (--k->live == 0 && k != c->chunk)
		chunk_put(c->transport, k);
	if (span != NULL)
		span->release(span);
}

/* n bytes have left. */
static void consume(struct mosaic_conn *c, size_t n)
{
	while (c->first != NULL && n >= c->first->len) {
		n -= c->first->len;
		pop(c);
	}
	if (n > 0) {
		c->first->ptr += n;
		c->first->len -= (uint32_t)n;
		c->pending -= n;
	}
}

/* ---- what the core calls ---- */

static void mark_dirty(struct mosaic_conn *c)
{
	if (link_alone(&c->dirty))
		link_move(&c->transport->dirty, &c->dirty);
}

static bool fits(struct mosaic_conn *c, uint32_t len)
{
	if (c->pending + len <= c->transport->options.max_pending)
		return true;
	c->refused = true;
	mark_dirty(c); /* so that writable() comes even when the output leaves at once */
	return false;
}

/* The room follows the last piece if that ends where the chunk does, else a new piece's header. */
static bool extends_last(const struct mosaic_conn *c, const struct tcp_chunk *k)
{
	return c->last != NULL && c->last->span == NULL &&
	       c->last->ptr + c->last->len == k->data + k->used;
}

uint8_t *tcp_reserve(struct mosaic_conn *c, uint32_t len)
{
	c->room = NULL;
	if (c->state != TCP_OPEN || !fits(c, len))
		return NULL;
	struct tcp_chunk *k = chunk_for(c, len + 8 + (uint32_t)sizeof(struct tcp_piece));
	if (k == NULL)
		return NULL;
	mark_dirty(c);
	c->room = extends_last(c, k) ? k->data + k->used
				     : k->data + ALIGNED(k->used) + sizeof(struct tcp_piece);
	c->room_len = len;
	return c->room;
}

void tcp_commit(struct mosaic_conn *c, uint32_t len)
{
	uint8_t *room = c->room;

	c->room = NULL;
	if (room == NULL || len == 0)
		return;
	if (len > c->room_len) { /* wrote beyond its room: memory cannot be trusted any more */
		tcp_log(c->transport, MOSAIC_LOG_ERROR, "commit_too_long", "room=%u len=%u",
			c->room_len, len);
		tcp_conn_end(c, MOSAIC_E_INVAL, "commit beyond the room");
		return;
	}
	if (!extends_last(c, c->chunk))
		append(c, c->chunk, (struct tcp_piece){ .ptr = room });
	c->last->len += len;
	c->chunk->used += len;
	c->pending += len;
}

int32_t tcp_send_span(struct mosaic_conn *c, struct mosaic_out_span *span)
{
	c->room = NULL;
	if (c->state != TCP_OPEN)
		return MOSAIC_E_CLOSED;
	if (!fits(c, span->len))
		return MOSAIC_E_AGAIN;
	struct tcp_chunk *k = chunk_for(c, 8 + (uint32_t)sizeof(struct tcp_piece));
	if (k == NULL)
		return MOSAIC_E_AGAIN;
	mark_dirty(c);
	append(c, k, (struct tcp_piece){ .ptr = span->ptr, .len = span->len, .span = span });
	c->pending += span->len;
	return 0;
}

uint64_t tcp_pending(const struct mosaic_conn *c)
{
	return c->pending;
}

/* ---- writing ---- */

/* uv_buf_t has no const; libuv only reads what it writes out. */
static char *unconst(const uint8_t *ptr)
{
	return (char *)(uintptr_t)ptr;
}

static uint32_t gather(const struct mosaic_conn *c, uv_buf_t *bufs, size_t *bytes)
{
	uint32_t n = 0;
	*bytes = 0;
	for (const struct tcp_piece *p = c->first; p != NULL && n < MAX_IOV; p = p->next) {
		if (n > 0 && *bytes + p->len > MAX_WRITE)
			break;
		bufs[n++] = uv_buf_init(unconst(p->ptr), p->len);
		*bytes += p->len;
	}
	return n;
}

static void drained(struct mosaic_conn *c);

static void on_written(uv_write_t *req, int status)
{
	struct mosaic_conn *c = CONTAINER(req, struct mosaic_conn, req.write);

	c->writing = false;
	if (c->state == TCP_ENDED)
		return; /* on_closed() gives the spans back */
	if (status < 0) {
		tcp_conn_end(c, MOSAIC_E_IO, uv_strerror(status));
		return;
	}
	tcp_conn_active(c);
	consume(c, c->inflight);
	tcp_output_flush(c);
	drained(c);
}

static void write_later(struct mosaic_conn *c)
{
	uv_buf_t bufs[MAX_IOV];
	size_t bytes;
	uint32_t n = gather(c, bufs, &bytes);

	int rc = uv_write(&c->req.write, (uv_stream_t *)&c->tcp, bufs, n, on_written);
	if (rc < 0) {
		tcp_conn_end(c, MOSAIC_E_IO, uv_strerror(rc));
		return;
	}
	c->writing = true;
	c->inflight = (uint32_t)bytes;
}

void tcp_output_flush(struct mosaic_conn *c)
{
	uv_buf_t bufs[MAX_IOV];
	size_t bytes;

	c->room = NULL;
	while (c->first != NULL && !c->writing && c->state != TCP_ENDED) {
		uint32_t n = gather(c, bufs, &bytes);
		int rc = uv_try_write((uv_stream_t *)&c->tcp, bufs, n);
		if (rc < 0 && rc != UV_EAGAIN) {
			tcp_conn_end(c, MOSAIC_E_IO, uv_strerror(rc));
			return;
		}
		if (rc > 0) {
			tcp_conn_active(c);
			consume(c, (size_t)rc);
		}
		if (rc < 0 || (size_t)rc < bytes)
			write_later(c);
	}
	if (c->first == NULL && c->state != TCP_ENDED) {
		drop_chunk(c);
		if (c->state == TCP_FLUSHING)
			tcp_conn_end(c, 0, "");
	}
}

/* After output has left: goes on where back-pressure had stopped. */
static void drained(struct mosaic_conn *c)
{
	uint64_t high = c->transport->options.high_pending;

	if (c->state != TCP_OPEN)
		return;
	if (c->pending > high && !c->held) {
		c->held = true;
		tcp_conn_set_reading(c, false);
	}
	if (c->refused && c->pending <= high / 2) {
		c->refused = false;
		c->events->writable(c->user, c);
	}
	if (c->state == TCP_OPEN && c->held && c->pending <= high / 2)
		tcp_input_resume(c);
}

/* Before poll. The core may write more in writable() and in frames that were held: a few passes. */
void tcp_output_turn(uv_prepare_t *prepare)
{
	struct mosaic_transport *t = CONTAINER(prepare, struct mosaic_transport, prepare);
	struct link now;

	tcp_input_turn(t);
	link_init(&now);
	for (int pass = 0; pass < PASSES && !link_alone(&t->dirty); pass++) {
		while (!link_alone(&t->dirty))
			link_move(&now, t->dirty.next);
		while (!link_alone(&now)) {
			struct mosaic_conn *c = CONTAINER(now.next, struct mosaic_conn, dirty);
			link_remove(&c->dirty);
			tcp_output_flush(c);
			drained(c);
		}
	}
	if (!link_alone(&t->dirty) && !t->nudged) {
		t->nudged = true;
		t->n_handles++;
		t->host->post(t->host, &t->nudge);
	}
}

void tcp_output_nudged(struct mosaic_req *req)
{
	struct mosaic_transport *t = req->data;
	t->nudged = false;
	tcp_handle_closed(t);
}

void tcp_output_free(struct mosaic_conn *c)
{
	while (c->first != NULL)
		pop(c);
	drop_chunk(c);
}
