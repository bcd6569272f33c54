#include "store_files.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512
#define OFFSET_DIGITS 20
#define TIME_DIGITS 17
#define SMALL_MAX (256 << 20)
/* Shapes of a file of the index are tried up to this size. */
#define SEARCH_MAX (4u << 20)

/* ---- lists of files ---- */

static int compare_files(const void *a, const void *b)
{
	const struct store_file *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

/* The size that most files have; with two, that of the first. */
static uint64_t common_size(const struct store_list *list)
{
	uint64_t best = 0;
	uint32_t most = 0;
	for (uint32_t i = 0; i < list->n && i < 16; i++) {
		uint32_t n = 0;
		for (uint32_t k = 0; k < list->n; k++)
			n += list->files[k].size == list->files[i].size;
		if (n > most && list->files[i].size > 0) {
			most = n;
			best = list->files[i].size;
		}
	}
	return best;
}

/* The size of segments: how far apart they begin, when one has that size. */
static uint64_t segment_size(const struct store_list *log)
{
	uint64_t best = log->file_bytes;
	uint32_t most = 0;
	for (uint32_t i = 0; i + 1 < log->n && i < 16; i++) {
		uint64_t size = log->files[i + 1].start - log->files[i].start;
		uint32_t n = 0;
		bool is_there = log->files[log->n - 1].size == size;
		for (uint32_t k = 0; k + 1 < log->n; k++) {
			n += log->files[k + 1].start - log->files[k].start == size;
			is_there |= log->files[k].size == size;
		}
		if (is_there && n > most) {
			most = n;
			best = size;
		}
	}
	return best;
}

static void add_odd(struct store_dir *d, const char *path, const char *what)
{
	if (d->n_odd == d->cap_odd) {
		d->cap_odd = d->cap_odd ? 2 * d->cap_odd : 4;
		d->odd = mem_resize(d->odd, d->cap_odd * sizeof(*d->odd));
	}
	d->odd[d->n_odd++] = (struct store_odd){ mem_strdup(path), what };
}

/* A folder that is not there is empty. Brokers pass over files between those of topics. */
static DIR *open_folder(struct store_dir *d, const char *path)
{
	int fd = openat(d->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir && errno != ENOENT && (errno != ENOTDIR || !strchr(path, '/')))
		add_odd(d, path, strerrordesc_np(errno));
	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* Why a file cannot be looked at; NULL: it can. */
static const char *file_oddness(const struct store_dir *d, int folder_fd, const char *name,
				struct stat *st)
{
	if (fstatat(folder_fd, name, st, d->is_writable ? AT_SYMLINK_NOFOLLOW : 0) != 0)
		return strerrordesc_np(errno);
	if (S_ISLNK(st->st_mode))
		return "it is a symbolic link, and what is elsewhere is not repaired";
	if (!S_ISREG(st->st_mode))
		return "it is no regular file";
	return faccessat(folder_fd, name, R_OK, 0) == 0 ? NULL : strerrordesc_np(errno);
}

/* Files whose name is a number of so many digits; others are none of a store. */
static void list_folder(struct store_dir *d, const char *folder, size_t digits,
			struct store_list *list)
{
	DIR *dir = open_folder(d, folder);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char path[PATH_BYTES * 2], *rest;
		struct stat st;
		uint64_t start = strtoull(e->d_name, &rest, 10);
		if (strspn(e->d_name, "0123456789") != digits || *rest || start > INT64_MAX)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		const char *oddness = file_oddness(d, dirfd(dir), e->d_name, &st);
		if (oddness) {
			add_odd(d, path, oddness);
			continue;
		}
		if (list->n == list->cap) {
			list->cap = list->cap ? 2 * list->cap : 4;
			list->files = mem_resize(list->files, list->cap * sizeof(*list->files));
		}
		list->files[list->n++] = (struct store_file){ .path = mem_strdup(path),
							      .start = start,
							      .size = (uint64_t)st.st_size };
	}
	closedir(dir);
	if (list->n > 1)
		qsort(list->files, list->n, sizeof(*list->files), compare_files);
	list->file_bytes = common_size(list);
}

static void file_unmap(struct store_file *file)
{
	if (file->map)
		munmap(file->map, file->size);
	file->map = NULL;
}

static void list_free(struct store_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		file_unmap(&list->files[i]);
		free(list->files[i].path);
	}
	free(list->files);
}

