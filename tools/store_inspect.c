/* mosaic store inspect: what is there, without looking at every record. */
#include "store.h"
#include <inttypes.h>
#include <time.h>

struct last {
	int64_t ms;
	uint64_t n;
};

static void see_record(void *ctx, const struct walk_item *item)
{
	struct last *last = ctx;
	if (item->kind != WALK_RECORD)
		return;
	last->ms = item->m.store_ms;
	last->n++;
}

/* Local time, as in the names of index files. */
static const char *time_text(char out[32], int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm t;
	if (ms <= 0 || !localtime_r(&seconds, &t) || strftime(out, 32, "%F %T", &t) == 0)
		return "never";
	return out;
}

static void inspect_log(struct store_dir *d, struct report *r)
{
	char when[32];
	struct last last = { 0, 0 };
	uint64_t end = store_walk(d, store_last_segment(d), see_record, &last);
	if (r->is_json) {
		jw_put_bool(&r->w, "closedCleanly", !d->is_crashed);
		jw_key(&r->w, "commitLog");
		jw_object(&r->w);
		jw_put_i64(&r->w, "minOffset", (int64_t)store_log_begin(d));
		jw_put_i64(&r->w, "maxOffset", (int64_t)end);
		jw_put_i64(&r->w, "segments", d->log.n);
		jw_put_i64(&r->w, "segmentBytes", (int64_t)d->log.file_bytes);
		jw_put_i64(&r->w, "lastStoreTimestamp", last.ms);
		jw_object_end(&r->w);
		return;
	}
	buf_printf(&r->out, "%s: %s\n", d->path,
		   d->is_crashed ? "not closed (there is a file \"abort\"): the next start recovers"
				 : "closed cleanly");
	buf_printf(&r->out, "commit log: %" PRIu64 " to %" PRIu64 ", %u segment%s of %" PRIu64
		   " bytes, last record stored %s\n", store_log_begin(d), end, d->log.n,
		   d->log.n == 1 ? "" : "s", d->log.file_bytes, time_text(when, last.ms));
}

static void inspect_checkpoint(struct store_dir *d, struct report *r)
{
	static const char *const names[] = { "physicMsgTimestamp", "logicsMsgTimestamp",
					     "indexMsgTimestamp", "masterFlushedOffset",
					     "confirmPhyOffset" };
	if (r->is_json) {
		jw_key(&r->w, "checkpoint");
		jw_object(&r->w);
	} else {
		buf_append_str(&r->out, "checkpoint:");
	}
	for (int i = 0; i < 5 && d->checkpoint_bytes >= 40; i++) {
		int64_t value = (int64_t)get_be64(d->checkpoint + 8 * i);
		if (r->is_json)
			jw_put_i64(&r->w, names[i], value);
		else
			buf_printf(&r->out, " %s=%" PRId64, names[i], value);
	}
	if (r->is_json)
		jw_object_end(&r->w);
	else
		buf_append_byte(&r->out, '\n');
}

