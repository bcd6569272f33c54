/* Producers and consumers: 34 35 38 46 203 204 328 345, notices (40), expiry. */
#include "broker/clients.h"
#include "broker/groups.h"
#include "control_rig.h"

static struct fake_frame ask(struct rig *r, struct mosaic_conn *c, int32_t code, const char *field,
			     const char *value)
{
	fake_conn_request(c, code, NO_BODY, field, value, NULL);
	return rig_answer(r, c);
}

static void heartbeat_registers_and_creates_group_and_retry_topic(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	f = rig_heartbeat(&r, c, "me@1", "CG", "T", "TagA || TagB", 5);
	assert_int_equal(f.header.code, 0);
	assert_true(slice_is(header_str(&f.header, "IS_SUPPORT_HEART_BEAT_V2"), "true"));
	assert_true(slice_is(header_str(&f.header, "IS_SUB_CHANGE"), "true"));
	assert_int_equal(rig_notices(&r, c, "CG"), 1); /* the newcomer is told too */
	assert_non_null(groups_find(r.broker->groups, slice_str("CG")));
	const struct topic *retry = topics_find(r.broker->topics, slice_str("%RETRY%CG"));
	assert_non_null(retry);
	assert_int_equal(retry->read_queues, 1);
	assert_int_equal(retry->perm, 6);
	const struct subscription *sub = consumer_group_subscription(
		clients_consumers(r.broker->clients, slice_str("CG")), slice_str("T"));
	assert_non_null(sub);
	assert_int_equal(sub->n_codes, 2);
	assert_int_equal(sub->version, 5);
	f = ask(&r, c, REQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup", "CG");
	assert_body(&f, "{\"consumerIdList\":[\"me@1\"]}");
	rig_close(&r);
}

static void everybody_is_told_when_members_come_and_go(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *a = rig_dial(&r), *b = rig_dial(&r), *d = rig_dial(&r);
	rig_heartbeat(&r, a, "a", "CG", "T", "*", 1);
	assert_int_equal(rig_notices(&r, a, "CG"), 1);
	rig_heartbeat(&r, b, "b", "CG", "T", "*", 1);
	assert_int_equal(rig_notices(&r, a, "CG"), 1);
	assert_int_equal(rig_notices(&r, b, "CG"), 1);
	rig_heartbeat(&r, a, "a", "CG", "T", "*", 2); /* a newer version of the same topics */
	assert_int_equal(rig_notices(&r, a, "CG"), 0);
	rig_heartbeat(&r, a, "a", "CG", "T2", "*", 3); /* other topics */
	assert_int_equal(rig_notices(&r, a, "CG"), 1);
	assert_int_equal(rig_notices(&r, b, "CG"), 1);
	rig_heartbeat(&r, d, "d", "CG", "T2", "*", 3);
	rig_notices(&r, a, "CG"), rig_notices(&r, b, "CG"), rig_notices(&r, d, "CG");
	fake_conn_close(b); /* kill -9 */
	assert_int_equal(rig_notices(&r, a, "CG"), 1);
	assert_int_equal(rig_notices(&r, d, "CG"), 1);
	fake_conn_request(d, REQ_UNREGISTER_CLIENT, NO_BODY, "clientID", "d", "consumerGroup", "CG",
			  NULL);
	assert_int_equal(rig_answer(&r, d).header.code, 0);
	assert_int_equal(rig_notices(&r, a, "CG"), 1);
	assert_int_equal(rig_notices(&r, d, "CG"), 0);
	rig_close(&r);
}

/* Heartbeat of a consumer in a unit. without_sub: of version 2, which names no topics. */
static void unit_heartbeat(struct rig *r, struct mosaic_conn *c, const char *group,
			   const char *topic, bool without_sub)
{
	char body[512];

	snprintf(body, sizeof(body),
		 "{\"clientID\":\"x\",\"consumerDataSet\":[{\"groupName\":\"%s\",\"unitMode\":true,"
		 "\"subscriptionDataSet\":[%s%s%s]}],\"heartbeatFingerprint\":7,"
		 "\"withoutSub\":%s}",
		 group, without_sub ? "" : "{\"subString\":\"*\",\"topic\":\"",
		 without_sub ? "" : topic, without_sub ? "" : "\"}",
		 without_sub ? "true" : "false");
	fake_conn_request(c, REQ_HEART_BEAT, slice_str(body), NULL);
	assert_int_equal(rig_answer(r, c).header.code, 0);
	rig_notices(r, c, group);
}

static void a_retry_topic_knows_of_unit_and_order(void **state)
{
	struct rig r;
	struct topic_settings ordered = { .read_queues = 1, .write_queues = 1, .perm = 6,
					  .order = true };
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	topics_set(r.broker->topics, slice_str("Ordered"), &ordered);
	unit_heartbeat(&r, c, "UG", "Plain", false);
	const struct topic *retry = topics_find(r.broker->topics, slice_str("%RETRY%UG"));
	assert_int_equal(retry->sys_flag, TOPIC_SYS_UNIT_SUB);
	assert_false(retry->order);
	unit_heartbeat(&r, c, "UG", "Ordered", false);
	assert_true(retry->order);
	unit_heartbeat(&r, c, "UG", NULL, true); /* says nothing of it */
	assert_true(retry->order);
	unit_heartbeat(&r, c, "UG", "Plain", false);
	assert_false(retry->order);
	rig_heartbeat(&r, c, "x", "CG", "Plain", "*", 1); /* unitMode false */
	assert_int_equal(topics_find(r.broker->topics, slice_str("%RETRY%CG"))->sys_flag, 0);
	rig_close(&r);
}

static void broadcasting_groups_are_not_told(void **state)
{
	static const char body[] =
		"{\"clientID\":\"x\",\"consumerDataSet\":[{\"groupName\":\"BC\",\"messageModel\":0,"
		"\"consumeType\":1,\"consumeFromWhere\":4,\"subscriptionDataSet\":"
		"[{\"topic\":\"T\",\"subString\":\"*\",\"subVersion\":1}]}]}";
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_HEART_BEAT, slice_str(body), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	assert_int_equal(rig_notices(&r, c, "BC"), 0);
	const struct consumer_group *g = clients_consumers(r.broker->clients, slice_str("BC"));
	assert_int_equal(g->model, MODEL_BROADCASTING);
	assert_int_equal(g->consume_type, 1);
	rig_close(&r);
}

static void group_that_wants_no_notice_gets_none(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
			  slice_str("{\"groupName\":\"Q\","
				    "\"notifyConsumerIdsChangedEnable\":false}"),
			  NULL);
	assert_int_equal(rig_wait(&r, c).header.code, 0);
	rig_heartbeat(&r, c, "q", "Q", "T", "*", 1);
	assert_int_equal(rig_notices(&r, c, "Q"), 0);
	rig_close(&r);
}

