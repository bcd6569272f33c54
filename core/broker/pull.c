/*
 * One pull, read top to bottom:
 *
 *   pull_on_message   fields of the header
 *   pull_check        broker, group, topic, queue, subscription
 *   pull_collect      units of the queue that match: records
 *   pull_pin          runs of records that follow each other are lent by the store
 *   pull_prove        records that may have come from a disk are compared with their units and
 *                     checksums (log/damage.h); what does not fit is left out
 *   pull_answer       header, then the lent bytes, without a copy when they are large
 *
 * Failure modes: a refused check answers with RocketMQ's code and remark; cold data keeps the
 * request and runs it again when the store has fetched it; nothing there holds the pull (hold.c).
 */
#include "broker/pulls.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/stats.h"
#include "broker/topics.h"
#include "log/damage.h"
#include "wire/codes.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum pull_sys_flag {
	PULL_COMMIT_OFFSET = 0x1,
	PULL_SUSPEND = 0x2,
	PULL_SUBSCRIPTION = 0x4,
	PULL_CLASS_FILTER = 0x8,
	PULL_LITE = 0x10
};

/* DefaultMessageStore.getMessage of 5.3.3: limits of one answer, by where the data is. */
#define HOT_BYTES (256 * 1024)
#define HOT_COUNT 32
#define COLD_BYTES (64 * 1024)
#define COLD_COUNT 8
#define SCAN_UNITS_LEAST 800
#define SCAN_UNITS_MOST 4096 /* whatever a client asks for: some 20 us of the core thread */
#define PULL_COUNT_MAX 32
/* Answers up to this size are copied behind the header: cheaper than a span per message. */
#define COPY_MAX 4096
/* Each try warms at least one of the pieces of a pull: the units, then the records one by one. A
 * pull whose data keeps going cold again is told to come again. */
#define COLD_TRIES (PULL_COUNT_MAX + 8)
#define ALWAYS INT32_MAX
/* A run of bytes may be lent in several pieces. */
#define PULL_PARTS (PULL_COUNT_MAX * 2)

enum forbidden_type {
	FORBIDDEN_BROKER = 1,
	FORBIDDEN_GROUP = 2,
	FORBIDDEN_TOPIC = 3,
	FORBIDDEN_BROADCAST = 4,
	FORBIDDEN_SUBSCRIPTION = 5
};

struct pull_record {
	struct queue_unit unit;
	int64_t index;
};

struct pull {
	struct broker *b;
	const struct request *req;
	struct mosaic_slice group, topic, expression, type;
	int32_t queue_id, max_count, sys_flag;
	int64_t offset, commit_offset, suspend_ms, sub_version, max_bytes;
	const struct group *group_config;
	struct topic *topic_config;
	const struct subscription *sub;
	struct subscription own_sub; /* parsed from the header */
	bool has_own_sub;
	struct queue *queue;
	bool may_hold;
	uint32_t tries; /* how often it has waited for cold bytes */
	/* result */
	int32_t code;
	const char *remark;
	int64_t next;
	uint32_t n_records, bytes;
	struct pull_record records[PULL_COUNT_MAX];
};

/*
 * What outlives the call of a pull: bytes lent by the store, until the transport has written them,
 * or the one read that pends, together with the request that will run again. Pooled.
 */
struct pull_work {
	struct pull_work *next_free;
	struct pulls *pulls;
	struct kept_request *kept; /* waits for cold bytes */
	bool may_hold;
	uint32_t tries;
	struct queue *cold_queue; /* whose read pends; NULL: it is of the commit log */
	struct mosaic_read units; /* of the consume queue */
	uint32_t n_parts, n_unsent;
	struct {
		struct mosaic_out_span span;
		struct mosaic_read read;
	} parts[PULL_PARTS];
};

struct pulls {
	struct broker *broker;
	struct pull_work *free_works;
};

/* -- fields and refusals ----------------------------------------------------------------------- */

