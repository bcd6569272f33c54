/* What the files of the header codec share. */
#ifndef WIRE_HEADER_PRIV_H
#define WIRE_HEADER_PRIV_H

#include "wire/header.h"

/* Both expect the scalars of *out to be preset to those of an empty header. */
int header_decode_json(uint8_t *bytes, uint32_t len, struct header *out);
int header_decode_binary(const uint8_t *bytes, uint32_t len, struct header *out);

uint8_t language_of_name(struct mosaic_slice name); /* in any case; LANGUAGE_OTHER when unknown */

#endif
