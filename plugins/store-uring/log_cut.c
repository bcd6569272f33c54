/*
 * Cutting the log's end:
 *   ulog_truncate  the core forgets the bytes at once
 *   ulog_cut_step  when no write is under way any more
 *   cut_run        slow thread: deletes later segments, clears the rest of the last one, durably
 *                  (STORE-07), and allocates its blocks, which a copied or foreign file may lack
 *   cut_done       the log goes on with the page that the end lies in
 * Until then reserve() answers E_AGAIN.
 */
#include "log.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct log_cut {
	struct job job; /* first */
	struct mosaic_req *req;
	uint64_t to;
	uint64_t delete_from, delete_upto; /* starts of segments that go */
	struct segment *partial;           /* holds `to`; NULL: none */
	int fd;                            /* out: of partial, when it was not open */
	bool is_started;
	bool wants_page; /* memory does not have it */
	uint8_t page[PAGE_BYTES];
};

/* ---- [slow] ---- */

/* Zeros from `to` to the end of its segment, on disk too. Keeps what its page has before. */
static int clear_rest(struct log_cut *cut, int fd)
{
	uint64_t size = cut->job.store->options.segment_bytes;
	uint64_t offset = cut->to - cut->partial->start;
	uint64_t page = page_up(offset);
	int rc = 0;
	if (page > offset) {
		int64_t n = io_pread(fd, cut->page, PAGE_BYTES, page - PAGE_BYTES);
		rc = n == PAGE_BYTES ? io_write_zeros(fd, offset, page) : n < 0 ? (int)-n : EIO;
	}
	if (rc == 0 && page < size && log_has_data(fd, page, size) &&
	    fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)page, (off_t)(size - page)) != 0)
		rc = io_write_zeros(fd, page, size); /* else no gigabyte is written for it */
	if (rc == 0)
		rc = io_allocate(fd, size);
	if (rc == 0 && fdatasync(fd) != 0)
		rc = errno;
	return rc;
}

static void cut_partial(struct log_cut *cut)
{
	struct mosaic_store *store = cut->job.store;
	char path[LOG_PATH_BYTES];
	log_path(path, cut->partial->start);
	int fd = io_open(store->dir_fd, path, O_RDWR);
	int rc = fd < 0 ? -fd : clear_rest(cut, fd);
	if (fd >= 0)
		close(fd);
	if (rc == 0 && cut->fd < 0) {
		cut->fd = segment_open_direct(store, cut->partial->start);
		rc = cut->fd < 0 ? -cut->fd : 0;
	}
	if (rc != 0)
		job_fail(&cut->job, rc, "cannot truncate a segment of the commit log");
}

static void cut_run(struct job *job)
{
	struct log_cut *cut = (struct log_cut *)job;
	if (log_delete_end(job, cut->delete_from, cut->delete_upto) && cut->partial)
		cut_partial(cut);
}

/* ---- [core] ---- */

static void cut_end(struct log_cut *cut, int32_t status)
{
	struct mosaic_store *store = cut->job.store;
	struct mosaic_req *req = cut->req;
	store->log->cut = NULL;
	if (cut->partial)
		segment_unref(cut->partial);
	free(cut);
	ulog_look_ahead(store->log);
	ulog_tell_room(store->log, 0);
	store_done_later(store, req, status);
}

static void cut_done(struct job *job)
{
	struct log_cut *cut = (struct log_cut *)job;
	struct mosaic_store *store = job->store;
	struct commit_log *log = store->log;
	if (cut->partial && cut->partial->fd < 0 && cut->fd >= 0)
		segment_opened(cut->partial, cut->fd);
	if (job->status == 0 && cut->wants_page && !ulog_tail_cut(log, cut->to, cut->page)) {
		job->what = "no memory for the end of the commit log";
		job->os_errno = ENOMEM;
		job->status = MOSAIC_E_NOMEM;
	}
	/* What was read meanwhile may hold what was cleared. */
	log->n_cuts++;
	ulog_cache_cut(log, 0, cut->to);
	/* A full disk too: the end is inside a segment whose blocks cannot be had. */
	if (job->status != 0)
		store_fail(store, job->status, job->os_errno, job->what, LOG_FOLDER);
	else if (cut->partial)
		cut->partial->is_writable = true;
	cut_end(cut, job->status);
}

