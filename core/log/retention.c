/*
 * One round, each step of which is run again from its start when what it waited for has come:
 *
 *   expire     queues whose topic has a shorter time: their first offset moves
 *   measure    how full is the disk, how old the oldest segment
 *   decide     does it go, and why; appends are refused or taken again
 *   hold       does somebody still want it
 *   secure     units of its records are on the disk: from then on they alone know the next offset
 *   delete     the store deletes it, the log begins later
 *   follow     queues whose first record is gone: first offset, files
 *   ... and measure again after the pause, until nothing goes
 *
 * Failure modes: a store that cannot say how full it is leaves the rule by size; a failed read of a
 * unit ends the round, and the next one tries again; a file that cannot be deleted is the store's
 * to report, the log begins later all the same.
 */
#include "log/retention.h"

#include "base/err.h"
#include "base/mem.h"
#include "log/log_priv.h"
#include <inttypes.h>
#include <stdlib.h>

/* RocketMQ's first look comes a minute after the start. */
#define FIRST_INTERVALS 6
#define MANUAL_ROUNDS 20
/* Others get their turn after so many queues. */
#define WALK_QUEUES 512

static void expire(struct retention *r);
static void measure(struct retention *r);
static void decide(struct retention *r);
static void hold(struct retention *r);
static void secure(struct retention *r);
static void delete_segment(struct retention *r);
static void follow(struct retention *r);
static void round_end(struct retention *r);

/* ---- how steps wait ---- */

static void run(struct retention *r)
{
	if (r->is_stopped || r->log->is_broken)
		round_end(r);
	else
		r->step(r);
}

static void next_step(struct retention *r, void (*step)(struct retention *r))
{
	r->step = step;
	run(r);
}

static void waited(struct mosaic_req *req)
{
	struct retention *r = req->data;
	r->is_waiting = false;
	run(r);
}

static struct mosaic_req *wait_for(struct retention *r)
{
	ASSERT(!r->is_waiting);
	r->is_waiting = true;
	r->wait = (struct mosaic_req){ .done = waited, .data = r };
	return &r->wait;
}

static void units_read(struct cursor *c)
{
	run(c->data);
}

/* ---- walks over the queues ---- */

static void walk_begin(struct retention *r)
{
	const struct log *log = r->log;
	struct map_entry *entry;
	free(r->queues);
	r->queues = mem_alloc((map_count(&log->queues) + 1) * sizeof(struct queue *));
	r->n_queues = r->at = r->looked = 0;
	r->has_bounds = r->has_searched = false;
	for (uint32_t pos = 0; (entry = map_next(&log->queues, &pos)) != NULL;)
		r->queues[r->n_queues++] = entry->value;
}

static void walk_on(struct retention *r)
{
	cursor_drop(&r->units); /* a dropped queue's stream may live on as another one */
	r->at++;
	r->looked++;
	r->has_bounds = r->has_searched = false;
}

/* The queue that the walk is at; NULL: it is over, or the step must return, *pauses. */
static struct queue *walk_queue(struct retention *r, bool *pauses)
{
	*pauses = false;
	while (r->at < r->n_queues && r->queues[r->at]->is_dropped)
		walk_on(r);
	if (r->at == r->n_queues)
		return NULL;
	if (r->looked < WALK_QUEUES)
		return r->queues[r->at];
	r->looked = 0;
	*pauses = true;
	r->log->host->post(r->log->host, wait_for(r));
	return NULL;
}

/* False: the step must return, or the round has ended. */
static bool has_unit(struct retention *r, int rc, const struct queue *q)
{
	if (rc >= 0)
		return rc == 0;
	LOG_WARN(r->log->host, "retention_failed", "topic=%s queue=%d reason=\"%s\"", q->topic,
		 q->queue_id, status_text(rc));
	round_end(r);
	return false;
}

/* Where the record of the queue's first unit is, which must be there. */
static int first_phys(struct retention *r, struct queue *q)
{
	struct queue_unit unit;
	if (q->min_phys != UINT64_MAX)
		return 0;
	int rc = queue_unit_at(&r->units, q, q->min_offset, &unit);
	if (rc == 0)
		q->min_phys = unit.size == QUEUE_FILLER_SIZE ? 0 : unit.phys_offset;
	return rc;
}

