#include "base/host.h"
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void values_with_blanks_are_quoted_and_escaped(void **state)
{
	char out[64], small[8];

	(void)state;
	assert_string_equal(host_log_quote(out, sizeof(out), "plain-1"), "plain-1");
	assert_string_equal(host_log_quote(out, sizeof(out), ""), "\"\"");
	assert_string_equal(host_log_quote(out, sizeof(out), "a b"), "\"a b\"");
	assert_string_equal(host_log_quote(out, sizeof(out), "k=\"v\"\\\n\t\x01"),
			    "\"k=\\\"v\\\"\\\\\\n\\t\\x01\"");
	assert_string_equal(host_log_quote(out, sizeof(out), "v\xc3\xa9"), "v\xc3\xa9");
	assert_string_equal(host_log_quote(small, sizeof(small), "abcdefghij"), "abcdefg");
	assert_string_equal(host_log_quote(small, sizeof(small), "a b c d e f"), "\"a b c\"");
	assert_string_equal(host_log_quote(small, sizeof(small), " abc\n"), "\" abc\"");
}

static char last_line[2000];

static void keep_line(const struct mosaic_host *host, uint32_t level, const char *event,
		      const char *text)
{
	(void)host;
	snprintf(last_line, sizeof(last_line), "%u %s %s", level, event, text);
}

static void log_formats_and_cuts_a_line(void **state)
{
	struct mosaic_host host = { .log = keep_line };
	char text[1500];

	(void)state;
	LOG_WARN(&host, "topic_created", "topic=%s queues=%d", "t", 4);
	assert_string_equal(last_line, "1 topic_created topic=t queues=4");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	LOG_ERROR(&host, "e", "%s", text);
	assert_int_equal(strlen(last_line), strlen("0 e ") + 1023);
}

static void timers_come_out_by_time_then_by_start(void **state)
{
	struct timer_heap heap = TIMER_HEAP_INIT;
	struct mosaic_timer timers[200];
	uint32_t seed = 7, popped = 0;

	(void)state;
	memset(timers, 0, sizeof(timers));
	assert_null(timer_heap_first(&heap));
	for (int i = 0; i < 200; i++) {
		seed = seed * 1664525 + 1013904223;
		timer_heap_add(&heap, &timers[i], 1 + (seed >> 8) % 50);
	}
	for (int i = 0; i < 200; i += 3)
		timer_heap_remove(&heap, &timers[i]);
	for (int i = 1; i < 200; i += 3) /* moved, and now last among equals */
		timer_heap_add(&heap, &timers[i], 25);
	assert_null(timer_heap_pop(&heap, 0));

	struct mosaic_timer *t, *before = NULL;
	uint64_t due_before = 0, sequence_before = 0;
	while ((t = timer_heap_first(&heap)) != NULL) {
		uint64_t due = t->due_ns, sequence = t->reserved[1];

		assert_ptr_not_equal(t, before);
		assert_null(timer_heap_pop(&heap, due - 1));
		assert_ptr_equal(timer_heap_pop(&heap, due), t);
		assert_int_equal(t->due_ns, 0);
		assert_true(due > due_before || (due == due_before && sequence > sequence_before));
		due_before = due;
		sequence_before = sequence;
		before = t;
		popped++;
	}
	assert_int_equal(popped, 133);
	timer_heap_free(&heap);
}

static void removing_a_timer_that_is_not_running_does_nothing(void **state)
{
	struct timer_heap heap = TIMER_HEAP_INIT;
	struct mosaic_timer a = { 0 }, b = { 0 };

	(void)state;
	timer_heap_remove(&heap, &a);
	timer_heap_add(&heap, &a, 5);
	timer_heap_remove(&heap, &b);
	assert_ptr_equal(timer_heap_first(&heap), &a);
	timer_heap_free(&heap);
	assert_int_equal(a.due_ns, 0);
	timer_heap_remove(&heap, &a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_with_blanks_are_quoted_and_escaped),
		cmocka_unit_test(log_formats_and_cuts_a_line),
		cmocka_unit_test(timers_come_out_by_time_then_by_start),
		cmocka_unit_test(removing_a_timer_that_is_not_running_does_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
