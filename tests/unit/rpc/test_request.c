#include "rpc_fixture.h"

/* Sends one request, whose handler answers, and takes the answer. */
static struct fake_frame ask(struct fixture *f, void (*handler)(struct fixture *, struct request *))
{
	struct fake_frame frame;
	struct mosaic_conn *c = fake_net_dial(f->net, "here:1");

	f->on_request = handler;
	fake_conn_request(c, 77, slice_str("a body"), "one", "1", "two", "z\"\\\n", NULL);
	assert_true(fake_conn_next(c, &frame));
	return frame;
}

static void answer_with_fields(struct fixture *f, struct request *req)
{
	struct reply r;

	(void)f;
	assert_true(reply_begin(&r, &req->ticket, RES_SUCCESS, REPLY_ROOM, 5));
	header_put_str(&r.w, "msgId", "7F000001");
	header_put_i64(&r.w, "offset", -7);
	header_put_bool(&r.w, "changed", true);
	reply_end_copy(&r, slice_str("hello"));
}

static void fields_and_body_arrive_as_written(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	int64_t offset;

	(void)state;
	setup(&f);
	frame = ask(&f, answer_with_fields);
	assert_int_equal(frame.header.code, RES_SUCCESS);
	assert_true(slice_is(header_str(&frame.header, "msgId"), "7F000001"));
	assert_int_equal(header_i64(&frame.header, "offset", &offset), 0);
	assert_int_equal(offset, -7);
	assert_true(header_bool(&frame.header, "changed", false));
	assert_null(frame.header.remark.ptr);
	assert_true(slice_is(frame.body, "hello"));
	teardown(&f);
}

static void answer_with_remark(struct fixture *f, struct request *req)
{
	(void)f;
	reply_remark(&req->ticket, 17, "line one\nsaid \"%s\" \\ \x01", "x");
}

static void a_remark_with_any_characters_survives(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ask(&f, answer_with_remark);
	assert_int_equal(frame.header.code, 17);
	assert_true(slice_is(frame.header.remark, "line one\nsaid \"x\" \\ \x01"));
	teardown(&f);
}

static void answer_with_long_remark(struct fixture *f, struct request *req)
{
	char text[10001];

	(void)f;
	memset(text, 'x', sizeof(text) - 1);
	for (uint32_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "\xE2\x82\xAC", 3); /* the euro sign */
	text[sizeof(text) - 1] = 0;
	reply_remark(&req->ticket, 1, "%s", text);
}

static void a_long_remark_is_cut_between_characters(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ask(&f, answer_with_long_remark);
	assert_true(frame.header.remark.len > 2000);
	assert_true(frame.header.remark.len < 2048);
	assert_int_equal(frame.header.remark.len % 3, 0);
	teardown(&f);
}

static void answer_too_long(struct fixture *f, struct request *req)
{
	char value[2000];
	struct reply r;

	(void)f;
	memset(value, 'v', sizeof(value));
	assert_true(reply_begin(&r, &req->ticket, RES_SUCCESS, REPLY_ROOM, 0));
	header_put(&r.w, "value", slice(value, sizeof(value)));
	reply_end(&r);
}

static void fields_beyond_the_room_become_code_1_and_an_error_in_the_log(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ask(&f, answer_too_long);
	assert_int_equal(frame.header.code, RES_SYSTEM_ERROR);
	assert_true(fake_host_logged(&f.host, "error reply_too_long"));
	teardown(&f);
}

static void oneway_handler(struct fixture *f, struct request *req)
{
	struct reply r;

	(void)f;
	assert_true(req->ticket.oneway);
	assert_false(reply_begin(&r, &req->ticket, 0, REPLY_ROOM, 0));
	reply_missing(&req->ticket, "topic");
	reply_unsupported(req);
}

static void a_oneway_request_gets_no_answer_not_even_an_error(void **state)
{
	struct fixture f;
	struct fake_frame frame;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	f.on_request = oneway_handler;
	c = fake_net_dial(f.net, "here:1");
	fake_conn_oneway(c, 77, NO_BODY, NULL);
	assert_int_equal(f.n_requests, 1);
	assert_false(fake_conn_next(c, &frame));
	teardown(&f);
}

static void unsupported(struct fixture *f, struct request *req)
{
	(void)f;
	reply_unsupported(req);
}

static void an_unknown_code_is_answered_in_javas_words(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ask(&f, unsupported);
	assert_int_equal(frame.header.code, RES_REQUEST_CODE_NOT_SUPPORTED);
	assert_true(slice_is(frame.header.remark, " request type 77 not supported"));
	teardown(&f);
}

