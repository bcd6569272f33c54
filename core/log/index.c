/*
 * Entries: from a record's keys to the slots and chunks in memory, and the list of files.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "log/index_priv.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct index *index_create(struct log *log, const struct index_shape *shape)
{
	/* Java's indexes and file sizes are signed. */
	if (!log->config.store_ops->write || shape->slots == 0 || shape->entries < 2 ||
	    index_bytes(shape) > INT32_MAX)
		return NULL;
	struct index *ix = mem_alloc(sizeof(*ix));
	ix->log = log;
	ix->ops = log->config.store_ops;
	ix->shape = *shape;
	ix->chunks_end = &ix->chunks;
	ix->tick = (struct mosaic_timer){ .fire = index_tick, .data = ix };
	ix->follow = (struct mosaic_timer){ .fire = index_follow, .data = ix };
	cursor_init(&ix->cursor, ix->ops, index_resume, ix);
	return ix;
}

static void file_free(struct index_file *file)
{
	free(file->slots);
	free(file->dirty);
	free(file);
}

void index_destroy(struct index *ix)
{
	if (!ix)
		return;
	index_free_chunks(ix);
	for (uint32_t i = 0; i < ix->n_files; i++)
		file_free(ix->files[i]);
	free(ix->files);
	free(ix);
}

bool index_is_live(const struct index *ix)
{
	return ix && ix->state == INDEX_LIVE;
}

uint32_t index_count_files(const struct index *ix)
{
	return ix ? ix->n_files : 0;
}

void index_break(struct index *ix, const char *what, int status)
{
	LOG_ERROR(ix->log->host, "index_broken",
		  "reason=\"%s: %s\" text=\"messages are not found by key any more until the "
		  "broker is started again\"",
		  what, status_text(status));
	ix->state = INDEX_BROKEN;
	ix->tail = NULL;
	ix->open_chunk = NULL;
	index_run_waiting(ix);
}

/* ---- files ---- */

struct index_file *index_add_file(struct index *ix, uint64_t name)
{
	if (ix->n_files == ix->cap_files) {
		ix->cap_files = ix->cap_files ? 2 * ix->cap_files : 8;
		ix->files = mem_resize(ix->files, ix->cap_files * sizeof(*ix->files));
	}
	struct index_file *file = mem_alloc(sizeof(*file));
	file->name = name;
	file->index = ix;
	file->header.count = 1;
	uint32_t i = ix->n_files++;
	for (; i > 0 && ix->files[i - 1]->name > name; i--)
		ix->files[i] = ix->files[i - 1];
	ix->files[i] = file;
	return file;
}

bool index_open_file(struct index *ix, struct index_file *file)
{
	char text[INDEX_NAME_BYTES + 1];
	snprintf(text, sizeof(text), "%" PRIu64, file->name);
	struct mosaic_stream_name name = { .kind = MOSAIC_INDEX, .topic = text };
	int rc = ix->ops->stream_open(ix->log->config.store, &name, &file->stream);
	if (rc < 0)
		index_break(ix, "cannot open a file of the index", rc);
	return rc == 0;
}

static void file_dropped(struct mosaic_req *req)
{
	struct index_file *file = req->data;
	if (req->status < 0)
		LOG_WARN(file->index->log->host, "index_not_deleted", "file=%" PRIu64 " status=%d",
			 file->name, req->status);
	file_free(file);
}

void index_drop_file(struct index *ix, uint32_t i)
{
	struct index_file *file = ix->files[i];
	ix->n_files--;
	memmove(&ix->files[i], &ix->files[i + 1], (ix->n_files - i) * sizeof(*ix->files));
	file->drop = (struct mosaic_req){ .done = file_dropped, .data = file };
	int rc = ix->ops->stream_drop(file->stream, &file->drop);
	if (rc < 0) {
		file->drop.status = rc;
		file_dropped(&file->drop);
	}
}

void index_trim(struct index *ix, uint64_t below)
{
	if (!ix || ix->state <= INDEX_LOADING)
		return; /* looking at the files trims them too */
	while (ix->n_files > 1 && !ix->files[0]->slots &&
	       ix->files[0]->header.end_phys < (int64_t)below)
		index_drop_file(ix, 0);
}

void index_make_slots(struct index *ix, struct index_file *file)
{
	uint32_t n_pages = (ix->shape.slots + SLOT_PAGE - 1) / SLOT_PAGE;
	file->slots = mem_alloc((size_t)ix->shape.slots * INDEX_SLOT_BYTES);
	file->dirty = mem_alloc((n_pages + 63) / 64 * sizeof(*file->dirty));
}

