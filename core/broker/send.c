/*
 * One send, read top to bottom:
 *
 *   send_on_message    fields of the header
 *   send_check         topic, permission, queue; unknown topics are made (SendMessageProcessor.msgCheck)
 *   send_await_topic   a topic that was made is on disk before the first message is: what is
 *                      acknowledged can be read after a crash
 *   send_props         properties as they will be stored
 *   send_append        into the log; a full log parks the request until there is room
 *   send_wait_gate     the answer waits until its promise is kept
 *   send_acked         the answer
 *
 * Failure modes: a refused check answers with RocketMQ's code and remark; no room parks the request
 * (bounded) and runs it again; a broken log answers 14; a gate that cannot keep its promise answers
 * 10, 11 or 12 with the full success header, which clients read as "stored, but".
 */
#include "broker/sends.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "broker/clients.h"
#include "broker/docs.h"
#include "broker/groups.h"
#include "broker/locks.h"
#include "broker/schedule.h"
#include "broker/stats.h"
#include "broker/topics.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGION "DefaultRegion"
#define UNIQ_INLINE 64
#define MESSAGE_INNER_BATCH 0x80 /* sysFlag */
#define PROP_INNER_NUM "INNER_NUM"

/* An answer that waits at the gate. */
struct send_wait {
	struct gate_wait gate;
	struct sends *sends;
	struct send_wait *next_free;
	struct ticket to;
	int32_t queue_id;
	int64_t queue_offset;
	int64_t phys_offset;
	char *ids; /* batch: comma list of message ids; owned */
	uint32_t uniq_len;
	uint8_t uniq[UNIQ_INLINE];
};

struct parked {
	struct list link;
	struct kept_request *kept;
};

struct sends {
	struct broker *broker;
	struct send_wait *free_waits;
	struct list parked; /* until the log has room */
	struct list early;  /* until their topic is saved */
	uint32_t n_parked;  /* of both */
	uint64_t parked_bytes;
	struct mosaic_req room, topics_saved;
	uint64_t saving_change, saved_change; /* topics.n_changes that the file will have, has */
	bool waits_for_room, waits_for_topics;
	struct buf props; /* scratch: properties of the message being stored */
	struct buf batch_props, ids;
	uint32_t uniq_counter;
};

/* What a send asked for. */
struct send {
	const struct request *req;
	struct mosaic_slice group, topic, default_topic, props;
	int32_t default_queues, queue_id, sys_flag, flag, reconsume_times, max_reconsume;
	int64_t born_ms;
	bool batch, waits, has_max_reconsume, is_unit;
	const char *no_default; /* what is missing for making the topic */
	struct topic *to;
	struct mosaic_slice uniq;
};

/* What the answer says. */
struct sent {
	int32_t queue_id;
	int64_t queue_offset, phys_offset;
	struct mosaic_slice uniq, ids; /* ids: only for batches */
};

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

/* NULL, or the name of a field that is required and missing, or that is there and no number. */
static const char *send_parse(struct send *s, const struct header *h)
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

/* -- answers --------------------------------------------------------------------------------- */

static void put_region(struct reply *r)
{
	header_put(&r->w, PROP_MSG_REGION, slice(REGION, sizeof(REGION) - 1));
	header_put(&r->w, PROP_TRACE_ON, slice("true", 4));
}

static void send_refuse(const struct ticket *to, int32_t code, const char *remark)
{
	struct reply r;
	if (!reply_begin(&r, to, code, REPLY_ROOM + (uint32_t)(6 * strlen(remark)), 0))
		return;
	put_region(&r);
	header_put_remark(&r.w, slice_str(remark));
	reply_end(&r);
}

#define SEND_REFUSE(to, code, ...)                                                                \
	do {                                                                                      \
		char remark_[512];                                                                \
		snprintf(remark_, sizeof(remark_), __VA_ARGS__);                                  \
		send_refuse(to, code, remark_);                                                   \
	} while (0)

