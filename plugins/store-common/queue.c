#include "queue.h"

#include "io.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST (25 * QUEUE_UNIT)  /* most queues of a large broker see few messages */
#define CHUNK_MOST (200 * QUEUE_UNIT)
#define CHUNK_BUSY (3200 * QUEUE_UNIT) /* while a write is under way */
#define WRITE_AT (170 * QUEUE_UNIT) /* before the chunks of 25, 50 and 100 are full */
#define UNWRITTEN_MOST (4u << 20)

const uint8_t cqueue_filler[QUEUE_UNIT] = { [8] = 0x7f, 0xff, 0xff, 0xff };

bool cqueue_topic_is_valid(const char *topic)
{
	size_t len = topic ? strlen(topic) : 0;
	return len > 0 && len <= 255 && !strchr(topic, '/') && strcmp(topic, ".") != 0 &&
	       strcmp(topic, "..") != 0;
}

void cqueue_folder(char path[QUEUE_PATH_BYTES], const struct queue *q)
{
	snprintf(path, QUEUE_PATH_BYTES, QUEUE_FOLDER "/%s/%" PRId32, q->base.name.topic,
		 q->base.name.queue_id);
}

void cqueue_path(char path[QUEUE_PATH_BYTES], const struct queue *q, uint64_t start)
{
	snprintf(path, QUEUE_PATH_BYTES, QUEUE_FOLDER "/%s/%" PRId32 "/" SEGMENT_NAME_FORMAT,
		 q->base.name.topic, q->base.name.queue_id, start);
}

int32_t cqueue_open(struct mosaic_store *store, const struct mosaic_stream_name *name,
		    struct queue **out)
{
	if (!cqueue_topic_is_valid(name->topic) || name->queue_id < 0)
		return MOSAIC_E_INVAL;
	*out = (struct queue *)names_find(&store->names, name);
	if (*out)
		return 0;
	struct queue *q = calloc(1, sizeof(*q));
	if (!q)
		return MOSAIC_E_NOMEM;
	q->base.store = store;
	q->refs = 1;
	q->sized_file = UINT64_MAX;
	if (names_add(&store->names, &q->base.name, name) != 0) {
		free(q);
		return MOSAIC_E_NOMEM;
	}
	*out = q;
	return 0;
}

void chunk_unref(struct chunk *chunk)
{
	if (--chunk->refs == 0)
		free(chunk);
}

void cqueue_free(struct queue *q)
{
	while (q->head) {
		struct chunk *chunk = q->head;
		q->head = chunk->next;
		chunk_unref(chunk);
	}
	cqueue_files_close(q);
	free(q);
}

void cqueue_unref(struct queue *q)
{
	if (--q->refs > 0)
		return;
	free(q->base.name.topic);
	cqueue_free(q);
}

void cqueue_mark_dirty(struct queue *q)
{
	struct mosaic_store *store = q->base.store;
	if (q->dirty_link)
		return;
	q->dirty_next = store->dirty;
	q->dirty_link = &store->dirty;
	if (store->dirty)
		store->dirty->dirty_link = &q->dirty_next;
	store->dirty = q;
	store->n_dirty++;
}

void cqueue_undirty(struct queue *q)
{
	if (!q->dirty_link)
		return;
	*q->dirty_link = q->dirty_next;
	if (q->dirty_next)
		q->dirty_next->dirty_link = q->dirty_link;
	q->dirty_link = NULL;
	q->dirty_next = NULL;
	q->base.store->n_dirty--;
}

