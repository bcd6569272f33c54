/*
 * Recovery: from what a crash or a clean stop left behind to a log that ends with its last record
 * and queues that have exactly one unit for each record.
 *
 *   opened -> checkpoint_loaded -> look_at_queues -> believe_checkpoint -> choose_segment
 *          -> rebuild_begin -> count_units -> scan_begin -> scan -> cut_log -> rebuild_end
 *          -> make_durable -> distrust -> finish
 *   scan   <-> salvage: bytes that are no record; <-> scan_everything: units are not as believed
 *
 * Where the scan starts (CommitLog.recoverNormally and recoverAbnormally of 5.3.3, and our own):
 *   after a clean stop  the segment of the last record that a unit points to; units are believed
 *   after a crash       the last segment whose first record is older than the checkpoint's times by
 *                       3 s; from there on every unit is compared with its record
 *   either              the record that the checkpoint names, when it and its unit are found as the
 *                       checkpoint says; that bounds the scan by what was written since
 * When the units there do not fit to what the scan finds, it starts again at the log's beginning.
 */
#include "log/recover.h"

#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/* 1 MiB: long enough that waiting for a disk is rare, short enough to be read in a few ms. */
#define WINDOW_BYTES (1u << 20)
/* Other brokers of this process get their turn after so much. */
#define PAUSE_BYTES (UINT64_C(8) << 20)
/* So much is written again when no checkpoint says what was durable: it is saved each second. */
#define UNKNOWN_BYTES (UINT64_C(64) << 20)
/* How much older than the checkpoint a segment must begin (StoreCheckpoint.getMinTimestamp). */
#define BEFORE_MS 3000

static void opened(struct mosaic_req *req);
static void checkpoint_loaded(struct mosaic_req *req);
static void look_at_queues(struct recovery *r);
static void believe_checkpoint(struct recovery *r);
static void choose_segment(struct recovery *r);
static void count_units(struct recovery *r);
static void scan_begin(struct recovery *r);
static void scan(struct recovery *r);
static void cut_log(struct recovery *r);
static void cut_queues(struct recovery *r);
static void make_durable(struct recovery *r);
static void finish(struct recovery *r);

/* ---- how steps wait ---- */

void recovery_run(struct recovery *r)
{
	r->step(r);
}

void recovery_next(struct recovery *r, void (*step)(struct recovery *r))
{
	r->step = step;
	r->pos = 0;
	r->queue = NULL;
	step(r);
}

static void window_filled(struct cursor *c)
{
	recovery_run(c->data);
}

static void waited(struct mosaic_req *req)
{
	struct recovery *r = req->data;
	r->is_waiting = false;
	if (req->status < 0)
		recovery_fail(r, req->status, "the store could not do what recovery asked for");
	else
		recovery_run(r);
}

struct mosaic_req *recovery_wait(struct recovery *r)
{
	ASSERT(!r->is_waiting);
	r->wait = (struct mosaic_req){ .done = waited, .data = r };
	r->is_waiting = true;
	return &r->wait;
}

bool recovery_waits(struct recovery *r, int rc, const char *what)
{
	if (rc >= 0)
		return true;
	r->is_waiting = false;
	recovery_fail(r, rc, what);
	return false;
}

bool recovery_has(struct recovery *r, int rc, const char *what)
{
	if (rc < 0)
		recovery_fail(r, rc, what);
	return rc == 0;
}

bool recovery_walk(struct recovery *r)
{
	struct map_entry *entry = map_next(&r->log->queues, &r->pos);
	r->queue = entry ? entry->value : NULL;
	r->is_new_queue = true;
	return entry != NULL;
}

/* ---- the end, good or bad ---- */

static void recovery_end(struct recovery *r, int status)
{
	struct log_open_req *req = r->req;
	r->log->priv->recovery = NULL;
	free(r);
	req->req.status = status;
	req->req.done(&req->req);
}

static void closed_after_failure(struct mosaic_req *req)
{
	struct recovery *r = req->data;
	recovery_end(r, r->req->err.code);
}

