/*
 * store-memory: a store without files, for tests, the simulator and caches that may be lost.
 *
 * Everything is answered at once, except what the contract wants to end later (open, close, sync,
 * truncate, trim, documents): those stand in one queue of operations, which is worked off by a
 * posted request, or with "delay" by a timer after a drawn time. So they end in order, and what a
 * crash finds unsynced is what still stands in the queue.
 *
 * Failure modes: the limit is reached or memory is out (reserve answers E_NOSPACE until a trim,
 * truncate or drop gives room); the disk is in use by another instance (open fails).
 */
#include "disk.h"

#include <mosaic/draft/disk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	uint64_t limit;
	uint64_t segment_bytes;
	uint64_t queue_segment_bytes;
	uint64_t delay_ns;
};

enum op_kind {
	OP_OPEN,
	OP_CLOSE,
	OP_SYNC,
	OP_SYNC_QUEUES,
	OP_ROOM,
	OP_LOAD,
	OP_SAVE,
	OP_SPACE,
	OP_RESIZE,
	OP_WRITE,
	OP_NOTHING
};

/* An operation that stands in the queue. Its effect happens when it ends. */
struct store_op {
	struct store_op *next;
	struct mosaic_req *req;
	enum op_kind kind;
	struct mosaic_stream *stream; /* OP_SYNC; NULL when it was dropped meanwhile */
	uint64_t upto;        /* OP_RESIZE: bytes */
	struct blob *content; /* OP_SAVE */
};

struct mosaic_store {
	const struct mosaic_host *host;
	struct options options;
	struct disk *disk;
	bool owns_disk, is_open, is_closing;
	struct store_op *head, **tail;
	struct mosaic_timer timer;
	struct mosaic_req tick;
	bool is_ticking;
};

static void store_set_error(struct mosaic_error *error, int32_t code, const char *text)
{
	if (!error)
		return;
	error->code = code;
	error->os_errno = 0;
	snprintf(error->text, sizeof(error->text), "%s", text);
}

/* ---- the queue of operations ---- */

static void store_tick_later(struct mosaic_store *store)
{
	if (store->is_ticking || !store->head)
		return;
	store->is_ticking = true;
	if (store->options.delay_ns == 0)
		store->host->post(store->host, &store->tick);
	else
		store->host->timer_start(store->host, &store->timer,
					 store->host->random(store->host) %
						 store->options.delay_ns);
}

static struct store_op *op_queue(struct mosaic_store *store, enum op_kind kind,
				 struct mosaic_req *req)
{
	struct store_op *op = store->host->alloc(store->host, sizeof(*op));
	if (!op)
		return NULL;
	*op = (struct store_op){ .kind = kind, .req = req };
	*store->tail = op;
	store->tail = &op->next;
	store_tick_later(store);
	return op;
}

static int32_t op_queue_simple(struct mosaic_store *store, enum op_kind kind,
			       struct mosaic_req *req)
{
	if (!store->is_open || store->is_closing)
		return MOSAIC_E_CLOSED;
	return op_queue(store, kind, req) ? MOSAIC_PENDING : MOSAIC_E_NOMEM;
}

static void sync_queues_end(struct mosaic_store *store)
{
	for (uint32_t i = 0; i < store->disk->streams.n; i++) {
		struct mosaic_stream *s = (struct mosaic_stream *)store->disk->streams.by_index[i];
		if (s->name.kind == MOSAIC_CONSUME_QUEUE)
			s->synced = s->end;
	}
}

static int32_t save_end(struct mosaic_store *store, struct store_op *op)
{
	struct mosaic_doc *doc = (struct mosaic_doc *)op->req;
	bool done = document_put(store->disk, doc->name, op->content,
				 !(doc->flags & MOSAIC_DOC_LAZY), doc->flags & MOSAIC_DOC_BACKUP);
	return done ? 0 : MOSAIC_E_NOMEM;
}

static struct blob *content_of(struct disk *disk, const char *name)
{
	struct document *doc = document_find(disk, name);
	return doc && doc->now && doc->now->len > 0 ? doc->now : NULL;
}

