/* Eight bytes at once in a little-endian word, to find characters without a loop over bytes. */
#ifndef WIRE_SWAR_H
#define WIRE_SWAR_H

#include <stdint.h>
#include <string.h>

/* A flag bit (the highest) in each byte of the word that equals `byte`. Only the lowest flag is
 * exact, and that is the one to be used. */
static inline uint64_t swar_equal(uint64_t word, uint8_t byte)
{
	uint64_t x = word ^ UINT64_C(0x0101010101010101) * byte;

	return (x - UINT64_C(0x0101010101010101)) & ~x & UINT64_C(0x8080808080808080);
}

static inline uint64_t swar_load(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

#endif
