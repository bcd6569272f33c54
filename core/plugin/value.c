#include "plugin/value.h"
#include "base/mem.h"
#include "base/num.h"
#include "plugin/nearest.h"
#include <inttypes.h>
#include <stdlib.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Ascending: value_print takes the last one that divides. */
static const struct unit size_units[] = {
	{ "B", 1 },
	{ "", 1 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "TiB", UINT64_C(1) << 40 },
};

static const struct unit duration_units[] = {
	{ "ns", 1 },
	{ "us", UINT64_C(1000) },
	{ "ms", UINT64_C(1000000) },
	{ "s", UINT64_C(1000000000) },
	{ "m", UINT64_C(60) * 1000000000 },
	{ "h", UINT64_C(3600) * 1000000000 },
	{ "d", UINT64_C(86400) * 1000000000 },
};

const char *value_type_name(uint32_t type)
{
	switch (type) {
	case MOSAIC_T_BOOL: return "bool";
	case MOSAIC_T_INT: return "integer";
	case MOSAIC_T_SIZE: return "size";
	case MOSAIC_T_DURATION: return "duration";
	case MOSAIC_T_STRING: return "string";
	case MOSAIC_T_CHOICE: return "choice";
	case MOSAIC_T_ADDRESS: return "address";
	case VALUE_LIST: return "list";
	case VALUE_OBJECT: return "object";
	default: return "unknown";
	}
}

size_t value_bytes(uint32_t type)
{
	switch (type) {
	case MOSAIC_T_BOOL: return sizeof(uint8_t);
	case MOSAIC_T_INT: return sizeof(int64_t);
	case MOSAIC_T_SIZE:
	case MOSAIC_T_DURATION: return sizeof(uint64_t);
	case MOSAIC_T_STRING:
	case MOSAIC_T_ADDRESS: return sizeof(const char *);
	case MOSAIC_T_CHOICE: return sizeof(uint32_t);
	default: return 0;
	}
}

static bool is_text(uint32_t type)
{
	return type == MOSAIC_T_STRING || type == MOSAIC_T_ADDRESS;
}

/* Digits and a unit, nothing between them; false when it is not that or does not fit. */
static bool parse_scaled(struct mosaic_slice text, const struct unit *units, size_t n,
			 uint64_t *out)
{
	uint64_t number = 0;
	size_t at = 0;

	for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
		if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
		    __builtin_add_overflow(number, (uint64_t)text.ptr[at] - '0', &number))
			return false;
	if (at == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (slice_is(slice(text.ptr + at, text.len - at), units[i].name))
			return !__builtin_mul_overflow(number, units[i].factor, out);
	return false;
}

static bool parse_u64(uint32_t type, struct mosaic_slice text, uint64_t *out)
{
	if (type == MOSAIC_T_SIZE)
		return parse_scaled(text, size_units, ARRAY_LEN(size_units), out);
	return parse_scaled(text, duration_units, ARRAY_LEN(duration_units), out);
}

int value_parse_address(const char *text, char *host, size_t cap, uint32_t *port)
{
	const char *colon = strrchr(text, ':');
	struct mosaic_slice name;
	int32_t number;

	if (!colon || num_parse_i32(slice_str(colon + 1), &number) != 0 || number < 0 ||
	    number > 65535 || colon[1] == '+' || colon[1] == '-')
		return MOSAIC_E_INVAL;
	name = slice(text, (size_t)(colon - text));
	if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
		name = slice(name.ptr + 1, name.len - 2);
	else if (memchr(text, ':', name.len))
		return MOSAIC_E_INVAL; /* IPv6 without brackets */
	if (name.len == 0 || name.len >= cap || memchr(name.ptr, ' ', name.len))
		return MOSAIC_E_INVAL;
	memcpy(host, name.ptr, name.len);
	host[name.len] = '\0';
	*port = (uint32_t)number;
	return 0;
}

/* The bounds of a plugin's table are checked at load; one that does not parse bounds nothing. */
static int check_range_u64(const struct mosaic_option *o, struct mosaic_slice text, uint64_t value,
			   struct mosaic_error *err)
{
	uint64_t bound;

