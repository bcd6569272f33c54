/*
 * Hash map from byte strings to pointers. Keys are copied; values are the caller's. Iteration goes
 * in order of insertion (removals keep the order of the rest), so output is repeatable.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

struct map_entry {
	struct mosaic_slice key; /* NUL-terminated as well */
	void *value;             /* NULL never: that means "removed" */
	uint64_t hash; /* seeded: another one in each map */
};

struct map {
	struct map_entry *entries; /* in order of insertion, with holes */
	uint32_t *index;           /* open addressing, 0 = empty, else entry + 1 */
	uint32_t n_entries, cap_entries, n_index, count;
	uint64_t seed;
};

#define MAP_INIT { NULL, NULL, 0, 0, 0, 0, 0 }

/* Frees the map's own memory; the values are the caller's to free first. */
void map_free(struct map *m);
void *map_get(const struct map *m, struct mosaic_slice key); /* NULL when absent */
/* Sets key to value (not NULL); returns the value it replaced, or NULL. */
void *map_put(struct map *m, struct mosaic_slice key, void *value);
void *map_remove(struct map *m, struct mosaic_slice key); /* the removed value or NULL */
/* for (pos = 0; (e = map_next(m, &pos)) != NULL;) - the map may lose the current entry in the loop,
 * it must not get new ones. */
struct map_entry *map_next(const struct map *m, uint32_t *pos);
static inline uint32_t map_count(const struct map *m) { return m->count; }
/* Entries sorted by key (byte order): an array the caller frees, map_count() long. */
struct map_entry **map_sorted(const struct map *m);
/* The same in every process. */
uint64_t hash_bytes(const void *bytes, size_t len);

#endif
