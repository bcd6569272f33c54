#include "config/options.h"
#include "base/mem.h"
#include "base/num.h"
#include "plugin/nearest.h"
#include <stdio.h>
#include <stdlib.h>

#define PATH_BYTES 256

const struct mosaic_option *options_find(const struct mosaic_option *table, uint32_t n,
					 const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

static const char *json_word(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a text";
	case JSON_INTEGER:
	case JSON_REAL: return "a number";
	case JSON_TRUE:
	case JSON_FALSE: return "true or false";
	default: return "null";
	}
}

/* What a JSON value of the right type must be; NULL: it is right. */
static const char *type_mismatch(const struct mosaic_option *o, const json_t *value)
{
	switch (o->type) {
	case MOSAIC_T_BOOL:
		return json_is_boolean(value) ? NULL : "true or false";
	case MOSAIC_T_INT:
		return json_is_integer(value) ? NULL : "an integer";
	case MOSAIC_T_SIZE:
		return json_is_integer(value) || json_is_string(value) ?
			       NULL : "a number of bytes or a text such as \"64KiB\"";
	case MOSAIC_T_DURATION:
		return json_is_string(value) ? NULL : "a text such as \"500ms\"";
	case VALUE_LIST:
		return json_is_array(value) ? NULL : "an array of texts";
	case VALUE_OBJECT:
		return NULL; /* the caller reads it */
	default:
		return json_is_string(value) ? NULL : "a text";
	}
}

static int set_scalar(const struct mosaic_option *o, const json_t *value, void *options,
		      struct mosaic_error *err)
{
	char number[32];

	if (json_is_boolean(value))
		return value_set(o, slice_str(json_is_true(value) ? "true" : "false"), options,
				 err);
	if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		return value_set(o, slice_str(number), options, err);
	}
	return value_set(o, slice(json_string_value(value), json_string_length(value)), options,
			 err);
}

static void set_list(const struct mosaic_option *o, const json_t *array, void *options,
		     const char *path, struct problems *problems)
{
	struct mosaic_option one = *o;
	size_t index;
	json_t *item;

	one.fallback = NULL;
	value_free(&one, 1, options); /* what is written replaces the default */
	json_array_foreach(array, index, item) {
		struct mosaic_error err = ERR_INIT;
		char at[PATH_BYTES];

		path_at(at, sizeof(at), "%s[%zu]", path, index);
		if (!json_is_string(item))
			problems_add(problems, at, "must be a text, not %s", json_word(item));
		else if (value_list_add(o, slice_str(json_string_value(item)), options, &err) != 0)
			problems_add(problems, at, "%s", err.text);
	}
}

static void fill_one(const struct mosaic_option *o, const json_t *value, void *options,
		     const char *path, struct problems *problems)
{
	struct mosaic_error err = ERR_INIT;
	const char *must = type_mismatch(o, value);

	if (must)
		problems_add(problems, path, "must be %s, not %s", must, json_word(value));
	else if (o->type == VALUE_LIST)
		set_list(o, value, options, path, problems);
	else if (o->type != VALUE_OBJECT && set_scalar(o, value, options, &err) != 0)
		problems_add(problems, path, "%s", err.text);
}

static bool is_listed(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void report_unknown(const struct mosaic_option *table, uint32_t n, const char *const *also,
			   const char *key, const char *path, struct problems *problems)
{
	struct nearest near;
	char hint[96];

	nearest_init(&near, key);
	for (uint32_t i = 0; i < n; i++)
		nearest_try(&near, table[i].name);
	for (; also && *also; also++)
		nearest_try(&near, *also);
	problems_add(problems, path, "unknown%s", nearest_hint(&near, hint, sizeof(hint)));
}

void options_fill(const struct mosaic_option *table, uint32_t n, void *options,
		  const json_t *object, const char *const *also, const char *path,
		  struct problems *problems)
{
	const struct mosaic_option *o;
	char at[PATH_BYTES];
	const char *key;
	json_t *value;

	if (!json_is_object(object)) {
		problems_add(problems, path, "must be an object, not %s", json_word(object));
		return;
	}
	/* jansson has no iteration over const objects; nothing is changed. */
	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		path_at(at, sizeof(at), "%s%s%s", path, path[0] ? "." : "", key);
		o = options_find(table, n, key);
		if (is_listed(also, key))
			continue;
		if (o)
			fill_one(o, value, options, at, problems);
		else
			report_unknown(table, n, also, key, at, problems);
	}
	for (uint32_t i = 0; i < n; i++)
		if ((table[i].flags & MOSAIC_O_REQUIRED) != 0 &&
		    !json_object_get(object, table[i].name))
			problems_add(problems, path, "needs \"%s\": %s", table[i].name,
				     table[i].summary ? table[i].summary : "");
}

