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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_sent_back_comes_again_on_the_retry_topic),
		cmocka_unit_test(the_copy_waits_until_its_topic_is_saved),
		cmocka_unit_test(a_retry_topic_closed_for_writing_takes_nothing_back),
		cmocka_unit_test(unit_mode_marks_the_retry_topic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
