/*
 * Behind the log: which files are believed when it opens, the slots of the last one, then records
 * from the log until none is missing.
 *
 *   look     headers; files that are not believed go, with all that come after them
 *   confirm  the last record that the last file knows is where it says
 *   skip     how many entries that record has already
 *   load     the slots, read or made again from the entries
 *   read     records
 */
#include "base/err.h"
#include "base/mem.h"
#include "log/index_priv.h"
#include <inttypes.h>
#include <stdlib.h>

/* What is done at once: some hundred microseconds. */
#define SLOTS_AT_ONCE 65536
#define ENTRIES_AT_ONCE 8000
#define BYTES_AT_ONCE (512u * 1024)
#define RECORDS_AT_ONCE 1000
#define REST_NS MS_NS
#define CONGESTED_NS (10 * MS_NS)
#define WINDOW_BYTES (512u * 1024)
#define TAIL_ENTRIES 3200u

static void look(struct index *ix);
static void confirm(struct index *ix);
static void skip(struct index *ix);
static void load(struct index *ix);
static void read_records(struct index *ix);

void index_follow_later(struct index *ix, uint64_t delay_ns)
{
	ix->log->host->timer_start(ix->log->host, &ix->follow, delay_ns);
}

static void run(struct index *ix)
{
	if (ix->closed)
		index_write_on(ix);
	else if (ix->state == INDEX_FOLLOWING)
		read_records(ix);
	else if (ix->state < INDEX_FOLLOWING)
		ix->step(ix);
}

void index_follow(struct mosaic_timer *timer)
{
	run(timer->data);
}

void index_resume(struct cursor *cursor)
{
	run(cursor->data);
}

static void next(struct index *ix, void (*step)(struct index *ix))
{
	cursor_drop(&ix->cursor);
	ix->step = step;
	ix->step_at = 0;
	step(ix);
}

/* True when rc is 0; MOSAIC_PENDING comes back through resume. */
static bool has(struct index *ix, int rc, const char *what)
{
	if (rc < 0)
		index_break(ix, what, rc);
	return rc == 0;
}

static struct index_file *last_file(const struct index *ix)
{
	return ix->n_files > 0 ? ix->files[ix->n_files - 1] : NULL;
}

/* ---- which files are believed ---- */

void index_found(struct index *ix, const char *name)
{
	char *rest;
	uint64_t number = strtoull(name, &rest, 10);
	if (*rest || number == 0 || number >= INT64_MAX)
		return;
	for (uint32_t i = 0; i < ix->n_files; i++)
		if (ix->files[i]->name == number)
			return;
	index_add_file(ix, number);
}

void index_start(struct index *ix, bool is_crash)
{
	ix->is_crash = is_crash;
	ix->state = INDEX_LOOKING;
	ix->step = look;
	for (uint32_t i = 0; i < ix->n_files; i++)
		if (!index_open_file(ix, ix->files[i]))
			return;
	index_follow_later(ix, 0);
}

static bool is_believed(struct index *ix, struct index_file *file)
{
	const struct checkpoint *c = &ix->log->priv->checkpoint;
	const struct index_mark *mark = &c->index;
	struct index_header *h = &file->header;
	if (!index_header_is_sane(h, &ix->shape))
		return false;
	bool is_full = h->count == ix->shape.entries;
	if (ix->is_crash && mark->file == file->name &&
	    !(is_full && h->end_ms <= c->index_ms)) {
		if (!index_header_is_sane(&mark->header, &ix->shape))
			return false;
		*h = mark->header;
		ix->is_rebuilt = true;
	} else if (ix->is_crash && !(is_full && h->end_ms <= c->index_ms)) {
		return false;
	}
	return h->count == 1 || h->end_phys < (int64_t)ix->log->end;
}

static void forget_from(struct index *ix, uint32_t first, const char *why)
{
	if (ix->n_files > first)
		LOG_WARN(ix->log->host, "index_files_deleted",
			 "reason=\"%s\" files=%u first=%" PRIu64
			 " text=\"they are made again from the log\"",
			 why, ix->n_files - first, ix->files[first]->name);
	cursor_drop(&ix->cursor);
	while (ix->n_files > first)
		index_drop_file(ix, ix->n_files - 1);
	ix->is_rebuilt = false;
}