	if (o->min && parse_u64(o->type, slice_str(o->min), &bound) && value < bound)
		return err_set(err, MOSAIC_E_INVAL, "must be at least %s, not %.*s", o->min,
			       SLICE_ARG(text));
	if (o->max && parse_u64(o->type, slice_str(o->max), &bound) && value > bound)
		return err_set(err, MOSAIC_E_INVAL, "must be at most %s, not %.*s", o->max,
			       SLICE_ARG(text));
	return 0;
}

static int check_range_i64(const struct mosaic_option *o, struct mosaic_slice text, int64_t value,
			   struct mosaic_error *err)
{
	int64_t bound;

	if (o->min && num_parse_i64(slice_str(o->min), &bound) == 0 && value < bound)
		return err_set(err, MOSAIC_E_INVAL, "must be at least %s, not %.*s", o->min,
			       SLICE_ARG(text));
	if (o->max && num_parse_i64(slice_str(o->max), &bound) == 0 && value > bound)
		return err_set(err, MOSAIC_E_INVAL, "must be at most %s, not %.*s", o->max,
			       SLICE_ARG(text));
	return 0;
}

static int parse_choice(const struct mosaic_option *o, struct mosaic_slice text, uint32_t *out,
			struct mosaic_error *err)
{
	char *list = mem_strdup(o->choices), *wanted = slice_dup(text), *rest = list, *item;
	struct nearest near;
	char hint[96];
	int rc = MOSAIC_E_INVAL;

	nearest_init(&near, wanted);
	*out = 0;
	for (uint32_t i = 0; rc != 0 && (item = strsep(&rest, "|")) != NULL; i++) {
		nearest_try(&near, item);
		if (strcmp(item, wanted) == 0) {
			*out = i;
			rc = 0;
		}
	}
	if (rc != 0)
		err_set(err, rc, "must be one of %s, not \"%s\"%s", o->choices, wanted,
			nearest_hint(&near, hint, sizeof(hint)));
	free(list);
	free(wanted);
	return rc;
}

static int set_u64(const struct mosaic_option *o, struct mosaic_slice text, uint8_t *member,
		   struct mosaic_error *err)
{
	uint64_t value;
	int rc;

	if (!parse_u64(o->type, text, &value))
		return err_set(err, MOSAIC_E_INVAL, "must be a %s such as %s, not \"%.*s\"",
			       value_type_name(o->type),
			       o->type == MOSAIC_T_SIZE ? "\"64KiB\" or 65536" : "\"500ms\"",
			       SLICE_ARG(text));
	rc = check_range_u64(o, text, value, err);
	if (rc == 0)
		memcpy(member, &value, sizeof(value));
	return rc;
}

static int set_i64(const struct mosaic_option *o, struct mosaic_slice text, uint8_t *member,
		   struct mosaic_error *err)
{
	int64_t value;
	int rc;

	if (num_parse_i64(text, &value) != 0)
		return err_set(err, MOSAIC_E_INVAL, "must be an integer, not \"%.*s\"",
			       SLICE_ARG(text));
	rc = check_range_i64(o, text, value, err);
	if (rc == 0)
		memcpy(member, &value, sizeof(value));
	return rc;
}

static int set_text(const struct mosaic_option *o, struct mosaic_slice text, uint8_t *member,
		    struct mosaic_error *err)
{
	char *copy = slice_dup(text), *old;
	char host[256];
	uint32_t port;

	if (o->type == MOSAIC_T_ADDRESS &&
	    value_parse_address(copy, host, sizeof(host), &port) != 0) {
		err_set(err, MOSAIC_E_INVAL,
			"must be an address such as \"127.0.0.1:9876\" or \"[::1]:9876\", not "
			"\"%s\"", copy);
		free(copy);
		return MOSAIC_E_INVAL;
	}
	memcpy(&old, member, sizeof(old));
	free(old);
	memcpy(member, &copy, sizeof(copy));
	return 0;
}

int value_list_add(const struct mosaic_option *o, struct mosaic_slice text, void *options,
		   struct mosaic_error *err)
{
	struct value_list *list = (void *)((uint8_t *)options + o->offset);
	uint32_t index;
	int rc;

	if (list->count == VALUE_LIST_MAX)
		return err_set(err, MOSAIC_E_INVAL, "has more than %d items", VALUE_LIST_MAX);
	if (o->choices && (rc = parse_choice(o, text, &index, err)) != 0)
		return rc;
	list->items = mem_resize(list->items, (list->count + 1) * sizeof(*list->items));
	list->items[list->count++] = slice_dup(text);
	return 0;
}

