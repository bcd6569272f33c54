#include "base/bytes.h"
#include "base/hash.h"
#include "log/log_priv.h"

#define TICK_NS SECOND_NS
#define SYNC_NS (5 * SECOND_NS)
#define SYNC_BYTES (UINT64_C(64) << 20)
/* For each 1024 queues a sync comes this much later: one that finds two units in each of 100,000
 * queues writes 100,000 files for them. A restart reads this much more, a fraction of what it takes
 * to find that many queues. */
#define SYNC_MORE_NS (SECOND_NS / 2)
#define SYNC_MORE_BYTES (UINT64_C(32) << 20)
#define AT_RESUME 64
#define RESUME_MAGIC UINT64_C(0x4d6f736169635232) /* "MosaicR2" */
#define RESUME_BYTES 32
#define AT_INDEX 128
#define INDEX_MAGIC UINT64_C(0x4d6f736169634931) /* "MosaicI1" */
#define INDEX_MARK_BYTES 56
/* A checkpoint from the future is garbage; clocks may differ by a day. */
#define AHEAD_MS (24 * 3600 * 1000)

static void checkpoint_tick(struct mosaic_timer *timer);
static void checkpoint_work(struct checkpoint *c);

void checkpoint_init(struct checkpoint *c, struct log *log)
{
	*c = (struct checkpoint){ .log = log,
				  .resume = UINT64_MAX,
				  .timer = { .fire = checkpoint_tick, .data = c } };
}

bool checkpoint_parse(struct checkpoint *c, struct mosaic_slice content)
{
	const uint8_t *p = content.ptr;
	if (content.len != CHECKPOINT_BYTES)
		return false;
	int64_t latest = (int64_t)host_wall_ms(c->log->host) + AHEAD_MS;
	for (int i = 0; i < 5; i++) {
		int64_t value = (int64_t)get_be64(p + 8 * i);
		if (value < 0 || (i < 3 && value > latest))
			return false;
	}
	c->physic_ms = (int64_t)get_be64(p);
	c->logics_ms = (int64_t)get_be64(p + 8);
	c->index_ms = (int64_t)get_be64(p + 16);
	c->master_flushed = (int64_t)get_be64(p + 24);
	c->confirm = (int64_t)get_be64(p + 32);
	p += AT_RESUME;
	if (get_be64(p) == RESUME_MAGIC &&
	    get_be32(p + RESUME_BYTES) == hash_crc32(p, RESUME_BYTES)) {
		c->resume = get_be64(p + 8);
		c->resume_ms = (int64_t)get_be64(p + 16);
		c->n_units = get_be64(p + 24);
	}
	p = content.ptr + AT_INDEX;
	if (get_be64(p) == INDEX_MAGIC &&
	    get_be32(p + INDEX_MARK_BYTES) == hash_crc32(p, INDEX_MARK_BYTES)) {
		c->index.file = get_be64(p + 8);
		index_header_decode(p + 16, &c->index.header);
	}
	return true;
}

static void index_mark_write(uint8_t *p, const struct index_mark *mark)
{
	if (mark->file == 0)
		return;
	put_be64(p, INDEX_MAGIC);
	put_be64(p + 8, mark->file);
	index_header_encode(p + 16, &mark->header);
	put_be32(p + INDEX_MARK_BYTES, hash_crc32(p, INDEX_MARK_BYTES));
}

static void checkpoint_write(struct checkpoint *c)
{
	uint8_t *p = c->content;
	memset(p, 0, sizeof(c->content));
	put_be64(p, (uint64_t)c->physic_ms);
	put_be64(p + 8, (uint64_t)c->logics_ms);
	put_be64(p + 16, (uint64_t)c->index_ms);
	put_be64(p + 24, (uint64_t)c->master_flushed);
	put_be64(p + 32, (uint64_t)c->confirm);
	index_mark_write(p + AT_INDEX, &c->index);
	if (c->resume == UINT64_MAX)
		return;
	p += AT_RESUME;
	put_be64(p, RESUME_MAGIC);
	put_be64(p + 8, c->resume);
	put_be64(p + 16, (uint64_t)c->resume_ms);
	put_be64(p + 24, c->n_units);
	put_be32(p + RESUME_BYTES, hash_crc32(p, RESUME_BYTES));
}

static struct checkpoint_mark mark_now(const struct log *log)
{
	return (struct checkpoint_mark){ log->end, log->last_store_ms, log->last_unit_phys,
					 log->last_unit_ms, log->n_units };
}

/* Takes over what has become true since the last look, and marks what to wait for next. */
static void checkpoint_adopt(struct checkpoint *c)
{
	const struct log *log = c->log;
	if (c->has_records && c->records.end <= log->durable) {
		c->has_records = false;
		c->is_changed |= c->physic_ms < c->records.store_ms;
		c->physic_ms = c->records.store_ms;
	}
	if (!c->has_records && log->last_store_ms > c->physic_ms) {
		c->records = mark_now(log);
		c->has_records = true;
	}
	if (c->has_units && c->are_units_synced && c->units.end <= log->durable) {
		c->has_units = false;
		c->is_changed |= c->resume != c->units.unit_phys || c->n_units != c->units.n_units;
		c->resume = c->units.unit_phys;
		c->resume_ms = c->units.unit_ms;
		c->n_units = c->units.n_units;
	}
}

static bool units_are_dirty(const struct checkpoint *c)
{
	return c->log->end != c->synced_end || c->is_hurried;
}

