/*
 * A log on a store whose bytes the test can see and damage, with a host whose clock the test moves.
 *
 *   struct fixture f;
 *   fixture_init(&f);
 *   fixture_open(&f);              recovery included; f.open.req.status
 *   fixture_send(&f, "T", 0, "body", NULL);
 *   fixture_stop(&f, CLEAN or CRASH);  the disk stays: fixture_open again
 *   fixture_fini(&f);
 *
 * The store answers reads at once or, with disk.pends, always later. Streams are flat arrays.
 */
#ifndef TEST_LOG_FIXTURE_H
#define TEST_LOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "log/checkpoint.h"
#include "log/delay.h"
#include "log/log.h"
#include "support/fake_host.h"
#include "wire/props.h"
#include <inttypes.h>
#include <stdio.h>

#define UNUSED __attribute__((unused))
#define MAX_STREAMS 64
#define MAX_SEGMENTS 64 /* of the commit log that know when they were written */
#define QUEUE_BYTES (64u << 10)

struct mosaic_stream {
	struct mosaic_store *store;
	uint32_t kind;
	int32_t queue_id;
	char topic[256];
	uint8_t *bytes;
	uint64_t begin, end, synced;
	uint32_t reserved;
	bool is_used, is_dropped;
	struct mosaic_req *room;
};

struct mosaic_store {
	const struct mosaic_host *host;
	struct mosaic_stream streams[MAX_STREAMS];
	uint32_t n_streams;
	uint64_t segment_bytes, queue_segment_bytes, log_bytes;
	bool is_clean, is_open;
	uint8_t *checkpoint; /* NULL: there is none */
	uint64_t checkpoint_len;
	int n_saves, n_pins, n_queue_syncs;
	int32_t queue_sync_status; /* of every sync of the queues */
	/* What goes wrong: status of the next calls, 0 = nothing. */
	bool pends;
	uint64_t total, used; /* what space() says */
	uint64_t written_ms[MAX_SEGMENTS];
	int n_trims;
	int fail_log_reserve, fail_queue_reserve, fail_sync, fail_read, fail_read_after;
};

struct pended_read {
	struct mosaic_req post;
	struct mosaic_read *read;
	int32_t status;
};

static void read_later(struct mosaic_req *req)
{
	struct pended_read *p = req->data;
	struct mosaic_read *read = p->read;
	read->req.status = p->status;
	free(p);
	read->req.done(&read->req);
}

static UNUSED struct mosaic_stream *disk_stream(struct mosaic_store *s, uint32_t kind,
						const char *topic, int32_t queue_id)
{
	for (uint32_t i = 0; i < s->n_streams; i++) {
		struct mosaic_stream *st = &s->streams[i];
		if (!st->is_dropped && st->kind == kind && st->queue_id == queue_id &&
		    strcmp(st->topic, topic ? topic : "") == 0)
			return st;
	}
	return NULL;
}

static int32_t disk_post(struct mosaic_store *s, struct mosaic_req *req, int32_t status)
{
	req->status = status;
	s->host->post(s->host, req);
	return MOSAIC_PENDING;
}

static uint64_t disk_segment(const struct mosaic_stream *st)
{
	return st->kind == MOSAIC_COMMIT_LOG ? st->store->segment_bytes
					     : st->store->queue_segment_bytes;
}

static uint64_t disk_capacity(const struct mosaic_stream *st)
{
	return st->kind == MOSAIC_COMMIT_LOG ? st->store->log_bytes : QUEUE_BYTES;
}

static int32_t disk_open(struct mosaic_store *s, struct mosaic_store_open *req)
{
	assert_false(s->is_open);
	s->is_open = true;
	req->was_clean = s->is_clean;
	s->is_clean = false;
	/* Dropped ones are gone for good. */
	req->n_streams = s->n_streams;
	for (uint32_t i = 0; i < s->n_streams; i++) {
		struct mosaic_stream *st = &s->streams[i];
		st->reserved = 0;
		if (st->kind == MOSAIC_COMMIT_LOG)
			while (st->end % s->segment_bytes != 0)
				st->end++;
		else /* the last unit that is not zero */
			while (st->end > st->begin) {
				static const uint8_t zeros[20];
				if (memcmp(st->bytes + st->end - 20, zeros, 20) != 0)
					break;
				st->end -= 20;
			}
	}
	return disk_post(s, &req->req, 0);
}

