/* TRANS-01 ... TRANS-06 of mosaic/transport.h, over the loopback. */
#include "kit/kit_transport.h"

#include <sys/socket.h>
#include <unistd.h>

/* The frames of all the lengths up to n, one after the other: their contents tell them apart. */
static void make_frames(struct buf *out, uint32_t n)
{
	for (uint32_t i = 1; i <= n; i++) {
		uint8_t *p = buf_room(out, i + 4);
		put_be32(p, i);
		memset(p + 4, (int)(i * 7), i);
		out->len += i + 4;
	}
}

/* ---- TRANS-01 ---- */

static void frames_split_into_single_bytes_arrive_whole(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	struct buf frames = BUF_INIT;
	(void)state;
	make_frames(&frames, 40);
	int fd = peer_open(kit);
	for (size_t i = 0; i < frames.len; i++)
		peer_send(kit, fd, frames.data + i, 1);
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_frames == 40);
	assert_int_equal(side->received.len, frames.len);
	assert_memory_equal(side->received.data, frames.data, frames.len);
	assert_int_equal(side->peer.ip_len, 4);
	assert_memory_equal(side->peer.text, "127.0.0.1:", 10);
	buf_free(&frames);
	close(fd);
	kit_tcp_stop(kit);
}

static void many_frames_in_one_segment_make_one_burst(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	struct buf frames = BUF_INIT;
	(void)state;
	make_frames(&frames, 100);
	int fd = peer_open(kit);
	assert_int_equal(send(fd, frames.data, frames.len, 0), frames.len);
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_frames == 100);
	assert_memory_equal(side->received.data, frames.data, frames.len);
	assert_int_equal(side->n_bursts, 1);
	buf_free(&frames);
	close(fd);
	kit_tcp_stop(kit);
}

static void frames_cut_anywhere_arrive_whole(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	struct buf frames = BUF_INIT;
	uint32_t step = 1;
	(void)state;
	make_frames(&frames, 300);
	int fd = peer_open(kit);
	for (size_t at = 0; at < frames.len; at += step) {
		step = step * 13 % 1021 + 1;
		if (step > frames.len - at)
			step = (uint32_t)(frames.len - at);
		peer_send(kit, fd, frames.data + at, step);
	}
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_frames == 300);
	assert_memory_equal(side->received.data, frames.data, frames.len);
	buf_free(&frames);
	close(fd);
	kit_tcp_stop(kit);
}

static void a_flood_on_one_connection_does_not_hold_up_another(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	static uint8_t flood[4 << 20];
	(void)state;
	for (size_t at = 0; at < sizeof(flood); at += 1024)
		put_be32(flood + at, 1020);
	int loud = peer_open(kit), soft = peer_open(kit);
	peer_send_frame(kit, loud, "x", 1);
	struct side *side = kit_side(kit, 0);
	size_t n = 0;
	ssize_t sent;
	while ((sent = send(loud, flood + n, sizeof(flood) - n, 0)) > 0)
		n += (size_t)sent; /* what the kernel holds is read in more than one turn */
	kit_turn(kit);
	assert_true(side->n_frames <= 1 + 64); /* one read buffer a turn */
	peer_send_frame(kit, soft, "hello", 5);
	peer_send(kit, loud, flood + n, sizeof(flood) - n);
	KIT_UNTIL(kit, side->n_frames == 1 + sizeof(flood) / 1024);
	KIT_UNTIL(kit, kit->n_sides == 2 && kit->sides[1]->n_frames == 1);
	close(loud);
	close(soft);
	kit_tcp_stop(kit);
}

/* As much as the kernel takes of frames of 1 KiB; returns how many bytes. */
static size_t fill_socket(int fd)
{
	uint8_t frame[1024] = { 0 };
	size_t total = 0, at = 0;

	put_be32(frame, sizeof(frame) - 4);
	for (;;) {
		ssize_t n = send(fd, frame + at, sizeof(frame) - at, MSG_NOSIGNAL);
		if (n < 0)
			return total;
		total += (size_t)n;
		at = (at + (size_t)n) % sizeof(frame);
	}
}

