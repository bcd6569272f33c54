/*
 * mosaic store repair. The log first, as everything else is made from it:
 *
 *   a segment of the wrong size   gets its size
 *   damage in front of records    becomes a record that is in no queue: of the same place and size,
 *                                 rolled back, so every broker steps over it
 *   a torn end                    becomes zeros
 *   queues                        that do not fit to the log are written again; an offset whose
 *                                 record is gone gets the unit that stands for nothing
 *   index                         is written again when it, or the log, was damaged
 */
#include "store.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUEUE_FILE_BYTES 6000000
#define DAMAGED_TOPIC "DAMAGED"
/* Behind this many units that stand for nothing an offset is taken for damaged itself. */
#define GAP_MAX 10000000

struct repair {
	struct store_dir *dir;
	struct report *report;
	int64_t store_ms; /* of the last whole record */
	uint64_t end;     /* of the log, once it is repaired */
	bool is_failed;
};

static void done(struct repair *p, const char *file, int64_t at, bool is_done, const char *what,
		 const char *cost)
{
	p->is_failed |= !is_done;
	report_add(p->report, &(struct finding){
		.is_note = is_done, .file = file, .at = at, .what = what, .cost = cost,
		.action = is_done ? "Done" : "Look at the rights and the disk, and repair again" });
}

bool store_write_small(struct store_dir *d, const char *path, struct mosaic_slice content)
{
	char fresh[320];
	snprintf(fresh, sizeof(fresh), "%s.tmp", path);
	int fd = store_open(d, fresh, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd < 0)
		return false;
	bool is_written = write(fd, content.ptr, content.len) == (ssize_t)content.len;
	is_written = fsync(fd) == 0 && is_written;
	is_written = close(fd) == 0 && is_written;
	return is_written && renameat(d->fd, fresh, d->fd, path) == 0 && fsync(d->fd) == 0;
}

/* ---- the log ---- */

static void repair_sizes(struct repair *p)
{
	struct store_dir *d = p->dir;
	for (uint32_t i = 0; i < d->log.n; i++) {
		struct store_file *file = &d->log.files[i];
		if (file->size == d->log.file_bytes || (file->size == 0 && i + 1 == d->log.n))
			continue;
		int fd = store_open(d, file->path, O_RDWR);
		bool is_done = fd >= 0 && ftruncate(fd, (off_t)d->log.file_bytes) == 0 &&
			       fsync(fd) == 0;
		if (fd >= 0)
			close(fd);
		if (is_done) {
			if (file->map)
				munmap(file->map, file->size);
			file->map = NULL;
			file->size = d->log.file_bytes;
		}
		done(p, file->path, -1, is_done, "the segment has its size again",
		     "Records that lay behind its end are lost");
	}
}

static struct store_file *segment_of(struct store_dir *d, uint64_t at)
{
	for (uint32_t i = 0; i < d->log.n; i++)
		if (at >= d->log.files[i].start &&
		    at - d->log.files[i].start < d->log.files[i].size)
			return &d->log.files[i];
	return NULL;
}

/* The frame is whole: the message stays where it is, but counts as rolled back. */
static void withdraw(uint8_t *p, const struct message *m)
{
	uint32_t sys_flag = get_be32(p + RECORD_AT_SYS_FLAG);
	put_be32(p + RECORD_AT_SYS_FLAG, sys_flag | SYS_TRANSACTION_ROLLBACK);
	put_be32(p + RECORD_AT_CRC, hash_crc32(m->body.ptr, m->body.len) & 0x7fffffff);
}

/* A record of `len` bytes that nobody sees; false: too short for one. */
static bool cover(struct repair *p, uint8_t *at, uint64_t offset, uint32_t len)
{
	struct mosaic_slice topic = slice_str(DAMAGED_TOPIC);
	uint32_t least = RECORD_FIXED_BYTES + (uint32_t)topic.len;
	if (len < least)
		return false;
	uint8_t *body = mem_alloc(len - least + 1);
	struct message m = { .topic = topic, .body = slice(body, len - least),
			     .sys_flag = SYS_TRANSACTION_ROLLBACK, .phys_offset = (int64_t)offset,
			     .born_ms = p->store_ms, .store_ms = p->store_ms };
	m.born_host = m.store_host = (struct host_address){ .ip = { 127, 0, 0, 1 }, .ip_len = 4 };
	m.body_crc = hash_crc32(body, m.body.len) & 0x7fffffff;
	record_encode(at, len, &m);
	free(body);
	return true;
}

