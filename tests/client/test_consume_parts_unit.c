/* The cache of one queue, subscriptions, receipts and the file of offsets: pure parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "consumer/allocate.h"
#include "consumer/offset_file.h"
#include "consumer/process_queue.h"
#include "consumer/receipt.h"
#include "consumer/stats.h"
#include "consumer/subscription.h"
#include "wire/json.h"
#include "wire/props.h"
#include <mosaic/consumer.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- process queue ---- */

struct cache {
	struct process_queue queue;
	struct numbers numbers;
	struct subscription *sub;
	struct buf body;
};

static void cache_open(struct cache *c, const char *expression)
{
	memset(c, 0, sizeof(*c));
	process_queue_init(&c->queue);
	process_queue_restart(&c->queue, 100);
	assert_int_equal(subscription_make("T", MOSAIC_TAGS, expression, &c->sub, NULL), 0);
}

static void cache_close(struct cache *c)
{
	process_queue_restart(&c->queue, -1);
	assert_int_equal(c->numbers.bytes_held, 0);
	subscription_free(c->sub);
	buf_free(&c->body);
}

static void add_record(struct cache *c, int64_t offset, const char *tag)
{
	char props[32];
	int n = snprintf(props, sizeof(props), "TAGS\1%s\2", tag);
	struct message m = { .topic = slice("T", 1), .body = slice("body", 4),
			     .props = slice(props, (size_t)n), .queue_offset = offset,
			     .store_host = { .ip_len = 4 }, .born_host = { .ip_len = 4 } };
	uint32_t len = record_len(&m);

	record_encode(buf_room(&c->body, len), len, &m);
	c->body.len += len;
}

static int64_t add_all(struct cache *c, int64_t from, int64_t *next)
{
	int64_t n = process_queue_add(&c->queue, buf_slice(&c->body), c->sub, from, next,
				      &c->numbers);

	buf_clear(&c->body);
	return n;
}

static void the_offset_to_commit_is_that_of_the_oldest_not_done(void **state)
{
	struct cache c;
	struct item *items[3];
	int64_t next = 0;
	(void)state;
	cache_open(&c, NULL);
	for (int i = 0; i < 3; i++)
		add_record(&c, 100 + i, "A");
	assert_int_equal(add_all(&c, 100, &next), 3);
	assert_int_equal(process_queue_take(&c.queue, items, 8, 1), 3);
	process_queue_done(items[1]);
	assert_int_equal(c.queue.commit, 100);
	process_queue_done(items[0]);
	assert_int_equal(c.queue.commit, 102);
	assert_int_equal(process_queue_span(&c.queue), 0);
	process_queue_done(items[2]);
	assert_int_equal(c.queue.commit, 103);
	process_queue_skip(&c.queue, 120);
	assert_int_equal(c.queue.commit, 120);
	cache_close(&c);
}

static void what_is_put_back_comes_first_again_in_order(void **state)
{
	struct cache c;
	struct item *items[4];
	int64_t next = 0;
	(void)state;
	cache_open(&c, NULL);
	for (int i = 0; i < 4; i++)
		add_record(&c, 100 + i, "A");
	add_all(&c, 100, &next);
	assert_int_equal(process_queue_take(&c.queue, items, 3, 1), 3);
	process_queue_put_back(items[2]);
	process_queue_put_back(items[0]);
	process_queue_put_back(items[1]);
	assert_int_equal(c.queue.n_out, 0);
	assert_int_equal(process_queue_take(&c.queue, items, 4, 1), 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(items[i]->offset, 100 + i);
		process_queue_done(items[i]);
	}
	cache_close(&c);
}

static void what_is_out_at_a_restart_finds_no_queue(void **state)
{
	struct cache c;
	struct item *items[2];
	int64_t next = 0;
	(void)state;
	cache_open(&c, NULL);
	for (int i = 0; i < 3; i++)
		add_record(&c, 100 + i, "A");
	add_all(&c, 100, &next);
	assert_int_equal(process_queue_take(&c.queue, items, 2, 1), 2);
	process_queue_restart(&c.queue, 50);
	assert_null(items[0]->queue);
	process_queue_done(items[0]);
	process_queue_put_back(items[1]);
	assert_int_equal(c.queue.commit, 50);
	assert_int_equal(c.queue.n_items, 0);
	assert_int_equal(c.queue.bytes, 0);
	cache_close(&c);
}

