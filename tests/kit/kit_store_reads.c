/*
 * Cold reads of the commit log: who makes them, and what it means that they fail.
 */
#include "store_kit.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define SEGMENT (1 << 20)
#define BYTES (SEGMENT + 300000) /* tests look at the first segment, which is closed */
#define PAGE 4096
#define BELIEF_NS 50000000 /* how long store-mmap believes the kernel */

#ifndef IORING_NOP_INJECT_RESULT
#define IORING_NOP_INJECT_RESULT (1U << 0) /* kernels before 6.10 answer EINVAL: an error too */
#endif

extern const struct mosaic_plugin mosaic_plugin_store_mmap, mosaic_plugin_store_uring;

/* Reads of segments that fail, and who has read; workers change it: __atomic. */
static struct {
	uint64_t from, upto; /* in the file */
	int os_errno, n_left;
	int nothing_is_resident;
	uint32_t n_probes, n_by_core, n_by_reader, n_by_others, n_by_ring;
	pthread_t core;
} disk;

static void count(uint32_t *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
}

/* As the kernel does it: the pages that it needs. */
static bool read_fails(uint64_t at, uint64_t len)
{
	uint64_t from = at / PAGE * PAGE, upto = (at + len + PAGE - 1) / PAGE * PAGE;
	return from < disk.upto && upto > disk.from &&
	       __atomic_sub_fetch(&disk.n_left, 1, __ATOMIC_SEQ_CST) >= 0;
}

static bool is_segment(int fd)
{
	char link[64], path[256];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	return strstr(path, "/commitlog/") != NULL;
}

static void count_reader(void)
{
	char name[16] = "";
	pthread_getname_np(pthread_self(), name, sizeof(name));
	count(pthread_equal(pthread_self(), disk.core)	? &disk.n_by_core :
	      strcmp(name, "store-read") == 0		? &disk.n_by_reader :
							  &disk.n_by_others);
}

ssize_t __real_pread(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at)
{
	if (is_segment(fd)) {
		count_reader();
		if (read_fails((uint64_t)at, len)) {
			errno = disk.os_errno;
			return -1;
		}
	}
	return __real_pread(fd, buf, len, at);
}

int __real_mincore(void *at, size_t len, unsigned char *present);
int __wrap_mincore(void *at, size_t len, unsigned char *present);
int __wrap_mincore(void *at, size_t len, unsigned char *present)
{
	count(&disk.n_probes);
	if (!disk.nothing_is_resident)
		return __real_mincore(at, len, present);
	memset(present, 0, (len + PAGE - 1) / PAGE);
	return 0;
}

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring)
{
	for (unsigned at = ring->sq.sqe_head; at != ring->sq.sqe_tail; at++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[at & *ring->sq.kring_mask];
		if (sqe->opcode != IORING_OP_READ)
			continue;
		count(&disk.n_by_ring);
		if (!read_fails(sqe->off, sqe->len))
			continue;
		sqe->opcode = IORING_OP_NOP;
		sqe->flags &= (__u8)~IOSQE_FIXED_FILE;
		sqe->rw_flags = IORING_NOP_INJECT_RESULT;
		sqe->len = (__u32)-disk.os_errno;
		sqe->off = sqe->addr = 0;
		sqe->buf_index = 0;
		sqe->fd = -1;
	}
	return __real_io_uring_submit(ring);
}

static void break_disk(uint64_t from, uint64_t upto, int os_errno, int n_times)
{
	disk.from = from;
	disk.upto = upto;
	disk.os_errno = os_errno;
	__atomic_store_n(&disk.n_left, n_times, __ATOMIC_SEQ_CST);
}

static void heal_disk(void)
{
	break_disk(0, 0, 0, 0);
}

static bool is_mapped(const struct store_kit *k)
{
	return k->plugin == &mosaic_plugin_store_mmap;
}

/* A log that was written in another life, none of it in memory; `rate` is that of cold reads. */
static void start_cold_with(struct store_kit *k, void **state, const char *rate)
{
	memset(&disk, 0, sizeof(disk));
	disk.core = pthread_self();
	kit_init(k, *state);
	kit_option(k, "segment", "1048576");
	kit_option(k, "coldRead", rate);
	if (!is_mapped(k))
		kit_option(k, "cache", "1MiB"); /* less than the log */
	kit_open_at(k, 0);
	kit_append(k, k->log, BYTES);
	assert_int_equal(kit_sync(k, k->log, BYTES), 0);
	assert_int_equal(kit_close(k), 0);
	disk.nothing_is_resident = 1;
	kit_open_at(k, BYTES);
}

static void start_cold(struct store_kit *k, void **state)
{
	start_cold_with(k, state, "64MiB");
}

static void stop(struct store_kit *k)
{
	heal_disk();
	assert_int_equal(k->h.n_failed, 0); /* it goes on serving */
	assert_int_equal(kit_close(k), 0);
	kit_fini(k);
}

