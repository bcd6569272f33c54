/* JSON -> options struct by a table, and the same table as JSON Schema. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "plugin/problems.h"
#include "plugin/value.h"
#include <jansson.h>

/* NULL when the table has no such option. */
const struct mosaic_option *options_find(const struct mosaic_option *table, uint32_t n,
					 const char *name);
/*
 * Puts the members of a JSON object into options, which hold the defaults already. Unknown keys,
 * wrong types and values, and required options that are missing become problems, each with its
 * path. Keys in `also` (may be NULL, ended by NULL) are known and left to the caller.
 */
void options_fill(const struct mosaic_option *table, uint32_t n, void *options,
		  const json_t *object, const char *const *also, const char *path,
		  struct problems *problems);
/* The schema of one option's value; VALUE_OBJECT gives a plain object. The caller owns it. */
json_t *options_schema(const struct mosaic_option *option);

#endif
