/* BAL-01, BAL-02 and agreement with RocketMQ's Java client 5.3.3. */
#include "support/fake_host.h"
#include <mosaic/balance.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

extern const struct mosaic_plugin mosaic_plugin_lb_roundrobin, mosaic_plugin_lb_hash;

struct fixture {
	struct fake_host host;
	const struct mosaic_balance_ops *ops;
	struct mosaic_balance *balance;
};

static void setup(struct fixture *f, const struct mosaic_plugin *plugin)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };

	fake_host_init(&f->host);
	f->ops = plugin->ops;
	assert_int_equal(f->ops->create(&f->host.host, NULL, &f->balance, &err), 0);
}

static void teardown(struct fixture *f)
{
	f->ops->destroy(f->balance);
	fake_host_fini(&f->host);
}

static uint32_t pick(const struct fixture *f, const char *key, uint64_t sequence, uint32_t n)
{
	return f->ops->pick(f->balance, slice_str(key), sequence, n);
}

static void roundrobin_goes_through_the_queues_in_turn(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &mosaic_plugin_lb_roundrobin);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(pick(&f, "same key", i, 8), i % 8);
	assert_int_equal(pick(&f, "", UINT64_MAX, 1), 0);
	teardown(&f);
}

/* Made with |key.hashCode() % n| in Java. */
static void hash_picks_the_queue_that_java_picks(void **state)
{
	static const struct {
		const char *key;
		uint32_t of_3, of_4, of_8, of_16;
	} rows[] = {
		{ "mosaic", 1, 2, 6, 6 },
		{ "order-1", 2, 2, 6, 14 },
		{ "order-2", 1, 1, 5, 13 },
		{ "Tag\xc3\xa9", 1, 3, 7, 15 },
		{ "\xe6\xb6\x88\xe6\x81\xaf\xe9\x98\x9f\xe5\x88\x97", 0, 3, 7, 15 },
		{ "\xf0\x9f\x98\x80 smile", 0, 1, 5, 5 },      /* two UTF-16 units */
		{ "polygenelubricants", 2, 0, 0, 0 },          /* hashCode is the least integer */
		{ "a", 1, 1, 1, 1 },
		{ "The quick brown fox jumps over the lazy dog", 2, 1, 5, 13 },
	};
	struct fixture f;

	(void)state;
	setup(&f, &mosaic_plugin_lb_hash);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(pick(&f, rows[i].key, i, 1), 0);
		assert_int_equal(pick(&f, rows[i].key, i, 3), rows[i].of_3);
		assert_int_equal(pick(&f, rows[i].key, i, 4), rows[i].of_4);
		assert_int_equal(pick(&f, rows[i].key, i, 8), rows[i].of_8);
		assert_int_equal(pick(&f, rows[i].key, i, 16), rows[i].of_16);
	}
	teardown(&f);
}

/* hashCode of what Java makes of bytes that are no UTF-8, modulo 1000003. */
static void hash_treats_broken_text_as_java_does(void **state)
{
	static const struct {
		const char *key;
		uint32_t hash;
	} rows[] = {
		{ "\xff", 65533 },
		{ "\xe6\xb6", 65533 },
		{ "a\xc0\x80", 2190273 % 1000003 },
		{ "\xed\xa0\x80", 65533 },
		{ "\xf0\x9f\x98", 65533 },
		{ "\xf4\x90\x80\x80", 2017367872 % 1000003 },
	};
	struct fixture f;

	(void)state;
	setup(&f, &mosaic_plugin_lb_hash);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(pick(&f, rows[i].key, 0, 1000003), rows[i].hash);
	teardown(&f);
}

static void hash_without_a_key_goes_in_turn(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &mosaic_plugin_lb_hash);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(pick(&f, "", i, 4), i % 4);
	teardown(&f);
}

/* Ranges as AllocateMessageQueueAveragely gives them. */
static void queues_are_shared_in_equal_ranges(void **state)
{
	static const struct mosaic_slice members[4];
	uint32_t owners[10];
	struct fixture f;

	(void)state;
	setup(&f, &mosaic_plugin_lb_roundrobin);
	f.ops->allocate(f.balance, 10, members, 4, owners);
	static const uint32_t ten_of_four[] = { 0, 0, 0, 1, 1, 1, 2, 2, 3, 3 };
	assert_memory_equal(owners, ten_of_four, sizeof(ten_of_four));
	f.ops->allocate(f.balance, 8, members, 4, owners);
	static const uint32_t eight_of_four[] = { 0, 0, 1, 1, 2, 2, 3, 3 };
	assert_memory_equal(owners, eight_of_four, sizeof(eight_of_four));
	f.ops->allocate(f.balance, 2, members, 4, owners);
	assert_int_equal(owners[0], 0);
	assert_int_equal(owners[1], 1);
	teardown(&f);
}

static void every_queue_has_one_owner(void **state)
{
	static const struct mosaic_slice members[40];
	const struct mosaic_plugin *const plugins[] = { &mosaic_plugin_lb_roundrobin,
							&mosaic_plugin_lb_hash };
	uint32_t owners[64];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fixture f;

		setup(&f, plugins[i]);
		for (uint32_t n = 0; n <= 64; n++) {
			for (uint32_t m = 1; m <= 40; m++) {
				memset(owners, 0xff, sizeof(owners));
				f.ops->allocate(f.balance, n, members, m, owners);
				for (uint32_t q = 0; q < n; q++)
					assert_true(owners[q] < m);
			}
		}
		teardown(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roundrobin_goes_through_the_queues_in_turn),
		cmocka_unit_test(hash_picks_the_queue_that_java_picks),
		cmocka_unit_test(hash_treats_broken_text_as_java_does),
		cmocka_unit_test(hash_without_a_key_goes_in_turn),
		cmocka_unit_test(queues_are_shared_in_equal_ranges),
		cmocka_unit_test(every_queue_has_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