static int32_t load_end(struct mosaic_store *store, struct mosaic_doc *doc)
{
	struct blob *content = content_of(store->disk, doc->name);
	if (!content) {
		char *backup_name = NULL;
		if (asprintf(&backup_name, "%s.bak", doc->name) < 0)
			return MOSAIC_E_NOMEM;
		content = content_of(store->disk, backup_name);
		free(backup_name);
	}
	if (!content)
		return MOSAIC_E_NOTFOUND;
	doc->reserved1 = blob_ref(content);
	doc->content = content->bytes;
	doc->len = content->len;
	return 0;
}

static void space_end(struct mosaic_store *store, struct mosaic_space *space)
{
	const struct mosaic_stream_name name = { .kind = MOSAIC_COMMIT_LOG };
	const struct mosaic_stream *log =
		(const struct mosaic_stream *)names_find(&store->disk->streams, &name);
	space->total = store->options.limit;
	space->used = store->disk->used;
	space->oldest_ms = log && log->n > 0 ? log->segments[0]->written_ms : 0;
}

static int32_t write_end(struct store_op *op)
{
	const struct mosaic_write *w = (const struct mosaic_write *)op->req;
	const struct mosaic_stream *s = op->stream;
	if (!s)
		return MOSAIC_E_CANCELED;
	if (w->offset > s->end || s->end - w->offset < w->len)
		return MOSAIC_E_INVAL;
	return fixed_put(op->stream, w->offset, w->ptr, w->len) ? 0 : MOSAIC_E_NOMEM;
}

static void close_end(struct mosaic_store *store)
{
	for (uint32_t i = 0; i < store->disk->streams.n; i++) {
		struct mosaic_stream *s = (struct mosaic_stream *)store->disk->streams.by_index[i];
		s->synced = s->end;
		fixed_synced(s);
		s->store = NULL;
	}
	store->disk->is_clean = true;
	store->disk->user = NULL;
	store->is_open = false;
}

static void op_end(struct mosaic_store *store, struct store_op *op)
{
	struct mosaic_req *req = op->req;
	int32_t status = 0;
	switch (op->kind) {
	case OP_SYNC:
		((struct mosaic_sync *)req)->upto = op->upto;
		if (!op->stream)
			status = MOSAIC_E_CANCELED;
		else if (op->stream->name.kind == MOSAIC_INDEX)
			fixed_synced(op->stream);
		else if (op->stream->synced < op->upto)
			op->stream->synced = op->upto;
		break;
	case OP_SYNC_QUEUES:
		sync_queues_end(store);
		break;
	case OP_SAVE:
		status = save_end(store, op);
		break;
	case OP_LOAD:
		status = load_end(store, (struct mosaic_doc *)req);
		break;
	case OP_CLOSE:
		close_end(store);
		break;
	case OP_ROOM:
		status = store->is_closing ? MOSAIC_E_CANCELED : 0;
		break;
	case OP_RESIZE:
		if (op->stream && !fixed_resize(op->stream, op->upto))
			status = MOSAIC_E_NOMEM;
		break;
	case OP_WRITE:
		status = write_end(op);
		break;
	case OP_SPACE:
		space_end(store, (struct mosaic_space *)req);
		break;
	case OP_OPEN:
	case OP_NOTHING:
		break;
	}
	blob_unref(op->content);
	store->host->free(store->host, op);
	req->status = status;
	req->done(req);
}

/* Works off what stands in the queue now, or with a delay the first only. */
static void store_tick(struct mosaic_store *store)
{
	struct store_op **end = store->options.delay_ns ? &store->head->next : store->tail;
	bool is_last = false;
	while (!is_last) {
		struct store_op *op = store->head;
		is_last = &op->next == end;
		store->head = op->next;
		if (!store->head)
			store->tail = &store->head;
		if (is_last) {
			store->is_ticking = false;
			store_tick_later(store);
		}
		op_end(store, op); /* the last one may be close(): nothing is touched after it */
	}
}

static void tick_posted(struct mosaic_req *req)
{
	store_tick(req->data);
}

static void tick_timed(struct mosaic_timer *timer)
{
	store_tick(timer->data);
}

