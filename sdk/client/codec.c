/* Levels are those of the Java client (5 of zlib and zstd, LZ4's default). */
#include "codec.h"
#include <lz4frame.h>
#include <mosaic/producer.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL 5
#define FIRST_BYTES 4096 /* of the room to decompress into; it doubles */

/* ---- there ---- */

static size_t bound(uint32_t type, size_t len)
{
	switch (type) {
	case MOSAIC_COMPRESSION_LZ4:
		return LZ4F_compressFrameBound(len, NULL);
	case MOSAIC_COMPRESSION_ZSTD:
		return ZSTD_compressBound(len);
	default:
		return compressBound(len);
	}
}

/* Bytes written; 0: it failed. */
static size_t compress_into(uint32_t type, uint8_t *out, size_t room, struct mosaic_slice body)
{
	uLongf n = room;
	size_t done;

	switch (type) {
	case MOSAIC_COMPRESSION_LZ4:
		done = LZ4F_compressFrame(out, room, body.ptr, body.len, NULL);
		return LZ4F_isError(done) ? 0 : done;
	case MOSAIC_COMPRESSION_ZSTD:
		done = ZSTD_compress(out, room, body.ptr, body.len, LEVEL);
		return ZSTD_isError(done) ? 0 : done;
	default:
		return compress2(out, &n, body.ptr, body.len, LEVEL) == Z_OK ? n : 0;
	}
}

int codec_compress(uint32_t type, struct mosaic_slice body, uint8_t **out, size_t *len,
		   int32_t *sys_flag)
{
	size_t room = bound(type, body.len);
	uint8_t *bytes = malloc(room);

	if (bytes == NULL)
		return MOSAIC_E_NOMEM;
	*len = compress_into(type, bytes, room, body);
	if (*len == 0 || *len >= body.len) {
		free(bytes);
		return *len == 0 ? MOSAIC_E_NOMEM : MOSAIC_E_LIMIT;
	}
	*out = bytes;
	*sys_flag = 1 | (type == MOSAIC_COMPRESSION_LZ4	   ? SYS_COMPRESSION_LZ4
			 : type == MOSAIC_COMPRESSION_ZSTD ? SYS_COMPRESSION_ZSTD
							   : SYS_COMPRESSION_ZLIB);
	return 0;
}

/* ---- and back ---- */

struct sink {
	uint8_t *bytes;
	size_t len, room, max;
};

static int sink_grow(struct sink *s)
{
	size_t room = s->room == 0 ? FIRST_BYTES : 2 * s->room;

	if (s->room == s->max)
		return MOSAIC_E_LIMIT;
	if (room > s->max)
		room = s->max;
	uint8_t *bytes = realloc(s->bytes, room);
	if (bytes == NULL)
		return MOSAIC_E_NOMEM;
	s->bytes = bytes;
	s->room = room;
	return 0;
}

static int inflate_all(struct mosaic_slice body, struct sink *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)body.ptr, .avail_in = (uInt)body.len };
	int rc = 0, state = Z_OK;

	if (inflateInit(&z) != Z_OK)
		return MOSAIC_E_NOMEM;
	while (rc == 0 && state == Z_OK) {
		if (out->len == out->room)
			rc = sink_grow(out);
		if (rc != 0)
			break;
		z.next_out = out->bytes + out->len;
		z.avail_out = (uInt)(out->room - out->len);
		state = inflate(&z, Z_NO_FLUSH);
		out->len = out->room - z.avail_out;
		if (state == Z_BUF_ERROR && z.avail_out == 0)
			state = Z_OK;
	}
	inflateEnd(&z);
	if (rc != 0)
		return rc;
	return state == Z_STREAM_END ? 0 : state == Z_MEM_ERROR ? MOSAIC_E_NOMEM : MOSAIC_E_CORRUPT;
}

static int lz4_status(size_t hint)
{
	bool is_short = LZ4F_isError(hint) &&
			strstr(LZ4F_getErrorName(hint), "allocation_failed") != NULL;

	return is_short ? MOSAIC_E_NOMEM : MOSAIC_E_CORRUPT;
}

static int lz4_all(struct mosaic_slice body, struct sink *out)
{
	LZ4F_dctx *z = NULL;
	size_t at = 0, hint = 1;
	int rc = 0;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&z, LZ4F_VERSION)))
		return MOSAIC_E_NOMEM;
	while (rc == 0 && hint != 0) {
		if (out->len == out->room)
			rc = sink_grow(out);
		size_t n = out->room - out->len, used = body.len - at;
		if (rc != 0)
			break;
		hint = LZ4F_decompress(z, out->bytes + out->len, &n, body.ptr + at, &used, NULL);
		if (LZ4F_isError(hint) || (hint != 0 && n == 0 && used == 0))
			rc = lz4_status(hint);
		out->len += n;
		at += used;
	}
	LZ4F_freeDecompressionContext(z);
	return rc;
}

static int zstd_status(size_t hint)
{
	return ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation ? MOSAIC_E_NOMEM
								       : MOSAIC_E_CORRUPT;
}

static int zstd_all(struct mosaic_slice body, struct sink *out)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { .src = body.ptr, .size = body.len };
	size_t hint = 1;
	int rc = 0;

	if (z == NULL)
		return MOSAIC_E_NOMEM;
	while (rc == 0 && hint != 0) {
		if (out->len == out->room)
			rc = sink_grow(out);
		if (rc != 0)
			break;
		size_t before = in.pos;
		ZSTD_outBuffer to = { .dst = out->bytes, .size = out->room, .pos = out->len };
		hint = ZSTD_decompressStream(z, &to, &in);
		if (ZSTD_isError(hint) || (hint != 0 && to.pos == out->len && in.pos == before))
			rc = zstd_status(hint);
		out->len = to.pos;
	}
	ZSTD_freeDStream(z);
	return rc;
}

int codec_decompress(int32_t sys_flag, struct mosaic_slice body, size_t max, uint8_t **out,
		     size_t *len)
{
	struct sink sink = { .max = max };
	int rc;

	if (body.len > UINT32_MAX || max > UINT32_MAX)
		return MOSAIC_E_LIMIT;
	switch (sys_flag & SYS_COMPRESSION_MASK) {
	case SYS_COMPRESSION_LZ4:
		rc = lz4_all(body, &sink);
		break;
	case SYS_COMPRESSION_ZSTD:
		rc = zstd_all(body, &sink);
		break;
	case SYS_COMPRESSION_ZLIB:
	case 0:
		rc = inflate_all(body, &sink);
		break;
	default:
		rc = MOSAIC_E_UNSUPPORTED;
		break;
	}
	if (rc != 0) {
		free(sink.bytes);
		return rc;
	}
	*out = sink.bytes;
	*len = sink.len;
	return 0;
}
