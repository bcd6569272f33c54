/*
 * What a disk is to store-memory: streams of segments and documents, and what of them a crash of
 * the process or of the power would leave. Allocated with malloc, because it may outlive the
 * instance (mosaic/draft/disk.h). [core]
 */
#ifndef STORE_MEMORY_DISK_H
#define STORE_MEMORY_DISK_H

#include "names.h"

#include <stdbool.h>

#define QUEUE_UNIT 20

struct segment {
	struct segment *next_retired;
	uint32_t pins;
	bool is_retired; /* no stream has it any more; freed with the last pin */
	uint64_t written_ms; /* of the commit log: last time */
	uint8_t bytes[]; /* zeros beyond the stream's end */
};

struct mosaic_stream {
	struct name name; /* first: names.c */
	struct disk *disk;
	struct mosaic_store *store;
	uint64_t segment_bytes;
	uint64_t begin, end, synced;
	uint64_t first;            /* index of segments[0]: its offset / segment_bytes */
	struct segment **segments; /* n of capacity; allocated when first reserved */
	uint32_t n, capacity;
	uint32_t reserved; /* bytes lent by the last reserve() */
	struct mosaic_req *room;
	struct undo *undo; /* an index: writes since the last sync, newest first */
};

/* What a write to an index has replaced. */
struct undo {
	struct undo *older;
	uint64_t offset;
	uint32_t len;
	uint8_t bytes[];
};

struct blob {
	uint32_t refs;
	uint64_t len;
	uint8_t bytes[];
};

struct document {
	struct document *next;
	char *name;
	struct blob *now;
	struct blob *safe; /* what is there after a power loss; may be `now` */
};

struct disk {
	struct names streams;
	struct document *documents;
	struct segment *retired;
	uint64_t used; /* bytes between begin and end of all streams */
	bool was_used; /* opened before */
	bool is_clean; /* and closed properly */
	struct mosaic_store *user;
};

struct disk *disk_create(void);
void disk_destroy(struct disk *disk);
/* Leaves of unsynced bytes and documents what `how` (enum mosaic_disk_crash) leaves. */
void disk_crash(struct disk *disk, uint32_t how, uint64_t random);

struct mosaic_stream *stream_create(struct disk *disk, const struct mosaic_stream_name *name,
				    uint64_t segment_bytes);
void stream_destroy(struct mosaic_stream *stream);
/* The segment that holds `offset`, made when it is the next one. NULL: no memory. */
struct segment *stream_segment(struct mosaic_stream *stream, uint64_t offset);
/* Cuts to end at `to`. False: no memory. */
bool stream_cut(struct mosaic_stream *stream, uint64_t to);
void stream_trim(struct mosaic_stream *stream, uint64_t below);
void disk_unpin(struct disk *disk, struct segment *segment);

/* An index: one segment of that size, which costs what is written to it. False: no memory. */
bool fixed_resize(struct mosaic_stream *stream, uint64_t bytes);
bool fixed_put(struct mosaic_stream *stream, uint64_t offset, const uint8_t *bytes, uint32_t len);
void fixed_synced(struct mosaic_stream *stream);
/* A copy of its bytes, pinned once. NULL: no memory. */
struct segment *fixed_copy(struct mosaic_stream *stream, uint64_t offset, uint32_t len);

struct blob *blob_create(const uint8_t *bytes, uint64_t len);
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob);

struct document *document_find(struct disk *disk, const char *name);
/* Replaces the content; with keep_old NAME.bak gets the old one. False: no memory. */
bool document_put(struct disk *disk, const char *name, struct blob *content, bool is_safe,
		  bool keep_old);

#endif
