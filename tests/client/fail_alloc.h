/* The n-th allocation fails. Counted on all threads together, and only while a test wants it. */
#ifndef CLIENT_FAIL_ALLOC_H
#define CLIENT_FAIL_ALLOC_H

#include "wrap_alloc.h"
#include <stdatomic.h>
#include <stdint.h>

/* 0: none fails, or it has failed. */
static _Atomic uint32_t fail_in;
/* All fail, until it is false again. */
static _Atomic bool is_none_left;

static bool is_failing(void)
{
	uint32_t n = atomic_load(&fail_in);

	if (atomic_load(&is_none_left))
		return true;
	while (n > 0 && !atomic_compare_exchange_weak(&fail_in, &n, n - 1))
		;
	return n == 1;
}

#endif
