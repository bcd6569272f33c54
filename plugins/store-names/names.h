/*
 * The streams of one store, found by name or by index. One thread at a time.
 */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include <mosaic/store.h>

struct name {
	struct name *next; /* same bucket */
	uint64_t hash;
	uint32_t kind;
	int32_t queue_id;
	uint32_t index;
	uint32_t topic_len;
	char *topic; /* owned by the entry, "" for the commit log */
};

/* Zeroed: empty. */
struct names {
	struct name **buckets; /* n_buckets, a power of two */
	struct name **by_index;
	uint32_t n_buckets, n, capacity;
};

struct name *names_find(const struct names *names, const struct mosaic_stream_name *name);
/* Copies the topic. 0 or MOSAIC_E_NOMEM, then nothing has changed. */
int names_add(struct names *names, struct name *entry, const struct mosaic_stream_name *name);
/* The entry is the caller's again; its topic stays as it is, for the caller to free. */
void names_take(struct names *names, struct name *entry);
/* The same, and the topic is freed. */
void names_remove(struct names *names, struct name *entry);
/* The tables only; entries have been removed or are removed by nobody. */
void names_fini(struct names *names);

#endif