static uint8_t *map_once(const struct store_dir *d, const struct store_file *file)
{
	int fd = store_open(d, file->path, d->is_writable ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return NULL;
	int protection = PROT_READ | (d->is_writable ? PROT_WRITE : 0);
	void *map = mmap(NULL, file->size, protection, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

uint8_t *store_file_map(struct store_dir *d, struct store_file *file)
{
	if (!file->map && file->size > 0)
		file->map = map_once(d, file);
	if (file->map || file->size == 0)
		return file->map;
	/* A process may map so many files and no more: those of the queues come again. */
	for (uint32_t i = 0; i < d->n_queues; i++)
		for (uint32_t k = 0; k < d->queues[i]->list.n; k++)
			file_unmap(&d->queues[i]->list.files[k]);
	file->map = map_once(d, file);
	if (!file->map && !file->is_odd)
		add_odd(d, file->path, strerrordesc_np(errno));
	file->is_odd = !file->map;
	return file->map;
}

/* ---- queues ---- */

static size_t queue_key(uint8_t *key, struct mosaic_slice topic, int32_t queue_id)
{
	memcpy(key, topic.ptr, topic.len);
	key[topic.len] = 0;
	put_be32(key + topic.len + 1, (uint32_t)queue_id);
	return topic.len + 5;
}

struct store_queue *store_queue_find(const struct store_dir *d, struct mosaic_slice topic,
				     int32_t queue_id)
{
	uint8_t key[260];
	if (topic.len == 0 || topic.len > 255)
		return NULL;
	return map_get(&d->by_name, slice(key, queue_key(key, topic, queue_id)));
}

struct store_queue *store_queue_add(struct store_dir *d, struct mosaic_slice topic,
				    int32_t queue_id)
{
	struct store_queue *q = store_queue_find(d, topic, queue_id);
	uint8_t key[260];
	if (q || topic.len == 0 || topic.len > 255 || memchr(topic.ptr, '/', topic.len) ||
	    memchr(topic.ptr, 0, topic.len) || topic.ptr[0] == '.' || queue_id < 0)
		return q;
	q = mem_alloc(sizeof(*q));
	q->topic = slice_dup(topic);
	q->queue_id = queue_id;
	if (d->n_queues == d->cap_queues) {
		d->cap_queues = d->cap_queues ? 2 * d->cap_queues : 64;
		d->queues = mem_resize(d->queues, d->cap_queues * sizeof(*d->queues));
	}
	d->queues[d->n_queues++] = q;
	map_put(&d->by_name, slice(key, queue_key(key, topic, queue_id)), q);
	return q;
}

bool store_unit_at(struct store_dir *d, struct store_queue *q, int64_t index,
		   struct queue_unit *unit)
{
	uint64_t at = (uint64_t)index * QUEUE_UNIT_BYTES;
	for (uint32_t i = q->list.n; i > 0; i--) {
		struct store_file *file = &q->list.files[i - 1];
		if (file->start > at)
			continue;
		const uint8_t *map = store_file_map(d, file);
		if (!map || at - file->start + QUEUE_UNIT_BYTES > file->size)
			return false;
		queue_unit_decode(map + (at - file->start), unit);
		return true;
	}
	return false;
}

int store_open(const struct store_dir *d, const char *path, int flags)
{
	flags |= d->is_writable ? O_NOFOLLOW : 0;
	return openat(d->fd, path, flags | O_NONBLOCK | O_CLOEXEC, 0640);
}

uint64_t store_next_data(int fd, uint64_t at, uint64_t size, uint64_t *end)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);
	off_t hole = data >= 0 ? lseek(fd, data, SEEK_HOLE) : -1;
	bool is_none = data < 0 ? errno == ENXIO : (uint64_t)data >= size;
	*end = is_none ? at : hole > data && (uint64_t)hole < size ? (uint64_t)hole : size;
	return data > 0 && !is_none ? (uint64_t)data : at;
}

bool store_hole_follows(struct store_dir *d, struct store_file *file, uint64_t at, uint64_t end)
{
	static const uint8_t zeros[QUEUE_UNIT_BYTES];
	const uint8_t *map = store_file_map(d, file);
	return !map || (end - at < QUEUE_UNIT_BYTES && memcmp(map + at, zeros, end - at) == 0);
}

/* Units in a file up to the last that is not zero. */
static int64_t count_units(struct store_dir *d, struct store_queue *q, struct store_file *file)
{
	int fd = store_open(d, file->path, O_RDONLY);
	int64_t first = (int64_t)(file->start / QUEUE_UNIT_BYTES), n = 0;
	for (uint64_t at = 0, end; at < file->size; at = end) {
		uint64_t data = store_next_data(fd, at, file->size, &end);
		if (data == end)
			break;
		int64_t i = (int64_t)((end + QUEUE_UNIT_BYTES - 1) / QUEUE_UNIT_BYTES) - 1;
		i -= store_hole_follows(d, file, (uint64_t)i * QUEUE_UNIT_BYTES, end);
		for (; i >= (int64_t)(data / QUEUE_UNIT_BYTES); i--) {
			struct queue_unit unit;
			if (!store_unit_at(d, q, first + i, &unit) ||
			    (unit.size == 0 && unit.phys_offset == 0 && unit.tags_code == 0))
				continue;
			n = i + 1;
			break;
		}
	}
	if (fd >= 0)
		close(fd);
	return n;
}

/* Where its units begin, behind leading filler, and end: behind the last that is not zero. */
static void queue_bounds(struct store_dir *d, struct store_queue *q)
{
	struct queue_unit unit;
	if (q->list.n == 0)
		return;
	q->begin = q->end = (int64_t)(q->list.files[0].start / QUEUE_UNIT_BYTES);
	for (uint32_t i = q->list.n; i > 0 && q->end == q->begin; i--) {
		struct store_file *file = &q->list.files[i - 1];
		int64_t n = count_units(d, q, file);
		if (n > 0)
			q->end = (int64_t)(file->start / QUEUE_UNIT_BYTES) + n;
	}
	while (q->begin < q->end && store_unit_at(d, q, q->begin, &unit) &&
	       unit.size == QUEUE_FILLER_SIZE)
		q->begin++;
}

static void find_queues_of(struct store_dir *d, const char *topic)
{
	char path[PATH_BYTES * 2];
	snprintf(path, sizeof(path), "consumequeue/%s", topic);
	DIR *dir = open_folder(d, path);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		int64_t id;
		if (num_parse_i64(slice_str(e->d_name), &id) != 0 || id < 0 || id > INT32_MAX)
			continue;
		struct store_queue *q = store_queue_add(d, slice_str(topic), (int32_t)id);
		snprintf(path, sizeof(path), "consumequeue/%s/%s", topic, e->d_name);
		if (!q || q->list.n > 0)
			continue;
		list_folder(d, path, OFFSET_DIGITS, &q->list);
		queue_bounds(d, q);
	}
	closedir(dir);
}

