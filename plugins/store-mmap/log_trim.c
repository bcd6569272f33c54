/*
 * Deleting old segments of the commit log.
 *
 * `begin` moves at once. Then, one segment after the other:
 *   trim_run       slow thread: the name goes, durably, so that a power cut leaves no gap in the
 *                  files; an open descriptor keeps the blocks
 *   segment_unpin  the mapping goes on the helper, when nobody reads it any more
 *   trim_free_run  slow thread: the blocks and the page cache go in small steps with a rest between
 *                  them. A gigabyte in one step keeps the file system's journal and the disk from
 *                  others, 16 MiB keep a processor for a millisecond, of which a send waits for most
 *   trim_next      after a pause, the next one
 * A segment that somebody reads is not waited for: its blocks go when it is unpinned.
 */
#include "commit_log.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_NS UINT64_C(20000000)
#define FREE_BYTES (UINT64_C(256) << 10)
#define FREE_REST_NS 500000

struct log_trim {
	struct job job; /* first */
	struct mosaic_req *req;
	struct mosaic_timer pause;
	struct segment **segments; /* retired and pinned by this */
	uint32_t n, next;
	int32_t status;
};

static void trim_next(struct log_trim *trim);

static void trim_paused(struct mosaic_timer *timer)
{
	trim_next(timer->data);
}

static void trim_end(struct log_trim *trim)
{
	struct mosaic_store *store = trim->job.store;
	struct commit_log *log = store->log;
	struct mosaic_req *req = trim->req;
	int32_t status = trim->status;
	log->trim = NULL;
	free(trim->segments);
	free(trim);
	if (log->is_full) { /* there may be room now */
		log->is_full = false;
		clog_look_ahead(log);
	}
	store_done(store, req, status);
}

static void trim_go_on(struct log_trim *trim)
{
	struct mosaic_store *store = trim->job.store;
	if (trim->next == trim->n)
		trim_end(trim);
	else if (store->is_closing)
		trim_next(trim);
	else
		store->host->timer_start(store->host, &trim->pause, PAUSE_NS);
}

/* ---- one segment ---- */

static void trim_run(struct job *job)
{
	struct log_trim *trim = (struct log_trim *)job;
	struct segment *segment = trim->segments[trim->next];
	char path[LOG_PATH_BYTES];
	log_path(path, segment->start);
	segment->left = job->store->options.segment_bytes;
	segment->fd = io_open(job->store->dir_fd, path, O_RDWR); /* without it all goes at once */
	if (unlinkat(job->store->dir_fd, path, 0) != 0 && errno != ENOENT) {
		job_fail(job, errno, "cannot delete a segment of the commit log");
		if (segment->fd >= 0)
			close(segment->fd);
		segment->fd = -1;
		return;
	}
	int rc = io_sync_folder(job->store->dir_fd, LOG_FOLDER);
	if (rc != 0)
		job_fail(job, rc, "cannot sync the folder of the commit log");
}

static void trim_done(struct job *job)
{
	struct log_trim *trim = (struct log_trim *)job;
	struct segment *segment = trim->segments[trim->next++];
	if (job->status != 0) {
		store_log(job->store, MOSAIC_LOG_WARN, "trim_failed", "%s at %" PRIu64 ": %s",
			  job->what, segment->start, strerror(job->os_errno));
		trim->status = job->status;
	}
	bool is_waited_for = segment->pins == 1;
	if (is_waited_for)
		segment->trim = trim;
	segment_unpin(segment);
	if (!is_waited_for)
		trim_go_on(trim);
}

static void trim_next(struct log_trim *trim)
{
	trim->job.run = trim_run;
	trim->job.done = trim_done;
	worker_submit(&trim->job.store->slow, &trim->job);
}

/* One step: what else waits for this thread comes in between. */
static void trim_free_run(struct job *job)
{
	struct segment *segment = (struct segment *)job;
	if (segment->left > FREE_BYTES &&
	    ftruncate(segment->fd, (off_t)(segment->left - FREE_BYTES)) == 0) {
		segment->left -= FREE_BYTES;
		worker_rest(FREE_REST_NS);
		return;
	}
	close(segment->fd); /* the last step, or all at once */
	segment->fd = -1;
}

static void trim_free_done(struct job *job)
{
	clog_segment_gone((struct segment *)job);
}

void clog_segment_gone(struct segment *segment)
{
	struct mosaic_store *store = segment->job.store;
	struct log_trim *trim = segment->trim;
	if (segment->fd >= 0 && store->slow.is_running) {
		if (store->is_closing)
			segment->left = 0;
		segment->job.run = trim_free_run;
		segment->job.done = trim_free_done;
		worker_submit(&store->slow, &segment->job);
		return;
	}
	if (segment->fd >= 0)
		close(segment->fd);
	free(segment);
	if (trim)
		trim_go_on(trim);
}

/* ---- the request ---- */

void clog_trim_hurry(struct commit_log *log)
{
	struct log_trim *trim = log->trim;
	if (!trim || trim->pause.due_ns == 0)
		return;
	const struct mosaic_host *host = log->base.store->host;
	host->timer_stop(host, &trim->pause);
	trim_next(trim);
}

/* Segments that lie below: the last one stays, and the one of `end`. */
static uint32_t count_below(const struct commit_log *log, uint64_t below)
{
	uint32_t n = 0;
	while (log->n - n > 1 && log->segments[n + 1]->start <= below &&
	       log->segments[n + 1]->start <= log->end)
		n++;
	return n;
}

static void take_segments(struct commit_log *log, struct log_trim *trim)
{
	memcpy(trim->segments, log->segments, trim->n * sizeof(struct segment *));
	for (uint32_t i = 0; i < trim->n; i++) {
		trim->segments[i]->pins++;
		segment_retire(trim->segments[i], false);
	}
	log->n -= trim->n;
	memmove(log->segments, log->segments + trim->n, log->n * sizeof(struct segment *));
	log->first += trim->n;
	log->begin = log->segments[0]->start;
	log->synced = log->synced > log->begin ? log->synced : log->begin;
}

int32_t clog_trim(struct commit_log *log, uint64_t below, struct mosaic_req *req)
{
	struct mosaic_store *store = log->base.store;
	uint32_t n = count_below(log, below);
	if (log->trim)
		return MOSAIC_E_AGAIN;
	int32_t rc = store_accept(store);
	if (rc < 0)
		return rc;
	if (n == 0) {
		store_done_later(store, req, 0);
		return MOSAIC_PENDING;
	}
	struct log_trim *trim = calloc(1, sizeof(*trim));
	struct segment **segments = trim ? malloc(n * sizeof(*segments)) : NULL;
	if (!segments) {
		free(trim);
		store->n_pending--;
		return MOSAIC_E_NOMEM;
	}
	trim->job.store = store;
	trim->req = req;
	trim->segments = segments;
	trim->n = n;
	trim->pause.fire = trim_paused;
	trim->pause.data = trim;
	take_segments(log, trim);
	log->trim = trim;
	trim_next(trim);
	return MOSAIC_PENDING;
}
