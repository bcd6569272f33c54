#include "rpc_fixture.h"

struct asked {
	struct call call;
	uint32_t n_done;
	int status;
	int32_t code;
	char body[32];
};

static void asked_done(struct call *call)
{
	struct asked *a = call->data;

	a->n_done++;
	a->status = call->status;
	if (call->status == 0) {
		a->code = call->response->code;
		snprintf(a->body, sizeof(a->body), "%.*s", SLICE_ARG(call->body));
	}
}

/* A connected peer of ours and the connection's far end. */
static struct peer *connected(struct fixture *f, struct mosaic_conn **far)
{
	f->on_request = NULL;
	*far = fake_net_dial(f->net, "here:1");
	fake_conn_oneway(*far, 1, NO_BODY, NULL); /* so that the fixture sees the peer */
	return f->last_peer;
}

static void ask(struct peer *peer, struct asked *a, const char *value, uint64_t timeout_ns)
{
	struct call_writer cw;

	*a = (struct asked){ .call = { .done = asked_done } };
	a->call.data = a;
	assert_true(call_begin(&cw, peer, REQ_REGISTER_BROKER, false, CALL_ROOM, 16));
	header_put_str(&cw.w, "brokerName", value);
	call_end(&cw, slice_str("body"), &a->call, timeout_ns);
}

static void an_answer_ends_its_call_in_any_order(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct fake_frame first, second;
	struct asked a, b;
	struct peer *peer;

	(void)state;
	setup(&f);
	peer = connected(&f, &far);
	ask(peer, &a, "broker-a", SECOND_NS);
	ask(peer, &b, "broker-b", SECOND_NS);
	assert_true(fake_conn_next(far, &first));
	assert_true(fake_conn_next(far, &second));
	assert_int_equal(first.header.flag, 0);
	assert_int_equal(first.header.version, VERSION_V5_3_3);
	assert_true(slice_is(header_str(&first.header, "brokerName"), "broker-a"));
	assert_true(slice_is(first.body, "body"));
	assert_int_not_equal(first.header.opaque, second.header.opaque);
	fake_conn_respond(far, second.header.opaque, 0, slice_str("to b"), NULL);
	assert_int_equal(a.n_done, 0);
	assert_int_equal(b.n_done, 1);
	assert_int_equal(b.status, 0);
	assert_string_equal(b.body, "to b");
	fake_conn_respond(far, first.header.opaque, 17, NO_BODY, NULL);
	fake_conn_respond(far, first.header.opaque, 0, NO_BODY, NULL); /* a second one: ignored */
	assert_int_equal(a.n_done, 1);
	assert_int_equal(a.code, 17);
	fake_host_advance_ms(&f.host, 5000);
	assert_int_equal(a.n_done, 1);
	teardown(&f);
}

static void a_call_without_an_answer_times_out(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct fake_frame frame;
	struct asked a;

	(void)state;
	setup(&f);
	ask(connected(&f, &far), &a, "x", 3 * SECOND_NS);
	fake_host_advance_ms(&f.host, 2999);
	assert_int_equal(a.n_done, 0);
	fake_host_advance_ms(&f.host, 1);
	assert_int_equal(a.n_done, 1);
	assert_int_equal(a.status, MOSAIC_E_TIMEOUT);
	assert_true(fake_conn_next(far, &frame));
	fake_conn_respond(far, frame.header.opaque, 0, NO_BODY, NULL); /* too late */
	assert_int_equal(a.n_done, 1);
	assert_false(fake_conn_is_closed(far));
	teardown(&f);
}

static void a_connection_that_breaks_ends_all_its_calls(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct asked a, b;
	struct peer *peer;

	(void)state;
	setup(&f);
	peer = connected(&f, &far);
	ask(peer, &a, "x", SECOND_NS);
	ask(peer, &b, "x", SECOND_NS);
	fake_conn_close(far);
	fake_host_run(&f.host);
	assert_int_equal(a.status, MOSAIC_E_CLOSED);
	assert_int_equal(b.status, MOSAIC_E_CLOSED);
	assert_int_equal(a.n_done + b.n_done, 2);
	assert_int_equal(fake_host_timers(&f.host), 0);
	teardown(&f);
}

