/* TRANS-01 ... TRANS-06 of mosaic/transport.h, and what transport-tcp adds, over the loopback. */
#include "kit/kit_transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

extern const struct mosaic_plugin mosaic_plugin_transport_tcp;

static struct kit *start(const struct kit_option *options)
{
	struct kit *kit = malloc(sizeof(*kit));
	kit_start(kit, &mosaic_plugin_transport_tcp, options);
	return kit;
}

static void stop(struct kit *kit)
{
	kit_stop(kit);
	free(kit);
}

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

static void echo(struct side *side, uint8_t *frame, uint32_t len)
{
	assert_true(side_send(side, frame - 4, len + 4));
}

/* ---- TRANS-01 ---- */

static void frames_split_into_single_bytes_arrive_whole(void **state)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
}

static void many_frames_in_one_segment_make_one_burst(void **state)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
}

static void frames_cut_anywhere_arrive_whole(void **state)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
}

static void a_flood_on_one_connection_does_not_hold_up_another(void **state)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
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
	struct kit *kit = start(NULL);
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
		/* No connection gets far ahead of the others. (One whose bytes the kernel has not
		 * delivered yet misses a round or two.) */
		assert_in_range(most - least, 0, 4 * buffer);
		before = now;
	}
	for (int i = 0; i < CONNS; i++)
		close(fds[i]);
	stop(kit);
}

/* ---- TRANS-02 ---- */

static void closed_runs_once_when_the_peer_goes(void **state)
{
	struct kit *kit = start(NULL);
	(void)state;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	struct side *side = kit_side(kit, 0);
	close(fd);
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_int_equal(side->status, MOSAIC_E_CLOSED);
	stop(kit);
}

static void close_at_once(struct side *side, uint8_t *frame, uint32_t len)
{
	(void)len;
	if (frame[0] == 'c')
		side_close(side, false);
	else if (frame[0] == 'f')
		echo(side, frame, len), side_close(side, true);
}

static void no_frame_follows_a_close_by_the_core(void **state)
{
	struct kit *kit = start(NULL);
	(void)state;
	kit->on_frame = close_at_once;
	int fd = peer_open(kit);
	assert_int_equal(send(fd, "\0\0\0\1a\0\0\0\1c\0\0\0\1d", 15, 0), 15);
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_int_equal(side->n_frames, 2);
	assert_int_equal(side->status, MOSAIC_OK);
	assert_string_equal(side->why, "the test closes");
	assert_true(peer_is_at_end(kit, fd));
	close(fd);
	stop(kit);
}

static void close_with_flush_sends_the_answer_first(void **state)
{
	struct kit *kit = start(NULL);
	char answer[5];
	(void)state;
	kit->on_frame = close_at_once;
	int fd = peer_open(kit);
	assert_int_equal(send(fd, "\0\0\0\1f\0\0\0\1d", 10, 0), 10);
	peer_read(kit, fd, answer, sizeof(answer));
	assert_memory_equal(answer, "\0\0\0\1f", 5);
	assert_true(peer_is_at_end(kit, fd));
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_closed == 1);
	assert_int_equal(side->n_frames, 1);
	close(fd);
	stop(kit);
}

static void flush_lasts_at_most_a_second_when_the_peer_does_not_read(void **state)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
}

static void a_half_closed_peer_gets_the_answers_that_are_written(void **state)
{
	struct kit *kit = start(NULL);
	static uint8_t answer[1004];
	(void)state;
	kit->on_frame = echo;
	int fd = peer_open(kit);
	put_be32(answer, 1000);
	assert_int_equal(send(fd, answer, sizeof(answer), 0), sizeof(answer));
	shutdown(fd, SHUT_WR);
	peer_read(kit, fd, answer, sizeof(answer));
	assert_true(peer_is_at_end(kit, fd));
	close(fd);
	stop(kit);
}

static void a_connection_that_the_core_refuses_is_closed_without_events(void **state)
{
	struct kit *kit = start(NULL);
	(void)state;
	kit->refuse = MOSAIC_E_LIMIT;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, "x", 1);
	assert_true(peer_is_at_end(kit, fd));
	assert_int_equal(kit->n_sides, 0);
	close(fd);
	stop(kit);
}

static void closing_the_transport_closes_everything(void **state)
{
	struct kit *kit = start(NULL);
	int fds[20];
	(void)state;
	kit->on_frame = echo;
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
	stop(kit);
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
	struct kit *kit = start(NULL);
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
	stop(kit);
}