static void send_answer(const struct broker *b, const struct ticket *to, int32_t code,
			const struct sent *sent)
{
	struct reply r;
	uint8_t id[MESSAGE_ID_MAX];
	struct mosaic_slice ids = sent->ids;
	if (to->oneway)
		return;
	if (!reply_begin(&r, to, code,
			 REPLY_ROOM + (uint32_t)ids.len + (uint32_t)(6 * sent->uniq.len), 0))
		return;
	if (ids.ptr == NULL)
		ids = slice(id, message_offset_id(id, &b->config.store_host, sent->phys_offset));
	header_put(&r.w, "msgId", ids);
	header_put_i64(&r.w, "queueId", sent->queue_id);
	header_put_i64(&r.w, "queueOffset", sent->queue_offset);
	if (sent->uniq.len > 0)
		header_put(&r.w, "transactionId", sent->uniq);
	put_region(&r);
	reply_end(&r);
}

int32_t sends_refusal(const struct broker *b, int error, char *remark, size_t cap)
{
	switch (error) {
	case MOSAIC_E_AGAIN:
		snprintf(remark, cap,
			 "[PC_SYNCHRONIZED]broker busy, start flow control for a while");
		return RES_SYSTEM_BUSY;
	case MOSAIC_E_LIMIT:
		snprintf(remark, cap,
			 "the message is illegal, maybe msg body or properties length not matched. "
			 "msg body length limit %uB, msg properties length limit 32KB.",
			 b->config.max_message_bytes);
		return RES_MESSAGE_ILLEGAL;
	case MOSAIC_E_NOTFOUND:
		snprintf(remark, cap, "the topic does not exist, or it has no such queue");
		return RES_TOPIC_NOT_EXIST;
	default:
		snprintf(remark, cap, "service not available now: %s",
			 b->log->why[0] ? b->log->why : status_text(error));
		return RES_SERVICE_NOT_AVAILABLE;
	}
}

/* -- waiting --------------------------------------------------------------------------------- */

static struct send_wait *wait_take(struct sends *s)
{
	struct send_wait *w = s->free_waits;
	if (w != NULL) {
		s->free_waits = w->next_free;
		return w;
	}
	w = mem_alloc(sizeof(*w));
	w->sends = s;
	return w;
}

static void send_acked(struct gate_wait *gate, enum gate_result result)
{
	static const int32_t codes[] = {
		[GATE_KEPT] = RES_SUCCESS,
		[GATE_FLUSH_TIMEOUT] = RES_FLUSH_DISK_TIMEOUT,
		[GATE_SLAVE_TIMEOUT] = RES_FLUSH_SLAVE_TIMEOUT,
		[GATE_NO_SLAVE] = RES_SLAVE_NOT_AVAILABLE,
		/* The bytes were written and may or may not survive: unknown to the producer. */
		[GATE_BROKEN] = RES_FLUSH_DISK_TIMEOUT,
	};
	struct send_wait *w = CONTAINER_OF(gate, struct send_wait, gate);
	struct sent sent = { .queue_id = w->queue_id,
			     .queue_offset = w->queue_offset,
			     .phys_offset = w->phys_offset,
			     .uniq = slice(w->uniq, w->uniq_len),
			     .ids = slice_str(w->ids) };
	send_answer(w->sends->broker, &w->to, codes[result], &sent);
	ticket_drop(&w->to);
	free(w->ids);
	w->ids = NULL;
	w->next_free = w->sends->free_waits;
	w->sends->free_waits = w;
}

static void send_wait_gate(struct sends *s, const struct send *send, const struct sent *sent,
			   uint64_t end)
{
	struct broker *b = s->broker;
	const struct ticket *to = &send->req->ticket;
	if (to->oneway)
		return;
	if (!send->waits || gate_is_open(&b->log->gate, end)) {
		send_answer(b, to, RES_SUCCESS, sent);
		return;
	}
	struct send_wait *w = wait_take(s);
	w->to = ticket_keep(to);
	w->queue_id = sent->queue_id;
	w->queue_offset = sent->queue_offset;
	w->phys_offset = sent->phys_offset;
	w->ids = sent->ids.ptr ? slice_dup(sent->ids) : NULL;
	w->uniq_len = sent->uniq.len <= UNIQ_INLINE ? (uint32_t)sent->uniq.len : 0;
	if (w->uniq_len > 0) /* a batch may have none */
		memcpy(w->uniq, sent->uniq.ptr, w->uniq_len);
	w->gate.done = send_acked;
	gate_add(&b->log->gate, &w->gate, end);
}