static const char *pull_parse(struct pull *p, const struct header *h)
{
	static const struct {
		const char *name;
		size_t offset;
		bool is_64;
		int32_t needed_by; /* bits of sysFlag */
	} numbers[] = {
		{ "queueId", offsetof(struct pull, queue_id), false, ALWAYS },
		{ "queueOffset", offsetof(struct pull, offset), true, ALWAYS },
		{ "maxMsgNums", offsetof(struct pull, max_count), false, ALWAYS },
		{ "sysFlag", offsetof(struct pull, sys_flag), false, ALWAYS },
		{ "commitOffset", offsetof(struct pull, commit_offset), true, PULL_COMMIT_OFFSET },
		{ "suspendTimeoutMillis", offsetof(struct pull, suspend_ms), true, PULL_SUSPEND },
		{ "subVersion", offsetof(struct pull, sub_version), true, 0 },
		{ "maxMsgBytes", offsetof(struct pull, max_bytes), true, 0 },
	};
	p->group = header_str(h, "consumerGroup");
	p->topic = header_str(h, "topic");
	if (p->group.ptr == NULL)
		return "consumerGroup";
	if (p->topic.ptr == NULL)
		return "topic";
	for (uint32_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const struct mosaic_slice *v = header_find(h, numbers[i].name);
		/* sysFlag comes before the fields that only some of its bits need. */
		if ((v == NULL || v->ptr == NULL) && !(p->sys_flag & numbers[i].needed_by) &&
		    numbers[i].needed_by != ALWAYS)
			continue;
		char *at = (char *)p + numbers[i].offset;
		int rc = numbers[i].is_64 ?
				 header_i64(h, numbers[i].name, (int64_t *)(void *)at) :
				 header_i32(h, numbers[i].name, (int32_t *)(void *)at);
		if (rc != 0)
			return numbers[i].name;
	}
	p->expression = header_str(h, "subscription");
	p->type = header_str(h, "expressionType");
	if (p->max_bytes <= 0)
		p->max_bytes = INT32_MAX;
	return NULL;
}

static bool PRINTF_LIKE(3, 4)
	pull_forbid(struct pull *p, enum forbidden_type type, const char *format, ...)
{
	char remark[640];
	struct reply r;
	va_list args;
	va_start(args, format);
	vsnprintf(remark, sizeof(remark), format, args);
	va_end(args);
	if (reply_begin(&r, &p->req->ticket, RES_NO_PERMISSION, REPLY_ROOM + 6 * sizeof(remark),
			0)) {
		header_put_i64(&r.w, "forbiddenType", type);
		header_put_remark(&r.w, slice_str(remark));
		reply_end(&r);
	}
	return false;
}

/* -- checks ------------------------------------------------------------------------------------ */

static bool pull_check_header_sub(struct pull *p)
{
	int rc = subscription_init(&p->own_sub, p->topic, p->expression, p->type, p->sub_version);
	if (rc == MOSAIC_E_UNSUPPORTED) {
		reply_remark(&p->req->ticket, RES_SYSTEM_ERROR,
			     "The broker does not support consumer to filter message by %.*s",
			     SLICE_ARG(p->type));
		return false;
	}
	if (rc != 0) {
		reply_remark(&p->req->ticket, RES_SUBSCRIPTION_PARSE_FAILED,
			     "parse the consumer's subscription failed");
		return false;
	}
	p->has_own_sub = true;
	p->sub = &p->own_sub;
	return true;
}

static bool pull_check_group_sub(struct pull *p)
{
	struct broker *b = p->b;
	const struct ticket *to = &p->req->ticket;
	const struct consumer_group *g = clients_consumers(b->clients, p->group);
	if (g == NULL) {
		reply_remark(to, RES_SUBSCRIPTION_NOT_EXIST,
			     "the consumer's group info not exist" FAQ_SUFFIX);
		return false;
	}
	if (!p->group_config->consume_broadcast_enable && g->model == MODEL_BROADCASTING)
		return pull_forbid(p, FORBIDDEN_BROADCAST,
				   "the consumer group[%.*s] can not consume by broadcast way",
				   SLICE_ARG(p->group));
	if (groups_is_forbidden(b->groups, p->group, p->topic))
		return pull_forbid(p, FORBIDDEN_SUBSCRIPTION,
				   "the consumer group[%.*s] is forbidden for topic[%.*s]",
				   SLICE_ARG(p->group), SLICE_ARG(p->topic));
	p->sub = consumer_group_subscription(g, p->topic);
	if (p->sub == NULL) {
		reply_remark(to, RES_SUBSCRIPTION_NOT_EXIST,
			     "the consumer's subscription not exist" FAQ_SUFFIX);
		return false;
	}
	if (p->sub->version < p->sub_version) {
		reply_remark(to, RES_SUBSCRIPTION_NOT_LATEST,
			     "the consumer's subscription not latest");
		return false;
	}
	if (strcmp(p->sub->type, "TAG") != 0) {
		reply_remark(to, RES_SYSTEM_ERROR,
			     "The broker does not support consumer to filter message by %s",
			     p->sub->type);
		return false;
	}
	return true;
}

