/*
 * The scan has come to bytes that are no record although it should not end there. Either the log
 * was torn: a power cut kept later bytes and lost these. Then what follows was never promised and
 * goes. Or these bytes were whole once and were damaged since: then that costs the message that was
 * here and nothing else.
 *
 *   salvage -> search    the next whole record behind; none: the log ends here
 *           -> decide    it stays when the log was closed properly, when the checkpoint knows that
 *                        it was durable, or when the bytes between do not look like lost sectors
 *           -> go_on     behind the damage; the damaged record keeps its unit, pulls skip it
 *
 * A lost sector shows what it held before: zeros, from the end that the log had when the sector was
 * last written up to the sector's end. So a damaged piece without a sector that ends in zeros was
 * not lost, it was changed. Zeros prove nothing: messages may be full of them.
 */
#include "log/recover.h"

#include "base/bytes.h"
#include "base/err.h"
#include <inttypes.h>

#define WINDOW_BYTES (1u << 20)
/* So far is looked: two records of the largest size that is common. A unit that points further says
 * that there is more. */
#define SEARCH_BYTES (UINT64_C(8) << 20)
#define SECTOR_BYTES 512
/* A sector that was written in the middle of a record has at least so many zeros; fewer are no
 * sign, records have them in their headers. */
#define ZEROS_LEAST 16

static void search(struct recovery *r);
static void decide(struct recovery *r);
static void go_on(struct recovery *r);

bool salvage_may_help(const struct recovery *r)
{
	return !r->is_blank || recovery_known_end(r) > r->at;
}

void salvage(struct recovery *r)
{
	uint64_t known = recovery_known_end(r), far = r->at + SEARCH_BYTES;
	far = far > known ? far : known;
	r->hole = (struct recovery_hole){ .search_at = r->at + 1,
					  .search_end = far < r->info.end ? far : r->info.end,
					  .next = UINT64_MAX };
	recovery_next(r, search);
}

/* ---- what follows ---- */

/* Bytes to the next place where a record could begin; len: none in what is there. */
static uint32_t next_candidate(const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i + RECORD_BLANK_BYTES <= len; i++) {
		uint32_t magic = get_be32(bytes + i + RECORD_AT_MAGIC);
		if (magic == RECORD_MAGIC_V1 || magic == RECORD_MAGIC_V2 ||
		    magic == RECORD_MAGIC_BLANK)
			return i;
	}
	return len;
}

/* Whether it is a message: a blank says nothing of when it was written. */
static bool found(struct recovery *r, int kind, const struct message *m, uint32_t len)
{
	struct recovery_hole *h = &r->hole;
	if (h->next == UINT64_MAX)
		h->next = h->search_at;
	h->search_at += len;
	h->next_ms = kind == RECORD_MESSAGE ? m->store_ms : 0;
	h->shape_at = r->at;
	return kind == RECORD_MESSAGE;
}

static void search(struct recovery *r)
{
	struct recovery_hole *h = &r->hole;
	while (h->search_at < h->search_end) {
		uint64_t left = r->info.segment_bytes - h->search_at % r->info.segment_bytes;
		const uint8_t *bytes;
		uint32_t have, len;
		if (left < RECORD_BLANK_BYTES) {
			h->search_at += left;
			continue;
		}
		uint32_t want = left < WINDOW_BYTES ? (uint32_t)left : WINDOW_BYTES;
		int rc = cursor_get(&r->records, r->log->commit_log, h->search_at,
				    RECORD_BLANK_BYTES, want, &bytes, &have);
		if (!recovery_has(r, rc, "cannot read the commit log"))
			return;
		uint32_t skip = next_candidate(bytes, have);
		if (skip == have) { /* a place may begin in the last bytes of the window */
			h->search_at += have == left ? have : have - RECORD_BLANK_BYTES + 1;
			continue;
		}
		h->search_at += skip;
		struct message m;
		int kind;
		rc = recovery_record_at(r, h->search_at, &m, &len, &kind);
		if (rc == MOSAIC_E_CORRUPT) {
			h->search_at++;
			continue;
		}
		if (!recovery_has(r, rc, "cannot read the commit log"))
			return;
		if (found(r, kind, &m, len)) {
			recovery_next(r, decide);
			return;
		}
	}
	recovery_ends_here(r);
}

/* ---- what it means ---- */

/* Whether a sector that ends in [at, end) may have been lost; `begin`: of the hole. */
static bool has_lost_sector(const uint8_t *bytes, uint64_t at, uint64_t end, uint64_t begin)
{
	for (uint64_t s = at / SECTOR_BYTES * SECTOR_BYTES; s + SECTOR_BYTES <= end;
	     s += SECTOR_BYTES) {
		uint64_t first = s > begin ? s : begin;
		uint64_t least = s + SECTOR_BYTES - first, zeros = 0;
		least = least < ZEROS_LEAST ? least : ZEROS_LEAST;
		while (zeros < least && bytes[s + SECTOR_BYTES - 1 - zeros - at] == 0)
			zeros++;
		if (zeros == least)
			return true;
	}
	return false;
}

