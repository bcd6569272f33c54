#include "wire/header.h"
#include "base/bytes.h"
#include "wire/frame.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct header h;
static uint8_t *last; /* what h borrows from */

/* Decodes a text as JSON header, in memory of its exact size. */
static int decode(const char *text)
{
	size_t len = strlen(text);

	free(last);
	last = memcpy(malloc(len + (len == 0)), text, len);
	return header_decode(last, (uint32_t)len, SERIALIZE_JSON, &h);
}

static void assert_field(const char *key, const char *value)
{
	const struct mosaic_slice *found = header_find(&h, key);

	if (!value) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	if (!slice_is(*found, value))
		fail_msg("%s is %.*s, not %s", key, SLICE_ARG(*found), value);
}

static void reads_a_header_as_clients_send_it(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"code\":310,\"extFields\":{\"a\":\"PG\",\"b\":\"T\","
				"\"e\":\"-1\",\"i\":\"KEYS\\u0001k\\u0002\",\"k\":\"false\"},"
				"\"flag\":2,"
				"\"language\":\"GO\",\"opaque\":-7,\"remark\":\"r\","
				"\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}"), 0);
	assert_int_equal(h.code, 310);
	assert_int_equal(h.flag, 2);
	assert_true(header_is_oneway(&h));
	assert_false(header_is_response(&h));
	assert_int_equal(h.language, LANGUAGE_GO);
	assert_int_equal(h.opaque, -7);
	assert_int_equal(h.version, 479);
	assert_true(slice_is(h.remark, "r"));
	assert_int_equal(h.n_fields, 5);
	assert_field("a", "PG");
	assert_field("i", "KEYS\001k\002");
	assert_field("z", NULL);
	assert_field("", NULL);
}

static void members_may_be_absent_or_null(void **state)
{
	(void)state;
	assert_int_equal(decode("{}"), 0);
	assert_int_equal(h.code, 0);
	assert_int_equal(h.language, LANGUAGE_OTHER);
	assert_int_equal(h.n_fields, 0);
	assert_null(h.remark.ptr);
	assert_int_equal(decode(" { \"code\" : null , \"remark\":null,\"extFields\":null, "
				"\"language\":null } \r\n"), 0);
	assert_null(h.remark.ptr);
	assert_int_equal(h.n_fields, 0);
	assert_int_equal(decode("{\"extFields\":{},\"remark\":\"\"}"), 0);
	assert_non_null(h.remark.ptr);
	assert_int_equal(h.remark.len, 0);
}

static void language_is_never_a_reason_to_refuse(void **state)
{
	static const struct {
		const char *json;
		uint8_t language;
	} cases[] = {
		{ "{\"language\":\"JAVA\"}", LANGUAGE_JAVA },
		{ "{\"language\":\"rust\"}", LANGUAGE_RUST },
		{ "{\"language\":\"node_js\"}", LANGUAGE_NODE_JS },
		{ "{\"language\":9}", LANGUAGE_GO },
		{ "{\"language\":99}", LANGUAGE_OTHER }, { "{\"language\":-1}", LANGUAGE_OTHER },
		{ "{\"language\":\"COBOL\"}", LANGUAGE_OTHER },
		{ "{\"language\":[1]}", LANGUAGE_OTHER },
		{ "{\"language\":\"\"}", LANGUAGE_OTHER },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(decode(cases[i].json), 0);
		assert_int_equal(h.language, cases[i].language);
	}
	for (uint8_t i = 0; i < LANGUAGE_COUNT; i++) {
		char json[64];

		snprintf(json, sizeof(json), "{\"language\":\"%s\"}", language_name(i));
		assert_int_equal(decode(json), 0);
		assert_int_equal(h.language, i);
	}
	assert_string_equal(language_name(200), "OTHER");
}

static void values_of_ext_fields_of_every_kind_are_text(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"extFields\":{\"int\":12,\"neg\":-1.5e3,\"t\":true,\"f\":false,"
				"\"n\":null,\"o\":{\"a\\n\":[1,\"}\"]},\"l\":[],\"e\":\"\"}}"), 0);
	assert_field("int", "12");
	assert_field("neg", "-1.5e3");
	assert_field("t", "true");
	assert_field("f", "false");
	assert_field("n", NULL);
	assert_field("o", "{\"a\\n\":[1,\"}\"]}");
	assert_field("l", "[]");
	assert_field("e", "");
	assert_true(header_str(&h, "n").ptr == NULL);
	assert_true(header_str(&h, "e").ptr != NULL);
}

