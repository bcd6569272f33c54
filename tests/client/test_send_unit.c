/* Routes, choice of queues, retries: the engine under virtual time. */
#include "send_rig.h"
#include "codec.h"
#include "linger.h"
#include "wire/message.h"
#include "wire/props.h"

static void a_message_goes_to_a_queue_of_its_topic(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	assert_true(slice_is(rig_route(&r, 0, TWO_BROKERS), "T"));
	struct mosaic_conn *a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	assert_true(slice_is(header_str(&f.header, "b"), "T"));
	assert_true(slice_is(header_str(&f.header, "n"), "A"));
	assert_true(slice_is(f.body, "hello"));
	assert_true(slice_is(props_find(header_str(&f.header, "i"), PROP_UNIQ_KEY), MESSAGE_ID));
	assert_int_equal(o.n, 0);
	rig_stored(&r, a, &f, 0);
	assert_int_equal(o.n, 1);
	assert_int_equal(o.result.status, 0);
	assert_int_equal(o.result.queue_id, 1);
	assert_int_equal(o.result.queue_offset, 7);
	assert_string_equal(o.result.broker, "A");
	rig_close(&r);
}

static void a_dead_nameserver_is_followed_by_the_next(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A ";" NS_B);
	rig_send(&r, "T", &o);
	const char *first = fake_net_attempts(r.net, NS_A) > 0 ? NS_A : NS_B;
	assert_true(fake_net_refuse(r.net, first, "refused"));
	r.ns = rig_accept(&r, first[3] == '1' ? NS_B : NS_A);
	rig_route(&r, 0, TWO_BROKERS);
	rig_accept(&r, BROKER_A);
	assert_int_equal(o.n, 0);
	rig_close(&r);
	assert_int_equal(o.result.status, MOSAIC_E_CANCELED);
}

static void no_nameserver_at_all_is_told(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A ";" NS_B);
	rig_send(&r, "T", &o);
	for (int i = 0; i < 2; i++) {
		bool refused = fake_net_refuse(r.net, NS_A, "refused") ||
			       fake_net_refuse(r.net, NS_B, "refused");
		assert_true(refused);
	}
	assert_int_equal(o.n, 1);
	assert_int_equal(o.result.status, MOSAIC_E_CLOSED);
	rig_close(&r);
}

static void a_new_topic_takes_queues_of_the_default_topic(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	for (int i = 0; i < 8; i++) {
		rig_send(&r, "New", &o);
		if (i == 0) {
			r.ns = rig_accept(&r, NS_A);
			assert_true(slice_is(rig_route(&r, RES_TOPIC_NOT_EXIST, ""), "New"));
			assert_true(slice_is(rig_route(&r, 0, ONE_BROKER), "TBW102"));
			rig_accept(&r, BROKER_A);
		}
	}
	struct peer *peer = dialer_peek(&r.engine.dialer, BROKER_A);
	assert_non_null(peer);
	for (int i = 0; i < 8; i++) {
		int32_t id = -1;
		f = rig_next(peer->conn, REQ_SEND_MESSAGE_V2);
		assert_int_equal(header_i32(&f.header, "e", &id), 0);
		assert_in_range(id, 0, 3); /* 8 in TBW102, but brokers make 4 */
	}
	rig_close(&r);
}

static void a_topic_that_nobody_makes_is_not_found(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "New", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, RES_TOPIC_NOT_EXIST, "");
	rig_route(&r, RES_TOPIC_NOT_EXIST, "");
	assert_int_equal(o.result.status, MOSAIC_E_NOTFOUND);
	rig_close(&r);
}

