/* Requests of operators that are answered from memory: 28 300 315 321 343. */
#include "broker/admin_requests.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/clients.h"
#include "broker/offsets.h"
#include "broker/sends.h"
#include "broker/stats.h"
#include "log/record_read.h"
#include "wire/codes.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE_UNITS_MAX 1000

/* ---- 28 GET_BROKER_RUNTIME_INFO --------------------------------------------------------- */

static void put_text(struct json_writer *w, const char *name, const char *format, ...)
	PRINTF_LIKE(3, 4);

static void put_text(struct json_writer *w, const char *name, const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	jw_put_cstr(w, name, text);
}

/* Everything in this table is text. */
static void put_number(void *to, const char *name, int64_t value)
{
	put_text(to, name, "%" PRId64, value);
}

static double rate(const struct broker *b, size_t member, uint32_t seconds)
{
	return stats_rate(b->stats, member, seconds);
}

static void put_rates(const struct broker *b, struct json_writer *w, const char *name,
		      size_t member)
{
	put_text(w, name, "%.4f %.4f %.4f", rate(b, member, 10), rate(b, member, 60),
		 rate(b, member, 600));
}

static void put_all_rates(const struct broker *b, struct json_writer *w)
{
	const size_t found = offsetof(struct stats_totals, gets_found);
	const size_t missed = offsetof(struct stats_totals, gets_missed);
	const size_t got = offsetof(struct stats_totals, got_messages);

	put_rates(b, w, "putTps", offsetof(struct stats_totals, put_messages));
	put_rates(b, w, "getFoundTps", found);
	put_rates(b, w, "getMissTps", missed);
	put_text(w, "getTotalTps", "%.4f %.4f %.4f", rate(b, found, 10) + rate(b, missed, 10),
		 rate(b, found, 60) + rate(b, missed, 60),
		 rate(b, found, 600) + rate(b, missed, 600));
	/* Tools of 4.9 know it with one r. */
	put_rates(b, w, "getTransferedTps", got);
	put_rates(b, w, "getTransferredTps", got);
}

static void put_totals(const struct broker *b, struct json_writer *w)
{
	const struct stats_totals *now = &b->stats->now;

	put_number(w, "msgPutTotalTodayNow", (int64_t)now->put_messages);
	put_number(w, "msgPutTotalTodayMorning", 0);
	put_number(w, "msgPutTotalYesterdayMorning", 0);
	put_number(w, "msgGetTotalTodayNow", (int64_t)now->got_messages);
	put_number(w, "msgGetTotalTodayMorning", 0);
	put_number(w, "msgGetTotalYesterdayMorning", 0);
	put_number(w, "putMessageTimesTotal", (int64_t)now->put_messages);
	put_number(w, "putMessageSizeTotal", (int64_t)now->put_bytes);
	put_number(w, "putMessageFailedTimes", (int64_t)now->put_failed);
	put_text(w, "putMessageAverageSize", "%.4f",
		 now->put_messages > 0 ? (double)now->put_bytes / (double)now->put_messages : 0.0);
}

/* There are no thread pools here: what waits is counted, what cannot wait is 0. */
static void put_queues(const struct broker *b, struct json_writer *w)
{
	static const char *const pools[] = { "pull", "litePull", "query", "ack" };
	char name[64];

	put_number(w, "sendThreadPoolQueueSize", sends_parked(b->sends));
	put_number(w, "sendThreadPoolQueueCapacity", b->config.max_parked_sends);
	put_number(w, "sendThreadPoolQueueHeadWaitTimeMills", 0);
	put_number(w, "pullThreadPoolQueueCapacity", b->config.max_held_pulls);
	for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
		snprintf(name, sizeof(name), "%sThreadPoolQueueSize", pools[i]);
		put_number(w, name, 0);
		snprintf(name, sizeof(name), "%sThreadPoolQueueHeadWaitTimeMills", pools[i]);
		put_number(w, name, 0);
	}
	put_number(w, "EndTransactionQueueSize", 0);
	put_number(w, "pageCacheLockTimeMills", 0);
	put_number(w, "timerReadBehind", 0);
	put_number(w, "timerOffsetBehind", 0);
	put_number(w, "timerCongestNum", 0);
	put_text(w, "timerEnqueueTps", "0.0");
	put_text(w, "timerDequeueTps", "0.0");
}