static bool pull_check(struct pull *p)
{
	struct broker *b = p->b;
	const struct ticket *to = &p->req->ticket;
	if (!(b->config.permission & PERM_READ))
		return pull_forbid(p, FORBIDDEN_BROKER,
				   "the broker[%s] pulling message is forbidden",
				   b->config.address);
	p->group_config = groups_find_or_add(b->groups, p->group);
	if (p->group_config == NULL && map_count(&b->groups->table) >= b->config.max_groups) {
		reply_remark(
			to, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			"subscription group [%.*s] cannot be made: the broker has maxGroups (%u) "
			"groups",
			SLICE_ARG(p->group), b->config.max_groups);
		return false;
	}
	if (p->group_config == NULL) {
		reply_remark(to, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			     "subscription group [%.*s] does not exist, " FAQ_SUFFIX,
			     SLICE_ARG(p->group));
		return false;
	}
	if (!p->group_config->consume_enable)
		return pull_forbid(p, FORBIDDEN_GROUP,
				   "subscription group no permission, %.*s", SLICE_ARG(p->group));
	p->topic_config = topics_find(b->topics, p->topic);
	if (p->topic_config == NULL) {
		reply_remark(to, RES_TOPIC_NOT_EXIST,
			     "topic[%.*s] not exist, apply first please! " FAQ_SUFFIX,
			     SLICE_ARG(p->topic));
		return false;
	}
	if (!(p->topic_config->perm & PERM_READ))
		return pull_forbid(p, FORBIDDEN_TOPIC,
				   "the topic[%.*s] pulling message is forbidden",
				   SLICE_ARG(p->topic));
	if (p->queue_id < 0 || p->queue_id >= p->topic_config->read_queues) {
		reply_remark(to, RES_INVALID_PARAMETER,
			     "queueId[%d] is illegal, topic:[%.*s] topicConfig.readQueueNums:[%d] "
			     "consumer:[%s]",
			     p->queue_id, SLICE_ARG(p->topic), p->topic_config->read_queues,
			     to->peer->address.text);
		return false;
	}
	return p->sys_flag & PULL_SUBSCRIPTION ? pull_check_header_sub(p) : pull_check_group_sub(p);
}

/* -- collecting -------------------------------------------------------------------------------- */

/* Apache goes by the distance to the end of the log; a store that answers at once knows better. */
static bool pull_is_hot(const struct pull *p, uint64_t phys)
{
	return p->tries == 0 || p->b->log->end - phys <= p->b->config.memory_bytes / 100 * 40;
}

/* MessageStore.isTheBatchFull of 5.3.3 */
static bool pull_is_full(const struct pull *p, uint32_t size, bool hot)
{
	if (p->n_records == 0)
		return false;
	uint64_t total = (uint64_t)p->bytes + size;
	uint32_t count = p->n_records;
	if ((int64_t)count >= p->max_count || count >= PULL_COUNT_MAX ||
	    total > (uint64_t)p->max_bytes)
		return true;
	return hot ? total > HOT_BYTES || count >= HOT_COUNT :
		     total > COLD_BYTES || count >= COLD_COUNT;
}

static void pull_take(struct pull *p, const struct queue_unit *unit)
{
	p->records[p->n_records++] = (struct pull_record){ *unit, p->next };
	p->bytes += unit->size;
}

