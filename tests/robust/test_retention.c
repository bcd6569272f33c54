/* Old segments go while messages come, processes are killed and logs are large. */
#include "load.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE ", \"segment\": \"256KiB\", \"queueSegment\": \"4000\""
#define RETENTION                                                                                  \
	", \"retention\": { \"size\": \"1MiB\", \"interval\": \"100ms\", \"pause\": \"0ms\" }"

static uint32_t count_files(const struct child *c, const char *folder)
{
	char path[200];
	uint32_t n = 0;
	DIR *dir = opendir(child_path(c, folder, path, sizeof(path)));
	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static int64_t ask(struct client *c, int32_t code, const char *topic, int queue)
{
	struct answer a;
	char text[16];
	snprintf(text, sizeof(text), "%d", queue);
	client_call(c, &a, code, NULL, 0, "topic", topic, "queueId", text, NULL);
	assert_int_equal(a.code, 0);
	int64_t offset = atoll(answer_field(&a, "offset"));
	answer_free(&a);
	return offset;
}

/* 21 and where to go on, as Apache's broker answers a pull below the first message. */
static void check_first(struct client *c, const char *topic, int queue, int64_t min)
{
	struct answer a;
	char text[16];
	snprintf(text, sizeof(text), "%d", queue);
	client_call(c, &a, 11, NULL, 0, "consumerGroup", "robust-consumer", "topic", topic,
		    "queueId", text, "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4",
		    "commitOffset", "0", "suspendTimeoutMillis", "0", "subscription", "*",
		    "subVersion", "0", "expressionType", "TAG", NULL);
	assert_int_equal(a.code, 21);
	assert_int_equal(atoll(answer_field(&a, "nextBeginOffset")), min);
	assert_int_equal(atoll(answer_field(&a, "minOffset")), min);
	answer_free(&a);
}

/* load_check, and that what is gone is gone everywhere. */
static void check_all(struct load *l, const struct child *c, int64_t *min)
{
	struct client client;
	load_check(l, c->broker[0]);
	client_open(&client, c->broker[0]);
	for (int q = 0; q < LOAD_QUEUES; q++) {
		int64_t now = ask(&client, 31, l->topic, q);
		assert_true(now >= min[q]);
		assert_int_equal(ask(&client, 30, l->topic, q), l->found[q]);
		min[q] = now;
		if (now > 0)
			check_first(&client, l->topic, q, now);
	}
	client_close(&client);
}

static void kill_9_while_segments_go_loses_nothing_else(void **state)
{
	(void)state;
	struct child c;
	struct load l;
	struct client client;
	int64_t min[LOAD_QUEUES] = { 0 };
	unsigned seed = (unsigned)now_ns();

	print_message("seed %u\n", seed);
	load_init(&l, "RobustOld", 500);
	child_init(&c);
	for (int round = 0; round < 3; round++) {
		child_config(&c, STORE, "flush-sync", "", RETENTION);
		child_start(&c);
		client_open(&client, c.broker[0]);
		/* Segments go from 600 ms on; the kill comes at any time. */
		assert_true(load_run(&l, &client, 2000 + (uint32_t)rand_r(&seed) % 1000, 100));
		uint64_t until = now_ns() + 500000000 + (uint64_t)rand_r(&seed) % 600000000;
		while (now_ns() < until)
			assert_true(load_run(&l, &client, 10, 100));
		child_kill(&c);
		load_drain(&l, &client);
		client_close(&client);
		/* Nothing goes while it is looked at. */
		child_config(&c, STORE, "flush-sync", "", "");
		child_start(&c);
		check_all(&l, &c, min);
		check_serves(c.broker[0]);
		child_stop(&c);
	}
	assert_true(child_log_count(&c, "segment_deleted", "reason=size") > 0);
	for (int q = 0; q < LOAD_QUEUES; q++)
		assert_true(min[q] > 0);
	print_message("%llu acknowledged, the first %lld of queue 0 are gone\n",
		      (unsigned long long)l.n_acked, (long long)min[0]);
	load_free(&l);
	child_fini(&c);
}

static void files_go_too(void **state)
{
	(void)state;
	struct child c;
	struct load l;
	struct client client;
	int64_t min[LOAD_QUEUES] = { 0 };

	load_init(&l, "RobustOld", 2000);
	child_init(&c);
	child_config(&c, ", \"segment\": \"1MiB\", \"queueSegment\": \"4000\"", "flush-async", "",
		     ", \"retention\": { \"size\": \"4MiB\", \"interval\": \"100ms\", "
		     "\"pause\": \"0ms\" }");
	child_start(&c);
	client_open(&client, c.broker[0]);
	assert_true(load_run(&l, &client, 6000, 100)); /* 12 segments and more */
	shutdown(client.fd, SHUT_WR); /* no more requests: the rest of the answers, and the end */
	load_drain(&l, &client);
	client_close(&client);
	client_open(&client, c.broker[0]);
	/* A disk that others keep busy takes half a second for each. */
	uint64_t until = now_ns() + 6 * (uint64_t)WAIT_MS * 1000000;
	/* Four, of which one is written to; the next one is prepared, or more after a burst. */
	while (count_files(&c, "store/commitlog") > 6 && now_ns() < until)
		usleep(10000);
	assert_in_range(count_files(&c, "store/commitlog"), 4, 6);
	client_close(&client);
	child_stop(&c);
	child_config(&c, ", \"segment\": \"1MiB\", \"queueSegment\": \"4000\"", "flush-async", "",
		     "");
	child_start(&c);
	check_all(&l, &c, min);
	/* 1500 units were written, 200 to a file; those of 8 segments are gone. */
	assert_in_range(count_files(&c, "store/consumequeue/RobustOld/0"), 1, 4);
	check_serves(c.broker[0]);
	child_stop(&c);
	load_free(&l);
	child_fini(&c);
}

/* ---- a large log ---- */

#define SEGMENTS 200
#define SEGMENT_BYTES (256u << 20) /* 50 GiB of which nearly all are holes */
#define LAST_RECORDS 2000

/* A record of the commit log (MessageDecoder of 5.3.3), topic "Large", queue 0. */
static uint32_t make_record(uint8_t *p, uint64_t phys, uint64_t offset)
{
	static const char body[] = "a body", topic[] = "Large";
	uint32_t len = 91 + sizeof(body) - 1 + sizeof(topic) - 1;
	memset(p, 0, len);
	put32(p, len);
	put32(p + 4, 0xDAA320A7);
	put32(p + 8, 0x494786f6); /* CRC-32 of the body, 31 bits of it */
	put64(p + 20, offset);
	put64(p + 28, phys);
	put64(p + 40, 1700000000000u);
	memcpy(p + 48, "\x7f\0\0\1", 4);
	put64(p + 56, 1700000000000u + offset);
	memcpy(p + 64, "\x7f\0\0\1", 4);
	put32(p + 84, sizeof(body) - 1);
	memcpy(p + 88, body, sizeof(body) - 1);
	p[88 + sizeof(body) - 1] = sizeof(topic) - 1;
	memcpy(p + 89 + sizeof(body) - 1, topic, sizeof(topic) - 1);
	return len;
}

/* One record, and a blank one over the rest. */
static void make_segment(const struct child *c, uint64_t index)
{
	char name[64], path[200];
	uint8_t bytes[256];
	uint64_t start = index * SEGMENT_BYTES;
	snprintf(name, sizeof(name), "store/commitlog/%020llu", (unsigned long long)start);
	int fd = open(child_path(c, name, path, sizeof(path)), O_WRONLY | O_CREAT | O_CLOEXEC,
		      0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SEGMENT_BYTES), 0);
	uint32_t n = index + 1 < SEGMENTS ? 1 : LAST_RECORDS;
	uint64_t at = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = make_record(bytes, start + at, index + i);
		assert_int_equal(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
		at += len;
	}
	if (index + 1 < SEGMENTS) {
		put32(bytes, (uint32_t)(SEGMENT_BYTES - at));
		put32(bytes + 4, 0xCBD43194);
		assert_int_equal(pwrite(fd, bytes, 8, (off_t)at), 8);
	}
	close(fd);
}

