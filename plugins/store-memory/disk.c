#include "disk.h"

#include <mosaic/draft/disk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct disk *disk_create(void)
{
	return calloc(1, sizeof(struct disk));
}

void disk_destroy(struct disk *disk)
{
	if (!disk)
		return;
	while (disk->streams.n > 0)
		stream_destroy((struct mosaic_stream *)disk->streams.by_index[disk->streams.n - 1]);
	names_fini(&disk->streams);
	while (disk->documents) {
		struct document *doc = disk->documents;
		disk->documents = doc->next;
		blob_unref(doc->now);
		blob_unref(doc->safe);
		free(doc->name);
		free(doc);
	}
	while (disk->retired) {
		struct segment *segment = disk->retired;
		disk->retired = segment->next_retired;
		free(segment);
	}
	free(disk);
}

/* splitmix64: one number of the simulator's generator becomes many. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Of the writes that no sync covered the oldest stay, a drawn number of them. */
static void fixed_crash(struct mosaic_stream *s, uint32_t how, uint64_t *random)
{
	uint64_t n = 0;
	for (const struct undo *u = s->undo; u; u = u->older)
		n++;
	for (uint64_t lost = how == MOSAIC_CRASH_POWER ? draw(random) % (n + 1) : 0; lost > 0;
	     lost--) {
		struct undo *u = s->undo;
		memcpy(s->segments[0]->bytes + u->offset, u->bytes, u->len);
		s->undo = u->older;
		free(u);
	}
	fixed_synced(s);
	s->store = NULL;
}

static void stream_crash(struct mosaic_stream *s, uint32_t how, uint64_t *random)
{
	if (s->name.kind == MOSAIC_INDEX) {
		fixed_crash(s, how, random);
		return;
	}
	uint64_t to = s->end;
	bool is_queue = s->name.kind == MOSAIC_CONSUME_QUEUE;
	if ((is_queue || how == MOSAIC_CRASH_POWER) && s->synced < s->end) {
		to = s->synced + draw(random) % (s->end - s->synced + 1);
		/* Units are kept whole: a record of the log has a checksum, a unit has none. */
		if (is_queue)
			to -= to % QUEUE_UNIT;
	}
	for (uint32_t i = 0; i < s->n; i++)
		s->segments[i]->pins = 0;
	/* Without pins a cut needs no memory and cannot fail. What a lent span holds beyond the end
	 * stays when nothing is cut: that is how a torn record looks. */
	if (to < s->end)
		(void)stream_cut(s, to);
	s->store = NULL;
	s->room = NULL;
	s->reserved = 0;
}

void disk_crash(struct disk *disk, uint32_t how, uint64_t random)
{
	for (uint32_t i = 0; i < disk->streams.n; i++)
		stream_crash((struct mosaic_stream *)disk->streams.by_index[i], how, &random);
	for (struct document *doc = disk->documents; doc; doc = doc->next) {
		bool keeps_new = how == MOSAIC_CRASH_PROCESS || (draw(&random) & 1);
		struct blob **from = keeps_new ? &doc->now : &doc->safe;
		struct blob *content = blob_ref(*from);
		blob_unref(doc->now);
		blob_unref(doc->safe);
		doc->now = content;
		doc->safe = blob_ref(content);
	}
	while (disk->retired) {
		struct segment *segment = disk->retired;
		disk->retired = segment->next_retired;
		free(segment);
	}
	disk->is_clean = false;
	disk->user = NULL;
}