static void pull_damaged(const struct pull *p, int64_t index, const struct queue_unit *unit)
{
	log_damaged(p->b->log, p->topic, p->queue_id, index, unit->phys_offset);
}

/* Walks the units of one lent piece. False: the answer is full, or the visible part has ended. */
static bool pull_walk(struct pull *p, const struct mosaic_read *read)
{
	struct queue_unit unit;
	for (uint32_t at = 0; at + QUEUE_UNIT_BYTES <= read->len; at += QUEUE_UNIT_BYTES) {
		if (p->next >= p->queue->visible)
			return false;
		queue_unit_decode(read->ptr + at, &unit);
		if (unit_is_nothing(&unit) || unit.phys_offset < p->b->log->begin) {
			p->next++; /* a gap, or its record is gone */
			continue;
		}
		if (!unit_fits(p->b->log, &unit)) {
			pull_damaged(p, p->next++, &unit);
			continue;
		}
		bool matches = subscription_matches(p->sub, unit.tags_code);
		if (matches && log_readable(p->b->log, unit.phys_offset, unit.size) < unit.size) {
			pull_damaged(p, p->next++, &unit);
			continue;
		}
		if (pull_is_full(p, unit.size, pull_is_hot(p, unit.phys_offset)))
			return false;
		if (matches)
			pull_take(p, &unit);
		p->next++;
	}
	return true;
}

static void pull_status(struct pull *p, int32_t code, const char *remark, int64_t next)
{
	p->code = code;
	p->remark = remark;
	p->next = next;
}

