/* Pulling and long polls. */
#include "rig.h"
#include "broker/pulls.h"

static void pull_returns_messages_in_order_and_the_next_offset(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "a");
	rig_send(&r, c, "T", 1, "", "other");
	rig_send(&r, c, "T", 0, "", "b");
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_true(slice_is(f.header.remark, "FOUND"));
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "a b");
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 2);
	assert_int_equal(rig_i64(&f, "minOffset"), 0);
	assert_int_equal(rig_i64(&f, "maxOffset"), 2);
	assert_int_equal(rig_i64(&f, "suggestWhichBrokerId"), 0);
	f = rig_pull(&r, c, "T", 0, 1, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "b");
	rig_close(&r);
}

static void offsets_outside_the_queue_get_rocketmqs_codes(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "a");
	struct fake_frame f = rig_pull(&r, c, "T", 0, 1, "*");
	assert_int_equal(f.header.code, RES_PULL_NOT_FOUND);
	assert_true(slice_is(f.header.remark, "OFFSET_OVERFLOW_ONE"));
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 1);
	f = rig_pull(&r, c, "T", 0, 99, "*");
	assert_int_equal(f.header.code, RES_PULL_OFFSET_MOVED);
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 1);
	f = rig_pull(&r, c, "T", 0, -5, "*");
	assert_int_equal(f.header.code, RES_PULL_OFFSET_MOVED);
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 0);
	f = rig_pull(&r, c, "T", 3, 0, "*");
	assert_int_equal(f.header.code, RES_PULL_NOT_FOUND);
	assert_true(slice_is(f.header.remark, "NO_MESSAGE_IN_QUEUE"));
	f = rig_pull(&r, c, "T", 3, 5, "*");
	assert_int_equal(f.header.code, RES_PULL_OFFSET_MOVED);
	assert_int_equal(rig_pull(&r, c, "T", 4, 0, "*").header.code, RES_INVALID_PARAMETER);
	assert_int_equal(rig_pull(&r, c, "Unknown", 0, 0, "*").header.code, RES_TOPIC_NOT_EXIST);
	rig_close(&r);
}

static void tags_filter_and_the_scan_advances(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "TAGS\1A\2", "a");
	rig_send(&r, c, "T", 0, "TAGS\1B\2", "b");
	rig_send(&r, c, "T", 0, "", "none");
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "B || C");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "b");
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 3);
	f = rig_pull(&r, c, "T", 0, 0, "Z");
	assert_int_equal(f.header.code, RES_PULL_RETRY_IMMEDIATELY);
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 3);
	assert_int_equal(rig_pull(&r, c, "T", 0, 0, "||").header.code,
			 RES_SUBSCRIPTION_PARSE_FAILED);
	assert_int_equal(rig_pull(&r, c, "T", 0, 0, " || ").header.code,
			 RES_PULL_RETRY_IMMEDIATELY);
	rig_close(&r);
}

static void at_most_32_messages_and_256_kib_at_once(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	for (int i = 0; i < 40; i++)
		rig_send(&r, c, "T", 0, "", "x");
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 32);
	char *big = malloc(200 * 1024 + 1);
	memset(big, 'y', 200 * 1024);
	big[200 * 1024] = 0;
	for (int i = 0; i < 3; i++)
		rig_send(&r, c, "T", 1, "", big);
	f = rig_pull(&r, c, "T", 1, 0, "*");
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 1);
	free(big);
	rig_close(&r);
}

static void a_pull_stays_within_one_file_of_its_queue(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	for (int i = 0; i < 1010; i++) /* the rig's files hold 1000 units */
		rig_send(&r, c, "T", 0, i == 1005 ? "TAGS\1A\2" : "", "x");
	struct fake_frame f = rig_pull(&r, c, "T", 0, 990, "*");
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 1000);
	f = rig_pull(&r, c, "T", 0, 990, "A");
	assert_int_equal(f.header.code, RES_PULL_RETRY_IMMEDIATELY);
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 1000);
	f = rig_pull(&r, c, "T", 0, 1000, "A");
	assert_int_equal(f.header.code, RES_SUCCESS);
	rig_close(&r);
}

