/* Borrowed bytes (struct mosaic_slice of the contract) and what is done with them everywhere. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <mosaic/base.h>
#include <stdbool.h>
#include <string.h>

static inline struct mosaic_slice slice(const void *ptr, size_t len)
{
	return (struct mosaic_slice){ .ptr = ptr, .len = len };
}

static inline struct mosaic_slice slice_str(const char *text)
{
	return slice(text, text ? strlen(text) : 0);
}

static inline bool slice_eq(struct mosaic_slice a, struct mosaic_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct mosaic_slice a, const char *text)
{
	return slice_eq(a, slice_str(text));
}

static inline bool slice_has_prefix(struct mosaic_slice a, const char *prefix)
{
	size_t n = strlen(prefix);
	return a.len >= n && memcmp(a.ptr, prefix, n) == 0;
}

/* Byte-wise order, shorter first among equals; for sorting. */
int slice_compare(struct mosaic_slice a, struct mosaic_slice b);
/* Equal but for the case of ASCII letters. */
bool slice_is_nocase(struct mosaic_slice a, const char *text);
/* A NUL-terminated copy owned by the caller (free), never NULL: out of memory ends the process. */
char *slice_dup(struct mosaic_slice a);

/* Arguments for "%.*s"; a slice longer than INT_MAX is cut. */
#define SLICE_ARG(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), (const char *)(s).ptr

#endif
