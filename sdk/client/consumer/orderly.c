/*
 * One call at a time per queue, in order. What was not consumed stays where it is: the queue stands
 * still for suspend_ms, then the same messages come again; after max_reconsume tries to the DLQ.
 */
#include "consumer/push.h"

static bool is_hopeless(const struct mosaic_consumer *c, const struct item *item)
{
	struct message m;

	if (c->options.max_reconsume < 0)
		return false;
	item_decode(item, &m);
	return m.reconsume_times + item->tries >= c->options.max_reconsume;
}

/* True: the queue is to stand still. */
static bool failed(struct mosaic_consumer *c, struct item *item)
{
	number_add(&c->member.engine->numbers.consume_errors, 1);
	if (is_hopeless(c, item) && !c->member.config.is_broadcast) {
		item->is_returned = true;
		send_back(c, item, SEND_BACK_DLQ); /* the queue waits for it */
		return false;
	}
	item->tries++;
	process_queue_put_back(item);
	return true;
}

void orderly_ended(struct mosaic_consumer *c, struct listener_call *call)
{
	const struct mosaic_host *host = c->member.engine->host;
	struct share *s = NULL;
	bool is_still = false;

	for (uint32_t i = 0; i < call->n_items; i++) {
		struct item *item = call->items[i];

		if (share_of(item) != NULL)
			s = share_of(item);
		if (i < call->consumed || share_of(item) == NULL) {
			number_add(&c->member.engine->numbers.consumed, i < call->consumed);
			process_queue_done(item);
		} else if (!call->was_called) {
			process_queue_put_back(item);
		} else {
			is_still |= failed(c, item);
		}
	}
	if (s == NULL)
		return;
	if (is_still)
		host->timer_start(host, &s->suspend, c->options.suspend_ms * MS_NS);
	push_settled(c, s);
}
