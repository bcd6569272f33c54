/* Tag expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "broker/subscription.h"

static int parse(struct subscription *sub, const char *expression)
{
	return subscription_init(sub, slice_str("T"), slice_str(expression), slice_str("TAG"), 1);
}

static void star_empty_and_null_are_everything(void **state)
{
	static const char *const all[] = { "*", "", NULL };
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct subscription sub;

		assert_int_equal(parse(&sub, all[i]), 0);
		assert_true(sub.all);
		assert_string_equal(sub.expression, "*");
		assert_true(subscription_matches(&sub, 0));
		assert_true(subscription_matches(&sub, -5));
		subscription_fini(&sub);
	}
}

static void tags_are_split_trimmed_and_hashed(void **state)
{
	struct subscription sub;
	(void)state;
	assert_int_equal(parse(&sub, " TagA ||TagB|| || a|b "), 0);
	assert_false(sub.all);
	assert_int_equal(sub.n_codes, 3);
	assert_int_equal(sub.codes[0], 2598919);
	assert_int_equal(sub.codes[1], 2598920);
	assert_int_equal(sub.codes[2], hash_java(slice_str("a|b")));
	assert_true(subscription_matches(&sub, 2598920));
	assert_false(subscription_matches(&sub, 2598921));
	assert_false(subscription_matches(&sub, 0));
	subscription_fini(&sub);
}

static void an_extended_unit_is_left_to_the_client(void **state)
{
	struct subscription sub;
	(void)state;
	assert_int_equal(parse(&sub, "TagA"), 0);
	assert_true(subscription_matches(&sub, INT64_MIN + 52)); /* ext file, byte 52 */
	assert_true(subscription_matches(&sub, -INT64_C(2147483649)));
	assert_false(subscription_matches(&sub, INT32_MIN)); /* the least hash there is */
	subscription_fini(&sub);
}

static void only_separators_are_an_error(void **state)
{
	struct subscription sub;
	(void)state;
	assert_int_equal(parse(&sub, "||"), MOSAIC_E_INVAL);
	assert_int_equal(parse(&sub, "||||"), MOSAIC_E_INVAL);
}

static void blanks_between_separators_are_tags_that_nothing_matches(void **state)
{
	struct subscription sub;
	(void)state;
	assert_int_equal(parse(&sub, " || "), 0);
	assert_false(sub.all);
	assert_int_equal(sub.n_codes, 0);
	assert_false(subscription_matches(&sub, 0));
	subscription_fini(&sub);
}

static void a_type_without_an_expression_is_an_error(void **state)
{
	struct subscription sub;
	(void)state;
	assert_int_equal(
		subscription_init(&sub, slice_str("T"), slice("", 0), slice_str("SQL92"), 1),
		MOSAIC_E_INVAL);
}

static void other_types_are_not_supported_but_can_be_kept(void **state)
{
	struct subscription sub;
	(void)state;
	assert_int_equal(subscription_init(&sub, slice_str("T"), slice_str("a > 1"),
					   slice_str("SQL92"), 1), MOSAIC_E_UNSUPPORTED);
	subscription_init_opaque(&sub, slice_str("T"), slice_str("a > 1"), slice_str("SQL92"), 7);
	assert_string_equal(sub.type, "SQL92");
	assert_false(subscription_matches(&sub, 0));
	subscription_fini(&sub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(star_empty_and_null_are_everything),
		cmocka_unit_test(tags_are_split_trimmed_and_hashed),
		cmocka_unit_test(an_extended_unit_is_left_to_the_client),
		cmocka_unit_test(only_separators_are_an_error),
		cmocka_unit_test(blanks_between_separators_are_tags_that_nothing_matches),
		cmocka_unit_test(a_type_without_an_expression_is_an_error),
		cmocka_unit_test(other_types_are_not_supported_but_can_be_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