static void a_refused_message_goes_to_another_broker(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, TWO_BROKERS);
	struct mosaic_conn *a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	fake_host_advance_ms(&r.host, 200);
	rig_stored(&r, a, &f, RES_SYSTEM_BUSY);
	rig_route(&r, 0, TWO_BROKERS); /* asked for again at once */
	struct mosaic_conn *b = rig_accept(&r, BROKER_B);
	f = rig_next(b, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, b, &f, 0);
	assert_int_equal(o.result.status, 0);
	assert_int_equal(o.result.attempts, 2);
	assert_string_equal(o.result.broker, "B");
	/* A is passed over for ten seconds. */
	for (int i = 0; i < 4; i++) {
		rig_send(&r, "T", &o);
		f = rig_next(b, REQ_SEND_MESSAGE_V2);
		rig_stored(&r, b, &f, 0);
		assert_int_equal(o.result.status, 0);
	}
	fake_host_advance_ms(&r.host, 10001);
	uint32_t to_a = 0;
	for (int i = 0; i < 4; i++) {
		struct fake_frame g;
		rig_send(&r, "T", &o);
		to_a += fake_conn_next(a, &g);
	}
	assert_int_equal(to_a, 2);
	rig_close(&r);
}

static void a_wrong_message_is_not_repeated(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, TWO_BROKERS);
	struct mosaic_conn *a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, a, &f, RES_MESSAGE_ILLEGAL);
	assert_int_equal(o.result.status, MOSAIC_E_IO);
	assert_int_equal(o.result.broker_code, RES_MESSAGE_ILLEGAL);
	assert_int_equal(o.result.attempts, 1);
	rig_close(&r);
}

static void attempts_have_an_end(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(o.n, 0);
		assert_true(fake_net_refuse(r.net, BROKER_A, "refused"));
		fake_host_advance_ms(&r.host, 1000);
	}
	assert_int_equal(o.n, 1);
	assert_int_equal(o.result.status, MOSAIC_E_CLOSED);
	assert_int_equal(o.result.attempts, 3);
	assert_non_null(strstr(o.result.text, BROKER_A));
	rig_close(&r);
}

static void the_time_of_all_attempts_is_bounded(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	rig_accept(&r, BROKER_A); /* and says nothing */
	fake_host_advance_ms(&r.host, 2999);
	assert_int_equal(o.n, 0);
	fake_host_advance_ms(&r.host, 2);
	assert_int_equal(o.result.status, MOSAIC_E_TIMEOUT);
	rig_close(&r);
}

static void a_connection_that_is_ending_is_replaced(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	struct mosaic_conn *a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, a, &f, 0);
	fake_host_advance_ms(&r.host, 2000);
	fake_conn_close(a); /* the client does not know yet */
	rig_send(&r, "T", &o);
	fake_host_advance_ms(&r.host, 1);
	a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, a, &f, 0);
	assert_int_equal(o.result.status, 0);
	assert_int_equal(o.result.attempts, 1);
	rig_close(&r);
}

static void a_broker_that_does_not_read_is_waited_for(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	struct mosaic_conn *a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, a, &f, 0);
	fake_conn_block(a, true);
	rig_send(&r, "T", &o);
	fake_host_advance_ms(&r.host, 100);
	assert_int_equal(o.n, 0);
	fake_conn_block(a, false);
	fake_host_advance_ms(&r.host, 100);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, a, &f, 0);
	assert_int_equal(o.result.status, 0);
	rig_close(&r);
}

static void a_sharding_key_has_one_queue_and_one_attempt(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	/* |"order-17".hashCode() % 8| and others, computed by Java. */
	static const struct {
		const char *key;
		int32_t queue;
	} keys[] = { { "order-17", 5 }, { "k", 3 }, { "polygenelubricants", 0 },
		     { "\xC3\xA4", 4 } };

	rig_open(&r, NS_A);
	for (uint32_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct mosaic_message m = rig_message("T", "x");
		int32_t queue = -1;

		m.sharding_key = keys[i].key;
		rig_send_message(&r, &m, NULL, &o);
		if (i == 0) {
			r.ns = rig_accept(&r, NS_A);
			rig_route(&r, 0, ONE_BROKER);
			rig_accept(&r, BROKER_A);
		}
		struct mosaic_conn *a = dialer_peek(&r.engine.dialer, BROKER_A)->conn;
		f = rig_next(a, REQ_SEND_MESSAGE_V2);
		assert_int_equal(header_i32(&f.header, "e", &queue), 0);
		assert_int_equal(queue, keys[i].queue);
		rig_stored(&r, a, &f, i == 0 ? RES_SYSTEM_BUSY : 0);
		assert_int_equal(o.result.attempts, 1);
		assert_int_equal(o.result.status, i == 0 ? MOSAIC_E_IO : 0);
	}
	rig_close(&r);
}

