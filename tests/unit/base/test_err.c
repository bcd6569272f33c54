#include "base/err.h"
#include <errno.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void set_fills_and_returns_the_code(void **state)
{
	struct mosaic_error err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, MOSAIC_E_LIMIT, "%d topics", 7), MOSAIC_E_LIMIT);
	assert_int_equal(err.code, MOSAIC_E_LIMIT);
	assert_int_equal(err.os_errno, 0);
	assert_string_equal(err.text, "7 topics");
	assert_int_equal(err_set(NULL, MOSAIC_E_IO, "x"), MOSAIC_E_IO);
}

static void os_error_names_its_cause(void **state)
{
	struct mosaic_error err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set_os(&err, MOSAIC_E_IO, ENOENT, "cannot open %s", "f"), MOSAIC_E_IO);
	assert_int_equal(err.os_errno, ENOENT);
	assert_string_equal(err.text, "cannot open f: No such file or directory");
	assert_int_equal(err_set_os(NULL, MOSAIC_E_IO, ENOENT, "x"), MOSAIC_E_IO);
}

static void long_texts_are_cut(void **state)
{
	struct mosaic_error err = ERR_INIT;
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	err_set_os(&err, MOSAIC_E_IO, EIO, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void every_status_has_name_and_text(void **state)
{
	(void)state;
	assert_string_equal(status_name(MOSAIC_E_AGAIN), "E_AGAIN");
	assert_string_equal(status_name(0), "OK");
	assert_string_equal(status_name(-99), "UNKNOWN");
	for (int status = -13; status <= 1; status++) {
		assert_string_not_equal(status_name(status), "UNKNOWN");
		assert_string_not_equal(status_text(status), status_text(-99));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_and_returns_the_code),
		cmocka_unit_test(os_error_names_its_cause),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(every_status_has_name_and_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