static void answer_ok(struct fixture *f, struct request *req)
{
	(void)f;
	reply_code(&req->ticket, RES_SUCCESS);
}

static void a_peer_that_does_not_read_its_answers_is_closed(void **state)
{
	struct fixture f;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	f.on_request = answer_ok;
	c = fake_net_dial(f.net, "here:1");
	fake_conn_block(c, true);
	fake_conn_request(c, 77, NO_BODY, NULL);
	assert_true(fake_conn_is_closed(c));
	assert_true(fake_host_logged(&f.host, "warn peer_does_not_read"));
	fake_host_run(&f.host);
	assert_int_equal(f.n_closed, 1);
	teardown(&f);
}

static void keep(struct fixture *f, struct request *req)
{
	f->kept = request_keep(req);
}

static void a_kept_request_outlives_its_frame_and_its_connection(void **state)
{
	struct fixture f;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	f.on_request = keep;
	c = fake_net_dial(f.net, "here:1");
	fake_conn_request(c, 77, slice_str("a body"), "one", "1", "two", "z\"\\\n", NULL);
	fake_conn_close(c);
	fake_host_run(&f.host);
	assert_non_null(f.kept);
	assert_true(f.kept->bytes >= strlen("a body") + strlen("one1twoz\"\\\n"));
	assert_int_equal(f.kept->req.header.code, 77);
	assert_true(slice_is(header_str(&f.kept->req.header, "one"), "1"));
	assert_true(slice_is(header_str(&f.kept->req.header, "two"), "z\"\\\n"));
	assert_true(slice_is(f.kept->req.body, "a body"));
	kept_request_free(f.kept);
	teardown(&f);
}

struct spans {
	struct mosaic_out_span a, b;
	uint32_t released;
};

static struct spans spans;

static void span_release(struct mosaic_out_span *span)
{
	((struct spans *)span->data)->released++;
}

static void answer_spans(struct fixture *f, struct request *req)
{
	struct reply r;

	(void)f;
	spans = (struct spans){
		.a = { .ptr = (const uint8_t *)"hello ",
		       .len = 6,
		       .release = span_release,
		       .data = &spans },
		.b = { .ptr = (const uint8_t *)"world",
		       .len = 5,
		       .release = span_release,
		       .data = &spans },
	};
	spans.a.next = &spans.b;
	assert_true(reply_begin(&r, &req->ticket, RES_SUCCESS, REPLY_ROOM, 0));
	if (f->kept) /* the test wants the transport to refuse from here on */
		fake_conn_block((struct mosaic_conn *)(void *)f->kept, true);
	reply_end_spans(&r, &spans.a, 11);
}

static void a_body_of_spans_follows_the_header_and_every_span_is_released_once(void **state)
{
	struct fixture f;
	struct fake_frame frame;

	(void)state;
	setup(&f);
	frame = ask(&f, answer_spans);
	assert_true(slice_is(frame.body, "hello world"));
	assert_int_equal(spans.released, 0);
	fake_host_run(&f.host);
	assert_int_equal(spans.released, 2);
	teardown(&f);
}

static void spans_that_the_transport_refuses_are_released_and_the_connection_closed(void **state)
{
	struct fixture f;
	struct mosaic_conn *c;

	(void)state;
	setup(&f);
	f.on_request = answer_spans;
	c = fake_net_dial(f.net, "here:1");
	f.kept = (struct kept_request *)(void *)c;
	fake_conn_request(c, 77, NO_BODY, NULL);
	assert_int_equal(spans.released, 2);
	assert_true(fake_conn_is_closed(c));
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_and_body_arrive_as_written),
		cmocka_unit_test(a_remark_with_any_characters_survives),
		cmocka_unit_test(a_long_remark_is_cut_between_characters),
		cmocka_unit_test(fields_beyond_the_room_become_code_1_and_an_error_in_the_log),
		cmocka_unit_test(a_oneway_request_gets_no_answer_not_even_an_error),
		cmocka_unit_test(an_unknown_code_is_answered_in_javas_words),
		cmocka_unit_test(a_peer_that_does_not_read_its_answers_is_closed),
		cmocka_unit_test(a_kept_request_outlives_its_frame_and_its_connection),
		cmocka_unit_test(
			a_body_of_spans_follows_the_header_and_every_span_is_released_once),
		cmocka_unit_test(
			spans_that_the_transport_refuses_are_released_and_the_connection_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
