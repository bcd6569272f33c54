#include "base/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void every_code_point_is_read_as_it_was_written(void **state)
{
	(void)state;
	for (uint32_t point = 0; point <= 0x10FFFF; point++) {
		uint8_t bytes[4];
		const uint8_t *at = bytes;
		uint32_t n = utf8_put(bytes, point);
		uint32_t expected = point >= 0xD800 && point < 0xE000 ? UTF8_REPLACEMENT : point;

		assert_true(utf8_next(&at, bytes + n) == expected);
		assert_ptr_equal(at, bytes + n);
	}
}

static void damage_never_reads_past_the_end(void **state)
{
	(void)state;
	for (unsigned first = 0x80; first < 0x100; first++) {
		uint8_t bytes[2] = { (uint8_t)first, 0x80 };
		const uint8_t *at = bytes;

		assert_true(utf8_next(&at, bytes + 1) == UTF8_REPLACEMENT);
		assert_ptr_equal(at, bytes + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point_is_read_as_it_was_written),
		cmocka_unit_test(damage_never_reads_past_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
