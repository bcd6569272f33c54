/*
 * Answers about the progress of topics and groups that must look at records or search queues first:
 * 202 GET_TOPIC_STATS_INFO, 208 GET_CONSUME_STATS, 222 INVOKE_BROKER_TO_RESET_OFFSET.
 */
#include "base/err.h"
#include "base/mem.h"
#include "broker/admin_requests.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/stats.h"
#include "broker/stored_times.h"
#include "broker/topics.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPICS_MAX 10000 /* of one group in one answer */

/* {"brokerName":..,"queueId":..,"topic":..} is a key in these bodies. */
static void write_queue_key(const struct broker *b, const char *topic, int32_t queue_id,
			    struct json_writer *w)
{
	struct buf key = BUF_INIT;
	struct json_writer k;

	jw_init(&k, &key);
	jw_object(&k);
	jw_put_cstr(&k, "brokerName", b->config.name);
	jw_put_i64(&k, "queueId", queue_id);
	jw_put_cstr(&k, "topic", topic);
	jw_object_end(&k);
	jw_key_raw(w, buf_slice(&key));
	buf_free(&key);
}

static void put_double(struct json_writer *w, const char *name, double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.4f", value);
	jw_key(w, name);
	jw_raw(w, slice_str(text));
}

/* One answer under way: the times of one message of each queue. */
struct progress {
	struct stored_times times;
	struct broker *broker;
	struct ticket ticket;
	char *group; /* 208 */
	double tps;
};

static struct progress *progress_create(struct broker *b, const struct request *req,
					void (*done)(struct stored_times *t))
{
	struct progress *p = mem_alloc(sizeof(*p));

	p->broker = b;
	p->ticket = ticket_keep(&req->ticket);
	p->times.done = done;
	p->times.data = p;
	return p;
}

static void progress_answer(struct progress *p, struct buf *body)
{
	reply_body(&p->ticket, RES_SUCCESS, buf_slice(body));
	buf_free(body);
	stored_times_free(&p->times);
	ticket_drop(&p->ticket);
	free(p->group);
	free(p);
}

static const struct queue *queue_at(const struct progress *p, const struct stored_time *item)
{
	return log_queue_find(p->broker->log, slice_str(item->topic), item->queue_id);
}

/* ---- 202 -------------------------------------------------------------------------------- */

static void topic_stats_read(struct stored_times *t)
{
	struct progress *p = t->data;
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	jw_object(&w);
	jw_key(&w, "offsetTable");
	jw_object(&w);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct queue *q = queue_at(p, &t->items[i]);

		write_queue_key(p->broker, t->items[i].topic, t->items[i].queue_id, &w);
		jw_object(&w);
		jw_put_i64(&w, "lastUpdateTimestamp", t->items[i].ms < 0 ? 0 : t->items[i].ms);
		jw_put_i64(&w, "maxOffset", q ? q->visible : 0);
		jw_put_i64(&w, "minOffset", q ? q->min_offset : 0);
		jw_object_end(&w);
	}
	jw_object_end(&w);
	put_double(&w, "topicPutTps", p->tps);
	jw_object_end(&w);
	progress_answer(p, &body);
}

void admin_on_topic_stats(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *name = header_find(&req->header, "topic");
	const struct topic *topic = name ? topics_find(b->topics, *name) : NULL;
	struct progress *p;

	if (!name) {
		reply_missing(&req->ticket, "topic");
		return;
	}
	if (!topic) {
		reply_remark(&req->ticket, RES_TOPIC_NOT_EXIST, "topic[%.*s] not exist",
			     SLICE_ARG(*name));
		return;
	}
	p = progress_create(b, req, topic_stats_read);
	p->tps = stats_item_tps(b->stats, stats_topic_puts(b->stats, *name));
	/* Apache's broker lists the queues that can be written and those that can be read. */
	for (int32_t i = 0; i < topic->write_queues || i < topic->read_queues; i++) {
		const struct queue *q = log_queue_find(b->log, *name, i);

		stored_times_add(&p->times, *name, i, q ? q->visible - 1 : -1);
	}
	stored_times_read(&p->times, b);
}

