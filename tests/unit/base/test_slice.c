#include "base/slice.h"
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void compare_orders_by_bytes_then_by_length(void **state)
{
	(void)state;
	assert_true(slice_compare(slice_str("a"), slice_str("b")) < 0);
	assert_true(slice_compare(slice_str("b"), slice_str("a")) > 0);
	assert_true(slice_compare(slice_str("a"), slice_str("ab")) < 0);
	assert_true(slice_compare(slice_str("\xff"), slice_str("a")) > 0);
	assert_int_equal(slice_compare(slice_str("ab"), slice_str("ab")), 0);
	assert_int_equal(slice_compare(slice(NULL, 0), slice_str("")), 0);
	assert_true(slice_compare(slice(NULL, 0), slice_str("a")) < 0);
}

static void nocase_folds_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(slice_is_nocase(slice_str("TrUe"), "true"));
	assert_true(slice_is_nocase(slice_str(""), ""));
	assert_false(slice_is_nocase(slice_str("tru"), "true"));
	assert_false(slice_is_nocase(slice_str("@"), "`")); /* differ by the case bit too */
	assert_false(slice_is_nocase(slice_str("["), "{"));
}

static void equality_and_prefix(void **state)
{
	(void)state;
	assert_true(slice_eq(slice(NULL, 0), slice_str("")));
	assert_true(slice_is(slice_str("x"), "x"));
	assert_false(slice_is(slice_str("x"), "xy"));
	assert_true(slice_has_prefix(slice_str("%RETRY%g"), "%RETRY%"));
	assert_false(slice_has_prefix(slice_str("%RE"), "%RETRY%"));
}

static void dup_is_terminated(void **state)
{
	char *copy = slice_dup(slice("abc", 2)), *empty = slice_dup(slice(NULL, 0));

	(void)state;
	assert_string_equal(copy, "ab");
	assert_string_equal(empty, "");
	free(copy);
	free(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compare_orders_by_bytes_then_by_length),
		cmocka_unit_test(nocase_folds_ascii_letters_only),
		cmocka_unit_test(equality_and_prefix),
		cmocka_unit_test(dup_is_terminated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
