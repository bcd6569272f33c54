/*
 * transport-memory against its contract (TRANS-01..05), over the simulated network: two nodes,
 * bytes in pieces, drawn delays.
 */
#include "sim/simhost.h"
#include "sim/simnet.h"
#include "base/bytes.h"
#include "base/err.h"
#include "plugin/value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct mosaic_plugin mosaic_plugin_transport_memory;

#define MAX_FRAME 4096u
#define SPANS 4000

struct fixture;

/* One side: counts what it hears, checks that frames are whole and in order. */
struct side {
	struct fixture *f;
	struct sim_node *node;
	struct mosaic_transport *transport;
	struct mosaic_conn *conn;
	uint32_t n_frames, n_bursts, n_writable, n_closed, n_released, n_spans;
	uint64_t pending_most;
	bool in_call; /* the test calls the transport: no callback may run */
	int32_t status;
	char why[96];
	void (*on_frame)(struct side *s, const uint8_t *frame, uint32_t len);
};

struct fixture {
	struct sim sim;
	const struct mosaic_transport_ops *ops;
	uint64_t options[8];
	struct side server, client;
	struct mosaic_listener listener;
	struct mosaic_connect connect;
	struct mosaic_error error;
	bool is_connected;
	struct mosaic_out_span spans[SPANS];
	uint32_t n_spans;
	uint8_t bytes[MAX_FRAME];
};

static void on_frame(void *user, struct mosaic_conn *conn, uint8_t *frame, uint32_t len)
{
	struct side *s = user;

	assert_false(s->in_call);
	assert_ptr_equal(conn, s->conn);
	assert_int_equal(get_be32(frame), s->n_frames);
	for (uint32_t i = 4; i < len; i++)
		assert_int_equal(frame[i], (uint8_t)(len + i));
	s->n_frames++;
	if (s->on_frame != NULL)
		s->on_frame(s, frame, len);
}

static void on_burst_end(void *user, struct mosaic_conn *conn)
{
	(void)conn;
	((struct side *)user)->n_bursts++;
}

static void on_writable(void *user, struct mosaic_conn *conn)
{
	struct side *s = user;

	(void)conn;
	assert_false(s->in_call);
	s->n_writable++;
}

