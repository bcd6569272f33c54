/*
 * Requests that Apache's clients and tools really sent, captured with the answers of Apache's
 * broker: ours must have the same code, the same header fields and the same members in the body.
 */
#include "support/vectors.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "control_rig.h"

static const char *const files[] = {
	"014-query_consumer_offset", "015-update_consumer_offset", "017-update_and_create_topic",
	"018-update_and_create_topic_list", "021-get_all_topic_config", "025-update_broker_config",
	"026-get_broker_config", "028-get_broker_runtime_info", "029-search_offset_by_timestamp",
	"030-get_max_offset", "031-get_min_offset", "032-get_earliest_msg_storetime",
	"034-heart_beat", "035-unregister_client", "038-get_consumer_list_by_group",
	"041-lock_batch_mq", "042-unlock_batch_mq", "043-get_all_consumer_offset",
	"200-update_and_create_subscriptiongroup", "201-get_all_subscriptiongroup_config",
	"202-get_topic_stats_info", "203-get_consumer_connection_list",
	"204-get_producer_connection_list", "207-delete_subscriptiongroup",
	"208-get_consume_stats", "215-delete_topic_in_broker", "222-invoke_broker_to_reset_offset",
	"225-update_and_create_subscriptiongroup_list", "300-query_topic_consume_by_who",
	"305-get_system_topic_list_from_broker", "315-view_broker_stats_data",
	"321-query_consume_queue", "328-get_all_producer_info", "343-query_topics_by_consumer",
	"345-query_subscription_by_consumer", "351-get_topic_config",
	"352-get_subscriptiongroup_config", "353-update_and_get_group_forbidden",
};

/* Consumers and producers that were connected when the frames were captured. */
static void connect_clients(struct rig *r)
{
	static const char body[] =
		"{\"clientID\":\"192.0.2.2@x\",\"consumerDataSet\":[{\"groupName\":\"CG_VEC\","
		"\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\",\"consumeType\":"
		"\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\",\"subscriptionDataSet\":["
		"{\"topic\":\"VecTopic\",\"subString\":\"TagA || TagB\",\"subVersion\":1},"
		"{\"topic\":\"%RETRY%CG_VEC\",\"subString\":\"*\",\"subVersion\":1}]},"
		"{\"groupName\":\"CG_VEC_LP\",\"subscriptionDataSet\":["
		"{\"topic\":\"VecTopic\",\"subString\":\"*\",\"subVersion\":1}]},"
		"{\"groupName\":\"CG_GO\"},{\"groupName\":\"CG_VEC_RR\"}],"
		"\"producerDataSet\":[{\"groupName\":\"PG_VEC\"}]}";
	struct mosaic_conn *c = rig_dial(r);

	fake_conn_request(c, REQ_HEART_BEAT, slice_str(body), NULL);
	fake_host_run(&r->host);
}

/* The state in which the frames were captured, near enough. */
static void prepare(struct rig *r)
{
	static const char *const topics[] = { "VecTopic", "VecReq", "VecPop", "GoTopic" };
	static const char *const groups[] = { "CG_VEC", "CG_RAW", "CG_RAW2", "CG_VEC_RR" };
	struct mosaic_conn *c = rig_dial(r);

	for (size_t i = 0; i < ARRAY_LEN(topics); i++)
		rig_set_topic(r, c, topics[i], "4", "");
	for (int queue = 0; queue < 4; queue++)
		for (int i = 0; i < 12; i++)
			rig_send(r, c, "VecTopic", queue, "TAGS\1TagA\2", "x");
	rig_send(r, c, "GoTopic", 3, "", "x");
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		groups_find_or_add(r->broker->groups, slice_str(groups[i]));
	for (int queue = 0; queue < 4; queue++)
		offsets_commit(r->broker->offsets, slice_str("VecTopic"), slice_str("CG_VEC"),
				queue, 3);
	offsets_commit(r->broker->offsets, slice_str("VecPop"), slice_str("CG_VEC_POP"), 0, 1);
	connect_clients(r);
}

static int64_t response_code(const json_t *exchange)
{
	const json_t *response = json_object_get(exchange, "response");

	return json_integer_value(json_object_get(json_object_get(response, "header"), "code"));
}

