/*
 * Index files against themselves and against the records, and made again from the log. Entries lie
 * in the order of the records: the walk over the log goes along them.
 */
#include "store.h"
#include "base/mem.h"
#include "log/index.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- a file against itself ---- */

/* What Apache's broker leaves that was given a file with slots and no header: it writes the entries
 * again, and the first of a slot that still leads to it leads to itself. Readers stop there. */
static bool leads_to_itself(const struct index_entry *entry, uint32_t i, uint32_t before)
{
	return entry->prev == i && before == 0;
}

static const char *file_fault(struct store_dir *d, struct store_file *file,
			      struct index_header *h)
{
	const struct index_shape *shape = &d->shape;
	const uint8_t *map = store_file_map(d, file);
	if (!map || file->size != index_bytes(shape))
		return "it has another size than its slots and entries need";
	index_header_decode(map, h);
	if (!index_header_is_sane(h, shape))
		return "its header contradicts itself";
	uint32_t *slots = mem_alloc((size_t)shape->slots * sizeof(*slots));
	const char *fault = NULL;
	for (uint32_t i = 1; i < h->count && !fault; i++) {
		struct index_entry entry;
		index_entry_decode(map + index_entry_at(shape, i), &entry);
		uint32_t *slot = &slots[entry.hash % shape->slots];
		if ((int32_t)entry.hash < 0 ||
		    (entry.prev != *slot && !leads_to_itself(&entry, i, *slot)))
			fault = "a chain of entries is broken";
		else
			*slot = i;
	}
	for (uint32_t i = 0; i < shape->slots && !fault; i++)
		if (get_be32(map + index_slot_at(i)) != slots[i])
			fault = "a slot does not lead to the newest entry of its chain";
	free(slots);
	return fault;
}

static void add_finding(struct report *r, struct store_checks *checks, bool is_note,
			const char *path, const char *what)
{
	checks->index |= !is_note;
	report_add(r, &(struct finding){
		.is_note = is_note,
		.file = path,
		.at = -1,
		.what = what,
		.cost = "Messages are not found by some of their keys; sending and consuming do "
			"not need the index",
		.action = is_note ? "A start of Mosaic makes it whole"
				  : "repair makes the index again from the log" });
}

/* Whatever the shape is. */
static bool entries_are_cut(struct store_dir *d)
{
	for (uint32_t i = 0; i < d->index.n; i++) {
		struct store_file *file = &d->index.files[i];
		const uint8_t *map = store_file_map(d, file);
		struct index_header h;
		if (!map || file->size < INDEX_HEADER_BYTES)
			return true;
		index_header_decode(map, &h);
		if (file->size - INDEX_HEADER_BYTES < (uint64_t)h.count * INDEX_ENTRY_BYTES)
			return true;
	}
	return false;
}

/* A running file is written when it is full, its header last, and by Apache's broker at any time;
 * the next one may have been made meanwhile. */
static bool is_unfinished(struct store_dir *d, uint32_t i)
{
	if (i + 1 == d->index.n)
		return true;
	for (; i < d->index.n; i++) {
		const uint8_t *map = store_file_map(d, &d->index.files[i]);
		struct index_header h = { .count = 1 };
		if (map && d->index.files[i].size >= INDEX_HEADER_BYTES)
			index_header_decode(map, &h);
		if (h.end_ms != 0)
			return false;
	}
	return true;
}

/* indexMsgTimestamp: entries of older records are on the disk. Either broker makes files with
 * newer ones again after a crash. */
static int64_t index_durable_ms(const struct store_dir *d)
{
	return d->checkpoint_bytes >= 24 ? (int64_t)get_be64(d->checkpoint + 16) : 0;
}

