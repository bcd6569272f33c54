#include "base/hash.h"
#include <libdeflate.h>

#define REPLACEMENT 0xFFFD

uint32_t hash_crc32(const void *bytes, size_t len)
{
	return libdeflate_crc32(0, bytes, len);
}

static bool is_tail(uint8_t byte)
{
	return (byte & 0xC0) == 0x80;
}

/* Whether `second` may follow the first byte of a sequence of 3 or 4 bytes. A surrogate half
 * (ED A0) may: Java reads its 3 bytes and then replaces them by one U+FFFD. */
static bool is_second(uint8_t first, uint8_t second)
{
	if (!is_tail(second))
		return false;
	switch (first) {
	case 0xE0:
		return second >= 0xA0;
	case 0xF0:
		return second >= 0x90;
	case 0xF4:
		return second <= 0x8F;
	default:
		return true;
	}
}

/* The next code point, as String(bytes, UTF_8) of the JDK reads it: of a damaged sequence the longest
 * piece that could have been the start of one counts as a single U+FFFD. */
static uint32_t utf8_next(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *p = *at;
	uint8_t first = *p++;
	unsigned tails = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
	uint32_t point = first & (0x3Fu >> tails);

	*at = p;
	if (first < 0xC2 || first > 0xF4)
		return REPLACEMENT;
	for (unsigned i = 0; i < tails; i++) {
		if (p == end || !(i == 0 && tails > 1 ? is_second(first, *p) : is_tail(*p))) {
			*at = p;
			return REPLACEMENT;
		}
		point = point << 6 | (*p++ & 0x3F);
	}
	*at = p;
	return point >= 0xD800 && point < 0xE000 ? REPLACEMENT : point;
}

int32_t hash_java(struct mosaic_slice utf8)
{
	const uint8_t *p = utf8.ptr, *end = p + utf8.len;
	uint32_t hash = 0;

	while (p != end) {
		if (*p < 0x80) {
			hash = 31 * hash + *p++;
			continue;
		}
		uint32_t point = utf8_next(&p, end);
		if (point >= 0x10000) {
			hash = 31 * hash + (0xD7C0 + (point >> 10));
			hash = 31 * hash + (0xDC00 | (point & 0x3FF));
		} else {
			hash = 31 * hash + point;
		}
	}
	return (int32_t)hash;
}
