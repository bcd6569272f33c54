/*
 * Consumer offsets. The key "topic@group" is built on the stack; a commit to a pair that has been
 * seen before touches the hash map once and allocates nothing.
 */
#include "broker/offsets.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "broker/docs.h"
#include "broker/topics.h"
#include <stdlib.h>

#define KEY_MAX 512 /* topic, '@' and group: each at most 255 */
#define VERSION_STEP 500

struct offset_key {
	uint8_t bytes[KEY_MAX];
	struct mosaic_slice text; /* len 0: too long for a real pair */
};

static void make_key(struct offset_key *key, struct mosaic_slice topic, struct mosaic_slice group)
{
	size_t len = topic.len + 1 + group.len;

	key->text = slice(key->bytes, 0);
	if (len > KEY_MAX || topic.len == 0 || group.len == 0)
		return;
	memcpy(key->bytes, topic.ptr, topic.len);
	key->bytes[topic.len] = '@';
	memcpy(key->bytes + topic.len + 1, group.ptr, group.len);
	key->text.len = len;
}

struct offsets *offsets_create(struct broker *b)
{
	struct offsets *o = mem_alloc(sizeof(*o));

	o->broker = b;
	o->version.timestamp = (int64_t)host_wall_ms(b->host);
	return o;
}

static void table_free(struct offset_table *t)
{
	free(t->key);
	free(t->offsets);
	free(t);
}

static void tables_free(struct map *tables)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(tables, &pos)) != NULL;)
		table_free(e->value);
	map_free(tables);
}

void offsets_destroy(struct offsets *o)
{
	tables_free(&o->table);
	tables_free(&o->pull_table);
	tables_free(&o->reset_table);
	free(o);
}

/* ---- one table -------------------------------------------------------------------------- */

static int64_t get(const struct map *tables, struct mosaic_slice topic, struct mosaic_slice group,
		   int32_t queue_id)
{
	const struct offset_table *t;
	struct offset_key key;

	if (map_count(tables) == 0)
		return -1;
	make_key(&key, topic, group);
	t = map_get(tables, key.text);
	return t && queue_id >= 0 && (uint32_t)queue_id < t->n ? t->offsets[queue_id] : -1;
}

static bool set_at(struct map *tables, struct mosaic_slice key, int32_t queue_id, int64_t offset)
{
	struct offset_table *t = map_get(tables, key);

	if (key.len == 0 || queue_id < 0 || queue_id >= OFFSET_QUEUES_MAX)
		return false;
	if (UNLIKELY(!t)) {
		if (map_count(tables) >= OFFSET_TABLES_MAX)
			return false;
		t = mem_alloc(sizeof(*t));
		t->key = slice_dup(key);
		map_put(tables, key, t);
	}
	if (UNLIKELY((uint32_t)queue_id >= t->n)) {
		uint32_t n = (uint32_t)queue_id + 1;

		t->offsets = mem_resize(t->offsets, n * sizeof(t->offsets[0]));
		for (uint32_t i = t->n; i < n; i++)
			t->offsets[i] = -1;
		t->n = n;
	}
	t->offsets[queue_id] = offset;
	return true;
}

static bool set(struct map *tables, struct mosaic_slice topic, struct mosaic_slice group,
		int32_t queue_id, int64_t offset)
{
	struct offset_key key;

	make_key(&key, topic, group);
	return set_at(tables, key.text, queue_id, offset);
}

/* Splits "topic@group"; false for keys of another form ("topic@group@broadcast"). */
static bool split_key(struct mosaic_slice key, struct mosaic_slice *topic,
		      struct mosaic_slice *group)
{
	const uint8_t *at = memchr(key.ptr, '@', key.len);

	if (!at)
		return false;
	*topic = slice(key.ptr, (size_t)(at - key.ptr));
	*group = slice(at + 1, key.len - topic->len - 1);
	return memchr(group->ptr, '@', group->len) == NULL;
}

