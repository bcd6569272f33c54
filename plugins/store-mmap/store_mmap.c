/*
 * store-mmap: the files of RocketMQ 5.3.3, the commit log mapped, consume queues written.
 *
 * Happy path of a message: clog_reserve, clog_commit (commit_log.c), cqueue_reserve, cqueue_commit
 * (queue.c), clog_sync when the flush policy asks; three threads behind them, see store.h. What it
 * shares with store-uring, requests and life among it, is in plugins/store-common.
 */
#include "commit_log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define READER_NICE 10

static int32_t mmap_log_create(struct mosaic_store *store, struct commit_log **log,
			       struct mosaic_error *error)
{
	*log = clog_create(store);
	if (!*log)
		return MOSAIC_E_NOMEM;
	(*log)->reader.nice = READER_NICE;
	if (worker_start(&store->syncer, store->host, "store-sync") != 0 ||
	    worker_start(&(*log)->reader, store->host, "store-read") != 0)
		return store_no_threads(store, error);
	return 0;
}

static int32_t mmap_check(struct commit_log *log)
{
	(void)log; /* a file can be mapped wherever it can be written */
	return 0;
}

static int mmap_found(struct commit_log *log, uint64_t start, int fd)
{
	struct segment *segment = segment_map(log->base.store, fd, start);
	if (!segment)
		return errno;
	return clog_add_segment(log, segment) ? 0 : ENOMEM;
}

static int mmap_found_all(struct commit_log *log)
{
	log->is_end_known = log->n == 0;
	if (log->n == 0)
		return 0;
	log->begin = log->segments[0]->start;
	log->end = clog_next_start(log);
	/* After a crash of the process pages may be there that are not on disk yet. */
	log->synced = log->base.store->was_clean ? log->end : log->begin;
	clog_find_tail(log);
	return 0;
}

/* Prepared segments that nobody has written to; the only one may tell where the log is. */
static void mmap_close_files(struct commit_log *log)
{
	char path[LOG_PATH_BYTES];
	while (log->n > 1 && log->segments[log->n - 1]->start >= log->end) {
		struct segment *segment = log->segments[log->n - 1];
		if (segment->pins > 0)
			break;
		log_path(path, segment->start);
		/* Never a gap: one that cannot be deleted keeps those before it. */
		if (unlinkat(log->base.store->dir_fd, path, 0) != 0)
			break;
		munmap(segment->map, log->segment_bytes);
		free(segment);
		log->n--;
	}
}

static bool mmap_is_end_known(const struct commit_log *log)
{
	return log->is_end_known;
}

static bool mmap_is_empty(const struct commit_log *log)
{
	return log->n == 0;
}

static void mmap_hurry(struct commit_log *log)
{
	const struct mosaic_host *host = log->base.store->host;
	host->timer_stop(host, &log->retry);
	clog_trim_hurry(log);
	pace_hurry(&log->pace);
}

static void mmap_info(const struct commit_log *log, struct mosaic_stream_info *info)
{
	info->begin = log->begin;
	info->end = log->end;
	info->segment_bytes = log->segment_bytes;
}

static const struct log_engine engine = {
	.plugin = "store-mmap",
	.create = mmap_log_create,
	.destroy = clog_destroy,
	.check = mmap_check,
	.found = mmap_found,
	.found_all = mmap_found_all,
	.close_files = mmap_close_files,
	.is_end_known = mmap_is_end_known,
	.is_empty = mmap_is_empty,
	.prepare = clog_look_ahead,
	.hurry = mmap_hurry,
	.cancel = clog_cancel,
	.info = mmap_info,
	.reserve = clog_reserve,
	.commit = clog_commit,
	.room = clog_room,
	.start_at = clog_start_at,
	.read = clog_read,
	.unpin = clog_unpin,
	.sync = clog_sync,
	.distrust = clog_distrust,
	.truncate = clog_truncate,
	.trim = clog_trim,
};

static int32_t mmap_create(const struct mosaic_host *host, const void *options,
			   struct mosaic_store **out, struct mosaic_error *error)
{
	return store_create(host, &engine, options, out, error);
}

static const struct mosaic_store_ops ops = STORE_OPS(mmap_create);

static const struct mosaic_option options[] = {
	STORE_OPTIONS,
	{ "prefault", MOSAIC_T_SIZE, 0, offsetof(struct options, prefault_bytes), "64MiB",
	  "256KiB", "1GiB", NULL,
	  "How far ahead of the writer at most pages are prepared; follows the rate of writes" },
};

MOSAIC_PLUGIN(.name = "store-mmap", .version = MOSAIC_VERSION, .license = "Apache-2.0",
	      .summary = "RocketMQ's files: a mapped commit log, written consume queues",
	      MOSAIC_KIND_STORE, .ops = &ops,
	      .caps = MOSAIC_STORE_CAP_SYNC | MOSAIC_STORE_CAP_CRASH | MOSAIC_STORE_CAP_PIN |
		      MOSAIC_STORE_CAP_TRUNCATE | MOSAIC_STORE_CAP_TRIM |
		      MOSAIC_STORE_CAP_PREALLOC | MOSAIC_CAP_THREADS,
	      MOSAIC_OPTIONS(struct options, options));
