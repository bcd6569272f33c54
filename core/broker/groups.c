/*
 * Subscription groups: found by every heartbeat and pull, created there when that is allowed, set
 * by an operator (200). Members of a config that mean nothing to us are kept as they came.
 */
#include "broker/groups.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/attributes.h"
#include "broker/docs.h"
#include "broker/topics.h"
#include <stdlib.h>

#define SYSTEM_GROUP_PREFIX "CID_RMQ_SYS_"
#define RETRY_QUEUES_MAX 1024

struct groups *groups_create(struct broker *b)
{
	struct groups *g = mem_alloc(sizeof(*g));

	g->broker = b;
	g->version.timestamp = (int64_t)host_wall_ms(b->host);
	return g;
}

static void group_free(struct group *group)
{
	free(group->name);
	free(group->extra);
	free(group);
}

void groups_destroy(struct groups *g)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&g->table, &pos)) != NULL;)
		group_free(e->value);
	map_free(&g->table);
	map_free(&g->forbidden);
	free(g);
}

struct group *groups_find(const struct groups *g, struct mosaic_slice name)
{
	return map_get(&g->table, name);
}

/* SubscriptionGroupConfig's defaults. */
static struct group *insert(struct groups *g, struct mosaic_slice name)
{
	struct group *group = mem_alloc(sizeof(*group));

	group->name = slice_dup(name);
	group->name_len = (uint32_t)name.len;
	group->consume_enable = true;
	group->consume_from_min_enable = true;
	group->consume_broadcast_enable = true;
	group->notify_ids_changed = true;
	group->retry_queues = 1;
	group->retry_max_times = 16;
	group->which_broker_when_slow = 1;
	group->consume_timeout_minutes = 15;
	map_put(&g->table, name, group);
	return group;
}

static void publish(struct groups *g)
{
	data_version_bump(&g->version, g->broker->host);
	docs_dirty(g->broker->docs, DOC_GROUPS);
}

struct group *groups_find_or_add(struct groups *g, struct mosaic_slice name)
{
	struct group *group = groups_find(g, name);

	if (LIKELY(group != NULL))
		return group;
	if (!g->broker->config.auto_create_group && !slice_has_prefix(name, SYSTEM_GROUP_PREFIX))
		return NULL;
	if (name.len > GROUP_NAME_MAX || !name_is_legal(name) ||
	    map_count(&g->table) >= g->broker->config.max_groups)
		return NULL;
	group = insert(g, name);
	LOG_INFO(g->broker->host, "group_created", "group=%s", group->name);
	publish(g);
	return group;
}

void groups_add_system(struct groups *g)
{
	static const char *const names[] = {
		"TOOLS_CONSUMER",     "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP",
		"CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL",    "CID_ONSAPI_PERMISSION",
		"CID_ONSAPI_OWNER",   "CID_RMQ_SYS_TRANS",
	};
	bool added = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (groups_find(g, slice_str(names[i])))
			continue;
		insert(g, slice_str(names[i]));
		added = true;
	}
	/* As in Apache's broker these do not bump the version. */
	if (added)
		docs_dirty(g->broker->docs, DOC_GROUPS);
}

/* ---- changes by an operator ------------------------------------------------------------- */

