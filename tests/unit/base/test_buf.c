#include "base/buf.h"
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void appends_grow_and_keep_what_was_there(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_append_byte(&b, (uint8_t)i);
	buf_append(&b, NULL, 0);
	buf_append_slice(&b, slice("xyz", 2));
	assert_int_equal(b.len, 1002);
	assert_true(b.cap >= b.len);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(b.data[i], (uint8_t)i);
	assert_memory_equal(b.data + 1000, "xy", 2);
	buf_free(&b);
	assert_null(b.data);
}

static void text_numbers_and_printf(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_append_str(&b, "n=");
	buf_append_i64(&b, INT64_MIN);
	buf_printf(&b, " %s=%d", "k", 5);
	assert_string_equal(buf_cstr(&b), "n=-9223372036854775808 k=5");
	assert_int_equal(b.len, 26);
	buf_clear(&b);
	assert_string_equal(buf_cstr(&b), "");
	for (int i = 0; i < 100; i++)
		buf_printf(&b, "%d,", i);
	assert_int_equal(strlen(buf_cstr(&b)), b.len);
	assert_int_equal(b.len, 10 * 2 + 90 * 3);
	buf_free(&b);
}

static void room_is_at_the_end_and_not_counted(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_append_str(&b, "ab");
	memcpy(buf_room(&b, 5000), "cd", 2);
	assert_int_equal(b.len, 2);
	assert_true(b.cap >= 5002);
	assert_memory_equal(b.data, "abcd", 4);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_grow_and_keep_what_was_there),
		cmocka_unit_test(text_numbers_and_printf),
		cmocka_unit_test(room_is_at_the_end_and_not_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