static void a_turn_reads_a_bounded_number_of_bytes_and_all_connections_in_rounds(void **state)
{
	enum { CONNS = 8 };
	const size_t buffer = 64u * 1024, turn = 2 * buffer;
	struct kit *kit = kit_tcp_start(NULL);
	struct side *sides[CONNS];
	int fds[CONNS];
	size_t sent = SIZE_MAX, before = 0;
	(void)state;
	for (int i = 0; i < CONNS; i++) {
		fds[i] = peer_open(kit);
		peer_send_frame(kit, fds[i], "x", 1);
		sides[i] = kit_side(kit, (uint32_t)i);
		KIT_UNTIL(kit, sides[i]->n_frames == 1);
	}
	for (int i = 0; i < CONNS; i++) {
		size_t n = fill_socket(fds[i]);
		sent = n < sent ? n : sent;
	}
	assert_true(sent > 4 * buffer);
	const size_t ahead = sent / 2 > 4 * buffer ? sent / 2 : 4 * buffer;
	for (int i = 0; i < CONNS; i++)
		before += sides[i]->received.len;
	for (size_t least = 0; least + buffer < sent;) {
		size_t now = 0, most = 0;
		kit_turn(kit);
		least = SIZE_MAX;
		for (int i = 0; i < CONNS; i++) {
			size_t n = sides[i]->received.len;
			now += n;
			most = n > most ? n : most;
			least = n < least ? n : least;
		}
		assert_in_range(now - before, 0, turn + buffer);
		/* No connection gets far ahead of the others. (Two buffers; but one whose bytes a
		 * busy kernel has not delivered yet misses rounds.) */
		assert_in_range(most - least, 0, ahead);
		before = now;
	}
	for (int i = 0; i < CONNS; i++)
		close(fds[i]);
	kit_tcp_stop(kit);
}

/* ---- TRANS-02 ---- */

static void closed_runs_once_when_the_peer_goes(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	(void)state;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	struct side *side = kit_side(kit, 0);
	close(fd);
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_int_equal(side->status, MOSAIC_E_CLOSED);
	kit_tcp_stop(kit);
}

static void no_frame_follows_a_close_by_the_core(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	(void)state;
	kit->on_frame = side_close_at_once;
	int fd = peer_open(kit);
	assert_int_equal(send(fd, "\0\0\0\1a\0\0\0\1c\0\0\0\1d", 15, 0), 15);
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_int_equal(side->n_frames, 2);
	assert_int_equal(side->status, MOSAIC_OK);
	assert_string_equal(side->why, "the test closes");
	assert_true(peer_is_at_end(kit, fd));
	close(fd);
	kit_tcp_stop(kit);
}

static void close_with_flush_sends_the_answer_first(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	char answer[5];
	(void)state;
	kit->on_frame = side_close_at_once;
	int fd = peer_open(kit);
	assert_int_equal(send(fd, "\0\0\0\1f\0\0\0\1d", 10, 0), 10);
	peer_read(kit, fd, answer, sizeof(answer));
	assert_memory_equal(answer, "\0\0\0\1f", 5);
	assert_true(peer_is_at_end(kit, fd));
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_int_equal(side->n_frames, 1);
	close(fd);
	kit_tcp_stop(kit);
}

static void flush_lasts_at_most_a_second_when_the_peer_does_not_read(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	static char big[4 << 20];
	(void)state;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	struct side *side = kit_side(kit, 0);
	for (int i = 0; i < 8; i++)
		assert_true(side_send(side, big, sizeof(big)));
	uint64_t begin = host_loop_now_ns();
	side_close(side, true);
	assert_false(side_send(side, "x", 1));
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_true(host_loop_now_ns() - begin >= SECOND_NS);
	assert_string_equal(side->why, "the test closes");
	close(fd);
	kit_tcp_stop(kit);
}

static void a_half_closed_peer_gets_the_answers_that_are_written(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	static uint8_t answer[1004];
	(void)state;
	kit->on_frame = side_echo;
	int fd = peer_open(kit);
	put_be32(answer, 1000);
	assert_int_equal(send(fd, answer, sizeof(answer), 0), sizeof(answer));
	shutdown(fd, SHUT_WR);
	peer_read(kit, fd, answer, sizeof(answer));
	assert_true(peer_is_at_end(kit, fd));
	close(fd);
	kit_tcp_stop(kit);
}

static void a_connection_that_the_core_refuses_is_closed_without_events(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	(void)state;
	kit->refuse = MOSAIC_E_LIMIT;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	assert_true(peer_is_at_end(kit, fd));
	assert_int_equal(kit->n_sides, 0);
	close(fd);
	kit_tcp_stop(kit);
}

