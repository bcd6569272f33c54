/* Orderly, broadcasting, retries and flow control against the real program. */
#include "consume_rig.h"
#include <unistd.h>

static void orderly_keeps_the_order_of_a_queue_through_refusals(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	sink_init(&sink);
	sink.refusals = 1;
	rig_init(&r, "");
	const char *topic = own("Order"), *group = own("GOrder");
	rig_send(&r, topic, 0, 12, NULL, "one-key");
	struct mosaic_consumer_options o = rig_options(group, &sink);
	o.is_orderly = 1;
	o.suspend_ms = 10;
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 24), 24);
	mosaic_consumer_destroy(&c);
	for (uint32_t i = 0; i < 24; i++) { /* 0 0 1 1 2 2 ... */
		assert_int_equal(atoi(sink.got[i].body), i / 2);
		assert_int_equal(sink.got[i].reconsumed, i % 2);
	}
	rig_fini(&r);
	sink_fini(&sink);
}

static void an_orderly_message_that_never_succeeds_goes_to_the_dlq(void **state)
{
	struct rig r;
	struct sink sink, dead;
	(void)state;
	sink_init(&sink);
	sink_init(&dead);
	sink.refusals = 100;
	rig_init(&r, "");
	const char *topic = own("Dead"), *group = own("GDead");
	char dlq[80];
	snprintf(dlq, sizeof(dlq), "%%DLQ%%%s", group);
	rig_send(&r, topic, 0, 2, NULL, "one-key");
	struct mosaic_consumer_options o = rig_options(group, &sink);
	o.is_orderly = 1;
	o.suspend_ms = 10;
	o.max_reconsume = 2;
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 6), 6); /* 3 tries each */
	struct mosaic_consumer_options d = rig_options(own("DDead"), &dead);
	struct mosaic_consumer *other = rig_consumer(r.client, &d, dlq, NULL);
	assert_int_equal(sink_wait(&dead, 2), 2);
	mosaic_consumer_destroy(&c);
	mosaic_consumer_destroy(&other);
	assert_int_equal(sink.count, 6);
	rig_fini(&r);
	sink_fini(&sink);
	sink_fini(&dead);
}

static void a_refused_message_comes_again_and_then_goes_to_the_dlq(void **state)
{
	struct rig r;
	struct sink sink, dead;
	(void)state;
	sink_init(&sink);
	sink_init(&dead);
	sink.refusals = 2;
	rig_init(&r, "");
	const char *topic = own("Retry"), *group = own("GRetry");
	char dlq[80];
	snprintf(dlq, sizeof(dlq), "%%DLQ%%%s", group);
	rig_send(&r, topic, 0, 3, NULL, NULL);
	struct mosaic_consumer_options o = rig_options(group, &sink);
	o.max_reconsume = 1;
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 6), 6); /* after the first delay, which is 10 s */
	struct mosaic_consumer_options d = rig_options(own("DRetry"), &dead);
	struct mosaic_consumer *other = rig_consumer(r.client, &d, dlq, NULL);
	assert_int_equal(sink_wait(&dead, 3), 3);
	mosaic_consumer_destroy(&c);
	mosaic_consumer_destroy(&other);
	for (uint32_t i = 0; i < 6; i++) {
		assert_string_equal(sink.got[i].topic, topic);
		assert_int_equal(sink.got[i].reconsumed, i / 3);
	}
	rig_fini(&r);
	sink_fini(&sink);
	sink_fini(&dead);
}

static void broadcasting_goes_on_after_a_restart(void **state)
{
	struct rig r;
	struct sink sinks[2];
	struct mosaic_consumer *c[2];
	struct mosaic_consumer_options o[2];
	char dirs[2][128];
	(void)state;
	rig_init(&r, "");
	const char *topic = own("Broad"), *group = own("GBroad");
	rig_send(&r, topic, 0, 10, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		snprintf(dirs[i], sizeof(dirs[i]), "%s/offsets%d", r.dir, i);
		sink_init(&sinks[i]);
		o[i] = rig_options(group, &sinks[i]);
		o[i].model = MOSAIC_BROADCASTING;
		o[i].offset_dir = dirs[i];
		c[i] = rig_consumer(r.client, &o[i], topic, NULL);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sink_wait(&sinks[i], 10), 10);
		mosaic_consumer_destroy(&c[i]);
	}
	rig_send(&r, topic, 10, 15, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		c[i] = rig_consumer(r.client, &o[i], topic, NULL);
		assert_int_equal(sink_wait(&sinks[i], 15), 15);
		assert_int_equal(sink_distinct(&sinks[i]), 15);
		mosaic_consumer_destroy(&c[i]);
		sink_fini(&sinks[i]);
	}
	rig_fini(&r);
}

