#include "wire/message.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/num.h"
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct host_address v4 = { { 127, 0, 0, 1 }, 4, 10911 };
static const struct host_address v6 = { { 0x20, 1, 0xd, 0xb8, [15] = 1 }, 16, 40000 };

static struct message sample(struct host_address born, struct host_address store, const char *topic)
{
	struct message m = {
		.topic = slice_str(topic), .body = slice_str("hello"),
		.props = slice_str("TAGS\001a\002"), .queue_id = 3, .flag = -1,
		.sys_flag = SYS_TRANSACTION_COMMIT | SYS_BORN_HOST_V6, .reconsume_times = 2,
		.queue_offset = INT64_C(1) << 40, .phys_offset = INT64_C(1) << 41,
		.born_ms = 1795363797749, .store_ms = 1795363797750, .prepared_offset = 99,
		.born_host = born, .store_host = store
	};
	m.body_crc = hash_crc32("hello", 5) & 0x7FFFFFFF;
	return m;
}

static void assert_same_host(const struct host_address *a, const struct host_address *b)
{
	assert_int_equal(a->ip_len, b->ip_len);
	assert_memory_equal(a->ip, b->ip, a->ip_len);
	assert_int_equal(a->port, b->port);
}

static void assert_goes_round(const struct message *m, uint32_t magic)
{
	uint32_t len = record_len(m), got_len;
	uint8_t *record = malloc(len);
	struct message got;

	record_encode(record, len, m);
	assert_int_equal(get_be32(record), len);
	assert_int_equal(get_be32(record + RECORD_AT_MAGIC), magic);
	assert_int_equal(record_decode(record, len, true, &got, &got_len), RECORD_MESSAGE);
	assert_int_equal(got_len, len);
	assert_true(slice_eq(got.topic, m->topic));
	assert_true(slice_eq(got.body, m->body));
	assert_true(slice_eq(got.props, m->props));
	assert_int_equal(got.queue_id, m->queue_id);
	assert_int_equal(got.flag, m->flag);
	assert_int_equal(got.sys_flag & SYS_TRANSACTION_MASK, SYS_TRANSACTION_COMMIT);
	assert_int_equal((got.sys_flag & SYS_BORN_HOST_V6) != 0, m->born_host.ip_len == 16);
	assert_int_equal((got.sys_flag & SYS_STORE_HOST_V6) != 0, m->store_host.ip_len == 16);
	assert_int_equal(got.reconsume_times, m->reconsume_times);
	assert_true(got.queue_offset == m->queue_offset);
	assert_true(got.phys_offset == m->phys_offset);
	assert_true(got.born_ms == m->born_ms);
	assert_true(got.store_ms == m->store_ms);
	assert_true(got.prepared_offset == m->prepared_offset);
	assert_int_equal(got.body_crc, m->body_crc);
	assert_same_host(&got.born_host, &m->born_host);
	assert_same_host(&got.store_host, &m->store_host);
	free(record);
}

static void records_go_round_for_all_kinds_of_hosts_and_topics(void **state)
{
	char long_topic[1001];

	(void)state;
	memset(long_topic, 't', 1000);
	for (int i = 0; i < 4; i++) {
		struct message m = sample(i & 1 ? v6 : v4, i & 2 ? v6 : v4, "T");

		assert_int_equal(record_len(&m),
				 91 + 5 + 1 + 7 + (i & 1 ? 12 : 0) + (i & 2 ? 12 : 0));
		assert_goes_round(&m, RECORD_MAGIC_V1);
		long_topic[127] = 0;
		m.topic = slice_str(long_topic);
		assert_goes_round(&m, RECORD_MAGIC_V1);
		long_topic[127] = 't';
		long_topic[128] = 0;
		m.topic = slice_str(long_topic);
		assert_goes_round(&m, RECORD_MAGIC_V2);
		long_topic[128] = 't';
		long_topic[1000] = 0;
		m.topic = slice_str(long_topic);
		assert_goes_round(&m, RECORD_MAGIC_V2);
		m.body = slice(NULL, 0);
		m.body_crc = 0;
		m.props = slice(NULL, 0);
		assert_goes_round(&m, RECORD_MAGIC_V2);
	}
}

