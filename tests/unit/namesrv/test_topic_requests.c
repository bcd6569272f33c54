#include "namesrv_fixture.h"

static void setup_two(struct fixture *f)
{
	setup(f);
	assert_registered(REG(f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_registered(REG(f, .name = "b2", .addr = "h:2", .topics = "T1 T3", .cluster = "C2"));
}

static void lists_of_topics(void **state)
{
	struct fixture f;

	(void)state;
	setup_two(&f);
	assert_text(ASK(&f, REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NO_BODY).body,
		    "{\"topicList\":[\"T1\",\"T2\",\"T3\"]}");
	assert_text(ASK(&f, REQ_GET_TOPICS_BY_CLUSTER, NO_BODY, "cluster", "C2").body,
		    "{\"topicList\":[\"T1\",\"T3\"]}");
	assert_text(ASK(&f, REQ_GET_TOPICS_BY_CLUSTER, NO_BODY, "cluster", "none").body,
		    "{\"topicList\":[]}");
	assert_text(ASK(&f, REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS, NO_BODY).body,
		    "{\"brokerAddr\":\"h:1\",\"topicList\":[\"C1\",\"b1\",\"C2\",\"b2\"]}");
	assert_text(ASK(&f, REQ_GET_UNIT_TOPIC_LIST, NO_BODY).body, "{\"topicList\":[]}");
	teardown(&f);
}

static void lists_can_be_disabled(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup_two(&f);
	ASK(&f, REQ_UPDATE_NAMESRV_CONFIG,
	    slice_str("enableTopicList=false\nenableAllTopicList=false"));
	frame = ASK(&f, REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NO_BODY);
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark, "disable");
	assert_int_equal(ASK(&f, REQ_GET_UNIT_TOPIC_LIST, NO_BODY).header.code, RES_SYSTEM_ERROR);
	teardown(&f);
}

static void register_one(struct fixture *f, const char *topic, const char *broker, int sys_flag)
{
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"queueDatas\":[{\"brokerName\":\"%s\",\"perm\":6,\"readQueueNums\":1,"
		 "\"topicSysFlag\":%d,\"writeQueueNums\":1}]}",
		 broker, sys_flag);
	assert_int_equal(
		ASK(f, REQ_REGISTER_TOPIC_IN_NAMESRV, slice_str(body), "topic", topic).header.code,
		0);
}

static void unit_lists_go_by_the_topics_flags(void **state)
{
	struct fixture f;

	(void)state;
	setup_two(&f);
	register_one(&f, "U1", "b1", 1);
	register_one(&f, "U2", "b1", 2);
	register_one(&f, "U3", "b1", 3);
	assert_text(ASK(&f, REQ_GET_UNIT_TOPIC_LIST, NO_BODY).body,
		    "{\"topicList\":[\"U1\",\"U3\"]}");
	assert_text(ASK(&f, REQ_GET_HAS_UNIT_SUB_TOPIC_LIST, NO_BODY).body,
		    "{\"topicList\":[\"U2\",\"U3\"]}");
	assert_text(ASK(&f, REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, NO_BODY).body,
		    "{\"topicList\":[\"U2\"]}");
	teardown(&f);
}

static void a_topic_registered_for_an_unknown_broker_is_void(void **state)
{
	struct fixture f;

	(void)state;
	setup_two(&f);
	register_one(&f, "N", "nobody", 0);
	assert_int_equal(route_code(&f, "N"), RES_TOPIC_NOT_EXIST);
	register_one(&f, "N", "b2", 0);
	assert_int_equal(route_code(&f, "N"), 0);
	assert_int_equal(ASK(&f, REQ_REGISTER_TOPIC_IN_NAMESRV, NO_BODY, "topic", "M").header.code,
			 0);
	assert_int_equal(ASK(&f, REQ_REGISTER_TOPIC_IN_NAMESRV, slice_str("garbage"), "topic", "M")
				 .header.code,
			 RES_SYSTEM_ERROR);
	teardown(&f);
}

