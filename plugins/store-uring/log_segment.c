/*
 * Segment files: made ahead of the writer on a thread of their own, opened when somebody reads
 * from them, closed again when too many are open.
 *
 * A segment gets its name when it has its full size and all its blocks, and that is durable: so a
 * crash leaves no odd one, a full disk is met before bytes are lent, and a sync needs no folder.
 */
#include "log.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_NS UINT64_C(1000000000)
#define SPARE_LEAST (UINT64_C(512) << 10)

int segment_open_direct(struct mosaic_store *store, uint64_t start)
{
	char path[LOG_PATH_BYTES];
	log_path(path, start);
	return io_open(store->dir_fd, path, O_RDWR | O_DIRECT);
}

struct segment *segment_create(struct mosaic_store *store, uint64_t start)
{
	struct segment *segment = calloc(1, sizeof(*segment));
	if (!segment)
		return NULL;
	segment->job.store = store;
	segment->start = start;
	segment->fd = segment->slot = -1;
	segment->last_load = &segment->first_load;
	return segment;
}

bool ulog_add_segment(struct commit_log *log, struct segment *segment)
{
	if (log->n == log->capacity) {
		uint32_t capacity = log->capacity ? log->capacity * 2 : 16;
		struct segment **grown = realloc(log->segments, capacity * sizeof(*grown));
		if (!grown)
			return false;
		log->segments = grown;
		log->capacity = capacity;
	}
	if (log->n == 0)
		log->first = segment->start / log->segment_bytes;
	log->segments[log->n++] = segment;
	return true;
}

struct segment *ulog_segment_at(const struct commit_log *log, uint64_t offset)
{
	uint64_t index = offset / log->segment_bytes;
	bool is_there = index >= log->first && index - log->first < log->n;
	return is_there ? log->segments[index - log->first] : NULL;
}

uint64_t ulog_next_start(const struct commit_log *log)
{
	return log->n > 0 ? (log->first + log->n) * log->segment_bytes
			  : log->end - log->end % log->segment_bytes;
}

/* ---- open and closed ---- */

static void segment_slot_free(struct segment *segment)
{
	struct commit_log *log = segment->job.store->log;
	if (segment->slot < 0)
		return;
	log->open_slots &= ~(UINT64_C(1) << segment->slot);
	ring_file(&log->ring, segment->slot, -1);
	segment->slot = -1;
}

static void segment_close(struct segment *segment)
{
	if (segment->fd < 0)
		return;
	segment_slot_free(segment);
	close(segment->fd);
	segment->fd = -1;
	segment->job.store->log->n_open--;
}

void segment_free(struct segment *segment)
{
	if (segment->fd >= 0)
		close(segment->fd);
	free(segment);
}

static void retire_run(struct job *job)
{
	struct segment *segment = (struct segment *)job;
	char path[LOG_PATH_BYTES];
	log_path(path, segment->start);
	if (segment->is_unlinked && unlinkat(job->store->dir_fd, path, 0) != 0 && errno != ENOENT)
		job_fail(job, errno, "cannot delete a segment of the commit log");
	if (segment->fd >= 0)
		close(segment->fd); /* of a file without a name it may take a while */
}

/* A file that stays where the log does not expect it would be a gap at the next start. */
static void retire_done(struct job *job)
{
	if (job->status != 0)
		store_fail(job->store, job->status, job->os_errno, job->what, LOG_FOLDER);
	free(job);
}

static void segment_end(struct segment *segment)
{
	struct mosaic_store *store = segment->job.store;
	struct commit_log *log = store->log;
	if (!store->syncer.is_running) { /* after close */
		segment_free(segment);
		return;
	}
	segment_slot_free(segment);
	log->n_open -= segment->fd >= 0;
	segment->job.run = retire_run;
	segment->job.done = retire_done;
	/* The thread that makes segments: the name must be gone before it is used again. */
	worker_submit(&store->syncer, &segment->job);
}

void segment_unref(struct segment *segment)
{
	if (--segment->refs == 0 && segment->is_retired)
		segment_end(segment);
}

void segment_forget(struct segment *segment, bool unlink)
{
	segment->is_retired = true;
	segment->is_unlinked = unlink;
	if (segment->refs == 0)
		segment_end(segment);
}

/* Closes the file that has not been read from for the longest time. */
static void close_one(struct commit_log *log)
{
	struct segment *oldest = NULL;
	for (uint32_t i = 0; i < log->n; i++) {
		struct segment *segment = log->segments[i];
		bool is_idle = segment->fd >= 0 && segment->refs == 0 && !segment->is_dirty &&
			       segment->start + log->segment_bytes <= log->written;
		if (is_idle && (!oldest || segment->used < oldest->used))
			oldest = segment;
	}
	if (oldest)
		segment_close(oldest);
}

void segment_opened(struct segment *segment, int fd)
{
	struct commit_log *log = segment->job.store->log;
	segment->fd = fd;
	log->n_open++;
	if (log->n_open > RING_FILES)
		close_one(log);
	int slot = log->open_slots == UINT64_MAX ? -1 : __builtin_ctzll(~log->open_slots);
	if (slot < 0)
		return; /* the descriptor does as well */
	log->open_slots |= UINT64_C(1) << slot;
	segment->slot = slot;
	ring_file(&log->ring, slot, fd);
}