static void a_chosen_queue_is_the_one(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	struct mosaic_queue q = { .topic = "T", .broker = "B", .id = 1 };
	struct mosaic_message m = rig_message("T", "x");
	(void)state;

	m.queue = &q;
	rig_open(&r, NS_A);
	rig_send_message(&r, &m, NULL, &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, TWO_BROKERS);
	struct mosaic_conn *b = rig_accept(&r, BROKER_B);
	f = rig_next(b, REQ_SEND_MESSAGE_V2);
	assert_true(slice_is(header_str(&f.header, "e"), "1"));
	rig_stored(&r, b, &f, 0);
	assert_int_equal(o.result.status, 0);
	q.id = 2; /* there are two */
	rig_send_message(&r, &m, NULL, &o);
	assert_int_equal(o.result.status, MOSAIC_E_NOTFOUND);
	rig_close(&r);
}

static void routes_are_asked_again_each_period(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	fake_host_advance_ms(&r.host, 30001);
	rig_route(&r, 0, TWO_BROKERS);
	assert_int_equal(route_peek(&r.engine, "T")->n_writes, 4);
	assert_int_equal(route_peek(&r.engine, "T")->n_reads, 4);
	assert_string_equal(broker_address(broker_find(&r.engine, "A"), 1), "a:2");
	assert_null(broker_address(broker_find(&r.engine, "B"), 1));
	rig_close(&r);
}

static void lost_queues_are_asked_for_again_soon(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	fake_host_advance_ms(&r.host, 30001);
	rig_route(&r, 0, TWO_BROKERS); /* with half as many queues */
	for (int ms = 1000; ms <= 4000; ms *= 2) {
		fake_host_advance_ms(&r.host, ms);
		rig_route(&r, 0, ms < 4000 ? TWO_BROKERS : ONE_BROKER);
	}
	assert_int_equal(route_peek(&r.engine, "T")->n_writes, 8);
	fake_host_advance_ms(&r.host, 20000);
	assert_false(fake_conn_next(r.ns, &f)); /* until the next period */
	rig_close(&r);
}

static void every_loss_is_looked_for_from_the_beginning(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	fake_host_advance_ms(&r.host, 30001);
	rig_route(&r, 0, TWO_BROKERS); /* with half as many queues */
	for (int ms = 1000; ms <= 8000; ms *= 2) {
		fake_host_advance_ms(&r.host, ms);
		rig_route(&r, 0, ms < 8000 ? TWO_BROKERS : "{}"); /* with none */
	}
	fake_host_advance_ms(&r.host, 1000); /* not 16000 */
	rig_route(&r, 0, TWO_BROKERS);
	fake_host_advance_ms(&r.host, 1000);
	rig_route(&r, 0, ONE_BROKER);
	assert_int_equal(route_peek(&r.engine, "T")->n_writes, 8);
	rig_close(&r);
}

static void a_topic_that_is_gone_stays_known_for_half_a_minute(void **state)
{
	struct rig r;
	struct outcome o;
	struct fake_frame f;
	uint32_t kept_s = 0;
	(void)state;

	rig_open(&r, NS_A);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	fake_host_advance_ms(&r.host, 29000);
	for (int i = 0; i < 90; i++) {
		fake_host_advance_ms(&r.host, 1000);
		while (fake_conn_next(r.ns, &f)) {
			fake_conn_respond(r.ns, f.header.opaque, RES_TOPIC_NOT_EXIST, NO_BODY,
					  NULL);
			fake_host_run(&r.host);
		}
		kept_s += route_peek(&r.engine, "T")->n_writes == 8;
	}
	assert_in_range(kept_s, 30, 33);
	rig_close(&r);
}