/* ---- life ---- */

static int32_t memory_create(const struct mosaic_host *host, const void *options,
			     struct mosaic_store **out, struct mosaic_error *error)
{
	struct mosaic_store *store = host->alloc(host, sizeof(*store));
	if (!store) {
		store_set_error(error, MOSAIC_E_NOMEM, "no memory for store-memory");
		return MOSAIC_E_NOMEM;
	}
	memset(store, 0, sizeof(*store));
	store->host = host;
	store->options = *(const struct options *)options;
	/* Segments hold whole units. */
	store->options.queue_segment_bytes =
		(store->options.queue_segment_bytes + QUEUE_UNIT - 1) / QUEUE_UNIT * QUEUE_UNIT;
	store->tail = &store->head;
	store->tick = (struct mosaic_req){ .done = tick_posted, .data = store };
	store->timer.fire = tick_timed;
	store->timer.data = store;
	*out = store;
	return 0;
}

static void crash_of_disk(struct mosaic_disk *disk, uint32_t how, uint64_t random)
{
	if (disk->state)
		disk_crash(disk->state, how, random);
}

static void destroy_of_disk(struct mosaic_disk *disk)
{
	disk_destroy(disk->state);
	disk->state = NULL;
}

static int32_t store_take_disk(struct mosaic_store *store, struct mosaic_error *error)
{
	const struct mosaic_ext_disk *ext = store->host->extension(store->host, MOSAIC_EXT_DISK);
	struct disk *disk = ext ? ext->disk->state : NULL;
	if (!disk)
		disk = disk_create();
	if (!disk) {
		store_set_error(error, MOSAIC_E_NOMEM, "no memory for a disk");
		return MOSAIC_E_NOMEM;
	}
	if (disk->user) {
		store_set_error(error, MOSAIC_E_INVAL, "the disk is used by another store");
		return MOSAIC_E_INVAL;
	}
	store->owns_disk = !ext;
	store->disk = disk;
	if (ext) {
		ext->disk->state = disk;
		ext->disk->crash = crash_of_disk;
		ext->disk->destroy = destroy_of_disk;
	}
	disk->user = store;
	return 0;
}

static int32_t memory_open(struct mosaic_store *store, struct mosaic_store_open *req)
{
	if (store->is_open || store->disk)
		return MOSAIC_E_INVAL;
	int32_t rc = store_take_disk(store, req->error);
	if (rc != 0)
		return rc;
	struct disk *disk = store->disk;
	if (!op_queue(store, OP_OPEN, &req->req)) {
		disk->user = NULL;
		if (store->owns_disk)
			disk_destroy(disk);
		store->disk = NULL;
		return MOSAIC_E_NOMEM;
	}
	for (uint32_t i = 0; i < disk->streams.n; i++) {
		struct mosaic_stream *s = (struct mosaic_stream *)disk->streams.by_index[i];
		s->store = store;
		/* As with files: where the records stop is for the reader to find out. */
		if (s->name.kind == MOSAIC_COMMIT_LOG && s->n > 0) {
			disk->used -= s->end - s->begin;
			s->end = (s->first + s->n) * s->segment_bytes;
			disk->used += s->end - s->begin;
		}
	}
	req->was_clean = !disk->was_used || disk->is_clean;
	req->n_streams = disk->streams.n;
	disk->was_used = true;
	disk->is_clean = false;
	store->is_open = true;
	return MOSAIC_PENDING;
}

/* Whoever waits for room is told to try again. */
static void store_tell_room(struct mosaic_store *store)
{
	for (uint32_t i = 0; i < store->disk->streams.n; i++) {
		struct mosaic_stream *s = (struct mosaic_stream *)store->disk->streams.by_index[i];
		if (s->room && op_queue(store, OP_ROOM, s->room))
			s->room = NULL;
	}
}

static int32_t memory_close(struct mosaic_store *store, struct mosaic_req *req)
{
	if (!store->is_open || store->is_closing)
		return MOSAIC_E_INVAL;
	store_tell_room(store);
	if (!op_queue(store, OP_CLOSE, req))
		return MOSAIC_E_NOMEM;
	store->is_closing = true;
	return MOSAIC_PENDING;
}

