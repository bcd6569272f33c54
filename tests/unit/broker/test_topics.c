/* The topic table and its requests: 17 18 21 215 305 351, topics.json. */
#include "control_rig.h"

static const struct topic *find(struct rig *r, const char *name)
{
	return topics_find(r->broker->topics, slice_str(name));
}

static void system_topics_are_there_at_boot(void **state)
{
	static const struct {
		const char *name;
		int32_t queues, perm;
	} expected[] = {
		{ "SELF_TEST_TOPIC", 1, 6 },
		{ "TBW102", 8, 7 },
		{ "BenchmarkTest", 1024, 6 },
		{ "DefaultCluster", 16, 7 },
		{ "broker-a", 1, 7 },
		{ "OFFSET_MOVED_EVENT", 1, 6 },
		{ "SCHEDULE_TOPIC_XXXX", 18, 6 },
		{ "DefaultCluster_REPLY_TOPIC", 1, 6 },
		{ "rmq_sys_REVIVE_LOG_DefaultCluster", 8, 6 },
		{ "rmq_sys_SYNC_BROKER_MEMBER_broker-a", 1, 1 },
		{ "RMQ_SYS_TRANS_HALF_TOPIC", 1, 6 },
		{ "RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, 6 },
		{ "rmq_sys_wheel_timer", 1, 6 },
	};
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	assert_int_equal(map_count(&r.broker->topics->table), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		const struct topic *t = find(&r, expected[i].name);

		assert_non_null(t);
		assert_int_equal(t->read_queues, expected[i].queues);
		assert_int_equal(t->write_queues, expected[i].queues);
		assert_int_equal(t->perm, expected[i].perm);
		assert_true(t->is_system);
	}
	assert_int_equal(r.broker->topics->version.counter, 0);
	rig_close(&r);
}

static void topic_is_created_saved_and_answered(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	struct fake_frame f = rig_set_topic(&r, c, "Orders", "4", "+message.type=FIFO");
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_int_equal(r.broker->topics->version.counter, 1);
	fake_conn_request(c, REQ_GET_TOPIC_CONFIG, NO_BODY, "topic", "Orders", "lo", "true", NULL);
	f = rig_answer(&r, c);
	assert_body(&f, "{\"attributes\":{\"message.type\":\"FIFO\"},\"order\":false,\"perm\":6,"
			"\"readQueueNums\":4,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":"
			"\"Orders\",\"topicSysFlag\":0,\"writeQueueNums\":4}");
	rig_close(&r);
}

static void refusals_have_rocketmqs_texts(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	f = rig_set_topic(&r, c, "SELF_TEST_TOPIC", "4", "");
	assert_remark(&f, 29, "The topic[SELF_TEST_TOPIC] is conflict with system topic.");
	f = rig_set_topic(&r, c, "a b", "4", "");
	assert_remark(&f, 29, "The specified topic contains illegal characters, allowing only "
			      "^[%|a-zA-Z0-9_-]+$");
	f = rig_set_topic(&r, c, "  ", "4", "");
	assert_remark(&f, 29, "The specified topic is blank.");
	f = rig_set_topic(&r, c, "A", "4", "+colour=red");
	assert_remark(&f, 1, "unsupported key: colour");
	f = rig_set_topic(&r, c, "A", "4", "-message.type");
	assert_remark(&f, 1, "only add attribute is supported while creating topic. key: "
			     "message.type");
	f = rig_set_topic(&r, c, "A", "70000", "");
	assert_int_equal(f.header.code, 29);
	assert_null(find(&r, "A"));
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC, NO_BODY, "topic", "A", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	fake_conn_request(c, REQ_GET_TOPIC_CONFIG, NO_BODY, "topic", "NoTopic", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 17, "No topic in this broker. topic: NoTopic");
	rig_close(&r);
}

/* UPDATE_AND_CREATE_TOPIC of A with one filter type, and nothing that may be missing. */
static int32_t code_of_set(struct rig *r, struct mosaic_conn *c, const char *filter_type)
{
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC, NO_BODY, "topic", "A", "readQueueNums",
			  "1", "writeQueueNums", "1", "perm", "6",
			  filter_type ? "topicFilterType" : NULL, filter_type, NULL);
	return rig_wait(r, c).header.code;
}

