/*
 * The n-th allocation fails: the linker sends those of the library here (--wrap, see
 * CMakeLists.txt). Counted on all threads together, and only while a test wants it.
 */
#ifndef CLIENT_FAIL_ALLOC_H
#define CLIENT_FAIL_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0: none fails, or it has failed. */
static _Atomic uint32_t fail_in;
/* All fail, until it is false again. */
static _Atomic bool is_none_left;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static bool is_failing(void)
{
	uint32_t n = atomic_load(&fail_in);

	if (atomic_load(&is_none_left))
		return true;
	while (n > 0 && !atomic_compare_exchange_weak(&fail_in, &n, n - 1))
		;
	return n == 1;
}

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