static void deletion_with_a_cluster_keeps_the_queues_of_others(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup_two(&f);
	assert_int_equal(
		ASK(&f, REQ_DELETE_TOPIC_IN_NAMESRV, NO_BODY, "topic", "T1", "clusterName", "none")
			.header.code,
		0);
	assert_int_equal(
		ASK(&f, REQ_DELETE_TOPIC_IN_NAMESRV, NO_BODY, "topic", "T1", "clusterName", "C1")
			.header.code,
		0);
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1");
	assert_int_equal(frame.header.code, 0);
	assert_null(memmem(frame.body.ptr, frame.body.len, "b1", 2));
	assert_int_equal(ASK(&f, REQ_DELETE_TOPIC_IN_NAMESRV, NO_BODY, "topic", "T1").header.code,
			 0);
	assert_int_equal(route_code(&f, "T1"), RES_TOPIC_NOT_EXIST);
	assert_int_equal(ASK(&f, REQ_DELETE_TOPIC_IN_NAMESRV, NO_BODY, "topic", "T1").header.code,
			 0);
	teardown(&f);
}

static void write_permission_is_wiped_and_given_back_for_one_broker(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup_two(&f);
	frame = ASK(&f, REQ_WIPE_WRITE_PERM_OF_BROKER, NO_BODY, "brokerName", "b1");
	assert_text(header_str(&frame.header, "wipeTopicCount"), "2");
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1");
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\"b1\",\"perm\":4", 13));
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\"b2\",\"perm\":6", 13));
	frame = ASK(&f, REQ_ADD_WRITE_PERM_OF_BROKER, NO_BODY, "brokerName", "b1");
	assert_text(header_str(&frame.header, "addTopicCount"), "2");
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1");
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\"b1\",\"perm\":6", 13));
	frame = ASK(&f, REQ_WIPE_WRITE_PERM_OF_BROKER, NO_BODY, "brokerName", "none");
	assert_text(header_str(&frame.header, "wipeTopicCount"), "0");
	teardown(&f);
}

static void options_are_shown_changed_as_a_whole_and_guarded(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ASK(&f, REQ_GET_NAMESRV_CONFIG, NO_BODY);
	assert_int_equal(frame.header.code, 0);
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\nlistenPort=9876\n", 17));
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\norderMessageEnable=false\n", 26));
	frame = ASK(&f, REQ_UPDATE_NAMESRV_CONFIG,
		    slice_str("orderMessageEnable=true\nkvConfigPath=/x\n"));
	assert_int_equal(frame.header.code, RES_NO_PERMISSION);
	assert_text(frame.header.remark, "Can not update config in black list.");
	frame = ASK(&f, REQ_UPDATE_NAMESRV_CONFIG,
		    slice_str("orderMessageEnable=true\nscanNotActiveBrokerInterval=x"));
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	frame = ASK(&f, REQ_GET_NAMESRV_CONFIG, NO_BODY);
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\norderMessageEnable=false\n", 26));
	frame = ASK(&f, REQ_UPDATE_NAMESRV_CONFIG,
		    slice_str("# a comment\n orderMessageEnable : TRUE \r\nnoSuchThing=1\n"
			      "scanNotActiveBrokerInterval=1000\nlistenPort=1"));
	assert_int_equal(frame.header.code, 0);
	assert_true(fake_host_logged(&f.host, "property_ignored name=noSuchThing"));
	frame = ASK(&f, REQ_GET_NAMESRV_CONFIG, NO_BODY);
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\norderMessageEnable=true\n", 25));
	assert_non_null(
		memmem(frame.body.ptr, frame.body.len, "\nscanNotActiveBrokerInterval=1000\n", 34));
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\nlistenPort=9876\n", 17));
	teardown(&f);
}

static void a_code_that_is_not_served_is_3(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(ASK(&f, 777, NO_BODY).header.code, RES_REQUEST_CODE_NOT_SUPPORTED);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_topics),
		cmocka_unit_test(lists_can_be_disabled),
		cmocka_unit_test(unit_lists_go_by_the_topics_flags),
		cmocka_unit_test(a_topic_registered_for_an_unknown_broker_is_void),
		cmocka_unit_test(deletion_with_a_cluster_keeps_the_queues_of_others),
		cmocka_unit_test(write_permission_is_wiped_and_given_back_for_one_broker),
		cmocka_unit_test(options_are_shown_changed_as_a_whole_and_guarded),
		cmocka_unit_test(a_code_that_is_not_served_is_3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