static void fields_of_a_topic_that_may_be_missing(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(code_of_set(&r, c, NULL), RES_SYSTEM_ERROR);
	assert_int_equal(code_of_set(&r, c, "x"), RES_SYSTEM_ERROR);
	assert_null(find(&r, "A"));
	assert_int_equal(code_of_set(&r, c, "SINGLE_TAG"), RES_SUCCESS);
	assert_false(find(&r, "A")->multi_tags);
	assert_int_equal(code_of_set(&r, c, "MULTI_TAG"), RES_SUCCESS);
	assert_true(find(&r, "A")->multi_tags);
	fake_conn_request(c, REQ_DELETE_TOPIC_IN_BROKER, NO_BODY, NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, RES_INVALID_PARAMETER, "The specified topic is blank.");
	rig_close(&r);
}

static void attributes_change_by_their_rules(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	f = rig_set_topic(&r, c, "A", "1", "+queue.type=SimpleCQ,+message.type=DELAY");
	assert_int_equal(f.header.code, 0);
	f = rig_set_topic(&r, c, "A", "1", "+queue.type=BatchCQ");
	assert_remark(&f, 1, "attempt to update an unchangeable attribute. key: queue.type");
	f = rig_set_topic(&r, c, "A", "1", "-message.type");
	assert_int_equal(f.header.code, 0);
	assert_string_equal(find(&r, "A")->attributes, "{\"queue.type\":\"SimpleCQ\"}");
	f = rig_set_topic(&r, c, "A", "1", "-message.type");
	assert_remark(&f, 1, "attempt to delete a nonexistent key: message.type");
	f = rig_set_topic(&r, c, "A", "1", "+message.type=NONSENSE");
	assert_int_equal(f.header.code, 1);
	f = rig_set_topic(&r, c, "A", "1", "+message.type=MIXED");
	assert_remark(&f, RES_INVALID_PARAMETER, "MIXED message type is not supported.");
	f = rig_set_topic(&r, c, "A", "1", "+reserve.time=5");
	assert_remark(&f, 1, "Update topic reserveTime not supported");
	f = rig_set_topic(&r, c, "New", "1", "+reserve.time=5");
	assert_int_equal(f.header.code, 0);
	rig_close(&r);
}

static void list_of_topics_is_all_or_nothing_by_name(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC_LIST,
			  slice_str("{\"topicConfigList\":[{\"attributes\":{},\"order\":true,"
				    "\"perm\":6,"
				    "\"readQueueNums\":2,\"topicFilterType\":\"SINGLE_TAG\","
				    "\"topicName\":\"L1\",\"topicSysFlag\":0,\"writeQueueNums\":3},"
				    "{\"topicName\":\"L2\"}]}"), NULL);
	f = rig_wait(&r, c);
	assert_int_equal(f.header.code, 0);
	assert_int_equal(find(&r, "L1")->write_queues, 3);
	assert_true(find(&r, "L1")->order);
	assert_int_equal(find(&r, "L2")->read_queues, 16);
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC_LIST,
			  slice_str("{\"topicConfigList\":[{\"topicName\":\"L3\"},"
				    "{\"topicName\":\"TBW102\"}]}"), NULL);
	f = rig_wait(&r, c);
	assert_int_equal(f.header.code, 29);
	assert_null(find(&r, "L3"));
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC_LIST, slice_str("nonsense"), NULL);
	assert_int_equal(rig_wait(&r, c).header.code, 1);
	rig_close(&r);
}