void recovery_fail(struct recovery *r, int code, const char *what)
{
	struct log *log = r->log;
	struct mosaic_error *err = &r->req->err;
	err_set(err, code, "%s at %" PRIu64 " of the commit log (%s)", what, r->at,
		status_text(code));
	cursor_drop(&r->records);
	cursor_drop(&r->peek);
	rebuild_free(r);
	r->wait = (struct mosaic_req){ .done = closed_after_failure, .data = r };
	int rc = r->ops->close(log->config.store, &r->wait);
	if (rc < 0)
		log->host->post(log->host, &r->wait);
}

/* ---- the steps ---- */

int recovery_start(struct log *log, struct log_open_req *req)
{
	struct recovery *r = mem_alloc(sizeof(*r));
	r->log = log;
	r->req = req;
	r->ops = log->config.store_ops;
	r->last_unit_phys = r->whole_at = r->resume_at = UINT64_MAX;
	cursor_init(&r->records, r->ops, window_filled, r);
	cursor_init(&r->peek, r->ops, window_filled, r);
	req->err = (struct mosaic_error)ERR_INIT;
	r->open = (struct mosaic_store_open){ .req = { .done = opened, .data = r },
					      .error = &req->err };
	log->priv->recovery = r;
	int rc = r->ops->open(log->config.store, &r->open);
	if (rc < 0) {
		log->priv->recovery = NULL;
		free(r);
	}
	return rc < 0 ? rc : MOSAIC_PENDING;
}

/* Queues that the store has found. */
static int open_streams(struct recovery *r)
{
	struct log *log = r->log;
	struct mosaic_stream_name name = { .kind = MOSAIC_COMMIT_LOG };
	int rc = r->ops->stream_open(log->config.store, &name, &log->commit_log);
	if (rc < 0)
		return rc;
	r->ops->stream_info(log->commit_log, &r->info);
	if (r->info.segment_bytes <= RECORD_FIXED_BYTES + RECORD_BLANK_BYTES ||
	    r->info.end < r->info.begin)
		return MOSAIC_E_INVAL;
	log->segment_bytes = r->info.segment_bytes;
	for (uint32_t i = 0; i < r->open.n_streams; i++) {
		rc = r->ops->stream_at(log->config.store, i, &name);
		if (rc < 0)
			return rc;
		if (name.kind == MOSAIC_INDEX && log->index)
			index_found(log->index, name.topic);
		if (name.kind == MOSAIC_CONSUME_QUEUE &&
		    !log_queue(log, slice_str(name.topic), name.queue_id))
			LOG_WARN(log->host, "queue_ignored", "queue=%d", name.queue_id);
	}
	return 0;
}

static void opened(struct mosaic_req *req)
{
	struct recovery *r = req->data;
	if (req->status < 0) {
		recovery_end(r, req->status);
		return;
	}
	r->is_crash = !r->open.was_clean;
	if (!recovery_has(r, open_streams(r), "cannot open the streams"))
		return;
	r->doc = (struct mosaic_doc){ .req = { .done = checkpoint_loaded, .data = r },
				      .name = "checkpoint" };
	int rc = r->ops->doc_load(r->log->config.store, &r->doc);
	if (rc < 0) {
		r->doc.req.status = rc;
		checkpoint_loaded(&r->doc.req);
	}
}

static void checkpoint_loaded(struct mosaic_req *req)
{
	struct recovery *r = req->data;
	struct log *log = r->log;
	if (req->status == 0) {
		if (!checkpoint_parse(&log->priv->checkpoint, slice(r->doc.content, r->doc.len)))
			LOG_WARN(log->host, "checkpoint_ignored", "bytes=%" PRIu64, r->doc.len);
		r->ops->doc_release(log->config.store, &r->doc);
	} else if (req->status != MOSAIC_E_NOTFOUND) {
		LOG_WARN(log->host, "checkpoint_unreadable", "status=%d", req->status);
	}
	recovery_next(r, look_at_queues);
}