static void list_free(struct value_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct value_list){ NULL, 0 };
}

static int set_list(const struct mosaic_option *o, struct mosaic_slice text, void *options,
		    struct mosaic_error *err)
{
	char *copy = slice_dup(text), *rest = copy, *item;
	int rc = 0;

	list_free((void *)((uint8_t *)options + o->offset));
	while (rc == 0 && (item = strsep(&rest, "|")) != NULL)
		rc = value_list_add(o, slice_str(item), options, err);
	free(copy);
	return rc;
}

int value_set(const struct mosaic_option *o, struct mosaic_slice text, void *options,
	      struct mosaic_error *err)
{
	uint8_t *member = (uint8_t *)options + o->offset;
	uint32_t index;
	int rc;

	switch (o->type) {
	case MOSAIC_T_BOOL:
		if (!slice_is(text, "true") && !slice_is(text, "false"))
			return err_set(err, MOSAIC_E_INVAL, "must be true or false, not \"%.*s\"",
				       SLICE_ARG(text));
		*member = slice_is(text, "true");
		return 0;
	case MOSAIC_T_INT:
		return set_i64(o, text, member, err);
	case MOSAIC_T_SIZE:
	case MOSAIC_T_DURATION:
		return set_u64(o, text, member, err);
	case MOSAIC_T_STRING:
	case MOSAIC_T_ADDRESS:
		return set_text(o, text, member, err);
	case MOSAIC_T_CHOICE:
		rc = parse_choice(o, text, &index, err);
		if (rc == 0)
			memcpy(member, &index, sizeof(index));
		return rc;
	case VALUE_LIST:
		return set_list(o, text, options, err);
	default:
		return err_set(err, MOSAIC_E_INVAL, "has an unknown type %u", o->type);
	}
}

int value_defaults(const struct mosaic_option *table, uint32_t n, void *options,
		   struct mosaic_error *err)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!table[i].fallback || table[i].type == VALUE_OBJECT)
			continue;
		int rc = value_set(&table[i], slice_str(table[i].fallback), options, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

void value_free(const struct mosaic_option *table, uint32_t n, void *options)
{
	char *text;

	if (!options)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *member = (uint8_t *)options + table[i].offset;

		if (is_text(table[i].type)) {
			memcpy(&text, member, sizeof(text));
			free(text);
			memset(member, 0, sizeof(text));
		} else if (table[i].type == VALUE_LIST) {
			list_free((void *)member);
		}
	}
}

static void print_scaled(struct buf *out, uint64_t value, const struct unit *units, size_t n)
{
	size_t best = 0;

	for (size_t i = 0; i < n; i++)
		if (value != 0 && value % units[i].factor == 0)
			best = i;
	buf_printf(out, "%" PRIu64 "%s", value / units[best].factor, units[best].name);
}

static void print_choice(struct buf *out, const char *choices, uint32_t index)
{
	while (index-- > 0 && choices)
		choices = strchr(choices, '|') ? strchr(choices, '|') + 1 : NULL;
	if (choices)
		buf_append(out, choices, strcspn(choices, "|"));
}

static void print_list(struct buf *out, const struct value_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", list->items[i]);
}

void value_print(const struct mosaic_option *o, const void *options, struct buf *out)
{
	const uint8_t *member = (const uint8_t *)options + o->offset;
	union {
		int64_t i64;
		uint64_t u64;
		uint32_t u32;
		const char *text;
	} v = { 0 };

	memcpy(&v, member, value_bytes(o->type));
	switch (o->type) {
	case MOSAIC_T_BOOL:
		buf_append_str(out, *member ? "true" : "false");
		break;
	case MOSAIC_T_INT:
		buf_append_i64(out, v.i64);
		break;
	case MOSAIC_T_SIZE:
		print_scaled(out, v.u64, size_units, ARRAY_LEN(size_units));
		break;
	case MOSAIC_T_DURATION:
		print_scaled(out, v.u64, duration_units, ARRAY_LEN(duration_units));
		break;
	case MOSAIC_T_STRING:
	case MOSAIC_T_ADDRESS:
		buf_append_str(out, v.text ? v.text : "");
		break;
	case MOSAIC_T_CHOICE:
		print_choice(out, o->choices, v.u32);
		break;
	case VALUE_LIST:
		print_list(out, (const void *)member);
		break;
	default:
		break;
	}
}
