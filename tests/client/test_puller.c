/* Pullers against the real broker. */
#include "consume_rig.h"

static struct mosaic_puller *open_puller(struct rig *r, const char *group, uint32_t is_manual)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_puller_options o = { .struct_size = sizeof(o), .group = group,
					   .from = MOSAIC_FROM_FIRST, .is_manual = is_manual };
	struct mosaic_puller *p = NULL;

	if (mosaic_puller_create(r->client, &o, &p, &err) != 0)
		fail_msg("puller: %s", err.text);
	return p;
}

/* Polls until there are n messages, or nothing for a long time. The bodies' sum. */
static int poll_all(struct mosaic_puller *p, uint32_t n, struct mosaic_queue *queue)
{
	const struct mosaic_received *messages;
	uint32_t count, seen = 0;
	int sum = 0;

	while (seen < n) {
		assert_int_equal(mosaic_puller_poll(p, LONG_MS, &messages, &count), 0);
		assert_true(count > 0);
		for (uint32_t i = 0; i < count; i++) {
			char text[16];
			snprintf(text, sizeof(text), "%.*s", (int)messages[i].body.len,
				 (const char *)messages[i].body.ptr);
			sum += atoi(text);
			if (queue != NULL) {
				*queue = (struct mosaic_queue){ .id = messages[i].queue_id };
				snprintf(queue->topic, sizeof(queue->topic), "%s",
					 messages[i].topic);
				snprintf(queue->broker, sizeof(queue->broker), "%s",
					 messages[i].broker);
			}
		}
		seen += count;
	}
	assert_int_equal(seen, n);
	return sum;
}

