/* Bodies, compressed as RocketMQ's clients do it: zlib, LZ4 frames, zstd. [any] */
#ifndef CLIENT_CODEC_H
#define CLIENT_CODEC_H

#include "base/slice.h"
#include "base/compiler.h"

/* MessageSysFlag: beside SYS_COMPRESSED. No type means zlib. */
#define SYS_COMPRESSION_MASK 0x700
#define SYS_COMPRESSION_LZ4 0x100
#define SYS_COMPRESSION_ZSTD 0x200
#define SYS_COMPRESSION_ZLIB 0x300

/* type: enum mosaic_compression. 0: *out is to be freed and *sys_flag has the bits for it;
 * MOSAIC_E_LIMIT: it would not become smaller; MOSAIC_E_NOMEM. */
NODISCARD int codec_compress(uint32_t type, struct mosaic_slice body, uint8_t **out, size_t *len,
			     int32_t *sys_flag);
/* 0: *out is to be freed; MOSAIC_E_CORRUPT, MOSAIC_E_LIMIT (more than max bytes), MOSAIC_E_NOMEM,
 * MOSAIC_E_UNSUPPORTED. sys_flag must have SYS_COMPRESSED. */
NODISCARD int codec_decompress(int32_t sys_flag, struct mosaic_slice body, size_t max,
			       uint8_t **out, size_t *len);

#endif
