/*
 * What a send asks for and whether it may (SendMessageProcessor.msgCheck, handleRetryAndDLQ).
 *
 *   send_parse   fields of the header
 *   send_check   topic, permission, queue; unknown topics are made, and what a consumer gives back
 *                too often goes to the dead-letter topic
 */
#include "base/num.h"
#include "broker/groups.h"
#include "broker/locks.h"
#include "broker/send_priv.h"
#include "wire/codes.h"
#include <stdio.h>

/* -- fields ---------------------------------------------------------------------------------- */

enum send_type { SEND_STR, SEND_I32, SEND_I64, SEND_BOOL };

/* Header fields of 310 and 320 are single letters, those of 10 are words
 * (SendMessageRequestHeaderV2). */
static const struct send_field {
	const char *name;
	enum send_type type;
	bool required;
	size_t offset;
} send_fields[] = {
	['a' - 'a'] = { "producerGroup", SEND_STR, false, offsetof(struct send, group) },
	['b' - 'a'] = { "topic", SEND_STR, true, offsetof(struct send, topic) },
	['c' - 'a'] = { "defaultTopic", SEND_STR, false, offsetof(struct send, default_topic) },
	['d' - 'a'] = { "defaultTopicQueueNums", SEND_I32, false,
			offsetof(struct send, default_queues) },
	['e' - 'a'] = { "queueId", SEND_I32, true, offsetof(struct send, queue_id) },
	['f' - 'a'] = { "sysFlag", SEND_I32, true, offsetof(struct send, sys_flag) },
	['g' - 'a'] = { "bornTimestamp", SEND_I64, true, offsetof(struct send, born_ms) },
	['h' - 'a'] = { "flag", SEND_I32, true, offsetof(struct send, flag) },
	['i' - 'a'] = { "properties", SEND_STR, false, offsetof(struct send, props) },
	['j' - 'a'] = { "reconsumeTimes", SEND_I32, false, offsetof(struct send, reconsume_times) },
	['k' - 'a'] = { "unitMode", SEND_BOOL, false, offsetof(struct send, is_unit) },
	['l' - 'a'] = { "maxReconsumeTimes", SEND_I32, false,
			offsetof(struct send, max_reconsume) },
	['m' - 'a'] = { "batch", SEND_BOOL, false, offsetof(struct send, batch) },
};

static bool send_field_set(struct send *s, const struct send_field *f, struct mosaic_slice value)
{
	void *at = (char *)s + f->offset;
	if (value.ptr == NULL)
		return false;
	switch (f->type) {
	case SEND_STR:
		*(struct mosaic_slice *)at = value;
		return true;
	case SEND_I32:
		return num_parse_i32(value, at) == 0;
	case SEND_I64:
		return num_parse_i64(value, at) == 0;
	case SEND_BOOL:
		*(bool *)at = num_parse_bool(value);
		return true;
	}
	return false;
}

const char *send_parse(struct send *s, const struct header *h)
{
	uint32_t seen = 0, bad = 0;
	if (h->code == REQ_SEND_MESSAGE) {
		for (uint32_t i = 0; i < ARRAY_LEN(send_fields); i++) {
			const struct send_field *f = &send_fields[i];
			const struct mosaic_slice *v = f->name ? header_find(h, f->name) : NULL;
			if (v == NULL || v->ptr == NULL)
				continue;
			*(send_field_set(s, f, *v) ? &seen : &bad) |= 1u << i;
		}
	} else {
		for (uint32_t i = 0; i < h->n_fields; i++) {
			const struct field *field = &h->fields[i];
			uint32_t letter =
				field->key.len == 1 ? (uint32_t)(field->key.ptr[0] - 'a') : 99;
			if (letter >= ARRAY_LEN(send_fields) || field->value.ptr == NULL)
				continue;
			const struct send_field *f = &send_fields[letter];
			*(send_field_set(s, f, field->value) ? &seen : &bad) |= 1u << letter;
		}
	}
	for (uint32_t i = 0; i < ARRAY_LEN(send_fields); i++)
		if ((bad & 1u << i) || (send_fields[i].required && !(seen & 1u << i)))
			return send_fields[i].name;
	s->has_max_reconsume = seen & 1u << ('l' - 'a');
	s->no_default = !(seen & 1u << ('c' - 'a')) ? "defaultTopic" :
			!(seen & 1u << ('d' - 'a')) ? "defaultTopicQueueNums" :
						      NULL;
	return NULL;
}

/* -- checks ---------------------------------------------------------------------------------- */

