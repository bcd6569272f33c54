/*
 * Units of the consume queues, made to fit to the records that the scan finds.
 *
 * A queue's max_offset is how many of its units are known to be right. It starts with those of
 * records below the scan; each record found then either confirms the unit that is there, replaces
 * what is there (a hole or a unit of a record that is no more), or appends one. What is left behind
 * max_offset at the end has no record and is cut off.
 */
#include "log/recover.h"

#include "base/bytes.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/* Units per window: one page's worth. */
#define WINDOW_UNITS 200
/* Most units that are filled in behind a queue's units when some in between were lost for good: one
 * file of a queue (mappedFileSizeConsumeQueue). */
#define FILL_MAX 300000
/* An index beyond this is no index: its byte offset must fit into 63 bits. */
#define INDEX_MAX (INT64_C(1) << 58)

static void units_filled(struct cursor *c)
{
	recovery_run(c->data);
}

static struct queue_recovery *rebuild_of(struct recovery *r, struct queue *q)
{
	if (!q->recovery) {
		q->recovery = mem_alloc(sizeof(*q->recovery));
		cursor_init(&q->recovery->units, r->ops, units_filled, r);
	}
	return q->recovery;
}

static void look_at_stream(struct recovery *r, struct queue *q)
{
	struct queue_recovery *qr = rebuild_of(r, q);
	struct mosaic_stream_info info;
	r->ops->stream_info(q->stream, &info);
	cursor_drop(&qr->units);
	qr->begin = (int64_t)(info.begin / QUEUE_UNIT_BYTES);
	qr->end = (int64_t)(info.end / QUEUE_UNIT_BYTES);
	qr->segment_units = (int64_t)(info.segment_bytes / QUEUE_UNIT_BYTES);
}

static int unit_at(struct queue *q, int64_t index, struct queue_unit *unit)
{
	const uint8_t *bytes;
	uint32_t len;
	int rc = cursor_get(&q->recovery->units, q->stream, (uint64_t)index * QUEUE_UNIT_BYTES,
			    QUEUE_UNIT_BYTES, WINDOW_UNITS * QUEUE_UNIT_BYTES, &bytes, &len);
	if (rc != 0)
		return rc;
	if (len < QUEUE_UNIT_BYTES)
		return MOSAIC_E_CORRUPT;
	queue_unit_decode(bytes, unit);
	return 0;
}

int rebuild_find_unit(struct recovery *r, const struct message *m, uint32_t len, bool *is_there)
{
	struct queue *q = log_queue_find(r->log, m->topic, m->queue_id);
	struct queue_unit unit;
	/* Its topic was deleted since, unless all queues are gone: then somebody wants new ones. */
	*is_there = !q && r->max_phys > 0;
	if (!q)
		return 0;
	if (!q->recovery)
		look_at_stream(r, q);
	if (m->queue_offset < q->recovery->begin || m->queue_offset >= q->recovery->end)
		return 0;
	int rc = unit_at(q, m->queue_offset, &unit);
	*is_there = rc == 0 && unit.phys_offset == (uint64_t)m->phys_offset && unit.size == len;
	return rc;
}

/* ---- before the scan ---- */

/* Whether a record, of which this is the beginning, says that this is its unit. */
static bool record_is_of(const uint8_t *p, const struct queue *q, int64_t index,
			 const struct queue_unit *unit)
{
	return get_be32(p) == unit->size &&
	       get_be32(p + RECORD_AT_QUEUE_ID) == (uint32_t)q->queue_id &&
	       get_be64(p + RECORD_AT_QUEUE_OFFSET) == (uint64_t)index &&
	       get_be64(p + RECORD_AT_PHYS_OFFSET) == unit->phys_offset;
}