void index_check_begin(struct index_check *c, struct store_dir *d, struct report *r,
		       struct store_checks *checks)
{
	*c = (struct index_check){ .dir = d, .entry = 1 };
	if (d->index.n == 0)
		return;
	if (!d->has_shape && entries_are_cut(d)) {
		add_finding(r, checks, false, "index",
			    "a file is shorter than the entries that its header counts");
		return;
	}
	if (!d->has_shape) {
		add_finding(r, checks, true, "index",
			    "the numbers of slots and entries cannot be found out, the index was "
			    "not looked at: name them with --index");
		return;
	}
	c->is_usable = true;
	for (uint32_t i = 0; i < d->index.n && c->is_usable; i++) {
		struct index_header h = { 0 };
		const char *fault = file_fault(d, &d->index.files[i], &h);
		bool is_note = d->is_crashed && (h.end_ms > index_durable_ms(d) ||
						 is_unfinished(d, i));
		c->is_usable = !fault;
		if (fault)
			add_finding(r, checks, is_note, d->index.files[i].path, fault);
	}
}

/* The next entry; false behind the last. */
static bool next_entry(struct index_check *c, struct index_entry *entry)
{
	while (c->file < c->dir->index.n) {
		const uint8_t *map = c->dir->index.files[c->file].map;
		struct index_header h;
		index_header_decode(map, &h);
		if (c->entry < h.count) {
			index_entry_decode(map + index_entry_at(&c->dir->shape, c->entry), entry);
			return true;
		}
		c->file++;
		c->entry = 1;
	}
	return false;
}

/* Of a record that is not there, and was not deleted as others before it. */
static bool is_stray(const struct index_check *c, const struct index_entry *entry)
{
	return entry->phys_offset >= store_log_begin(c->dir) && entry->phys_offset != c->before;
}

void index_check_record(struct index_check *c, const struct message *m)
{
	struct index_keys keys = index_keys_of(m);
	struct index_entry entry;
	struct mosaic_slice key;
	uint64_t at = (uint64_t)m->phys_offset;
	if (!c->is_usable)
		return;
	int32_t topic_hash = index_topic_hash(m->topic);
	/* Of records that are gone, or once more of the one before. */
	while (next_entry(c, &entry) && entry.phys_offset < at) {
		if (is_stray(c, &entry) && c->n_wrong++ + c->n_missing == 0)
			c->first_bad = entry.phys_offset;
		c->entry++;
	}
	c->before = at;
	while (index_keys_next(&keys, &key)) {
		bool is_here = next_entry(c, &entry) && entry.phys_offset == at;
		if (is_here && entry.hash == index_key_hash(topic_hash, key)) {
			c->entry++;
			c->has_begun = true;
		} else if (is_here) {
			c->entry++;
			c->n_wrong++;
		} else if (c->file >= c->dir->index.n) {
			c->n_behind++;
		} else if (c->has_begun) {
			c->n_missing++;
		}
		if (c->n_wrong + c->n_missing == 1)
			c->first_bad = at;
	}
}

void index_check_end(struct index_check *c, struct report *r, struct store_checks *checks)
{
	struct index_entry entry;
	if (!c->is_usable)
		return;
	for (; next_entry(c, &entry); c->entry++)
		c->n_wrong += is_stray(c, &entry);
	if (c->n_wrong + c->n_missing > 0)
		add_finding(r, checks, false, "index",
			    report_text(r, "%" PRIu64 " keys of records are missing and %" PRIu64
					" entries are of no record, the first near %" PRIu64
					" of the log", c->n_missing, c->n_wrong, c->first_bad));
	if (c->n_behind > 0)
		add_finding(r, checks, true, "index",
			    report_text(r, "%" PRIu64 " keys of the newest records are not in it",
					c->n_behind));
}

/* ---- made again ---- */

struct builder {
	struct store_dir *dir;
	struct index_shape shape;
	struct index_header header;
	uint8_t *map;
	int fd;
	uint64_t name;
	uint32_t n_files;
	bool is_failed;
};

