#include "namesrv_fixture.h"

#define EMPTY "{\"brokerAddrTable\":{},\"clusterAddrTable\":{}}"
#define GROUP(name, addrs, acting)                                                                 \
	"\"" name "\":{\"brokerAddrs\":{" addrs "},\"brokerName\":\"" name                         \
	"\",\"cluster\":\"C1\",\"enableActingMaster\":" acting "}"
#define ONE(addrs)                                                                                 \
	"{\"brokerAddrTable\":{" GROUP("b1", addrs, "false") "},\"clusterAddrTable\":{\"C1\":["    \
							     "\"b1\"]}}"
#define ROUTE_B1(addrs, perm)                                                                      \
	"{\"brokerDatas\":[{\"brokerAddrs\":{" addrs "},\"brokerName\":\"b1\",\"cluster\":\"C1\"," \
	"\"enableActingMaster\":false}],\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":" \
	"\"b1\",\"perm\":" perm ",\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}]}"

static struct fake_frame route(struct fixture *f, const char *topic)
{
	return ASK(f, REQ_GET_ROUTEINFO_BY_TOPIC, NO_BODY, "topic", topic);
}

static void a_registered_master_serves_its_topics(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_clusters(&f, EMPTY);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_clusters(&f, ONE("0:\"h:1\""));
	assert_text(route(&f, "T1").body, ROUTE_B1("\"0\":\"h:1\"", "6"));
	assert_int_equal(route_code(&f, "T3"), RES_TOPIC_NOT_EXIST);
	teardown(&f);
}

static void a_slave_joins_the_route_learns_its_master_and_changes_no_topics(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	frame = REG(&f, .name = "b1", .addr = "h:2", .id = 1, .topics = "T8 T9");
	assert_text(header_str(&frame.header, "masterAddr"), "h:1");
	assert_text(header_str(&frame.header, "haServerAddr"), "h:19");
	assert_text(route(&f, "T1").body, ROUTE_B1("\"0\":\"h:1\",\"1\":\"h:2\"", "6"));
	assert_int_equal(route_code(&f, "T9"), RES_TOPIC_NOT_EXIST);
	teardown(&f);
}

static void a_first_registration_with_a_single_topic_is_refused_and_leaves_no_trace(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = REG(&f, .name = "b1", .addr = "h:1", .topics = "T1");
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark, "register broker failed");
	assert_clusters(&f, EMPTY);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T3", .counter = 1));
	teardown(&f);
}

static void a_partial_registration_adds_and_never_removes(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T3", .counter = 1));
	assert_int_equal(route_code(&f, "T1"), 0);
	assert_int_equal(route_code(&f, "T2"), 0);
	assert_int_equal(route_code(&f, "T3"), 0);
	teardown(&f);
}

static void the_same_data_version_changes_no_known_topic_but_adds_unknown_ones(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2", .counter = 1));
	assert_int_equal(
		ASK(&f, REQ_WIPE_WRITE_PERM_OF_BROKER, NO_BODY, "brokerName", "b1").header.code, 0);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T4", .counter = 1));
	assert_text(route(&f, "T1").body, ROUTE_B1("\"0\":\"h:1\"", "4"));
	assert_int_equal(route_code(&f, "T4"), 0);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T4", .counter = 2));
	assert_text(route(&f, "T1").body, ROUTE_B1("\"0\":\"h:1\"", "6"));
	teardown(&f);
}

static void an_address_that_comes_with_another_id_has_switched_its_role(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_registered(REG(&f, .name = "b1", .addr = "h:2", .id = 1, .topics = "T1 T2"));
	assert_registered(REG(&f, .name = "b1", .addr = "h:2", .topics = "T1 T2", .state = 1));
	assert_clusters(&f, ONE("0:\"h:2\"")); /* the id's old address is gone */
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .id = 1, .topics = "T1 T2"));
	assert_clusters(&f, ONE("0:\"h:2\",1:\"h:1\""));
	teardown(&f);
}