static void only_wanted_records_are_kept_and_a_torn_end_is_read_again(void **state)
{
	struct cache c;
	int64_t next = 200;
	(void)state;
	cache_open(&c, "A || C");
	add_record(&c, 99, "A"); /* older than was asked for */
	add_record(&c, 100, "A");
	add_record(&c, 101, "B"); /* a hash that is equal by chance */
	add_record(&c, 102, "C");
	assert_int_equal(add_all(&c, 100, &next), 2);
	assert_int_equal(next, 200);
	add_record(&c, 103, "A");
	add_record(&c, 104, "A");
	c.body.len -= 3;
	assert_int_equal(add_all(&c, 103, &next), 1);
	assert_int_equal(next, 104);
	buf_append_str(&c.body, "this is no record at all, and there is nothing before it");
	next = 300;
	assert_int_equal(add_all(&c, 104, &next), 0);
	assert_int_equal(next, 300);
	cache_close(&c);
}

/* ---- subscription ---- */

static void tags_are_trimmed_and_told_with_their_hashes(void **state)
{
	struct subscription *s;
	struct buf out = BUF_INIT;
	struct json_writer w;
	(void)state;
	assert_int_equal(subscription_make("T", MOSAIC_TAGS, " A ||  TagB||", &s, NULL), 0);
	assert_int_equal(s->n_tags, 2);
	assert_true(subscription_takes(s, slice_str("TagB")));
	assert_false(subscription_takes(s, slice_str("B")));
	assert_false(subscription_takes(s, slice(NULL, 0)));
	s->version = 7;
	jw_init(&w, &out);
	subscription_write(s, &w);
	assert_string_equal(buf_cstr(&out),
			    "{\"classFilterMode\":false,\"codeSet\":[65,2598920],"
			    "\"expressionType\":\"TAG\",\"subString\":\" A ||  TagB||\","
			    "\"subVersion\":7,\"tagsSet\":[\"A\",\"TagB\"],\"topic\":\"T\"}");
	buf_free(&out);
	subscription_free(s);
	assert_int_equal(subscription_make("T", MOSAIC_TAGS, " || ", &s, NULL), MOSAIC_E_INVAL);
	assert_int_equal(subscription_make("T", MOSAIC_SQL92, NULL, &s, NULL), MOSAIC_E_INVAL);
	assert_int_equal(subscription_make("T", MOSAIC_TAGS, " * ", &s, NULL), 0);
	assert_true(subscription_takes(s, slice(NULL, 0)));
	subscription_free(s);
}

/* ---- allocation ---- */

static void queues_are_shared_out_as_java_does_it(void **state)
{
	static const uint32_t ring[16] = { 0, 2, 2, 1, 1, 1, 2, 2, 2, 1, 1, 0, 1, 0, 2, 2 };
	struct mosaic_slice members[3] = { slice_str("192.0.2.1@1#a"), slice_str("192.0.2.1@2#b"),
					   slice_str("192.0.2.2@3#c") };
	struct broker brokers[2] = { { .name = "broker-a" }, { .name = "broker-b" } };
	struct route_queue queues[16];
	uint32_t owners[16];
	(void)state;
	for (int i = 0; i < 16; i++)
		queues[i] = (struct route_queue){ .broker = &brokers[i / 8], .id = i % 8 };
	allocate(allocate_way("consistent-hash"), NULL, "TopicTest", queues, 16, members, 3,
		 owners);
	assert_memory_equal(owners, ring, sizeof(ring)); /* AllocateMessageQueueConsistentHash */
	allocate(allocate_way("circle"), NULL, "TopicTest", queues, 16, members, 3, owners);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(owners[i], i % 3);
	assert_int_equal(allocate_way("lb-hash"), ALLOCATE_PLUGIN);
	assert_int_equal(allocate_way(NULL), ALLOCATE_PLUGIN);
}

/* ---- receipts ---- */