/* ---- 208 -------------------------------------------------------------------------------- */

static void consume_stats_read(struct stored_times *t)
{
	struct progress *p = t->data;
	struct offsets *o = p->broker->offsets;
	struct mosaic_slice group = slice_str(p->group);
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	jw_object(&w);
	put_double(&w, "consumeTps", p->tps);
	jw_key(&w, "offsetTable");
	jw_object(&w);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct stored_time *item = &t->items[i];
		struct mosaic_slice topic = slice_str(item->topic);
		const struct queue *q = queue_at(p, item);
		int64_t pulled = offsets_get_pulled(o, topic, group, item->queue_id);

		write_queue_key(p->broker, item->topic, item->queue_id, &w);
		jw_object(&w);
		jw_put_i64(&w, "brokerOffset", q ? q->visible : 0);
		jw_put_i64(&w, "consumerOffset", item->index + 1);
		jw_put_i64(&w, "lastTimestamp", item->ms < 0 ? 0 : item->ms);
		jw_put_i64(&w, "pullOffset", pulled < 0 ? 0 : pulled);
		jw_object_end(&w);
	}
	jw_object_end(&w);
	jw_object_end(&w);
	progress_answer(p, &body);
}

static void add_topic(void *ctx, struct mosaic_slice name)
{
	struct progress *p = ctx;
	struct broker *b = p->broker;
	struct mosaic_slice group = slice_str(p->group);
	const struct topic *topic = topics_find(b->topics, name);
	const struct consumer_group *online = clients_consumers(b->clients, group);

	if (!topic || p->times.n > TOPICS_MAX * 16)
		return;
	/* A group that is here now and does not subscribe any more has no progress there. */
	if (online && map_count(&online->subscriptions) > 0 &&
	    !consumer_group_subscription(online, name))
		return;
	for (int32_t i = 0; i < topic->read_queues; i++) {
		const struct queue *q = log_queue_find(b->log, name, i);
		int64_t offset = offsets_get(b->offsets, name, group, i);

		/* Nothing committed: Apache shows 0, or the end of the queue where that is empty.
		 * */
		if (offset < 0)
			offset = q && q->min_offset > 0 ? q->min_offset : 0;
		stored_times_add(&p->times, name, i, offset - 1);
	}
	p->tps += stats_item_tps(b->stats, stats_group_gets(b->stats, name, group));
}

void admin_on_consume_stats(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "consumerGroup");
	struct mosaic_slice topic = header_str(&req->header, "topic");
	struct mosaic_slice list = header_str(&req->header, "topicList");
	struct progress *p;

	if (!group) {
		reply_missing(&req->ticket, "consumerGroup");
		return;
	}
	p = progress_create(b, req, consume_stats_read);
	p->group = slice_dup(*group);
	if (topic.len > 0) {
		add_topic(p, topic);
	} else if (list.len > 0) {
		while (list.len > 0) {
			const uint8_t *end = memchr(list.ptr, ';', list.len);
			size_t len = end ? (size_t)(end - list.ptr) : list.len;

			if (len > 0)
				add_topic(p, slice(list.ptr, len));
			len += end != NULL;
			list = slice(list.ptr + len, list.len - len);
		}
	} else if (group->len > 0) {
		offsets_each_topic(b->offsets, *group, add_topic, p);
	}
	stored_times_read(&p->times, b);
}

/* ---- 222 -------------------------------------------------------------------------------- */

/* Queue after queue: the offset for the time, then all of them are set at once. */
struct reset {
	struct queue_search search;
	struct broker *broker;
	struct ticket ticket;
	char *topic, *group;
	int64_t timestamp;
	int32_t first, n, at; /* queue ids first .. first + n */
	int64_t *offsets;
};

static void reset_free(struct reset *r)
{
	ticket_drop(&r->ticket);
	free(r->topic);
	free(r->group);
	free(r->offsets);
	free(r);
}