static void what_cannot_be_encoded_has_no_length(void **state)
{
	struct message m = sample(v4, v4, "T");
	static const uint8_t big[40000];

	(void)state;
	m.props = slice(big, 32767);
	assert_int_equal(record_len(&m), 91 + 5 + 1 + 32767);
	m.props = slice(big, 32768);
	assert_int_equal(record_len(&m), 0);
	m.props = slice(big, 0);
	m.topic = slice(big, 32768);
	assert_int_equal(record_len(&m), 0);
	m.topic = slice(big, 1);
	m.body = slice(big, INT32_MAX); /* only the length is looked at */
	assert_int_equal(record_len(&m), 0);
	m.body = slice(big, (size_t)1 << 40);
	assert_int_equal(record_len(&m), 0);
}

static void a_record_that_is_not_all_there_says_how_long_it_is(void **state)
{
	struct message m = sample(v4, v4, "T"), got;
	uint8_t record[256];
	uint32_t len = record_len(&m), got_len;

	(void)state;
	record_encode(record, len, &m);
	for (uint32_t avail = 0; avail < len; avail++) {
		uint8_t *part = memcpy(malloc(avail + 1), record, avail);

		assert_int_equal(record_decode(part, avail, true, &got, &got_len), MOSAIC_E_AGAIN);
		assert_int_equal(got_len, avail < 8 ? 8 : len);
		free(part);
	}
}

static void the_end_of_a_segment_is_told_apart(void **state)
{
	uint8_t blank[8];
	struct message m;
	uint32_t len;

	(void)state;
	put_be32(blank, 1000);
	put_be32(blank + 4, RECORD_MAGIC_BLANK);
	assert_int_equal(record_decode(blank, 8, true, &m, &len), RECORD_BLANK);
	assert_int_equal(len, 1000);
	put_be32(blank, 7);
	assert_int_equal(record_decode(blank, 8, true, &m, &len), MOSAIC_E_CORRUPT);
	put_be32(blank, 0x80000000);
	assert_int_equal(record_decode(blank, 8, true, &m, &len), MOSAIC_E_CORRUPT);
}

/* Any byte of the structure may be damaged: the answer is never a wrong body, and never a crash. */
static void damage_is_found(void **state)
{
	struct message m = sample(v4, v4, "T"), got;
	uint8_t record[256];
	uint32_t len = record_len(&m), got_len;
	static const uint32_t lengths[] = { 0, 4, 8, 36, 84, 88, 88 + 5, 88 + 5 + 2 };

	(void)state;
	record_encode(record, len, &m);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		for (int bit = 0; bit < 8; bit++) {
			uint8_t *copy = memcpy(malloc(len), record, len);

			copy[lengths[i]] ^= (uint8_t)(1 << bit);
			int rc = record_decode(copy, len, true, &got, &got_len);
			if (lengths[i] == 36)
				assert_int_equal(rc, RECORD_MESSAGE); /* sysFlag's top byte */
			else
				assert_true(rc == MOSAIC_E_CORRUPT || rc == MOSAIC_E_AGAIN);
			free(copy);
		}
	}
	uint8_t *copy = memcpy(malloc(len), record, len);
	copy[39] |= SYS_STORE_HOST_V6; /* 12 bytes more than there are */
	assert_int_equal(record_decode(copy, len, true, &got, &got_len), MOSAIC_E_CORRUPT);
	memcpy(copy, record, len);
	copy[88] ^= 1; /* body */
	assert_int_equal(record_decode(copy, len, true, &got, &got_len), MOSAIC_E_CORRUPT);
	assert_int_equal(record_decode(copy, len, false, &got, &got_len), RECORD_MESSAGE);
	memset(copy, 0, len);
	assert_int_equal(record_decode(copy, len, false, &got, &got_len), MOSAIC_E_CORRUPT);
	free(copy);
}

