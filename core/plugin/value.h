/*
 * Values of options: text -> member of an options struct, by the table that a plugin (or
 * core/config) declares. Defaults, JSON and the command line all come through value_set().
 */
#ifndef PLUGIN_VALUE_H
#define PLUGIN_VALUE_H

#include "base/buf.h"
#include "base/err.h"
#include <mosaic/plugin.h>

/* Types of core/config only; they never appear in a plugin's table. */
enum value_core_type {
	VALUE_LIST = 0x100,  /* struct value_list; JSON array of strings; fallback `|`-separated */
	VALUE_OBJECT = 0x101 /* an object read by code of its own; listed so that it is known */
};

struct value_list {
	char **items;
	uint32_t count;
};

#define VALUE_LIST_MAX 64

/* "duration", "size" ... */
const char *value_type_name(uint32_t type);
/* Checks type, range and choices and stores the value; a string or list item that was there before
 * is freed. MOSAIC_E_INVAL and a text without the option's name: "must be ..., not ...". */
NODISCARD int value_set(const struct mosaic_option *option, struct mosaic_slice text, void *options,
			struct mosaic_error *err);
NODISCARD int value_list_add(const struct mosaic_option *option, struct mosaic_slice text,
			     void *options, struct mosaic_error *err);
/* All fallbacks. */
NODISCARD int value_defaults(const struct mosaic_option *table, uint32_t n, void *options,
			     struct mosaic_error *err);
/* Frees strings and lists; the struct itself is the caller's. */
void value_free(const struct mosaic_option *table, uint32_t n, void *options);
/* The value as it would be written: "500ms", "64KiB", "true", "a, b". */
void value_print(const struct mosaic_option *option, const void *options, struct buf *out);
/* Bytes of the member that a type fills; 0 for an unknown type. */
size_t value_bytes(uint32_t type);
/* "host:port" or "[v6]:port" in its parts; host is NUL-terminated. 0 or MOSAIC_E_INVAL. */
NODISCARD int value_parse_address(const char *text, char *host, size_t cap, uint32_t *port);

#endif
