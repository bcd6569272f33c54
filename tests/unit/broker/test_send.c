/* Sending: answers, refusals, gate, parking, batches. */
#include "rig.h"
#include "base/bytes.h"

static void send_answers_with_id_queue_and_offset(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	struct fake_frame f = rig_send(&r, c, "T", 2, "UNIQ_KEY\1U1\2TAGS\1A\2", "hello");
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_int_equal(rig_i64(&f, "queueId"), 2);
	assert_int_equal(rig_i64(&f, "queueOffset"), 0);
	assert_true(slice_is(header_str(&f.header, "transactionId"), "U1"));
	assert_true(slice_is(header_str(&f.header, "MSG_REGION"), "DefaultRegion"));
	assert_true(slice_is(header_str(&f.header, "TRACE_ON"), "true"));
	assert_true(slice_is(header_str(&f.header, "msgId"), "7F00000100002A9F0000000000000000"));
	f = rig_send(&r, c, "T", 2, "", "again");
	assert_int_equal(rig_i64(&f, "queueOffset"), 1);
	assert_int_equal(header_str(&f.header, "transactionId").len, 32); /* made by the broker */
	rig_close(&r);
}

static void unknown_topic_is_made_with_the_queues_asked_for(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_send(&r, c, "Fresh", 0, "", "x").header.code, RES_SUCCESS);
	const struct topic *t = topics_find(r.broker->topics, slice_str("Fresh"));
	assert_non_null(t);
	assert_int_equal(t->write_queues, 4);
	assert_int_equal(t->perm, PERM_READ | PERM_WRITE);
	rig_close(&r);
}

static void first_message_waits_until_its_topic_is_saved(void **state)
{
	struct rig r;
	struct fake_frame f;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_post(c, "Fresh", 0, "", "one");
	rig_post(c, "Fresh", 0, "", "two"); /* does not overtake */
	assert_non_null(topics_find(r.broker->topics, slice_str("Fresh")));
	assert_int_equal(r.log->stats.records, 0);
	assert_false(fake_conn_next(c, &f));
	for (int64_t i = 0; i < 2; i++) {
		f = rig_answer(&r, c);
		assert_int_equal(f.header.code, RES_SUCCESS);
		assert_int_equal(rig_i64(&f, "queueOffset"), i);
	}
	rig_post(c, "Fresh", 0, "", "three"); /* nothing to wait for */
	assert_int_equal(r.log->stats.records, 3);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_close(&r);
}

static void topics_made_by_sends_have_at_most_the_default_topics_queues(void **state)
{
	struct rig r;
	struct rig_options o = { .default_queues = 2 };
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_send(&r, c, "Few", 0, "", "x").header.code, RES_SUCCESS);
	assert_int_equal(topics_find(r.broker->topics, slice_str("Few"))->write_queues, 2);
	rig_close(&r);
}

static void refusals_carry_rocketmqs_codes(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_send(&r, c, "bad topic", 0, "", "x").header.code,
			 RES_INVALID_PARAMETER);
	assert_int_equal(rig_send(&r, c, "SCHEDULE_TOPIC_XXXX", 0, "", "x").header.code,
			 RES_NO_PERMISSION);
	assert_int_equal(rig_send(&r, c, "T", 99, "", "x").header.code, RES_INVALID_PARAMETER);
	assert_int_equal(rig_send(&r, c, "T", 0, "", "").header.code, RES_SYSTEM_ERROR);
	assert_int_equal(rig_send(&r, c, "T", 0, "TRAN_MSG\1true\2", "x").header.code,
			 RES_NO_PERMISSION);
	assert_int_equal(rig_send(&r, c, "T", 0, "TIMER_DELAY_SEC\1" "5\2", "x").header.code,
			 RES_SYSTEM_ERROR);
	fake_conn_request(c, REQ_SEND_MESSAGE_V2, slice_str("x"), "b", "T", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SYSTEM_ERROR);
	rig_close(&r);
}

