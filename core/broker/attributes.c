#include "broker/attributes.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/num.h"

static const char *const queue_types[] = { "BatchCQ", "SimpleCQ", NULL };
static const char *const cleanup_policies[] = { "DELETE", "COMPACTION", NULL };
static const char *const message_types[] = { "UNSPECIFIED", "NORMAL",	   "FIFO", "DELAY",
					     "TRANSACTION", "MIXED", NULL };

const struct attribute topic_attributes[] = {
	{ "queue.type", false, queue_types },
	{ "cleanup.policy", false, cleanup_policies },
	{ "message.type", true, message_types },
	{ "reserve.time", true, NULL },
	{ NULL, false, NULL },
};

const struct attribute group_attributes[] = {
	{ "priority.factor", true, NULL },
	{ NULL, false, NULL },
};

static int parse_one(json_t *out, struct mosaic_slice item, struct mosaic_error *err)
{
	const uint8_t *eq = memchr(item.ptr, '=', item.len);
	size_t key_len = eq ? (size_t)(eq - item.ptr) : item.len;
	struct mosaic_slice value = eq ? slice(eq + 1, item.len - key_len - 1) : slice("", 0);
	bool has_sign = memchr(item.ptr, eq ? '+' : '-', key_len) != NULL;

	if (!has_sign)
		return err_set(err, MOSAIC_E_INVAL, "%s attribute format is wrong: %.*s",
			       eq ? "add/alter" : "delete", (int)key_len, (const char *)item.ptr);
	if (json_object_getn(out, (const char *)item.ptr, key_len))
		return err_set(err, MOSAIC_E_INVAL, "key duplication: %.*s", (int)key_len,
			       (const char *)item.ptr);
	if (json_object_setn_new(out, (const char *)item.ptr, key_len,
				 json_stringn((const char *)value.ptr, value.len)) != 0)
		return err_set(err, MOSAIC_E_INVAL, "attribute is no text: %.*s", (int)key_len,
			       (const char *)item.ptr);
	return 0;
}

json_t *attributes_parse(struct mosaic_slice list, struct mosaic_error *err)
{
	json_t *out = json_object();

	while (list.len > 0) {
		const uint8_t *comma = memchr(list.ptr, ',', list.len);
		size_t len = comma ? (size_t)(comma - list.ptr) : list.len;

		if (len > 0 && parse_one(out, slice(list.ptr, len), err) != 0) {
			json_decref(out);
			return NULL;
		}
		len += comma != NULL;
		list = slice(list.ptr + len, list.len - len);
	}
	return out;
}

static int check_value(const struct attribute *a, const char *value, struct mosaic_error *err)
{
	int64_t number;

	if (!a->values) {
		if (num_parse_i64(slice_str(value), &number) == 0 && number >= 0)
			return 0;
		return err_set(err, MOSAIC_E_INVAL, "value is not in range: %s=%s", a->name, value);
	}
	for (const char *const *v = a->values; *v; v++)
		if (strcmp(*v, value) == 0)
			return 0;
	return err_set(err, MOSAIC_E_INVAL, "value is not in set: %s=%s", a->name, value);
}

static int check_change(const struct attribute *known, bool is_create, const json_t *now,
			const char *key, const json_t *value, struct mosaic_error *err)
{
	const char *name = key + (*key == '+' || *key == '-');
	const struct attribute *a = known;

	if (is_create && *key != '+')
		return err_set(err, MOSAIC_E_INVAL,
			       "only add attribute is supported while creating topic. key: %s",
			       name);
	if (*key != '+' && *key != '-')
		return err_set(err, MOSAIC_E_INVAL, "wrong format key: %s", name);
	if (*key == '-' && !json_object_get(now, name))
		return err_set(err, MOSAIC_E_INVAL, "attempt to delete a nonexistent key: %s",
			       name);
	while (a->name && strcmp(a->name, name) != 0)
		a++;
	if (!a->name)
		return err_set(err, MOSAIC_E_INVAL, "unsupported key: %s", name);
	if (!is_create && !a->is_changeable)
		return err_set(err, MOSAIC_E_INVAL,
			       "attempt to update an unchangeable attribute. key: %s", name);
	if (strcmp(name, "reserve.time") == 0 && !is_create)
		return err_set(err, MOSAIC_E_INVAL, "Update topic reserveTime not supported");
	if (*key == '-')
		return 0;
	if (!json_is_string(value))
		return err_set(err, MOSAIC_E_INVAL, "value of %s is no text", name);
	return check_value(a, json_string_value(value), err);
}

int attributes_alter(const struct attribute *known, bool is_create, json_t *now,
		     const json_t *changes, struct mosaic_error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)changes, key, value) {
		int rc = check_change(known, is_create, now, key, value, err);

		if (rc != 0)
			return rc;
	}
	json_object_foreach((json_t *)(uintptr_t)changes, key, value) {
		if (*key == '+')
			json_object_set(now, key + 1, value);
		else
			json_object_del(now, key + 1);
	}
	return 0;
}
