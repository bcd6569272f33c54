/* FLUSH-01 to FLUSH-04 and the timing of flush-async. */
#include "fake_log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

extern const struct mosaic_plugin mosaic_plugin_flush_sync, mosaic_plugin_flush_async;

static void sync_asks_at_once_and_covers_what_came_meanwhile(void **state)
{
	struct fake_log l;

	(void)state;
	fake_log_open(&l, &mosaic_plugin_flush_sync, 100);
	assert_int_equal(fake_log_durable(&l), 100);
	fake_log_append(&l, 200);
	assert_int_equal(l.n_asked, 1);
	assert_int_equal(l.pending->upto, 200);
	fake_log_append(&l, 300);
	fake_log_append(&l, 400);
	assert_int_equal(l.n_asked, 1); /* one at a time */
	fake_log_answer(&l, 0);
	assert_int_equal(fake_log_durable(&l), 200);
	assert_int_equal(l.pending->upto, 400); /* group commit */
	fake_log_answer(&l, 0);
	assert_int_equal(fake_log_durable(&l), 400);
	assert_null(l.pending);
	fake_log_close(&l);
	fake_log_fini(&l);
}

static void sync_gates_and_needs_a_store_that_syncs(void **state)
{
	(void)state;
	assert_int_equal(mosaic_plugin_flush_sync.caps, MOSAIC_FLUSH_CAP_GATES);
	assert_int_equal(mosaic_plugin_flush_sync.wants, MOSAIC_STORE_CAP_SYNC);
	assert_int_equal(mosaic_plugin_flush_async.caps, 0);
}

static void failed_sync_is_final(void **state)
{
	const struct mosaic_plugin *const plugins[] = { &mosaic_plugin_flush_sync,
							&mosaic_plugin_flush_async };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fake_log l;

		fake_log_open(&l, plugins[i], 0);
		fake_log_append(&l, 100000);
		fake_host_advance_ms(&l.host, 500);
		fake_log_answer(&l, 0);
		fake_log_append(&l, 200000);
		fake_host_advance_ms(&l.host, 500);
		fake_log_answer(&l, MOSAIC_E_IO);
		assert_true(l.host.failed);
		assert_int_equal(l.host.failure.code, MOSAIC_E_IO);
		assert_int_equal(l.host.promise[MOSAIC_DURABLE], MOSAIC_PROMISE_BROKEN);
		fake_log_append(&l, 300000);
		fake_host_advance_ms(&l.host, 60000);
		assert_null(l.pending); /* nothing is asked for any more */
		assert_int_equal(fake_log_durable(&l), 100000);
		fake_log_close(&l);
		assert_int_equal(l.close_req.status, MOSAIC_E_IO);
		fake_log_fini(&l);
	}
}

static void refusal_for_the_moment_is_asked_again(void **state)
{
	struct fake_log l;

	(void)state;
	fake_log_open(&l, &mosaic_plugin_flush_sync, 0);
	l.n_refuse = 2;
	l.refuse_with = MOSAIC_E_AGAIN;
	fake_log_append(&l, 10);
	assert_null(l.pending);
	fake_log_append(&l, 20);
	fake_host_advance_ms(&l.host, 10);
	assert_false(l.host.failed);
	assert_int_equal(l.pending->upto, 20);
	fake_log_answer(&l, 0);
	assert_int_equal(fake_log_durable(&l), 20);
	fake_log_close(&l);
	fake_log_fini(&l);
}

static void refusal_for_good_is_a_failure(void **state)
{
	struct fake_log l;

	(void)state;
	fake_log_open(&l, &mosaic_plugin_flush_sync, 0);
	l.n_refuse = 1;
	l.refuse_with = MOSAIC_E_FATAL;
	fake_log_append(&l, 10);
	assert_true(l.host.failed);
	fake_log_close(&l);
	assert_int_equal(l.close_req.status, MOSAIC_E_FATAL);
	fake_log_fini(&l);
}

