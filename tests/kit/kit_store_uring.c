/*
 * What is store-uring's alone: kernels and file systems that forbid it, its cache of what was read,
 * writes that fall short or fail, large records, and directories that it hands to store-mmap and
 * gets back.
 */
#include "faults.h"
#include "store_kit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

extern const struct mosaic_plugin mosaic_plugin_store_mmap, mosaic_plugin_store_uring;

static void start(struct store_kit *k)
{
	kit_init(k, &mosaic_plugin_store_uring);
	kit_option(k, "segment", "1MiB");
	kit_option(k, "cache", "1MiB");
}

static void stop(struct store_kit *k)
{
	assert_int_equal(kit_close(k), 0);
	assert_int_equal(k->h.n_failed, 0);
	kit_fini(k);
}

static bool is_there(const struct store_kit *k, const char *name)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	return access(path, F_OK) == 0;
}

/* ---- where it cannot be used ---- */

/* As the seccomp profile of a container does. */
static bool forbid_io_uring(uint32_t os_errno)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | os_errno),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* 0: refused as it should be; 1: not; 2: this machine has no seccomp. */
static int open_forbidden(uint32_t os_errno, const char *reason)
{
	struct store_kit k;
	struct mosaic_error error = { .struct_size = sizeof(error) };
	if (!forbid_io_uring(os_errno))
		return 2;
	start(&k);
	bool is_refused = k.ops->usable(k.options, &error) == MOSAIC_E_UNSUPPORTED &&
			  strstr(error.text, reason) && kit_open(&k) == MOSAIC_E_UNSUPPORTED &&
			  strcmp(error.text, k.error.text) == 0 &&
			  strstr(k.error.text, "store-mmap") && !is_there(&k, "abort");
	if (!is_refused)
		print_message("usable: %s; open: %s\n", error.text, k.error.text);
	kit_fini(&k);
	return is_refused ? 0 : 1;
}