/* ---- what handlers use ------------------------------------------------------------------ */

int64_t offsets_get(const struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		    int32_t queue_id)
{
	return get(&o->table, topic, group, queue_id);
}

static void changed(struct offsets *o)
{
	docs_dirty(o->broker->docs, DOC_OFFSETS);
	if (++o->n_commits % VERSION_STEP == 0)
		data_version_bump(&o->version, o->broker->host);
}

void offsets_commit(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		    int32_t queue_id, int64_t offset)
{
	if (set(&o->table, topic, group, queue_id, offset))
		changed(o);
}

void offsets_pulled(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		    int32_t queue_id, int64_t next)
{
	set(&o->pull_table, topic, group, queue_id, next);
}

int64_t offsets_get_pulled(const struct offsets *o, struct mosaic_slice topic,
			   struct mosaic_slice group, int32_t queue_id)
{
	return get(&o->pull_table, topic, group, queue_id);
}

void offsets_reset(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
		   int32_t queue_id, int64_t offset)
{
	/* The stored offset too, for consumers that are not there now. */
	offsets_commit(o, topic, group, queue_id, offset);
	set(&o->reset_table, topic, group, queue_id, offset);
}

int64_t offsets_peek_reset(const struct offsets *o, struct mosaic_slice topic,
			   struct mosaic_slice group, int32_t queue_id)
{
	return get(&o->reset_table, topic, group, queue_id);
}

int64_t offsets_take_reset(struct offsets *o, struct mosaic_slice topic, struct mosaic_slice group,
			   int32_t queue_id)
{
	int64_t offset = get(&o->reset_table, topic, group, queue_id);
	struct offset_table *t;
	struct offset_key key;

	if (offset < 0)
		return -1;
	make_key(&key, topic, group);
	t = map_get(&o->reset_table, key.text);
	t->offsets[queue_id] = -1;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->offsets[i] >= 0)
			return offset;
	table_free(map_remove(&o->reset_table, key.text));
	return offset;
}

/* ---- deleting and listing --------------------------------------------------------------- */

static bool is_of(struct mosaic_slice key, struct mosaic_slice name, bool by_group)
{
	const uint8_t *at = memchr(key.ptr, '@', key.len);

	if (!at)
		return false;
	if (!by_group)
		return slice_eq(slice(key.ptr, (size_t)(at - key.ptr)), name);
	struct mosaic_slice rest = slice(at + 1, key.len - (size_t)(at + 1 - key.ptr));
	at = memchr(rest.ptr, '@', rest.len);
	return slice_eq(at ? slice(rest.ptr, (size_t)(at - rest.ptr)) : rest, name);
}

static bool delete_from(struct map *tables, struct mosaic_slice name, bool by_group)
{
	struct map_entry *e;
	bool any = false;

	for (uint32_t pos = 0; (e = map_next(tables, &pos)) != NULL;) {
		if (!is_of(e->key, name, by_group))
			continue;
		table_free(map_remove(tables, e->key));
		any = true;
	}
	return any;
}

static void delete_all(struct offsets *o, struct mosaic_slice name, bool by_group)
{
	delete_from(&o->pull_table, name, by_group);
	delete_from(&o->reset_table, name, by_group);
	if (delete_from(&o->table, name, by_group))
		changed(o);
}

void offsets_delete_topic(struct offsets *o, struct mosaic_slice topic)
{
	delete_all(o, topic, false);
}

void offsets_delete_group(struct offsets *o, struct mosaic_slice group)
{
	delete_all(o, group, true);
}

void offsets_each_topic(const struct offsets *o, struct mosaic_slice group,
			void (*each)(void *ctx, struct mosaic_slice topic), void *ctx)
{
	struct mosaic_slice topic, of;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&o->table, &pos)) != NULL;)
		if (split_key(e->key, &topic, &of) && slice_eq(of, group))
			each(ctx, topic);
}

