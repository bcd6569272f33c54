/*
 * Reads of the commit log: the mapped bytes as they lie, when the page cache has them. What it does
 * not have is brought in first by the reader, one thread that gives way to the others, and never by
 * a fault of the core thread. That holds at the end of the log too: what was written a moment ago
 * may have gone to the disk and out of memory.
 *
 * Failure modes: the disk cannot read, lost.h says what that means; the file is shorter than it was
 * (somebody has cut it): the same, as it is read through the file and not through the mapping.
 */
#include "commit_log.h"

#include "io.h"
#include "lost.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Readers within this much of the end come often and read little: their probes look less far. */
#define NEAR_BYTES (UINT64_C(32) << 20)
#define NEAR_PAGES 64
#define PROBE_PAGES 256 /* a page that is not mapped yet costs 50 ns */
#define FIRST_PAGES 16  /* of a probe; what is cold is often cold from there on */
#define WARM_NS UINT64_C(50000000)         /* how long a probe is believed: 50 ms */
#define READ_AHEAD ((size_t)512 << 10)     /* least that a cold read fetches */
#define READ_PACED ((size_t)128 << 10)     /* the same beside a writer */
#define READ_STEP ((size_t)64 << 10)
#define READ_ON_GAP (UINT64_C(256) << 10)  /* so near to the end of the last one is reading on */

struct cold_read {
	struct job job; /* first */
	struct pace_turn turn;
	struct mosaic_read *read;
	struct segment *segment;
	bool is_there;              /* when it is its turn; else: */
	bool has_ahead;             /* all that was waited for has come */
	uint64_t from;              /* in the segment, on a page */
	size_t n_need, n_ahead;     /* waited for: what was asked for; what lies behind it */
	size_t n_behind;            /* behind both, wanted next: asked for and not waited for */
	struct lost lost;
};

/* ---- what is in memory ---- */

/* How many of n_pages from `from` on are in memory without a gap. */
static size_t resident_pages(uint8_t *from, size_t n_pages)
{
	unsigned char present[PROBE_PAGES];
	size_t n = 0;
	if (mincore(from, n_pages * PAGE_BYTES, present) != 0)
		return 0;
	while (n < n_pages && (present[n] & 1))
		n++;
	return n;
}

/* The stretch that this one continues or repeats, or the next in turn. */
static struct warm *warm_slot(struct commit_log *log, uint64_t from)
{
	for (uint32_t i = 0; i < WARM_STRETCHES; i++)
		if (from >= log->warm[i].from && from <= log->warm[i].upto)
			return &log->warm[i];
	return &log->warm[log->next_warm++ % WARM_STRETCHES];
}

static bool is_known_warm(const struct commit_log *log, uint64_t now, uint64_t offset, uint32_t len)
{
	for (uint32_t i = 0; i < WARM_STRETCHES; i++) {
		const struct warm *w = &log->warm[i];
		if (offset >= w->from && offset + len <= w->upto && now - w->ns < WARM_NS)
			return true;
	}
	return false;
}

/*
 * Whether [offset, offset + len) of a segment can be touched without waiting for the disk. One
 * probe looks at a whole stretch and is believed for a moment: readers go forward in small steps,
 * and a system call for each record would cost more than the record.
 */
static bool is_warm(struct commit_log *log, const struct segment *segment, uint64_t offset,
		    uint32_t len)
{
	const struct mosaic_host *host = log->base.store->host;
	uint64_t now = host->now_ns(host);
	if (is_known_warm(log, now, offset, len))
		return true;
	uint64_t in_segment = offset - segment->start;
	uint64_t from = in_segment & ~(uint64_t)(PAGE_BYTES - 1);
	uint64_t need = (in_segment + len - from + PAGE_BYTES - 1) / PAGE_BYTES;
	uint64_t left = (log->segment_bytes - from) / PAGE_BYTES;
	uint64_t wish = log->end - offset > NEAR_BYTES ? PROBE_PAGES : NEAR_PAGES;
	uint64_t most = left < wish ? left : wish;
	size_t n_pages = need > most ? need : most, present = 0, part = FIRST_PAGES;
	for (size_t at = 0; at < n_pages && at == present; at += part, part = 3 * at) {
		if (part > PROBE_PAGES)
			part = PROBE_PAGES;
		if (part > n_pages - at)
			part = n_pages - at;
		present += resident_pages(segment->map + from + at * PAGE_BYTES, part);
	}
	if (present < need)
		return false;
	from += segment->start;
	uint64_t upto = from + present * PAGE_BYTES;
	if (upto >= log->end) /* and what this thread writes meanwhile */
		upto = UINT64_MAX;
	*warm_slot(log, from) = (struct warm){ from, upto, now };
	return true;
}