static void assert_lost(struct store_kit *k, uint64_t offset, uint32_t len, uint64_t from,
			uint64_t upto)
{
	struct mosaic_read read = { 0 };
	assert_int_equal(kit_read(k, k->log, offset, len, &read), MOSAIC_E_LOST);
	assert_int_equal(read.offset, from);
	assert_int_equal(read.len, upto - from);
	assert_null(read.ptr);
}

/* ---- what a failure means ---- */

static void what_cannot_be_read_is_lost_and_its_neighbours_are_not(void **state)
{
	struct store_kit k;
	start_cold(&k, state);
	break_disk(2 * PAGE + 512, 4 * PAGE - 512, EIO, INT32_MAX);
	assert_lost(&k, 2 * PAGE + 9, 1, 2 * PAGE, 3 * PAGE);
	assert_lost(&k, PAGE, 20 * PAGE, 2 * PAGE, 4 * PAGE);
	kit_check(&k, k.log, 0, 2 * PAGE);
	kit_check(&k, k.log, 4 * PAGE, SEGMENT);
	assert_true(loop_host_logged(&k.h, "log_unreadable"));
	stop(&k);
}

static void a_disk_that_reads_nothing_has_lost_nothing(void **state)
{
	struct store_kit k;
	struct mosaic_read read = { 0 };
	start_cold(&k, state);
	break_disk(0, UINT64_MAX, EIO, INT32_MAX);
	assert_int_equal(kit_read(&k, k.log, 9000, 100, &read), MOSAIC_E_IO);
	assert_true(loop_host_logged(&k.h, "disk_unreadable"));
	heal_disk();
	kit_check(&k, k.log, 0, BYTES);
	stop(&k);
}

/* The disk reads other places, from a cache of its own perhaps, and says that it is gone. */
static void a_device_that_is_gone_has_lost_nothing(void **state)
{
	struct store_kit k;
	struct mosaic_read read = { 0 };
	start_cold(&k, state);
	break_disk(2 * PAGE, 3 * PAGE, ENXIO, INT32_MAX);
	assert_int_equal(kit_read(&k, k.log, 9000, 100, &read), MOSAIC_E_IO);
	stop(&k);
}

static void a_failure_that_passes_is_not_noticed(void **state)
{
	struct store_kit k;
	for (int n_times = 1; n_times <= 3; n_times++) {
		start_cold(&k, state);
		break_disk(2 * PAGE, 3 * PAGE, EIO, n_times);
		kit_check(&k, k.log, 9000, 9100);
		kit_check(&k, k.log, 0, BYTES);
		stop(&k);
	}
}

/* No signal either: the mapping is not touched where nothing is behind it. */
static void a_file_that_was_cut_costs_what_it_lacks(void **state)
{
	struct store_kit k;
	char path[128];
	start_cold(&k, state);
	disk.nothing_is_resident = 0;
	snprintf(path, sizeof(path), "%s/commitlog/%020d", k.dir, 0);
	assert_int_equal(truncate(path, 5 * PAGE), 0);
	assert_lost(&k, 10 * PAGE, 10, 10 * PAGE, 11 * PAGE);
	assert_lost(&k, 4 * PAGE, 3 * PAGE, 5 * PAGE, 7 * PAGE);
	kit_check(&k, k.log, 0, 5 * PAGE);
	assert_int_equal(truncate(path, SEGMENT), 0);
	stop(&k);
}

/* ---- who reads ---- */

static void assert_read_elsewhere(struct store_kit *k, uint64_t offset)
{
	struct mosaic_read read = { 0 };
	uint32_t n_done, n_reads = disk.n_by_reader, n_rings = disk.n_by_ring;
	kit_expect(&read.req, &n_done);
	assert_int_equal(k->ops->read(k->log, offset, 100, &read), MOSAIC_PENDING);
	kit_wait(k, &n_done);
	assert_int_equal(read.req.status, 0);
	assert_int_equal(read.ptr[0], kit_byte(offset));
	k->ops->unpin(k->log, &read);
	assert_int_equal(disk.n_by_core, 0);
	assert_int_equal(disk.n_by_others, 0);
	assert_true(disk.n_by_reader > n_reads || disk.n_by_ring > n_rings);
	assert_int_equal(disk.n_by_reader > n_reads, is_mapped(k));
}

static void cold_reads_leave_the_core_thread_alone(void **state)
{
	struct store_kit k;
	start_cold(&k, state);
	disk.n_by_core = disk.n_by_others = 0; /* opening has looked for the end */
	assert_read_elsewhere(&k, 0);
	stop(&k);
}

/* What this process wrote may have gone out of memory as well; store-uring has its last bytes in
 * memory of its own. */
