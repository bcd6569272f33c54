/*
 * Allocations of the library come here: the linker sends them (--wrap, see CMakeLists.txt). Who
 * includes this defines is_failing(), which is asked at each.
 */
#ifndef CLIENT_WRAP_ALLOC_H
#define CLIENT_WRAP_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

static bool is_failing(void);

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_malloc(size_t size)
{
	return is_failing() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_failing() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	return is_failing() ? NULL : __real_realloc(ptr, size);
}

#endif
