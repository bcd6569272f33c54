#include "base/utf8.h"
#include <stdbool.h>

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

uint32_t utf8_next(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *p = *at;
	uint8_t first = *p++;
	unsigned tails = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
	uint32_t point = first & (0x3Fu >> tails);

	*at = p;
	if (first < 0x80)
		return first;
	if (first < 0xC2 || first > 0xF4)
		return UTF8_REPLACEMENT;
	for (unsigned i = 0; i < tails; i++) {
		if (p == end || !(i == 0 && tails > 1 ? is_second(first, *p) : is_tail(*p))) {
			*at = p;
			return UTF8_REPLACEMENT;
		}
		point = point << 6 | (*p++ & 0x3F);
	}
	*at = p;
	return point >= 0xD800 && point < 0xE000 ? UTF8_REPLACEMENT : point;
}

uint32_t utf8_put(uint8_t *out, uint32_t point)
{
	if (point < 0x80) {
		out[0] = (uint8_t)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (uint8_t)(0xC0 | point >> 6);
		out[1] = (uint8_t)(0x80 | (point & 0x3F));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (uint8_t)(0xE0 | point >> 12);
		out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
		out[2] = (uint8_t)(0x80 | (point & 0x3F));
		return 3;
	}
	out[0] = (uint8_t)(0xF0 | point >> 18);
	out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
	out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
	out[3] = (uint8_t)(0x80 | (point & 0x3F));
	return 4;
}
