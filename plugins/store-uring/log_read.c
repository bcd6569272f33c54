/*
 * Reads: from a block of the tail, from a block of the cache, or, where bytes lie in several, from
 * a copy of them. What is in none is loaded around the page cache, in larger pieces when somebody
 * reads on from where the last piece ended, and then the next piece before it is asked for.
 *
 * The cache is bounded; blocks that somebody has pinned are not evicted and count all the same. The
 * number of loads is bounded too; a read beyond it waits.
 *
 * Failure modes: a load that fails concerns those who wait for it, and nobody else. It was of more
 * than they asked for: each asks again for its own, and when that fails too, a thread of the host
 * finds out what it means (lost.h). Around there nothing is loaded that nobody has asked for: a
 * disk may take seconds to find that it cannot read.
 */
#include "log.h"
#include "lost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_BYTES (UINT32_C(64) << 10)
#define LOAD_ON_BYTES (UINT32_C(512) << 10) /* when it is read on */
#define LOAD_PACED (UINT32_C(128) << 10)    /* the same beside a writer */
#define LOADS_MOST 32
#define READ_ON_GAP (UINT64_C(64) << 10) /* so near to the end of a block is reading on */

#define TRIES_WIDE 2 /* loads that a read waits for before it has one of its own */

/* A read that waits. */
struct cold_read {
	struct mosaic_work work; /* first: what a failure means */
	struct lost lost;
	bool was_judged;
	struct cold_read *next;
	struct commit_log *log;
	struct mosaic_read *read;
	uint64_t offset;
	uint32_t len, tries;
};

static void cold_go_on(struct cold_read *cold, struct block *loaded, int32_t os_errno);
static void loads_go_on(struct commit_log *log);

/* ---- the cache ---- */

static void cache_take(struct block *block)
{
	if (!block->is_cached)
		return;
	block_list_take(&block->log->cache, block);
	block->is_cached = false;
	block_unref(block);
}

static void cache_add(struct commit_log *log, struct block *block)
{
	uint64_t most = log->base.store->options.cache_bytes;
	struct block *oldest = log->cache.oldest;
	while (oldest && log->cache.bytes + block->capacity > most) {
		struct block *newer = oldest->newer;
		if (oldest->refs == 1) /* nobody else's */
			cache_take(oldest);
		oldest = newer;
	}
	block_list_add(&log->cache, block);
	block->is_cached = true;
	block->refs++;
}

static struct block *cache_find(struct commit_log *log, uint64_t offset)
{
	struct block *block = log->cache.newest;
	while (block && !(block->start <= offset && offset < block->upto))
		block = block->older;
	if (block && block != log->cache.newest) {
		block_list_take(&log->cache, block);
		block_list_add(&log->cache, block);
	}
	return block;
}

void ulog_cache_cut(struct commit_log *log, uint64_t below, uint64_t from)
{
	for (struct block *block = log->cache.oldest; block;) {
		struct block *newer = block->newer;
		if (block->start < below || block->upto > from)
			cache_take(block);
		block = newer;
	}
}

/* ---- loads ---- */

static bool is_narrow(const struct commit_log *log, uint64_t offset)
{
	for (uint32_t i = 0; i < NARROW_MOST; i++)
		if (offset >= log->narrow[i].from && offset < log->narrow[i].upto)
			return true;
	return false;
}

static void load_end(struct block *block, int32_t os_errno)
{
	struct commit_log *log = block->log;
	struct cold_read *waiter = block->first_waiter;
	block->first_waiter = NULL;
	block->last_waiter = &block->first_waiter;
	block->is_loading = false;
	log->n_loading--;
	/* What the log was cut meanwhile may be what it was before or after. */
	bool is_stale = block->n_cuts != log->n_cuts;
	if (os_errno != 0 || is_stale)
		cache_take(block);
	if (os_errno != 0 && !is_stale && !is_narrow(log, block->start))
		log->narrow[log->next_narrow++ % NARROW_MOST] =
			(struct narrow){ block->start, block->upto };
	while (waiter) {
		struct cold_read *next = waiter->next;
		cold_go_on(waiter, is_stale ? NULL : block, is_stale ? 0 : os_errno);
		waiter = next;
	}
	segment_unref(block->segment);
	block_unref(block);
	loads_go_on(log);
}