static void a_nameserver_that_has_lost_a_topic_is_followed_by_the_next(void **state)
{
	struct rig r;
	struct outcome o;
	(void)state;

	rig_open(&r, NS_A ";" NS_B);
	rig_send(&r, "T", &o);
	const char *first = fake_net_attempts(r.net, NS_A) > 0 ? NS_A : NS_B;
	r.ns = rig_accept(&r, first);
	rig_route(&r, 0, ONE_BROKER);
	fake_host_advance_ms(&r.host, 30001);
	rig_route(&r, RES_TOPIC_NOT_EXIST, "");
	r.ns = rig_accept(&r, first[3] == '1' ? NS_B : NS_A);
	rig_route(&r, 0, TWO_BROKERS);
	assert_int_equal(route_peek(&r.engine, "T")->n_writes, 4);
	rig_close(&r);
}

static void a_mute_nameserver_is_left_for_all_topics(void **state)
{
	struct rig r;
	struct outcome o[2];
	(void)state;

	rig_open(&r, NS_A ";" NS_B);
	r.sender.timeout_ns = 10 * SECOND_NS;
	rig_send(&r, "T1", &o[0]);
	rig_send(&r, "T2", &o[1]);
	const char *first = fake_net_attempts(r.net, NS_A) > 0 ? NS_A : NS_B;
	rig_accept(&r, first);
	fake_host_advance_ms(&r.host, 3001);
	r.ns = rig_accept(&r, first[3] == '1' ? NS_B : NS_A);
	rig_route(&r, 0, ONE_BROKER);
	rig_route(&r, 0, ONE_BROKER);
	assert_int_equal(route_peek(&r.engine, "T1")->n_writes, 8);
	assert_int_equal(route_peek(&r.engine, "T2")->n_writes, 8);
	rig_accept(&r, BROKER_A);
	rig_close(&r);
}

static void a_group_is_told_on_each_new_connection_and_every_period(void **state)
{
	struct rig r;
	struct outcome o;
	struct producer_group g = { .name = "G" };
	struct fake_frame f;
	(void)state;

	rig_open(&r, NS_A);
	producer_group_join(&r.engine, &g);
	rig_send(&r, "T", &o);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	struct mosaic_conn *a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_HEART_BEAT);
	assert_true(slice_is(f.body, "{\"clientID\":\"192.0.2.1@test\",\"consumerDataSet\":[],"
				     "\"heartbeatFingerprint\":0,\"producerDataSet\":"
				     "[{\"groupName\":\"G\"}],\"withoutSub\":false}"));
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, a, &f, 0);
	assert_false(fake_conn_next(a, &f));
	fake_host_advance_ms(&r.host, 30000);
	rig_next(a, REQ_HEART_BEAT);
	/* The connection is lost: another one is made for the heartbeat alone. */
	fake_conn_close(a);
	fake_host_advance_ms(&r.host, 1001);
	a = rig_accept(&r, BROKER_A);
	rig_next(a, REQ_HEART_BEAT);
	producer_group_leave(&r.engine, &g);
	f = rig_next(a, REQ_UNREGISTER_CLIENT);
	assert_true(slice_is(header_str(&f.header, "producerGroup"), "G"));
	rig_close(&r);
}

static void a_long_body_is_compressed_when_that_helps(void **state)
{
	struct rig r;
	struct mosaic_slice text;
	char body[5000];
	(void)state;

	rig_open(&r, NS_A);
	r.sender.compress_above = 4096;
	memset(body, 'x', sizeof(body));
	text = slice(body, sizeof(body));
	for (uint32_t type = 0; type <= MOSAIC_COMPRESSION_ZSTD; type++) {
		const struct send_shape plain = { .code = 0 };
		struct mosaic_message m = rig_message("T", "");
		struct send *s;
		uint8_t *back;
		size_t len;

		m.body = text;
		r.sender.compression = type;
		assert_int_equal(send_make(&r.sender, &m, MESSAGE_ID, &plain, &s), 0);
		assert_true(s->body.len < 500);
		assert_int_equal(s->sys_flag, 1 | (type == MOSAIC_COMPRESSION_ZLIB  ? 0x300
						   : type == MOSAIC_COMPRESSION_LZ4 ? 0x100
										    : 0x200));
		assert_int_equal(codec_decompress(s->sys_flag, s->body, 4u << 20, &back, &len), 0);
		assert_true(slice_eq(slice(back, len), text));
		free(back);
		assert_int_equal(codec_decompress(s->sys_flag, s->body, 4999, &back, &len),
				 MOSAIC_E_LIMIT);
		assert_int_equal(codec_decompress(s->sys_flag, slice(s->body.ptr, s->body.len / 2),
						  4u << 20, &back, &len), MOSAIC_E_CORRUPT);
		send_free(s);
	}
	rig_close(&r);
}

