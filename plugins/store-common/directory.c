/*
 * Opening a directory: take the lock, read whether the last user closed it, find the segments of
 * the commit log and the queues. And closing it again. All on the slow thread while the core waits.
 *
 * What is refused, with a text that says what to do: no directory or no rights, a lock that another
 * process holds, segments of another size than configured, gaps between segments.
 */
#include "directory.h"

#include "folder.h"
#include "ifile.h"
#include "io.h"
#include "log_files.h"
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ABORT_FILE "abort"   /* present while somebody uses the directory; his process id */
#define BROKEN_FILE "broken" /* the disk failed its last user; need not survive a power cut */
#define LOCK_FILE "lock"
#define LOCK_PAUSE_MS 10
#define LOCK_TRIES 100 /* a second */

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
void directory_forget_cache(const struct mosaic_store *store, int fd)
{
	if (store->was_broken)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int32_t find_segment(struct mosaic_store *store, uint64_t start, bool is_last)
{
	char path[LOG_PATH_BYTES];
	log_path(path, start);
	int fd = io_open(store->dir_fd, path, O_RDWR);
	if (fd < 0)
		return store_refuse(store, MOSAIC_E_IO, -fd, "cannot open %s/%s: %s",
				    store->options.dir, path, strerror(-fd));
	int32_t rc = check_segment(store, path, fd, is_last);
	directory_forget_cache(store, fd);
	int os_errno = rc == 0 ? store->engine->found(store->log, start, fd) : 0;
	if (os_errno != 0)
		rc = store_refuse(store, os_errno == ENOMEM ? MOSAIC_E_NOMEM : MOSAIC_E_IO,
				  os_errno, "cannot use %s/%s: %s", store->options.dir, path,
				  strerror(os_errno));
	close(fd);
	return rc < 0 ? rc : 0;
}

static int32_t refuse_gap(struct mosaic_store *store, uint64_t start)
{
	return store_refuse(store, MOSAIC_E_CORRUPT, 0,
			    "%s/" LOG_FOLDER " has a segment at %" PRIu64
			    " that does not follow the one before it with \"segment\" = %" PRIu64
			    ": a file is missing, or the size is another",
			    store->options.dir, start, store->options.segment_bytes);
}

static int32_t find_log(struct mosaic_store *store)
{
	struct starts starts = { 0 };
	uint64_t size = store->options.segment_bytes;
	DIR *dir = folder_open(store->dir_fd, LOG_FOLDER);
	int rc = dir ? folder_list(dir, &starts) : errno;
	rc = !dir && rc == ENOENT ? 0 : rc;
	if (dir)
		closedir(dir);
	int32_t status = 0;
	if (rc != 0)
		status = store_refuse(store, MOSAIC_E_IO, rc, "cannot list %s/" LOG_FOLDER ": %s",
				      store->options.dir, strerror(rc));
	for (uint32_t i = 0; i < starts.n && status == 0; i++) {
		if (starts.at[i] % size != 0 || (i > 0 && starts.at[i] != starts.at[i - 1] + size))
			status = refuse_gap(store, starts.at[i]);
		else
			status = find_segment(store, starts.at[i], i + 1 == starts.n);
	}
	free(starts.at);
	if (status == 0 && (rc = store->engine->found_all(store->log)) != 0)
		status = store_refuse(store, MOSAIC_E_IO, rc, "cannot use %s/" LOG_FOLDER ": %s",
				      store->options.dir, strerror(rc));
	return status;
}

/* ---- the directory ---- */

static int32_t find_dir(struct mosaic_store *store)
{
	const char *dir = store->options.dir;
	store->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0 && errno == ENOENT) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/", dir);
		int rc = io_make_folders(AT_FDCWD, path);
		if (rc != 0)
			return store_refuse(
				store, MOSAIC_E_IO, rc,
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
				    "cannot open %s/" LOCK_FILE ": %s: the user of this process "
				    "needs to write there",
				    dir, strerror(-fd));
	int os_errno = lock_patiently(fd, &lock);
	if (os_errno == 0) {
		store->lock_fd = fd;
		int rc = io_pwrite(fd, "lock", 4, 0);
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
			    "%s is in use by process %s: stop that broker, or give this one "
			    "another \"dir\"",
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

void directory_mark_broken(struct job *job)
{
	int rc = io_write_file(job->store->dir_fd, BROKEN_FILE, "", 0, false);
	if (rc != 0)
		job_fail(job, rc, "cannot make the file " BROKEN_FILE);
}

void directory_open(struct job *job)
{
	struct mosaic_store *store = job->store;
	int32_t rc = find_dir(store);
	if (rc == 0)
		rc = take_lock(store);
	if (rc == 0) /* before anything is written */
		rc = store->engine->check(store->log);
	if (rc == 0)
		rc = mark_used(store);
	if (rc == 0)
		rc = find_log(store);
	if (rc == 0)
		rc = cqueue_find_all(store);
	int index_errno = rc == 0 ? ifile_find(store) : 0;
	if (index_errno != 0)
		rc = store_refuse(store, MOSAIC_E_IO, index_errno,
				  "cannot read %s/" INDEX_FOLDER ": %s", store->options.dir,
				  strerror(index_errno));
	if (rc == 0 && store->was_broken)
		unlinkat(store->dir_fd, BROKEN_FILE, 0);
	store->open_status = rc;
}

void directory_unlock(struct mosaic_store *store)
{
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	store->lock_fd = store->dir_fd = -1;
}

void directory_close(struct job *job)
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
	directory_unlock(store);
}