static void break_off(bool reset)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
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
	struct kit *kit = start(options);
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
	stop(kit);
}

static void output_above_the_bound_is_refused_and_writable_comes_when_it_drained(void **state)
{
	struct kit_option options[] = { { "highPending", 64 * 1024 }, { "maxPending", 1 << 20 },
					{ NULL, 0 } };
	struct kit *kit = start(options);
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
	stop(kit);
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
	struct kit *kit = start(options);
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
	stop(kit);
}

static void idle_connections_hold_less_than_1_kib(void **state)
{
	struct kit *kit = start(NULL);
	enum { N = 1000 };
	static int fds[N];
	char answer[9];
	(void)state;
	kit->on_frame = echo;
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
	stop(kit);
}

static void parts_of_frames_cost_what_has_arrived(void **state)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
}

static void a_frame_beyond_the_memory_for_parts_closes_its_connection_only(void **state)
{
	struct kit_option options[] = { { "maxFrameMemory", 32 * 1024 }, { NULL, 0 } };
	struct kit *kit = start(options);
	static uint8_t bytes[60 * 1024];
	char answer[9];
	(void)state;
	kit->on_frame = echo;
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
	stop(kit);
}

/* ---- TRANS-05 ---- */

static void expect_closed(uint32_t word)
{
	struct kit *kit = start(NULL);
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
	stop(kit);
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
	struct kit *kit = start(NULL);
	static uint8_t body[KIT_MAX_FRAME - 4];
	(void)state;
	int fd = peer_open(kit);
	peer_send_frame(kit, fd, body, sizeof(body));
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_frames == 1);
	assert_int_equal(side->received.len, KIT_MAX_FRAME);
	close(fd);
	stop(kit);
}

/* ---- the first bytes ---- */

static void expect_proxy(const void *header, size_t len, bool by_bytes, const char *peer)
{
	struct kit *kit = start(NULL);
	const uint8_t *p = header;
	struct sockaddr_in own;
	socklen_t own_len = sizeof(own);
	char text[32];

	int fd = peer_open(kit);
	getsockname(fd, (struct sockaddr *)&own, &own_len);
	snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)ntohs(own.sin_port));
	for (size_t i = 0; by_bytes && i < len; i++)
		peer_send(kit, fd, p + i, 1);
	if (!by_bytes)
		peer_send(kit, fd, p, len);
	peer_send_frame(kit, fd, "hello", 5);
	struct side *side = kit_side(kit, 0);
	KIT_UNTIL(kit, side->n_frames == 1);
	assert_string_equal(side->peer.text, peer != NULL ? peer : text);
	assert_memory_equal(side->received.data, "\0\0\0\5hello", 9);
	close(fd);
	stop(kit);
}

static void a_proxy_header_is_taken_and_names_the_peer(void **state)
{
	static const char v1[] = "PROXY TCP4 192.0.2.7 192.0.2.9 56324 10911\r\n";
	static const char v1_6[] = "PROXY TCP6 2001:db8::7 2001:db8::9 56324 10911\r\n";
	static const char unknown[] = "PROXY UNKNOWN\r\n";
	uint8_t v2[16 + 36 + 5] = { 0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A,
				    0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11,
				    0,    12,   192,  0,    2,    7,    192,
				    0,    2,    9,    1,    0,    2,    0 };
	(void)state;
	for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
		expect_proxy(v1, sizeof(v1) - 1, by_bytes, "192.0.2.7:56324");
		expect_proxy(v1_6, sizeof(v1_6) - 1, by_bytes, "[2001:db8::7]:56324");
		expect_proxy(unknown, sizeof(unknown) - 1, by_bytes, NULL);
		expect_proxy(v2, 28, by_bytes, "192.0.2.7:256");
	}
	v2[12] = 0x20; /* LOCAL: a health check of the balancer itself */
	expect_proxy(v2, 28, false, NULL);
	v2[12] = 0x21;
	v2[13] = 0x21;
	v2[15] = 36 + 5; /* and a TLV */
	memset(v2 + 16, 0, 36);
	v2[16 + 15] = 1;
	v2[16 + 33] = 80;
	expect_proxy(v2, sizeof(v2), true, "[::1]:80");
}

