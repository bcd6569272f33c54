/* Messages that a consumer gives back (36), and those that it sends to its retry topic (310). */
#include "broker/groups.h"
#include "control_rig.h"

/* The group is G, the message that at `offset` of the log. */
static void post_back(struct mosaic_conn *c, const char *offset, const char *level,
		      const char *most_times, const char *unit_mode)
{
	fake_conn_request(c, REQ_CONSUMER_SEND_MSG_BACK, NO_BODY, "offset", offset, "group", "G",
			  "delayLevel", level, "originMsgId", "X", "originTopic", "T", "unitMode",
			  unit_mode, "maxReconsumeTimes", most_times, NULL);
}

static struct fake_frame give_back(struct rig *r, struct mosaic_conn *c, const char *offset,
				   const char *level, const char *most_times)
{
	post_back(c, offset, level, most_times, "false");
	return rig_answer(r, c);
}

static void message_sent_back_comes_again_on_the_retry_topic(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hard");
	assert_int_equal(give_back(&r, c, "0", "0", "16").header.code, RES_SUCCESS);
	fake_host_advance_ms(&r.host, 10100); /* level 3 */
	struct fake_frame f = rig_pull(&r, c, "%RETRY%G", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "hard");
	struct message m;
	uint32_t len;
	record_decode(f.body.ptr, f.body.len, true, &m, &len);
	assert_int_equal(m.reconsume_times, 1);
	assert_true(slice_is(props_find(m.props, PROP_RETRY_TOPIC), "T"));
	assert_int_equal(give_back(&r, c, "0", "-1", "16").header.code, RES_SUCCESS);
	f = rig_pull(&r, c, "%DLQ%G", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "hard");
	f = give_back(&r, c, "7", "0", "16");
	assert_remark(&f, RES_SYSTEM_ERROR, "look message by offset failed, 7");
	rig_close(&r);
}

/* So that no crash leaves messages whose topic is unknown. */
static void the_copy_waits_until_its_topic_is_saved(void **state)
{
	static const char *const levels[] = { "0", "-1" }; /* retry topic, dead-letter topic */
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hard");
	for (uint64_t i = 0; i < 2; i++) {
		post_back(c, "0", levels[i], "16", "false");
		assert_int_equal(r.log->stats.records, 1 + i);
		assert_false(fake_conn_next(c, &f));
		assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
		assert_int_equal(r.log->stats.records, 2 + i);
	}
	post_back(c, "0", "0", "16", "false"); /* nothing to wait for */
	assert_int_equal(r.log->stats.records, 4);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_close(&r);
}

static void a_retry_topic_closed_for_writing_takes_nothing_back(void **state)
{
	struct rig r;
	struct topic_settings closed = { .read_queues = 1, .write_queues = 1, .perm = PERM_READ };
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hard");
	topics_set(r.broker->topics, slice_str("%RETRY%G"), &closed);
	struct fake_frame f = give_back(&r, c, "0", "0", "16");
	assert_remark(&f, RES_NO_PERMISSION, "the topic[%RETRY%G] sending message is forbidden");
	rig_close(&r);
}

static void unit_mode_marks_the_retry_topic(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hard");
	post_back(c, "0", "0", "16", "true");
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	assert_int_equal(topics_find(r.broker->topics, slice_str("%RETRY%G"))->sys_flag,
			 TOPIC_SYS_UNIT_SUB);
	rig_close(&r);
}

/* A stored message; it lives until the next answer. */
static struct message stored(struct rig *r, struct mosaic_conn *c, const char *topic, int queue,
			     int64_t offset)
{
	struct fake_frame f = rig_pull(r, c, topic, queue, offset, "*");
	struct message m;
	uint32_t len;
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_int_equal(record_decode(f.body.ptr, f.body.len, true, &m, &len), RECORD_MESSAGE);
	return m;
}

static void assert_prop(const struct message *m, const char *name, const char *value)
{
	struct mosaic_slice found = props_find(m->props, name);
	if (!slice_is(found, value))
		fail_msg("%s is %.*s, not %s", name, SLICE_ARG(found), value);
}

static void the_copy_knows_where_it_came_from_and_waits_longer_each_time(void **state)
{
	static const char first_id[] = "7F00000100002A9F0000000000000000";
	struct rig r;
	char offset[24];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hard");
	give_back(&r, c, "0", "0", "16");
	struct message m = stored(&r, c, "SCHEDULE_TOPIC_XXXX", 2, 0); /* level 3 */
	assert_prop(&m, PROP_RETRY_TOPIC, "T");
	assert_prop(&m, PROP_ORIGIN_MESSAGE_ID, first_id);
	assert_prop(&m, PROP_REAL_TOPIC, "%RETRY%G");
	assert_prop(&m, PROP_WAIT, "false");
	assert_int_equal(m.reconsume_times, 1);
	fake_host_advance_ms(&r.host, 10100);
	m = stored(&r, c, "%RETRY%G", 0, 0);
	snprintf(offset, sizeof(offset), "%lld", (long long)m.phys_offset);
	give_back(&r, c, offset, "0", "16");
	m = stored(&r, c, "SCHEDULE_TOPIC_XXXX", 3, 0); /* one attempt, one level */
	assert_prop(&m, PROP_RETRY_TOPIC, "T");
	assert_prop(&m, PROP_ORIGIN_MESSAGE_ID, first_id);
	assert_int_equal(m.reconsume_times, 2);
	give_back(&r, c, "0", "7", "16"); /* the consumer says which */
	stored(&r, c, "SCHEDULE_TOPIC_XXXX", 6, 0);
	rig_close(&r);
}

