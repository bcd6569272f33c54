/*
 * Pages ahead of the writer: zeros, written through the file before the writer comes.
 *
 * A page is had in two ways, by reading the hole that is there or by writing zeros to it, and three
 * things speak for the second:
 *   - Read-ahead fills a whole window, 8 MiB on some disks, in one go that nothing interrupts:
 *     2 ms of a processor, 20 ms in a virtual machine whose host has taken the memory back, as it
 *     does with free folios of 2 MiB. What write() brings in comes in folios of the size of the
 *     call, and a call can be short.
 *   - A store through a mapping makes a whole folio dirty, so behind a read-ahead a sync of one
 *     message wrote 2 MiB (250 us instead of 90 here). A writer whose every few messages are synced
 *     gets folios of 16 KiB.
 *   - A fresh block of an allocated file is "unwritten": the first sync of each changes the file's
 *     map and waits for the file system's journal. For small syncs the zeros go to the disk at
 *     once; later syncs write data only.
 *
 * write() is not atomic against the writer of the mapping, so reserve() lends nothing of the range
 * (lend_upto). A writer that comes there takes what is left of the range away from this thread, and
 * waits at most for the piece that is being written.
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
#define SMALL_FOLIO (UINT64_C(16) << 10)
#define FOLIO_BYTES (UINT64_C(64) << 10)
/* One job at most: the helper has consume queues to write too. The largest folio: a part of one
 * cannot be dropped. */
#define STEP_BYTES (UINT64_C(2) << 20)
/* The writer goes on for so long before it has to wait for the job. */
#define SLACK_BYTES (UINT64_C(256) << 10)

/* Large syncs share the cost of their pages among many messages; below it is worth a second write.
 * Two borders, so that it does not change to and fro. */
#define SMALL_SYNC (UINT64_C(80) << 10)
#define LARGE_SYNC (UINT64_C(128) << 10)

/* Of the range that a job writes: whoever changes ZERO_FREE has it. */
enum zero_state {
	ZERO_FREE,
	ZERO_WRITES, /* the helper is writing a piece */
	ZERO_WANTED, /* the same, its last one: the writer waits */
	ZERO_TAKEN,  /* the writer is in it */
};

static bool zero_turns(struct ahead *ahead, int from, int to)
{
	return atomic_compare_exchange_strong_explicit(&ahead->zero_state, &from, to,
						       memory_order_acq_rel, memory_order_relaxed);
}

void log_zero_learn(struct commit_log *log, uint64_t n_bytes)
{
	log->sync_bytes = log->sync_bytes - log->sync_bytes / 16 + n_bytes / 16;
	if (log->are_syncs_small || log->sync_bytes >= SMALL_SYNC) {
		log->are_syncs_small = log->are_syncs_small && log->sync_bytes < LARGE_SYNC;
		return;
	}
	/* What was prepared for a fast writer is in large folios and not on the disk: once more. */
	log->are_syncs_small = true;
	log->present_upto = log->present_upto < log->end ? log->present_upto : log->end;
	log->ahead.is_stale = !log->ahead.writes_zeros || !log->ahead.zeros_are_synced;
	clog_look_ahead(log);
}

bool log_zero_plan(struct commit_log *log, uint64_t *from, uint64_t *upto)
{
	uint64_t at = (*from + FOLIO_BYTES - 1) / FOLIO_BYTES * FOLIO_BYTES;
	uint64_t clear = log->end + log->reserved + SLACK_BYTES;
	uint64_t most = (at / STEP_BYTES + 1) * STEP_BYTES;
	uint64_t segment_end = (at / log->segment_bytes + 1) * log->segment_bytes;
	uint64_t index = at / log->segment_bytes - log->first;
	if (at >= *upto) /* less than a folio is left, as in a small segment */
		return false;
	if (at < clear || index >= log->n) { /* so near pages are only touched */
		*upto = *upto < clear ? *upto : clear;
		return false;
	}
	most = most < segment_end ? most : segment_end;
	*upto = *upto < most ? *upto : most;
	log->ahead.zero_map = log->segments[index]->map + at % log->segment_bytes;
	log->ahead.zeros_are_synced = log->are_syncs_small;
	atomic_store_explicit(&log->ahead.zero_state, ZERO_FREE, memory_order_relaxed);
	*from = log->ahead.zero_from = log->lend_upto = at;
	return true;
}

