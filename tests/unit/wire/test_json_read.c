#include "base/err.h"
#include "wire/json.h"
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Reads text and expects what jansson reads from the strict form beside it. */
static void assert_reads(const char *text, const char *strict)
{
	struct mosaic_error err = ERR_INIT;
	json_t *got = json_read(slice_str(text), &err);
	json_t *expected = json_loads(strict, JSON_ALLOW_NUL, NULL);

	if (!got)
		fail_msg("%s: %s", text, err.text);
	assert_non_null(expected);
	if (!json_equal(got, expected))
		fail_msg("%s read as %s", text, json_dumps(got, 0));
	json_decref(got);
	json_decref(expected);
}

static void strict_json_is_read_as_it_is(void **state)
{
	static const char *const cases[] = {
		"{}", "[]", " { \"a\" : [ 1 , -2.5e3 , true , false , null , \"x\" ] } \n",
		"{\"a\":{\"b\":{\"c\":[[],{}]}}}",
		"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"]",
		"[\"\\u0000\\u0001\x7f\xc3\xa9\"]", "{\"\":1,\"a b\":2}", "[9223372036854775807]",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_reads(cases[i], cases[i]);
}

static void what_fastjson_writes_and_takes_is_read(void **state)
{
	(void)state;
	assert_reads("{0:\"a\",-1:\"b\",name_$1:2}", "{\"0\":\"a\",\"-1\":\"b\",\"name_$1\":2}");
	assert_reads("{'a':'it\\'s \"b\"'}", "{\"a\":\"it's \\\"b\\\"\"}");
	assert_reads("{{\"brokerName\":\"a\",\"queueId\":0}:{\"brokerOffset\":1}}",
		     "{\"{\\\"brokerName\\\":\\\"a\\\",\\\"queueId\\\":0}\":{\"brokerOffset\":1}}");
	assert_reads("{[1,'\\n']:1}", "{\"[1,'\\\\n']\":1}");
	assert_reads("{\"offsetTable\":{1:4,2:2,\n\t}}", "{\"offsetTable\":{\"1\":4,\"2\":2}}");
	assert_reads("[,1,,2,]", "[1,2]");
	assert_reads("{,}", "{}");
	assert_reads("[\"a\nb\tc\"]", "[\"a\\nb\\tc\"]");
	assert_reads("[\"\\x41\\v\\7\"]", "[\"A\\u000b\\u0007\"]");
	assert_reads("[\"\\ud83dx\\ude00\\ud83d\\u0041\"]", "[\"?x??A\"]");
}

static void damaged_utf8_becomes_the_replacement_character(void **state)
{
	(void)state;
	assert_reads("[\"a\xff" "b\xe4\xb8\"]", "[\"a\xef\xbf\xbd" "b\xef\xbf\xbd\"]");
}

static void what_cannot_be_read_says_where(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "line 1: a value expected" },
		{ "{\n\"a\":1\n\"b\":2}", "line 3: ',' or '}' expected" },
		{ "[1 2]", "line 1: ',' or ']' expected" },
		{ "{\"a\"}", "line 1: ':' expected" },
		{ "{:1}", "line 1: a key expected" },
		{ "[\n\"x", "line 2: the end of a string expected" },
		{ "[\"\\q\"]", "line 1: an escape expected" },
		{ "[\"\\u12\"]", "line 1: four hex digits expected" },
		{ "[\"\\x4\"]", "line 1: two hex digits expected" },
		{ "[] x", "line 1: the end expected" },
		{ "[\"\\", "line 1: an escape expected" },
		{ "{\"a\":", "line 1: a value expected" },
		{ "[1", "line 1: ',' or ']' expected" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mosaic_error err = ERR_INIT;

		assert_null(json_read(slice_str(cases[i].text), &err));
		assert_int_equal(err.code, MOSAIC_E_CORRUPT);
		assert_string_equal(err.text, cases[i].error);
		assert_null(json_read(slice_str(cases[i].text), NULL));
	}
	struct mosaic_error err = ERR_INIT;
	assert_null(json_read(slice_str("[\nword]"), &err)); /* jansson's turn */
	assert_memory_equal(err.text, "line 2: ", 8);
	assert_null(json_read(slice(NULL, 0), &err));
	assert_null(json_read(slice_str("\"text\""), &err)); /* no object, no array */
}

static void nesting_is_bounded(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 3];

	(void)state;
	for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		json_t *json = json_read(slice(text, 2 * (size_t)depth), NULL);
		assert_true((json != NULL) == (depth <= JSON_DEPTH_MAX));
		json_decref(json);
	}
}

static void every_truncation_is_refused(void **state)
{
	static const char text[] = "{\"a\":[1,{0:'x\\u00e9'}],{b:1}:null}";

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		uint8_t *part = memcpy(malloc(n + 1), text, n);

		assert_null(json_read(slice(part, n), NULL));
		free(part);
	}
}

static void getters_have_javas_tolerance(void **state)
{
	json_t *o = json_read(slice_str("{i:5,s:'6',b:true,bs:'TRUE',n:null,x:'abc',l:[]}"), NULL);

	(void)state;
	assert_non_null(o);
	assert_int_equal(json_get_i64(o, "i", -1), 5);
	assert_int_equal(json_get_i64(o, "s", -1), 6);
	assert_int_equal(json_get_i64(o, "n", -1), -1);
	assert_int_equal(json_get_i64(o, "x", -1), -1);
	assert_int_equal(json_get_i64(o, "none", -1), -1);
	assert_int_equal(json_get_i64(NULL, "i", -1), -1);
	assert_true(json_get_bool(o, "b", false));
	assert_true(json_get_bool(o, "bs", false));
	assert_false(json_get_bool(o, "x", true));
	assert_true(json_get_bool(o, "n", true));
	assert_true(json_get_bool(o, "l", true));
	assert_true(slice_is(json_get_str(o, "s"), "6"));
	assert_null(json_get_str(o, "i").ptr);
	assert_null(json_get_str(o, "none").ptr);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_json_is_read_as_it_is),
		cmocka_unit_test(what_fastjson_writes_and_takes_is_read),
		cmocka_unit_test(damaged_utf8_becomes_the_replacement_character),
		cmocka_unit_test(what_cannot_be_read_says_where),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(getters_have_javas_tolerance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