static void on_closed(void *user, struct mosaic_conn *conn, int32_t status, const char *why)
{
	struct side *s = user;

	(void)conn;
	assert_false(s->in_call);
	assert_int_equal(s->n_released, s->n_spans); /* TRANS-03: before closed() */
	s->n_closed++;
	s->conn = NULL;
	s->status = status;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static const struct mosaic_conn_events events = { .struct_size = sizeof(events),
						  .frame = on_frame,
						  .burst_end = on_burst_end,
						  .writable = on_writable,
						  .closed = on_closed };

static int32_t on_accepted(void *user, struct mosaic_conn *conn, const struct mosaic_address *peer,
			   const struct mosaic_conn_events **ev, void **conn_user)
{
	struct fixture *f = user;

	assert_memory_equal(peer->text, "10.0.0.2:", 9);
	f->server.conn = conn;
	*ev = &events;
	*conn_user = &f->server;
	return 0;
}

static void on_connected(struct mosaic_req *req)
{
	struct fixture *f = req->data;

	f->is_connected = true;
	f->client.conn = req->status == 0 ? f->connect.conn : NULL;
}

static void side_init(struct fixture *f, struct side *s, const char *name)
{
	s->f = f;
	s->node = sim_node_add(&f->sim, name);
	struct sim_node *was = sim_enter(&f->sim, s->node);
	const struct mosaic_host *host = s->node->hosts.make(s->node, name, NULL, NULL);
	assert_int_equal(f->ops->create(host, f->options, &s->transport, &f->error), 0);
	sim_leave(&f->sim, was);
}

static void option(struct fixture *f, const char *name, const char *value)
{
	const struct mosaic_plugin *p = &mosaic_plugin_transport_memory;

	for (uint32_t i = 0; i < p->n_options; i++)
		if (strcmp(p->options[i].name, name) == 0)
			assert_int_equal(value_set(&p->options[i], slice_str(value), f->options,
						   NULL), 0);
}

static void setup(struct fixture *f, uint64_t seed)
{
	memset(f, 0, sizeof(*f));
	f->error.struct_size = sizeof(f->error);
	f->ops = mosaic_plugin_transport_memory.ops;
	sim_init(&f->sim, seed);
	assert_int_equal(value_defaults(mosaic_plugin_transport_memory.options,
					mosaic_plugin_transport_memory.n_options, f->options, NULL),
			 0);
	option(f, "highPending", "64KiB");
	option(f, "maxPending", "256KiB");
	side_init(f, &f->server, "server");
	side_init(f, &f->client, "client");
}

static void connect_to(struct fixture *f, const char *address)
{
	f->is_connected = false;
	f->connect = (struct mosaic_connect){ .req = { .done = on_connected, .data = f },
					      .address = address,
					      .max_frame = MAX_FRAME,
					      .timeout_ns = 3 * SECOND_NS,
					      .events = &events,
					      .user = &f->client,
					      .error = &f->error };
	assert_true(f->ops->connect(f->client.transport, &f->connect) >= 0);
	assert_false(f->is_connected);
}

static void open_pair(struct fixture *f, uint64_t seed)
{
	setup(f, seed);
	f->listener = (struct mosaic_listener){ .address = "0.0.0.0:1000", .max_frame = MAX_FRAME,
						.user = f, .accepted = on_accepted };
	assert_int_equal(f->ops->listen(f->server.transport, &f->listener, &f->error), 0);
	connect_to(f, "10.0.0.1:1000");
	sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
	assert_non_null(f->client.conn);
	assert_non_null(f->server.conn);
}

static void on_transport_closed(struct mosaic_req *req)
{
	*(bool *)req->data = true;
}

static void side_close(struct side *s)
{
	struct fixture *f = s->f;
	bool done = false;
	struct mosaic_req req = { .done = on_transport_closed, .data = &done };
	struct sim_node *was = sim_enter(&f->sim, s->node);

	s->in_call = true;
	assert_true(f->ops->close(s->transport, &req) >= 0);
	s->in_call = false;
	sim_leave(&f->sim, was);
	sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
	assert_true(done);
	assert_null(s->conn);
	f->ops->destroy(s->transport);
	assert_int_equal(sim_node_end(s->node), 0); /* nothing leaks */
}

static void teardown(struct fixture *f)
{
	side_close(&f->client);
	side_close(&f->server);
	assert_false(f->sim.has_failed);
	sim_fini(&f->sim);
}

static void on_release(struct mosaic_out_span *span)
{
	struct side *s = span->data;

	assert_false(s->in_call);
	s->n_released++;
}

static void fill(uint8_t *frame, uint32_t number, uint32_t len)
{
	put_be32(frame, len);
	put_be32(frame + 4, number);
	for (uint32_t i = 4; i < len; i++)
		frame[4 + i] = (uint8_t)(len + i);
}

/* One numbered frame, by commit or as a head and a span. False: refused. */
static bool send_frame(struct side *s, uint32_t number, bool as_span)
{
	struct fixture *f = s->f;
	uint32_t len = 4 + number * 37 % 1500, head = as_span ? 8 : 4 + len;
	struct sim_node *was = sim_enter(&f->sim, s->node);
	bool sent = false;

	s->in_call = true;
	fill(f->bytes, number, len);
	uint8_t *room = f->ops->reserve(s->conn, head);
	if (room != NULL) {
		memcpy(room, f->bytes, head);
		f->ops->commit(s->conn, head);
		sent = true;
	}
	if (sent && as_span && len > 4) {
		/* All frames of one length have the same bytes behind the number. */
		static uint8_t bodies[1500][1500];
		struct mosaic_out_span *span = &f->spans[f->n_spans++];

		assert_true(f->n_spans <= SPANS);
		memcpy(bodies[len - 4], f->bytes + 8, len - 4);
		*span = (struct mosaic_out_span){ .ptr = bodies[len - 4], .len = len - 4,
						  .release = on_release, .data = s };
		assert_int_equal(f->ops->send_span(s->conn, span), 0);
		s->n_spans++;
	}
	s->in_call = false;
	if (f->ops->pending(s->conn) > s->pending_most)
		s->pending_most = f->ops->pending(s->conn);
	sim_leave(&f->sim, was);
	return sent;
}

static const void *no_extension(const struct mosaic_host *host, const char *id)
{
	(void)host;
	(void)id;
	return NULL;
}

static void without_a_network_listen_and_connect_say_so(void **state)
{
	struct fixture *f = *state;
	struct mosaic_listener listener = { .address = "0.0.0.0:1000", .max_frame = MAX_FRAME };
	setup(f, 1);
	struct mosaic_host host = f->client.node->core.api;
	struct mosaic_transport *t;
	host.extension = no_extension;
	assert_int_equal(f->ops->create(&host, f->options, &t, &f->error), 0);
	assert_int_equal(f->ops->listen(t, &listener, &f->error), MOSAIC_E_UNSUPPORTED);
	assert_non_null(strstr(f->error.text, MOSAIC_EXT_NETWORK));
	f->connect = (struct mosaic_connect){ .address = "10.0.0.1:1000", .error = &f->error };
	assert_int_equal(f->ops->connect(t, &f->connect), MOSAIC_E_UNSUPPORTED);
	f->ops->destroy(t);
	teardown(f);
}

static void frames_arrive_whole_and_in_order_both_ways(void **state)
{
	struct fixture *f = *state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		open_pair(f, seed);
		/* Both stay below highPending: two that only write would wait for each other. */
		for (uint32_t i = 0; i < 70; i++) {
			assert_true(send_frame(&f->client, i, sim_chance(&f->sim, 3)));
			assert_true(send_frame(&f->server, i, sim_chance(&f->sim, 3)));
			if (sim_chance(&f->sim, 4))
				sim_run_until(&f->sim, f->sim.now_ns + sim_below(&f->sim, MS_NS));
		}
		sim_run_until(&f->sim, f->sim.now_ns + 5 * SECOND_NS);
		assert_int_equal(f->client.n_frames, 70);
		assert_int_equal(f->server.n_frames, 70);
		assert_true(f->server.n_bursts > 0);
		assert_int_equal(f->client.n_released, f->client.n_spans);
		assert_int_equal(f->ops->pending(f->client.conn), 0);
		assert_int_equal(f->client.n_closed, 0);
		teardown(f);
	}
}

