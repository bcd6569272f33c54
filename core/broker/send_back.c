/*
 * CONSUMER_SEND_MSG_BACK 36: a consumer could not process a message. A copy goes to the group's
 * retry topic by way of a delay level, or to its dead-letter topic after the last attempt
 * (AbstractSendMessageProcessor.consumerSendMsgBack of 5.3.3).
 *
 *   back_on_message   fields, group, retry topic, the record at the offset that the client names
 *   back_run          checks again, then the copy, with one more attempt on its count
 *
 * Failure modes: the record may be cold (the request is kept and runs when it is there), gone, or
 * no record at all. A topic that is made for the copy is on disk before the copy is.
 */
#include "broker/send_back.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "broker/groups.h"
#include "broker/sends.h"
#include "broker/topics.h"
#include "log/record_read.h"
#include "wire/codes.h"
#include <stdlib.h>

struct back {
	struct record_read record;
	struct broker *b;
	const struct request *req;
	struct kept_request *kept; /* while the record is fetched */
	struct mosaic_slice group;
	int64_t offset;
	int32_t delay_level, max_reconsume;
	bool is_dead; /* it goes to the dead-letter topic */
};

/* Texts of the copy's properties. */
struct back_room {
	uint8_t id[MESSAGE_ID_MAX], level[20];
};

/* It is made even for a message that goes to the dead. */
static struct topic *back_retry_topic(struct broker *b, const struct group *group,
				      const struct request *req)
{
	bool is_unit = num_parse_bool(header_str(&req->header, "unitMode"));
	return topics_add_of_group(b->topics, RETRY_PREFIX, slice(group->name, group->name_len),
				   group->retry_queues, is_unit ? TOPIC_SYS_UNIT_SUB : 0);
}

/* Topic and queue of the copy. NULL: too many topics. */
static struct topic *back_route(struct back *back, const struct group *group, struct message *m)
{
	struct broker *b = back->b;
	m->queue_id = 0;
	if (back->is_dead)
		return topics_add_of_group(b->topics, DLQ_PREFIX, back->group, 1, 0);
	/* An operator may have set it to 0 while the record was fetched. */
	int32_t queues = group->retry_queues > 0 ? group->retry_queues : 1;
	m->queue_id = (int32_t)(b->host->random(b->host) % (uint64_t)queues);
	return back_retry_topic(b, group, back->req);
}

/* The record's properties and those of a copy. */
static int back_props(const struct back *back, const struct message *m, struct props_edit *props,
		      struct back_room *room)
{
	int32_t level = back->is_dead	      ? 0 :
			back->delay_level > 0 ? back->delay_level :
						3 + m->reconsume_times;
	uint32_t id_len = message_offset_id(room->id, &m->store_host, m->phys_offset);
	uint32_t level_len = num_format_i64(room->level, level);
	int rc = props_edit_parse(props, m->props);
	if (rc == 0 && props_edit_find(props, PROP_RETRY_TOPIC).ptr == NULL)
		rc = props_edit_put(props, slice_str(PROP_RETRY_TOPIC), m->topic);
	if (rc == 0 && props_edit_find(props, PROP_ORIGIN_MESSAGE_ID).ptr == NULL)
		rc = props_edit_put(props, slice_str(PROP_ORIGIN_MESSAGE_ID),
				    slice(room->id, id_len));
	if (rc == 0)
		rc = props_edit_put(props, slice_str(PROP_DELAY), slice(room->level, level_len));
	return rc != 0 ? rc : props_edit_put(props, slice_str(PROP_WAIT), slice_str("false"));
}

/* MOSAIC_PENDING: the topic is new, the request runs again when it is saved. */
static int back_store(struct back *back, const struct group *group, struct message *m)
{
	struct props_edit props;
	struct back_room room;
	uint64_t end;
	back->is_dead = back->delay_level < 0 || m->reconsume_times >= back->max_reconsume;
	int rc = back_props(back, m, &props, &room);
	if (rc != 0)
		return rc;
	struct topic *to = back_route(back, group, m);
	if (to == NULL)
		return MOSAIC_E_NOTFOUND;
	if (sends_await_topic(back->b->sends, to, back->req, back_on_message))
		return MOSAIC_PENDING;
	m->topic = slice(to->name, to->name_len);
	m->reconsume_times++;
	return sends_store(back->b, m, &props, &end);
}