static void receipts_are_read_and_written(void **state)
{
	static const char text[] = "12 1700000000000 60000 3 1 broker-a 2 15";
	struct receipt r;
	char out[RECEIPT_MAX], topic[64];
	(void)state;
	assert_int_equal(receipt_read(text, &r), 0);
	assert_int_equal(r.queue_id, 2);
	assert_int_equal(r.offset, 15);
	receipt_write(&r, out);
	assert_string_equal(out, text);
	receipt_topic(&r, "G", "T", topic, sizeof(topic));
	assert_string_equal(topic, "%RETRY%G_T");
	r.retry = 2;
	receipt_topic(&r, "G", "T", topic, sizeof(topic));
	assert_string_equal(topic, "%RETRY%G+T");
	assert_int_equal(receipt_read("12 x 60000 3 1 broker-a 2 15", &r), MOSAIC_E_INVAL);
	assert_int_equal(receipt_read("12 1 60000 3 1 broker-a 2", &r), MOSAIC_E_INVAL);
	assert_int_equal(receipt_read(NULL, &r), MOSAIC_E_INVAL);
	assert_int_equal(receipt_start(slice_str("1 2 9;0 1 5;0 2 7"), 2, 1), 7);
	assert_int_equal(receipt_start(slice_str("1 2 9"), 2, 1), 1);
}

/* ---- offset file ---- */

static void offsets_survive_in_the_file_and_damage_is_told(void **state)
{
	char dir[] = "/tmp/mosaic-offsets-XXXXXX", path[64];
	struct offset_file *f = NULL;
	int64_t offset;
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/G.json", dir);
	assert_int_equal(offset_file_open(dir, "G", &f, NULL), 0);
	assert_int_equal(offset_file_write(f, NULL), 0);
	assert_int_not_equal(access(path, F_OK), 0); /* nothing to write */
	offset_file_put(f, "T@a@0", 12);
	offset_file_put(f, "T@a@1", 5);
	offset_file_put(f, "T@a@0", 13);
	assert_int_equal(offset_file_write(f, NULL), 0);
	offset_file_close(&f);
	assert_int_equal(offset_file_open(dir, "G", &f, NULL), 0);
	assert_true(offset_file_get(f, "T@a@0", &offset));
	assert_int_equal(offset, 13);
	assert_false(offset_file_get(f, "T@b@0", &offset));
	offset_file_close(&f);
	FILE *damaged = fopen(path, "w");
	fputs("{\"offsets\":{\"T@a", damaged);
	fclose(damaged);
	assert_int_equal(offset_file_open(dir, "G", &f, NULL), MOSAIC_E_CORRUPT);
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* no other file was left */
	assert_int_equal(offset_file_open("/proc/no/such", "G", &f, NULL), MOSAIC_E_IO);
}

/* ---- numbers for admins ---- */

static void rates_are_those_of_the_last_minute_and_failures_those_of_the_hour(void **state)
{
	struct topic_stats s = { .now = { .pulls = 0 } };
	struct buf out = BUF_INIT;
	struct json_writer w;
	(void)state;
	for (uint32_t i = 0; i < 20; i++) { /* a second each: 3 messages consumed, 1 not */
		stats_sample(&s, 100000 + 10000 * i, i == 0);
		for (int j = 0; j < 10; j++) {
			stats_pulled(&s.now, 7, 4);
			stats_called(&s.now, 25, 4, 3);
		}
	}
	stats_sample(&s, 300000, true);
	jw_init(&w, &out);
	jw_object(&w);
	stats_write(&s, &w);
	jw_object_end(&w);
	assert_string_equal(buf_cstr(&out),
			    "{\"consumeFailedMsgs\":200,\"consumeFailedTPS\":1.000,"
			    "\"consumeOKTPS\":3.000,\"consumeRT\":25.000,\"pullRT\":7.000,"
			    "\"pullTPS\":4.000}");
	buf_clear(&out);
	s = (struct topic_stats){ .now = { .pulls = 1 } }; /* nothing was sampled yet */
	jw_init(&w, &out);
	jw_object(&w);
	stats_write(&s, &w);
	jw_object_end(&w);
	assert_non_null(strstr(buf_cstr(&out), "\"pullTPS\":0.000}"));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_those_of_the_last_minute_and_failures_those_of_the_hour),
		cmocka_unit_test(the_offset_to_commit_is_that_of_the_oldest_not_done),
		cmocka_unit_test(what_is_put_back_comes_first_again_in_order),
		cmocka_unit_test(what_is_out_at_a_restart_finds_no_queue),
		cmocka_unit_test(only_wanted_records_are_kept_and_a_torn_end_is_read_again),
		cmocka_unit_test(tags_are_trimmed_and_told_with_their_hashes),
		cmocka_unit_test(queues_are_shared_out_as_java_does_it),
		cmocka_unit_test(receipts_are_read_and_written),
		cmocka_unit_test(offsets_survive_in_the_file_and_damage_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
