#include "broker/stored_times.h"
#include "base/err.h"
#include "base/mem.h"
#include <stdlib.h>

void stored_times_add(struct stored_times *t, struct mosaic_slice topic, int32_t queue_id,
		      int64_t index)
{
	struct stored_time *last = t->n > 0 ? &t->items[t->n - 1] : NULL;
	bool same = last && slice_is(topic, last->topic);
	char *name = same ? last->topic : slice_dup(topic);

	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 16;
		t->items = mem_resize(t->items, t->cap * sizeof(t->items[0]));
	}
	t->items[t->n++] = (struct stored_time){
		.topic = name, .queue_id = queue_id, .index = index, .ms = -1
	};
}

void stored_times_free(struct stored_times *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (i + 1 == t->n || t->items[i + 1].topic != t->items[i].topic)
			free(t->items[i].topic);
	free(t->items);
	t->items = NULL;
	t->n = t->cap = 0;
}

static struct queue *queue_of(const struct stored_times *t)
{
	const struct stored_time *item = &t->items[t->at];

	return log_queue_find(t->broker->log, slice_str(item->topic), item->queue_id);
}

static void run(struct stored_times *t);

static void take_record(struct stored_times *t)
{
	t->items[t->at].ms = t->record.m.store_ms;
	t->items[t->at].bytes = t->record.len;
	record_unpin(&t->record);
}

static void record_done(struct record_read *r)
{
	struct stored_times *t = r->data;

	if (r->status == 0)
		take_record(t);
	t->at++;
	run(t);
}

/* 0, or MOSAIC_PENDING. */
static int read_record(struct stored_times *t)
{
	struct queue_unit unit;
	int rc;

	queue_unit_decode(t->unit.ptr, &unit);
	queue_unpin(t->queue, &t->unit);
	t->record = (struct record_read){ .done = record_done, .data = t };
	rc = record_read(t->broker->log, unit.phys_offset, &t->record);
	if (rc == 0)
		take_record(t);
	return rc == MOSAIC_PENDING ? MOSAIC_PENDING : 0;
}

static void unit_done(struct mosaic_req *req)
{
	struct stored_times *t = req->data;

	/* A topic that was deleted meanwhile has taken its queue along. */
	if (req->status == 0 && queue_of(t) == t->queue && read_record(t) == MOSAIC_PENDING)
		return;
	t->at++;
	run(t);
}

static int read_item(struct stored_times *t)
{
	const struct stored_time *item = &t->items[t->at];
	int rc;

	t->queue = queue_of(t);
	if (!t->queue || item->index < t->queue->min_offset || item->index >= t->queue->max_offset)
		return 0;
	t->unit = (struct mosaic_read){ .req = { .done = unit_done, .data = t } };
	rc = queue_read(t->queue, item->index, 1, &t->unit);
	if (rc == 0)
		return read_record(t);
	return rc == MOSAIC_PENDING ? MOSAIC_PENDING : 0;
}

static void run(struct stored_times *t)
{
	while (t->at < t->n) {
		if (read_item(t) == MOSAIC_PENDING)
			return;
		t->at++;
	}
	t->done(t);
}

void stored_times_read(struct stored_times *t, struct broker *b)
{
	t->broker = b;
	t->at = 0;
	run(t);
}
