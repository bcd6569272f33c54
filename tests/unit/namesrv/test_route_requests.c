#include "namesrv_fixture.h"

#define REST                                                                                       \
	"},\"brokerName\":\"b1\",\"cluster\":\"C1\",\"enableActingMaster\":false}],"               \
	"\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"b1\",\"perm\":6,"              \
	"\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}]}"
#define QUOTED "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"h:1\",\"1\":\"h:2\"" REST
#define BARE "{\"brokerDatas\":[{\"brokerAddrs\":{0:\"h:1\",1:\"h:2\"" REST

static void setup_pair(struct fixture *f)
{
	setup(f);
	assert_registered(REG(f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_registered(REG(f, .name = "b1", .addr = "h:2", .id = 1, .topics = "T1 T2"));
}

static struct mosaic_slice route(struct fixture *f, int32_t version, const char *standard)
{
	struct mosaic_slice body;

	fake_conn_version(f->c, version);
	body = ASK(f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1", "acceptStandardJsonOnly",
		   standard)
		       .body;
	fake_conn_version(f->c, VERSION_V5_3_3);
	return body;
}

static void old_clients_get_bare_ids_and_new_ones_quoted_ids(void **state)
{
	struct fixture f;

	(void)state;
	setup_pair(&f);
	assert_text(route(&f, VERSION_V5_3_3, "false"), QUOTED);
	assert_text(route(&f, VERSION_V4_9_4, "false"), QUOTED);
	assert_text(route(&f, VERSION_V4_9_4 - 1, "false"), BARE);
	assert_text(route(&f, 317, "true"), QUOTED);
	teardown(&f);
}

static void the_cluster_info_never_quotes_ids(void **state)
{
	struct fixture f;

	(void)state;
	setup_pair(&f);
	assert_clusters(&f,
			"{\"brokerAddrTable\":{\"b1\":{\"brokerAddrs\":{0:\"h:1\",1:\"h:2\"},"
			"\"brokerName\":\"b1\",\"cluster\":\"C1\",\"enableActingMaster\":false}},"
			"\"clusterAddrTable\":{\"C1\":[\"b1\"]}}");
	teardown(&f);
}

static void an_unknown_topic_is_17_with_the_text_clients_know(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "No");
	assert_int_equal(frame.header.code, RES_TOPIC_NOT_EXIST);
	assert_text(frame.header.remark,
		    "No topic route info in name server for the topic: No\nSee "
		    "https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.");
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY);
	assert_int_equal(frame.header.code, RES_TOPIC_NOT_EXIST);
	teardown(&f);
}

static void order_topics_are_in_the_route_when_configured_and_in_each_registration(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup_with(&f, "{\"configTable\":{\"ORDER_TOPIC_CONFIG\":{\"T1\":\"b1:4\"}}}");
	frame = REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2");
	assert_text(frame.body, "{\"table\":{\"T1\":\"b1:4\"}}");
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1");
	assert_null(memmem(frame.body.ptr, frame.body.len, "orderTopicConf", 14));
	ASK(&f, REQ_UPDATE_NAMESRV_CONFIG, slice_str("orderMessageEnable=true\n"));
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1");
	assert_non_null(memmem(frame.body.ptr, frame.body.len,
			       "\"filterServerTable\":{},\"orderTopicConf\":\"b1:4\",", 47));
	teardown(&f);
}

static void the_zone_filter_leaves_out_other_zones_except_groups_without_master(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2", .zone = "z"));
	assert_registered(REG(&f, .name = "b2", .addr = "h:2", .topics = "T1 T2", .zone = "y"));
	/* Its master goes, a slave stays. */
	assert_registered(REG(&f, .name = "b3", .addr = "h:3", .topics = "T1 T2", .zone = "y"));
	assert_registered(
		REG(&f, .name = "b3", .addr = "h:4", .id = 1, .topics = "T1 T2", .zone = "y"));
	ASK(&f, REQ_UNREGISTER_BROKER, NO_BODY, "brokerName", "b3", "clusterName", "C1",
	    "brokerAddr", "h:3", "brokerId", "0");
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1", "__ZONE_MODE", "true",
		    "__ZONE_NAME", "z");
	assert_int_equal(frame.header.code, 0);
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\"brokerName\":\"b1\"", 17));
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\"zoneName\":\"z\"", 14));
	assert_null(memmem(frame.body.ptr, frame.body.len, "\"brokerName\":\"b2\"", 17));
	assert_non_null(memmem(frame.body.ptr, frame.body.len, "\"brokerName\":\"b3\"", 17));
	teardown(&f);
}

static void routes_wait_for_the_service_when_that_is_configured(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup_pair(&f);
	ASK(&f, REQ_UPDATE_NAMESRV_CONFIG, slice_str("needWaitForService=true"));
	frame = ASK(&f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", "T1");
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark, "name server not ready");
	fake_host_advance_ms(&f.host, 45000);
	assert_int_equal(route_code(&f, "T1"), 0);
	teardown(&f);
}

static void a_changed_body_crc_is_refused(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ASK(&f, REQ_REGISTER_BROKER, slice_str("{}"), "brokerName", "b1", "brokerAddr",
		    "h:1", "clusterName", "C1", "haServerAddr", "h:2", "brokerId", "0",
		    "compressed", "false", "bodyCrc32", "12345");
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark, "crc32 not match");
	teardown(&f);
}

static void the_data_version_tells_a_broker_whether_to_register(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2", .counter = 3));
	frame = ASK(&f, REQ_QUERY_DATA_VERSION,
		    slice_str("{\"counter\":3,\"stateVersion\":0,\"timestamp\":7}"), "clusterName",
		    "C1", "brokerAddr", "h:1", "brokerName", "b1", "brokerId", "0");
	assert_text(header_str(&frame.header, "changed"), "false");
	assert_text(frame.body, "{\"counter\":3,\"stateVersion\":0,\"timestamp\":7}");
	frame = ASK(&f, REQ_QUERY_DATA_VERSION,
		    slice_str("{\"counter\":4,\"stateVersion\":0,\"timestamp\":7}"), "clusterName",
		    "C1", "brokerAddr", "h:1", "brokerName", "b1", "brokerId", "0");
	assert_text(header_str(&frame.header, "changed"), "true");
	frame = ASK(&f, REQ_QUERY_DATA_VERSION,
		    slice_str("{\"counter\":3,\"stateVersion\":0,\"timestamp\":7}"), "clusterName",
		    "C1", "brokerAddr", "h:9", "brokerName", "b1", "brokerId", "0");
	assert_text(header_str(&frame.header, "changed"), "true");
	assert_int_equal(frame.body.len, 0);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_clients_get_bare_ids_and_new_ones_quoted_ids),
		cmocka_unit_test(the_cluster_info_never_quotes_ids),
		cmocka_unit_test(an_unknown_topic_is_17_with_the_text_clients_know),
		cmocka_unit_test(
			order_topics_are_in_the_route_when_configured_and_in_each_registration),
		cmocka_unit_test(
			the_zone_filter_leaves_out_other_zones_except_groups_without_master),
		cmocka_unit_test(routes_wait_for_the_service_when_that_is_configured),
		cmocka_unit_test(a_changed_body_crc_is_refused),
		cmocka_unit_test(the_data_version_tells_a_broker_whether_to_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
