/*
 * Syncs of the commit log, one at a time:
 *   clog_sync    the request waits in order of what it wants
 *   sync_start   pins the segments up to the end
 *   sync_run     [syncer] msync up to the end as it is by then: what is committed while the thread
 *                wakes is covered too
 *   sync_done    answers whom it covers; whoever still waits is covered by the next
 *
 * Gathering. Senders that wait for their answers send again when they have them. Without a pause
 * the first of them starts a sync and all others miss it: each then waits for two. So a sync whose
 * bytes are fewer than those that waited at once the last time holds on for a moment, at most half
 * of what a sync takes. Somebody who sends alone never waits, nor do many: their groups take longer
 * to send than to sync, so two of them in turn keep both the disk and the processor busy.
 *
 * After a crash the next sync writes again what the cache only seems to have written (distrust).
 *
 * Failure modes: any error is final (store_fail): the kernel may have dropped what it could not
 * write, and tells of it once.
 */
#include "commit_log.h"
#include "io.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#define GATHER_MOST_NS UINT64_C(50000)
#define GATHER_STEP_NS 8000

/* ---- [syncer] ---- */

static uint64_t committed_now(struct commit_log *log)
{
	return atomic_load_explicit(&log->committed, memory_order_acquire);
}

static void gather(struct commit_log *log, const struct mosaic_host *host)
{
	uint64_t most = log->sync_ns / 2 < GATHER_MOST_NS ? log->sync_ns / 2 : GATHER_MOST_NS;
	uint64_t until = host->now_ns(host) + most;
	while (committed_now(log) < log->sync_gather && host->now_ns(host) < until) {
		struct timespec step = { .tv_nsec = GATHER_STEP_NS };
		nanosleep(&step, NULL);
	}
}

static void sync_segment(struct job *job, const struct segment *segment, uint64_t from,
			 uint64_t upto)
{
	uint64_t start = from > segment->start ? from - segment->start : 0;
	uint64_t end = upto - segment->start;
	uint64_t size = job->store->options.segment_bytes;
	end = end < size ? end : size;
	uint8_t *pages = clog_page_floor(segment->map + start);
	if (end > start && msync(pages, (size_t)(segment->map + end - pages), MS_SYNC) != 0)
		job_fail(job, errno, "cannot sync the commit log");
}

static void sync_run(struct job *job)
{
	struct commit_log *log = job->store->log;
	const struct mosaic_host *host = job->store->host;
	if (committed_now(log) < log->sync_gather)
		gather(log, host);
	uint64_t upto = committed_now(log);
	if (upto < log->sync_upto)
		log->sync_upto = upto;
	uint64_t began = host->now_ns(host);
	for (uint32_t i = 0; i < log->n_syncing; i++)
		if (log->sync_upto > log->syncing[i]->start)
			sync_segment(job, log->syncing[i], log->sync_from, log->sync_upto);
	if (log->syncs_again)
		log_write_again(job, log->again_from, log->again_upto);
	if (log->syncs_folder) {
		int rc = io_sync_folder(job->store->dir_fd, LOG_FOLDER);
		if (rc != 0)
			job_fail(job, rc, "cannot sync the folder of the commit log");
	}
	uint64_t took = host->now_ns(host) - began;
	log->sync_ns = log->sync_ns == 0 ? took : (log->sync_ns * 7 + took) / 8;
}

/* ---- [core] ---- */

static void sync_start(struct commit_log *log);

static void sync_done(struct job *job)
{
	struct mosaic_store *store = job->store;
	struct commit_log *log = store->log;
	for (uint32_t i = 0; i < log->n_syncing; i++)
		segment_unpin(log->syncing[i]);
	log->is_syncing = false;
	if (job->status != 0) { /* final: the kernel may have dropped what it could not write */
		store_fail(store, MOSAIC_E_IO, job->os_errno, job->what, LOG_FOLDER);
		return;
	}
	log->flight = log->end > log->sync_from ? log->end - log->sync_from : 0;
	log_zero_learn(log, log->sync_upto - log->sync_from);
	if (log->sync_upto < log->sync_claim)
		log->sync_claim = log->sync_upto;
	if (log->sync_claim > log->synced)
		log->synced = log->sync_claim;
	if (log->syncs_again)
		log->again_from = log->again_upto;
	while (log->syncs && (log->syncs->upto <= log->synced || log->syncs->upto > log->end)) {
		struct mosaic_sync *req = log->syncs;
		log->syncs = (struct mosaic_sync *)req->req.next;
		if (req->upto < log->synced)
			req->upto = log->synced;
		store_done(store, &req->req, 0);
	}
	if (log->syncs && !log->is_syncing)
		sync_start(log);
}

/* Pins what is committed, at most as many segments as fit into the job. */
static void sync_start(struct commit_log *log)
{
	log->sync_from = log->synced;
	log->n_syncing = 0;
	uint64_t index = log->sync_from / log->segment_bytes - log->first;
	for (; index < log->n && log->segments[index]->start < log->end; index++) {
		if (log->n_syncing == sizeof(log->syncing) / sizeof(log->syncing[0]))
			break;
		log->segments[index]->pins++;
		log->syncing[log->n_syncing++] = log->segments[index];
	}
	log->sync_upto = (log->first + index) * log->segment_bytes;
	log->sync_claim = UINT64_MAX;
	uint64_t expected = log->flight - log->flight / 8;
	log->sync_gather = log->are_syncs_small ? log->sync_from + expected : 0;
	atomic_store_explicit(&log->committed, log->end, memory_order_release);
	log->syncs_folder = log->is_folder_dirty;
	log->syncs_again = log->again_from < log->again_upto;
	log->is_folder_dirty = false;
	log->is_syncing = true;
	log->sync_job.run = sync_run;
	log->sync_job.done = sync_done;
	worker_submit(&log->base.store->syncer, &log->sync_job);
}

void clog_distrust(struct commit_log *log, uint64_t from)
{
	log->again_from = from;
	log->again_upto = log->end;
	log->synced = log->synced < from ? log->synced : from; /* so there is one */
}

int32_t clog_sync(struct commit_log *log, struct mosaic_sync *req)
{
	struct mosaic_store *store = log->base.store;
	if (store->is_broken)
		return MOSAIC_E_FATAL;
	if (req->upto > log->end)
		return MOSAIC_E_INVAL;
	int32_t rc = store_accept(store);
	if (rc < 0)
		return rc;
	if (req->upto <= log->synced) {
		req->upto = log->synced;
		store_done_later(store, &req->req, 0);
		return MOSAIC_PENDING;
	}
	struct mosaic_sync **link = &log->syncs; /* few: one per flush policy and close */
	while (*link && (*link)->upto <= req->upto)
		link = (struct mosaic_sync **)(void *)&(*link)->req.next;
	req->req.next = (struct mosaic_req *)*link;
	*link = req;
	if (!log->is_syncing)
		sync_start(log);
	return MOSAIC_PENDING;
}

void clog_cancel(struct commit_log *log, int32_t status)
{
	struct mosaic_store *store = log->base.store;
	clog_tell_room(log, status);
	while (store->is_broken && log->syncs) {
		struct mosaic_sync *req = log->syncs;
		log->syncs = (struct mosaic_sync *)req->req.next;
		store_done_later(store, &req->req, status);
	}
}
