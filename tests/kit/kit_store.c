/*
 * The contract of the store kind, STORE-01 to STORE-09 and what its functions promise beside them,
 * against every store. What only files can show is in kit_store_files.c.
 */
#include "store_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEGMENT 65536
#define QUEUE_SEGMENT 4000

extern const struct mosaic_plugin mosaic_plugin_store_mmap, mosaic_plugin_store_uring,
	mosaic_plugin_store_memory;

/* Small segments, so that every test crosses their borders. */
static void start(struct store_kit *k, void **state)
{
	kit_init(k, *state);
	kit_option(k, "segment", "65536");
	kit_option(k, "queueSegment", "4000");
	kit_open_at(k, 0);
}

static void stop(struct store_kit *k)
{
	assert_int_equal(kit_close(k), 0);
	assert_int_equal(k->h.n_failed, 0);
	kit_fini(k);
}

static void store_01_committed_is_readable_at_once(void **state)
{
	struct store_kit k;
	start(&k, state);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	for (int i = 0; i < 300; i++) {
		kit_append(&k, k.log, 700);
		kit_check(&k, k.log, (uint64_t)i * 700, (uint64_t)i * 700 + 700);
		kit_append(&k, q, 20);
		kit_check(&k, q, (uint64_t)i * 20, (uint64_t)i * 20 + 20);
	}
	kit_check(&k, k.log, 0, 300 * 700);
	kit_check(&k, q, 0, 300 * 20);
	struct mosaic_read read = { 0 };
	assert_int_equal(k.ops->read(k.log, 300 * 700, 1, &read), MOSAIC_E_NOTFOUND);
	assert_int_equal(k.ops->read(q, 300 * 20, 20, &read), MOSAIC_E_NOTFOUND);
	stop(&k);
}

static void store_01_queues_are_read_from_memory_and_files_alike(void **state)
{
	struct store_kit k;
	start(&k, state);
	struct mosaic_stream *q = kit_queue(&k, "T", 7);
	for (int i = 0; i < 40; i++) {
		kit_append(&k, q, (uint64_t)(1 + i * 7 % 23) * 20);
		if (i % 5 == 4)
			assert_int_equal(kit_sync_queues(&k), 0);
		loop_host_turn(&k.h, 0);
		kit_check(&k, q, 0, kit_info(&k, q).end);
	}
	stop(&k);
}

static void store_02_synced_survives_power_loss(void **state)
{
	struct store_kit k;
	start(&k, state);
	if (k.has_files) {
		print_message("a power loss needs a simulated disk; files: tests/crash\n");
		stop(&k);
		return;
	}
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	for (uint64_t round = 0; round < 50; round++) {
		uint64_t at = kit_info(&k, k.log).end, units = kit_info(&k, q).end;
		kit_append(&k, k.log, 5000);
		kit_append(&k, q, 60);
		assert_int_equal(kit_sync(&k, k.log, at + 5000), 0);
		assert_int_equal(kit_sync_queues(&k), 0);
		kit_append(&k, k.log, 3000);
		kit_append(&k, q, 60);
		k.disk.crash(&k.disk, MOSAIC_CRASH_POWER, round);
		k.ops->destroy(k.store);
		assert_int_equal(kit_open(&k), 0);
		assert_int_equal(k.open_req.was_clean, 0);
		q = kit_queue(&k, "T", 0);
		kit_check(&k, k.log, 0, at + 5000);
		uint64_t end = kit_info(&k, q).end;
		assert_in_range(end, units + 60, units + 120);
		assert_int_equal(end % 20, 0);
		kit_check(&k, q, 0, end);
		assert_int_equal(kit_truncate(&k, k.log, at + 5000), 0);
	}
	stop(&k);
}

struct ordered_sync {
	struct mosaic_sync sync; /* first */
	uint32_t *n_ended;
	uint32_t ended_as; /* 1: first */
};

static void ordered_done(struct mosaic_req *req)
{
	struct ordered_sync *o = (struct ordered_sync *)req;
	o->ended_as = ++*o->n_ended;
}

