#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST_BYTES 64 /* most buffers hold one line or one small body */

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	ASSERT(n <= SIZE_MAX / 4);
	if (n > b->cap - b->len) {
		size_t cap = b->cap != 0 ? b->cap : BUF_FIRST_BYTES;

		while (n > cap - b->len)
			cap *= 2;
		b->data = mem_resize(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_append(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_room(b, n), bytes, n);
	b->len += n;
}

void buf_append_slice(struct buf *b, struct mosaic_slice s)
{
	buf_append(b, s.ptr, s.len);
}

void buf_append_str(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_append_byte(struct buf *b, uint8_t byte)
{
	*buf_room(b, 1) = byte;
	b->len++;
}

void buf_append_i64(struct buf *b, int64_t value)
{
	b->len += num_format_i64(buf_room(b, 20), value);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	ASSERT(n >= 0);
	vsnprintf((char *)buf_room(b, (size_t)n + 1), (size_t)n + 1, format, again);
	va_end(again);
	b->len += (size_t)n;
}

const char *buf_cstr(struct buf *b)
{
	*buf_room(b, 1) = 0;
	return (const char *)b->data;
}
