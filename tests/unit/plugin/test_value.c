#include "plugin/value.h"
#include "plugin/nearest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct options {
	uint8_t on;
	int64_t number;
	uint64_t size, duration;
	const char *text, *address;
	uint32_t choice;
	struct value_list list;
};

#define AT(m) offsetof(struct options, m)

static const struct mosaic_option table[] = {
	{ "on", MOSAIC_T_BOOL, 0, AT(on), "true", NULL, NULL, NULL, "" },
	{ "number", MOSAIC_T_INT, 0, AT(number), "-3", "-10", "10", NULL, "" },
	{ "size", MOSAIC_T_SIZE, 0, AT(size), "1MiB", "1KiB", "8GiB", NULL, "" },
	{ "duration", MOSAIC_T_DURATION, 0, AT(duration), "500ms", "1ms", "72h", NULL, "" },
	{ "text", MOSAIC_T_STRING, 0, AT(text), "hello", NULL, NULL, NULL, "" },
	{ "address", MOSAIC_T_ADDRESS, 0, AT(address), "0.0.0.0:9876", NULL, NULL, NULL, "" },
	{ "choice", MOSAIC_T_CHOICE, 0, AT(choice), "warm", NULL, NULL, "cold|warm|hot", "" },
	{ "list", VALUE_LIST, 0, AT(list), "a|b", NULL, NULL, NULL, "" },
};

static const struct mosaic_option *row(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	fail();
	return NULL;
}

static void defaults_fill_every_type(void **state)
{
	struct options o = { 0 };
	struct mosaic_error err = ERR_INIT;

	(void)state;
	assert_int_equal(value_defaults(table, ARRAY_LEN(table), &o, &err), 0);
	assert_int_equal(o.on, 1);
	assert_int_equal(o.number, -3);
	assert_int_equal(o.size, 1 << 20);
	assert_int_equal(o.duration, 500000000);
	assert_string_equal(o.text, "hello");
	assert_string_equal(o.address, "0.0.0.0:9876");
	assert_int_equal(o.choice, 1);
	assert_int_equal(o.list.count, 2);
	assert_string_equal(o.list.items[1], "b");
	value_free(table, ARRAY_LEN(table), &o);
	assert_null(o.text);
}

static void good_values_are_read_and_printed(void **state)
{
	static const struct {
		const char *name, *text, *printed;
	} rows[] = {
		{ "on", "false", "false" },
		{ "number", "10", "10" },
		{ "size", "65536", "64KiB" },
		{ "size", "8GiB", "8GiB" },
		{ "size", "2000B", "2000" },
		{ "duration", "90s", "90s" },
		{ "duration", "1000ms", "1s" },
		{ "duration", "3d", "3d" },
		{ "duration", "1500us", NULL },
		{ "address", "[::1]:0", "[::1]:0" },
		{ "address", "broker-a.example:65535", "broker-a.example:65535" },
		{ "choice", "hot", "hot" },
		{ "list", "x", "x" },
		{ "list", "x|y", "x, y" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct options o = { 0 };
		struct mosaic_error err = ERR_INIT;
		struct buf out = BUF_INIT;

		assert_int_equal(value_set(row(rows[i].name), slice_str(rows[i].text), &o, &err),
				 0);
		value_print(row(rows[i].name), &o, &out);
		assert_string_equal(buf_cstr(&out), rows[i].printed ? rows[i].printed
								 : rows[i].text);
		buf_free(&out);
		value_free(table, ARRAY_LEN(table), &o);
	}
}

static void bad_values_are_explained(void **state)
{
	static const struct {
		const char *name, *text, *why;
	} rows[] = {
		{ "on", "yes", "must be true or false, not \"yes\"" },
		{ "number", "11", "must be at most 10, not 11" },
		{ "number", "-11", "must be at least -10, not -11" },
		{ "number", "1.5", "must be an integer, not \"1.5\"" },
		{ "size", "64 KiB", "must be a size such as \"64KiB\" or 65536, not \"64 KiB\"" },
		{ "size", "64KB", "must be a size such as \"64KiB\" or 65536, not \"64KB\"" },
		{ "size", "-1", "must be a size such as \"64KiB\" or 65536, not \"-1\"" },
		{ "size", "99999999999999999999", "must be a size such as" },
		{ "size", "17179869184GiB", "must be a size such as" },
		{ "size", "9GiB", "must be at most 8GiB, not 9GiB" },
		{ "duration", "500", "must be a duration such as \"500ms\", not \"500\"" },
		{ "duration", "", "must be a duration such as \"500ms\", not \"\"" },
		{ "duration", "10us", "must be at least 1ms, not 10us" },
		{ "address", "localhost", "must be an address such as" },
		{ "address", ":9876", "must be an address such as" },
		{ "address", "::1:9876", "must be an address such as" },
		{ "address", "h:65536", "must be an address such as" },
		{ "address", "h:+1", "must be an address such as" },
		{ "choice", "wram",
		  "must be one of cold|warm|hot, not \"wram\", did you mean \"warm\"?" },
		{ "choice", "", "must be one of cold|warm|hot, not \"\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct options o = { 0 };
		struct mosaic_error err = ERR_INIT;

		assert_int_equal(value_set(row(rows[i].name), slice_str(rows[i].text), &o, &err),
				 MOSAIC_E_INVAL);
		if (!strstr(err.text, rows[i].why))
			fail_msg("\"%s\" is not in \"%s\"", rows[i].why, err.text);
		value_free(table, ARRAY_LEN(table), &o);
	}
}

static void a_value_that_is_set_again_frees_the_old_one(void **state)
{
	struct options o = { 0 };

	(void)state;
	assert_int_equal(value_set(row("text"), slice_str("one"), &o, NULL), 0);
	assert_int_equal(value_set(row("text"), slice_str("two"), &o, NULL), 0);
	assert_string_equal(o.text, "two");
	value_free(table, ARRAY_LEN(table), &o);
}

static void lists_are_bounded(void **state)
{
	struct options o = { 0 };
	struct mosaic_error err = ERR_INIT;

	(void)state;
	for (int i = 0; i < VALUE_LIST_MAX; i++)
		assert_int_equal(value_list_add(row("list"), slice_str("x"), &o, &err), 0);
	assert_int_equal(value_list_add(row("list"), slice_str("x"), &o, &err), MOSAIC_E_INVAL);
	assert_string_equal(err.text, "has more than 64 items");
	value_free(table, ARRAY_LEN(table), &o);
}

static const char *nearest_of(const char *wanted)
{
	static const char *const names[] = { "segment", "dir", "interval", "maxTopics" };
	static struct nearest n;

	nearest_init(&n, wanted);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		nearest_try(&n, names[i]);
	return n.name;
}

static void nearest_name_is_a_typing_error_away(void **state)
{
	(void)state;
	assert_string_equal(nearest_of("segmnt"), "segment");
	assert_string_equal(nearest_of("segemnt"), "segment");
	assert_string_equal(nearest_of("SEGMENT"), "segment");
	assert_string_equal(nearest_of("maxtopic"), "maxTopics");
	assert_string_equal(nearest_of("dri"), "dir");
	assert_string_equal(nearest_of("replication"), "");
	assert_string_equal(nearest_of("a-name-that-is-longer-than-any-name-that-anybody-would-"
				       "ever-think-of-writing"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_fill_every_type),
		cmocka_unit_test(good_values_are_read_and_printed),
		cmocka_unit_test(bad_values_are_explained),
		cmocka_unit_test(a_value_that_is_set_again_frees_the_old_one),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(nearest_name_is_a_typing_error_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