static void store_03_syncs_complete_in_order_of_upto(void **state)
{
	struct store_kit k;
	struct ordered_sync syncs[20] = { 0 };
	uint32_t n_ended = 0;
	start(&k, state);
	for (uint64_t i = 0; i < 20; i++) {
		kit_append(&k, k.log, 900);
		syncs[i] = (struct ordered_sync){ .n_ended = &n_ended };
		syncs[i].sync.upto = (i + 1) * 900;
		syncs[i].sync.req.done = ordered_done;
		assert_true(k.ops->sync(k.log, &syncs[i].sync) >= 0);
	}
	while (n_ended < 20)
		loop_host_turn(&k.h, 100);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(syncs[i].ended_as, i + 1);
		assert_int_equal(syncs[i].sync.req.status, 0);
		assert_true(syncs[i].sync.upto >= (i + 1) * 900);
		assert_true(syncs[i].sync.upto <= 20 * 900);
	}
	struct mosaic_sync beyond = { .upto = 20 * 900 + 1 };
	assert_int_equal(k.ops->sync(k.log, &beyond), MOSAIC_E_INVAL);
	stop(&k);
}

static void store_06_a_reservation_never_spans_segments(void **state)
{
	struct store_kit k;
	struct mosaic_span room;
	start(&k, state);
	kit_append(&k, k.log, SEGMENT - 10);
	assert_int_equal(k.ops->reserve(k.log, 11, &room), MOSAIC_E_LIMIT);
	assert_int_equal(room.len, 10);
	kit_append(&k, k.log, 10);
	kit_append(&k, k.log, 100); /* in the next one */
	assert_int_equal(k.ops->reserve(k.log, SEGMENT, &room), MOSAIC_E_LIMIT);
	assert_int_equal(room.len, SEGMENT - 100);
	kit_check(&k, k.log, 0, SEGMENT + 100);
	stop(&k);
}

static void a_second_reserve_replaces_the_first(void **state)
{
	struct store_kit k;
	struct mosaic_span first, second;
	start(&k, state);
	kit_append(&k, k.log, 100);
	assert_int_equal(k.ops->reserve(k.log, 50, &first), 0);
	memset(first.ptr, 0xff, 50);
	assert_int_equal(k.ops->reserve(k.log, 10, &second), 0);
	assert_ptr_equal(first.ptr, second.ptr);
	k.ops->commit(k.log, 0);
	assert_int_equal(kit_info(&k, k.log).end, 100);
	kit_append(&k, k.log, 100);
	kit_check(&k, k.log, 0, 200);
	stop(&k);
}

static void store_07_truncated_bytes_never_come_back(void **state)
{
	struct store_kit k;
	start(&k, state);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	kit_append(&k, k.log, 3 * SEGMENT + 500);
	kit_append(&k, q, 3 * QUEUE_SEGMENT + 500);
	assert_int_equal(kit_sync_queues(&k), 0);
	assert_int_equal(kit_truncate(&k, k.log, SEGMENT + 300), 0);
	assert_int_equal(kit_truncate(&k, q, QUEUE_SEGMENT + 300), 0);
	assert_int_equal(kit_info(&k, k.log).end, SEGMENT + 300);
	assert_int_equal(kit_info(&k, q).end, QUEUE_SEGMENT + 300);
	struct mosaic_read read = { 0 };
	assert_int_equal(k.ops->read(k.log, SEGMENT + 300, 1, &read), MOSAIC_E_NOTFOUND);
	kit_append(&k, k.log, 20);
	kit_append(&k, q, 20);
	assert_int_equal(kit_close(&k), 0);

	assert_int_equal(kit_open(&k), 0);
	assert_int_equal(k.open_req.was_clean, 1);
	q = kit_queue(&k, "T", 0);
	assert_int_equal(kit_info(&k, q).end, QUEUE_SEGMENT + 320);
	kit_check(&k, q, 0, QUEUE_SEGMENT + 320);
	kit_check(&k, k.log, 0, SEGMENT + 320);
	uint64_t end = kit_info(&k, k.log).end;
	assert_int_equal(end, 2 * SEGMENT);
	assert_int_equal(kit_read(&k, k.log, SEGMENT + 320, SEGMENT - 320, &read), 0);
	for (uint32_t i = 0; i < read.len; i++)
		assert_int_equal(read.ptr[i], 0);
	k.ops->unpin(k.log, &read);
	stop(&k);
}

static void truncate_while_a_write_is_under_way(void **state)
{
	struct store_kit k;
	start(&k, state);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	for (int i = 0; i < 20; i++) {
		struct mosaic_req req;
		uint32_t n_done;
		kit_append(&k, q, 3800); /* starts a write */
		uint64_t to = kit_info(&k, q).end - 3000;
		kit_expect(&req, &n_done);
		assert_true(k.ops->truncate(q, to, &req) >= 0);
		kit_append(&k, q, 400); /* before the cut is done */
		kit_wait(&k, &n_done);
		assert_int_equal(req.status, 0);
		kit_check(&k, q, 0, to + 400);
	}
	uint64_t end = kit_info(&k, q).end;
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 0);
	q = kit_queue(&k, "T", 0);
	assert_int_equal(kit_info(&k, q).end, end);
	kit_check(&k, q, 0, end);
	stop(&k);
}