static void opened(struct ring_op *op, int32_t res)
{
	struct segment *segment =
		(struct segment *)(void *)((char *)op - offsetof(struct segment, open));
	struct block *block = segment->first_load;
	segment->is_opening = false;
	segment->first_load = NULL;
	segment->last_load = &segment->first_load;
	if (res >= 0)
		segment_opened(segment, res);
	while (block) {
		struct block *next = block->next_load;
		block_load(block, res < 0 ? -res : 0);
		block = next;
	}
	segment_unref(segment);
}

void segment_load(struct segment *segment, struct block *block)
{
	struct mosaic_store *store = segment->job.store;
	struct commit_log *log = store->log;
	segment->used = ++log->n_uses;
	if (segment->fd >= 0) {
		block_load(block, 0);
		return;
	}
	block->next_load = NULL;
	*segment->last_load = block;
	segment->last_load = &block->next_load;
	if (segment->is_opening)
		return;
	segment->is_opening = true;
	segment->refs++;
	segment->open.done = opened;
	log_path(segment->path, segment->start);
	ring_open(&log->ring, &segment->open, store->dir_fd, segment->path,
		  O_RDWR | O_DIRECT | O_CLOEXEC);
	ring_submit(&log->ring);
}

/* ---- ahead ---- */

/* [worker] */
static int create_file(struct ahead *ahead, int fd, const char **what)
{
	struct mosaic_store *store = ahead->job.store;
	char path[LOG_PATH_BYTES];
	log_path(path, ahead->start);
	*what = "cannot allocate a segment of the commit log";
	int rc = io_allocate(fd, store->options.segment_bytes);
	if (rc == 0 && fdatasync(fd) != 0)
		rc = errno;
	if (rc != 0)
		return rc;
	*what = "cannot name a segment of the commit log";
	rc = io_make_folders(store->dir_fd, path);
	if (rc == 0 && renameat(store->dir_fd, SEGMENT_TMP, store->dir_fd, path) != 0)
		rc = errno;
	if (rc != 0)
		return rc;
	rc = io_sync_folder(store->dir_fd, LOG_FOLDER);
	if (rc != 0) /* nobody knows of it: a gap, when close deletes what was prepared before it */
		unlinkat(store->dir_fd, path, 0);
	return rc;
}

static void create_run(struct job *job)
{
	struct ahead *ahead = (struct ahead *)job;
	struct mosaic_store *store = job->store;
	int fd = io_open(store->dir_fd, SEGMENT_TMP, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
	if (fd < 0) {
		job_fail(job, -fd, "cannot make a segment of the commit log");
		return;
	}
	const char *what;
	int rc = create_file(ahead, fd, &what);
	if (rc == 0) {
		ahead->created = segment_create(store, ahead->start);
		rc = ahead->created ? 0 : ENOMEM;
	}
	if (rc == 0) {
		ahead->created->is_writable = true;
		ahead->fd = fd;
		return;
	}
	job_fail(job, rc, what);
	close(fd);
	unlinkat(store->dir_fd, SEGMENT_TMP, 0);
}

void ulog_retry_later(struct commit_log *log)
{
	const struct mosaic_host *host = log->base.store->host;
	if (log->retry.due_ns == 0 && !log->base.store->is_closing)
		host->timer_start(host, &log->retry, RETRY_NS);
}

void ulog_retry(struct mosaic_timer *timer)
{
	struct commit_log *log = timer->data;
	log->is_full = false;
	ulog_look_ahead(log);
}

static void create_failed(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	const struct job *job = &log->ahead.job;
	if (job->status != MOSAIC_E_NOSPACE) {
		store_fail(store, job->status, job->os_errno, job->what, LOG_FOLDER);
		return;
	}
	if (!log->is_full)
		store_log(store, MOSAIC_LOG_WARN, "disk_full",
			  "no room for the segment at %" PRIu64 " of %s/" LOG_FOLDER,
			  log->ahead.start, store->options.dir);
	log->is_full = true;
	/* Who waits since E_AGAIN comes again, hears E_NOSPACE and is refused; with nobody waiting
	 * it is asked again too, so that reserve() sees the change. */
	ulog_tell_room(log, 0);
	ulog_retry_later(log);
}

static void create_done(struct job *job)
{
	struct commit_log *log = job->store->log;
	struct ahead *ahead = &log->ahead;
	struct segment *segment = ahead->created;
	ahead->is_running = false;
	ahead->created = NULL;
	if (!segment) {
		create_failed(log);
		return;
	}
	segment_opened(segment, ahead->fd);
	/* Cut or moved meanwhile: it is not the next one any more. */
	bool fits = segment->start == ulog_next_start(log) && !log->cut;
	if (!fits || !ulog_add_segment(log, segment))
		segment_forget(segment, true);
	else if (!job->store->is_closing)
		ulog_tell_room(log, 0);
	ulog_look_ahead(log);
}

void ulog_look_ahead(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	uint64_t next = ulog_next_start(log);
	uint64_t spare = log->segment_bytes / 2 > SPARE_LEAST ? log->segment_bytes / 2
							      : SPARE_LEAST;
	log->wake_at = next > spare ? next - spare : 0;
	if (log->n > 0 && log->end < log->wake_at)
		return;
	log->wake_at = log->end + PAGE_BYTES; /* while it cannot be had */
	if (log->ahead.is_running || log->cut || log->is_full || store->is_broken ||
	    store->is_closing || !store->is_open)
		return;
	log->ahead.is_running = true;
	log->ahead.start = next;
	log->ahead.job.run = create_run;
	log->ahead.job.done = create_done;
	worker_submit(&store->syncer, &log->ahead.job);
}