/* The first index whose record is still there. */
static int64_t min_offset(struct store_dir *d, struct store_queue *q)
{
	int64_t low = q->begin, high = q->end;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		struct queue_unit unit;
		if (store_unit_at(d, q, middle, &unit) && unit.phys_offset +
		    (unit.size == QUEUE_FILLER_SIZE ? d->log.file_bytes : 0) >= store_log_begin(d))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void inspect_queues(struct store_dir *d, struct report *r)
{
	if (r->is_json) {
		jw_key(&r->w, "queues");
		jw_array(&r->w);
	} else {
		buf_printf(&r->out, "queues: %u, files of %" PRIu64 " bytes\n", d->n_queues,
			   d->queue_file_bytes);
	}
	for (uint32_t i = 0; i < d->n_queues; i++) {
		struct store_queue *q = d->queues[i];
		if (!r->is_json) {
			buf_printf(&r->out, "  %s %d: offsets %" PRId64 " to %" PRId64
				   ", %u file%s\n", q->topic, q->queue_id, min_offset(d, q), q->end,
				   q->list.n, q->list.n == 1 ? "" : "s");
			continue;
		}
		jw_object(&r->w);
		jw_put_cstr(&r->w, "topic", q->topic);
		jw_put_i64(&r->w, "queueId", q->queue_id);
		jw_put_i64(&r->w, "minOffset", min_offset(d, q));
		jw_put_i64(&r->w, "maxOffset", q->end);
		jw_put_i64(&r->w, "files", q->list.n);
		jw_object_end(&r->w);
	}
	if (r->is_json)
		jw_array_end(&r->w);
}

static void inspect_index(struct store_dir *d, struct report *r)
{
	if (r->is_json) {
		jw_key(&r->w, "index");
		jw_array(&r->w);
	} else {
		buf_printf(&r->out, "index: %u file%s\n", d->index.n, d->index.n == 1 ? "" : "s");
	}
	for (uint32_t i = 0; i < d->index.n; i++) {
		struct store_file *file = &d->index.files[i];
		const uint8_t *map = store_file_map(d, file);
		struct index_header h = { .count = 1 };
		if (map && file->size >= INDEX_HEADER_BYTES)
			index_header_decode(map, &h);
		if (!r->is_json) {
			buf_printf(&r->out, "  %s: %u keys of records %" PRId64 " to %" PRId64
				   ", %" PRIu64 " bytes\n", file->path, h.count - 1, h.begin_phys,
				   h.end_phys, file->size);
			continue;
		}
		jw_object(&r->w);
		jw_put_cstr(&r->w, "file", file->path);
		jw_put_i64(&r->w, "bytes", (int64_t)file->size);
		jw_put_i64(&r->w, "keys", h.count - 1);
		jw_put_i64(&r->w, "slotsInUse", h.n_slots);
		jw_put_i64(&r->w, "beginPhyOffset", h.begin_phys);
		jw_put_i64(&r->w, "endPhyOffset", h.end_phys);
		jw_put_i64(&r->w, "beginTimestamp", h.begin_ms);
		jw_put_i64(&r->w, "endTimestamp", h.end_ms);
		jw_object_end(&r->w);
	}
	if (r->is_json)
		jw_array_end(&r->w);
}

static void inspect_documents(struct store_dir *d, struct report *r)
{
	char **names = store_config_names(d);
	struct buf content = BUF_INIT;
	if (r->is_json) {
		jw_key(&r->w, "config");
		jw_array(&r->w);
	} else {
		buf_append_str(&r->out, "config:");
	}
	for (char **name = names; *name; name++) {
		store_read_small(d, *name, &content);
		if (!r->is_json) {
			buf_printf(&r->out, " %s (%zu)", *name + strlen("config/"), content.len);
			continue;
		}
		jw_object(&r->w);
		jw_put_cstr(&r->w, "file", *name);
		jw_put_i64(&r->w, "bytes", (int64_t)content.len);
		jw_object_end(&r->w);
	}
	if (r->is_json)
		jw_array_end(&r->w);
	else
		buf_append_byte(&r->out, '\n');
	buf_free(&content);
	store_names_free(names);
}

static void inspect_odd(struct store_dir *d, struct report *r)
{
	if (r->is_json) {
		jw_key(&r->w, "unreadable");
		jw_array(&r->w);
	}
	for (uint32_t i = 0; i < d->n_odd; i++) {
		if (!r->is_json) {
			buf_printf(&r->out, "%s cannot be looked at: %s\n", d->odd[i].path,
				   d->odd[i].what);
			continue;
		}
		jw_object(&r->w);
		jw_put_cstr(&r->w, "file", d->odd[i].path);
		jw_put_cstr(&r->w, "what", d->odd[i].what);
		jw_object_end(&r->w);
	}
	if (r->is_json)
		jw_array_end(&r->w);
}

void store_inspect(struct store_dir *d, struct report *r)
{
	inspect_log(d, r);
	inspect_checkpoint(d, r);
	inspect_queues(d, r);
	inspect_index(d, r);
	inspect_documents(d, r);
	inspect_odd(d, r);
}