static void pin(struct store_kit *k, struct mosaic_stream *s, struct mosaic_read *read)
{
	*read = (struct mosaic_read){ 0 };
	assert_int_equal(kit_read(k, s, kit_info(k, s).begin, 200, read), 0);
}

static void assert_unchanged(const struct mosaic_read *read)
{
	for (uint32_t i = 0; i < read->len; i++)
		assert_int_equal(read->ptr[i], kit_byte(read->offset + i));
}

static void store_08_pinned_bytes_outlive_trim_drop_and_close(void **state)
{
	struct store_kit k;
	struct mosaic_read of_log, of_queue;
	struct mosaic_req req;
	uint32_t n_done;
	start(&k, state);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	kit_append(&k, k.log, 3 * SEGMENT);
	kit_append(&k, q, 3 * QUEUE_SEGMENT);
	pin(&k, k.log, &of_log);
	pin(&k, q, &of_queue);
	assert_int_equal(kit_trim(&k, k.log, 2 * SEGMENT + 5), 0);
	assert_int_equal(kit_trim(&k, q, 2 * QUEUE_SEGMENT + 5), 0);
	assert_int_equal(kit_info(&k, k.log).begin, 2 * SEGMENT);
	assert_unchanged(&of_log);
	assert_unchanged(&of_queue);
	kit_expect(&req, &n_done);
	assert_true(k.ops->stream_drop(q, &req) >= 0);
	kit_wait(&k, &n_done);
	assert_unchanged(&of_queue);
	kit_expect(&req, &n_done);
	assert_true(k.ops->close(k.store, &req) >= 0);
	kit_wait(&k, &n_done);
	assert_unchanged(&of_log);
	assert_unchanged(&of_queue);
	k.ops->unpin(k.log, &of_log);
	k.ops->unpin(q, &of_queue); /* q is only a name by now */
	k.ops->destroy(k.store);
	k.store = NULL;
	kit_fini(&k);
}

static void expect_space(struct store_kit *k, struct mosaic_space *space)
{
	uint32_t n_done;
	*space = (struct mosaic_space){ 0 };
	kit_expect(&space->req, &n_done);
	assert_true(k->ops->space(k->store, space) >= 0);
	kit_wait(k, &n_done);
	assert_int_equal(space->req.status, 0);
	assert_true(space->total > 0);
	assert_true(space->used <= space->total);
}

static void space_tells_of_the_disk_and_the_oldest_segment(void **state)
{
	struct store_kit k;
	struct mosaic_space space;
	start(&k, state);
	if (!k.ops->space) {
		print_message("this store has no space()\n");
		stop(&k);
		return;
	}
	uint64_t before = k.h.host.wall_ms(&k.h.host);
	expect_space(&k, &space);
	kit_append(&k, k.log, 2 * SEGMENT + 100);
	expect_space(&k, &space);
	/* Files of a second ago: clocks of file systems are coarse. */
	assert_true(space.oldest_ms + 1000 >= before);
	assert_true(space.oldest_ms <= k.h.host.wall_ms(&k.h.host) + 1000);
	assert_int_equal(kit_trim(&k, k.log, SEGMENT), 0);
	expect_space(&k, &space);
	assert_true(space.oldest_ms > 0);
	stop(&k);
}

static void trim_keeps_the_segment_of_the_end(void **state)
{
	struct store_kit k;
	start(&k, state);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	kit_append(&k, k.log, 2 * SEGMENT + 100);
	kit_append(&k, q, 2 * QUEUE_SEGMENT + 100);
	assert_int_equal(kit_trim(&k, k.log, UINT64_MAX), 0);
	assert_int_equal(kit_trim(&k, q, QUEUE_SEGMENT + 100), 0);
	assert_int_equal(kit_info(&k, k.log).begin, 2 * SEGMENT);
	assert_int_equal(kit_info(&k, k.log).end, 2 * SEGMENT + 100);
	assert_int_equal(kit_info(&k, q).begin, QUEUE_SEGMENT);
	struct mosaic_read read = { 0 };
	assert_int_equal(k.ops->read(k.log, 2 * SEGMENT - 1, 1, &read), MOSAIC_E_NOTFOUND);
	kit_append(&k, k.log, 100);
	kit_check(&k, k.log, 2 * SEGMENT, 2 * SEGMENT + 200);
	kit_check(&k, q, QUEUE_SEGMENT, 2 * QUEUE_SEGMENT + 100);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 2 * SEGMENT + 200);
	assert_int_equal(kit_info(&k, k.log).begin, 2 * SEGMENT);
	kit_check(&k, k.log, 2 * SEGMENT, 2 * SEGMENT + 200);
	q = kit_queue(&k, "T", 0);
	kit_check(&k, q, QUEUE_SEGMENT, 2 * QUEUE_SEGMENT + 100);
	stop(&k);
}

