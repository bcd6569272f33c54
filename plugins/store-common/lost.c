#include "lost.h"

#include "io.h"
#include "log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIES 3
#define PAUSE_NS 100000000L
/* In one verdict: a dying disk takes seconds for each. What follows is found when it is read. */
#define PAGES_MOST 16
#define TELL_NS UINT64_C(1000000000)

static uint64_t page_of(uint64_t offset)
{
	return offset & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Around the page cache, where the file system can. */
static int open_direct(const struct mosaic_store *store, uint64_t start)
{
	char path[LOG_PATH_BYTES];
	log_path(path, start);
	int fd = io_open(store->dir_fd, path, O_RDONLY | O_DIRECT);
	return fd == -EINVAL ? io_open(store->dir_fd, path, O_RDONLY) : fd;
}

/* Page `at` of the file; false: *os_errno, 0 when the file ends before. */
static bool page_reads(int fd, uint8_t *page, uint64_t at, int *os_errno)
{
	int64_t n = io_pread(fd, page, PAGE_BYTES, at);
	*os_errno = n < 0 ? (int)-n : 0;
	return n == PAGE_BYTES;
}

/* The first pages from lost->offset on that cannot be read, below `upto`. False: all can. */
static bool find_lost(const struct mosaic_store *store, int fd, uint8_t *page, uint64_t upto,
		      struct lost *lost)
{
	uint64_t size = store->options.segment_bytes;
	uint32_t n = 0;
	for (uint64_t at = page_of(lost->offset); at < upto && n < PAGES_MOST; at += PAGE_BYTES) {
		int os_errno;
		bool reads = page_reads(fd, page, at % size, &os_errno);
		if (reads && n > 0)
			break;
		if (reads)
			continue;
		lost->offset = n > 0 ? lost->offset : at;
		lost->os_errno = os_errno;
		n++;
	}
	lost->len = n * PAGE_BYTES;
	return n > 0;
}

/* Errors of a place, as the block layer tells them; others are of a device that is gone or of
 * whoever asked. */
static bool is_of_place(int os_errno)
{
	return os_errno == 0 || os_errno == EIO || os_errno == ENODATA || os_errno == EILSEQ ||
	       os_errno == EBADMSG || os_errno == EREMOTEIO;
}

/* Whether the disk gives back a page of what it has been given. */
static bool page_is_there(const struct mosaic_store *store, const struct lost *lost, uint8_t *page,
			  uint64_t at)
{
	uint64_t size = store->options.segment_bytes;
	int os_errno;
	if (at < page_of(lost->begin) || at >= lost->written ||
	    (at >= lost->offset && at < lost->offset + lost->len))
		return false;
	int fd = open_direct(store, at - at % size);
	if (fd < 0)
		return false;
	bool reads = page_reads(fd, page, page_of(at % size), &os_errno);
	close(fd);
	return reads;
}

/* Others are near and far: what is damaged lies together. */
static bool disk_reads(const struct mosaic_store *store, const struct lost *lost, uint8_t *page)
{
	uint64_t size = store->options.segment_bytes, start = lost->offset - lost->offset % size;
	const uint64_t places[] = { lost->offset - PAGE_BYTES, lost->offset + lost->len, start,
				    start + size - PAGE_BYTES, lost->written - PAGE_BYTES,
				    start - size,  start + size, lost->begin };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (page_is_there(store, lost, page, places[i]))
			return true;
	return false;
}

static int32_t judge(const struct mosaic_store *store, int fd, uint8_t *page, struct lost *lost)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t upto = lost->offset + lost->len;
	for (int i = 0; i < TRIES; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		if (!find_lost(store, fd, page, upto, lost))
			return 0;
		upto = lost->offset + lost->len;
	}
	return is_of_place(lost->os_errno) && disk_reads(store, lost, page) ? MOSAIC_E_LOST
									   : MOSAIC_E_IO;
}

int32_t lost_judge(struct mosaic_store *store, struct lost *lost)
{
	uint64_t in_segment = lost->offset % store->options.segment_bytes;
	int fd = open_direct(store, lost->offset - in_segment);
	uint8_t *page = fd >= 0 ? aligned_alloc(PAGE_BYTES, PAGE_BYTES) : NULL;
	int32_t verdict = MOSAIC_E_IO;
	lost->os_errno = fd < 0 ? -fd : ENOMEM;
	if (page)
		verdict = judge(store, fd, page, lost);
	free(page);
	if (fd >= 0)
		close(fd);
	return verdict;
}

void lost_tell(struct mosaic_store *store, int32_t verdict, const struct lost *lost)
{
	uint64_t now = store->host->now_ns(store->host);
	char path[LOG_PATH_BYTES];
	if (store->lost_told_ns != 0 && now - store->lost_told_ns < TELL_NS)
		return;
	store->lost_told_ns = now;
	log_path(path, lost->offset - lost->offset % store->options.segment_bytes);
	store_log(store, MOSAIC_LOG_ERROR,
		  verdict == MOSAIC_E_LOST ? "log_unreadable" : "disk_unreadable",
		  "file=%s/%s at=%" PRIu64 " bytes=%u reason=\"%s\" text=\"%s\"",
		  store->options.dir, path, lost->offset, lost->len,
		  lost->os_errno != 0 ? strerror(lost->os_errno) : "the file ends before",
		  verdict == MOSAIC_E_LOST
			  ? "the messages in it are skipped; replace the disk"
			  : "no other place of the log can be read: consumers wait for the disk");
}
