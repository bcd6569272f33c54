/*
 * mosaic/ext/libuv.h - extension "mosaic.libuv/1": the libuv loop of the core thread.
 *
 * For plugins that want libuv's own handles. The simulator does not have it. libuv's types are no
 * part of the ABI: the loop is an opaque pointer, the plugin includes <uv.h> itself and must have
 * been built against the same major version.
 */
#ifndef MOSAIC_EXT_LIBUV_H
#define MOSAIC_EXT_LIBUV_H

#include <mosaic/base.h>

#define MOSAIC_EXT_LIBUV "mosaic.libuv/1"

struct mosaic_ext_libuv {
	uint32_t struct_size;
	uint32_t uv_version; /* uv_version() of the host */
	void *loop;          /* uv_loop_t *, for [core] only */
};

#endif
