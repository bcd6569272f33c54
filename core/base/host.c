#include "base/host.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_LINE_BYTES 1024

void host_log(const struct mosaic_host *h, uint32_t level, const char *event, const char *format,
	      ...)
{
	char line[LOG_LINE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	h->log(h, level, event, line);
}

static bool must_be_quoted(const char *text)
{
	if (*text == 0)
		return true;
	for (; *text != 0; text++)
		if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' ||
		    *text == '\\' || *text == 0x7F)
			return true;
	return false;
}

/* The text of one byte inside quotes. */
static const char *escaped(unsigned char c, char storage[5])
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		snprintf(storage, 5, c < ' ' || c == 0x7F ? "\\x%02x" : "%c", c);
		return storage;
	}
}

const char *host_log_quote(char *out, size_t cap, const char *text)
{
	size_t len = 0;

	ASSERT(cap >= 3);
	if (!must_be_quoted(text)) {
		snprintf(out, cap, "%s", text);
		return out;
	}
	out[len++] = '"';
	for (; *text != 0; text++) {
		char storage[5];
		const char *piece = escaped((unsigned char)*text, storage);
		size_t n = strlen(piece);

		if (len + n + 2 > cap)
			break;
		memcpy(out + len, piece, n);
		len += n;
	}
	out[len++] = '"';
	out[len] = 0;
	return out;
}

/* The heap of timers: parent of item i is (i - 1) / 2. */

static bool is_before(const struct mosaic_timer *a, const struct mosaic_timer *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->reserved[1] < b->reserved[1];
}

static void place(struct timer_heap *heap, uint32_t i, struct mosaic_timer *timer)
{
	heap->items[i] = timer;
	timer->reserved[0] = (uint64_t)i + 1;
}

/* Moves a timer whose place is i, and is free, up or down to where it belongs. */
static void settle(struct timer_heap *heap, uint32_t i, struct mosaic_timer *timer)
{
	while (i > 0 && is_before(timer, heap->items[(i - 1) / 2])) {
		place(heap, i, heap->items[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    is_before(heap->items[child + 1], heap->items[child]))
			child++;
		if (!is_before(heap->items[child], timer))
			break;
		place(heap, i, heap->items[child]);
		i = child;
	}
	place(heap, i, timer);
}

void timer_heap_free(struct timer_heap *heap)
{
	for (uint32_t i = 0; i < heap->count; i++) {
		heap->items[i]->due_ns = 0;
		heap->items[i]->reserved[0] = 0;
	}
	free(heap->items);
	*heap = (struct timer_heap)TIMER_HEAP_INIT;
}

void timer_heap_add(struct timer_heap *heap, struct mosaic_timer *timer, uint64_t due_ns)
{
	timer_heap_remove(heap, timer);
	if (heap->count == heap->cap) {
		heap->cap = heap->cap != 0 ? 2 * heap->cap : 16;
		heap->items = mem_resize(heap->items, heap->cap * sizeof(struct mosaic_timer *));
	}
	timer->due_ns = due_ns != 0 ? due_ns : 1; /* 0 would say "not running" */
	timer->reserved[1] = heap->sequence++;
	heap->count++;
	settle(heap, heap->count - 1, timer);
}

void timer_heap_remove(struct timer_heap *heap, struct mosaic_timer *timer)
{
	if (timer->reserved[0] == 0)
		return;
	uint32_t i = (uint32_t)timer->reserved[0] - 1;
	ASSERT(i < heap->count);
	ASSERT(heap->items[i] == timer);
	timer->reserved[0] = 0;
	timer->due_ns = 0;
	struct mosaic_timer *last = heap->items[--heap->count];
	if (last != timer)
		settle(heap, i, last);
}

struct mosaic_timer *timer_heap_first(const struct timer_heap *heap)
{
	return heap->count != 0 ? heap->items[0] : NULL;
}

struct mosaic_timer *timer_heap_pop(struct timer_heap *heap, uint64_t now_ns)
{
	struct mosaic_timer *first = timer_heap_first(heap);

	if (!first || first->due_ns > now_ns)
		return NULL;
	timer_heap_remove(heap, first);
	return first;
}
