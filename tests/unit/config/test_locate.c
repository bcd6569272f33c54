#include "config/locate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const char text[] =
	"{\n"                                                   /* 1 */
	"  \"roles\": [\"a, b}\", \"c\\\"]\"],\n"                /* 2 */
	"  \"broker\": { \"id\": -1.5e3, \"x\": null,\n"         /* 3 */
	"    \"store\" :\n"                                     /* 4 */
	"      { \"dir\": \"{\\\\\",\n"                         /* 5 */
	"        \"segment\": true } },\n"                      /* 6 */
	"  \"brokers\": [ {},\n"                                /* 7 */
	"    [ [ 1, 2 ], { \"name\": 3 } ],\n"                  /* 8 */
	"    { \"name\": \"b\",\n"                              /* 9 */
	"      \"list\": [\n"                                   /* 10 */
	"        1,\n"                                          /* 11 */
	"        2 ] } ]\n"                                     /* 12 */
	"}\n";

static uint32_t line(const char *path)
{
	return locate_line(slice_str(text), path);
}

static void finds_members_and_items(void **state)
{
	(void)state;
	assert_int_equal(line("roles"), 2);
	assert_int_equal(line("roles[1]"), 2);
	assert_int_equal(line("broker"), 3);
	assert_int_equal(line("broker.x"), 3);
	assert_int_equal(line("broker.store"), 4);
	assert_int_equal(line("broker.store.dir"), 5);
	assert_int_equal(line("broker.store.segment"), 6);
	assert_int_equal(line("brokers"), 7);
	assert_int_equal(line("brokers[0]"), 7);
	assert_int_equal(line("brokers[1]"), 8);
	assert_int_equal(line("brokers[2].name"), 9);
	assert_int_equal(line("brokers[2].list[1]"), 12);
}

static void what_is_missing_gives_the_line_of_what_is_around(void **state)
{
	(void)state;
	assert_int_equal(line(""), 0);
	assert_int_equal(line("namesrv"), 0);
	assert_int_equal(line("broker.flush"), 3);
	assert_int_equal(line("broker.store.dir.x"), 5);
	assert_int_equal(line("brokers[9].name"), 7);
	assert_int_equal(line("brokers[2].name.x[3]"), 9);
	assert_int_equal(line("roles.x"), 2);
}

/* Problems are only looked up in text that jansson took, but nothing may run off any text. */
static void any_cut_text_ends(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n + 1); /* its end is watched by the sanitizer */

		memcpy(copy, text, n);
		locate_line(slice(copy, n), "brokers[2].list[1]");
		locate_line(slice(copy, n), "broker.store.segment");
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_members_and_items),
		cmocka_unit_test(what_is_missing_gives_the_line_of_what_is_around),
		cmocka_unit_test(any_cut_text_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
