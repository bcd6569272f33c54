/*
 * What gather_run does, read top to bottom:
 *
 *   gather_locate   whether the offset lies in the queue
 *   gather_collect  units of the queue that match: records
 *   gather_lend     runs of records that follow each other are lent by the store
 *   gather_prove    records that may have come from a disk are compared with their units and
 *                   checksums (log/damage.h); what does not fit is left out
 *
 * Failure modes: a read that pends gives all back, and when it has ended the caller runs the whole
 * again; what retention takes meanwhile is asked for again by the client; what is damaged is
 * skipped.
 */
#include "broker/gather.h"
#include "base/mem.h"
#include "log/damage.h"
#include "wire/codes.h"
#include <stdlib.h>
#include <string.h>

/* DefaultMessageStore.getMessage of 5.3.3: limits of one answer, by where the data is. */
#define HOT_BYTES (256 * 1024)
#define HOT_COUNT 32
#define COLD_BYTES (64 * 1024)
#define COLD_COUNT 8
#define SCAN_UNITS_LEAST 800
#define SCAN_UNITS_MOST 4096 /* whatever a client asks for: some 20 us of the core thread */

static void gather_status(struct gather *g, int32_t code, const char *remark, int64_t next)
{
	g->code = code;
	g->remark = remark;
	g->next = next;
}

void gather_nothing(struct gather *g, int32_t code, const char *remark, int64_t next)
{
	gather_release(g);
	g->n_records = g->n_bytes = 0;
	gather_status(g, code, remark, next);
}

void gather_release(struct gather *g)
{
	for (uint32_t i = 0; i < g->n_pieces; i++)
		log_unpin(g->want.log, &g->pieces[i]);
	g->n_pieces = 0;
}

/* -- cold reads -------------------------------------------------------------------------------- */

/* A read pends until gather_warmed. The pieces lent so far go back. */
static void gather_pend(struct gather *g, struct queue *queue)
{
	gather_release(g);
	g->cold_queue = queue;
}

static void gather_warmed(struct mosaic_req *req)
{
	struct gather *g = req->data;
	struct mosaic_read *read = CONTAINER_OF(req, struct mosaic_read, req);
	int32_t status = req->status;

	if (status == 0 && g->cold_queue != NULL)
		queue_unpin(g->cold_queue, read);
	else if (status == 0)
		log_unpin(g->want.log, read);
	if (status == MOSAIC_E_LOST && g->cold_queue == NULL) {
		log_lost(g->want.log, read); /* the records in it are skipped */
		status = 0;
	}
	g->warmed(g, status == MOSAIC_E_NOTFOUND ? 0 : status);
}

static void gather_read_init(struct gather *g, struct mosaic_read *read)
{
	read->req.done = gather_warmed;
	read->req.data = g;
}

/* -- collecting -------------------------------------------------------------------------------- */

