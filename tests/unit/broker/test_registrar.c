/* Registration at NameServers: 103, 104, failures, changes. */
#include "broker/topics.h"
#include "base/hash.h"
#include "control_rig.h"

static const char *const two[] = { "ns1:9876", "ns2:9876" };

/* The next 103 on a connection, answered with `code`; its topics are counted. */
static size_t take_register(struct rig *r, struct mosaic_conn *ns, int32_t code, const char *topic)
{
	struct fake_frame f;
	int64_t crc;

	fake_host_run(&r->host);
	assert_true(fake_conn_next(ns, &f));
	assert_int_equal(f.header.code, REQ_REGISTER_BROKER);
	assert_true(slice_is(header_str(&f.header, "brokerName"), "broker-a"));
	assert_true(slice_is(header_str(&f.header, "clusterName"), "DefaultCluster"));
	assert_true(slice_is(header_str(&f.header, "brokerAddr"), "127.0.0.1:10911"));
	assert_true(slice_is(header_str(&f.header, "haServerAddr"), "127.0.0.1:10912"));
	assert_true(slice_is(header_str(&f.header, "brokerId"), "0"));
	assert_true(slice_is(header_str(&f.header, "compressed"), "false"));
	assert_int_equal(header_i64(&f.header, "bodyCrc32", &crc), 0);
	assert_int_equal(crc, hash_crc32(f.body.ptr, f.body.len) & 0x7fffffff);
	json_t *body = rig_json(&f);
	json_t *wrapper = json_object_get(body, "topicConfigSerializeWrapper");
	json_t *topics = json_object_get(wrapper, "topicConfigTable");
	size_t n = json_object_size(topics);
	assert_non_null(json_object_get(wrapper, "dataVersion"));
	assert_true(json_is_array(json_object_get(body, "filterServerList")));
	if (topic)
		assert_non_null(json_object_get(topics, topic));
	json_decref(body);
	fake_conn_respond(ns, f.header.opaque, code, NO_BODY, NULL);
	fake_host_run(&r->host);
	return n;
}

static struct rig_options with(uint32_t n)
{
	return (struct rig_options){ .namesrv = two, .n_namesrv = n };
}

static void whole_table_first_then_changes(void **state)
{
	struct rig r;
	struct rig_options o = with(2);
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	assert_int_equal(take_register(&r, a, 0, "TBW102"), 13);
	struct mosaic_conn *b = fake_net_accept(r.net, two[1]); /* later, and on its own */
	assert_int_equal(take_register(&r, b, 0, "broker-a"), 13);
	rig_no_answer(&r, a);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "Fresh1", 0, "", "x");
	assert_int_equal(take_register(&r, a, 0, "Fresh1"), 1);
	assert_int_equal(take_register(&r, b, 0, "Fresh1"), 1);
	rig_no_answer(&r, a);
	fake_host_advance_ms(&r.host, 30000);
	assert_int_equal(take_register(&r, a, 0, "Fresh1"), 14); /* everything each 30 s */
	assert_int_equal(take_register(&r, b, 0, "Fresh1"), 14);

	rig_close(&r);
}

static void changes_of_one_turn_go_together(void **state)
{
	struct rig r;
	struct rig_options o = with(1);
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	take_register(&r, a, 0, NULL);
	topics_add(r.broker->topics, slice_str("A"), 1, 6, false);
	topics_add(r.broker->topics, slice_str("B"), 1, 6, false);
	assert_int_equal(take_register(&r, a, 0, "B"), 2);
	rig_no_answer(&r, a);
	rig_close(&r);
}

static void answer_to_a_new_topic_waits_for_the_nameserver(void **state)
{
	struct rig r;
	struct rig_options o = with(1);
	struct fake_frame f;
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	take_register(&r, a, 0, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC, NO_BODY, "topic", "N", "defaultTopic",
			"TBW102",
			  "readQueueNums", "1", "writeQueueNums", "1", "perm", "6",
			  "topicFilterType", "SINGLE_TAG", NULL);
	fake_host_advance_ms(&r.host, 100);
	rig_no_answer(&r, c);
	take_register(&r, a, 0, "N");
	assert_true(fake_conn_next(c, &f));
	assert_int_equal(f.header.code, 0);
	/* but not for ever */
	fake_conn_request(c, REQ_UPDATE_AND_CREATE_TOPIC, NO_BODY, "topic", "N2", "defaultTopic",
			"TBW102",
			  "readQueueNums", "1", "writeQueueNums", "1", "perm", "6",
			  "topicFilterType", "SINGLE_TAG", NULL);
	fake_host_advance_ms(&r.host, 1100);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	rig_close(&r);
}

static void broken_connection_is_made_again_and_told_everything(void **state)
{
	struct rig r;
	struct rig_options o = with(1);
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	take_register(&r, a, 0, NULL);
	fake_host_advance_ms(&r.host, 2000);
	fake_conn_close(a);
	fake_host_advance_ms(&r.host, 1);
	a = fake_net_accept(r.net, two[0]);
	assert_non_null(a);
	assert_int_equal(take_register(&r, a, 0, NULL), 13);
	assert_true(fake_host_logged(&r.host, "nameserver_lost"));
	rig_close(&r);
}

