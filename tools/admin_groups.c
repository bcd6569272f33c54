/* mosaic admin groups, group, delete-group, reset-offsets. */
#include "admin.h"
#include "command.h"
#include <inttypes.h>

/* The sum of what the group has not consumed on one broker; -1: it has consumed nothing there. */
static int64_t lag_of(json_t *stats)
{
	const char *key;
	json_t *value;
	int64_t lag = -1;

	json_object_foreach(json_object_get(stats, "offsetTable"), key, value) {
		lag = lag < 0 ? 0 : lag;
		lag += json_get_i64(value, "brokerOffset", 0) -
		       json_get_i64(value, "consumerOffset", 0);
	}
	return lag;
}

static void add_group(struct admin *a, const struct admin_broker *b, const char *name,
		      struct table *t)
{
	const char *const fields[] = { "consumerGroup", name, NULL };
	json_t *members =
		admin_ask_json(a, b->address, REQ_GET_CONSUMER_CONNECTION_LIST, fields);
	json_t *stats = admin_ask_json(a, b->address, REQ_GET_CONSUME_STATS, fields);
	const char *model = json_string_value(json_object_get(members, "messageModel"));
	int64_t lag = lag_of(stats);

	table_row(t);
	table_str(t, name);
	table_str(t, b->name);
	table_i64(t, (int64_t)json_array_size(json_object_get(members, "connectionSet")));
	table_str(t, model);
	if (lag < 0)
		table_none(t);
	else
		table_i64(t, lag);
	json_decref(members);
	json_decref(stats);
}

/* RocketMQ's own groups. */
static bool is_system(const char *group)
{
	static const char *const names[] = { "TOOLS_CONSUMER", "FILTERSRV_CONSUMER",
					     "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY",
					     "CID_ONSAPI_OWNER", "CID_ONSAPI_PERMISSION",
					     "CID_ONSAPI_PULL", "CID_RMQ_SYS_TRANS" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(group, names[i]) == 0)
			return true;
	return false;
}

int admin_groups(struct admin *a, char **args)
{
	static const char *const columns[] = { "group", "broker", "members", "model", "lag", NULL };
	struct table t;
	const char *name;
	json_t *config;
	int rc = admin_brokers(a);

	(void)args;
	if (rc != 0)
		return rc;
	table_init(&t, columns);
	ADMIN_EACH_MASTER(a, b) {
		json_t *root = admin_ask_json(a, b->address, REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
					      NULL);
		if (root == NULL)
			fprintf(stderr, "mosaic admin: %s\n", a->err.text);
		json_object_foreach(json_object_get(root, "subscriptionGroupTable"), name, config)
			if (a->all || !is_system(name))
				add_group(a, b, name, &t);
		json_decref(root);
	}
	table_sort(&t);
	admin_show(a, &t);
	return 0;
}

/* ---- one group ---- */

static void add_members(json_t *root, const char *broker, struct table *t)
{
	json_t *member;
	size_t i;

	json_array_foreach(json_object_get(root, "connectionSet"), i, member) {
		table_row(t);
		table_str(t, json_string_value(json_object_get(member, "clientId")));
		table_str(t, broker);
		table_str(t, json_string_value(json_object_get(member, "clientAddr")));
		table_str(t, json_string_value(json_object_get(member, "language")));
	}
}

static void add_progress(json_t *root, struct table *t)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(root, "offsetTable"), key, value) {
		json_t *queue = json_read(slice_str(key), NULL);
		int64_t end = json_get_i64(value, "brokerOffset", 0);
		int64_t at = json_get_i64(value, "consumerOffset", 0);
		table_row(t);
		table_str(t, json_string_value(json_object_get(queue, "topic")));
		table_str(t, json_string_value(json_object_get(queue, "brokerName")));
		table_i64(t, json_get_i64(queue, "queueId", -1));
		table_i64(t, at);
		table_i64(t, end);
		table_i64(t, end - at);
		table_time(t, json_get_i64(value, "lastTimestamp", 0));
		json_decref(queue);
	}
}

static void show_group(struct admin *a, struct table *members, struct table *progress)
{
	table_sort(members);
	table_sort(progress);
	if (a->as_json) {
		json_t *all = json_pack("{soso}", "members", table_json(members), "progress",
					table_json(progress));
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
	} else {
		if (json_array_size(members->rows) > 0)
			table_print(members, stdout);
		else
			puts("no member is connected");
		putchar('\n');
		table_print(progress, stdout);
	}
	table_free(members);
	table_free(progress);
}

