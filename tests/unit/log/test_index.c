/*
 * The index over restarts, crashes and trims, on a simulated disk: every message that is in the log
 * is found by its keys, and no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "log/log.h"
#include "support/fake_host.h"
#include <mosaic/draft/disk.h>
#include <mosaic/plugin.h>
#include <stdio.h>

extern const struct mosaic_plugin mosaic_plugin_store_memory;

#define MAX_SENT 3000

struct mosaic_flush {
	struct log **log;
	const struct mosaic_flush_port *port;
	struct mosaic_sync sync;
	uint64_t appended;
};

struct world {
	struct fake_host h;
	struct mosaic_disk disk;
	struct mosaic_ext_disk ext;
	const struct mosaic_store_ops *ops;
	struct mosaic_store *store;
	struct mosaic_flush flush;
	struct log *log;
	struct index_shape shape;
	uint64_t at[MAX_SENT];
	int n;
	bool is_done;
	int status;
};

static struct world *the_world; /* for extension(), which has no context */

static const void *extension(const char *id)
{
	return strcmp(id, MOSAIC_EXT_DISK) == 0 ? &the_world->ext : NULL;
}

static int32_t flush_open(struct mosaic_flush *flush, const struct mosaic_flush_port *port,
			  struct mosaic_error *error)
{
	(void)error;
	flush->port = port;
	return 0;
}

static void flush_synced(struct mosaic_req *req)
{
	struct mosaic_flush *flush = req->data;
	if (req->status == 0 && *flush->log)
		log_watermark(*flush->log, MOSAIC_DURABLE, flush->sync.upto);
}

static void flush_appended(struct mosaic_flush *flush, uint64_t end)
{
	flush->appended = end;
}

static void flush_now(struct world *w)
{
	struct mosaic_flush *flush = &w->flush;
	flush->sync = (struct mosaic_sync){ .req = { .done = flush_synced, .data = flush },
					    .upto = w->log->end };
	assert_true(flush->port->sync(flush->port->ctx, &flush->sync) >= 0);
	fake_host_run(&w->h);
}

static int32_t flush_close(struct mosaic_flush *flush, struct mosaic_req *req)
{
	(void)flush;
	req->status = 0;
	the_world->h.host.post(&the_world->h.host, req);
	return MOSAIC_PENDING;
}

static const struct mosaic_flush_ops flush_ops = { .struct_size = sizeof(flush_ops),
						   .open = flush_open,
						   .appended = flush_appended,
						   .close = flush_close };

static void done(struct mosaic_req *req)
{
	struct world *w = req->data;
	w->is_done = true;
	w->status = req->status;
}

static void world_open(struct world *w)
{
	uint64_t options[8] = { 0 };
	struct mosaic_error err = ERR_INIT;
	for (uint32_t i = 0; i < mosaic_plugin_store_memory.n_options; i++) {
		const struct mosaic_option *o = &mosaic_plugin_store_memory.options[i];
		options[o->offset / 8] = strcmp(o->name, "limit") == 0	   ? UINT64_C(1) << 30 :
					 strcmp(o->name, "segment") == 0 ? 16384 :
					 strcmp(o->name, "queueSegment") == 0 ? 20000 : 0;
	}
	assert_int_equal(w->ops->create(&w->h.host, options, &w->store, &err), 0);
	w->log = log_create(&(struct log_config){ .host = &w->h.host,
						  .store_ops = w->ops,
						  .store = w->store,
						  .flush_ops = &flush_ops,
						  .flush = &w->flush,
						  .index = w->shape,
						  .max_record_bytes = 1u << 20 });
	struct log_open_req open = { .req = { .done = done, .data = w } };
	w->is_done = false;
	assert_int_equal(log_open(w->log, &open), MOSAIC_PENDING);
	fake_host_run(&w->h);
	assert_true(w->is_done);
	assert_int_equal(w->status, 0);
}

