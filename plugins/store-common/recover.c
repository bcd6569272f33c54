/*
 * Opening a directory: take the lock, read whether the last user closed it, find the segments of
 * the commit log and the queues. And closing it again. All on the slow thread while the core waits.
 *
 * What is refused, with a text that says what to do: no directory or no rights, a lock that another
 * process holds, segments of another size than configured, gaps between segments.
 */
#include "ifile.h"
#include "io.h"
#include "queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ABORT_FILE "abort" /* present while somebody uses the directory; his process id */
#define BROKEN_FILE "broken" /* the disk failed its last user; need not survive a power cut */
#define LOCK_FILE "lock"
#define LOCK_PAUSE_MS 10
#define LOCK_TRIES 100 /* a second */
#define SCAN_BYTES (64 * 1024)

void log_path(char path[PATH_BYTES], uint64_t start)
{
	snprintf(path, PATH_BYTES, LOG_FOLDER "/" SEGMENT_NAME_FORMAT, start);
}

int32_t store_refuse(struct mosaic_store *store, int32_t code, int os_errno, const char *format,
		     ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(store->open_error.text, sizeof(store->open_error.text), format, args);
	va_end(args);
	store->open_error.code = code;
	store->open_error.os_errno = os_errno;
	return code;
}

/* ---- folders of files that are named by their start ---- */

struct starts {
	uint64_t *at;
	uint32_t n, capacity;
};