/* ---- what is not ---- */

/*
 * [reader] Into the page cache through the file: a fault of the mapping would hold the process's
 * memory map, for which the core thread may have to wait, and a damaged sector is an error here
 * instead of SIGBUS at the first touch. False: not all of it.
 */
static bool bring_in(int fd, uint64_t at, size_t n_bytes)
{
	uint8_t scratch[READ_STEP];
	for (size_t done = 0; done < n_bytes;) {
		size_t step = n_bytes - done < READ_STEP ? n_bytes - done : READ_STEP;
		if (io_pread(fd, scratch, step, at + done) != (int64_t)step)
			return false;
		done += step;
	}
	return true;
}

/* [reader] It is tried once more, whatever the first failure was: what it was is told by then. */
static void cold_failed(struct cold_read *cold, int fd)
{
	struct job *job = &cold->job;
	cold->lost.offset = cold->segment->start + cold->from;
	cold->lost.len = (uint32_t)cold->n_need;
	job->status = lost_judge(job->store, &cold->lost);
	if (job->status == 0 && !bring_in(fd, cold->from, cold->n_need))
		job->status = MOSAIC_E_IO;
}

static size_t cold_bytes(const struct cold_read *cold)
{
	return cold->n_need + cold->n_ahead + cold->n_behind;
}