static void look(struct index *ix)
{
	for (; ix->step_at < ix->n_files; ix->step_at++) {
		struct index_file *file = ix->files[ix->step_at];
		struct mosaic_stream_info info;
		const uint8_t *bytes;
		uint32_t len;
		ix->ops->stream_info(file->stream, &info);
		if (info.end != index_bytes(&ix->shape)) {
			forget_from(ix, ix->step_at, "another size than configured");
			break;
		}
		int rc = cursor_get(&ix->cursor, file->stream, 0, INDEX_HEADER_BYTES,
				    INDEX_HEADER_BYTES, &bytes, &len);
		if (!has(ix, rc, "cannot read a file of the index"))
			return;
		index_header_decode(bytes, &file->header);
		/* Only the last one may have room left. */
		bool is_last = ix->step_at + 1 == ix->n_files;
		if (!is_believed(ix, file) ||
		    (!is_last && file->header.count < ix->shape.entries)) {
			forget_from(ix, ix->step_at, "not known to be whole");
			break;
		}
	}
	next(ix, confirm);
}

static int record_at(struct index *ix, uint64_t offset, struct message *m, uint32_t *len)
{
	uint64_t left = ix->log->segment_bytes - offset % ix->log->segment_bytes;
	uint32_t need = RECORD_BLANK_BYTES, have;
	const uint8_t *bytes;
	if (left < RECORD_BLANK_BYTES)
		return MOSAIC_E_CORRUPT;
	for (;;) {
		uint32_t want = left < WINDOW_BYTES ? (uint32_t)left : WINDOW_BYTES;
		int rc = cursor_get(&ix->cursor, ix->log->commit_log, offset, need, want, &bytes,
				    &have);
		if (rc != 0)
			return rc;
		int kind = record_decode(bytes, have, false, m, len);
		if (kind == RECORD_BLANK && *len == left) {
			m->phys_offset = -1;
			return 0;
		}
		if (kind == RECORD_MESSAGE && m->phys_offset == (int64_t)offset)
			return 0;
		if (kind != MOSAIC_E_AGAIN || *len <= have || *len > left || have < need)
			return MOSAIC_E_CORRUPT;
		need = *len;
	}
}

static void confirm(struct index *ix)
{
	const struct log *log = ix->log;
	struct index_file *file = last_file(ix);
	ix->at = log->begin;
	/* An empty one says nothing, but the one before it does. */
	if (file && file->header.count == 1 && ix->n_files > 1) {
		const struct index_header *before = &ix->files[ix->n_files - 2]->header;
		file->header.begin_ms = file->header.end_ms = before->end_ms;
		file->header.begin_phys = file->header.end_phys = before->end_phys;
	}
	if (file && file->header.end_ms > 0 && file->header.end_phys >= (int64_t)log->begin) {
		uint64_t end = (uint64_t)file->header.end_phys;
		struct message m;
		uint32_t len;
		int rc = record_at(ix, end, &m, &len);
		if (rc != MOSAIC_E_CORRUPT && rc != MOSAIC_E_LOST &&
		    !has(ix, rc, "cannot read the commit log"))
			return;
		if (rc != 0 || m.phys_offset < 0 || m.store_ms != file->header.end_ms) {
			forget_from(ix, ix->n_files - 1, "of another log");
			next(ix, confirm);
			return;
		}
		ix->at = end;
	}
	next(ix, skip);
}

