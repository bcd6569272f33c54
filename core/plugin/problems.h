/*
 * Everything that is wrong with a configuration, collected so that it can be shown at once. One
 * line each: "mosaic.json:12: broker.store.segmnt: unknown, did you mean "segment"?".
 */
#ifndef PLUGIN_PROBLEMS_H
#define PLUGIN_PROBLEMS_H

#include "base/buf.h"
#include "base/compiler.h"

struct problems {
	struct buf text; /* lines, each ended by a newline */
	uint32_t count;
	/* Where in which file a JSON path such as "broker.store" stands: set by who knows the file.
	 * Returns the line, 0: not known. May be NULL. */
	uint32_t (*line_of)(const struct problems *problems, const char *path);
	const char *file;
	struct mosaic_slice source;
};

#define PROBLEMS_INIT { .text = BUF_INIT }

/* A JSON path: "%s.%s" and the like into a buffer of the caller; cut when it is too long. */
const char *path_at(char *out, size_t cap, const char *format, ...) PRINTF_LIKE(3, 4);
/* where: a JSON path, "" for the file as a whole. */
void problems_add(struct problems *problems, const char *where, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* All lines as one NUL-terminated text; "" when there are none. */
const char *problems_text(struct problems *problems);
void problems_free(struct problems *problems);

#endif
