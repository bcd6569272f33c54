#include "wire/escape.h"
#include "base/compiler.h"
#include "base/num.h"
#include "wire/swar.h"

/* True when all 8 bytes stand for themselves in JSON. Asks more than must be: from 0x7F on it says
 * no and escape_of decides. */
static inline bool is_plain_word(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t below_blank = (word - ones * 0x20) & ~word;
	uint64_t from_delete = (word + ones) | word;

	return (((below_blank | from_delete) & ones * 0x80) | swar_equal(word, '"') |
		swar_equal(word, '\\')) == 0;
}

/* What one character becomes: a letter for \n and its like, 'u' for \uXXXX, 0 for itself. *point
 * and *len are set for 'u'. As fastjson 1.2: 7F..A0, 2028 and 2029 are written as \u too. */
static uint8_t escape_of(const uint8_t *p, const uint8_t *end, uint32_t *point, uint32_t *len)
{
	static const uint8_t letters[0x20] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'
	};
	*point = *p;
	*len = 1;
	switch (*p) {
	case '"':
	case '\\':
		return *p;
	case 0x7F:
		return 'u';
	case 0xC2:
		if (end - p < 2 || p[1] < 0x80 || p[1] > 0xA0)
			return 0;
		*point = p[1];
		*len = 2;
		return 'u';
	case 0xE2:
		if (end - p < 3 || p[1] != 0x80 || (p[2] | 1) != 0xA9)
			return 0;
		*point = 0x2000u | (p[2] & 0x3Fu);
		*len = 3;
		return 'u';
	default:
		if (*p >= 0x20)
			return 0;
		return letters[*p] != 0 ? letters[*p] : 'u';
	}
}

size_t escape_len(struct mosaic_slice text)
{
	const uint8_t *p = text.ptr, *end = p + text.len;
	size_t n = 0;
	uint32_t point, len;

	for (; p != end; p += len) {
		uint8_t escape = escape_of(p, end, &point, &len);

		n += escape == 'u' ? 6 : escape != 0 ? 2 : 1;
	}
	return n;
}

uint8_t *escape_put(uint8_t *out, struct mosaic_slice text)
{
	const uint8_t *p = text.ptr, *end = p + text.len;

	while (p != end) {
		uint32_t point, len;

		if (end - p >= 8) {
			uint64_t word = swar_load(p);

			if (LIKELY(is_plain_word(word))) {
				memcpy(out, &word, sizeof(word));
				out += 8;
				p += 8;
				continue;
			}
		}
		uint8_t escape = escape_of(p, end, &point, &len);
		if (escape == 0) {
			*out++ = *p++;
			continue;
		}
		*out++ = '\\';
		*out++ = escape;
		if (escape == 'u') {
			uint8_t unit[2] = { (uint8_t)(point >> 8), (uint8_t)point };

			num_format_hex(out, unit, 2);
			out += 4;
		}
		p += len;
	}
	return out;
}
