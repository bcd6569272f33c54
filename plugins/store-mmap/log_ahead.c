/*
 * Work ahead of the writer, so that an append never waits for the disk and seldom for a page:
 * the next segment is made when half of the present one is full, and the pages in front of the end
 * are made present, in a window that follows the rate: written as zeros (log_zero.c), and right in
 * front of the writer, where that could meet it, touched.
 *
 * Pages far behind the end leave the process's memory again (they stay in the page cache), so the
 * resident size of a busy broker is the window and not the segment.
 */
#include "commit_log.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define WINDOW_MIN (UINT64_C(1) << 20)
/* The window grows fourfold when half of it lasts shorter than FAST, halves when longer than SLOW.
 */
#define FAST_NS UINT64_C(100000000)
#define SLOW_NS UINT64_C(1000000000)
#define POPULATE_STEP ((size_t)256 << 10)
#define REST_NS 20000 /* between pieces of 64 to 256 KiB */
#define RETRY_NS UINT64_C(1000000000)
/* What consumers read at the end stays mapped; dropping smaller parts would cost more calls. */
#define KEEP_BEHIND (UINT64_C(4) << 20)
#define FORGET_STEP (UINT64_C(1) << 20)

/* ---- [worker] ---- */

static void create_run(struct ahead *ahead)
{
	struct mosaic_store *store = ahead->job.store;
	int fd = io_open(store->dir_fd, SEGMENT_TMP, O_RDWR | O_CREAT | O_TRUNC);
	if (fd < 0) {
		job_fail(&ahead->job, -fd, "cannot make a segment of the commit log");
		return;
	}
	char path[LOG_PATH_BYTES];
	log_path(path, ahead->create_start);
	int rc = io_allocate(fd, store->options.segment_bytes);
	if (rc != 0) {
		job_fail(&ahead->job, rc, "cannot allocate a segment of the commit log");
		goto fail;
	}
	/* Else the name may survive a power cut that the size does not: no segment, and a gap. */
	if (fdatasync(fd) != 0) {
		job_fail(&ahead->job, errno, "cannot sync a new segment of the commit log");
		goto fail;
	}
	ahead->created = segment_map(store, fd, ahead->create_start);
	if (!ahead->created) {
		job_fail(&ahead->job, errno, "cannot map a segment of the commit log");
		goto fail;
	}
	rc = io_make_folders(store->dir_fd, path);
	if (rc == 0 && renameat(store->dir_fd, SEGMENT_TMP, store->dir_fd, path) != 0)
		rc = errno;
	if (rc != 0) {
		job_fail(&ahead->job, rc, "cannot name a segment of the commit log");
		munmap(ahead->created->map, store->options.segment_bytes);
		free(ahead->created);
		ahead->created = NULL;
		goto fail;
	}
	ahead->created->is_writable = true;
	close(fd);
	return;
fail:
	close(fd);
	unlinkat(store->dir_fd, SEGMENT_TMP, 0);
}

/* Not with a fast writer: it would come to pages that are not there. */
void ahead_rest(const struct ahead *ahead)
{
	if (ahead->is_at_leisure)
		worker_rest(REST_NS);
}

void log_populate(struct ahead *ahead, uint8_t *from, size_t n_bytes)
{
	/* In small steps: each holds the process's memory map, for which a malloc of the core
	 * thread may have to wait. */
	while (n_bytes > 0 && !ahead->cannot_populate) {
		size_t step = n_bytes < POPULATE_STEP ? n_bytes : POPULATE_STEP;
		if (madvise(from, step, MADV_POPULATE_WRITE) == 0) {
			from += step;
			n_bytes -= step;
			ahead_rest(ahead);
		} else if (errno == EINVAL) {
			ahead->cannot_populate = true;
		} else {
			return; /* no memory now: the writer touches the pages itself */
		}
	}
	/* The writer may be in this page already: touch it without changing it. */
	for (size_t i = 0; i < n_bytes; i += PAGE_BYTES)
		(void)__atomic_fetch_or(from + i, 0, __ATOMIC_RELAXED);
}