static int32_t disk_close(struct mosaic_store *s, struct mosaic_req *req)
{
	s->is_open = false;
	s->is_clean = true;
	return disk_post(s, req, 0);
}

static int32_t disk_stream_at(struct mosaic_store *s, uint32_t i, struct mosaic_stream_name *name)
{
	const struct mosaic_stream *st = &s->streams[i];
	*name = (struct mosaic_stream_name){ st->is_dropped ? MOSAIC_COMMIT_LOG : st->kind,
					     st->queue_id, st->topic };
	return 0;
}

static int32_t disk_stream_open(struct mosaic_store *s, const struct mosaic_stream_name *name,
				struct mosaic_stream **out)
{
	*out = disk_stream(s, name->kind, name->topic, name->queue_id);
	if (*out)
		return 0;
	assert_true(s->n_streams < MAX_STREAMS);
	struct mosaic_stream *st = &s->streams[s->n_streams++];
	*st = (struct mosaic_stream){ .store = s, .kind = name->kind, .queue_id = name->queue_id };
	snprintf(st->topic, sizeof(st->topic), "%s", name->topic ? name->topic : "");
	st->bytes = calloc(1, disk_capacity(st));
	*out = st;
	return 0;
}

static void disk_stream_info(struct mosaic_stream *st, struct mosaic_stream_info *info)
{
	*info = (struct mosaic_stream_info){ st->begin, st->end, disk_segment(st) };
}

static int32_t disk_stream_drop(struct mosaic_stream *st, struct mosaic_req *req)
{
	st->is_dropped = true;
	return disk_post(st->store, req, 0);
}

static int32_t disk_reserve(struct mosaic_stream *st, uint32_t max_len, struct mosaic_span *room)
{
	int *fail = st->kind == MOSAIC_COMMIT_LOG ? &st->store->fail_log_reserve
						  : &st->store->fail_queue_reserve;
	uint64_t left = disk_segment(st) - st->end % disk_segment(st);
	if (*fail)
		return *fail;
	room->len = (uint32_t)(max_len > left ? left : max_len);
	if (max_len > left)
		return MOSAIC_E_LIMIT;
	assert_true(st->end + max_len <= disk_capacity(st));
	room->ptr = st->bytes + st->end;
	st->reserved = max_len;
	return 0;
}

static void disk_commit(struct mosaic_stream *st, uint32_t len)
{
	assert_true(len <= st->reserved);
	uint64_t segment = st->end / disk_segment(st);
	if (st->kind == MOSAIC_COMMIT_LOG && segment < MAX_SEGMENTS)
		st->store->written_ms[segment] = host_wall_ms(st->store->host);
	st->end += len;
	st->reserved = 0;
}

static int32_t disk_room(struct mosaic_stream *st, struct mosaic_req *req)
{
	st->room = req;
	return MOSAIC_PENDING;
}

static int32_t disk_start_at(struct mosaic_stream *st, uint64_t offset)
{
	assert_true(st->begin == st->end);
	st->begin = st->end = offset;
	return 0;
}

static int32_t disk_read(struct mosaic_stream *st, uint64_t offset, uint32_t len,
			 struct mosaic_read *read)
{
	struct mosaic_store *s = st->store;
	assert_false(st->is_dropped);
	if (offset < st->begin || offset >= st->end)
		return MOSAIC_E_NOTFOUND;
	int32_t status = s->fail_read && s->fail_read_after-- <= 0 ? s->fail_read : 0;
	uint64_t most = disk_segment(st) - offset % disk_segment(st);
	if (most > st->end - offset)
		most = st->end - offset;
	read->offset = offset;
	read->len = (uint32_t)(len < most ? len : most);
	/* A copy: reading outside of it, or after unpin, is seen by the sanitizer. */
	uint8_t *copy = malloc(read->len);
	memcpy(copy, st->bytes + offset, read->len);
	read->ptr = copy;
	read->pin[0] = (uint64_t)(uintptr_t)copy;
	if (status != 0 && !s->pends) {
		free(copy);
		return status;
	}
	s->n_pins++;
	if (!s->pends)
		return 0;
	struct pended_read *p = malloc(sizeof(*p));
	*p = (struct pended_read){ { .done = read_later, .data = p }, read, status };
	if (status != 0) {
		free(copy);
		s->n_pins--;
	}
	s->host->post(s->host, &p->post);
	return MOSAIC_PENDING;
}