/* Whether the offset lies in the queue; if not, that is the result. */
static bool gather_locate(struct gather *g)
{
	const struct queue *q = g->want.queue;
	int64_t offset = g->want.offset;

	if (q->visible == 0)
		gather_nothing(g, offset == 0 ? RES_PULL_NOT_FOUND : RES_PULL_OFFSET_MOVED,
			       "NO_MESSAGE_IN_QUEUE", 0);
	else if (offset < q->min_offset)
		gather_nothing(g, RES_PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", q->min_offset);
	else if (offset >= q->visible && offset <= q->max_offset)
		/* appended, not visible yet: never tell the client that its offset is wrong */
		gather_nothing(g, RES_PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", offset);
	else if (offset > q->max_offset)
		gather_nothing(g, RES_PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", q->visible);
	else
		return true;
	return false;
}

/* Apache goes by the distance to the end of the log; a store that answers at once knows better. */
static bool gather_is_hot(const struct gather *g, uint64_t phys)
{
	return !g->want.was_cold || g->want.log->end - phys <= g->want.memory_bytes / 100 * 40;
}

/* MessageStore.isTheBatchFull of 5.3.3 */
static bool gather_is_full(const struct gather *g, uint32_t size, bool is_hot)
{
	uint64_t total = (uint64_t)g->n_bytes + size;
	uint32_t count = g->n_records;

	if (count == 0)
		return false;
	if (count >= g->want.max_count || count >= GATHER_COUNT_MAX ||
	    total > (uint64_t)g->want.max_bytes)
		return true;
	return is_hot ? total > HOT_BYTES || count >= HOT_COUNT :
			total > COLD_BYTES || count >= COLD_COUNT;
}

static void gather_take(struct gather *g, const struct queue_unit *unit)
{
	g->records[g->n_records++] = (struct gather_record){ *unit, g->next };
	g->n_bytes += unit->size;
}

static void gather_damaged(const struct gather *g, int64_t index, const struct queue_unit *unit)
{
	log_damaged(g->want.log, g->want.topic, g->want.queue_id, index, unit->phys_offset);
}

/* Walks the units of one lent piece. False: the answer is full, or the visible part has ended. */
static bool gather_walk(struct gather *g, const struct mosaic_read *read)
{
	struct log *log = g->want.log;
	struct queue_unit unit;

	for (uint32_t at = 0; at + QUEUE_UNIT_BYTES <= read->len; at += QUEUE_UNIT_BYTES) {
		if (g->next >= g->want.queue->visible)
			return false;
		queue_unit_decode(read->ptr + at, &unit);
		if (unit_is_nothing(&unit) || unit.phys_offset < log->begin) {
			g->next++; /* a gap, or its record is gone */
			continue;
		}
		bool fits = unit_fits(log, &unit);
		bool matches = fits && subscription_matches(g->want.sub, unit.tags_code);
		if (!fits ||
		    (matches && log_readable(log, unit.phys_offset, unit.size) < unit.size)) {
			gather_damaged(g, g->next++, &unit);
			continue;
		}
		if (gather_is_full(g, unit.size, gather_is_hot(g, unit.phys_offset)))
			return false;
		if (matches)
			gather_take(g, &unit);
		g->next++;
	}
	return true;
}

/* Where the search ends: a pull stays within one file of the queue, as Apache's does. */
static int64_t gather_limit(const struct gather_want *want)
{
	int64_t units = want->queue->segment_units;
	int64_t file_end = want->offset - want->offset % units + units;
	int64_t scan = want->max_count > SCAN_UNITS_LEAST ? want->max_count : SCAN_UNITS_LEAST;

	scan = scan < SCAN_UNITS_MOST ? scan : SCAN_UNITS_MOST;
	return want->offset + scan < file_end ? want->offset + scan : file_end;
}

/* Units that match, from the wanted offset. 0, MOSAIC_PENDING or an error. */
static int gather_collect(struct gather *g)
{
	struct queue *queue = g->want.queue;
	int64_t limit = gather_limit(&g->want);
	bool more = true;

	g->n_records = g->n_bytes = 0;
	g->next = g->want.offset;
	while (more && g->next < limit && g->next < queue->visible) {
		uint32_t n = (uint32_t)(limit - g->next);
		if (g->want.sub->all && n > GATHER_COUNT_MAX)
			n = GATHER_COUNT_MAX;
		gather_read_init(g, &g->units);
		int rc = queue_read(queue, g->next, n, &g->units);
		if (rc == MOSAIC_PENDING)
			gather_pend(g, queue);
		if (rc != 0)
			return rc;
		more = gather_walk(g, &g->units);
		queue_unpin(queue, &g->units);
	}
	return 0;
}

/* -- lending ----------------------------------------------------------------------------------- */

/* Has the store lend [at, end). 0, MOSAIC_PENDING or an error. */
static int gather_lend_run(struct gather *g, uint64_t at, uint64_t end)
{
	while (at < end) {
		if (g->n_pieces == GATHER_PIECES_MAX)
			return MOSAIC_E_LIMIT;
		struct mosaic_read *read = &g->pieces[g->n_pieces];
		gather_read_init(g, read);
		int rc = log_read(g->want.log, at, (uint32_t)(end - at), read);
		if (rc == MOSAIC_PENDING)
			gather_pend(g, NULL);
		if (rc != 0)
			return rc;
		at += read->len;
		g->n_pieces++;
	}
	return 0;
}

/* All records: those that lie behind each other are one run. */
static int gather_lend(struct gather *g)
{
	for (uint32_t i = 0; i < g->n_records;) {
		uint64_t at = g->records[i].unit.phys_offset, end = at;
		for (; i < g->n_records && g->records[i].unit.phys_offset == end; i++)
			end += g->records[i].unit.size;
		int rc = gather_lend_run(g, at, end);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* -- proving ----------------------------------------------------------------------------------- */

/* Where the walk over the lent pieces is. */
struct gather_place {
	uint32_t piece, at;
};

/* The next len bytes of the pieces; *copy is theirs when they lie in several. */
static const uint8_t *gather_bytes(const struct gather *g, struct gather_place *place, uint32_t len,
				   uint8_t **copy)
{
	const struct mosaic_read *read = &g->pieces[place->piece];
	const uint8_t *bytes = read->ptr + place->at;

	*copy = NULL;
	if (len < read->len - place->at) {
		place->at += len;
		return bytes;
	}
	if (len > read->len - place->at)
		*copy = mem_alloc(len);
	for (uint32_t got = 0; got < len;) {
		read = &g->pieces[place->piece];
		uint32_t here = read->len - place->at;
		uint32_t n = len - got < here ? len - got : here;
		if (*copy != NULL)
			memcpy(*copy + got, read->ptr + place->at, n);
		got += n;
		place->at += n;
		if (place->at == read->len)
			*place = (struct gather_place){ .piece = place->piece + 1 };
	}
	return *copy != NULL ? *copy : bytes;
}

/* Takes out the records that do not fit. Whether there was one: what is lent has gaps then. */
static bool gather_prove(struct gather *g)
{
	struct gather_place place = { 0 };
	uint32_t n = g->n_records;

	g->n_records = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct gather_record r = g->records[i];
		uint8_t *copy;
		const uint8_t *bytes = gather_bytes(g, &place, r.unit.size, &copy);
		bool fits = log_is_proven(g->want.log, r.unit.phys_offset) ||
			    record_fits(g->want.queue, r.index, &r.unit, bytes);
		free(copy);
		if (fits) {
			g->records[g->n_records++] = r;
			continue;
		}
		g->n_bytes -= r.unit.size;
		gather_damaged(g, r.index, &r.unit);
	}
	return g->n_records < n;
}

static bool gather_needs_proof(const struct gather *g)
{
	for (uint32_t i = 0; i < g->n_records; i++)
		if (!log_is_proven(g->want.log, g->records[i].unit.phys_offset))
			return true;
	return false;
}

/* The bytes of the records, without those that are damaged. As gather_lend. */
static int gather_fetch(struct gather *g)
{
	int rc = gather_lend(g);

	if (rc != 0 || !gather_needs_proof(g) || !gather_prove(g))
		return rc;
	gather_release(g);
	return gather_lend(g);
}

int gather_run(struct gather *g)
{
	if (!gather_locate(g))
		return 0;
	int rc = gather_collect(g);
	if (rc == 0)
		rc = gather_fetch(g);
	if (rc == 0 && g->n_records > 0)
		gather_status(g, RES_SUCCESS, "FOUND", g->next);
	else if (rc == 0)
		gather_nothing(g, RES_PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE", g->next);
	else if (rc != MOSAIC_PENDING) /* nothing is skipped for it: the client asks again */
		gather_nothing(g, RES_PULL_RETRY_IMMEDIATELY, "MESSAGE_WAS_REMOVING",
			       g->want.offset);
	return rc == MOSAIC_E_NOTFOUND ? 0 : rc;
}
