/*
 * From memory to the disk, in runs:
 *   run_plan     up to eight writes of whole pages, the last one filled with zeros when it must go
 *   run_start    the writes; one that is all that is not durable carries its sync with it
 *                (RWF_DSYNC): no thread of the kernel's has to be woken for an fdatasync. Where
 *                more is to be synced in its file, that is linked to it
 *   writes_done  `written` moves; then the syncs of every file that has bytes no sync has covered
 *   run_end      `synced` moves, syncs are answered; what came meanwhile is the next run
 *
 * A page that is not full is written again by the next run, with more in it. Nothing else writes
 * it meanwhile, as one run is under way at a time; what it holds of older bytes does not change.
 *
 * Failure modes: a short write is continued; any error is final (store_fail): the kernel may have
 * dropped what it could not write, so nothing above `synced` ever counts as durable.
 */
#include "log.h"

#include <errno.h>
#include <string.h>

#define EAGER_BYTES (UINT64_C(256) << 10) /* written without being asked */
#define SMALL_SYNC (UINT64_C(128) << 10)
#define ZERO_AHEAD (UINT64_C(128) << 10)
#define WRITE_TRIES 8

static void run_end(struct commit_log *log);
static void writes_done(struct commit_log *log);

static void run_fail(struct commit_log *log, int32_t res, const char *what)
{
	store_fail(log->base.store,
		   res == -ENOSPC || res == -EDQUOT ? MOSAIC_E_NOSPACE : MOSAIC_E_IO, -res, what,
		   LOG_FOLDER);
}

/* ---- syncs ---- */

static void run_synced(struct ring_op *op, int32_t res)
{
	struct run_sync *sync = (struct run_sync *)op;
	struct commit_log *log = sync->log;
	struct run *run = &log->run;
	/* One that was linked to a write that fell short proves nothing. */
	if (res == 0 && (run->is_linked || run->is_syncing))
		sync->segment->is_dirty = false;
	else if (res != 0 && res != -ECANCELED)
		run_fail(log, res, "cannot sync the commit log");
	segment_unref(sync->segment);
	if (--run->n_syncs > 0 || run->n_writes > 0)
		return;
	if (run->is_syncing)
		run_end(log);
	else
		writes_done(log);
}

static void run_sync(struct run *run, struct run_sync *sync, struct commit_log *log,
		     struct segment *segment)
{
	*sync = (struct run_sync){ .op.done = run_synced, .log = log, .segment = segment };
	segment->refs++;
	run->n_syncs++;
	ring_fdatasync(&log->ring, &sync->op, segment->fd, segment->slot);
}

/* All files with bytes that are not durable, at most as many as fit. */
static void run_sync_all(struct commit_log *log)
{
	struct run *run = &log->run;
	uint64_t index = log->synced / log->segment_bytes;
	index = index > log->first ? index - log->first : 0;
	run->is_syncing = true;
	run->claim = run->upto;
	for (; index < log->n; index++) {
		struct segment *segment = log->segments[index];
		if (!segment->is_dirty)
			continue;
		if (run->n_syncs == RUN_SYNCS) {
			run->claim = segment->start;
			break;
		}
		run_sync(run, &run->syncs[run->n_syncs], log, segment);
	}
	ring_submit(&log->ring);
	run->is_empty = run->n_syncs == 0;
	if (run->is_empty)
		run_end(log);
}

static void answer_syncs(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	while (log->syncs && (log->syncs->upto <= log->synced || log->syncs->upto > log->end)) {
		struct mosaic_sync *req = log->syncs;
		log->syncs = (struct mosaic_sync *)req->req.next;
		if (req->upto < log->synced)
			req->upto = log->synced;
		if (log->run.is_empty) /* nothing had to be done: still inside of the call */
			store_done_later(store, &req->req, 0);
		else
			store_done(store, &req->req, 0);
	}
}

/* Small syncs are worth zeros written ahead of them, see zero_start(). */
static void measure_syncs(struct commit_log *log)
{
	if (++log->n_synced < 8)
		return;
	log->syncs_are_small = (log->end - log->looked_end) / log->n_synced < SMALL_SYNC;
	log->looked_end = log->end;
	log->n_synced = 0;
}

static void run_end(struct commit_log *log)
{
	struct run *run = &log->run;
	bool is_broken = log->base.store->is_broken;
	if (run->is_syncing && !is_broken) {
		log->synced = run->claim > log->synced ? run->claim : log->synced;
		measure_syncs(log);
	}
	run->is_running = run->is_syncing = false;
	if (!is_broken)
		answer_syncs(log);
	ulog_tell_room(log, 0);
	ulog_cut_step(log);
	ulog_write(log);
}

/* ---- writes ---- */

