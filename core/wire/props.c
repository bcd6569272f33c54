#include "wire/props.h"
#include "base/compiler.h"
#include "base/hash.h"

#define NAME_END 1
#define PAIR_END 2

#define FIRST_BUCKETS 128 /* MessageDecoder.string2messageProperties: new HashMap<>(128) */
#define MAX_BUCKETS 1024  /* what a HashMap of PROPS_MAX_COUNT pairs has grown to */

const struct prop_key prop_key_cluster = { "CLUSTER", 7, 0x5ec6c31cu };
const struct prop_key prop_key_delay = { "DELAY", 5, 0x03dec2bdu };
const struct prop_key prop_key_keys = { "KEYS", 4, 0x002325d7u };
const struct prop_key prop_key_msg_region = { "MSG_REGION", 10, 0x8d050097u };
const struct prop_key prop_key_pop_ck = { "POP_CK", 6, 0x8d023034u };
const struct prop_key prop_key_tags = { "TAGS", 4, 0x00272c3eu };
const struct prop_key prop_key_timer_delay_ms = { "TIMER_DELAY_MS", 14, 0x366d5fb1u };
const struct prop_key prop_key_timer_delay_sec = { "TIMER_DELAY_SEC", 15, 0x973f7184u };
const struct prop_key prop_key_timer_deliver_ms = { "TIMER_DELIVER_MS", 16, 0xf1613d1bu };
const struct prop_key prop_key_trace_on = { "TRACE_ON", 8, 0x7a5ddd64u };
const struct prop_key prop_key_tran_msg = { "TRAN_MSG", 8, 0x7b044349u };
const struct prop_key prop_key_uniq_key = { "UNIQ_KEY", 8, 0x1d1d679cu };
const struct prop_key prop_key_wait = { "WAIT", 4, 0x0028895du };

const struct prop_key *const prop_keys[] = {
	&prop_key_cluster,
	&prop_key_delay,
	&prop_key_keys,
	&prop_key_msg_region,
	&prop_key_pop_ck,
	&prop_key_tags,
	&prop_key_timer_delay_ms,
	&prop_key_timer_delay_sec,
	&prop_key_timer_deliver_ms,
	&prop_key_trace_on,
	&prop_key_tran_msg,
	&prop_key_uniq_key,
	&prop_key_wait,
};
const uint32_t prop_n_keys = ARRAY_LEN(prop_keys);

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
static uint32_t find(const struct props_edit *edit, const struct prop_key *key)
{
	uint32_t i = 0;

	while (i < edit->count &&
	       !(edit->pairs[i].hash == key->hash && edit->pairs[i].name.len == key->len &&
		 memcmp(edit->pairs[i].name.ptr, key->text, key->len) == 0))
		i++;
	return i;
}

/* java.util.HashMap.hash() */
static struct prop_key key_of(struct mosaic_slice name)
{
	uint32_t hash = (uint32_t)hash_java(name);

	return (struct prop_key){ (const char *)name.ptr, (uint32_t)name.len, hash ^ hash >> 16 };
}

int props_edit_set(struct props_edit *edit, const struct prop_key *key, struct mosaic_slice value)
{
	uint32_t i = find(edit, key);

	if (i == PROPS_MAX_COUNT)
		return MOSAIC_E_LIMIT;
	if (i == edit->count) {
		edit->pairs[i].name = slice(key->text, key->len);
		edit->pairs[i].hash = key->hash;
		edit->count++;
		if (edit->count > edit->n_buckets / 4 * 3)
			edit->n_buckets *= 2;
	}
	edit->pairs[i].value = value;
	return 0;
}

void props_edit_drop(struct props_edit *edit, const struct prop_key *key)
{
	uint32_t i = find(edit, key);

	if (i == edit->count)
		return;
	edit->count--;
	memmove(&edit->pairs[i], &edit->pairs[i + 1],
		(edit->count - i) * sizeof(edit->pairs[0]));
}

struct mosaic_slice props_edit_get(const struct props_edit *edit, const struct prop_key *key)
{
	uint32_t i = find(edit, key);

	return i != edit->count ? edit->pairs[i].value : slice(NULL, 0);
}

int props_edit_put(struct props_edit *edit, struct mosaic_slice name, struct mosaic_slice value)
{
	struct prop_key key = key_of(name);

	return props_edit_set(edit, &key, value);
}

void props_edit_remove(struct props_edit *edit, const char *name)
{
	struct prop_key key = key_of(slice_str(name));

	props_edit_drop(edit, &key);
}

struct mosaic_slice props_edit_find(const struct props_edit *edit, const char *name)
{
	struct prop_key key = key_of(slice_str(name));

	return props_edit_get(edit, &key);
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

/* Few pairs, as in nearly every message: sorted by (bucket, insertion), no walk over buckets. */
#define FEW_PAIRS 24

static void write_few(const struct props_edit *edit, struct buf *out)
{
	uint32_t order[FEW_PAIRS]; /* bucket << 8 | pair */

	for (uint32_t i = 0; i < edit->count; i++) {
		uint32_t entry = (edit->pairs[i].hash & (edit->n_buckets - 1)) << 8 | i, at = i;

		for (; at > 0 && order[at - 1] > entry; at--)
			order[at] = order[at - 1];
		order[at] = entry;
	}
	for (uint32_t i = 0; i < edit->count; i++) {
		uint32_t pair = order[i] & 0xff;

		write_pair(out, edit->pairs[pair].name, edit->pairs[pair].value);
	}
}

/*
 * Bucket by bucket, inside one in order of insertion. (A HashMap turns a bucket of more than 8
 * pairs into a tree, whose order could differ; readers do not depend on the order.)
 */
static void write_many(const struct props_edit *edit, struct buf *out)
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

void props_edit_write(const struct props_edit *edit, struct buf *out)
{
	if (LIKELY(edit->count <= FEW_PAIRS))
		write_few(edit, out);
	else
		write_many(edit, out);
}