static void wrong_messages_are_not_made(void **state)
{
	const struct send_shape plain = { .code = 0 };
	const struct send_shape half = { .sys_flag = SYS_TRANSACTION_PREPARED };
	struct mosaic_property p = { "a", "b" };
	struct rig r;
	struct send *s;
	(void)state;

	rig_open(&r, NS_A);
	r.sender.max_message = 10;
	struct mosaic_message m = rig_message("T", "12345678901");
#define REFUSED(shape, status)                                                                   \
	assert_int_equal(send_make(&r.sender, &m, MESSAGE_ID, shape, &s), status)
	REFUSED(&plain, MOSAIC_E_LIMIT);
	m = rig_message("A topic", "x");
	REFUSED(&plain, MOSAIC_E_INVAL);
	m = rig_message("T", "x");
	m.properties = &p;
	m.n_properties = 1;
	p.name = "TAGS";
	REFUSED(&plain, MOSAIC_E_INVAL);
	p.name = "";
	REFUSED(&plain, MOSAIC_E_INVAL);
	p = (struct mosaic_property){ "a", "b\2" };
	REFUSED(&plain, MOSAIC_E_INVAL);
	char *text = calloc(1, 40000);
	memset(text, 'x', 33000);
	p.value = text;
	REFUSED(&plain, MOSAIC_E_LIMIT);
	free(text);
	m = rig_message("T", "x");
	m.delay_level = 3;
	REFUSED(&half, MOSAIC_E_INVAL);
	m.deliver_ms = 5;
	REFUSED(&plain, MOSAIC_E_INVAL);
	m = rig_message("T", "x");
	m.struct_size = 8;
	REFUSED(&plain, MOSAIC_E_INVAL);
	rig_close(&r);
}

static void a_batch_reads_back_as_its_messages(void **state)
{
	struct rig r;
	struct mosaic_message m = rig_message("T", "one");
	struct batch_item item;
	(void)state;

	rig_open(&r, NS_A);
	m.tag = "A";
	size_t len = batch_item_len(&r.sender, &m, MESSAGE_ID);
	uint8_t *bytes = malloc(2 * len);
	uint8_t *at = batch_item_put(bytes, &m, MESSAGE_ID);
	assert_ptr_equal(at, bytes + len);
	m.body = slice_str("two");
	assert_ptr_equal(batch_item_put(at, &m, MESSAGE_ID), bytes + 2 * len);
	const uint8_t *from = bytes;
	assert_int_equal(batch_next(&from, bytes + 2 * len, &item), 1);
	assert_true(slice_is(item.body, "one"));
	assert_true(slice_is(props_find(item.props, PROP_TAGS), "A"));
	assert_int_equal(batch_next(&from, bytes + 2 * len, &item), 1);
	assert_true(slice_is(item.body, "two"));
	assert_int_equal(batch_next(&from, bytes + 2 * len, &item), 0);
	free(bytes);
	rig_close(&r);
}

static struct send *make(struct rig *r, const char *body, struct outcome *o)
{
	const struct send_shape plain = { .code = 0 };
	struct mosaic_message m = rig_message("T", body);
	struct send *s;

	*o = (struct outcome){ .n = 0 };
	assert_int_equal(send_make(&r->sender, &m, MESSAGE_ID, &plain, &s), 0);
	s->done = rig_ended;
	s->data = o;
	return s;
}

