/*
 * The commit log's straight line:
 *   clog_reserve  a pointer into the mapped tail segment
 *   clog_commit   the end moves; now and then clog_look_ahead() wakes the helper
 *   clog_read     the same mapped bytes; cold ones are brought in by the reader first, one thread
 *                 that gives way to the others: a cold reader waits for the hot, never they for it
 *   clog_sync     msync on the syncer, see log_sync.c
 *
 * Failure modes: the next segment is not ready (E_AGAIN), the disk is full (E_NOSPACE): clog_room;
 * a segment cannot be made, read or synced: store_fail(), then reserve and sync answer E_FATAL.
 */
#include "commit_log.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Own bytes this close to the end are taken to be in memory without asking the kernel. */
#define HOT_BYTES (UINT64_C(32) << 20)
#define PROBE_PAGES 1024
#define WARM_NS UINT64_C(50000000)         /* how long a probe is believed: 50 ms */
#define READ_AHEAD ((size_t)512 << 10)     /* least that a cold read fetches */
#define READ_STEP ((size_t)64 << 10)
#define READ_ON_GAP (UINT64_C(256) << 10)  /* so near to the end of the last one is reading on */

void segment_path(char path[PATH_BYTES], uint64_t start)
{
	snprintf(path, PATH_BYTES, LOG_FOLDER "/" SEGMENT_NAME_FORMAT, start);
}

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
	char path[PATH_BYTES];
	segment_path(path, segment->start);
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
	log->present_upto = log->forgotten = log->hot_from = offset;
	log->is_end_known = true;
	clog_find_tail(log);
	clog_look_ahead(log);
	return 0;
}

/* ---- read ---- */

struct cold_read {
	struct job job; /* first */
	struct mosaic_read *read;
	struct segment *segment;
	uint8_t *pages;
	size_t n_bytes;
	size_t n_behind; /* behind them, wanted next: asked for and not waited for */
};

/* How many of n_pages from `from` on are in memory without a gap. */
static size_t resident_pages(uint8_t *from, size_t n_pages)
{
	unsigned char present[PROBE_PAGES];
	size_t n = 0;
	if (mincore(from, n_pages * PAGE_BYTES, present) != 0)
		return 0;
	while (n < n_pages && (present[n] & 1))
		n++;
	return n;
}

/*
 * Whether [offset, offset + len) of a segment can be touched without waiting for the disk. One
 * probe looks at a whole stretch and is believed for a moment: readers go forward in small steps,
 * and a system call for each record would cost more than the record.
 */
static bool is_warm(struct commit_log *log, const struct segment *segment, uint64_t offset,
		    uint32_t len)
{
	const struct mosaic_host *host = log->base.store->host;
	uint64_t now = host->now_ns(host);
	if (offset >= log->warm_from && offset + len <= log->warm_upto &&
	    now - log->warm_ns < WARM_NS)
		return true;
	uint64_t in_segment = offset - segment->start;
	uint64_t from = in_segment & ~(uint64_t)(PAGE_BYTES - 1);
	uint64_t need = (in_segment + len - from + PAGE_BYTES - 1) / PAGE_BYTES;
	uint64_t most = (log->segment_bytes - from + PAGE_BYTES - 1) / PAGE_BYTES;
	size_t n_pages = need > PROBE_PAGES ? need : most < PROBE_PAGES ? most : PROBE_PAGES;
	size_t present = 0;
	for (size_t at = 0; at < n_pages && at == present; at += PROBE_PAGES) {
		size_t part = n_pages - at < PROBE_PAGES ? n_pages - at : PROBE_PAGES;
		present += resident_pages(segment->map + from + at * PAGE_BYTES, part);
	}
	if (present < need)
		return false;
	log->warm_from = segment->start + from;
	log->warm_upto = log->warm_from + present * PAGE_BYTES;
	log->warm_ns = now;
	return true;
}

/*
 * [reader] Into the page cache through the file: a fault of the mapping would hold the process's
 * memory map, for which the core thread may have to wait, and a damaged sector is an error here
 * instead of SIGBUS at the first touch.
 */