/* The part of a damage that lies in one segment. */
static bool mend(struct repair *p, struct store_file *file, uint64_t at, uint64_t len,
		 const struct message *m)
{
	uint8_t *map = store_file_map(p->dir, file);
	uint64_t in_file = at - file->start;
	if (!map)
		return false;
	if (m) {
		withdraw(map + in_file, m);
	} else if (in_file + len == file->size) { /* up to the end of the segment: blank */
		memset(map + in_file, 0, len);
		if (len >= RECORD_BLANK_BYTES) {
			put_be32(map + in_file, (uint32_t)len);
			put_be32(map + in_file + 4, RECORD_MAGIC_BLANK);
		}
	} else if (!cover(p, map + in_file, at, (uint32_t)len)) {
		errno = EINVAL;
		return false;
	}
	return msync(map, file->size, MS_SYNC) == 0;
}

static void repair_damage(struct repair *p, const struct walk_item *item)
{
	uint64_t at = item->at, end = item->at + item->len;
	bool is_done = true;
	while (at < end && is_done) {
		struct store_file *file = segment_of(p->dir, at);
		uint64_t stop = file ? file->start + file->size : end;
		stop = stop < end ? stop : end;
		is_done = file && mend(p, file, at, stop - at, item->has_message ? &item->m : NULL);
		at = stop;
	}
	done(p, "commitlog", (int64_t)item->at, is_done,
	     is_done ? report_text(p->report, "%" PRIu64 " damaged bytes are a record now that is "
				   "in no queue", item->len)
		     : report_text(p->report, "%" PRIu64 " damaged bytes cannot be taken out: %s",
				   item->len, strerror(errno)),
	     item->has_message ? "One message is lost" : "The messages that were there are lost");
}

/* Zeros where anything was ever written: what was not stays without blocks on the disk. */
static void clear(const struct store_dir *d, const struct store_file *file, uint8_t *map,
		  uint64_t from)
{
	int fd = store_open(d, file->path, O_RDONLY);
	for (uint64_t at = from, end; at < file->size; at = end) {
		uint64_t data = store_next_data(fd, at, file->size, &end);
		if (data == end)
			break;
		memset(map + data, 0, end - data);
	}
	if (fd >= 0)
		close(fd);
}

static void repair_tail(struct repair *p, const struct walk_item *item)
{
	bool is_done = true;
	for (uint32_t i = 0; i < p->dir->log.n; i++) {
		struct store_file *file = &p->dir->log.files[i];
		if (file->start + file->size <= item->at)
			continue;
		uint64_t from = item->at > file->start ? item->at - file->start : 0;
		uint8_t *map = store_file_map(p->dir, file);
		if (map)
			clear(p->dir, file, map, from);
		is_done = map && msync(map, file->size, MS_SYNC) == 0 && is_done;
	}
	done(p, "commitlog", (int64_t)item->at, is_done, "the torn end is cut off",
	     "What was not whole there is lost");
}

static void repair_log(void *ctx, const struct walk_item *item)
{
	struct repair *p = ctx;
	if (item->kind == WALK_RECORD)
		p->store_ms = item->m.store_ms;
	else if (item->kind == WALK_DAMAGE)
		repair_damage(p, item);
	else
		repair_tail(p, item);
}

/* ---- queues ---- */

