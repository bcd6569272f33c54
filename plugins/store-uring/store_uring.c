/*
 * store-uring: the files of RocketMQ 5.3.3, the commit log written and read by io_uring around the
 * page cache, consume queues and documents as every store with files keeps them (store-common).
 *
 * Happy path of a message: ulog_reserve, ulog_commit (log_tail.c), ulog_sync when the flush policy
 * asks (log_write.c); one ring behind them, whose completions come through the loop.
 *
 * Failure modes: the kernel forbids io_uring, or the file system O_DIRECT: open() says so and what
 * to do. An error of the disk is final (store_fail).
 */
#include "log.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define EXT4_MAGIC 0xef53
#define XFS_MAGIC 0x58465342

/* ---- life ---- */

static bool pool_create(struct commit_log *log)
{
	uint64_t tail_bytes = log->base.store->options.tail_bytes;
	log->n_pool = (uint32_t)(tail_bytes / BLOCK_BYTES);
	log->ring.buffer_bytes = ((size_t)log->n_pool + 1) * BLOCK_BYTES + PAGE_BYTES;
	void *pool = mmap(NULL, log->ring.buffer_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool == MAP_FAILED)
		return false;
	log->ring.buffer = log->pool = pool;
	log->free_slots = calloc(log->n_pool, sizeof(*log->free_slots));
	if (!log->free_slots)
		return false;
	while (log->n_free < log->n_pool) {
		log->free_slots[log->n_free] = log->n_pool - 1 - log->n_free;
		log->n_free++;
	}
	return true;
}

static int32_t uring_log_create(struct mosaic_store *store, struct commit_log **out,
				struct mosaic_error *error)
{
	struct commit_log *log = calloc(1, sizeof(*log));
	if (!log)
		return MOSAIC_E_NOMEM;
	*out = log;
	log->base.store = store;
	log->base.name.kind = MOSAIC_COMMIT_LOG;
	log->segment_bytes = store->options.segment_bytes;
	pace_init(&log->pace, store->host, &log->end, store->options.cold_read_rate);
	log->ahead.job.store = store;
	log->retry = (struct mosaic_timer){ .fire = ulog_retry, .data = log };
	log->linger = (struct mosaic_timer){ .fire = ulog_linger, .data = log };
	log->zero.log = log;
	log->last_waiting = &log->first_waiting;
	log->ring.event_fd = -1;
	if (!pool_create(log))
		return MOSAIC_E_NOMEM;
	if (worker_start(&store->syncer, store->host, "store-ahead") != 0)
		return store_no_threads(store, error);
	return ring_watch(&log->ring, store, error);
}

static void list_free(struct block_list *list)
{
	while (list->newest) {
		struct block *block = list->newest;
		block_list_take(list, block);
		block_unref(block);
	}
}

static void uring_destroy(struct commit_log *log)
{
	ring_free(&log->ring);
	list_free(&log->tail);
	list_free(&log->cache);
	for (uint32_t i = 0; i < log->n; i++)
		segment_free(log->segments[i]);
	free(log->segments);
	free(log->free_slots);
	if (log->pool)
		munmap(log->pool, log->ring.buffer_bytes);
	free(log);
}

static void uring_stop(struct commit_log *log)
{
	ring_unwatch(&log->ring);
}

/* ---- open ---- */

#define NO_RING                                                                                   \
	"store-uring cannot have an io_uring: %s: allow it, or take the plugin store-mmap, which " \
	"opens the same directory"
#define NO_DIRECT                                                                                 \
	"the file system of %s does not take O_DIRECT: give store-uring a \"dir\" on another, or " \
	"take the plugin store-mmap, which opens the same directory"

/* A file without a name in `dir`, or in the first folder above it that is there. */
static bool lacks_direct(const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s", dir);
	while (access(path, F_OK) != 0 && errno == ENOENT) {
		char *slash = strrchr(path, '/');
		if (!slash)
			memcpy(path, ".", 2);
		else
			slash[slash == path] = '\0';
	}
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return false; /* nobody knows */
	close(fd);
	fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EINVAL;
}

static int32_t uring_check(struct commit_log *log)
{
	struct mosaic_store *store = log->base.store;
	int rc = ring_start(&log->ring, store->options.uses_sqpoll);
	if (rc != 0)
		return store_refuse(store, MOSAIC_E_UNSUPPORTED, rc, NO_RING, ring_refusal(rc));
	if (lacks_direct(store->options.dir))
		return store_refuse(store, MOSAIC_E_UNSUPPORTED, EINVAL, NO_DIRECT,
				    store->options.dir);
	return 0;
}

static int uring_found(struct commit_log *log, uint64_t start, int fd)
{
	(void)fd;
	struct segment *segment = segment_create(log->base.store, start);
	if (segment && ulog_add_segment(log, segment))
		return 0;
	free(segment);
	return ENOMEM;
}

/*
 * After a crash of a process the page cache may have what the disk does not. The files that were
 * written last are synced by the first sync; older ones, if there are that many, now.
 */