static void message_above_the_limit_is_illegal(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	size_t n = 4 * 1024 * 1024 + 1;
	char *body = malloc(n + 1);
	memset(body, 'x', n);
	body[n] = 0;
	assert_int_equal(rig_send(&r, c, "T", 0, "", body).header.code, RES_MESSAGE_ILLEGAL);
	body[n - 1] = 0;
	assert_int_equal(rig_send(&r, c, "T", 0, "", body).header.code, RES_SUCCESS);
	free(body);
	rig_close(&r);
}

static void answer_waits_until_the_bytes_are_durable(void **state)
{
	struct rig r;
	struct rig_options o = { .gates = true };
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	rig_post(c, "T", 0, "", "one");
	rig_no_answer(&r, c);
	uint64_t first = r.appended;
	assert_true(first > 0);
	rig_post(c, "T", 0, "", "two");
	rig_no_answer(&r, c);
	rig_durable(&r, first);
	assert_int_equal(rig_i64(&(struct fake_frame){ rig_answer(&r, c).header, NO_BODY },
				 "queueOffset"),
			 0);
	rig_no_answer(&r, c);
	rig_durable(&r, r.appended);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_close(&r);
}

static size_t batch_put(uint8_t *at, const char *body, const char *props)
{
	size_t b = strlen(body), p = strlen(props), n = 22 + b + p;
	memset(at, 0, n);
	put_be32(at, (uint32_t)n);
	put_be32(at + 12, 3);
	put_be32(at + 16, (uint32_t)b);
	memcpy(at + 20, body, b);
	put_be16(at + 20 + b, (uint16_t)p);
	memcpy(at + 22 + b, props, p);
	return n;
}

static void assert_busy(struct rig *r, struct mosaic_conn *c)
{
	uint64_t records = r->log->stats.records;
	assert_int_equal(rig_send(r, c, "T", 0, "", "more").header.code, RES_SYSTEM_BUSY);
	assert_int_equal(r->log->stats.records, records);
}

static void answers_that_wait_are_bounded(void **state)
{
	struct rig r;
	struct rig_options o = { .gates = true, .max_waiting = 2 };
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	rig_post(c, "T", 0, "", "one");
	rig_post(c, "T", 0, "", "two");
	rig_no_answer(&r, c);
	assert_busy(&r, c);
	/* Who does not wait is not held up. */
	assert_int_equal(rig_send(&r, c, "T", 0, "WAIT\1false\2", "three").header.code,
			 RES_SUCCESS);
	rig_durable(&r, r.appended);
	for (int i = 0; i < 2; i++)
		assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_post(c, "T", 0, "", "four"); /* the disk is back */
	rig_no_answer(&r, c);
	rig_durable(&r, r.appended);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_close(&r);
}

static void the_ids_of_batches_that_wait_are_bounded(void **state)
{
	struct rig r;
	struct rig_options o = { .gates = true, .max_parked_bytes = 3000 };
	uint8_t body[4096];
	size_t n = 0;
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	for (int i = 0; i < 100; i++) /* 33 bytes of id each */
		n += batch_put(body + n, "x", "");
	fake_conn_request(c, REQ_SEND_BATCH_MESSAGE, slice(body, n), "b", "T", "c", "TBW102", "d",
			  "1", "e", "0", "f", "0", "g", "1", "h", "0", "m", "true", NULL);
	rig_no_answer(&r, c);
	assert_busy(&r, c);
	rig_durable(&r, r.appended);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_post(c, "T", 0, "", "again");
	rig_no_answer(&r, c);
	rig_durable(&r, r.appended);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	rig_close(&r);
}

static void wait_false_is_answered_at_once(void **state)
{
	struct rig r;
	struct rig_options o = { .gates = true };
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_send(&r, c, "T", 0, "WAIT\1false\2", "one").header.code, RES_SUCCESS);
	rig_close(&r);
}