static void set_first(struct queue *q, int64_t index)
{
	if (index == q->min_offset)
		return;
	q->min_offset = index;
	q->min_phys = UINT64_MAX;
}

/* Files of the queue that are wholly below its first unit. One stays, or the next offset would be
 * forgotten with it. True: they are being deleted. */
static bool trim_files(struct retention *r, struct queue *q)
{
	const struct mosaic_store_ops *ops = r->log->config.store_ops;
	struct mosaic_stream_info info;
	int64_t keep = q->min_offset < q->max_offset ? q->min_offset : q->max_offset - 1;
	ops->stream_info(q->stream, &info);
	if (keep <= 0 || info.segment_bytes == 0 ||
	    (uint64_t)keep * QUEUE_UNIT_BYTES / info.segment_bytes <=
		    info.begin / info.segment_bytes)
		return false;
	cursor_drop(&r->units);
	int rc = ops->trim(q->stream, (uint64_t)keep * QUEUE_UNIT_BYTES, wait_for(r));
	if (rc >= 0)
		return true;
	r->is_waiting = false;
	return false;
}

/* ---- topics with a shorter time ---- */

static bool has_shorter_time(const struct retention *r, const struct queue *q)
{
	return q->wish.keep_ms > 0 && (uint64_t)q->wish.keep_ms < r->now_ms &&
	       q->min_offset < q->visible;
}

static void expire(struct retention *r)
{
	struct queue *q;
	bool pauses;
	while ((q = walk_queue(r, &pauses)) != NULL) {
		if (!r->has_searched && has_shorter_time(r, q)) {
			r->has_searched = true;
			r->search = (struct queue_search){
				.req = { .done = waited, .data = r, .status = 0 },
				.timestamp_ms = (int64_t)r->now_ms - q->wish.keep_ms,
			};
			r->search.req.status = queue_search(q, &r->search);
			r->is_waiting = r->search.req.status == MOSAIC_PENDING;
			if (r->is_waiting)
				return;
		}
		if (r->has_searched && r->search.req.status == 0 &&
		    r->search.offset > q->min_offset) {
			set_first(q, r->search.offset);
			if (trim_files(r, q))
				return;
		}
		walk_on(r);
	}
	if (!pauses)
		next_step(r, measure);
}

/* ---- measure, decide ---- */

static void measured(struct mosaic_req *req)
{
	struct retention *r = req->data;
	if (req->status < 0)
		r->space.total = r->space.oldest_ms = 0;
	r->is_waiting = false;
	next_step(r, decide);
}

static void measure(struct retention *r)
{
	const struct log_config *config = &r->log->config;
	r->space = (struct mosaic_space){ .req = { .done = measured, .data = r } };
	r->is_waiting = true;
	int rc = config->store_ops->space ? config->store_ops->space(config->store, &r->space)
					  : MOSAIC_E_UNSUPPORTED;
	if (rc < 0) {
		r->space.req.status = rc;
		measured(&r->space.req);
	}
}

/* Rounded up, as UtilAll.getDiskPartitionSpaceUsedPercent does. */
static uint32_t percent_of(const struct mosaic_space *space)
{
	if (space->total == 0)
		return 0;
	double percent = (double)space->used * 100 / (double)space->total;
	uint32_t whole = (uint32_t)percent;
	return whole + (percent > whole);
}

static bool is_above(const struct retention *r, int64_t limit)
{
	return limit > 0 && r->used_percent > (uint64_t)limit;
}

static void look_at_disk(struct retention *r)
{
	r->used_percent = percent_of(&r->space);
	bool is_full = is_above(r, r->config.stop_percent);
	if (is_full != r->is_full && is_full)
		LOG_ERROR(r->log->host, "disk_full",
			  "used=%u%% limit=%" PRId64 "%% text=\"sends are refused until there is "
			  "room\"", r->used_percent, r->config.stop_percent);
	else if (is_full != r->is_full)
		LOG_INFO(r->log->host, "disk_ok", "used=%u%% text=\"sends are taken again\"",
			 r->used_percent);
	r->is_full = is_full;
}

static bool is_hour(const struct retention *r)
{
	uint64_t hour = r->config.hour ? r->config.hour(r->now_ms) : r->now_ms / 3600000 % 24;
	return r->manual > 0 || (r->config.hours >> hour & 1);
}

