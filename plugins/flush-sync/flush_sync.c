/*
 * flush-sync: an acknowledgement means "on disk". Every run of appends asks for a sync at once;
 * while one is under way the next runs gather, and the following sync covers them all: group
 * commit.
 *
 * The DURABLE watermark gates (MOSAIC_FLUSH_CAP_GATES), so the store must be able to sync.
 */
#include "syncer.h"

struct mosaic_flush {
	struct syncer syncer; /* first: syncer.h casts */
};

static void synced(struct syncer *s)
{
	syncer_start(s); /* what was appended meanwhile */
}

static int32_t flush_create(const struct mosaic_host *host, const void *options,
			    struct mosaic_flush **out, struct mosaic_error *error)
{
	(void)options;
	return syncer_flush_create(host, sizeof(struct mosaic_flush), synced, out, error);
}

static void flush_appended(struct mosaic_flush *f, uint64_t end)
{
	syncer_appended(&f->syncer, end);
	syncer_start(&f->syncer);
}

static const struct mosaic_flush_ops ops = {
	.struct_size = sizeof(ops),
	.create = flush_create,
	.open = syncer_flush_open,
	.appended = flush_appended,
	.close = syncer_flush_close,
	.destroy = syncer_flush_destroy,
};

MOSAIC_PLUGIN(.name = "flush-sync", .version = "0.1.0", .vendor = "Mosaic",
	      .license = "Apache-2.0",
	      .summary = "An acknowledgement waits until the message is on disk (group commit)",
	      MOSAIC_KIND_FLUSH, .caps = MOSAIC_FLUSH_CAP_GATES, .wants = MOSAIC_STORE_CAP_SYNC,
	      .ops = &ops);
