/*
 * The real program on a disk that breaks (shim.c). What store-uring asks of its ring a preload does
 * not see: test_errors breaks that.
 */
#include "robust/load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORE ", \"segment\": 1048576, \"queueSegment\": 60000"

static void start_shimmed(struct child *c, const char *call, int os_errno)
{
	char path[128], code[16];
	snprintf(code, sizeof(code), "%d", os_errno);
	setenv("FAULT_SHIM_FILE", child_path(c, "broken-disk", path, sizeof(path)), 1);
	setenv("FAULT_SHIM_CALL", call, 1);
	setenv("FAULT_SHIM_ERRNO", code, 1);
	setenv("LD_PRELOAD", FAULT_SHIM, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	child_start(c);
	unsetenv("LD_PRELOAD");
	unsetenv("ASAN_OPTIONS");
}

static void break_disk(const struct child *c)
{
	char path[128];
	int fd = open(child_path(c, "broken-disk", path, sizeof(path)), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

/* From the fault on nothing is acknowledged that is not kept, and soon nothing at all; who asks is
 * told why, and so is the log; reading goes on; a restart finds what was acknowledged. */
static void the_disk_breaks(const char *flush, const char *call, int os_errno)
{
	struct child c;
	struct client client;
	struct load l;

	child_init(&c);
	child_config(&c, STORE, flush, "", "");
	start_shimmed(&c, call, os_errno);
	load_init(&l, "FaultDisk", 2000);
	client_open(&client, c.broker[0]);
	assert_true(load_run(&l, &client, 400, 16));
	break_disk(&c);
	uint64_t until = now_ns() + 3 * WAIT_MS * UINT64_C(1000000);
	uint32_t refused = 0;
	while (refused < 200 && now_ns() < until) {
		uint64_t before = l.n_acked;
		assert_true(load_run(&l, &client, 40, 16));
		refused = l.n_acked == before ? l.n_refused : 0;
	}
	print_message("%s, %s: %llu acknowledged, then code %d, %s\n", flush, call,
		      (unsigned long long)l.n_acked, l.refused, l.remark);
	assert_true(refused >= 200);
	assert_true(l.remark[0] != '\0');
	assert_true(child_is_alive(&c));
	child_log_wait(&c, "log_failed", "");
	assert_in_range(child_log_count(&c, "level=error", ""), 1, 20);
	client_close(&client);
	load_check(&l, c.broker[0]);
	child_kill(&c);
	child_start(&c); /* another disk below the same files */
	load_check(&l, c.broker[0]);
	check_serves(c.broker[0]);
	child_stop(&c);
	load_free(&l);
	child_fini(&c);
}

static void a_stop_after_a_failure_has_exit_status_1(void **state)
{
	struct child c;
	struct client client;
	struct load l;
	int status = 0;

	(void)state;
	child_init(&c);
	child_config(&c, STORE, "flush-sync", "", "");
	start_shimmed(&c, "msync", EIO);
	load_init(&l, "FaultStop", 2000);
	client_open(&client, c.broker[0]);
	assert_true(load_run(&l, &client, 10, 1));
	break_disk(&c);
	assert_true(load_run(&l, &client, 10, 1));
	assert_true(l.n_refused > 0);
	assert_int_equal(kill(c.pid, SIGTERM), 0);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	c.pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(child_log_count(&c, "broker_close_failed", "cannot sync"), 1);
	client_close(&client);
	load_free(&l);
	child_fini(&c);
}

static void a_sync_that_fails_makes_it_read_only_with_flush_sync(void **state)
{
	(void)state;
	the_disk_breaks("flush-sync", "msync", EIO);
}

static void a_sync_that_fails_makes_it_read_only_with_flush_async(void **state)
{
	(void)state;
	the_disk_breaks("flush-async", "msync", EIO);
}

static void a_queue_that_cannot_be_written_makes_it_read_only(void **state)
{
	(void)state;
	the_disk_breaks("flush-async", "pwritev", EIO);
}

static void a_segment_that_cannot_be_made_makes_it_read_only(void **state)
{
	(void)state;
	the_disk_breaks("flush-sync", "posix_fallocate", EIO);
}

/* A mapped file without bytes behind it is a signal: the last line says which file it was. */
static void a_segment_that_was_cut_is_named_before_the_end(void **state)
{
	struct child c;
	struct client client;
	struct load l;
	char path[128];
	int status = 0;

	(void)state;
	child_init(&c);
	child_config(&c, STORE, "flush-async", "", "");
	child_start(&c);
	load_init(&l, "FaultCut", 2000);
	client_open(&client, c.broker[0]);
	child_path(&c, "store/commitlog/00000000000000000000", path, sizeof(path));
	assert_true(load_run(&l, &client, 10, 1));
	uint64_t until = now_ns() + WAIT_MS * UINT64_C(1000000);
	do { /* again: pages that were just being prepared make the file longer */
		assert_int_equal(truncate(path, 0), 0);
		assert_true(now_ns() < until);
	} while (l.n_acked < 100 && load_run(&l, &client, 1, 1));
	assert_true(l.n_acked < 100);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	c.pid = 0;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	assert_int_equal(child_log_count(&c, "SIGBUS", "store/commitlog/00000000000000000000"), 1);
	client_close(&client);
	load_free(&l);
	child_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sync_that_fails_makes_it_read_only_with_flush_sync),
		cmocka_unit_test(a_sync_that_fails_makes_it_read_only_with_flush_async),
		cmocka_unit_test(a_queue_that_cannot_be_written_makes_it_read_only),
		cmocka_unit_test(a_segment_that_cannot_be_made_makes_it_read_only),
		cmocka_unit_test(a_stop_after_a_failure_has_exit_status_1),
		cmocka_unit_test(a_segment_that_was_cut_is_named_before_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
