#include "robust.h"
#include <mosaic/producer.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct fixture {
	struct child child;
	struct mosaic_client *client;
	struct mosaic_producer *producer;
};

static void open_client(struct fixture *f, const struct mosaic_producer_options *options)
{
	char namesrv[64];
	struct mosaic_error err = { .struct_size = sizeof(err) };
	/* The first one is dead: the next is asked. */
	snprintf(namesrv, sizeof(namesrv), "127.0.0.1:1;127.0.0.1:%u", f->child.namesrv);
	struct mosaic_client_options o = { .struct_size = sizeof(o), .namesrv = namesrv };
	assert_int_equal(mosaic_client_create(&o, &f->client, &err), 0);
	assert_int_equal(mosaic_client_start(f->client, &err), 0);
	assert_int_equal(mosaic_producer_create(f->client, options, &f->producer, &err), 0);
}

static void begin(struct fixture *f, const struct mosaic_producer_options *options)
{
	child_init(&f->child);
	child_config(&f->child, "", "flush-async", "", "");
	child_start(&f->child);
	open_client(f, options);
}

static void end(struct fixture *f)
{
	mosaic_client_destroy(&f->client);
	child_fini(&f->child);
}

static struct mosaic_message message(const char *topic, const char *text)
{
	return (struct mosaic_message){ .struct_size = sizeof(struct mosaic_message),
					.topic = topic,
					.body = { (const uint8_t *)text, strlen(text) } };
}

static void a_message_is_stored_and_can_be_pulled(void **state)
{
	struct fixture f;
	struct client raw;
	(void)state;
	begin(&f, NULL);
	for (int i = 0; i < 20; i++) {
		struct mosaic_message m = message("Sent", "hello");
		struct mosaic_send_result r;
		m.tag = "A";
		assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
		assert_int_equal(strlen(r.message_id), 32);
		assert_int_equal(strlen(r.offset_id), 32);
		assert_int_equal(r.stored, MOSAIC_STORED);
	}
	int64_t n = 0;
	client_open(&raw, f.child.broker[0]);
	for (int q = 0; q < 4; q++)
		n += client_pull_all(&raw, "Sent", q, NULL, NULL);
	client_close(&raw);
	assert_int_equal(n, 20);
	end(&f);
}

static void one_key_stays_on_one_queue(void **state)
{
	struct fixture f;
	int32_t queue = -1;
	(void)state;
	begin(&f, NULL);
	for (int i = 0; i < 10; i++) {
		struct mosaic_message m = message("Keyed", "x");
		struct mosaic_send_result r;
		m.sharding_key = "order-17";
		assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
		assert_true(queue == -1 || queue == r.queue_id);
		queue = r.queue_id;
		assert_int_equal(r.queue_offset, i);
	}
	end(&f);
}

static void count_sent(void *data, const struct mosaic_send_result *result)
{
	atomic_int *counts = data;
	atomic_fetch_add(&counts[result->status == 0 ? 0 : 1], 1);
}

static void a_bound_on_what_is_in_flight_says_try_again(void **state)
{
	struct fixture f;
	atomic_int counts[2] = { 0, 0 };
	int accepted = 0, refused = 0;
	(void)state;
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .max_in_flight = 2 };
	begin(&f, &o);
	for (int i = 0; i < 200; i++) {
		struct mosaic_message m = message("Bound", "x");
		int32_t rc = mosaic_producer_send_async(f.producer, &m, count_sent, counts);
		assert_true(rc == 0 || rc == MOSAIC_E_AGAIN);
		accepted += rc == 0;
		refused += rc == MOSAIC_E_AGAIN;
	}
	assert_true(refused > 0);
	end(&f); /* each that was accepted ends once: answered or canceled */
	assert_int_equal(atomic_load(&counts[0]) + atomic_load(&counts[1]), accepted);
}

static void wrong_messages_are_refused_at_once(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, NULL);
	struct mosaic_message m = message("No blank", "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), MOSAIC_E_INVAL);
	m = message("Empty", "");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), MOSAIC_E_INVAL);
	m = message("Fine", "x");
	m.tag = "a\1b";
	assert_int_equal(mosaic_producer_send_oneway(f.producer, &m), MOSAIC_E_INVAL);
	mosaic_client_stop(f.client);
	m.tag = NULL;
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), MOSAIC_E_CLOSED);
	end(&f);
}

static void a_dead_broker_is_told_in_time(void **state)
{
	struct fixture f;
	struct mosaic_send_result r;
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .timeout_ms = 1500 };
	(void)state;
	begin(&f, &o);
	struct mosaic_message m = message("Dead", "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
	child_kill(&f.child);
	int32_t rc = mosaic_producer_send(f.producer, &m, &r);
	assert_true(rc == MOSAIC_E_TIMEOUT || rc == MOSAIC_E_CLOSED);
	assert_true(r.text[0] != '\0');
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_stored_and_can_be_pulled),
		cmocka_unit_test(one_key_stays_on_one_queue),
		cmocka_unit_test(a_bound_on_what_is_in_flight_says_try_again),
		cmocka_unit_test(wrong_messages_are_refused_at_once),
		cmocka_unit_test(a_dead_broker_is_told_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
