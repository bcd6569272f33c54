/* The real program, with either store, on files in which bits have flipped. */
#include "robust/load.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
		assert_true(a.code == 0 || a.code == 19 || a.code == 20);
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

int main(void)
{
	if (!child_store_is_usable())
		return 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flipped_bit_in_a_closed_segment_costs_one_message),
		cmocka_unit_test(a_recovery_passes_over_flipped_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