/* A log without segments cannot have queues: what they point to is gone. */
static void drop_queues(struct recovery *r)
{
	struct log *log = r->log;
	struct mosaic_stream_info info;
	while (recovery_walk(r)) {
		r->ops->stream_info(r->queue->stream, &info);
		if (info.end > info.begin) /* else it was made and never written to */
			LOG_WARN(log->host, "queue_without_log", "topic=%s queue=%d",
				 r->queue->topic, r->queue->queue_id);
		log_drop_topic(log, queue_topic(r->queue));
	}
}

/* How far the last unit of each queue reaches. */
static void look_at_queues(struct recovery *r)
{
	if (r->info.begin == r->info.end)
		drop_queues(r);
	while (r->queue || recovery_walk(r)) {
		struct queue *q = r->queue;
		struct mosaic_stream_info info;
		const uint8_t *bytes;
		uint32_t len;
		r->ops->stream_info(q->stream, &info);
		if (info.end >= info.begin + QUEUE_UNIT_BYTES) {
			uint64_t last = info.end / QUEUE_UNIT_BYTES - 1;
			int rc = cursor_get(&r->records, q->stream, last * QUEUE_UNIT_BYTES,
					    QUEUE_UNIT_BYTES, QUEUE_UNIT_BYTES, &bytes, &len);
			if (!recovery_has(r, rc, "cannot read a consume queue"))
				return;
			struct queue_unit unit = { 0 };
			if (len >= QUEUE_UNIT_BYTES)
				queue_unit_decode(bytes, &unit);
			if (unit.size < QUEUE_FILLER_SIZE && unit.phys_offset <= INT64_MAX &&
			    unit.phys_offset + unit.size > r->max_phys)
				r->max_phys = unit.phys_offset + unit.size;
		}
		r->queue = NULL;
	}
	recovery_next(r, believe_checkpoint);
}

int recovery_record_at(struct recovery *r, uint64_t offset, struct message *m, uint32_t *len,
		       int *kind)
{
	uint64_t left = r->info.segment_bytes - offset % r->info.segment_bytes;
	uint32_t need = RECORD_BLANK_BYTES, have;
	const uint8_t *bytes;
	for (;;) {
		uint32_t want = left < WINDOW_BYTES ? (uint32_t)left : WINDOW_BYTES;
		int rc = cursor_get(&r->records, r->log->commit_log, offset, need, want, &bytes,
				    &have);
		if (rc != 0)
			return rc;
		r->is_blank = have < RECORD_BLANK_BYTES || get_be64(bytes) == 0;
		*kind = record_decode(bytes, have, true, m, len);
		if (*kind != MOSAIC_E_AGAIN)
			break;
		if (*len <= have || *len > left || have < need)
			return MOSAIC_E_CORRUPT;
		need = *len;
	}
	if (*kind == RECORD_BLANK)
		return *len == left ? 0 : MOSAIC_E_CORRUPT;
	if (*kind != RECORD_MESSAGE || *len > left || m->phys_offset != (int64_t)offset)
		return MOSAIC_E_CORRUPT;
	return 0;
}

static void believe_checkpoint(struct recovery *r)
{
	struct checkpoint *c = &r->log->priv->checkpoint;
	bool is_there = false;
	r->resume_at = c->resume;
	if (c->resume >= r->info.begin && c->resume < r->info.end) {
		struct message m;
		uint32_t len = 0;
		int kind;
		int rc = recovery_record_at(r, c->resume, &m, &len, &kind);
		if (rc == 0 && kind == RECORD_MESSAGE && m.store_ms == c->resume_ms)
			rc = rebuild_find_unit(r, &m, len, &is_there);
		r->resume_end = c->resume + len;
		r->has_lost_unit = rc == 0 && kind == RECORD_MESSAGE && !is_there &&
				   m.store_ms == c->resume_ms;
		if (rc != MOSAIC_E_CORRUPT && !recovery_has(r, rc, "cannot read a record"))
			return;
	}
	if (c->resume != UINT64_MAX && !is_there) {
		LOG_WARN(r->log->host, "checkpoint_outdated", "resume=%" PRIu64, c->resume);
		c->resume = UINT64_MAX;
	}
	r->segment = r->info.begin;
	if (r->info.end > r->info.begin)
		r->segment = (r->info.end - 1) / r->info.segment_bytes * r->info.segment_bytes;
	recovery_next(r, choose_segment);
}

