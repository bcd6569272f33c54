#include "rpc_fixture.h"

#define NS "ns:9876"

struct dialed {
	struct dial_wait wait;
	uint32_t n_done;
	struct peer *peer;
	char why[96];
};

static void dialed_done(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct dialed *d = wait->data;

	d->n_done++;
	d->peer = peer;
	snprintf(d->why, sizeof(d->why), "%s", why);
}

static void get(struct dialer *d, struct dialed *out)
{
	*out = (struct dialed){ .wait = { .done = dialed_done } };
	out->wait.data = out;
	dialer_get(d, NS, 3 * SECOND_NS, &out->wait);
}

static void setup_dialer(struct fixture *f, struct dialer *d)
{
	setup(f);
	dialer_init(d, &f->host.host, &fake_net_ops, fake_net_transport(f->net), &f->handler);
}

static void teardown_dialer(struct fixture *f, struct dialer *d)
{

	dialer_close(d);
	while (fake_net_refuse(f->net, NS, "test is over"))
		;
	fake_host_run(&f->host);
	dialer_free(d);
	teardown(f);
}

static void callers_share_one_connection_and_later_ones_get_it_at_once(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a, b, c;

	(void)state;
	setup_dialer(&f, &d);
	assert_null(dialer_peek(&d, NS));
	get(&d, &a);
	get(&d, &b);
	assert_int_equal(a.n_done + b.n_done, 0);
	assert_int_equal(fake_net_attempts(f.net, NS), 1);
	assert_non_null(fake_net_accept(f.net, NS));
	assert_int_equal(a.n_done, 1);
	assert_non_null(a.peer);
	assert_ptr_equal(a.peer, b.peer);
	get(&d, &c);
	assert_ptr_equal(c.peer, a.peer);
	assert_ptr_equal(dialer_peek(&d, NS), a.peer);
	assert_int_equal(fake_net_attempts(f.net, NS), 1);
	teardown_dialer(&f, &d);
}

static void a_refused_connection_is_told_and_tried_again_after_a_second(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a, b;

	(void)state;
	setup_dialer(&f, &d);
	get(&d, &a);
	assert_true(fake_net_refuse(f.net, NS, "connection refused"));
	assert_int_equal(a.n_done, 1);
	assert_null(a.peer);
	assert_string_equal(a.why, "connection refused");
	get(&d, &b);
	fake_host_advance_ms(&f.host, 999);
	assert_int_equal(fake_net_attempts(f.net, NS), 1);
	fake_host_advance_ms(&f.host, 1);
	assert_int_equal(fake_net_attempts(f.net, NS), 2);
	assert_non_null(fake_net_accept(f.net, NS));
	assert_non_null(b.peer);
	teardown_dialer(&f, &d);
}

static void a_broken_connection_is_made_anew_for_the_next_caller(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a, b;
	struct mosaic_conn *far;

	(void)state;
	setup_dialer(&f, &d);
	get(&d, &a);
	far = fake_net_accept(f.net, NS);
	fake_host_advance_ms(&f.host, 5000);
	fake_conn_close(far);
	fake_host_run(&f.host);
	assert_int_equal(f.n_closed, 1);
	assert_null(dialer_peek(&d, NS));
	get(&d, &b);
	fake_host_run(&f.host);
	assert_int_equal(fake_net_attempts(f.net, NS), 2);
	assert_non_null(fake_net_accept(f.net, NS));
	assert_non_null(b.peer);
	teardown_dialer(&f, &d);
}

static void a_caller_that_comes_between_close_and_closed_gets_a_new_connection(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a, b;

	(void)state;
	setup_dialer(&f, &d);
	get(&d, &a);
	assert_non_null(fake_net_accept(f.net, NS));
	peer_close(a.peer, true, "test");
	get(&d, &b);
	assert_int_equal(b.n_done, 0);
	fake_host_advance_ms(&f.host, 1000);
	assert_int_equal(fake_net_attempts(f.net, NS), 2);
	assert_non_null(fake_net_accept(f.net, NS));
	assert_non_null(b.peer);
	assert_true(peer_is_open(b.peer));
	teardown_dialer(&f, &d);
}

static void a_caller_waits_no_longer_than_it_said(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a, b;

	(void)state;
	setup_dialer(&f, &d);
	get(&d, &a);
	b = (struct dialed){ .wait = { .done = dialed_done } };
	b.wait.data = &b;
	dialer_get(&d, NS, 300 * MS_NS, &b.wait);
	fake_host_advance_ms(&f.host, 300);
	assert_int_equal(b.n_done, 1);
	assert_null(b.peer);
	assert_int_equal(a.n_done, 0);
	fake_host_advance_ms(&f.host, 2700);
	assert_int_equal(a.n_done, 1);
	assert_null(a.peer);
	teardown_dialer(&f, &d);
}

static void a_canceled_wait_hears_nothing(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a = { 0 };

	(void)state;
	setup_dialer(&f, &d);
	dialer_cancel(&d, &a.wait); /* it never waited */
	get(&d, &a);
	dialer_cancel(&d, &a.wait);
	dialer_cancel(&d, &a.wait);
	assert_non_null(fake_net_accept(f.net, NS));
	assert_int_equal(a.n_done, 0);
	assert_non_null(dialer_peek(&d, NS));
	teardown_dialer(&f, &d);
}

static void closing_ends_waits_and_connections_also_one_that_is_being_made(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a, b;
	struct mosaic_conn *far;

	(void)state;
	setup_dialer(&f, &d);
	get(&d, &a);
	dialer_close(&d);
	assert_int_equal(a.n_done, 1);
	assert_null(a.peer);
	far = fake_net_accept(f.net, NS);
	assert_true(fake_conn_is_closed(far));
	get(&d, &b);
	assert_int_equal(b.n_done, 1);
	assert_null(b.peer);
	teardown_dialer(&f, &d);
}

static void requests_that_come_back_on_a_dialed_connection_reach_the_handler(void **state)
{
	struct fixture f;
	struct dialer d;
	struct dialed a;
	struct mosaic_conn *far;
	struct fake_frame frame;

	(void)state;
	setup_dialer(&f, &d);
	get(&d, &a);
	far = fake_net_accept(f.net, NS);
	fake_conn_request(far, REQ_NOTIFY_MIN_BROKER_ID_CHANGE, NO_BODY, NULL);
	assert_int_equal(f.n_requests, 1);
	assert_int_equal(f.n_bursts, 1);
	d.handler = NULL;
	fake_conn_request(far, REQ_NOTIFY_MIN_BROKER_ID_CHANGE, NO_BODY, NULL);
	assert_true(fake_conn_next(far, &frame));
	assert_int_equal(frame.header.code, RES_REQUEST_CODE_NOT_SUPPORTED);
	teardown_dialer(&f, &d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(callers_share_one_connection_and_later_ones_get_it_at_once),
		cmocka_unit_test(a_refused_connection_is_told_and_tried_again_after_a_second),
		cmocka_unit_test(a_broken_connection_is_made_anew_for_the_next_caller),
		cmocka_unit_test(
			a_caller_that_comes_between_close_and_closed_gets_a_new_connection),
		cmocka_unit_test(a_caller_waits_no_longer_than_it_said),
		cmocka_unit_test(a_canceled_wait_hears_nothing),
		cmocka_unit_test(closing_ends_waits_and_connections_also_one_that_is_being_made),
		cmocka_unit_test(requests_that_come_back_on_a_dialed_connection_reach_the_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
