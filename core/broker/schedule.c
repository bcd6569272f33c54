/*
 * Delay levels: each level has a cursor over its queue of SCHEDULE_TOPIC_XXXX. Messages of one
 * level become due in order of their arrival, so a cursor waits for one message only.
 *
 *   level_run       looks at the unit under the cursor: not due yet, or its record is read
 *   level_deliver   a copy goes to the real topic, the cursor moves on
 *
 * Cursors are saved each 5 s (delayOffset.json): after a crash messages may be delivered again,
 * never lost. Where acknowledgements wait for the disk, a cursor is saved only when the copies
 * before it are durable too: else a power cut could keep the cursor and lose the copy. One timer
 * wakes the level that is due first; an arrival in an idle level arms it.
 */
#include "broker/schedule.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "broker/docs.h"
#include "broker/sends.h"
#include "broker/topics.h"
#include "log/delay.h"
#include "log/record_read.h"
#include "wire/json.h"
#include <stdlib.h>

/* At most so many deliveries of a level in a row: the loop serves others in between. */
#define RUN_MAX 64
/* When the log has no room or is broken, the level tries again after this. */
#define RETRY_NS (100 * MS_NS)

struct level {
	struct schedule *schedule;
	struct queue *queue;
	struct mosaic_timer timer;
	int64_t cursor; /* queue offset of the next message to deliver */
	int64_t seen;   /* the cursor when the log ended at schedule.seen_end */
	int64_t safe;   /* may be saved: the copies before it survive what an ack survives */
	bool is_reading;
	uint64_t n_lost; /* messages right before the cursor that cannot be read */
	uint64_t lost_at; /* where the first of them lies */
	int lost_why;
	struct queue_unit unit;
	struct mosaic_read units;
	struct record_read record;
};

struct schedule {
	struct broker *broker;
	bool started, stopped;
	uint64_t seen_end;
	struct level levels[DELAY_LEVELS];
};

static void level_run(struct level *l);

int64_t schedule_delay_ms(int32_t level)
{
	return delay_level_ms(level > DELAY_LEVELS ? DELAY_LEVELS : level);
}

static void level_arm(struct level *l, uint64_t delay_ns)
{
	const struct mosaic_host *host = l->schedule->broker->host;
	if (!l->schedule->stopped)
		host->timer_start(host, &l->timer, delay_ns);
}

/* Where the message is bound for. False: nowhere any more, it is skipped. */
static bool level_target(struct broker *b, const struct message *m, struct message *copy)
{
	int32_t queue_id = 0;
	struct mosaic_slice name = props_find(m->props, PROP_REAL_TOPIC);
	struct topic *topic = name.ptr ? topics_find(b->topics, name) : NULL;
	if (topic == NULL || topic_queue_count(topic) == 0) {
		LOG_WARN(b->host, "delayed_message_skipped",
			 "offset=%lld topic=%.*s reason=\"its topic is not there any more\"",
			 (long long)m->phys_offset, SLICE_ARG(name));
		return false;
	}
	(void)num_parse_i32(props_find(m->props, PROP_REAL_QUEUE_ID), &queue_id);
	*copy = *m;
	copy->topic = slice(topic->name, topic->name_len);
	copy->queue_id = queue_id >= 0 && queue_id < topic_queue_count(topic) ? queue_id : 0;
	copy->sys_flag &= ~(SYS_BORN_HOST_V6 | SYS_STORE_HOST_V6);
	return true;
}

/* One line for a run of messages that are lost, when it ends. */
static void level_tell_lost(struct level *l)
{
	if (l->n_lost == 0)
		return;
	LOG_WARN(l->schedule->broker->host, "delayed_message_lost",
		 "level=%d messages=%llu first_offset=%llu reason=\"%s\"", l->queue->queue_id + 1,
		 (unsigned long long)l->n_lost, (unsigned long long)l->lost_at,
		 status_text(l->lost_why));
	l->n_lost = 0;
}

