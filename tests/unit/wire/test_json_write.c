#include "support/vectors.h"
#include "base/num.h"
#include "wire/json.h"
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_text(struct buf *out, const char *expected)
{
	assert_string_equal(buf_cstr(out), expected);
	buf_free(out);
}

static void objects_and_arrays_on_one_line(void **state)
{
	struct buf out = BUF_INIT;
	struct json_writer w;

	(void)state;
	jw_init(&w, &out);
	jw_object(&w);
	jw_put_str(&w, "a", slice_str("x\"\n\001"));
	jw_put_cstr(&w, "absent", NULL);
	jw_put_i64(&w, "b", -5);
	jw_put_bool(&w, "c", true);
	jw_key(&w, "d");
	jw_array(&w);
	jw_cstr(&w, "[");
	jw_object(&w);
	jw_object_end(&w);
	jw_array(&w);
	jw_array_end(&w);
	jw_str(&w, slice(NULL, 0));
	jw_array_end(&w);
	jw_key(&w, "e");
	jw_object(&w);
	jw_key_int(&w, 0);
	jw_cstr(&w, "127.0.0.1:10911");
	jw_key_raw(&w, slice_str("{\"k\":1}"));
	jw_raw(&w, slice_str("[1]"));
	jw_object_end(&w);
	jw_object_end(&w);
	assert_text(&out, "{\"a\":\"x\\\"\\n\\u0001\",\"b\":-5,\"c\":true,\"d\":[\"[\",{},[],null],"
			  "\"e\":{0:\"127.0.0.1:10911\",{\"k\":1}:[1]}}");
}

static void int_keys_are_quoted_when_asked(void **state)
{
	struct buf out = BUF_INIT;
	struct json_writer w;

	(void)state;
	jw_init(&w, &out);
	w.quote_int_keys = true;
	jw_object(&w);
	jw_key_int(&w, 0);
	jw_i64(&w, 1);
	jw_key_int(&w, 1);
	jw_bool(&w, false);
	jw_object_end(&w);
	assert_text(&out, "{\"0\":1,\"1\":false}");
}

static void pretty_files_look_like_those_of_fastjson(void **state)
{
	struct buf out = BUF_INIT;
	struct json_writer w;

	(void)state;
	jw_init_pretty(&w, &out);
	jw_object(&w);
	jw_key(&w, "empty");
	jw_object(&w);
	jw_object_end(&w);
	jw_key(&w, "flat");
	jw_flat_array(&w);
	jw_i64(&w, 6);
	jw_i64(&w, 63);
	jw_array_end(&w);
	jw_key(&w, "list");
	jw_array(&w);
	jw_i64(&w, 0);
	jw_i64(&w, 1);
	jw_array_end(&w);
	jw_key(&w, "none");
	jw_array(&w);
	jw_array_end(&w);
	jw_key(&w, "table");
	jw_object(&w);
	jw_key_int(&w, 1);
	jw_i64(&w, 4);
	jw_key_int(&w, 2);
	jw_object(&w);
	jw_put_bool(&w, "x", false);
	jw_object_end(&w);
	jw_object_end(&w);
	jw_object_end(&w);
	assert_text(&out, "{\n\t\"empty\":{},\n\t\"flat\":[6,63],\n\t\"list\":[\n\t\t0,"
		"\n\t\t1\n\t],\n"
			  "\t\"none\":[],\n\t\"table\":{1:4,2:{\n\t\t\t\"x\":false\n\t\t}\n\t}\n}");
}

/* Writes what was read. Which arrays stay on one line depends on Java types: those of text and
 * bitPos. */
static void write_value(struct json_writer *w, const char *key, json_t *value)
{
	size_t i;
	json_t *item;
	const char *name;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		jw_object(w);
		json_object_foreach(value, name, item) {
			int64_t number;

			if (num_parse_i64(slice_str(name), &number) == 0)
				jw_key_int(w, number);
			else
				jw_key(w, name);
			write_value(w, name, item);
		}
		jw_object_end(w);
		break;
	case JSON_ARRAY:
		if (json_is_string(json_array_get(value, 0)) || strcmp(key, "bitPos") == 0)
			jw_flat_array(w);
		else
			jw_array(w);
		json_array_foreach(value, i, item)
			write_value(w, "", item);
		jw_array_end(w);
		break;
	case JSON_STRING:
		jw_str(w, json_slice(value));
		break;
	case JSON_INTEGER:
		jw_i64(w, json_integer_value(value));
		break;
	default:
		jw_bool(w, json_is_true(value));
	}
}

static void config_files_of_apache_are_rewritten_byte_for_byte(void **state)
{
	static const char *const stores[] = {
		"store/st1.json", "store/mixed-traffic-master.json",
		"store/controller-mode-master.json"
	};
	unsigned compared = 0;

	(void)state;
	if (vectors_missing())
		skip();
	for (size_t s = 0; s < ARRAY_LEN(stores); s++) {
		json_t *store = vectors_load(stores[s]), *file;
		size_t i;

		json_array_foreach(json_object_get(store, "files"), i, file) {
			struct mosaic_slice path = json_slice(json_object_get(file, "path"));
			struct mosaic_slice text = json_slice(json_object_get(file, "utf8"));

			if (!slice_has_prefix(path, "config/") || !text.ptr ||
			    !slice_has_prefix(text, "{\n"))
				continue;
			json_t *json = json_read(text, NULL);
			struct buf out = BUF_INIT;
			struct json_writer w;

			assert_non_null(json);
			jw_init_pretty(&w, &out);
			write_value(&w, "", json);
			if (!slice_eq(buf_slice(&out), text))
				fail_msg("%s %.*s: %s", stores[s], SLICE_ARG(path), buf_cstr(&out));
			buf_free(&out);
			json_decref(json);
			compared++;
		}
		json_decref(store);
	}
	assert_true(compared >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_arrays_on_one_line),
		cmocka_unit_test(int_keys_are_quoted_when_asked),
		cmocka_unit_test(pretty_files_look_like_those_of_fastjson),
		cmocka_unit_test(config_files_of_apache_are_rewritten_byte_for_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