static void disk_unpin(struct mosaic_stream *st, struct mosaic_read *read)
{
	st->store->n_pins--;
	free((void *)(uintptr_t)read->pin[0]);
}

static int32_t disk_sync(struct mosaic_stream *st, struct mosaic_sync *req)
{
	req->upto = st->end;
	if (st->store->fail_sync == 0)
		st->synced = st->end;
	return disk_post(st->store, &req->req, st->store->fail_sync);
}

static int32_t disk_sync_queues(struct mosaic_store *s, struct mosaic_req *req)
{
	s->n_queue_syncs++;
	for (uint32_t i = 0; i < s->n_streams; i++)
		if (s->streams[i].kind == MOSAIC_CONSUME_QUEUE && s->queue_sync_status == 0)
			s->streams[i].synced = s->streams[i].end;
	return disk_post(s, req, s->queue_sync_status);
}

static int32_t disk_truncate(struct mosaic_stream *st, uint64_t to, struct mosaic_req *req)
{
	assert_true(to <= st->end);
	assert_true(to >= st->begin);
	uint64_t capacity = disk_capacity(st);
	memset(st->bytes + to, 0, capacity - to);
	st->end = to;
	return disk_post(st->store, req, 0);
}

/* Where no record of a queue is left, its units on the disk alone know its next offset. */
static void disk_expect_units(const struct mosaic_store *s, uint64_t below)
{
	for (uint32_t i = 0; i < s->n_streams && s->queue_sync_status == 0; i++) {
		const struct mosaic_stream *st = &s->streams[i];
		if (st->kind == MOSAIC_CONSUME_QUEUE && !st->is_dropped && st->synced < st->end)
			assert_true(get_be64(st->bytes + st->synced) >= below);
	}
}

static int32_t disk_trim(struct mosaic_stream *st, uint64_t below, struct mosaic_req *req)
{
	if (st->kind == MOSAIC_COMMIT_LOG)
		disk_expect_units(st->store, below);
	uint64_t begin = (below < st->end ? below : st->end) / disk_segment(st) * disk_segment(st);
	if (begin > st->begin) {
		st->store->n_trims++;
		memset(st->bytes + st->begin, 0xee, begin - st->begin);
		st->begin = begin;
	}
	return disk_post(st->store, req, 0);
}

static int32_t disk_space(struct mosaic_store *s, struct mosaic_space *space)
{
	const struct mosaic_stream *st = disk_stream(s, MOSAIC_COMMIT_LOG, NULL, 0);
	space->total = s->total;
	space->used = s->used;
	space->oldest_ms = st && st->end > st->begin ? s->written_ms[st->begin / s->segment_bytes]
						     : 0;
	return disk_post(s, &space->req, 0);
}

static int32_t disk_doc_load(struct mosaic_store *s, struct mosaic_doc *doc)
{
	doc->content = s->checkpoint;
	doc->len = s->checkpoint_len;
	return disk_post(s, &doc->req, s->checkpoint ? 0 : MOSAIC_E_NOTFOUND);
}

static void disk_doc_release(struct mosaic_store *s, struct mosaic_doc *doc)
{
	(void)s;
	doc->content = NULL;
}

static int32_t disk_doc_save(struct mosaic_store *s, struct mosaic_doc *doc)
{
	assert_string_equal(doc->name, "checkpoint");
	s->n_saves++;
	free(s->checkpoint);
	s->checkpoint = malloc(doc->len);
	memcpy(s->checkpoint, doc->content, doc->len);
	s->checkpoint_len = doc->len;
	return disk_post(s, &doc->req, 0);
}

static const struct mosaic_store_ops disk_ops = {
	.struct_size = sizeof(disk_ops),
	.open = disk_open,
	.close = disk_close,
	.stream_at = disk_stream_at,
	.stream_open = disk_stream_open,
	.stream_info = disk_stream_info,
	.stream_drop = disk_stream_drop,
	.reserve = disk_reserve,
	.commit = disk_commit,
	.room = disk_room,
	.start_at = disk_start_at,
	.read = disk_read,
	.unpin = disk_unpin,
	.sync = disk_sync,
	.sync_queues = disk_sync_queues,
	.truncate = disk_truncate,
	.trim = disk_trim,
	.doc_load = disk_doc_load,
	.doc_release = disk_doc_release,
	.doc_save = disk_doc_save,
	.space = disk_space,
};