/* A record's keys may be in two files; what Apache's broker left may end between two of them. */
static void skip(struct index *ix)
{
	uint32_t i = ix->n_files;
	while (i > 0 && ix->files[i - 1]->header.count == 1)
		i--;
	ix->skip = 0;
	if (i > 0 && ix->at == (uint64_t)ix->files[i - 1]->header.end_phys) {
		struct index_file *file = ix->files[i - 1];
		uint32_t count = file->header.count;
		uint32_t first = count > TAIL_ENTRIES ? count - TAIL_ENTRIES : 1;
		uint32_t bytes = (count - first) * INDEX_ENTRY_BYTES, len;
		const uint8_t *entries;
		int rc = cursor_get(&ix->cursor, file->stream, index_entry_at(&ix->shape, first),
				    bytes, bytes, &entries, &len);
		if (!has(ix, rc, "cannot read a file of the index"))
			return;
		while (len >= INDEX_ENTRY_BYTES &&
		       get_be64(entries + len - INDEX_ENTRY_BYTES + 4) == ix->at) {
			ix->skip++;
			len -= INDEX_ENTRY_BYTES;
		}
	}
	while (ix->n_files > 1 && ix->files[0]->header.end_phys < (int64_t)ix->log->begin)
		index_drop_file(ix, 0);
	struct index_file *file = last_file(ix);
	if (file && file->header.count < ix->shape.entries) {
		ix->tail = file;
		index_make_slots(ix, file);
	}
	ix->state = INDEX_LOADING;
	next(ix, load);
}

/* ---- slots of the last file ---- */

static void loaded(struct index *ix)
{
	LOG_INFO(ix->log->host, "index_open", "files=%u at=%" PRIu64 " rebuilt=%d", ix->n_files,
		 ix->at, ix->is_rebuilt);
	cursor_drop(&ix->cursor);
	ix->state = INDEX_FOLLOWING;
	index_run_waiting(ix);
	read_records(ix);
}

/* As they are in the file; false: they do not fit to the header. */
static bool take_slots(struct index *ix, const uint8_t *bytes, uint32_t n)
{
	struct index_file *file = ix->tail;
	uint8_t *to = file->slots + (size_t)ix->step_at * INDEX_SLOT_BYTES;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t value = get_be32(bytes + (size_t)i * INDEX_SLOT_BYTES);
		if (value == 0)
			continue; /* its page need not be touched */
		if (value >= file->header.count)
			return false;
		put_be32(to + (size_t)i * INDEX_SLOT_BYTES, value);
	}
	return true;
}

/* 0, MOSAIC_PENDING, MOSAIC_E_CORRUPT or an error. */
static int load_slots(struct index *ix)
{
	uint32_t left = ix->shape.slots - ix->step_at, len;
	uint32_t n = left < SLOTS_AT_ONCE ? left : SLOTS_AT_ONCE;
	const uint8_t *bytes;
	int rc = cursor_get(&ix->cursor, ix->tail->stream, index_slot_at(ix->step_at),
			    n * INDEX_SLOT_BYTES, n * INDEX_SLOT_BYTES, &bytes, &len);
	if (rc == 0 && (len < n * INDEX_SLOT_BYTES || !take_slots(ix, bytes, n)))
		rc = MOSAIC_E_CORRUPT;
	if (rc == 0)
		ix->step_at += n;
	return rc;
}

/* Apache's broker may have begun the file anew before it crashed too: then chains need not be
 * broken, but offsets go back where its entries end. */
static bool take_entries(struct index *ix, const uint8_t *bytes, uint32_t n)
{
	struct index_file *file = ix->tail;
	for (uint32_t i = 0; i < n; i++, bytes += INDEX_ENTRY_BYTES) {
		struct index_entry entry;
		index_entry_decode(bytes, &entry);
		uint32_t slot = entry.hash % ix->shape.slots;
		uint8_t *at = file->slots + (size_t)slot * INDEX_SLOT_BYTES;
		if (get_be32(at) != entry.prev || (int32_t)entry.hash < 0 || entry.seconds < 0 ||
		    entry.phys_offset < ix->step_phys)
			return false;
		ix->step_phys = entry.phys_offset;
		file->header.n_slots += entry.prev == 0;
		put_be32(at, ix->step_at + 1 + i);
		file->dirty[slot / SLOT_PAGE / 64] |= UINT64_C(1) << (slot / SLOT_PAGE % 64);
	}
	return true;
}

