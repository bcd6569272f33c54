/*
 * The real program, with either store, on files in which bits have flipped, and on a disk that
 * cannot read all of them (shim.c).
 */
#include "robust/load.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE ", \"segment\": 1048576, \"queueSegment\": 60000"
#define BODY_BYTES 1000
#define N_MESSAGES 4000 /* four segments */

/* Where a record is hit: bytes from its begin, or from where its body ends. */
static const struct {
	const char *what;
	bool from_end;
	uint32_t at;
	uint8_t bits;
} hits[] = {
	{ "size, much too large", false, 0, 0x40 },
	{ "size, one less", false, 3, 0x01 },
	{ "magic", false, 6, 0x08 },
	{ "checksum", false, 11, 0x10 },
	{ "queue id", false, 15, 0x04 },
	{ "queue offset", false, 27, 0x02 },
	{ "log offset", false, 33, 0x20 },
	{ "system flag", false, 39, 0x10 },
	{ "body length", false, 86, 0x02 },
	{ "body, first byte", false, 88, 0x80 },
	{ "body", false, 500, 0x10 },
	{ "body, last byte", true, 0, 0x01 },
	{ "topic length", true, 1, 0x40 },
	{ "topic", true, 3, 0x20 },
};
#define N_HITS (sizeof(hits) / sizeof(hits[0]))

/* The same for units of the queues. */
static const struct {
	uint32_t at;
	uint8_t bits;
} unit_hits[] = { { 0, 0x80 }, { 5, 0x01 }, { 7, 0x04 }, { 8, 0x80 }, { 10, 0x02 }, { 11, 0x01 } };
#define N_UNIT_HITS (sizeof(unit_hits) / sizeof(unit_hits[0]))

static void change(const char *path, uint64_t at, uint8_t bits)
{
	uint8_t byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= bits;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

/* Every twentieth record of the first segment, which is long closed, is hit somewhere else. */
static void hit_records(const struct child *c)
{
	char path[160];
	uint8_t head[8];
	uint64_t at = 0;
	snprintf(path, sizeof(path), "%s/store/commitlog/%020d", c->dir, 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t n = 0; n < N_HITS * 20; n++) {
		assert_int_equal(pread(fd, head, 8, (off_t)at), 8);
		if (n % 20 == 7)
			change(path, at + hits[n / 20].at +
				     (hits[n / 20].from_end ? 88 + BODY_BYTES - 1 : 0),
			       hits[n / 20].bits);
		at += get32(head);
	}
	close(fd);
}

/* Units of messages that are whole. */
static void hit_units(const struct child *c, const char *topic)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/store/consumequeue/%s/1/%020d", c->dir, topic, 0);
	for (size_t i = 0; i < N_UNIT_HITS; i++)
		change(path, (400 + 10 * i) * 20 + unit_hits[i].at, unit_hits[i].bits);
}

/* Our own part of the checkpoint: without it a recovery begins where Apache's would. */
static void zero_resume(const char *path)
{
	uint8_t zeros[64] = { 0 };
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 64), sizeof(zeros));
	close(fd);
}

struct pulled {
	uint64_t n, n_wrong;
	int64_t end;
};

/* All of a queue; what comes must be what was sent. */
static void pull_what_is_there(struct client *c, const struct load *l, int queue,
			       struct pulled *p)
{
	char queue_text[16], offset_text[24];
	int64_t offset = 0;
	snprintf(queue_text, sizeof(queue_text), "%d", queue);
	for (bool is_end = false; !is_end;) {
		struct answer a;
		snprintf(offset_text, sizeof(offset_text), "%lld", (long long)offset);
		client_call(c, &a, 11, NULL, 0, "consumerGroup", "robust-consumer", "topic",
			    l->topic, "queueId", queue_text, "queueOffset", offset_text,
			    "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
			    "suspendTimeoutMillis", "0", "subscription", "*", "subVersion", "0",
			    "expressionType", "TAG", NULL);
		if (a.code != 0 && a.code != 19 && a.code != 20)
			fail_msg("pull of %lld: %d, %s", (long long)offset, a.code, a.remark);
		is_end = a.code == 19;
		for (size_t at = 0; at < a.body_len; at += get32(a.body + at)) {
			const uint8_t *record = a.body + at;
			int64_t index = (int64_t)get64(record + 20);
			assert_true(get32(record) >= 91);
			assert_true(index >= offset);
			uint64_t acked = index < l->size[queue] ? l->acked[queue][index] : 0;
			p->n_wrong += get32(record + 84) != BODY_BYTES ||
				      (acked != 0 && get64(record + 88) + 1 != acked);
			for (uint32_t i = 8; i < BODY_BYTES; i++)
				p->n_wrong += record[88 + i] != 0;
			p->n++;
		}
		int64_t next = atoll(answer_field(&a, "nextBeginOffset"));
		assert_true(is_end || next > offset); /* a consumer never stays where it is */
		offset = next;
		answer_free(&a);
	}
	p->end += offset;
}