static int sync_found(struct commit_log *log)
{
	for (uint32_t i = 0; i < log->n; i++) {
		struct segment *segment = log->segments[i];
		int fd = segment_open_direct(log->base.store, segment->start);
		if (fd < 0)
			return -fd;
		if (i + RING_FILES / 2 >= log->n) {
			segment->fd = fd;
			segment->is_dirty = true;
			log->n_open++;
			continue;
		}
		int rc = fdatasync(fd) == 0 ? 0 : errno;
		close(fd);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Others may leave the flag of a single write to a server or to a program, who may know only
 * fsync. */
static bool has_dsync(int dir_fd)
{
	struct statfs fs;
	int fd = openat(dir_fd, LOG_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fstatfs(fd >= 0 ? fd : dir_fd, &fs);
	if (fd >= 0)
		close(fd);
	return rc == 0 && (fs.f_type == EXT4_MAGIC || fs.f_type == XFS_MAGIC);
}

static int uring_found_all(struct commit_log *log)
{
	log->has_dsync = has_dsync(log->base.store->dir_fd);
	log->is_end_known = log->n == 0;
	if (log->n == 0)
		return 0;
	log->begin = log->segments[0]->start;
	log->end = log->written = ulog_next_start(log);
	log->zeroed_upto = log->looked_end = log->end;
	log->synced = log->base.store->was_clean ? log->end : log->begin;
	return log->base.store->was_clean ? 0 : sync_found(log);
}

/* Prepared segments that nobody has written to; the only one may tell where the log is. */
static void uring_close_files(struct commit_log *log)
{
	char path[LOG_PATH_BYTES];
	while (log->n > 1 && log->segments[log->n - 1]->start >= log->end) {
		struct segment *segment = log->segments[log->n - 1];
		log_path(path, segment->start);
		/* Never a gap: one that cannot be deleted keeps those before it. */
		if (unlinkat(log->base.store->dir_fd, path, 0) != 0)
			break;
		segment_free(segment);
		log->n--;
	}
}

/* ---- the rest of the table ---- */

static bool uring_is_end_known(const struct commit_log *log)
{
	return log->is_end_known;
}

static bool uring_is_empty(const struct commit_log *log)
{
	return log->n == 0;
}

static void uring_hurry(struct commit_log *log)
{
	const struct mosaic_host *host = log->base.store->host;
	host->timer_stop(host, &log->retry);
	host->timer_stop(host, &log->linger);
	ulog_trim_hurry(log);
	pace_hurry(&log->pace);
}

static void uring_info(const struct commit_log *log, struct mosaic_stream_info *info)
{
	info->begin = log->begin;
	info->end = log->end;
	info->segment_bytes = log->segment_bytes;
}

static const struct log_engine engine = {
	.plugin = "store-uring",
	.create = uring_log_create,
	.destroy = uring_destroy,
	.check = uring_check,
	.found = uring_found,
	.found_all = uring_found_all,
	.close_files = uring_close_files,
	.stop = uring_stop,
	.is_end_known = uring_is_end_known,
	.is_empty = uring_is_empty,
	.prepare = ulog_look_ahead,
	.hurry = uring_hurry,
	.cancel = ulog_cancel,
	.info = uring_info,
	.reserve = ulog_reserve,
	.commit = ulog_commit,
	.room = ulog_room,
	.start_at = ulog_start_at,
	.read = ulog_read,
	.unpin = ulog_unpin,
	.sync = ulog_sync,
	.truncate = ulog_truncate,
	.distrust = ulog_distrust,
	.trim = ulog_trim,
};

static int32_t uring_create(const struct mosaic_host *host, const void *options,
			    struct mosaic_store **out, struct mosaic_error *error)
{
	return store_create(host, &engine, options, out, error);
}

static int32_t uring_usable(const void *of, struct mosaic_error *error)
{
	const struct options *chosen = of;
	int rc = ring_try();
	if (rc == 0 && !lacks_direct(chosen->dir))
		return 0;
	if (error) {
		error->code = MOSAIC_E_UNSUPPORTED;
		error->os_errno = rc;
		if (rc != 0)
			snprintf(error->text, sizeof(error->text), NO_RING, ring_refusal(rc));
		else
			snprintf(error->text, sizeof(error->text), NO_DIRECT, chosen->dir);
	}
	return MOSAIC_E_UNSUPPORTED;
}

static const struct mosaic_store_ops ops = STORE_OPS(uring_create, .usable = uring_usable);

static const struct mosaic_option options[] = {
	STORE_OPTIONS,
	{ "tail", MOSAIC_T_SIZE, 0, offsetof(struct options, tail_bytes), "32MiB", "4MiB",
	  "512MiB", NULL,
	  "Memory for the end of the commit log: what is not written yet, and what was last" },
	{ "cache", MOSAIC_T_SIZE, 0, offsetof(struct options, cache_bytes), "64MiB", "1MiB",
	  "64GiB", NULL, "Memory for older parts of the commit log that were read" },
	{ "sqpoll", MOSAIC_T_BOOL, 0, offsetof(struct options, uses_sqpoll), "false", NULL, NULL,
	  NULL, "A thread of the kernel looks for work: fewer system calls, a core more" },
};

MOSAIC_PLUGIN(.name = "store-uring", .version = MOSAIC_VERSION, .license = "Apache-2.0",
	      .summary = "RocketMQ's files: a commit log by io_uring, written consume queues",
	      MOSAIC_KIND_STORE, .ops = &ops,
	      .caps = MOSAIC_STORE_CAP_SYNC | MOSAIC_STORE_CAP_PIN | MOSAIC_STORE_CAP_TRUNCATE |
		      MOSAIC_STORE_CAP_TRIM | MOSAIC_STORE_CAP_PREALLOC | MOSAIC_STORE_CAP_DIRECT |
		      MOSAIC_CAP_THREADS,
	      MOSAIC_OPTIONS(struct options, options));