/* Whether the unit at `index` is of a record below the scan, and that record says so too. */
static int check_unit(struct recovery *r, struct queue *q, int64_t index, bool *is_right)
{
	struct queue_unit unit;
	int rc = unit_at(q, index, &unit);
	if (rc != 0)
		return rc;
	uint64_t end = unit.phys_offset + unit.size;
	*is_right = unit.size == QUEUE_FILLER_SIZE;
	if (*is_right || unit.size == 0 || unit.phys_offset >= r->units_from || end < unit.size)
		return 0;
	*is_right = end <= r->info.begin; /* its record was trimmed: nothing speaks against it */
	if (unit.phys_offset < r->info.begin)
		return 0;
	const uint8_t *p = NULL;
	uint32_t len = 0;
	if (r->is_crash)
		rc = cursor_get(&r->records, r->log->commit_log, unit.phys_offset,
				RECORD_PEEK_BYTES, RECORD_PEEK_BYTES, &p, &len);
	if (rc != 0)
		return rc;
	*is_right = !r->is_crash ||
		    (len >= RECORD_PEEK_BYTES && record_is_of(p, q, index, &unit));
	if (*is_right)
		q->max_phys = end;
	return 0;
}

/* Whether the last unit is of a record below the scan, so that all are: one in between that says
 * otherwise is damaged, and must not lead a search to cut off what follows it. */
static int look_at_last(struct recovery *r, struct queue *q)
{
	struct queue_recovery *qr = q->recovery;
	bool is_right = false;
	int rc = qr->end > qr->begin ? check_unit(r, q, qr->end - 1, &is_right) : 0;
	if (rc != 0)
		return rc;
	qr->low = is_right && !r->is_crash ? qr->end : qr->begin;
	qr->high = qr->end;
	qr->is_full = is_right;
	qr->has_looked = true;
	return 0;
}

static void begin_step(struct recovery *r)
{
	while (r->queue || recovery_walk(r)) {
		struct queue *q = r->queue;
		if (r->is_new_queue) {
			r->is_new_queue = false;
			look_at_stream(r, q);
			q->recovery->has_looked = false;
			q->max_phys = 0;
		}
		struct queue_recovery *qr = q->recovery;
		int rc = qr->has_looked ? 0 : look_at_last(r, q);
		if (rc == 0)
			rc = queue_bound(&qr->units, q, r->units_from, &qr->low, &qr->high);
		if (!recovery_has(r, rc, "cannot read a consume queue"))
			return;
		/* A unit torn by a crash can lead the search astray: go back to one that is
		 * right. */
		while (qr->low > qr->begin) {
			bool is_right = false;
			rc = check_unit(r, q, qr->low - 1, &is_right);
			if (!recovery_has(r, rc, "cannot read a consume queue"))
				return;
			if (is_right)
				break;
			qr->low--;
		}
		r->has_hole |= qr->is_full && qr->low < qr->end;
		q->max_offset = qr->checked = qr->low;
		r->n_units += (uint64_t)qr->low;
		r->queue = NULL;
	}
	r->then(r);
}

void rebuild_begin(struct recovery *r, void (*then)(struct recovery *r))
{
	r->then = then;
	r->n_units = 0;
	r->has_hole = false;
	recovery_next(r, begin_step);
}

/* ---- one record of the scan ---- */

static enum rebuild_result cut(struct recovery *r, struct queue *q, int64_t index)
{
	struct queue_recovery *qr = q->recovery;
	LOG_WARN(r->log->host, "queue_cut", "topic=%s queue=%d units=%" PRId64 " to=%" PRId64,
		 q->topic, q->queue_id, qr->end, index);
	cursor_drop(&qr->units);
	qr->end = index;
	int rc = r->ops->truncate(q->stream, (uint64_t)index * QUEUE_UNIT_BYTES, recovery_wait(r));
	(void)recovery_waits(r, rc, "cannot cut a consume queue");
	return REBUILD_WAITS;
}

static enum rebuild_result append(struct recovery *r, struct queue *q,
				  const struct queue_unit *unit)
{
	struct mosaic_span room;
	int rc = r->ops->reserve(q->stream, QUEUE_UNIT_BYTES, &room);
	if (rc == MOSAIC_E_AGAIN) {
		rc = r->ops->room(q->stream, recovery_wait(r));
		(void)recovery_waits(r, rc, "cannot append to a consume queue");
		return REBUILD_WAITS;
	}
	if (!recovery_has(r, rc, "cannot append to a consume queue"))
		return REBUILD_WAITS;
	queue_unit_encode(room.ptr, unit);
	r->ops->commit(q->stream, QUEUE_UNIT_BYTES);
	q->max_offset++;
	return REBUILD_DONE;
}