static void collect(void *ctx, const struct walk_item *item)
{
	struct repair *p = ctx;
	struct queue_unit unit;
	if (item->kind != WALK_RECORD || !store_unit_of(&item->m, item->len, &unit))
		return;
	struct store_queue *q = store_queue_find(p->dir, item->m.topic, item->m.queue_id);
	if (!q || q->is_kept)
		return;
	int64_t index = item->m.queue_offset;
	if (q->n_units == 0 || index == 0) { /* 0 again: the topic was made again */
		q->n_units = 0;
		q->first_unit = index;
	}
	/* Another record is at this index and says so too: what says where this one belongs has
	 * been damaged, or it is of a topic that was made again. */
	struct queue_unit was;
	if (store_unit_at(p->dir, q, index, &was) && was.phys_offset != unit.phys_offset &&
	    store_unit_has_record(p->dir, q, index, &was))
		return;
	uint64_t slot = (uint64_t)(index - q->first_unit);
	if (index < q->first_unit || slot > q->n_units + GAP_MAX)
		return;
	if (slot >= q->cap_units) {
		uint64_t cap = 2 * slot + 64;
		q->units = mem_resize(q->units, cap * sizeof(*q->units));
		q->cap_units = cap;
	}
	for (; q->n_units < slot; q->n_units++)
		q->units[q->n_units] = (struct queue_unit){ 0, QUEUE_FILLER_SIZE, 0 };
	q->units[slot] = unit;
	if (slot >= q->n_units)
		q->n_units = slot + 1;
}

/* What stands for nothing keeps the order in which units grow: brokers search in them for the first
 * whose record is there. Apache's broker adds offset and size as ints and must not overflow, so it
 * is the start of a segment; it cannot read that and goes on with the segment behind it, which is
 * that of the next unit. In the first segment of a log that begins at 0 there is none before. */
static void place_fillers(struct repair *p, struct store_queue *q)
{
	uint64_t next = p->end, size = p->dir->log.file_bytes;
	for (uint64_t i = q->n_units; i > 0; i--) {
		struct queue_unit *unit = &q->units[i - 1];
		if (unit->size != QUEUE_FILLER_SIZE)
			next = unit->phys_offset;
		else if (size > 0 && next >= size)
			unit->phys_offset = next - next % size - size;
	}
}

/* One file of a queue: units [first, first + n) of it are known, what is before them in the file
 * stands for nothing. It takes the old one's place whole: a repair may be killed. */
static bool write_queue_file(struct store_dir *d, const char *folder, const struct store_queue *q,
			     uint64_t start)
{
	static const char fresh[] = "queue.tmp";
	char path[600];
	uint64_t bytes = d->queue_file_bytes, in_use = 0;
	uint64_t left = ((uint64_t)q->first_unit + q->n_units) * QUEUE_UNIT_BYTES - start;
	uint8_t *content = calloc(1, left < bytes ? left : bytes);
	for (uint64_t at = 0; content && at + QUEUE_UNIT_BYTES <= bytes; at += QUEUE_UNIT_BYTES) {
		static const struct queue_unit filler = { 0, QUEUE_FILLER_SIZE, 0 };
		int64_t index = (int64_t)((start + at) / QUEUE_UNIT_BYTES) - q->first_unit;
		if (index >= (int64_t)q->n_units)
			break;
		queue_unit_encode(content + at, index < 0 ? &filler : &q->units[index]);
		in_use = at + QUEUE_UNIT_BYTES;
	}
	snprintf(path, sizeof(path), "%s/%020" PRIu64, folder, start);
	int fd = store_open(d, fresh, O_WRONLY | O_CREAT | O_TRUNC);
	bool is_done = content && fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 &&
		       pwrite(fd, content, in_use, 0) == (ssize_t)in_use && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	free(content);
	return is_done && renameat(d->fd, fresh, d->fd, path) == 0;
}

/* Offsets at the end whose records were taken out stay free: nobody is given them again. */
static void keep_offsets(struct repair *p, struct store_queue *q)
{
	if (q->n_units == 0)
		q->first_unit = q->begin;
	for (int64_t i = q->first_unit + (int64_t)q->n_units; i < q->end; i++) {
		struct queue_unit unit;
		if (!store_unit_at(p->dir, q, i, &unit) || unit.phys_offset >= p->end ||
		    unit.size == 0)
			break;
		if (q->n_units == q->cap_units) {
			q->cap_units = 2 * q->cap_units + 64;
			q->units = mem_resize(q->units, q->cap_units * sizeof(*q->units));
		}
		q->units[q->n_units++] = (struct queue_unit){ 0, QUEUE_FILLER_SIZE, 0 };
	}
}

