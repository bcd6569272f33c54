/*
 * From memory to the store. Entries go in chunks, in order, at latest after a second. Every ten
 * seconds what was written is synced and named in the checkpoint. Slots and header of a file go
 * when it is full or the index closes: pages of slots that have changed, then the header, then a
 * sync.
 */
#include "base/mem.h"
#include "log/index_priv.h"
#include <stdlib.h>

#define TICK_NS SECOND_NS
#define SNAPSHOT_TICKS 10
#define PAGES_AT_ONCE 256 /* 1 MiB per write */
#define PAGE_BYTES (SLOT_PAGE * INDEX_SLOT_BYTES)

static void snapshot_step(struct index *ix);

/* ---- chunks ---- */

static void chunk_send(struct index_chunk *c);

static void chunk_free(struct index_chunk *c)
{
	struct index *ix = c->index;
	struct index_chunk **link = &ix->chunks;
	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	if (ix->chunks_end == &c->next)
		ix->chunks_end = link;
	ix->n_chunks--;
	c->file->n_chunks--;
	if (ix->free_chunk)
		free(c);
	else
		ix->free_chunk = c;
}

static void chunk_written(struct mosaic_req *req)
{
	struct index_chunk *c = req->data;
	struct index *ix = c->index;
	c->is_sending = false;
	if (req->status == 0)
		c->n_done = c->n_sent;
	else if (ix->closed)
		ix->is_close_failed = true;
	else
		index_tick_later(ix); /* tries again */
	if (c != ix->open_chunk) {
		if (c->n_done == c->n || ix->is_close_failed || ix->state == INDEX_BROKEN)
			chunk_free(c);
		else if (req->status == 0)
			chunk_send(c);
	}
	snapshot_step(ix);
	index_write_on(ix);
}

static void chunk_send(struct index_chunk *c)
{
	if (c->is_sending || c->n_done == c->n)
		return;
	c->n_sent = c->n;
	c->is_sending = true;
	c->write = (struct mosaic_write){
		.req = { .done = chunk_written, .data = c },
		.offset = index_entry_at(&c->index->shape, c->first + c->n_done),
		.ptr = c->bytes + (size_t)c->n_done * INDEX_ENTRY_BYTES,
		.len = (c->n - c->n_done) * INDEX_ENTRY_BYTES
	};
	int rc = c->index->ops->write(c->file->stream, &c->write);
	if (rc >= 0)
		return;
	c->is_sending = false; /* the tick tries again */
	c->index->is_close_failed |= c->index->closed != NULL;
}

struct index_chunk *index_chunk(struct index *ix)
{
	if (LIKELY(ix->open_chunk != NULL))
		return ix->open_chunk;
	struct index_chunk *c = ix->free_chunk ? ix->free_chunk : mem_alloc(sizeof(*c));
	ix->free_chunk = NULL;
	c->index = ix;
	c->file = ix->tail;
	c->next = NULL;
	c->first = ix->tail->header.count;
	c->n = c->n_sent = c->n_done = 0;
	c->is_sending = false;
	*ix->chunks_end = c;
	ix->chunks_end = &c->next;
	ix->n_chunks++;
	ix->tail->n_chunks++;
	ix->open_chunk = c;
	return c;
}

void index_chunk_end(struct index *ix)
{
	struct index_chunk *c = ix->open_chunk;
	if (!c)
		return;
	ix->open_chunk = NULL;
	if (c->n_done == c->n && !c->is_sending)
		chunk_free(c);
	else
		chunk_send(c);
}

void index_free_chunks(struct index *ix)
{
	while (ix->chunks) {
		struct index_chunk *c = ix->chunks;
		ix->chunks = c->next;
		free(c);
	}
	free(ix->free_chunk);
}

/* ---- the checkpoint ---- */

static bool snapshot_is_written(const struct index *ix)
{
	uint32_t count = ix->snapshot.mark.header.count;
	for (const struct index_chunk *c = ix->chunks; c; c = c->next) {
		uint32_t upto = c->first + c->n < count ? c->first + c->n : count;
		if (c->first < count && c->first + c->n_done < upto)
			return false;
	}
	return true;
}