static void a_subscribed_puller_polls_each_message_once_and_commits(void **state)
{
	struct rig r;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	const struct mosaic_received *messages;
	struct mosaic_queue queue;
	int64_t offset;
	uint32_t count;
	(void)state;
	rig_init(&r, "");
	const char *topic = own("Polled"), *group = own("GPolled");
	rig_send(&r, topic, 0, 10, NULL, "one-key");
	struct mosaic_puller *p = open_puller(&r, group, 1);
	assert_int_equal(mosaic_puller_subscribe(p, topic, MOSAIC_TAGS, NULL, &err), 0);
	assert_int_equal(mosaic_puller_start(p, &err), 0);
	assert_int_equal(poll_all(p, 10, &queue), 45);
	assert_int_equal(mosaic_puller_poll(p, 0, &messages, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(mosaic_puller_commit(p, &err), 0);
	assert_int_equal(mosaic_client_committed(r.client, group, &queue, &offset, &err), 0);
	assert_int_equal(offset, 10);
	rig_send(&r, topic, 10, 12, NULL, "one-key");
	assert_int_equal(poll_all(p, 2, NULL), 21);
	mosaic_puller_destroy(&p); /* manual: the two are not committed */
	p = open_puller(&r, group, 0);
	assert_int_equal(mosaic_puller_subscribe(p, topic, MOSAIC_TAGS, NULL, &err), 0);
	assert_int_equal(mosaic_puller_start(p, &err), 0);
	assert_int_equal(poll_all(p, 2, NULL), 21);
	mosaic_puller_stop(p);
	assert_int_equal(mosaic_client_committed(r.client, group, &queue, &offset, &err), 0);
	assert_int_equal(offset, 12);
	assert_int_equal(mosaic_puller_poll(p, 0, &messages, &count), MOSAIC_E_CLOSED);
	mosaic_puller_destroy(&p);
	rig_fini(&r);
}

static void assigned_queues_are_sought_paused_and_committed(void **state)
{
	struct rig r;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	const struct mosaic_received *messages;
	struct mosaic_queue queues[16], queue, mine[2];
	uint32_t n = 16, count, n_mine = 2;
	int64_t offset;
	(void)state;
	rig_init(&r, "");
	const char *topic = own("Assigned"), *group = own("GAssigned");
	rig_send(&r, topic, 0, 10, NULL, "one-key");
	assert_int_equal(mosaic_client_queues(r.client, topic, 0, queues, &n, &err), 0);
	struct mosaic_puller *p = open_puller(&r, group, 0);
	assert_int_equal(mosaic_puller_assign(p, queues, n, &err), 0);
	assert_int_equal(mosaic_puller_subscribe(p, "Other", MOSAIC_TAGS, NULL, &err),
			 MOSAIC_E_INVAL);
	assert_int_equal(mosaic_puller_start(p, &err), 0);
	assert_int_equal(poll_all(p, 10, &queue), 45);
	assert_int_equal(mosaic_puller_seek(p, &queue, 7), 0);
	assert_int_equal(poll_all(p, 3, NULL), 24);
	assert_int_equal(mosaic_puller_pause(p, &queue, 1), 0);
	rig_send(&r, topic, 10, 11, NULL, "one-key");
	assert_int_equal(mosaic_puller_poll(p, 50, &messages, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(mosaic_puller_pause(p, &queue, 0), 0);
	assert_int_equal(poll_all(p, 1, NULL), 10);
	assert_int_equal(mosaic_puller_commit_offset(p, &queue, 4, &err), 0);
	assert_int_equal(mosaic_client_committed(r.client, group, &queue, &offset, &err), 0);
	assert_int_equal(offset, 4);
	assert_int_equal(mosaic_puller_assign(p, &queue, 1, &err), 0);
	assert_int_equal(mosaic_puller_assignment(p, mine, &n_mine), 0);
	assert_int_equal(n_mine, 1);
	assert_int_equal(mine[0].id, queue.id);
	mosaic_puller_destroy(&p);
	rig_fini(&r);
}

static void a_reader_filters_beside_a_group_and_commits_nothing(void **state)
{
	struct rig r;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_puller *p = NULL, *second = NULL;
	struct mosaic_queue queues[16], queue;
	uint32_t n = 16;
	int64_t offset;
	(void)state;
	rig_init(&r, "");
	const char *topic = own("Read"), *group = own("GRead");
	rig_send(&r, topic, 0, 5, "a", "one-key");
	rig_send(&r, topic, 5, 10, "b", "one-key");
	struct mosaic_puller_options o = { .struct_size = sizeof(o), .group = group,
					   .from = MOSAIC_FROM_FIRST, .is_reader = 1 };
	assert_int_equal(mosaic_client_queues(r.client, topic, 0, queues, &n, &err), 0);
	assert_int_equal(mosaic_puller_create(r.client, &o, &p, &err), 0);
	assert_int_equal(mosaic_puller_filter(p, topic, MOSAIC_TAGS, "b", &err), MOSAIC_E_INVAL);
	assert_int_equal(mosaic_puller_assign(p, queues, n, &err), 0);
	assert_int_equal(mosaic_puller_filter(p, topic, MOSAIC_TAGS, "b", &err), 0);
	assert_int_equal(mosaic_puller_start(p, &err), 0);
	assert_int_equal(mosaic_puller_create(r.client, &o, &second, &err), 0);
	assert_int_equal(mosaic_puller_assign(second, queues, n, &err), 0);
	assert_int_equal(mosaic_puller_start(second, &err), 0); /* one client may have many */
	assert_int_equal(poll_all(p, 5, &queue), 35);
	assert_int_equal(poll_all(second, 10, NULL), 45);
	mosaic_puller_destroy(&second);
	mosaic_puller_destroy(&p);
	if (mosaic_client_committed(r.client, group, &queue, &offset, &err) == 0)
		assert_int_equal(offset, 0); /* what brokers say of a young queue */
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_subscribed_puller_polls_each_message_once_and_commits),
		cmocka_unit_test(assigned_queues_are_sought_paused_and_committed),
		cmocka_unit_test(a_reader_filters_beside_a_group_and_commits_nothing),
	};
	return cmocka_run_group_tests(tests, rig_await, NULL);
}