/* ---- damage ---- */

/* One byte of the log or of the queue, as a disk would change it: the rig's store is memory. */
static void flip(struct rig *r, struct queue *q, uint64_t at)
{
	struct mosaic_read read = { 0 };
	struct mosaic_stream *stream = q ? q->stream : r->log->commit_log;
	assert_int_equal(r->store_ops->read(stream, at, 1, &read), 0);
	*(uint8_t *)(uintptr_t)read.ptr ^= 0x14;
	r->store_ops->unpin(stream, &read);
}

struct flip_case {
	const char *what;
	bool is_unit;
	uint32_t at; /* in the record, or in the unit */
};

static const struct flip_case flips[] = {
	{ "size", false, 0 },          { "low byte of the size", false, 3 },
	{ "magic", false, 5 },         { "checksum", false, 10 },
	{ "queue id", false, 15 },     { "queue offset", false, 27 },
	{ "log offset", false, 35 },   { "system flag", false, 39 },
	{ "body length", false, 87 },  { "body", false, 88 + 40 },
	{ "topic", false, 88 + 101 },  { "unit's offset", true, 0 },
	{ "unit's offset", true, 6 },  { "unit's offset", true, 7 },
	{ "unit's size", true, 8 },    { "unit's size", true, 11 },
};

/* The fifth of ten messages is hit: the others are delivered, the consumer moves past it. */
static void damage_costs_the_message_that_it_hits(void **state)
{
	char body[101];
	(void)state;
	memset(body, 'b', 100);
	body[100] = 0;
	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		const struct flip_case *flip_case = &flips[i];
		struct rig r;
		rig_open(&r, NULL);
		struct mosaic_conn *c = rig_dial(&r);
		for (int n = 0; n < 10; n++)
			rig_send(&r, c, "T", 0, "", body);
		struct queue *q = log_queue_find(r.log, slice_str("T"), 0);
		uint64_t record = r.log->end / 10 * 4;
		flip(&r, flip_case->is_unit ? q : NULL,
		     flip_case->at + (flip_case->is_unit ? 4 * QUEUE_UNIT_BYTES : record));
		r.log->unproven = r.log->end; /* it has been on a disk */
		struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
		if (f.header.code != RES_SUCCESS || f.body.len != r.log->end / 10 * 9 ||
		    rig_i64(&f, "nextBeginOffset") != 10)
			fail_msg("flipped: %s", flip_case->what);
		assert_int_equal(r.log->stats.damaged, 1);
		rig_pull(&r, c, "T", 0, 0, "*");
		assert_int_equal(r.log->stats.damaged, 2);
		f = rig_pull(&r, c, "T", 0, 5, "*");
		assert_int_equal(f.body.len, r.log->end / 10 * 5);
		rig_close(&r);
	}
}

static void nothing_but_damage_moves_the_consumer_on(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "hello");
	flip(&r, NULL, 88 + 2);
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_int_equal(f.header.code, RES_SUCCESS); /* what came in this life is trusted */
	r.log->unproven = r.log->end;
	f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_int_equal(f.header.code, RES_PULL_RETRY_IMMEDIATELY);
	assert_int_equal(f.body.len, 0);
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 1);
	rig_close(&r);
}

/* ---- a disk that cannot read ---- */

/* The rig's store behind a disk that reads all but some bytes of the log, or nothing. */
struct bad_disk {
	struct mosaic_store_ops ops; /* first */
	struct rig *rig;
	uint64_t from, upto;
	int32_t status;
	uint32_t n_failed;
};

static struct bad_disk bad_disk; /* read() knows nothing but its stream */

