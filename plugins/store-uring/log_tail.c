/*
 * The end of the log, in memory:
 *   ulog_reserve  room in the newest block, or in a new one that begins with the same page
 *   ulog_commit   the end moves; ulog_write() when there is enough for a write
 *
 * Blocks of a megabyte come from a pool that the kernel knows (registered buffers). Written ones
 * stay as long as there is room: what consumers read at the end lies there. A reader who pins one
 * keeps it, not its place: the next block is then one of the heap.
 *
 * Failure modes: the next segment is not ready, or the disk is slower than the writer and all
 * memory waits for it (E_AGAIN); the disk is full (E_NOSPACE): ulog_room. After a failure E_FATAL.
 */
#include "log.h"

#include <stdlib.h>
#include <string.h>

struct block *block_create(struct commit_log *log, uint64_t start, uint32_t capacity)
{
	struct block *block = calloc(1, sizeof(*block));
	if (!block)
		return NULL;
	block->log = log;
	block->start = block->upto = start;
	block->capacity = capacity;
	block->refs = 1;
	block->pool_slot = -1;
	block->bytes = aligned_alloc(PAGE_BYTES, capacity);
	if (block->bytes)
		return block;
	free(block);
	return NULL;
}

static struct block *block_create_append(struct commit_log *log, uint64_t start,
					 uint32_t capacity)
{
	if (capacity > BLOCK_BYTES || log->n_free == 0)
		return block_create(log, start, capacity);
	struct block *block = calloc(1, sizeof(*block));
	if (!block)
		return NULL;
	block->log = log;
	block->start = block->upto = start;
	block->capacity = BLOCK_BYTES;
	block->refs = 1;
	block->pool_slot = (int)log->free_slots[--log->n_free];
	block->bytes = log->pool + (size_t)block->pool_slot * BLOCK_BYTES;
	return block;
}

void block_unref(struct block *block)
{
	if (--block->refs > 0)
		return;
	if (block->pool_slot >= 0)
		block->log->free_slots[block->log->n_free++] = (uint32_t)block->pool_slot;
	else
		free(block->bytes);
	free(block);
}

void block_list_add(struct block_list *list, struct block *block)
{
	block->newer = NULL;
	block->older = list->newest;
	*(list->newest ? &list->newest->newer : &list->oldest) = block;
	list->newest = block;
	list->bytes += block->capacity;
}

void block_list_take(struct block_list *list, struct block *block)
{
	*(block->newer ? &block->newer->older : &list->newest) = block->older;
	*(block->older ? &block->older->newer : &list->oldest) = block->newer;
	list->bytes -= block->capacity;
	block->older = block->newer = NULL;
}

uint64_t ulog_tail_start(const struct commit_log *log)
{
	return log->tail.oldest ? log->tail.oldest->start : page_up(log->end);
}

struct block *ulog_tail_find(const struct commit_log *log, uint64_t offset)
{
	struct block *block = log->tail.newest;
	while (block && block->start > offset)
		block = block->older;
	return block;
}

/* Gives up written blocks, oldest first, for one of `bytes`; false: they are not written. */
static bool tail_make_room(struct commit_log *log, uint32_t bytes)
{
	uint64_t most = log->base.store->options.tail_bytes;
	while (log->tail.oldest != log->tail.newest && log->tail.bytes + bytes > most &&
	       log->tail.oldest->newer->start <= log->written) {
		struct block *block = log->tail.oldest;
		block_list_take(&log->tail, block);
		block_unref(block);
	}
	return log->tail.bytes + bytes <= most || log->written == log->end;
}

/* A block for max_len bytes at the end, which begins with the page that the end lies in. */
static int32_t tail_add(struct commit_log *log, uint32_t max_len)
{
	uint64_t start = page_down(log->end);
	uint64_t need = page_up(log->end - start + max_len);
	uint32_t capacity = need > BLOCK_BYTES ? (uint32_t)need : BLOCK_BYTES;
	if (!tail_make_room(log, capacity)) {
		ulog_write_all(log);
		return MOSAIC_E_AGAIN;
	}
	struct block *before = log->tail.newest;
	struct block *block = block_create_append(log, start, capacity);
	if (!block)
		return MOSAIC_E_NOSPACE;
	if (before && start < before->upto)
		memcpy(block->bytes, before->bytes + (start - before->start), log->end - start);
	else if (start < log->end) /* started in the middle of a page */
		memset(block->bytes, 0, log->end - start);
	block->upto = log->end;
	block_list_add(&log->tail, block);
	return 0;
}

