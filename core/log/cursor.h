/*
 * A window into a stream, for code that walks through it: asks for bytes, gets them from the
 * window or has the window moved. A step of such code is written so that it can be run again from
 * its start: when cursor_get answers MOSAIC_PENDING the step returns, and resume() runs it again.
 * [core]
 */
#ifndef LOG_CURSOR_H
#define LOG_CURSOR_H

#include "base/compiler.h"
#include <mosaic/store.h>

struct cursor {
	const struct mosaic_store_ops *ops;
	void (*resume)(struct cursor *c); /* after MOSAIC_PENDING */
	void *data;                       /* the owner's */
	struct mosaic_stream *stream;     /* private from here; NULL: no window */
	struct mosaic_read read;
	uint32_t asked;
	bool is_waiting;
};

void cursor_init(struct cursor *c, const struct mosaic_store_ops *ops,
		 void (*resume)(struct cursor *c), void *data);
/*
 * Bytes of `stream` from `offset`: at least `need`, or all that the segment and the stream still
 * have there; a window that must move is made `want` long. They stay until the next call. 0,
 * MOSAIC_PENDING (resume() will run) or an error of the store; MOSAIC_E_NOTFOUND below begin and
 * at the end.
 */
NODISCARD int cursor_get(struct cursor *c, struct mosaic_stream *stream, uint64_t offset,
			 uint32_t need, uint32_t want, const uint8_t **ptr, uint32_t *len);
/* Gives the window back; not while waiting. */
void cursor_drop(struct cursor *c);

#endif
