/* Push consumers against the real program. */
#include "consume_rig.h"

static void messages_reach_the_listener_with_their_properties(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("Push"), *group = own("GPush");
	rig_send(&r, topic, 0, 20, "A", NULL);
	struct mosaic_consumer_options o = rig_options(group, &sink);
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 20), 20);
	rig_send(&r, topic, 20, 30, "A", NULL);
	assert_int_equal(sink_wait(&sink, 30), 30);
	assert_int_equal(sink_distinct(&sink), 30);
	assert_string_equal(sink.got[0].topic, topic);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

static void only_subscribed_tags_come(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("Tags"), *group = own("GTags");
	rig_send(&r, topic, 0, 10, "A", NULL);
	rig_send(&r, topic, 10, 20, "B", NULL);
	rig_send(&r, topic, 20, 30, "C", NULL);
	struct mosaic_consumer_options o = rig_options(group, &sink);
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, "A || C");
	assert_int_equal(sink_wait(&sink, 20), 20);
	for (uint32_t i = 0; i < sink.count; i++)
		assert_false(atoi(sink.got[i].body) >= 10 && atoi(sink.got[i].body) < 20);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

static void a_restarted_consumer_goes_on_where_it_stopped(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("Again"), *group = own("GAgain");
	rig_send(&r, topic, 0, 12, NULL, NULL);
	struct mosaic_consumer_options o = rig_options(group, &sink);
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 12), 12);
	mosaic_consumer_stop(c, LONG_MS);
	mosaic_consumer_destroy(&c);
	rig_send(&r, topic, 12, 20, NULL, NULL);
	c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 20), 20);
	mosaic_consumer_destroy(&c);
	assert_int_equal(sink_distinct(&sink), 20);
	assert_int_equal(sink.count, 20);
	rig_fini(&r);
	sink_fini(&sink);
}

/* Sends until the sink has more than it had. */
static int send_until(struct rig *r, const char *topic, int n, struct sink *sink)
{
	uint32_t before = sink_count(sink);

	AWAIT((rig_send(r, topic, n, n + 4, NULL, NULL), n += 4, sink_count(sink) > before));
	return n;
}

static void members_share_the_queues_through_joins_and_leaves(void **state)
{
	struct rig r;
	struct sink *sinks = calloc(2, sizeof(*sinks));
	(void)state;
	sink_init(&sinks[0]);
	sink_init(&sinks[1]);
	rig_init(&r, "");
	const char *topic = own("Shared"), *group = own("GShared");
	struct mosaic_client *other = rig_client(&r);
	struct mosaic_consumer_options o[2] = { rig_options(group, &sinks[0]),
						rig_options(group, &sinks[1]) };
	rig_send(&r, topic, 0, 1, NULL, NULL);
	struct mosaic_consumer *a = rig_consumer(r.client, &o[0], topic, NULL);
	int n = send_until(&r, topic, 1, &sinks[0]);
	struct mosaic_consumer *b = rig_consumer(other, &o[1], topic, NULL);
	n = send_until(&r, topic, n, &sinks[1]);
	AWAIT(sinks_distinct(sinks, 2) == (uint32_t)n);
	/* Both are settled now: each message comes to one of them, once. */
	uint32_t before = sink_count(&sinks[0]) + sink_count(&sinks[1]);
	rig_send(&r, topic, n, n + 40, NULL, NULL);
	n += 40;
	AWAIT(sinks_distinct(sinks, 2) == (uint32_t)n);
	assert_int_equal(sink_count(&sinks[0]) + sink_count(&sinks[1]), before + 40);
	mosaic_consumer_destroy(&b); /* the first one gets its queues back */
	rig_send(&r, topic, n, n + 40, NULL, NULL);
	n += 40;
	AWAIT(sinks_distinct(sinks, 2) == (uint32_t)n);
	mosaic_consumer_destroy(&a);
	mosaic_client_destroy(&other);
	rig_fini(&r);
	sink_fini(&sinks[0]);
	sink_fini(&sinks[1]);
	free(sinks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_reach_the_listener_with_their_properties),
		cmocka_unit_test(only_subscribed_tags_come),
		cmocka_unit_test(a_restarted_consumer_goes_on_where_it_stopped),
		cmocka_unit_test(members_share_the_queues_through_joins_and_leaves),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