/* A flush policy that syncs when the test says so, and at close. */
struct mosaic_flush {
	struct log **log;
	const struct mosaic_flush_port *port;
	struct mosaic_sync sync;
	struct mosaic_req *close_req;
	uint64_t appended;
	bool is_open;
};

static void flush_synced(struct mosaic_req *req)
{
	struct mosaic_flush *flush = req->data;
	if (req->status == 0) {
		log_watermark(*flush->log, MOSAIC_DURABLE, flush->sync.upto);
	} else {
		struct mosaic_error err = { .struct_size = sizeof(err), .code = req->status };
		snprintf(err.text, sizeof(err.text), "the disk does not sync");
		log_fail(*flush->log, &err);
	}
	if (flush->close_req) {
		flush->close_req->status = req->status;
		flush->close_req->done(flush->close_req);
	}
}

static UNUSED void flush_sync(struct mosaic_flush *flush)
{
	flush->sync = (struct mosaic_sync){ .req = { .done = flush_synced, .data = flush },
					    .upto = flush->appended };
	assert_true(flush->port->sync(flush->port->ctx, &flush->sync) >= 0);
}

static int32_t flush_open(struct mosaic_flush *flush, const struct mosaic_flush_port *port,
			  struct mosaic_error *error)
{
	(void)error;
	flush->port = port;
	flush->is_open = true;
	flush->close_req = NULL;
	flush->appended = port->durable;
	return 0;
}

static void flush_appended(struct mosaic_flush *flush, uint64_t end)
{
	assert_true(end > flush->appended);
	flush->appended = end;
}

static int32_t flush_close(struct mosaic_flush *flush, struct mosaic_req *req)
{
	flush->is_open = false;
	flush->close_req = req;
	flush_sync(flush);
	return MOSAIC_PENDING;
}

static const struct mosaic_flush_ops flush_ops = { .struct_size = sizeof(flush_ops),
						   .open = flush_open,
						   .appended = flush_appended,
						   .close = flush_close };

/* ---- the fixture ---- */

enum stop { CLEAN, CRASH };

struct fixture {
	struct fake_host h;
	struct mosaic_store disk;
	struct mosaic_flush flush;
	struct log *log;
	struct log_open_req open;
	bool is_opened, is_closed;
	int32_t close_status;
	bool flush_gates;
	struct retention_config retention;
	/* The last arrival. */
	int n_arrived;
	int64_t arrived_offset, arrived_tags;
	uint64_t end; /* of the last record sent */
};

static UNUSED void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	fake_host_init(&f->h);
	f->disk.host = &f->h.host;
	f->disk.segment_bytes = 4096;
	f->disk.log_bytes = 256u << 10;
	f->disk.queue_segment_bytes = 100 * 20;
	f->disk.is_clean = true;
	f->flush.log = &f->log;
	f->flush_gates = true;
}

static void fixture_opened(struct mosaic_req *req)
{
	((struct fixture *)req->data)->is_opened = true;
}

static void fixture_arrived(void *ctx, struct queue *queue, int64_t next_offset, int64_t tags_code,
			    const struct message *m)
{
	struct fixture *f = ctx;
	assert_int_equal(queue->max_offset, next_offset);
	assert_int_equal(m->queue_offset + 1, next_offset);
	f->n_arrived++;
	f->arrived_offset = next_offset;
	f->arrived_tags = tags_code;
}

/* Status of the recovery. */
static UNUSED int fixture_open(struct fixture *f)
{
	struct log_config config = { .host = &f->h.host,
				     .store_ops = &disk_ops,
				     .store = &f->disk,
				     .flush_ops = &flush_ops,
				     .flush = &f->flush,
				     .flush_gates = f->flush_gates,
				     .retention = f->retention,
				     .max_record_bytes = 1u << 20 };
	f->log = log_create(&config);
	f->log->arrived = fixture_arrived;
	f->log->arrived_ctx = f;
	f->is_opened = false;
	f->open = (struct log_open_req){ .req = { .done = fixture_opened, .data = f } };
	assert_int_equal(log_open(f->log, &f->open), MOSAIC_PENDING);
	fake_host_run(&f->h);
	assert_true(f->is_opened);
	return f->open.req.status;
}