/* Empty while sends are taken. Not by put_text: the reason of a failed disk is long. */
static void put_read_only(const struct broker *b, struct json_writer *w)
{
	const struct log *log = b->log;
	const char *why = "";

	if (log->is_broken)
		why = log->why[0] ? log->why : status_text(MOSAIC_E_FATAL);
	else if (log->retention.is_full)
		why = "the disk is fuller than diskStop allows";
	else if (log->is_out_of_space)
		why = "the disk had no room for the last message";
	jw_put_cstr(w, "mosaicReadOnly", why);
}

static void put_life(const struct broker *b, struct json_writer *w, int64_t earliest_ms)
{
	int64_t up = ((int64_t)host_wall_ms(b->host) - b->boot_ms) / 1000;

	jw_put_cstr(w, "brokerActive", b->log->is_broken ? "false" : "true");
	put_read_only(b, w);
	put_number(w, "bootTimestamp", b->boot_ms);
	put_text(w, "runtime",
		 "[ %" PRId64 " days, %" PRId64 " hours, %" PRId64 " minutes, %" PRId64
		 " seconds ]", up / 86400, up / 3600 % 24, up / 60 % 60, up % 60);
	put_number(w, "brokerVersion", VERSION_V5_3_3);
	jw_put_cstr(w, "brokerVersionDesc", "V5_3_3");
	jw_put_cstr(w, "mosaicVersion", MOSAIC_VERSION);
	put_number(w, "startAcceptSendRequestTimeStamp", 0);
	put_number(w, "commitLogMinOffset", (int64_t)b->log->begin);
	put_number(w, "commitLogMaxOffset", (int64_t)b->log->end);
	put_number(w, "dispatchBehindBytes", 0);
	put_text(w, "remainHowManyDataToFlush", "%" PRIu64 " B",
		 b->log->end > b->log->durable ? b->log->end - b->log->durable : 0);
	put_number(w, "earliestMessageTimeStamp", earliest_ms);
	if (b->log->retention.used_percent > 0) { /* both lie on the same disk */
		double used = b->log->retention.used_percent / 100.0;
		put_text(w, "commitLogDiskRatio", "%.2f", used);
		put_text(w, "consumeQueueDiskRatio", "%.2f", used);
	}
	put_number(w, "mosaicSegmentsDeleted", (int64_t)b->log->retention.stats.segments);
	put_number(w, "mosaicBytesDeleted", (int64_t)b->log->retention.stats.bytes);
	put_number(w, "mosaicMessagesDamaged", (int64_t)b->log->stats.damaged);
}