static void store_09_a_document_is_replaced_as_a_whole(void **state)
{
	struct store_kit k;
	start(&k, state);
	assert_null(kit_load(&k, "config/topics.json"));
	assert_int_equal(kit_save(&k, "config/topics.json", "one", MOSAIC_DOC_BACKUP), 0);
	assert_int_equal(kit_save(&k, "config/topics.json", "two", MOSAIC_DOC_BACKUP), 0);
	assert_int_equal(kit_save(&k, "checkpoint", "lazy", MOSAIC_DOC_LAZY), 0);
	char *now = kit_load(&k, "config/topics.json");
	char *before = kit_load(&k, "config/topics.json.bak");
	assert_string_equal(now, "two");
	assert_string_equal(before, "one");
	free(now);
	free(before);
	/* An empty document counts as missing: its backup is taken. */
	assert_int_equal(kit_save(&k, "config/topics.json", "", 0), 0);
	now = kit_load(&k, "config/topics.json");
	assert_string_equal(now, "one");
	free(now);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 0);
	now = kit_load(&k, "checkpoint");
	assert_string_equal(now, "lazy");
	free(now);
	stop(&k);
}

/* ---- index streams ---- */

static struct mosaic_stream *open_index(struct store_kit *k, const char *file)
{
	struct mosaic_stream_name name = { .kind = MOSAIC_INDEX, .topic = file };
	struct mosaic_stream *s = NULL;
	assert_int_equal(k->ops->stream_open(k->store, &name, &s), 0);
	return s;
}

static int32_t write_index(struct store_kit *k, struct mosaic_stream *s, uint64_t offset,
			   const char *text)
{
	struct mosaic_write write = { .offset = offset, .ptr = (const uint8_t *)text,
				      .len = (uint32_t)strlen(text) };
	uint32_t n_done;
	kit_expect(&write.req, &n_done);
	int32_t rc = k->ops->write(s, &write);
	if (rc < 0)
		return rc;
	kit_wait(k, &n_done);
	return write.req.status;
}

static void check_index_bytes(struct store_kit *k, struct mosaic_stream *s, uint64_t offset,
			      const char *text)
{
	struct mosaic_read read = { 0 };
	assert_int_equal(kit_read(k, s, offset, (uint32_t)strlen(text), &read), 0);
	assert_int_equal(read.len, strlen(text));
	assert_memory_equal(read.ptr, text, read.len);
	k->ops->unpin(s, &read);
}

static void an_index_is_written_anywhere_and_found_again(void **state)
{
	static const uint64_t bytes = UINT64_C(420000040);
	struct store_kit k;
	struct mosaic_read zero = { 0 };
	start(&k, state);
	struct mosaic_stream *s = open_index(&k, "20260102030405006");
	assert_int_equal(kit_info(&k, s).end, 0);
	assert_int_equal(kit_truncate(&k, s, bytes), 0);
	assert_int_equal(kit_info(&k, s).end, bytes);
	assert_int_equal(write_index(&k, s, bytes - 3, "end"), 0);
	assert_int_equal(write_index(&k, s, 40, "slots"), 0);
	assert_int_equal(write_index(&k, s, 42, "ide"), 0);
	check_index_bytes(&k, s, 40, "slide");
	assert_int_equal(kit_read(&k, s, 1000000, 4, &zero), 0);
	assert_memory_equal(zero.ptr, "\0\0\0\0", 4);
	k.ops->unpin(s, &zero);
	assert_int_equal(write_index(&k, s, bytes - 2, "end"), MOSAIC_E_INVAL);
	assert_int_equal(kit_sync(&k, s, bytes), 0);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 0);
	uint32_t n_found = 0;
	struct mosaic_stream_name name;
	for (uint32_t i = 0; k.ops->stream_at(k.store, i, &name) == 0; i++)
		n_found += name.kind == MOSAIC_INDEX &&
			   strcmp(name.topic, "20260102030405006") == 0;
	assert_int_equal(n_found, 1);
	s = open_index(&k, "20260102030405006");
	assert_int_equal(kit_info(&k, s).end, bytes);
	check_index_bytes(&k, s, bytes - 3, "end");
	struct mosaic_req drop = { 0 };
	uint32_t n_done;
	kit_expect(&drop, &n_done);
	assert_int_equal(k.ops->stream_drop(s, &drop), MOSAIC_PENDING);
	assert_int_equal(kit_info(&k, open_index(&k, "20260102030405006")).end, 0);
	kit_wait(&k, &n_done);
	assert_int_equal(drop.status, 0);
	stop(&k);
}