static void a_broken_connection_ends_both_sides_once_and_gives_spans_back(void **state)
{
	struct fixture *f = *state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		open_pair(f, seed);
		for (uint32_t i = 0; i < 100; i++)
			assert_true(send_frame(&f->client, i, i % 2));
		sim_run_until(&f->sim, f->sim.now_ns + sim_below(&f->sim, 2 * MS_NS));
		assert_true(simnet_reset_one(f->sim.net));
		sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
		assert_int_equal(f->client.n_closed, 1);
		assert_int_equal(f->server.n_closed, 1);
		assert_true(f->server.n_frames <= 100);
		teardown(f);
	}
}

static void output_that_nobody_takes_is_bounded_and_goes_on_later(void **state)
{
	struct fixture *f = *state;
	uint32_t sent = 0;
	open_pair(f, 7);
	simnet_block(f->sim.net, f->client.node, f->server.node);
	while (send_frame(&f->client, sent, false))
		sent++;
	assert_true(f->client.pending_most <= 256 * 1024);
	assert_true(f->client.pending_most > 250 * 1024);
	sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
	assert_int_equal(f->client.n_writable, 0);
	simnet_heal(f->sim.net);
	sim_run_until(&f->sim, f->sim.now_ns + 5 * SECOND_NS);
	assert_int_equal(f->client.n_writable, 1);
	assert_int_equal(f->server.n_frames, sent);
	teardown(f);
}

/* Answers each frame with what makes its output large. */
static void answer_much(struct side *s, const uint8_t *frame, uint32_t len)
{
	struct sim_node *was = sim_enter(&s->f->sim, s->node);
	static const uint8_t much[MAX_FRAME];
	(void)frame;
	(void)len;
	uint8_t *room = s->f->ops->reserve(s->conn, sizeof(much));
	if (room != NULL) {
		memcpy(room, much, sizeof(much));
		s->f->ops->commit(s->conn, sizeof(much));
	}
	sim_leave(&s->f->sim, was);
}