/* %RETRY%: a message that was consumed too often, or in order, goes to the dead-letter topic. */
static bool send_check_retry(struct broker *b, struct send *s)
{
	struct mosaic_slice name = slice(s->topic.ptr + sizeof(RETRY_PREFIX) - 1,
					 s->topic.len - (sizeof(RETRY_PREFIX) - 1));
	const struct group *group = groups_find_or_add(b->groups, name);
	if (group == NULL) {
		SEND_REFUSE(&s->req->ticket, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			    "subscription group not exist, %.*s" FAQ_SUFFIX, SLICE_ARG(name));
		return false;
	}
	int32_t most = group->retry_max_times;
	if (s->req->header.version >= VERSION_V3_4_9 && s->has_max_reconsume)
		most = s->max_reconsume;
	if (s->reconsume_times > most || locks_group_has_any(b->locks, name)) {
		s->to = topics_add_of_group(b->topics, DLQ_PREFIX, name, 1, 0);
		s->queue_id = 0;
	}
	if (s->to == NULL) {
		send_refuse(&s->req->ticket, RES_SYSTEM_ERROR,
			    "the dead-letter topic cannot be made: too many topics");
		return false;
	}
	return true;
}

/* An unknown topic: made as the default topic says; a retry topic always. NULL: not made. */
static struct topic *send_make_topic(struct broker *b, const struct send *s, bool is_retry)
{
	struct topic *t = NULL;
	if (s->no_default == NULL)
		t = topics_add_on_send(b->topics, s->topic, s->default_topic, s->default_queues);
	if (t == NULL && is_retry)
		t = topics_add(b->topics, s->topic, 1, PERM_READ | PERM_WRITE, false);
	if (t != NULL && s->is_unit)
		t->sys_flag |= is_retry ? TOPIC_SYS_UNIT_SUB : TOPIC_SYS_UNIT;
	return t;
}

bool send_check(struct broker *b, struct send *s)
{
	const struct ticket *to = &s->req->ticket;
	const char *bad = topic_name_check(s->topic);
	if (bad != NULL) {
		send_refuse(to, RES_INVALID_PARAMETER, bad);
		return false;
	}
	if (topic_name_is_forbidden(s->topic)) {
		SEND_REFUSE(to, RES_NO_PERMISSION, "Sending message to topic[%.*s] is forbidden.",
			    SLICE_ARG(s->topic));
		return false;
	}
	bool is_retry = slice_has_prefix(s->topic, RETRY_PREFIX);
	s->to = topics_find(b->topics, s->topic);
	if (s->to == NULL)
		s->to = send_make_topic(b, s, is_retry);
	if (s->to == NULL && s->no_default != NULL) {
		reply_missing(to, s->no_default);
		return false;
	}
	if (s->to == NULL && map_count(&b->topics->table) >= b->config.max_topics) {
		SEND_REFUSE(to, RES_TOPIC_NOT_EXIST,
			    "topic[%.*s] cannot be made: the broker has maxTopics (%u) topics",
			    SLICE_ARG(s->topic), b->config.max_topics);
		return false;
	}
	if (s->to == NULL) {
		SEND_REFUSE(to, RES_TOPIC_NOT_EXIST,
			    "topic[%.*s] not exist, apply first please!" FAQ_SUFFIX,
			    SLICE_ARG(s->topic));
		return false;
	}
	if (!(b->config.permission & PERM_WRITE) && s->to->order) {
		SEND_REFUSE(to, RES_NO_PERMISSION, "the broker[%s] sending message is forbidden",
			    b->config.address);
		return false;
	}
	int32_t queues = topic_queue_count(s->to);
	if (s->queue_id >= queues || queues == 0) {
		SEND_REFUSE(
			to, RES_INVALID_PARAMETER,
			"request queueId[%d] is illegal, topic %s has %d read and %d write queues "
			"Producer: %s",
			s->queue_id, s->to->name, s->to->read_queues, s->to->write_queues,
			to->peer->address.text);
		return false;
	}
	if (s->queue_id < 0)
		s->queue_id = s->to->write_queues > 0 ?
				      (int32_t)(b->host->random(b->host) %
						(uint64_t)s->to->write_queues) :
				      0;
	const struct queue *queue =
		(uint32_t)s->queue_id < s->to->n_queues ? s->to->queues[s->queue_id] : NULL;
	if (LIKELY(queue != NULL))
		queue_prefetch(queue);
	return is_retry ? send_check_retry(b, s) : true;
}