int admin_group(struct admin *a, char **args)
{
	static const char *const who[] = { "member", "broker", "address", "language", NULL };
	static const char *const where[] = { "topic",	   "broker", "queue",	    "consumed",
					     "max_offset", "lag",    "last_consumed", NULL };
	const char *const fields[] = { "consumerGroup", args[0], NULL };
	struct table members, progress;
	bool found = false;
	int rc = admin_brokers(a);

	if (rc != 0)
		return rc;
	table_init(&members, who);
	table_init(&progress, where);
	ADMIN_EACH_MASTER(a, b) {
		json_t *list =
			admin_ask_json(a, b->address, REQ_GET_CONSUMER_CONNECTION_LIST, fields);
		json_t *stats = admin_ask_json(a, b->address, REQ_GET_CONSUME_STATS, fields);
		found |= list != NULL || json_object_size(json_object_get(stats, "offsetTable"));
		add_members(list, b->name, &members);
		add_progress(stats, &progress);
		json_decref(list);
		json_decref(stats);
	}
	if (found) {
		show_group(a, &members, &progress);
		return 0;
	}
	table_free(&members);
	table_free(&progress);
	return err_set(&a->err, MOSAIC_E_NOTFOUND,
		       "group %s has no member and has consumed nothing", args[0]);
}

int admin_delete_group(struct admin *a, char **args)
{
	const char *const fields[] = { "groupName", args[0], "cleanOffset", "true", NULL };
	struct admin_answer answer = { .body = BUF_INIT };
	int rc = admin_brokers(a);

	if (rc != 0)
		return rc;
	ADMIN_EACH_MASTER(a, b) {
		rc = admin_ask(a, b->address, REQ_DELETE_SUBSCRIPTIONGROUP, fields, slice(NULL, 0),
			       &answer);
		if (rc != 0)
			break;
		admin_say(a, "group %s: deleted on %s, its offsets too", args[0], b->name);
	}
	buf_free(&answer.body);
	return rc;
}

/* ---- reset-offsets ---- */

/* Offsets of a group without members: the broker that knows only living ones is told each. */
static int move_queue(struct admin *a, const struct admin_broker *b, const char *group,
		      const char *topic, const char *queue, const char *when)
{
	struct admin_answer found = { .body = BUF_INIT, .field = "offset" };
	struct admin_answer stored = { .body = BUF_INIT };
	const char *const search[] = { "topic", topic, "queueId", queue, "timestamp", when, NULL };
	const char *const at[] = { "topic", topic, "queueId", queue, NULL };
	int rc = strcmp(when, "-1") == 0
			 ? admin_ask(a, b->address, REQ_GET_MAX_OFFSET, at, slice(NULL, 0), &found)
			 : admin_ask(a, b->address, REQ_SEARCH_OFFSET_BY_TIMESTAMP, search,
				     slice(NULL, 0), &found);
	const char *const store[] = { "consumerGroup", group, "topic", topic, "queueId", queue,
				      "commitOffset", found.value, NULL };
	if (rc == 0)
		rc = admin_ask(a, b->address, REQ_UPDATE_CONSUMER_OFFSET, store, slice(NULL, 0),
			       &stored);
	buf_free(&found.body);
	buf_free(&stored.body);
	return rc;
}

static int move_queues(struct admin *a, const struct admin_broker *b, const char *group,
		       const char *topic, const char *when)
{
	const char *const fields[] = { "topic", topic, NULL };
	json_t *value, *root = admin_ask_json(a, b->address, REQ_GET_TOPIC_STATS_INFO, fields);
	const char *key;
	char queue_id[24];
	int rc = root == NULL ? a->err.code : 0;

	json_object_foreach(json_object_get(root, "offsetTable"), key, value) {
		json_t *queue = json_read(slice_str(key), NULL);
		snprintf(queue_id, sizeof(queue_id), "%lld",
			 (long long)json_get_i64(queue, "queueId", 0));
		json_decref(queue);
		if (rc == 0)
			rc = move_queue(a, b, group, topic, queue_id, when);
	}
	json_decref(root);
	return rc;
}

int admin_reset_offsets(struct admin *a, char **args)
{
	struct admin_answer answer = { .body = BUF_INIT };
	char when[24];
	int64_t at;
	int rc;

	if (a->to == NULL || !parse_moment(a->to, &at))
		return err_set(&a->err, MOSAIC_E_INVAL, "--to must be first, last, milliseconds "
			       "since 1970 or \"2026-11-22 21:05:09\"");
	snprintf(when, sizeof(when), "%" PRId64, at);
	const char *const fields[] = { "group", args[0], "topic",   args[1], "timestamp",
				       when,	"isForce", "true", NULL };
	rc = admin_brokers(a);
	if (rc != 0)
		return rc;
	ADMIN_EACH_MASTER(a, b) {
		rc = admin_ask(a, b->address, REQ_INVOKE_BROKER_TO_RESET_OFFSET, fields,
			       slice(NULL, 0), &answer);
		if (rc != 0 && a->code == RES_CONSUMER_NOT_ONLINE)
			rc = move_queues(a, b, args[0], args[1], when);
		if (rc != 0)
			break;
		admin_say(a, "group %s, topic %s on %s: offsets set to %s", args[0], args[1],
			  b->name, a->to);
	}
	buf_free(&answer.body);
	return rc;
}
