/*
 * Deleting old segments: `begin` moves at once, the files go one by one with a pause between them,
 * each in small steps: a gigabyte in one step keeps the file system's journal and the disk from
 * others. Who reads on has the bytes in memory, or his load fails and he is told.
 */
#include "log.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_NS UINT64_C(20000000)
#define STEP_BYTES (UINT64_C(512) << 10)
#define REST_NS 250000

struct log_trim {
	struct job job; /* first */
	struct mosaic_req *req;
	struct mosaic_timer pause;
	uint64_t next, upto; /* starts of segments that go */
	int32_t status;
};

/* The name first and durably, so that a power cut leaves no gap; then the blocks. */
static void trim_run(struct job *job)
{
	struct log_trim *trim = (struct log_trim *)job;
	struct mosaic_store *store = job->store;
	char path[LOG_PATH_BYTES];
	log_path(path, trim->next);
	int fd = io_open(store->dir_fd, path, O_WRONLY);
	if (unlinkat(store->dir_fd, path, 0) != 0 && errno != ENOENT)
		job_fail(job, errno, "cannot delete a segment of the commit log");
	int rc = io_sync_folder(store->dir_fd, LOG_FOLDER);
	if (rc != 0)
		job_fail(job, rc, "cannot sync the folder of the commit log");
	if (fd < 0)
		return;
	for (uint64_t left = store->options.segment_bytes; left > STEP_BYTES && job->status == 0;) {
		left -= STEP_BYTES;
		if (ftruncate(fd, (off_t)left) != 0)
			break; /* then in one step */
		worker_rest(REST_NS);
	}
	close(fd);
}

static void trim_next(struct log_trim *trim);

static void trim_paused(struct mosaic_timer *timer)
{
	trim_next(timer->data);
}

static void trim_done(struct job *job)
{
	struct log_trim *trim = (struct log_trim *)job;
	struct mosaic_store *store = job->store;
	struct commit_log *log = store->log;
	if (job->status != 0) {
		trim->status = job->status;
		store_log(store, MOSAIC_LOG_WARN, "trim_failed", "%s at %" PRIu64 ": %s", job->what,
			  trim->next, strerror(job->os_errno));
	}
	trim->next += log->segment_bytes;
	if (trim->next < trim->upto) {
		if (store->is_closing)
			trim_next(trim);
		else
			store->host->timer_start(store->host, &trim->pause, PAUSE_NS);
		return;
	}
	struct mosaic_req *req = trim->req;
	int32_t status = trim->status;
	log->trim = NULL;
	free(trim);
	if (log->is_full) { /* there may be room now */
		log->is_full = false;
		ulog_look_ahead(log);
	}
	store_done(store, req, status);
}

static void trim_next(struct log_trim *trim)
{
	trim->job.run = trim_run;
	trim->job.done = trim_done;
	worker_submit(&trim->job.store->slow, &trim->job);
}

void ulog_trim_hurry(struct commit_log *log)
{
	struct log_trim *trim = log->trim;
	if (!trim || trim->pause.due_ns == 0)
		return;
	const struct mosaic_host *host = log->base.store->host;
	host->timer_stop(host, &trim->pause);
	trim_next(trim);
}

int32_t ulog_trim(struct commit_log *log, uint64_t below, struct mosaic_req *req)
{
	struct mosaic_store *store = log->base.store;
	uint32_t n = 0;
	while (log->n - n > 1 && log->segments[n + 1]->start <= below &&
	       log->segments[n + 1]->start <= log->end)
		n++;
	if (log->trim)
		return MOSAIC_E_AGAIN;
	struct log_trim *trim = calloc(1, sizeof(*trim));
	int32_t rc = trim ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0 || n == 0) {
		free(trim);
		if (rc == 0)
			store_done_later(store, req, 0);
		return rc < 0 ? rc : MOSAIC_PENDING;
	}
	*trim = (struct log_trim){ .job.store = store, .req = req, .pause.fire = trim_paused,
				   .pause.data = trim, .next = log->segments[0]->start };
	for (uint32_t i = 0; i < n; i++)
		segment_forget(log->segments[i], false);
	log->n -= n;
	memmove(log->segments, log->segments + n, log->n * sizeof(*log->segments));
	log->first += n;
	log->begin = trim->upto = log->segments[0]->start;
	log->synced = log->synced > log->begin ? log->synced : log->begin;
	log->written = log->written > log->begin ? log->written : log->begin;
	ulog_cache_cut(log, log->begin, UINT64_MAX);
	log->trim = trim;
	trim_next(trim);
	return MOSAIC_PENDING;
}