/* Until it has seen the whole log. */
static void world_follow(struct world *w)
{
	for (int i = 0; i < 10000 && !index_is_live(w->log->index); i++)
		fake_host_advance_ms(&w->h, 1);
	assert_true(index_is_live(w->log->index));
}

static void world_close(struct world *w)
{
	struct mosaic_req req = { .done = done, .data = w };
	w->is_done = false;
	assert_int_equal(log_close(w->log, &req), MOSAIC_PENDING);
	fake_host_run(&w->h);
	assert_true(w->is_done);
	assert_int_equal(w->status, 0);
	log_destroy(w->log);
	w->log = NULL;
	w->ops->destroy(w->store);
}

/* Records that are gone are forgotten. */
static void world_crash(struct world *w, uint32_t how, uint64_t random)
{
	w->disk.crash(&w->disk, how, random);
	w->ops->destroy(w->store);
	uint64_t now_ns = w->h.now_ns;
	fake_host_fini(&w->h); /* timers belonged to the process that is gone */
	w->log->is_open = false; /* as far as log_destroy is concerned */
	w->log->gate.waits.next = w->log->gate.waits.prev = &w->log->gate.waits;
	log_destroy(w->log);
	w->log = NULL;
	fake_host_init(&w->h);
	w->h.extension = extension;
	w->h.now_ns = now_ns;
	world_open(w);
	while (w->n > 0 && w->at[w->n - 1] >= w->log->end)
		w->n--;
}

static struct world *world_create(uint32_t slots, uint32_t entries)
{
	struct world *w = calloc(1, sizeof(*w));
	the_world = w;
	fake_host_init(&w->h);
	w->h.extension = extension;
	w->ext = (struct mosaic_ext_disk){ sizeof(w->ext), 0, &w->disk };
	w->ops = mosaic_plugin_store_memory.ops;
	w->flush.log = &w->log;
	w->shape = (struct index_shape){ slots, entries };
	world_open(w);
	return w;
}

static void world_destroy(struct world *w)
{
	world_close(w);
	w->disk.destroy(&w->disk);
	fake_host_fini(&w->h);
	free(w);
}

/* Message n has the keys "n" and "m<n % 10>". */
static void send(struct world *w)
{
	char text[64];
	struct message m = { .topic = slice_str("T"), .body = slice_str("body") };
	m.born_host = m.store_host = (struct host_address){ .ip_len = 4 };
	snprintf(text, sizeof(text), "UNIQ_KEY\1%d\2KEYS\1m%d\2", w->n, w->n % 10);
	m.props = slice_str(text);
	m.body_crc = hash_crc32("body", 4) & 0x7fffffff;
	struct queue *q = log_queue(w->log, m.topic, 0);
	uint64_t end;
	assert_int_equal(log_append(w->log, q, &m, &end), 0);
	w->at[w->n++] = (uint64_t)m.phys_offset;
	log_run_end(w->log);
	fake_host_advance_ms(&w->h, 3);
}

static void send_some(struct world *w, int n)
{
	while (n-- > 0)
		send(w);
}

static uint32_t find(struct world *w, const char *key, struct index_query *q)
{
	*q = (struct index_query){ .req = { .done = done, .data = w },
				   .hash = index_key_hash(index_topic_hash(slice_str("T")),
							  slice_str(key)),
				   .end_ms = INT64_MAX,
				   .max = 64 };
	w->is_done = false;
	int rc = index_query(w->log->index, q);
	if (rc == MOSAIC_PENDING)
		world_follow(w);
	else
		assert_int_equal(rc, 0);
	return q->n;
}

