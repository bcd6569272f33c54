/*
 * The topic table. A change goes the same way everywhere: change the table, touch (version and what
 * NameServers are told), save.
 */
#include "broker/topics.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/docs.h"
#include "broker/offsets.h"
#include "broker/pulls.h"
#include "broker/registrar.h"
#include "broker/stats.h"
#include <stdio.h>
#include <stdlib.h>

#define TOPIC_NAME_LOADED_MAX 255 /* Apache's own files may hold such names */
#define EMPTY_ATTRIBUTES "{}"

struct topics *topics_create(struct broker *b)
{
	struct topics *t = mem_alloc(sizeof(*t));

	t->broker = b;
	t->version.timestamp = (int64_t)host_wall_ms(b->host);
	return t;
}

static void topic_free(struct topic *topic)
{
	free(topic->name);
	free(topic->attributes);
	free(topic->queues);
	free(topic);
}

void topics_destroy(struct topics *t)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&t->table, &pos)) != NULL;)
		topic_free(e->value);
	map_free(&t->table);
	free(t);
}

struct topic *topics_find(const struct topics *t, struct mosaic_slice name)
{
	return map_get(&t->table, name);
}

/* Room for the queues of the present config; pointers that are known stay. */
static void grow_queues(struct topic *topic)
{
	uint32_t n = (uint32_t)topic_queue_count(topic);

	if (n <= topic->n_queues)
		return;
	topic->queues = mem_resize(topic->queues, n * sizeof(struct queue *));
	memset(topic->queues + topic->n_queues, 0,
	       (n - topic->n_queues) * sizeof(struct queue *));
	topic->n_queues = n;
}

struct queue *topic_queue(struct broker *b, struct topic *topic, int32_t queue_id)
{
	ASSERT(queue_id >= 0);
	if (UNLIKELY((uint32_t)queue_id >= topic->n_queues))
		grow_queues(topic);
	if (UNLIKELY((uint32_t)queue_id >= topic->n_queues))
		return NULL;
	if (UNLIKELY(topic->queues[queue_id] == NULL))
		topic->queues[queue_id] =
			log_queue(b->log, slice(topic->name, topic->name_len), queue_id);
	return topic->queues[queue_id];
}

/* ---- changes ---------------------------------------------------------------------------- */

static int32_t bounded_queues(int32_t n)
{
	return n < 0 ? 0 : n > TOPIC_QUEUES_MAX ? TOPIC_QUEUES_MAX : n;
}

/* A topic in the table, not yet saved and not yet told to anybody. */
static struct topic *insert(struct topics *t, struct mosaic_slice name)
{
	struct topic *topic = mem_alloc(sizeof(*topic));

	topic->name = slice_dup(name);
	topic->name_len = (uint32_t)name.len;
	topic->perm = PERM_READ | PERM_WRITE;
	topic->is_system = topic_name_is_system(t->broker, name);
	topic->attributes = mem_strdup(EMPTY_ATTRIBUTES);
	topic->changed_at = ++t->n_changes;
	map_put(&t->table, name, topic);
	return topic;
}

static void publish(struct topics *t, struct topic *topic)
{
	if (topic)
		topic->changed_at = ++t->n_changes;
	data_version_bump(&t->version, t->broker->host);
	docs_dirty(t->broker->docs, DOC_TOPICS);
	registrar_changed(t->broker->registrar);
}

struct topic *topics_add(struct topics *t, struct mosaic_slice name, int32_t queues, int32_t perm,
			 bool order)
{
	struct topic *topic = topics_find(t, name);

	if (topic)
		return topic;
	if (map_count(&t->table) >= t->broker->config.max_topics || name.len == 0 ||
	    name.len > TOPIC_NAME_LOADED_MAX)
		return NULL;
	topic = insert(t, name);
	topic->read_queues = topic->write_queues = bounded_queues(queues);
	topic->perm = perm;
	topic->order = order;
	topic->is_unsaved = true;
	LOG_INFO(t->broker->host, "topic_created", "topic=%s queues=%d perm=%d", topic->name,
		 topic->read_queues, perm);
	publish(t, topic);
	return topic;
}

struct topic *topics_add_on_send(struct topics *t, struct mosaic_slice name,
				 struct mosaic_slice default_topic, int32_t queues)
{
	const struct topic *model = topics_find(t, default_topic);
	bool is_tbw = slice_is(default_topic, TOPIC_DEFAULT);
	struct topic *topic;

