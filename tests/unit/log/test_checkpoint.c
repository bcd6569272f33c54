#include "log_fixture.h"

static int64_t saved(const struct fixture *f, uint32_t at)
{
	assert_non_null(f->disk.checkpoint);
	return (int64_t)get_be64(f->disk.checkpoint + at);
}

static void sync_log(struct fixture *f)
{
	flush_sync(&f->flush);
	fake_host_run(&f->h);
}

static void idle_log_writes_nothing(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	fake_host_advance_ms(&f.h, 60000);
	assert_int_equal(f.disk.n_saves, 0);
	assert_int_equal(fake_host_timers(&f.h), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	fake_host_advance_ms(&f.h, 500);
	sync_log(&f);
	fake_host_advance_ms(&f.h, 30000);
	int n = f.disk.n_saves;
	assert_true(n > 0);
	fake_host_advance_ms(&f.h, 60000);
	assert_int_equal(f.disk.n_saves, n);
	assert_int_equal(fake_host_timers(&f.h), 0);
	fixture_fini(&f);
}

static void physic_time_waits_for_durable(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	int64_t first_ms = f.log->last_store_ms;
	fake_host_advance_ms(&f.h, 4000);
	assert_int_equal(f.disk.n_saves, 0); /* nothing is known to be durable */
	sync_log(&f);
	fake_host_advance_ms(&f.h, 100);
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), 0);
	fake_host_advance_ms(&f.h, 900);
	assert_int_equal(saved(&f, 0), first_ms);
	fake_host_advance_ms(&f.h, 20000);
	assert_int_equal(saved(&f, 0), first_ms); /* b is not durable yet */
	sync_log(&f);
	fake_host_advance_ms(&f.h, 2000);
	assert_int_equal(saved(&f, 0), f.log->last_store_ms);
	fixture_fini(&f);
}

static void queues_are_synced_every_five_seconds_when_dirty(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
		sync_log(&f);
		fake_host_advance_ms(&f.h, 1000);
	}
	assert_in_range(f.disk.n_queue_syncs, 3, 4);
	assert_true(saved(&f, 8) > (int64_t)FAKE_WALL_MS);
	assert_true(saved(&f, 8) <= f.log->last_store_ms);
	/* The record to start from: its unit and all below it are synced. */
	assert_true(saved(&f, 72) > 0);
	assert_true((uint64_t)saved(&f, 72) <= f.log->last_unit_phys);
	assert_in_range(f.disk.n_saves, 15, 21); /* about one a second */
	fixture_fini(&f);
}

/* 10,240 queues more than there are: 5 s and 0.5 s for each 1024. */
static void many_queues_are_synced_more_seldom(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	f.log->queues.count += 10240;
	for (int i = 0; i < 24; i++) {
		assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
		sync_log(&f);
		fake_host_advance_ms(&f.h, 1000);
	}
	assert_int_equal(f.disk.n_queue_syncs, 2);
	f.log->queues.count -= 10240;
	fixture_fini(&f);
}

static void much_data_syncs_the_queues_early(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	f.disk.log_bytes = 80u << 20;
	f.disk.segment_bytes = 16u << 20;
	assert_int_equal(fixture_open(&f), 0);
	char *body = malloc((1 << 20) - 1000);
	memset(body, 'x', (1 << 20) - 1000);
	body[(1 << 20) - 1001] = 0;
	for (int i = 0; i < 70; i++)
		assert_int_equal(fixture_send(&f, "T", 0, body, NULL), 0);
	assert_int_equal(f.disk.n_queue_syncs, 1);
	free(body);
	fixture_fini(&f);
}

static void close_leaves_a_complete_checkpoint(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), 0);
	int64_t last_ms = f.log->last_store_ms;
	uint64_t last = f.log->last_unit_phys;
	fixture_stop(&f, CLEAN);
	assert_int_equal(f.disk.checkpoint_len, CHECKPOINT_BYTES);
	assert_int_equal(saved(&f, 0), last_ms);
	assert_int_equal(saved(&f, 8), last_ms);
	assert_int_equal(saved(&f, 72), last);
	assert_int_equal(saved(&f, 80), last_ms);
	fixture_fini(&f);
}