static void assert_forbidden(uint32_t os_errno, const char *reason)
{
	int status = -1;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(open_forbidden(os_errno, reason));
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		print_message("this machine has no seccomp\n");
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_forbidden_io_uring_is_said_and_nothing_is_touched(void **state)
{
	(void)state;
	assert_forbidden(EPERM, "kernel.io_uring_disabled");
	assert_forbidden(ENOSYS, "this kernel has none");
}

static void a_file_system_without_o_direct_is_said(void **state)
{
	struct store_kit k;
	struct mosaic_error error = { .struct_size = sizeof(error) };
	(void)state;
	start(&k);
	if (mount("ramfs", k.dir, "ramfs", 0, NULL) != 0) {
		print_message("cannot mount a ramfs here: %s\n", strerror(errno));
		kit_fini(&k);
		return;
	}
	int32_t rc = kit_open(&k);
	int32_t usable = k.ops->usable(k.options, &error);
	bool was_used = is_there(&k, "abort");
	if (rc == 0)
		assert_int_equal(kit_close(&k), 0);
	assert_int_equal(umount2(k.dir, MNT_DETACH), 0);
	if (rc == 0) {
		print_message("here a ramfs takes O_DIRECT\n");
	} else {
		assert_int_equal(rc, MOSAIC_E_UNSUPPORTED);
		assert_non_null(strstr(k.error.text, "O_DIRECT"));
		assert_false(was_used);
		assert_true(usable == 0 || strstr(error.text, "O_DIRECT"));
	}
	kit_fini(&k);
}

/* ---- reads ---- */

static void write_and_reopen(struct store_kit *k, uint64_t len)
{
	start(k);
	kit_open_at(k, 0);
	kit_append(k, k->log, len);
	assert_int_equal(kit_close(k), 0);
	kit_open_at(k, len);
}

static void what_is_larger_than_the_cache_is_read(void **state)
{
	struct store_kit k;
	uint64_t len = 5 * MIB + 12345, seed = 1;
	(void)state;
	write_and_reopen(&k, len);
	kit_check(&k, k.log, 0, len);
	for (int i = 0; i < 500; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t from = (seed >> 20) % len;
		uint64_t part = 1 + (seed >> 50) % (i % 50 == 0 ? 200000 : 3000);
		kit_check(&k, k.log, from, from + part < len ? from + part : len);
	}
	stop(&k);
}

static void pinned_blocks_are_not_evicted(void **state)
{
	struct store_kit k;
	struct mosaic_read reads[64];
	(void)state;
	write_and_reopen(&k, 5 * MIB);
	for (uint64_t i = 0; i < 64; i++) {
		reads[i] = (struct mosaic_read){ 0 };
		assert_int_equal(kit_read(&k, k.log, i * 81000, 700, &reads[i]), 0);
	}
	kit_check(&k, k.log, 0, 5 * MIB);
	for (int i = 0; i < 64; i++) {
		for (uint32_t at = 0; at < reads[i].len; at++)
			assert_int_equal(reads[i].ptr[at], kit_byte(reads[i].offset + at));
		k.ops->unpin(k.log, &reads[i]);
	}
	stop(&k);
}

static void many_reads_at_once_are_all_answered(void **state)
{
	struct store_kit k;
	static struct mosaic_read reads[300];
	static uint32_t n_done[300];
	(void)state;
	write_and_reopen(&k, 5 * MIB);
	for (uint64_t i = 0; i < 300; i++) {
		reads[i] = (struct mosaic_read){ 0 };
		kit_expect(&reads[i].req, &n_done[i]);
		int32_t rc = k.ops->read(k.log, i * 17000, 9000, &reads[i]);
		assert_true(rc >= 0);
		n_done[i] += rc == 0;
	}
	for (int i = 0; i < 300; i++) {
		kit_wait(&k, &n_done[i]);
		assert_int_equal(reads[i].req.status, 0);
		for (uint32_t at = 0; at < reads[i].len; at++)
			assert_int_equal(reads[i].ptr[at], kit_byte(reads[i].offset + at));
		k.ops->unpin(k.log, &reads[i]);
	}
	stop(&k);
}

static void a_read_goes_from_files_into_memory(void **state)
{
	struct store_kit k;
	(void)state;
	write_and_reopen(&k, 2 * MIB + 5000);
	kit_append(&k, k.log, 3000);
	kit_check(&k, k.log, 2 * MIB + 10, 2 * MIB + 8000);
	kit_check(&k, k.log, 2 * MIB + 4990, 2 * MIB + 8000);
	kit_append(&k, k.log, 3 * MIB);
	kit_check(&k, k.log, 2 * MIB, 5 * MIB);
	stop(&k);
}

static void a_read_that_fails_is_the_readers_error_alone(void **state)
{
	struct store_kit k;
	struct mosaic_read read = { 0 };
	(void)state;
	write_and_reopen(&k, 2 * MIB);
	fault_set(&faults.ring_read, EIO);
	assert_int_equal(kit_read(&k, k.log, 5000, 100, &read), MOSAIC_E_IO);
	fault_set(&faults.ring_read, 0);
	kit_check(&k, k.log, 0, MIB);
	kit_append(&k, k.log, 1000);
	stop(&k);
}

static void what_a_cut_took_is_not_read_from_the_cache(void **state)
{
	struct store_kit k;
	struct mosaic_read read = { 0 };
	(void)state;
	write_and_reopen(&k, 2 * MIB + 100);
	kit_check(&k, k.log, 0, 2 * MIB + 100);
	assert_int_equal(kit_truncate(&k, k.log, MIB + 1001), 0);
	for (int i = 0; i < 20; i++) {
		struct mosaic_span room;
		assert_int_equal(k.ops->reserve(k.log, 1000, &room), 0);
		memset(room.ptr, 0xee, 1000);
		k.ops->commit(k.log, 1000);
	}
	assert_int_equal(kit_sync(&k, k.log, MIB + 21001), 0);
	kit_check(&k, k.log, 0, MIB + 1001);
	assert_int_equal(kit_read(&k, k.log, MIB + 1001, 20000, &read), 0);
	for (uint32_t i = 0; i < read.len; i++)
		assert_int_equal(read.ptr[i], 0xee);
	k.ops->unpin(k.log, &read);
	stop(&k);
}

/* ---- writes ---- */

static void a_record_larger_than_a_block_is_one_piece(void **state)
{
	struct store_kit k;
	struct mosaic_span room;
	struct mosaic_read read = { 0 };
	(void)state;
	start(&k);
	kit_option(&k, "segment", "16MiB");
	kit_open_at(&k, 0);
	kit_append(&k, k.log, 1234);
	int32_t rc;
	while ((rc = k.ops->reserve(k.log, 3 * MIB, &room)) == MOSAIC_E_AGAIN)
		loop_host_turn(&k.h, 10);
	assert_int_equal(rc, 0);
	for (uint32_t i = 0; i < 3 * MIB; i++)
		room.ptr[i] = kit_byte(1234 + i);
	k.ops->commit(k.log, 3 * MIB);
	kit_append(&k, k.log, 5 * MIB);
	assert_int_equal(kit_read(&k, k.log, 1234, 3 * MIB, &read), 0);
	assert_int_equal(read.len, 3 * MIB);
	k.ops->unpin(k.log, &read);
	kit_check(&k, k.log, 0, 8 * MIB);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 8 * MIB + 1234);
	kit_check(&k, k.log, 0, 8 * MIB + 1234);
	stop(&k);
}

