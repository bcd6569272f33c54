#include "world.h"

#include "base/err.h"
#include "base/hash.h"
#include "disk.h"
#include "fibers.h"
#include "log/record_read.h"
#include "plugin/value.h"
#include "uring.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MOST 9000
/* So many turns without what is waited for: it will not come. */
#define TURNS_MOST 200000

static const char *const topics[TOPICS] = { "Orders", "Bills", "Stock" };

uint64_t world_draw(struct world *w, uint64_t below)
{
	uint64_t z = (w->seed += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (z ^ (z >> 31)) % below;
}

static const char *wrong(struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static const char *wrong(struct world *w, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(w->why, sizeof(w->why), format, args);
	va_end(args);
	return w->why;
}

/* ---- the host of the plugins ---- */

static struct world *world_of(const struct mosaic_host *host)
{
	return CONTAINER_OF((struct fake_host *)host->ctx, struct world, h);
}

static void on_watermark(const struct mosaic_host *host, uint32_t which, uint64_t upto)
{
	struct world *w = world_of(host);
	if (!w->log)
		return;
	log_watermark(w->log, which, upto);
	if (which != MOSAIC_DURABLE)
		return;
	for (uint32_t i = w->n_sent; i-- > 0 && w->sent[i].promised_at == NEVER;)
		if (w->sent[i].end <= upto)
			w->sent[i].promised_at = disk_now();
}

/* The log is told on the core's next turn: a store may be in the middle of something. */
static void on_fail(const struct mosaic_host *host, const struct mosaic_error *error)
{
	struct world *w = world_of(host);
	if (w->failure.code == 0)
		w->failure = *error;
	w->has_failed = true;
}

static int32_t on_watch(const struct mosaic_host *host, struct mosaic_watch *watch)
{
	struct world *w = world_of(host);
	for (int i = 0; i < WATCHES; i++)
		if (!w->watches[i]) {
			w->watches[i] = watch;
			return 0;
		}
	return MOSAIC_E_LIMIT;
}

static void on_unwatch(const struct mosaic_host *host, struct mosaic_watch *watch)
{
	struct world *w = world_of(host);
	for (int i = 0; i < WATCHES; i++)
		if (w->watches[i] == watch)
			w->watches[i] = NULL;
}

/* Descriptors that have something to read; true when there was one. */
static bool watches_run(struct world *w)
{
	bool any = false;
	for (int i = 0; i < WATCHES; i++) {
		struct mosaic_watch *watch = w->watches[i];
		struct pollfd p = { .fd = watch ? watch->fd : -1, .events = POLLIN };
		if (!watch || poll(&p, 1, 0) <= 0)
			continue;
		watch->ready(watch, MOSAIC_WATCH_READ);
		any = true;
	}
	return any;
}

static void *options_create(const struct mosaic_plugin *plugin)
{
	struct mosaic_error err = ERR_INIT;
	void *options = calloc(1, plugin->options_size ? plugin->options_size : 1);
	if (!options || value_defaults(plugin->options, plugin->n_options, options, &err) != 0)
		abort();
	return options;
}

static void set(const struct mosaic_plugin *plugin, void *options, const char *name,
		const char *value)
{
	struct mosaic_error err = ERR_INIT;
	for (uint32_t i = 0; i < plugin->n_options; i++)
		if (strcmp(plugin->options[i].name, name) == 0 &&
		    value_set(&plugin->options[i], slice_str(value), options, &err) != 0)
			abort();
}

void world_init(struct world *w, const struct mosaic_plugin *store,
		const struct mosaic_plugin *flush, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->store_plugin = store;
	w->flush_plugin = flush;
	w->store_options = options_create(store);
	w->flush_options = options_create(flush);
	/* Small, so that a run crosses the border of a segment often. */
	set(store, w->store_options, "segment", "64KiB");
	set(store, w->store_options, "queueSegment", "4000");
	set(flush, w->flush_options, "interval", "20ms");
	set(flush, w->flush_options, "minBytes", "4KiB");
	set(flush, w->flush_options, "thorough", "100ms");
	w->sent = calloc(SENT_MOST, sizeof(*w->sent));
	if (!w->sent)
		abort();
}

void world_fini(struct world *w)
{
	value_free(w->store_plugin->options, w->store_plugin->n_options, w->store_options);
	value_free(w->flush_plugin->options, w->flush_plugin->n_options, w->flush_options);
	free(w->store_options);
	free(w->flush_options);
	free(w->sent);
}

/* ---- time ---- */

void world_turn(struct world *w)
{
	if (w->has_failed && w->log) {
		w->has_failed = false;
		log_fail(w->log, &w->failure);
	}
	uint64_t draw = world_draw(w, 8);
	uint32_t fibers = fibers_ready(), requests = uring_ready();
	if (fibers + requests > 0 && draw < 4) {
		uint64_t which = world_draw(w, fibers + requests);
		if (which < fibers)
			fibers_step(which);
		else
			uring_step(which - fibers);
	} else if (draw == 4)
		watches_run(w);
	else if (w->h.first || w->h.first_work || draw < 7)
		fake_host_run(&w->h);
	else
		fake_host_advance_ms(&w->h, world_draw(w, 20));
	if (fibers_ready() + uring_ready() == 0 && !w->h.first && !w->h.first_work &&
	    !watches_run(w))
		fake_host_advance_ms(&w->h, 1 + world_draw(w, 100));
}

static bool settle(struct world *w, const bool *is_done)
{
	for (int i = 0; i < TURNS_MOST && !*is_done; i++)
		world_turn(w);
	return *is_done;
}

struct waited {
	struct mosaic_req req;
	bool is_done;
};

static void waited_done(struct mosaic_req *req)
{
	struct waited *waited = req->data;
	waited->is_done = true;
}

static void waited_init(struct waited *waited, struct mosaic_req *req)
{
	waited->is_done = false;
	*req = (struct mosaic_req){ .done = waited_done, .data = waited };
}

/* ---- life ---- */

static void destroy(struct world *w)
{
	if (w->log)
		log_destroy(w->log);
	if (w->flush)
		((const struct mosaic_flush_ops *)w->flush_plugin->ops)->destroy(w->flush);
	if (w->store)
		((const struct mosaic_store_ops *)w->store_plugin->ops)->destroy(w->store);
	w->log = NULL;
	w->flush = NULL;
	w->store = NULL;
	fake_host_fini(&w->h);
}

const char *world_open(struct world *w, const char *dir)
{
	const struct mosaic_store_ops *store_ops = w->store_plugin->ops;
	const struct mosaic_flush_ops *flush_ops = w->flush_plugin->ops;
	struct mosaic_error err = ERR_INIT;
	fake_host_init(&w->h);
	w->h.host.watermark = on_watermark;
	w->h.host.fail = on_fail;
	w->h.host.watch = on_watch;
	w->h.host.unwatch = on_unwatch;
	memset(w->watches, 0, sizeof(w->watches));
	w->failure = (struct mosaic_error)ERR_INIT;
	w->has_failed = false;
	set(w->store_plugin, w->store_options, "dir", dir);
	if (store_ops->create(&w->h.host, w->store_options, &w->store, &err) != 0 ||
	    flush_ops->create(&w->h.host, w->flush_options, &w->flush, &err) != 0)
		return wrong(w, "create: %s", err.text);
	struct log_config config = { .host = &w->h.host,
				     .store_ops = store_ops,
				     .store = w->store,
				     .flush_ops = flush_ops,
				     .flush = w->flush,
				     .flush_gates = w->flush_plugin->caps & MOSAIC_FLUSH_CAP_GATES,
				     .max_record_bytes = 32 << 10 };
	w->log = log_create(&config);
	struct waited opened;
	waited_init(&opened, &w->open.req);
	int rc = log_open(w->log, &w->open);
	if (rc >= 0 && !settle(w, &opened.is_done))
		return wrong(w, "the log does not open and does not say why");
	rc = rc < 0 ? rc : w->open.req.status;
	if (rc >= 0)
		return NULL;
	wrong(w, "the log does not open: %s", w->open.err.text);
	destroy(w);
	return w->why;
}

int world_close(struct world *w)
{
	struct waited closed;
	struct mosaic_req req;
	waited_init(&closed, &req);
	int rc = log_close(w->log, &req);
	if (rc >= 0 && !settle(w, &closed.is_done)) {
		wrong(w, "the log does not close");
		return MOSAIC_E_TIMEOUT;
	}
	destroy(w);
	return rc < 0 ? rc : req.status;
}

/* ---- sending ---- */

static void fill_body(uint8_t *body, const struct sent *s)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "message %u of %s %d; ", s->serial, topics[s->topic],
			 s->queue_id);
	for (uint32_t i = 0; i < s->body_len; i++)
		body[i] = (uint8_t)text[i % (uint32_t)n];
}

