#include "base/map.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/mem.h"
#include <stdlib.h>

#define MAP_FIRST_ENTRIES 8
#define VALUE_HOT_BYTES 128 /* of what it holds, who looks it up reads this first */

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_seeded(uint64_t seed, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t hash = seed ^ UINT64_C(0x9E3779B97F4A7C15) ^ len, tail = 0;

	for (; len >= 8; p += 8, len -= 8)
		hash = mix(hash ^ get_be64(p), UINT64_C(0xD6E8FEB86659FD93));
	for (; len != 0; p++, len--)
		tail = tail << 8 | *p;
	return mix(hash ^ tail, UINT64_C(0xA0761D6478BD642F));
}

uint64_t hash_bytes(const void *bytes, size_t len)
{
	return hash_seeded(0, bytes, len);
}

static uint64_t hash_key(const struct map *m, struct mosaic_slice key)
{
	return hash_seeded(m->seed, key.ptr, key.len);
}

/*
 * Keys are names that come from the network: who can compute their hashes can make all of them
 * collide. Where the first memory of a map lies is different in each process and told to nobody.
 * The order of iteration does not depend on it: two runs of the simulator agree in everything.
 */
static uint64_t seed_of(const struct map_entry *entries)
{
	return mix((uint64_t)(uintptr_t)entries, UINT64_C(0xD6E8FEB86659FD93)) | 1;
}

void map_free(struct map *m)
{
	for (uint32_t i = 0; i < m->n_entries; i++)
		free((void *)(uintptr_t)m->entries[i].key.ptr);
	free(m->entries);
	free(m->index);
	*m = (struct map)MAP_INIT;
}

/* A removed entry keeps its place in the index until the next rebuild and never matches. */
static struct map_entry *find(const struct map *m, struct mosaic_slice key, uint64_t hash)
{
	if (m->n_index == 0)
		return NULL;
	for (uint32_t slot = (uint32_t)hash & (m->n_index - 1); m->index[slot] != 0;
	     slot = (slot + 1) & (m->n_index - 1)) {
		struct map_entry *e = &m->entries[m->index[slot] - 1];

		if (e->hash != hash || !e->value)
			continue;
		prefetch(e->value, VALUE_HOT_BYTES); /* while the key comes from elsewhere */
		if (slice_eq(e->key, key))
			return e;
	}
	return NULL;
}

static void index_add(struct map *m, uint32_t entry)
{
	uint32_t slot = (uint32_t)m->entries[entry].hash & (m->n_index - 1);

	while (m->index[slot] != 0)
		slot = (slot + 1) & (m->n_index - 1);
	m->index[slot] = entry + 1;
}

/* Closes the holes, makes room for as many entries again when there were few, and builds the index
 * anew: at least half of it is empty, so that every search ends. */
static void rebuild(struct map *m)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].value)
			m->entries[kept++] = m->entries[i];
	ASSERT(kept == m->count);
	m->n_entries = kept;
	if (m->cap_entries == 0 || kept > m->cap_entries / 2) {
		ASSERT(m->cap_entries < UINT32_C(1) << 29);
		m->cap_entries = m->cap_entries != 0 ? 2 * m->cap_entries : MAP_FIRST_ENTRIES;
		m->n_index = 2 * m->cap_entries;
		m->entries = mem_resize(m->entries, m->cap_entries * sizeof(*m->entries));
		m->index = mem_resize(m->index, m->n_index * sizeof(*m->index));
	}
	if (m->seed == 0)
		m->seed = seed_of(m->entries);
	memset(m->index, 0, m->n_index * sizeof(*m->index));
	for (uint32_t i = 0; i < m->n_entries; i++)
		index_add(m, i);
}

void *map_get(const struct map *m, struct mosaic_slice key)
{
	struct map_entry *e = find(m, key, hash_key(m, key));

	return e ? e->value : NULL;
}

void *map_put(struct map *m, struct mosaic_slice key, void *value)
{
	struct map_entry *e = find(m, key, hash_key(m, key));

	ASSERT(value);
	if (e) {
		void *old = e->value;

		e->value = value;
		return old;
	}
	if (m->n_entries == m->cap_entries)
		rebuild(m);
	m->entries[m->n_entries] = (struct map_entry){
		.key = slice(slice_dup(key), key.len), .value = value, .hash = hash_key(m, key)
	};
	index_add(m, m->n_entries++);
	m->count++;
	return NULL;
}

void *map_remove(struct map *m, struct mosaic_slice key)
{
	struct map_entry *e = find(m, key, hash_key(m, key));

	if (!e)
		return NULL;
	void *old = e->value;
	free((void *)(uintptr_t)e->key.ptr);
	e->key = slice(NULL, 0);
	e->value = NULL;
	m->count--;
	return old;
}

struct map_entry *map_next(const struct map *m, uint32_t *pos)
{
	while (*pos < m->n_entries) {
		struct map_entry *e = &m->entries[(*pos)++];

		if (e->value)
			return e;
	}
	return NULL;
}

static int by_key(const void *a, const void *b)
{
	struct map_entry *const *x = a, *const *y = b;

	return slice_compare((*x)->key, (*y)->key);
}

struct map_entry **map_sorted(const struct map *m)
{
	struct map_entry **all = mem_alloc((m->count + 1) * sizeof(*all));
	uint32_t pos = 0;

	for (uint32_t i = 0; i < m->count; i++)
		all[i] = map_next(m, &pos);
	qsort(all, m->count, sizeof(*all), by_key);
	return all;
}