static int32_t bad_read(struct mosaic_stream *stream, uint64_t offset, uint32_t len,
			struct mosaic_read *read)
{
	struct bad_disk *d = &bad_disk;
	uint64_t from = offset > d->from ? offset : d->from;
	uint64_t upto = offset + len < d->upto ? offset + len : d->upto;
	if (stream != d->rig->log->commit_log || from >= upto)
		return d->rig->store_ops->read(stream, offset, len, read);
	d->n_failed++;
	read->offset = from;
	read->len = (uint32_t)(upto - from);
	read->req.status = d->status;
	d->rig->host.host.post(&d->rig->host.host, &read->req);
	return MOSAIC_PENDING;
}

static void break_disk(struct rig *r, int32_t status, uint64_t from, uint64_t upto)
{
	bad_disk = (struct bad_disk){ .ops = *r->store_ops, .rig = r, .from = from, .upto = upto,
				      .status = status };
	bad_disk.ops.read = bad_read;
	r->log->config.store_ops = &bad_disk.ops;
}

static void send_ten(struct rig *r, const char *props)
{
	rig_open(r, NULL);
	struct mosaic_conn *c = rig_dial(r);
	for (int n = 0; n < 10; n++) {
		char body[4];
		snprintf(body, sizeof(body), "%d", n);
		rig_send(r, c, "T", 0, props, body);
	}
}

/* Bytes of two of ten messages are lost. */
static void lost_bytes_cost_the_messages_that_they_hit(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	send_ten(&r, "TAGS\1A\2");
	struct mosaic_conn *c = rig_dial(&r);
	uint64_t size = r.log->end / 10;
	break_disk(&r, MOSAIC_E_LOST, 5 * size - 30, 6 * size - 30);
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "0 1 2 3 6 7 8 9");
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 10);
	assert_int_equal(r.log->stats.damaged, 2);
	assert_int_equal(bad_disk.n_failed, 1);
	f = rig_pull(&r, c, "T", 0, 4, "A"); /* others hear of it without asking the disk */
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "6 7 8 9");
	assert_int_equal(bad_disk.n_failed, 1);
	f = rig_pull(&r, c, "T", 0, 4, "B"); /* what nobody wants is not read */
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 10);
	assert_int_equal(r.log->stats.damaged, 4);
	rig_close(&r);
}

static void nothing_but_lost_bytes_moves_the_consumer_on(void **state)
{
	struct rig r;
	(void)state;
	send_ten(&r, "");
	struct mosaic_conn *c = rig_dial(&r);
	break_disk(&r, MOSAIC_E_LOST, 0, r.log->end);
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_int_equal(f.header.code, RES_PULL_RETRY_IMMEDIATELY);
	assert_int_equal(rig_i64(&f, "nextBeginOffset"), 10);
	rig_close(&r);
}

static void bytes_that_come_back_are_delivered_after_a_minute(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	send_ten(&r, "");
	struct mosaic_conn *c = rig_dial(&r);
	uint64_t size = r.log->end / 10;
	break_disk(&r, MOSAIC_E_LOST, 5 * size, 5 * size + 1);
	struct fake_frame f = rig_pull(&r, c, "T", 0, 4, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "4 6 7 8 9");
	bad_disk.upto = 0;
	f = rig_pull(&r, c, "T", 0, 4, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "4 6 7 8 9");
	fake_host_advance_ms(&r.host, 61000);
	f = rig_pull(&r, c, "T", 0, 4, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "4 5 6 7 8 9");
	rig_close(&r);
}

/* Nothing is skipped: the client asks for the same again. */
static void a_disk_that_does_not_answer_loses_no_message(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	send_ten(&r, "");
	struct mosaic_conn *c = rig_dial(&r);
	break_disk(&r, MOSAIC_E_IO, 0, r.log->end);
	for (int i = 0; i < 3; i++) {
		struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
		assert_int_equal(f.header.code, RES_SYSTEM_ERROR);
		assert_true(f.header.remark.len > 0);
	}
	assert_int_equal(r.log->stats.damaged, 0);
	bad_disk.upto = 0;
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "0 1 2 3 4 5 6 7 8 9");
	rig_close(&r);
}

