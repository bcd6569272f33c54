/* json_read accepts what jansson accepts and gives the same; what json_relax writes is stable. */
#include "fuzz/fuzz.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);
	struct mosaic_slice text = slice(copy, size);
	struct buf once = BUF_INIT, twice = BUF_INIT;
	json_t *expected = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
	json_t *got = json_read(text, NULL);

	if (expected && !fuzz_may_be_refused(data, size)) {
		ASSERT(got);
		ASSERT(json_equal(got, expected));
	}
	if (json_relax(text, &once) == 0) {
		ASSERT(json_relax(buf_slice(&once), &twice) == 0);
		ASSERT(slice_eq(buf_slice(&once), buf_slice(&twice)));
	}
	json_decref(got);
	json_decref(expected);
	buf_free(&once);
	buf_free(&twice);
	free(copy);
	return 0;
}