static void expect_end(const void *bytes, size_t len, const char *log)
{
	struct kit *kit = start(NULL);
	int fd = peer_open(kit);
	peer_send(kit, fd, bytes, len);
	assert_true(peer_is_at_end(kit, fd));
	assert_true(kit_logged(kit, log));
	assert_int_equal(kit->n_sides, 0);
	close(fd);
	stop(kit);
}

static void a_bad_proxy_header_closes(void **state)
{
	static const char bad[] = "PROXY TCP4 hello world 1 2\r\n";
	static const char port[] = "PROXY TCP4 192.0.2.7 192.0.2.9 70000 1\r\n";
	char endless[200];
	(void)state;
	memset(endless, 'x', sizeof(endless));
	memcpy(endless, "PROXY ", 6);
	expect_end(bad, sizeof(bad) - 1, "bad_proxy_header");
	expect_end(port, sizeof(port) - 1, "bad_proxy_header");
	expect_end(endless, sizeof(endless), "bad_proxy_header");
}

static void a_tls_hello_closes_with_a_clear_line(void **state)
{
	static const char behind[] = "PROXY UNKNOWN\r\n\x16\x03\x01";
	(void)state;
	expect_end("\x16\x03\x01\x02\x00", 5, "tls_not_configured");
	expect_end(behind, sizeof(behind) - 1, "tls_not_configured");
}

/* ---- bounds ---- */

static void idle_connections_are_closed_and_busy_ones_are_not(void **state)
{
	struct kit_option options[] = { { "idle", 300 * MS_NS }, { NULL, 0 } };
	struct kit *kit = start(options);
	char answer[9];
	(void)state;
	kit->on_frame = echo;
	int silent = peer_open(kit), quiet = peer_open(kit), busy = peer_open(kit);
	peer_send_frame(kit, quiet, "hello", 5);
	peer_send_frame(kit, busy, "hello", 5);
	peer_read(kit, busy, answer, sizeof(answer));
	kit_side(kit, 1);
	uint32_t of_quiet = kit->sides[0]->n_frames > 0 && kit->sides[1]->n_frames > 0 ? 0 : 9;
	assert_int_equal(of_quiet, 0);
	struct side *first = kit->sides[0], *second = kit->sides[1];
	while (first->n_closed + second->n_closed == 0) {
		peer_send_frame(kit, busy, "hello", 5);
		peer_read(kit, busy, answer, sizeof(answer));
	}
	struct side *gone = first->n_closed ? first : second;
	assert_int_equal(gone->status, MOSAIC_E_TIMEOUT);
	assert_int_equal(gone->n_frames, 1); /* the quiet one */
	assert_true(peer_is_at_end(kit, silent));
	close(silent);
	close(quiet);
	close(busy);
	stop(kit);
}

static void connections_above_the_bound_are_turned_away(void **state)
{
	struct kit_option options[] = { { "maxConnections", 2 }, { NULL, 0 } };
	struct kit *kit = start(options);
	(void)state;
	int a = peer_open(kit), b = peer_open(kit);
	peer_send_frame(kit, a, "x", 1);
	peer_send_frame(kit, b, "x", 1);
	kit_side(kit, 1);
	int c = peer_open(kit);
	assert_true(peer_is_at_end(kit, c));
	assert_true(kit_logged(kit, "connections_full"));
	close(a);
	KIT_UNTIL(kit, kit->sides[0]->n_closed + kit->sides[1]->n_closed == 1);
	int d = peer_open(kit);
	peer_send_frame(kit, d, "x", 1);
	kit_side(kit, 2);
	close(b);
	close(c);
	close(d);
	stop(kit);
}

static void out_of_descriptors_turns_away_and_recovers(void **state)
{
	struct kit *kit = start(NULL);
	struct rlimit limit, small;
	char answer[9];
	(void)state;
	kit->on_frame = echo;
	int good = peer_open(kit), waiting = peer_open(kit);
	peer_send_frame(kit, good, "hello", 5);
	peer_read(kit, good, answer, sizeof(answer));
	int bad = peer_open(kit); /* complete in the kernel, not accepted yet */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = 3; /* every descriptor is above it */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	KIT_UNTIL(kit, kit_logged(kit, "descriptors_out")); /* not even the spare one helps */
	small.rlim_cur = (rlim_t)bad + 1; /* all are in use, the spare one helps */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_true(peer_is_at_end(kit, bad));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	peer_send_frame(kit, good, "hello", 5);
	peer_read(kit, good, answer, sizeof(answer));
	int later = peer_open(kit);
	peer_send_frame(kit, later, "hello", 5);
	peer_read(kit, later, answer, sizeof(answer));
	close(good);
	close(waiting);
	close(bad);
	close(later);
	stop(kit);
}

