/*
 * Finding offsets by hash: files from the newest, in each the chain of the hash's slot, from the
 * newest entry (IndexService.queryOffset, IndexFile.selectPhyOffset of 5.3.3).
 */
#include "log/index_priv.h"

/* After so many entries others get their turn. */
#define ENTRIES_AT_ONCE 2000

static void query_run(struct index_query *q);

static void query_resumed(struct cursor *cursor)
{
	query_run(cursor->data);
}

static void query_paused(struct mosaic_req *req)
{
	query_run(req->data);
}

static void query_end(struct index_query *q, int status)
{
	cursor_drop(&q->cursor);
	q->req.status = status;
	q->req.done(&q->req);
}

/* The file of this name or the next older one. */
static struct index_file *file_below(const struct index *ix, uint64_t name)
{
	uint32_t i = ix->n_files;
	while (i > 0 && ix->files[i - 1]->name > name)
		i--;
	return i > 0 ? ix->files[i - 1] : NULL;
}

static bool is_time_matched(const struct index_header *h, int64_t begin, int64_t end)
{
	return (begin < h->begin_ms && end > h->end_ms) ||
	       (begin >= h->begin_ms && begin <= h->end_ms) ||
	       (end >= h->begin_ms && end <= h->end_ms);
}

static int slot_of(struct index_query *q, const struct index_file *file, uint32_t *value)
{
	const struct index *ix = q->index;
	uint32_t slot = q->hash % ix->shape.slots, len;
	const uint8_t *bytes;
	int rc = 0;
	if (file->slots)
		bytes = file->slots + (size_t)slot * INDEX_SLOT_BYTES;
	else
		rc = cursor_get(&q->cursor, file->stream, index_slot_at(slot), INDEX_SLOT_BYTES,
				INDEX_SLOT_BYTES, &bytes, &len);
	if (rc == 0)
		*value = index_prev(get_be32(bytes), file->header.count);
	return rc;
}

/* From memory when it is not known to be written. */
static int entry_of(struct index_query *q, const struct index_file *file, struct index_entry *entry)
{
	const struct index *ix = q->index;
	for (const struct index_chunk *c = ix->chunks; c; c = c->next) {
		if (c->file != file || q->entry < c->first || q->entry >= c->first + c->n)
			continue;
		index_entry_decode(
			c->bytes + (size_t)(q->entry - c->first) * INDEX_ENTRY_BYTES, entry);
		return 0;
	}
	const uint8_t *bytes;
	uint32_t len;
	int rc = cursor_get(&q->cursor, file->stream, index_entry_at(&ix->shape, q->entry),
			    INDEX_ENTRY_BYTES, INDEX_ENTRY_BYTES, &bytes, &len);
	if (rc == 0)
		index_entry_decode(bytes, entry);
	return rc;
}

/* One entry; q->entry is the next one then, 0 at the end of the chain. */
static int query_entry(struct index_query *q, const struct index_file *file)
{
	struct index_entry entry;
	int rc = entry_of(q, file, &entry);
	if (rc != 0)
		return rc;
	int64_t ms = file->header.begin_ms + (int64_t)entry.seconds * 1000;
	bool ends = entry.seconds < 0 || ms < q->begin_ms;
	if (entry.seconds >= 0 && entry.hash == q->hash && ms >= q->begin_ms && ms <= q->end_ms)
		q->phys_offsets[q->n++] = entry.phys_offset;
	/* Chains lead down: a damaged one ends too. */
	q->entry = ends || q->n >= q->max ? 0 : index_prev(entry.prev, q->entry);
	return 0;
}

/* The chain of one file. 0, or MOSAIC_PENDING, also when it paused. */
static int query_file(struct index_query *q, const struct index_file *file)
{
	int rc = 0;
	if (q->entry == 0 && file->header.count > 1 &&
	    is_time_matched(&file->header, q->begin_ms, q->end_ms))
		rc = slot_of(q, file, &q->entry);
	for (uint32_t i = 0; rc == 0 && q->entry > 0; i++) {
		if (i == ENTRIES_AT_ONCE) {
			q->index->log->host->post(q->index->log->host, &q->pause);
			return MOSAIC_PENDING;
		}
		rc = query_entry(q, file);
	}
	return rc;
}

static int query_files(struct index_query *q)
{
	for (;;) {
		const struct index_file *file = file_below(q->index, q->file);
		if (!file)
			return 0;
		if (file->name != q->file) { /* the next one, or it was deleted meanwhile */
			cursor_drop(&q->cursor);
			q->file = file->name;
			q->entry = 0;
		}
		if (!q->has_last) {
			q->has_last = true;
			q->last_ms = file->header.end_ms;
			q->last_phys = file->header.end_phys;
		}
		int64_t begin_ms = file->header.begin_ms;
		int rc = query_file(q, file);
		if (rc != 0)
			return rc;
		if (begin_ms < q->begin_ms || q->n >= q->max)
			return 0;
		q->file--;
		q->entry = 0;
		cursor_drop(&q->cursor);
	}
}

static void query_run(struct index_query *q)
{
	int rc = query_files(q);
	if (rc != MOSAIC_PENDING)
		query_end(q, rc);
}

int index_query(struct index *ix, struct index_query *q)
{
	q->n = 0;
	q->last_ms = q->last_phys = 0;
	q->has_last = false;
	q->max = q->max < INDEX_QUERY_MAX ? q->max : INDEX_QUERY_MAX;
	if (!ix || q->max == 0)
		return 0;
	q->index = ix;
	q->file = UINT64_MAX;
	q->entry = 0;
	q->pause = (struct mosaic_req){ .done = query_paused, .data = q };
	cursor_init(&q->cursor, ix->ops, query_resumed, q);
	if (ix->state == INDEX_LOOKING || ix->state == INDEX_LOADING) {
		q->next = ix->waiting;
		ix->waiting = q;
		return MOSAIC_PENDING;
	}
	int rc = query_files(q);
	if (rc != MOSAIC_PENDING)
		cursor_drop(&q->cursor);
	return rc;
}

void index_run_waiting(struct index *ix)
{
	while (ix->waiting) {
		struct index_query *q = ix->waiting;
		ix->waiting = q->next;
		query_run(q);
	}
}