static void a_full_cache_stops_pulling_until_messages_are_consumed(void **state)
{
	struct rig r;
	struct sink sink;
	struct mosaic_client_metrics m = { .struct_size = sizeof(m) };
	(void)state;
	sink_init(&sink);
	sink.is_blocked = true;
	rig_init(&r, "");
	const char *topic = own("Full"), *group = own("GFull");
	rig_send(&r, topic, 0, 100, NULL, "one-key");
	struct mosaic_consumer_options o = rig_options(group, &sink);
	o.max_cached = 10;
	o.pull_batch = 5;
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 4), 4); /* as many as there are threads */
	mosaic_client_metrics(r.client, &m);
	assert_in_range(m.pulled, 4, 14);
	assert_true(m.bytes_held > 0);
	sink_block(&sink, false);
	assert_int_equal(sink_wait(&sink, 100), 100);
	assert_int_equal(sink_distinct(&sink), 100);
	assert_int_equal(sink.most_running, 4);
	mosaic_consumer_destroy(&c);
	mosaic_client_metrics(r.client, &m);
	assert_int_equal(m.pulled, 100);
	assert_int_equal(m.consumed, 100);
	assert_int_equal(m.bytes_held, 0);
	rig_fini(&r);
	sink_fini(&sink);
}

static void a_listener_that_hangs_does_not_hold_up_the_stop(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	sink_init(&sink);
	sink.is_blocked = true;
	rig_init(&r, "");
	const char *topic = own("Hang"), *group = own("GHang");
	rig_send(&r, topic, 0, 6, NULL, "one-key");
	struct mosaic_consumer_options o = rig_options(group, &sink);
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 4), 4);
	mosaic_consumer_stop(c, 10);
	sink_block(&sink, false);
	mosaic_consumer_destroy(&c);
	assert_int_equal(sink.count, 4); /* nothing was given out after the stop */
	c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 10), 10); /* all of them come again */
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

static void a_new_group_begins_where_it_was_told(void **state)
{
	struct rig r;
	struct sink sink;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct timespec now;
	(void)state;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("From"), *group = own("GFrom");
	rig_send(&r, topic, 0, 5, NULL, "one-key");
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
	do /* the clock of the store has milliseconds */
		clock_gettime(CLOCK_REALTIME, &now);
	while ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 <= at);
	rig_send(&r, topic, 5, 8, NULL, "one-key");
	struct mosaic_queue queues[16];
	uint32_t n = 16;
	assert_int_equal(mosaic_client_queues(r.client, topic, 0, queues, &n, &err), 0);
	int64_t found = 0;
	for (uint32_t i = 0; i < n; i++) {
		int64_t min, max, time;
		assert_int_equal(mosaic_client_min_offset(r.client, &queues[i], &min, &err), 0);
		assert_int_equal(mosaic_client_max_offset(r.client, &queues[i], &max, &err), 0);
		assert_int_equal(mosaic_client_offset_at(r.client, &queues[i], at, &time, &err), 0);
		assert_int_equal(min, 0);
		found += max;
		if (max > 0)
			assert_int_equal(time, 5);
	}
	assert_int_equal(found, 8);
	assert_int_equal(mosaic_client_committed(r.client, group, &queues[0], &found, &err), 0);
	assert_int_equal(found, 0); /* a young queue's, for any group */
	struct mosaic_consumer_options o = rig_options(group, &sink);
	o.model = MOSAIC_BROADCASTING; /* the broker sends a new clustering group to a queue's 0 */
	o.from = MOSAIC_FROM_TIME;
	o.from_ms = at;
	o.offset_dir = r.dir;
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 3), 3);
	assert_int_equal(atoi(sink.got[0].body) + atoi(sink.got[1].body) + atoi(sink.got[2].body),
			 5 + 6 + 7);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orderly_keeps_the_order_of_a_queue_through_refusals),
		cmocka_unit_test(an_orderly_message_that_never_succeeds_goes_to_the_dlq),
		cmocka_unit_test(a_refused_message_comes_again_and_then_goes_to_the_dlq),
		cmocka_unit_test(broadcasting_goes_on_after_a_restart),
		cmocka_unit_test(a_full_cache_stops_pulling_until_messages_are_consumed),
		cmocka_unit_test(a_listener_that_hangs_does_not_hold_up_the_stop),
		cmocka_unit_test(a_new_group_begins_where_it_was_told),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