static void out_of_memory_costs_a_connection_and_no_more(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 20; n++) {
		struct kit *kit = start(NULL);
		struct mosaic_error err = ERR_INIT;
		struct mosaic_transport *none;
		char answer[9];
		kit->on_frame = close_at_once; /* answers 'f' when there is memory, and closes */
		kit->fail_in = n;
		for (int i = 0; i < 4; i++) {
			int fd = peer_open(kit);
			(void)send(fd, "\0\0\0", 3, MSG_NOSIGNAL);
			kit_turn(kit);
			(void)send(fd, "\1a\0\0\0", 5, MSG_NOSIGNAL);
			kit_turn(kit);
			(void)send(fd, "\1c", 2, MSG_NOSIGNAL);
			assert_true(peer_is_at_end(kit, fd));
			close(fd);
		}
		kit->fail_in = n <= 2 ? n : 0;
		if (n <= 2)
			assert_int_equal(kit->ops->create(&kit->host.api, (uint8_t[256]){ 0 },
							  &none, &err), MOSAIC_E_NOMEM);
		kit->on_frame = echo;
		int fd = peer_open(kit);
		peer_send_frame(kit, fd, "hello", 5);
		peer_read(kit, fd, answer, sizeof(answer));
		close(fd);
		stop(kit);
	}
}

/* ---- everything at once ---- */

static uint32_t draw(uint32_t below)
{
	static uint32_t x = 2463534242u; /* the same run every time */
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % below;
}

static uint64_t n_spans, n_spans_released;

static void forget(struct mosaic_out_span *span)
{
	n_spans_released++;
	free(span);
}

static void do_anything(struct side *side, uint8_t *frame, uint32_t len)
{
	static const uint8_t bytes[30000];
	(void)frame;
	(void)len;
	for (uint32_t i = draw(4); i > 0 && side->kit->ops->pending(side->conn) < 60000; i--) {
		struct mosaic_out_span *span = calloc(1, sizeof(*span));
		*span = (struct mosaic_out_span){ .ptr = bytes,
						  .len = draw(sizeof(bytes)),
						  .release = forget };
		(void)side_send(side, bytes, draw(2000));
		if (side_send_span(side, span) == 0)
			n_spans++;
		else
			free(span);
	}
	if (draw(40) == 0)
		side_close(side, draw(2));
}

static void peer_does_anything(struct kit *kit, int *fd)
{
	static const struct linger reset = { .l_onoff = 1 };
	uint8_t bytes[3000] = { 0 };
	if (*fd < 0) {
		*fd = peer_open(kit);
		return;
	}
	switch (draw(12)) {
	case 0:
		close(*fd);
		*fd = -1;
		break;
	case 1:
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(*fd);
		*fd = -1;
		break;
	case 2:
		shutdown(*fd, SHUT_WR);
		break;
	case 3:
		put_be32(bytes, draw(8) == 0 ? UINT32_MAX : 1 + draw(100000));
		(void)send(*fd, bytes, 4 + draw(2000), MSG_NOSIGNAL);
		break;
	case 4:
	case 5:
		while (recv(*fd, bytes, sizeof(bytes), 0) > 0 && draw(30) > 0)
			;
		break;
	default:
		for (uint32_t i = draw(5); i > 0; i--) {
			uint32_t len = 1 + draw(sizeof(bytes) - 4);
			put_be32(bytes, len);
			(void)send(*fd, bytes, len + 4, MSG_NOSIGNAL); /* may be cut: that too */
		}
	}
}