static void memory_destroy(struct mosaic_store *store)
{
	while (store->head) {
		struct store_op *op = store->head;
		store->head = op->next;
		blob_unref(op->content);
		store->host->free(store->host, op);
	}
	if (store->owns_disk)
		disk_destroy(store->disk);
	store->host->free(store->host, store);
}

/* ---- streams ---- */

static int32_t memory_stream_at(struct mosaic_store *store, uint32_t index,
				struct mosaic_stream_name *name)
{
	if (!store->is_open || index >= store->disk->streams.n)
		return MOSAIC_E_NOTFOUND;
	const struct name *entry = store->disk->streams.by_index[index];
	name->kind = entry->kind;
	name->queue_id = entry->queue_id;
	name->topic = entry->kind == MOSAIC_COMMIT_LOG ? NULL : entry->topic;
	return 0;
}

static int32_t memory_stream_open(struct mosaic_store *store,
				  const struct mosaic_stream_name *name, struct mosaic_stream **out)
{
	if (!store->is_open)
		return MOSAIC_E_INVAL;
	struct mosaic_stream *s = (struct mosaic_stream *)names_find(&store->disk->streams, name);
	if (!s)
		s = stream_create(store->disk, name,
				  name->kind == MOSAIC_COMMIT_LOG
					  ? store->options.segment_bytes
					  : store->options.queue_segment_bytes);
	if (!s)
		return MOSAIC_E_NOMEM;
	s->store = store;
	*out = s;
	return 0;
}

static void memory_stream_info(struct mosaic_stream *s, struct mosaic_stream_info *info)
{
	info->begin = s->begin;
	info->end = s->end;
	info->segment_bytes = s->segment_bytes;
}

static int32_t memory_stream_drop(struct mosaic_stream *s, struct mosaic_req *req)
{
	struct mosaic_store *store = s->store;
	int32_t rc = op_queue_simple(store, OP_NOTHING, req);
	if (rc < 0)
		return rc;
	for (struct store_op *op = store->head; op; op = op->next)
		if (op->stream == s)
			op->stream = NULL;
	stream_destroy(s);
	store_tell_room(store);
	return rc;
}

static int32_t memory_reserve(struct mosaic_stream *s, uint32_t max_len, struct mosaic_span *room)
{
	struct mosaic_store *store = s->store;
	uint64_t offset = s->end % s->segment_bytes;
	uint64_t left = s->segment_bytes - offset;
	s->reserved = 0;
	if (max_len > left) {
		room->len = (uint32_t)left;
		return MOSAIC_E_LIMIT;
	}
	if (s->disk->used + max_len > store->options.limit)
		return MOSAIC_E_NOSPACE;
	struct segment *segment = stream_segment(s, s->end);
	if (!segment)
		return MOSAIC_E_NOSPACE;
	room->ptr = segment->bytes + offset;
	room->len = max_len;
	s->reserved = max_len;
	return 0;
}

static void memory_commit(struct mosaic_stream *s, uint32_t len)
{
	if (len > s->reserved) /* a broken caller must not corrupt what is counted */
		len = s->reserved;
	if (len > 0 && s->name.kind == MOSAIC_COMMIT_LOG)
		stream_segment(s, s->end)->written_ms = s->store->host->wall_ms(s->store->host);
	s->end += len;
	s->disk->used += len;
	s->reserved = 0;
}

static int32_t memory_room(struct mosaic_stream *s, struct mosaic_req *req)
{
	if (!s->store->is_open || s->store->is_closing)
		return MOSAIC_E_CLOSED;
	if (s->room)
		return MOSAIC_E_AGAIN;
	s->room = req;
	return MOSAIC_PENDING;
}

static int32_t memory_start_at(struct mosaic_stream *s, uint64_t offset)
{
	bool is_queue = s->name.kind == MOSAIC_CONSUME_QUEUE;
	if (s->begin != s->end || (is_queue && offset % QUEUE_UNIT != 0) || !stream_cut(s, 0))
		return MOSAIC_E_INVAL;
	s->begin = s->end = s->synced = offset;
	return 0;
}