static void ahead_run(struct job *job)
{
	struct ahead *ahead = (struct ahead *)job;
	if (ahead->creates)
		create_run(ahead);
	if (ahead->writes_zeros)
		log_zero_run(ahead);
	else
		for (int i = 0; i < 2; i++)
			log_populate(ahead, ahead->pages[i], ahead->n_bytes[i]);
	if (ahead->n_behind > 0)
		madvise(ahead->behind, ahead->n_behind, MADV_DONTNEED);
}

/* ---- [core] ---- */

void clog_tell_room(struct commit_log *log, int32_t status)
{
	if (!log->room)
		return;
	struct mosaic_req *req = log->room;
	log->room = NULL;
	store_done_later(log->base.store, req, status);
}

void clog_retry_later(struct commit_log *log)
{
	const struct mosaic_host *host = log->base.store->host;
	if (log->retry.due_ns == 0)
		host->timer_start(host, &log->retry, RETRY_NS);
}

static void create_done(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	struct ahead *ahead = &log->ahead;
	if (ahead->created) {
		/* Cut or moved meanwhile: it is not the next one any more. */
		bool fits = ahead->created->start == clog_next_start(log) && !log->cut;
		if (!fits || !clog_add_segment(log, ahead->created))
			segment_retire(ahead->created, true);
		else
			log->is_folder_dirty = true;
		ahead->created = NULL;
		return;
	}
	if (ahead->job.status == MOSAIC_E_NOSPACE) {
		if (!log->is_full)
			store_log(store, MOSAIC_LOG_WARN, "disk_full",
				  "no room for the segment at %" PRIu64 " of %s/" LOG_FOLDER,
				  ahead->create_start, store->options.dir);
		log->is_full = true;
		/* Who waits since E_AGAIN comes again, hears E_NOSPACE and is refused. */
		clog_tell_room(log, 0);
		/* With nobody waiting it is asked again too, so that reserve() sees the change. */
		clog_retry_later(log);
		return;
	}
	store_fail(store, ahead->job.status, ahead->job.os_errno, ahead->job.what, LOG_FOLDER);
}

static void ahead_done(struct job *job)
{
	struct commit_log *log = job->store->log;
	struct ahead *ahead = &log->ahead;
	ahead->is_running = false;
	log->lend_upto = UINT64_MAX;
	if (ahead->upto > log->present_upto && !ahead->is_stale)
		log->present_upto = ahead->upto;
	if (ahead->creates)
		create_done(log);
	if (ahead->write_errno != 0)
		store_fail(job->store, MOSAIC_E_IO, ahead->write_errno,
			   "cannot write the next pages of the commit log", LOG_FOLDER);
	if (log->cut || job->store->is_closing)
		return;
	clog_find_tail(log);
	if (log->tail && log->room) { /* the waiting writer first; its commit looks ahead */
		clog_tell_room(log, 0);
		log->wake_at = log->end;
		return;
	}
	clog_look_ahead(log);
}

/* The bytes of one segment in [from, upto), page-aligned inwards at the start. */
static size_t range_in(const struct commit_log *log, uint32_t index, uint64_t from, uint64_t upto,
		       uint8_t **pages)
{
	struct segment *segment = log->segments[index];
	uint64_t end = segment->start + log->segment_bytes;
	from = from > segment->start ? from : segment->start;
	upto = upto < end ? upto : end;
	if (from >= upto)
		return 0;
	uint64_t offset = (from - segment->start) & ~(uint64_t)(PAGE_BYTES - 1);
	*pages = segment->map + offset;
	return (size_t)(upto - segment->start - offset);
}