static void who_takes_no_answers_is_not_read_from(void **state)
{
	struct fixture *f = *state;
	open_pair(f, 3);
	f->server.on_frame = answer_much;
	simnet_block(f->sim.net, f->server.node, f->client.node);
	for (uint32_t i = 0; i < 200; i++)
		assert_true(send_frame(&f->client, i, false));
	sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
	/* 16 answers make 64 KiB; one more and it is above highPending. */
	assert_int_equal(f->server.n_frames, 17);
	teardown(f);
}

static void a_length_that_is_not_allowed_ends_the_connection(void **state)
{
	static const uint32_t lengths[] = { 0, MAX_FRAME - 3, 0x7fffffff, 0x80000000, 0xffffffff };
	struct fixture *f = *state;
	for (uint32_t i = 0; i < ARRAY_LEN(lengths); i++) {
		open_pair(f, i + 1);
		struct sim_node *was = sim_enter(&f->sim, f->client.node);
		put_be32(f->ops->reserve(f->client.conn, 4), lengths[i]);
		f->ops->commit(f->client.conn, 4);
		sim_leave(&f->sim, was);
		sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
		assert_int_equal(f->server.n_closed, 1);
		assert_int_equal(f->server.status, MOSAIC_E_CORRUPT);
		assert_int_equal(f->client.n_closed, 1);
		teardown(f);
	}
}

static void an_attempt_is_refused_or_times_out(void **state)
{
	struct fixture *f = *state;
	setup(f, 1);
	connect_to(f, "10.0.0.1:1000");
	sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
	assert_true(f->is_connected);
	assert_int_equal(f->connect.req.status, MOSAIC_E_IO);
	assert_non_null(strstr(f->error.text, "refused"));
	simnet_block(f->sim.net, f->client.node, f->server.node);
	connect_to(f, "10.0.0.1:1000");
	sim_run_until(&f->sim, f->sim.now_ns + 2 * SECOND_NS);
	assert_false(f->is_connected);
	sim_run_until(&f->sim, f->sim.now_ns + 2 * SECOND_NS);
	assert_true(f->is_connected);
	assert_int_equal(f->connect.req.status, MOSAIC_E_TIMEOUT);
	teardown(f);
}

static void a_silent_connection_is_closed_after_the_idle_time(void **state)
{
	struct fixture *f = *state;
	open_pair(f, 1);
	sim_run_until(&f->sim, f->sim.now_ns + 119 * SECOND_NS);
	assert_int_equal(f->client.n_closed + f->server.n_closed, 0);
	sim_run_until(&f->sim, f->sim.now_ns + 10 * SECOND_NS);
	assert_int_equal(f->client.n_closed, 1);
	assert_int_equal(f->server.n_closed, 1);
	teardown(f);
}

static void what_was_written_still_leaves_after_a_close_with_flush(void **state)
{
	struct fixture *f = *state;
	open_pair(f, 5);
	for (uint32_t i = 0; i < 100; i++) /* more than a window */
		assert_true(send_frame(&f->client, i, i % 2));
	struct sim_node *was = sim_enter(&f->sim, f->client.node);
	f->client.in_call = true;
	f->ops->conn_close(f->client.conn, 1, "bye");
	f->client.in_call = false;
	sim_leave(&f->sim, was);
	sim_run_until(&f->sim, f->sim.now_ns + SECOND_NS);
	assert_int_equal(f->server.n_frames, 100);
	assert_int_equal(f->client.n_closed, 1);
	assert_string_equal(f->client.why, "bye");
	assert_int_equal(f->server.n_closed, 1);
	teardown(f);
}

static int make_fixture(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state == NULL;
}

static int free_fixture(void **state)
{
	free(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, free_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_network_listen_and_connect_say_so),
		TEST(frames_arrive_whole_and_in_order_both_ways),
		TEST(a_broken_connection_ends_both_sides_once_and_gives_spans_back),
		TEST(output_that_nobody_takes_is_bounded_and_goes_on_later),
		TEST(who_takes_no_answers_is_not_read_from),
		TEST(a_length_that_is_not_allowed_ends_the_connection),
		TEST(an_attempt_is_refused_or_times_out),
		TEST(a_silent_connection_is_closed_after_the_idle_time),
		TEST(what_was_written_still_leaves_after_a_close_with_flush),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