static void an_older_state_version_does_not_take_the_id_from_a_newer_one(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:2", .topics = "T1 T2", .state = 5));
	frame = REG(&f, .name = "b1", .addr = "h:1", .topics = "T8 T9", .state = 4);
	assert_int_equal(frame.header.code, RES_SUCCESS);
	assert_int_equal(frame.body.len, 0);
	assert_clusters(&f, ONE("0:\"h:2\""));
	assert_int_equal(route_code(&f, "T8"), RES_TOPIC_NOT_EXIST);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T8 T9", .state = 5));
	assert_clusters(&f, ONE("0:\"h:1\""));
	teardown(&f);
}

static void unregistration_removes_the_address_and_with_the_last_one_everything(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_registered(REG(&f, .name = "b1", .addr = "h:2", .id = 1, .topics = "T1 T2"));
	assert_int_equal(ASK(&f, REQ_UNREGISTER_BROKER, NO_BODY, "brokerName", "b1", "clusterName",
			     "C1", "brokerAddr", "h:1", "brokerId", "0")
				 .header.code,
			 0);
	assert_clusters(&f, ONE("1:\"h:2\""));
	assert_int_equal(route_code(&f, "T1"), 0);
	assert_int_equal(ASK(&f, REQ_UNREGISTER_BROKER, NO_BODY, "brokerName", "b1", "clusterName",
			     "C1", "brokerAddr", "h:2", "brokerId", "1")
				 .header.code,
			 0);
	assert_clusters(&f, EMPTY);
	assert_int_equal(route_code(&f, "T1"), RES_TOPIC_NOT_EXIST);
	teardown(&f);
}

static void the_end_of_a_connection_removes_its_brokers_at_once(void **state)
{
	struct fixture f;
	struct mosaic_conn *a, *b;

	(void)state;
	setup(&f);
	a = fake_net_dial(f.net, "ns:9876");
	b = fake_net_dial(f.net, "ns:9876");
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2", .conn = a));
	assert_registered(REG(&f, .name = "b2", .addr = "h:2", .topics = "T1 T3", .conn = a));
	assert_registered(REG(&f, .name = "b3", .addr = "h:3", .topics = "T1 T4", .conn = b));
	fake_conn_close(a);
	fake_host_run(&f.host);
	assert_int_equal(route_code(&f, "T2"), RES_TOPIC_NOT_EXIST);
	assert_int_equal(route_code(&f, "T3"), RES_TOPIC_NOT_EXIST);
	assert_int_equal(route_code(&f, "T4"), 0);
	teardown(&f);
}

static void a_broker_that_reconnected_stays_when_its_old_connection_ends(void **state)
{
	struct fixture f;
	struct mosaic_conn *a, *b;

	(void)state;
	setup(&f);
	a = fake_net_dial(f.net, "ns:9876");
	b = fake_net_dial(f.net, "ns:9876");
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2", .conn = a));
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2", .conn = b));
	fake_conn_close(a);
	fake_host_run(&f.host);
	assert_clusters(&f, ONE("0:\"h:1\""));
	fake_conn_close(b);
	fake_host_run(&f.host);
	assert_clusters(&f, EMPTY);
	teardown(&f);
}

static void silence_of_120_seconds_removes_a_broker_and_closes_its_connection(void **state)
{
	struct fixture f;
	struct mosaic_conn *a;

	(void)state;
	setup(&f);
	a = fake_net_dial(f.net, "ns:9876");
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2", .conn = a));
	fake_host_advance_ms(&f.host, 119000);
	fake_conn_request(a, REQ_BROKER_HEARTBEAT, NO_BODY, "clusterName", "C1", "brokerAddr",
			  "h:1", "brokerName", "b1", NULL);
	fake_host_advance_ms(&f.host, 119000);
	assert_clusters(&f, ONE("0:\"h:1\""));
	/* The heartbeat in acting-master mode. */
	fake_conn_oneway(a, REQ_QUERY_DATA_VERSION, NO_BODY, "clusterName", "C1", "brokerAddr",
			 "h:1", "brokerName", "b1", "brokerId", "0", NULL);
	fake_host_advance_ms(&f.host, 119000);
	assert_clusters(&f, ONE("0:\"h:1\""));
	fake_host_advance_ms(&f.host, 6001);
	assert_clusters(&f, EMPTY);
	assert_true(fake_conn_is_closed(a));
	assert_true(fake_host_logged(&f.host, "warn broker_expired broker=b1"));
	teardown(&f);
}