/* -- parking --------------------------------------------------------------------------------- */

static void parked_free(struct sends *s, struct parked *p)
{
	list_remove(&p->link);
	s->n_parked--;
	s->parked_bytes -= p->kept->bytes;
	kept_request_free(p->kept);
	free(p);
}

static void send_run(struct sends *s, const struct request *req, bool is_parked);

/* There may be room again: run what is parked, in order, until the log is full once more. */
static void sends_room(struct mosaic_req *room)
{
	struct sends *s = room->data;
	s->waits_for_room = false;
	while (!list_empty(&s->parked) && !s->waits_for_room) {
		struct parked *p = LIST_ENTRY(s->parked.next, struct parked, link);
		send_run(s, &p->kept->req, true);
		if (!s->waits_for_room)
			parked_free(s, p);
	}
	broker_burst_end(s->broker);
}

static void sends_ask_room(struct sends *s)
{
	if (s->waits_for_room)
		return;
	s->waits_for_room = true;
	s->room.done = sends_room;
	s->room.data = s;
	log_wait_room(s->broker->log, &s->room);
}

/* Keeps a request, in one of the two lists. False: too much is kept, it was refused. */
static bool send_keep(struct sends *s, struct list *list, const struct request *req)
{
	const struct broker_config *c = &s->broker->config;
	struct kept_request *kept = NULL;
	if (s->n_parked < c->max_parked_sends && s->parked_bytes < c->max_parked_bytes)
		kept = request_keep(req);
	if (kept == NULL) {
		send_refuse(&req->ticket, RES_SYSTEM_BUSY,
			    "[OVERLOAD]system busy, start flow control for a while");
		return false;
	}
	struct parked *p = mem_alloc(sizeof(*p));
	p->kept = kept;
	list_add_tail(list, &p->link);
	s->n_parked++;
	s->parked_bytes += kept->bytes;
	return true;
}

static void send_park(struct sends *s, const struct request *req)
{
	if (send_keep(s, &s->parked, req))
		sends_ask_room(s);
}

/* -- new topics ------------------------------------------------------------------------------ */

/* A save that failed lets them pass, too: docs.c has said so, and tries again. */
static void sends_topics_saved(struct mosaic_req *saved)
{
	struct sends *s = saved->data;
	struct list now;
	s->waits_for_topics = false;
	s->saved_change = s->saving_change;
	list_init(&now);
	while (!list_empty(&s->early)) {
		struct list *node = s->early.next;
		list_remove(node);
		list_add_tail(&now, node);
	}
	while (!list_empty(&now)) {
		struct parked *p = LIST_ENTRY(now.next, struct parked, link);
		send_on_message(s->broker, &p->kept->req);
		parked_free(s, p);
	}
	broker_burst_end(s->broker);
}

static void sends_ask_topics(struct sends *s)
{
	if (s->waits_for_topics)
		return;
	s->waits_for_topics = true;
	s->saving_change = s->broker->topics->n_changes;
	s->topics_saved = (struct mosaic_req){ .done = sends_topics_saved, .data = s };
	docs_saved(s->broker->docs, DOC_TOPICS, &s->topics_saved);
}

/* True: the request was kept, or refused, and this is the end of it for now. */
static bool send_await_topic(struct sends *s, const struct send *send)
{
	if (LIKELY(!send->to->is_unsaved))
		return false;
	if (send->to->changed_at <= s->saved_change) {
		send->to->is_unsaved = false;
		return false;
	}
	if (send_keep(s, &s->early, send->req))
		sends_ask_topics(s);
	return true;
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
		s->to = sends_group_topic(b, DLQ_PREFIX, name, 1);
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

static bool send_check(struct broker *b, struct send *s)
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
	return is_retry ? send_check_retry(b, s) : true;
}