/* Most are of one size: what a cut has left behind would fit exactly behind what comes next. */
static uint32_t draw_length(struct world *w)
{
	uint64_t kind = world_draw(w, 20);
	if (kind < 14)
		return 200;
	if (kind < 19)
		return (uint32_t)world_draw(w, 1200);
	return (uint32_t)(4000 + world_draw(w, BODY_MOST - 4000));
}

static void answered(struct gate_wait *wait, enum gate_result result)
{
	struct sent *s = CONTAINER_OF(wait, struct sent, wait);
	s->is_answered = true;
	s->result = result;
	if (result == GATE_KEPT && s->promised_at == NEVER)
		s->promised_at = disk_now();
}

static int append(struct world *w, struct sent *s)
{
	static uint8_t body[BODY_MOST];
	struct mosaic_slice topic = slice_str(topics[s->topic]);
	struct queue *q = log_queue(w->log, topic, s->queue_id);
	if (!q)
		return MOSAIC_E_INVAL;
	fill_body(body, s);
	struct message m = { .topic = topic,
			     .body = slice(body, s->body_len),
			     .props = slice_str("UNIQ_KEY\1fault\2"),
			     .queue_id = s->queue_id,
			     .born_ms = (int64_t)host_wall_ms(&w->h.host),
			     .born_host = { .ip = { 127, 0, 0, 1 }, .ip_len = 4 },
			     .store_host = { .ip = { 127, 0, 0, 1 }, .ip_len = 4 },
			     .body_crc = hash_crc32(body, s->body_len) & 0x7fffffff };
	for (int tries = 0; tries < 50; tries++) {
		int rc = log_append(w->log, q, &m, &s->end);
		s->index = m.queue_offset;
		s->at = (uint64_t)m.phys_offset;
		if (rc != MOSAIC_E_AGAIN)
			return rc;
		struct waited room;
		struct mosaic_req req;
		waited_init(&room, &req);
		log_wait_room(w->log, &req);
		if (!settle(w, &room.is_done))
			return MOSAIC_E_TIMEOUT;
	}
	return MOSAIC_E_AGAIN;
}

