/* Poppers, and subscriptions by SQL92: against brokers that can do it. */
#include "consume_rig.h"

static struct mosaic_popper *open_popper(struct rig *r, const char *group, const char *topic,
					 uint32_t invisible_ms)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_popper_options o = { .struct_size = sizeof(o), .group = group,
					   .topic = topic, .from = MOSAIC_FROM_FIRST,
					   .invisible_ms = invisible_ms };
	struct mosaic_popper *p = NULL;

	if (mosaic_popper_create(r->client, &o, &p, &err) != 0)
		fail_msg("popper: %s", err.text);
	return p;
}

struct got {
	char receipts[32][512];
	bool seen[64];
	int32_t tries[64];
	uint32_t n;
};

/* Receives until there are n different ones. */
static void pop_all(struct mosaic_popper *p, uint32_t n, struct got *got)
{
	const struct mosaic_received *messages;
	uint32_t count;

	memset(got, 0, sizeof(*got));
	while (got->n < n) {
		assert_int_equal(mosaic_popper_receive(p, LONG_MS, &messages, &count), 0);
		assert_true(count > 0);
		for (uint32_t i = 0; i < count; i++) {
			char text[16];
			snprintf(text, sizeof(text), "%.*s", (int)messages[i].body.len,
				 (const char *)messages[i].body.ptr);
			int number = atoi(text);
			assert_in_range(number, 0, 31);
			assert_non_null(messages[i].receipt);
			got->n += !got->seen[number];
			got->seen[number] = true;
			got->tries[number] = messages[i].reconsume_times;
			snprintf(got->receipts[number], 512, "%s", messages[i].receipt);
		}
	}
}

static void what_is_acknowledged_does_not_come_again(void **state)
{
	struct rig r;
	struct got got, again;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	char receipt[512];
	(void)state;
	if (!can("pop"))
		return;
	rig_init(&r, "");
	const char *topic = own("Pop"), *group = own("GPop");
	rig_send(&r, topic, 0, 8, "A", NULL);
	struct mosaic_popper *p = open_popper(&r, group, topic, 10000);
	pop_all(p, 8, &got);
	for (int i = 0; i < 6; i++)
		assert_int_equal(mosaic_popper_ack(p, got.receipts[i], &err), 0);
	/* One is wanted again soon: its old receipt is done with, the new one counts. */
	assert_int_equal(mosaic_popper_change(p, got.receipts[6], 2000, receipt, &err), 0);
	assert_int_equal(mosaic_popper_ack(p, "nonsense", &err), MOSAIC_E_INVAL);
	pop_all(p, 2, &again);
	assert_true(again.seen[6]);
	assert_true(again.seen[7]);
	assert_int_equal(again.tries[6], 1);
	for (int i = 6; i < 8; i++)
		assert_int_equal(mosaic_popper_ack(p, again.receipts[i], &err), 0);
	mosaic_popper_destroy(&p);
	rig_fini(&r);
}

static void an_empty_topic_gives_nothing_in_time(void **state)
{
	struct rig r;
	const struct mosaic_received *messages;
	uint32_t count;
	(void)state;
	if (!can("pop"))
		return;
	rig_init(&r, "");
	const char *topic = own("PopNone"), *group = own("GPopNone");
	rig_send(&r, topic, 0, 1, NULL, NULL);
	struct got got;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_popper *p = open_popper(&r, group, topic, 60000);
	pop_all(p, 1, &got);
	assert_int_equal(mosaic_popper_ack(p, got.receipts[0], &err), 0);
	assert_int_equal(mosaic_popper_receive(p, 500, &messages, &count), 0);
	assert_int_equal(count, 0);
	mosaic_client_stop(r.client);
	assert_int_equal(mosaic_popper_receive(p, 500, &messages, &count), MOSAIC_E_CLOSED);
	rig_fini(&r); /* destroys it too */
}

static void a_condition_in_sql_chooses_messages(void **state)
{
	struct rig r;
	struct sink sink;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	(void)state;
	if (!can("sql"))
		return;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("Sql"), *group = own("GSql");
	for (int i = 0; i < 10; i++) {
		char body[16];
		snprintf(body, sizeof(body), "%d", i);
		struct mosaic_property size = { "size", body };
		struct mosaic_message m = { .struct_size = sizeof(m), .topic = topic,
					    .properties = &size, .n_properties = 1,
					    .body = { (const uint8_t *)body, strlen(body) } };
		assert_int_equal(mosaic_producer_send(r.producer, &m, NULL), 0);
	}
	struct mosaic_consumer_options o = rig_options(group, &sink);
	struct mosaic_consumer *c = NULL;
	assert_int_equal(mosaic_consumer_create(r.client, &o, &c, &err), 0);
	assert_int_equal(mosaic_consumer_subscribe(c, topic, MOSAIC_SQL92, "size BETWEEN", &err),
			 MOSAIC_E_INVAL);
	assert_true(err.text[0] != '\0');
	assert_int_equal(mosaic_consumer_subscribe(c, topic, MOSAIC_SQL92,
						   "size BETWEEN 3 AND 6", &err),
			 0);
	assert_int_equal(mosaic_consumer_start(c, &err), 0);
	assert_int_equal(sink_wait(&sink, 4), 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_in_range(atoi(sink.got[i].body), 3, 6);
	assert_int_equal(mosaic_consumer_subscribe(c, topic, MOSAIC_SQL92, "size >", &err),
			 MOSAIC_E_INVAL);
	mosaic_consumer_destroy(&c);
	rig_fini(&r);
	sink_fini(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_acknowledged_does_not_come_again),
		cmocka_unit_test(an_empty_topic_gives_nothing_in_time),
		cmocka_unit_test(a_condition_in_sql_chooses_messages),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
