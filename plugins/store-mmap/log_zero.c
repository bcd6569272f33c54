/*
 * Pages ahead of a writer whose every few messages are synced: zeros, written to the disk once.
 *
 * Two things make a small sync of a mapped file dear, and both are mended here:
 *   - A fresh block of an allocated file is "unwritten": the first sync of each changes the file's
 *     map and waits for the file system's journal. Written once, later syncs write data only.
 *   - The page cache keeps a file in folios, and read-ahead makes them as large as 2 MiB. A store
 *     through a mapping makes a whole folio dirty, so a sync of one message wrote 2 MiB (250 us
 *     instead of 90 here). What write() brings in comes in folios of the size of the call.
 *
 * write() is not atomic against the writer of the mapping, so reserve() lends nothing of the range
 * until the job is back (lend_upto): the writer waits where it would have outrun this thread.
 */
#include "commit_log.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WRITE_AND_WAIT                                                                             \
	(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)
#define BTRFS_MAGIC 0x9123683e
#define ZFS_MAGIC 0x2fc12fc1
#define BCACHEFS_MAGIC 0xca451a4e
#define FOLIO_BYTES (UINT64_C(16) << 10)
/* One job at most: the helper has consume queues to write too. The largest folio: a part of one
 * cannot be dropped. */
#define STEP_BYTES (UINT64_C(2) << 20)
/* The writer goes on for so long before it has to wait for the job. */
#define SLACK_BYTES (UINT64_C(256) << 10)

/* Large syncs share the cost of their pages among many messages; below it is worth a second write.
 * Two borders, so that it does not change to and fro. */
#define SMALL_SYNC (UINT64_C(80) << 10)
#define LARGE_SYNC (UINT64_C(128) << 10)

void log_zero_learn(struct commit_log *log, uint64_t n_bytes)
{
	log->sync_bytes = log->sync_bytes - log->sync_bytes / 16 + n_bytes / 16;
	if (log->are_syncs_small || log->sync_bytes >= SMALL_SYNC) {
		log->are_syncs_small = log->are_syncs_small && log->sync_bytes < LARGE_SYNC;
		return;
	}
	/* What was prepared for a fast writer comes in large folios: once more, from here. */
	log->are_syncs_small = true;
	log->present_upto = log->present_upto < log->end ? log->present_upto : log->end;
	if (!log->ahead.writes_zeros)
		log->ahead.upto = 0;
	clog_look_ahead(log);
}

bool log_zero_plan(struct commit_log *log, uint64_t *from, uint64_t *upto)
{
	uint64_t at = (*from + FOLIO_BYTES - 1) / FOLIO_BYTES * FOLIO_BYTES;
	uint64_t clear = log->end + log->reserved + SLACK_BYTES;
	uint64_t most = (at / STEP_BYTES + 1) * STEP_BYTES;
	uint64_t segment_end = (at / log->segment_bytes + 1) * log->segment_bytes;
	uint64_t index = at / log->segment_bytes - log->first;
	if (at < clear || index >= log->n) { /* so near only pages are prepared, without zeros */
		*upto = *upto < clear ? *upto : clear;
		return false;
	}
	most = most < segment_end ? most : segment_end;
	*upto = *upto < most ? *upto : most;
	log->ahead.zero_map = log->segments[index]->map + at % log->segment_bytes;
	*from = log->ahead.zero_from = log->lend_upto = at;
	return true;
}

/* [helper] The file still has its name: whoever takes that away does so on this thread. */
static int zero_open(const struct ahead *ahead)
{
	struct mosaic_store *store = ahead->job.store;
	uint64_t size = store->options.segment_bytes;
	char path[PATH_BYTES];
	segment_path(path, ahead->zero_from - ahead->zero_from % size);
	return io_open(store->dir_fd, path, O_RDWR);
}

/* There a second write of a block needs a new one: what was allocated for the writer would be used
 * up, and a full disk would meet it as a signal. */
static bool copies_on_write(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) != 0 || fs.f_type == BTRFS_MAGIC || fs.f_type == ZFS_MAGIC ||
	       fs.f_type == BCACHEFS_MAGIC;
}

void log_zero_run(struct ahead *ahead)
{
	static const uint8_t zeros[FOLIO_BYTES];
	uint64_t size = ahead->job.store->options.segment_bytes;
	uint64_t from = ahead->zero_from % size;
	uint64_t n_bytes = ahead->upto - ahead->zero_from;
	int fd = zero_open(ahead);
	if (fd < 0) { /* cut meanwhile: nobody will use it */
		ahead->write_errno = fd == -ENOENT ? 0 : -fd;
		return;
	}
	if (copies_on_write(fd)) {
		close(fd);
		return;
	}
	/* Large folios that are there already are not taken over. */
	madvise(ahead->zero_map, n_bytes, MADV_DONTNEED);
	sync_file_range(fd, (off_t)from, (off_t)n_bytes, WRITE_AND_WAIT);
	posix_fadvise(fd, (off_t)from, (off_t)n_bytes, POSIX_FADV_DONTNEED);
	int rc = 0;
	for (uint64_t done = 0; done < n_bytes && rc == 0; done += FOLIO_BYTES) {
		uint64_t left = n_bytes - done;
		const void *base = zeros;
		struct iovec iov = { .iov_len = left < FOLIO_BYTES ? left : FOLIO_BYTES };
		__builtin_memcpy(&iov.iov_base, &base, sizeof(base)); /* an iovec has no const */
		rc = io_pwritev(fd, &iov, 1, from + done);
	}
	/* No flush of the disk: syncs of what is written later do that. */
	if (rc == 0 && sync_file_range(fd, (off_t)from, (off_t)n_bytes, WRITE_AND_WAIT) != 0)
		rc = errno;
	close(fd);
	ahead->write_errno = rc == ENOSPC ? 0 : rc; /* none was promised: the sync will tell */
}