/* The queue has lost its first units: it begins with the file that holds `index`, and units that
 * stand for nothing come before it there, as Apache's broker expects. */
static enum rebuild_result fill(struct recovery *r, struct queue *q, int64_t index)
{
	struct queue_recovery *qr = q->recovery;
	int64_t file = index - index % qr->segment_units;
	if (q->max_offset == qr->begin && file > q->max_offset) {
		int rc = r->ops->start_at(q->stream, (uint64_t)file * QUEUE_UNIT_BYTES);
		if (!recovery_has(r, rc, "cannot start a consume queue in the middle"))
			return REBUILD_WAITS;
		q->max_offset = qr->begin = qr->end = file;
	}
	/* Or the record was damaged: then its unit points to what is left of it. */
	struct queue_unit filler = { 0, QUEUE_FILLER_SIZE, 0 };
	if (r->damaged_bytes > 0)
		filler = r->damage;
	while (q->max_offset < index) {
		enum rebuild_result result = append(r, q, &filler);
		if (result != REBUILD_DONE)
			return result;
	}
	return REBUILD_DONE;
}

/* Records that the scan has found damaged may be all that is missing. */
static bool explains_gap(const struct recovery *r, const struct queue *q, int64_t index)
{
	return (uint64_t)(index - q->max_offset) <= r->damaged_bytes / RECORD_FIXED_BYTES;
}

/* Units that point to where the scan has been, and whose records did not show up there: these are
 * damaged. They keep their units; a pull looks at them and skips them. */
static int keep_units(struct recovery *r, struct queue *q, int64_t index)
{
	while (q->max_offset < index && q->max_offset < q->recovery->end) {
		struct queue_unit unit;
		int rc = unit_at(q, q->max_offset, &unit);
		if (rc != 0)
			return rc;
		if (unit.phys_offset < r->start || unit.phys_offset >= r->at ||
		    unit.size < RECORD_FIXED_BYTES || unit.size >= QUEUE_FILLER_SIZE)
			break;
		q->max_offset++;
	}
	return 0;
}

/* A record whose index is beyond the next one. */
static enum rebuild_result close_gap(struct recovery *r, struct queue *q, int64_t index)
{
	struct queue_recovery *qr = q->recovery;
	if (!recovery_has(r, keep_units(r, q, index), "cannot read a consume queue"))
		return REBUILD_WAITS;
	if (q->max_offset == index)
		return REBUILD_DONE;
	if (q->max_offset > qr->begin && !r->is_whole && !explains_gap(r, q, index))
		return REBUILD_GAP;
	if (qr->end > q->max_offset)
		return cut(r, q, q->max_offset);
	return fill(r, q, index);
}

/* A record that jumps over indexes may be of another place: what it says of that has been damaged
 * when the unit of the next index is its own (*is_next), or has a record, further behind, that
 * agrees. 0, MOSAIC_PENDING or an error. */
static int check_place(struct recovery *r, struct queue *q, const struct message *m,
		       bool *is_other, bool *is_next)
{
	struct queue_unit unit;
	const uint8_t *p;
	uint32_t len;
	*is_other = *is_next = false;
	if (q->recovery->end <= q->max_offset || q->max_offset == q->recovery->begin)
		return 0;
	int rc = unit_at(q, q->max_offset, &unit);
	if (rc != 0)
		return rc;
	*is_other = *is_next = unit.phys_offset == (uint64_t)m->phys_offset;
	if (*is_other || unit.phys_offset < (uint64_t)m->phys_offset ||
	    unit.phys_offset >= r->info.end)
		return 0;
	rc = cursor_get(&r->peek, r->log->commit_log, unit.phys_offset, RECORD_PEEK_BYTES,
			RECORD_PEEK_BYTES, &p, &len);
	*is_other = rc == 0 && len >= RECORD_PEEK_BYTES && record_is_of(p, q, q->max_offset, &unit);
	return rc;
}

