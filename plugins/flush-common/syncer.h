/*
 * The part that every flush policy shares: one sync at a time, the DURABLE watermark, the final
 * failure and the last sync at close. A policy only decides when to call syncer_start().
 *
 *   syncer_flush_open   what was recovered is durable
 *   syncer_appended     the log has grown
 *   syncer_start        ask the store to sync all of it; the answer moves the watermark
 *   syncer_flush_close  sync the rest, then complete
 *
 * Failure modes: the store refuses for the moment (E_AGAIN: asked again after a pause), a sync
 * fails (final: promise BROKEN, host->fail, nothing is asked for any more). Everything is [core].
 */
#ifndef SYNCER_H
#define SYNCER_H

#include <mosaic/flush.h>

struct syncer {
	const struct mosaic_host *host;
	const struct mosaic_flush_port *port;
	/* A sync completed with success; the policy decides what comes next. Not while closing. */
	void (*synced)(struct syncer *syncer);
	uint64_t end;     /* of the log, as far as told */
	uint64_t durable; /* never above a sync that completed with 0 */
	int32_t failure;  /* of the sync that failed, 0: none */
	uint32_t is_busy; /* sync is under way, or its retry is */
	struct mosaic_sync sync;
	struct mosaic_timer retry;
	struct mosaic_req *closing;
};

void syncer_appended(struct syncer *s, uint64_t end);
/* Does nothing when all is durable, a sync is under way or one has failed. */
void syncer_start(struct syncer *s);

/* For the table of a policy whose struct mosaic_flush begins with its syncer; size is that of the
 * struct, which is zeroed otherwise. */
int32_t syncer_flush_create(const struct mosaic_host *host, size_t size,
			    void (*synced)(struct syncer *), struct mosaic_flush **out,
			    struct mosaic_error *error);
int32_t syncer_flush_open(struct mosaic_flush *f, const struct mosaic_flush_port *port,
			  struct mosaic_error *error);
int32_t syncer_flush_close(struct mosaic_flush *f, struct mosaic_req *req);
void syncer_flush_destroy(struct mosaic_flush *f);

static inline uint64_t syncer_dirty(const struct syncer *s)
{
	return s->end - s->durable;
}

#endif