static void offset_ids_go_round(void **state)
{
	uint8_t id[MESSAGE_ID_MAX];
	struct host_address host;
	int64_t offset;

	(void)state;
	assert_int_equal(message_offset_id(id, &v4, 0x102), 32);
	assert_memory_equal(id, "7F00000100002A9F0000000000000102", 32);
	assert_int_equal(message_offset_id_parse(slice(id, 32), &host, &offset), 0);
	assert_same_host(&host, &v4);
	assert_true(offset == 0x102);
	assert_int_equal(message_offset_id(id, &v6, -1), 56);
	assert_int_equal(message_offset_id_parse(slice(id, 56), &host, &offset), 0);
	assert_same_host(&host, &v6);
	assert_true(offset == -1);
	assert_int_equal(message_offset_id_parse(slice(id, 55), &host, &offset), MOSAIC_E_INVAL);
	assert_int_equal(message_offset_id_parse(slice(id, 33), &host, &offset), MOSAIC_E_INVAL);
	assert_int_equal(message_offset_id_parse(slice(NULL, 0), &host, &offset), MOSAIC_E_INVAL);
	id[0] = 'x';
	assert_int_equal(message_offset_id_parse(slice(id, 56), &host, &offset), MOSAIC_E_INVAL);
}

static uint8_t *put_item(uint8_t *p, const char *body, const char *props, uint32_t flag)
{
	memset(p, 0, 12);
	put_be32(p + 12, flag);
	put_be32(p + 16, (uint32_t)strlen(body));
	p = (uint8_t *)memcpy(p + 20, body, strlen(body)) + strlen(body);
	put_be16(p, (uint16_t)strlen(props));
	return (uint8_t *)memcpy(p + 2, props, strlen(props)) + strlen(props);
}

static void batch_bodies_are_cut_into_their_messages(void **state)
{
	uint8_t body[256], *end = put_item(body, "one", "TAGS\001a\002", 5);
	const uint8_t *at = body;
	struct batch_item item;

	(void)state;
	end = put_item(end, "", "", 0);
	assert_int_equal(batch_next(&at, end, &item), 1);
	assert_true(slice_is(item.body, "one"));
	assert_true(slice_is(item.props, "TAGS\001a\002"));
	assert_int_equal(item.flag, 5);
	assert_int_equal(batch_next(&at, end, &item), 1);
	assert_int_equal(item.body.len, 0);
	assert_int_equal(item.props.len, 0);
	assert_int_equal(batch_next(&at, end, &item), 0);
	assert_ptr_equal(at, end);
}

static void damaged_batches_are_refused(void **state)
{
	uint8_t body[256];
	size_t len = (size_t)(put_item(body, "one", "TAGS\001a\002", 5) - body);
	struct batch_item item;

	(void)state;
	for (size_t n = 1; n < len; n++) {
		uint8_t *part = memcpy(malloc(n), body, n);
		const uint8_t *at = part;

		assert_int_equal(batch_next(&at, part + n, &item), MOSAIC_E_CORRUPT);
		free(part);
	}
	const uint8_t *at = body;
	body[16] = 0xFF;
	assert_int_equal(batch_next(&at, body + len, &item), MOSAIC_E_CORRUPT);
	body[16] = 0;
	body[23] = 0xFF;
	assert_int_equal(batch_next(&at, body + len, &item), MOSAIC_E_CORRUPT);
}

static void tags_code_is_javas_hash_and_keeps_its_sign(void **state)
{
	(void)state;
	assert_true(message_tags_code(slice(NULL, 0)) == 0);
	assert_true(message_tags_code(slice_str("TagA")) == 2598919);
	assert_true(message_tags_code(slice_str("polygenelubricants")) == INT64_C(-2147483648));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_go_round_for_all_kinds_of_hosts_and_topics),
		cmocka_unit_test(what_cannot_be_encoded_has_no_length),
		cmocka_unit_test(a_record_that_is_not_all_there_says_how_long_it_is),
		cmocka_unit_test(the_end_of_a_segment_is_told_apart),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(offset_ids_go_round),
		cmocka_unit_test(batch_bodies_are_cut_into_their_messages),
		cmocka_unit_test(damaged_batches_are_refused),
		cmocka_unit_test(tags_code_is_javas_hash_and_keeps_its_sign),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