/* Each message once by its own key; the newest of those that share one, in order. */
static void check(struct world *w)
{
	struct index_query q;
	char key[16];
	world_follow(w);
	for (int i = 0; i < w->n; i++) {
		snprintf(key, sizeof(key), "%d", i);
		if (find(w, key, &q) != 1 || q.phys_offsets[0] != w->at[i])
			fail_msg("message %d of %d: %u found", i, w->n, q.n);
	}
	for (int i = 0; i < 10 && i < w->n; i++) {
		snprintf(key, sizeof(key), "m%d", i);
		uint32_t n = find(w, key, &q);
		int last = (w->n - 1 - i) / 10;
		assert_int_equal(n, last + 1 < 64 ? last + 1 : 64);
		for (uint32_t k = 0; k < n; k++)
			assert_int_equal(q.phys_offsets[k], w->at[(last - (int)k) * 10 + i]);
	}
	snprintf(key, sizeof(key), "%d", w->n);
	assert_int_equal(find(w, key, &q), 0);
}

static void messages_are_found_at_once(void **state)
{
	struct world *w = world_create(50, 200);
	(void)state;
	world_follow(w);
	send_some(w, 500);
	assert_true(index_is_live(w->log->index));
	assert_true(index_count_files(w->log->index) > 4);
	check(w);
	world_destroy(w);
}

static void messages_are_found_after_a_restart(void **state)
{
	struct world *w = world_create(50, 200);
	(void)state;
	for (int i = 0; i < 8; i++) {
		world_follow(w);
		send_some(w, 17 * i);
		world_close(w);
		world_open(w);
		check(w);
		assert_false(fake_host_logged(&w->h, "index_files_deleted"));
	}
	world_destroy(w);
}

static void log_that_had_no_index_gets_one(void **state)
{
	struct world *w = world_create(0, 0);
	(void)state;
	assert_null(w->log->index);
	send_some(w, 1500);
	world_close(w);
	w->shape = (struct index_shape){ 50, 200 };
	world_open(w);
	assert_false(index_is_live(w->log->index));
	send(w); /* before it has caught up */
	check(w);
	world_destroy(w);
}

static void files_of_another_shape_are_made_again(void **state)
{
	struct world *w = world_create(50, 200);
	(void)state;
	world_follow(w);
	send_some(w, 300);
	world_close(w);
	w->shape = (struct index_shape){ 100, 400 };
	world_open(w);
	check(w);
	assert_true(fake_host_logged(&w->h, "index_files_deleted"));
	world_destroy(w);
}

/* What the checkpoint vouches for is not read from the log again. */
static void crash_costs_only_what_is_newer_than_the_checkpoint(void **state)
{
	struct world *w = world_create(50, 200);
	(void)state;
	world_follow(w);
	send_some(w, 350); /* three files are full */
	flush_now(w);
	fake_host_advance_ms(&w->h, 12000);
	send_some(w, 10);
	world_crash(w, MOSAIC_CRASH_PROCESS, 1);
	check(w);
	assert_int_equal(w->n, 360);
	assert_true(fake_host_logged(&w->h, "rebuilt=1"));
	assert_false(fake_host_logged(&w->h, "index_files_deleted"));
	world_destroy(w);
}

static void what_no_checkpoint_knows_is_made_again_after_a_crash(void **state)
{
	struct world *w = world_create(50, 200);
	(void)state;
	world_follow(w);
	send_some(w, 150);
	world_crash(w, MOSAIC_CRASH_PROCESS, 1);
	check(w);
	assert_int_equal(w->n, 150);
	assert_true(fake_host_logged(&w->h, "index_files_deleted"));
	world_destroy(w);
}

static void any_number_of_crashes_loses_no_key(void **state)
{
	struct world *w = world_create(50, 200);
	(void)state;
	for (uint64_t i = 1; i < 60; i++) {
		send_some(w, (int)(i * 7 % 60));
		if (i % 3)
			flush_now(w);
		if (i % 2)
			fake_host_advance_ms(&w->h, i * 977 % 15000);
		send_some(w, (int)(i * 3 % 20));
		if (i % 5 == 0) {
			world_close(w);
			world_open(w);
		} else {
			world_crash(w, i % 4 ? MOSAIC_CRASH_POWER : MOSAIC_CRASH_PROCESS,
				    i * UINT64_C(0x9e3779b97f4a7c15));
		}
		if (i % 4 == 0)
			check(w);
	}
	check(w);
	world_destroy(w);
}