static int compare_sizes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The size that the files of most queues have, the larger of two. */
static uint64_t queue_file_size(const struct store_dir *d)
{
	uint64_t *sizes = mem_alloc((d->n_queues + 1) * sizeof(*sizes));
	uint64_t best = 0;
	uint32_t n = 0, most = 0;
	for (uint32_t i = 0; i < d->n_queues; i++)
		if (d->queues[i]->list.file_bytes > 0)
			sizes[n++] = d->queues[i]->list.file_bytes;
	qsort(sizes, n, sizeof(*sizes), compare_sizes);
	for (uint32_t i = 0, run = 0; i < n; i++) {
		run = i > 0 && sizes[i] == sizes[i - 1] ? run + 1 : 1;
		if (run >= most) {
			most = run;
			best = sizes[i];
		}
	}
	free(sizes);
	return best;
}

static int compare_queues(const void *a, const void *b)
{
	const struct store_queue *x = *(struct store_queue *const *)a;
	const struct store_queue *y = *(struct store_queue *const *)b;
	int order = strcmp(x->topic, y->topic);
	return order ? order : (x->queue_id > y->queue_id) - (x->queue_id < y->queue_id);
}

static void find_queues(struct store_dir *d)
{
	DIR *dir = open_folder(d, "consumequeue");
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			find_queues_of(d, e->d_name);
	closedir(dir);
	d->queue_file_bytes = queue_file_size(d);
	if (d->n_queues > 1)
		qsort(d->queues, d->n_queues, sizeof(struct store_queue *), compare_queues);
}

/* ---- the index ---- */

/* Whether the entries of a file lie where this shape says: each slot leads to an entry that has its
 * hash. */
static bool shape_fits(const uint8_t *map, const struct index_shape *shape)
{
	uint32_t n_used = 0;
	struct index_header h;
	index_header_decode(map, &h);
	if (!index_header_is_sane(&h, shape))
		return false;
	for (uint32_t i = 0; i < shape->slots; i++) {
		uint32_t value = get_be32(map + index_slot_at(i));
		struct index_entry entry;
		if (value == 0)
			continue;
		if (value >= h.count)
			return false;
		index_entry_decode(map + index_entry_at(shape, value), &entry);
		if (entry.hash % shape->slots != i)
			return false;
		n_used++;
	}
	return n_used == h.n_slots;
}

/* Four entries per slot is usual; then everything that adds up. */
static bool try_shapes(struct store_dir *d, struct store_file *file)
{
	const uint8_t *map = store_file_map(d, file);
	uint64_t size = file->size;
	struct index_shape s = { (uint32_t)((size - INDEX_HEADER_BYTES) / 84), 0 };
	if (!map || size > INT32_MAX || get_be32(map + INDEX_HEADER_BYTES - 4) <= 1)
		return false;
	s.entries = 4 * s.slots;
	bool is_found = s.slots > 0 && index_bytes(&s) == size && shape_fits(map, &s);
	for (uint32_t slots = 1; !is_found && size < SEARCH_MAX; slots++) {
		if (index_slot_at(slots) + 2 * INDEX_ENTRY_BYTES > size)
			return false;
		uint64_t rest = size - index_slot_at(slots);
		s = (struct index_shape){ slots, (uint32_t)(rest / INDEX_ENTRY_BYTES) };
		is_found = rest % INDEX_ENTRY_BYTES == 0 && shape_fits(map, &s);
	}
	d->shape = s;
	return is_found;
}