/* Frames that need what this broker does not have, or a state of that very moment. */
static bool is_other(const json_t *exchange)
{
	const json_t *request = json_object_get(json_object_get(exchange, "request"), "header");
	const json_t *fields = json_object_get(request, "extFields");
	const char *key = json_string_value(json_object_get(fields, "statsKey"));
	const char *topic = json_string_value(json_object_get(fields, "topic"));
	const char *group = json_string_value(json_object_get(fields, "consumerGroup"));
	int64_t code = json_integer_value(json_object_get(request, "code"));

	if (json_object_get(fields, "AccessKey") || /* refused by an access control list */
	    (code == REQ_HEART_BEAT && response_code(exchange) == RES_NO_PERMISSION))
		return true;
	if (key && strcmp(key, "VecTopic@VecTopic") != 0 && strchr(key, '@'))
		return true; /* counters of other groups */
	if (code == REQ_GET_CONSUMER_CONNECTION_LIST && group && strcmp(group, "CG_VEC") == 0)
		return response_code(exchange) != 0; /* after they had gone */
	return code == REQ_GET_TOPIC_CONFIG && topic && strncmp(topic, "%RETRY%", 7) == 0 &&
	       strcmp(topic, "%RETRY%CG_VEC") != 0;
}

static bool same_fields(const struct header *ours, const json_t *theirs)
{
	const char *key;
	json_t *value;

	if (ours->n_fields != json_object_size(theirs))
		return false;
	json_object_foreach((json_t *)(uintptr_t)theirs, key, value)
		if (!header_find(ours, key))
			return false;
	return true;
}

/* Members of the body: all of Apache's must be there, tables are not looked into. */
static const char *missing_member(struct mosaic_slice ours, struct mosaic_slice theirs)
{
	static char name[64];
	struct mosaic_error err = ERR_INIT;
	json_t *a = json_read(ours, &err), *b = json_read(theirs, &err), *value;
	const char *key, *missing = NULL;

	json_object_foreach(b, key, value) {
		if (json_object_get(a, key))
			continue;
		snprintf(name, sizeof(name), "%s", key);
		missing = name;
	}
	if (!a && b)
		missing = "(everything)";
	json_decref(a);
	json_decref(b);
	return missing;
}

/* True when our answer is like the captured one. */
static bool compare(struct rig *r, const char *file, size_t i, const json_t *exchange)
{
	json_t *request = json_object_get(exchange, "request");
	json_t *response = json_object_get(exchange, "response");
	json_t *theirs = json_object_get(response, "header");
	struct mosaic_conn *c = rig_dial(r);
	struct fake_frame f;
	size_t len;
	uint8_t *frame = hex_bytes(json_slice(json_object_get(request, "hex")), &len);
	const char *what = NULL;

	fake_conn_raw(c, frame + 4, (uint32_t)len - 4);
	free(frame);
	if (!json_is_object(response)) { /* oneway, or the capture ended first */
		int64_t flag = json_integer_value(
			json_object_get(json_object_get(request, "header"), "flag"));

		fake_host_run(&r->host);
		while (fake_conn_next(c, &f))
			if (header_is_response(&f.header) && (flag & HEADER_ONEWAY))
				what = "an answer to a oneway request";
	} else {
		do
			f = rig_wait(r, c);
		while (!header_is_response(&f.header));
		if (f.header.code != json_integer_value(json_object_get(theirs, "code")))
			what = "code";
		else if (!same_fields(&f.header, json_object_get(theirs, "extFields")))
			what = "header fields";
		else if (strcmp(file, "026-get_broker_config") != 0 &&
			 strcmp(file, "028-get_broker_runtime_info") != 0)
			what = missing_member(f.body,
					      json_slice(json_object_get(response, "body_utf8")));
		if (!what && f.header.code != 0 && f.header.code != 1 &&
		    !slice_eq(f.header.remark, json_slice(json_object_get(theirs, "remark"))))
			what = "remark";
	}
	fake_conn_close(c);
	fake_host_run(&r->host);
	if (what)
		print_error("%s, exchange %zu: %s differs (code %d, remark %.*s, body %.*s)\n",
				file,
			    i, what, f.header.code, SLICE_ARG(f.header.remark), SLICE_ARG(f.body));
	return what == NULL;
}

static void captured_requests_are_answered_as_by_apache(void **state)
{
	uint32_t n = 0, n_differ = 0;
	(void)state;
	if (vectors_missing())
		skip();
	for (size_t k = 0; k < ARRAY_LEN(files); k++) {
		struct rig r;
		char name[128];
		size_t i;
		json_t *exchange;

		snprintf(name, sizeof(name), "wire/%s.json", files[k]);
		json_t *file = vectors_load(name);
		assert_non_null(file);
		rig_open(&r, NULL);
		prepare(&r);
		json_array_foreach(json_object_get(file, "exchanges"), i, exchange) {
			if (is_other(exchange))
				continue;
			n++;
			n_differ += !compare(&r, files[k], i, exchange);
		}
		rig_close(&r);
		json_decref(file);
	}
	print_message("%u captured requests\n", n);
	assert_int_equal(n_differ, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured_requests_are_answered_as_by_apache),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
