/* Clients that behave badly while others want to be served: slow, mute, many. */
#include "robust.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1024u * 1024)
#define MANY 10000

static void start(struct child *c, const char *transport)
{
	child_init(c);
	child_config(c, ", \"segment\": \"64MiB\"", "flush-async", transport, "");
	c->nofile = 2 * MANY;
	child_start(c);
}

static void end(struct child *c)
{
	child_stop(c);
	child_fini(c);
}

static void print_bytes(const char *what, uint64_t bytes)
{
	print_message("%s: %.2f MiB%s\n", what, (double)bytes / MIB,
		      IS_SANITIZED ? " (not judged in a sanitizer's build)" : "");
}

static void idle_takes_less_than_10_mib(void **state)
{
	(void)state;
	struct child c;
	start(&c, "");
	uint64_t rss = child_rss(&c);
	print_bytes("NameServer and broker, idle, VmRSS", rss);
	if (!IS_SANITIZED)
		assert_true(rss < 10 * MIB);
	end(&c);
}

static void open_many(int *fds, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++)
		fds[i] = dial(port);
}

static void close_many(int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		close(fds[i]);
}

static void an_idle_connection_takes_at_most_8_kib(void **state)
{
	(void)state;
	enum {
		N = 5000
	};
	struct child c;
	int *fds = calloc(N, sizeof(int));

	if (!raise_nofile(N + 100))
		skip();
	start(&c, "");
	check_serves(c.broker[0]);
	uint64_t before = child_rss(&c);
	open_many(fds, N, c.broker[0]);
	/* The first byte makes it a connection of the broker's too. */
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(send(fds[i], "", 1, MSG_NOSIGNAL), 1);
	check_serves(c.broker[0]); /* behind them: all are accepted */
	uint64_t each = (child_rss(&c) - before) / N;
	print_message("idle connection: %llu bytes\n", (unsigned long long)each);
	if (!IS_SANITIZED)
		assert_true(each <= 8192);
	close_many(fds, N);
	check_serves(c.broker[0]);
	free(fds);
	end(&c);
}

static void ten_thousand_connections_of_one_byte_hurt_nobody(void **state)
{
	(void)state;
	struct child c;
	int *fds = calloc(MANY, sizeof(int));
	uint32_t half = MANY / 2;

	if (!raise_nofile(MANY + 100))
		skip();
	start(&c, "");
	check_serves(c.broker[0]);
	uint64_t before = child_rss(&c), began = now_ns();
	open_many(fds, half, c.broker[0]);
	open_many(fds + half, half, c.namesrv);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(send(fds[i], "\0", 1, MSG_NOSIGNAL), 1);
	check_serves(c.broker[0]);
	print_message("%d connections of one byte: %llu ms, %.1f MiB\n", MANY,
		      (unsigned long long)((now_ns() - began) / 1000000),
		      (double)(child_rss(&c) - before) / MIB);
	if (!IS_SANITIZED)
		assert_true(child_rss(&c) - before < MANY * UINT64_C(8192));
	end(&c); /* with all of them open */
	close_many(fds, MANY);
	free(fds);
}

/* Descriptors run out: who is there is served, who comes later is turned away, nobody spins. */
static void connections_beyond_the_limit_are_turned_away(void **state)
{
	(void)state;
	enum {
		N = 300
	};
	int fds[N];
	struct child c;
	struct client early;
	int64_t offset;

	child_init(&c);
	child_config(&c, ", \"segment\": \"4MiB\"", "flush-async", "", "");
	c.nofile = 128;
	child_start(&c);
	client_open(&early, c.broker[0]);
	assert_int_equal(client_send_wait(&early, "Early", 0, "x", 1, &offset), 0);
	open_many(fds, N, c.broker[0]);
	child_log_wait(&c, "descriptors_out", ""); /* says what is missing */
	assert_int_equal(client_send_wait(&early, "Early", 0, "x", 1, &offset), 0);
	assert_int_equal(offset, 1);
	close_many(fds, N);
	client_close(&early);
	check_serves(c.broker[0]); /* there is room again */
	end(&c);
}

static void max_connections_is_kept(void **state)
{
	(void)state;
	enum {
		N = 50
	};
	int fds[N];
	struct child c;
	struct client early;
	char byte;

	start(&c, ", \"maxConnections\": 20");
	client_open(&early, c.broker[0]);
	assert_int_equal(client_send_wait(&early, "Early", 0, "x", 1, NULL), 0);
	open_many(fds, N, c.broker[0]);
	for (uint32_t i = 0; i < N; i++)
		(void)send(fds[i], "\0", 1, MSG_NOSIGNAL);
	assert_true(recv(fds[N - 1], &byte, 1, 0) <= 0); /* blocks until it is turned away */
	assert_int_equal(client_send_wait(&early, "Early", 0, "x", 1, NULL), 0);
	child_log_wait(&c, "level=warn", "maxConnections");
	close_many(fds, N);
	client_close(&early);
	end(&c);
}

