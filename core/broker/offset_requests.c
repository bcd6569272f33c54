/* Requests about offsets: of consumers 14 15 43, of queues 29 30 31 32. */
#include "base/err.h"
#include "base/mem.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/stored_times.h"
#include "broker/topics.h"
#include "wire/codes.h"
#include <stdlib.h>

#define MEMORY_PERCENT 40 /* accessMessageInMemoryMaxRatio */

static void reply_offset(const struct ticket *to, const char *field, int64_t value)
{
	struct reply r;

	if (!reply_begin(&r, to, RES_SUCCESS, REPLY_ROOM, 0))
		return;
	header_put_i64(&r.w, field, value);
	reply_end(&r);
}

/* Topic and queue id of a request; answers and returns false when one is missing. */
static bool read_queue(const struct request *req, struct mosaic_slice *topic, int32_t *queue_id)
{
	const struct mosaic_slice *name = header_find(&req->header, "topic");

	if (!name || header_i32(&req->header, "queueId", queue_id) != 0) {
		reply_missing(&req->ticket, name ? "queueId" : "topic");
		return false;
	}
	*topic = *name;
	return true;
}

/* ---- 14 QUERY_CONSUMER_OFFSET ----------------------------------------------------------- */

struct first_unit {
	struct mosaic_read read;
	struct queue *queue;
};

/* The first unit was cold: its answer has left long ago. */
static void first_unit_done(struct mosaic_req *req)
{
	struct first_unit *first = req->data;

	if (req->status == 0)
		queue_unpin(first->queue, &first->read);
	free(first);
}

/*
 * Message 0 of the queue is still in memory: it is at most 40 % of the machine's memory behind the
 * end of the log. Then a new group starts with it, whatever it would like. A unit that is not in
 * memory answers the question as well.
 */
static bool first_is_in_memory(struct broker *b, struct mosaic_slice topic, int32_t queue_id)
{
	struct queue *q = queue_id < 0 ? NULL : log_queue_find(b->log, topic, queue_id);
	struct first_unit *first;
	struct queue_unit unit;
	bool in_memory = false;
	int rc;

	if (!q || q->min_offset > 0 || q->visible <= 0)
		return false;
	first = mem_alloc(sizeof(*first));
	first->queue = q;
	first->read.req.done = first_unit_done;
	first->read.req.data = first;
	rc = queue_read(q, 0, 1, &first->read);
	if (rc == MOSAIC_PENDING)
		return false;
	if (rc == 0) {
		queue_unit_decode(first->read.ptr, &unit);
		queue_unpin(q, &first->read);
		in_memory = b->log->end - unit.phys_offset <=
			    b->config.memory_bytes / 100 * MEMORY_PERCENT;
	}
	free(first);
	return in_memory;
}

void offset_on_query(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "consumerGroup");
	struct mosaic_slice topic;
	int32_t queue_id;
	int64_t offset;

	if (!group) {
		reply_missing(&req->ticket, "consumerGroup");
		return;
	}
	if (!read_queue(req, &topic, &queue_id))
		return;
	offset = offsets_peek_reset(b->offsets, topic, *group, queue_id);
	if (offset < 0)
		offset = offsets_get(b->offsets, topic, *group, queue_id);
	if (offset >= 0)
		reply_offset(&req->ticket, "offset", offset);
	else if (!header_bool(&req->header, "setZeroIfNotFound", true))
		reply_remark(&req->ticket, RES_QUERY_NOT_FOUND,
			     "Not found, do not set to zero, maybe this group boot first");
	else if (first_is_in_memory(b, topic, queue_id))
		reply_offset(&req->ticket, "offset", 0);
	else
		reply_remark(&req->ticket, RES_QUERY_NOT_FOUND,
			     "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
}

/* ---- 15 UPDATE_CONSUMER_OFFSET ---------------------------------------------------------- */

/* Also a queue that the topic had before it got fewer. Apache's broker takes any number; here a
 * table is as long as its highest queue id, and a request must not cost half a megabyte. */
static bool has_queue(const struct broker *b, struct mosaic_slice name, int32_t queue_id)
{
	const struct topic *topic = topics_find(b->topics, name);

	return queue_id >= 0 && (queue_id < topic_queue_count(topic) ||
				 log_queue_find(b->log, name, queue_id) != NULL);
}