static void deleted_topic_takes_messages_and_offsets_along(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "Gone", 0, "", "x");
	f = rig_heartbeat(&r, c, "id", "G", "Gone", "*", 1);
	fake_conn_request(c, REQ_UPDATE_CONSUMER_OFFSET, NO_BODY, "consumerGroup", "G", "topic",
			  "Gone", "queueId", "0", "commitOffset", "1", NULL);
	rig_notices(&r, rig_dial(&r), "G");
	fake_conn_request(c, REQ_DELETE_TOPIC_IN_BROKER, NO_BODY, "topic", "Gone", NULL);
	do {
		f = rig_wait(&r, c);
	} while (!header_is_response(&f.header));
	assert_int_equal(f.header.code, 0);
	f = rig_wait(&r, c);
	assert_int_equal(f.header.code, 0);
	assert_null(find(&r, "Gone"));
	fake_conn_request(c, REQ_GET_MAX_OFFSET, NO_BODY, "topic", "Gone", "queueId", "0", NULL);
	f = rig_answer(&r, c);
	assert_int_equal(rig_i64(&f, "offset"), 0);
	fake_conn_request(c, REQ_DELETE_TOPIC_IN_BROKER, NO_BODY, "topic", "TBW102", NULL);
	f = rig_wait(&r, c);
	assert_remark(&f, 29, "The topic[TBW102] is conflict with system topic.");
	rig_close(&r);
}

static void document_survives_a_round_trip(void **state)
{
	struct rig r;
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct mosaic_error err = ERR_INIT;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_set_topic(&r, c, "A", "5", "+message.type=MIXED");
	topics_save(r.broker->topics, &first);
	struct topics *again = topics_create(r.broker);
	assert_int_equal(topics_load(again, buf_slice(&first), &err), 0);
	topics_save(again, &second);
	assert_true(slice_eq(buf_slice(&first), buf_slice(&second)));
	topics_destroy(again);
	buf_free(&first);
	buf_free(&second);
	rig_close(&r);
}

static void damaged_document_is_an_error_that_says_what(void **state)
{
	static const char *const damaged[] = {
		"{\"topicConfigTable\":{\"A\":5}}",
		"{\"topicConfigTable\":{\"A\":{\"readQueueNums\":-1}}}",
		"{\"topicConfigTable\":{\"A\":{\"writeQueueNums\":99999999}}}",
		"{\"topicConfigTable\":",
	};
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		struct topics *t = topics_create(r.broker);
		struct mosaic_error err = ERR_INIT;

		assert_true(topics_load(t, slice_str(damaged[i]), &err) < 0);
		assert_true(err.text[0] != 0);
		topics_destroy(t);
	}
	rig_close(&r);
}

static void lists_name_every_topic(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER, NO_BODY, NULL);
	f = rig_answer(&r, c);
	json_t *body = rig_json(&f);
	assert_int_equal(json_array_size(json_object_get(body, "topicList")), 16);
	json_decref(body);
	fake_conn_request(c, REQ_GET_ALL_TOPIC_CONFIG, NO_BODY, NULL);
	f = rig_answer(&r, c);
	body = rig_json(&f);
	assert_int_equal(json_object_size(json_object_get(body, "topicConfigTable")), 13);
	assert_non_null(json_object_get(json_object_get(body, "dataVersion"), "counter"));
	json_decref(body);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_topics_are_there_at_boot),
		cmocka_unit_test(topic_is_created_saved_and_answered),
		cmocka_unit_test(refusals_have_rocketmqs_texts),
		cmocka_unit_test(fields_of_a_topic_that_may_be_missing),
		cmocka_unit_test(attributes_change_by_their_rules),
		cmocka_unit_test(list_of_topics_is_all_or_nothing_by_name),
		cmocka_unit_test(deleted_topic_takes_messages_and_offsets_along),
		cmocka_unit_test(document_survives_a_round_trip),
		cmocka_unit_test(damaged_document_is_an_error_that_says_what),
		cmocka_unit_test(lists_name_every_topic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