/* 0: *looks_lost is set; MOSAIC_PENDING or an error. */
static int look_at_shape(struct recovery *r, bool *looks_lost)
{
	struct recovery_hole *h = &r->hole;
	/* The size of the next record begins with zeros: the sector may have ended behind them. */
	uint64_t limit = h->next + RECORD_AT_MAGIC;
	*looks_lost = false;
	while (h->shape_at < limit && !*looks_lost) {
		uint64_t left = limit - h->shape_at;
		uint32_t need = left < SECTOR_BYTES ? (uint32_t)left : SECTOR_BYTES, have;
		const uint8_t *bytes;
		int rc = cursor_get(&r->records, r->log->commit_log, h->shape_at, need,
				    left < WINDOW_BYTES ? (uint32_t)left : WINDOW_BYTES, &bytes,
				    &have);
		if (rc != 0)
			return rc;
		uint64_t end = h->shape_at + (have < left ? have : left);
		*looks_lost = has_lost_sector(bytes, h->shape_at, end, r->at);
		/* Sectors are looked at whole: the next step begins with one. */
		uint64_t whole = end / SECTOR_BYTES * SECTOR_BYTES;
		h->shape_at = end == limit || whole <= h->shape_at ? end : whole;
	}
	return 0;
}

static void decide(struct recovery *r)
{
	const struct checkpoint *c = &r->log->priv->checkpoint;
	struct recovery_hole *h = &r->hole;
	bool looks_lost = false;
	bool was_durable = r->open.was_clean || h->next_ms < c->physic_ms;
	if (!was_durable &&
	    !recovery_has(r, look_at_shape(r, &looks_lost), "cannot read the commit log"))
		return;
	if (looks_lost) {
		LOG_WARN(r->log->host, "log_torn", "at=%" PRIu64 " next=%" PRIu64 " text=\"these "
			 "bytes were not written when the power went, or the disk failed; what "
			 "was written behind them was not promised and goes too\"",
			 r->at, h->next);
		recovery_ends_here(r);
		return;
	}
	LOG_ERROR(r->log->host, "log_damaged", "at=%" PRIu64 " bytes=%" PRIu64 " text=\"no whole "
		  "record, but what follows is: the disk gives back other bytes than were stored. "
		  "mosaic store verify says what was there\"", r->at, h->next - r->at);
	r->damaged_bytes += h->next - r->at;
	r->damage = (struct queue_unit){ r->at, (uint32_t)(h->next - r->at), 0 };
	recovery_next(r, go_on);
}

/* The unit of a record of which only the body was hit: as if it were whole. Units of others are
 * made when the next record of their queue shows that they are missing. */
static void go_on(struct recovery *r)
{
	struct recovery_hole *h = &r->hole;
	uint64_t segment = r->info.segment_bytes;
	uint64_t len = h->next - r->at, left = segment - r->at % segment;
	const uint8_t *bytes;
	uint32_t have, size;
	struct message m;
	if (len <= left && len <= WINDOW_BYTES && r->at >= r->units_from) {
		int rc = cursor_get(&r->records, r->log->commit_log, r->at, (uint32_t)len,
				    (uint32_t)len, &bytes, &have);
		if (!recovery_has(r, rc, "cannot read the commit log"))
			return;
		if (record_decode(bytes, have, false, &m, &size) == RECORD_MESSAGE &&
		    size == len && m.phys_offset == (int64_t)r->at &&
		    rebuild_damaged(r, &m, size) == REBUILD_WAITS)
			return;
	}
	r->at = h->next;
	r->step = r->then;
	r->log->host->post(r->log->host, recovery_wait(r)); /* much may be damaged */
}

/* ---- what is not there any more ---- */

void salvage_tell_lost(const struct recovery *r)
{
	const struct log *log = r->log;
	int64_t physic_ms = log->priv->checkpoint.physic_ms;
	uint64_t known = r->max_phys < r->info.end ? r->max_phys : r->info.end;
	bool has_looked = r->last_store_ms > 0 || log->end == log->begin;
	bool was_durable = has_looked && physic_ms > r->last_store_ms;
	if (r->resume_at != UINT64_MAX && r->resume_at >= log->end) {
		was_durable = true;
		known = r->resume_at > known ? r->resume_at : known;
	}
	uint64_t bytes = known > log->end ? known - log->end : 0;
	if (was_durable)
		LOG_ERROR(log->host, "log_lost", "end=%" PRIu64 " missing_bytes=%" PRIu64
			  " missing_messages=%" PRIu64 " newest_ms=%" PRId64 " durable_ms=%" PRId64
			  " text=\"the checkpoint knows of messages behind the end that were on "
			  "the disk: it said so and has lost them, or somebody took them. At least "
			  "as much is missing as the queues still know\"",
			  log->end, bytes, r->units_cut, r->last_store_ms, physic_ms);
	else if (r->units_cut > 0)
		LOG_WARN(log->host, "log_shorter", "end=%" PRIu64 " missing_bytes=%" PRIu64
			 " missing_messages=%" PRIu64 " text=\"the queues knew of messages behind "
			 "the end. They were not known to be on the disk; those that a flush "
			 "policy had acknowledged as durable, the disk has lost\"",
			 log->end, bytes, r->units_cut);
}