static void what_was_closed_is_found_again(void **state)
{
	struct store_kit k;
	start(&k, state);
	char topic[32];
	for (int i = 0; i < 300; i++) {
		snprintf(topic, sizeof(topic), "topic-%d", i);
		kit_append(&k, kit_queue(&k, topic, i % 3), 20 * (1 + (uint64_t)i));
	}
	kit_append(&k, k.log, 2 * SEGMENT + 777);
	assert_int_equal(k.open_req.was_clean, 1); /* an empty directory is a clean one */
	assert_int_equal(kit_close(&k), 0);

	kit_open_at(&k, 2 * SEGMENT + 777);
	assert_int_equal(k.open_req.was_clean, 1);
	assert_int_equal(k.open_req.n_streams, 301);
	uint32_t n_logs = 0;
	for (uint32_t i = 0; i < 301; i++) {
		struct mosaic_stream_name name;
		assert_int_equal(k.ops->stream_at(k.store, i, &name), 0);
		n_logs += name.kind == MOSAIC_COMMIT_LOG;
	}
	assert_int_equal(n_logs, 1);
	kit_check(&k, k.log, 0, 2 * SEGMENT + 777);
	for (int i = 0; i < 300; i++) {
		snprintf(topic, sizeof(topic), "topic-%d", i);
		struct mosaic_stream *q = kit_queue(&k, topic, i % 3);
		assert_int_equal(kit_info(&k, q).end, 20 * (1 + i));
		kit_check(&k, q, 0, 20 * (1 + (uint64_t)i));
		kit_append(&k, q, 20);
	}
	stop(&k);
}

static void a_queue_can_start_in_the_middle(void **state)
{
	struct store_kit k;
	start(&k, state);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	uint64_t from = 2 * QUEUE_SEGMENT + 1000;
	assert_int_equal(k.ops->start_at(q, from + 1), MOSAIC_E_INVAL);
	assert_int_equal(k.ops->start_at(q, from), 0);
	kit_append(&k, q, QUEUE_SEGMENT);
	assert_int_equal(k.ops->start_at(q, from), MOSAIC_E_INVAL);
	struct mosaic_read read = { 0 };
	assert_int_equal(k.ops->read(q, from - 20, 20, &read), MOSAIC_E_NOTFOUND);
	kit_check(&k, q, from, from + QUEUE_SEGMENT);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 0);
	q = kit_queue(&k, "T", 0);
	assert_int_equal(kit_info(&k, q).begin, from);
	kit_check(&k, q, from, from + QUEUE_SEGMENT);
	stop(&k);
}

static void the_log_can_start_in_the_middle(void **state)
{
	struct store_kit k;
	start(&k, state);
	assert_int_equal(k.ops->start_at(k.log, 5 * SEGMENT), 0);
	kit_append(&k, k.log, SEGMENT + 10);
	assert_int_equal(k.ops->start_at(k.log, 0), MOSAIC_E_INVAL);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 6 * SEGMENT + 10);
	assert_int_equal(kit_info(&k, k.log).begin, 5 * SEGMENT);
	kit_check(&k, k.log, 5 * SEGMENT, 6 * SEGMENT + 10);
	stop(&k);
}

static void a_dropped_name_is_free_at_once(void **state)
{
	struct store_kit k;
	struct mosaic_req reqs[10];
	uint32_t n_done[10];
	start(&k, state);
	for (int i = 0; i < 10; i++) {
		struct mosaic_stream *q = kit_queue(&k, "T", 0);
		assert_int_equal(kit_info(&k, q).end, 0);
		kit_append(&k, q, 2 * QUEUE_SEGMENT + 20 * (uint64_t)i);
		kit_expect(&reqs[i], &n_done[i]);
		assert_true(k.ops->stream_drop(q, &reqs[i]) >= 0);
	}
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	kit_append(&k, q, 4600);
	for (int i = 0; i < 10; i++)
		kit_wait(&k, &n_done[i]);
	kit_check(&k, q, 0, 4600);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 0);
	q = kit_queue(&k, "T", 0);
	assert_int_equal(kit_info(&k, q).end, 4600);
	kit_check(&k, q, 0, 4600);
	stop(&k);
}

