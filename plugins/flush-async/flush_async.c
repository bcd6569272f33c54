/*
 * flush-async: an acknowledgement does not wait for the disk. Each `interval` what has gathered is
 * synced when it is at least `minBytes`; nothing waits longer than `thorough`. An idle log has no
 * timer running.
 *
 * The defaults are RocketMQ's: flushIntervalCommitLog, flushCommitLogLeastPages (4 pages) and
 * flushCommitLogThoroughInterval.
 */
#include "syncer.h"

struct options {
	uint64_t interval_ns;
	uint64_t min_bytes;
	uint64_t thorough_ns;
};

struct mosaic_flush {
	struct syncer syncer; /* first: syncer.h casts */
	struct options options;
	struct mosaic_timer timer;
	uint64_t dirty_since_ns; /* no byte that is not durable is older */
	uint64_t asked_at_ns;    /* when the sync under way was asked for */
};

static const struct mosaic_option options[] = {
	{ "interval", MOSAIC_T_DURATION, 0, offsetof(struct options, interval_ns), "500ms", "1ms",
	  "1h", NULL, "How often what has gathered is synced" },
	{ "minBytes", MOSAIC_T_SIZE, 0, offsetof(struct options, min_bytes), "16KiB", "0", "1GiB",
	  NULL, "Less than this waits for more to gather" },
	{ "thorough", MOSAIC_T_DURATION, MOSAIC_O_EXPOSURE,
	  offsetof(struct options, thorough_ns), "10s", "1ms", "1h", NULL,
	  "No message waits longer than this for its sync, however little has gathered" },
};

/* Sleeps for an interval, or for less when the oldest byte is due before. */
static void arm(struct mosaic_flush *f)
{
	const struct mosaic_host *host = f->syncer.host;
	uint64_t due = f->dirty_since_ns + f->options.thorough_ns;
	uint64_t now = host->now_ns(host);
	uint64_t delay = due > now ? due - now : 0;

	if (delay > f->options.interval_ns)
		delay = f->options.interval_ns;
	host->timer_start(host, &f->timer, delay);
}

static void timer_fired(struct mosaic_timer *timer)
{
	struct mosaic_flush *f = timer->data;
	uint64_t now = f->syncer.host->now_ns(f->syncer.host);

	if (syncer_dirty(&f->syncer) < f->options.min_bytes &&
	    now - f->dirty_since_ns < f->options.thorough_ns) {
		arm(f);
		return;
	}
	f->asked_at_ns = now;
	syncer_start(&f->syncer); /* synced() goes on */
}

static void synced(struct syncer *s)
{
	struct mosaic_flush *f = (struct mosaic_flush *)s;

	if (syncer_dirty(s) == 0)
		return;
	f->dirty_since_ns = f->asked_at_ns; /* the rest came after that */
	arm(f);
}

static int32_t flush_create(const struct mosaic_host *host, const void *opts,
			    struct mosaic_flush **out, struct mosaic_error *error)
{
	int32_t rc = syncer_flush_create(host, sizeof(struct mosaic_flush), synced, out, error);

	if (rc != 0)
		return rc;
	(*out)->options = *(const struct options *)opts;
	(*out)->timer.fire = timer_fired;
	(*out)->timer.data = *out;
	return 0;
}

static void flush_appended(struct mosaic_flush *f, uint64_t end)
{
	int was_clean = syncer_dirty(&f->syncer) == 0;

	syncer_appended(&f->syncer, end);
	if (!was_clean || syncer_dirty(&f->syncer) == 0 || f->syncer.failure != 0)
		return;
	f->dirty_since_ns = f->syncer.host->now_ns(f->syncer.host);
	arm(f);
}

static int32_t flush_close(struct mosaic_flush *f, struct mosaic_req *req)
{
	f->syncer.host->timer_stop(f->syncer.host, &f->timer);
	return syncer_flush_close(f, req);
}

static const struct mosaic_flush_ops ops = {
	.struct_size = sizeof(ops),
	.create = flush_create,
	.open = syncer_flush_open,
	.appended = flush_appended,
	.close = flush_close,
	.destroy = syncer_flush_destroy,
};

MOSAIC_PLUGIN(.name = "flush-async", .version = "0.1.0", .vendor = "Mosaic",
	      .license = "Apache-2.0",
	      .summary = "Messages are acknowledged at once and synced to disk in the background",
	      MOSAIC_KIND_FLUSH, MOSAIC_OPTIONS(struct options, options), .ops = &ops);