static void the_last_of_equal_keys_wins(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"code\":1,\"extFields\":{\"old\":\"1\"},\"code\":2,"
				"\"extFields\":{\"k\":\"1\",\"k\":\"2\"}}"), 0);
	assert_int_equal(h.code, 2);
	assert_field("k", "2");
	assert_field("old", NULL);
}

static void takes_what_fastjson_takes_beside_json(void **state)
{
	(void)state;
	assert_int_equal(decode("{'code':'351',extFields:{topic:'it\\'s \"x\"',0:\"z\",},,"
		"opaque:8}"), 0);
	assert_int_equal(h.code, 351);
	assert_int_equal(h.opaque, 8);
	assert_field("topic", "it's \"x\"");
	assert_field("0", "z");
	assert_int_equal(decode("{\"extFields\":{\"x\":\"\\x41\\v\\7\\/\"}}"), 0);
	assert_field("x", "A\v\a/");
}

static void escapes_of_all_kinds_are_resolved_in_place(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"extFields\":{\"\\u006b\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t|\\u00e9|"
				"\\u4E2D|\\ud83d\\ude00|0123456789abcdef\\u0001z\","
				"\"after\":\"1\"}}"), 0);
	assert_field("k", "\"\\/\b\f\n\r\t|\xc3\xa9|\xe4\xb8\xad|\xf0\x9f\x98\x80|"
		     "0123456789abcdef\001z");
	assert_field("after", "1");
	assert_int_equal(decode("{\"extFields\":{\"a\":\"\\ud83d\",\"b\":\"\\ude00x\","
				"\"c\":\"\\ud83d\\u0041\"}}"), 0);
	assert_field("a", "?");
	assert_field("b", "?x");
	assert_field("c", "?A");
}

static void unknown_members_of_any_kind_are_skipped(void **state)
{
	(void)state;
	assert_int_equal(decode("{\"x\":{\"code\":5,\"y\":[[],[{}],\"]\\\"\"]},\"n\":null,"
				"\"b\":true,\"d\":-1.5E+3,\"s\":\"\\\\\",\"code\":7}"), 0);
	assert_int_equal(h.code, 7);
}

static void nesting_is_bounded(void **state)
{
	char json[400];

	(void)state;
	for (int depth = 64; depth <= 65; depth++) {
		int n = snprintf(json, sizeof(json), "{\"x\":");

		memset(json + n, '[', (size_t)depth);
		memset(json + n + depth, ']', (size_t)depth);
		strcpy(json + n + 2 * depth, "}");
		assert_int_equal(decode(json), depth == 64 ? 0 : MOSAIC_E_CORRUPT);
	}
}

