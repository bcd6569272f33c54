/* What transport-tcp adds to the rules of its kind: first bytes, bounds, addresses. */
#include "kit/kit_transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the first bytes ---- */

static void expect_proxy(const void *header, size_t len, bool by_bytes, const char *peer)
{
	struct kit *kit = kit_tcp_start(NULL);
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
	kit_tcp_stop(kit);
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
	struct kit *kit = kit_tcp_start(NULL);
	int fd = peer_open(kit);
	peer_send(kit, fd, bytes, len);
	assert_true(peer_is_at_end(kit, fd));
	assert_true(kit_logged(kit, log));
	assert_int_equal(kit->n_sides, 0);
	close(fd);
	kit_tcp_stop(kit);
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
	struct kit *kit = kit_tcp_start(options);
	char answer[9];
	(void)state;
	kit->on_frame = side_echo;
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
	kit_tcp_stop(kit);
}

static void connections_above_the_bound_are_turned_away(void **state)
{
	struct kit_option options[] = { { "maxConnections", 2 }, { NULL, 0 } };
	struct kit *kit = kit_tcp_start(options);
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
	kit_tcp_stop(kit);
}

static void out_of_descriptors_turns_away_and_recovers(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	struct rlimit limit, small;
	char answer[9];
	(void)state;
	kit->on_frame = side_echo;
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
	kit_tcp_stop(kit);
}

static void out_of_memory_costs_a_connection_and_no_more(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 20; n++) {
		struct kit *kit = kit_tcp_start(NULL);
		struct mosaic_error err = ERR_INIT;
		struct mosaic_transport *none;
		char answer[9];
		kit->on_frame = side_close_at_once; /* 'f': answers if it can, and closes */
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
		kit->on_frame = side_echo;
		int fd = peer_open(kit);
		peer_send_frame(kit, fd, "hello", 5);
		peer_read(kit, fd, answer, sizeof(answer));
		close(fd);
		kit_tcp_stop(kit);
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
	struct kit *kit = kit_tcp_start(options);
	int fds[50];
	(void)state;
	memset(fds, 0xff, sizeof(fds));
	kit->on_frame = do_anything;
	while (kit->n_sides < 2500) {
		peer_does_anything(kit, &fds[draw(ARRAY_LEN(fds))]);
		if (draw(3) == 0)
			kit_turn(kit);
	}
	kit_tcp_stop(kit); /* each side heard closed() once, no memory is held */
	assert_true(n_spans > 1000);
	assert_int_equal(n_spans, n_spans_released);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* ---- listen and connect ---- */

static void a_taken_port_or_a_bad_address_is_an_error_with_a_text(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
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
	kit_tcp_stop(kit);
}

static void after_unlisten_connections_stay_and_new_ones_fail(void **state)
{
	struct kit *kit = kit_tcp_start(NULL);
	char answer[9];
	(void)state;
	kit->on_frame = side_echo;
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
	kit_tcp_stop(kit);
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
	struct kit *kit = kit_tcp_start(NULL);
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
	kit_tcp_stop(kit);
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
	struct kit *kit = kit_tcp_start(NULL);
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
	kit_tcp_stop(kit);
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
	struct kit *kit = kit_tcp_start(NULL);
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
	kit_tcp_stop(kit); /* in the middle of a dial and of a look-up */
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