static bool is_interpreted(const char *member)
{
	static const char *const members[] = {
		"groupName", "consumeEnable", "consumeFromMinEnable", "consumeBroadcastEnable",
		"consumeMessageOrderly", "notifyConsumerIdsChangedEnable", "retryQueueNums",
		"retryMaxTimes", "brokerId", "whichBrokerWhenConsumeSlowly", "groupSysFlag",
		"consumeTimeoutMinute",
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (strcmp(member, members[i]) == 0)
			return true;
	return false;
}

static bool is_default_extra(const json_t *extra)
{
	static const char policy[] = "CUSTOMIZED";
	const json_t *attributes = json_object_get(extra, "attributes");
	const json_t *retry = json_object_get(extra, "groupRetryPolicy");

	return json_object_size(extra) == 2 && json_is_object(attributes) &&
	       json_object_size(attributes) == 0 && json_object_size(retry) == 1 &&
	       slice_is(json_get_str(retry, "type"), policy);
}

/* Sets group->extra from the members of `config` that are not interpreted. */
static void keep_extra(struct group *group, const json_t *config, const json_t *attributes)
{
	json_t *extra = json_object();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)config, key, value)
		if (!is_interpreted(key) && !json_is_null(value))
			json_object_set(extra, key, value);
	if (attributes)
		json_object_set(extra, "attributes", (json_t *)(uintptr_t)attributes);
	if (!json_is_object(json_object_get(extra, "attributes")))
		json_object_set_new(extra, "attributes", json_object());
	if (!json_is_object(json_object_get(extra, "groupRetryPolicy")))
		json_object_set_new(extra, "groupRetryPolicy",
				    json_pack("{s:s}", "type", "CUSTOMIZED"));
	free(group->extra);
	group->extra = is_default_extra(extra) ? NULL :
						 json_dumps(extra, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(extra);
}

static void set_interpreted(struct group *group, const json_t *config)
{
	group->consume_enable = json_get_bool(config, "consumeEnable", true);
	group->consume_from_min_enable = json_get_bool(config, "consumeFromMinEnable", true);
	group->consume_broadcast_enable = json_get_bool(config, "consumeBroadcastEnable", true);
	group->consume_orderly = json_get_bool(config, "consumeMessageOrderly", false);
	group->notify_ids_changed = json_get_bool(config, "notifyConsumerIdsChangedEnable", true);
	group->retry_queues = (int32_t)json_get_i64(config, "retryQueueNums", 1);
	if (group->retry_queues > RETRY_QUEUES_MAX)
		group->retry_queues = RETRY_QUEUES_MAX;
	group->retry_max_times = (int32_t)json_get_i64(config, "retryMaxTimes", 16);
	group->broker_id = json_get_i64(config, "brokerId", BROKER_MASTER_ID);
	group->which_broker_when_slow = json_get_i64(config, "whichBrokerWhenConsumeSlowly", 1);
	group->sys_flag = (int32_t)json_get_i64(config, "groupSysFlag", 0);
	group->consume_timeout_minutes = (int32_t)json_get_i64(config, "consumeTimeoutMinute", 15);
}

/* The attributes a group has now, as a new object. */
static json_t *attributes_of(const struct group *group)
{
	json_t *extra = group && group->extra ? json_loads(group->extra, 0, NULL) : NULL;
	json_t *attributes = json_deep_copy(json_object_get(extra, "attributes"));

	json_decref(extra);
	return json_is_object(attributes) ? attributes : json_object();
}

int groups_set(struct groups *g, const json_t *config, struct group **out, struct mosaic_error *err)
{
	struct mosaic_slice name = json_get_str(config, "groupName");
	struct group *group = name.ptr ? groups_find(g, name) : NULL;
	json_t *attributes;
	int rc;

	if (!json_is_object(config) || name.len == 0 || name.len > GROUP_NAME_LOADED_MAX ||
	    !name_is_legal(name))
		return err_set(err, MOSAIC_E_INVAL,
			       "the group name must have 1 to %d characters of "
			       "^[%%|a-zA-Z0-9_-]+$", GROUP_NAME_LOADED_MAX);
	if (!group && map_count(&g->table) >= g->broker->config.max_groups)
		return err_set(err, MOSAIC_E_LIMIT, "more groups than maxGroups (%u)",
			       g->broker->config.max_groups);
	attributes = attributes_of(group);
	rc = attributes_alter(group_attributes, group == NULL, attributes,
			      json_object_get(config, "attributes"), err);
	if (rc == 0) {
		if (!group)
			group = insert(g, name);
		set_interpreted(group, config);
		keep_extra(group, config, attributes);
		LOG_INFO(g->broker->host, "group_set", "group=%s", group->name);
		publish(g);
		*out = group;
	}
	json_decref(attributes);
	return rc;
}