static void anything_in_any_order_ends_clean(void **state)
{
	struct kit_option options[] = { { "highPending", 16 * 1024 },
					{ "maxPending", 128 * 1024 },
					{ "maxFrameMemory", 64 * 1024 },
					{ "maxConnections", 45 },
					{ NULL, 0 } };
	struct kit *kit = start(options);
	int fds[50];
	(void)state;
	memset(fds, 0xff, sizeof(fds));
	kit->on_frame = do_anything;
	while (kit->n_sides < 2500) {
		peer_does_anything(kit, &fds[draw(ARRAY_LEN(fds))]);
		if (draw(3) == 0)
			kit_turn(kit);
	}
	stop(kit); /* each side heard closed() once, no memory is held */
	assert_true(n_spans > 1000);
	assert_int_equal(n_spans, n_spans_released);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* ---- listen and connect ---- */

static void a_taken_port_or_a_bad_address_is_an_error_with_a_text(void **state)
{
	struct kit *kit = start(NULL);
	char address[32];
	struct mosaic_error err = ERR_INIT;
	(void)state;
	snprintf(address, sizeof(address), "127.0.0.1:%u", kit->listener.port);
	struct mosaic_listener second = kit->listener;
	second.address = address;
	assert_int_equal(kit->ops->listen(kit->transport, &second, &err), MOSAIC_E_IO);
	assert_non_null(strstr(err.text, address));
	assert_int_equal(err.os_errno, EADDRINUSE);
	static const char *const bad[] = { "nonsense", "1.2.3.4:", ":80", "1.2.3.4:70000",
					   "no.such.host.here:80", "1.2.3.4:80x", NULL };
	for (int i = 0; bad[i] != NULL; i++) {
		second.address = bad[i];
		assert_int_equal(kit->ops->listen(kit->transport, &second, &err), MOSAIC_E_INVAL);
	}
	stop(kit);
}

static void after_unlisten_connections_stay_and_new_ones_fail(void **state)
{
	struct kit *kit = start(NULL);
	char answer[9];
	(void)state;
	kit->on_frame = echo;
	int fd = peer_open(kit), silent = peer_open(kit);
	peer_send_frame(kit, fd, "hello", 5);
	peer_read(kit, fd, answer, sizeof(answer));
	kit->ops->unlisten(kit->transport, &kit->listener);
	assert_true(peer_is_at_end(kit, silent)); /* nobody would be told of it */
	peer_send_frame(kit, fd, "hello", 5);
	peer_read(kit, fd, answer, sizeof(answer));
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)kit->listener.port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int late = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof(address)), -1);
	close(late);
	close(silent);
	close(fd);
	stop(kit);
}

struct dialled {
	struct mosaic_connect req;
	struct mosaic_error error;
	struct side *side;
	int n_done;
	char address[64];
};

static void dial_done(struct mosaic_req *req)
{
	struct dialled *d = req->data;
	assert_false(((struct kit *)d->req.reserved1)->in_call);
	d->n_done++;
	if (req->status == 0)
		d->side->conn = d->req.conn;
}

static int32_t dial(struct kit *kit, struct dialled *d, const char *host, uint32_t port,
		    uint64_t timeout_ns)
{
	memset(d, 0, sizeof(*d));
	d->error.struct_size = sizeof(d->error);
	snprintf(d->address, sizeof(d->address), "%s:%u", host, port);
	d->req = (struct mosaic_connect){ .req = { .done = dial_done, .data = d },
					  .address = d->address,
					  .max_frame = KIT_MAX_FRAME,
					  .timeout_ns = timeout_ns,
					  .events = &kit_events,
					  .error = &d->error,
					  .reserved1 = kit };
	d->side = calloc(1, sizeof(*d->side));
	d->side->kit = kit;
	d->req.user = d->side;
	kit->in_call = true;
	int32_t rc = kit->ops->connect(kit->transport, &d->req);
	kit->in_call = false;
	return rc;
}

static void dial_free(struct dialled *d)
{
	assert_int_equal(d->side->n_closed, d->req.req.status == 0);
	buf_free(&d->side->received);
	free(d->side);
}

/* A bare root file system may have no /etc/hosts. */
static bool is_known(const char *name)
{
	struct addrinfo *found = NULL;
	bool known = getaddrinfo(name, NULL, NULL, &found) == 0;
	if (known)
		freeaddrinfo(found);
	return known;
}

