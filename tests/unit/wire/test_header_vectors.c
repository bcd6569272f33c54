#include "support/vectors.h"
#include "base/bytes.h"
#include "wire/frame.h"
#include <dirent.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Every captured frame: decoded, compared with what Apache read, written and decoded again. */

static struct header h, again;

static const char *where = "";

#define CHECK(x)                                                                                  \
	do {                                                                                      \
		if (!(x))                                                                         \
			fail_msg("%s: %s", where, #x);                                            \
	} while (0)

static bool is_known_language(const char *name)
{
	for (uint8_t i = 0; i < LANGUAGE_COUNT; i++)
		if (i != LANGUAGE_OTHER && strcasecmp(language_name(i), name) == 0)
			return true;
	return false;
}

static void check_header(const struct header *got, const json_t *expected)
{
	const json_t *language = json_object_get(expected, "language");
	const json_t *remark = json_object_get(expected, "remark");
	json_t *fields = json_object_get(expected, "extFields"), *value;
	const char *key;
	uint32_t count = 0;

	CHECK(got->code == json_integer_value(json_object_get(expected, "code")));
	CHECK(got->flag == json_integer_value(json_object_get(expected, "flag")));
	CHECK(got->opaque == json_integer_value(json_object_get(expected, "opaque")));
	CHECK(got->version == json_integer_value(json_object_get(expected, "version")));
	if (json_is_integer(language))
		CHECK(got->language == json_integer_value(language));
	else if (got->language == LANGUAGE_OTHER)
		CHECK(!language || !is_known_language(json_string_value(language)));
	else
		CHECK(strcasecmp(language_name(got->language), json_string_value(language)) == 0);
	/* The binary form has no empty text: it is null there. */
	bool has_remark = json_is_string(remark) && (got->serialize == SERIALIZE_JSON ||
						     json_string_length(remark) != 0);
	CHECK(has_remark == (got->remark.ptr != NULL));
	CHECK(!has_remark || slice_eq(got->remark, json_slice(remark)));
	json_object_foreach(fields, key, value) {
		const struct mosaic_slice *found = header_find(got, key);

		count++;
		CHECK(json_is_string(value));
		if (json_string_length(value) == 0) /* lost on the way through the binary form */
			CHECK(!found || found->len == 0);
		else
			CHECK(found && slice_eq(*found, json_slice(value)));
	}
	CHECK(got->n_fields <= count);
}

static void write_again(const struct header *from, uint8_t serialize, const json_t *expected)
{
	static uint8_t out[1 << 20];
	struct header_writer w;
	struct mosaic_slice body;

	header_begin(&w, out, sizeof(out), serialize, from->code, from->opaque, from->flag,
		     from->language, from->version);
	for (uint32_t i = 0; i < from->n_fields; i++) {
		char *key = slice_dup(from->fields[i].key);

		header_put(&w, key, from->fields[i].value);
		free(key);
	}
	header_put_remark(&w, from->remark);
	uint32_t n = header_end(&w, 0);
	CHECK(n != 0);
	CHECK(get_be32(out) == n - 4);
	CHECK(frame_decode(out + 4, n - 4, &again, &body) == 0);
	CHECK(body.len == 0);
	CHECK(again.serialize == (from->code == (int16_t)from->code ? serialize : SERIALIZE_JSON));
	check_header(&again, expected);
}

static void check_message(const json_t *message)
{
	const json_t *expected = json_object_get(message, "header");
	struct mosaic_slice body;
	size_t len;
	uint8_t *frame = hex_bytes(json_slice(json_object_get(message, "hex")), &len);

	CHECK(frame);
	CHECK(get_be32(frame) == len - 4);
	CHECK(frame_decode(frame + 4, (uint32_t)len - 4, &h, &body) == 0);
	CHECK(body.len == (size_t)json_integer_value(json_object_get(message, "body_len")));
	CHECK((h.serialize == SERIALIZE_JSON) ==
	      (strcmp(json_string_value(json_object_get(message, "serialize")), "JSON") == 0));
	check_header(&h, expected);
	write_again(&h, SERIALIZE_JSON, expected);
	write_again(&h, SERIALIZE_BINARY, expected);
	free(frame);
}

static void every_captured_frame_decodes_and_goes_round(void **state)
{
	char path[4096], name[300];
	size_t frames = 0, i;
	json_t *exchange;

	(void)state;
	if (vectors_missing())
		skip();
	vectors_path(path, sizeof(path), "wire");
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (!strstr(e->d_name, ".json"))
			continue;
		where = e->d_name;
		snprintf(name, sizeof(name), "wire/%s", e->d_name);
		json_t *file = vectors_load(name);
		json_array_foreach(json_object_get(file, "exchanges"), i, exchange) {
			json_t *request = json_object_get(exchange, "request");
			json_t *response = json_object_get(exchange, "response");

			if (json_is_object(request))
				check_message(request), frames++;
			if (json_is_object(response))
				check_message(response), frames++;
		}
		json_decref(file);
	}
	closedir(dir);
	assert_true(frames > 600);
}

/* Apache closes the connection exactly for the frames that the decoder refuses. */
static void odd_frames_are_refused_where_apache_refuses_them(void **state)
{
	json_t *cases, *item;
	size_t i, seen = 0;

	(void)state;
	if (vectors_missing())
		skip();
	cases = vectors_load("edge/edge.json");
	json_array_foreach(cases, i, item) {
		bool closed = json_is_true(json_object_get(item, "closed_by_server"));
		struct mosaic_slice hex = json_slice(json_object_get(item, "sent_hex")), body;
		size_t len;

		where = json_string_value(json_object_get(item, "case"));
		if (strncmp(where, "PROXY", 5) == 0 || strncmp(where, "frame length", 12) == 0 ||
		    strncmp(where, "byte by byte", 12) == 0)
			continue; /* the transport's */
		uint8_t *frame = hex_bytes(hex, &len);
		CHECK(frame);
		uint32_t total = get_be32(frame);
		CHECK(total + 4 <= len || closed);
		if (total + 4 > len)
			total = (uint32_t)len - 4;
		int rc = frame_decode(frame + 4, total, &h, &body);
		CHECK((rc != 0) == closed);
		free(frame);
		seen++;
	}
	json_decref(cases);
	assert_true(seen >= 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_captured_frame_decodes_and_goes_round),
		cmocka_unit_test(odd_frames_are_refused_where_apache_refuses_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
