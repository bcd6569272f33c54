/*
 * The files of a store directory, seen from outside: found, sorted, mapped when they are looked at.
 * A directory of Apache's broker looks the same. Sizes are taken from the files themselves.
 */
#ifndef TOOLS_STORE_FILES_H
#define TOOLS_STORE_FILES_H

#include "base/map.h"
#include "log/index.h"
#include "log/queue.h"
#include "wire/message.h"

struct store_file {
	char *path; /* from the directory on */
	uint64_t start; /* its name */
	uint64_t size;
	uint8_t *map; /* NULL: not looked at yet */
	bool is_odd;  /* cannot be looked at, and has been told of */
};

/* By name. */
struct store_list {
	struct store_file *files;
	uint32_t n, cap;
	uint64_t file_bytes; /* the size that most of them have */
};

struct store_queue {
	char *topic;
	int32_t queue_id;
	struct store_list list;
	int64_t begin, end; /* units that are there: [begin, end) */
	/* verify's and repair's */
	int64_t next;      /* behind the highest index that a record has */
	uint64_t n_missing, n_wrong;
	uint64_t first_bad;   /* index of the first of them */
	int64_t first_bad_ms; /* store time of its record */
	struct queue_unit *units;
	uint64_t n_units, cap_units;
	int64_t first_unit;
	bool is_kept; /* repair leaves it as it is */
};

/* What cannot be looked at where a file of the store should be. */
struct store_odd {
	char *path; /* from the directory on */
	const char *what;
};

struct store_dir {
	const char *path;
	int fd, lock_fd;
	bool is_writable;
	bool has_batch_queues; /* there is a folder "batchconsumequeue" */
	bool is_crashed; /* the file "abort" is there */
	struct store_list log, index;
	struct store_queue **queues;
	uint32_t n_queues, cap_queues;
	struct map by_name; /* "topic\0" and 4 bytes of the queue id -> struct store_queue */
	uint64_t queue_file_bytes;
	struct store_odd *odd;
	uint32_t n_odd, cap_odd;
	uint8_t checkpoint[4096];
	int64_t checkpoint_bytes; /* -1: there is none */
	struct index_shape shape;
	bool has_shape;
};

/* 0, or -1 with err filled: no directory, or a broker uses it. */
NODISCARD int store_dir_open(struct store_dir *d, const char *path, bool is_writable,
			     struct mosaic_error *err);
void store_dir_close(struct store_dir *d);
/* The bytes of a file; NULL when they cannot be mapped. */
uint8_t *store_file_map(struct store_dir *d, struct store_file *file);
/* Opens what may be no file: a FIFO is not waited for, and no link is written through. */
int store_open(const struct store_dir *d, const char *path, int flags);
/* The next part [at, *end) of a file from `at` on that has ever been written to; *end == at: none.
 * Holes are not read: on some file systems that costs memory, and a sparse file may be huge. */
uint64_t store_next_data(int fd, uint64_t at, uint64_t size, uint64_t *end);
/* Whether in a unit at `at` the written part ends at `end`, and is nothing but zeros till there. */
bool store_hole_follows(struct store_dir *d, struct store_file *file, uint64_t at, uint64_t end);
struct store_queue *store_queue_find(const struct store_dir *d, struct mosaic_slice topic,
				     int32_t queue_id);
struct store_queue *store_queue_add(struct store_dir *d, struct mosaic_slice topic,
				    int32_t queue_id);
/* False: no file has it. */
bool store_unit_at(struct store_dir *d, struct store_queue *q, int64_t index,
		   struct queue_unit *unit);
/* A small file; false: it is not there. The caller frees. */
bool store_read_small(const struct store_dir *d, const char *path, struct buf *out);
/* Begin of the first segment. */
uint64_t store_log_begin(const struct store_dir *d);

/*
 * Everything in the commit log, in order. RECORD: m and len. DAMAGE: bytes [at, at + len) in front
 * of a record that is whole; m is set when only the body's checksum is wrong. TAIL: bytes behind
 * the last record that are neither a record nor zeros.
 */
enum walk_kind { WALK_RECORD, WALK_DAMAGE, WALK_TAIL };

struct walk_item {
	enum walk_kind kind;
	uint64_t at, len;
	const char *what; /* damage: what is wrong */
	bool has_message;
	struct message m;
	const uint8_t *bytes;
};

typedef void walk_fn(void *ctx, const struct walk_item *item);
/* From the n-th segment on. Gives the end of the last record. */
uint64_t store_walk(struct store_dir *d, uint32_t n, walk_fn *fn, void *ctx);
/* The last segment that begins with a record; 0 when none does. */
uint32_t store_last_segment(struct store_dir *d);

#endif
