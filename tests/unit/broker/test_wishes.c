#include "broker/wishes.h"
#include "broker/offsets.h"
#include "control_rig.h"

#define HOUR_MS INT64_C(3600000)

static const struct queue_wish *wish(const struct rig *r, const char *topic, int32_t queue_id)
{
	struct queue *q = log_queue_find(r->log, slice_str(topic), queue_id);

	assert_non_null(q);
	return &q->wish;
}

static void reserve_time_is_in_hours(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_set_topic(&r, c, "Short", "1", "+reserve.time=5").header.code, 0);
	assert_int_equal(rig_set_topic(&r, c, "Own", "1", "").header.code, 0);
	rig_send(&r, c, "Short", 0, "", "x");
	rig_send(&r, c, "Own", 0, "", "x");
	wishes_look(r.broker);
	assert_int_equal(wish(&r, "Short", 0)->keep_ms, 5 * HOUR_MS);
	assert_int_equal(wish(&r, "Own", 0)->keep_ms, 0);
	assert_true(wish(&r, "Own", 0)->consumed == INT64_MAX);
	rig_close(&r);
}

static void the_slowest_group_counts_in_all_queues(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_set_topic(&r, c, "T", "2", "").header.code, 0);
	rig_send(&r, c, "T", 0, "", "x");
	rig_send(&r, c, "T", 1, "", "x");
	offsets_commit(r.broker->offsets, slice_str("T"), slice_str("Fast"), 0, 9);
	offsets_commit(r.broker->offsets, slice_str("T"), slice_str("Fast"), 1, 9);
	offsets_commit(r.broker->offsets, slice_str("T"), slice_str("Slow"), 0, 4);
	wishes_look(r.broker);
	assert_int_equal(wish(&r, "T", 0)->consumed, 4);
	assert_int_equal(wish(&r, "T", 1)->consumed, 0);
	rig_close(&r);
}

/* What waits in a delay level is not consumed. */
static void delayed_messages_are_wanted(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	wishes_look(r.broker);
	assert_int_equal(wish(&r, TOPIC_SCHEDULE, 2)->consumed, 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserve_time_is_in_hours),
		cmocka_unit_test(the_slowest_group_counts_in_all_queues),
		cmocka_unit_test(delayed_messages_are_wanted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
