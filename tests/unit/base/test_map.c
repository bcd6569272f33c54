#include "base/map.h"
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct mosaic_slice key_of(char *storage, size_t cap, unsigned i)
{
	return slice(storage, (size_t)snprintf(storage, cap, "topic-%u", i));
}

static void put_get_replace_remove(void **state)
{
	struct map m = MAP_INIT;
	int a = 1, b = 2;

	(void)state;
	assert_null(map_get(&m, slice_str("x")));
	assert_null(map_remove(&m, slice_str("x")));
	assert_null(map_put(&m, slice_str("x"), &a));
	assert_null(map_put(&m, slice_str(""), &b));
	assert_ptr_equal(map_get(&m, slice_str("x")), &a);
	assert_ptr_equal(map_get(&m, slice(NULL, 0)), &b);
	assert_ptr_equal(map_put(&m, slice_str("x"), &b), &a);
	assert_int_equal(map_count(&m), 2);
	assert_ptr_equal(map_remove(&m, slice_str("x")), &b);
	assert_null(map_get(&m, slice_str("x")));
	assert_int_equal(map_count(&m), 1);
	map_free(&m);
}

/* A table of flags is the model: thousands of random puts and removes must agree with it. */
static void agrees_with_a_model_under_churn(void **state)
{
	enum { KEYS = 300 };
	struct map m = MAP_INIT;
	char present[KEYS] = { 0 }, storage[32];
	int value;
	uint32_t seed = 1, count = 0;

	(void)state;
	for (int step = 0; step < 100000; step++) {
		seed = seed * 1664525 + 1013904223;
		unsigned i = (seed >> 8) % KEYS;
		struct mosaic_slice key = key_of(storage, sizeof(storage), i);

		if (seed >> 31) {
			assert_true((map_put(&m, key, &value) != NULL) == present[i]);
			count += !present[i];
			present[i] = 1;
		} else {
			assert_true((map_remove(&m, key) != NULL) == present[i]);
			count -= present[i];
			present[i] = 0;
		}
		assert_int_equal(map_count(&m), count);
	}
	for (unsigned i = 0; i < KEYS; i++)
		assert_true((map_get(&m, key_of(storage, sizeof(storage), i)) != NULL) ==
			    present[i]);
	assert_true(m.cap_entries <= 2048); /* holes are closed, memory does not creep */
	map_free(&m);
}

static void iterates_in_order_of_insertion_and_survives_removal(void **state)
{
	struct map m = MAP_INIT;
	struct map_entry *e;
	char storage[32];
	int values[100];
	uint32_t pos = 0, expected = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		map_put(&m, key_of(storage, sizeof(storage), i), &values[i]);
	while ((e = map_next(&m, &pos)) != NULL) {
		assert_ptr_equal(e->value, &values[expected]);
		if (expected++ % 2 == 0)
			map_remove(&m, e->key);
	}
	assert_int_equal(expected, 100);
	assert_int_equal(map_count(&m), 50);
	for (pos = 0, expected = 1; (e = map_next(&m, &pos)) != NULL; expected += 2)
		assert_ptr_equal(e->value, &values[expected]);
	map_free(&m);
}

static void sorted_gives_all_entries_by_key(void **state)
{
	struct map m = MAP_INIT;
	int value;

	(void)state;
	map_put(&m, slice_str("b"), &value);
	map_put(&m, slice_str("c"), &value);
	map_put(&m, slice_str("a"), &value);
	map_put(&m, slice_str("ab"), &value);
	map_remove(&m, slice_str("c"));
	struct map_entry **all = map_sorted(&m);
	assert_string_equal((const char *)all[0]->key.ptr, "a");
	assert_string_equal((const char *)all[1]->key.ptr, "ab");
	assert_string_equal((const char *)all[2]->key.ptr, "b");
	free(all);
	map_free(&m);
	free(map_sorted(&m));
}

static void hash_depends_on_every_byte_and_the_length(void **state)
{
	uint8_t bytes[20] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		uint64_t before = hash_bytes(bytes, sizeof(bytes));

		bytes[i] = 1;
		assert_true(hash_bytes(bytes, sizeof(bytes)) != before);
		bytes[i] = 0;
		assert_true(hash_bytes(bytes, i) != before);
	}
}

/* Names come from the network: whoever chooses them must not be able to choose their places. */
static void keys_made_to_collide_are_spread(void **state)
{
	enum { KEYS = 2000, SLOTS = 4096 };
	struct map m = MAP_INIT;
	struct map_entry *e;
	bool seen[SLOTS] = { false };
	uint32_t n = 0, places = 0;

	(void)state;
	for (uint64_t i = 0; n < KEYS; i++) {
		if (hash_bytes(&i, sizeof(i)) % SLOTS != 0)
			continue;
		map_put(&m, slice(&i, sizeof(i)), &m);
		n++;
	}
	for (uint32_t pos = 0; (e = map_next(&m, &pos)) != NULL;) {
		places += !seen[e->hash % SLOTS];
		seen[e->hash % SLOTS] = true;
	}
	assert_true(places > KEYS / 2);
	map_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_get_replace_remove),
		cmocka_unit_test(agrees_with_a_model_under_churn),
		cmocka_unit_test(iterates_in_order_of_insertion_and_survives_removal),
		cmocka_unit_test(sorted_gives_all_entries_by_key),
		cmocka_unit_test(hash_depends_on_every_byte_and_the_length),
		cmocka_unit_test(keys_made_to_collide_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