static void writes_done(struct commit_log *log)
{
	struct run *run = &log->run;
	if (log->base.store->is_broken) {
		run_end(log);
		return;
	}
	log->written = run->upto > log->written ? run->upto : log->written;
	if (!run->wants_sync) {
		run_end(log);
	} else if (run->is_synced || (run->is_linked && !run->linked->is_dirty)) {
		run->is_syncing = true; /* its own, or the one linked to it, was enough */
		run->claim = run->upto;
		run_end(log);
	} else {
		run_sync_all(log);
	}
}

static struct io_uring_sqe *write_put(struct run_write *w)
{
	struct segment *segment = w->segment;
	return ring_write(&w->log->ring, &w->op, segment->fd, segment->slot, w->from + w->done,
			  w->len - w->done, w->offset + w->done - segment->start);
}

static void run_written(struct ring_op *op, int32_t res)
{
	struct run_write *w = (struct run_write *)op;
	struct commit_log *log = w->log;
	struct run *run = &log->run;
	/* Short: again from a whole page on, so that an error has another chance to be told. */
	uint32_t got = res > 0 ? (uint32_t)page_down((uint64_t)res) : 0;
	w->done += got;
	bool is_short = res == -EINTR || res == -EAGAIN || (res > 0 && w->done < w->len);
	if (is_short && ++w->tries < WRITE_TRIES) {
		run->is_linked = run->is_synced = false;
		w->segment->is_dirty = true;
		write_put(w);
		return;
	}
	if (res <= 0 || is_short)
		run_fail(log, res < 0 ? res : -EIO, "cannot write the commit log");
	block_unref(w->block);
	segment_unref(w->segment);
	if (--run->n_writes == 0 && run->n_syncs == 0)
		writes_done(log);
}

static void plan_write(struct commit_log *log, struct block *block, uint64_t from, uint64_t upto)
{
	struct run_write *w = &log->run.writes[log->run.n_writes++];
	*w = (struct run_write){ .op.done = run_written, .log = log, .block = block,
				 .segment = ulog_segment_at(log, from),
				 .from = block->bytes + (from - block->start), .offset = from,
				 .len = (uint32_t)(upto - from) };
}

/* The last page is not full: zeros behind the end. Where the core has room lent there, it is
 * written from a copy, as the room is not to be touched. */
static void plan_last_page(struct commit_log *log)
{
	struct block *block = log->tail.newest;
	uint8_t *end = block->bytes + (log->end - block->start);
	uint64_t page = page_down(log->end);
	if (log->reserved == 0) {
		memset(end, 0, page_up(log->end) - log->end);
		return;
	}
	struct run *run = &log->run;
	struct run_write *w = &run->writes[run->n_writes - 1];
	uint8_t *copy = log->pool + ((size_t)log->n_pool + 1) * BLOCK_BYTES;
	memcpy(copy, block->bytes + (page - block->start), log->end - page);
	memset(copy + (log->end - page), 0, page_up(log->end) - log->end);
	if (w->offset < page) { /* what lies before it goes as it is */
		w->len = (uint32_t)(page - w->offset);
		plan_write(log, block, page, page_up(log->end));
		w = &run->writes[run->n_writes - 1];
	}
	w->from = copy;
}

static void run_plan(struct commit_log *log, bool all)
{
	struct run *run = &log->run;
	uint64_t at = page_down(log->written);
	uint64_t stop = all ? page_up(log->end) : page_down(log->end);
	run->n_writes = 0;
	struct block *block = ulog_tail_find(log, at);
	while (block && at < stop && run->n_writes < RUN_WRITES - 1 && log->written < log->end) {
		uint64_t upto = block->newer && block->newer->start < stop ? block->newer->start
									    : stop;
		uint64_t segment_end = (at / log->segment_bytes + 1) * log->segment_bytes;
		upto = upto < segment_end ? upto : segment_end;
		if (upto <= at) {
			block = block->newer;
			continue;
		}
		upto = upto - at < BLOCK_BYTES ? upto : at + BLOCK_BYTES;
		plan_write(log, block, at, upto);
		at = upto;
	}
	if (run->n_writes > 0 && at > log->end)
		plan_last_page(log);
	run->upto = at < log->end ? at : log->end;
	run->upto = run->n_writes > 0 ? run->upto : log->written;
}

/* The one file that has bytes which are not durable, NULL: there are more. */
static struct segment *only_dirty(const struct commit_log *log)
{
	const struct run *run = &log->run;
	struct segment *segment = ulog_segment_at(log, log->synced);
	return run->n_writes == 1 && segment == run->writes[0].segment ? segment : NULL;
}