static void a_broker_may_ask_for_a_shorter_time(void **state)
{
	struct fixture f;
	struct mosaic_conn *a;

	(void)state;
	setup(&f);
	a = fake_net_dial(f.net, "ns:9876");
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2",
			      .timeout_ms = "10000", .conn = a));
	fake_host_advance_ms(&f.host, 10000);
	assert_clusters(&f, ONE("0:\"h:1\""));
	fake_host_advance_ms(&f.host, 5000);
	assert_clusters(&f, EMPTY);
	teardown(&f);
}

static void bounds_of_brokers_and_topics_are_told_and_change_nothing(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	struct buf topics = BUF_INIT;
	char addr[16];

	(void)state;
	setup(&f);
	for (int i = 0; i < 10; i++) {
		snprintf(addr, sizeof(addr), "h:%d", i);
		assert_registered(REG(&f, .name = "b1", .addr = addr, .id = i, .topics = "T1 T2"));
	}
	frame = REG(&f, .name = "b2", .addr = "h:10", .topics = "T8 T9");
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark, "10 brokers are registered, the limit");
	assert_int_equal(route_code(&f, "T8"), RES_TOPIC_NOT_EXIST);
	for (int i = 0; i < 19999; i++)
		buf_printf(&topics, "X%d ", i);
	frame = REG(&f, .name = "b1", .addr = "h:0", .topics = buf_cstr(&topics), .counter = 1);
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_text(frame.header.remark,
		    "19999 new topics of broker b1 do not fit: 2 of at most 20000 are known");
	assert_int_equal(route_code(&f, "X1"), RES_TOPIC_NOT_EXIST);
	assert_true(fake_host_logged(&f.host, "warn registration_refused"));
	buf_free(&topics);
	teardown(&f);
}

static void ten_thousand_topics_register_and_go_in_reasonable_time(void **state)
{
	struct fixture f;
	struct buf topics = BUF_INIT;
	struct mosaic_conn *a;

	(void)state;
	setup(&f);
	for (int i = 0; i < 10000; i++)
		buf_printf(&topics, "Topic-%d ", i);
	a = fake_net_dial(f.net, "ns:9876");
	for (int i = 0; i < 5; i++) /* five times with a new version: 50,000 updates */
		assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = buf_cstr(&topics),
				      .counter = i, .conn = a));
	assert_int_equal(route_code(&f, "Topic-9999"), 0);
	fake_conn_close(a);
	fake_host_run(&f.host);
	assert_int_equal(route_code(&f, "Topic-9999"), RES_TOPIC_NOT_EXIST);
	buf_free(&topics);
	teardown(&f);
}

static void a_name_with_blanks_or_quotes_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(REG(&f, .name = "b 1", .addr = "h:1", .topics = "T1 T2").header.code, 1);
	assert_int_equal(REG(&f, .name = "b1", .addr = "h\n1", .topics = "T1 T2").header.code, 1);
	assert_int_equal(REG(&f, .name = "b1", .addr = "", .topics = "T1 T2").header.code, 1);
	assert_clusters(&f, EMPTY);
	teardown(&f);
}

