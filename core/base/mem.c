#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t size)
{
	void *ptr;

	while ((ptr = calloc(1, size != 0 ? size : 1)) == NULL)
		mem_short(size);
	return ptr;
}

void *mem_resize(void *ptr, size_t size)
{
	void *moved;

	while ((moved = realloc(ptr, size != 0 ? size : 1)) == NULL)
		mem_short(size);
	return moved;
}

char *mem_strdup(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(mem_alloc(size), text, size);
}
