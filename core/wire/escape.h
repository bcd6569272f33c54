/* Text inside JSON quotes, escaped as fastjson 1.2 does it. */
#ifndef WIRE_ESCAPE_H
#define WIRE_ESCAPE_H

#include "base/slice.h"

size_t escape_len(struct mosaic_slice text); /* exact; at most 6 times the text */
/* Writes escape_len(text) bytes at out and returns their end. */
uint8_t *escape_put(uint8_t *out, struct mosaic_slice text);

#endif
