/*
 * The captured frames and stores of the reference, when they are there: MOSAIC_SHARED, or ../shared
 * beside the source. They are not part of the repository; a test without them says so and is
 * skipped.
 */
#ifndef SUPPORT_VECTORS_H
#define SUPPORT_VECTORS_H

#include "base/slice.h"
#include <jansson.h>
#include <stdbool.h>

void vectors_path(char *path, size_t cap, const char *name);
/* True when there are none, after saying so. */
bool vectors_missing(void);
/* NULL when it cannot be read, after saying so. */
json_t *vectors_load(const char *name);
struct mosaic_slice json_slice(const json_t *text);
/* The bytes of a hex text in memory of their exact size, so that a sanitizer sees any step beyond.
 * NULL: it is none. */
uint8_t *hex_bytes(struct mosaic_slice hex, size_t *len);

/* a store: { "files": [{ "path", "size", "chunks": [{ "offset", "hex" }] or "utf8" }] } */

/* NAME.json; NULL when there is none, after saying so. */
json_t *vectors_store(const char *name);
/* Makes the file below a folder, and those that lead to it. */
void vectors_unpack_file(const char *dir, const json_t *file);
void vectors_unpack(const char *dir, const json_t *store);
/* The first `size` bytes of the file. */
uint8_t *vectors_content(const json_t *file, size_t size);

#endif