bool log_zero_take(struct commit_log *log)
{
	/* Only the helper moves it between FREE and WRITES, and a piece takes longer than this. */
	while (!zero_turns(&log->ahead, ZERO_FREE, ZERO_TAKEN))
		if (zero_turns(&log->ahead, ZERO_WRITES, ZERO_WANTED) ||
		    zero_turns(&log->ahead, ZERO_WANTED, ZERO_WANTED))
			return false;
	log->lend_upto = UINT64_MAX;
	return true;
}

/* [helper] The file still has its name: whoever takes that away does so on this thread. */
static int zero_open(const struct ahead *ahead)
{
	struct mosaic_store *store = ahead->job.store;
	uint64_t size = store->options.segment_bytes;
	char path[LOG_PATH_BYTES];
	log_path(path, ahead->zero_from - ahead->zero_from % size);
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

/* [helper] Pieces of a folio each, until the writer is there; out: what was written, in bytes. */
static int write_pieces(struct ahead *ahead, int fd, uint64_t from, uint64_t n_bytes,
			uint64_t *done)
{
	const uint64_t most = ahead->zeros_are_synced ? SMALL_FOLIO : FOLIO_BYTES;
	int rc = 0;
	for (*done = 0; *done < n_bytes && rc == 0;) {
		const uint64_t step = n_bytes - *done < most ? n_bytes - *done : most;
		if (!zero_turns(ahead, ZERO_FREE, ZERO_WRITES))
			break;
		rc = io_write_zeros(fd, from + *done, from + *done + step);
		*done += step;
		if (!zero_turns(ahead, ZERO_WRITES, ZERO_FREE))
			break;
		if (*done % FOLIO_BYTES == 0)
			ahead_rest(ahead);
	}
	return rc;
}

/* [helper] */
static int write_zeros(struct ahead *ahead, int fd, uint64_t from, uint64_t n_bytes, uint64_t *done)
{
	if (!ahead->zeros_are_synced)
		return write_pieces(ahead, fd, from, n_bytes, done);
	/* Large folios that are there already are not taken over. */
	madvise(ahead->zero_map, n_bytes, MADV_DONTNEED);
	sync_file_range(fd, (off_t)from, (off_t)n_bytes, WRITE_AND_WAIT);
	posix_fadvise(fd, (off_t)from, (off_t)n_bytes, POSIX_FADV_DONTNEED);
	int rc = write_pieces(ahead, fd, from, n_bytes, done);
	/* No flush of the disk: syncs of what is written later do that. */
	if (rc == 0 && sync_file_range(fd, (off_t)from, (off_t)*done, WRITE_AND_WAIT) != 0)
		rc = errno;
	return rc;
}

void log_zero_run(struct ahead *ahead)
{
	uint64_t n_bytes = ahead->upto - ahead->zero_from;
	int fd = zero_open(ahead);
	if (fd < 0) { /* cut meanwhile: nobody will use it */
		ahead->write_errno = fd == -ENOENT ? 0 : -fd;
		return;
	}
	if (!copies_on_write(fd)) {
		uint64_t from = ahead->zero_from % ahead->job.store->options.segment_bytes;
		int rc = write_zeros(ahead, fd, from, n_bytes, &n_bytes);
		/* No room was promised: the sync will tell. */
		ahead->write_errno = rc == ENOSPC ? 0 : rc;
		ahead->upto = ahead->zero_from + n_bytes;
	}
	close(fd);
	/* Synced zeros stay clean until there are bytes in them. */
	if (!ahead->zeros_are_synced)
		log_populate(ahead, ahead->zero_map, n_bytes);
}
