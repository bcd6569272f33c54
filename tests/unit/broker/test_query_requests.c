/* Messages by key and by offset: 12 33. */
#include "control_rig.h"

static struct fake_frame by_key(struct rig *r, struct mosaic_conn *c, const char *topic,
				const char *key, const char *max, const char *begin,
				const char *end, const char *is_unique)
{
	fake_conn_request(c, REQ_QUERY_MESSAGE, NO_BODY, "topic", topic, "key", key, "maxNum", max,
			  "beginTimestamp", begin, "endTimestamp", end, "_UNIQUE_KEY_QUERY",
			  is_unique, NULL);
	return rig_answer(r, c);
}

static const char *all(struct rig *r, struct mosaic_conn *c, const char *key, char *out)
{
	struct fake_frame f = by_key(r, c, "T", key, "64", "0", "9223372036854775807", "false");
	return f.header.code == RES_QUERY_NOT_FOUND ? "" : rig_bodies(&f, out, 4096);
}

static struct mosaic_conn *start(struct rig *r)
{
	rig_open(r, NULL);
	return rig_dial(r);
}

static void message_is_found_by_each_key_and_by_its_unique_key(void **state)
{
	struct rig r;
	char out[4096];
	(void)state;
	struct mosaic_conn *c = start(&r);
	rig_send(&r, c, "T", 0, "KEYS\1a  b\2UNIQ_KEY\1U1\2", "one");
	rig_send(&r, c, "T", 1, "UNIQ_KEY\1U2\2KEYS\1b\2", "two");
	assert_string_equal(all(&r, c, "a", out), "one");
	assert_string_equal(all(&r, c, "b", out), "one two");
	assert_string_equal(all(&r, c, "U1", out), "one");
	assert_string_equal(all(&r, c, "U2", out), "two");
	assert_string_equal(all(&r, c, "c", out), "");
	rig_close(&r);
}

static void answer_without_a_message_is_that_of_apache(void **state)
{
	struct rig r;
	(void)state;
	struct mosaic_conn *c = start(&r);
	rig_send(&r, c, "T", 0, "KEYS\1a\2", "one");
	struct fake_frame f = by_key(&r, c, "T", "no", "32", "0", "9223372036854775807", "false");
	assert_remark(&f, 22, "can not find message, maybe time range not correct");
	assert_int_equal(rig_i64(&f, "indexLastUpdateTimestamp"), 0);
	assert_int_equal(rig_i64(&f, "indexLastUpdatePhyoffset"), 0);
	f = by_key(&r, c, "Other", "a", "32", "0", "9223372036854775807", "false");
	assert_int_equal(f.header.code, 22);
	rig_close(&r);
}

static void found_messages_are_oldest_first_and_at_most_as_many_as_asked(void **state)
{
	struct rig r;
	char out[4096], body[8];
	(void)state;
	struct mosaic_conn *c = start(&r);
	for (int i = 0; i < 300; i++) { /* over two files of the index */
		snprintf(body, sizeof(body), "%d", i);
		rig_send(&r, c, "T", i % 4, "KEYS\1k\2", body);
		fake_host_advance_ms(&r.host, 1000);
	}
	struct fake_frame f = by_key(&r, c, "T", "k", "3", "0", "9223372036854775807", "false");
	assert_string_equal(rig_bodies(&f, out, sizeof(out)), "297 298 299");
	assert_int_equal(rig_i64(&f, "indexLastUpdatePhyoffset") > 0, 1);
	/* Asked for by unique key: 32, whatever maxNum says. */
	f = by_key(&r, c, "T", "k", "1", "0", "9223372036854775807", "true");
	rig_bodies(&f, out, sizeof(out));
	assert_memory_equal(out, "268 269 ", 8);
	f = by_key(&r, c, "T", "k", "1000", "0", "9223372036854775807", "false");
	rig_bodies(&f, out, sizeof(out));
	assert_memory_equal(out, "236 237 ", 8);
	/* In a range of time. */
	char begin[24], end[24];
	int64_t last = rig_i64(&f, "indexLastUpdateTimestamp");
	snprintf(begin, sizeof(begin), "%lld", (long long)last - 290500);
	snprintf(end, sizeof(end), "%lld", (long long)last - 287500);
	f = by_key(&r, c, "T", "k", "32", begin, end, "false");
	/* Times are kept in seconds: the border may belong to it or not. */
	rig_bodies(&f, out, sizeof(out));
	assert_non_null(strstr(out, "10 11"));
	assert_null(strstr(out, "13"));
	rig_close(&r);
}