void ulog_cut_step(struct commit_log *log)
{
	struct log_cut *cut = log->cut;
	if (!cut || cut->is_started || !ulog_is_still(log))
		return;
	if (log->base.store->is_broken) {
		cut_end(cut, MOSAIC_E_FATAL);
		return;
	}
	cut->is_started = true;
	log->synced = log->synced < cut->to ? log->synced : cut->to;
	log->written = log->written < cut->to ? log->written : cut->to;
	log->zeroed_upto = log->looked_end = cut->to;
	if (cut->partial)
		cut->fd = cut->partial->fd;
	worker_submit(&log->base.store->slow, &cut->job);
}

/* Forgets the segments that start at or above `to`; the job deletes their files. */
static void cut_segments(struct commit_log *log, struct log_cut *cut)
{
	cut->delete_upto = cut->delete_from = ulog_next_start(log);
	while (log->n > 0 && log->segments[log->n - 1]->start >= cut->to) {
		struct segment *segment = log->segments[--log->n];
		cut->delete_from = segment->start;
		segment_forget(segment, false);
	}
	if (log->n > 0 && cut->to < ulog_next_start(log)) {
		cut->partial = log->segments[log->n - 1];
		cut->partial->refs++;
	}
}

int32_t ulog_truncate(struct commit_log *log, uint64_t to, struct mosaic_req *req)
{
	struct mosaic_store *store = log->base.store;
	int32_t rc;
	struct log_cut *cut = store_cut_begin(store, to <= log->end, log->cut != NULL,
					      sizeof(*cut), &rc);
	if (!cut)
		return rc;
	/* Beyond the end there is nothing but what is being prepared. */
	if (to == log->end && log->is_end_known) {
		free(cut);
		store_done_later(store, req, 0);
		return MOSAIC_PENDING;
	}
	cut->job.store = store;
	cut->job.run = cut_run;
	cut->job.done = cut_done;
	cut->req = req;
	cut->to = to;
	cut->wants_page = page_down(to) < to && page_down(to) < ulog_tail_start(log);
	if (!cut->wants_page && !ulog_tail_cut(log, to, NULL)) {
		free(cut);
		store->n_pending--;
		return MOSAIC_E_NOMEM;
	}
	cut_segments(log, cut);
	log->end = to;
	log->begin = log->begin < to ? log->begin : to;
	log->reserved = 0;
	log->is_end_known = true;
	log->n_cuts++;
	ulog_cache_cut(log, 0, to);
	if (cut->wants_page)
		(void)ulog_tail_cut(log, page_down(to), NULL);
	log->cut = cut;
	ulog_cut_step(log);
	return MOSAIC_PENDING;
}

/* ---- what a crash may have left in caches only ---- */

struct log_again {
	struct job job; /* first */
	uint64_t from, upto;
};

static void again_run(struct job *job)
{
	const struct log_again *again = (struct log_again *)job;
	log_write_again(job, again->from, again->upto);
}

static void again_done(struct job *job)
{
	struct mosaic_store *store = job->store;
	struct commit_log *log = store->log;
	log->again = NULL;
	if (job->status != 0)
		store_fail(store, job->status, job->os_errno, job->what, LOG_FOLDER);
	free(job);
	ulog_write(log);
}

/* At once; until it is back nothing is written, so no sync counts before it. */
void ulog_distrust(struct commit_log *log, uint64_t from)
{
	struct mosaic_store *store = log->base.store;
	if (log->again || store->is_broken || from >= log->end)
		return;
	struct log_again *again = calloc(1, sizeof(*again));
	if (!again) {
		store_fail(store, MOSAIC_E_NOMEM, ENOMEM, "no memory to write again", LOG_FOLDER);
		return;
	}
	again->job = (struct job){ .store = store, .run = again_run, .done = again_done };
	again->from = from;
	again->upto = log->end;
	log->again = again;
	log->synced = log->synced < from ? log->synced : from; /* so there is a sync that waits */
	worker_submit(&store->slow, &again->job);
}

int32_t ulog_start_at(struct commit_log *log, uint64_t offset)
{
	if (log->begin != log->end || log->cut || !ulog_is_still(log))
		return MOSAIC_E_INVAL;
	while (log->n > 0)
		segment_forget(log->segments[--log->n], true);
	(void)ulog_tail_cut(log, 0, NULL);
	log->begin = log->end = log->synced = log->written = offset;
	log->zeroed_upto = log->looked_end = offset;
	log->is_end_known = true;
	log->wake_at = 0;
	ulog_look_ahead(log);
	return 0;
}
