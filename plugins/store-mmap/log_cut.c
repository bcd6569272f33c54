/*
 * Cutting the commit log's end: the core forgets the bytes at once; a job on the slow thread
 * deletes later segments, clears the rest of the last one and makes that durable (STORE-07). Until
 * it is back reserve() answers E_AGAIN. It also allocates the last segment's blocks, which a copied
 * or foreign file may lack.
 */
#include "commit_log.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct log_cut {
	struct job job; /* first */
	struct mosaic_req *req;
	uint64_t to;
	uint64_t delete_from, delete_upto; /* starts of segments that go */
	struct segment *partial;           /* pinned: holds `to`; NULL: none */
};

/* ---- [slow] ---- */

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (*p == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Zeros from `to` to the end of its segment, on disk too. */
static int clear_rest(struct mosaic_store *store, struct log_cut *cut, int fd)
{
	uint64_t size = store->options.segment_bytes;
	uint64_t offset = cut->to - cut->partial->start;
	uint64_t page = (offset + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	uint8_t *map = cut->partial->map;
	page = page < size ? page : size;
	bool is_changed = !is_zero(map + offset, page - offset);
	if (is_changed)
		memset(map + offset, 0, page - offset);
	if (page < size && log_has_data(fd, page, size)) {
		is_changed = true;
		/* Blocks stay allocated but read as zeros: no gigabyte is written for it. */
		if (fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)page, (off_t)(size - page)) != 0)
			memset(map + page, 0, size - page);
	}
	if (!is_changed)
		return 0;
	if (msync(map, size, MS_SYNC) != 0 || fdatasync(fd) != 0)
		return errno;
	return 0;
}

static void cut_partial(struct log_cut *cut)
{
	struct mosaic_store *store = cut->job.store;
	char path[LOG_PATH_BYTES];
	log_path(path, cut->partial->start);
	int fd = io_open(store->dir_fd, path, O_RDWR);
	if (fd < 0) {
		job_fail(&cut->job, -fd, "cannot open a segment to truncate it");
		return;
	}
	/* First of all: a mapped page without blocks is a signal when the disk is full. */
	int rc = io_allocate(fd, store->options.segment_bytes);
	if (rc != 0)
		job_fail(&cut->job, rc, "cannot allocate the last segment of the commit log");
	cut->partial->is_writable = rc == 0;
	rc = rc == 0 ? clear_rest(store, cut, fd) : 0;
	if (rc != 0)
		job_fail(&cut->job, rc, "cannot truncate a segment of the commit log");
	close(fd);
}

static void cut_run(struct job *job)
{
	struct log_cut *cut = (struct log_cut *)job;
	if (log_delete_end(job, cut->delete_from, cut->delete_upto) && cut->partial)
		cut_partial(cut);
}

/* ---- [core] ---- */

static void cut_done(struct job *job)
{
	struct log_cut *cut = (struct log_cut *)job;
	struct mosaic_store *store = job->store;
	struct commit_log *log = store->log;
	struct mosaic_req *req = cut->req;
	int32_t status = job->status;
	if (cut->partial)
		segment_unpin(cut->partial);
	log->cut = NULL;
	/* A full disk too: the end is inside a segment whose blocks cannot be had. */
	if (status != 0)
		store_fail(store, status, job->os_errno, job->what, LOG_FOLDER);
	free(cut);
	clog_find_tail(log);
	clog_look_ahead(log);
	if (log->tail)
		clog_tell_room(log, 0);
	store_done(store, req, status);
}

/* Forgets the segments that start at or above `to`; the job deletes their files. */
static void cut_segments(struct commit_log *log, struct log_cut *cut)
{
	cut->delete_upto = cut->delete_from = clog_next_start(log);
	while (log->n > 0 && log->segments[log->n - 1]->start >= cut->to) {
		struct segment *segment = log->segments[--log->n];
		cut->delete_from = segment->start;
		segment_retire(segment, false);
	}
	if (log->n > 0 && cut->to < clog_next_start(log)) {
		cut->partial = log->segments[log->n - 1];
		cut->partial->pins++;
	}
}

int32_t clog_truncate(struct commit_log *log, uint64_t to, struct mosaic_req *req)
{
	struct mosaic_store *store = log->base.store;
	int32_t rc;
	struct log_cut *cut = store_cut_begin(store, to <= log->end, log->cut != NULL,
					      sizeof(*cut), &rc);
	if (!cut)
		return rc;
	/* Beyond the end there is nothing but what is being prepared: taking that back could leave
	 * a later segment without the one before it. */
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
	cut_segments(log, cut);
	log->end = to;
	log->begin = log->begin < to ? log->begin : to;
	log->synced = log->synced < to ? log->synced : to;
	log->sync_claim = log->sync_claim < to ? log->sync_claim : to;
	log->present_upto = to;
	log->forgotten = log->forgotten < to ? log->forgotten : to;
	log->tail = NULL;
	log->tail_end = (to / log->segment_bytes + 1) * log->segment_bytes;
	log->reserved = 0;
	log->is_end_known = true;
	log->cut = cut;
	worker_submit(&store->slow, &cut->job);
	return MOSAIC_PENDING;
}