static void a_prime_slave_of_an_acting_group_serves_read_only(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	struct mosaic_conn *master, *slave;

	(void)state;
	setup(&f);
	master = fake_net_dial(f.net, "ns:9876");
	slave = fake_net_dial(f.net, "ns:9876");
	assert_int_equal(ASK(&f, REQ_UPDATE_NAMESRV_CONFIG,
			     slice_str("notifyMinBrokerIdChanged=true\nsupportActingMaster=true"))
				 .header.code,
			 0);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2",
			      .acting_master = "true", .conn = master));
	assert_registered(REG(&f, .name = "b1", .addr = "h:2", .id = 1, .topics = "T1 T2",
			      .acting_master = "true", .conn = slave));
	assert_false(fake_conn_next(slave, &frame));
	fake_conn_close(master);
	fake_host_run(&f.host);
	/* The slave is told, and stands in for the master: id 0, without write permission. */
	assert_true(fake_conn_next(slave, &frame));
	assert_int_equal(frame.header.code, REQ_NOTIFY_MIN_BROKER_ID_CHANGE);
	assert_int_equal(frame.header.flag, HEADER_ONEWAY);
	assert_text(header_str(&frame.header, "minBrokerId"), "1");
	assert_text(header_str(&frame.header, "minBrokerAddr"), "h:2");
	assert_text(header_str(&frame.header, "offlineBrokerAddr"), "h:1");
	assert_text(route(&f, "T1").body,
		    "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"h:2\"},\"brokerName\":\"b1\","
		    "\"cluster\":\"C1\",\"enableActingMaster\":true}],\"filterServerTable\":{},"
		    "\"queueDatas\":[{\"brokerName\":\"b1\",\"perm\":4,\"readQueueNums\":4,"
		    "\"topicSysFlag\":0,\"writeQueueNums\":4}]}");
	/* The master comes back. */
	master = fake_net_dial(f.net, "ns:9876");
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2",
			      .acting_master = "true", .conn = master));
	assert_true(fake_conn_next(slave, &frame));
	assert_text(header_str(&frame.header, "minBrokerId"), "0");
	assert_text(header_str(&frame.header, "haBrokerAddr"), "h:19");
	assert_null(header_str(&frame.header, "offlineBrokerAddr").ptr);
	assert_false(fake_conn_next(slave, &frame));
	teardown(&f);
}

static void topics_that_are_missing_go_only_when_that_is_configured(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2 T3"));
	assert_int_equal(ASK(&f, REQ_UPDATE_NAMESRV_CONFIG,
			     slice_str("deleteTopicWithBrokerRegistration=true"))
				 .header.code,
			 0);
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T3", .counter = 1));
	assert_int_equal(route_code(&f, "T1"), 0);
	assert_int_equal(route_code(&f, "T2"), RES_TOPIC_NOT_EXIST);
	teardown(&f);
}

static void another_name_at_the_same_address_replaces_the_first(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_registered(REG(&f, .name = "b0", .addr = "h:1", .topics = "T8 T9"));
	assert_registered(REG(&f, .name = "b1", .addr = "h:1", .topics = "T1 T2"));
	assert_clusters(&f, ONE("0:\"h:1\""));
	assert_int_equal(route_code(&f, "T8"), RES_TOPIC_NOT_EXIST);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registered_master_serves_its_topics),
		cmocka_unit_test(a_slave_joins_the_route_learns_its_master_and_changes_no_topics),
		cmocka_unit_test(
			a_first_registration_with_a_single_topic_is_refused_and_leaves_no_trace),
		cmocka_unit_test(a_partial_registration_adds_and_never_removes),
		cmocka_unit_test(
			the_same_data_version_changes_no_known_topic_but_adds_unknown_ones),
		cmocka_unit_test(an_address_that_comes_with_another_id_has_switched_its_role),
		cmocka_unit_test(an_older_state_version_does_not_take_the_id_from_a_newer_one),
		cmocka_unit_test(
			unregistration_removes_the_address_and_with_the_last_one_everything),
		cmocka_unit_test(the_end_of_a_connection_removes_its_brokers_at_once),
		cmocka_unit_test(a_broker_that_reconnected_stays_when_its_old_connection_ends),
		cmocka_unit_test(silence_of_120_seconds_removes_a_broker_and_closes_its_connection),
		cmocka_unit_test(a_broker_may_ask_for_a_shorter_time),
		cmocka_unit_test(bounds_of_brokers_and_topics_are_told_and_change_nothing),
		cmocka_unit_test(ten_thousand_topics_register_and_go_in_reasonable_time),
		cmocka_unit_test(a_name_with_blanks_or_quotes_is_refused),
		cmocka_unit_test(a_prime_slave_of_an_acting_group_serves_read_only),
		cmocka_unit_test(topics_that_are_missing_go_only_when_that_is_configured),
		cmocka_unit_test(another_name_at_the_same_address_replaces_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
