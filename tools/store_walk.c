/* The commit log from its first byte to its last record, over whatever is damaged. */
#include "store_files.h"

struct walk {
	struct store_dir *dir;
	walk_fn *fn;
	void *ctx;
	uint64_t end; /* of the last record */
	/* Damage that is only told when a record follows: else it is the torn end. */
	bool has_damage;
	struct walk_item damage;
};

/* Why there is no whole record at `at`; NULL: there is one. kind as record_decode. */
static const char *record_fault(const uint8_t *bytes, uint64_t left, uint64_t at, struct message *m,
				uint32_t *len, int *kind)
{
	*kind = record_decode(bytes, left, false, m, len);
	if (*kind == RECORD_BLANK)
		return *len == left ? NULL : "the blank record does not end with its segment";
	if (*kind == MOSAIC_E_AGAIN)
		return "its size is more than what is left of its segment";
	if (*kind != RECORD_MESSAGE)
		return left >= 8 && get_be32(bytes + 4) != RECORD_MAGIC_V1 &&
				       get_be32(bytes + 4) != RECORD_MAGIC_V2
			       ? "no record begins here (wrong magic)"
			       : "the lengths of its parts do not add up to its size";
	if (m->phys_offset != (int64_t)at)
		return "it says that it lies elsewhere";
	if ((hash_crc32(m->body.ptr, m->body.len) & 0x7fffffff) != m->body_crc)
		return "the body does not fit to its checksum";
	return NULL;
}

static bool is_zero(const uint8_t *bytes, uint64_t n)
{
	static const uint8_t zeros[4096];
	for (uint64_t at = 0; at < n; at += sizeof(zeros)) {
		uint64_t part = n - at < sizeof(zeros) ? n - at : sizeof(zeros);
		if (memcmp(bytes + at, zeros, part) != 0)
			return false;
	}
	return true;
}

static void damaged(struct walk *w, uint64_t at, uint64_t len, const char *what,
		    const struct message *m, const uint8_t *bytes)
{
	if (w->has_damage && w->damage.at + w->damage.len == at) {
		w->damage.len += len; /* over the end of a segment */
		return;
	}
	if (w->has_damage)
		w->fn(w->ctx, &w->damage);
	w->has_damage = true;
	w->damage = (struct walk_item){ .kind = WALK_DAMAGE, .at = at, .len = len, .what = what,
					.has_message = m != NULL, .bytes = bytes };
	if (m)
		w->damage.m = *m;
}

static void found(struct walk *w, uint64_t at, uint32_t len, const struct message *m,
		  const uint8_t *bytes)
{
	if (w->has_damage)
		w->fn(w->ctx, &w->damage);
	w->has_damage = false;
	w->end = at + len;
	if (m)
		w->fn(w->ctx, &(struct walk_item){ .kind = WALK_RECORD, .at = at, .len = len,
						   .has_message = true, .m = *m, .bytes = bytes });
}

/* Offset in the segment of the next whole record or blank behind `from`; `size`: none. */
static uint64_t next_whole(const uint8_t *map, uint64_t size, uint64_t from, uint64_t start)
{
	for (uint64_t at = from; at + RECORD_BLANK_BYTES <= size; at++) {
		uint32_t magic = get_be32(map + at + RECORD_AT_MAGIC);
		struct message m;
		uint32_t len;
		int kind;
		if (magic != RECORD_MAGIC_V1 && magic != RECORD_MAGIC_V2 &&
		    magic != RECORD_MAGIC_BLANK)
			continue;
		if (!record_fault(map + at, size - at, start + at, &m, &len, &kind))
			return at;
	}
	return size;
}

static void walk_segment(struct walk *w, struct store_file *file)
{
	const uint8_t *map = store_file_map(w->dir, file);
	for (uint64_t at = 0; map && file->size - at >= RECORD_BLANK_BYTES;) {
		uint64_t left = file->size - at;
		struct message m;
		uint32_t len = 0;
		int kind;
		uint64_t offset = file->start + at;
		const char *fault = record_fault(map + at, left, offset, &m, &len, &kind);
		if (!fault) {
			found(w, offset, len, kind == RECORD_MESSAGE ? &m : NULL, map + at);
			at += len;
			continue;
		}
		if (get_be64(map + at) == 0 && is_zero(map + at, left))
			return; /* nothing was ever written here */
		uint64_t next = next_whole(map, file->size, at + 1, file->start);
		/* Its frame is right, what is wrong is inside. */
		bool is_body = kind == RECORD_MESSAGE && m.phys_offset == (int64_t)offset;
		if (is_body && (at + len == next || at + len > file->size - RECORD_BLANK_BYTES ||
				is_zero(map + at + len, left - len)))
			next = at + len;
		else
			is_body = false;
		damaged(w, offset, next - at, fault, is_body ? &m : NULL, map + at);
		at = next;
	}
}

uint32_t store_last_segment(struct store_dir *d)
{
	uint32_t i = d->log.n;
	while (i > 1) {
		struct store_file *file = &d->log.files[i - 1];
		const uint8_t *map = store_file_map(d, file);
		struct message m;
		uint32_t len;
		int kind;
		if (map && !record_fault(map, file->size, file->start, &m, &len, &kind))
			break;
		i--;
	}
	return i > 0 ? i - 1 : 0;
}

uint64_t store_walk(struct store_dir *d, uint32_t n, walk_fn *fn, void *ctx)
{
	struct walk w = { .dir = d, .fn = fn, .ctx = ctx };
	w.end = n < d->log.n ? d->log.files[n].start : store_log_begin(d);
	for (uint32_t i = n; i < d->log.n; i++)
		walk_segment(&w, &d->log.files[i]);
	/* Nothing whole follows: half a record, or the last one was hit. Either way it is lost. */
	if (w.has_damage) {
		w.damage.kind = WALK_TAIL;
		fn(ctx, &w.damage);
	}
	return w.end;
}