static void a_sync_that_takes_too_long_answers_flush_disk_timeout(void **state)
{
	struct rig r;
	struct rig_options o = { .gates = true };
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	rig_post(c, "T", 0, "", "one");
	rig_no_answer(&r, c);
	fake_host_advance_ms(&r.host, 5001);
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, RES_FLUSH_DISK_TIMEOUT);
	assert_int_equal(rig_i64(&f, "queueOffset"), 0);
	rig_close(&r);
}

static void a_failed_store_is_never_answered_with_success(void **state)
{
	struct rig r;
	struct rig_options o = { .gates = true };
	struct mosaic_error err = ERR_INIT;
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	rig_post(c, "T", 0, "", "one");
	rig_no_answer(&r, c);
	err_set(&err, MOSAIC_E_IO, "fdatasync failed: disk on fire");
	log_fail(r.log, &err);
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, RES_FLUSH_DISK_TIMEOUT);
	f = rig_send(&r, c, "T", 0, "", "two");
	assert_int_equal(f.header.code, RES_SERVICE_NOT_AVAILABLE);
	assert_non_null(memmem(f.header.remark.ptr, f.header.remark.len, "disk on fire", 12));
	rig_close(&r);
}

static void oneway_is_stored_and_not_answered(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "first");
	fake_conn_oneway(c, REQ_SEND_MESSAGE_V2, slice_str("quiet"), "a", "PG", "b", "T", "c",
			 "TBW102", "d", "4", "e", "0", "f", "0", "g", "1", "h", "0", NULL);
	rig_no_answer(&r, c);
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "first quiet");
	rig_close(&r);
}

static void batch_becomes_messages_with_consecutive_offsets(void **state)
{
	struct rig r;
	uint8_t body[512];
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	size_t n = batch_put(body, "one", "TAGS\1A\2");
	n += batch_put(body + n, "two", "TAGS\1B\2");
	n += batch_put(body + n, "three", "");
	fake_conn_request(c, REQ_SEND_BATCH_MESSAGE, slice(body, n), "a", "PG", "b", "T", "c",
			  "TBW102", "d", "4", "e", "1", "f", "0", "g", "1", "h", "0", "i",
			  "UNIQ_KEY\1U\2WAIT\1true\2", "m", "true", NULL);
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, RES_SUCCESS);
	assert_int_equal(rig_i64(&f, "queueOffset"), 0);
	assert_int_equal(header_str(&f.header, "msgId").len, 32 * 3 + 2);
	f = rig_pull(&r, c, "T", 1, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "one two three");
	f = rig_pull(&r, c, "T", 1, 0, "B");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "two");
	put_be32(body + 16, 1000); /* the first record lies about its body */
	fake_conn_request(c, REQ_SEND_BATCH_MESSAGE, slice(body, n), "a", "PG", "b", "T", "c",
			  "TBW102", "d", "4", "e", "1", "f", "0", "g", "1", "h", "0", "m", "true",
			  NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_MESSAGE_ILLEGAL);
	f = rig_pull(&r, c, "T", 1, 3, "*"); /* nothing of it was stored */
	assert_int_equal(f.header.code, RES_PULL_NOT_FOUND);
	rig_close(&r);
}

static void batches_that_cannot_be_kept_are_refused(void **state)
{
	static const struct {
		const char *topic, *props, *sys_flag, *remark;
	} rows[] = {
		{ "T", "DELAY\1" "3\2", "0", "the message is illegal, a batch cannot be delayed" },
		{ "%RETRY%G", "", "0", "batch request does not support retry group %RETRY%G" },
		{ "T", "", "128", "the message is illegal, the topic takes no inner batches" },
	};
	struct rig r;
	uint8_t body[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	size_t n = batch_put(body, "one", "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fake_conn_request(c, REQ_SEND_BATCH_MESSAGE, slice(body, n), "b", rows[i].topic,
				  "c", "TBW102", "d", "1", "e", "0", "f", rows[i].sys_flag, "g",
				  "1", "h", "0", "i", rows[i].props, "m", "true", NULL);
		struct fake_frame f = rig_answer(&r, c);
		assert_int_equal(f.header.code, RES_MESSAGE_ILLEGAL);
		if (!slice_is(f.header.remark, rows[i].remark))
			fail_msg("remark is %.*s", SLICE_ARG(f.header.remark));
	}
	assert_int_equal(r.log->stats.records, 0);
	rig_close(&r);
}