static void load_put(struct block *block)
{
	const struct segment *segment = block->segment;
	ring_read(&block->log->ring, &block->op, segment->fd, segment->slot,
		  block->bytes + block->loaded, block->capacity - block->loaded,
		  block->start + block->loaded - segment->start);
}

static void loaded(struct ring_op *op, int32_t res)
{
	struct block *block = (struct block *)(void *)((char *)op - offsetof(struct block, op));
	uint32_t got = res > 0 ? (uint32_t)page_down((uint64_t)res) : 0;
	block->loaded += got;
	if (res == -EINTR || res == -EAGAIN || (got > 0 && block->loaded < block->capacity))
		load_put(block);
	else
		load_end(block, res < 0 ? -res : got == 0 ? EIO : 0);
}

void block_load(struct block *block, int32_t os_errno)
{
	if (os_errno != 0) {
		load_end(block, os_errno);
		return;
	}
	load_put(block);
	ring_submit(&block->log->ring);
}

static struct block *block_of(struct pace_turn *turn)
{
	return (struct block *)(void *)((char *)turn - offsetof(struct block, turn));
}

static uint64_t load_cost(struct pace_turn *turn)
{
	return block_of(turn)->capacity;
}

static void load_go(struct pace_turn *turn)
{
	struct block *block = block_of(turn);
	segment_load(block->segment, block);
}

/* Loads [start, upto), both on pages and of one segment. NULL: no memory. */
static struct block *load_start(struct commit_log *log, uint64_t start, uint64_t upto,
				bool is_cached)
{
	struct block *block = block_create(log, start, (uint32_t)(upto - start));
	if (!block)
		return NULL;
	block->upto = upto;
	block->op.done = loaded;
	block->last_waiter = &block->first_waiter;
	block->is_loading = true;
	block->n_cuts = log->n_cuts;
	block->segment = ulog_segment_at(log, start);
	block->segment->refs++;
	log->n_loading++;
	if (is_cached)
		cache_add(log, block);
	block->turn.cost = load_cost;
	block->turn.go = load_go;
	pace_ask(&log->pace, &block->turn);
	return block;
}

/* Where a load from `start` on must end. */
static uint64_t load_limit(const struct commit_log *log, uint64_t start)
{
	uint64_t limit = (start / log->segment_bytes + 1) * log->segment_bytes;
	uint64_t tail = ulog_tail_start(log);
	return limit < tail ? limit : tail;
}

static uint32_t load_on_bytes(const struct commit_log *log)
{
	return pace_is_on(&log->pace) ? LOAD_PACED : LOAD_ON_BYTES;
}

/* Somebody reads in the second half: the next piece. */
static void load_on(struct commit_log *log, struct block *block, uint64_t offset)
{
	if (!block->is_sequential || offset < block->start + block->capacity / 2)
		return;
	block->is_sequential = false; /* once */
	uint64_t start = block->upto;
	if (start >= ulog_tail_start(log) || log->n_loading >= LOADS_MOST / 2 ||
	    cache_find(log, start) || is_narrow(log, start))
		return;
	uint64_t limit = load_limit(log, start);
	uint64_t upto = start + load_on_bytes(log);
	upto = upto < limit ? upto : limit;
	struct block *next = load_start(log, start, upto, true);
	if (next)
		next->is_sequential = true;
}

/* The block that a read of `offset` waits for. */
static struct block *load_for(struct commit_log *log, uint64_t offset, uint32_t len,
			      bool is_exact)
{
	uint64_t start = page_down(offset), limit = load_limit(log, start);
	uint64_t upto = page_up(offset + len);
	bool narrow = is_narrow(log, start);
	if (is_exact)
		return load_start(log, start, upto < limit ? upto : limit, narrow);
	struct block *block = cache_find(log, offset);
	if (block && block->is_loading)
		return block;
	if (narrow)
		return load_start(log, start, upto < limit ? upto : limit, true);
	block = start > 0 ? cache_find(log, start > READ_ON_GAP ? start - READ_ON_GAP : 0) : NULL;
	bool is_sequential = block || start == log->begin;
	uint64_t least = start + (is_sequential ? load_on_bytes(log) : LOAD_BYTES);
	upto = upto > least ? upto : least;
	block = load_start(log, start, upto < limit ? upto : limit, true);
	if (block)
		block->is_sequential = is_sequential;
	return block;
}