static void fields_of_apaches_broker_are_kept(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	f.disk.checkpoint = calloc(1, CHECKPOINT_BYTES);
	f.disk.checkpoint_len = CHECKPOINT_BYTES;
	put_be64(f.disk.checkpoint + 16, 1111);
	put_be64(f.disk.checkpoint + 24, 2222);
	put_be64(f.disk.checkpoint + 32, 3333);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	fixture_stop(&f, CLEAN);
	assert_true(saved(&f, 0) > (int64_t)FAKE_WALL_MS);
	assert_int_equal(saved(&f, 16), 1111);
	assert_int_equal(saved(&f, 24), 2222);
	assert_int_equal(saved(&f, 32), 3333);
	fixture_fini(&f);
}

static void broken_log_claims_nothing_new(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	f.disk.fail_sync = MOSAIC_E_IO;
	flush_sync(&f.flush);
	fake_host_advance_ms(&f.h, 20000);
	fixture_stop(&f, CLEAN);
	assert_int_equal(f.disk.n_saves, 0);
	fixture_fini(&f);
}

static void garbage_is_no_checkpoint(void **state)
{
	(void)state;
	struct fake_host h;
	struct log log = { 0 };
	struct checkpoint c;
	uint8_t bytes[CHECKPOINT_BYTES + 1] = { 0 };
	fake_host_init(&h);
	log.host = &h.host;
	checkpoint_init(&c, &log);
	assert_true(checkpoint_parse(&c, slice(bytes, CHECKPOINT_BYTES)));
	assert_int_equal(c.resume, UINT64_MAX);
	assert_false(checkpoint_parse(&c, slice(bytes, CHECKPOINT_BYTES - 1)));
	assert_false(checkpoint_parse(&c, slice(bytes, CHECKPOINT_BYTES + 1)));
	assert_false(checkpoint_parse(&c, slice(bytes, 0)));
	for (uint32_t at = 0; at < 40; at += 8) {
		put_be64(bytes + at, UINT64_MAX);
		assert_false(checkpoint_parse(&c, slice(bytes, CHECKPOINT_BYTES)));
		put_be64(bytes + at, 0);
	}
	put_be64(bytes, FAKE_WALL_MS + UINT64_C(1000000000)); /* from the future */
	assert_false(checkpoint_parse(&c, slice(bytes, CHECKPOINT_BYTES)));
	assert_int_equal(c.physic_ms, 0);
	fake_host_fini(&h);
}

static void queues_that_could_not_be_synced_are_synced_later(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	f.disk.queue_sync_status = MOSAIC_E_NOSPACE;
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	sync_log(&f);
	fake_host_advance_ms(&f.h, 8000);
	assert_true(f.disk.n_queue_syncs > 0);
	assert_int_equal(saved(&f, 8), 0); /* nothing is claimed for them */
	f.disk.queue_sync_status = 0; /* there is room again; nothing else happens */
	fake_host_advance_ms(&f.h, 8000);
	assert_int_equal(saved(&f, 8), f.log->last_store_ms);
	assert_int_equal(saved(&f, 72), f.log->last_unit_phys);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_log_writes_nothing),
		cmocka_unit_test(physic_time_waits_for_durable),
		cmocka_unit_test(queues_are_synced_every_five_seconds_when_dirty),
		cmocka_unit_test(many_queues_are_synced_more_seldom),
		cmocka_unit_test(much_data_syncs_the_queues_early),
		cmocka_unit_test(close_leaves_a_complete_checkpoint),
		cmocka_unit_test(fields_of_apaches_broker_are_kept),
		cmocka_unit_test(broken_log_claims_nothing_new),
		cmocka_unit_test(garbage_is_no_checkpoint),
		cmocka_unit_test(queues_that_could_not_be_synced_are_synced_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
