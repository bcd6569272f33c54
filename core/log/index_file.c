#include "log/index_file.h"

#define KEY_SEPARATOR ' ' /* MessageConst.KEY_SEPARATOR */

void index_header_encode(uint8_t *p, const struct index_header *h)
{
	put_be64(p, (uint64_t)h->begin_ms);
	put_be64(p + 8, (uint64_t)h->end_ms);
	put_be64(p + 16, (uint64_t)h->begin_phys);
	put_be64(p + 24, (uint64_t)h->end_phys);
	put_be32(p + 32, h->n_slots);
	put_be32(p + 36, h->count);
}

void index_header_decode(const uint8_t *p, struct index_header *h)
{
	h->begin_ms = (int64_t)get_be64(p);
	h->end_ms = (int64_t)get_be64(p + 8);
	h->begin_phys = (int64_t)get_be64(p + 16);
	h->end_phys = (int64_t)get_be64(p + 24);
	h->n_slots = get_be32(p + 32);
	h->count = get_be32(p + 36);
	if ((int32_t)h->count <= 0)
		h->count = 1;
}

bool index_header_is_sane(const struct index_header *h, const struct index_shape *shape)
{
	return h->count <= shape->entries && h->n_slots <= shape->slots && h->n_slots < h->count &&
	       h->begin_ms >= 0 && h->end_ms >= h->begin_ms && h->begin_phys >= 0 &&
	       h->end_phys >= h->begin_phys;
}

int32_t index_seconds(const struct index_header *h, int64_t store_ms)
{
	if (h->begin_ms <= 0 || store_ms < h->begin_ms)
		return 0;
	int64_t seconds = (store_ms - h->begin_ms) / 1000;
	return seconds < INT32_MAX ? (int32_t)seconds : INT32_MAX;
}

void index_header_add(struct index_header *h, int64_t phys_offset, int64_t store_ms, bool is_first)
{
	if (h->count <= 1) {
		h->begin_phys = phys_offset;
		h->begin_ms = store_ms;
	}
	h->n_slots += is_first;
	h->count++;
	h->end_phys = phys_offset;
	h->end_ms = store_ms;
}

int32_t index_topic_hash(struct mosaic_slice topic)
{
	return hash_java_more(hash_java(topic), slice_str("#"));
}

struct index_keys index_keys_of(const struct message *m)
{
	struct index_keys keys = { { NULL, 0 }, { NULL, 0 } };
	if ((m->sys_flag & SYS_TRANSACTION_MASK) == SYS_TRANSACTION_ROLLBACK)
		return keys;
	if (m->has_keys) {
		keys.uniq_key = m->uniq_key;
		keys.keys = m->keys;
		return keys;
	}
	struct props_iter it = props_iter(m->props);
	struct mosaic_slice name, value;
	while (props_next(&it, &name, &value)) {
		if (name.len == 8 && memcmp(name.ptr, PROP_UNIQ_KEY, 8) == 0)
			keys.uniq_key = value;
		else if (name.len == 4 && memcmp(name.ptr, PROP_KEYS, 4) == 0)
			keys.keys = value;
	}
	return keys;
}

bool index_keys_next(struct index_keys *keys, struct mosaic_slice *key)
{
	if (keys->uniq_key.len > 0) {
		*key = keys->uniq_key;
		keys->uniq_key.len = 0;
		return true;
	}
	while (keys->keys.len > 0) {
		struct mosaic_slice all = keys->keys;
		const uint8_t *stop = memchr(all.ptr, KEY_SEPARATOR, all.len);
		size_t len = stop ? (size_t)(stop - all.ptr) : all.len;
		keys->keys = stop ? slice(stop + 1, all.len - len - 1) : slice(NULL, 0);
		*key = slice(all.ptr, len);
		if (len > 0)
			return true;
	}
	return false;
}
