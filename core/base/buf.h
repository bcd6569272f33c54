/* A growable byte buffer that owns its memory. Out of memory ends the process (see mem.h). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/compiler.h"
#include "base/slice.h"
#include <stdarg.h>

struct buf {
	uint8_t *data;
	size_t len, cap;
};

#define BUF_INIT { NULL, 0, 0 }

void buf_free(struct buf *b);                                /* frees and resets to BUF_INIT */
uint8_t *buf_room(struct buf *b, size_t n);                  /* room for n more bytes at the end */
void buf_append(struct buf *b, const void *bytes, size_t n); /* bytes must not lie in b */
void buf_append_slice(struct buf *b, struct mosaic_slice s);
void buf_append_str(struct buf *b, const char *text);
void buf_append_byte(struct buf *b, uint8_t byte);
void buf_append_i64(struct buf *b, int64_t value); /* decimal */
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3); /* cold paths only */
const char *buf_cstr(struct buf *b); /* NUL-terminated view; the NUL is not counted in len */

static inline void buf_clear(struct buf *b) { b->len = 0; }
static inline struct mosaic_slice buf_slice(const struct buf *b) { return slice(b->data, b->len); }

#endif