/* From the size alone, when it is that of the default; else by trying. */
static void find_shape(struct store_dir *d)
{
	static const struct index_shape usual = { INDEX_SLOTS, INDEX_ENTRIES };
	d->has_shape = d->index.n == 0;
	for (uint32_t i = 0; i < d->index.n && !d->has_shape; i++)
		d->has_shape = d->index.files[i].size == index_bytes(&usual);
	if (d->has_shape)
		d->shape = usual;
	for (uint32_t i = 0; i < d->index.n && !d->has_shape; i++)
		if (d->index.files[i].size > INDEX_HEADER_BYTES)
			d->has_shape = try_shapes(d, &d->index.files[i]);
}

/* ---- the directory ---- */

bool store_read_small(const struct store_dir *d, const char *path, struct buf *out)
{
	int fd = store_open(d, path, O_RDONLY);
	struct stat st;
	buf_clear(out);
	if (fd < 0)
		return errno != ENOENT;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SMALL_MAX) {
		uint8_t *room = buf_room(out, (size_t)st.st_size + 1);
		ssize_t n = read(fd, room, (size_t)st.st_size);
		out->len = n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return true;
}

/* Java's lock and ours are of the same kind, on the same byte. Looking does not write. */
static int take_lock(struct store_dir *d, struct mosaic_error *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int flags = d->is_writable ? O_RDWR | O_CREAT : O_RDONLY;
	d->lock_fd = store_open(d, "lock", flags);
	if (d->lock_fd < 0 && errno == ENOENT)
		return 0;
	if (d->lock_fd < 0)
		return err_set(err, MOSAIC_E_IO, "cannot open %s/lock: %s", d->path,
			       strerror(errno));
	bool is_taken;
	if (d->is_writable)
		is_taken = fcntl(d->lock_fd, F_OFD_SETLK, &lock) != 0;
	else
		is_taken = fcntl(d->lock_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	if (!is_taken)
		return 0;
	return err_set(err, MOSAIC_E_IO,
		       "%s is in use by a broker, its files change while they are read: stop it, "
		       "or look at a copy", d->path);
}

int store_dir_open(struct store_dir *d, const char *path, bool is_writable,
		   struct mosaic_error *err)
{
	*d = (struct store_dir){ .path = path, .is_writable = is_writable, .lock_fd = -1,
				 .checkpoint_bytes = -1 };
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return err_set(err, MOSAIC_E_IO, "cannot open the directory %s: %s", path,
			       strerror(errno));
	if (take_lock(d, err) != 0)
		return -1;
	list_folder(d, "commitlog", OFFSET_DIGITS, &d->log);
	d->log.file_bytes = segment_size(&d->log);
	find_queues(d);
	list_folder(d, "index", TIME_DIGITS, &d->index);
	find_shape(d);
	d->has_batch_queues = faccessat(d->fd, "batchconsumequeue", F_OK, 0) == 0;
	d->is_crashed = faccessat(d->fd, "abort", F_OK, 0) == 0;
	struct buf content = BUF_INIT;
	if (store_read_small(d, "checkpoint", &content)) {
		size_t size = sizeof(d->checkpoint);
		d->checkpoint_bytes = (int64_t)content.len;
		if (content.len > 0)
			memcpy(d->checkpoint, content.data,
			       content.len < size ? content.len : size);
	}
	buf_free(&content);
	if (d->log.n == 0 && d->n_queues == 0 && d->checkpoint_bytes < 0 && d->n_odd == 0)
		return err_set(err, MOSAIC_E_NOTFOUND,
			       "%s is not the directory of a store: it has neither a folder "
			       "\"commitlog\" nor a file \"checkpoint\"", path);
	return 0;
}

void store_dir_close(struct store_dir *d)
{
	list_free(&d->log);
	list_free(&d->index);
	for (uint32_t i = 0; i < d->n_queues; i++) {
		list_free(&d->queues[i]->list);
		free(d->queues[i]->units);
		free(d->queues[i]->topic);
		free(d->queues[i]);
	}
	for (uint32_t i = 0; i < d->n_odd; i++)
		free(d->odd[i].path);
	free(d->odd);
	free(d->queues);
	map_free(&d->by_name);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	if (d->fd >= 0)
		close(d->fd);
}

uint64_t store_log_begin(const struct store_dir *d)
{
	return d->log.n > 0 ? d->log.files[0].start : 0;
}