static struct fake_frame view(struct rig *r, struct mosaic_conn *c, uint64_t offset)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)offset);
	fake_conn_request(c, REQ_VIEW_MESSAGE_BY_ID, NO_BODY, "offset", text, NULL);
	return rig_answer(r, c);
}

static void a_single_message_is_found_beside_lost_bytes(void **state)
{
	struct rig r;
	(void)state;
	send_ten(&r, "");
	struct mosaic_conn *c = rig_dial(&r);
	uint64_t size = r.log->end / 10;
	break_disk(&r, MOSAIC_E_LOST, 5 * size + 60, 5 * size + 61);
	assert_int_equal(view(&r, c, 5 * size).header.code, RES_SYSTEM_ERROR);
	assert_int_equal(view(&r, c, 5 * size).header.code, RES_SYSTEM_ERROR);
	struct fake_frame f = view(&r, c, 4 * size); /* its read looks further than it is long */
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_int_equal(f.body.len, size);
	assert_int_equal(view(&r, c, 6 * size).header.code, RES_SUCCESS);
	rig_close(&r);
}

static void held_pull_wakes_when_a_message_arrives(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *p = rig_dial(&r), *c = rig_dial(&r);
	rig_send(&r, p, "T", 0, "", "old");
	rig_post_pull(c, "T", 0, 1, "*", 15000);
	rig_no_answer(&r, c);
	assert_int_equal(holds_count(r.broker->holds), 1);
	rig_send(&r, p, "T", 1, "", "elsewhere");
	rig_no_answer(&r, c);
	rig_send(&r, p, "T", 0, "", "new");
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "new");
	assert_int_equal(holds_count(r.broker->holds), 0);
	rig_close(&r);
}

static void held_pull_does_not_wake_for_a_tag_it_does_not_want(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *p = rig_dial(&r), *c = rig_dial(&r);
	rig_send(&r, p, "T", 0, "TAGS\1A\2", "old");
	rig_post_pull(c, "T", 0, 1, "A", 15000);
	rig_send(&r, p, "T", 0, "TAGS\1B\2", "other");
	rig_no_answer(&r, c);
	rig_send(&r, p, "T", 0, "TAGS\1A\2", "mine");
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_close(&r);
}

static void held_pull_is_answered_when_its_time_is_over(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "old");
	rig_post_pull(c, "T", 0, 1, "*", 15000);
	fake_host_advance_ms(&r.host, 14900);
	rig_no_answer(&r, c);
	fake_host_advance_ms(&r.host, 200);
	assert_int_equal(rig_answer(&r, c).header.code, RES_PULL_NOT_FOUND);
	rig_close(&r);
}

static void held_pulls_of_a_closed_connection_are_forgotten(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *p = rig_dial(&r), *c = rig_dial(&r);
	rig_send(&r, p, "T", 0, "", "old");
	rig_post_pull(c, "T", 0, 1, "*", 15000);
	rig_post_pull(c, "T", 1, 0, "*", 15000);
	fake_host_run(&r.host);
	assert_int_equal(holds_count(r.broker->holds), 2);
	fake_conn_close(c);
	fake_host_run(&r.host);
	assert_int_equal(holds_count(r.broker->holds), 0);
	rig_send(&r, p, "T", 0, "", "new");
	rig_close(&r);
}

static void deleted_topic_answers_its_held_pulls(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *p = rig_dial(&r), *c = rig_dial(&r);
	rig_send(&r, p, "T", 0, "", "old");
	rig_post_pull(c, "T", 0, 1, "*", 15000);
	rig_no_answer(&r, c);
	fake_conn_request(p, REQ_DELETE_TOPIC_IN_BROKER, NO_BODY, "topic", "T", NULL);
	assert_int_equal(rig_answer(&r, p).header.code, RES_SUCCESS);
	assert_int_equal(rig_answer(&r, c).header.code, RES_TOPIC_NOT_EXIST);
	rig_close(&r);
}