static void properties_as_stored(struct rig *r, struct mosaic_conn *c, const char *topic,
				 char *out, size_t cap)
{
	struct fake_frame f = rig_pull(r, c, topic, 0, 0, "*");
	struct message m;
	uint32_t len;
	assert_int_equal(record_decode(f.body.ptr, f.body.len, true, &m, &len), RECORD_MESSAGE);
	snprintf(out, cap, "%.*s", SLICE_ARG(m.props));
}

static void properties_are_the_clients_and_the_brokers(void **state)
{
	struct rig r;
	uint8_t body[64];
	char props[512];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "One", 0, "POP_CK\1x\2a\1b\2UNIQ_KEY\1U\2MSG_REGION\1mine\2", "x");
	properties_as_stored(&r, c, "One", props, sizeof(props));
	assert_null(strstr(props, "POP_CK"));
	assert_non_null(strstr(props, "a\1b\2"));
	assert_non_null(strstr(props, "UNIQ_KEY\1U\2"));
	assert_non_null(strstr(props, "MSG_REGION\1DefaultRegion\2"));
	assert_non_null(strstr(props, "TRACE_ON\1true\2"));
	assert_non_null(strstr(props, "CLUSTER\1DefaultCluster\2"));
	/* Messages of a batch have the keys that their producer gave them, or none. */
	size_t n = batch_put(body, "one", "");
	fake_conn_request(c, REQ_SEND_BATCH_MESSAGE, slice(body, n), "b", "Many", "c", "TBW102",
			  "d", "1", "e", "0", "f", "0", "g", "1", "h", "0", "m", "true", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	properties_as_stored(&r, c, "Many", props, sizeof(props));
	assert_null(strstr(props, "UNIQ_KEY"));
	rig_close(&r);
}

static void delayed_message_comes_when_its_level_is_over(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	rig_send(&r, c, "T", 0, "", "now");
	assert_int_equal(rig_send(&r, c, "T", 0,
				  "DELAY\1"
				  "2\2",
				  "later")
				 .header.code,
			 RES_SUCCESS);
	fake_host_advance_ms(&r.host, 4900);
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "now");
	fake_host_advance_ms(&r.host, 200);
	f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "now later");
	rig_close(&r);
}

/* The record at an offset of the log no longer is one. Answers where the next begins. */
static uint64_t spoil(struct rig *r, uint64_t at)
{
	struct mosaic_read read = { 0 };
	uint32_t len;
	assert_int_equal(log_read(r->log, at, 8, &read), 0);
	assert_true(read.len >= 8);
	len = get_be32(read.ptr);
	memset((void *)(uintptr_t)(read.ptr + 4), 0, 4);
	log_unpin(r->log, &read);
	return at + len;
}

static void delayed_messages_that_are_lost_are_told_of_once(void **state)
{
	enum { N_LOST = 100 }; /* more than are looked at in a row */
	struct rig r;
	char text[64];
	uint64_t at;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	at = r.log->end;
	for (int i = 0; i <= N_LOST; i++)
		rig_send(&r, c, "T", 0, "DELAY\1" "2\2", i < N_LOST ? "lost" : "kept");
	for (int i = 0; i < N_LOST; i++)
		at = spoil(&r, at);
	fake_host_advance_ms(&r.host, 6000);
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "kept");
	assert_true(fake_host_logged(&r.host, "delayed_message_lost level=2 messages=100 "));
	fake_host_clear_log(&r.host);
	fake_host_advance_ms(&r.host, 6000);
	assert_false(fake_host_logged(&r.host, "delayed_message_lost"));

	/* The last of a level are told of as well. */
	at = r.log->end;
	for (int i = 0; i < 2; i++)
		rig_send(&r, c, "T", 0, "DELAY\1" "2\2", "lost");
	for (int i = 0; i < 2; i++)
		at = spoil(&r, at);
	fake_host_advance_ms(&r.host, 6000);
	assert_true(fake_host_logged(&r.host, "delayed_message_lost level=2 messages=2 "));
	rig_close(&r);
}