static void odd_subscriptions_are_understood(void **state)
{
	/* no expressionType, tags without subString, version 0, one of a type we cannot evaluate */
	static const char body[] =
		"{\"clientID\":\"x\",\"consumerDataSet\":[{\"groupName\":\"G\","
		"\"subscriptionDataSet\":[{\"topic\":\"T1\",\"subString\":\"TagA\"},"
		"{\"topic\":\"T2\",\"tagsSet\":[\"TagA\",\"TagB\"],\"expressionType\":null},"
		"{\"topic\":\"T3\",\"subString\":\"a > 1\",\"expressionType\":\"SQL92\"},"
		"{\"topic\":\"T4\",\"subString\":null,\"subVersion\":1795363797000000001},"
		"{\"nonsense\":true},7]},"
		"{\"groupName\":\"bad name!\"},{\"groupName\":\"\"},\"x\"],"
		"\"producerDataSet\":[{\"groupName\":\"P\"},{}]}";
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_HEART_BEAT, slice_str(body), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	const struct consumer_group *g = clients_consumers(r.broker->clients, slice_str("G"));
	assert_int_equal(map_count(&g->subscriptions), 4);
	assert_int_equal(consumer_group_subscription(g, slice_str("T1"))->codes[0], 2598919);
	assert_int_equal(consumer_group_subscription(g, slice_str("T2"))->n_codes, 2);
	assert_string_equal(consumer_group_subscription(g, slice_str("T3"))->type, "SQL92");
	assert_true(consumer_group_subscription(g, slice_str("T4"))->all);
	assert_true(consumer_group_subscription(g, slice_str("T4"))->version ==
		    INT64_C(1795363797000000001));
	assert_int_equal(map_count(&r.broker->clients->consumers), 1);
	assert_int_equal(map_count(&r.broker->clients->producers), 1);
	fake_conn_request(c, REQ_HEART_BEAT, slice_str("{\"clientID\":"), NULL);
	rig_notices(&r, rig_dial(&r), "G");
	rig_close(&r);
}