static void close_ends_everything_and_refuses_more(void **state)
{
	struct store_kit k;
	struct mosaic_req close_req, more;
	struct mosaic_sync sync = { .upto = 5000 };
	struct mosaic_span room;
	uint32_t n_closed, n_synced, n_more;
	start(&k, state);
	kit_append(&k, k.log, 5000);
	kit_expect(&sync.req, &n_synced);
	assert_true(k.ops->sync(k.log, &sync) >= 0);
	kit_expect(&close_req, &n_closed);
	assert_true(k.ops->close(k.store, &close_req) >= 0);
	kit_expect(&more, &n_more);
	assert_true(k.ops->sync_queues(k.store, &more) < 0);
	assert_true(k.ops->close(k.store, &more) < 0);
	if (k.has_files)
		assert_true(k.ops->reserve(k.log, 1, &room) < 0);
	kit_wait(&k, &n_closed);
	assert_int_equal(n_synced, 1);
	assert_int_equal(n_more, 0);
	k.ops->destroy(k.store);
	k.store = NULL;
	kit_fini(&k);
}

/* What ended in front of it lets the close go on before its own turn has come: nobody behind it in
 * the loop may be lost for that. */
static void a_close_that_is_early_loses_no_request(void **state)
{
	struct store_kit k;
	struct mosaic_req close_req, behind;
	struct mosaic_sync sync = { .upto = 5000 };
	uint32_t n_closed, n_synced, n_behind;
	start(&k, state);
	kit_append(&k, k.log, 5000);
	assert_int_equal(kit_sync(&k, k.log, 5000), 0);
	for (int i = 0; i < 10; i++) /* with a job under way the close waits for that first */
		loop_host_turn(&k.h, 10);
	kit_expect(&sync.req, &n_synced); /* durable already: ends with the loop's next turn */
	assert_true(k.ops->sync(k.log, &sync) >= 0);
	kit_expect(&close_req, &n_closed);
	assert_true(k.ops->close(k.store, &close_req) >= 0);
	kit_expect(&behind, &n_behind);
	k.h.host.post(&k.h.host, &behind);
	kit_wait(&k, &n_closed);
	assert_int_equal(n_synced, 1);
	assert_int_equal(n_behind, 1);
	k.ops->destroy(k.store);
	k.store = NULL;
	kit_fini(&k);
}

static const struct CMUnitTest rules[] = {
	KIT_RULE(store_01_committed_is_readable_at_once),
	KIT_RULE(store_01_queues_are_read_from_memory_and_files_alike),
	KIT_RULE(store_02_synced_survives_power_loss),
	KIT_RULE(store_03_syncs_complete_in_order_of_upto),
	KIT_RULE(store_06_a_reservation_never_spans_segments),
	KIT_RULE(a_second_reserve_replaces_the_first),
	KIT_RULE(store_07_truncated_bytes_never_come_back),
	KIT_RULE(truncate_while_a_write_is_under_way),
	KIT_RULE(store_08_pinned_bytes_outlive_trim_drop_and_close),
	KIT_RULE(space_tells_of_the_disk_and_the_oldest_segment),
	KIT_RULE(trim_keeps_the_segment_of_the_end),
	KIT_RULE(store_09_a_document_is_replaced_as_a_whole),
	KIT_RULE(an_index_is_written_anywhere_and_found_again),
	KIT_RULE(what_was_closed_is_found_again),
	KIT_RULE(a_queue_can_start_in_the_middle),
	KIT_RULE(the_log_can_start_in_the_middle),
	KIT_RULE(a_dropped_name_is_free_at_once),
	KIT_RULE(close_ends_everything_and_refuses_more),
	KIT_RULE(a_close_that_is_early_loses_no_request),
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

int main(void)
{
	return kit_run(&mosaic_plugin_store_mmap, rules, N_RULES) +
	       kit_run(&mosaic_plugin_store_uring, rules, N_RULES) +
	       kit_run(&mosaic_plugin_store_memory, rules, N_RULES);
}