static void without_subscription_in_the_header_the_group_must_be_there(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "a");
	fake_conn_request(c, REQ_PULL_MESSAGE, NO_BODY, "consumerGroup", "G", "topic", "T",
			  "queueId", "0", "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "2",
			  "commitOffset", "0", "suspendTimeoutMillis", "0", "subVersion", "0",
			  NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUBSCRIPTION_NOT_EXIST);
	fake_conn_request(c, REQ_PULL_MESSAGE, NO_BODY, "topic", "T", "consumerGroup", "G", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SYSTEM_ERROR);
	rig_close(&r);
}

static void fields_that_sys_flag_does_not_need_may_be_missing(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "a");
	rig_send(&r, c, "T", 0, "", "b");
	/* A negative count is as one: the first message always comes. */
	fake_conn_request(c, REQ_PULL_MESSAGE, NO_BODY, "consumerGroup", "G", "topic", "T",
			  "queueId", "0", "queueOffset", "0", "maxMsgNums", "-1", "sysFlag", "4",
			  NULL);
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "a");
	fake_conn_request(c, REQ_PULL_MESSAGE, NO_BODY, "consumerGroup", "G", "topic", "T",
			  "queueId", "0", "queueOffset", "0", "maxMsgNums", "1", "sysFlag", "6",
			  NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SYSTEM_ERROR);
	fake_conn_request(c, REQ_PULL_MESSAGE, NO_BODY, "consumerGroup", "G", "topic", "T",
			  "queueId", "0", "queueOffset", "0", "maxMsgNums", "1", "sysFlag", "4",
			  "maxMsgBytes", "abc", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SYSTEM_ERROR);
	rig_close(&r);
}

static void one_pull_does_not_walk_through_the_whole_queue(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	for (int i = 0; i < 5000; i++)
		rig_send(&r, c, "T", 0, "TAGS\1A\2", "x");
	fake_conn_request(c, REQ_PULL_MESSAGE, NO_BODY, "consumerGroup", "G", "topic", "T",
			  "queueId", "0", "queueOffset", "0", "maxMsgNums", "2147483647", "sysFlag",
			  "4", "commitOffset", "0", "suspendTimeoutMillis", "0", "subscription",
			  "B", "subVersion", "0", "expressionType", "TAG", NULL);
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, RES_PULL_RETRY_IMMEDIATELY);
	assert_in_range(rig_i64(&f, "nextBeginOffset"), 800, 4096);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pull_returns_messages_in_order_and_the_next_offset),
		cmocka_unit_test(offsets_outside_the_queue_get_rocketmqs_codes),
		cmocka_unit_test(tags_filter_and_the_scan_advances),
		cmocka_unit_test(at_most_32_messages_and_256_kib_at_once),
		cmocka_unit_test(a_pull_stays_within_one_file_of_its_queue),
		cmocka_unit_test(damage_costs_the_message_that_it_hits),
		cmocka_unit_test(nothing_but_damage_moves_the_consumer_on),
		cmocka_unit_test(lost_bytes_cost_the_messages_that_they_hit),
		cmocka_unit_test(nothing_but_lost_bytes_moves_the_consumer_on),
		cmocka_unit_test(bytes_that_come_back_are_delivered_after_a_minute),
		cmocka_unit_test(a_disk_that_does_not_answer_loses_no_message),
		cmocka_unit_test(a_single_message_is_found_beside_lost_bytes),
		cmocka_unit_test(held_pull_wakes_when_a_message_arrives),
		cmocka_unit_test(held_pull_does_not_wake_for_a_tag_it_does_not_want),
		cmocka_unit_test(held_pull_is_answered_when_its_time_is_over),
		cmocka_unit_test(held_pulls_of_a_closed_connection_are_forgotten),
		cmocka_unit_test(deleted_topic_answers_its_held_pulls),
		cmocka_unit_test(without_subscription_in_the_header_the_group_must_be_there),
		cmocka_unit_test(fields_that_sys_flag_does_not_need_may_be_missing),
		cmocka_unit_test(one_pull_does_not_walk_through_the_whole_queue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