/* A copy: its bytes may be written again while they are read (STORE-08). */
static int32_t read_fixed(struct mosaic_stream *s, uint64_t offset, uint32_t len,
			  struct mosaic_read *read)
{
	len = len < s->end - offset ? len : (uint32_t)(s->end - offset);
	struct segment *copy = fixed_copy(s, offset, len);
	if (!copy)
		return MOSAIC_E_NOMEM;
	read->offset = offset;
	read->ptr = copy->bytes;
	read->len = len;
	read->pin[0] = (uint64_t)(uintptr_t)copy;
	read->pin[1] = (uint64_t)(uintptr_t)s->disk;
	return 0;
}

static int32_t memory_read(struct mosaic_stream *s, uint64_t offset, uint32_t len,
			   struct mosaic_read *read)
{
	if (offset < s->begin || offset >= s->end)
		return MOSAIC_E_NOTFOUND;
	if (len == 0)
		return MOSAIC_E_INVAL;
	if (s->name.kind == MOSAIC_INDEX)
		return read_fixed(s, offset, len, read);
	uint64_t index = offset / s->segment_bytes - s->first;
	uint64_t in_segment = offset % s->segment_bytes;
	uint64_t most = s->segment_bytes - in_segment;
	if (most > s->end - offset)
		most = s->end - offset;
	struct segment *segment = s->segments[index];
	segment->pins++;
	read->offset = offset;
	read->ptr = segment->bytes + in_segment;
	read->len = len < most ? len : (uint32_t)most;
	/* The disk too: a dropped stream is gone while its bytes are still pinned. */
	read->pin[0] = (uint64_t)(uintptr_t)segment;
	read->pin[1] = (uint64_t)(uintptr_t)s->disk;
	return 0;
}

static void memory_unpin(struct mosaic_stream *s, struct mosaic_read *read)
{
	(void)s;
	disk_unpin((struct disk *)(uintptr_t)read->pin[1],
		      (struct segment *)(uintptr_t)read->pin[0]);
	read->ptr = NULL;
}

static int32_t memory_sync(struct mosaic_stream *s, struct mosaic_sync *req)
{
	struct mosaic_store *store = s->store;
	if (!store->is_open || store->is_closing)
		return MOSAIC_E_CLOSED;
	if (req->upto > s->end)
		return MOSAIC_E_INVAL;
	struct store_op *op = op_queue(store, OP_SYNC, &req->req);
	if (!op)
		return MOSAIC_E_NOMEM;
	op->stream = s;
	op->upto = s->end;
	return MOSAIC_PENDING;
}

static int32_t memory_sync_queues(struct mosaic_store *store, struct mosaic_req *req)
{
	return op_queue_simple(store, OP_SYNC_QUEUES, req);
}

/* Takes effect when it ends. */
static int32_t queue_for(struct mosaic_stream *s, enum op_kind kind, struct mosaic_req *req,
			 uint64_t bytes)
{
	if (!s->store->is_open || s->store->is_closing)
		return MOSAIC_E_CLOSED;
	struct store_op *op = op_queue(s->store, kind, req);
	if (!op)
		return MOSAIC_E_NOMEM;
	op->stream = s;
	op->upto = bytes;
	return MOSAIC_PENDING;
}

static int32_t memory_write(struct mosaic_stream *s, struct mosaic_write *write)
{
	if (s->name.kind != MOSAIC_INDEX)
		return MOSAIC_E_UNSUPPORTED;
	return queue_for(s, OP_WRITE, &write->req, 0);
}

static int32_t memory_truncate(struct mosaic_stream *s, uint64_t to, struct mosaic_req *req)
{
	if (s->name.kind == MOSAIC_INDEX)
		return queue_for(s, OP_RESIZE, req, to);
	if (to > s->end)
		return MOSAIC_E_INVAL;
	int32_t rc = op_queue_simple(s->store, OP_NOTHING, req);
	if (rc < 0)
		return rc;
	/* A sync that is under way still answers for what was there: only less is left of it. */
	for (struct store_op *op = s->store->head; op; op = op->next)
		if (op->stream == s && op->upto > to)
			op->upto = to;
	if (!stream_cut(s, to))
		s->store->host->log(s->store->host, MOSAIC_LOG_ERROR, "truncate_failed",
				    "no memory to copy a pinned segment");
	store_tell_room(s->store);
	return rc;
}

