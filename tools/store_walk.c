/* The commit log from its first byte to its last record, over whatever is damaged. */
#include "store_files.h"
#include <fcntl.h>
#include <unistd.h>

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

/* A segment that is walked over. */
struct segment {
	const struct store_file *file;
	const uint8_t *map;
	int fd; /* knows the holes */
};

static bool is_zero(const struct segment *s, uint64_t from)
{
	static const uint8_t zeros[4096];
	for (uint64_t end; from < s->file->size; from = end) {
		uint64_t at = store_next_data(s->fd, from, s->file->size, &end);
		for (uint64_t part; at < end; at += part) {
			part = end - at < sizeof(zeros) ? end - at : sizeof(zeros);
			if (memcmp(s->map + at, zeros, part) != 0)
				return false;
		}
		if (end == from)
			break;
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

/* Offset in the segment of the next whole record or blank behind `from`; its size: none. */
static uint64_t next_whole(const struct segment *s, uint64_t from)
{
	uint64_t size = s->file->size, end = 0;
	for (uint64_t at = from; at + RECORD_BLANK_BYTES <= size; at++) {
		/* Size and magic may begin in a hole, and end with what is not zero. */
		while (at + RECORD_BLANK_BYTES > end) {
			uint64_t data = store_next_data(s->fd, end > at ? end : at, size, &end);
			if (data == end)
				return size;
			at = data > at + RECORD_AT_MAGIC ? data - RECORD_AT_MAGIC : at;
		}
		uint32_t magic = get_be32(s->map + at + RECORD_AT_MAGIC);
		struct message m;
		uint32_t len;
		int kind;
		if (magic != RECORD_MAGIC_V1 && magic != RECORD_MAGIC_V2 &&
		    magic != RECORD_MAGIC_BLANK)
			continue;
		if (!record_fault(s->map + at, size - at, s->file->start + at, &m, &len, &kind))
			return at;
	}
	return size;
}

static void walk_records(struct walk *w, const struct segment *s)
{
	const struct store_file *file = s->file;
	for (uint64_t at = 0; file->size - at >= RECORD_BLANK_BYTES;) {
		uint64_t left = file->size - at;
		struct message m;
		uint32_t len = 0;
		int kind;
		uint64_t offset = file->start + at;
		const char *fault = record_fault(s->map + at, left, offset, &m, &len, &kind);
		if (!fault) {
			found(w, offset, len, kind == RECORD_MESSAGE ? &m : NULL, s->map + at);
			at += len;
			continue;
		}
		if (get_be64(s->map + at) == 0 && is_zero(s, at))
			return; /* nothing was ever written here */
		uint64_t next = next_whole(s, at + 1);
		/* Its frame is right, what is wrong is inside. */
		bool is_body = kind == RECORD_MESSAGE && m.phys_offset == (int64_t)offset;
		if (is_body && (at + len == next || at + len > file->size - RECORD_BLANK_BYTES ||
				is_zero(s, at + len)))
			next = at + len;
		else
			is_body = false;
		damaged(w, offset, next - at, fault, is_body ? &m : NULL, s->map + at);
		at = next;
	}
}

static void walk_segment(struct walk *w, struct store_file *file)
{
	struct segment s = { file, store_file_map(w->dir, file), -1 };
	if (!s.map)
		return;
	s.fd = store_open(w->dir, file->path, O_RDONLY);
	walk_records(w, &s);
	if (s.fd >= 0)
		close(s.fd);
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
