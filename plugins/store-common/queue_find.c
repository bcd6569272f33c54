/*
 * The consume queues of a directory that is opened: which there are and where they begin and end.
 *
 * A large broker has a hundred thousand, each a folder with a file. So the topics are shared out to
 * a few threads, and everything is opened relative to the folder that holds it.
 */
#include "directory.h"
#include "folder.h"
#include "io.h"
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_BYTES (64 * 1024)
#define SCAN_THREADS 8 /* a cold disk answers several in the time of one */
#define NAME_BYTES 256     /* of a folder: topic or queue id */
#define FILE_NAME_BYTES 24 /* 20 digits */
/* Units at the end that are kept in memory. Recovery asks each queue for its last two; after a
 * crash also for the border of what was durable, which is seldom further back. */
#define TAIL_CLEAN (2 * QUEUE_UNIT)
#define TAIL_CRASH (200 * QUEUE_UNIT)
#define TAILS_MOST (64u << 20) /* of all queues; until the first sync */

/* What the threads share. */
struct finder {
	struct mosaic_store *store;
	pthread_mutex_t mutex; /* guards what follows, and the store's names and list */
	DIR *topics;
	int32_t status;
	uint32_t tails_left;
};

/* One queue on one thread. */
struct scan {
	struct finder *finder;
	struct queue *queue;
	const char *topic, *id;
	int folder_fd;
	uint8_t *buf;         /* SCAN_BYTES */
	struct starts starts; /* of its files */
	uint32_t tail;        /* bytes to keep */
};

/* ---- why it does not work; the first reason counts ---- */

static void refuse(struct scan *s, int os_errno, const char *verb, const char *path)
{
	struct mosaic_store *store = s->finder->store;
	pthread_mutex_lock(&s->finder->mutex);
	if (s->finder->status == 0)
		s->finder->status = store_refuse(store, MOSAIC_E_IO, os_errno,
						 "cannot %s %s/%s: %s", verb, store->options.dir,
						 path, strerror(os_errno));
	pthread_mutex_unlock(&s->finder->mutex);
}

static void refuse_queue(struct scan *s, int os_errno, const char *verb)
{
	char path[sizeof(QUEUE_FOLDER) + 2 * NAME_BYTES];
	snprintf(path, sizeof(path), QUEUE_FOLDER "/%s/%s", s->topic, s->id);
	refuse(s, os_errno, verb, path);
}

static void refuse_size(struct scan *s)
{
	struct mosaic_store *store = s->finder->store;
	pthread_mutex_lock(&s->finder->mutex);
	if (s->finder->status == 0)
		s->finder->status = store_refuse(
			store, MOSAIC_E_CORRUPT, 0,
			"a file in %s/" QUEUE_FOLDER "/%s/%s has not %" PRIu64 " bytes: set "
			"\"queueSegment\" to the size that wrote this directory "
			"(mappedFileSizeConsumeQueue), or move the folder " QUEUE_FOLDER
			" away and it is built again",
			store->options.dir, s->topic, s->id, store->options.queue_segment_bytes);
	pthread_mutex_unlock(&s->finder->mutex);
}

/* With the mutex. */
static void refuse_memory(struct finder *f)
{
	if (f->status == 0)
		f->status = store_refuse(f->store, MOSAIC_E_NOMEM, 0,
					 "no memory for the queues of %s", f->store->options.dir);
}

/* ---- one queue ---- */

static const uint8_t zero_unit[QUEUE_UNIT];

/* End of the last unit in [0, upto) of the file that is not zero; 0: none. -errno. */
static int64_t last_unit(int fd, uint64_t from, uint64_t upto, uint8_t *buf)
{
	from -= from % QUEUE_UNIT;
	upto = (upto + QUEUE_UNIT - 1) / QUEUE_UNIT * QUEUE_UNIT;
	while (upto > from) {
		uint64_t part = SCAN_BYTES - SCAN_BYTES % QUEUE_UNIT;
		part = upto - from < part ? upto - from : part;
		int64_t n = io_pread(fd, buf, part, upto - part);
		if (n < 0)
			return n;
		for (int64_t at = n - n % QUEUE_UNIT - QUEUE_UNIT; at >= 0; at -= QUEUE_UNIT)
			if (memcmp(buf + at, zero_unit, QUEUE_UNIT) != 0)
				return (int64_t)(upto - part) + at + QUEUE_UNIT;
		upto -= part;
	}
	return 0;
}