static bool cqueue_add_chunk(struct queue *q, uint32_t least)
{
	uint32_t capacity = q->end > q->written ? q->last->capacity * 2 : CHUNK_FIRST;
	uint32_t most = q->is_writing ? CHUNK_BUSY : CHUNK_MOST;
	capacity = capacity < CHUNK_FIRST ? CHUNK_FIRST : capacity;
	capacity = capacity < most ? capacity : most;
	capacity = capacity > least ? capacity : least;
	struct chunk *chunk = malloc(sizeof(*chunk) + capacity);
	if (!chunk)
		return false;
	*chunk = (struct chunk){ .start = q->end, .refs = 1, .capacity = capacity };
	if (q->last)
		q->last->next = chunk;
	else
		q->head = chunk;
	q->last = chunk;
	q->room_at = chunk->bytes;
	q->room_left = capacity;
	return true;
}

void cqueue_end_chunks(struct queue *q, struct chunk *last)
{
	q->last = last;
	q->room_at = NULL;
	q->room_left = 0;
}

void cqueue_forget_chunks(struct queue *q, bool all)
{
	while (q->head && q->head->start + q->head->len <= q->written &&
	       (q->head != q->last || all || q->last->len == q->last->capacity)) {
		struct chunk *chunk = q->head;
		q->head = chunk->next;
		if (!q->head)
			cqueue_end_chunks(q, NULL);
		chunk_unref(chunk);
	}
}

int32_t cqueue_reserve(struct queue *q, uint32_t max_len, struct mosaic_span *room)
{
	struct mosaic_store *store = q->base.store;
	uint64_t left = store->options.queue_segment_bytes -
			q->end % store->options.queue_segment_bytes;
	q->reserved = 0;
	if (store->is_broken || store->is_closing || !store->is_open)
		return store->is_broken ? MOSAIC_E_FATAL : MOSAIC_E_CLOSED;
	if (max_len > left) {
		room->len = (uint32_t)left;
		return MOSAIC_E_LIMIT;
	}
	if (q->end - q->written > UNWRITTEN_MOST)
		return q->is_full ? MOSAIC_E_NOSPACE : MOSAIC_E_AGAIN;
	if (q->room_left < max_len && !cqueue_add_chunk(q, max_len))
		return MOSAIC_E_NOSPACE;
	room->ptr = q->room_at;
	room->len = max_len;
	q->reserved = max_len;
	return 0;
}

void cqueue_commit(struct queue *q, uint32_t len)
{
	if (len > q->reserved)
		len = q->reserved;
	q->reserved = 0;
	if (len == 0)
		return;
	bool is_first = q->end == q->begin;
	q->last->len += len;
	q->room_at += len;
	q->room_left -= len;
	q->end += len;
	cqueue_mark_dirty(q);
	if (is_first)
		cqueue_first(q);
	if (q->end - q->written >= WRITE_AT && !q->is_writing && !q->is_full) {
		q->write_to = q->end;
		cqueue_write(q);
	}
}

int32_t cqueue_room(struct queue *q, struct mosaic_req *req)
{
	struct mosaic_store *store = q->base.store;
	if (q->room)
		return MOSAIC_E_AGAIN;
	int32_t rc = store->is_broken ? MOSAIC_E_FATAL : store_accept(store);
	if (rc < 0)
		return rc;
	if (q->end - q->written <= UNWRITTEN_MOST) {
		store_done_later(store, req, 0);
		return MOSAIC_PENDING;
	}
	q->room = req;
	q->write_to = q->end;
	cqueue_write(q);
	return MOSAIC_PENDING;
}

void cqueue_tell_room(struct queue *q, int32_t status)
{
	struct mosaic_req *req = q->room;
	if (!req)
		return;
	q->room = NULL;
	store_done_later(q->base.store, req, status);
}

int32_t cqueue_start_at(struct queue *q, uint64_t offset)
{
	if (q->begin != q->end || q->is_writing || q->cut || offset % QUEUE_UNIT != 0)
		return MOSAIC_E_INVAL;
	q->written = q->end;
	cqueue_forget_chunks(q, true);
	q->begin = q->end = q->written = q->synced = q->write_to = offset;
	q->filler_from = offset - offset % q->base.store->options.queue_segment_bytes;
	return 0;
}