/* After a crash: whether everything in earlier segments, units included, is durable. */
static int check_age(struct recovery *r, bool *is_old)
{
	const struct checkpoint *c = &r->log->priv->checkpoint;
	int64_t safe_ms = (c->physic_ms < c->logics_ms ? c->physic_ms : c->logics_ms) - BEFORE_MS;
	const uint8_t *bytes;
	uint32_t len;
	*is_old = false;
	if (r->max_phys == 0)
		return 0; /* no units at all: all of them are to be made again */
	int rc = cursor_get(&r->records, r->log->commit_log, r->segment, RECORD_PEEK_BYTES,
			    RECORD_PEEK_BYTES, &bytes, &len);
	if (rc != 0 || len < RECORD_PEEK_BYTES)
		return rc;
	uint32_t magic = get_be32(bytes + RECORD_AT_MAGIC);
	int64_t store_ms = record_peek_store_ms(bytes);
	*is_old = (magic == RECORD_MAGIC_V1 || magic == RECORD_MAGIC_V2) && store_ms > 0 &&
		  store_ms <= safe_ms;
	return 0;
}

static void choose_segment(struct recovery *r)
{
	uint64_t resume = r->log->priv->checkpoint.resume;
	uint64_t first = resume != UINT64_MAX ? resume : r->info.begin;
	while (r->segment > first) {
		bool is_enough = r->segment <= r->max_phys;
		if (r->is_crash &&
		    !recovery_has(r, check_age(r, &is_enough), "cannot read a segment"))
			return;
		if (is_enough)
			break;
		r->segment -= r->info.segment_bytes;
	}
	r->start = r->segment > first ? r->segment : first;
	r->units_from = r->start == resume ? r->resume_end : r->start;
	if (!r->is_crash && r->max_phys > r->units_from)
		r->units_from = r->max_phys;
	rebuild_begin(r, count_units);
}

/* ---- the scan ---- */

/* The units are not what was believed about them. */
static void scan_everything(struct recovery *r, const char *why)
{
	LOG_WARN(r->log->host, "recovery_from_begin", "reason=\"%s\" at=%" PRIu64, why, r->at);
	r->is_crash = true;
	r->start = r->units_from = r->info.begin;
	r->damaged_bytes = 0;
	rebuild_begin(r, scan_begin);
}

/* A queue whose end is gone looks like a shorter one: only their sum tells. */
static void count_units(struct recovery *r)
{
	const struct checkpoint *c = &r->log->priv->checkpoint;
	r->is_recount = r->has_hole || r->has_lost_unit ||
			(c->resume != UINT64_MAX && r->n_units < c->n_units);
	r->at = r->since = r->start;
	if (r->is_recount)
		scan_everything(r, "units of older records are missing");
	else
		scan_begin(r);
}

static void scan_begin(struct recovery *r)
{
	LOG_INFO(r->log->host, "recovery", "clean=%d from=%" PRIu64 " units_from=%" PRIu64,
		 !r->is_crash, r->start, r->units_from);
	r->is_whole = r->start == r->info.begin;
	r->at = r->durable = r->start;
	r->pause_at = r->at + PAUSE_BYTES;
	recovery_next(r, scan);
}

static bool scan_pauses(struct recovery *r)
{
	if (r->at < r->pause_at)
		return false;
	r->pause_at = r->at + PAUSE_BYTES;
	r->log->host->post(r->log->host, recovery_wait(r));
	return true;
}

/* A record of which the end is missing: zeros where a name or a property ends. Its body has a
 * checksum, its size adds up; that something follows it is what can still speak for it. */
static bool may_be_torn(const struct message *m)
{
	struct mosaic_slice last = m->props.len > 0 ? m->props : m->topic;
	return last.len == 0 || last.ptr[last.len - 1] == 0;
}