static void closing_the_transport_closes_everything(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	int fds[20];
	(void)state;
	kit->on_frame = side_echo;
	for (int i = 0; i < 20; i++) {
		fds[i] = peer_open(kit);
		if (i % 3 != 0) /* every third never says anything */
			peer_send_frame(kit, fds[i], "hello", 5);
		if (i % 5 == 0)
			peer_send(kit, fds[i], "\0\0", 2);
	}
	kit_side(kit, 12);
	for (int i = 0; i < 20; i++)
		shutdown(fds[i], i % 2 == 0 ? SHUT_WR : SHUT_RD);
	kit_tcp_stop(kit);
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}

/* ---- TRANS-03 ---- */

struct counted {
	struct mosaic_out_span span;
	struct side *side;
	int n_released;
	bool released_before_closed;
};

static void released(struct mosaic_out_span *span)
{
	struct counted *c = span->data;
	assert_false(c->side->kit->in_call);
	c->n_released++;
	c->released_before_closed = c->side->n_closed == 0;
}

static void span_init(struct counted *c, struct side *side, const void *ptr, uint32_t len)
{
	*c = (struct counted){ .span = { .ptr = ptr, .len = len, .release = released, .data = c },
			       .side = side };
}

static void bytes_and_spans_leave_in_order_and_spans_are_released_once(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	static struct counted spans[500];
	static uint8_t all[500 * 300], got[sizeof(all)];
	size_t at = 0;
	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i * 31 >> 3);
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	struct side *side = kit_side(kit, 0);
	for (int i = 0; i < 500; i++) {
		uint32_t head = (uint32_t)(i % 7) * 10, tail = 300 - head;
		if (i % 11 == 0)
			head = 300, tail = 0;
		if (head > 0)
			assert_true(side_send(side, all + at, head));
		span_init(&spans[i], side, all + at + head, tail); /* an empty span counts too */
		assert_int_equal(side_send_span(side, &spans[i].span), 0);
		at += 300;
	}
	assert_int_equal(kit->ops->pending(side->conn), sizeof(all));
	peer_read(kit, fd, got, sizeof(got));
	assert_memory_equal(got, all, sizeof(all));
	KIT_UNTIL(kit, kit->ops->pending(side->conn) == 0);
	for (int i = 0; i < 500; i++)
		assert_int_equal(spans[i].n_released, 1);
	close(fd);
	kit_tcp_stop(kit);
}

static void break_off(bool reset)
{
	struct kit *kit = kit_tcp_start(NULL);
	static struct counted spans[20];
	static uint8_t bytes[1 << 20];
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	struct side *side = kit_side(kit, 0);
	for (int i = 0; i < 20; i++) {
		span_init(&spans[i], side, bytes, sizeof(bytes));
		assert_int_equal(side_send_span(side, &spans[i].span), 0);
	}
	kit_turn(kit); /* what the socket takes has left, the rest is on its way */
	assert_true(kit->ops->pending(side->conn) > 0);
	if (reset) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(fd);
	} else {
		side_close(side, false);
	}
	KIT_UNTIL(kit, side->n_closed == 1);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(spans[i].n_released, 1);
		assert_true(spans[i].released_before_closed);
	}
	assert_true(reset ? side->status < 0 : side->status == 0);
	if (!reset)
		close(fd);
	kit_tcp_stop(kit);
}

static void spans_are_released_before_closed_when_the_peer_resets(void **state)
{
	(void)state;
	break_off(true);
}

static void spans_are_released_before_closed_when_the_core_closes(void **state)
{
	(void)state;
	break_off(false);
}

/* ---- TRANS-04 ---- */

static void send_4k(struct side *side, uint8_t *frame, uint32_t len)
{
	static uint8_t answer[4096];
	(void)len;
	put_be32(answer, sizeof(answer) - 4);
	memcpy(answer + 4, frame, 4); /* the number of the request */
	assert_true(side_send(side, answer, sizeof(answer)));
	assert_true(side->kit->ops->pending(side->conn) <= 64 * 1024 + 4096);
}

