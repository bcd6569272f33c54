/* UTF-8 as Java reads it: damage never fails, it becomes U+FFFD. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdint.h>

#define UTF8_REPLACEMENT 0xFFFDu

/*
 * The next code point, *at < end, as String(bytes, UTF_8) of the JDK reads it: of a damaged
 * sequence the longest piece that could have been the start of one counts as a single U+FFFD.
 */
uint32_t utf8_next(const uint8_t **at, const uint8_t *end);
/* Writes a code point (room for 4 bytes); returns how many bytes. */
uint32_t utf8_put(uint8_t *out, uint32_t point);

#endif