static void cold_run(struct job *job)
{
	struct cold_read *cold = (struct cold_read *)job;
	char path[LOG_PATH_BYTES];
	if (cold->is_there)
		return;
	log_path(path, cold->segment->start);
	int fd = io_open(job->store->dir_fd, path, O_RDONLY);
	if (fd < 0) {
		job_fail(job, -fd, "cannot open the commit log"); /* or it was deleted meanwhile */
		return;
	}
	/* No more than that: the kernel's own read-ahead, of 8 MiB on some disks, has no pace. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	(void)posix_fadvise(fd, (off_t)cold->from, (off_t)cold_bytes(cold), POSIX_FADV_WILLNEED);
	if (bring_in(fd, cold->from, cold->n_need))
		cold->has_ahead = bring_in(fd, cold->from + cold->n_need, cold->n_ahead);
	else
		cold_failed(cold, fd);
	close(fd);
}

/* It is in memory whether the kernel says so or not, as for some file systems it cannot: who asked
 * comes again for it now. */
static void cold_is_warm(const struct cold_read *cold)
{
	struct commit_log *log = cold->job.store->log;
	const struct mosaic_host *host = cold->job.store->host;
	uint64_t from = cold->segment->start + cold->from;
	uint64_t upto = from + cold->n_need + (cold->has_ahead ? cold->n_ahead : 0);
	*warm_slot(log, from) = (struct warm){ from, upto, host->now_ns(host) };
}

static int32_t cold_status(const struct cold_read *cold)
{
	if (cold->job.status == 0 || cold->job.status == MOSAIC_E_LOST)
		return cold->job.status;
	return cold->segment->is_retired ? MOSAIC_E_NOTFOUND : MOSAIC_E_IO;
}

static void cold_done(struct job *job)
{
	struct cold_read *cold = (struct cold_read *)job;
	struct mosaic_store *store = job->store;
	struct mosaic_read *read = cold->read;
	int32_t status = cold_status(cold);
	if (status == MOSAIC_E_LOST || (status == MOSAIC_E_IO && cold->lost.len > 0))
		lost_tell(store, status, &cold->lost);
	if (status == MOSAIC_E_LOST) {
		read->offset = cold->lost.offset;
		read->len = cold->lost.len;
	}
	if (status == 0) {
		if (!cold->is_there)
			cold_is_warm(cold);
	} else {
		segment_unpin(cold->segment);
		read->ptr = NULL;
	}
	free(cold);
	store_done(store, &read->req, status);
}

static struct cold_read *cold_of(struct pace_turn *turn)
{
	return (struct cold_read *)(void *)((char *)turn - offsetof(struct cold_read, turn));
}

/* Other queues have their messages in the same stretch, and may have had it fetched. */
static uint64_t cold_cost(struct pace_turn *turn)
{
	struct cold_read *cold = cold_of(turn);
	const struct mosaic_read *read = cold->read;
	cold->is_there = is_warm(cold->job.store->log, cold->segment, read->offset, read->len);
	return cold->is_there ? 0 : cold_bytes(cold);
}

static void cold_go(struct pace_turn *turn)
{
	struct cold_read *cold = cold_of(turn);
	worker_submit(&cold->job.store->log->reader, &cold->job);
}

/* Fetches [read->ptr, + len) and what comes behind up to `limit`, which is wanted soon. */
static int32_t clog_read_cold(struct commit_log *log, struct segment *segment, uint64_t limit,
			      struct mosaic_read *read)
{
	struct mosaic_store *store = log->base.store;
	struct cold_read *cold = calloc(1, sizeof(*cold));
	int32_t rc = cold ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(cold);
		return rc;
	}
	uint64_t in_segment = read->offset - segment->start;
	cold->from = in_segment & ~(uint64_t)(PAGE_BYTES - 1);
	cold->n_need = in_segment + read->len - cold->from;
	size_t most = limit - segment->start - cold->from - cold->n_need;
	bool is_paced = pace_is_on(&log->pace);
	size_t ahead = is_paced ? READ_PACED : READ_AHEAD;
	ahead = cold->n_need < ahead ? ahead - cold->n_need : 0;
	cold->n_ahead = ahead < most ? ahead : most;
	most -= cold->n_ahead;
	bool reads_on = read->offset + READ_ON_GAP >= log->brought_upto &&
			read->offset <= log->brought_upto + READ_ON_GAP;
	if (reads_on && !is_paced)
		cold->n_behind = READ_AHEAD < most ? READ_AHEAD : most;
	log->brought_upto = segment->start + cold->from + cold->n_need + cold->n_ahead;
	cold->lost.begin = log->begin;
	cold->lost.written = log->synced;
	cold->read = read;
	cold->segment = segment;
	segment->pins++;
	cold->job.store = store;
	cold->job.run = cold_run;
	cold->job.done = cold_done;
	cold->turn.cost = cold_cost;
	cold->turn.go = cold_go;
	pace_ask(&log->pace, &cold->turn);
	return MOSAIC_PENDING;
}

/* ---- both ---- */

int32_t clog_read(struct commit_log *log, uint64_t offset, uint32_t len, struct mosaic_read *read)
{
	if (offset < log->begin || offset >= log->end)
		return MOSAIC_E_NOTFOUND;
	if (len == 0)
		return MOSAIC_E_INVAL;
	struct segment *segment = log->segments[offset / log->segment_bytes - log->first];
	uint64_t limit = segment->start + log->segment_bytes;
	if (limit > log->end)
		limit = log->end;
	read->offset = offset;
	read->ptr = segment->map + (offset - segment->start);
	read->len = limit - offset < len ? (uint32_t)(limit - offset) : len;
	read->pin[0] = (uint64_t)(uintptr_t)segment;
	read->pin[1] = MOSAIC_COMMIT_LOG;
	if (!is_warm(log, segment, offset, read->len))
		return clog_read_cold(log, segment, limit, read);
	segment->pins++;
	return 0;
}

void clog_unpin(struct mosaic_read *read)
{
	segment_unpin((struct segment *)(uintptr_t)read->pin[0]);
}