static void a_peer_that_does_not_read_is_not_read_from_and_loses_nothing(void **state)
{
	struct kit_option options[] = { { "highPending", 64 * 1024 }, { "maxPending", 1 << 20 },
					{ NULL, 0 } };
	struct kit *kit = kit_tcp_start(options);
	uint8_t request[100] = { 0 }, answer[4096];
	uint32_t n_sent = 0, n_quiet = 0;
	size_t cut = 0; /* how much of the last request was sent */
	(void)state;
	kit->on_frame = send_4k;
	int fd = peer_open(kit);
	put_be32(request, sizeof(request) - 4);
	while (n_quiet < 50) { /* until the kernel's buffers are full and stay so */
		put_be32(request + 4, n_sent);
		ssize_t n = send(fd, request + cut, sizeof(request) - cut, MSG_NOSIGNAL);
		n_quiet = n > 0 ? 0 : n_quiet + 1;
		cut += n > 0 ? (size_t)n : 0;
		if (cut == sizeof(request)) {
			cut = 0;
			n_sent++;
		}
		if (n < 0 || n_sent % 64 == 0)
			kit_turn(kit);
	}
	struct side *side = kit_side(kit, 0);
	assert_true(side->n_frames < n_sent); /* it stopped reading */
	for (uint32_t i = 0; i < n_sent; i++) {
		peer_read(kit, fd, answer, sizeof(answer));
		assert_int_equal(get_be32(answer + 4), i);
	}
	if (cut > 0) {
		peer_send(kit, fd, request + cut, sizeof(request) - cut);
		n_sent++;
	}
	KIT_UNTIL(kit, side->n_frames == n_sent);
	assert_int_equal(side->n_writable, 0); /* nothing had been refused */
	close(fd);
	kit_tcp_stop(kit);
}

static void output_above_the_bound_is_refused_and_writable_comes_when_it_drained(void **state)
{
	struct kit_option options[] = { { "highPending", 64 * 1024 }, { "maxPending", 1 << 20 },
					{ NULL, 0 } };
	struct kit *kit = kit_tcp_start(options);
	static uint8_t bytes[256 * 1024];
	struct counted span;
	(void)state;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	struct side *side = kit_side(kit, 0);
	size_t n = 0;
	for (int i = 0; i < 1000; i++) {
		while (side_send(side, bytes, sizeof(bytes)))
			n += sizeof(bytes);
		assert_true(kit->ops->pending(side->conn) <= 1 << 20);
		kit_turn(kit);
	}
	span_init(&span, side, bytes, sizeof(bytes));
	assert_int_equal(side_send_span(side, &span.span), MOSAIC_E_AGAIN);
	uint32_t before = side->n_writable;
	while (side->n_writable == before) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
		n -= got > 0 ? (size_t)got : 0;
		kit_turn(kit);
	}
	assert_true(kit->ops->pending(side->conn) <= 32 * 1024);
	assert_int_equal(span.n_released, 0); /* refused: release() does not run */
	assert_true(n > 0);
	close(fd);
	kit_tcp_stop(kit);
}

static void fill_again(struct side *side)
{
	static const uint8_t bytes[4096];
	while (side->n_writable < 200 && side_send(side, bytes, sizeof(bytes)))
		;
}

static void a_core_that_writes_whenever_it_may_does_not_stop_the_loop(void **state)
{
	struct kit_option options[] = { { "highPending", 8192 }, { "maxPending", 8192 },
					{ NULL, 0 } };
	struct kit *kit = kit_tcp_start(options);
	uint8_t bytes[4096];
	(void)state;
	kit->on_writable = fill_again;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	struct side *side = kit_side(kit, 0);
	fill_again(side); /* the socket takes all of it at once, so writable() comes at once */
	kit_turn(kit);
	assert_in_range(side->n_writable, 1, 40);
	for (int i = 0; i < 200 * 2; i++)
		peer_read(kit, fd, bytes, sizeof(bytes));
	KIT_UNTIL(kit, side->n_writable == 200);
	close(fd);
	kit_tcp_stop(kit);
}

static void idle_connections_hold_less_than_1_kib(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	enum { N = 1000 };
	static int fds[N];
	char answer[9];
	(void)state;
	kit->on_frame = side_echo;
	fds[0] = peer_open(kit);
	peer_send_frame(kit, fds[0], "hello", 5);
	peer_read(kit, fds[0], answer, sizeof(answer));
	uint64_t before = kit->allocated;
	for (int i = 1; i < N; i++) {
		fds[i] = peer_open(kit);
		peer_send_frame(kit, fds[i], "hello", 5);
	}
	for (int i = 1; i < N; i++)
		peer_read(kit, fds[i], answer, sizeof(answer));
	print_message("%llu bytes per idle connection\n",
		      (unsigned long long)(kit->allocated - before) / (N - 1));
	assert_true(kit->allocated - before < (N - 1) * 1024);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	kit_tcp_stop(kit);
}

