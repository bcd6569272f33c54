#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "wire/property_lines.h"

static void lines_are_names_and_values_without_blanks(void **state)
{
	static const char *const expected[][2] = {
		{ "a", "1" },	   { "b", "x=y" }, { "c", "" },
		{ "host", "h:1" }, { "", "v" },	   { "z", "9" },
	};
	struct mosaic_slice text = slice_str("a=1\n  b = x=y \r\n# no\n!no\n\n   \nc\n"
					     "host:h:1\n=v\nz=9");
	struct mosaic_slice name, value;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_true(property_lines_next(&text, &name, &value));
		assert_true(slice_is(name, expected[i][0]));
		assert_true(slice_is(value, expected[i][1]));
	}
	assert_false(property_lines_next(&text, &name, &value));
	assert_false(property_lines_next(&text, &name, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_names_and_values_without_blanks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
