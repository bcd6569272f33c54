/* Lines of a file or a pipe, read so that a signal or a clock can come between two of them. */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H

#include "base/buf.h"
#include "interrupt.h"

#define LINE_MAX_BYTES (15u << 20) /* no client sends a longer message */

struct lines {
	int fd;
	struct buf buf;
	size_t at; /* of the next line in buf */
	bool is_end;
};

void lines_init(struct lines *l, int fd);
void lines_free(struct lines *l); /* the descriptor is the caller's */
/* 1: a line without its end, lent until the next call; 0: no more; MOSAIC_E_AGAIN: none within so
 * long, or a signal has come; MOSAIC_E_LIMIT: too long; MOSAIC_E_IO, with errno. */
NODISCARD int lines_next(struct lines *l, struct interrupt *i, int timeout_ms,
			 struct mosaic_slice *line);

#endif