static bool has_grown_enough(const struct checkpoint *c)
{
	uint64_t more = c->log->queues.count / 1024 * SYNC_MORE_BYTES;
	return c->log->end - c->synced_end >= SYNC_BYTES + more;
}

static bool units_are_due(const struct checkpoint *c)
{
	if (c->has_units || !units_are_dirty(c))
		return false;
	uint64_t more_ns = c->log->queues.count / 1024 * SYNC_MORE_NS;
	return c->closed || c->is_hurried || has_grown_enough(c) ||
	       host_now_ns(c->log->host) - c->synced_ns >= SYNC_NS + more_ns;
}

/* The store has failed and says so itself; or its disk is full, then a tick tries again. */
static void units_failed(struct checkpoint *c)
{
	c->has_units = false;
	c->is_failed = c->is_hurried = true;
}

static void units_synced(struct mosaic_req *req)
{
	struct checkpoint *c = req->data;
	c->is_busy = false;
	if (req->status < 0) {
		units_failed(c);
	} else {
		c->are_units_synced = true;
		c->is_changed |= c->logics_ms < c->units.store_ms;
		c->logics_ms = c->units.store_ms;
	}
	checkpoint_work(c);
}

static int units_sync(struct checkpoint *c)
{
	struct log *log = c->log;
	c->units = mark_now(log);
	c->has_units = true;
	c->are_units_synced = c->is_hurried = false;
	c->synced_end = log->end;
	c->synced_ns = host_now_ns(log->host);
	c->sync = (struct mosaic_req){ .done = units_synced, .data = c };
	return log->config.store_ops->sync_queues(log->config.store, &c->sync);
}

static void checkpoint_saved(struct mosaic_req *req)
{
	struct checkpoint *c = req->data;
	c->is_busy = false;
	if (req->status < 0) {
		LOG_WARN(c->log->host, "checkpoint_not_saved", "status=%d", req->status);
		c->is_failed = true;
	}
	checkpoint_work(c);
}

static int checkpoint_save(struct checkpoint *c)
{
	struct log *log = c->log;
	c->is_changed = false;
	checkpoint_write(c);
	/* What it says is true already: an old document after a power cut only costs time. */
	c->doc = (struct mosaic_doc){ .req = { .done = checkpoint_saved, .data = c },
				      .name = "checkpoint",
				      .content = c->content,
				      .len = sizeof(c->content),
				      .flags = c->closed ? 0 : MOSAIC_DOC_LAZY };
	return log->config.store_ops->doc_save(log->config.store, &c->doc);
}

static bool is_anything_left(const struct checkpoint *c)
{
	return c->has_records || c->has_units || units_are_dirty(c) || c->is_changed;
}

/* Does the next thing that is due; comes back when that is done. */
static void checkpoint_work(struct checkpoint *c)
{
	if (c->is_busy)
		return;
	bool may_write = !c->is_failed && !c->log->is_broken;
	checkpoint_adopt(c);
	if (c->closed && c->are_units_synced)
		c->has_units = false; /* the watermark does not move any more */
	int rc = 0;
	if (may_write && units_are_due(c)) {
		c->is_busy = true;
		rc = units_sync(c);
		if (rc < 0)
			units_failed(c);
	} else if (may_write && c->is_changed && (c->may_save || c->closed)) {
		c->is_busy = true;
		c->may_save = false;
		rc = checkpoint_save(c);
	}
	if (rc < 0) {
		c->is_busy = false;
		c->is_failed = true;
	}
	if (c->closed && !c->is_busy)
		c->closed(c->log);
	else if (!c->closed && !c->log->is_broken && c->timer.due_ns == 0 && is_anything_left(c))
		c->log->host->timer_start(c->log->host, &c->timer, TICK_NS);
}

static void checkpoint_tick(struct mosaic_timer *timer)
{
	struct checkpoint *c = timer->data;
	c->may_save = true;
	c->is_failed = false; /* a document that could not be saved is tried again */
	checkpoint_work(c);
}

void checkpoint_start(struct checkpoint *c, bool are_units_durable)
{
	struct log *log = c->log;
	c->synced_end = log->end;
	c->synced_ns = host_now_ns(log->host);
	if (are_units_durable)
		return;
	/* Records that were damaged may be gone, whatever was known about them. */
	if (c->physic_ms > log->last_store_ms)
		c->physic_ms = log->last_store_ms;
	if (c->logics_ms > log->last_store_ms)
		c->logics_ms = log->last_store_ms;
	checkpoint_hurry(c);
}

void checkpoint_grown(struct checkpoint *c)
{
	if (UNLIKELY(c->timer.due_ns == 0))
		c->log->host->timer_start(c->log->host, &c->timer, TICK_NS);
	if (UNLIKELY(has_grown_enough(c) && !c->has_units))
		checkpoint_work(c);
}

void checkpoint_index(struct checkpoint *c, const struct index_mark *mark, int64_t full_ms)
{
	if (mark)
		c->index = *mark;
	if (full_ms > c->index_ms)
		c->index_ms = full_ms;
	c->is_changed = true;
	if (c->timer.due_ns == 0 && !c->closed && c->log->is_open)
		c->log->host->timer_start(c->log->host, &c->timer, TICK_NS);
}

void checkpoint_hurry(struct checkpoint *c)
{
	c->is_hurried = true;
	checkpoint_work(c);
}

void checkpoint_close(struct checkpoint *c, void (*closed)(struct log *log))
{
	c->log->host->timer_stop(c->log->host, &c->timer);
	c->closed = closed;
	c->is_failed = false;
	checkpoint_work(c);
}