/* Why the oldest segment is to go; NULL: it stays. */
static const char *reason_of(struct retention *r)
{
	const struct log *log = r->log;
	const struct retention_config *c = &r->config;
	bool is_old = c->time_ms > 0 && r->space.oldest_ms > 0 &&
		      r->space.oldest_ms + c->time_ms <= r->now_ms;
	r->is_by_time = false;
	if (is_above(r, c->force_percent) || is_above(r, c->stop_percent))
		return "disk";
	if (c->size_bytes > 0 && log->end - log->begin > c->size_bytes)
		return "size";
	r->is_by_time = is_old && (is_above(r, c->clean_percent) || is_hour(r));
	return r->is_by_time ? "time" : NULL;
}

static void decide(struct retention *r)
{
	const struct log *log = r->log;
	look_at_disk(r);
	r->now_ms = host_wall_ms(log->host);
	r->next = (log->begin / log->segment_bytes + 1) * log->segment_bytes;
	r->reason = reason_of(r);
	/* The byte before `end` lies in what is written to, even when it was the segment's last. */
	if (r->reason == NULL || r->next >= log->end) {
		round_end(r);
		return;
	}
	walk_begin(r);
	next_step(r, hold);
}

/* ---- who wants it still ---- */

/* The round ends: the segment stays. */
static void end_held(struct retention *r, const struct queue *q, const char *why)
{
	r->stats.held++;
	if (r->held_next != r->next)
		LOG_WARN(r->log->host, "segment_held",
			 "start=%" PRIu64 " due=%s topic=%s queue=%d reason=\"%s\"", r->log->begin,
			 r->reason, q->topic, q->queue_id, why);
	r->held_next = r->next;
	round_end(r);
}

static bool has_longer_time(const struct retention *r, const struct queue *q)
{
	/* All records of a segment are older than its last write. */
	return r->is_by_time && q->wish.keep_ms > 0 &&
	       r->space.oldest_ms + (uint64_t)q->wish.keep_ms > r->now_ms;
}

static void hold(struct retention *r)
{
	struct queue *q;
	bool pauses;
	while ((q = walk_queue(r, &pauses)) != NULL) {
		bool by_time = has_longer_time(r, q);
		bool by_group = r->config.keep_unconsumed && q->wish.consumed < q->max_offset;
		if (q->min_offset < q->max_offset && (by_time || by_group)) {
			struct queue_unit unit = { 0 };
			int64_t at = q->wish.consumed > q->min_offset ? q->wish.consumed
								      : q->min_offset;
			if (!has_unit(r, first_phys(r, q), q))
				return;
			if (by_group && !has_unit(r, queue_unit_at(&r->units, q, at, &unit), q))
				return;
			if (by_time && q->min_phys < r->next) {
				end_held(r, q, "its topic keeps messages longer");
				return;
			}
			if (by_group && unit.phys_offset < r->next) {
				end_held(r, q, "a group has not consumed it");
				return;
			}
		}
		walk_on(r);
	}
	if (!pauses)
		next_step(r, secure);
}

/* ---- delete ---- */

/* A disk that is too full for units gets no emptier by keeping a segment: it goes all the same. */
static void secured(struct mosaic_req *req)
{
	struct retention *r = req->data;
	r->is_waiting = false;
	if (req->status < 0)
		LOG_WARN(r->log->host, "units_not_durable", "start=%" PRIu64 " reason=\"%s\"",
			 r->log->begin, status_text(req->status));
	next_step(r, delete_segment);
}

static void secure(struct retention *r)
{
	struct log *log = r->log;
	if (r->synced >= r->next) {
		next_step(r, delete_segment);
		return;
	}
	r->synced = log->end;
	struct mosaic_req *req = wait_for(r);
	req->done = secured;
	int rc = log->config.store_ops->sync_queues(log->config.store, req);
	if (rc < 0) {
		req->status = rc;
		secured(req);
	}
}

