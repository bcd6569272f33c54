/* The n-th allocation on the caller's thread fails, n from 1 until there is no n-th. */
#include "send_rig.h"
#include "codec.h"
#include "received.h"
#include "wire/message.h"
#include "wrap_alloc.h"
#include <mosaic/producer.h>

/* 0: none fails. */
static _Thread_local uint32_t fail_in;

static bool is_failing(void)
{
	return fail_in > 0 && --fail_in == 0;
}

/* Runs one(ctx) with ever later failures until it answers 0; returns how many there were. */
static uint32_t fail_each(int (*one)(void *ctx), void *ctx)
{
	for (uint32_t n = 1;; n++) {
		fail_in = n;
		int rc = one(ctx);
		bool was_reached = fail_in == 0;
		fail_in = 0;
		if (!was_reached) {
			assert_int_equal(rc, 0);
			return n - 1;
		}
		assert_int_equal(rc, MOSAIC_E_NOMEM);
		assert_true(n < 100);
	}
}

static int make_one(void *ctx)
{
	const struct send_shape plain = { .code = 0 };
	struct rig *r = ctx;
	char text[6000];
	struct send *s;

	memset(text, 'x', sizeof(text));
	struct mosaic_message m = rig_message("T", "");
	m.body = slice(text, sizeof(text));
	m.tag = "A";
	m.sharding_key = "key";
	int rc = send_make(&r->sender, &m, MESSAGE_ID, &plain, &s);
	if (rc == 0)
		send_free(s);
	return rc;
}

static void a_message_is_not_made_without_memory(void **state)
{
	struct rig r;
	(void)state;

	rig_open(&r, NS_A);
	assert_int_equal(fail_each(make_one, &r), 1);
	r.sender.compress_above = 4096;
	assert_int_equal(fail_each(make_one, &r), 2);
	rig_close(&r);
}

static int receive_one(void *ctx)
{
	struct received *received;
	int rc = received_make(ctx, "broker", NULL, 1 << 20, &received);

	if (rc == 0)
		received_free(received);
	return rc;
}

static void a_message_is_not_received_without_memory(void **state)
{
	struct message m = { .topic = slice_str("T"), .body = slice_str("body"),
			     .props = slice_str("TAGS\1A\2KEYS\1k\2") };
	static uint8_t text[20000];
	uint8_t *packed;
	size_t len;
	(void)state;

	assert_int_equal(fail_each(receive_one, &m), 1);
	assert_int_equal(codec_compress(MOSAIC_COMPRESSION_ZLIB, slice(text, sizeof(text)), &packed,
					&len, &m.sys_flag), 0);
	m.body = slice(packed, len);
	assert_true(fail_each(receive_one, &m) > 1);
	free(packed);
}

struct caller {
	struct mosaic_producer *producer;
	struct mosaic_message message;
};

static void ended(void *data, const struct mosaic_send_result *result)
{
	(void)data;
	(void)result;
}

static void replied(void *data, int32_t status, const struct mosaic_received *reply)
{
	(void)data;
	(void)reply;
	assert_true(status < 0);
}

static int call_async(void *ctx)
{
	struct caller *c = ctx;
	return mosaic_producer_send_async(c->producer, &c->message, ended, NULL);
}

static int call_future(void *ctx)
{
	struct caller *c = ctx;
	struct mosaic_future *future;
	int rc = mosaic_producer_send_future(c->producer, &c->message, &future);

	if (rc == 0)
		mosaic_future_free(&future);
	return rc;
}

static int call_request(void *ctx)
{
	struct caller *c = ctx;
	return mosaic_producer_request(c->producer, &c->message, 1000, replied, NULL);
}

static int call_batch(void *ctx)
{
	struct caller *c = ctx;
	int rc = mosaic_producer_send_batch(c->producer, &c->message, 1, NULL);

	return rc == MOSAIC_E_CLOSED ? 0 : rc; /* there is no server */
}

static void the_callers_functions_say_so(void **state)
{
	const struct mosaic_client_options o = { .struct_size = sizeof(o),
						 .namesrv = "127.0.0.1:1" };
	struct mosaic_error err = ERR_INIT;
	struct mosaic_client *client = NULL;
	struct caller c = { .message = rig_message("T", "x") };
	(void)state;

	assert_int_equal(mosaic_client_create(&o, &client, &err), 0);
	assert_int_equal(mosaic_client_start(client, &err), 0);
	assert_int_equal(mosaic_producer_create(client, NULL, &c.producer, &err), 0);
	assert_int_equal(fail_each(call_async, &c), 1);
	assert_int_equal(fail_each(call_future, &c), 2);
	assert_int_equal(fail_each(call_request, &c), 2);
	assert_int_equal(fail_each(call_batch, &c), 1);
	mosaic_client_destroy(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_not_made_without_memory),
		cmocka_unit_test(a_message_is_not_received_without_memory),
		cmocka_unit_test(the_callers_functions_say_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