static int starts_compare(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static bool parse_start(const char *name, uint64_t *start)
{
	if (strlen(name) != 20 || strspn(name, "0123456789") != 20)
		return false;
	errno = 0;
	*start = strtoull(name, NULL, 10);
	return errno == 0 && *start <= INT64_MAX;
}

static bool starts_add(struct starts *starts, uint64_t start)
{
	if (starts->n == starts->capacity) {
		uint32_t capacity = starts->capacity ? starts->capacity * 2 : 16;
		uint64_t *grown = realloc(starts->at, capacity * sizeof(*grown));
		if (!grown)
			return false;
		starts->at = grown;
		starts->capacity = capacity;
	}
	starts->at[starts->n++] = start;
	return true;
}

static DIR *open_folder(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/* Sorted; other names are left alone. 0 or an errno; a missing folder is empty. */
static int find_starts(int dir_fd, const char *path, struct starts *starts)
{
	DIR *dir = open_folder(dir_fd, path);
	if (!dir)
		return errno == ENOENT ? 0 : errno;
	int rc = 0;
	uint64_t start;
	for (struct dirent *e; rc == 0 && (e = readdir(dir));)
		if (parse_start(e->d_name, &start) && !starts_add(starts, start))
			rc = ENOMEM;
	closedir(dir);
	if (starts->n > 1)
		qsort(starts->at, starts->n, sizeof(*starts->at), starts_compare);
	return rc;
}

/* ---- the commit log ---- */

/* Whether a segment file can be used: 0, 1: it was empty and is gone, E_... with a text. */
static int32_t check_segment(struct mosaic_store *store, const char *path, int fd, bool is_last)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return store_refuse(store, MOSAIC_E_IO, errno, "cannot read the size of %s/%s: %s",
			      store->options.dir, path, strerror(errno));
	if ((uint64_t)st.st_size == store->options.segment_bytes)
		return 0;
	if (st.st_size == 0 && is_last) { /* somebody died before he gave it its size */
		unlinkat(store->dir_fd, path, 0);
		return 1;
	}
	return store_refuse(store, MOSAIC_E_CORRUPT, 0,
		      "%s/%s has %" PRIu64 " bytes, but \"segment\" is %" PRIu64
		      ": set \"segment\" to the size that wrote this directory "
		      "(mappedFileSizeCommitLog), or restore the file (made "
		      "longer with zeros it keeps what it has: truncate -s)",
		      store->options.dir, path, (uint64_t)st.st_size,
		      store->options.segment_bytes);
}

/*
 * A sync that failed leaves pages in the kernel's cache that count as clean and are on no disk: the
 * next sync says 0 and knows nothing of them. Dropped from the cache, they read as the disk has
 * them. After a mere kill all that is dirty is still written, and a warm cache is worth keeping.
 */
void recover_forget_cache(const struct mosaic_store *store, int fd)
{
	if (store->was_broken)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int32_t find_segment(struct mosaic_store *store, uint64_t start, bool is_last)
{
	char path[PATH_BYTES];
	log_path(path, start);
	int fd = io_open(store->dir_fd, path, O_RDWR);
	if (fd < 0)
		return store_refuse(store, MOSAIC_E_IO, -fd, "cannot open %s/%s: %s",
				    store->options.dir, path, strerror(-fd));
	int32_t rc = check_segment(store, path, fd, is_last);
	recover_forget_cache(store, fd);
	int os_errno = rc == 0 ? store->engine->found(store->log, start, fd) : 0;
	if (os_errno != 0)
		rc = store_refuse(store, os_errno == ENOMEM ? MOSAIC_E_NOMEM : MOSAIC_E_IO,
				  os_errno, "cannot use %s/%s: %s", store->options.dir, path,
				  strerror(os_errno));
	close(fd);
	return rc < 0 ? rc : 0;
}

static int32_t find_log(struct mosaic_store *store)
{
	struct starts starts = { 0 };
	uint64_t size = store->options.segment_bytes;
	int rc = find_starts(store->dir_fd, LOG_FOLDER, &starts);
	int32_t status = 0;
	if (rc != 0)
		status = store_refuse(store, MOSAIC_E_IO, rc, "cannot list %s/" LOG_FOLDER ": %s",
				store->options.dir, strerror(rc));
	for (uint32_t i = 0; i < starts.n && status == 0; i++) {
		if (starts.at[i] % size != 0 ||
		    (i > 0 && starts.at[i] != starts.at[i - 1] + size))
			status = store_refuse(store, MOSAIC_E_CORRUPT, 0,
					"%s/" LOG_FOLDER " has a segment at %" PRIu64
					" that does not follow the one before it with \"segment\""
					" = %" PRIu64 ": a file is missing, or the size is another",
					store->options.dir, starts.at[i], size);
		else
			status = find_segment(store, starts.at[i], i + 1 == starts.n);
	}
	free(starts.at);
	if (status == 0 && (rc = store->engine->found_all(store->log)) != 0)
		status = store_refuse(store, MOSAIC_E_IO, rc, "cannot use %s/" LOG_FOLDER ": %s",
				      store->options.dir, strerror(rc));
	return status;
}

/* ---- consume queues ---- */

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
	static const uint8_t filler[QUEUE_UNIT] = { [8] = 0x7f, 0xff, 0xff, 0xff };
	int64_t low = 0, high = end / QUEUE_UNIT; /* filler is a prefix: search its border */
	for (int64_t middle = 0; low < high; middle = low + (high - low) / 2) { /* mostly none */
		int64_t n = io_pread(fd, buf, QUEUE_UNIT, (uint64_t)middle * QUEUE_UNIT);
		if (n < 0)
			return n;
		if (n == QUEUE_UNIT && memcmp(buf, filler, QUEUE_UNIT) == 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low * QUEUE_UNIT;
}

/* Keeps the last unit in memory: recovery asks every queue for it, and one read of the disk after
 * another takes seconds when there are many. Without memory it is read then. */
static void keep_last_unit(struct queue *q, int fd, uint64_t start)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + QUEUE_UNIT);
	if (!chunk)
		return;
	*chunk = (struct chunk){ .start = q->end - QUEUE_UNIT, .refs = 1, .len = QUEUE_UNIT,
				 .capacity = QUEUE_UNIT };
	if (io_pread(fd, chunk->bytes, QUEUE_UNIT, chunk->start - start) != QUEUE_UNIT) {
		free(chunk);
		return;
	}
	q->head = chunk;
	cqueue_end_chunks(q, chunk);
}

/* 0 or -errno; -EUCLEAN: a wrong size. */
static int cqueue_scan_file(struct queue *q, uint64_t start, bool is_first, bool is_last,
			   uint8_t *buf)
{
	struct mosaic_store *store = q->base.store;
	uint64_t size = store->options.queue_segment_bytes;
	char path[QUEUE_PATH_BYTES];
	struct stat st;
	cqueue_path(path, q, start);
	int fd = io_open(store->dir_fd, path, O_RDWR);
	if (fd < 0)
		return fd;
	int64_t rc = fstat(fd, &st) == 0 ? 0 : -errno;
	if (rc == 0 && st.st_size == 0 && is_last) {
		unlinkat(store->dir_fd, path, 0); /* will be made again with its size */
	} else if (rc == 0 && (uint64_t)st.st_size != size) {
		rc = -EUCLEAN;
	} else if (rc == 0) {
		int64_t end = q->end > start ? 0 : file_end(fd, size, buf);
		rc = end < 0 ? end : 0;
		if (end > 0) {
			q->end = start + (uint64_t)end;
			keep_last_unit(q, fd, start);
		}
		int64_t skip = 0;
		if (is_first && rc == 0)
			skip = filler_end(fd, (int64_t)(q->end - start), buf);
		if (skip > 0)
			q->begin = start + (uint64_t)skip;
	}
	close(fd);
	return (int)rc;
}

/* From the last file back to the first that has a unit; earlier ones must be full. */
static int cqueue_scan_files(struct queue *q, const struct starts *starts, uint8_t *buf)
{
	uint64_t size = q->base.store->options.queue_segment_bytes;
	uint32_t first = starts->n - 1; /* of the files that follow each other to the last */
	while (first > 0 && starts->at[first - 1] + size == starts->at[first])
		first--;
	q->begin = q->end = starts->at[first];
	for (uint32_t i = starts->n; i > first; i--) {
		bool is_first = i - 1 == first;
		int rc = cqueue_scan_file(q, starts->at[i - 1], is_first, i == starts->n, buf);
		if (rc != 0)
			return rc;
		if (q->end > starts->at[i - 1] && i - 1 > first)
			i = first + 2; /* only the first is still of interest: its filler */
	}
	return 0;
}

static int32_t find_queue(struct mosaic_store *store, const char *topic, const char *id,
			  uint8_t *buf)
{
	char path[QUEUE_PATH_BYTES], *rest;
	errno = 0;
	long queue_id = strtol(id, &rest, 10);
	if (errno != 0 || *rest || rest == id || queue_id < 0 || queue_id > INT32_MAX)
		return 0;
	snprintf(path, sizeof(path), QUEUE_FOLDER "/%s/%s", topic, id);
	struct starts starts = { 0 };
	int rc = find_starts(store->dir_fd, path, &starts);
	if (rc != 0 || starts.n == 0) {
		free(starts.at);
		return rc == 0 ? 0
			       : store_refuse(store, MOSAIC_E_IO, rc, "cannot list %s/%s: %s",
					store->options.dir, path, strerror(rc));
	}
	struct mosaic_stream_name name = { MOSAIC_CONSUME_QUEUE, (int32_t)queue_id, topic };
	struct queue *q = NULL;
	for (uint32_t i = 0; i < starts.n && store->was_broken; i++) {
		snprintf(path, sizeof(path), QUEUE_FOLDER "/%s/%s/" SEGMENT_NAME_FORMAT, topic, id,
			 starts.at[i]);
		int fd = io_open(store->dir_fd, path, O_RDONLY);
		recover_forget_cache(store, fd);
		if (fd >= 0)
			close(fd);
	}
	snprintf(path, sizeof(path), QUEUE_FOLDER "/%s/%s", topic, id);
	if (cqueue_open(store, &name, &q) != 0) {
		free(starts.at);
		return store_refuse(store, MOSAIC_E_NOMEM, 0, "no memory for the queues of %s",
			      store->options.dir);
	}
	rc = cqueue_scan_files(q, &starts, buf);
	free(starts.at);
	if (rc == -EUCLEAN)
		return store_refuse(store, MOSAIC_E_CORRUPT, 0,
			      "a file in %s/%s has not %" PRIu64 " bytes: set \"queueSegment\" to "
			      "the size that wrote this directory (mappedFileSizeConsumeQueue), or "
			      "move the folder " QUEUE_FOLDER " away and it is built again",
			      store->options.dir, path, store->options.queue_segment_bytes);
	if (rc != 0)
		return store_refuse(store, MOSAIC_E_IO, -rc, "cannot read %s/%s: %s",
				    store->options.dir, path, strerror(-rc));
	q->written = q->write_to = q->end;
	q->synced = store->was_clean ? q->end : q->begin;
	q->filler_from = q->begin;
	if (q->synced < q->end)
		cqueue_mark_dirty(q);
	return 0;
}

static int32_t find_queues_of(struct mosaic_store *store, const char *topic, uint8_t *buf)
{
	char path[QUEUE_PATH_BYTES];
	snprintf(path, sizeof(path), QUEUE_FOLDER "/%s", topic);
	DIR *dir = open_folder(store->dir_fd, path);
	int32_t rc = 0;
	if (!dir) /* a file among the topics is none of ours */
		return errno == ENOTDIR || errno == ENOENT
			       ? 0
			       : store_refuse(store, MOSAIC_E_IO, errno, "cannot list %s/%s: %s",
					store->options.dir, path, strerror(errno));
	for (struct dirent *e; rc == 0 && (e = readdir(dir));)
		rc = find_queue(store, topic, e->d_name, buf);
	closedir(dir);
	return rc;
}

static int32_t find_queues(struct mosaic_store *store)
{
	DIR *dir = open_folder(store->dir_fd, QUEUE_FOLDER);
	if (!dir)
		return errno == ENOENT ? 0
				       : store_refuse(store, MOSAIC_E_IO, errno,
						"cannot list %s/" QUEUE_FOLDER ": %s",
						store->options.dir, strerror(errno));
	uint8_t *buf = malloc(SCAN_BYTES);
	int32_t rc = buf ? 0 : store_refuse(store, MOSAIC_E_NOMEM, 0, "no memory");
	for (struct dirent *e; rc == 0 && (e = readdir(dir));)
		if (cqueue_topic_is_valid(e->d_name))
			rc = find_queues_of(store, e->d_name, buf);
	free(buf);
	closedir(dir);
	return rc;
}

/* ---- the directory ---- */

static int32_t open_dir(struct mosaic_store *store)
{
	const char *dir = store->options.dir;
	store->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0 && errno == ENOENT) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/", dir);
		int rc = io_make_folders(AT_FDCWD, path);
		if (rc != 0)
			return store_refuse(store, MOSAIC_E_IO, rc,
				      "cannot make the directory %s: %s: make it, or name another "
				      "one as \"dir\"",
				      dir, strerror(rc));
		store->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (store->dir_fd >= 0)
		return 0;
	if (errno == ENOTDIR)
		return store_refuse(store, MOSAIC_E_INVAL, errno,
			      "%s is not a directory: name one as \"dir\"", dir);
	return store_refuse(store, MOSAIC_E_IO, errno, "cannot open the directory %s: %s%s", dir,
		      strerror(errno),
		      errno == EACCES ? ": the user of this process needs rights on it" : "");
}

