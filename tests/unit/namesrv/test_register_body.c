#include "base/buf.h"
#include "base/err.h"
#include "base/bytes.h"
#include "namesrv_fixture.h"
#include "namesrv/register_body.h"
#include <zlib.h>

static void append_block(struct buf *b, const char *text)
{
	uint8_t len[4];

	put_be32(len, (uint32_t)strlen(text));
	buf_append(b, len, 4);
	buf_append_str(b, text);
}

static void append_count(struct buf *b, uint32_t n)
{
	uint8_t count[4];

	put_be32(count, n);
	buf_append(b, count, 4);
}

static struct buf deflated(struct buf plain)
{
	uLongf len = compressBound(plain.len);
	struct buf out = BUF_INIT;

	assert_int_equal(compress2(buf_room(&out, len), &len, plain.data, plain.len, 9), Z_OK);
	out.len = len;
	buf_free(&plain);
	return out;
}

static struct buf sample(void)
{
	struct buf b = BUF_INIT;

	append_block(&b, "{\"counter\":3,\"stateVersion\":2,\"timestamp\":1795363406176}");
	append_count(&b, 2);
	append_block(&b, "TopicA 8 4 6 SINGLE_TAG {}");
	append_block(&b, "TopicB 1 1 7 MULTI_TAG");
	append_block(&b, "[\"h:1\"]");
	append_count(&b, 0);
	return deflated(b);
}

static void the_compressed_form_gives_topics_version_and_filter_servers(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct register_body body;
	struct buf b = sample();

	(void)state;
	assert_int_equal(register_body_decode(&body, buf_slice(&b), true, VERSION_V5_3_3, &err), 0);
	assert_int_equal(body.n_topics, 2);
	assert_text(body.topics[0].name, "TopicA");
	assert_int_equal(body.topics[0].read_queues, 8);
	assert_int_equal(body.topics[0].write_queues, 4);
	assert_int_equal(body.topics[0].perm, 6);
	assert_text(body.topics[1].name, "TopicB");
	assert_int_equal(body.topics[1].perm, 7);
	assert_int_equal(body.version.state_version, 2);
	assert_int_equal(body.version.counter, 3);
	assert_int_equal(body.version.timestamp, 1795363406176);
	assert_string_equal(body.filter_servers, "[\"h:1\"]");
	register_body_free(&body);
	buf_free(&b);
}

static void a_zlib_body_is_recognized_although_the_header_says_uncompressed(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct register_body body;
	struct buf b = sample();

	(void)state;
	assert_int_equal(register_body_decode(&body, buf_slice(&b), false, 479, &err), 0);
	assert_int_equal(body.n_topics, 2);
	register_body_free(&body);
	buf_free(&b);
}

static void every_cut_and_every_changed_byte_is_survived(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct register_body body;
	struct buf b = sample();

	(void)state;
	for (size_t len = 1; len < b.len; len++)
		assert_int_not_equal(
			register_body_decode(&body, slice(b.data, len), true, 479, &err), 0);
	for (size_t at = 0; at < b.len; at++) {
		b.data[at] ^= 0x55;
		if (register_body_decode(&body, buf_slice(&b), true, 479, &err) == 0)
			register_body_free(&body);
		b.data[at] ^= 0x55;
	}
	buf_free(&b);
}

static void false_counts_and_damaged_topics_are_refused(void **state)
{
	static const char *const lines[] = { "",      " 8 4 6 SINGLE_TAG", "T",
					     "T 8 4", "T x 4 6 S",         "T 99999999999 4 6 S" };
	struct mosaic_error err = ERR_INIT;
	struct register_body body;
	struct buf b = BUF_INIT;

	(void)state;
	append_block(&b, "{}");
	append_count(&b, 0x7fffffff);
	b = deflated(b);
	assert_int_equal(register_body_decode(&body, buf_slice(&b), true, 479, &err),
			 MOSAIC_E_CORRUPT);
	buf_free(&b);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		b = (struct buf)BUF_INIT;
		append_block(&b, "{}");
		append_count(&b, 1);
		append_block(&b, lines[i]);
		append_block(&b, "[]");
		b = deflated(b);
		assert_int_not_equal(register_body_decode(&body, buf_slice(&b), true, 479, &err),
				     0);
		buf_free(&b);
	}
}

static void a_zip_bomb_is_stopped_at_64_mib(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct register_body body;
	struct buf b = BUF_INIT;

	(void)state;
	memset(buf_room(&b, REGISTER_INFLATED_MAX + 1), 'x', REGISTER_INFLATED_MAX + 1);
	b.len = REGISTER_INFLATED_MAX + 1;
	b = deflated(b);
	assert_true(b.len < 100000);
	assert_int_equal(register_body_decode(&body, buf_slice(&b), true, 479, &err),
			 MOSAIC_E_LIMIT);
	buf_free(&b);
}

static void senders_before_3_0_11_send_the_bare_wrapper(void **state)
{
	static const char bare[] = "{\"dataVersion\":{\"counter\":1,\"timestamp\":7},"
				   "\"topicConfigTable\":{\"T1\":{\"perm\":4,\"readQueueNums\":2,"
				   "\"writeQueueNums\":3,\"topicSysFlag\":1}}}";
	struct mosaic_error err = ERR_INIT;
	struct register_body body;

	(void)state;
	assert_int_equal(register_body_decode(&body, slice_str(bare), false, 36, &err), 0);
	assert_int_equal(body.n_topics, 1);
	assert_int_equal(body.topics[0].write_queues, 3);
	assert_int_equal(body.topics[0].sys_flag, 1);
	assert_int_equal(body.version.counter, 1);
	assert_false(body.has_filter_servers);
	register_body_free(&body);
	assert_int_equal(register_body_decode(&body, slice_str(bare), false, 37, &err), 0);
	assert_int_equal(body.n_topics, 0);
	register_body_free(&body);
}

static void an_empty_body_is_an_empty_table_and_damage_is_an_error(void **state)
{
	static const char *const good[] = { "", "{}", "{\"topicConfigSerializeWrapper\":{}}",
					    "{\"topicConfigSerializeWrapper\":null}" };
	static const char *const bad[] = {
		"garbage", "[]", "{",
		"{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"\":{}}}}"
	};
	struct mosaic_error err = ERR_INIT;
	struct register_body body;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(register_body_decode(&body, slice_str(good[i]), false, 479, &err),
				 0);
		assert_int_equal(body.n_topics, 0);
		register_body_free(&body);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_not_equal(
			register_body_decode(&body, slice_str(bad[i]), false, 479, &err), 0);
	assert_int_not_equal(register_body_decode(&body, slice_str("garbage"), true, 479, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_compressed_form_gives_topics_version_and_filter_servers),
		cmocka_unit_test(a_zlib_body_is_recognized_although_the_header_says_uncompressed),
		cmocka_unit_test(every_cut_and_every_changed_byte_is_survived),
		cmocka_unit_test(false_counts_and_damaged_topics_are_refused),
		cmocka_unit_test(a_zip_bomb_is_stopped_at_64_mib),
		cmocka_unit_test(senders_before_3_0_11_send_the_bare_wrapper),
		cmocka_unit_test(an_empty_body_is_an_empty_table_and_damage_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
