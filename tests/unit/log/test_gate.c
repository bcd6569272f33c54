#include "log_fixture.h"

struct waiter {
	struct gate_wait wait;
	int result; /* -1: not yet */
	int order;
	int *counter;
	struct gate *gate;
	struct waiter *next; /* added to the gate by done() */
};

static void waiter_done(struct gate_wait *wait, enum gate_result result)
{
	struct waiter *w = CONTAINER_OF(wait, struct waiter, wait);
	assert_int_equal(w->result, -1);
	w->result = (int)result;
	w->order = ++*w->counter;
	if (w->next)
		gate_add(w->gate, &w->next->wait, w->next->wait.end);
}

struct gate_fixture {
	struct fake_host h;
	struct gate gate;
	struct waiter w[8];
	int counter;
};

static void setup(struct gate_fixture *f, bool flush_gates, bool repl_gates)
{
	memset(f, 0, sizeof(*f));
	fake_host_init(&f->h);
	gate_init(&f->gate, &f->h.host, flush_gates, repl_gates, 5 * SECOND_NS);
	for (size_t i = 0; i < ARRAY_LEN(f->w); i++)
		f->w[i] = (struct waiter){ .wait.done = waiter_done,
					   .result = -1,
					   .counter = &f->counter,
					   .gate = &f->gate };
}

static void add(struct gate_fixture *f, int i, uint64_t end)
{
	gate_add(&f->gate, &f->w[i].wait, end);
}

static void teardown(struct gate_fixture *f)
{
	gate_break(&f->gate);
	gate_fini(&f->gate);
	assert_int_equal(fake_host_timers(&f->h), 0);
	fake_host_fini(&f->h);
}

static void gate_without_promises_is_open(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, false, false);
	assert_true(gate_is_open(&f.gate, UINT64_MAX));
	teardown(&f);
}

static void watermark_releases_a_prefix_in_order(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, false);
	add(&f, 0, 100);
	add(&f, 1, 200);
	add(&f, 2, 200);
	add(&f, 3, 300);
	gate_set_durable(&f.gate, 99);
	assert_int_equal(f.counter, 0);
	gate_set_durable(&f.gate, 250);
	assert_int_equal(f.w[0].order, 1);
	assert_int_equal(f.w[1].order, 2);
	assert_int_equal(f.w[2].order, 3);
	assert_int_equal(f.w[2].result, GATE_KEPT);
	assert_int_equal(f.w[3].result, -1);
	assert_true(gate_is_open(&f.gate, 250));
	assert_false(gate_is_open(&f.gate, 251));
	gate_set_durable(&f.gate, 10); /* goes back: ignored */
	assert_true(gate_is_open(&f.gate, 250));
	gate_set_durable(&f.gate, 300);
	assert_int_equal(f.w[3].result, GATE_KEPT);
	assert_int_equal(f.gate.n_waits, 0);
	teardown(&f);
}

static void both_watermarks_must_pass(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, true);
	add(&f, 0, 100);
	gate_set_durable(&f.gate, 100);
	assert_int_equal(f.w[0].result, -1);
	gate_set_ackable(&f.gate, 100);
	assert_int_equal(f.w[0].result, GATE_KEPT);
	teardown(&f);
}

static void deadline_answers_flush_timeout(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, false);
	add(&f, 0, 100);
	fake_host_advance_ms(&f.h, 2000);
	add(&f, 1, 200);
	fake_host_advance_ms(&f.h, 2999);
	assert_int_equal(f.w[0].result, -1);
	fake_host_advance_ms(&f.h, 1);
	assert_int_equal(f.w[0].result, GATE_FLUSH_TIMEOUT);
	assert_int_equal(f.w[1].result, -1);
	fake_host_advance_ms(&f.h, 2000);
	assert_int_equal(f.w[1].result, GATE_FLUSH_TIMEOUT);
	teardown(&f);
}

