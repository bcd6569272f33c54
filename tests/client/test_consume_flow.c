/* Bounds and ends of push consumers against a real broker. */
#include "consume_rig.h"

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

static void a_message_that_takes_too_long_is_sent_back(void **state)
{
	struct rig r;
	struct sink sink;
	struct mosaic_client_metrics m = { .struct_size = sizeof(m) };
	(void)state;
	sink_init(&sink);
	sink.is_blocked = true;
	rig_init(&r, "");
	const char *topic = own("Slow"), *group = own("GSlow");
	rig_send(&r, topic, 0, 1, NULL, NULL);
	struct mosaic_consumer_options o = rig_options(group, &sink);
	o.consume_timeout_ms = 500;
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 1), 1);
	AWAIT((mosaic_client_metrics(r.client, &m), m.sent_back == 1));
	sink_block(&sink, false); /* what the listener says now does not count */
	mosaic_consumer_stop(c, LONG_MS);
	mosaic_client_metrics(r.client, &m);
	assert_int_equal(m.sent_back, 1);
	assert_int_equal(m.bytes_held, 0);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

static void a_client_has_one_member_of_a_group(void **state)
{
	struct rig r;
	struct sink sink;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	(void)state;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("One"), *group = own("GOne");
	rig_send(&r, topic, 0, 1, NULL, NULL);
	struct mosaic_consumer_options o = rig_options(group, &sink);
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL), *other = NULL;
	assert_int_equal(mosaic_consumer_create(r.client, &o, &other, &err), 0);
	assert_int_equal(mosaic_consumer_start(other, &err), MOSAIC_E_INVAL); /* no topic */
	assert_int_equal(mosaic_consumer_subscribe(other, topic, MOSAIC_TAGS, NULL, &err), 0);
	assert_int_equal(mosaic_consumer_start(other, &err), MOSAIC_E_INVAL);
	mosaic_consumer_destroy(&c);
	assert_int_equal(mosaic_consumer_start(other, &err), 0); /* its place is free */
	rig_fini(&r); /* stops and destroys it */
	sink_fini(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_cache_stops_pulling_until_messages_are_consumed),
		cmocka_unit_test(a_listener_that_hangs_does_not_hold_up_the_stop),
		cmocka_unit_test(a_message_that_takes_too_long_is_sent_back),
		cmocka_unit_test(a_client_has_one_member_of_a_group),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