/* -- properties ------------------------------------------------------------------------------ */

/* A unique key for a message whose client gave none: 16 bytes as RocketMQ's, in hex. */
static struct mosaic_slice uniq_make(struct sends *s, uint8_t out[32])
{
	const struct broker *b = s->broker;
	uint8_t raw[16];
	uint64_t random = b->host->random(b->host);
	memcpy(raw, b->config.store_host.ip, 4);
	memcpy(raw + 4, &random, 6);
	uint32_t ms = (uint32_t)host_wall_ms(b->host);
	raw[10] = (uint8_t)(ms >> 24);
	raw[11] = (uint8_t)(ms >> 16);
	raw[12] = (uint8_t)(ms >> 8);
	raw[13] = (uint8_t)ms;
	raw[14] = (uint8_t)(++s->uniq_counter >> 8);
	raw[15] = (uint8_t)s->uniq_counter;
	num_format_hex(out, raw, sizeof(raw));
	return slice(out, 32);
}

/* The client's properties and those that the broker adds. False: answered with a refusal. */
static bool send_props(struct sends *sends, struct send *s, struct props_edit *edit,
		       uint8_t uniq_room[32])
{
	struct broker *b = sends->broker;
	const struct ticket *to = &s->req->ticket;
	bool added = props_edit_parse(edit, s->props) == 0;
	struct mosaic_slice transaction = props_edit_get(edit, &prop_key_tran_msg);
	if (added && transaction.ptr != NULL && num_parse_bool(transaction)) {
		SEND_REFUSE(to, RES_NO_PERMISSION,
			    "the broker[%s] sending transaction message is forbidden",
			    b->config.address);
		return false;
	}
	props_edit_drop(edit, &prop_key_pop_ck);
	s->uniq = props_edit_get(edit, &prop_key_uniq_key);
	/* A batch without a key stays without: its records then have none either, as in Apache. */
	bool add_uniq = s->uniq.len == 0 && !s->batch;
	if (add_uniq)
		s->uniq = uniq_make(sends, uniq_room);
	added = added && (!add_uniq || props_edit_set(edit, &prop_key_uniq_key, s->uniq) == 0) &&
		props_edit_set(edit, &prop_key_msg_region, slice(REGION, sizeof(REGION) - 1)) ==
			0 &&
		props_edit_set(edit, &prop_key_trace_on, slice("true", 4)) == 0 &&
		props_edit_set(edit, &prop_key_cluster, slice_str(b->config.cluster)) == 0;
	if (added && s->to->name_len > 4 && slice_has_prefix(slice_str(s->to->name), DLQ_PREFIX) &&
	    slice_has_prefix(s->topic, RETRY_PREFIX))
		added = props_edit_set(edit, &prop_key_delay, slice("-1", 2)) == 0;
	if (!added) {
		SEND_REFUSE(to, RES_MESSAGE_ILLEGAL,
			    "the message is illegal, it has more than %d properties",
			    PROPS_MAX_COUNT - 8);
		return false;
	}
	s->waits = !slice_is(props_edit_get(edit, &prop_key_wait), "false");
	return true;
}

/* True when a property asks for a delivery time that only the timer wheel could keep. */
static bool send_wants_timer(const struct props_edit *edit)
{
	return props_edit_get(edit, &prop_key_timer_delay_sec).ptr != NULL ||
	       props_edit_get(edit, &prop_key_timer_delay_ms).ptr != NULL ||
	       props_edit_get(edit, &prop_key_timer_deliver_ms).ptr != NULL;
}

/* NULL, or why the message may not be stored. Inner batches need a queue type of their own. */
static const char *send_forbids(const struct send *s, const struct props_edit *edit, int32_t *code)
{
	int32_t level = 0;
	struct mosaic_slice text = props_edit_get(edit, &prop_key_delay);
	*code = RES_SYSTEM_ERROR;
	if (text.ptr != NULL && num_parse_i32(text, &level) != 0)
		return "the property DELAY is no number";
	*code = RES_MESSAGE_ILLEGAL;
	if ((s->sys_flag & MESSAGE_INNER_BATCH) ||
	    (!s->batch && props_edit_find(edit, PROP_INNER_NUM).ptr != NULL))
		return "the message is illegal, the topic takes no inner batches";
	if (s->batch && level > 0)
		return "the message is illegal, a batch cannot be delayed";
	return NULL;
}