static void the_last_bytes_may_be_cold_too(void **state)
{
	struct store_kit k;
	struct mosaic_read read = { 0 };
	start_cold(&k, state);
	kit_append(&k, k.log, 10000);
	disk.n_by_core = disk.n_by_others = 0;
	if (is_mapped(&k)) {
		assert_read_elsewhere(&k, BYTES + 9000);
	} else {
		assert_int_equal(k.ops->read(k.log, BYTES + 9000, 100, &read), 0);
		k.ops->unpin(k.log, &read);
	}
	stop(&k);
}

/* One probe for a stretch and a moment. */
static void a_reader_at_the_end_seldom_asks_the_kernel(void **state)
{
	enum { N = 200, STEP = 500 };
	struct store_kit k;
	start_cold(&k, state);
	disk.nothing_is_resident = 0;
	uint64_t from_ns = k.h.host.now_ns(&k.h.host);
	disk.n_probes = 0;
	for (int i = 0; i < N; i++) {
		struct mosaic_read read = { 0 };
		kit_append(&k, k.log, STEP);
		assert_int_equal(k.ops->read(k.log, BYTES + i * STEP, STEP, &read), 0);
		assert_int_equal(read.ptr[0], kit_byte(BYTES + i * STEP));
		k.ops->unpin(k.log, &read);
	}
	uint64_t took_ns = k.h.host.now_ns(&k.h.host) - from_ns;
	assert_in_range(disk.n_probes, 0, 2 * (2 + took_ns / BELIEF_NS)); /* it asks in two steps */
	stop(&k);
}

/* A probe of many pages holds the core thread up as a slow send would. */
static void what_a_read_has_fetched_ahead_is_not_asked_for(void **state)
{
	enum { AHEAD = 65536, STEP = 1000 };
	struct store_kit k;
	struct mosaic_read read = { 0 };
	start_cold(&k, state);
	assert_int_equal(kit_read(&k, k.log, 0, STEP, &read), 0);
	k.ops->unpin(k.log, &read);
	uint32_t n_probes = disk.n_probes;
	uint64_t from_ns = k.h.host.now_ns(&k.h.host);
	for (uint64_t at = STEP; at + STEP <= AHEAD; at += STEP) {
		assert_int_equal(kit_read(&k, k.log, at, STEP, &read), 0);
		k.ops->unpin(k.log, &read);
	}
	uint64_t n_beliefs = (k.h.host.now_ns(&k.h.host) - from_ns) / BELIEF_NS;
	assert_in_range(disk.n_probes - n_probes, 0, 2 * (1 + n_beliefs));
	stop(&k);
}

/* Milliseconds to read what was written in another life, while somebody writes. */
static uint64_t read_beside_a_writer(struct store_kit *k)
{
	enum { STEP = 131072 };
	uint64_t from_ns = k->h.host.now_ns(&k->h.host);
	for (uint64_t at = 0; at + STEP < BYTES; at += STEP) {
		struct mosaic_read read = { 0 };
		assert_int_equal(kit_read(k, k->log, at, STEP, &read), 0);
		k->ops->unpin(k->log, &read);
		kit_append(k, k->log, 10000);
	}
	return (k->h.host.now_ns(&k->h.host) - from_ns) / 1000000;
}

static void who_reads_from_far_back_has_a_rate_beside_a_writer(void **state)
{
	struct store_kit k;
	start_cold_with(&k, state, "1MiB");
	uint64_t took_ms = 0, from_ns = k.h.host.now_ns(&k.h.host);
	/* The writer is seen after a tenth of a second, and its rate depends on the reader's. */
	while (took_ms < 500 && k.h.host.now_ns(&k.h.host) - from_ns < 3000000000)
		took_ms = read_beside_a_writer(&k);
	assert_in_range(took_ms, 500, 100000);
	stop(&k);
}

static const struct CMUnitTest rules[] = {
	KIT_RULE(what_cannot_be_read_is_lost_and_its_neighbours_are_not),
	KIT_RULE(a_disk_that_reads_nothing_has_lost_nothing),
	KIT_RULE(a_device_that_is_gone_has_lost_nothing),
	KIT_RULE(a_failure_that_passes_is_not_noticed),
	KIT_RULE(a_file_that_was_cut_costs_what_it_lacks),
	KIT_RULE(cold_reads_leave_the_core_thread_alone),
	KIT_RULE(the_last_bytes_may_be_cold_too),
	KIT_RULE(a_reader_at_the_end_seldom_asks_the_kernel),
	KIT_RULE(what_a_read_has_fetched_ahead_is_not_asked_for),
	KIT_RULE(who_reads_from_far_back_has_a_rate_beside_a_writer),
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

int main(void)
{
	return kit_run(&mosaic_plugin_store_mmap, rules, N_RULES) +
	       kit_run(&mosaic_plugin_store_uring, rules, N_RULES);
}