static int32_t memory_trim(struct mosaic_stream *s, uint64_t below, struct mosaic_req *req)
{
	int32_t rc = op_queue_simple(s->store, OP_NOTHING, req);
	if (rc < 0)
		return rc;
	stream_trim(s, below);
	store_tell_room(s->store);
	return rc;
}

/* ---- documents ---- */

static int32_t memory_doc_load(struct mosaic_store *store, struct mosaic_doc *doc)
{
	doc->content = NULL;
	doc->len = 0;
	doc->reserved1 = NULL;
	return op_queue_simple(store, OP_LOAD, &doc->req);
}

static void memory_doc_release(struct mosaic_store *store, struct mosaic_doc *doc)
{
	(void)store;
	blob_unref(doc->reserved1);
	doc->reserved1 = NULL;
	doc->content = NULL;
}

static int32_t memory_doc_save(struct mosaic_store *store, struct mosaic_doc *doc)
{
	if (!store->is_open || store->is_closing)
		return MOSAIC_E_CLOSED;
	struct blob *content = blob_create(doc->content, doc->len);
	if (!content)
		return MOSAIC_E_NOMEM;
	struct store_op *op = op_queue(store, OP_SAVE, &doc->req);
	if (!op) {
		blob_unref(content);
		return MOSAIC_E_NOMEM;
	}
	op->content = content;
	return MOSAIC_PENDING;
}

static int32_t memory_space(struct mosaic_store *store, struct mosaic_space *space)
{
	return op_queue_simple(store, OP_SPACE, &space->req);
}

static const struct mosaic_store_ops ops = {
	.struct_size = sizeof(ops),
	.create = memory_create,
	.open = memory_open,
	.close = memory_close,
	.destroy = memory_destroy,
	.stream_at = memory_stream_at,
	.stream_open = memory_stream_open,
	.stream_info = memory_stream_info,
	.stream_drop = memory_stream_drop,
	.reserve = memory_reserve,
	.commit = memory_commit,
	.room = memory_room,
	.start_at = memory_start_at,
	.read = memory_read,
	.unpin = memory_unpin,
	.sync = memory_sync,
	.sync_queues = memory_sync_queues,
	.truncate = memory_truncate,
	.trim = memory_trim,
	.doc_load = memory_doc_load,
	.doc_release = memory_doc_release,
	.doc_save = memory_doc_save,
	.space = memory_space,
	.write = memory_write,
};

static const struct mosaic_option options[] = {
	{ "limit", MOSAIC_T_SIZE, 0, offsetof(struct options, limit), "1GiB", "64KiB", NULL, NULL,
	  "Most bytes of all streams together; beyond it sends are refused" },
	{ "segment", MOSAIC_T_SIZE, 0, offsetof(struct options, segment_bytes), "16MiB", "4KiB",
	  "1GiB", NULL, "Bytes per segment of the commit log; bounds the size of a message" },
	{ "queueSegment", MOSAIC_T_SIZE, 0, offsetof(struct options, queue_segment_bytes), "20000",
	  "20", "64MiB", NULL, "Bytes per segment of a consume queue, rounded up to a "
	  "multiple of 20" },
	{ "delay", MOSAIC_T_DURATION, 0, offsetof(struct options, delay_ns), "0ms", NULL, "60s",
	  NULL, "Syncs and documents take a drawn time up to this, as on a disk" },
};

MOSAIC_PLUGIN(.name = "store-memory", .version = MOSAIC_VERSION, .license = "Apache-2.0",
	      .summary = "Keeps everything in memory: for tests and for data that may be lost",
	      MOSAIC_KIND_STORE, .ops = &ops,
	      .caps = MOSAIC_STORE_CAP_PIN | MOSAIC_STORE_CAP_TRUNCATE | MOSAIC_STORE_CAP_TRIM,
	      MOSAIC_OPTIONS(struct options, options));