static bool make_folders(struct store_dir *d, const struct store_queue *q, char *folder, size_t cap)
{
	(void)mkdirat(d->fd, "consumequeue", 0750);
	snprintf(folder, cap, "consumequeue/%s", q->topic);
	(void)mkdirat(d->fd, folder, 0750);
	snprintf(folder, cap, "consumequeue/%s/%d", q->topic, q->queue_id);
	return mkdirat(d->fd, folder, 0750) == 0 || errno == EEXIST;
}

static void rewrite_queue(struct repair *p, struct store_queue *q)
{
	struct store_dir *d = p->dir;
	char folder[512];
	keep_offsets(p, q);
	place_fillers(p, q);
	bool is_done = make_folders(d, q, folder, sizeof(folder));
	uint64_t begin = (uint64_t)q->first_unit * QUEUE_UNIT_BYTES;
	uint64_t end = begin + q->n_units * QUEUE_UNIT_BYTES;
	begin -= begin % d->queue_file_bytes;
	for (uint64_t at = begin; at < end && is_done; at += d->queue_file_bytes)
		is_done = write_queue_file(d, folder, q, at);
	for (uint32_t i = 0; i < q->list.n && is_done; i++) {
		struct store_file *file = &q->list.files[i];
		if (file->map)
			munmap(file->map, file->size);
		file->map = NULL;
		bool is_made = file->start >= begin && file->start < end &&
			       file->start % d->queue_file_bytes == 0;
		is_done = is_made || unlinkat(d->fd, file->path, 0) == 0;
	}
	done(p, folder, -1, is_done,
	     is_done ? report_text(p->report, "made again from the log, %" PRIu64 " units",
				   q->n_units)
		     : report_text(p->report, "could not be made again: %s", strerror(errno)),
	     "Messages whose records are gone are skipped");
}

static void repair_queues(struct repair *p)
{
	struct store_dir *d = p->dir;
	if (d->queue_file_bytes == 0 || d->queue_file_bytes % QUEUE_UNIT_BYTES != 0)
		d->queue_file_bytes = QUEUE_FILE_BYTES;
	for (uint32_t i = 0; i < d->n_queues; i++)
		d->queues[i]->is_kept = d->queues[i]->n_missing + d->queues[i]->n_wrong == 0;
	store_walk(d, 0, collect, p);
	for (uint32_t i = 0; i < d->n_queues; i++)
		if (!d->queues[i]->is_kept)
			rewrite_queue(p, d->queues[i]);
}

/* ---- all of it ---- */

/* What Mosaic says about an index file in the checkpoint is of the files that were. */
static void forget_mark(struct repair *p)
{
	struct store_dir *d = p->dir;
	if (d->checkpoint_bytes != (int64_t)sizeof(d->checkpoint))
		return;
	struct buf content = BUF_INIT;
	if (store_read_small(d, "checkpoint", &content) &&
	    content.len == sizeof(d->checkpoint) && get_be64(content.data + 128) != 0) {
		memset(content.data + 128, 0, 60);
		p->is_failed |= !store_write_small(d, "checkpoint", buf_slice(&content));
	}
	buf_free(&content);
}

bool store_repair(struct store_dir *d, struct report *r)
{
	struct repair p = { .dir = d, .report = r };
	struct store_checks before = { 0 }, checks = { 0 };
	struct report quiet = { .is_quiet = true };
	store_verify(d, &quiet, &before);
	if (d->n_odd > 0) { /* what lies there would be taken for lost */
		buf_free(&quiet.text);
		store_verify_odd(d, r);
		return false;
	}
	if (before.small)
		p.is_failed |= !store_repair_small(d, r);
	if (before.log) {
		repair_sizes(&p);
		store_walk(d, 0, repair_log, &p);
	}
	store_verify(d, &quiet, &checks); /* queues and index against the log as it is now */
	p.end = checks.end;
	if (checks.queues && !p.is_failed)
		repair_queues(&p);
	if ((checks.index || (before.log && d->index.n > 0 && d->has_shape)) && !p.is_failed) {
		p.is_failed |= !store_rebuild_index(d, r);
		forget_mark(&p);
	}
	buf_free(&quiet.text);
	if (before.n_missing_segments > 0)
		store_verify(d, r, &checks); /* what is beyond repair */
	return !p.is_failed;
}
