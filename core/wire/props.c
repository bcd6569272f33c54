#include "wire/props.h"
#include "base/compiler.h"
#include "base/hash.h"

#define NAME_END 1
#define PAIR_END 2

#define FIRST_BUCKETS 128 /* MessageDecoder.string2messageProperties: new HashMap<>(128) */
#define MAX_BUCKETS 1024  /* what a HashMap of PROPS_MAX_COUNT pairs has grown to */

bool props_next(struct props_iter *it, struct mosaic_slice *name, struct mosaic_slice *value)
{
	while (it->at != it->end) {
		const uint8_t *start = it->at;
		size_t left = (size_t)(it->end - start);
		const uint8_t *stop = memchr(start, PAIR_END, left);

		it->at = stop ? stop + 1 : it->end;
		if (!stop)
			stop = it->end;
		const uint8_t *sep = memchr(start, NAME_END, (size_t)(stop - start));
		if (!sep || sep == start || sep + 1 == stop)
			continue;
		*name = slice(start, (size_t)(sep - start));
		*value = slice(sep + 1, (size_t)(stop - sep - 1));
		return true;
	}
	return false;
}

struct mosaic_slice props_find(struct mosaic_slice props, const char *name)
{
	struct props_iter it = props_iter(props);
	struct mosaic_slice wanted = slice_str(name), key, value, found = slice(NULL, 0);

	while (props_next(&it, &key, &value))
		if (slice_eq(key, wanted))
			found = value;
	return found;
}

int props_edit_parse(struct props_edit *edit, struct mosaic_slice props)
{
	struct props_iter it = props_iter(props);
	struct mosaic_slice name, value;
	int rc = 0;

	edit->count = 0;
	edit->n_buckets = FIRST_BUCKETS;
	while (rc == 0 && props_next(&it, &name, &value))
		rc = props_edit_put(edit, name, value);
	return rc;
}

/* The pair's index, or count when there is none. */
static uint32_t find(const struct props_edit *edit, struct mosaic_slice name, uint32_t hash)
{
	uint32_t i = 0;

	while (i < edit->count &&
	       !(edit->pairs[i].hash == hash && slice_eq(edit->pairs[i].name, name)))
		i++;
	return i;
}

/* java.util.HashMap.hash() */
static uint32_t spread_hash(struct mosaic_slice name)
{
	uint32_t hash = (uint32_t)hash_java(name);

	return hash ^ hash >> 16;
}

int props_edit_put(struct props_edit *edit, struct mosaic_slice name, struct mosaic_slice value)
{
	uint32_t hash = spread_hash(name);
	uint32_t i = find(edit, name, hash);

	if (i == PROPS_MAX_COUNT)
		return MOSAIC_E_LIMIT;
	if (i == edit->count) {
		edit->pairs[i].name = name;
		edit->pairs[i].hash = hash;
		edit->count++;
		if (edit->count > edit->n_buckets / 4 * 3)
			edit->n_buckets *= 2;
	}
	edit->pairs[i].value = value;
	return 0;
}

void props_edit_remove(struct props_edit *edit, const char *name)
{
	struct mosaic_slice key = slice_str(name);
	uint32_t i = find(edit, key, spread_hash(key));

	if (i == edit->count)
		return;
	edit->count--;
	memmove(&edit->pairs[i], &edit->pairs[i + 1],
		(edit->count - i) * sizeof(edit->pairs[0]));
}

struct mosaic_slice props_edit_find(const struct props_edit *edit, const char *name)
{
	struct mosaic_slice key = slice_str(name);
	uint32_t i = find(edit, key, spread_hash(key));

	return i != edit->count ? edit->pairs[i].value : slice(NULL, 0);
}

static void write_pair(struct buf *out, struct mosaic_slice name, struct mosaic_slice value)
{
	uint8_t *p = buf_room(out, name.len + value.len + 2);

	memcpy(p, name.ptr, name.len);
	p += name.len;
	*p++ = NAME_END;
	if (value.len != 0)
		memcpy(p, value.ptr, value.len);
	p[value.len] = PAIR_END;
	out->len += name.len + value.len + 2;
}

/*
 * Bucket by bucket, inside one in order of insertion. (A HashMap turns a bucket of more than 8 pairs
 * into a tree, whose order could differ; readers do not depend on the order.)
 */
void props_edit_write(const struct props_edit *edit, struct buf *out)
{
	uint16_t first[MAX_BUCKETS], next[PROPS_MAX_COUNT]; /* pair + 1, 0 = none */

	ASSERT(edit->n_buckets <= MAX_BUCKETS);
	memset(first, 0, edit->n_buckets * sizeof(first[0]));
	for (uint32_t i = edit->count; i-- > 0;) {
		uint32_t bucket = edit->pairs[i].hash & (edit->n_buckets - 1);

		next[i] = first[bucket];
		first[bucket] = (uint16_t)(i + 1);
	}
	for (uint32_t bucket = 0; bucket < edit->n_buckets; bucket++)
		for (uint32_t i = first[bucket]; i != 0; i = next[i - 1])
			write_pair(out, edit->pairs[i - 1].name, edit->pairs[i - 1].value);
}