static void cold_run(struct job *job)
{
	struct cold_read *cold = (struct cold_read *)job;
	uint64_t at = (uint64_t)(cold->pages - cold->segment->map);
	uint64_t end = at + cold->n_bytes;
	uint8_t scratch[READ_STEP];
	char path[PATH_BYTES];
	segment_path(path, cold->segment->start);
	int fd = io_open(job->store->dir_fd, path, O_RDONLY);
	if (fd < 0) {
		job_fail(job, -fd, "cannot open the commit log"); /* or it was deleted meanwhile */
		return;
	}
	(void)posix_fadvise(fd, (off_t)at, (off_t)(cold->n_bytes + cold->n_behind),
			    POSIX_FADV_WILLNEED);
	for (; at < end; at += READ_STEP) {
		int64_t n = io_pread(fd, scratch, end - at < READ_STEP ? end - at : READ_STEP, at);
		if (n < 0) {
			job_fail(job, (int)-n, "cannot read the commit log");
			break;
		}
	}
	close(fd);
}

static void cold_done(struct job *job)
{
	struct cold_read *cold = (struct cold_read *)job;
	struct mosaic_store *store = job->store;
	struct mosaic_req *user = &cold->read->req;
	int32_t status = job->status == 0            ? 0
			 : cold->segment->is_retired ? MOSAIC_E_NOTFOUND
						     : MOSAIC_E_IO;
	if (status != 0) {
		segment_unpin(cold->segment);
		cold->read->ptr = NULL;
	}
	free(cold);
	store_done(store, user, status);
}

/* Fetches [read->ptr, + len) and what comes behind up to `limit`, which is wanted soon. */
static int32_t clog_read_cold(struct commit_log *log, struct segment *segment, uint64_t limit,
			      struct mosaic_read *read)
{
	struct mosaic_store *store = log->base.store;
	struct cold_read *cold = calloc(1, sizeof(*cold));
	int32_t rc = cold ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(cold);
		return rc;
	}
	cold->pages = clog_page_floor(read->ptr);
	size_t need = (size_t)(read->ptr + read->len - cold->pages);
	size_t most = (size_t)(segment->map + (limit - segment->start) - cold->pages);
	size_t ahead = need > READ_AHEAD ? need : READ_AHEAD;
	cold->n_bytes = ahead < most ? ahead : most;
	most -= cold->n_bytes;
	bool reads_on = read->offset + READ_ON_GAP >= log->brought_upto &&
			read->offset <= log->brought_upto + READ_ON_GAP;
	if (reads_on)
		cold->n_behind = READ_AHEAD < most ? READ_AHEAD : most;
	log->brought_upto = segment->start + (uint64_t)(cold->pages - segment->map) + cold->n_bytes;
	cold->read = read;
	cold->segment = segment;
	segment->pins++;
	cold->job.store = store;
	cold->job.run = cold_run;
	cold->job.done = cold_done;
	worker_submit(&log->reader, &cold->job);
	return MOSAIC_PENDING;
}

int32_t clog_read(struct commit_log *log, uint64_t offset, uint32_t len, struct mosaic_read *read)
{
	if (offset < log->begin || offset >= log->end)
		return MOSAIC_E_NOTFOUND;
	if (len == 0)
		return MOSAIC_E_INVAL;
	struct segment *segment = log->segments[offset / log->segment_bytes - log->first];
	uint64_t limit = segment->start + log->segment_bytes;
	if (limit > log->end)
		limit = log->end;
	read->offset = offset;
	read->ptr = segment->map + (offset - segment->start);
	read->len = limit - offset < len ? (uint32_t)(limit - offset) : len;
	read->pin[0] = (uint64_t)(uintptr_t)segment;
	read->pin[1] = MOSAIC_COMMIT_LOG;
	if (offset < log->hot_from || log->end - offset > HOT_BYTES) {
		if (!is_warm(log, segment, offset, read->len))
			return clog_read_cold(log, segment, limit, read);
	}
	segment->pins++;
	return 0;
}

void clog_unpin(struct mosaic_read *read)
{
	segment_unpin((struct segment *)(uintptr_t)read->pin[0]);
}