/* 0: the cursor may move on. */
static int level_deliver(struct level *l)
{
	struct broker *b = l->schedule->broker;
	struct message copy;
	uint64_t end;
	level_tell_lost(l);
	/* On disk the copy keeps DELAY, REAL_TOPIC and REAL_QID, as Apache's does. */
	int rc = level_target(b, &l->record.m, &copy) ? sends_append(b, &copy, &end) : 0;
	if (rc == 0) {
		l->cursor++;
		docs_dirty(b->docs, DOC_DELAY_OFFSETS);
	}
	return rc;
}

static void level_fetched(struct record_read *record)
{
	struct level *l = record->data;
	struct broker *b = l->schedule->broker;
	l->is_reading = false;
	if (record->status == 0) {
		int rc = level_deliver(l);
		record_unpin(record);
		if (rc != 0) {
			level_arm(l, RETRY_NS);
			return;
		}
	} else {
		level_arm(l, RETRY_NS);
		return;
	}
	level_run(l);
	broker_burst_end(b);
}

static void level_unit_fetched(struct mosaic_req *req)
{
	struct level *l = req->data;
	l->is_reading = false;
	if (req->status == 0)
		queue_unpin(l->queue, &l->units);
	level_arm(l, req->status == 0 ? 0 : RETRY_NS);
}

/* The unit under the cursor. 0; MOSAIC_PENDING; E_NOTFOUND when the cursor is at the end. */
static int level_unit(struct level *l)
{
	if (l->cursor < l->queue->min_offset)
		l->cursor = l->queue->min_offset;
	if (l->cursor >= l->queue->visible)
		return MOSAIC_E_NOTFOUND;
	l->units.req.done = level_unit_fetched;
	l->units.req.data = l;
	int rc = queue_read(l->queue, l->cursor, 1, &l->units);
	if (rc == 0) {
		queue_unit_decode(l->units.ptr, &l->unit);
		queue_unpin(l->queue, &l->units);
	}
	return rc;
}

/* Milliseconds until the message under the cursor is due; 0 or less: now. */
static int64_t level_due_in(const struct level *l)
{
	int64_t now = (int64_t)host_wall_ms(l->schedule->broker->host);
	int64_t delay = schedule_delay_ms(l->queue->queue_id + 1);
	int64_t left = l->unit.tags_code - now;
	/* The clock was set back: nobody waits longer than the level says. */
	return left > delay ? 0 : left;
}

static void level_lose(struct level *l, int why)
{
	if (l->n_lost++ == 0) {
		l->lost_at = l->unit.phys_offset;
		l->lost_why = why;
	}
	l->cursor++;
}

/* One message. 0: delivered, look at the next; else the level waits (timer or read). */
static int level_step(struct level *l)
{
	int rc = level_unit(l);
	if (rc == MOSAIC_PENDING) {
		l->is_reading = true;
		return rc;
	}
	if (rc != 0)
		return rc; /* at the end: an arrival arms the level */
	int64_t left = level_due_in(l);
	if (left > 0) {
		level_arm(l, (uint64_t)left * MS_NS);
		return MOSAIC_E_AGAIN;
	}
	l->record.done = level_fetched;
	l->record.data = l;
	rc = record_read(l->schedule->broker->log, l->unit.phys_offset, &l->record);
	if (rc == MOSAIC_PENDING) {
		l->is_reading = true;
		return rc;
	}
	if (rc == MOSAIC_E_NOTFOUND || rc == MOSAIC_E_CORRUPT) {
		level_lose(l, rc);
		return 0;
	}
	if (rc == 0) {
		rc = level_deliver(l);
		record_unpin(&l->record);
	}
	if (rc != 0)
		level_arm(l, RETRY_NS);
	return rc;
}

