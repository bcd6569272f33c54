#include "rpc_fixture.h"

static void a_request_reaches_the_handler_with_its_fields_and_body(struct fixture *f,
								   struct request *req)
{
	(void)f;
	assert_int_equal(req->header.code, 77);
	assert_true(slice_is(header_str(&req->header, "topic"), "T"));
	assert_true(slice_is(req->body, "hello"));
	assert_false(req->ticket.oneway);
	reply_code(&req->ticket, RES_SUCCESS);
}

static void a_request_is_handled_and_answered_under_its_opaque(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	struct mosaic_conn *c;
	int32_t opaque;

	(void)state;
	setup(&f);
	f.on_request = a_request_reaches_the_handler_with_its_fields_and_body;
	c = fake_net_dial(f.net, "here:1");
	assert_non_null(c);
	fake_conn_request(c, 77, slice_str("hello"), "topic", "T", NULL);
	opaque = fake_conn_request(c, 77, slice_str("hello"), "topic", "T", NULL);
	assert_int_equal(f.n_requests, 2);
	assert_int_equal(f.n_bursts, 2);
	assert_true(fake_conn_next(c, &frame));
	assert_true(fake_conn_next(c, &frame));
	assert_int_equal(frame.header.opaque, opaque);
	assert_int_equal(frame.header.flag, HEADER_RESPONSE);
	assert_int_equal(frame.header.version, VERSION_V5_3_3);
	assert_int_equal(frame.header.serialize, SERIALIZE_JSON);
	assert_int_equal(frame.header.language, LANGUAGE_JAVA);
	assert_false(fake_conn_next(c, &frame));
	teardown(&f);
}

static void a_corrupt_frame_closes_the_connection_without_an_answer(void **state)
{
	static const char frame[] = "\x00\x00\x00\x05{\"cod";
	struct fixture f;
	struct fake_frame answer;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	c = fake_net_dial(f.net, "here:1");
	fake_conn_raw(c, frame, sizeof(frame) - 1);
	assert_true(fake_conn_is_closed(c));
	assert_false(fake_conn_next(c, &answer));
	assert_true(fake_host_logged(&f.host, "warn frame_corrupt"));
	/* What the transport had read already is dropped. */
	fake_conn_request(c, 77, NO_BODY, NULL);
	assert_int_equal(f.n_requests, 0);
	fake_host_run(&f.host);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.pl.n_peers, 0);
	teardown(&f);
}

static void peers_do_not_fill_the_log(void **state)
{
	static const char frame[] = "\x00\x00\x00\x05{\"cod";
	struct fixture f;
	int lines = 0;

	(void)state;
	setup(&f);
	for (int i = 0; i < PEER_LINES_PER_SECOND + 30; i++) {
		fake_conn_raw(fake_net_dial(f.net, "here:1"), frame, sizeof(frame) - 1);
		fake_host_run(&f.host);
	}
	for (const char *at = buf_cstr(&f.host.log); (at = strstr(at, "frame_corrupt")); at++)
		lines++;
	assert_int_equal(lines, PEER_LINES_PER_SECOND);
	fake_host_clear_log(&f.host);
	fake_host_advance_ms(&f.host, 1000);
	fake_conn_raw(fake_net_dial(f.net, "here:1"), frame, sizeof(frame) - 1);
	assert_true(fake_host_logged(&f.host, "warn lines_left_out count=30"));
	assert_true(fake_host_logged(&f.host, "warn frame_corrupt"));
	teardown(&f);
}

/* Requests, then a frame that is none, in one read: the transport ends and knows no burst_end. */
static void a_burst_ends_with_its_connection(void **state)
{
	struct fixture f;
	struct mosaic_conn *c;
	uint32_t bursts;

	(void)state;
	setup(&f);
	c = fake_net_dial(f.net, "here:1");
	fake_conn_request(c, 77, NO_BODY, NULL);
	bursts = f.n_bursts;
	fake_conn_close(c);
	fake_host_run(&f.host);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.n_bursts, bursts + 1);
	teardown(&f);
}

static void an_answer_that_nobody_waits_for_is_ignored(void **state)
{
	struct fixture f;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	c = fake_net_dial(f.net, "here:1");
	fake_conn_respond(c, 4711, 0, NO_BODY, NULL);
	assert_int_equal(f.n_requests, 0);
	assert_false(fake_conn_is_closed(c));
	assert_true(fake_host_logged(&f.host, "debug answer_unexpected"));
	fake_conn_request(c, 77, NO_BODY, NULL);
	assert_int_equal(f.n_requests, 1);
	teardown(&f);
}

static void connections_above_the_limit_are_refused_until_one_is_gone(void **state)
{
	struct fixture f;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	c = fake_net_dial(f.net, "here:1");
	assert_non_null(fake_net_dial(f.net, "here:1"));
	assert_non_null(fake_net_dial(f.net, "here:1"));
	assert_null(fake_net_dial(f.net, "here:1"));
	assert_true(fake_host_logged(&f.host, "warn connection_refused"));
	fake_conn_close(c);
	fake_host_run(&f.host);
	assert_int_equal(f.pl.n_peers, 2);
	assert_non_null(fake_net_dial(f.net, "here:1"));
	teardown(&f);
}

static void keep_ticket(struct fixture *f, struct request *req)
{
	f->ticket = ticket_keep(&req->ticket);
}

static void answering_after_the_connection_is_gone_does_nothing(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	f.on_request = keep_ticket;
	c = fake_net_dial(f.net, "here:1");
	fake_conn_request(c, 77, NO_BODY, NULL);
	fake_conn_close(c);
	fake_host_run(&f.host);
	assert_int_equal(f.n_closed, 1);
	assert_false(peer_is_open(f.ticket.peer));
	reply_remark(&f.ticket, 1, "too late");
	assert_false(fake_conn_next(c, &frame));
	ticket_drop(&f.ticket);
	assert_null(f.ticket.peer);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_handled_and_answered_under_its_opaque),
		cmocka_unit_test(a_corrupt_frame_closes_the_connection_without_an_answer),
		cmocka_unit_test(peers_do_not_fill_the_log),
		cmocka_unit_test(a_burst_ends_with_its_connection),
		cmocka_unit_test(an_answer_that_nobody_waits_for_is_ignored),
		cmocka_unit_test(connections_above_the_limit_are_refused_until_one_is_gone),
		cmocka_unit_test(answering_after_the_connection_is_gone_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
