/*
 * An index file (IndexFile, IndexHeader of 5.3.3; all integers big-endian):
 *
 *    0  8 store time of the first record | 8 of the last | 8 offset of the first | 8 of the last |
 *       4 slots in use | 4 entries + 1, as entry 0 is never used
 *   40  slots: 4 newest entry of the chain, 0: none
 *       entries: 4 hash of the key | 8 commit log offset | 4 seconds since the first record |
 *       4 entry before it in the chain
 *
 * The hash is that of "topic#key"; its slot is hash % slots. A file is full when its count has
 * reached its number of entries. The next one begins with the last file's end in all four fields,
 * until its first entry, whose seconds count from there, sets the first two of them.
 */
#ifndef LOG_INDEX_FILE_H
#define LOG_INDEX_FILE_H

#include "base/bytes.h"
#include "base/hash.h"
#include "wire/message.h"
#include "wire/props.h"

#define INDEX_HEADER_BYTES 40
#define INDEX_SLOT_BYTES 4
#define INDEX_ENTRY_BYTES 20
#define INDEX_NAME_BYTES 20 /* yyyyMMddHHmmssSSS, or any other number */

struct index_shape {
	uint32_t slots, entries;
};

struct index_header {
	int64_t begin_ms, end_ms;
	int64_t begin_phys, end_phys;
	uint32_t n_slots; /* in use */
	uint32_t count;   /* the next entry, at least 1 */
};

struct index_entry {
	uint32_t hash;
	uint64_t phys_offset;
	int32_t seconds;
	uint32_t prev;
};

static inline uint64_t index_slot_at(uint32_t slot)
{
	return INDEX_HEADER_BYTES + (uint64_t)slot * INDEX_SLOT_BYTES;
}

static inline uint64_t index_entry_at(const struct index_shape *shape, uint32_t entry)
{
	return index_slot_at(shape->slots) + (uint64_t)entry * INDEX_ENTRY_BYTES;
}

static inline uint64_t index_bytes(const struct index_shape *shape)
{
	return index_entry_at(shape, shape->entries);
}

void index_header_encode(uint8_t *p, const struct index_header *h);
void index_header_decode(const uint8_t *p, struct index_header *h);
/* Its fields fit to the shape and to each other. */
bool index_header_is_sane(const struct index_header *h, const struct index_shape *shape);

static inline void index_entry_encode(uint8_t *p, const struct index_entry *e)
{
	put_be32(p, e->hash);
	put_be64(p + 4, e->phys_offset);
	put_be32(p + 12, (uint32_t)e->seconds);
	put_be32(p + 16, e->prev);
}

static inline void index_entry_decode(const uint8_t *p, struct index_entry *e)
{
	e->hash = get_be32(p);
	e->phys_offset = get_be64(p + 4);
	e->seconds = (int32_t)get_be32(p + 12);
	e->prev = get_be32(p + 16);
}

/* What a slot or an entry says comes before; what cannot be is none, as in Java. */
static inline uint32_t index_prev(uint32_t value, uint32_t count)
{
	return value < count && (int32_t)value > 0 ? value : 0;
}

/* Seconds of an entry for a record stored at `store_ms`. */
int32_t index_seconds(const struct index_header *h, int64_t store_ms);
/* Counts an entry in the header, after its seconds were taken from it. */
void index_header_add(struct index_header *h, int64_t phys_offset, int64_t store_ms, bool is_first);

/* Hash of "topic#", to go on from with keys. */
int32_t index_topic_hash(struct mosaic_slice topic);

static inline uint32_t index_key_hash(int32_t topic_hash, struct mosaic_slice key)
{
	int32_t hash = hash_java_more(topic_hash, key);
	return hash == INT32_MIN ? 0 : (uint32_t)(hash < 0 ? -hash : hash);
}

/*
 * The keys of a record in the order in which they are indexed: UNIQ_KEY, then each of KEYS. None
 * for a transaction that was rolled back.
 */
struct index_keys {
	struct mosaic_slice uniq_key, keys;
};

struct index_keys index_keys_of(const struct message *m);
/* The next key; false at the end. Consumes. */
bool index_keys_next(struct index_keys *keys, struct mosaic_slice *key);

#endif