/* ---- reads ---- */

static int32_t lend(struct block *block, uint64_t offset, uint32_t len, struct mosaic_read *read)
{
	block->refs++;
	read->offset = offset;
	read->ptr = block->bytes + (offset - block->start);
	read->len = len;
	read->pin[0] = (uint64_t)(uintptr_t)block;
	read->pin[1] = MOSAIC_COMMIT_LOG;
	return 0;
}

static bool covers(const struct block *block, uint64_t offset)
{
	return block && !block->is_loading && block->start <= offset && offset < block->upto;
}

/* A block that has the byte; `loaded` is one that need not be in the cache. */
static struct block *source_of(struct commit_log *log, uint64_t offset, struct block *loaded)
{
	if (offset >= ulog_tail_start(log))
		return ulog_tail_find(log, offset);
	if (covers(loaded, offset))
		return loaded;
	struct block *block = cache_find(log, offset);
	return covers(block, offset) ? block : NULL;
}

/* From several blocks; *missing: the first byte that none has. */
static int32_t read_copy(struct commit_log *log, uint64_t offset, uint32_t len,
			 struct block *loaded, struct mosaic_read *read, uint64_t *missing)
{
	uint64_t start = page_down(offset), upto = offset + len;
	for (uint64_t at = offset; at < upto;) {
		const struct block *from = source_of(log, at, loaded);
		*missing = at;
		if (!from)
			return MOSAIC_PENDING;
		at = from->upto;
	}
	struct block *copy = block_create(log, start, (uint32_t)(page_up(upto) - start));
	if (!copy)
		return MOSAIC_E_NOMEM;
	for (uint64_t at = offset; at < upto;) {
		const struct block *from = source_of(log, at, loaded);
		uint64_t end = from->upto < upto ? from->upto : upto;
		memcpy(copy->bytes + (at - start), from->bytes + (at - from->start), end - at);
		at = end;
	}
	copy->upto = upto;
	lend(copy, offset, len, read);
	block_unref(copy); /* the pin's now */
	return 0;
}

/* 0, E_..., or MOSAIC_PENDING and *missing. */
static int32_t read_now(struct commit_log *log, uint64_t offset, uint32_t len,
			struct block *loaded, struct mosaic_read *read, uint64_t *missing)
{
	struct block *block = source_of(log, offset, loaded);
	*missing = offset;
	if (!block)
		return MOSAIC_PENDING;
	int32_t rc = offset + len <= block->upto
			     ? lend(block, offset, len, read)
			     : read_copy(log, offset, len, loaded, read, missing);
	if (rc == 0 && block->is_cached)
		load_on(log, block, offset);
	return rc;
}

static void cold_end(struct cold_read *cold, int32_t status)
{
	struct mosaic_store *store = cold->log->base.store;
	struct mosaic_read *read = cold->read;
	if (status != 0)
		read->ptr = NULL;
	free(cold);
	store_done(store, &read->req, status);
}

/* Waits for a load of what is missing. */
static void cold_wait(struct cold_read *cold, uint64_t missing)
{
	struct commit_log *log = cold->log;
	if (log->n_loading >= LOADS_MOST) {
		*log->last_waiting = cold;
		log->last_waiting = &cold->next;
		return;
	}
	/* What is in the cache may go again before the rest has come: then all of it at once. */
	bool is_exact = cold->tries++ >= TRIES_WIDE;
	uint64_t from = is_exact ? cold->offset : missing;
	struct block *block =
		load_for(log, from, (uint32_t)(cold->offset + cold->len - from), is_exact);
	if (!block) {
		cold->read->ptr = NULL;
		store_done_later(log->base.store, &cold->read->req, MOSAIC_E_NOMEM);
		free(cold);
		return;
	}
	*block->last_waiter = cold;
	block->last_waiter = &cold->next;
}

