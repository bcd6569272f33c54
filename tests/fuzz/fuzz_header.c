/* header_decode: JSON judged by jansson, binary only for staying inside. */
#include "fuzz/header_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *wrong = oracle_check(data, size);

	ASSERT(!wrong);

	struct header h;
	uint8_t *copy = fuzz_copy(data, size);
	int rc = header_decode(copy, (uint32_t)size, SERIALIZE_BINARY, &h);
	for (uint32_t i = 0; rc == 0 && i < h.n_fields; i++) {
		ASSERT(fuzz_is_within(h.fields[i].key, copy, size));
		ASSERT(fuzz_is_within(h.fields[i].value, copy, size));
	}
	ASSERT(rc != 0 || fuzz_is_within(h.remark, copy, size));
	free(copy);
	return 0;
}