uint64_t recovery_known_end(const struct recovery *r)
{
	const struct checkpoint *c = &r->log->priv->checkpoint;
	uint64_t known = r->max_phys;
	if (r->resume_at != UINT64_MAX && r->resume_at + 1 > known)
		known = r->resume_at + 1;
	/* A record that is known to have been durable, and was not found so far. */
	if (r->last_store_ms > 0 && c->physic_ms > r->last_store_ms && r->at + 1 > known)
		known = r->at + 1;
	return known;
}

/* Whether a record or a blank begins at `offset`, as far as its magic tells. */
static int check_next(struct recovery *r, uint64_t offset, bool *is_followed)
{
	const uint8_t *bytes;
	uint32_t len;
	*is_followed = false;
	int rc = cursor_get(&r->records, r->log->commit_log, offset, RECORD_BLANK_BYTES,
			    WINDOW_BYTES, &bytes, &len);
	if (rc == 0 && len >= RECORD_BLANK_BYTES) {
		uint32_t magic = get_be32(bytes + RECORD_AT_MAGIC);
		*is_followed = magic == RECORD_MAGIC_V1 || magic == RECORD_MAGIC_V2 ||
			       magic == RECORD_MAGIC_BLANK;
	}
	return rc == MOSAIC_E_NOTFOUND ? 0 : rc;
}

/* A whole record with a message at r->at. False: the step must return. */
static bool scan_message(struct recovery *r, const struct message *m, uint32_t len)
{
	enum rebuild_result result = REBUILD_DONE;
	if (r->at >= r->units_from)
		result = rebuild_unit(r, m, len);
	if (result == REBUILD_GAP)
		scan_everything(r, "units are missing");
	if (result != REBUILD_DONE)
		return false;
	if (m->store_ms > r->last_store_ms)
		r->last_store_ms = m->store_ms;
	if (m->store_ms < r->log->priv->checkpoint.physic_ms)
		r->durable = r->at + len;
	if (record_has_unit(m->sys_flag)) {
		r->last_unit_phys = r->at;
		r->last_unit_ms = m->store_ms;
	}
	return true;
}

static void scan(struct recovery *r)
{
	while (r->at < r->info.end) {
		uint64_t left = r->info.segment_bytes - r->at % r->info.segment_bytes;
		struct message m;
		uint32_t len;
		int kind;
		if (left < RECORD_BLANK_BYTES) {
			r->at += left;
			continue;
		}
		int rc = recovery_record_at(r, r->at, &m, &len, &kind);
		if (rc == MOSAIC_E_CORRUPT && salvage_may_help(r)) {
			r->then = scan;
			salvage(r);
			return;
		}
		if (rc == MOSAIC_E_CORRUPT)
			break;
		if (!recovery_has(r, rc, "cannot read the commit log"))
			return;
		if (kind == RECORD_MESSAGE && may_be_torn(&m) && r->whole_at != r->at) {
			bool is_whole;
			rc = check_next(r, r->at + len, &is_whole);
			if (!recovery_has(r, rc, "cannot read the commit log"))
				return;
			if (!is_whole)
				break;
			r->whole_at = r->at;
			continue; /* the window has moved */
		}
		if (kind == RECORD_MESSAGE && !scan_message(r, &m, len))
			return;
		r->at += len;
		r->log->stats.scanned_bytes += len;
		if (scan_pauses(r))
			return;
	}
	recovery_ends_here(r);
}

void recovery_ends_here(struct recovery *r)
{
	if (!r->is_crash && r->max_phys > r->at)
		scan_everything(r, "units point behind the end of the log");
	else
		recovery_next(r, cut_log);
}

/* ---- after the scan ---- */

/* Also tells the store where the log ends. What lay behind that, half a record or more, never comes
 * back. */
static void cut_log(struct recovery *r)
{
	cursor_drop(&r->records);
	cursor_drop(&r->peek);
	if (r->at < r->info.end && !r->is_blank)
		LOG_WARN(r->log->host, "log_cut", "at=%" PRIu64 " text=\"what follows is no whole "
			 "record: half written, or damaged. It is dropped\"", r->at);
	r->log->begin = r->info.begin;
	r->log->end = r->at;
	r->step = cut_queues;
	int rc = r->ops->truncate(r->log->commit_log, r->at, recovery_wait(r));
	(void)recovery_waits(r, rc, "cannot cut the commit log");
}

