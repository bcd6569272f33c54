/*
 * JSON of bodies and files. Reading goes through jansson after a pass that makes strict JSON of
 * what fastjson writes and accepts: unquoted integer or identifier keys, single quotes, objects as
 * keys (such a key becomes its own text). Writing is our own, because jansson cannot write bare
 * keys. Cold paths only: the message path never comes here.
 */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <jansson.h>

#define JSON_DEPTH_MAX 64 /* deeper input is refused */

/* NULL and *err filled (E_CORRUPT with line and what was expected) when it cannot be read even
 * leniently. The caller owns the reference. */
json_t *json_read(struct mosaic_slice text, struct mosaic_error *err);
/* Rewrites lenient JSON as strict JSON. 0 or MOSAIC_E_CORRUPT. */
int json_relax(struct mosaic_slice text, struct buf *out);

/* Members of an object with Java's tolerance: numbers may be strings and the reverse; null and
 * wrong types give the fallback. */
int64_t json_get_i64(const json_t *object, const char *key, int64_t fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);
/* ptr NULL when absent or no string. Borrows from the object. */
struct mosaic_slice json_get_str(const json_t *object, const char *key);

/* Writer: no state beyond the buffer and whether a comma is due. Keys in the order of the calls;
 * fastjson's order is alphabetic, callers keep to it. */
struct json_writer {
	struct buf *out;
	bool comma;
	bool quote_int_keys; /* {"0":..} instead of {0:..} */
	bool is_flat;        /* inside jw_flat_array */
	int indent;          /* -1: one line; else the depth in a TAB-indented file */
};

void jw_init(struct json_writer *w, struct buf *out);
void jw_init_pretty(struct json_writer *w, struct buf *out);
void jw_object(struct json_writer *w); /* { */
void jw_object_end(struct json_writer *w);
void jw_array(struct json_writer *w);
void jw_array_end(struct json_writer *w);
/* An array of scalars that stays on one line in pretty files too: fastjson writes a List one
 * element a line, a Set or int[] flat. Ended by jw_array_end. */
void jw_flat_array(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_key_slice(struct json_writer *w, struct mosaic_slice key);
void jw_key_int(struct json_writer *w, int64_t key); /* bare, unless quote_int_keys */
void jw_key_raw(struct json_writer *w, struct mosaic_slice json); /* an object as key */
void jw_str(struct json_writer *w, struct mosaic_slice value); /* ptr NULL: null */
void jw_cstr(struct json_writer *w, const char *value);
void jw_i64(struct json_writer *w, int64_t value);
void jw_bool(struct json_writer *w, bool value);
void jw_raw(struct json_writer *w, struct mosaic_slice json); /* as it is */
/* Key and value in one call; without a value (NULL) nothing is written, as fastjson does. */
void jw_put_str(struct json_writer *w, const char *key, struct mosaic_slice value);
void jw_put_cstr(struct json_writer *w, const char *key, const char *value);
void jw_put_i64(struct json_writer *w, const char *key, int64_t value);
void jw_put_bool(struct json_writer *w, const char *key, bool value);

#endif
