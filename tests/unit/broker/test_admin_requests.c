/* Requests of operators: 25 26 28 202 208 222 300 307 309 315 321 343. */
#include "broker/offsets.h"
#include "broker/stats.h"
#include "control_rig.h"

/* Topic T with two messages in queue 0, group G that has consumed one of them. */
static struct mosaic_conn *start(struct rig *r)
{
	rig_open(r, NULL);
	struct mosaic_conn *c = rig_dial(r);
	rig_set_topic(r, c, "T", "2", "");
	rig_send(r, c, "T", 0, "TAGS\1TagA\2", "one");
	rig_send(r, c, "T", 0, "", "two");
	rig_heartbeat(r, c, "id", "G", "T", "TagA", 1);
	rig_notices(r, c, "G");
	offsets_commit(r->broker->offsets, slice_str("T"), slice_str("G"), 0, 1);
	return c;
}

static void config_shows_what_changes(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_conn_request(c, REQ_UPDATE_BROKER_CONFIG,
			  slice_str("# comment\nautoCreateTopicEnable=false\n "
				    "defaultTopicQueueNums = 5 "
				    "\nsomethingElse=1\nautoCreateSubscriptionGroup=FALSE\n"),
				NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	assert_true(fake_host_logged(&r.host, "config_without_effect name=somethingElse"));
	assert_false(r.broker->config.auto_create_topic);
	assert_false(r.broker->config.auto_create_group);
	assert_int_equal(r.broker->config.default_queues, 5);
	fake_conn_request(c, REQ_GET_BROKER_CONFIG, NO_BODY, NULL);
	f = rig_answer(&r, c);
	assert_int_equal(f.header.code, 0);
	assert_true(slice_has_prefix(header_str(&f.header, "version"), "{\"counter\":"));
	char *text = slice_dup(f.body);
	assert_non_null(strstr(text, "autoCreateTopicEnable=false\n"));
	assert_non_null(strstr(text, "defaultTopicQueueNums=5\n"));
	assert_non_null(strstr(text, "somethingElse=1\n"));
	assert_non_null(strstr(text, "brokerName=broker-a\n"));
	assert_non_null(strstr(text, "brokerIP1=127.0.0.1\n"));
	assert_non_null(strstr(text, "listenPort=10911\n"));
	assert_non_null(strstr(text, "brokerRole=ASYNC_MASTER\n"));
	free(text);
	assert_int_equal(rig_send(&r, c, "NotThere", 0, "", "x").header.code, 17);
	rig_close(&r);
}

static void retention_has_rocketmqs_properties(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	struct retention_config *config = &r.log->retention.config;
	fake_conn_request(c, REQ_UPDATE_BROKER_CONFIG,
			  slice_str("fileReservedTime=48\ndeleteWhen=03;14\n"
				    "diskMaxUsedSpaceRatio=60\ndiskSpaceWarningLevelRatio=80\n"
				    "deleteCommitLogFilesInterval=50\n"),
			  NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	assert_int_equal(config->time_ms, UINT64_C(48) * 3600000);
	assert_int_equal(config->hours, 1u << 3 | 1u << 14);
	assert_int_equal(config->clean_percent, 60);
	assert_int_equal(config->stop_percent, 80);
	assert_int_equal(config->pause_ns, 50 * MS_NS);
	fake_conn_request(c, REQ_UPDATE_BROKER_CONFIG, slice_str("deleteWhen=24"), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	fake_conn_request(c, REQ_GET_BROKER_CONFIG, NO_BODY, NULL);
	f = rig_answer(&r, c);
	char *text = slice_dup(f.body);
	assert_non_null(strstr(text, "fileReservedTime=48\n"));
	assert_non_null(strstr(text, "deleteWhen=03;14\n"));
	free(text);
	fake_conn_request(c, REQ_DELETE_EXPIRED_COMMITLOG, NO_BODY, NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 0);
	assert_true(r.log->retention.manual > 0);
	rig_close(&r);
}

static void a_full_disk_is_refused_in_apaches_words(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	r.log->retention.is_full = true;
	r.log->retention.used_percent = 91;
	f = rig_send(&r, c, "TBW102", 0, "", "x");
	assert_remark(&f, 14, "service not available now. It may be caused by one of the following "
		      "reasons: the broker's disk is full [CL:  0.91 CQ:  0.91 INDEX:  0.91], "
		      "messages are put to the slave, message store has been shut down, etc.");
	r.log->retention.is_full = false;
	rig_close(&r);
}

static void config_refuses_the_black_list_and_bad_values(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_conn_request(c, REQ_UPDATE_BROKER_CONFIG,
			  slice_str("defaultTopicQueueNums=3\nrocketmqHome=x\n"), NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 16, "Can not update config in black list.");
	assert_int_equal(r.broker->config.default_queues, 8);
	fake_conn_request(c, REQ_UPDATE_BROKER_CONFIG, slice_str("defaultTopicQueueNums=many"),
			NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	fake_conn_request(c, REQ_UPDATE_BROKER_CONFIG, slice_str("mosaicLogLevel=loud"), NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	rig_close(&r);
}

static void runtime_info_has_what_tools_read(void **state)
{
	static const char *const keys[] = {
		"brokerVersionDesc", "putTps", "getTransferredTps", "getTransferedTps",
		"sendThreadPoolQueueSize", "pullThreadPoolQueueSize", "ackThreadPoolQueueSize",
		"sendThreadPoolQueueHeadWaitTimeMills", "msgPutTotalTodayNow", "bootTimestamp",
		"msgPutTotalTodayMorning", "msgPutTotalYesterdayMorning", "msgGetTotalTodayNow",
		"pageCacheLockTimeMills", "earliestMessageTimeStamp", "timerReadBehind",
		"timerOffsetBehind", "timerCongestNum", "timerEnqueueTps", "timerDequeueTps",
		"brokerActive", "commitLogMaxOffset", "commitLogMinOffset", "runtime",
	};
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_host_advance_ms(&r.host, 20000);
	for (int i = 0; i < 10; i++)
		rig_send(&r, c, "T", 0, "", "x");
	fake_host_advance_ms(&r.host, 1000);
	fake_conn_request(c, REQ_GET_BROKER_RUNTIME_INFO, NO_BODY, NULL);
	f = rig_wait(&r, c);
	json_t *body = rig_json(&f), *table = json_object_get(body, "table");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_true(json_is_string(json_object_get(table, keys[i])));
	assert_true(slice_has_prefix(json_get_str(table, "putTps"), "1.0000 "));
	assert_true(slice_is(json_get_str(table, "msgPutTotalTodayNow"), "12"));
	assert_true(slice_is(json_get_str(table, "brokerVersionDesc"), "V5_3_3"));
	json_decref(body);
	rig_close(&r);
}

static void assert_read_only(struct rig *r, struct mosaic_conn *c, const char *why)
{
	fake_conn_request(c, REQ_GET_BROKER_RUNTIME_INFO, NO_BODY, NULL);
	struct fake_frame f = rig_wait(r, c);
	json_t *body = rig_json(&f);
	struct mosaic_slice said =
		json_get_str(json_object_get(body, "table"), "mosaicReadOnly");
	assert_non_null(said.ptr);
	if (!slice_is(said, why))
		fail_msg("it says \"%.*s\"", SLICE_ARG(said));
	json_decref(body);
}

static void runtime_info_says_why_sends_are_refused(void **state)
{
	struct rig r;
	struct mosaic_error err = ERR_INIT;
	(void)state;
	struct mosaic_conn *c = start(&r);
	assert_read_only(&r, c, "");
	r.log->is_out_of_space = true;
	assert_read_only(&r, c, "the disk had no room for the last message");
	rig_send(&r, c, "T", 0, "", "x");
	assert_read_only(&r, c, "");
	r.log->retention.is_full = true;
	assert_read_only(&r, c, "the disk is fuller than diskStop allows");
	r.log->retention.is_full = false;
	err_set(&err, MOSAIC_E_IO, "fsync of the log failed: EIO");
	log_fail(r.log, &err);
	assert_read_only(&r, c, "fsync of the log failed: EIO");
	rig_close(&r);
}

static void topic_stats_have_offsets_and_times_of_every_queue(void **state)
{
	struct rig r;
	struct fake_frame f;
	char expected[512];
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_conn_request(c, REQ_GET_TOPIC_STATS_INFO, NO_BODY, "topic", "T", NULL);
	f = rig_wait(&r, c);
	char *text = slice_dup(f.body);
	snprintf(expected, sizeof(expected),
		 "{\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}:"
		 "{\"lastUpdateTimestamp\":%lld,\"maxOffset\":2,\"minOffset\":0},"
		 "{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}:"
		 "{\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0}},\"topicPutTps\":",
		 (long long)r.log->last_store_ms);
	assert_true(slice_has_prefix(slice_str(text), expected));
	free(text);
	fake_conn_request(c, REQ_GET_TOPIC_STATS_INFO, NO_BODY, "topic", "Nope", NULL);
	f = rig_wait(&r, c);
	assert_remark(&f, 17, "topic[Nope] not exist");
	rig_close(&r);
}

static void consume_stats_show_the_lag(void **state)
{
	struct rig r;
	struct fake_frame f;
	char expected[512];
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_conn_request(c, REQ_GET_CONSUME_STATS, NO_BODY, "consumerGroup", "G", NULL);
	f = rig_wait(&r, c);
	char *text = slice_dup(f.body);
	snprintf(expected, sizeof(expected),
		 "\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}:"
		 "{\"brokerOffset\":2,\"consumerOffset\":1,\"lastTimestamp\":%lld,"
		 "\"pullOffset\":0},"
		 "{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}:"
		 "{\"brokerOffset\":0,\"consumerOffset\":0,\"lastTimestamp\":0,\"pullOffset\":0}}}",
		 (long long)r.log->last_store_ms);
	if (!strstr(text, expected))
		fail_msg("%s", text);
	free(text);
	fake_conn_request(c, REQ_GET_CONSUME_STATS, NO_BODY, "consumerGroup", "G", "topicList",
			  "Nope;T;", NULL);
	f = rig_wait(&r, c);
	json_t *body = rig_json(&f);
	assert_int_equal(json_object_size(json_object_get(body, "offsetTable")), 2);
	json_decref(body);
	fake_conn_request(c, REQ_GET_CONSUME_STATS, NO_BODY, "consumerGroup", "Other", NULL);
	f = rig_wait(&r, c);
	assert_body(&f, "{\"consumeTps\":0.0000,\"offsetTable\":{}}");
	rig_close(&r);
}

static void who_consumes_what(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	offsets_commit(r.broker->offsets, slice_str("T"), slice_str("Old"), 0, 1);
	fake_conn_request(c, REQ_QUERY_TOPIC_CONSUME_BY_WHO, NO_BODY, "topic", "T", NULL);
	f = rig_answer(&r, c);
	assert_body(&f, "{\"groupList\":[\"G\",\"Old\"]}");
	fake_conn_request(c, REQ_QUERY_TOPICS_BY_CONSUMER, NO_BODY, "group", "Old", NULL);
	f = rig_answer(&r, c);
	assert_body(&f, "{\"brokerAddr\":\"127.0.0.1:10911\",\"topicList\":[\"T\"]}");
	rig_close(&r);
}

static void counters_of_a_topic_and_units_of_a_queue(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_conn_request(c, REQ_VIEW_BROKER_STATS_DATA, NO_BODY, "statsName", "TOPIC_PUT_NUMS",
			  "statsKey", "T", NULL);
	f = rig_answer(&r, c);
	json_t *body = rig_json(&f);
	assert_int_equal(json_get_i64(json_object_get(body, "statsMinute"), "sum", -1), 2);
	json_decref(body);
	fake_conn_request(c, REQ_VIEW_BROKER_STATS_DATA, NO_BODY, "statsName", "TOPIC_PUT_NUMS",
			  "statsKey", "Nope", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 1, "The stats <TOPIC_PUT_NUMS> <Nope> not exist");
	fake_conn_request(c, REQ_QUERY_CONSUME_QUEUE, NO_BODY, "topic", "T", "queueId", "0",
			"index",
			  "0", "count", "5", "consumerGroup", "G", NULL);
	f = rig_wait(&r, c);
	body = rig_json(&f);
	json_t *units = json_object_get(body, "queueData");
	assert_int_equal(json_array_size(units), 2);
	assert_true(json_is_true(json_object_get(json_array_get(units, 0), "eval")));
	assert_true(json_is_false(json_object_get(json_array_get(units, 1), "eval")));
	assert_int_equal(json_get_i64(json_array_get(units, 0), "tagsCode", 0), 2598919);
	json_decref(body);
	rig_close(&r);
}

static void offsets_are_reset_by_time_and_by_number(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_conn_request(c, REQ_INVOKE_BROKER_TO_RESET_OFFSET, NO_BODY, "topic", "T", "group", "G",
			  "queueId", "-1", "offset", "-1", "timestamp", "-1", "isForce", "true",
			NULL);
	f = rig_wait(&r, c);
	assert_body(&f,
			"{\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,"
			"\"topic\":\"T\"}:2,"
			"{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}:0}}");
	assert_int_equal(offsets_take_reset(r.broker->offsets, slice_str("T"), slice_str("G"), 0),
			2);
	fake_conn_request(c, REQ_INVOKE_BROKER_TO_RESET_OFFSET, NO_BODY, "topic", "T", "group", "G",
			  "queueId", "-1", "timestamp", "0", NULL);
	f = rig_wait(&r, c);
	assert_int_equal(f.header.code, 0);
	assert_int_equal(offsets_take_reset(r.broker->offsets, slice_str("T"), slice_str("G"), 0),
			0);
	fake_conn_request(c, REQ_INVOKE_BROKER_TO_RESET_OFFSET, NO_BODY, "topic", "T", "group", "G",
			  "queueId", "0", "offset", "1", "timestamp", "-1", NULL);
	assert_int_equal(rig_wait(&r, c).header.code, 0);
	assert_int_equal(offsets_get(r.broker->offsets, slice_str("T"), slice_str("G"), 0), 1);
	fake_conn_request(c, REQ_INVOKE_BROKER_TO_RESET_OFFSET, NO_BODY, "topic", "T", "group", "G",
			  "queueId", "0", "offset", "99", "timestamp", "-1", NULL);
	f = rig_wait(&r, c);
	assert_remark(&f, 1, "Target offset 99 not in consume queue range [0-2]");
	fake_conn_request(c, REQ_INVOKE_BROKER_TO_RESET_OFFSET, NO_BODY, "topic", "T", "group",
			"No",
			  "timestamp", "-1", NULL);
	f = rig_wait(&r, c);
	assert_remark(&f, 26, "Group No does not exist");
	rig_close(&r);
}

static int32_t ask_running_info(struct mosaic_conn *c, const char *client)
{
	return fake_conn_request(c, REQ_GET_CONSUMER_RUNNING_INFO, NO_BODY, "consumerGroup", "G",
				 "clientId", client, "jstackEnable", "false", NULL);
}

static void running_info_is_asked_of_the_consumer(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *consumer = start(&r), *tool = rig_dial(&r);
	ask_running_info(tool, "id");
	rig_no_answer(&r, tool);
	assert_true(fake_conn_next(consumer, &f));
	assert_int_equal(f.header.code, REQ_GET_CONSUMER_RUNNING_INFO);
	assert_true(slice_is(header_str(&f.header, "clientId"), "id"));
	assert_true(slice_is(header_str(&f.header, "jstackEnable"), "false"));
	fake_conn_respond(consumer, f.header.opaque, 0, slice_str("{\"a\":1}"), NULL);
	f = rig_answer(&r, tool);
	assert_body(&f, "{\"a\":1}");
	ask_running_info(tool, "other");
	f = rig_answer(&r, tool);
	assert_remark(&f, 1, "The Consumer <G> <other> not online");
	ask_running_info(tool, "id");
	fake_host_advance_ms(&r.host, 10001);
	f = rig_answer(&r, tool);
	assert_remark(&f, 207, "consumer <G> <id> Timeout");
	ask_running_info(tool, "id");
	fake_conn_close(consumer);
	assert_int_equal(rig_answer(&r, tool).header.code, 1);
	rig_close(&r);
}

static int32_t ask_directly(struct mosaic_conn *c, const char *client, const char *id)
{
	return fake_conn_request(c, REQ_CONSUME_MESSAGE_DIRECTLY, NO_BODY, "consumerGroup", "G",
				 "clientId", client, "topic", "T", "msgId", id, NULL);
}

static void message_is_given_to_a_consumer_directly(void **state)
{
	struct rig r;
	struct fake_frame f;
	char id[MESSAGE_ID_MAX + 1] = "", out[256];
	(void)state;
	struct mosaic_conn *consumer = start(&r), *tool = rig_dial(&r);
	uint64_t at = r.log->end;
	rig_send(&r, tool, "T", 0, "", "direct");
	message_offset_id((uint8_t *)id, &r.broker->config.store_host, (int64_t)at);
	ask_directly(tool, "id", id);
	rig_no_answer(&r, tool);
	assert_true(fake_conn_next(consumer, &f));
	assert_int_equal(f.header.code, REQ_CONSUME_MESSAGE_DIRECTLY);
	assert_true(slice_is(header_str(&f.header, "brokerName"), "broker-a"));
	assert_true(slice_is(header_str(&f.header, "msgId"), id));
	assert_string_equal(rig_bodies(&f, out, sizeof(out)), "direct");
	fake_conn_respond(consumer, f.header.opaque, 0, slice_str("{\"a\":1}"), NULL);
	f = rig_answer(&r, tool);
	assert_body(&f, "{\"a\":1}");
	ask_directly(tool, "other", id);
	f = rig_answer(&r, tool);
	assert_remark(&f, 1, "The Consumer <G> <other> not online");
	ask_directly(tool, "id", "7F000001000000010000000000000003");
	f = rig_answer(&r, tool);
	assert_remark(&f, 1, "there is no message 7F000001000000010000000000000003");
	ask_directly(tool, "id", "none");
	f = rig_answer(&r, tool);
	assert_remark(&f, 1, "there is no message none");
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_shows_what_changes),
		cmocka_unit_test(config_refuses_the_black_list_and_bad_values),
		cmocka_unit_test(retention_has_rocketmqs_properties),
		cmocka_unit_test(a_full_disk_is_refused_in_apaches_words),
		cmocka_unit_test(runtime_info_has_what_tools_read),
		cmocka_unit_test(runtime_info_says_why_sends_are_refused),
		cmocka_unit_test(topic_stats_have_offsets_and_times_of_every_queue),
		cmocka_unit_test(consume_stats_show_the_lag),
		cmocka_unit_test(who_consumes_what),
		cmocka_unit_test(counters_of_a_topic_and_units_of_a_queue),
		cmocka_unit_test(offsets_are_reset_by_time_and_by_number),
		cmocka_unit_test(running_info_is_asked_of_the_consumer),
		cmocka_unit_test(message_is_given_to_a_consumer_directly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
