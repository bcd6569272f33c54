/*
 * One pull, read top to bottom:
 *
 *   pull_on_message   fields of the header
 *   pull_check        broker, group, topic, queue, subscription
 *   pull_run          the messages and their bytes (gather.c)
 *   pull_answer       header, then the lent bytes, without a copy when they are large
 *
 * Failure modes: a refused check answers with RocketMQ's code and remark; cold data keeps the
 * request and runs it again when the store has fetched it (pull_warmed); nothing there holds the
 * pull (hold.c).
 */
#include "broker/pulls.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/clients.h"
#include "broker/gather.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/stats.h"
#include "broker/topics.h"
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

/* Answers up to this size are copied behind the header: cheaper than a span per message. */
#define COPY_MAX 4096
/* Each try warms at least one of the pieces of a pull: the units, then the records one by one. A
 * pull whose data keeps going cold again is told to come again. */
#define COLD_TRIES (GATHER_COUNT_MAX + 8)
#define ALWAYS INT32_MAX

enum forbidden_type {
	FORBIDDEN_BROKER = 1,
	FORBIDDEN_GROUP = 2,
	FORBIDDEN_TOPIC = 3,
	FORBIDDEN_BROADCAST = 4,
	FORBIDDEN_SUBSCRIPTION = 5
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
};

/*
 * What outlives the call of a pull: bytes lent by the store, until the transport has written them,
 * or the read that pends, together with the request that will run again. Pooled.
 */
struct pull_work {
	struct pull_work *next_free;
	struct pulls *pulls;
	struct kept_request *kept; /* waits for cold bytes */
	bool may_hold;
	uint32_t tries;
	struct gather gather;
	uint32_t n_unsent;
	struct mosaic_out_span spans[GATHER_PIECES_MAX]; /* of the gather's pieces */
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

/* -- what outlives the call ------------------------------------------------------------------- */

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
	gather_release(&w->gather);
	w->next_free = w->pulls->free_works;
	w->pulls->free_works = w;
}

/* A read pends: the request is kept until pull_warmed. */
static void pull_wait_warm(const struct pull *p, struct pull_work *w)
{
	w->may_hold = p->may_hold;
	w->tries = p->tries + 1;
	w->kept = request_keep(p->req);
	ASSERT(w->kept != NULL); /* a pull is small: a header and a topic name */
}

/* -- answering --------------------------------------------------------------------------------- */

static void pull_put_result(const struct pull *p, const struct gather *g, struct reply *r)
{
	header_put_i64(&r->w, "suggestWhichBrokerId", 0);
	header_put_i64(&r->w, "nextBeginOffset", g->next);
	header_put_i64(&r->w, "minOffset", p->queue->min_offset);
	header_put_i64(&r->w, "maxOffset", p->queue->visible);
	header_put_i64(&r->w, "topicSysFlag", p->topic_config->sys_flag);
	header_put_i64(&r->w, "groupSysFlag", p->group_config->sys_flag);
	header_put_remark(&r->w, slice_str(g->remark));
}

/* The body copied behind the header: for small answers cheaper than a span for each piece. */
static void pull_answer_copy(const struct pull *p, struct pull_work *w)
{
	const struct gather *g = &w->gather;
	struct reply r;
	if (reply_begin(&r, &p->req->ticket, g->code, REPLY_ROOM, g->n_bytes)) {
		struct mosaic_slice pieces[GATHER_PIECES_MAX];
		pull_put_result(p, g, &r);
		for (uint32_t i = 0; i < g->n_pieces; i++)
			pieces[i] = slice(g->pieces[i].ptr, g->pieces[i].len);
		reply_end_gather(&r, pieces, g->n_pieces);
	}
	work_give_back(w);
}

static void span_sent(struct mosaic_out_span *span)
{
	struct pull_work *w = span->data;
	if (--w->n_unsent == 0)
		work_give_back(w);
}

static void pull_answer_spans(const struct pull *p, struct pull_work *w)
{
	const struct gather *g = &w->gather;
	struct reply r;
	if (!reply_begin(&r, &p->req->ticket, g->code, REPLY_ROOM, 0)) {
		work_give_back(w);
		return;
	}
	pull_put_result(p, g, &r);
	w->n_unsent = g->n_pieces;
	for (uint32_t i = 0; i < g->n_pieces; i++)
		w->spans[i] = (struct mosaic_out_span){
			.next = i + 1 < g->n_pieces ? &w->spans[i + 1] : NULL,
			.ptr = g->pieces[i].ptr,
			.len = g->pieces[i].len,
			.release = span_sent,
			.data = w,
		};
	reply_end_spans(&r, w->spans, g->n_bytes);
}