static int32_t delay_level(const struct props_edit *edit)
{
	int32_t level = 0;
	struct mosaic_slice text = props_edit_get(edit, &prop_key_delay);
	if (text.ptr == NULL || num_parse_i32(text, &level) != 0 || level < 0)
		return 0;
	return level > DELAY_LEVELS ? DELAY_LEVELS : level;
}

/* -- storing --------------------------------------------------------------------------------- */

struct topic *sends_group_topic(struct broker *b, const char *prefix, struct mosaic_slice group,
				int32_t queues)
{
	char name[16 + GROUP_NAME_MAX * 2 + 1];
	int n = snprintf(name, sizeof(name), "%s%.*s", prefix, SLICE_ARG(group));
	if (n < 0 || (size_t)n >= sizeof(name))
		return NULL;
	struct topic *t = topics_find(b->topics, slice(name, (size_t)n));
	return t ? t : topics_add(b->topics, slice(name, (size_t)n), queues,
				  PERM_READ | PERM_WRITE, false);
}

/* A delay level moves the message to the schedule topic; where it was bound for goes with it. */
static int store_delayed(struct message *m, struct props_edit *props, int32_t level,
			 uint8_t queue_text[20])
{
	uint32_t n = num_format_i64(queue_text, m->queue_id);
	int rc = props_edit_put(props, slice_str(PROP_REAL_TOPIC), m->topic);
	if (rc == 0)
		rc = props_edit_put(props, slice_str(PROP_REAL_QUEUE_ID), slice(queue_text, n));
	m->topic = slice_str(TOPIC_SCHEDULE);
	m->queue_id = level - 1;
	return rc;
}

int sends_append(struct broker *b, struct message *m, uint64_t *end)
{
	struct topic *topic = topics_find(b->topics, m->topic);
	if (topic == NULL)
		return MOSAIC_E_NOTFOUND;
	if (m->queue_id >= topic_queue_count(topic))
		return MOSAIC_E_NOTFOUND;
	struct queue *queue = topic_queue(b, topic, m->queue_id);
	if (queue == NULL)
		return MOSAIC_E_NOMEM;
	m->store_host = b->config.store_host;
	m->prepared_offset = 0;
	m->body_crc = hash_crc32(m->body.ptr, m->body.len) & 0x7fffffff;
	int rc = log_append(b->log, queue, m, end);
	if (rc == 0)
		stats_put(b->stats, topic, 1, m->body.len);
	else
		stats_put_failed(b->stats);
	return rc;
}

int sends_store(struct broker *b, struct message *m, struct props_edit *props, uint64_t *end)
{
	struct sends *s = b->sends;
	uint8_t queue_text[20];
	int32_t level = delay_level(props);
	if (level > 0 && !slice_is(m->topic, TOPIC_SCHEDULE)) {
		int rc = store_delayed(m, props, level, queue_text);
		if (rc != 0)
			return rc;
	}
	buf_clear(&s->props);
	props_edit_write(props, &s->props);
	m->props = buf_slice(&s->props);
	m->tags = props_edit_get(props, &prop_key_tags);
	m->has_tags = true;
	return sends_append(b, m, end);
}

static void message_of(const struct broker *b, const struct send *s, struct message *m)
{
	const struct mosaic_address *from = &s->req->ticket.peer->address;
	*m = (struct message){
		.topic = slice(s->to->name, s->to->name_len),
		.body = s->req->body,
		.queue_id = s->queue_id,
		.flag = s->flag,
		.sys_flag = s->sys_flag,
		.reconsume_times = s->reconsume_times,
		.born_ms = s->born_ms,
		.born_host = { .ip_len = from->ip_len, .port = from->port },
		.store_host = b->config.store_host,
	};
	memcpy(m->born_host.ip, from->ip, sizeof(m->born_host.ip));
}