void offsets_each_group(const struct offsets *o, struct mosaic_slice topic,
			void (*each)(void *ctx, struct mosaic_slice group), void *ctx)
{
	struct mosaic_slice of, group;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&o->table, &pos)) != NULL;)
		if (split_key(e->key, &of, &group) && slice_eq(of, topic))
			each(ctx, group);
}

/* ---- the document ----------------------------------------------------------------------- */

/* {"group":["topic",...]}, derived: Apache keeps it beside the table. */
static void write_group_topics(const struct offsets *o, struct json_writer *w)
{
	struct map groups = MAP_INIT; /* group -> struct buf of topics as JSON */
	struct mosaic_slice topic, group;
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&o->table, &pos)) != NULL;) {
		struct json_writer list;
		struct buf *topics;

		if (!split_key(e->key, &topic, &group))
			continue;
		topics = map_get(&groups, group);
		if (!topics) {
			topics = mem_alloc(sizeof(*topics));
			map_put(&groups, group, topics);
		}
		buf_append_byte(topics, topics->len > 0 ? ',' : '[');
		jw_init(&list, topics);
		jw_str(&list, topic);
	}
	jw_object(w);
	for (uint32_t pos = 0; (e = map_next(&groups, &pos)) != NULL;) {
		struct buf *topics = e->value;

		buf_append_byte(topics, ']');
		jw_key_slice(w, e->key);
		jw_raw(w, buf_slice(topics));
		buf_free(topics);
		free(topics);
	}
	jw_object_end(w);
	map_free(&groups);
}

void offsets_write(const struct offsets *o, struct json_writer *w)
{
	struct map_entry *e;

	jw_object(w);
	jw_key(w, "dataVersion");
	data_version_write(&o->version, w);
	jw_key(w, "groupTopicMap");
	write_group_topics(o, w);
	jw_key(w, "offsetTable");
	jw_object(w);
	for (uint32_t pos = 0; (e = map_next(&o->table, &pos)) != NULL;) {
		const struct offset_table *t = e->value;

		jw_key_slice(w, e->key);
		jw_object(w);
		for (uint32_t i = 0; i < t->n; i++) {
			if (t->offsets[i] < 0)
				continue;
			jw_key_int(w, i);
			jw_i64(w, t->offsets[i]);
		}
		jw_object_end(w);
	}
	jw_object_end(w);
	jw_object_end(w);
}

void offsets_save(const struct offsets *o, struct buf *out)
{
	struct json_writer w;

	jw_init_pretty(&w, out);
	offsets_write(o, &w);
}

static int load_table(struct offsets *o, struct mosaic_slice key, json_t *queues,
		      struct mosaic_error *err)
{
	const char *id;
	json_t *offset;

	if (!json_is_object(queues) || key.len > KEY_MAX || !memchr(key.ptr, '@', key.len))
		return err_set(err, MOSAIC_E_CORRUPT,
			       "offsetTable: the entry \"%.*s\" is no topic@group with offsets",
			       SLICE_ARG(key));
	json_object_foreach(queues, id, offset) {
		int32_t queue_id;

		if (num_parse_i32(slice_str(id), &queue_id) != 0 || !json_is_integer(offset) ||
		    !set_at(&o->table, key, queue_id, json_integer_value(offset)))
			return err_set(err, MOSAIC_E_CORRUPT,
				       "offsetTable: %.*s: \"%s\" is no queue with an offset",
				       SLICE_ARG(key), id);
	}
	return 0;
}

int offsets_load(struct offsets *o, struct mosaic_slice text, struct mosaic_error *err)
{
	json_t *root = json_read(text, err);
	const char *key;
	json_t *queues;
	int rc = 0;

	if (!root)
		return MOSAIC_E_CORRUPT;
	data_version_read(&o->version, json_object_get(root, "dataVersion"));
	json_object_foreach(json_object_get(root, "offsetTable"), key, queues) {
		rc = load_table(o, slice_str(key), queues, err);
		if (rc != 0)
			break;
	}
	json_decref(root);
	return rc;
}
