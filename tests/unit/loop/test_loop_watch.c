#include "loop/loop_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void a_turn_counts_without_the_time_spent_waiting(void **state)
{
	struct loop_watch watch;
	(void)state;
	loop_watch_init(&watch, 1000, 0);
	loop_watch_turn(&watch, 51000, 40000); /* 50 us passed, 40 of them waiting */
	struct loop_stats stats = loop_watch_stats(&watch);
	assert_int_equal(stats.turns, 1);
	assert_int_equal(stats.max_ns, 10000);
	assert_int_equal(stats.busy_ns, 10000);
	assert_int_equal(stats.stalls, 0);
}

static void a_turn_above_a_millisecond_is_a_stall(void **state)
{
	struct loop_watch watch;
	uint64_t now_ns = 0;
	(void)state;
	loop_watch_init(&watch, now_ns, 0);
	for (int i = 0; i < 990; i++)
		loop_watch_turn(&watch, now_ns += 10000, 0);
	for (int i = 0; i < 10; i++)
		loop_watch_turn(&watch, now_ns += LOOP_STALL_NS + 1, 0);
	loop_watch_turn(&watch, now_ns += LOOP_STALL_NS, 0); /* just not */
	struct loop_stats stats = loop_watch_stats(&watch);
	assert_int_equal(stats.stalls, 10);
	assert_int_equal(stats.max_ns, LOOP_STALL_NS + 1);
	assert_in_range(stats.p50_ns, 9600, 10400);
	loop_watch_reset(&watch);
	assert_int_equal(loop_watch_stats(&watch).turns, 0);
	assert_int_equal(loop_watch_stats(&watch).stalls, 0);
}

static void clocks_read_in_a_bad_moment_do_not_wrap(void **state)
{
	struct loop_watch watch;
	(void)state;
	loop_watch_init(&watch, 0, 0);
	loop_watch_turn(&watch, 100, 101);
	assert_int_equal(loop_watch_stats(&watch).max_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_counts_without_the_time_spent_waiting),
		cmocka_unit_test(a_turn_above_a_millisecond_is_a_stall),
		cmocka_unit_test(clocks_read_in_a_bad_moment_do_not_wrap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