static void cut_queues(struct recovery *r)
{
	rebuild_end(r, make_durable);
}

static void distrust(struct recovery *r);

static void sync_done(struct mosaic_req *req)
{
	struct recovery *r = req->data;
	if (req->status < 0 && req->status != MOSAIC_E_UNSUPPORTED) {
		recovery_fail(r, req->status, "cannot make the recovered log durable");
		return;
	}
	distrust(r);
	finish(r);
}

/* What a crash left readable need not be on the disk yet. */
static void make_durable(struct recovery *r)
{
	if (!r->is_crash || r->log->end == r->log->begin) {
		r->durable = r->log->end;
		finish(r);
		return;
	}
	r->sync = (struct mosaic_sync){ .req = { .done = sync_done, .data = r },
					.upto = r->log->end };
	int rc = r->ops->sync(r->log->commit_log, &r->sync);
	if (rc < 0) {
		r->sync.req.status = rc;
		sync_done(&r->sync.req);
	}
}

/*
 * That sync need not know of everything. One that fails makes the kernel take its pages for
 * written, and a process that is killed while it waits for it tells nobody: no mark that it could
 * make would be safe. So after a crash what is behind the last sync that the checkpoint knows of is
 * written again, by the next sync: the log is open before, but it counts as durable up to there
 * only, and nothing that is sent from now on is acknowledged behind a hole.
 */
static void distrust(struct recovery *r)
{
	uint64_t from = r->durable, end = r->log->end;
	r->durable = end;
	if (r->open.was_clean || !r->ops->distrust || !r->log->config.flush_ops)
		return;
	if (r->log->priv->checkpoint.physic_ms == 0 && end > UNKNOWN_BYTES)
		from = from > end - UNKNOWN_BYTES ? from : end - UNKNOWN_BYTES;
	if (from >= end)
		return;
	r->durable = from;
	r->ops->distrust(r->log->commit_log, from);
}

static int32_t port_sync(void *ctx, struct mosaic_sync *req)
{
	const struct log *log = ctx;
	return log->config.store_ops->sync(log->commit_log, req);
}

static bool open_flush(struct recovery *r)
{
	struct log *log = r->log;
	if (!log->config.flush_ops)
		return true;
	struct mosaic_flush_port *port = &log->priv->flush_port;
	*port = (struct mosaic_flush_port){
		.struct_size = sizeof(*port), .ctx = log, .durable = r->durable, .sync = port_sync
	};
	struct mosaic_error err = ERR_INIT;
	int rc = log->config.flush_ops->open(log->config.flush, port, &err);
	if (rc < 0)
		recovery_fail(r, rc, err.text[0] ? err.text : "cannot open the flush plugin");
	return rc >= 0;
}

static void finish(struct recovery *r)
{
	struct log *log = r->log;
	struct checkpoint *c = &log->priv->checkpoint;
	if (!open_flush(r))
		return;
	salvage_tell_lost(r);
	log->last_store_ms = r->last_store_ms;
	/* Nothing was scanned: the clock of the log must not go back all the same. */
	if (log->end > log->begin && log->last_store_ms < c->physic_ms)
		log->last_store_ms = c->physic_ms;
	log->last_unit_phys = r->last_unit_phys;
	log->last_unit_ms = r->last_unit_ms;
	log->n_units = r->n_units;
	log->visible = log->unproven = log->end;
	log->told_end = log->durable = log->gate.durable = r->durable;
	log->gate.ackable = log->end;
	log->is_open = true;
	checkpoint_start(c, !r->is_crash);
	if (log->index)
		index_start(log->index, r->is_crash);
	retention_start(&log->retention);
	log_run_end(log); /* what is not durable yet */
	LOG_INFO(log->host, "log_open",
		 "begin=%" PRIu64 " end=%" PRIu64 " queues=%u scanned=%" PRIu64
		 " units_made=%" PRIu64,
		 log->begin, log->end, map_count(&log->queues), log->stats.scanned_bytes,
		 log->stats.recovered);
	rebuild_free(r);
	recovery_end(r, 0);
}