static void builder_close(struct builder *b)
{
	if (!b->map)
		return;
	index_header_encode(b->map, &b->header);
	b->is_failed |= msync(b->map, index_bytes(&b->shape), MS_SYNC) != 0;
	munmap(b->map, index_bytes(&b->shape));
	b->is_failed |= close(b->fd) != 0;
	b->map = NULL;
}

/* A file is named by its time: that of the record that it begins with. */
static uint64_t name_of(int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm t;
	char text[32];
	if (!localtime_r(&seconds, &t) || strftime(text, sizeof(text), "%Y%m%d%H%M%S", &t) == 0)
		return (uint64_t)ms;
	return strtoull(text, NULL, 10) * 1000 + (uint64_t)(ms % 1000);
}

static bool builder_open(struct builder *b, int64_t ms)
{
	char path[64];
	uint64_t name = name_of(ms), bytes = index_bytes(&b->shape);
	struct index_header before = b->header;
	builder_close(b);
	b->name = name > b->name ? name : b->name + 1;
	snprintf(path, sizeof(path), "index/%017" PRIu64, b->name);
	b->fd = store_open(b->dir, path, O_RDWR | O_CREAT | O_TRUNC);
	if (b->fd < 0 || ftruncate(b->fd, (off_t)bytes) != 0)
		return false;
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (map == MAP_FAILED)
		return false;
	b->map = map;
	b->header = (struct index_header){ .count = 1 };
	if (b->n_files++ > 0) {
		b->header.begin_ms = b->header.end_ms = before.end_ms;
		b->header.begin_phys = b->header.end_phys = before.end_phys;
	}
	return true;
}

static void build(void *ctx, const struct walk_item *item)
{
	struct builder *b = ctx;
	if (item->kind != WALK_RECORD || b->is_failed)
		return;
	const struct message *m = &item->m;
	struct index_keys keys = index_keys_of(m);
	struct mosaic_slice key;
	int32_t topic_hash = index_topic_hash(m->topic);
	while (index_keys_next(&keys, &key)) {
		if (!b->map || b->header.count >= b->shape.entries)
			b->is_failed |= !builder_open(b, m->store_ms);
		if (b->is_failed)
			return;
		struct index_header *h = &b->header;
		uint32_t hash = index_key_hash(topic_hash, key), slot = hash % b->shape.slots;
		uint8_t *at = b->map + index_slot_at(slot);
		struct index_entry entry = { .hash = hash, .phys_offset = (uint64_t)m->phys_offset,
					     .seconds = index_seconds(h, m->store_ms),
					     .prev = index_prev(get_be32(at), h->count) };
		index_entry_encode(b->map + index_entry_at(&b->shape, h->count), &entry);
		put_be32(at, h->count);
		index_header_add(h, m->phys_offset, m->store_ms, entry.prev == 0);
	}
}

bool store_rebuild_index(struct store_dir *d, struct report *r)
{
	struct builder b = { .dir = d, .shape = { INDEX_SLOTS, INDEX_ENTRIES }, .fd = -1 };
	if (d->has_shape)
		b.shape = d->shape;
	for (uint32_t i = 0; i < d->index.n; i++) {
		struct store_file *file = &d->index.files[i];
		if (file->map)
			munmap(file->map, file->size);
		file->map = NULL;
		if (unlinkat(d->fd, file->path, 0) != 0)
			b.is_failed = true;
	}
	if (!b.is_failed)
		store_walk(d, 0, build, &b);
	builder_close(&b);
	report_add(r, &(struct finding){
		.is_note = !b.is_failed,
		.file = "index",
		.at = -1,
		.what = b.is_failed ? report_text(r, "it could not be made again: %s",
						  strerror(errno))
				    : report_text(r, "made again from the log: %u files",
						  b.n_files),
		.cost = "Messages are found by key only with it",
		.action = b.is_failed ? "Give room on the disk and repair again" : "Done" });
	return !b.is_failed;
}
