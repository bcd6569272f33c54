/* What a listener refuses, against a real broker. */
#include "consume_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_message_comes_again_and_then_goes_to_the_dlq),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
