/*
 * CONSUMER_SEND_MSG_BACK: the broker makes a copy of the message in the retry topic or the DLQ of
 * the group, so the original counts as consumed. The item stays out until the broker has said so.
 */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/push.h"
#include "consumer/received_set.h"
#include "wire/codes.h"
#include "wire/props.h"
#include <stdlib.h>

#define AGAIN_NS (5 * SECOND_NS)

struct back {
	struct list link;
	struct mosaic_consumer *consumer;
	struct item *item;
	struct broker *broker;
	struct ask ask;
	struct mosaic_timer timer;
	int32_t level;
};

static void back_free(struct back *b)
{
	list_remove(&b->link);
	free(b);
}

/* The broker has it now. */
static void gone(struct item *item)
{
	if (item->is_returned) {
		process_queue_done(item);
	} else {
		process_queue_forget(item);
		item->is_going_back = false;
	}
}

static void kept(struct item *item)
{
	item->is_going_back = false;
	if (!item->is_returned)
		return; /* still with the listener */
	item->is_returned = false;
	item->tries++;
	process_queue_put_back(item);
}

static void try_again(struct mosaic_timer *timer)
{
	struct back *b = timer->data;
	struct mosaic_consumer *c = b->consumer;
	struct share *s = share_of(b->item);

	kept(b->item);
	back_free(b);
	if (s != NULL)
		push_settled(c, s);
}

static void answered(struct ask *ask)
{
	struct back *b = ask->data;
	struct mosaic_consumer *c = b->consumer;
	const struct mosaic_host *host = c->member.engine->host;
	struct share *s = share_of(b->item);

	if (ask->status == 0 && ask->response->code == RES_SUCCESS) {
		number_add(&c->member.engine->numbers.sent_back, 1);
		gone(b->item);
		back_free(b);
		if (s != NULL)
			push_settled(c, s);
		return;
	}
	LOG_WARN(host, "not_sent_back", "group=%s queue=%s offset=%lld code=%d",
		 c->member.config.group, s != NULL ? s->key : "-", (long long)b->item->offset,
		 ask->status != 0 ? ask->status : (int)ask->response->code);
	b->timer = (struct mosaic_timer){ .fire = try_again, .data = b };
	host->timer_start(host, &b->timer, AGAIN_NS);
}

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct back *b = ask->data;
	const struct mosaic_consumer *c = b->consumer;
	uint8_t offset_id[MESSAGE_ID_MAX];
	struct message m;

	item_decode(b->item, &m);
	header_put_i64(w, "offset", m.phys_offset);
	header_put_str(w, "group", c->member.config.group);
	header_put_i64(w, "delayLevel", b->level);
	struct mosaic_slice id = props_find(m.props, PROP_UNIQ_KEY);
	if (id.ptr == NULL)
		id = slice(offset_id, message_offset_id(offset_id, &m.store_host, m.phys_offset));
	header_put(w, "originMsgId", id);
	header_put(w, "originTopic", received_topic(&m));
	header_put_bool(w, "unitMode", false);
	header_put_i64(w, "maxReconsumeTimes", c->options.max_reconsume);
	header_put_str(w, "bname", b->broker->name);
}

void send_back(struct mosaic_consumer *c, struct item *item, int32_t level)
{
	struct share *s = share_of(item);
	struct message m;

	item_decode(item, &m);
	const char *address = broker_address_any(s->broker);
	struct back *b = mem_alloc(sizeof(*b));
	b->consumer = c;
	b->item = item;
	b->level = level;
	b->broker = s->broker;
	item->is_going_back = true;
	list_add_tail(&c->backs, &b->link);
	b->ask = (struct ask){ .code = REQ_CONSUMER_SEND_MSG_BACK, .fill = fill, .done = answered,
			       .data = b,
			       .room = 8 * HEADER_FIELD_ROOM(20, 20) +
				       6 * (strlen(c->member.config.group) + m.props.len +
					    m.topic.len + strlen(s->broker->name)) };
	engine_ask(c->member.engine, &b->ask, address != NULL ? address : "nowhere:0",
		   MEMBER_ASK_NS);
}

bool send_back_waits(const struct mosaic_consumer *c)
{
	LIST_FOR(it, &c->backs)
		if (ask_waits(&LIST_ENTRY(it, struct back, link)->ask))
			return true;
	return false;
}

static void canceled(struct ask *ask)
{
	(void)ask;
}

void send_back_cancel(struct mosaic_consumer *c)
{
	const struct mosaic_host *host = c->member.engine->host;

	LIST_FOR_SAFE(it, &c->backs) {
		struct back *b = LIST_ENTRY(it, struct back, link);

		host->timer_stop(host, &b->timer);
		b->ask.done = canceled;
		ask_cancel(&b->ask);
		kept(b->item);
		back_free(b);
	}
}
