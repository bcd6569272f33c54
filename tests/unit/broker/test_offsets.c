/* Offsets of consumers and queues: 14 15 29 30 31 32 43, resets, consumerOffset.json. */
#include "broker/docs.h"
#include "broker/offsets.h"
#include "control_rig.h"

static struct fake_frame query(struct rig *r, struct mosaic_conn *c, const char *topic,
			       const char *queue)
{
	fake_conn_request(c, REQ_QUERY_CONSUMER_OFFSET, NO_BODY, "consumerGroup", "G", "topic",
			topic,
			  "queueId", queue, NULL);
	return rig_answer(r, c);
}

static struct fake_frame commit(struct rig *r, struct mosaic_conn *c, const char *group,
				const char *topic, const char *offset)
{
	fake_conn_request(c, REQ_UPDATE_CONSUMER_OFFSET, NO_BODY, "consumerGroup", group, "topic",
			  topic, "queueId", "0", "commitOffset", offset, NULL);
	return rig_answer(r, c);
}

/* A rig with topic T (1 message in queue 0) and group G. */
static struct mosaic_conn *start(struct rig *r)
{
	rig_open(r, NULL);
	struct mosaic_conn *c = rig_dial(r);
	rig_send(r, c, "T", 0, "", "one");
	rig_heartbeat(r, c, "id", "G", "T", "*", 1);
	rig_notices(r, c, "G");
	return c;
}

static void committed_offset_is_found(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	assert_int_equal(commit(&r, c, "G", "T", "7").header.code, 0);
	f = query(&r, c, "T", "0");
	assert_int_equal(rig_i64(&f, "offset"), 7);
	commit(&r, c, "G", "T", "3"); /* backwards is allowed */
	f = query(&r, c, "T", "0");
	assert_int_equal(rig_i64(&f, "offset"), 3);
	rig_close(&r);
}

static void refusals_of_a_commit(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	f = commit(&r, c, "NoGroup", "T", "1");
	assert_remark(&f, 26, "Group NoGroup not exist!");
	f = commit(&r, c, "G", "NoTopic", "1");
	assert_remark(&f, 17, "Topic NoTopic not exist!");
	fake_conn_request(c, REQ_UPDATE_CONSUMER_OFFSET, NO_BODY, "consumerGroup", "G", "topic",
			  "T", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 29, "QueueId is null, topic is T");
	fake_conn_request(c, REQ_UPDATE_CONSUMER_OFFSET, NO_BODY, "consumerGroup", "G", "topic",
			  "T", "queueId", "0", "commitOffset", "abc", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 29, "Offset is null, topic is T");
	/* Half a megabyte of memory for each group, else. */
	fake_conn_request(c, REQ_UPDATE_CONSUMER_OFFSET, NO_BODY, "consumerGroup", "G", "topic",
			  "T", "queueId", "65535", "commitOffset", "1", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 29, "queueId[65535] is illegal, topic is T");
	rig_close(&r);
}