static void start_and_tell(struct child *c, const char *what)
{
	child_start(c);
	print_message("%s: ready after %llu ms\n", what,
		      (unsigned long long)(c->ready_ns - c->started_ns) / 1000000);
	struct client client;
	client_open(&client, c->broker[0]);
	assert_int_equal(ask(&client, 30, "Large", 0), SEGMENTS - 1 + LAST_RECORDS);
	assert_int_equal(ask(&client, 31, "Large", 0), 0);
	client_close(&client);
}

/* Restarting is bounded by what was written since the checkpoint, not by the log. */
static void fifty_gigabytes_do_not_delay_the_start(void **state)
{
	(void)state;
	struct child c;
	char path[200];

	child_init(&c);
	child_config(&c, ", \"segment\": \"256MiB\"", "flush-async", "",
		     ", \"retention\": { \"time\": \"0s\" }");
	assert_int_equal(mkdir(child_path(&c, "store", path, sizeof(path)), 0755), 0);
	assert_int_equal(mkdir(child_path(&c, "store/commitlog", path, sizeof(path)), 0755), 0);
	for (uint64_t i = 0; i < SEGMENTS; i++)
		make_segment(&c, i);
	int fd = open(child_path(&c, "store/abort", path, sizeof(path)),
		      O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
	start_and_tell(&c, "nothing but the log, after a crash");
	check_serves(c.broker[0]);
	child_log_wait(&c, "event=", "log_open");
	child_kill(&c);
	start_and_tell(&c, "after a kill");
	child_stop(&c);
	start_and_tell(&c, "after a clean stop");
	child_kill(&c);
	assert_int_equal(unlink(child_path(&c, "store/checkpoint", path, sizeof(path))), 0);
	start_and_tell(&c, "after a kill, without the checkpoint");
	child_stop(&c);
	child_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kill_9_while_segments_go_loses_nothing_else),
		cmocka_unit_test(files_go_too),
		cmocka_unit_test(fifty_gigabytes_do_not_delay_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
