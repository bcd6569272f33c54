#include "base/num.h"
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void parses_what_javas_parse_long_does(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t value;
	} cases[] = {
		{ "0", 0, 0 }, { "-0", 0, 0 }, { "+7", 0, 7 }, { "007", 0, 7 },
		{ "9223372036854775807", 0, INT64_MAX }, { "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", MOSAIC_E_INVAL, 0 },
		{ "-9223372036854775809", MOSAIC_E_INVAL, 0 },
		{ "99999999999999999999999", MOSAIC_E_INVAL, 0 }, { "", MOSAIC_E_INVAL, 0 },
		{ "-", MOSAIC_E_INVAL, 0 }, { "+", MOSAIC_E_INVAL, 0 }, { " 1", MOSAIC_E_INVAL, 0 },
		{ "1 ", MOSAIC_E_INVAL, 0 }, { "1.0", MOSAIC_E_INVAL, 0 },
		{ "0x1", MOSAIC_E_INVAL, 0 },
		{ "--1", MOSAIC_E_INVAL, 0 }, { "abc", MOSAIC_E_INVAL, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 0;

		assert_int_equal(num_parse_i64(slice_str(cases[i].text), &value), cases[i].rc);
		assert_true(value == cases[i].value);
	}
	int64_t value;
	assert_int_equal(num_parse_i64(slice(NULL, 0), &value), MOSAIC_E_INVAL);
}

static void i32_refuses_what_does_not_fit(void **state)
{
	int32_t value;

	(void)state;
	assert_int_equal(num_parse_i32(slice_str("2147483647"), &value), 0);
	assert_int_equal(value, INT32_MAX);
	assert_int_equal(num_parse_i32(slice_str("-2147483648"), &value), 0);
	assert_int_equal(value, INT32_MIN);
	assert_int_equal(num_parse_i32(slice_str("2147483648"), &value), MOSAIC_E_INVAL);
	assert_int_equal(num_parse_i32(slice_str("-2147483649"), &value), MOSAIC_E_INVAL);
}

static void bool_is_true_only_for_true(void **state)
{
	(void)state;
	assert_true(num_parse_bool(slice_str("true")));
	assert_true(num_parse_bool(slice_str("TRUE")));
	assert_false(num_parse_bool(slice_str("1")));
	assert_false(num_parse_bool(slice_str("yes")));
	assert_false(num_parse_bool(slice(NULL, 0)));
}

static void formats_as_printf_does(void **state)
{
	static const int64_t values[] = { 0,  1,   -1,	      9,	 10,
					  99, 100, INT32_MIN, INT64_MAX, INT64_MIN };
	uint8_t text[20];
	char expected[32];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint32_t n = num_format_i64(text, values[i]);

		int expected_n = snprintf(expected, sizeof(expected), "%lld", (long long)values[i]);

		assert_int_equal(n, expected_n);
		assert_memory_equal(text, expected, n);
	}
}

static void hex_goes_both_ways(void **state)
{
	uint8_t bytes[3] = { 0x00, 0xAB, 0xF9 }, text[6], back[3];

	(void)state;
	num_format_hex(text, bytes, 3);
	assert_memory_equal(text, "00ABF9", 6);
	assert_int_equal(num_parse_hex(slice(text, 6), back, 3), 0);
	assert_memory_equal(back, bytes, 3);
	assert_int_equal(num_parse_hex(slice_str("00abf9"), back, 3), 0);
	assert_memory_equal(back, bytes, 3);
	assert_int_equal(num_parse_hex(slice_str("00abf"), back, 2), MOSAIC_E_INVAL);
	assert_int_equal(num_parse_hex(slice_str("00abf9"), back, 2), MOSAIC_E_INVAL);
	assert_int_equal(num_parse_hex(slice_str("0g"), back, 1), MOSAIC_E_INVAL);
	assert_int_equal(num_parse_hex(slice_str("@0"), back, 1), MOSAIC_E_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_what_javas_parse_long_does),
		cmocka_unit_test(i32_refuses_what_does_not_fit),
		cmocka_unit_test(bool_is_true_only_for_true),
		cmocka_unit_test(formats_as_printf_does),
		cmocka_unit_test(hex_goes_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