int world_send(struct world *w)
{
	if (w->n_sent == SENT_MOST)
		abort();
	struct sent *s = &w->sent[w->n_sent];
	*s = (struct sent){ .serial = ++w->serial,
			    .body_len = draw_length(w),
			    .topic = (int)world_draw(w, TOPICS),
			    .queue_id = (int)world_draw(w, QUEUES),
			    .promised_at = NEVER,
			    .wait = { .done = answered } };
	int rc = append(w, s);
	if (rc != 0) {
		w->n_refused++;
		return rc;
	}
	s->sent_at = disk_now();
	w->n_sent++;
	bool gates = w->flush_plugin->caps & MOSAIC_FLUSH_CAP_GATES;
	if (gates && gate_is_open(&w->log->gate, s->end))
		answered(&s->wait, GATE_KEPT);
	else if (gates)
		gate_add(&w->log->gate, &s->wait, s->end);
	disk_moment();
	return 0;
}

void world_adopt(struct world *w)
{
	uint32_t n = 0;
	for (; n < w->n_sent && w->sent[n].end <= w->log->end; n++)
		if (w->sent[n].promised_at == NEVER)
			w->sent[n].promised_at = disk_now(); /* recovery has made it durable */
	w->n_sent = n;
}

/* ---- checking ---- */

static void record_came(struct record_read *r)
{
	*(bool *)r->data = true;
}

static const char *check_record(struct world *w, const struct sent *s)
{
	static uint8_t body[BODY_MOST];
	bool came = false;
	struct record_read r = { .done = record_came, .data = &came };
	int rc = record_read(w->log, s->at, &r);
	if (rc == MOSAIC_PENDING) {
		if (!settle(w, &came))
			return wrong(w, "a read does not end");
		rc = r.status;
	}
	if (rc != 0)
		return wrong(w, "message %u at %" PRIu64 " cannot be read: %d", s->serial, s->at,
			     rc);
	fill_body(body, s);
	bool is_same = r.m.body.len == s->body_len &&
		       memcmp(r.m.body.ptr, body, s->body_len) == 0 &&
		       slice_is(r.m.topic, topics[s->topic]) && r.m.queue_id == s->queue_id &&
		       r.m.queue_offset == s->index && s->at + r.len == s->end;
	char found[40];
	snprintf(found, sizeof(found), "%.*s", (int)(r.m.body.len < 39 ? r.m.body.len : 39),
		 (const char *)r.m.body.ptr);
	record_unpin(&r);
	return is_same ? NULL
		       : wrong(w, "message %u at %" PRIu64 " is another: \"%s\"", s->serial, s->at,
			       found);
}

