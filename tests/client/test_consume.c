/* Push consumers against a real broker. */
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

static int send_some(struct rig *r, const char *topic, int n)
{
	rig_send(r, topic, n, n + 40, NULL, NULL);
	return n + 40;
}

/* Whether all have come, and the last 40 of n once each. */
static bool comes_once(struct sink *sinks, int n)
{
	uint32_t seen = 0;

	AWAIT(sinks_distinct(sinks, 2) == (uint32_t)n);
	for (int i = 0; i < 2; i++) {
		pthread_mutex_lock(&sinks[i].lock);
		for (uint32_t j = 0; j < sinks[i].count; j++)
			seen += atoi(sinks[i].got[j].body) >= n - 40;
		pthread_mutex_unlock(&sinks[i].lock);
	}
	return seen == 40;
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
	/* As soon as both are settled each message comes to one of them, once. */
	AWAIT((n = send_some(&r, topic, n)) > 0 && comes_once(sinks, n));
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
	struct mosaic_client *clients[2] = { r.client, rig_client(&r) };
	for (int i = 0; i < 2; i++) {
		snprintf(dirs[i], sizeof(dirs[i]), "%s/offsets%d", r.dir, i);
		sink_init(&sinks[i]);
		o[i] = rig_options(group, &sinks[i]);
		o[i].model = MOSAIC_BROADCASTING;
		o[i].offset_dir = dirs[i];
		c[i] = rig_consumer(clients[i], &o[i], topic, NULL);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sink_wait(&sinks[i], 10), 10);
		mosaic_consumer_destroy(&c[i]);
	}
	rig_send(&r, topic, 10, 15, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		c[i] = rig_consumer(clients[i], &o[i], topic, NULL);
		assert_int_equal(sink_wait(&sinks[i], 15), 15);
		assert_int_equal(sink_distinct(&sinks[i]), 15);
		mosaic_consumer_destroy(&c[i]);
		sink_fini(&sinks[i]);
	}
	mosaic_client_destroy(&clients[1]);
	rig_fini(&r);
}

static int64_t ends_of(struct mosaic_client *client, const struct mosaic_queue *queues, uint32_t n)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	int64_t sum = 0, max;

	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(mosaic_client_max_offset(client, &queues[i], &max, &err), 0);
		sum += max;
	}
	return sum;
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
	int64_t found;
	AWAIT(ends_of(r.client, queues, n) == 8); /* Apache's broker dispatches behind its answer */
	for (uint32_t i = 0; i < n; i++) {
		int64_t min, max;
		assert_int_equal(mosaic_client_min_offset(r.client, &queues[i], &min, &err), 0);
		assert_int_equal(mosaic_client_max_offset(r.client, &queues[i], &max, &err), 0);
		assert_int_equal(mosaic_client_offset_at(r.client, &queues[i], at, &found, &err),
				 0);
		assert_int_equal(min, 0);
		if (max > 0)
			assert_int_equal(found, 5);
	}
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

/* Whether a trace with these texts comes within the patience. */
static bool has_trace(struct mosaic_puller *p, const char *a, const char *b)
{
	const struct mosaic_received *messages;
	uint64_t until = now_ns() + LONG_MS * UINT64_C(1000000);
	uint32_t count;

	while (now_ns() < until) {
		assert_int_equal(mosaic_puller_poll(p, 1000, &messages, &count), 0);
		for (uint32_t i = 0; i < count; i++) {
			char *text = strndup((const char *)messages[i].body.ptr,
					     messages[i].body.len);
			const char *at = strstr(text, a);
			bool is_there = at != NULL && strstr(at, b) != NULL;
			free(text);
			if (is_there)
				return true;
		}
	}
	return false;
}

static void consumption_is_traced(void **state)
{
	struct rig r;
	struct sink sink;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_puller *p = NULL;
	(void)state;
	if (!can("trace"))
		return;
	sink_init(&sink);
	rig_init(&r, "");
	const char *topic = own("Traced"), *group = own("GTraced");
	rig_send(&r, topic, 0, 1, NULL, NULL);
	struct mosaic_consumer_options o = rig_options(group, &sink);
	o.trace = 1;
	struct mosaic_consumer *c = rig_consumer(r.client, &o, topic, NULL);
	assert_int_equal(sink_wait(&sink, 1), 1);
	struct mosaic_puller_options po = { .struct_size = sizeof(po), .group = own("GReader"),
					    .from = MOSAIC_FROM_FIRST };
	assert_int_equal(mosaic_puller_create(r.client, &po, &p, &err), 0);
	assert_int_equal(
		mosaic_puller_subscribe(p, "RMQ_SYS_TRACE_TOPIC", MOSAIC_TAGS, NULL, &err), 0);
	assert_int_equal(mosaic_puller_start(p, &err), 0);
	assert_true(has_trace(p, "SubBefore\1", group));
	mosaic_consumer_destroy(&c);
	mosaic_puller_destroy(&p);
	rig_fini(&r);
	sink_fini(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_reach_the_listener_with_their_properties),
		cmocka_unit_test(only_subscribed_tags_come),
		cmocka_unit_test(a_restarted_consumer_goes_on_where_it_stopped),
		cmocka_unit_test(members_share_the_queues_through_joins_and_leaves),
		cmocka_unit_test(broadcasting_goes_on_after_a_restart),
		cmocka_unit_test(a_new_group_begins_where_it_was_told),
		cmocka_unit_test(consumption_is_traced),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
