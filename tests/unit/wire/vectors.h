/*
 * The captured frames and stores of the reference, when they are there: MOSAIC_SHARED, or ../shared
 * beside the source. They are not part of the repository; a test without them says so and is
 * skipped.
 */
#ifndef UNIT_WIRE_VECTORS_H
#define UNIT_WIRE_VECTORS_H

#include "base/buf.h"
#include "base/num.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void vectors_path(char *path, size_t cap, const char *name)
{
	const char *shared = getenv("MOSAIC_SHARED"), *source = getenv("MOSAIC_SOURCE");

	if (shared)
		snprintf(path, cap, "%s/reference/vectors/%s", shared, name);
	else
		snprintf(path, cap, "%s/../shared/reference/vectors/%s", source ? source : ".",
			name);
}

/* True when there are none, after saying so. */
static inline bool vectors_missing(void)
{
	char path[4096];

	vectors_path(path, sizeof(path), "README.md");
	if (access(path, R_OK) == 0)
		return false;
	printf("skipped: no captured vectors at %s (set MOSAIC_SHARED)\n", path);
	return true;
}

static inline json_t *vectors_load(const char *name)
{
	char path[4096];
	json_error_t err;

	vectors_path(path, sizeof(path), name);
	json_t *json = json_load_file(path, JSON_ALLOW_NUL, &err);
	if (!json)
		fprintf(stderr, "%s: %s\n", path, err.text);
	return json;
}

static inline struct mosaic_slice json_slice(const json_t *text)
{
	return slice(json_string_value(text), json_string_length(text));
}

/* The bytes of a hex text in memory of their exact size, so that a sanitizer sees any step
 * beyond. */
static inline uint8_t *hex_bytes(struct mosaic_slice hex, size_t *len)
{
	uint8_t *bytes = malloc(hex.len / 2 + (hex.len == 0));

	*len = hex.len / 2;
	if (num_parse_hex(hex, bytes, *len) != 0) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

#endif