static void plan_pages(struct commit_log *log)
{
	struct ahead *ahead = &log->ahead;
	uint64_t from = log->present_upto > log->end ? log->present_upto : log->end;
	uint64_t upto = log->end + log->window;
	uint64_t most = (from / log->segment_bytes + 2) * log->segment_bytes;
	most = most < clog_next_start(log) ? most : clog_next_start(log);
	upto = upto < most ? upto : most;
	ahead->upto = 0;
	ahead->writes_zeros = ahead->is_stale = false;
	ahead->n_bytes[0] = ahead->n_bytes[1] = 0;
	if (log->n == 0 || from >= upto || from - log->end > log->window / 2)
		return;
	ahead->writes_zeros = log_zero_plan(log, &from, &upto);
	ahead->upto = upto;
	uint64_t index = from / log->segment_bytes - log->first;
	for (int i = 0; i < 2 && index + i < log->n; i++)
		ahead->n_bytes[i] = range_in(log, (uint32_t)(index + i), from, upto,
					     &ahead->pages[i]);
}

static void plan_behind(struct commit_log *log)
{
	struct ahead *ahead = &log->ahead;
	ahead->n_behind = 0;
	if (log->end < log->forgotten + KEEP_BEHIND + FORGET_STEP)
		return;
	uint64_t from = log->forgotten;
	uint64_t first = log->first * log->segment_bytes;
	from = from > first ? from : first;
	uint64_t upto = (log->end - KEEP_BEHIND) & ~(uint64_t)(PAGE_BYTES - 1);
	uint64_t index = from / log->segment_bytes - log->first;
	if (index < log->n)
		ahead->n_behind = range_in(log, (uint32_t)index, from, upto, &ahead->behind);
	uint64_t segment_end = (from / log->segment_bytes + 1) * log->segment_bytes;
	log->forgotten = upto < segment_end ? upto : segment_end;
}

static bool wants_segment(const struct commit_log *log)
{
	uint64_t spare = clog_next_start(log) - log->end;
	if (log->n == 0 || log->is_full)
		return !log->is_full;
	/* Small segments, as tests use them, would be used up before the next is made. */
	return spare < (log->segment_bytes >= 2 * WINDOW_MIN ? log->segment_bytes / 2
							     : 2 * WINDOW_MIN);
}

/* By the time in which the writer uses up half of it. */
static void adapt_window(struct commit_log *log)
{
	const struct mosaic_host *host = log->base.store->host;
	uint64_t most = log->base.store->options.prefault_bytes;
	uint64_t now = host->now_ns(host);
	uint64_t took = now - log->woken_ns;
	bool is_used = log->end >= log->woken_at + log->window / 2;
	if (!is_used && took <= SLOW_NS && log->end >= log->woken_at)
		return;
	log->woken_ns = now;
	log->woken_at = log->end;
	if (took < FAST_NS)
		log->window *= 4;
	else if (took > SLOW_NS)
		log->window /= 2;
	if (log->window > most)
		log->window = most;
	if (log->window < WINDOW_MIN)
		log->window = WINDOW_MIN;
}

void clog_look_ahead(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	if (log->end >= log->tail_end)
		clog_find_tail(log);
	/* The next look: when half of the window is used, and always at the segment's end. */
	log->wake_at = log->tail_end;
	if (log->ahead.is_running || log->cut || store->is_broken || store->is_closing ||
	    !store->is_open)
		return;
	adapt_window(log);
	log->ahead.is_at_leisure = log->window < store->options.prefault_bytes;
	log->ahead.creates = wants_segment(log);
	log->ahead.create_start = clog_next_start(log);
	plan_pages(log);
	plan_behind(log);
	if (log->ahead.creates || log->ahead.n_bytes[0] > 0 || log->ahead.n_behind > 0) {
		log->ahead.is_running = true;
		log->ahead.job.run = ahead_run;
		log->ahead.job.done = ahead_done;
		worker_submit(&store->helper, &log->ahead.job);
		return;
	}
	uint64_t wake_at = log->present_upto - log->window / 2;
	if (wake_at > log->end && wake_at < log->wake_at)
		log->wake_at = wake_at;
}