/* The page of the end is written while the core fills the room in it. */
static void a_sync_leaves_lent_room_alone(void **state)
{
	struct store_kit k;
	struct mosaic_span room;
	(void)state;
	start(&k);
	kit_open_at(&k, 0);
	for (uint64_t i = 0; i < 20; i++) {
		uint64_t end = kit_info(&k, k.log).end;
		kit_append(&k, k.log, 700 + i * 400);
		end += 700 + i * 400;
		assert_int_equal(k.ops->reserve(k.log, 900, &room), 0);
		for (uint32_t at = 0; at < 900; at++)
			room.ptr[at] = kit_byte(end + at);
		assert_int_equal(kit_sync(&k, k.log, end), 0);
		k.ops->commit(k.log, 900);
	}
	uint64_t end = kit_info(&k, k.log).end;
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, end);
	kit_check(&k, k.log, 0, end);
	stop(&k);
}

static void short_writes_are_continued(void **state)
{
	struct store_kit k;
	(void)state;
	start(&k);
	kit_open_at(&k, 0);
	fault_set(&faults.ring_short, 1);
	for (uint64_t i = 1; i <= 10; i++) {
		kit_append(&k, k.log, 23456);
		assert_int_equal(kit_sync(&k, k.log, i * 23456), 0);
	}
	fault_set(&faults.ring_short, 0);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 234560);
	kit_check(&k, k.log, 0, 234560);
	stop(&k);
}

static void fails_once(int *fault, int os_errno, int32_t code, uint64_t n_bytes)
{
	struct store_kit k;
	struct mosaic_span room;
	start(&k);
	kit_open_at(&k, 0);
	kit_append(&k, k.log, 10000);
	assert_int_equal(kit_sync(&k, k.log, 10000), 0);
	uint64_t end = 10000 + n_bytes;
	fault_set(fault, os_errno);
	kit_append(&k, k.log, n_bytes);
	assert_true(kit_sync(&k, k.log, end) < 0);
	fault_set(fault, 0);
	assert_true(kit_sync(&k, k.log, end) < 0);
	assert_int_equal(k.ops->reserve(k.log, 1, &room), MOSAIC_E_FATAL);
	assert_int_equal(k.h.n_failed, 1);
	if (k.h.failure.os_errno == os_errno) /* kernels before 6.10 cannot be told which */
		assert_int_equal(k.h.failure.code, code);
	kit_check(&k, k.log, 0, end); /* reading goes on */
	assert_true(kit_close(&k) < 0);
	assert_true(is_there(&k, "abort"));
	kit_open_at(&k, 10000);
	kit_check(&k, k.log, 0, 10000);
	assert_int_equal(kit_close(&k), 0);
	kit_fini(&k);
}