struct mosaic_stream *stream_create(struct disk *disk, const struct mosaic_stream_name *name,
				    uint64_t segment_bytes)
{
	struct mosaic_stream *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->disk = disk;
	s->segment_bytes = segment_bytes;
	if (names_add(&disk->streams, &s->name, name) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

static void segment_retire(struct disk *disk, struct segment *segment)
{
	if (segment->pins == 0) {
		free(segment);
		return;
	}
	segment->is_retired = true;
	segment->next_retired = disk->retired;
	disk->retired = segment;
}

void disk_unpin(struct disk *disk, struct segment *segment)
{
	if (--segment->pins > 0 || !segment->is_retired)
		return;
	struct segment **link = &disk->retired;
	while (*link != segment)
		link = &(*link)->next_retired;
	*link = segment->next_retired;
	free(segment);
}

void stream_destroy(struct mosaic_stream *s)
{
	if (s->name.kind != MOSAIC_INDEX)
		s->disk->used -= s->end - s->begin;
	fixed_synced(s);
	for (uint32_t i = 0; i < s->n; i++)
		segment_retire(s->disk, s->segments[i]);
	free(s->segments);
	names_remove(&s->disk->streams, &s->name);
	free(s);
}

struct segment *stream_segment(struct mosaic_stream *s, uint64_t offset)
{
	uint64_t index = offset / s->segment_bytes;
	if (s->n == 0)
		s->first = index;
	if (index < s->first + s->n)
		return s->segments[index - s->first];
	if (s->n == s->capacity) {
		uint32_t capacity = s->capacity ? s->capacity * 2 : 4;
		struct segment **grown = realloc(s->segments, capacity * sizeof(*grown));
		if (!grown)
			return NULL;
		s->segments = grown;
		s->capacity = capacity;
	}
	struct segment *segment = calloc(1, sizeof(*segment) + s->segment_bytes);
	if (segment)
		s->segments[s->n++] = segment;
	return segment;
}

bool stream_cut(struct mosaic_stream *s, uint64_t to)
{
	uint64_t offset = to % s->segment_bytes;
	uint64_t keep = to < s->begin || s->n == 0 ? 0 : to / s->segment_bytes - s->first;
	if (s->n > keep && offset > 0 && to > s->begin) {
		struct segment *last = s->segments[keep];
		if (last->pins > 0) { /* STORE-08: who reads it keeps what he has seen */
			struct segment *copy = calloc(1, sizeof(*copy) + s->segment_bytes);
			if (!copy)
				return false;
			memcpy(copy->bytes, last->bytes, offset);
			segment_retire(s->disk, last);
			s->segments[keep] = copy;
		} else {
			memset(last->bytes + offset, 0, s->segment_bytes - offset);
		}
		keep++;
	}
	while (s->n > keep)
		segment_retire(s->disk, s->segments[--s->n]);
	s->disk->used -= s->end - s->begin;
	s->begin = to < s->begin ? to : s->begin;
	s->end = to;
	s->disk->used += s->end - s->begin;
	s->synced = s->synced < to ? s->synced : to;
	s->reserved = 0;
	return true;
}

void stream_trim(struct mosaic_stream *s, uint64_t below)
{
	uint32_t drop = 0;
	while (s->n - drop > 1 && (s->first + drop + 1) * s->segment_bytes <= below &&
	       (s->first + drop + 1) * s->segment_bytes <= s->end)
		segment_retire(s->disk, s->segments[drop++]);
	if (drop == 0)
		return;
	s->n -= drop;
	s->first += drop;
	memmove(s->segments, s->segments + drop, s->n * sizeof(*s->segments));
	uint64_t begin = s->first * s->segment_bytes;
	s->disk->used -= begin - s->begin;
	s->begin = begin;
	s->synced = s->synced > begin ? s->synced : begin;
}

/* ---- an index ---- */

bool fixed_resize(struct mosaic_stream *s, uint64_t bytes)
{
	if (!s->segments)
		s->segments = calloc(1, sizeof(*s->segments));
	/* calloc() gives a large block as pages that are not there until they are touched. */
	struct segment *segment = s->segments ? calloc(1, sizeof(*segment) + bytes) : NULL;
	if (!segment)
		return false;
	if (s->n > 0) {
		memcpy(segment->bytes, s->segments[0]->bytes, s->end < bytes ? s->end : bytes);
		free(s->segments[0]);
	}
	s->segments[0] = segment;
	s->n = s->capacity = 1;
	s->end = s->synced = s->segment_bytes = bytes;
	return true;
}

bool fixed_put(struct mosaic_stream *s, uint64_t offset, const uint8_t *bytes, uint32_t len)
{
	struct undo *u = malloc(sizeof(*u) + len);
	if (!u)
		return false;
	*u = (struct undo){ .older = s->undo, .offset = offset, .len = len };
	memcpy(u->bytes, s->segments[0]->bytes + offset, len);
	memcpy(s->segments[0]->bytes + offset, bytes, len);
	s->undo = u;
	return true;
}

void fixed_synced(struct mosaic_stream *s)
{
	while (s->undo) {
		struct undo *u = s->undo;
		s->undo = u->older;
		free(u);
	}
}

struct segment *fixed_copy(struct mosaic_stream *s, uint64_t offset, uint32_t len)
{
	struct segment *copy = calloc(1, sizeof(*copy) + len);
	if (!copy)
		return NULL;
	memcpy(copy->bytes, s->segments[0]->bytes + offset, len);
	copy->pins = 1;
	segment_retire(s->disk, copy);
	return copy;
}

struct blob *blob_create(const uint8_t *bytes, uint64_t len)
{
	struct blob *blob = malloc(sizeof(*blob) + len);
	if (!blob)
		return NULL;
	blob->refs = 1;
	blob->len = len;
	if (len > 0)
		memcpy(blob->bytes, bytes, len);
	return blob;
}

struct blob *blob_ref(struct blob *blob)
{
	if (blob)
		blob->refs++;
	return blob;
}

void blob_unref(struct blob *blob)
{
	if (blob && --blob->refs == 0)
		free(blob);
}

struct document *document_find(struct disk *disk, const char *name)
{
	struct document *doc = disk->documents;
	while (doc && strcmp(doc->name, name) != 0)
		doc = doc->next;
	return doc;
}

static struct document *document_make(struct disk *disk, const char *name)
{
	struct document *doc = document_find(disk, name);
	if (doc)
		return doc;
	doc = calloc(1, sizeof(*doc));
	if (!doc)
		return NULL;
	doc->name = strdup(name);
	if (!doc->name) {
		free(doc);
		return NULL;
	}
	doc->next = disk->documents;
	disk->documents = doc;
	return doc;
}

static void document_set(struct document *doc, struct blob *content, bool is_safe)
{
	blob_unref(doc->now);
	doc->now = blob_ref(content);
	if (is_safe) {
		blob_unref(doc->safe);
		doc->safe = blob_ref(content);
	}
}

bool document_put(struct disk *disk, const char *name, struct blob *content, bool is_safe,
		  bool keep_old)
{
	struct document *doc = document_make(disk, name);
	if (!doc)
		return false;
	if (keep_old && doc->now) {
		char *backup_name = NULL;
		if (asprintf(&backup_name, "%s.bak", name) < 0)
			return false;
		struct document *backup = document_make(disk, backup_name);
		free(backup_name);
		if (!backup)
			return false;
		document_set(backup, doc->now, is_safe);
	}
	document_set(doc, content, is_safe);
	return true;
}