static void heartbeat_v2_keeps_and_asks_for_subscriptions(void **state)
{
#define V2(print, without)                                                                        \
	"{\"clientID\":\"x\",\"heartbeatFingerprint\":" print ",\"withoutSub\":" without          \
	",\"consumerDataSet\":[{\"groupName\":\"V\",\"subscriptionDataSet\":["
#define SUB "{\"topic\":\"T\",\"subString\":\"*\",\"subVersion\":1}"
	static const struct {
		const char *body, *is_sub_change;
	} steps[] = {
		{ V2("7", "true") "]}]}", "true" }, /* the group is new here: send it all */
		{ V2("7", "false") SUB "]}]}", "false" },
		{ V2("7", "true") "]}]}", "false" },
		{ V2("8", "false") SUB "]}]}", "true" },
		{ V2("8", "true") "]}]}", "false" },
	};
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct fake_frame f;

		fake_conn_request(c, REQ_HEART_BEAT, slice_str(steps[i].body), NULL);
		do
			f = rig_answer(&r, c);
		while (!header_is_response(&f.header));
		assert_true(slice_is(header_str(&f.header, "IS_SUB_CHANGE"),
				     steps[i].is_sub_change));
		if (i > 0)
			assert_int_equal(map_count(&clients_consumers(r.broker->clients,
								      slice_str("V"))
							    ->subscriptions), 1);
		rig_notices(&r, c, "V");
	}
	rig_close(&r);
}

static void silent_client_is_closed_after_two_minutes(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *silent = rig_dial(&r), *alive = rig_dial(&r);
	rig_heartbeat(&r, silent, "s", "CG", "T", "*", 1);
	for (int i = 0; i < 4; i++) {
		rig_heartbeat(&r, alive, "a", "CG", "T", "*", 1);
		fake_host_advance_ms(&r.host, 30000);
	}
	assert_false(fake_conn_is_closed(silent));
	rig_notices(&r, alive, "CG");
	rig_heartbeat(&r, alive, "a", "CG", "T", "*", 1);
	fake_host_advance_ms(&r.host, 10001);
	assert_true(fake_conn_is_closed(silent));
	assert_false(fake_conn_is_closed(alive));
	assert_int_equal(rig_notices(&r, alive, "CG"), 1);
	assert_true(fake_host_logged(&r.host, "client_expired"));
	rig_close(&r);
}

static void a_client_without_an_id_is_none(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_HEART_BEAT, slice_str("{\"producerDataSet\":[{\"groupName\":"
						       "\"P\"}]}"), NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 1, "the request has no valid field clientID");
	assert_int_equal(r.broker->clients->n_members, 0);
	fake_conn_request(c, REQ_UNREGISTER_CLIENT, NO_BODY, "producerGroup", "P", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 1, "the request has no valid field clientID");
	rig_close(&r);
}

