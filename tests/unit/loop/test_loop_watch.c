#include "loop/loop_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* A turn of busy_ns, of which cpu_ns were used; slept: by itself, poll apart. */
static void turn(struct loop_watch *watch, struct loop_time *t, uint64_t busy_ns, uint64_t cpu_ns,
		 bool slept)
{
	t->now_ns += busy_ns + 40000;
	t->idle_ns += 40000;
	t->cpu_ns += cpu_ns;
	t->sleeps += slept ? 2 : 1; /* one is poll's */
	loop_watch_turn(watch, t);
}

static void a_turn_counts_without_the_time_spent_waiting(void **state)
{
	struct loop_watch watch;
	struct loop_time t = { .now_ns = 1000 };
	(void)state;
	loop_watch_init(&watch, &t);
	turn(&watch, &t, 10000, 10000, false);
	struct loop_stats stats = loop_watch_stats(&watch);
	assert_int_equal(stats.turns, 1);
	assert_int_equal(stats.max_ns, 10000);
	assert_int_equal(stats.busy_ns, 10000);
	assert_int_equal(stats.stalls, 0);
}

static void a_turn_above_a_millisecond_is_a_stall(void **state)
{
	struct loop_watch watch;
	struct loop_time t = { .now_ns = 0 };
	(void)state;
	loop_watch_init(&watch, &t);
	for (int i = 0; i < 990; i++)
		turn(&watch, &t, 10000, 10000, false);
	for (int i = 0; i < 10; i++)
		turn(&watch, &t, LOOP_STALL_NS + 1, LOOP_STALL_NS + 1, false);
	turn(&watch, &t, LOOP_STALL_NS, LOOP_STALL_NS, false); /* just not */
	struct loop_stats stats = loop_watch_stats(&watch);
	assert_int_equal(stats.stalls, 10);
	assert_int_equal(stats.displaced, 0);
	assert_int_equal(stats.max_ns, LOOP_STALL_NS + 1);
	assert_in_range(stats.p50_ns, 9600, 10400);
	loop_watch_reset(&watch);
	assert_int_equal(loop_watch_stats(&watch).turns, 0);
	assert_int_equal(loop_watch_stats(&watch).stalls, 0);
}

static void a_sleep_outside_poll_is_a_stall(void **state)
{
	struct loop_watch watch;
	struct loop_time t = { .now_ns = 0 };
	(void)state;
	loop_watch_init(&watch, &t);
	turn(&watch, &t, 2 * LOOP_STALL_NS, 1000, true);
	assert_int_equal(loop_watch_stats(&watch).stalls, 1);
	assert_int_equal(loop_watch_stats(&watch).displaced, 0);
}

static void a_turn_that_had_no_core_was_displaced(void **state)
{
	struct loop_watch watch;
	struct loop_time t = { .now_ns = 0 };
	(void)state;
	loop_watch_init(&watch, &t);
	turn(&watch, &t, 2 * LOOP_STALL_NS, 1000, false);
	assert_int_equal(loop_watch_stats(&watch).stalls, 0);
	assert_int_equal(loop_watch_stats(&watch).displaced, 1);
	assert_int_equal(loop_watch_stats(&watch).max_ns, 2 * LOOP_STALL_NS);
}

static void clocks_read_in_a_bad_moment_do_not_wrap(void **state)
{
	struct loop_watch watch;
	struct loop_time t = { .now_ns = 0 };
	(void)state;
	loop_watch_init(&watch, &t);
	t = (struct loop_time){ .now_ns = 100, .idle_ns = 101 };
	loop_watch_turn(&watch, &t);
	assert_int_equal(loop_watch_stats(&watch).max_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_counts_without_the_time_spent_waiting),
		cmocka_unit_test(a_turn_above_a_millisecond_is_a_stall),
		cmocka_unit_test(a_sleep_outside_poll_is_a_stall),
		cmocka_unit_test(a_turn_that_had_no_core_was_displaced),
		cmocka_unit_test(clocks_read_in_a_bad_moment_do_not_wrap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
