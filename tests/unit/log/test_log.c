#include "log_fixture.h"

struct waiter {
	struct gate_wait wait;
	int result;
};

static void waiter_done(struct gate_wait *wait, enum gate_result result)
{
	CONTAINER_OF(wait, struct waiter, wait)->result = (int)result;
}

static struct waiter waiter(void)
{
	return (struct waiter){ .wait.done = waiter_done, .result = -1 };
}

static void ack_waits_for_the_sync(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	struct waiter a = waiter(), b = waiter();
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	assert_false(gate_is_open(&f.log->gate, f.end));
	gate_add(&f.log->gate, &a.wait, f.end);
	flush_sync(&f.flush);
	assert_int_equal(a.result, -1);
	fake_host_run(&f.h);
	assert_int_equal(a.result, GATE_KEPT);
	assert_true(gate_is_open(&f.log->gate, f.end));
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), 0);
	gate_add(&f.log->gate, &b.wait, f.end);
	fake_host_advance_ms(&f.h, 5000);
	assert_int_equal(b.result, GATE_FLUSH_TIMEOUT);
	fixture_fini(&f);
}

static void async_flush_does_not_gate(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	f.flush_gates = false;
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	assert_true(gate_is_open(&f.log->gate, f.end));
	assert_true(f.log->durable < f.end);
	fixture_fini(&f);
}

static void run_end_tells_once_per_burst(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	log_run_end(f.log); /* nothing has grown: the fake plugin would object */
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	log_run_end(f.log);
	assert_int_equal(f.flush.appended, f.end);
	fixture_fini(&f);
}

static void failed_sync_is_never_an_ack(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	struct waiter a = waiter();
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	gate_add(&f.log->gate, &a.wait, f.end);
	f.disk.fail_sync = MOSAIC_E_IO;
	flush_sync(&f.flush);
	fake_host_run(&f.h);
	assert_int_equal(a.result, GATE_BROKEN);
	assert_true(f.log->is_broken);
	assert_string_equal(f.log->why, "the disk does not sync");
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), MOSAIC_E_FATAL);
	/* Not even when the disk comes back. */
	f.disk.fail_sync = 0;
	struct waiter b = waiter();
	gate_add(&f.log->gate, &b.wait, f.end);
	flush_sync(&f.flush);
	fake_host_run(&f.h);
	fake_host_advance_ms(&f.h, 1);
	assert_int_equal(b.result, GATE_BROKEN);
	fixture_expect(&f, "T", 0, 0, "a"); /* consumers go on reading */
	fixture_fini(&f);
}

static void close_keeps_what_its_last_sync_covers(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	struct waiter a = waiter();
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	gate_add(&f.log->gate, &a.wait, f.end);
	fixture_stop(&f, CLEAN);
	assert_int_equal(a.result, GATE_KEPT);
	assert_int_equal(f.close_status, 0);
	assert_true(f.disk.is_clean);
	fixture_fini(&f);
}

static void close_breaks_what_its_last_sync_does_not_cover(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	struct waiter a = waiter();
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	gate_add(&f.log->gate, &a.wait, f.end);
	f.disk.fail_sync = MOSAIC_E_IO;
	fixture_stop(&f, CLEAN);
	assert_int_equal(a.result, GATE_BROKEN);
	assert_int_equal(f.close_status, MOSAIC_E_IO);
	fixture_fini(&f);
}

static void closed_log_takes_nothing(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	struct mosaic_req req = { .done = fixture_closed, .data = &f };
	assert_int_equal(log_close(f.log, &req), MOSAIC_PENDING);
	assert_int_equal(fixture_send(&f, "T", 0, "b", NULL), MOSAIC_E_FATAL);
	assert_int_equal(log_close(f.log, &req), MOSAIC_E_INVAL);
	fake_host_run(&f.h);
	assert_true(f.is_closed);
	assert_int_equal(fake_host_timers(&f.h), f.log->gate.timer.due_ns != 0);
	log_destroy(f.log);
	f.log = NULL;
	fixture_fini(&f);
}

static void reads_end_at_the_end(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f), 0);
	struct mosaic_read read = { .req.done = no_done };
	assert_int_equal(log_read(f.log, 0, 10, &read), MOSAIC_E_NOTFOUND);
	assert_int_equal(fixture_send(&f, "T", 0, "a", NULL), 0);
	assert_int_equal(log_read(f.log, 0, 100000, &read), 0);
	assert_int_equal(read.len, f.end);
	log_unpin(f.log, &read);
	assert_int_equal(log_read(f.log, f.end, 1, &read), MOSAIC_E_NOTFOUND);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ack_waits_for_the_sync),
		cmocka_unit_test(async_flush_does_not_gate),
		cmocka_unit_test(run_end_tells_once_per_burst),
		cmocka_unit_test(failed_sync_is_never_an_ack),
		cmocka_unit_test(close_keeps_what_its_last_sync_covers),
		cmocka_unit_test(close_breaks_what_its_last_sync_does_not_cover),
		cmocka_unit_test(closed_log_takes_nothing),
		cmocka_unit_test(reads_end_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