static void pull_answer(const struct pull *p, struct pull_work *w)
{
	const struct gather *g = &w->gather;
	stats_got(p->b->stats, p->topic, p->group, g->n_records, g->n_bytes);
	if (g->n_records == 0 || g->n_bytes <= COPY_MAX)
		pull_answer_copy(p, w);
	else
		pull_answer_spans(p, w);
}

/* Nothing there: hold, when the client and the rules allow it. */
static bool pull_hold(const struct pull *p, int32_t code)
{
	return code == RES_PULL_NOT_FOUND && p->may_hold && (p->sys_flag & PULL_SUSPEND) &&
	       !p->b->is_closing &&
	       holds_add(p->b->holds, p->req, p->queue, p->offset, p->sub, p->suspend_ms);
}

static void pull_offsets(const struct pull *p, int64_t next)
{
	struct offsets *o = p->b->offsets;
	if ((p->sys_flag & PULL_COMMIT_OFFSET) && p->tries == 0 && p->may_hold)
		offsets_commit(o, p->topic, p->group, p->queue_id, p->commit_offset);
	offsets_pulled(o, p->topic, p->group, p->queue_id, next);
}

/* -- running ----------------------------------------------------------------------------------- */

static void pull_warmed(struct gather *g, int32_t status);

static int pull_gather(const struct pull *p, struct gather *g)
{
	int64_t reset = offsets_take_reset(p->b->offsets, p->topic, p->group, p->queue_id);
	g->want = (struct gather_want){
		.log = p->b->log,
		.memory_bytes = p->b->config.memory_bytes,
		.was_cold = p->tries > 0,
		.topic = p->topic,
		.queue_id = p->queue_id,
		.queue = p->queue,
		.sub = p->sub,
		.offset = p->offset,
		.max_count = p->max_count,
		.max_bytes = p->max_bytes,
	};
	g->warmed = pull_warmed;
	if (reset < 0)
		return gather_run(g);
	gather_nothing(g, RES_PULL_OFFSET_MOVED, "OFFSET_RESET", reset);
	return 0;
}

static void pull_run(const struct pull *p)
{
	struct pull_work *w = work_take(p->b->pulls);
	int rc = pull_gather(p, &w->gather);
	if (rc == MOSAIC_PENDING) {
		pull_wait_warm(p, w);
		return;
	}
	if (rc != 0) {
		work_give_back(w);
		reply_remark(&p->req->ticket, RES_SYSTEM_ERROR,
			     "the store cannot read the message: %s", status_text(rc));
		return;
	}
	pull_offsets(p, w->gather.next);
	if (pull_hold(p, w->gather.code))
		work_give_back(w);
	else
		pull_answer(p, w);
}

static void pull_begin(struct broker *b, const struct request *req, bool may_hold, uint32_t tries)
{
	struct pull p = { .b = b, .req = req, .may_hold = may_hold, .tries = tries };
	const char *missing = pull_parse(&p, &req->header);
	if (missing != NULL) {
		reply_missing(&req->ticket, missing);
		return;
	}
	if (pull_check(&p)) {
		p.queue = topic_queue(b, p.topic_config, p.queue_id);
		if (p.queue != NULL)
			pull_run(&p);
		else
			reply_remark(&req->ticket, RES_SYSTEM_ERROR,
				     "the store has no memory for this queue");
	}
	if (p.has_own_sub)
		subscription_fini(&p.own_sub);
}

/* The store has fetched what was cold: the pull runs again from its start. */
static void pull_warmed(struct gather *g, int32_t status)
{
	struct pull_work *w = CONTAINER_OF(g, struct pull_work, gather);
	struct broker *b = w->pulls->broker;
	struct kept_request *kept = w->kept;
	bool may_hold = w->may_hold;
	uint32_t tries = w->tries;
	w->kept = NULL;
	work_give_back(w);
	if (tries > COLD_TRIES)
		reply_remark(&kept->req.ticket, RES_SYSTEM_BUSY,
			     "the data goes cold faster than it can be read, try again");
	else if (status == 0)
		pull_begin(b, &kept->req, may_hold, tries);
	else
		reply_remark(&kept->req.ticket, RES_SYSTEM_ERROR,
			     "the store cannot read the message: %s", status_text(status));
	kept_request_free(kept);
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