static int32_t ulog_no_room(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	if (store->is_broken)
		return MOSAIC_E_FATAL;
	if (!store->is_open || store->is_closing)
		return MOSAIC_E_CLOSED;
	if (log->is_full)
		return MOSAIC_E_NOSPACE;
	ulog_look_ahead(log);
	return MOSAIC_E_AGAIN;
}

/* Whether the segment of the end can be written. */
static bool is_ready(const struct commit_log *log)
{
	const struct segment *segment = ulog_segment_at(log, log->end);
	return segment && segment->is_writable && !log->cut;
}

int32_t ulog_reserve(struct commit_log *log, uint32_t max_len, struct mosaic_span *room)
{
	struct mosaic_store *store = log->base.store;
	uint64_t left = log->segment_bytes - log->end % log->segment_bytes;
	log->reserved = 0;
	if (max_len > left) {
		room->len = (uint32_t)left;
		return MOSAIC_E_LIMIT;
	}
	if (store->is_broken || store->is_closing || !is_ready(log))
		return ulog_no_room(log);
	struct block *block = log->tail.newest;
	if (!block || block->start + block->capacity - log->end < max_len) {
		int32_t rc = tail_add(log, max_len);
		if (rc != 0)
			return rc;
		block = log->tail.newest;
	}
	room->ptr = block->bytes + (log->end - block->start);
	room->len = max_len;
	log->reserved = max_len;
	return 0;
}

void ulog_commit(struct commit_log *log, uint32_t len)
{
	const struct mosaic_host *host = log->base.store->host;
	if (len > log->reserved) /* never beyond what was lent */
		len = log->reserved;
	log->reserved = 0;
	if (len == 0)
		return;
	log->end += len;
	log->tail.newest->upto = log->end;
	if (log->end >= log->wake_at)
		ulog_look_ahead(log);
	ulog_write(log);
	if (log->linger.due_ns == 0)
		host->timer_start(host, &log->linger, LINGER_NS);
}

/* Whether the writer need not wait for the disk. */
static bool has_memory(const struct commit_log *log)
{
	return log->tail.bytes + BLOCK_BYTES <= log->base.store->options.tail_bytes ||
	       log->written == log->end || log->tail.oldest->newer == NULL ||
	       log->tail.oldest->newer->start <= log->written;
}

int32_t ulog_room(struct commit_log *log, struct mosaic_req *req)
{
	struct mosaic_store *store = log->base.store;
	if (log->room)
		return MOSAIC_E_AGAIN;
	int32_t rc = store->is_broken ? MOSAIC_E_FATAL : store_accept(store);
	if (rc < 0)
		return rc;
	if (is_ready(log) && (has_memory(log) || !log->run.is_running)) {
		store_done_later(store, req, 0);
		return MOSAIC_PENDING;
	}
	log->room = req;
	if (log->is_full)
		ulog_retry_later(log);
	else
		ulog_look_ahead(log);
	return MOSAIC_PENDING;
}

void ulog_tell_room(struct commit_log *log, int32_t status)
{
	struct mosaic_req *req = log->room;
	if (!req)
		return;
	log->room = NULL;
	store_done_later(log->base.store, req, status);
}

bool ulog_tail_cut(struct commit_log *log, uint64_t to, const uint8_t *page)
{
	uint64_t start = page_down(to);
	struct block *last = ulog_tail_find(log, start), *block = NULL;
	if (last && start < to)
		page = last->bytes + (start - last->start);
	/* What follows goes into a new block: somebody may read on in the old one. */
	if (start < to) {
		block = block_create(log, start, PAGE_BYTES);
		if (!block)
			return false;
		memcpy(block->bytes, page, to - start);
		block->upto = to;
	}
	while (log->tail.newest && log->tail.newest->start >= start) {
		struct block *gone = log->tail.newest;
		block_list_take(&log->tail, gone);
		block_unref(gone);
	}
	if (log->tail.newest && log->tail.newest->upto > start)
		log->tail.newest->upto = start;
	if (block)
		block_list_add(&log->tail, block);
	return true;
}