static void set_str(json_t *object, const char *key, const char *value)
{
	if (value)
		json_object_set_new(object, key, json_string(value));
}

static json_t *choices_array(const char *choices)
{
	json_t *array = json_array();
	char *copy = mem_strdup(choices), *rest = copy, *item;

	while ((item = strsep(&rest, "|")) != NULL)
		json_array_append_new(array, json_string(item));
	free(copy);
	return array;
}

static json_t *fallback_value(const struct mosaic_option *o)
{
	int64_t number;

	if (o->type == MOSAIC_T_BOOL)
		return json_boolean(strcmp(o->fallback, "true") == 0);
	if (o->type == MOSAIC_T_INT && num_parse_i64(slice_str(o->fallback), &number) == 0)
		return json_integer(number);
	if (o->type == VALUE_LIST)
		return choices_array(o->fallback);
	return json_string(o->fallback);
}

static void schema_type(const struct mosaic_option *o, json_t *schema)
{
	int64_t bound;

	switch (o->type) {
	case MOSAIC_T_BOOL:
		set_str(schema, "type", "boolean");
		break;
	case MOSAIC_T_INT:
		set_str(schema, "type", "integer");
		if (o->min && num_parse_i64(slice_str(o->min), &bound) == 0)
			json_object_set_new(schema, "minimum", json_integer(bound));
		if (o->max && num_parse_i64(slice_str(o->max), &bound) == 0)
			json_object_set_new(schema, "maximum", json_integer(bound));
		break;
	case MOSAIC_T_SIZE:
		json_object_set_new(schema, "type", json_pack("[ss]", "string", "integer"));
		set_str(schema, "pattern", "^[0-9]+([KMGT]iB|B)?$");
		break;
	case MOSAIC_T_DURATION:
		set_str(schema, "type", "string");
		set_str(schema, "pattern", "^[0-9]+(ns|us|ms|s|m|h|d)$");
		break;
	case MOSAIC_T_ADDRESS:
		set_str(schema, "type", "string");
		set_str(schema, "pattern", "^(\\[[0-9A-Fa-f:.]+\\]|[^:\\s]+):[0-9]{1,5}$");
		break;
	case VALUE_LIST:
		set_str(schema, "type", "array");
		json_object_set_new(schema, "items", json_pack("{ss}", "type", "string"));
		break;
	default:
		set_str(schema, "type", o->type == VALUE_OBJECT ? "object" : "string");
		break;
	}
}

json_t *options_schema(const struct mosaic_option *o)
{
	json_t *schema = json_object();
	char range[160];

	schema_type(o, schema);
	if (o->summary && (o->min || o->max) && o->type != MOSAIC_T_INT) {
		snprintf(range, sizeof(range), "%s (%s to %s)", o->summary, o->min ? o->min : "0",
			 o->max ? o->max : "any");
		set_str(schema, "description", range);
	} else {
		set_str(schema, "description", o->summary);
	}
	if (o->choices && o->type == VALUE_LIST)
		json_object_set_new(json_object_get(schema, "items"), "enum",
				    choices_array(o->choices));
	else if (o->choices)
		json_object_set_new(schema, "enum", choices_array(o->choices));
	if (o->fallback && o->type != VALUE_OBJECT)
		json_object_set_new(schema, "default", fallback_value(o));
	if ((o->flags & MOSAIC_O_DEPRECATED) != 0)
		json_object_set_new(schema, "deprecated", json_true());
	return schema;
}
