/* Life of a connection: begin, idle, finish (after its output), end, closed. */
#include "tcp.h"

#include <stdio.h>

struct mosaic_conn *tcp_conn_create(struct mosaic_transport *t, enum tcp_state state)
{
	struct mosaic_conn *c = tcp_alloc(t, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->transport = t;
	c->state = (uint8_t)state;
	link_init(&c->link);
	link_init(&c->dirty);
	uv_tcp_init(t->loop, &c->tcp); /* makes no socket yet, cannot fail */
	t->n_handles++;
	t->n_conns++;
	return c;
}

/* ---- reading ---- */

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct mosaic_conn *c = CONTAINER(handle, struct mosaic_conn, tcp);
	struct mosaic_transport *t = c->transport;
	/* Once a turn, though libuv would read up to 32 times, and once a round. */
	bool waits = c->turn == t->turn || (t->goes_on && c->round == t->round);

	(void)suggested;
	if (!waits && t->turn_bytes >= TURN_BYTES)
		waits = t->is_short = true;
	/* Without a buffer libuv reads nothing now and comes again in the next turn. */
	*buf = uv_buf_init(waits ? NULL : t->read_buffer, waits ? 0 : READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct mosaic_conn *c = CONTAINER(stream, struct mosaic_conn, tcp);

	if (n == UV_ENOBUFS) {
		return; /* give_buffer() had it wait */
	} else if (n > 0) {
		c->transport->turn_bytes += (uint32_t)n;
		c->turn = c->transport->turn;
		c->round = c->transport->round;
		tcp_conn_active(c);
		tcp_input(c, (uint8_t *)buf->base, (uint32_t)n);
	} else if (n == UV_EOF) {
		/* Half-closed too: answers that are written already still leave. */
		tcp_conn_finish(c, MOSAIC_E_CLOSED, "closed by the peer");
	} else if (n < 0) {
		tcp_conn_end(c, MOSAIC_E_IO, uv_strerror((int)n));
	}
}

void tcp_input_turn(struct mosaic_transport *t)
{
	t->turn++;
	t->turn_bytes = 0;
	t->goes_on = t->is_short;
	t->is_short = false;
	if (!t->goes_on)
		t->round++;
}

void tcp_conn_set_reading(struct mosaic_conn *c, bool on)
{
	if (c->reading == on)
		return;
	c->reading = on;
	if (on)
		uv_read_start((uv_stream_t *)&c->tcp, give_buffer, on_read);
	else
		uv_read_stop((uv_stream_t *)&c->tcp);
}

int tcp_conn_begin(struct mosaic_conn *c)
{
	int rc = uv_tcp_nodelay(&c->tcp, 1);
	if (rc != 0)
		return rc;
	c->active_ms = uv_now(c->transport->loop);
	struct mosaic_transport *t = c->transport;
	link_move(&t->idle[(t->idle_slot + IDLE_SLOTS / 2 + 1) % IDLE_SLOTS], &c->link);
	tcp_conn_set_reading(c, true);
	return 0;
}

/* ---- idle ---- */

void tcp_conn_active(struct mosaic_conn *c)
{
	c->active_ms = uv_now(c->transport->loop);
}

/*
 * A connection sits in the slot where it becomes idle if nothing happens; what happened since is
 * looked at only when the slot comes round. So traffic moves nothing.
 */
static void look_at(struct mosaic_conn *c, uint64_t idle_ms)
{
	struct mosaic_transport *t = c->transport;
	uint64_t quiet_ms = uv_now(t->loop) - c->active_ms;
	char why[64];

	if (quiet_ms >= idle_ms) {
		snprintf(why, sizeof(why), "idle for %llu ms", (unsigned long long)quiet_ms);
		tcp_conn_end(c, MOSAIC_E_TIMEOUT, why);
		return;
	}
	uint64_t slots = (idle_ms - quiet_ms + t->idle_tick_ms - 1) / t->idle_tick_ms;
	link_move(&t->idle[(t->idle_slot + slots) % IDLE_SLOTS], &c->link);
}

void tcp_idle_tick(struct mosaic_timer *timer)
{
	struct mosaic_transport *t = timer->data;
	struct link due;

	t->host->timer_start(t->host, timer, t->idle_tick_ms * 1000000);
	t->idle_slot = (t->idle_slot + 1) % IDLE_SLOTS;
	link_init(&due);
	while (!link_alone(&t->idle[t->idle_slot]))
		link_move(&due, t->idle[t->idle_slot].next);
	while (!link_alone(&due))
		look_at(CONTAINER(due.next, struct mosaic_conn, link),
			t->options.idle_ns / 1000000);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
	struct mosaic_conn *c = CONTAINER(handle, struct mosaic_conn, tcp);
	struct mosaic_transport *t = c->transport;

	tcp_output_free(c);
	if (c->events != NULL)
		c->events->closed(c->user, c, c->status, c->why);
	t->n_conns--;
	tcp_free(t, c);
	tcp_handle_closed(t);
}

static void set_reason(struct mosaic_conn *c, int32_t status, const char *why)
{
	c->status = status;
	snprintf(c->why, sizeof(c->why), "%s", why != NULL ? why : "closed");
}

void tcp_conn_end(struct mosaic_conn *c, int32_t status, const char *why)
{
	if (c->state == TCP_ENDED)
		return;
	if (c->state != TCP_FLUSHING) /* else: the reason why it began to finish */
		set_reason(c, status, why);
	c->state = TCP_ENDED;
	c->room = NULL;
	link_remove(&c->link);
	link_remove(&c->dirty);
	tcp_input_free(c);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void tcp_conn_finish(struct mosaic_conn *c, int32_t status, const char *why)
{
	struct mosaic_transport *t = c->transport;

	if (c->state == TCP_ENDED || c->state == TCP_FLUSHING)
		return;
	if (c->pending == 0) {
		tcp_conn_end(c, status, why);
		return;
	}
	set_reason(c, status, why);
	c->state = TCP_FLUSHING;
	c->room = NULL;
	tcp_conn_set_reading(c, false);
	tcp_input_free(c);
	c->flush_deadline_ns = t->host->now_ns(t->host) + FLUSH_NS;
	if (link_alone(&t->flushing))
		t->host->timer_start(t->host, &t->flush_timer, FLUSH_NS);
	link_move(&t->flushing, &c->link);
}

void tcp_flush_expired(struct mosaic_timer *timer)
{
	struct mosaic_transport *t = timer->data;
	uint64_t now_ns = t->host->now_ns(t->host);

	while (!link_alone(&t->flushing)) {
		struct mosaic_conn *c = CONTAINER(t->flushing.next, struct mosaic_conn, link);
		if (c->flush_deadline_ns > now_ns) {
			t->host->timer_start(t->host, timer, c->flush_deadline_ns - now_ns);
			return;
		}
		tcp_conn_end(c, MOSAIC_E_TIMEOUT, "");
	}
}

void tcp_conn_close(struct mosaic_conn *c, int32_t flush, const char *why)
{
	if (flush)
		tcp_conn_finish(c, MOSAIC_OK, why);
	else
		tcp_conn_end(c, MOSAIC_OK, why);
}
