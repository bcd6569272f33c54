/* Life of a connection: created, idle, flushed and closed, ended. */
#include "memory.h"

#include <stdio.h>
#include <string.h>

#define FLUSH_NS UINT64_C(1000000000) /* transport.h: at most a second */

static void flush_expired(struct mosaic_timer *timer)
{
	memory_conn_end(timer->data, MOSAIC_E_TIMEOUT, "the peer did not take the rest");
}

struct mosaic_conn *memory_conn_create(struct mosaic_transport *t, struct mosaic_net_end *end,
				       uint32_t max_frame)
{
	struct mosaic_conn *c = memory_alloc(t, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->transport = t;
	c->end = end;
	c->max_frame = max_frame;
	c->state = MEMORY_OPEN;
	c->active_ns = t->host->now_ns(t->host);
	c->flush_timer = (struct mosaic_timer){ .fire = flush_expired, .data = c };
	link_init(&c->dirty);
	link_init(&c->link);
	link_move(&t->conns, &c->link);
	return c;
}

static void set_reason(struct mosaic_conn *c, int32_t status, const char *why)
{
	c->status = status;
	snprintf(c->why, sizeof(c->why), "%s", why != NULL ? why : "closed");
}

/* closed() comes with the network's ended(). */
void memory_conn_end(struct mosaic_conn *c, int32_t status, const char *why)
{
	struct mosaic_transport *t = c->transport;

	if (c->state == MEMORY_ENDED)
		return;
	if (c->state == MEMORY_FLUSHING)
		t->host->timer_stop(t->host, &c->flush_timer);
	else
		set_reason(c, status, why);
	c->state = MEMORY_ENDED;
	link_remove(&c->dirty);
	memory_input_free(c);
	t->network->close(c->end);
}

void memory_conn_close(struct mosaic_conn *c, int32_t flush, const char *why)
{
	struct mosaic_transport *t = c->transport;

	if (c->state != MEMORY_OPEN)
		return;
	if (!flush || c->first == NULL) { /* what the network has still arrives */
		memory_conn_end(c, MOSAIC_OK, why);
		return;
	}
	set_reason(c, MOSAIC_OK, why);
	c->state = MEMORY_FLUSHING;
	memory_input_free(c);
	t->host->timer_start(t->host, &c->flush_timer, FLUSH_NS);
	memory_mark(c);
}

/* A sixteenth of the idle time is how late a connection may be found. */
void memory_idle_tick(struct mosaic_timer *timer)
{
	struct mosaic_transport *t = timer->data;
	uint64_t now = t->host->now_ns(t->host);

	t->host->timer_start(t->host, timer, t->options.idle_ns / 16 + 1);
	for (struct link *l = t->conns.next; l != &t->conns; l = l->next) {
		struct mosaic_conn *c = CONTAINER(l, struct mosaic_conn, link);

		if (now - c->active_ns >= t->options.idle_ns)
			memory_conn_end(c, MOSAIC_E_TIMEOUT, "idle");
	}
}

/* ---- from the network ---- */

static void on_received(void *user, uint8_t *bytes, uint32_t len)
{
	struct mosaic_conn *c = user;
	const struct mosaic_host *host = c->transport->host;

	c->active_ns = host->now_ns(host);
	memory_input(c, bytes, len);
}

static void on_sent(void *user, uint32_t len)
{
	struct mosaic_conn *c = user;
	const struct mosaic_host *host = c->transport->host;

	c->active_ns = host->now_ns(host);
	c->inflight -= len;
	c->pending -= len;
	if (c->state != MEMORY_ENDED)
		memory_output_turn(c);
}

static void on_ended(void *user, int32_t status, const char *why)
{
	struct mosaic_conn *c = user;
	struct mosaic_transport *t = c->transport;

	if (c->state == MEMORY_OPEN)
		set_reason(c, status, why);
	t->host->timer_stop(t->host, &c->flush_timer);
	c->state = MEMORY_ENDED;
	link_remove(&c->dirty);
	link_remove(&c->link);
	memory_input_free(c);
	memory_output_free(c);
	c->events->closed(c->user, c, c->status, c->why);
	memory_free(t, c);
	memory_conn_gone(t);
}

const struct mosaic_net_events memory_net_events = { .received = on_received,
						     .sent = on_sent,
						     .ended = on_ended };