/* The record is there. The answer does not wait at the gate: the original is still stored, and the
 * consumer gives back again what was not answered. */
static void back_run(struct back *back)
{
	char remark[640];
	const struct ticket *to = &back->req->ticket;
	const struct group *group = groups_find(back->b->groups, back->group);
	if (group == NULL) {
		reply_remark(to, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			     "subscription group not exist, %.*s " FAQ_SUFFIX,
			     SLICE_ARG(back->group));
		return;
	}
	int rc = back_store(back, group, &back->record.m);
	if (rc == MOSAIC_PENDING)
		return;
	if (rc == 0) {
		reply_code(to, RES_SUCCESS);
		return;
	}
	int32_t code = sends_refusal(back->b, rc, remark, sizeof(remark));
	reply_remark(to, code, "%s", remark);
}

static void back_end(struct back *back, int status)
{
	if (status == 0) {
		back_run(back);
		record_unpin(&back->record);
	} else {
		reply_remark(&back->req->ticket, RES_SYSTEM_ERROR,
			     "look message by offset failed, %lld", (long long)back->offset);
	}
	if (back->kept != NULL)
		kept_request_free(back->kept);
	free(back);
}

static void back_fetched(struct record_read *record)
{
	struct back *back = record->data;
	struct broker *b = back->b;
	back->req = &back->kept->req;
	back->group = header_str(&back->req->header, "group");
	back_end(back, record->status);
	broker_burst_end(b);
}

static void back_begin(struct broker *b, const struct request *req, const struct back *fields)
{
	struct back *back = mem_alloc(sizeof(*back));
	*back = *fields;
	back->b = b;
	back->req = req;
	back->record.done = back_fetched;
	back->record.data = back;
	int rc = back->offset < 0 ? MOSAIC_E_NOTFOUND :
				    record_read(b->log, (uint64_t)back->offset, &back->record);
	if (rc != MOSAIC_PENDING) {
		back_end(back, rc);
		return;
	}
	back->kept = request_keep(req);
	ASSERT(back->kept != NULL); /* a header without a body */
}

/* The group's retry topic is there and may be written. False: it was answered. */
static bool back_may_retry(struct broker *b, const struct group *group, const struct request *req)
{
	struct topic *retry = back_retry_topic(b, group, req);
	if (retry == NULL) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR,
			     "topic[%s%s] not exist: the broker has maxTopics (%u) topics",
			     RETRY_PREFIX, group->name, b->config.max_topics);
		return false;
	}
	if (!(retry->perm & PERM_WRITE)) {
		reply_remark(&req->ticket, RES_NO_PERMISSION,
			     "the topic[%s] sending message is forbidden", retry->name);
		return false;
	}
	return true;
}

void back_on_message(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct header *h = &req->header;
	struct back fields = { .group = header_str(h, "group") };
	const char *missing = fields.group.ptr == NULL ? "group" :
			      header_i64(h, "offset", &fields.offset) != 0 ? "offset" :
			      header_i32(h, "delayLevel", &fields.delay_level) != 0 ? "delayLevel" :
										      NULL;
	if (missing != NULL) {
		reply_missing(&req->ticket, missing);
		return;
	}
	const struct group *group = groups_find_or_add(b->groups, fields.group);
	if (group == NULL) {
		reply_remark(&req->ticket, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			     "subscription group not exist, %.*s " FAQ_SUFFIX,
			     SLICE_ARG(fields.group));
	} else if (!(b->config.permission & PERM_WRITE)) {
		reply_remark(&req->ticket, RES_NO_PERMISSION,
			     "the broker[%s] sending message is forbidden", b->config.address);
	} else if (group->retry_queues <= 0) {
		reply_code(&req->ticket, RES_SUCCESS); /* the group wants no retries: dropped */
	} else if (back_may_retry(b, group, req)) {
		fields.max_reconsume = group->retry_max_times;
		if (h->version >= VERSION_V3_4_9)
			(void)header_i32(h, "maxReconsumeTimes", &fields.max_reconsume);
		back_begin(b, req, &fields);
	}
}