static void what_was_consumed_too_often_goes_to_the_dead(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hard");
	assert_int_equal(give_back(&r, c, "0", "0", "-1").header.code, RES_SUCCESS);
	assert_non_null(topics_find(r.broker->topics, slice_str("%RETRY%G"))); /* though unused */
	struct message m = stored(&r, c, "%DLQ%G", 0, 0);
	assert_prop(&m, PROP_DELAY, "0");
	give_back(&r, c, "0", "0", "0");
	fake_conn_version(c, VERSION_V3_4_9 - 1); /* it means something else by this field */
	give_back(&r, c, "0", "0", "0");
	struct fake_frame f = rig_pull(&r, c, "%DLQ%G", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "hard hard");
	stored(&r, c, "SCHEDULE_TOPIC_XXXX", 2, 0);
	rig_close(&r);
}

static void a_group_without_retry_queues_gets_nothing_back(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hard");
	groups_find_or_add(r.broker->groups, slice_str("G"))->retry_queues = 0;
	assert_int_equal(give_back(&r, c, "0", "0", "16").header.code, RES_SUCCESS);
	assert_int_equal(r.log->stats.records, 1);
	assert_null(topics_find(r.broker->topics, slice_str("%RETRY%G")));
	rig_close(&r);
}

/* ---- sent to the retry topic by the consumer itself -------------------------------------- */

/* times: how often it was consumed, most: maxReconsumeTimes or NULL. */
static void send_retry(struct rig *r, struct mosaic_conn *c, const char *body, const char *times,
		       const char *most)
{
	fake_conn_request(c, REQ_SEND_MESSAGE_V2, slice_str(body), "a", "PG", "b", "%RETRY%G", "c",
			  "TBW102", "d", "1", "e", "0", "f", "0", "g", "1", "h", "0", "j", times,
			  most ? "l" : NULL, most, NULL);
	assert_int_equal(rig_answer(r, c).header.code, RES_SUCCESS);
}

static void a_retry_that_came_too_often_goes_to_the_dead(void **state)
{
	struct rig r;
	struct fake_frame f;
	char text[128];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	send_retry(&r, c, "16", "16", NULL); /* the group's own limit */
	send_retry(&r, c, "17", "17", NULL);
	send_retry(&r, c, "3/3", "3", "3");
	send_retry(&r, c, "4/3", "4", "3");
	send_retry(&r, c, "0/-1", "0", "-1");
	fake_conn_version(c, VERSION_V3_4_9 - 1);
	send_retry(&r, c, "old", "4", "3");
	f = rig_pull(&r, c, "%RETRY%G", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "16 3/3 old");
	f = rig_pull(&r, c, "%DLQ%G", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "17 4/3 0/-1");
	struct message m = stored(&r, c, "%DLQ%G", 0, 0);
	assert_prop(&m, PROP_DELAY, "-1");
	rig_close(&r);
}

/* Who holds locks consumes in order and retries by itself: what it sends has failed for good. */
static void a_retry_of_a_group_with_locks_goes_to_the_dead(void **state)
{
	struct rig r;
	struct fake_frame f;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	fake_conn_request(c, REQ_LOCK_BATCH_MQ,
			  slice_str("{\"clientId\":\"c\",\"consumerGroup\":\"G\",\"mqSet\":[{"
				    "\"topic\":\"T\",\"brokerName\":\"broker-a\",\"queueId\":0}]}"),
			  NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	send_retry(&r, c, "in order", "1", "16");
	f = rig_pull(&r, c, "%DLQ%G", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "in order");
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_sent_back_comes_again_on_the_retry_topic),
		cmocka_unit_test(the_copy_waits_until_its_topic_is_saved),
		cmocka_unit_test(a_retry_topic_closed_for_writing_takes_nothing_back),
		cmocka_unit_test(unit_mode_marks_the_retry_topic),
		cmocka_unit_test(the_copy_knows_where_it_came_from_and_waits_longer_each_time),
		cmocka_unit_test(what_was_consumed_too_often_goes_to_the_dead),
		cmocka_unit_test(a_group_without_retry_queues_gets_nothing_back),
		cmocka_unit_test(a_retry_that_came_too_often_goes_to_the_dead),
		cmocka_unit_test(a_retry_of_a_group_with_locks_goes_to_the_dead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