static void a_canceled_call_ends_at_once_and_only_once(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct asked a;

	(void)state;
	setup(&f);
	ask(connected(&f, &far), &a, "x", SECOND_NS);
	call_cancel(&a.call);
	call_cancel(&a.call);
	assert_int_equal(a.n_done, 1);
	assert_int_equal(a.status, MOSAIC_E_CANCELED);
	assert_int_equal(fake_host_timers(&f.host), 0);
	teardown(&f);
}

static void a_peer_that_does_not_read_or_is_closed_takes_no_call(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct call_writer cw;
	struct peer *peer;

	(void)state;
	setup(&f);
	peer = connected(&f, &far);
	fake_conn_block(far, true);
	assert_false(call_begin(&cw, peer, 40, true, CALL_ROOM, 0));
	assert_false(fake_conn_is_closed(far));
	fake_conn_block(far, false);
	peer_ref(peer);
	peer_close(peer, true, "test");
	assert_false(call_begin(&cw, peer, 40, true, CALL_ROOM, 0));
	fake_host_run(&f.host);
	peer_unref(peer);
	teardown(&f);
}

static void a_connection_that_is_ending_takes_no_call_and_is_closed_by_it(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct call_writer cw;
	struct peer *peer;
	struct asked a;

	(void)state;
	setup(&f);
	peer = peer_ref(connected(&f, &far));
	ask(peer, &a, "x", SECOND_NS);
	fake_conn_close(far); /* seen by the transport, not told yet */
	assert_true(peer_is_open(peer));
	assert_false(call_begin(&cw, peer, 40, true, CALL_ROOM, 0));
	assert_false(peer_is_open(peer));
	assert_int_equal(a.n_done, 0);
	fake_host_run(&f.host);
	assert_int_equal(a.status, MOSAIC_E_CLOSED);
	peer_unref(peer);
	teardown(&f);
}

static void fields_beyond_the_room_end_the_call_with_limit(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct fake_frame frame;
	char value[2000];
	struct asked a;

	(void)state;
	setup(&f);
	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = 0;
	ask(connected(&f, &far), &a, value, SECOND_NS);
	assert_int_equal(a.n_done, 0);
	fake_host_run(&f.host);
	assert_int_equal(a.n_done, 1);
	assert_int_equal(a.status, MOSAIC_E_LIMIT);
	assert_false(fake_conn_next(far, &frame));
	teardown(&f);
}

static void a_oneway_request_carries_flag_2(void **state)
{
	struct fixture f;
	struct mosaic_conn *far;
	struct call_writer cw;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	assert_true(call_begin(&cw, connected(&f, &far), REQ_NOTIFY_CONSUMER_IDS_CHANGED, true,
			       CALL_ROOM, 0));
	header_put_str(&cw.w, "consumerGroup", "g");
	call_end_oneway(&cw, NO_BODY);
	assert_true(fake_conn_next(far, &frame));
	assert_int_equal(frame.header.flag, HEADER_ONEWAY);
	assert_true(slice_is(header_str(&frame.header, "consumerGroup"), "g"));
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_ends_its_call_in_any_order),
		cmocka_unit_test(a_call_without_an_answer_times_out),
		cmocka_unit_test(a_connection_that_breaks_ends_all_its_calls),
		cmocka_unit_test(a_canceled_call_ends_at_once_and_only_once),
		cmocka_unit_test(a_peer_that_does_not_read_or_is_closed_takes_no_call),
		cmocka_unit_test(a_connection_that_is_ending_takes_no_call_and_is_closed_by_it),
		cmocka_unit_test(fields_beyond_the_room_end_the_call_with_limit),
		cmocka_unit_test(a_oneway_request_carries_flag_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