static void unreachable_nameserver_is_tried_again_with_one_log_line(void **state)
{
	struct rig r;
	struct rig_options o = with(1);
	(void)state;
	rig_open(&r, &o);
	assert_true(fake_net_refuse(r.net, two[0], "connection refused"));
	fake_host_run(&r.host);
	assert_true(fake_host_logged(&r.host, "nameserver_not_registered"));
	fake_host_clear_log(&r.host);
	static const int pauses_s[] = { 1, 2, 4, 8, 16, 30, 30 };
	for (size_t i = 0; i < ARRAY_LEN(pauses_s); i++) {
		uint32_t before = fake_net_attempts(r.net, two[0]);
		fake_host_advance_ms(&r.host, (uint64_t)pauses_s[i] * 1000 - 100);
		assert_int_equal(fake_net_attempts(r.net, two[0]), before);
		fake_host_advance_ms(&r.host, 200);
		assert_int_equal(fake_net_attempts(r.net, two[0]), before + 1);
		assert_true(fake_net_refuse(r.net, two[0], "connection refused"));
		fake_host_run(&r.host);
	}
	assert_false(fake_host_logged(&r.host, "nameserver_not_registered"));
	fake_host_advance_ms(&r.host, 30000);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	take_register(&r, a, 0, NULL);
	assert_true(fake_host_logged(&r.host, "nameserver_registered"));
	rig_close(&r);
}

static void refusal_is_logged_with_its_code_and_tried_again(void **state)
{
	struct rig r;
	struct rig_options o = with(1);
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	take_register(&r, a, 1, NULL);
	assert_true(fake_host_logged(&r.host, "it answers code 1"));
	fake_host_advance_ms(&r.host, 1000);
	assert_int_equal(take_register(&r, a, 0, NULL), 13);
	rig_close(&r);
}

static void permission_of_the_broker_is_part_of_it(void **state)
{
	struct rig r;
	struct rig_options o = with(1);
	struct fake_frame f;
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]), *c = rig_dial(&r);
	take_register(&r, a, 0, NULL);
	fake_conn_request(c, REQ_UPDATE_BROKER_CONFIG, slice_str("brokerPermission=4\n"), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	assert_true(fake_conn_next(a, &f));
	json_t *body = rig_json(&f);
	json_t *topics = json_object_get(json_object_get(body, "topicConfigSerializeWrapper"),
					 "topicConfigTable");
	assert_int_equal(json_object_size(topics), 13);
	assert_int_equal(json_get_i64(json_object_get(topics, "SELF_TEST_TOPIC"), "perm", -1), 4);
	assert_int_equal(json_get_i64(json_object_get(topics, "TBW102"), "perm", -1), 5);
	json_decref(body);
	fake_conn_respond(a, f.header.opaque, 0, NO_BODY, NULL);
	rig_close(&r);
}

static void large_table_goes_in_parts(void **state)
{
	struct rig r;
	struct rig_options o = with(1);
	char name[32];
	size_t sum = 0;
	(void)state;
	rig_open(&r, &o);
	r.broker->config.max_topics = 10000;
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	take_register(&r, a, 0, NULL);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "Topic%d", i);
		topics_add(r.broker->topics, slice_str(name), 1, 6, false);
	}
	for (int i = 0; i < 3; i++) {
		size_t n = take_register(&r, a, 0, NULL);

		assert_in_range(n, 1000, 2500);
		sum += n;
	}
	assert_int_equal(sum, 5000);
	rig_no_answer(&r, a);
	rig_close(&r);
}

static void close_unregisters(void **state)
{
	struct rig r;
	struct rig_options o = with(2);
	struct mosaic_req req = { .done = rig_done, .data = &r };
	struct fake_frame f;
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *a = fake_net_accept(r.net, two[0]);
	take_register(&r, a, 0, NULL);
	assert_non_null(fake_net_accept(r.net, two[1])); /* its 103 stays unanswered */
	r.done = false;
	assert_int_equal(broker_close(r.broker, &req), 0);
	fake_host_run(&r.host);
	assert_true(fake_conn_next(a, &f));
	assert_int_equal(f.header.code, REQ_UNREGISTER_BROKER);
	assert_true(slice_is(header_str(&f.header, "brokerName"), "broker-a"));
	assert_false(r.done);
	fake_host_advance_ms(&r.host, 310); /* no answer: it goes on */
	for (int i = 0; i < 100 && !r.done; i++)
		fake_host_advance_ms(&r.host, 1);
	assert_true(r.done);
	fake_net_destroy(r.net);
	broker_destroy(r.broker);
	log_destroy(r.log);
	r.store_ops->destroy(r.store);
	fake_host_fini(&r.host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_table_first_then_changes),
		cmocka_unit_test(changes_of_one_turn_go_together),
		cmocka_unit_test(answer_to_a_new_topic_waits_for_the_nameserver),
		cmocka_unit_test(broken_connection_is_made_again_and_told_everything),
		cmocka_unit_test(unreachable_nameserver_is_tried_again_with_one_log_line),
		cmocka_unit_test(refusal_is_logged_with_its_code_and_tried_again),
		cmocka_unit_test(permission_of_the_broker_is_part_of_it),
		cmocka_unit_test(large_table_goes_in_parts),
		cmocka_unit_test(close_unregisters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