/*
 * A process that was killed is gone for its parent before the kernel has ended its last writes, and
 * until then it holds its lock: a moment later than that another one is real. 0 or an errno.
 */
static int lock_patiently(int fd, struct flock *lock)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000 };

	for (int i = 0; fcntl(fd, F_OFD_SETLK, lock) != 0; i++) {
		if ((errno != EAGAIN && errno != EACCES) || i == LOCK_TRIES)
			return errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* Java's FileChannel takes the same kind of lock on the same byte. */
static int32_t take_lock(struct mosaic_store *store)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	const char *dir = store->options.dir;
	int fd = io_open(store->dir_fd, LOCK_FILE, O_RDWR | O_CREAT);
	if (fd < 0)
		return store_refuse(store, MOSAIC_E_IO, -fd,
			      "cannot open %s/" LOCK_FILE ": %s: the user of this process needs to "
			      "write there",
			      dir, strerror(-fd));
	int os_errno = lock_patiently(fd, &lock);
	if (os_errno == 0) {
		struct iovec iov = { .iov_base = (char[]){ 'l', 'o', 'c', 'k' }, .iov_len = 4 };
		store->lock_fd = fd;
		int rc = io_pwritev(fd, &iov, 1, 0);
		return rc == 0 ? 0
			       : store_refuse(store, MOSAIC_E_IO, rc,
					      "cannot write %s/" LOCK_FILE ": %s", dir,
					      strerror(rc));
	}
	lock.l_pid = 0;
	(void)fcntl(fd, F_OFD_GETLK, &lock); /* knows the process of a Java lock, not of ours */
	close(fd);
	if (os_errno != EAGAIN && os_errno != EACCES)
		return store_refuse(store, MOSAIC_E_IO, os_errno,
				    "cannot lock %s/" LOCK_FILE ": %s", dir, strerror(os_errno));
	char owner[32] = "";
	uint8_t *text = NULL;
	uint64_t len = 0;
	if (lock.l_pid > 0) {
		snprintf(owner, sizeof(owner), "%d", (int)lock.l_pid);
	} else if (io_read_file(store->dir_fd, ABORT_FILE, &text, &len) == 0) {
		snprintf(owner, sizeof(owner), "%.*s", (int)strspn((char *)text, "0123456789"),
			 (char *)text);
		free(text);
	}
	return store_refuse(store, MOSAIC_E_IO, os_errno,
		      "%s is in use by process %s: stop that broker, or give this one another "
		      "\"dir\"",
		      dir, owner[0] ? owner : "(unknown; see fuser on the file lock)");
}

