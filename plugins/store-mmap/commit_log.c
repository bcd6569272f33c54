/*
 * The commit log's straight line:
 *   clog_reserve  a pointer into the mapped tail segment
 *   clog_commit   the end moves; now and then clog_look_ahead() wakes the helper
 *   clog_read     the same mapped bytes, see log_read.c
 *   clog_sync     msync on the syncer, see log_sync.c
 *
 * Failure modes: the next segment is not ready (E_AGAIN), the disk is full (E_NOSPACE): clog_room;
 * a segment cannot be made, read or synced: store_fail(), then reserve and sync answer E_FATAL.
 */
#include "commit_log.h"

#include "io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct segment *segment_map(struct mosaic_store *store, int fd, uint64_t start)
{
	struct segment *segment = calloc(1, sizeof(*segment));
	if (!segment)
		return NULL;
	segment->map = mmap(NULL, store->options.segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			    fd, 0);
	if (segment->map == MAP_FAILED) {
		free(segment);
		return NULL;
	}
	/* A fault of the core thread takes one page; for more, see log_ahead.c. */
	madvise(segment->map, store->options.segment_bytes, MADV_RANDOM);
	segment->start = start;
	segment->fd = -1;
	segment->job.store = store;
	return segment;
}

static void retire_run(struct job *job)
{
	struct segment *segment = (struct segment *)job;
	munmap(segment->map, job->store->options.segment_bytes);
	if (!segment->is_unlinked)
		return;
	char path[LOG_PATH_BYTES];
	log_path(path, segment->start);
	if (unlinkat(job->store->dir_fd, path, 0) != 0 && errno != ENOENT)
		job_fail(job, errno, "cannot delete a segment of the commit log");
}

/* A file that stays where the log does not expect it would be a gap at the next start. */
static void retire_done(struct job *job)
{
	if (job->status != 0)
		store_fail(job->store, job->status, job->os_errno, job->what, LOG_FOLDER);
	clog_segment_gone((struct segment *)job);
}

/* On the helper: what it was told to prepare before comes first and still finds the mapping. */
static void segment_unmap(struct segment *segment)
{
	struct mosaic_store *store = segment->job.store;
	if (!store->helper.is_running) { /* after close */
		munmap(segment->map, store->options.segment_bytes);
		clog_segment_gone(segment);
		return;
	}
	segment->job.run = retire_run;
	segment->job.done = retire_done;
	worker_submit(&store->helper, &segment->job);
}

void segment_retire(struct segment *segment, bool unlink)
{
	segment->is_retired = true;
	segment->is_unlinked = unlink;
	if (segment->pins == 0)
		segment_unmap(segment);
}

void segment_unpin(struct segment *segment)
{
	if (--segment->pins == 0 && segment->is_retired)
		segment_unmap(segment);
}

static void clog_retry(struct mosaic_timer *timer)
{
	struct commit_log *log = timer->data;
	log->is_full = false;
	clog_look_ahead(log);
}

struct commit_log *clog_create(struct mosaic_store *store)
{
	struct commit_log *log = calloc(1, sizeof(*log));
	if (!log)
		return NULL;
	log->base.store = store;
	log->base.name.kind = MOSAIC_COMMIT_LOG;
	log->lend_upto = UINT64_MAX;
	log->segment_bytes = store->options.segment_bytes;
	log->tail_end = log->segment_bytes;
	log->ahead.job.store = store;
	log->sync_job.store = store;
	pace_init(&log->pace, store->host, &log->end, store->options.cold_read_rate);
	log->retry.fire = clog_retry;
	log->retry.data = log;
	return log;
}

void clog_destroy(struct commit_log *log)
{
	if (!log)
		return;
	worker_stop(&log->reader);
	for (uint32_t i = 0; i < log->n; i++) {
		munmap(log->segments[i]->map, log->segment_bytes);
		free(log->segments[i]);
	}
	free(log->segments);
	free(log);
}

bool clog_add_segment(struct commit_log *log, struct segment *segment)
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

uint64_t clog_next_start(const struct commit_log *log)
{
	return log->n > 0 ? (log->first + log->n) * log->segment_bytes
			  : log->end - log->end % log->segment_bytes;
}

void clog_find_tail(struct commit_log *log)
{
	uint64_t index = log->end / log->segment_bytes;
	log->tail_end = (index + 1) * log->segment_bytes;
	bool is_ready = log->n > 0 && index >= log->first && index - log->first < log->n;
	log->tail = is_ready ? log->segments[index - log->first] : NULL;
	if (log->tail && !log->tail->is_writable)
		log->tail = NULL;
}

static int32_t clog_no_room(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	if (store->is_broken)
		return MOSAIC_E_FATAL;
	if (!store->is_open || store->is_closing)
		return MOSAIC_E_CLOSED;
	if (log->is_full)
		return MOSAIC_E_NOSPACE;
	if (!log->cut)
		clog_look_ahead(log);
	return MOSAIC_E_AGAIN;
}

int32_t clog_reserve(struct commit_log *log, uint32_t max_len, struct mosaic_span *room)
{
	uint64_t left = log->tail_end - log->end;
	log->reserved = 0;
	if (max_len > left) {
		room->len = (uint32_t)left;
		return MOSAIC_E_LIMIT;
	}
	if (!log->tail || log->base.store->is_broken || log->base.store->is_closing)
		return clog_no_room(log);
	if (log->end + max_len > log->lend_upto && !log_zero_take(log))
		return clog_no_room(log);
	room->ptr = log->tail->map + (log->end - log->tail->start);
	room->len = max_len;
	log->reserved = max_len;
	return 0;
}

void clog_commit(struct commit_log *log, uint32_t len)
{
	if (len > log->reserved) /* never beyond what was lent */
		len = log->reserved;
	log->end += len;
	log->reserved = 0;
	atomic_store_explicit(&log->committed, log->end, memory_order_release);
	if (log->end >= log->wake_at)
		clog_look_ahead(log);
}

int32_t clog_room(struct commit_log *log, struct mosaic_req *req)
{
	struct mosaic_store *store = log->base.store;
	if (log->room)
		return MOSAIC_E_AGAIN;
	int32_t rc = store->is_broken ? MOSAIC_E_FATAL : store_accept(store);
	if (rc < 0)
		return rc;
	/* It became ready between reserve() and now. */
	if (log->tail && !log->cut && log->lend_upto == UINT64_MAX) {
		store_done_later(store, req, 0);
		return MOSAIC_PENDING;
	}
	log->room = req;
	if (log->is_full)
		clog_retry_later(log);
	else if (!log->cut)
		clog_look_ahead(log);
	return MOSAIC_PENDING;
}

int32_t clog_start_at(struct commit_log *log, uint64_t offset)
{
	if (log->begin != log->end || log->cut)
		return MOSAIC_E_INVAL;
	while (log->n > 0)
		segment_retire(log->segments[--log->n], true);
	log->begin = log->end = log->synced = offset;
	log->present_upto = log->forgotten = offset;
	log->is_end_known = true;
	clog_find_tail(log);
	clog_look_ahead(log);
	return 0;
}