/* All units of a queue, read in long strides: 20 bytes each, freed by the caller. */
static uint8_t *read_units(struct world *w, struct queue *q)
{
	int64_t n = q->max_offset - q->min_offset;
	uint8_t *units = malloc((size_t)n * QUEUE_UNIT_BYTES + 1);
	for (int64_t at = 0; at < n && units;) {
		struct mosaic_read read = { 0 };
		struct waited came;
		waited_init(&came, &read.req);
		int rc = queue_read(q, q->min_offset + at, (uint32_t)(n - at), &read);
		if (rc == MOSAIC_PENDING)
			rc = settle(w, &came.is_done) ? read.req.status : MOSAIC_E_TIMEOUT;
		if (rc != 0) {
			free(units);
			wrong(w, "units of %s %d from %" PRId64 " on cannot be read: %d", q->topic,
			      q->queue_id, q->min_offset + at, rc);
			return NULL;
		}
		memcpy(units + at * QUEUE_UNIT_BYTES, read.ptr, read.len);
		at += read.len / QUEUE_UNIT_BYTES;
		queue_unpin(q, &read);
	}
	return units;
}

/* Of the first n messages, those of this queue are its units, and there are no others. */
static const char *check_queue(struct world *w, int topic, int queue_id, uint32_t n)
{
	struct queue *q = log_queue_find(w->log, slice_str(topics[topic]), queue_id);
	uint8_t *units = q ? read_units(w, q) : NULL;
	if (q && !units)
		return w->why;
	const char *why = NULL;
	int64_t next = 0;
	for (uint32_t i = 0; i < n && !why; i++) {
		const struct sent *s = &w->sent[i];
		struct queue_unit unit = { 0 };
		if (s->topic != topic || s->queue_id != queue_id)
			continue;
		if (q && next < q->max_offset)
			queue_unit_decode(units + next * QUEUE_UNIT_BYTES, &unit);
		if (s->index != next || unit.size != s->end - s->at || unit.phys_offset != s->at)
			why = wrong(w,
				    "message %u is unit %" PRId64 " of %s %d at %" PRIu64
				    "; unit %" PRId64 " points to %" PRIu64,
				    s->serial, s->index, topics[topic], queue_id, s->at, next,
				    unit.phys_offset);
		next++;
	}
	free(units);
	if (!why && q && (q->max_offset != next || q->min_offset != 0))
		why = wrong(w, "queue %s %d is [%" PRId64 ", %" PRId64 "), not [0, %" PRId64 ")",
			    topics[topic], queue_id, q->min_offset, q->max_offset, next);
	return why;
}

const char *world_check(struct world *w, uint32_t n_sent, uint64_t now)
{
	uint32_t n = 0;
	while (n < n_sent && w->sent[n].end <= w->log->end)
		n++;
	for (uint32_t i = n; i < n_sent; i++)
		if (w->sent[i].promised_at <= now)
			return wrong(w,
				     "message %u, promised at moment %" PRIu64
				     ", is lost at %" PRIu64 ": the log ends at %" PRIu64
				     ", it was at %" PRIu64,
				     w->sent[i].serial, w->sent[i].promised_at, now, w->log->end,
				     w->sent[i].at);
	uint64_t end = n > 0 ? w->sent[n - 1].end : 0;
	bool is_padded = w->log->end % w->log->segment_bytes == 0 &&
			 w->log->end - end < w->log->segment_bytes;
	if (w->log->begin != 0 || (w->log->end != end && !is_padded))
		return wrong(w,
			     "the log is [%" PRIu64 ", %" PRIu64
			     "), the last message ends at %" PRIu64,
			     w->log->begin, w->log->end, end);
	for (uint32_t i = 0; i < n; i++) {
		const char *why = check_record(w, &w->sent[i]);
		if (why)
			return why;
	}
	const char *why = NULL;
	for (int i = 0; i < TOPICS * QUEUES && !why; i++)
		why = check_queue(w, i / QUEUES, i % QUEUES, n);
	return why;
}
