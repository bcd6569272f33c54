/* Messages of a queue go to listeners side by side; what was not consumed is sent back. */
#include "consumer/push.h"

static void ended(struct mosaic_consumer *c, struct item *item, bool was_called, bool is_consumed)
{
	struct numbers *n = &c->member.engine->numbers;
	struct share *s = share_of(item);

	if (item->is_going_back) { /* its time was over */
		item->is_returned = true;
	} else if (s == NULL || is_consumed) {
		number_add(&n->consumed, is_consumed);
		process_queue_done(item);
	} else if (!was_called) {
		process_queue_put_back(item);
	} else if (c->member.config.is_broadcast) {
		number_add(&n->consume_errors, 1);
		LOG_WARN(c->member.engine->host, "not_consumed", "group=%s queue=%s offset=%lld",
			 c->member.config.group, s->key, (long long)item->offset);
		process_queue_done(item);
	} else {
		number_add(&n->consume_errors, 1);
		item->is_returned = true;
		send_back(c, item, 0);
	}
}

void concurrent_ended(struct mosaic_consumer *c, struct listener_call *call)
{
	struct share *s = NULL;

	for (uint32_t i = 0; i < call->n_items; i++) {
		if (share_of(call->items[i]) != NULL)
			s = share_of(call->items[i]);
		ended(c, call->items[i], call->was_called, i < call->consumed);
	}
	if (s != NULL)
		push_settled(c, s);
}

/* The oldest message of a queue keeps its offset back: when its time is over it is sent back, and
 * whatever the listener says later does not count. */
static void expire(struct mosaic_consumer *c, struct share *s, uint64_t before_ns)
{
	struct process_queue *q = &s->queue;

	LIST_FOR(it, &q->items) {
		struct item *item = LIST_ENTRY(it, struct item, link);
		if (item->out_ns == 0 || item->out_ns > before_ns || item->is_going_back)
			return;
		LOG_WARN(c->member.engine->host, "consumed_too_long",
			 "group=%s queue=%s offset=%lld", c->member.config.group, s->key,
			 (long long)item->offset);
		send_back(c, item, 0);
	}
}

void concurrent_expire(struct mosaic_timer *timer)
{
	struct mosaic_consumer *c = timer->data;
	const struct mosaic_host *host = c->member.engine->host;
	uint64_t limit = c->options.consume_timeout_ms * MS_NS, now = host_now_ns(host);
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&c->member.shares, &pos)) != NULL && now > limit;)
		expire(c, e->value, now - limit);
	host->timer_start(host, &c->expiry, limit < 8 * SECOND_NS ? limit / 8 + 1 : SECOND_NS);
}