static void parts_of_frames_cost_what_has_arrived(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	static int fds[200];
	uint8_t begin[12] = { 0, 0, 0xff, 0, 'x' };
	(void)state;
	for (int i = 0; i < 200; i++) {
		fds[i] = peer_open(kit);
		peer_send(kit, fds[i], begin, i % 2 == 0 ? 1 : sizeof(begin));
	}
	kit_side(kit, 199);
	print_message("%llu bytes for 200 connections with a part of a frame\n",
		      (unsigned long long)kit->allocated);
	assert_true(kit->allocated < 300 * 1024 + 200 * 1024);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	kit_tcp_stop(kit);
}

static void a_frame_beyond_the_memory_for_parts_closes_its_connection_only(void **state)
{
	struct kit_option options[] = { { "maxFrameMemory", 32 * 1024 }, { NULL, 0 } };
	struct kit *kit = kit_tcp_start(options);
	static uint8_t bytes[60 * 1024];
	char answer[9];
	(void)state;
	kit->on_frame = side_echo;
	int good = peer_open(kit), bad = peer_open(kit);
	put_be32(bytes, sizeof(bytes));
	peer_send_frame(kit, good, "hello", 5);
	peer_read(kit, good, answer, sizeof(answer));
	assert_int_equal(send(bad, bytes, 40 * 1024, 0), 40 * 1024);
	assert_true(peer_is_at_end(kit, bad));
	assert_true(kit_logged(kit, "frame_memory_full"));
	peer_send_frame(kit, good, "hello", 5);
	peer_read(kit, good, answer, sizeof(answer));
	close(good);
	close(bad);
	kit_tcp_stop(kit);
}

/* ---- TRANS-05 ---- */

static void expect_closed(uint32_t word)
{
	struct kit *kit = kit_tcp_start(NULL);
	uint8_t begin[8] = { 0 };
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "good", 4);
	put_be32(begin, word);
	for (size_t i = 0; i < 4; i++)
		peer_send(kit, fd, begin + i, 1);
	assert_true(peer_is_at_end(kit, fd));
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_int_equal(side->n_frames, 1);
	assert_int_equal(side->status, MOSAIC_E_CORRUPT);
	assert_true(kit_logged(kit, "bad_frame_length"));
	close(fd);
	kit_tcp_stop(kit);
}

static void lengths_of_zero_negative_or_too_much_close(void **state)
{
	(void)state;
	expect_closed(0);
	expect_closed(UINT32_MAX);
	expect_closed(0x80000000u);
	expect_closed(0x7fffffffu);
	expect_closed(KIT_MAX_FRAME - 4 + 1);
}

static void the_longest_frame_is_accepted(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	static uint8_t body[KIT_MAX_FRAME - 4];
	(void)state;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, body, sizeof(body));
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_frames == 1);
	assert_int_equal(side->received.len, KIT_MAX_FRAME);
	close(fd);
	kit_tcp_stop(kit);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_split_into_single_bytes_arrive_whole),
		TEST(many_frames_in_one_segment_make_one_burst),
		TEST(frames_cut_anywhere_arrive_whole),
		TEST(a_flood_on_one_connection_does_not_hold_up_another),
		TEST(a_turn_reads_a_bounded_number_of_bytes_and_all_connections_in_rounds),
		TEST(closed_runs_once_when_the_peer_goes),
		TEST(no_frame_follows_a_close_by_the_core),
		TEST(close_with_flush_sends_the_answer_first),
		TEST(flush_lasts_at_most_a_second_when_the_peer_does_not_read),
		TEST(a_half_closed_peer_gets_the_answers_that_are_written),
		TEST(a_connection_that_the_core_refuses_is_closed_without_events),
		TEST(closing_the_transport_closes_everything),
		TEST(bytes_and_spans_leave_in_order_and_spans_are_released_once),
		TEST(spans_are_released_before_closed_when_the_peer_resets),
		TEST(spans_are_released_before_closed_when_the_core_closes),
		TEST(a_peer_that_does_not_read_is_not_read_from_and_loses_nothing),
		TEST(output_above_the_bound_is_refused_and_writable_comes_when_it_drained),
		TEST(a_core_that_writes_whenever_it_may_does_not_stop_the_loop),
		TEST(idle_connections_hold_less_than_1_kib),
		TEST(parts_of_frames_cost_what_has_arrived),
		TEST(a_frame_beyond_the_memory_for_parts_closes_its_connection_only),
		TEST(lengths_of_zero_negative_or_too_much_close),
		TEST(the_longest_frame_is_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