void offset_on_update(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct header *h = &req->header;
	const struct mosaic_slice *group = header_find(h, "consumerGroup");
	const struct mosaic_slice *topic = header_find(h, "topic");
	int32_t queue_id;
	int64_t offset;

	if (!group || !topic)
		reply_missing(&req->ticket, group ? "topic" : "consumerGroup");
	else if (!groups_find(b->groups, *group))
		reply_remark(&req->ticket, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			     "Group %.*s not exist!", SLICE_ARG(*group));
	else if (!topics_find(b->topics, *topic))
		reply_remark(&req->ticket, RES_TOPIC_NOT_EXIST, "Topic %.*s not exist!",
			     SLICE_ARG(*topic));
	else if (header_i32(h, "queueId", &queue_id) != 0)
		reply_remark(&req->ticket, RES_INVALID_PARAMETER, "QueueId is null, topic is %.*s",
			     SLICE_ARG(*topic));
	else if (!has_queue(b, *topic, queue_id))
		reply_remark(&req->ticket, RES_INVALID_PARAMETER,
			     "queueId[%d] is illegal, topic is %.*s", queue_id, SLICE_ARG(*topic));
	else if (header_i64(h, "commitOffset", &offset) != 0)
		reply_remark(&req->ticket, RES_INVALID_PARAMETER, "Offset is null, topic is %.*s",
			     SLICE_ARG(*topic));
	else if (offsets_peek_reset(b->offsets, *topic, *group, queue_id) >= 0)
		reply_remark(&req->ticket, RES_SUCCESS, "Offset has been previously reset");
	else {
		offsets_commit(b->offsets, *topic, *group, queue_id, offset);
		reply_code(&req->ticket, RES_SUCCESS);
	}
}

void offset_on_get_all(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	offsets_write(b->offsets, &w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

/* ---- 29 SEARCH_OFFSET_BY_TIMESTAMP ------------------------------------------------------ */

struct search_answer {
	struct queue_search search;
	struct ticket ticket;
};

static void search_done(struct mosaic_req *req)
{
	struct search_answer *a = req->data;

	if (req->status == 0)
		reply_offset(&a->ticket, "offset", a->search.offset);
	else
		reply_remark(&a->ticket, RES_SYSTEM_ERROR, "the queue cannot be searched: %s",
			     status_text(req->status));
	ticket_drop(&a->ticket);
	free(a);
}

void offset_on_search(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_slice topic;
	struct search_answer *a;
	int32_t queue_id;
	int64_t timestamp;
	struct queue *q;
	int rc;

	if (!read_queue(req, &topic, &queue_id))
		return;
	if (header_i64(&req->header, "timestamp", &timestamp) != 0) {
		reply_missing(&req->ticket, "timestamp");
		return;
	}
	q = queue_id < 0 ? NULL : log_queue_find(b->log, topic, queue_id);
	if (!q) {
		reply_offset(&req->ticket, "offset", 0);
		return;
	}
	a = mem_alloc(sizeof(*a));
	a->ticket = ticket_keep(&req->ticket);
	a->search.req.done = search_done;
	a->search.req.data = a;
	a->search.timestamp_ms = timestamp;
	a->search.upper = slice_is_nocase(header_str(&req->header, "boundaryType"), "upper");
	rc = queue_search(q, &a->search);
	if (rc == MOSAIC_PENDING)
		return;
	a->search.req.status = rc;
	search_done(&a->search.req);
}

/* ---- 30, 31, 32 ------------------------------------------------------------------------- */

void offset_on_max(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_slice topic;
	const struct queue *q;
	int32_t queue_id;

	if (!read_queue(req, &topic, &queue_id))
		return;
	q = queue_id < 0 ? NULL : log_queue_find(b->log, topic, queue_id);
	reply_offset(&req->ticket, "offset", q ? q->visible : 0);
}

void offset_on_min(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_slice topic;
	const struct queue *q;
	int32_t queue_id;

	if (!read_queue(req, &topic, &queue_id))
		return;
	q = queue_id < 0 ? NULL : log_queue_find(b->log, topic, queue_id);
	reply_offset(&req->ticket, "offset", q ? q->min_offset : 0);
}

struct earliest_answer {
	struct stored_times times;
	struct ticket ticket;
};

static void earliest_done(struct stored_times *t)
{
	struct earliest_answer *a = t->data;

	reply_offset(&a->ticket, "timestamp", t->items[0].ms);
	stored_times_free(t);
	ticket_drop(&a->ticket);
	free(a);
}

void offset_on_earliest(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct earliest_answer *a;
	struct mosaic_slice topic;
	const struct queue *q;
	int32_t queue_id;

	if (!read_queue(req, &topic, &queue_id))
		return;
	q = queue_id < 0 ? NULL : log_queue_find(b->log, topic, queue_id);
	if (!q) {
		reply_offset(&req->ticket, "timestamp", -1);
		return;
	}
	a = mem_alloc(sizeof(*a));
	a->ticket = ticket_keep(&req->ticket);
	a->times.done = earliest_done;
	a->times.data = a;
	stored_times_add(&a->times, topic, queue_id, q->min_offset);
	stored_times_read(&a->times, b);
}