static void close_syncs_what_is_left(void **state)
{
	const struct mosaic_plugin *const plugins[] = { &mosaic_plugin_flush_sync,
							&mosaic_plugin_flush_async };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fake_log l;

		fake_log_open(&l, plugins[i], 0);
		fake_log_append(&l, 10);
		fake_log_append(&l, 20);
		fake_log_close(&l);
		assert_int_equal(l.n_closed, 0);
		if (l.pending->upto == 10) /* flush-sync had begun */
			fake_log_answer(&l, 0);
		assert_int_equal(l.pending->upto, 20);
		fake_log_answer(&l, 0);
		assert_int_equal(fake_log_durable(&l), 20);
		assert_int_equal(l.close_req.status, 0);
		fake_log_fini(&l);
	}
}

static void close_without_appends_completes(void **state)
{
	struct fake_log l;

	(void)state;
	fake_log_open(&l, &mosaic_plugin_flush_async, 7);
	fake_log_close(&l);
	assert_int_equal(l.n_asked, 0);
	fake_log_fini(&l);
}

static void async_syncs_at_the_interval_when_enough_has_gathered(void **state)
{
	struct fake_log l;

	(void)state;
	fake_log_open(&l, &mosaic_plugin_flush_async, 0);
	assert_int_equal(fake_host_timers(&l.host), 0); /* idle */
	fake_log_append(&l, 16 * 1024);
	assert_null(l.pending);
	fake_host_advance_ms(&l.host, 499);
	assert_null(l.pending);
	fake_host_advance_ms(&l.host, 1);
	assert_int_equal(l.pending->upto, 16 * 1024);
	fake_log_answer(&l, 0);
	assert_int_equal(fake_log_durable(&l), 16 * 1024);
	assert_int_equal(fake_host_timers(&l.host), 0);
	fake_log_close(&l);
	fake_log_fini(&l);
}

static void async_lets_little_wait_for_thorough(void **state)
{
	struct fake_log l;

	(void)state;
	fake_log_open(&l, &mosaic_plugin_flush_async, 0);
	fake_log_append(&l, 1);
	fake_host_advance_ms(&l.host, 9999);
	assert_null(l.pending);
	fake_host_advance_ms(&l.host, 1);
	assert_int_equal(l.pending->upto, 1);
	fake_log_answer(&l, 0);
	fake_log_close(&l);
	fake_log_fini(&l);
}

static void async_counts_the_age_of_what_came_during_a_sync(void **state)
{
	struct fake_log l;

	(void)state;
	fake_log_open(&l, &mosaic_plugin_flush_async, 0);
	fake_log_append(&l, 20000);
	fake_host_advance_ms(&l.host, 500); /* asked at 0.5 s */
	fake_log_append(&l, 20001);
	fake_host_advance_ms(&l.host, 4000); /* a slow disk: answered at 4.5 s */
	fake_log_answer(&l, 0);
	assert_null(l.pending);
	fake_host_advance_ms(&l.host, 5999);
	assert_null(l.pending);
	fake_host_advance_ms(&l.host, 1); /* 10 s after it was asked for */
	assert_int_equal(l.pending->upto, 20001);
	fake_log_answer(&l, 0);
	fake_log_close(&l);
	fake_log_fini(&l);
}

static void create_survives_the_end_of_memory(void **state)
{
	const struct mosaic_flush_ops *ops = mosaic_plugin_flush_sync.ops;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_flush *flush;
	struct fake_host h;

	(void)state;
	fake_host_init(&h);
	h.fail_alloc_in = 1;
	assert_int_equal(ops->create(&h.host, NULL, &flush, &err), MOSAIC_E_NOMEM);
	fake_host_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sync_asks_at_once_and_covers_what_came_meanwhile),
		cmocka_unit_test(sync_gates_and_needs_a_store_that_syncs),
		cmocka_unit_test(failed_sync_is_final),
		cmocka_unit_test(refusal_for_the_moment_is_asked_again),
		cmocka_unit_test(refusal_for_good_is_a_failure),
		cmocka_unit_test(close_syncs_what_is_left),
		cmocka_unit_test(close_without_appends_completes),
		cmocka_unit_test(async_syncs_at_the_interval_when_enough_has_gathered),
		cmocka_unit_test(async_lets_little_wait_for_thorough),
		cmocka_unit_test(async_counts_the_age_of_what_came_during_a_sync),
		cmocka_unit_test(create_survives_the_end_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