/* UtilAll.timeMillisToHumanString: local time. */
static uint64_t name_of_now(const struct index *ix)
{
	uint64_t now_ms = host_wall_ms(ix->log->host);
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm t;
	if (!localtime_r(&seconds, &t))
		return now_ms;
	uint64_t day = ((uint64_t)t.tm_year + 1900) * 10000 + ((uint64_t)t.tm_mon + 1) * 100 +
		       (uint64_t)t.tm_mday;
	uint64_t second = (uint64_t)t.tm_hour * 10000 + (uint64_t)t.tm_min * 100 +
			  (uint64_t)t.tm_sec;
	return (day * 1000000 + second) * 1000 + now_ms % 1000;
}

static void file_resized(struct mosaic_req *req)
{
	struct index_file *file = req->data;
	if (req->status < 0 && file->index->state != INDEX_BROKEN)
		index_break(file->index, "cannot make a file of the index", req->status);
}

static struct index_file *new_file(struct index *ix)
{
	const struct index_file *before = ix->n_files > 0 ? ix->files[ix->n_files - 1] : NULL;
	uint64_t name = name_of_now(ix);
	if (before && name <= before->name) /* two in a millisecond, or the clock was set */
		name = before->name + 1;
	struct index_file *file = index_add_file(ix, name);
	if (before) {
		file->header.begin_ms = file->header.end_ms = before->header.end_ms;
		file->header.begin_phys = file->header.end_phys = before->header.end_phys;
	}
	if (!index_open_file(ix, file)) {
		ix->n_files--;
		file_free(file);
		return NULL;
	}
	index_make_slots(ix, file);
	file->resize = (struct mosaic_req){ .done = file_resized, .data = file };
	int rc = ix->ops->truncate(file->stream, index_bytes(&ix->shape), &file->resize);
	if (rc < 0) {
		index_break(ix, "cannot make a file of the index", rc);
		return NULL;
	}
	ix->tail = file;
	return file;
}

/* ---- entries ---- */

static void put_entry(struct index *ix, uint32_t hash, int64_t phys_offset, int64_t store_ms)
{
	struct index_file *file = ix->tail ? ix->tail : new_file(ix);
	if (UNLIKELY(!file))
		return;
	struct index_header *h = &file->header;
	uint32_t slot = hash % ix->shape.slots;
	uint8_t *at = file->slots + (size_t)slot * INDEX_SLOT_BYTES;
	struct index_entry entry = { .hash = hash,
				     .phys_offset = (uint64_t)phys_offset,
				     .seconds = index_seconds(h, store_ms),
				     .prev = index_prev(get_be32(at), h->count) };
	struct index_chunk *chunk = index_chunk(ix);
	index_entry_encode(chunk->bytes + (size_t)chunk->n++ * INDEX_ENTRY_BYTES, &entry);
	put_be32(at, h->count);
	file->dirty[slot / SLOT_PAGE / 64] |= UINT64_C(1) << (slot / SLOT_PAGE % 64);
	index_header_add(h, phys_offset, store_ms, entry.prev == 0);
	file->is_changed = true;
	if (UNLIKELY(h->count >= ix->shape.entries)) {
		index_chunk_end(ix);
		ix->tail = NULL;
		index_write_on(ix);
	} else if (UNLIKELY(chunk->n == CHUNK_ENTRIES)) {
		index_chunk_end(ix);
	}
}

void index_put(struct index *ix, int32_t topic_hash, const struct message *m, uint32_t n_skip)
{
	struct index_keys keys = index_keys_of(m);
	struct mosaic_slice key;
	while (index_keys_next(&keys, &key)) {
		if (UNLIKELY(n_skip > 0)) {
			n_skip--;
			continue;
		}
		put_entry(ix, index_key_hash(topic_hash, key), m->phys_offset, m->store_ms);
		if (UNLIKELY(ix->state == INDEX_BROKEN))
			return;
	}
}

bool index_is_congested(const struct index *ix)
{
	uint32_t n_unfinished = 0;
	for (uint32_t i = ix->n_files; i > 0 && ix->files[i - 1]->slots; i--)
		n_unfinished++;
	return ix->n_chunks >= CHUNKS_MAX || n_unfinished > 3;
}

void index_append(struct index *ix, int32_t topic_hash, const struct message *m, uint64_t end)
{
	if (UNLIKELY(ix->state != INDEX_LIVE))
		return;
	if (UNLIKELY(index_is_congested(ix))) {
		ix->state = INDEX_FOLLOWING;
		index_follow_later(ix, 0);
		return;
	}
	index_put(ix, topic_hash, m, 0);
	ix->at = end;
	if (UNLIKELY(ix->tick.due_ns == 0))
		index_tick_later(ix);
}