static void level_run(struct level *l)
{
	int rc = 0;
	if (l->is_reading || l->schedule->stopped)
		return;
	for (uint32_t i = 0; i < RUN_MAX && rc == 0; i++)
		rc = level_step(l);
	if (rc == 0)
		level_arm(l, 0);
	else if (rc != MOSAIC_PENDING)
		level_tell_lost(l);
}

static void level_fire(struct mosaic_timer *timer)
{
	struct level *l = timer->data;
	level_run(l);
	broker_burst_end(l->schedule->broker);
}

void schedule_arrived(struct schedule *s, const struct queue *queue)
{
	struct level *l = &s->levels[queue->queue_id];
	if (s->started && !l->is_reading && l->timer.due_ns == 0)
		level_arm(l, 0);
}

struct schedule *schedule_create(struct broker *b)
{
	struct schedule *s = mem_alloc(sizeof(*s));
	s->broker = b;
	for (uint32_t i = 0; i < DELAY_LEVELS; i++) {
		s->levels[i].schedule = s;
		s->levels[i].timer.fire = level_fire;
		s->levels[i].timer.data = &s->levels[i];
	}
	return s;
}

void schedule_start(struct schedule *s)
{
	s->started = true;
	for (int32_t i = 0; i < DELAY_LEVELS; i++) {
		struct level *l = &s->levels[i];
		l->queue = log_queue(s->broker->log, slice_str(TOPIC_SCHEDULE), i);
		if (l->cursor > l->queue->visible)
			l->cursor = l->queue->visible; /* the log lost its tail */
		level_arm(l, 0);
	}
}

void schedule_stop(struct schedule *s)
{
	const struct mosaic_host *host = s->broker->host;
	s->stopped = true;
	for (uint32_t i = 0; i < DELAY_LEVELS; i++) {
		host->timer_stop(host, &s->levels[i].timer);
		level_tell_lost(&s->levels[i]);
	}
}

void schedule_destroy(struct schedule *s)
{
	free(s);
}

/* Moves the safe cursors on as far as the log is durable. At a stop the log is durable already. */
static void settle(struct schedule *s)
{
	const struct log *log = s->broker->log;
	bool waits = log->config.flush_gates && !s->stopped;
	bool moves = !waits || log->gate.durable >= s->seen_end;
	bool is_behind = false;
	for (uint32_t i = 0; i < DELAY_LEVELS; i++) {
		struct level *l = &s->levels[i];
		if (moves) {
			l->safe = waits ? l->seen : l->cursor;
			l->seen = l->cursor;
		}
		is_behind = is_behind || l->safe != l->cursor;
	}
	if (moves)
		s->seen_end = log->end;
	if (is_behind)
		docs_dirty(s->broker->docs, DOC_DELAY_OFFSETS);
}

int64_t schedule_safe(const struct schedule *s, int32_t level)
{
	return s->levels[level - 1].safe;
}

void schedule_save(struct schedule *s, struct buf *out)
{
	struct json_writer w;
	settle(s);
	jw_init_pretty(&w, out);
	jw_object(&w);
	jw_key(&w, "offsetTable");
	jw_object(&w);
	for (uint32_t i = 0; i < DELAY_LEVELS; i++)
		if (s->levels[i].safe > 0) {
			jw_key_int(&w, i + 1);
			jw_i64(&w, s->levels[i].safe);
		}
	jw_object_end(&w);
	jw_object_end(&w);
}

int schedule_load(struct schedule *s, struct mosaic_slice text, struct mosaic_error *err)
{
	json_t *root = json_read(text, err);
	if (root == NULL)
		return err->code;
	json_t *table = json_object_get(root, "offsetTable");
	for (int32_t i = 0; i < DELAY_LEVELS; i++) {
		char key[8];
		key[num_format_i64((uint8_t *)key, i + 1)] = 0;
		int64_t cursor = json_get_i64(table, key, 0);
		s->levels[i].cursor = cursor > 0 ? cursor : 0;
		s->levels[i].seen = s->levels[i].safe = s->levels[i].cursor;
	}
	json_decref(root);
	return 0;
}