static void reset_apply(struct reset *r)
{
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	jw_object(&w);
	jw_key(&w, "offsetTable");
	jw_object(&w);
	for (int32_t i = 0; i < r->n; i++) {
		offsets_reset(r->broker->offsets, slice_str(r->topic), slice_str(r->group),
			      r->first + i, r->offsets[i]);
		write_queue_key(r->broker, r->topic, r->first + i, &w);
		jw_i64(&w, r->offsets[i]);
	}
	jw_object_end(&w);
	jw_object_end(&w);
	LOG_INFO(r->broker->host, "offsets_reset",
		 "topic=%s group=%s queues=%d timestamp=%" PRId64, r->topic, r->group, r->n,
		 r->timestamp);
	reply_body(&r->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
	reset_free(r);
}

static void reset_run(struct reset *r);

static void reset_searched(struct mosaic_req *req)
{
	struct reset *r = req->data;

	r->offsets[r->at++] = req->status == 0 ? r->search.offset : 0;
	reset_run(r);
}

static void reset_run(struct reset *r)
{
	while (r->at < r->n) {
		struct queue *q = log_queue_find(r->broker->log, slice_str(r->topic),
						 r->first + r->at);
		int rc = 0;

		r->search = (struct queue_search){ .req = { .done = reset_searched, .data = r },
						   .timestamp_ms = r->timestamp };
		if (q && r->timestamp < 0)
			r->search.offset = q->visible;
		else if (q)
			rc = queue_search(q, &r->search);
		if (rc == MOSAIC_PENDING)
			return;
		r->offsets[r->at++] = rc == 0 ? r->search.offset : 0;
	}
	reset_apply(r);
}

/* One queue and a given offset. */
static void reset_to_offset(struct reset *r, int64_t offset)
{
	const struct queue *q = log_queue_find(r->broker->log, slice_str(r->topic), r->first);
	int64_t min = q ? q->min_offset : 0, max = q ? q->visible : 0;

	if (offset >= min && offset <= max + 1) {
		r->offsets[0] = offset;
		reset_apply(r);
		return;
	}
	reply_remark(&r->ticket, RES_SYSTEM_ERROR,
		     "Target offset %" PRId64 " not in consume queue range [%" PRId64 "-%" PRId64
		     "]", offset, min, max);
	reset_free(r);
}

void admin_on_reset_offset(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *name = header_find(&req->header, "topic");
	const struct mosaic_slice *group = header_find(&req->header, "group");
	const struct topic *topic = name ? topics_find(b->topics, *name) : NULL;
	int64_t timestamp, offset = -1;
	int32_t queue_id = -1;
	struct reset *r;

	if (!name || !group || header_i64(&req->header, "timestamp", &timestamp) != 0) {
		reply_missing(&req->ticket, !name ? "topic" : !group ? "group" : "timestamp");
		return;
	}
	if (!topic) {
		reply_remark(&req->ticket, RES_TOPIC_NOT_EXIST, "Topic %.*s does not exist",
			     SLICE_ARG(*name));
		return;
	}
	if (!groups_find(b->groups, *group)) {
		reply_remark(&req->ticket, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			     "Group %.*s does not exist", SLICE_ARG(*group));
		return;
	}
	if (header_i32(&req->header, "queueId", &queue_id) != 0)
		queue_id = -1;
	if (header_i64(&req->header, "offset", &offset) != 0)
		offset = -1;
	if (queue_id >= topic->write_queues || (queue_id < 0 && topic->write_queues == 0)) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "No queues to reset.");
		return;
	}
	r = mem_alloc(sizeof(*r));
	r->broker = b;
	r->ticket = ticket_keep(&req->ticket);
	r->topic = slice_dup(*name);
	r->group = slice_dup(*group);
	r->timestamp = timestamp;
	r->first = queue_id < 0 ? 0 : queue_id;
	r->n = queue_id < 0 ? topic->write_queues : 1;
	r->offsets = mem_alloc((size_t)r->n * sizeof(r->offsets[0]));
	if (queue_id >= 0 && offset != -1)
		reset_to_offset(r, offset);
	else
		reset_run(r);
}