static void store_04_a_failed_write_is_final(void **state)
{
	(void)state;
	fails_once(&faults.ring_write, EIO, MOSAIC_E_IO, 10000);
	fails_once(&faults.ring_write, ENOSPC, MOSAIC_E_NOSPACE, 10000);
}

static void store_04_a_failed_sync_of_a_write_is_final(void **state)
{
	(void)state;
	fails_once(&faults.ring_sync, EIO, MOSAIC_E_IO, 10000);
}

/* So many bytes were written in part before anybody asked for a sync. */
static void store_04_a_failed_linked_sync_is_final(void **state)
{
	(void)state;
	fails_once(&faults.ring_sync, EIO, MOSAIC_E_IO, 500000);
}

static void a_polling_kernel_thread_does_the_same(void **state)
{
	struct store_kit k;
	(void)state;
	start(&k);
	kit_option(&k, "sqpoll", "true");
	if (kit_open(&k) != 0) {
		print_message("no sqpoll here: %s\n", k.error.text);
		kit_fini(&k);
		return;
	}
	assert_int_equal(kit_truncate(&k, k.log, 0), 0);
	for (uint64_t i = 1; i <= 20; i++) {
		kit_append(&k, k.log, 100000);
		assert_int_equal(kit_sync(&k, k.log, i * 100000), 0);
	}
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 2000000);
	kit_check(&k, k.log, 0, 2000000);
	stop(&k);
}

/* ---- with the other store ---- */

static void a_directory_moves_between_the_stores(void **state)
{
	struct store_kit k;
	char dir[64];
	uint64_t end = 0, units = 0;
	(void)state;
	start(&k);
	memcpy(dir, k.dir, sizeof(dir));
	for (int round = 0; round < 6; round++) {
		struct store_kit other;
		kit_init(&other, round % 2 ? &mosaic_plugin_store_mmap
					   : &mosaic_plugin_store_uring);
		kit_option(&other, "segment", "1MiB");
		kit_option(&other, "dir", dir);
		assert_int_equal(kit_open(&other), 0);
		assert_int_equal(other.open_req.was_clean, 1);
		assert_int_equal(kit_truncate(&other, other.log, end), 0);
		struct mosaic_stream *q = kit_queue(&other, "T", 0);
		assert_int_equal(kit_info(&other, q).end, units);
		kit_check(&other, other.log, 0, end);
		kit_check(&other, q, 0, units);
		kit_append(&other, other.log, 700001);
		kit_append(&other, q, 2000);
		end += 700001;
		units += 2000;
		assert_int_equal(kit_close(&other), 0);
		kit_fini(&other);
	}
	kit_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forbidden_io_uring_is_said_and_nothing_is_touched),
		cmocka_unit_test(a_file_system_without_o_direct_is_said),
		cmocka_unit_test(what_is_larger_than_the_cache_is_read),
		cmocka_unit_test(pinned_blocks_are_not_evicted),
		cmocka_unit_test(many_reads_at_once_are_all_answered),
		cmocka_unit_test(a_read_goes_from_files_into_memory),
		cmocka_unit_test(a_read_that_fails_is_the_readers_error_alone),
		cmocka_unit_test(what_a_cut_took_is_not_read_from_the_cache),
		cmocka_unit_test(a_record_larger_than_a_block_is_one_piece),
		cmocka_unit_test(a_sync_leaves_lent_room_alone),
		cmocka_unit_test(short_writes_are_continued),
		cmocka_unit_test(store_04_a_failed_write_is_final),
		cmocka_unit_test(store_04_a_failed_sync_of_a_write_is_final),
		cmocka_unit_test(store_04_a_failed_linked_sync_is_final),
		cmocka_unit_test(a_polling_kernel_thread_does_the_same),
		cmocka_unit_test(a_directory_moves_between_the_stores),
	};
	bool is_usable = kit_is_usable(&mosaic_plugin_store_uring);
	return _cmocka_run_group_tests("store-uring", tests,
				       is_usable ? sizeof(tests) / sizeof(tests[0]) : 1, NULL,
				       NULL);
}
