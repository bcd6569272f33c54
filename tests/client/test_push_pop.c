/* Push consumers whose queues a broker shares out, pulled or popped as an admin has set it. */
#include "consume_rig.h"

static struct mosaic_consumer *open_consumer(struct mosaic_client *client, const char *group,
					     const char *topic, struct sink *sink,
					     uint32_t invisible_ms)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_consumer_options o = { .struct_size = sizeof(o), .group = group,
					     .listener = sink_listen, .listener_data = sink,
					     .from = MOSAIC_FROM_FIRST, .threads = 4,
					     .invisible_ms = invisible_ms,
					     .rebalance = MOSAIC_REBALANCE_BROKER };
	struct mosaic_consumer *c = NULL;

	if (mosaic_consumer_create(client, &o, &c, &err) != 0)
		fail_msg("create: %s", err.text);
	assert_int_equal(mosaic_consumer_subscribe(c, topic, MOSAIC_TAGS, NULL, &err), 0);
	assert_int_equal(mosaic_consumer_start(c, &err), 0);
	return c;
}

/* What `mqadmin setConsumeMode` asks of a broker (401). */
static void set_mode(const char *group, const char *topic, const char *mode)
{
	const char *port = getenv("MOSAIC_CLIENT_BROKER");
	struct client c;
	struct answer a;
	char body[512];

	assert_non_null(port);
	snprintf(body, sizeof(body),
		 "{\"consumerGroup\":\"%s\",\"mode\":\"%s\",\"popShareQueueNum\":0,"
		 "\"topic\":\"%s\"}", group, mode, topic);
	client_open(&c, (uint16_t)atoi(port));
	client_call(&c, &a, 401, body, strlen(body), NULL);
	if (a.code != 0)
		fail_msg("mode: %d %s", a.code, a.remark);
	answer_free(&a);
	client_close(&c);
}

static void a_broker_that_cannot_share_out_lets_the_members_do_it(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("Shared"), *group = own("GShared");
	rig_send(&r, topic, 0, 20, NULL, NULL);
	struct mosaic_consumer *c = open_consumer(r.client, group, topic, &sink, 0);
	AWAIT(sink_distinct(&sink) == 20);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

static void members_share_popped_queues(void **state)
{
	struct rig r;
	struct sink sinks[2];
	(void)state;
	if (!can("pop"))
		return;
	rig_init(&r, "");
	const char *topic = own("Popped"), *group = own("GPopped");
	rig_send(&r, topic, 0, 4, NULL, NULL);
	set_mode(group, topic, "POP");
	struct mosaic_client *other = rig_client(&r);
	struct mosaic_consumer *c[2];
	for (int i = 0; i < 2; i++) {
		sink_init(&sinks[i]);
		c[i] = open_consumer(i == 0 ? r.client : other, group, topic, &sinks[i], 10000);
	}
	for (int i = 4; i < 400; i += 4) {
		rig_send(&r, topic, i, i + 4, NULL, NULL);
		pause_ms(5);
	}
	AWAIT(sinks_distinct(sinks, 2) == 400);
	/* One of them goes: what it did not acknowledge, or was on its way to it, comes to the
	 * other when its time is over. */
	mosaic_consumer_destroy(&c[1]);
	rig_send(&r, topic, 400, 440, NULL, NULL);
	AWAIT(sinks_distinct(sinks, 2) == 440);
	assert_true(sink_count(&sinks[0]) > 0);
	mosaic_consumer_destroy(&c[0]); /* what it said was answered */
	struct mosaic_client_metrics n = { .struct_size = sizeof(n) };
	mosaic_client_metrics(r.client, &n);
	assert_in_range(n.acknowledged, 1, n.consumed);
	assert_int_equal(n.consumed, sink_count(&sinks[0]));
	/* All of it was acknowledged: nobody who comes later gets it. */
	struct sink late;
	sink_init(&late);
	c[0] = open_consumer(r.client, group, topic, &late, 0);
	rig_send(&r, topic, 500, 501, NULL, NULL);
	AWAIT(sink_count(&late) > 0);
	assert_string_equal(late.got[0].body, "500");
	mosaic_client_destroy(&other);
	rig_fini(&r);
	for (int i = 0; i < 2; i++)
		sink_fini(&sinks[i]);
	sink_fini(&late);
}

static void what_is_refused_comes_again_after_ten_seconds(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	if (!can("pop"))
		return;
	sink_init(&sink);
	sink.refusals = 1;
	rig_init(&r, "");
	const char *topic = own("PopAgain"), *group = own("GPopAgain");
	rig_send(&r, topic, 0, 1, NULL, NULL);
	set_mode(group, topic, "POP");
	struct mosaic_consumer *c = open_consumer(r.client, group, topic, &sink, 0);
	assert_int_equal(sink_wait(&sink, 1), 1);
	uint64_t first = now_ns();
	assert_int_equal(sink_wait(&sink, 2), 2);
	assert_true(now_ns() - first > UINT64_C(8000000000));
	assert_int_equal(sink.got[1].reconsumed, 1);
	assert_string_equal(sink.got[1].topic, topic);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

static void an_admin_may_change_the_mode(void **state)
{
	struct rig r;
	struct sink sink;
	(void)state;
	if (!can("pop"))
		return;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("PopMode"), *group = own("GPopMode");
	rig_send(&r, topic, 0, 8, NULL, NULL);
	struct mosaic_consumer *c = open_consumer(r.client, group, topic, &sink, 10000);
	AWAIT(sink_distinct(&sink) == 8);
	set_mode(group, topic, "POP");
	rig_send(&r, topic, 8, 16, NULL, NULL);
	AWAIT(sink_distinct(&sink) == 16);
	mosaic_consumer_destroy(&c);
	c = open_consumer(r.client, group, topic, &sink, 10000);
	rig_send(&r, topic, 16, 24, NULL, NULL);
	AWAIT(sink_distinct(&sink) == 24);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broker_that_cannot_share_out_lets_the_members_do_it),
		cmocka_unit_test(members_share_popped_queues),
		cmocka_unit_test(what_is_refused_comes_again_after_ten_seconds),
		cmocka_unit_test(an_admin_may_change_the_mode),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
