/*
 * mosaic/flush.h - flush policy: when the store is asked to sync the commit log.
 *
 * A flush plugin holds no data. It is told how far the log has grown, asks for syncs through its
 * port and publishes the DURABLE watermark. Whether that watermark holds answers back is its
 * GATES capability: sync flush gates, async flush does not.
 *
 *   FLUSH-01 the watermark only grows and never passes a sync that completed with 0.
 *   FLUSH-02 after a failed sync it stays for ever and no further sync is asked for.
 *   FLUSH-03 at most one sync is under way; what is appended meanwhile is covered by the next.
 *   FLUSH-04 close() syncs what is left before it completes, unless a sync has failed.
 *
 * Kind change log, newest first:
 *   0.1  first shape
 */
#ifndef MOSAIC_FLUSH_H
#define MOSAIC_FLUSH_H

#include <mosaic/store.h>

#define MOSAIC_FLUSH_MAJOR 0
#define MOSAIC_FLUSH_MINOR 1
#define MOSAIC_KIND_FLUSH                                                                         \
	.kind = MOSAIC_FLUSH, .kind_major = MOSAIC_FLUSH_MAJOR, .kind_minor = MOSAIC_FLUSH_MINOR

/* DURABLE holds back acknowledgements. `wants` of a flush plugin are bits of the store. */
#define MOSAIC_FLUSH_CAP_GATES (UINT64_C(1) << 0)

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_flush; /* the plugin's */

/* The narrow way to the store. */
struct mosaic_flush_port {
	uint32_t struct_size;
	uint32_t reserved0;
	void *ctx;
	uint64_t durable; /* recovered: what lies below was found on disk at open */
	/* [core] as mosaic_store_ops.sync on the commit log */
	int32_t (*sync)(void *ctx, struct mosaic_sync *req);
};

struct mosaic_flush_ops {
	uint32_t struct_size;
	uint32_t reserved0;
	/* [main] */
	int32_t (*create)(const struct mosaic_host *host, const void *options,
			  struct mosaic_flush **out, struct mosaic_error *error);
	/* [core] start; the port stays valid until close completed */
	int32_t (*open)(struct mosaic_flush *flush, const struct mosaic_flush_port *port,
			struct mosaic_error *error);
	/* [core] once per run of appends: the log now ends at `end` */
	void (*appended)(struct mosaic_flush *flush, uint64_t end);
	/* [core] FLUSH-04; asynchronous */
	int32_t (*close)(struct mosaic_flush *flush, struct mosaic_req *req);
	/* [main] */
	void (*destroy)(struct mosaic_flush *flush);
};

#ifdef __cplusplus
}
#endif
#endif
