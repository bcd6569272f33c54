/*
 * A fuzz target is one file fuzz_NAME.c with LLVMFuzzerTestOneInput: it takes any bytes and ends
 * the process (ASSERT) when a promise is broken. With MOSAIC_FUZZ=ON it becomes a libFuzzer
 * program, else it is linked with replay.c and runs over corpus/NAME.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/compiler.h"
#include "base/slice.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy in memory of its exact size, so that the sanitizer sees any step beyond. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + (size == 0));

	ASSERT(copy);
	return size != 0 ? memcpy(copy, data, size) : copy;
}

/* A slice that was cut out of [start, start + size), or absent. */
static inline bool fuzz_is_within(struct mosaic_slice s, const uint8_t *start, size_t size)
{
	return !s.ptr || (s.ptr >= start && s.len <= size &&
			  (size_t)(s.ptr - start) <= size - s.len);
}

/*
 * Whether jansson's yes does not bind us: more brackets than any bound on nesting, or a zero byte,
 * which jansson swallows behind a number.
 */
static inline bool fuzz_may_be_refused(const uint8_t *data, size_t size)
{
	size_t brackets = 0;

	for (size_t i = 0; i < size; i++) {
		if (data[i] == 0)
			return true;
		brackets += data[i] == '{' || data[i] == '[';
	}
	return brackets > 60;
}

#endif