static void send_all(struct load *l, struct client *c)
{
	assert_true(load_run(l, c, N_MESSAGES, 16));
	shutdown(c->fd, SHUT_WR);
	load_drain(l, c); /* some that are under way may be there and not acknowledged */
}

static struct pulled pull_all(const struct child *c, const struct load *l)
{
	struct pulled p = { 0 };
	struct client client;
	client_open(&client, c->broker[0]);
	for (int q = 0; q < LOAD_QUEUES; q++)
		pull_what_is_there(&client, l, q, &p);
	client_close(&client);
	return p;
}

/* A damaged record, or a damaged unit, costs one message: consumers move past it and get all
 * others, the log says so, and verify finds each. A record whose body is whole and whose unit is
 * damaged is not lost: repair makes the unit again. */
static void a_flipped_bit_in_a_closed_segment_costs_one_message(void **state)
{
	struct child c;
	struct client client;
	struct load l;
	char *text = malloc(1 << 20);

	(void)state;
	child_init(&c);
	child_config(&c, STORE, child_keeping_flush(), "", "");
	child_start(&c);
	load_init(&l, "FaultFlip", BODY_BYTES);
	client_open(&client, c.broker[0]);
	send_all(&l, &client);
	client_close(&client);
	child_stop_slowly(&c);
	hit_records(&c);
	hit_units(&c, l.topic);
	child_start(&c);
	for (int i = 0; i < 2; i++) { /* from the disk, and from the cache */
		struct pulled p = pull_all(&c, &l);
		print_message("%s: %llu of %lld pulled, %llu wrong\n", child_store(),
			      (unsigned long long)p.n, (long long)p.end,
			      (unsigned long long)p.n_wrong);
		assert_int_equal(p.n_wrong, 0);
		assert_in_range(p.end, l.n_acked, l.next);
		assert_int_equal(p.n, p.end - N_HITS - N_UNIT_HITS);
	}
	child_log_wait(&c, "message_damaged", "");
	check_serves(c.broker[0]);
	child_stop_slowly(&c);

	int status = child_command(&c, text, 1 << 20,
				   (const char *[]){ "mosaic", "store", "verify", "store", NULL });
	if (status != 1 || strstr(text, "commitlog/") == NULL ||
	    strstr(text, "6 records of the log") == NULL)
		fail_msg("verify: %d, %s", status, text);
	status = child_command(&c, text, 1 << 20,
			       (const char *[]){ "mosaic", "store", "repair", "store", NULL });
	if (status != 0)
		fail_msg("repair: %d, %s", status, text);
	child_start(&c);
	struct pulled p = pull_all(&c, &l);
	assert_int_equal(p.n_wrong, 0);
	assert_int_equal(p.n, p.end - N_HITS);
	child_stop_slowly(&c);
	load_free(&l);
	free(text);
	child_fini(&c);
}

/* The same when the broker was killed and its checkpoint is gone: it goes over all of the log. */
static void a_recovery_passes_over_flipped_bits(void **state)
{
	struct child c;
	struct client client;
	struct load l;
	char path[160];

	(void)state;
	child_init(&c);
	child_config(&c, STORE, child_keeping_flush(), "", "");
	child_start(&c);
	load_init(&l, "FaultFlip", BODY_BYTES);
	client_open(&client, c.broker[0]);
	send_all(&l, &client);
	client_close(&client);
	child_stop_slowly(&c); /* all of it is durable: else zeros may be lost sectors */
	hit_records(&c);
	child_start(&c);
	child_kill(&c);
	zero_resume(child_path(&c, "store/checkpoint", path, sizeof(path)));
	child_start(&c);
	struct pulled p = pull_all(&c, &l);
	assert_int_equal(p.n_wrong, 0);
	assert_in_range(p.end, l.n_acked, l.next);
	assert_int_equal(p.n, p.end - N_HITS);
	child_log_wait(&c, "log_damaged", "");
	check_serves(c.broker[0]);
	child_stop_slowly(&c);
	load_free(&l);
	child_fini(&c);
}

/* ---- a disk that cannot read ---- */

#define SEGMENT (1 << 20)
/* In each segment; behind what the last one has, which the start reads. */
#define LOST_FROM (180 * 4096)
#define LOST_UPTO (183 * 4096)

static void start_shimmed(struct child *c)
{
	char path[128];
	setenv("FAULT_SHIM_FILE", child_path(c, "broken-disk", path, sizeof(path)), 1);
	setenv("FAULT_SHIM_CALL", "read", 1);
	setenv("LD_PRELOAD", FAULT_SHIM, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	child_start(c);
	unsetenv("LD_PRELOAD");
	unsetenv("ASAN_OPTIONS");
}

static void break_disk(const struct child *c, const char *range)
{
	char path[128], new_path[144];
	child_path(c, "broken-disk", path, sizeof(path));
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	int fd = open(new_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, range, strlen(range)), strlen(range));
	close(fd);
	assert_int_equal(rename(new_path, path), 0);
}

static void heal_disk(const struct child *c)
{
	char path[128];
	unlink(child_path(c, "broken-disk", path, sizeof(path)));
}