	if (!model || !(model->perm & PERM_INHERIT))
		return NULL;
	if (is_tbw && !t->broker->config.auto_create_topic)
		return NULL; /* switched off at run time */
	if (queues > model->write_queues)
		queues = model->write_queues;
	topic = topics_add(t, name, queues, model->perm & ~PERM_INHERIT, false);
	if (topic)
		topic->multi_tags = model->multi_tags;
	return topic;
}

struct topic *topics_add_of_group(struct topics *t, const char *prefix, struct mosaic_slice group,
				  int32_t queues, int32_t sys_flag)
{
	char name[TOPIC_NAME_LOADED_MAX + 1];
	int n = snprintf(name, sizeof(name), "%s%.*s", prefix, SLICE_ARG(group));
	struct topic *topic;

	if (n < 0 || (size_t)n >= sizeof(name))
		return NULL;
	topic = topics_find(t, slice(name, (size_t)n));
	if (topic)
		return topic;
	topic = topics_add(t, slice(name, (size_t)n), queues, PERM_READ | PERM_WRITE, false);
	if (topic)
		topic->sys_flag = sys_flag;
	return topic;
}

void topics_set_order(struct topics *t, struct topic *topic, bool order)
{
	if (topic->order == order)
		return;
	topic->order = order;
	publish(t, topic);
}

struct topic *topics_set(struct topics *t, struct mosaic_slice name, const struct topic_settings *s)
{
	struct topic *topic = topics_find(t, name);

	if (!topic) {
		if (map_count(&t->table) >= t->broker->config.max_topics)
			return NULL;
		topic = insert(t, name);
		topic->is_unsaved = true;
	}
	topic->read_queues = bounded_queues(s->read_queues);
	topic->write_queues = bounded_queues(s->write_queues);
	topic->perm = s->perm;
	topic->sys_flag = s->sys_flag;
	topic->order = s->order;
	topic->multi_tags = s->multi_tags;
	if (s->attributes) {
		free(topic->attributes);
		topic->attributes = mem_strdup(s->attributes);
	}
	LOG_INFO(t->broker->host, "topic_set", "topic=%s read_queues=%d write_queues=%d perm=%d",
		 topic->name, topic->read_queues, topic->write_queues, topic->perm);
	publish(t, topic);
	return topic;
}

void topics_touch_all(struct topics *t)
{
	struct map_entry *e;

	t->n_changes++;
	for (uint32_t pos = 0; (e = map_next(&t->table, &pos)) != NULL;)
		((struct topic *)e->value)->changed_at = t->n_changes;
	publish(t, NULL);
}

void topics_delete(struct topics *t, struct mosaic_slice name)
{
	struct topic *topic = map_remove(&t->table, name);

	if (!topic)
		return;
	LOG_INFO(t->broker->host, "topic_deleted", "topic=%s", topic->name);
	for (uint32_t i = 0; i < topic->n_queues; i++)
		if (topic->queues[i])
			holds_queue_gone(t->broker->holds, topic->queues[i]);
	log_drop_topic(t->broker->log, slice(topic->name, topic->name_len));
	offsets_delete_topic(t->broker->offsets, slice(topic->name, topic->name_len));
	stats_delete_topic(t->broker->stats, slice(topic->name, topic->name_len));
	topic_free(topic);
	publish(t, NULL);
}

/* ---- names ------------------------------------------------------------------------------ */

struct system_topic {
	const char *prefix;
	enum { PLAIN, CLUSTER, BROKER } of; /* what follows (or, without a prefix, is) the name */
	const char *suffix;
	int32_t queues, perm;
	bool at_boot;
};