/* Hands the run's writes to the kernel. */
static void run_submit(struct commit_log *log)
{
	struct run *run = &log->run;
	struct segment *only = run->wants_sync ? only_dirty(log) : NULL;
	run->is_synced = only && !only->is_dirty && log->has_dsync;
	run->is_linked = only && !run->is_synced;
	run->linked = only;
	for (uint32_t i = 0; i < run->n_writes; i++) {
		struct run_write *w = &run->writes[i];
		w->block->refs++;
		w->segment->refs++;
		w->segment->is_dirty |= !run->is_synced;
		struct io_uring_sqe *sqe = write_put(w);
		sqe->rw_flags = run->is_synced ? RWF_DSYNC : 0;
		sqe->flags |= run->is_linked ? IOSQE_IO_LINK : 0;
	}
	if (run->is_linked)
		run_sync(run, &run->syncs[0], log, only);
	ring_submit(&log->ring);
}

static void run_start(struct commit_log *log, bool wants_sync, bool all)
{
	struct run *run = &log->run;
	run_plan(log, all);
	uint32_t n = run->n_writes;
	if (n > 0 && log->zero.is_running &&
	    run->writes[n - 1].offset + run->writes[n - 1].len > log->zero.from)
		return; /* zeros are on their way there; zero_done() comes again */
	if (n == 0 && !wants_sync)
		return;
	run->is_running = true;
	run->wants_sync = wants_sync;
	run->is_linked = run->is_synced = false;
	run->n_syncs = 0;
	run->is_empty = false;
	if (n > 0)
		run_submit(log);
	else
		run_sync_all(log);
}

/* ---- zeros ahead ---- */

static void zero_done(struct ring_op *op, int32_t res)
{
	struct zero_write *zero = (struct zero_write *)op;
	struct commit_log *log = zero->log;
	zero->is_running = false;
	segment_unref(zero->segment);
	if (res > 0)
		log->zeroed_upto = zero->from + page_down((uint64_t)res);
	else if (res != -EINTR && res != -EAGAIN)
		run_fail(log, res < 0 ? res : -EIO, "cannot write the commit log");
	ulog_cut_step(log);
	if (log->room)
		ulog_write_all(log);
	else
		ulog_write(log);
}

/*
 * A fresh block of an allocated file is "unwritten": the first write of each changes the file's
 * map, and a sync then waits for the file system's journal. Where syncs are small that costs more
 * than the data, so zeros are written ahead in large pieces; then a sync writes data only.
 */
static void zero_start(struct commit_log *log)
{
	struct zero_write *zero = &log->zero;
	if (zero->is_running || !log->syncs_are_small || log->zeroed_upto > log->end + ZERO_AHEAD)
		return;
	uint64_t from = page_up(log->end) + ZERO_AHEAD; /* where no run gets to meanwhile */
	from = log->zeroed_upto > from ? log->zeroed_upto : from;
	struct segment *segment = ulog_segment_at(log, from);
	if (!segment || !segment->is_writable || segment->fd < 0)
		return;
	uint64_t upto = from + BLOCK_BYTES;
	uint64_t segment_end = segment->start + log->segment_bytes;
	upto = upto < segment_end ? upto : segment_end;
	*zero = (struct zero_write){ .op.done = zero_done, .log = log, .segment = segment,
				     .from = from, .is_running = true };
	segment->refs++;
	ring_write(&log->ring, &zero->op, segment->fd, segment->slot,
		   log->pool + (size_t)log->n_pool * BLOCK_BYTES, (uint32_t)(upto - from),
		   from - segment->start);
	ring_submit(&log->ring);
}

/* ---- when ---- */

bool ulog_is_still(const struct commit_log *log)
{
	return !log->run.is_running && !log->zero.is_running;
}

void ulog_write(struct commit_log *log)
{
	if (log->run.is_running || log->cut || log->again || log->base.store->is_broken)
		return;
	if (log->syncs) {
		run_start(log, true, true);
		zero_start(log);
	} else if (log->end - log->written >= EAGER_BYTES) {
		run_start(log, false, false);
	}
}

void ulog_write_all(struct commit_log *log)
{
	if (log->run.is_running || log->cut || log->again || log->base.store->is_broken)
		return;
	run_start(log, log->syncs != NULL, true);
}

void ulog_linger(struct mosaic_timer *timer)
{
	struct commit_log *log = timer->data;
	const struct mosaic_host *host = log->base.store->host;
	ulog_write_all(log);
	if (log->written < log->end && !log->base.store->is_broken)
		host->timer_start(host, &log->linger, LINGER_NS);
}

int32_t ulog_sync(struct commit_log *log, struct mosaic_sync *req)
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
	ulog_write(log);
	return MOSAIC_PENDING;
}

void ulog_cancel(struct commit_log *log, int32_t status)
{
	struct mosaic_store *store = log->base.store;
	ulog_tell_room(log, status);
	while (store->is_broken && log->syncs) {
		struct mosaic_sync *req = log->syncs;
		log->syncs = (struct mosaic_sync *)req->req.next;
		store_done_later(store, &req->req, status);
	}
}