static void a_dialled_connection_carries_frames_both_ways(void **state)
{
	struct kit *kit = start(NULL);
	struct dialled d, named;
	const char *name = "localhost";
	(void)state;
	kit->on_frame = NULL;
	if (!is_known(name)) {
		print_message("no names here: this machine does not know \"localhost\"\n");
		name = "127.0.0.1";
	}
	assert_int_equal(dial(kit, &d, "127.0.0.1", kit->listener.port, SECOND_NS), 0);
	assert_int_equal(dial(kit, &named, name, kit->listener.port, 5 * SECOND_NS), 0);
	KIT_UNTIL(kit, d.n_done == 1);
	assert_int_equal(d.req.req.status, 0);
	assert_int_equal(d.req.peer.port, kit->listener.port);
	assert_true(side_send(d.side, "\0\0\0\2hi", 6));
	struct side *accepted = kit_side(kit, 0);
	KIT_UNTIL(kit, accepted->n_frames == 1);
	assert_true(side_send(accepted, "\0\0\0\3you", 7));
	KIT_UNTIL(kit, d.side->n_frames == 1);
	assert_memory_equal(d.side->received.data, "\0\0\0\3you", 7);
	KIT_UNTIL(kit, named.n_done == 1);
	assert_int_equal(named.req.req.status, 0); /* "localhost" also tries what does not answer */
	side_close(accepted, false);
	KIT_UNTIL(kit, d.side->n_closed == 1);
	stop(kit);
	dial_free(&d);
	dial_free(&named);
}

/* A port where nobody listens: it was bound a moment ago. */
static uint32_t free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	close(fd);
	return ntohs(address.sin_port);
}

static void a_dial_fails_with_a_text(void **state)
{
	struct kit *kit = start(NULL);
	struct dialled refused, unknown, invalid;
	(void)state;
	assert_int_equal(dial(kit, &refused, "127.0.0.1", free_port(), SECOND_NS), 0);
	assert_int_equal(dial(kit, &unknown, "no.such.host.invalid", 80, 20 * SECOND_NS), 0);
	assert_int_equal(dial(kit, &invalid, "127.0.0.1", 70000, SECOND_NS), MOSAIC_E_INVAL);
	KIT_UNTIL(kit, refused.n_done == 1);
	KIT_UNTIL(kit, unknown.n_done == 1);
	assert_int_equal(refused.req.req.status, MOSAIC_E_IO);
	assert_non_null(strstr(refused.error.text, refused.address));
	assert_non_null(strstr(refused.error.text, "refused"));
	assert_true(unknown.req.req.status < 0);
	assert_null(unknown.req.conn);
	assert_int_equal(invalid.n_done, 0);
	stop(kit);
	assert_int_equal(refused.n_done, 1);
	dial_free(&refused);
	dial_free(&unknown);
	free(invalid.side);
}

/* A listener whose queue is full lets a connection hang. */
static int full_listener(uint32_t *port, int *fillers, int n)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 0), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	for (int i = 0; i < n; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (struct sockaddr *)&address, len);
	}
	*port = ntohs(address.sin_port);
	return fd;
}

static void a_dial_times_out_and_a_close_cancels_it(void **state)
{
	struct kit *kit = start(NULL);
	struct dialled late, canceled, looking;
	int fillers[4];
	uint32_t port;
	(void)state;
	int fd = full_listener(&port, fillers, 4);
	assert_int_equal(dial(kit, &late, "127.0.0.1", port, 50 * MS_NS), 0);
	assert_int_equal(dial(kit, &canceled, "127.0.0.1", port, 100 * SECOND_NS), 0);
	KIT_UNTIL(kit, late.n_done == 1);
	assert_int_equal(late.req.req.status, MOSAIC_E_TIMEOUT);
	assert_int_equal(canceled.n_done, 0);
	assert_int_equal(dial(kit, &looking, "localhost", port, 100 * SECOND_NS), 0);
	stop(kit); /* in the middle of a dial and of a look-up */
	assert_int_equal(canceled.n_done, 1);
	assert_int_equal(canceled.req.req.status, MOSAIC_E_CANCELED);
	assert_int_equal(looking.n_done, 1);
	dial_free(&late);
	dial_free(&canceled);
	dial_free(&looking);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	close(fd);
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
		TEST(a_proxy_header_is_taken_and_names_the_peer),
		TEST(a_bad_proxy_header_closes),
		TEST(a_tls_hello_closes_with_a_clear_line),
		TEST(idle_connections_are_closed_and_busy_ones_are_not),
		TEST(connections_above_the_bound_are_turned_away),
		TEST(out_of_descriptors_turns_away_and_recovers),
		TEST(out_of_memory_costs_a_connection_and_no_more),
		TEST(anything_in_any_order_ends_clean),
		TEST(a_taken_port_or_a_bad_address_is_an_error_with_a_text),
		TEST(after_unlisten_connections_stay_and_new_ones_fail),
		TEST(a_dialled_connection_carries_frames_both_ways),
		TEST(a_dial_fails_with_a_text),
		TEST(a_dial_times_out_and_a_close_cancels_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