/* Takes the pages of a segment out of the page cache; false: they are still there. */
static bool forget_segment(int fd)
{
	unsigned char present[SEGMENT / 4096];
	assert_int_equal(fsync(fd), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	void *map = mmap(NULL, SEGMENT, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mincore(map, SEGMENT, present), 0);
	munmap(map, SEGMENT);
	return !memchr(present, 1, sizeof(present));
}

/* How many messages lie in pages that cannot be read; -1: this file system forgets no pages. */
static int64_t count_lost(const struct child *c)
{
	int64_t n = 0;
	char path[160];
	struct stat st;
	for (uint64_t start = 0;; start += SEGMENT) {
		uint8_t head[8];
		uint64_t at = 0;
		snprintf(path, sizeof(path), "%s/store/commitlog/%020llu", c->dir,
			 (unsigned long long)start);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			break;
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, SEGMENT);
		while (at + 8 <= SEGMENT && pread(fd, head, 8, (off_t)at) == 8 && get32(head) > 0) {
			bool is_message = (get32(head + 4) & 0xff) == 0xa7; /* no blank */
			n += is_message && at < LOST_UPTO && at + get32(head) > LOST_FROM;
			at += get32(head);
		}
		bool forgets = forget_segment(fd);
		close(fd);
		if (!forgets)
			return -1;
	}
	return n;
}

static void start_cold(struct child *c, struct load *l)
{
	struct client client;
	child_init(c);
	child_config(c, STORE, child_keeping_flush(), "", "");
	child_start(c);
	load_init(l, "FaultLost", BODY_BYTES);
	client_open(&client, c->broker[0]);
	send_all(l, &client);
	client_close(&client);
	child_stop_slowly(c);
}

/* Consumers move past the messages that lie there and get all others. */
static void a_place_that_cannot_be_read_costs_its_messages(void **state)
{
	struct child c;
	struct load l;
	char range[32];

	(void)state;
	start_cold(&c, &l);
	int64_t n_lost = count_lost(&c);
	if (n_lost >= 0) {
		start_shimmed(&c);
		snprintf(range, sizeof(range), "%d %d\n", LOST_FROM, LOST_UPTO);
		break_disk(&c, range);
		for (int i = 0; i < 2; i++) {
			struct pulled p = pull_all(&c, &l);
			print_message("%s: %llu of %lld pulled, %lld cannot be read\n",
				      child_store(), (unsigned long long)p.n, (long long)p.end,
				      (long long)n_lost);
			assert_int_equal(p.n_wrong, 0);
			assert_in_range(p.end, l.n_acked, l.next);
			assert_true(n_lost >= 3 * (LOST_UPTO - LOST_FROM) / (BODY_BYTES + 300));
			assert_int_equal(p.n, p.end - n_lost);
		}
		child_log_wait(&c, "log_unreadable", "");
		child_log_wait(&c, "message_damaged", "");
		check_serves(c.broker[0]);
		child_stop_slowly(&c);
	} else {
		print_message("not tested: this file system keeps its pages in memory\n");
	}
	load_free(&l);
	child_fini(&c);
}

/* All fails: nothing is skipped, whoever asks is told, and later all is there. */
static void a_disk_that_does_not_answer_costs_nothing(void **state)
{
	struct child c;
	struct client client;
	struct load l;

	(void)state;
	start_cold(&c, &l);
	if (count_lost(&c) >= 0) {
		start_shimmed(&c);
		break_disk(&c, "0 1000000000\n");
		client_open(&client, c.broker[0]);
		for (int i = 0; i < 3; i++) {
			struct answer a;
			client_call(&client, &a, 11, NULL, 0, "consumerGroup", "robust-consumer",
				    "topic", l.topic, "queueId", "0", "queueOffset", "0",
				    "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
				    "suspendTimeoutMillis", "0", "subscription", "*", "subVersion",
				    "0", "expressionType", "TAG", NULL);
			assert_int_equal(a.code, 1);
			assert_non_null(strstr(a.remark, "the store cannot read the message"));
			answer_free(&a);
		}
		client_close(&client);
		child_log_wait(&c, "disk_unreadable", "");
		heal_disk(&c);
		struct pulled p = pull_all(&c, &l);
		assert_int_equal(p.n_wrong, 0);
		assert_int_equal(p.n, p.end);
		assert_in_range(p.end, l.n_acked, l.next);
		assert_int_equal(child_log_count(&c, "message_damaged", ""), 0);
		child_stop_slowly(&c);
	} else {
		print_message("not tested: this file system keeps its pages in memory\n");
	}
	load_free(&l);
	child_fini(&c);
}

int main(void)
{
	if (!child_store_is_usable())
		return 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flipped_bit_in_a_closed_segment_costs_one_message),
		cmocka_unit_test(a_recovery_passes_over_flipped_bits),
		cmocka_unit_test(a_place_that_cannot_be_read_costs_its_messages),
		cmocka_unit_test(a_disk_that_does_not_answer_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
