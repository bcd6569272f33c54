#include "base/hash.h"
#include "base/utf8.h"
#include <libdeflate.h>

uint32_t hash_crc32(const void *bytes, size_t len)
{
	return libdeflate_crc32(0, bytes, len);
}

int32_t hash_java(struct mosaic_slice utf8)
{
	return hash_java_more(0, utf8);
}

/* Eight ASCII characters in one step: the products do not wait for each other. */
static uint32_t hash_eight(uint32_t hash, const uint8_t *p)
{
	return hash * 0x94446f01u + p[0] * 0x67e12cdfu + p[1] * 0x34e63b41u + p[2] * 0x01b4d89fu +
	       p[3] * 0x000e1781u + p[4] * 29791u + p[5] * 961u + p[6] * 31u + p[7];
}

int32_t hash_java_more(int32_t before, struct mosaic_slice utf8)
{
	const uint8_t *p = utf8.ptr, *end = utf8.len != 0 ? p + utf8.len : p;
	uint32_t hash = (uint32_t)before;
	uint64_t word;

	while (p != end) {
		while (end - p >= 8) {
			memcpy(&word, p, sizeof(word));
			if (word & UINT64_C(0x8080808080808080))
				break;
			hash = hash_eight(hash, p);
			p += 8;
		}
		if (p == end)
			break;
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