static void messages_that_come_together_go_as_one_batch(void **state)
{
	struct rig r;
	struct outcome o[4];
	struct fake_frame f;
	struct batch_item item;
	(void)state;

	rig_open(&r, NS_A);
	struct linger_set set = { .sender = &r.sender, .wait_ns = 5 * MS_NS, .bytes = 1000 };
	for (int i = 0; i < 3; i++)
		linger_add(&set, make(&r, "hello", &o[i]));
	fake_host_advance_ms(&r.host, 4);
	assert_int_equal(fake_net_attempts(r.net, NS_A), 0);
	fake_host_advance_ms(&r.host, 1);
	r.ns = rig_accept(&r, NS_A);
	rig_route(&r, 0, ONE_BROKER);
	struct mosaic_conn *a = rig_accept(&r, BROKER_A);
	f = rig_next(a, REQ_SEND_BATCH_MESSAGE);
	const uint8_t *at = f.body.ptr;
	for (int i = 0; i < 3; i++)
		assert_int_equal(batch_next(&at, f.body.ptr + f.body.len, &item), 1);
	assert_ptr_equal(at, f.body.ptr + f.body.len);
	fake_conn_respond(a, f.header.opaque, 0, NO_BODY, "msgId", "A,B,C", "queueId", "1",
			  "queueOffset", "7", NULL);
	for (int i = 0; i < 3; i++) {
		const char id[] = { (char)('A' + i), '\0' };
		assert_int_equal(o[i].n, 1);
		assert_int_equal(o[i].result.queue_offset, 7 + i);
		assert_string_equal(o[i].result.offset_id, id);
	}
	/* One alone goes as it is; what fills a batch does not wait. */
	linger_add(&set, make(&r, "hello", &o[0]));
	fake_host_advance_ms(&r.host, 5);
	f = rig_next(a, REQ_SEND_MESSAGE_V2);
	rig_stored(&r, a, &f, 0);
	char *text = calloc(1, 600);
	memset(text, 'x', 500);
	linger_add(&set, make(&r, text, &o[0]));
	linger_add(&set, make(&r, text, &o[1]));
	rig_next(a, REQ_SEND_MESSAGE_V2);
	linger_cancel(&set);
	assert_int_equal(o[1].result.status, MOSAIC_E_CANCELED);
	free(text);
	linger_free(&set);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_goes_to_a_queue_of_its_topic),
		cmocka_unit_test(a_dead_nameserver_is_followed_by_the_next),
		cmocka_unit_test(no_nameserver_at_all_is_told),
		cmocka_unit_test(a_new_topic_takes_queues_of_the_default_topic),
		cmocka_unit_test(a_topic_that_nobody_makes_is_not_found),
		cmocka_unit_test(a_refused_message_goes_to_another_broker),
		cmocka_unit_test(a_wrong_message_is_not_repeated),
		cmocka_unit_test(attempts_have_an_end),
		cmocka_unit_test(the_time_of_all_attempts_is_bounded),
		cmocka_unit_test(a_connection_that_is_ending_is_replaced),
		cmocka_unit_test(a_broker_that_does_not_read_is_waited_for),
		cmocka_unit_test(a_sharding_key_has_one_queue_and_one_attempt),
		cmocka_unit_test(a_chosen_queue_is_the_one),
		cmocka_unit_test(routes_are_asked_again_each_period),
		cmocka_unit_test(lost_queues_are_asked_for_again_soon),
		cmocka_unit_test(every_loss_is_looked_for_from_the_beginning),
		cmocka_unit_test(a_topic_that_is_gone_stays_known_for_half_a_minute),
		cmocka_unit_test(a_nameserver_that_has_lost_a_topic_is_followed_by_the_next),
		cmocka_unit_test(a_mute_nameserver_is_left_for_all_topics),
		cmocka_unit_test(a_group_is_told_on_each_new_connection_and_every_period),
		cmocka_unit_test(a_long_body_is_compressed_when_that_helps),
		cmocka_unit_test(wrong_messages_are_not_made),
		cmocka_unit_test(a_batch_reads_back_as_its_messages),
		cmocka_unit_test(messages_that_come_together_go_as_one_batch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