static enum rebuild_result misplaced(struct recovery *r, struct queue *q, int64_t index,
				     bool is_next)
{
	LOG_ERROR(r->log->host, "log_damaged", "at=%" PRIu64 " topic=%s queue=%d offset=%" PRId64
		  " expected=%" PRId64 " text=\"the record says that it belongs elsewhere than the "
		  "queue knows: the disk gives back other bytes than were stored\"",
		  r->at, q->topic, q->queue_id, index, q->max_offset);
	q->max_offset += is_next;
	return REBUILD_DONE;
}

/* Index 0 once more: the topic was deleted and made again, and the old queue's end is in the log
 * too. */
static enum rebuild_result start_over(struct recovery *r, struct queue *q)
{
	cursor_drop(&q->recovery->units);
	struct mosaic_stream *old = q->stream;
	q->stream = NULL;
	int rc = r->ops->stream_drop(old, recovery_wait(r));
	(void)recovery_waits(r, rc, "cannot remove a consume queue");
	return REBUILD_WAITS;
}

static bool reopen(struct recovery *r, struct queue *q)
{
	struct mosaic_stream_name name = { MOSAIC_CONSUME_QUEUE, q->queue_id, q->topic };
	int rc = r->ops->stream_open(r->log->config.store, &name, &q->stream);
	if (!recovery_has(r, rc, "cannot open a consume queue"))
		return false;
	q->max_offset = 0;
	look_at_stream(r, q);
	return true;
}

static bool index_fits(struct recovery *r, const struct queue *q, const struct message *m)
{
	int64_t most = q->max_offset > q->recovery->begin ? q->max_offset + FILL_MAX : INDEX_MAX;
	if (m->queue_offset >= 0 && (m->queue_offset <= most || !r->is_whole))
		return true;
	LOG_WARN(r->log->host, "record_without_unit",
		 "topic=%s queue=%d offset=%" PRId64 " next=%" PRId64 " at=%" PRIu64, q->topic,
		 q->queue_id, m->queue_offset, q->max_offset, r->at);
	return false;
}

/* A topic without any of its first queues was deleted, perhaps by Apache's broker. But the queues
 * of one that was made again just before the crash may have no file yet. */
static bool topic_has_queue(const struct log *log, const struct message *m)
{
	bool has_queue = log_queue_find(log, m->topic, m->queue_id) != NULL;
	for (int32_t i = 0; i < 16 && !has_queue; i++)
		has_queue = log_queue_find(log, m->topic, i) != NULL;
	return has_queue;
}

enum rebuild_result rebuild_unit(struct recovery *r, const struct message *m, uint32_t len)
{
	if (!record_has_unit(m->sys_flag))
		return REBUILD_DONE;
	if (r->is_recount && r->at < r->since && !topic_has_queue(r->log, m))
		return REBUILD_DONE;
	struct queue *q = log_queue(r->log, m->topic, m->queue_id);
	if (!q) {
		LOG_WARN(r->log->host, "record_without_queue", "queue=%d at=%" PRIu64, m->queue_id,
			 r->at);
		return REBUILD_DONE;
	}
	if (!q->recovery)
		look_at_stream(r, q);
	if (!q->stream && !reopen(r, q))
		return REBUILD_WAITS;
	int64_t index = m->queue_offset;
	if (index == 0 && q->max_offset > 0 && r->is_crash)
		return start_over(r, q);
	if (index < q->max_offset || !index_fits(r, q, m))
		return REBUILD_DONE;
	if (index > q->max_offset) {
		bool is_other, is_next;
		int rc = check_place(r, q, m, &is_other, &is_next);
		if (!recovery_has(r, rc, "cannot read the commit log"))
			return REBUILD_WAITS;
		if (is_other)
			return misplaced(r, q, index, is_next);
		enum rebuild_result result = close_gap(r, q, index);
		if (result != REBUILD_DONE)
			return result;
	}

