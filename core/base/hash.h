/* Checksums and hashes that RocketMQ's files and rules prescribe. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

/* CRC-32 (zlib polynomial), as java.util.zip.CRC32. */
uint32_t hash_crc32(const void *bytes, size_t len);
/* Java's String.hashCode of UTF-8 text: h = 31 * h + utf16 unit, 32-bit overflow. Bytes that are no
 * UTF-8 count as U+FFFD, as Java decodes them. */
int32_t hash_java(struct mosaic_slice utf8);
/* The same of a text of which the beginning has this hash. */
int32_t hash_java_more(int32_t hash, struct mosaic_slice utf8);

#endif