bool groups_delete(struct groups *g, struct mosaic_slice name)
{
	struct group *group = map_remove(&g->table, name);

	if (!group)
		return false;
	LOG_INFO(g->broker->host, "group_deleted", "group=%s", group->name);
	group_free(group);
	publish(g);
	return true;
}

/* ---- forbidden topics ------------------------------------------------------------------- */

/* "group@topic" in a buffer of the caller; a length of 0 when it does not fit. */
static struct mosaic_slice forbidden_key(uint8_t *at, size_t cap, struct mosaic_slice group,
					 struct mosaic_slice topic)
{
	size_t len = group.len + 1 + topic.len;

	if (len > cap)
		return slice(at, 0);
	memcpy(at, group.ptr, group.len);
	at[group.len] = '@';
	memcpy(at + group.len + 1, topic.ptr, topic.len);
	return slice(at, len);
}

bool groups_is_forbidden(const struct groups *g, struct mosaic_slice group,
			 struct mosaic_slice topic)
{
	uint8_t room[2 * GROUP_NAME_LOADED_MAX + 2];

	if (LIKELY(map_count(&g->forbidden) == 0) || group.len == 0 || topic.len == 0)
		return false;
	struct mosaic_slice key = forbidden_key(room, sizeof(room), group, topic);
	return ((uintptr_t)map_get(&g->forbidden, key) & GROUP_FORBID_READ) != 0;
}

void groups_set_forbidden(struct groups *g, struct mosaic_slice group, struct mosaic_slice topic,
			  bool forbidden)
{
	uint8_t room[2 * GROUP_NAME_LOADED_MAX + 2];
	struct mosaic_slice key = forbidden_key(room, sizeof(room), group, topic);
	uintptr_t bits = (uintptr_t)map_get(&g->forbidden, key);
	uintptr_t wanted = forbidden ? bits | GROUP_FORBID_READ :
				       bits & ~(uintptr_t)GROUP_FORBID_READ;

	if (key.len == 0 || wanted == bits)
		return;
	if (wanted)
		map_put(&g->forbidden, key, (void *)wanted);
	else
		map_remove(&g->forbidden, key);
	publish(g);
}

/* ---- the document ----------------------------------------------------------------------- */

void group_write(const struct group *group, struct json_writer *w)
{
	json_t *extra = group->extra ? json_loads(group->extra, 0, NULL) : NULL;
	const char *key;
	json_t *value;

	jw_object(w);
	if (!extra) {
		jw_key(w, "attributes");
		jw_object(w);
		jw_object_end(w);
	}
	json_object_foreach(extra, key, value) {
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

		jw_key(w, key);
		jw_raw(w, slice_str(text ? text : "null"));
		free(text);
	}
	jw_put_i64(w, "brokerId", group->broker_id);
	jw_put_bool(w, "consumeBroadcastEnable", group->consume_broadcast_enable);
	jw_put_bool(w, "consumeEnable", group->consume_enable);
	jw_put_bool(w, "consumeFromMinEnable", group->consume_from_min_enable);
	jw_put_bool(w, "consumeMessageOrderly", group->consume_orderly);
	jw_put_i64(w, "consumeTimeoutMinute", group->consume_timeout_minutes);
	jw_put_str(w, "groupName", slice(group->name, group->name_len));
	if (!extra) {
		jw_key(w, "groupRetryPolicy");
		jw_object(w);
		jw_put_cstr(w, "type", "CUSTOMIZED");
		jw_object_end(w);
	}
	jw_put_i64(w, "groupSysFlag", group->sys_flag);
	jw_put_bool(w, "notifyConsumerIdsChangedEnable", group->notify_ids_changed);
	jw_put_i64(w, "retryMaxTimes", group->retry_max_times);
	jw_put_i64(w, "retryQueueNums", group->retry_queues);
	jw_put_i64(w, "whichBrokerWhenConsumeSlowly", group->which_broker_when_slow);
	jw_object_end(w);
	json_decref(extra);
}