static void deleted(struct mosaic_req *req)
{
	struct retention *r = req->data;
	struct log *log = r->log;
	uint64_t start = r->next - log->segment_bytes;
	r->is_waiting = false;
	r->stats.segments++;
	r->stats.bytes += log->segment_bytes;
	if (req->status == 0)
		LOG_INFO(log->host, "segment_deleted",
			 "start=%" PRIu64 " bytes=%" PRIu64 " reason=%s disk=%u%%", start,
			 log->segment_bytes, r->reason, r->used_percent);
	else
		LOG_WARN(log->host, "segment_not_deleted",
			 "start=%" PRIu64 " reason=\"%s\" text=\"its messages are gone, its file "
			 "may be there still\"", start, status_text(req->status));
	walk_begin(r);
	next_step(r, follow);
}

static void delete_segment(struct retention *r)
{
	struct log *log = r->log;
	struct mosaic_stream_info info;
	cursor_drop(&r->units);
	struct mosaic_req *req = wait_for(r);
	req->done = deleted;
	int rc = log->config.store_ops->trim(log->commit_log, r->next, req);
	if (rc < 0) {
		r->is_waiting = false;
		round_end(r);
		return;
	}
	log->config.store_ops->stream_info(log->commit_log, &info);
	log->begin = info.begin;
	index_trim(log->index, log->begin);
}

/* ---- the queues follow ---- */

/* The first unit whose record is there: 0, MOSAIC_PENDING or an error. */
static int find_first(struct retention *r, struct queue *q)
{
	if (q->min_offset >= q->max_offset)
		return 0;
	if (q->max_phys <= r->log->begin) {
		set_first(q, q->max_offset);
		return 0;
	}
	int rc = first_phys(r, q);
	if (rc != 0 || q->min_phys >= r->log->begin)
		return rc;
	if (!r->has_bounds) {
		r->low = q->min_offset;
		r->high = q->max_offset;
		r->has_bounds = true;
	}
	rc = queue_bound(&r->units, q, r->log->begin, &r->low, &r->high);
	if (rc == 0)
		set_first(q, r->low);
	return rc;
}

static void pause_over(struct retention *r)
{
	next_step(r, measure);
}

static void follow(struct retention *r)
{
	struct queue *q;
	bool pauses;
	while ((q = walk_queue(r, &pauses)) != NULL) {
		if (!has_unit(r, find_first(r, q), q))
			return;
		if (trim_files(r, q))
			return;
		walk_on(r);
	}
	if (pauses)
		return;
	cursor_drop(&r->units);
	r->step = pause_over;
	r->log->host->timer_start(r->log->host, &r->timer, r->config.pause_ns);
}

/* ---- rounds ---- */

static void round_begin(struct retention *r)
{
	r->is_running = true;
	r->now_ms = host_wall_ms(r->log->host);
	walk_begin(r);
	for (uint32_t i = 0; i < r->n_queues; i++)
		r->queues[i]->wish = QUEUE_WISH_NONE;
	if (r->config.look)
		r->config.look(r->config.ctx);
	next_step(r, expire);
}

static void round_end(struct retention *r)
{
	cursor_drop(&r->units);
	free(r->queues);
	r->queues = NULL;
	r->is_running = false;
	if (r->manual > 0)
		r->manual--;
	if (!r->is_stopped && !r->log->is_broken)
		r->log->host->timer_start(r->log->host, &r->timer, r->config.interval_ns);
}

static void timer_fired(struct mosaic_timer *timer)
{
	struct retention *r = timer->data;
	if (r->is_running)
		run(r); /* the pause is over */
	else
		round_begin(r);
}

void retention_init(struct retention *r, struct log *log, const struct retention_config *config)
{
	*r = (struct retention){ .log = log,
				 .config = *config,
				 .timer = { .fire = timer_fired, .data = r } };
	cursor_init(&r->units, log->config.store_ops, units_read, r);
}

void retention_start(struct retention *r)
{
	if (r->config.interval_ns > 0)
		r->log->host->timer_start(r->log->host, &r->timer,
					  FIRST_INTERVALS * r->config.interval_ns);
}

void retention_stop(struct retention *r)
{
	r->is_stopped = true;
	r->log->host->timer_stop(r->log->host, &r->timer);
	if (r->is_running && !r->is_waiting && !r->units.is_waiting)
		round_end(r);
}

void retention_fini(struct retention *r)
{
	free(r->queues);
}

void retention_now(struct retention *r)
{
	r->manual = MANUAL_ROUNDS;
	if (r->config.interval_ns > 0 && !r->is_running && !r->is_stopped)
		r->log->host->timer_start(r->log->host, &r->timer, 0);
}
