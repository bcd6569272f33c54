#include "base/hash.h"
#include "base/utf8.h"
#include <libdeflate.h>

uint32_t hash_crc32(const void *bytes, size_t len)
{
	return libdeflate_crc32(0, bytes, len);
}

int32_t hash_java(struct mosaic_slice utf8)
{
	const uint8_t *p = utf8.ptr, *end = utf8.len != 0 ? p + utf8.len : p;
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