/* {"group":{"topic":bits}}: entries of one group are written together. */
static void write_forbidden(const struct groups *g, struct json_writer *w)
{
	struct map_entry **all = map_sorted(&g->forbidden);
	struct mosaic_slice open = slice(NULL, 0);

	jw_object(w);
	for (uint32_t i = 0; i < map_count(&g->forbidden); i++) {
		struct mosaic_slice key = all[i]->key;
		const uint8_t *at = memchr(key.ptr, '@', key.len);
		struct mosaic_slice group = slice(key.ptr, (size_t)(at - key.ptr));

		if (!open.ptr || !slice_eq(open, group)) {
			if (open.ptr)
				jw_object_end(w);
			jw_key_slice(w, group);
			jw_object(w);
			open = group;
		}
		jw_key_slice(w, slice(at + 1, key.len - group.len - 1));
		jw_i64(w, (int64_t)(uintptr_t)all[i]->value);
	}
	if (open.ptr)
		jw_object_end(w);
	jw_object_end(w);
	free(all);
}

void groups_write(const struct groups *g, struct json_writer *w)
{
	struct map_entry *e;

	jw_object(w);
	jw_key(w, "dataVersion");
	data_version_write(&g->version, w);
	jw_key(w, "forbiddenTable");
	write_forbidden(g, w);
	jw_key(w, "subscriptionGroupTable");
	jw_object(w);
	for (uint32_t pos = 0; (e = map_next(&g->table, &pos)) != NULL;) {
		jw_key_slice(w, e->key);
		group_write(e->value, w);
	}
	jw_object_end(w);
	jw_object_end(w);
}

void groups_save(const struct groups *g, struct buf *out)
{
	struct json_writer w;

	jw_init_pretty(&w, out);
	groups_write(g, &w);
}

static int load_group(struct groups *g, struct mosaic_slice name, const json_t *config,
		      struct mosaic_error *err)
{
	struct group *group = groups_find(g, name);

	if (!json_is_object(config) || name.len == 0 || name.len > GROUP_NAME_LOADED_MAX)
		return err_set(err, MOSAIC_E_CORRUPT,
			       "subscriptionGroupTable: the entry \"%.*s\" is no group",
			       SLICE_ARG(name));
	if (map_count(&g->table) >= g->broker->config.max_groups)
		return err_set(err, MOSAIC_E_LIMIT, "more groups than maxGroups (%u)",
			       g->broker->config.max_groups);
	if (!group)
		group = insert(g, name);
	set_interpreted(group, config);
	keep_extra(group, config, NULL);
	return 0;
}

static void load_forbidden(struct groups *g, const json_t *table)
{
	const char *group, *topic;
	json_t *topics, *bits;

	json_object_foreach((json_t *)(uintptr_t)table, group, topics) {
		json_object_foreach(topics, topic, bits) {
			uint8_t room[2 * GROUP_NAME_LOADED_MAX + 2];
			struct mosaic_slice key = forbidden_key(room, sizeof(room),
								slice_str(group),
								slice_str(topic));
			uintptr_t value = (uintptr_t)(json_integer_value(bits) & 0x7fffffff);

			if (key.len > 0 && value != 0)
				map_put(&g->forbidden, key, (void *)value);
		}
	}
}

int groups_load(struct groups *g, struct mosaic_slice text, struct mosaic_error *err)
{
	json_t *root = json_read(text, err);
	const char *name;
	json_t *config;
	int rc = 0;

	if (!root)
		return MOSAIC_E_CORRUPT;
	data_version_read(&g->version, json_object_get(root, "dataVersion"));
	json_object_foreach(json_object_get(root, "subscriptionGroupTable"), name, config) {
		rc = load_group(g, slice_str(name), config, err);
		if (rc != 0)
			break;
	}
	load_forbidden(g, json_object_get(root, "forbiddenTable"));
	json_decref(root);
	return rc;
}
