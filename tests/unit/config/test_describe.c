#include "config/describe.h"
#include "fake_plugins.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct loaded_plugin *find(struct fake_plugins *f, const char *name)
{
	const struct loaded_plugin *plugin = NULL;

	assert_int_equal(plugins_find(f->plugins, name, 0, &plugin, NULL), 0);
	return plugin;
}

static void text_has_everything_that_a_reader_needs(void **state)
{
	struct fake_plugins *f = fake_plugins_create();
	struct buf out = BUF_INIT;

	(void)state;
	describe_text(find(f, "repl-needy"), &out);
	assert_string_equal(buf_cstr(&out),
		"repl-needy 0.0.1: Does nothing\n\n"
		"kind     replication, interface 0.1, needs at least 0.0\n"
		"ABI      0.1, needs at least 0.0\n"
		"license  none\n"
		"file     (built in)\n"
		"offers   ACKABLE (acknowledgements wait for another node)\n"
		"needs    TRUNCATE (the log can be cut back)\n"
		"\noptions\n"
		"  token            string, required, secret\n"
		"                   A word that lets you in\n");
	buf_free(&out);
	fake_plugins_destroy(f);
}

static void json_is_json_with_the_same_facts(void **state)
{
	struct fake_plugins *f = fake_plugins_create();
	struct buf out = BUF_INIT;
	json_t *json;

	(void)state;
	describe_json(find(f, "store-mmap"), 0, &out);
	json = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "kind")), "store");
	json_t *option = json_array_get(json_object_get(json, "options"), 1);
	assert_string_equal(json_string_value(json_object_get(option, "name")), "segment");
	assert_string_equal(json_string_value(json_object_get(option, "max")), "8GiB");
	json_t *offers = json_object_get(json, "offers");
	assert_int_equal(json_array_size(offers), 3);
	assert_string_equal(json_string_value(json_array_get(offers, 0)), "SYNC");
	json_decref(json);
	buf_free(&out);
	fake_plugins_destroy(f);
}

/* The store alternative with this title. */
static json_t *alternative(json_t *schema, const char *title)
{
	json_t *stores = json_object_get(schema, "$defs"), *item;
	size_t index;

	stores = json_object_get(json_object_get(stores, "broker"), "properties");
	stores = json_object_get(json_object_get(stores, "store"), "anyOf");
	json_array_foreach(stores, index, item)
		if (strcmp(json_string_value(json_object_get(item, "title")), title) == 0)
			return item;
	return NULL;
}

static void schema_has_the_options_of_every_plugin_of_the_kind(void **state)
{
	struct fake_plugins *f = fake_plugins_create();
	struct buf out = BUF_INIT;
	json_t *schema, *store;

	(void)state;
	describe_schema(f->plugins, &out);
	schema = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(schema);
	store = alternative(schema, "store-mmap");
	assert_non_null(store);
	assert_true(json_is_false(json_object_get(store, "additionalProperties")));
	assert_non_null(json_object_get(json_object_get(store, "properties"), "segment"));
	assert_int_equal(json_array_size(json_object_get(store, "required")), 0); /* the default */
	store = alternative(schema, "store-memory");
	assert_int_equal(json_array_size(json_object_get(store, "required")), 1);
	assert_null(alternative(schema, "flush-sync"));
	json_decref(schema);
	buf_free(&out);
	fake_plugins_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_has_everything_that_a_reader_needs),
		cmocka_unit_test(json_is_json_with_the_same_facts),
		cmocka_unit_test(schema_has_the_options_of_every_plugin_of_the_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