/* TopicConfigManager.init of 5.3.3 with the defaults of BrokerConfig. */
static const struct system_topic system_topics[] = {
	{ "SELF_TEST_TOPIC", PLAIN, "", 1, 6, true },
	{ TOPIC_DEFAULT, PLAIN, "", 8, 7, true },
	{ "BenchmarkTest", PLAIN, "", 1024, 6, true },
	{ "", CLUSTER, "", 16, 7, true },
	{ "", BROKER, "", 1, 7, true },
	{ "OFFSET_MOVED_EVENT", PLAIN, "", 1, 6, true },
	{ TOPIC_SCHEDULE, PLAIN, "", 18, 6, true },
	{ "RMQ_SYS_TRACE_TOPIC", PLAIN, "", 1, 6, false },
	{ "", CLUSTER, "_REPLY_TOPIC", 1, 6, true },
	{ "rmq_sys_REVIVE_LOG_", CLUSTER, "", 8, 6, true },
	{ "rmq_sys_SYNC_BROKER_MEMBER_", BROKER, "", 1, 1, true },
	{ "RMQ_SYS_TRANS_HALF_TOPIC", PLAIN, "", 1, 6, true },
	{ "RMQ_SYS_TRANS_OP_HALF_TOPIC", PLAIN, "", 1, 6, true },
	{ "rmq_sys_wheel_timer", PLAIN, "", 1, 6, true },
	{ "TRANS_CHECK_MAX_TIME_TOPIC", PLAIN, "", 1, 6, false },
	{ "CHECKPOINT_TOPIC", PLAIN, "", 1, 6, false },
};

static void system_name(const struct broker *b, const struct system_topic *s, struct buf *out)
{
	buf_clear(out);
	buf_append_str(out, s->prefix);
	if (s->of != PLAIN)
		buf_append_str(out, s->of == CLUSTER ? b->config.cluster : b->config.name);
	buf_append_str(out, s->suffix);
}

void topics_each_system_name(const struct broker *b,
			     void (*each)(void *ctx, struct mosaic_slice name), void *ctx)
{
	struct buf name = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(system_topics); i++) {
		system_name(b, &system_topics[i], &name);
		each(ctx, buf_slice(&name));
	}
	buf_free(&name);
}

void topics_add_system(struct topics *t)
{
	struct buf name = BUF_INIT;
	bool added = false;

	t->n_changes++;
	for (size_t i = 0; i < ARRAY_LEN(system_topics); i++) {
		const struct system_topic *s = &system_topics[i];
		struct topic *topic;

		system_name(t->broker, s, &name);
		if (!s->at_boot || topics_find(t, buf_slice(&name)))
			continue;
		bool is_default = strcmp(s->prefix, TOPIC_DEFAULT) == 0;
		if (is_default && !t->broker->config.auto_create_topic)
			continue;
		topic = insert(t, buf_slice(&name));
		topic->read_queues = topic->write_queues =
			is_default ? t->broker->config.default_queues : s->queues;
		topic->perm = s->perm;
		added = true;
	}
	buf_free(&name);
	/* As in Apache's broker these do not bump the version. */
	if (added)
		docs_dirty(t->broker->docs, DOC_TOPICS);
}

bool topic_name_is_system(const struct broker *b, struct mosaic_slice name)
{
	struct buf system = BUF_INIT;
	bool is = slice_has_prefix(name, "rmq_sys_");

	for (size_t i = 0; !is && i < ARRAY_LEN(system_topics); i++) {
		system_name(b, &system_topics[i], &system);
		is = slice_eq(name, buf_slice(&system));
	}
	buf_free(&system);
	return is;
}

bool topic_name_is_forbidden(struct mosaic_slice name)
{
	static const char *const names[] = {
		TOPIC_SCHEDULE,		      "RMQ_SYS_TRANS_HALF_TOPIC",
		"RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
		"SELF_TEST_TOPIC",	      "OFFSET_MOVED_EVENT",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_is(name, names[i]))
			return true;
	return false;
}

bool name_is_legal(struct mosaic_slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '%' || c == '|' || c == '_' || c == '-'))
			return false;
	}
	return name.len > 0;
}

const char *topic_name_check(struct mosaic_slice name)
{
	bool blank = true;

	for (size_t i = 0; i < name.len && blank; i++)
		blank = name.ptr[i] <= ' ';
	if (blank)
		return "The specified topic is blank.";
	if (!name_is_legal(name))
		return "The specified topic contains illegal characters, allowing only "
		       "^[%|a-zA-Z0-9_-]+$";
	if (name.len > TOPIC_NAME_MAX)
		return "The specified topic is longer than topic max length.";
	return NULL;
}

/* ---- the document ----------------------------------------------------------------------- */

void data_version_write(const struct data_version *v, struct json_writer *w)
{
	jw_object(w);
	jw_put_i64(w, "counter", v->counter);
	jw_put_i64(w, "stateVersion", v->state_version);
	jw_put_i64(w, "timestamp", v->timestamp);
	jw_object_end(w);
}