/* False: there was no room, nothing was stored, the request is to be parked. */
static bool send_append_one(struct sends *sends, struct send *s, struct props_edit *edit)
{
	struct broker *b = sends->broker;
	struct message m;
	uint64_t end;
	if (delay_level(edit) == 0 && send_wants_timer(edit)) {
		send_refuse(&s->req->ticket, RES_SYSTEM_ERROR,
			    "accurate timer message is not enabled, timerWheelEnable is false");
		return true;
	}
	message_of(b, s, &m);
	int rc = sends_store(b, &m, edit, &end);
	if (rc == MOSAIC_E_AGAIN)
		return false;
	if (rc != 0) {
		char remark[640];
		int32_t code = sends_refusal(b, rc, remark, sizeof(remark));
		send_refuse(&s->req->ticket, code, remark);
		return true;
	}
	struct sent sent = { .queue_id = m.queue_id,
			     .queue_offset = m.queue_offset,
			     .phys_offset = m.phys_offset,
			     .uniq = s->uniq };
	/* A delayed message answers with the queue that the producer chose, as Apache does. */
	if (s->queue_id != m.queue_id)
		sent.queue_id = s->queue_id;
	send_wait_gate(sends, s, &sent, end);
	return true;
}

/* NULL when every record of the batch is whole and small enough, else the remark. */
static const char *batch_check(const struct broker *b, struct mosaic_slice body, size_t props_len,
			       uint32_t *n)
{
	const uint8_t *at = body.ptr, *end = body.ptr + body.len;
	struct batch_item item;
	int rc;
	*n = 0;
	if (body.len > b->config.max_message_bytes)
		return "the message is illegal, the batch is larger than the message limit";
	while ((rc = batch_next(&at, end, &item)) == 1) {
		++*n;
		if (item.props.len + 1 + props_len > PROPS_MAX)
			return "the message is illegal, properties of a batched message are too "
			       "long";
	}
	if (rc != 0 || *n == 0)
		return "the message is illegal, the batch cannot be decoded";
	return NULL;
}

/* One record of a batch: its own properties, then the batch's (last wins, as in Apache). */
static int batch_store(struct sends *sends, const struct send *s, const struct batch_item *item,
		       struct mosaic_slice batch_props, struct message *m, uint64_t *end)
{
	struct broker *b = sends->broker;
	message_of(b, s, m);
	buf_clear(&sends->props);
	buf_append_slice(&sends->props, item->props);
	if (item->props.len > 0 && item->props.ptr[item->props.len - 1] != 2)
		buf_append_byte(&sends->props, 2);
	buf_append_slice(&sends->props, batch_props);
	m->props = buf_slice(&sends->props);
	m->body = item->body;
	m->flag = item->flag;
	m->body_crc = hash_crc32(m->body.ptr, m->body.len) & 0x7fffffff;
	struct queue *queue = topic_queue(b, s->to, s->queue_id);
	return queue != NULL ? log_append(b->log, queue, m, end) : MOSAIC_E_NOMEM;
}

/* False: no room before the first record. Later the batch stops short and the producer is told to
 * come again: records may then be there twice, never not at all. */