static void snapshot_synced(struct mosaic_req *req)
{
	struct index *ix = req->data;
	ix->snapshot.state = req->status == 0 ? SNAPSHOT_DURABLE : SNAPSHOT_NONE;
	snapshot_step(ix);
	index_write_on(ix);
}

static void snapshot_step(struct index *ix)
{
	struct index_snapshot *s = &ix->snapshot;
	if (s->state == SNAPSHOT_WRITING && (!ix->tail || ix->tail->name != s->mark.file))
		s->state = SNAPSHOT_NONE; /* it became full, which says more */
	if (s->state == SNAPSHOT_WRITING && snapshot_is_written(ix)) {
		s->state = SNAPSHOT_SYNCING;
		s->sync = (struct mosaic_sync){ .req = { .done = snapshot_synced, .data = ix } };
		if (ix->ops->sync(ix->tail->stream, &s->sync) < 0)
			s->state = SNAPSHOT_NONE;
	}
	if (s->state == SNAPSHOT_DURABLE && ix->log->durable >= s->log_end) {
		s->state = SNAPSHOT_NONE;
		checkpoint_index(&ix->log->priv->checkpoint, &s->mark, 0);
	}
}

static void snapshot_begin(struct index *ix)
{
	struct index_snapshot *s = &ix->snapshot;
	bool is_news = ix->tail && (ix->tail->name != s->mark.file ||
				    ix->tail->header.count != s->mark.header.count);
	if (++ix->snapshot_ticks < SNAPSHOT_TICKS || s->state != SNAPSHOT_NONE || !is_news)
		return;
	ix->snapshot_ticks = 0;
	s->mark = (struct index_mark){ ix->tail->name, ix->tail->header };
	s->log_end = ix->at;
	s->state = SNAPSHOT_WRITING;
}

static void full_step(struct index *ix)
{
	if (!ix->full.is_waiting || ix->log->durable < ix->full.log_end)
		return;
	ix->full.is_waiting = false;
	checkpoint_index(&ix->log->priv->checkpoint, NULL, ix->full.ms);
}

void index_tick_later(struct index *ix)
{
	bool is_running = ix->state != INDEX_CLOSED && ix->state != INDEX_BROKEN && !ix->closed;
	if (ix->tick.due_ns == 0 && is_running)
		ix->log->host->timer_start(ix->log->host, &ix->tick, TICK_NS);
}

void index_tick(struct mosaic_timer *timer)
{
	struct index *ix = timer->data;
	snapshot_begin(ix);
	for (struct index_chunk *c = ix->chunks; c; c = c->next)
		chunk_send(c);
	snapshot_step(ix);
	full_step(ix);
	ix->finish.is_failed = false;
	index_write_on(ix);
	bool has_news = ix->tail && (ix->tail->name != ix->snapshot.mark.file ||
				     ix->tail->header.count != ix->snapshot.mark.header.count);
	if (ix->chunks || ix->full.is_waiting || ix->finish.file || has_news ||
	    ix->snapshot.state != SNAPSHOT_NONE)
		index_tick_later(ix);
}

/* ---- slots and header ---- */

static bool is_dirty(const struct index_file *file, uint32_t page)
{
	return file->dirty[page / 64] >> (page % 64) & 1;
}

static void finish_end(struct index *ix, bool is_done)
{
	struct index_finish *f = &ix->finish;
	struct index_file *file = f->file;
	f->file = NULL;
	f->is_failed = !is_done;
	if (!is_done) {
		ix->is_close_failed |= ix->closed != NULL;
		index_tick_later(ix);
		return;
	}
	file->is_changed = false;
	if (file == ix->tail) { /* closing */
		struct index_mark mark = { file->name, file->header };
		checkpoint_index(&ix->log->priv->checkpoint, &mark, 0);
		return;
	}
	free(file->slots);
	free(file->dirty);
	file->slots = NULL;
	file->dirty = NULL;
	ix->full.ms = file->header.end_ms;
	ix->full.log_end = ix->log->end;
	ix->full.is_waiting = true;
	full_step(ix);
	index_tick_later(ix);
}