static void damaged_slots_and_entries_are_noticed(void **state)
{
	struct world *w = world_create(50, 200);
	(void)state;
	world_follow(w);
	send_some(w, 50);
	world_close(w);
	/* A slot that points behind the last entry, as when a close was cut off. */
	world_open(w);
	struct mosaic_stream *s;
	struct mosaic_stream_name name;
	uint32_t i = 0;
	while (w->ops->stream_at(w->store, i, &name) == 0 && name.kind != MOSAIC_INDEX)
		i++;
	assert_int_equal(w->ops->stream_open(w->store, &name, &s), 0);
	static const uint8_t bytes[40] = { [2] = 1, [6] = 2, [39] = 3 };
	struct mosaic_write write = { .req = { .done = done, .data = w },
				      .offset = index_slot_at(7),
				      .ptr = bytes,
				      .len = sizeof(bytes) };
	world_follow(w);
	world_close(w);
	world_open(w);
	assert_int_equal(w->ops->stream_open(w->store, &name, &s), 0);
	w->is_done = false;
	assert_int_equal(w->ops->write(s, &write), MOSAIC_PENDING);
	fake_host_run(&w->h);
	world_follow(w);
	world_close(w);
	world_open(w);
	check(w);
	world_destroy(w);
}

static void files_of_deleted_records_go_with_them(void **state)
{
	struct world *w = world_create(50, 200);
	struct index_query q;
	(void)state;
	world_follow(w);
	send_some(w, 1000);
	flush_now(w);
	fake_host_advance_ms(&w->h, 3000);
	uint32_t before = index_count_files(w->log->index);
	index_trim(w->log->index, w->at[500]);
	assert_true(index_count_files(w->log->index) < before);
	assert_int_equal(find(w, "10", &q), 0);
	assert_int_equal(find(w, "500", &q), 1);
	assert_int_equal(find(w, "999", &q), 1);
	index_trim(w->log->index, UINT64_MAX / 2);
	assert_int_equal(index_count_files(w->log->index), 1);
	world_destroy(w);
}

static void query_waits_for_the_slots(void **state)
{
	struct world *w = world_create(200000, 1000);
	struct index_query q = { .req = { .done = done, .data = w } };
	(void)state;
	world_follow(w);
	send_some(w, 20);
	world_close(w);
	world_open(w);
	q.hash = index_key_hash(index_topic_hash(slice_str("T")), slice_str("7"));
	q.end_ms = INT64_MAX;
	q.max = 1;
	w->is_done = false;
	assert_int_equal(index_query(w->log->index, &q), MOSAIC_PENDING);
	world_follow(w);
	assert_true(w->is_done);
	assert_int_equal(q.n, 1);
	/* One that waits when the log closes is ended. */
	world_close(w);
	world_open(w);
	w->is_done = false;
	assert_int_equal(index_query(w->log->index, &q), MOSAIC_PENDING);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_found_at_once),
		cmocka_unit_test(messages_are_found_after_a_restart),
		cmocka_unit_test(log_that_had_no_index_gets_one),
		cmocka_unit_test(files_of_another_shape_are_made_again),
		cmocka_unit_test(crash_costs_only_what_is_newer_than_the_checkpoint),
		cmocka_unit_test(what_no_checkpoint_knows_is_made_again_after_a_crash),
		cmocka_unit_test(any_number_of_crashes_loses_no_key),
		cmocka_unit_test(damaged_slots_and_entries_are_noticed),
		cmocka_unit_test(files_of_deleted_records_go_with_them),
		cmocka_unit_test(query_waits_for_the_slots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
