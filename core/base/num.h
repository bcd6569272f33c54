/* Numbers as text, without locale and without formatted print. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include "base/slice.h"

/* Java's Long.parseLong: optional sign, decimal digits, nothing else. 0, or MOSAIC_E_INVAL. */
int num_parse_i64(struct mosaic_slice text, int64_t *out);
int num_parse_i32(struct mosaic_slice text, int32_t *out);
/* Java's Boolean.parseBoolean: "true" in any case is true, everything else is false. */
bool num_parse_bool(struct mosaic_slice text);
/* Decimal digits at p (room for 20 bytes); returns how many. */
uint32_t num_format_i64(uint8_t *p, int64_t value);
/* Upper-case hex, two digits a byte, at p (room for 2 * len). */
void num_format_hex(uint8_t *p, const uint8_t *bytes, size_t len);
/* Two hex digits a byte, either case. 0, or MOSAIC_E_INVAL when odd, not hex or not len bytes. */
int num_parse_hex(struct mosaic_slice text, uint8_t *bytes, size_t len);

#endif