static void answer_runtime_info(struct broker *b, const struct ticket *to, int64_t earliest_ms)
{
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	jw_object(&w);
	jw_key(&w, "table");
	jw_object(&w);
	put_life(b, &w, earliest_ms);
	put_all_rates(b, &w);
	put_totals(b, &w);
	put_queues(b, &w);
	if (b->config.runtime_info)
		b->config.runtime_info(b->config.runtime_info_ctx, put_number, &w);
	jw_object_end(&w);
	jw_object_end(&w);
	reply_body(to, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

struct info_answer {
	struct broker *broker;
	struct ticket ticket;
	struct record_read first;
};

static void first_read(struct record_read *r)
{
	struct info_answer *a = r->data;
	int64_t earliest_ms = r->status == 0 ? r->m.store_ms : -1;

	if (r->status == 0)
		record_unpin(r);
	answer_runtime_info(a->broker, &a->ticket, earliest_ms);
	ticket_drop(&a->ticket);
	free(a);
}

void admin_on_runtime_info(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct info_answer *a;
	int rc;

	if (b->log->begin == b->log->end) {
		answer_runtime_info(b, &req->ticket, -1);
		return;
	}
	a = mem_alloc(sizeof(*a));
	a->broker = b;
	a->ticket = ticket_keep(&req->ticket);
	a->first.done = first_read;
	a->first.data = a;
	rc = record_read(b->log, b->log->begin, &a->first);
	if (rc == MOSAIC_PENDING)
		return;
	a->first.status = rc;
	first_read(&a->first);
}

/* ---- 300, 343 --------------------------------------------------------------------------- */

/* A list of names without repetition. */
struct names {
	struct map seen;
	struct json_writer w;
};

static void add_name(void *ctx, struct mosaic_slice name)
{
	struct names *names = ctx;

	if (!map_put(&names->seen, name, names))
		jw_str(&names->w, name);
}

/* The groups that subscribe to a topic now or have offsets of it. */
void admin_on_who_consumes(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *topic = header_find(&req->header, "topic");
	struct buf body = BUF_INIT;
	struct names names = { 0 };
	struct map_entry *e;

	if (!topic) {
		reply_missing(&req->ticket, "topic");
		return;
	}
	jw_init(&names.w, &body);
	jw_object(&names.w);
	jw_key(&names.w, "groupList");
	jw_array(&names.w);
	for (uint32_t pos = 0; (e = map_next(&b->clients->consumers, &pos)) != NULL;)
		if (consumer_group_subscription(e->value, *topic))
			add_name(&names, e->key);
	if (topic->len > 0)
		offsets_each_group(b->offsets, *topic, add_name, &names);
	jw_array_end(&names.w);
	jw_object_end(&names.w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	map_free(&names.seen);
	buf_free(&body);
}

/* The topics a group has offsets of. */
void admin_on_topics_of_group(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "group");
	struct buf body = BUF_INIT;
	struct names names = { 0 };

	if (!group) {
		reply_missing(&req->ticket, "group");
		return;
	}
	jw_init(&names.w, &body);
	jw_object(&names.w);
	jw_put_cstr(&names.w, "brokerAddr", b->config.address);
	jw_key(&names.w, "topicList");
	jw_array(&names.w);
	if (group->len > 0)
		offsets_each_topic(b->offsets, *group, add_name, &names);
	jw_array_end(&names.w);
	jw_object_end(&names.w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	map_free(&names.seen);
	buf_free(&body);
}

/* ---- 315 VIEW_BROKER_STATS_DATA --------------------------------------------------------- */

static void write_span(const struct broker_stats *s, const struct stats_item *item,
		       enum stats_span span, uint32_t column, struct json_writer *w)
{
	uint64_t sums[3];
	uint32_t seconds;
	char text[64];

	stats_item_sums(s, item, span, sums, &seconds);
	jw_object(w);
	jw_key(w, "avgpt");
	snprintf(text, sizeof(text), "%.4f",
		 sums[2] > 0 ? (double)sums[column] / (double)sums[2] : 0.0);
	jw_raw(w, slice_str(text));
	jw_put_i64(w, "sum", (int64_t)sums[column]);
	jw_key(w, "tps");
	snprintf(text, sizeof(text), "%.4f", (double)sums[column] / seconds);
	jw_raw(w, slice_str(text));
	jw_object_end(w);
}

static const struct stats_item *find_stats(const struct broker *b, struct mosaic_slice name,
					   struct mosaic_slice key, uint32_t *column)
{
	static const struct {
		const char *name;
		bool is_get;
		uint32_t column; /* of stats_item_sums */
	} known[] = {
		{ "TOPIC_PUT_NUMS", false, 0 },
		{ "TOPIC_PUT_SIZE", false, 1 },
		{ "GROUP_GET_NUMS", true, 0 },
		{ "GROUP_GET_SIZE", true, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!slice_is(name, known[i].name))
			continue;
		*column = known[i].column;
		return map_get(known[i].is_get ? &b->stats->gets : &b->stats->puts, key);
	}
	return NULL;
}

void admin_on_stats_item(void *broker, struct request *req)
{
	static const char *const spans[] = { "statsMinute", "statsHour", "statsDay" };
	struct broker *b = broker;
	const struct mosaic_slice *name = header_find(&req->header, "statsName");
	const struct mosaic_slice *key = header_find(&req->header, "statsKey");
	const struct stats_item *item;
	struct buf body = BUF_INIT;
	struct json_writer w;
	uint32_t column = 0;

	if (!name || !key) {
		reply_missing(&req->ticket, name ? "statsKey" : "statsName");
		return;
	}
	item = key->len > 0 ? find_stats(b, *name, *key, &column) : NULL;
	if (!item) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "The stats <%.*s> <%.*s> not exist",
			     SLICE_ARG(*name), SLICE_ARG(*key));
		return;
	}
	jw_init(&w, &body);
	jw_object(&w);
	for (int span = STATS_DAY; span >= STATS_MINUTE; span--) {
		jw_key(&w, spans[span]);
		write_span(b->stats, item, (enum stats_span)span, column, &w);
	}
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

/* ---- 321 QUERY_CONSUME_QUEUE ------------------------------------------------------------ */

struct units_answer {
	struct broker *broker;
	struct ticket ticket;
	struct queue *queue;
	struct mosaic_read read;
	char *group;
	int32_t count;
};

static void write_units(const struct units_answer *a, const struct subscription *sub,
			struct json_writer *w)
{
	jw_key(w, "queueData");
	jw_array(w);
	for (uint32_t at = 0; at + QUEUE_UNIT_BYTES <= a->read.len; at += QUEUE_UNIT_BYTES) {
		struct queue_unit unit;

		queue_unit_decode(a->read.ptr + at, &unit);
		jw_object(w);
		jw_put_bool(w, "eval", sub && subscription_matches(sub, unit.tags_code));
		jw_put_i64(w, "physicOffset", (int64_t)unit.phys_offset);
		jw_put_i64(w, "physicSize", unit.size);
		jw_put_i64(w, "tagsCode", unit.tags_code);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void units_read(struct mosaic_req *req)
{
	struct units_answer *a = req->data;
	const struct consumer_group *g =
		clients_consumers(a->broker->clients, slice_str(a->group));
	const struct subscription *sub =
		g ? consumer_group_subscription(g, queue_topic(a->queue)) : NULL;
	struct buf body = BUF_INIT;
	struct json_writer w;

	if (req->status != 0)
		a->read.len = 0;
	jw_init(&w, &body);
	jw_object(&w);
	jw_put_cstr(&w, "filterData", "null");
	jw_put_i64(&w, "maxQueueIndex", a->queue->visible);
	jw_put_i64(&w, "minQueueIndex", a->queue->min_offset);
	write_units(a, sub, &w);
	if (sub) {
		jw_key(&w, "subscriptionData");
		subscription_write(sub, &w);
	}
	jw_object_end(&w);
	if (req->status == 0)
		queue_unpin(a->queue, &a->read);
	reply_body(&a->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
	ticket_drop(&a->ticket);
	free(a->group);
	free(a);
}

void admin_on_query_queue(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_slice topic = header_str(&req->header, "topic");
	struct units_answer *a;
	int32_t queue_id, count;
	struct queue *q = NULL;
	int64_t index;
	int rc;

	if (header_i32(&req->header, "queueId", &queue_id) != 0 ||
	    header_i64(&req->header, "index", &index) != 0 ||
	    header_i32(&req->header, "count", &count) != 0 || topic.len == 0) {
		reply_missing(&req->ticket, "topic, queueId, index or count");
		return;
	}
	if (queue_id >= 0)
		q = log_queue_find(b->log, topic, queue_id);
	if (!q) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%d@%.*s is not exist!", queue_id,
			     SLICE_ARG(topic));
		return;
	}
	a = mem_alloc(sizeof(*a));
	a->broker = b;
	a->ticket = ticket_keep(&req->ticket);
	a->queue = q;
	a->group = slice_dup(header_str(&req->header, "consumerGroup"));
	a->read.req.done = units_read;
	a->read.req.data = a;
	count = count < 1 ? 1 : count > QUEUE_UNITS_MAX ? QUEUE_UNITS_MAX : count;
	rc = queue_read(q, index, (uint32_t)count, &a->read);
	if (rc == MOSAIC_PENDING)
		return;
	a->read.req.status = rc;
	units_read(&a->read.req);
}

/* ---- 306, 329 --------------------------------------------------------------------------- */

/* Queues follow the log by themselves. */
void admin_on_clean_queues(void *broker, struct request *req)
{
	(void)broker;
	reply_code(&req->ticket, RES_SUCCESS);
}

void admin_on_delete_expired(void *broker, struct request *req)
{
	struct broker *b = broker;

	retention_now(&b->log->retention);
	reply_code(&req->ticket, RES_SUCCESS);
}