/* Asks for much and reads nothing: until the broker reads no more from it. Frames sent. */
static uint32_t ask_and_never_read(int fd, const char *topic)
{
	char header[512];
	uint8_t frame[600];
	uint32_t n = 0;
	int len = snprintf(
		header, sizeof(header),
		"{\"code\":11,\"language\":\"OTHER\",\"version\":479,\"opaque\":1,\"flag\":0,"
		"\"extFields\":{\"consumerGroup\":\"g\",\"topic\":\"%s\",\"queueId\":\"0\","
		"\"queueOffset\":\"0\",\"maxMsgNums\":\"32\",\"sysFlag\":\"4\","
		"\"commitOffset\":\"0\",\"suspendTimeoutMillis\":\"0\","
		"\"subscription\":\"*\",\"subVersion\":\"0\","
		"\"expressionType\":\"TAG\"}}",
		topic);
	put32(frame, (uint32_t)len + 4);
	put32(frame + 4, (uint32_t)len);
	memcpy(frame + 8, header, (size_t)len);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (n < 100000) {
		ssize_t rc = send(fd, frame, (size_t)len + 8, MSG_NOSIGNAL);
		if (rc == len + 8) {
			n++;
			continue;
		}
		if (rc > 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
			break;
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		if (poll(&p, 1, 200) == 0)
			break; /* the broker reads no more from it, as it should */
	}
	return n;
}

static void a_client_that_never_reads_costs_bounded_memory(void **state)
{
	(void)state;
	enum {
		MUTE = 4
	};
	struct child c;
	struct client producer;
	size_t len = 200 * 1024;
	char *body = calloc(1, len);
	int fds[MUTE];
	uint32_t asked = 0;

	start(&c, "");
	client_open(&producer, c.broker[0]);
	for (int i = 0; i < 16; i++)
		assert_int_equal(client_send_wait(&producer, "Big", 0, body, len, NULL), 0);
	uint64_t before = child_rss(&c);
	for (int i = 0; i < MUTE; i++) {
		fds[i] = dial(c.broker[0]);
		asked += ask_and_never_read(fds[i], "Big");
	}
	uint64_t began = now_ns();
	check_serves(c.broker[0]);
	print_message("%u answers that nobody reads: others served in %.1f ms, %.1f MiB more\n",
		      asked, (double)(now_ns() - began) / 1e6,
		      (double)((int64_t)(child_rss(&c) - before)) / MIB);
	if (!IS_SANITIZED) /* answers are spans of the store: no copies */
		assert_true(child_rss(&c) < before + MUTE * 8 * MIB);
	close_many(fds, MUTE);
	client_close(&producer);
	check_serves(c.broker[0]);
	free(body);
	end(&c);
}

/* Half frames, a byte now and then: each holds its connection and nothing else. */
static void half_frames_hold_nobody_up(void **state)
{
	(void)state;
	enum {
		SLOW = 1000
	};
	uint8_t half[5000] = { 0 };
	int fds[SLOW];
	struct child c;

	if (!raise_nofile(SLOW + 100))
		skip();
	start(&c, ", \"maxFrameMemory\": \"1MiB\"");
	put32(half, 100000);
	put32(half + 4, 50000);
	open_many(fds, SLOW, c.broker[0]);
	for (uint32_t i = 0; i < SLOW; i++)
		(void)send(fds[i], half, sizeof(half), MSG_NOSIGNAL);
	child_log_wait(&c, "frame_memory_full", "closed"); /* 5 MB do not fit into one */
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < SLOW; i++)
			(void)send(fds[i], half, 1, MSG_NOSIGNAL);
	}
	check_serves(c.broker[0]);
	close_many(fds, SLOW);
	check_serves(c.broker[0]);
	end(&c);
}

static void connections_that_come_and_go_leave_nothing(void **state)
{
	(void)state;
	struct child c;
	uint64_t before = 0;

	start(&c, "");
	for (uint32_t i = 0; i < 4000; i++) {
		if (i % 50 == 0) /* few are there at a time, on a slow machine too */
			check_serves(c.broker[0]);
		if (i == 1000)
			before = child_rss(&c);
		int fd = dial(c.broker[0]);
		if (i % 3 == 0)
			(void)send(fd, "\0\0", 2, MSG_NOSIGNAL);
		if (i % 5 == 0) { /* a reset instead of an end */
			struct linger l = { .l_onoff = 1 };
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
		}
		close(fd);
	}
	check_serves(c.broker[0]);
	int64_t more = (int64_t)(child_rss(&c) - before);
	print_message("3000 connections later: %lld KiB more\n", (long long)(more / 1024));
	if (!IS_SANITIZED)
		assert_true(more < 2 * (int64_t)MIB);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_takes_less_than_10_mib),
		cmocka_unit_test(an_idle_connection_takes_at_most_8_kib),
		cmocka_unit_test(ten_thousand_connections_of_one_byte_hurt_nobody),
		cmocka_unit_test(connections_beyond_the_limit_are_turned_away),
		cmocka_unit_test(max_connections_is_kept),
		cmocka_unit_test(a_client_that_never_reads_costs_bounded_memory),
		cmocka_unit_test(half_frames_hold_nobody_up),
		cmocka_unit_test(connections_that_come_and_go_leave_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