static void group_without_members_is_gone(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r), *d = rig_dial(&r);
	rig_heartbeat(&r, c, "c", "CG", "T", "*", 1);
	fake_conn_close(c);
	fake_host_run(&r.host);
	f = ask(&r, d, REQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup", "CG");
	assert_remark(&f, 1, "no consumer for this group, CG");
	f = ask(&r, d, REQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup", "CG");
	assert_remark(&f, 206, "the consumer group[CG] not online");
	f = ask(&r, d, REQ_GET_PRODUCER_CONNECTION_LIST, "producerGroup", "PG");
	assert_remark(&f, 1, "the producer group[PG] not exist");
	assert_int_equal(r.broker->clients->n_members, 0);
	rig_close(&r);
}

static void id_of_a_reconnected_client_is_listed_once(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *old = rig_dial(&r), *now = rig_dial(&r);
	rig_heartbeat(&r, old, "same", "CG", "T", "*", 1);
	rig_heartbeat(&r, now, "same", "CG", "T", "*", 1);
	rig_notices(&r, now, "CG");
	f = ask(&r, now, REQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup", "CG");
	assert_body(&f, "{\"consumerIdList\":[\"same\"]}");
	rig_close(&r);
}

static void tools_see_connections_and_subscriptions(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_heartbeat(&r, c, "c", "CG", "T", "TagA||TagB", 9);
	rig_notices(&r, c, "CG");
	f = ask(&r, c, REQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup", "CG");
	assert_body(&f,
			"{\"connectionSet\":[{\"clientAddr\":\"127.0.0.1:50000\",\"clientId\":"
			"\"c\","
			"\"language\":\"JAVA\",\"version\":479}],\"consumeFromWhere\":"
			"\"CONSUME_FROM_FIRST_OFFSET\",\"consumeType\":\"CONSUME_PASSIVELY\","
			"\"messageModel\":\"CLUSTERING\",\"subscriptionTable\":{\"T\":"
			"{\"classFilterMode\":false,\"codeSet\":[2598919,2598920],"
			"\"expressionType\":\"TAG\",\"subString\":\"TagA||TagB\",\"subVersion\":9,"
			"\"tagsSet\":[\"TagA\",\"TagB\"],\"topic\":\"T\"}}}");
	f = ask(&r, c, REQ_GET_PRODUCER_CONNECTION_LIST, "producerGroup", "PG");
	assert_body(&f,
			"{\"connectionSet\":[{\"clientAddr\":\"127.0.0.1:50000\",\"clientId\":"
			"\"c\","
			"\"language\":\"JAVA\",\"version\":479}]}");
	f = ask(&r, c, REQ_GET_ALL_PRODUCER_INFO, "x", "y");
	json_t *body = rig_json(&f);
	json_t *one = json_array_get(json_object_get(json_object_get(body, "data"), "PG"), 0);
	assert_string_equal(json_string_value(json_object_get(one, "remoteIP")),
			    "/127.0.0.1:50000");
	json_decref(body);
	fake_conn_request(c, REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, NO_BODY, "group", "CG", "topic",
			  "T", NULL);
	f = rig_answer(&r, c);
	body = rig_json(&f);
	assert_non_null(json_object_get(body, "subscriptionData"));
	json_decref(body);
	rig_close(&r);
}

static void client_config_is_checked(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_CHECK_CLIENT_CONFIG,
			  slice_str("{\"subscriptionData\":{\"expressionType\":\"TAG\"}}"), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	fake_conn_request(c, REQ_CHECK_CLIENT_CONFIG,
			  slice_str("{\"subscriptionData\":{\"expressionType\":\"SQL92\"}}"), NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 1, "The broker does not support consumer to filter message by SQL92");
	fake_conn_request(c, REQ_CHECK_CLIENT_CONFIG, slice_str("nonsense"), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	fake_conn_request(c, REQ_CHECK_CLIENT_CONFIG, NO_BODY, NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	rig_close(&r);
}

static void groups_on_one_connection_are_bounded(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	struct buf body = BUF_INIT;
	buf_append_str(&body, "{\"clientID\":\"x\",\"producerDataSet\":[");
	for (int i = 0; i < 3 * CLIENT_GROUPS_MAX; i++)
		buf_printf(&body, "%s{\"groupName\":\"P%d\"}", i ? "," : "", i);
	buf_append_str(&body, "]}");
	fake_conn_request(c, REQ_HEART_BEAT, buf_slice(&body), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	assert_int_equal(r.broker->clients->n_members, 2 * CLIENT_GROUPS_MAX);
	buf_free(&body);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heartbeat_registers_and_creates_group_and_retry_topic),
		cmocka_unit_test(everybody_is_told_when_members_come_and_go),
		cmocka_unit_test(a_retry_topic_knows_of_unit_and_order),
		cmocka_unit_test(broadcasting_groups_are_not_told),
		cmocka_unit_test(group_that_wants_no_notice_gets_none),
		cmocka_unit_test(odd_subscriptions_are_understood),
		cmocka_unit_test(heartbeat_v2_keeps_and_asks_for_subscriptions),
		cmocka_unit_test(silent_client_is_closed_after_two_minutes),
		cmocka_unit_test(a_client_without_an_id_is_none),
		cmocka_unit_test(group_without_members_is_gone),
		cmocka_unit_test(id_of_a_reconnected_client_is_listed_once),
		cmocka_unit_test(tools_see_connections_and_subscriptions),
		cmocka_unit_test(client_config_is_checked),
		cmocka_unit_test(groups_on_one_connection_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