static int load_entries(struct index *ix)
{
	struct index_file *file = ix->tail;
	uint32_t left = file->header.count - 1 - ix->step_at, len;
	uint32_t n = left < ENTRIES_AT_ONCE ? left : ENTRIES_AT_ONCE;
	const uint8_t *bytes;
	if (ix->step_at == 0) {
		file->header.n_slots = 0;
		ix->step_phys = (uint64_t)file->header.begin_phys;
	}
	int rc = cursor_get(&ix->cursor, file->stream,
			    index_entry_at(&ix->shape, ix->step_at + 1), n * INDEX_ENTRY_BYTES,
			    n * INDEX_ENTRY_BYTES, &bytes, &len);
	if (rc == 0 && (len < n * INDEX_ENTRY_BYTES || !take_entries(ix, bytes, n)))
		rc = MOSAIC_E_CORRUPT;
	if (rc == 0 && n == left && ix->step_phys != (uint64_t)file->header.end_phys)
		rc = MOSAIC_E_CORRUPT;
	if (rc == 0)
		ix->step_at += n;
	return rc;
}

/* The slots do not fit: again from the entries. These do not either: the file goes. */
static void load_again(struct index *ix)
{
	free(ix->tail->slots);
	free(ix->tail->dirty);
	ix->tail->slots = NULL;
	ix->tail->dirty = NULL;
	if (ix->is_rebuilt) {
		ix->tail = NULL;
		ix->state = INDEX_LOOKING;
		forget_from(ix, ix->n_files - 1, "its entries are damaged");
		next(ix, confirm);
		return;
	}
	ix->is_rebuilt = true;
	index_make_slots(ix, ix->tail);
	next(ix, load);
}

static void load(struct index *ix)
{
	uint32_t n = !ix->tail ? 0 : ix->is_rebuilt ? ix->tail->header.count - 1 : ix->shape.slots;
	if (ix->tail && ix->tail->header.count == 1)
		n = 0;
	if (ix->step_at == n) {
		if (ix->tail)
			ix->tail->is_changed = ix->is_rebuilt;
		loaded(ix);
		return;
	}
	int rc = ix->is_rebuilt ? load_entries(ix) : load_slots(ix);
	if (rc == MOSAIC_E_CORRUPT)
		load_again(ix);
	else if (has(ix, rc, "cannot read a file of the index"))
		index_follow_later(ix, ix->step_at < n ? REST_NS / 2 : 0);
}

/* ---- records ---- */

/* One record or what stands for it: 0, MOSAIC_PENDING or an error. */
static int read_record(struct index *ix)
{
	struct message m;
	uint32_t len = 0;
	uint64_t left = ix->log->segment_bytes - ix->at % ix->log->segment_bytes;
	int rc = left < RECORD_BLANK_BYTES ? MOSAIC_E_CORRUPT : record_at(ix, ix->at, &m, &len);
	if (rc == MOSAIC_E_CORRUPT || rc == MOSAIC_E_LOST) {
		/* As Apache's broker does: what is behind it in its segment is not found by key. */
		if (left >= RECORD_BLANK_BYTES)
			LOG_WARN(ix->log->host, "index_skips", "at=%" PRIu64 " bytes=%" PRIu64,
				 ix->at, left);
		ix->at += left;
		ix->skip = 0;
		return 0;
	}
	if (rc != 0)
		return rc;
	if (m.phys_offset >= 0)
		index_put(ix, index_topic_hash(m.topic), &m, ix->skip);
	ix->skip = 0;
	ix->at += len;
	return 0;
}

static void read_records(struct index *ix)
{
	struct log *log = ix->log;
	uint64_t stop = ix->at + BYTES_AT_ONCE;
	for (uint32_t n = 0; ix->at < log->end; n++) {
		if (ix->at < log->begin) { /* deleted meanwhile */
			ix->at = log->begin;
			ix->skip = 0;
			stop = ix->at + BYTES_AT_ONCE;
			cursor_drop(&ix->cursor);
		}
		bool is_congested = index_is_congested(ix);
		if (n == RECORDS_AT_ONCE || ix->at >= stop || is_congested) {
			cursor_drop(&ix->cursor); /* the log may be trimmed meanwhile */
			index_tick_later(ix);
			index_follow_later(ix, is_congested ? CONGESTED_NS : REST_NS);
			return;
		}
		int rc = read_record(ix);
		if (rc == MOSAIC_E_NOTFOUND && ix->at < log->begin)
			continue;
		if (!has(ix, rc, "cannot read the commit log") || ix->state == INDEX_BROKEN)
			return;
	}
	cursor_drop(&ix->cursor);
	ix->at = log->end;
	ix->state = INDEX_LIVE;
	index_tick_later(ix);
}
