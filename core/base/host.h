/* Short forms for the services of struct mosaic_host, and the timer heap that hosts are made of. */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#include "base/compiler.h"
#include <mosaic/host.h>

#define MS_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)

static inline uint64_t host_now_ns(const struct mosaic_host *h) { return h->now_ns(h); }
static inline uint64_t host_wall_ms(const struct mosaic_host *h) { return h->wall_ms(h); }

/*
 * One log line. event: a short word in snake_case; format makes logfmt pairs, e.g.
 * "topic=%.*s queues=%d". Values with blanks are quoted by host_log_quote. [any]
 */
void host_log(const struct mosaic_host *h, uint32_t level, const char *event, const char *format,
	      ...) PRINTF_LIKE(4, 5);
/* A text as a logfmt value: quoted and escaped when it must be. out is NUL-terminated and cut. */
const char *host_log_quote(char *out, size_t cap, const char *text);

#define LOG_ERROR(h, event, ...) host_log(h, MOSAIC_LOG_ERROR, event, __VA_ARGS__)
#define LOG_WARN(h, event, ...) host_log(h, MOSAIC_LOG_WARN, event, __VA_ARGS__)
#define LOG_INFO(h, event, ...) host_log(h, MOSAIC_LOG_INFO, event, __VA_ARGS__)
#define LOG_DEBUG(h, event, ...) host_log(h, MOSAIC_LOG_DEBUG, event, __VA_ARGS__)

/* Binary heap of struct mosaic_timer by due_ns, ties in order of start. reserved[0] = position + 1,
 * reserved[1] = sequence. */
struct timer_heap {
	struct mosaic_timer **items;
	uint32_t count, cap;
	uint64_t sequence;
};

#define TIMER_HEAP_INIT { NULL, 0, 0, 0 }

void timer_heap_free(struct timer_heap *heap);
/* Starts a timer, or moves one that is running. */
void timer_heap_add(struct timer_heap *heap, struct mosaic_timer *timer, uint64_t due_ns);
void timer_heap_remove(struct timer_heap *heap, struct mosaic_timer *timer);
struct mosaic_timer *timer_heap_first(const struct timer_heap *heap); /* NULL when empty */
/* Takes out the first timer when it is due at now_ns, else NULL. */
struct mosaic_timer *timer_heap_pop(struct timer_heap *heap, uint64_t now_ns);

#endif
