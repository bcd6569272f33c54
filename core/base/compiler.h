/* Small facts about the compiler and the assertion that stays on in release builds. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NODISCARD __attribute__((warn_unused_result))

/*
 * A programming error: prints expression and place to stderr and aborts. On in release builds too.
 * Data from the network or the disk never reaches an assertion.
 */
#define ASSERT(x)                                                                                 \
	do {                                                                                      \
		if (UNLIKELY(!(x)))                                                               \
			assert_failed(#x, __FILE__, __LINE__);                                    \
	} while (0)

/* What is soon needed and perhaps far from the processor; the memory need not even be there. */
static inline void prefetch(const void *memory, size_t n_bytes)
{
	for (size_t at = 0; at < n_bytes; at += 64)
		__builtin_prefetch((const void *)((uintptr_t)memory + at));
}

_Noreturn void assert_failed(const char *expression, const char *file, int line);

#endif