static void new_group_on_a_young_queue_starts_at_zero(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	f = query(&r, c, "T", "0");
	assert_int_equal(f.header.code, 0);
	assert_int_equal(rig_i64(&f, "offset"), 0);
	f = query(&r, c, "T", "1"); /* an empty queue has no message 0 */
	assert_remark(&f, 22, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
	fake_conn_request(c, REQ_QUERY_CONSUMER_OFFSET, NO_BODY, "consumerGroup", "G", "topic", "T",
			  "queueId", "0", "setZeroIfNotFound", "false", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 22, "Not found, do not set to zero, maybe this group boot first");
	r.broker->config.memory_bytes = 100; /* 40 bytes: message 0 is far behind */
	f = query(&r, c, "T", "0");
	assert_int_equal(f.header.code, 22);
	fake_conn_request(c, REQ_QUERY_CONSUMER_OFFSET, NO_BODY, "topic", "T", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	rig_close(&r);
}

static void offsets_of_queues(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_host_advance_ms(&r.host, 1000);
	rig_send(&r, c, "T", 0, "", "two");
	int64_t now = (int64_t)host_wall_ms(&r.host.host);
	fake_conn_request(c, REQ_GET_MAX_OFFSET, NO_BODY, "topic", "T", "queueId", "0", NULL);
	f = rig_answer(&r, c);
	assert_int_equal(rig_i64(&f, "offset"), 2);
	fake_conn_request(c, REQ_GET_MIN_OFFSET, NO_BODY, "topic", "T", "queueId", "0", NULL);
	f = rig_answer(&r, c);
	assert_int_equal(rig_i64(&f, "offset"), 0);
	fake_conn_request(c, REQ_GET_EARLIEST_MSG_STORETIME, NO_BODY, "topic", "T", "queueId", "0",
			  NULL);
	f = rig_wait(&r, c);
	assert_int_equal(rig_i64(&f, "timestamp"), now - 1000);
	fake_conn_request(c, REQ_GET_EARLIEST_MSG_STORETIME, NO_BODY, "topic", "T", "queueId", "1",
			  NULL);
	f = rig_wait(&r, c);
	assert_int_equal(rig_i64(&f, "timestamp"), -1);
	fake_conn_request(c, REQ_GET_MAX_OFFSET, NO_BODY, "topic", "Nope", "queueId", "0", NULL);
	f = rig_answer(&r, c);
	assert_int_equal(rig_i64(&f, "offset"), 0);
	fake_conn_request(c, REQ_GET_MAX_OFFSET, NO_BODY, "topic", "T", "queueId", "abc", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, 1);
	rig_close(&r);
}

static int64_t search(struct rig *r, struct mosaic_conn *c, const char *topic, int64_t at,
		      const char *boundary)
{
	char text[32];
	struct fake_frame f;

	snprintf(text, sizeof(text), "%lld", (long long)at);
	fake_conn_request(c, REQ_SEARCH_OFFSET_BY_TIMESTAMP, NO_BODY, "topic", topic, "queueId",
			"0",
			  "timestamp", text, "boundaryType", boundary, NULL);
	f = rig_wait(r, c);
	assert_int_equal(f.header.code, 0);
	return rig_i64(&f, "offset");
}

static void offset_is_found_by_time(void **state)
{
	struct rig r;
	(void)state;
	struct mosaic_conn *c = start(&r);
	int64_t first = (int64_t)host_wall_ms(&r.host.host);
	fake_host_advance_ms(&r.host, 1000);
	rig_send(&r, c, "T", 0, "", "two");
	assert_int_equal(search(&r, c, "T", first - 5000, "LOWER"), 0);
	assert_int_equal(search(&r, c, "T", first + 1, "LOWER"), 1);
	assert_int_equal(search(&r, c, "T", first + 1, "UPPER"), 0);
	assert_int_equal(search(&r, c, "T", first + 5000, "LOWER"), 2);
	assert_int_equal(search(&r, c, "T", first + 5000, "upper"), 1);
	assert_int_equal(search(&r, c, "Nope", first, "LOWER"), 0);
	rig_close(&r);
}

static void reset_is_told_once_and_shields_the_offset(void **state)
{
	struct offsets *o;
	struct rig r;
	struct fake_frame f;
	struct mosaic_slice t = slice_str("T"), g = slice_str("G");
	(void)state;
	struct mosaic_conn *c = start(&r);
	o = r.broker->offsets;
	commit(&r, c, "G", "T", "9");
	offsets_reset(o, t, g, 0, 2);
	f = query(&r, c, "T", "0");
	assert_int_equal(rig_i64(&f, "offset"), 2);
	f = commit(&r, c, "G", "T", "9");
	assert_remark(&f, 0, "Offset has been previously reset");
	assert_int_equal(offsets_peek_reset(o, t, g, 0), 2);
	assert_int_equal(offsets_take_reset(o, t, g, 0), 2);
	assert_int_equal(offsets_take_reset(o, t, g, 0), -1);
	assert_int_equal(offsets_get(o, t, g, 0), 2);
	assert_int_equal(commit(&r, c, "G", "T", "9").header.code, 0);
	assert_int_equal(offsets_get(o, t, g, 0), 9);
	rig_close(&r);
}

static void odd_keys_and_queues_are_refused(void **state)
{
	struct rig r;
	char name[600];
	(void)state;
	rig_open(&r, NULL);
	struct offsets *o = r.broker->offsets;
	memset(name, 'x', sizeof(name));
	offsets_commit(o, slice(name, sizeof(name)), slice_str("G"), 0, 1);
	offsets_commit(o, slice_str("T"), slice_str("G"), -1, 1);
	offsets_commit(o, slice_str("T"), slice_str("G"), OFFSET_QUEUES_MAX, 1);
	offsets_commit(o, slice_str(""), slice_str("G"), 0, 1);
	assert_int_equal(map_count(&o->table), 0);
	assert_int_equal(offsets_get(o, slice_str("T"), slice_str("G"), -5), -1);
	assert_int_equal(offsets_get(o, slice(name, sizeof(name)), slice_str("G"), 0), -1);
	rig_close(&r);
}

static void document_has_apaches_shape(void **state)
{
	static const char expected[] = "{\n"
				       "\t\"dataVersion\":{\n"
				       "\t\t\"counter\":4,\n"
				       "\t\t\"stateVersion\":0,\n"
				       "\t\t\"timestamp\":1795365051435\n"
				       "\t},\n"
				       "\t\"groupTopicMap\":{\n"
				       "\t\t\"CG_RAW\":[\"VecTopic\"],\n"
				       "\t\t\"CG_VEC\":[\"%RETRY%CG_VEC\",\"VecTopic\"]\n"
				       "\t},\n"
				       "\t\"offsetTable\":{\n"
				       "\t\t\"VecTopic@CG_RAW\":{0:1\n"
				       "\t\t},\n"
				       "\t\t\"%RETRY%CG_VEC@CG_VEC\":{0:2\n"
				       "\t\t},\n"
				       "\t\t\"VecTopic@CG_VEC\":{0:17,1:11,2:11,3:9\n"
				       "\t\t},\n"
				       "\t\t\"VecTopic@CG_BC@broadcast\":{0:3\n"
				       "\t\t}\n"
				       "\t}\n"
				       "}";
	struct rig r;
	struct buf out = BUF_INIT;
	struct mosaic_error err = ERR_INIT;
	(void)state;
	rig_open(&r, NULL);
	struct offsets *o = offsets_create(r.broker);
	assert_int_equal(offsets_load(o, slice_str(expected), &err), 0);
	assert_int_equal(offsets_get(o, slice_str("VecTopic"), slice_str("CG_VEC"), 2), 11);
	offsets_save(o, &out);
	assert_string_equal(buf_cstr(&out), expected);
	buf_free(&out);
	offsets_destroy(o);
	rig_close(&r);
}

static void damaged_document_is_refused(void **state)
{
	static const char *const damaged[] = {
		"{\"offsetTable\":{\"T@G\":{0:\"x\"}}}",
		"{\"offsetTable\":{\"TG\":{0:1}}}",
		"{\"offsetTable\":{\"T@G\":{99999999:1}}}",
		"{\"offsetTable\":{\"T@G\":5}}",
	};
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		struct offsets *o = offsets_create(r.broker);
		struct mosaic_error err = ERR_INIT;

		assert_int_equal(offsets_load(o, slice_str(damaged[i]), &err), MOSAIC_E_CORRUPT);
		assert_true(err.text[0] != 0);
		offsets_destroy(o);
	}
	rig_close(&r);
}

static void version_is_bumped_each_500_commits(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct offsets *o = r.broker->offsets;
	for (int i = 0; i < 1499; i++)
		offsets_commit(o, slice_str("T"), slice_str("G"), i % 4, i);
	assert_int_equal(o->version.counter, 2);
	offsets_commit(o, slice_str("T"), slice_str("G"), 0, 1);
	assert_int_equal(o->version.counter, 3);
	rig_close(&r);
}

static void deleting_by_topic_and_by_group(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct offsets *o = r.broker->offsets;
	offsets_commit(o, slice_str("T1"), slice_str("G1"), 0, 1);
	offsets_commit(o, slice_str("T1"), slice_str("G2"), 0, 1);
	offsets_commit(o, slice_str("T2"), slice_str("G1"), 0, 1);
	offsets_commit(o, slice_str("T12"), slice_str("G12"), 0, 1);
	offsets_delete_topic(o, slice_str("T1"));
	assert_int_equal(map_count(&o->table), 2);
	offsets_delete_group(o, slice_str("G1"));
	assert_int_equal(map_count(&o->table), 1);
	assert_int_equal(offsets_get(o, slice_str("T12"), slice_str("G12"), 0), 1);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(committed_offset_is_found),
		cmocka_unit_test(refusals_of_a_commit),
		cmocka_unit_test(new_group_on_a_young_queue_starts_at_zero),
		cmocka_unit_test(offsets_of_queues),
		cmocka_unit_test(offset_is_found_by_time),
		cmocka_unit_test(reset_is_told_once_and_shields_the_offset),
		cmocka_unit_test(odd_keys_and_queues_are_refused),
		cmocka_unit_test(document_has_apaches_shape),
		cmocka_unit_test(damaged_document_is_refused),
		cmocka_unit_test(version_is_bumped_each_500_commits),
		cmocka_unit_test(deleting_by_topic_and_by_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