static int32_t mark_used(struct mosaic_store *store)
{
	store->was_clean = faccessat(store->dir_fd, ABORT_FILE, F_OK, 0) != 0;
	store->was_broken = faccessat(store->dir_fd, BROKEN_FILE, F_OK, 0) == 0;
	char pid[16];
	int len = snprintf(pid, sizeof(pid), "%d", (int)getpid());
	/* Before anything is written: a crash from here on must be seen. */
	int rc = io_write_file(store->dir_fd, ABORT_FILE, pid, (size_t)len, false);
	if (rc == 0)
		rc = io_sync_folder(store->dir_fd, ".");
	if (rc != 0)
		return store_refuse(store, MOSAIC_E_IO, rc, "cannot write %s/" ABORT_FILE ": %s",
			      store->options.dir, strerror(rc));
	unlinkat(store->dir_fd, SEGMENT_TMP, 0);
	return 0;
}

void recover_mark_broken(struct job *job)
{
	int rc = io_write_file(job->store->dir_fd, BROKEN_FILE, "", 0, false);
	if (rc != 0)
		job_fail(job, rc, "cannot make the file " BROKEN_FILE);
}

void recover_run(struct job *job)
{
	struct mosaic_store *store = job->store;
	int32_t rc = open_dir(store);
	if (rc == 0)
		rc = take_lock(store);
	if (rc == 0) /* before anything is written */
		rc = store->engine->check(store->log);
	if (rc == 0)
		rc = mark_used(store);
	if (rc == 0)
		rc = find_log(store);
	if (rc == 0)
		rc = find_queues(store);
	int index_errno = rc == 0 ? ifile_find(store) : 0;
	if (index_errno != 0)
		rc = store_refuse(store, MOSAIC_E_IO, index_errno,
				  "cannot read %s/" INDEX_FOLDER ": %s", store->options.dir,
				  strerror(index_errno));
	if (rc == 0 && store->was_broken)
		unlinkat(store->dir_fd, BROKEN_FILE, 0);
	store->open_status = rc;
}

void recover_unlock(struct mosaic_store *store)
{
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	store->lock_fd = store->dir_fd = -1;
}

void recover_close(struct job *job)
{
	struct mosaic_store *store = job->store;
	store->engine->close_files(store->log);
	/* A crash stays a crash until somebody has recovered from it. */
	bool is_clean = store->was_clean || store->engine->is_end_known(store->log);
	if (!store->is_broken && store->is_saved && is_clean) {
		int rc = io_sync_folder(store->dir_fd, LOG_FOLDER);
		if (rc != 0 && rc != ENOENT) /* names that may be lost: no clean stop */
			job_fail(job, rc, "cannot sync the folder of the commit log");
		else if (unlinkat(store->dir_fd, ABORT_FILE, 0) != 0 && errno != ENOENT)
			job_fail(job, errno, "cannot remove the file " ABORT_FILE);
		rc = io_sync_folder(store->dir_fd, ".");
		if (rc != 0)
			job_fail(job, rc, "cannot sync the store's directory");
	}
	recover_unlock(store);
}
