#include "names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64

static const char *topic_of(const struct mosaic_stream_name *name)
{
	return name->topic ? name->topic : "";
}

/* FNV-1a, then a multiply to spread the low bits that choose the bucket. */
static uint64_t name_hash(const struct mosaic_stream_name *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ name->kind;
	for (const char *p = topic_of(name); *p; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	h = (h ^ (uint32_t)name->queue_id) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

struct name *names_find(const struct names *names, const struct mosaic_stream_name *name)
{
	if (names->n == 0)
		return NULL;
	uint64_t hash = name_hash(name);
	struct name *e = names->buckets[hash & (names->n_buckets - 1)];
	while (e && !(e->hash == hash && e->kind == name->kind && e->queue_id == name->queue_id &&
		      strcmp(e->topic, topic_of(name)) == 0))
		e = e->next;
	return e;
}

static bool names_grow(struct names *names)
{
	uint32_t n = names->n_buckets ? names->n_buckets * 2 : FIRST_BUCKETS;
	struct name **by_index = realloc(names->by_index, n * sizeof(*by_index));
	if (!by_index)
		return false;
	names->by_index = by_index;
	struct name **buckets = calloc(n, sizeof(*buckets));
	if (!buckets)
		return false;
	for (uint32_t i = 0; i < names->n; i++) {
		struct name **bucket = &buckets[by_index[i]->hash & (n - 1)];
		by_index[i]->next = *bucket;
		*bucket = by_index[i];
	}
	free(names->buckets);
	names->buckets = buckets;
	names->n_buckets = n;
	names->capacity = n;
	return true;
}

int names_add(struct names *names, struct name *entry, const struct mosaic_stream_name *name)
{
	if (names->n == names->capacity && !names_grow(names))
		return MOSAIC_E_NOMEM;
	entry->topic = strdup(topic_of(name));
	if (!entry->topic)
		return MOSAIC_E_NOMEM;
	entry->topic_len = (uint32_t)strlen(entry->topic);
	entry->hash = name_hash(name);
	entry->kind = name->kind;
	entry->queue_id = name->queue_id;
	entry->index = names->n;
	struct name **bucket = &names->buckets[entry->hash & (names->n_buckets - 1)];
	entry->next = *bucket;
	*bucket = entry;
	names->by_index[names->n++] = entry;
	return 0;
}

void names_take(struct names *names, struct name *entry)
{
	struct name **link = &names->buckets[entry->hash & (names->n_buckets - 1)];
	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	struct name *last = names->by_index[--names->n];
	last->index = entry->index;
	names->by_index[last->index] = last;
}

void names_remove(struct names *names, struct name *entry)
{
	names_take(names, entry);
	free(entry->topic);
	entry->topic = NULL;
}

void names_fini(struct names *names)
{
	free(names->buckets);
	free(names->by_index);
	memset(names, 0, sizeof(*names));
}