static void deadline_answers_slave_timeout_when_only_the_slave_is_late(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, true);
	add(&f, 0, 100);
	gate_set_durable(&f.gate, 100);
	fake_host_advance_ms(&f.h, 5000);
	assert_int_equal(f.w[0].result, GATE_SLAVE_TIMEOUT);
	teardown(&f);
}

static void waiter_after_a_released_one_keeps_its_own_deadline(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, false);
	add(&f, 0, 100);
	fake_host_advance_ms(&f.h, 3000);
	gate_set_durable(&f.gate, 100);
	add(&f, 1, 200);
	fake_host_advance_ms(&f.h, 4999);
	assert_int_equal(f.w[1].result, -1);
	fake_host_advance_ms(&f.h, 1);
	assert_int_equal(f.w[1].result, GATE_FLUSH_TIMEOUT);
	teardown(&f);
}

static void missing_slave_is_told_at_once_and_not_inside_add(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, false, true);
	add(&f, 0, 100);
	gate_set_repl_promise(&f.gate, MOSAIC_PROMISE_NOT_NOW);
	assert_int_equal(f.w[0].result, GATE_NO_SLAVE);
	add(&f, 1, 200);
	assert_int_equal(f.w[1].result, -1);
	fake_host_run(&f.h);
	fake_host_advance_ms(&f.h, 0);
	assert_int_equal(f.w[1].result, GATE_NO_SLAVE);
	gate_set_repl_promise(&f.gate, MOSAIC_PROMISE_KEPT);
	add(&f, 2, 300);
	fake_host_advance_ms(&f.h, 1);
	assert_int_equal(f.w[2].result, -1);
	gate_set_ackable(&f.gate, 300);
	assert_int_equal(f.w[2].result, GATE_KEPT);
	teardown(&f);
}

static void waiter_for_what_is_covered_is_kept(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, false);
	gate_set_durable(&f.gate, 100);
	add(&f, 0, 100);
	assert_int_equal(f.w[0].result, -1);
	fake_host_advance_ms(&f.h, 0);
	assert_int_equal(f.w[0].result, GATE_KEPT);
	teardown(&f);
}

static void done_may_wait_again(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, false);
	f.w[0].next = &f.w[3];
	f.w[3].wait.end = 300;
	f.w[1].next = &f.w[4];
	f.w[4].wait.end = 400;
	add(&f, 0, 100);
	add(&f, 1, 200);
	gate_set_durable(&f.gate, 350);
	assert_int_equal(f.w[3].result, GATE_KEPT);
	assert_int_equal(f.w[3].order, 3);
	assert_int_equal(f.w[4].result, -1);
	teardown(&f);
	assert_int_equal(f.w[4].result, GATE_BROKEN);
}

static void broken_gate_answers_all_now_and_later(void **state)
{
	(void)state;
	struct gate_fixture f;
	setup(&f, true, false);
	add(&f, 0, 100);
	add(&f, 1, 200);
	gate_set_durable(&f.gate, 100);
	gate_break(&f.gate);
	assert_int_equal(f.w[0].result, GATE_KEPT);
	assert_int_equal(f.w[1].result, GATE_BROKEN);
	gate_set_durable(&f.gate, 1000);
	add(&f, 2, 50); /* even what is covered: the log is closing or has failed */
	fake_host_advance_ms(&f.h, 0);
	assert_int_equal(f.w[2].result, GATE_BROKEN);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gate_without_promises_is_open),
		cmocka_unit_test(watermark_releases_a_prefix_in_order),
		cmocka_unit_test(both_watermarks_must_pass),
		cmocka_unit_test(deadline_answers_flush_timeout),
		cmocka_unit_test(deadline_answers_slave_timeout_when_only_the_slave_is_late),
		cmocka_unit_test(waiter_after_a_released_one_keeps_its_own_deadline),
		cmocka_unit_test(missing_slave_is_told_at_once_and_not_inside_add),
		cmocka_unit_test(waiter_for_what_is_covered_is_kept),
		cmocka_unit_test(done_may_wait_again),
		cmocka_unit_test(broken_gate_answers_all_now_and_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