/* What delayOffset.json holds of level 2. */
static int64_t saved_cursor(struct rig *r)
{
	struct mosaic_doc doc = { .name = "config/delayOffset.json",
				  .req = { .done = rig_done, .data = r } };
	int64_t cursor = 0;
	r->done = false;
	assert_true(log_doc_load(r->log, &doc) >= 0);
	for (int i = 0; i < 100 && !r->done; i++)
		fake_host_advance_ms(&r->host, 1);
	if (doc.req.status == 0) {
		const char *at = memmem(doc.content, doc.len, "2:", 2);
		cursor = at ? strtoll(at + 2, NULL, 10) : 0;
		log_doc_release(r->log, &doc);
	}
	return cursor;
}

static void a_delay_cursor_is_saved_after_the_copies_are_durable(void **state)
{
	struct rig r;
	struct rig_options o = { .gates = true };
	(void)state;
	rig_open(&r, &o);
	struct mosaic_conn *c = rig_dial(&r);
	rig_post(c, "T", 0, "DELAY\1" "2\2WAIT\1false\2", "later");
	fake_host_advance_ms(&r.host, 1000);
	rig_durable(&r, r.appended);
	fake_host_advance_ms(&r.host, 20000); /* delivered; nothing is durable since */
	assert_true(r.appended > 0);
	assert_int_equal(saved_cursor(&r), 0);
	rig_durable(&r, r.appended);
	fake_host_advance_ms(&r.host, 11000); /* two saves */
	assert_int_equal(saved_cursor(&r), 1);
	rig_close(&r);
}

static void a_topic_without_queues_is_refused(void **state)
{
	struct rig r;
	struct topic_settings none = { .perm = PERM_READ | PERM_WRITE };
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	for (int queue = -1; queue < 1; queue++) { /* the producer asks for a topic of 0 queues */
		fake_conn_request(c, REQ_SEND_MESSAGE_V2, slice_str("x"), "a", "PG", "b", "None",
				  "c", "TBW102", "d", "0", "e", queue < 0 ? "-1" : "0", "f", "0",
				  "g", "1", "h", "0", NULL);
		assert_int_equal(rig_answer(&r, c).header.code, RES_INVALID_PARAMETER);
	}
	/* An operator has taken the dead-letter topic out of service. */
	topics_set(r.broker->topics, slice_str("%DLQ%G"), &none);
	rig_send(&r, c, "T", 0, "", "hard");
	fake_conn_request(c, REQ_CONSUMER_SEND_MSG_BACK, NO_BODY, "offset", "0", "group", "G",
			  "delayLevel", "-1", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_TOPIC_NOT_EXIST);
	/* A delayed message whose topic lost its queues holds up nobody behind it. */
	rig_send(&r, c, "Gone", 0, "DELAY\1" "1\2", "lost");
	rig_send(&r, c, "T", 0, "DELAY\1" "1\2", "later");
	topics_set(r.broker->topics, slice_str("Gone"), &none);
	fake_host_advance_ms(&r.host, 1100);
	char text[64];
	struct fake_frame f = rig_pull(&r, c, "T", 0, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "hard later");
	rig_close(&r);
}

static void delayed_message_comes_to_the_queue_it_was_sent_to(void **state)
{
	struct rig r;
	char text[64];
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	/* Nobody has touched the topic's queues yet, as after a restart. */
	rig_send(&r, c, "T", 3, "DELAY\1" "1\2", "later");
	fake_host_advance_ms(&r.host, 1100);
	struct fake_frame f = rig_pull(&r, c, "T", 3, 0, "*");
	assert_string_equal(rig_bodies(&f, text, sizeof(text)), "later");
	rig_close(&r);
}

