#include "consumer/pop_request.h"
#include "wire/codes.h"

#define TOPIC_ROOM 288 /* a group, a topic and what stands between them */

size_t pop_request_room(const struct pop_request *r)
{
	return 12 * HEADER_FIELD_ROOM(20, 20) +
	       6 * (strlen(r->group) + strlen(r->topic) + strlen(r->sub->expression) +
		    strlen(r->broker));
}

void pop_request_put(const struct pop_request *r, struct header_writer *w)
{
	header_put_str(w, "consumerGroup", r->group);
	header_put_str(w, "topic", r->topic);
	header_put_i64(w, "queueId", r->queue_id);
	header_put_i64(w, "maxMsgNums", r->batch);
	header_put_i64(w, "invisibleTime", r->invisible_ms);
	header_put_i64(w, "pollTime", (int64_t)r->hold_ms);
	header_put_i64(w, "bornTime", r->now_ms);
	header_put_i64(w, "initMode", r->is_from_first ? 0 : 1);
	header_put_str(w, "exp", r->sub->expression);
	header_put_str(w, "expType", subscription_type(r->sub));
	header_put_bool(w, "order", false);
	header_put_str(w, "bname", r->broker);
}

int32_t pop_ending_code(const struct pop_ending *e)
{
	return e->is_change ? REQ_CHANGE_MESSAGE_INVISIBLETIME : REQ_ACK_MESSAGE;
}

size_t pop_ending_room(const struct pop_ending *e)
{
	return 7 * HEADER_FIELD_ROOM(20, 20) +
	       6 * (2 * strlen(e->group) + strlen(e->topic) + strlen(e->receipt) +
		    strlen(e->parts.broker));
}

void pop_ending_put(const struct pop_ending *e, struct header_writer *w)
{
	char topic[TOPIC_ROOM];

	receipt_topic(&e->parts, e->group, e->topic, topic, sizeof(topic));
	header_put_str(w, "consumerGroup", e->group);
	header_put_str(w, "topic", topic);
	header_put_i64(w, "queueId", e->parts.queue_id);
	header_put_str(w, "extraInfo", e->receipt);
	header_put_i64(w, "offset", e->parts.offset);
	if (e->is_change)
		header_put_i64(w, "invisibleTime", e->invisible_ms);
	header_put_str(w, "bname", e->parts.broker);
}
