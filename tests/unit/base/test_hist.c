#include "base/hist.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void small_values_are_exact(void **state)
{
	static struct hist h;

	(void)state;
	hist_reset(&h);
	assert_int_equal(hist_quantile(&h, 0.5), 0);
	for (uint64_t v = 1; v <= 20; v++)
		hist_add(&h, v);
	assert_int_equal(h.count, 20);
	assert_int_equal(h.sum, 210);
	assert_int_equal(h.max, 20);
	assert_int_equal(hist_quantile(&h, 0.0), 1);
	assert_int_equal(hist_quantile(&h, 0.5), 10);
	assert_int_equal(hist_quantile(&h, 1.0), 20);
}

static void large_values_are_within_three_and_a_half_percent(void **state)
{
	static struct hist h;

	(void)state;
	for (uint64_t v = 1; v < UINT64_C(1) << 62; v = v * 3 + 1) {
		hist_reset(&h);
		hist_add(&h, v);
		hist_add(&h, UINT64_MAX);
		uint64_t q = hist_quantile(&h, 0.5);

		assert_true(q >= v);
		assert_true(q - v <= v / 31 + 1);
		assert_true(hist_quantile(&h, 1.0) == UINT64_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(large_values_are_within_three_and_a_half_percent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
