#include "base/hash.h"
#include "base/num.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void crc32_is_that_of_zlib(void **state)
{
	(void)state;
	assert_int_equal(hash_crc32("123456789", 9), 0xCBF43926u);
	assert_int_equal(hash_crc32("", 0), 0);
}

/* Expected values: new String(bytes, UTF_8).hashCode() of a JDK 17. */
static void java_hash_reads_utf8_as_java_does(void **state)
{
	static const struct {
		const char *hex;
		int32_t hash;
	} cases[] = {
		{ "", 0 },
		{ "54616741", 2598919 },
		{ "e6a087e7adbe", 857175 },
		{ "76c3a9e4b8ad3232", 135150874 },
		{ "f09f9880", 1772899 },
		/* damaged: cut, surrogates, too long, beyond 10FFFF, no start, no tail */
		{ "c3", 65533 },
		{ "e4b8", 65533 },
		{ "f09f98", 65533 },
		{ "eda080", 65533 },
		{ "eda080edb080", 2097056 },
		{ "c080", 2097056 },
		{ "f0808080", 2017367872 },
		{ "f4908080", 2017367872 },
		{ "f5808080", 2017367872 },
		{ "e0808041", 2017302404 },
		{ "f09f41", 2031588 },
		{ "f09f984198", 63044761 },
		{ "e28228a1", 63043986 },
		{ "ff41fe", 63044761 },
		{ "f888808041", -1886105343 },
	};
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].hex) / 2;

		assert_int_equal(num_parse_hex(slice_str(cases[i].hex), bytes, len), 0);
		assert_int_equal(hash_java(slice(bytes, len)), cases[i].hash);
	}
	assert_int_equal(hash_java(slice(NULL, 0)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32_is_that_of_zlib),
		cmocka_unit_test(java_hash_reads_utf8_as_java_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