	struct queue_unit unit = { (uint64_t)m->phys_offset, len, queue_tags_code(q, m) };
	if (index < q->recovery->end) {
		struct queue_unit there;
		int rc = unit_at(q, index, &there);
		if (!recovery_has(r, rc, "cannot read a consume queue"))
			return REBUILD_WAITS;
		/* The tags too: a torn unit may lack just them. */
		if (there.phys_offset != unit.phys_offset || there.size != len ||
		    there.tags_code != unit.tags_code)
			return cut(r, q, index);
		q->max_offset++;
	} else {
		enum rebuild_result result = append(r, q, &unit);
		if (result != REBUILD_DONE)
			return result;
		r->log->stats.recovered++;
	}
	q->max_phys = unit.phys_offset + len;
	return REBUILD_DONE;
}

enum rebuild_result rebuild_damaged(struct recovery *r, const struct message *m, uint32_t len)
{
	const struct queue *q = log_queue_find(r->log, m->topic, m->queue_id);
	if (!q || !q->recovery || !q->stream || m->queue_offset != q->max_offset)
		return REBUILD_DONE; /* who knows what of it is true */
	return rebuild_unit(r, m, len) == REBUILD_WAITS ? REBUILD_WAITS : REBUILD_DONE;
}

/* ---- after the scan ---- */

/* Most queues need no search for their first record: nothing was trimmed, or all of theirs. The
 * last unit alone does not tell, it may be damaged; a store has it and its neighbour in memory. */
static int look_at_ends(struct recovery *r, struct queue *q)
{
	struct queue_recovery *qr = q->recovery;
	int64_t low = q->max_offset - 2, high = q->max_offset;
	if (r->info.begin == 0)
		qr->high = qr->low;
	if (low >= qr->low && low < qr->high && (high - 1) % qr->segment_units > 0) {
		int rc = queue_bound(&qr->units, q, r->info.begin, &low, &high);
		if (rc != 0)
			return rc;
		if (low == q->max_offset)
			qr->low = low;
	}
	qr->has_looked = true;
	return 0;
}

static void end_step(struct recovery *r)
{
	while (r->queue || recovery_walk(r)) {
		struct queue *q = r->queue;
		if (!q->recovery)
			look_at_stream(r, q);
		struct queue_recovery *qr = q->recovery;
		if (qr->end > q->max_offset) {
			r->units_cut += (uint64_t)(qr->end - q->max_offset);
			(void)cut(r, q, q->max_offset);
			return;
		}
		if (r->is_new_queue) {
			r->is_new_queue = false;
			look_at_stream(r, q);
			qr->low = qr->begin;
			qr->high = q->max_offset;
			qr->has_looked = false;
		}
		int rc = qr->has_looked ? 0 : look_at_ends(r, q);
		if (rc == 0)
			rc = queue_bound(&qr->units, q, r->info.begin, &qr->low, &qr->high);
		if (!recovery_has(r, rc, "cannot read a consume queue"))
			return;
		q->min_offset = qr->low;
		q->visible = q->max_offset;
		r->n_units += (uint64_t)q->max_offset;
		if (!r->open.was_clean && r->ops->distrust && q->max_offset > qr->checked)
			r->ops->distrust(q->stream, (uint64_t)qr->checked * QUEUE_UNIT_BYTES);
		r->queue = NULL;
	}
	r->then(r);
}

void rebuild_end(struct recovery *r, void (*then)(struct recovery *r))
{
	r->then = then;
	r->n_units = 0;
	recovery_next(r, end_step);
}

void rebuild_free(struct recovery *r)
{
	struct map_entry *entry;
	for (uint32_t pos = 0; (entry = map_next(&r->log->queues, &pos)) != NULL;) {
		struct queue *q = entry->value;
		if (!q->recovery)
			continue;
		cursor_drop(&q->recovery->units);
		free(q->recovery);
		q->recovery = NULL;
	}
}