/* The data extents of a file, the last that has a unit counts: holes are not read. */
static int64_t file_end(int fd, uint64_t size, uint8_t *buf)
{
	int64_t end = 0;
	for (off_t hole = 0;;) {
		off_t data = lseek(fd, hole, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? end : -errno;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		uint64_t upto = (uint64_t)hole < size ? (uint64_t)hole : size;
		int64_t last = last_unit(fd, (uint64_t)data, upto, buf);
		if (last < 0)
			return last;
		end = last > end ? last : end;
	}
}

/* Bytes of leading filler: units that a queue which began later does not have. */
static int64_t filler_end(int fd, int64_t end, uint8_t *buf)
{
	int64_t low = 0, high = end / QUEUE_UNIT; /* filler is a prefix: search its border */
	for (int64_t middle = 0; low < high; middle = low + (high - low) / 2) { /* mostly none */
		int64_t n = io_pread(fd, buf, QUEUE_UNIT, (uint64_t)middle * QUEUE_UNIT);
		if (n < 0)
			return n;
		if (n == QUEUE_UNIT && memcmp(buf, cqueue_filler, QUEUE_UNIT) == 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low * QUEUE_UNIT;
}

/* Keeps the last units in memory: recovery asks every queue for them, and one read of the disk
 * after another takes seconds when there are many. Without memory they are read then. */
static void keep_tail(struct scan *s, int fd, uint64_t start)
{
	struct queue *q = s->queue;
	uint64_t have = q->end - start;
	uint32_t len = have < s->tail ? (uint32_t)have : s->tail;
	struct chunk *chunk = malloc(sizeof(*chunk) + len);
	s->tail = 0;
	if (!chunk)
		return;
	*chunk = (struct chunk){ .start = q->end - len, .refs = 1, .len = len, .capacity = len };
	if (io_pread(fd, chunk->bytes, len, chunk->start - start) != len) {
		free(chunk);
		return;
	}
	q->head = chunk;
	cqueue_end_chunks(q, chunk);
	s->tail = len;
}

static int scan_open_file(struct scan *s, uint64_t start, char name[FILE_NAME_BYTES], int flags)
{
	snprintf(name, FILE_NAME_BYTES, SEGMENT_NAME_FORMAT, start);
	return io_open(s->folder_fd, name, flags);
}

/* 0 or -errno; -EUCLEAN: a wrong size. */
static int scan_file(struct scan *s, uint64_t start, bool is_first, bool is_last)
{
	struct queue *q = s->queue;
	uint64_t size = q->base.store->options.queue_segment_bytes;
	char name[FILE_NAME_BYTES];
	struct stat st;
	int fd = scan_open_file(s, start, name, O_RDWR);
	if (fd < 0)
		return fd;
	int64_t rc = fstat(fd, &st) == 0 ? 0 : -errno;
	if (rc == 0 && st.st_size == 0 && is_last) {
		unlinkat(s->folder_fd, name, 0); /* will be made again with its size */
	} else if (rc == 0 && (uint64_t)st.st_size != size) {
		rc = -EUCLEAN;
	} else if (rc == 0) {
		int64_t end = q->end > start ? 0 : file_end(fd, size, s->buf);
		rc = end < 0 ? end : 0;
		if (end > 0) {
			q->end = start + (uint64_t)end;
			keep_tail(s, fd, start);
		}
		int64_t skip = 0;
		if (is_first && rc == 0)
			skip = filler_end(fd, (int64_t)(q->end - start), s->buf);
		if (skip > 0)
			q->begin = start + (uint64_t)skip;
	}
	close(fd);
	return (int)rc;
}

/* From the last file back to the first that has a unit; earlier ones must be full. */
static int scan_files(struct scan *s)
{
	struct queue *q = s->queue;
	const struct starts *starts = &s->starts;
	uint64_t size = q->base.store->options.queue_segment_bytes;
	uint32_t first = starts->n - 1; /* of the files that follow each other to the last */
	while (first > 0 && starts->at[first - 1] + size == starts->at[first])
		first--;
	q->begin = q->end = starts->at[first];
	for (uint32_t i = starts->n; i > first; i--) {
		bool is_first = i - 1 == first;
		int rc = scan_file(s, starts->at[i - 1], is_first, i == starts->n);
		if (rc != 0)
			return rc;
		if (q->end > starts->at[i - 1] && i - 1 > first)
			i = first + 2; /* only the first is still of interest: its filler */
	}
	return 0;
}

static void forget_caches(struct scan *s)
{
	char name[FILE_NAME_BYTES];
	for (uint32_t i = 0; i < s->starts.n; i++) {
		int fd = scan_open_file(s, s->starts.at[i], name, O_RDONLY);
		directory_forget_cache(s->finder->store, fd);
		if (fd >= 0)
			close(fd);
	}
}

static bool queue_enter(struct scan *s, int32_t queue_id)
{
	struct finder *f = s->finder;
	struct mosaic_stream_name name = { MOSAIC_CONSUME_QUEUE, queue_id, s->topic };
	pthread_mutex_lock(&f->mutex);
	bool is_there = cqueue_open(f->store, &name, &s->queue) == 0;
	if (!is_there)
		refuse_memory(f);
	s->tail = f->store->was_clean || f->tails_left < TAIL_CRASH ? TAIL_CLEAN : TAIL_CRASH;
	pthread_mutex_unlock(&f->mutex);
	return is_there;
}

static void queue_scanned(struct scan *s)
{
	struct finder *f = s->finder;
	struct queue *q = s->queue;
	q->written = q->write_to = q->end;
	q->synced = f->store->was_clean ? q->end : q->begin;
	q->filler_from = q->begin;
	pthread_mutex_lock(&f->mutex);
	f->tails_left -= f->tails_left < s->tail ? f->tails_left : s->tail;
	if (q->synced < q->end)
		cqueue_mark_dirty(q);
	pthread_mutex_unlock(&f->mutex);
}

/* The folder's files are in s->starts. */
static void find_queue_in(struct scan *s, int32_t queue_id)
{
	if (s->starts.n == 0)
		return;
	if (s->finder->store->was_broken)
		forget_caches(s);
	if (!queue_enter(s, queue_id))
		return;
	int rc = scan_files(s);
	if (rc == -EUCLEAN)
		refuse_size(s);
	else if (rc != 0)
		refuse_queue(s, -rc, "read");
	else
		queue_scanned(s);
}

/* As brokers write it: two names that mean the same number would be one queue twice. */
static bool parse_queue_id(const char *id, int32_t *queue_id)
{
	char *rest;
	errno = 0;
	long value = strtol(id, &rest, 10);
	*queue_id = (int32_t)value;
	return errno == 0 && !*rest && value <= INT32_MAX && id[0] >= '0' && id[0] <= '9' &&
	       (id[0] != '0' || !id[1]);
}

static void find_queue(struct scan *s, int topic_fd)
{
	int32_t queue_id;
	if (!parse_queue_id(s->id, &queue_id))
		return;
	DIR *dir = folder_open(topic_fd, s->id);
	int rc = dir ? folder_list(dir, &s->starts) : errno;
	if (rc == 0) {
		s->folder_fd = dirfd(dir);
		find_queue_in(s, queue_id);
	} else if (rc != ENOENT || dir) {
		refuse_queue(s, rc, "list");
	}
	if (dir)
		closedir(dir);
}

/* ---- all of them ---- */

static bool is_over(struct finder *f)
{
	pthread_mutex_lock(&f->mutex);
	bool is_over = f->status != 0;
	pthread_mutex_unlock(&f->mutex);
	return is_over;
}

static void find_queues_of(struct scan *s)
{
	DIR *dir = folder_open(dirfd(s->finder->topics), s->topic);
	if (!dir) { /* a file among the topics is none of ours */
		char path[sizeof(QUEUE_FOLDER) + NAME_BYTES];
		snprintf(path, sizeof(path), QUEUE_FOLDER "/%s", s->topic);
		if (errno != ENOTDIR && errno != ENOENT)
			refuse(s, errno, "list", path);
		return;
	}
	for (struct dirent *e; !is_over(s->finder) && (e = readdir(dir));) {
		s->id = e->d_name;
		find_queue(s, dirfd(dir));
	}
	closedir(dir);
}

static bool next_topic(struct finder *f, char topic[NAME_BYTES])
{
	struct dirent *e = NULL;
	pthread_mutex_lock(&f->mutex);
	while (f->status == 0 && (e = readdir(f->topics)) && !cqueue_topic_is_valid(e->d_name))
		;
	if (f->status != 0)
		e = NULL;
	if (e)
		snprintf(topic, NAME_BYTES, "%s", e->d_name);
	pthread_mutex_unlock(&f->mutex);
	return e != NULL;
}

static void *find_run(void *arg)
{
	char topic[NAME_BYTES];
	struct scan s = { .finder = arg, .topic = topic, .buf = malloc(SCAN_BYTES) };
	while (s.buf && next_topic(arg, topic))
		find_queues_of(&s);
	if (!s.buf) {
		pthread_mutex_lock(&s.finder->mutex);
		refuse_memory(s.finder);
		pthread_mutex_unlock(&s.finder->mutex);
	}
	free(s.starts.at);
	free(s.buf);
	return NULL;
}

int32_t cqueue_find_all(struct mosaic_store *store)
{
	struct finder f = { .store = store, .tails_left = TAILS_MOST };
	pthread_t threads[SCAN_THREADS - 1];
	int n = 0;
	f.topics = folder_open(store->dir_fd, QUEUE_FOLDER);
	if (!f.topics)
		return errno == ENOENT ? 0
				       : store_refuse(store, MOSAIC_E_IO, errno,
						      "cannot list %s/" QUEUE_FOLDER ": %s",
						      store->options.dir, strerror(errno));
	pthread_mutex_init(&f.mutex, NULL);
	/* Where no more threads can be had, fewer do. */
	while (n < SCAN_THREADS - 1 && pthread_create(&threads[n], NULL, find_run, &f) == 0)
		n++;
	find_run(&f);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	pthread_mutex_destroy(&f.mutex);
	closedir(f.topics);
	return f.status;
}