static void what_is_no_header_is_refused(void **state)
{
	static const char *const cases[] = {
		"", " ", "null", "[]", "1", "\"x\"", "{", "{}x", "{} {}", "{\"code\"}",
		"{\"code\":}",
		"{\"code\":1", "{\"code\":1,", "{\"code\":1]", "{\"code\":x}", "{\"code\":1.5}",
		"{\"code\":2147483648}", "{\"code\":\"x\"}", "{\"code\":[]}", "{\"a\":1 \"b\":2}",
		"{\"a\":\"x}", "{\"a\":\"x\\", "{\"a\":\"x\\\"}",
		"{\"extFields\":{\"a\":\"\\u12\"}}",
		"{\"extFields\":{\"a\":\"\\u12g4\"}}", "{\"extFields\":{\"a\":\"\\q\"}}",
		"{\"extFields\":[]}", "{\"extFields\":\"x\"}", "{\"extFields\":nul}",
		"{\"extFields\":{\"a\":word}}", "{\"extFields\":{\"a\":\"1\"}", "{:1}",
		"{\"a\":{1}}",
		"{\"a\":[1}", "{\"a\":{\"b\":1]}", "{\"extFields\":{\"a\":\"\\",
		"{\"extFields\":{\"a\":\"\\u", "{\"extFields\":{\"a\":\"\\ud83d\\u", "{}\x01", "{,",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (decode(cases[i]) != MOSAIC_E_CORRUPT)
			fail_msg("accepted: %s", cases[i]);
}

static void every_truncation_of_a_header_is_refused(void **state)
{
	static const char json[] = "{\"code\":310,\"extFields\":{\"a\":\"b\\u0001\",\"n\":null,"
				   "\"i\":1},\"flag\":0,\"language\":\"JAVA\","
				   "\"x\":[{\"y\":'z'}],\"version\":1}";
	char part[sizeof(json)];

	(void)state;
	assert_int_equal(decode(json), 0);
	for (size_t n = 0; n < sizeof(json) - 1; n++) {
		memcpy(part, json, n);
		part[n] = 0;
		assert_int_equal(decode(part), MOSAIC_E_CORRUPT);
	}
}

static void too_many_fields_are_a_limit(void **state)
{
	for (int count = HEADER_MAX_FIELDS; count <= HEADER_MAX_FIELDS + 1; count++) {
		char json[4096] = "{\"extFields\":{";
		size_t n = strlen(json);

		for (int i = 0; i < count; i++)
			n += (size_t)sprintf(json + n, "%s\"k%d\":\"\"", i ? "," : "", i);
		strcpy(json + n, "}}");
		assert_int_equal(decode(json), count > HEADER_MAX_FIELDS ? MOSAIC_E_LIMIT : 0);
	}
	(void)state;
}

static void numbers_and_booleans_are_read_as_java_reads_them(void **state)
{
	int32_t i32 = 5;
	int64_t i64 = 5;

	(void)state;
	assert_int_equal(decode("{\"extFields\":{\"i\":\"-3\",\"l\":\"4294967296\",\"x\":\"abc\","
				"\"n\":null,\"t\":\"TRUE\",\"f\":\"yes\"}}"), 0);
	assert_int_equal(header_i32(&h, "i", &i32), 0);
	assert_int_equal(i32, -3);
	assert_int_equal(header_i32(&h, "l", &i32), MOSAIC_E_INVAL);
	assert_int_equal(header_i64(&h, "l", &i64), 0);
	assert_true(i64 == INT64_C(4294967296));
	assert_int_equal(header_i64(&h, "x", &i64), MOSAIC_E_INVAL);
	assert_int_equal(header_i64(&h, "n", &i64), MOSAIC_E_NOTFOUND);
	assert_int_equal(header_i32(&h, "none", &i32), MOSAIC_E_NOTFOUND);
	assert_true(header_bool(&h, "t", false));
	assert_false(header_bool(&h, "f", true));
	assert_true(header_bool(&h, "none", true));
	assert_false(header_bool(&h, "none", false));
}

/* Binary, from the layout in wire/header.h: code 351, OTHER, 479, opaque 5, one field. */
static const uint8_t binary[] = {
	0x01, 0x5f, 7, 0x01, 0xdf, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 'o', 'k', 0, 0, 0, 14,
	0, 5, 't', 'o', 'p', 'i', 'c', 0, 0, 0, 3, 'a', 'b', 'c'
};

static int decode_binary(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = memcpy(malloc(len + (len == 0)), bytes, len);
	int rc = header_decode(copy, (uint32_t)len, SERIALIZE_BINARY, &h);

	if (rc == 0 && len == sizeof(binary)) {
		assert_field("topic", "abc");
		assert_true(slice_is(h.remark, "ok"));
	}
	free(copy);
	return rc;
}

static void binary_headers_are_read(void **state)
{
	(void)state;
	assert_int_equal(decode_binary(binary, sizeof(binary)), 0);
	assert_int_equal(h.code, 351);
	assert_int_equal(h.language, LANGUAGE_OTHER);
	assert_int_equal(h.version, 479);
	assert_int_equal(h.opaque, 5);
	for (size_t n = 0; n < sizeof(binary); n++)
		assert_int_equal(decode_binary(binary, n), MOSAIC_E_CORRUPT);
}

static void damaged_lengths_in_a_binary_header_are_refused(void **state)
{
	static const size_t lengths[] = { 13, 19, 23, 30 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		uint8_t bytes[sizeof(binary)];

		memcpy(bytes, binary, sizeof(binary));
		bytes[lengths[i]] = 0xFF;
		assert_int_equal(decode_binary(bytes, sizeof(bytes)), MOSAIC_E_CORRUPT);
		memcpy(bytes, binary, sizeof(binary));
		bytes[lengths[i] + (lengths[i] == 23 ? 1 : 3)]++;
		assert_int_equal(decode_binary(bytes, sizeof(bytes)), MOSAIC_E_CORRUPT);
	}
}

static void empty_values_in_a_binary_header_are_null(void **state)
{
	uint8_t bytes[] = { 0xFF, 0xFF, 99, 0x01, 0xdf, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0,
			    0, 0, 0, 11, 0, 5, 't', 'o', 'p', 'i', 'c', 0, 0, 0, 0 };

	(void)state;
	assert_int_equal(decode_binary(bytes, sizeof(bytes)), 0);
	assert_int_equal(h.code, -1);
	assert_int_equal(h.language, LANGUAGE_OTHER);
	assert_null(h.remark.ptr);
	assert_null(header_find(&h, "topic"));
}

static void other_serialize_types_are_refused(void **state)
{
	uint8_t bytes[] = "{}";

	(void)state;
	assert_int_equal(header_decode(bytes, 2, 2, &h), MOSAIC_E_CORRUPT);
	assert_int_equal(header_decode(bytes, 2, 255, &h), MOSAIC_E_CORRUPT);
}

/* Writing. */

static void json_is_written_as_java_writes_it(void **state)
{
	static const char expected[] =
		"{\"code\":0,\"extFields\":{\"queueId\":\"3\",\"on\":\"true\",\"t\":"
		"\"a\\\"\\\\\\n\\u0001\\u001F\\u007F\\u00A0\\u2028"
		"\xc2\xa1\xe2\x80\xaa\xe4\xb8\xad\"},"
		"\"flag\":1,"
		"\"language\":\"JAVA\",\"opaque\":-8,\"remark\":\"no\\ttopic\","
		"\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}";
	struct header_writer w;
	uint8_t out[1024];

	(void)state;
	header_begin(&w, out, sizeof(out), SERIALIZE_JSON, 0, -8, 1, LANGUAGE_JAVA, VERSION_V5_3_3);
	header_put_i64(&w, "queueId", 3);
	header_put_bool(&w, "on", true);
	header_put_str(&w, "absent", NULL);
	header_put_str(&w, "t",
		       "a\"\\\n\001\x1f\x7f\xc2\xa0\xe2\x80\xa8\xc2\xa1\xe2\x80\xaa\xe4\xb8\xad");
	header_put_remark(&w, slice_str("no\ttopic"));
	uint32_t n = header_end(&w, 10);
	assert_int_equal(n, 8 + sizeof(expected) - 1);
	assert_memory_equal(out + 8, expected, sizeof(expected) - 1);
	assert_int_equal(get_be32(out), n - 4 + 10);
	assert_int_equal(get_be32(out + 4), sizeof(expected) - 1);
}

static void a_header_without_fields_has_no_ext_fields(void **state)
{
	static const char expected[] = "{\"code\":-1,\"flag\":0,\"language\":\"OTHER\","
				       "\"opaque\":1,\"serializeTypeCurrentRPC\":\"JSON\","
				       "\"version\":0}";
	struct header_writer w;
	uint8_t out[HEADER_ROOM];

	(void)state;
	header_begin(&w, out, sizeof(out), SERIALIZE_JSON, -1, 1, 0, LANGUAGE_OTHER, 0);
	assert_int_equal(header_end(&w, 0), 8 + sizeof(expected) - 1);
	assert_memory_equal(out + 8, expected, sizeof(expected) - 1);
}

static void binary_is_written_with_the_remark_before_the_fields(void **state)
{
	struct header_writer w;
	uint8_t out[256];

	(void)state;
	header_begin(&w, out, sizeof(out), SERIALIZE_BINARY, 351, 5, 0, LANGUAGE_OTHER, 479);
	header_put_str(&w, "topic", "abc");
	header_put_remark(&w, slice_str("ok"));
	assert_int_equal(header_end(&w, 0), 8 + sizeof(binary));
	assert_memory_equal(out + 8, binary, sizeof(binary));
	assert_int_equal(get_be32(out + 4), 1u << 24 | sizeof(binary));
}

static void codes_beyond_16_bits_are_always_json(void **state)
{
	static const int32_t codes[] = { 32768, 200050, -32769, INT32_MAX };
	struct header_writer w;
	uint8_t out[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		header_begin(&w, out, sizeof(out), SERIALIZE_BINARY, codes[i], 5, 0, 0, 479);
		uint32_t n = header_end(&w, 0);
		assert_int_equal(out[4], SERIALIZE_JSON);
		assert_int_equal(header_decode(out + 8, n - 8, SERIALIZE_JSON, &h), 0);
		assert_int_equal(h.code, codes[i]);
	}
	header_begin(&w, out, sizeof(out), SERIALIZE_BINARY, -32768, 5, 0, 0, 479);
	header_end(&w, 0);
	assert_int_equal(out[4], SERIALIZE_BINARY);
}

static uint32_t write_all(uint8_t *out, size_t size, uint8_t serialize)
{
	struct header_writer w;

	header_begin(&w, out, size, serialize, 17, INT32_MIN, INT32_MIN, LANGUAGE_NODE_JS,
		     INT32_MIN);
	header_put_str(&w, "k\n", "value with \001\002\003 and a long tail of plain text");
	header_put_i64(&w, "n", INT64_MIN);
	header_put_str(&w, "e", "");
	header_put_remark(&w, slice_str("remark\x7f"));
	return header_end(&w, 0);
}

/* Each size of memory: either all is written, or 0 and nothing beyond was touched. */
static void memory_that_is_too_small_is_never_overrun(void **state)
{
	uint8_t big[1024];

	(void)state;
	for (uint8_t serialize = 0; serialize <= 1; serialize++) {
		uint32_t needed = write_all(big, sizeof(big), serialize);
		bool has_fitted = false;

		assert_true(needed > 0);
		for (size_t size = 0; size < needed + 100; size++) {
			uint8_t *out = malloc(size + (size == 0));
			uint32_t n = write_all(out, size, serialize);

			assert_true(n == 0 || n == needed);
			assert_true(n == 0 ? !has_fitted : memcmp(out, big, n) == 0);
			assert_true(n != 0 || size < needed + 80);
			has_fitted = n != 0;
			free(out);
		}
	}
}

/* What HEADER_ROOM and HEADER_FIELD_ROOM promise, at its worst: every byte becomes six. */
static void promised_room_is_enough(void **state)
{
	struct mosaic_slice worst = slice("\001\002\003\004\005\006\007\016\017\020", 10);
	size_t size = HEADER_ROOM + 2 * HEADER_FIELD_ROOM(1, 10) + HEADER_FIELD_ROOM(0, 10);

	(void)state;
	for (uint8_t serialize = 0; serialize <= 1; serialize++) {
		struct header_writer w;
		uint8_t *out = malloc(size);

		header_begin(&w, out, size, serialize, INT16_MIN, INT32_MIN, INT32_MIN,
			     LANGUAGE_NODE_JS, INT32_MIN);
		header_put(&w, "a", worst);
		header_put(&w, "b", worst);
		header_put_remark(&w, worst);
		assert_true(header_end(&w, 0) != 0);
		free(out);
	}
}

static void a_body_that_does_not_fit_a_frame_fails(void **state)
{
	struct header_writer w;
	uint8_t out[256];

	(void)state;
	header_begin(&w, out, sizeof(out), 0, 0, 0, 0, 0, 0);
	assert_int_equal(header_end(&w, UINT32_MAX), 0);
}

static int free_last(void **state)
{
	(void)state;
	free(last);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_header_as_clients_send_it),
		cmocka_unit_test(members_may_be_absent_or_null),
		cmocka_unit_test(language_is_never_a_reason_to_refuse),
		cmocka_unit_test(values_of_ext_fields_of_every_kind_are_text),
		cmocka_unit_test(the_last_of_equal_keys_wins),
		cmocka_unit_test(takes_what_fastjson_takes_beside_json),
		cmocka_unit_test(escapes_of_all_kinds_are_resolved_in_place),
		cmocka_unit_test(unknown_members_of_any_kind_are_skipped),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(what_is_no_header_is_refused),
		cmocka_unit_test(every_truncation_of_a_header_is_refused),
		cmocka_unit_test(too_many_fields_are_a_limit),
		cmocka_unit_test(numbers_and_booleans_are_read_as_java_reads_them),
		cmocka_unit_test(binary_headers_are_read),
		cmocka_unit_test(damaged_lengths_in_a_binary_header_are_refused),
		cmocka_unit_test(empty_values_in_a_binary_header_are_null),
		cmocka_unit_test(other_serialize_types_are_refused),
		cmocka_unit_test(json_is_written_as_java_writes_it),
		cmocka_unit_test(a_header_without_fields_has_no_ext_fields),
		cmocka_unit_test(binary_is_written_with_the_remark_before_the_fields),
		cmocka_unit_test(codes_beyond_16_bits_are_always_json),
		cmocka_unit_test(memory_that_is_too_small_is_never_overrun),
		cmocka_unit_test(promised_room_is_enough),
		cmocka_unit_test(a_body_that_does_not_fit_a_frame_fails),
	};
	return cmocka_run_group_tests(tests, NULL, free_last);
}