static int32_t code_of_send(struct rig *r, struct mosaic_conn *c, const char *key,
			    const char *value)
{
	fake_conn_request(c, REQ_SEND_MESSAGE_V2, slice_str("x"), "b", "Odd", "c", "TBW102", "d",
			  "4", "e", "0", "f", "0", "g", "1", "h", "0", key, value, NULL);
	return rig_answer(r, c).header.code;
}

static void optional_fields_may_be_missing_but_not_unreadable(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(code_of_send(&r, c, "k", "false"), RES_SUCCESS); /* no producer group */
	assert_int_equal(code_of_send(&r, c, "j", "x"), RES_SYSTEM_ERROR);
	assert_int_equal(code_of_send(&r, c, "l", "2147483648"), RES_SYSTEM_ERROR);
	/* The default topic is needed for an unknown topic only. */
	fake_conn_request(c, REQ_SEND_MESSAGE_V2, slice_str("x"), "b", "Odd", "e", "0", "f", "0",
			  "g", "1", "h", "0", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SUCCESS);
	fake_conn_request(c, REQ_SEND_MESSAGE_V2, slice_str("x"), "b", "Other", "e", "0", "f", "0",
			  "g", "1", "h", "0", NULL);
	assert_int_equal(rig_answer(&r, c).header.code, RES_SYSTEM_ERROR);
	rig_close(&r);
}

static void unit_mode_marks_the_topic_that_it_makes(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(code_of_send(&r, c, "k", "TRUE"), RES_SUCCESS);
	assert_int_equal(topics_find(r.broker->topics, slice_str("Odd"))->sys_flag, TOPIC_SYS_UNIT);
	rig_close(&r);
}

static void what_cannot_be_kept_is_refused(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, NULL);
	struct mosaic_conn *c = rig_dial(&r);
	assert_int_equal(rig_send(&r, c, "T", 0, "DELAY\1abc\2", "x").header.code,
			 RES_SYSTEM_ERROR);
	assert_int_equal(rig_send(&r, c, "T", 0, "INNER_NUM\1" "2\2", "x").header.code,
			 RES_MESSAGE_ILLEGAL);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(send_answers_with_id_queue_and_offset),
		cmocka_unit_test(unknown_topic_is_made_with_the_queues_asked_for),
		cmocka_unit_test(first_message_waits_until_its_topic_is_saved),
		cmocka_unit_test(topics_made_by_sends_have_at_most_the_default_topics_queues),
		cmocka_unit_test(refusals_carry_rocketmqs_codes),
		cmocka_unit_test(message_above_the_limit_is_illegal),
		cmocka_unit_test(answer_waits_until_the_bytes_are_durable),
		cmocka_unit_test(answers_that_wait_are_bounded),
		cmocka_unit_test(the_ids_of_batches_that_wait_are_bounded),
		cmocka_unit_test(wait_false_is_answered_at_once),
		cmocka_unit_test(a_sync_that_takes_too_long_answers_flush_disk_timeout),
		cmocka_unit_test(a_failed_store_is_never_answered_with_success),
		cmocka_unit_test(oneway_is_stored_and_not_answered),
		cmocka_unit_test(batch_becomes_messages_with_consecutive_offsets),
		cmocka_unit_test(batches_that_cannot_be_kept_are_refused),
		cmocka_unit_test(properties_are_the_clients_and_the_brokers),
		cmocka_unit_test(delayed_message_comes_when_its_level_is_over),
		cmocka_unit_test(delayed_messages_that_are_lost_are_told_of_once),
		cmocka_unit_test(a_delay_cursor_is_saved_after_the_copies_are_durable),
		cmocka_unit_test(a_topic_without_queues_is_refused),
		cmocka_unit_test(delayed_message_comes_to_the_queue_it_was_sent_to),
		cmocka_unit_test(optional_fields_may_be_missing_but_not_unreadable),
		cmocka_unit_test(unit_mode_marks_the_topic_that_it_makes),
		cmocka_unit_test(what_cannot_be_kept_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