static bool send_append_batch(struct sends *sends, struct send *s, struct props_edit *edit)
{
	struct broker *b = sends->broker;
	struct batch_item item;
	struct message m;
	struct sent sent = { .queue_id = s->queue_id, .uniq = s->uniq };
	uint64_t end = 0;
	uint32_t n, stored = 0;
	int rc = 0;

	if (slice_has_prefix(s->topic, RETRY_PREFIX)) {
		SEND_REFUSE(&s->req->ticket, RES_MESSAGE_ILLEGAL,
			    "batch request does not support retry group %.*s",
			    SLICE_ARG(s->topic));
		return true;
	}
	buf_clear(&sends->batch_props);
	props_edit_write(edit, &sends->batch_props);
	const char *bad = batch_check(b, s->req->body, sends->batch_props.len, &n);
	if (bad != NULL) {
		send_refuse(&s->req->ticket, RES_MESSAGE_ILLEGAL, bad);
		return true;
	}
	buf_clear(&sends->ids);
	const uint8_t *at = s->req->body.ptr, *limit = at + s->req->body.len;
	while (rc == 0 && batch_next(&at, limit, &item) == 1) {
		rc = batch_store(sends, s, &item, buf_slice(&sends->batch_props), &m, &end);
		if (rc != 0)
			break;
		if (stored++ == 0)
			sent.queue_offset = m.queue_offset;
		else
			buf_append_byte(&sends->ids, ',');
		uint8_t *id = buf_room(&sends->ids, MESSAGE_ID_MAX);
		sends->ids.len += message_offset_id(id, &b->config.store_host, m.phys_offset);
	}
	if (rc == MOSAIC_E_AGAIN && stored == 0)
		return false;
	if (rc != 0) {
		char remark[640];
		int32_t code = sends_refusal(b, rc, remark, sizeof(remark));
		send_refuse(&s->req->ticket, code, remark);
		return true;
	}
	sent.ids = buf_slice(&sends->ids);
	stats_put(b->stats, s->to, stored, s->req->body.len);
	send_wait_gate(sends, s, &sent, end);
	return true;
}

static void send_run(struct sends *sends, const struct request *req, bool is_parked)
{
	struct broker *b = sends->broker;
	struct send s = { .req = req };
	struct props_edit edit;
	uint8_t uniq_room[32];

	const char *missing = send_parse(&s, &req->header);
	if (missing != NULL) {
		reply_missing(&req->ticket, missing);
		return;
	}
	if (req->body.len == 0) {
		send_refuse(&req->ticket, RES_SYSTEM_ERROR, "the message has no body");
		return;
	}
	if (!send_check(b, &s) || send_await_topic(sends, &s) ||
	    !send_props(sends, &s, &edit, uniq_room))
		return;
	int32_t code;
	const char *why = send_forbids(&s, &edit, &code);
	if (why != NULL) {
		send_refuse(&req->ticket, code, why);
		return;
	}
	bool done;
	if (s.batch) {
		done = send_append_batch(sends, &s, &edit);
	} else if (req->body.len > b->config.max_message_bytes) {
		char remark[256];
		send_refuse(&req->ticket, sends_refusal(b, MOSAIC_E_LIMIT, remark, sizeof(remark)),
			    remark);
		return;
	} else {
		done = send_append_one(sends, &s, &edit);
	}
	if (!done && is_parked)
		sends_ask_room(sends);
	else if (!done)
		send_park(sends, req);
}

void send_on_message(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct sends *s = b->sends;
	/* What came later must not overtake what is parked: queues are FIFO per producer. */
	if (!list_empty(&s->parked))
		send_park(s, req);
	else
		send_run(s, req, false);
}

/* -- life ------------------------------------------------------------------------------------ */

struct sends *sends_create(struct broker *b)
{
	struct sends *s = mem_alloc(sizeof(*s));
	s->broker = b;
	list_init(&s->parked);
	list_init(&s->early);
	return s;
}

uint32_t sends_parked(const struct sends *s)
{
	return s->n_parked;
}

static void sends_refuse_all(struct sends *s, struct list *list)
{
	LIST_FOR_SAFE(it, list)
	{
		struct parked *p = LIST_ENTRY(it, struct parked, link);
		send_refuse(&p->kept->req.ticket, RES_SERVICE_NOT_AVAILABLE,
			    "service not available now: the broker is shutting down");
		parked_free(s, p);
	}
}

void sends_stop(struct sends *s)
{
	sends_refuse_all(s, &s->parked);
	sends_refuse_all(s, &s->early);
}

void sends_destroy(struct sends *s)
{
	if (s == NULL)
		return;
	while (s->free_waits != NULL) {
		struct send_wait *w = s->free_waits;
		s->free_waits = w->next_free;
		free(w);
	}
	buf_free(&s->props);
	buf_free(&s->batch_props);
	buf_free(&s->ids);
	free(s);
}