/* Whether the offset lies in the queue; if not, code, remark and next offset are set. */
static bool pull_locate(struct pull *p)
{
	const struct queue *q = p->queue;
	if (q->visible == 0)
		pull_status(p, p->offset == 0 ? RES_PULL_NOT_FOUND : RES_PULL_OFFSET_MOVED,
			    "NO_MESSAGE_IN_QUEUE", 0);
	else if (p->offset < q->min_offset)
		pull_status(p, RES_PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", q->min_offset);
	else if (p->offset == q->visible)
		pull_status(p, RES_PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", p->offset);
	else if (p->offset > q->visible && p->offset <= q->max_offset)
		/* appended, not visible yet: never tell the client that its offset is wrong */
		pull_status(p, RES_PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", p->offset);
	else if (p->offset > q->max_offset)
		pull_status(p, RES_PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", q->visible);
	else
		return true;
	return false;
}

/* -- bytes of the store ------------------------------------------------------------------------ */

static struct pull_work *work_take(struct pulls *pulls)
{
	struct pull_work *w = pulls->free_works;
	if (w != NULL) {
		pulls->free_works = w->next_free;
		return w;
	}
	w = mem_alloc(sizeof(*w));
	w->pulls = pulls;
	return w;
}

static void work_give_back(struct pull_work *w)
{
	for (uint32_t i = 0; i < w->n_parts; i++)
		log_unpin(w->pulls->broker->log, &w->parts[i].read);
	w->n_parts = w->n_unsent = 0;
	w->next_free = w->pulls->free_works;
	w->pulls->free_works = w;
}

/* The store has fetched what was cold: run the pull again from its start. */
static void pull_begin(struct broker *b, const struct request *req, bool may_hold, uint32_t tries);

static void pull_warmed(struct mosaic_req *req)
{
	struct pull_work *w = req->data;
	struct broker *b = w->pulls->broker;
	struct mosaic_read *read = CONTAINER_OF(req, struct mosaic_read, req);
	struct kept_request *kept = w->kept;
	bool may_hold = w->may_hold;
	uint32_t tries = w->tries;
	bool is_lost = req->status == MOSAIC_E_LOST && w->cold_queue == NULL;
	w->kept = NULL;
	if (req->status == 0 && w->cold_queue != NULL)
		queue_unpin(w->cold_queue, read);
	else if (req->status == 0)
		log_unpin(b->log, read);
	if (is_lost) /* the records in it are skipped */
		log_lost(b->log, read);
	work_give_back(w);
	if (tries > COLD_TRIES)
		reply_remark(&kept->req.ticket, RES_SYSTEM_BUSY,
			     "the data goes cold faster than it can be read, try again");
	else if (req->status == 0 || req->status == MOSAIC_E_NOTFOUND || is_lost)
		pull_begin(b, &kept->req, may_hold, tries);
	else
		reply_remark(&kept->req.ticket, RES_SYSTEM_ERROR,
			     "the store cannot read the message: %s", status_text(req->status));
	kept_request_free(kept);
}

static void pull_unpin(struct pull *p, struct pull_work *w)
{
	for (uint32_t i = 0; i < w->n_parts; i++)
		log_unpin(p->b->log, &w->parts[i].read);
	w->n_parts = 0;
}

/* A read pends: the request is kept until pull_warmed. The pieces lent so far go back. */
static void pull_wait_warm(struct pull *p, struct pull_work *w, struct queue *queue)
{
	pull_unpin(p, w);
	w->cold_queue = queue;
	w->may_hold = p->may_hold;
	w->tries = p->tries + 1;
	w->kept = request_keep(p->req);
	ASSERT(w->kept != NULL); /* a pull is small: a header and a topic name */
}

static void read_init(struct mosaic_read *read, struct pull_work *w)
{
	read->req.done = pull_warmed;
	read->req.data = w;
}

/* -- collecting and pinning -------------------------------------------------------------------- */

/* Units that match, from p->offset. 0, MOSAIC_PENDING (the work is taken) or an error. */
static int pull_collect(struct pull *p, struct pull_work *w)
{
	int64_t scan = p->max_count > SCAN_UNITS_LEAST ? p->max_count : SCAN_UNITS_LEAST;
	scan = scan < SCAN_UNITS_MOST ? scan : SCAN_UNITS_MOST;
	int64_t units = p->queue->segment_units;
	int64_t file_end = p->offset - p->offset % units + units;
	int64_t limit = p->offset + scan < file_end ? p->offset + scan : file_end;
	bool more = true;
	p->next = p->offset;
	/* A pull stays within one file of the queue, as Apache's does. */
	while (more && p->next < limit && p->next < p->queue->visible) {
		uint32_t want = (uint32_t)(limit - p->next);
		if (p->sub->all && want > PULL_COUNT_MAX)
			want = PULL_COUNT_MAX;
		read_init(&w->units, w);
		int rc = queue_read(p->queue, p->next, want, &w->units);
		if (rc == MOSAIC_PENDING)
			pull_wait_warm(p, w, p->queue);
		if (rc != 0)
			return rc;
		more = pull_walk(p, &w->units);
		queue_unpin(p->queue, &w->units);
	}
	if (p->n_records > 0)
		pull_status(p, RES_SUCCESS, "FOUND", p->next);
	else
		pull_status(p, RES_PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE", p->next);
	return 0;
}

/* Has the store lend [at, end). 0, MOSAIC_PENDING (the work is taken) or an error. */
static int pull_pin_run(struct pull *p, struct pull_work *w, uint64_t at, uint64_t end)
{
	while (at < end) {
		if (w->n_parts == PULL_PARTS)
			return MOSAIC_E_LIMIT;
		struct mosaic_read *read = &w->parts[w->n_parts].read;
		read_init(read, w);
		int rc = log_read(p->b->log, at, (uint32_t)(end - at), read);
		if (rc == MOSAIC_PENDING)
			pull_wait_warm(p, w, NULL);
		if (rc != 0)
			return rc;
		at += read->len;
		w->n_parts++;
	}
	return 0;
}

/* All records: those that lie behind each other are one run. */
static int pull_pin(struct pull *p, struct pull_work *w)
{
	for (uint32_t i = 0; i < p->n_records;) {
		uint64_t at = p->records[i].unit.phys_offset, end = at;
		for (; i < p->n_records && p->records[i].unit.phys_offset == end; i++)
			end += p->records[i].unit.size;
		int rc = pull_pin_run(p, w, at, end);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* -- proving ----------------------------------------------------------------------------------- */

/* Where the walk over the lent pieces is: they are the records, one behind the other. */
struct pull_place {
	uint32_t part, at;
};

/* The next len bytes of the pieces; *copy is theirs when they lie in several. */
static const uint8_t *pull_bytes(const struct pull_work *w, struct pull_place *place, uint32_t len,
				 uint8_t **copy)
{
	const struct mosaic_read *read = &w->parts[place->part].read;
	*copy = NULL;
	if (len < read->len - place->at) {
		place->at += len;
		return read->ptr + place->at - len;
	}
	if (len > read->len - place->at)
		*copy = mem_alloc(len);
	const uint8_t *bytes = read->ptr + place->at;
	for (uint32_t got = 0; got < len;) {
		read = &w->parts[place->part].read;
		uint32_t here = read->len - place->at;
		uint32_t n = len - got < here ? len - got : here;
		if (*copy)
			memcpy(*copy + got, read->ptr + place->at, n);
		got += n;
		place->at += n;
		if (place->at == read->len)
			*place = (struct pull_place){ .part = place->part + 1 };
	}
	return *copy ? *copy : bytes;
}

/* Takes out the records that do not fit. Whether there was one: what was lent has gaps then. */
static bool pull_prove(struct pull *p, const struct pull_work *w)
{
	struct pull_place place = { 0 };
	uint32_t n = p->n_records;
	p->n_records = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct pull_record r = p->records[i];
		uint8_t *copy;
		const uint8_t *bytes = pull_bytes(w, &place, r.unit.size, &copy);
		bool fits = log_is_proven(p->b->log, r.unit.phys_offset) ||
			    record_fits(p->queue, r.index, &r.unit, bytes);
		free(copy);
		if (fits) {
			p->records[p->n_records++] = r;
			continue;
		}
		p->bytes -= r.unit.size;
		pull_damaged(p, r.index, &r.unit);
	}
	return p->n_records < n;
}

static bool pull_needs_proof(const struct pull *p)
{
	for (uint32_t i = 0; i < p->n_records; i++)
		if (!log_is_proven(p->b->log, p->records[i].unit.phys_offset))
			return true;
	return false;
}

/* The bytes of the records, without those that are damaged. As pull_pin. */
static int pull_fetch(struct pull *p, struct pull_work *w)
{
	int rc = pull_pin(p, w);
	if (rc != 0 || !pull_needs_proof(p) || !pull_prove(p, w))
		return rc;
	pull_unpin(p, w);
	if (p->n_records == 0)
		pull_status(p, RES_PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE", p->next);
	return pull_pin(p, w);
}

/* -- answering --------------------------------------------------------------------------------- */

static void part_sent(struct mosaic_out_span *span)
{
	struct pull_work *w = span->data;
	if (--w->n_unsent == 0)
		work_give_back(w);
}

static void put_result(struct pull *p, struct reply *r)
{
	header_put_i64(&r->w, "suggestWhichBrokerId", 0);
	header_put_i64(&r->w, "nextBeginOffset", p->next);
	header_put_i64(&r->w, "minOffset", p->queue->min_offset);
	header_put_i64(&r->w, "maxOffset", p->queue->visible);
	header_put_i64(&r->w, "topicSysFlag", p->topic_config->sys_flag);
	header_put_i64(&r->w, "groupSysFlag", p->group_config->sys_flag);
	header_put_remark(&r->w, slice_str(p->remark));
}

/* The body copied behind the header: for small answers cheaper than a span for each piece. */
static void pull_answer_copy(struct pull *p, struct pull_work *w)
{
	struct reply r;
	if (reply_begin(&r, &p->req->ticket, p->code, REPLY_ROOM, p->bytes)) {
		struct mosaic_slice pieces[PULL_PARTS];
		put_result(p, &r);
		for (uint32_t i = 0; i < w->n_parts; i++)
			pieces[i] = slice(w->parts[i].read.ptr, w->parts[i].read.len);
		reply_end_gather(&r, pieces, w->n_parts);
	}
	work_give_back(w);
}

static void pull_answer_spans(struct pull *p, struct pull_work *w)
{
	struct reply r;
	if (!reply_begin(&r, &p->req->ticket, p->code, REPLY_ROOM, 0)) {
		work_give_back(w);
		return;
	}
	put_result(p, &r);
	w->n_unsent = w->n_parts;
	for (uint32_t i = 0; i < w->n_parts; i++)
		w->parts[i].span = (struct mosaic_out_span){
			.next = i + 1 < w->n_parts ? &w->parts[i + 1].span : NULL,
			.ptr = w->parts[i].read.ptr,
			.len = w->parts[i].read.len,
			.release = part_sent,
			.data = w,
		};
	reply_end_spans(&r, &w->parts[0].span, p->bytes);
}

static void pull_answer(struct pull *p, struct pull_work *w)
{
	if (p->n_records == 0 || p->bytes <= COPY_MAX)
		pull_answer_copy(p, w);
	else
		pull_answer_spans(p, w);
	stats_got(p->b->stats, p->topic, p->group, p->n_records, p->bytes);
}

/* Nothing there: hold, when the client and the rules allow it. */
static bool pull_hold(struct pull *p)
{
	return p->code == RES_PULL_NOT_FOUND && p->may_hold && (p->sys_flag & PULL_SUSPEND) &&
	       !p->b->is_closing &&
	       holds_add(p->b->holds, p->req, p->queue, p->offset, p->sub, p->suspend_ms);
}

static void pull_offsets(struct pull *p)
{
	struct offsets *o = p->b->offsets;
	if ((p->sys_flag & PULL_COMMIT_OFFSET) && p->tries == 0 && p->may_hold)
		offsets_commit(o, p->topic, p->group, p->queue_id, p->commit_offset);
	offsets_pulled(o, p->topic, p->group, p->queue_id, p->next);
}

static void pull_read(struct pull *p)
{
	struct pull_work *w = work_take(p->b->pulls);
	int rc = 0;
	int64_t reset = offsets_take_reset(p->b->offsets, p->topic, p->group, p->queue_id);
	if (reset >= 0) {
		pull_status(p, RES_PULL_OFFSET_MOVED, "OFFSET_RESET", reset);
	} else if (pull_locate(p)) {
		rc = pull_collect(p, w);
		if (rc == 0)
			rc = pull_fetch(p, w);
	}
	if (rc == MOSAIC_PENDING)
		return;
	if (rc != 0) { /* nothing is skipped for it: the client asks for the same again */
		pull_unpin(p, w);
		p->n_records = p->bytes = 0;
		pull_status(p, RES_PULL_RETRY_IMMEDIATELY, "MESSAGE_WAS_REMOVING", p->offset);
	}
	if (rc != 0 && rc != MOSAIC_E_NOTFOUND) {
		work_give_back(w);
		reply_remark(&p->req->ticket, RES_SYSTEM_ERROR,
			     "the store cannot read the message: %s", status_text(rc));
		return;
	}
	pull_offsets(p);
	if (pull_hold(p))
		work_give_back(w);
	else
		pull_answer(p, w);
}

static void pull_begin(struct broker *b, const struct request *req, bool may_hold, uint32_t tries)
{
	struct pull p;
	memset(&p, 0, offsetof(struct pull, records));
	p.b = b;
	p.req = req;
	p.may_hold = may_hold;
	p.tries = tries;
	const char *missing = pull_parse(&p, &req->header);
	if (missing != NULL) {
		reply_missing(&req->ticket, missing);
		return;
	}
	if (pull_check(&p)) {
		p.queue = topic_queue(b, p.topic_config, p.queue_id);
		if (p.queue != NULL)
			pull_read(&p);
		else
			reply_remark(&req->ticket, RES_SYSTEM_ERROR,
				     "the store has no memory for this queue");
	}
	if (p.has_own_sub)
		subscription_fini(&p.own_sub);
}

void pull_run_again(struct broker *b, const struct request *req)
{
	pull_begin(b, req, false, 0);
}

void pull_on_message(void *broker, struct request *req)
{
	pull_begin(broker, req, true, 0);
}

struct pulls *pulls_create(struct broker *b)
{
	struct pulls *pulls = mem_alloc(sizeof(*pulls));
	pulls->broker = b;
	return pulls;
}

void pulls_destroy(struct pulls *pulls)
{
	if (pulls == NULL)
		return;
	while (pulls->free_works != NULL) {
		struct pull_work *w = pulls->free_works;
		pulls->free_works = w->next_free;
		free(w);
	}
	free(pulls);
}