static void fields_are_needed(void **state)
{
	struct rig r;
	(void)state;
	struct mosaic_conn *c = start(&r);
	fake_conn_request(c, REQ_QUERY_MESSAGE, NO_BODY, "topic", "T", "key", "k", NULL);
	struct fake_frame f = rig_answer(&r, c);
	assert_remark(&f, 1, "the request has no valid field maxNum");
	fake_conn_request(c, REQ_VIEW_MESSAGE_BY_ID, NO_BODY, "topic", "T", NULL);
	f = rig_answer(&r, c);
	assert_remark(&f, 1, "the request has no valid field offset");
	rig_close(&r);
}

static void record_is_found_by_its_offset(void **state)
{
	struct rig r;
	char out[4096], offset[24];
	(void)state;
	struct mosaic_conn *c = start(&r);
	rig_send(&r, c, "T", 0, "", "one");
	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)r.log->end);
	rig_send(&r, c, "T", 0, "", "two");
	fake_conn_request(c, REQ_VIEW_MESSAGE_BY_ID, NO_BODY, "topic", "T", "offset", offset, NULL);
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, 0);
	assert_string_equal(rig_bodies(&f, out, sizeof(out)), "two");
	rig_close(&r);
}

static void offset_without_a_record_is_refused(void **state)
{
	static const char *const offsets[] = { "3", "-1", "99999999", "9223372036854775807" };
	struct rig r;
	(void)state;
	struct mosaic_conn *c = start(&r);
	rig_send(&r, c, "T", 0, "", "one");
	for (size_t i = 0; i < 4; i++) {
		char remark[128];
		fake_conn_request(c, REQ_VIEW_MESSAGE_BY_ID, NO_BODY, "offset", offsets[i], NULL);
		struct fake_frame f = rig_answer(&r, c);
		snprintf(remark, sizeof(remark), "can not find message by the offset, %s",
			 offsets[i]);
		assert_remark(&f, 1, remark);
	}
	rig_close(&r);
}

/* A single message is always compared with its checksum, wherever it comes from. */
static void a_damaged_message_is_not_handed_out(void **state)
{
	struct rig r;
	char out[4096], text[24];
	(void)state;
	struct mosaic_conn *c = start(&r);
	rig_send(&r, c, "T", 0, "KEYS\1k\2", "one");
	uint64_t second = r.log->end;
	rig_send(&r, c, "T", 0, "KEYS\1k\2", "two");
	rig_send(&r, c, "T", 0, "KEYS\1k\2", "three");
	struct mosaic_read read = { 0 };
	assert_int_equal(log_read(r.log, second + 88, 1, &read), 0);
	*(uint8_t *)(uintptr_t)read.ptr ^= 2;
	log_unpin(r.log, &read);
	assert_string_equal(all(&r, c, "k", out), "one three");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)second);
	fake_conn_request(c, REQ_VIEW_MESSAGE_BY_ID, NO_BODY, "offset", text, NULL);
	struct fake_frame f = rig_answer(&r, c);
	assert_int_equal(f.header.code, RES_SYSTEM_ERROR);
	assert_int_equal(r.log->stats.damaged, 2);
	assert_true(fake_host_logged(&r.host, "message_damaged"));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_is_found_by_each_key_and_by_its_unique_key),
		cmocka_unit_test(answer_without_a_message_is_that_of_apache),
		cmocka_unit_test(found_messages_are_oldest_first_and_at_most_as_many_as_asked),
		cmocka_unit_test(fields_are_needed),
		cmocka_unit_test(record_is_found_by_its_offset),
		cmocka_unit_test(offset_without_a_record_is_refused),
		cmocka_unit_test(a_damaged_message_is_not_handed_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