static void finish_synced(struct mosaic_req *req)
{
	struct index *ix = req->data;
	ix->finish.is_busy = false;
	finish_end(ix, req->status == 0);
	index_write_on(ix);
}

static void finish_written(struct mosaic_req *req)
{
	struct index *ix = req->data;
	struct index_finish *f = &ix->finish;
	f->is_busy = false;
	if (req->status < 0)
		finish_end(ix, false);
	for (; f->file && f->n_pages > 0; f->n_pages--, f->page++)
		f->file->dirty[f->page / 64] &= ~(UINT64_C(1) << (f->page % 64));
	index_write_on(ix);
}

/* The next run of pages, then the header: false when both are written. */
static bool finish_next(struct index *ix)
{
	struct index_finish *f = &ix->finish;
	uint32_t slots = ix->shape.slots, n = (slots + SLOT_PAGE - 1) / SLOT_PAGE;
	while (f->page < n && !is_dirty(f->file, f->page))
		f->page++;
	f->write = (struct mosaic_write){ .req = { .done = finish_written, .data = ix } };
	f->n_pages = 0;
	if (f->page < n) {
		while (f->page + f->n_pages < n && f->n_pages < PAGES_AT_ONCE &&
		       is_dirty(f->file, f->page + f->n_pages))
			f->n_pages++;
		uint32_t first = f->page * SLOT_PAGE, end = first + f->n_pages * SLOT_PAGE;
		f->write.offset = index_slot_at(first);
		f->write.ptr = f->file->slots + (size_t)f->page * PAGE_BYTES;
		f->write.len = ((end < slots ? end : slots) - first) * INDEX_SLOT_BYTES;
		return true;
	}
	if (f->is_header_written)
		return false;
	f->is_header_written = true;
	index_header_encode(f->header, &f->file->header);
	f->write.ptr = f->header;
	f->write.len = INDEX_HEADER_BYTES;
	return true;
}

/* A file whose slots go now: the oldest full one, or at close the last one. */
static struct index_file *finish_choose(const struct index *ix)
{
	for (uint32_t i = 0; i < ix->n_files; i++) {
		struct index_file *file = ix->files[i];
		bool is_last = file == ix->tail && ix->closed && !ix->is_close_failed;
		if (file->slots && file->n_chunks == 0 && file->is_changed &&
		    (file != ix->tail || is_last))
			return file;
	}
	return NULL;
}

static void finish_step(struct index *ix)
{
	struct index_finish *f = &ix->finish;
	if (f->is_busy || ix->state < INDEX_FOLLOWING || ix->state == INDEX_BROKEN)
		return;
	if (!f->file) {
		if (f->is_failed)
			return;
		f->file = finish_choose(ix);
		f->page = 0;
		f->is_header_written = false;
	}
	if (!f->file)
		return;
	f->is_busy = true;
	int rc;
	if (finish_next(ix)) {
		rc = ix->ops->write(f->file->stream, &f->write);
	} else {
		f->sync = (struct mosaic_sync){ .req = { .done = finish_synced, .data = ix } };
		rc = ix->ops->sync(f->file->stream, &f->sync);
	}
	if (rc >= 0)
		return;
	f->is_busy = false;
	finish_end(ix, false);
}

/* ---- closing ---- */

void index_write_on(struct index *ix)
{
	finish_step(ix);
	if (!ix->closed || ix->cursor.is_waiting || ix->finish.is_busy ||
	    ix->snapshot.state == SNAPSHOT_SYNCING)
		return;
	for (const struct index_chunk *c = ix->chunks; c; c = c->next)
		if (c->is_sending)
			return;
	void (*closed)(struct log *log) = ix->closed;
	ix->closed = NULL;
	ix->state = INDEX_CLOSED;
	cursor_drop(&ix->cursor);
	closed(ix->log);
}

void index_close(struct index *ix, void (*closed)(struct log *log))
{
	const struct mosaic_host *host = ix->log->host;
	host->timer_stop(host, &ix->tick);
	host->timer_stop(host, &ix->follow);
	ix->closed = closed;
	index_run_waiting(ix);
	index_chunk_end(ix);
	for (struct index_chunk *c = ix->chunks; c; c = c->next)
		chunk_send(c);
	index_write_on(ix);
}