void data_version_read(struct data_version *v, const json_t *object)
{
	if (!json_is_object(object))
		return;
	v->counter = json_get_i64(object, "counter", v->counter);
	v->state_version = json_get_i64(object, "stateVersion", v->state_version);
	v->timestamp = json_get_i64(object, "timestamp", v->timestamp);
}

void topic_write(const struct topic *topic, int32_t perm_mask, struct json_writer *w)
{
	jw_object(w);
	jw_key(w, "attributes");
	jw_raw(w, slice_str(topic->attributes));
	jw_put_bool(w, "order", topic->order);
	jw_put_i64(w, "perm", topic->perm & perm_mask);
	jw_put_i64(w, "readQueueNums", topic->read_queues);
	jw_put_cstr(w, "topicFilterType", topic->multi_tags ? "MULTI_TAG" : "SINGLE_TAG");
	jw_put_str(w, "topicName", slice(topic->name, topic->name_len));
	jw_put_i64(w, "topicSysFlag", topic->sys_flag);
	jw_put_i64(w, "writeQueueNums", topic->write_queues);
	jw_object_end(w);
}

void topics_save(const struct topics *t, struct buf *out)
{
	struct json_writer w;
	struct map_entry *e;

	jw_init_pretty(&w, out);
	jw_object(&w);
	jw_key(&w, "dataVersion");
	data_version_write(&t->version, &w);
	jw_key(&w, "topicConfigTable");
	jw_object(&w);
	for (uint32_t pos = 0; (e = map_next(&t->table, &pos)) != NULL;) {
		jw_key_slice(&w, e->key);
		topic_write(e->value, -1, &w);
	}
	jw_object_end(&w);
	jw_object_end(&w);
}

static int load_topic(struct topics *t, struct mosaic_slice name, const json_t *config,
		      struct mosaic_error *err)
{
	int64_t read = json_get_i64(config, "readQueueNums", 16);
	int64_t write = json_get_i64(config, "writeQueueNums", 16);
	json_t *attributes = json_object_get(config, "attributes");
	struct topic *topic;

	if (!json_is_object(config) || name.len == 0 || name.len > TOPIC_NAME_LOADED_MAX)
		return err_set(err, MOSAIC_E_CORRUPT,
			       "topicConfigTable: the entry \"%.*s\" is no topic",
			       SLICE_ARG(name));
	if (read < 0 || read > TOPIC_QUEUES_MAX || write < 0 || write > TOPIC_QUEUES_MAX)
		return err_set(err, MOSAIC_E_CORRUPT,
			       "topic %.*s: numbers of queues must be 0 to %d", SLICE_ARG(name),
			       TOPIC_QUEUES_MAX);
	if (map_count(&t->table) >= t->broker->config.max_topics)
		return err_set(err, MOSAIC_E_LIMIT, "more topics than maxTopics (%u)",
			       t->broker->config.max_topics);
	topic = topics_find(t, name);
	if (!topic)
		topic = insert(t, name);
	topic->read_queues = (int32_t)read;
	topic->write_queues = (int32_t)write;
	topic->perm = (int32_t)json_get_i64(config, "perm", PERM_READ | PERM_WRITE);
	topic->sys_flag = (int32_t)json_get_i64(config, "topicSysFlag", 0);
	topic->order = json_get_bool(config, "order", false);
	topic->multi_tags = slice_is(json_get_str(config, "topicFilterType"), "MULTI_TAG");
	if (json_is_object(attributes) && json_object_size(attributes) > 0) {
		free(topic->attributes);
		topic->attributes = json_dumps(attributes, JSON_COMPACT | JSON_SORT_KEYS);
		ASSERT(topic->attributes);
	}
	return 0;
}

int topics_load(struct topics *t, struct mosaic_slice text, struct mosaic_error *err)
{
	json_t *root = json_read(text, err);
	const char *name;
	json_t *config;
	int rc = 0;

	if (!root)
		return MOSAIC_E_CORRUPT;
	data_version_read(&t->version, json_object_get(root, "dataVersion"));
	json_object_foreach(json_object_get(root, "topicConfigTable"), name, config) {
		rc = load_topic(t, slice_str(name), config, err);
		if (rc != 0)
			break;
	}
	json_decref(root);
	return rc;
}