static void fixture_closed(struct mosaic_req *req)
{
	struct fixture *f = req->data;
	f->is_closed = true;
	f->close_status = req->status;
}

static UNUSED void fixture_stop(struct fixture *f, enum stop how)
{
	struct mosaic_req req = { .done = fixture_closed, .data = f };
	f->is_closed = false;
	if (how == CLEAN) {
		assert_int_equal(log_close(f->log, &req), MOSAIC_PENDING);
		fake_host_run(&f->h);
		assert_true(f->is_closed);
		assert_int_equal(f->disk.n_pins, 0);
	} else {
		fake_host_run(&f->h);
		f->log->is_open = false; /* as far as log_destroy is concerned */
		f->disk.is_open = false;
		/* Timers and waiters belonged to the process that is gone. */
		for (struct mosaic_timer *t; (t = timer_heap_first(&f->h.timers)) != NULL;)
			timer_heap_remove(&f->h.timers, t);
		f->log->gate.waits.next = f->log->gate.waits.prev = &f->log->gate.waits;
	}
	log_destroy(f->log);
	f->log = NULL;
}

static UNUSED void fixture_fini(struct fixture *f)
{
	if (f->log)
		fixture_stop(f, CLEAN);
	for (uint32_t i = 0; i < f->disk.n_streams; i++)
		free(f->disk.streams[i].bytes);
	free(f->disk.checkpoint);
	fake_host_fini(&f->h);
}

static UNUSED struct message fixture_message(const char *topic, const char *body, const char *tags,
					     uint8_t *props)
{
	struct message m = { .topic = slice_str(topic), .body = slice_str(body), .born_ms = 5 };
	m.body_crc = hash_crc32(m.body.ptr, m.body.len) & 0x7fffffff;
	m.born_host = m.store_host = (struct host_address){ .ip = { 127, 0, 0, 1 }, .ip_len = 4 };
	if (tags)
		m.props = slice(props, (size_t)sprintf((char *)props, "KEYS\1k\2TAGS\1%s\2", tags));
	return m;
}

/* Appends; returns the status. */
static UNUSED int fixture_send(struct fixture *f, const char *topic, int32_t queue_id,
			       const char *body, const char *tags)
{
	uint8_t props[512];
	struct message m = fixture_message(topic, body, tags, props);
	struct queue *q = log_queue(f->log, slice_str(topic), queue_id);
	assert_non_null(q);
	int rc = log_append(f->log, q, &m, &f->end);
	log_run_end(f->log);
	return rc;
}

static UNUSED struct queue *fixture_queue(struct fixture *f, const char *topic, int32_t queue_id)
{
	return log_queue_find(f->log, slice_str(topic), queue_id);
}

static UNUSED void no_done(struct mosaic_req *req)
{
	(void)req;
}

/* The message at a queue offset must have this body; reads unit and record through the log. */
static UNUSED void fixture_expect(struct fixture *f, const char *topic, int32_t queue_id,
				  int64_t index, const char *body)
{
	struct queue *q = fixture_queue(f, topic, queue_id);
	struct mosaic_read units = { .req.done = no_done }, record = { .req.done = no_done };
	struct queue_unit unit;
	struct message m;
	uint32_t len;
	bool pends = f->disk.pends;
	f->disk.pends = false;
	assert_non_null(q);
	assert_int_equal(queue_read(q, index, 1, &units), 0);
	queue_unit_decode(units.ptr, &unit);
	queue_unpin(q, &units);
	assert_int_equal(log_read(f->log, unit.phys_offset, unit.size, &record), 0);
	assert_int_equal(record_decode(record.ptr, record.len, true, &m, &len), RECORD_MESSAGE);
	assert_int_equal(len, unit.size);
	assert_int_equal(m.queue_offset, index);
	assert_int_equal(m.phys_offset, unit.phys_offset);
	assert_true(slice_is(m.body, body));
	log_unpin(f->log, &record);
	f->disk.pends = pends;
}

static UNUSED struct mosaic_stream *fixture_disk_log(struct fixture *f)
{
	return disk_stream(&f->disk, MOSAIC_COMMIT_LOG, NULL, 0);
}

static UNUSED struct mosaic_stream *fixture_disk_queue(struct fixture *f, const char *topic,
						       int32_t id)
{
	return disk_stream(&f->disk, MOSAIC_CONSUME_QUEUE, topic, id);
}

#endif