/* [worker] */
static void judge_run(struct mosaic_work *work)
{
	struct cold_read *cold = (struct cold_read *)work;
	work->req.status = lost_judge(cold->log->base.store, &cold->lost);
}

static void judge_done(struct mosaic_req *req)
{
	struct cold_read *cold = (struct cold_read *)req;
	int32_t verdict = req->status;
	if (verdict == 0) {
		cold_go_on(cold, NULL, 0);
		return;
	}
	lost_tell(cold->log->base.store, verdict, &cold->lost);
	if (verdict == MOSAIC_E_LOST) {
		cold->read->offset = cold->lost.offset;
		cold->read->len = cold->lost.len;
	}
	cold_end(cold, verdict);
}

/* A load has failed. MOSAIC_PENDING: once more, of this read's bytes alone; MOSAIC_E_AGAIN: that
 * has failed too and is being judged; or an error. */
static int32_t cold_failed(struct cold_read *cold)
{
	const struct commit_log *log = cold->log;
	const struct mosaic_host *host = log->base.store->host;
	bool was_own = cold->tries > TRIES_WIDE;
	cold->tries = TRIES_WIDE;
	if (!was_own)
		return MOSAIC_PENDING;
	if (cold->was_judged)
		return MOSAIC_E_IO;
	cold->was_judged = true;
	cold->lost = (struct lost){ .offset = cold->offset, .len = cold->len,
				    .begin = log->begin, .written = log->written };
	cold->work = (struct mosaic_work){ .req = { .done = judge_done }, .run = judge_run };
	return host->work(host, &cold->work) < 0 ? MOSAIC_E_IO : MOSAIC_E_AGAIN;
}

static void cold_go_on(struct cold_read *cold, struct block *loaded, int32_t os_errno)
{
	struct commit_log *log = cold->log;
	uint64_t missing = cold->offset;
	int32_t rc = MOSAIC_E_CANCELED; /* cut or trimmed while it waited */
	cold->next = NULL;
	if (cold->offset >= log->begin && cold->offset + cold->len <= log->end)
		rc = os_errno != 0 ? cold_failed(cold)
				   : read_now(log, cold->offset, cold->len, loaded, cold->read,
					      &missing);
	if (rc == MOSAIC_E_AGAIN)
		return; /* it is being judged */
	if (rc == MOSAIC_PENDING)
		cold_wait(cold, missing);
	else
		cold_end(cold, rc);
}

static void loads_go_on(struct commit_log *log)
{
	while (log->first_waiting && log->n_loading < LOADS_MOST) {
		struct cold_read *cold = log->first_waiting;
		log->first_waiting = cold->next;
		if (!log->first_waiting)
			log->last_waiting = &log->first_waiting;
		cold_go_on(cold, NULL, 0);
	}
}

int32_t ulog_read(struct commit_log *log, uint64_t offset, uint32_t len, struct mosaic_read *read)
{
	struct mosaic_store *store = log->base.store;
	if (offset < log->begin || offset >= log->end)
		return MOSAIC_E_NOTFOUND;
	if (len == 0)
		return MOSAIC_E_INVAL;
	uint64_t limit = (offset / log->segment_bytes + 1) * log->segment_bytes;
	limit = limit < log->end ? limit : log->end;
	len = limit - offset < len ? (uint32_t)(limit - offset) : len;
	uint64_t missing;
	int32_t rc = read_now(log, offset, len, NULL, read, &missing);
	if (rc != MOSAIC_PENDING)
		return rc;
	struct cold_read *cold = calloc(1, sizeof(*cold));
	rc = cold ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(cold);
		return rc;
	}
	*cold = (struct cold_read){ .log = log, .read = read, .offset = offset, .len = len };
	cold_wait(cold, missing);
	return MOSAIC_PENDING;
}

void ulog_unpin(struct mosaic_read *read)
{
	block_unref((struct block *)(uintptr_t)read->pin[0]);
}
