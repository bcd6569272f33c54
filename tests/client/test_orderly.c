/* Orderly consumers against a real broker. */
#include "consume_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orderly_keeps_the_order_of_a_queue_through_refusals),
		cmocka_unit_test(an_orderly_message_that_never_succeeds_goes_to_the_dlq),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
