/* mosaic admin topics, topic, create-topic, delete-topic. */
#include "admin.h"
#include "base/mem.h"
#include <stdlib.h>

#define NEW_TOPIC_QUEUES 8 /* what mqadmin makes */

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* As RocketMQ names its own. */
static const char *kind_of(const struct admin_broker *b, const char *topic)
{
	static const char *const system[] = {
		"TBW102",   "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT",  "BenchmarkTest",
		"rmq_sys_", "RMQ_SYS_",	       "SCHEDULE_TOPIC_XXXX", "TRANS_CHECK_MAX_TIME",
	};

	if (starts_with(topic, "%RETRY%"))
		return "retry";
	if (starts_with(topic, "%DLQ%"))
		return "dead letters";
	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		if (starts_with(topic, system[i]))
			return "system";
	/* "DefaultCluster", "DefaultCluster_REPLY_TOPIC", "broker-a" */
	bool is_own = strcmp(topic, b->name) == 0 || strcmp(topic, b->cluster) == 0 ||
		      (starts_with(topic, b->cluster) && strstr(topic, "_REPLY_TOPIC") != NULL);
	return is_own ? "system" : "normal";
}

static const char *perm_text(int64_t perm)
{
	static const char *const texts[] = { "-", "w", "r", "rw" };
	return texts[perm >> 1 & 3];
}

static void add_topics(struct admin *a, const struct admin_broker *b, json_t *table,
		       struct table *t)
{
	const char *name;
	json_t *config;

	json_object_foreach(table, name, config) {
		const char *kind = kind_of(b, name);
		if (!a->all && strcmp(kind, "system") == 0)
			continue;
		table_row(t);
		table_str(t, name);
		table_str(t, b->name);
		table_i64(t, json_get_i64(config, "readQueueNums", 0));
		table_i64(t, json_get_i64(config, "writeQueueNums", 0));
		table_str(t, perm_text(json_get_i64(config, "perm", 0)));
		table_str(t, kind);
	}
}

int admin_topics(struct admin *a, char **args)
{
	static const char *const columns[] = { "topic", "broker", "read_queues", "write_queues",
					       "perm",  "kind",	  NULL };
	struct table t;
	int rc = admin_brokers(a);

	(void)args;
	if (rc != 0)
		return rc;
	table_init(&t, columns);
	ADMIN_EACH_MASTER(a, b) {
		json_t *root = admin_ask_json(a, b->address, REQ_GET_ALL_TOPIC_CONFIG, NULL);
		if (root == NULL)
			fprintf(stderr, "mosaic admin: %s\n", a->err.text);
		add_topics(a, b, json_object_get(root, "topicConfigTable"), &t);
		json_decref(root);
	}
	table_sort(&t);
	admin_show(a, &t);
	return 0;
}

/* One broker's queues of a topic; false: it does not have it. */
static bool add_queues(struct admin *a, const struct admin_broker *b, const char *topic,
		       struct table *t)
{
	const char *const fields[] = { "topic", topic, NULL };
	json_t *value, *root =
		admin_ask_json(a, b->address, REQ_GET_TOPIC_STATS_INFO, fields);
	const char *key;

	if (root == NULL)
		return false;
	json_object_foreach(json_object_get(root, "offsetTable"), key, value) {
		json_t *queue = json_read(slice_str(key), NULL);
		int64_t min = json_get_i64(value, "minOffset", 0);
		int64_t max = json_get_i64(value, "maxOffset", 0);
		table_row(t);
		table_i64(t, json_get_i64(queue, "queueId", -1));
		table_str(t, b->name);
		table_i64(t, min);
		table_i64(t, max);
		table_i64(t, max - min);
		table_time(t, json_get_i64(value, "lastUpdateTimestamp", 0));
		json_decref(queue);
	}
	json_decref(root);
	return true;
}

int admin_topic(struct admin *a, char **args)
{
	static const char *const columns[] = { "queue",	     "broker",	 "min_offset",
					       "max_offset", "messages", "last_message", NULL };
	struct table t;
	bool found = false;
	int rc = admin_brokers(a);

	if (rc != 0)
		return rc;
	table_init(&t, columns);
	ADMIN_EACH_MASTER(a, b)
		found |= add_queues(a, b, args[0], &t);
	if (!found) {
		table_free(&t);
		return a->err.code;
	}
	table_sort(&t);
	admin_show(a, &t);
	return 0;
}

int admin_create_topic(struct admin *a, char **args)
{
	struct admin_answer answer = { .body = BUF_INIT };
	const char *perm = a->perm == NULL || strcmp(a->perm, "rw") == 0 ? "6"
			   : strcmp(a->perm, "r") == 0			 ? "4"
									 : "2";
	char queues[24];
	int rc = admin_brokers(a);

	snprintf(queues, sizeof(queues), "%lld",
		 (long long)(a->queues > 0 ? a->queues : NEW_TOPIC_QUEUES));
	const char *const fields[] = { "topic", args[0], "defaultTopic", "TBW102",
				       "readQueueNums", queues, "writeQueueNums", queues,
				       "perm", perm, "topicFilterType", "SINGLE_TAG",
				       "topicSysFlag", "0", "order", "false", NULL };
	if (rc != 0)
		return rc;
	ADMIN_EACH_MASTER(a, b) {
		rc = admin_ask(a, b->address, REQ_UPDATE_AND_CREATE_TOPIC, fields, slice(NULL, 0),
			       &answer);
		if (rc != 0)
			break;
		admin_say(a, "topic %s: %s queues on %s", args[0], queues, b->name);
	}
	buf_free(&answer.body);
	return rc;
}

int admin_delete_topic(struct admin *a, char **args)
{
	const char *const fields[] = { "topic", args[0], NULL };
	struct admin_answer answer = { .body = BUF_INIT };
	int rc = admin_brokers(a);

	if (rc != 0)
		return rc;
	ADMIN_EACH_MASTER(a, b) {
		rc = admin_ask(a, b->address, REQ_DELETE_TOPIC_IN_BROKER, fields, slice(NULL, 0),
			       &answer);
		if (rc != 0)
			break;
		admin_say(a, "topic %s: deleted on %s", args[0], b->name);
	}
	/* A NameServer keeps the route of what brokers do not name any more. */
	if (rc == 0 && a->broker == NULL)
		rc = admin_ask(a, a->namesrv, REQ_DELETE_TOPIC_IN_NAMESRV, fields, slice(NULL, 0),
			       &answer);
	buf_free(&answer.body);
	return rc;
}
