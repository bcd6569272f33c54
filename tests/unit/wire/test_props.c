#include "base/hash.h"
#include "wire/props.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct props_edit edit;

static void assert_written(const char *expected)
{
	struct buf out = BUF_INIT;

	props_edit_write(&edit, &out);
	assert_string_equal(buf_cstr(&out), expected);
	buf_free(&out);
}

static void pairs_are_read_by_javas_rules(void **state)
{
	/* too short, no separator, empty name, empty value, a separator in the value, no end */
	struct mosaic_slice props = slice_str("A\001b\002x\002\002noname\002\001v\002k\001\002"
					      "C\001d\001e\002F\001g");
	struct props_iter it = props_iter(props);
	struct mosaic_slice name, value;

	(void)state;
	assert_true(props_next(&it, &name, &value));
	assert_true(slice_is(name, "A") && slice_is(value, "b"));
	assert_true(props_next(&it, &name, &value));
	assert_true(slice_is(name, "C") && slice_is(value, "d\001e"));
	assert_true(props_next(&it, &name, &value));
	assert_true(slice_is(name, "F") && slice_is(value, "g"));
	assert_false(props_next(&it, &name, &value));
	it = props_iter(slice(NULL, 0));
	assert_false(props_next(&it, &name, &value));
}

static void the_last_of_equal_names_is_found(void **state)
{
	struct mosaic_slice props = slice_str("K\0011\002KK\0012\002K\0013\002K\001\002");

	(void)state;
	assert_true(slice_is(props_find(props, "K"), "3"));
	assert_true(slice_is(props_find(props, "KK"), "2"));
	assert_null(props_find(props, "KKK").ptr);
	assert_null(props_find(slice(NULL, 0), "K").ptr);
}

/* The buckets are those that the reference lists; UNIQ_KEY and CLUSTER share one. */
static void written_in_the_order_of_a_java_hash_map(void **state)
{
	(void)state;
	assert_int_equal(props_edit_parse(&edit, slice_str("REAL_QID\0013\002REAL_TOPIC\001T\002"
							   "TRACE_ON\001t\002WAIT\001t\002"
							   "KEYS\001k\002DELAY\0011\002")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("TRAN_MSG"), slice_str("t")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("TAGS"), slice_str("a")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("PGROUP"), slice_str("p")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("CLUSTER"), slice_str("c")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("UNIQ_KEY"), slice_str("u")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("MSG_REGION"), slice_str("r")), 0);
	assert_written("MSG_REGION\001r\002CLUSTER\001c\002UNIQ_KEY\001u\002PGROUP\001p\002"
		       "DELAY\0011\002TAGS\001a\002TRAN_MSG\001t\002KEYS\001k\002"
		       "WAIT\001t\002TRACE_ON\001t\002"
		       "REAL_TOPIC\001T\002REAL_QID\0013\002");
}

static void a_replaced_pair_keeps_its_place_a_removed_one_loses_it(void **state)
{
	(void)state;
	assert_int_equal(props_edit_parse(&edit, slice_str("UNIQ_KEY\001u\002"
							   "CLUSTER\001c\002")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("UNIQ_KEY"), slice_str("v")), 0);
	assert_written("UNIQ_KEY\001v\002CLUSTER\001c\002");
	props_edit_remove(&edit, "UNIQ_KEY");
	props_edit_remove(&edit, "UNIQ_KEY");
	assert_null(props_edit_find(&edit, "UNIQ_KEY").ptr);
	assert_written("CLUSTER\001c\002");
	assert_int_equal(props_edit_put(&edit, slice_str("UNIQ_KEY"), slice_str("w")), 0);
	assert_written("CLUSTER\001c\002UNIQ_KEY\001w\002");
	assert_true(slice_is(props_edit_find(&edit, "CLUSTER"), "c"));
}

static void the_table_doubles_beyond_96_pairs(void **state)
{
	char names[200][8];

	(void)state;
	assert_int_equal(props_edit_parse(&edit, slice(NULL, 0)), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "p%d", i);
		assert_int_equal(props_edit_put(&edit, slice_str(names[i]), slice_str("x")), 0);
		assert_int_equal(edit.n_buckets, i < 96 ? 128 : i < 192 ? 256 : 512);
	}
	while (edit.count > 1)
		props_edit_remove(&edit, names[edit.count - 1]);
	assert_int_equal(edit.n_buckets, 512); /* a HashMap never shrinks */
	assert_written("p0\001x\002");
}

static void more_pairs_than_the_bound_are_refused(void **state)
{
	struct buf props = BUF_INIT;

	(void)state;
	for (int i = 0; i < PROPS_MAX_COUNT; i++)
		buf_printf(&props, "n%d\001v\002", i);
	assert_int_equal(props_edit_parse(&edit, buf_slice(&props)), 0);
	assert_int_equal(edit.n_buckets, 1024);
	struct buf out = BUF_INIT;
	props_edit_write(&edit, &out);
	assert_int_equal(out.len, props.len);
	buf_free(&out);
	assert_int_equal(props_edit_put(&edit, slice_str("n5"), slice_str("w")), 0);
	assert_int_equal(props_edit_put(&edit, slice_str("more"), slice_str("w")), MOSAIC_E_LIMIT);
	buf_append_str(&props, "more\001v\002");
	assert_int_equal(props_edit_parse(&edit, buf_slice(&props)), MOSAIC_E_LIMIT);
	buf_free(&props);
}

static void known_keys_carry_the_hash_of_their_name(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < prop_n_keys; i++) {
		const struct prop_key *key = prop_keys[i];
		uint32_t hash = (uint32_t)hash_java(slice_str(key->text));

		assert_int_equal(key->len, strlen(key->text));
		assert_int_equal(key->hash, hash ^ hash >> 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_keys_carry_the_hash_of_their_name),
		cmocka_unit_test(pairs_are_read_by_javas_rules),
		cmocka_unit_test(the_last_of_equal_names_is_found),
		cmocka_unit_test(written_in_the_order_of_a_java_hash_map),
		cmocka_unit_test(a_replaced_pair_keeps_its_place_a_removed_one_loses_it),
		cmocka_unit_test(the_table_doubles_beyond_96_pairs),
		cmocka_unit_test(more_pairs_than_the_bound_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
