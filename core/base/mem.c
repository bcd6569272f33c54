#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
	fprintf(stderr, "mosaic: out of memory: cannot allocate %zu bytes\n", size);
	abort();
}

void *mem_alloc(size_t size)
{
	void *ptr = calloc(1, size != 0 ? size : 1);

	if (!ptr)
		out_of_memory(size);
	return ptr;
}

void *mem_resize(void *ptr, size_t size)
{
	void *moved = realloc(ptr, size != 0 ? size : 1);

	if (!moved)
		out_of_memory(size);
	return moved;
}

char *mem_strdup(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(mem_alloc(size), text, size);
}
