#include "base/slice.h"
#include "base/mem.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

int slice_compare(struct mosaic_slice a, struct mosaic_slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

bool slice_is_nocase(struct mosaic_slice a, const char *text)
{
	if (a.len != strlen(text))
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.ptr[i]) != lower((uint8_t)text[i]))
			return false;
	return true;
}

char *slice_dup(struct mosaic_slice a)
{
	char *copy = mem_alloc(a.len + 1);

	if (a.len != 0)
		memcpy(copy, a.ptr, a.len);
	return copy;
}
