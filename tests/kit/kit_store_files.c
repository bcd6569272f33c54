/*
 * What only a store with files can show: their layout, directories that cannot be used, and disks
 * that are full or fail (STORE-04).
 */
#include "faults.h"
#include "store_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define SEGMENT 65536
#define QUEUE_SEGMENT 4000

extern const struct mosaic_plugin mosaic_plugin_store_mmap, mosaic_plugin_store_uring;

static void start(struct store_kit *k, void **state)
{
	kit_init(k, *state);
	kit_option(k, "segment", "65536");
	kit_option(k, "queueSegment", "4000");
}

static void stop(struct store_kit *k)
{
	if (k->store)
		assert_int_equal(kit_close(k), 0);
	kit_fini(k);
}

static const char *path_of(const struct store_kit *k, const char *name)
{
	static char path[512]; /* of one call at a time */
	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	return path;
}

static int64_t size_of(const struct store_kit *k, const char *name)
{
	struct stat st;
	return stat(path_of(k, name), &st) == 0 ? st.st_size : -1;
}

static void make_file(const struct store_kit *k, const char *name, int64_t size)
{
	int fd = open(path_of(k, name), O_CREAT | O_RDWR, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void assert_refused(struct store_kit *k, int32_t code, const char *text)
{
	int32_t rc = kit_open(k);
	if (rc >= 0)
		fail_msg("it opened");
	assert_int_equal(rc, code);
	if (!strstr(k->error.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, k->error.text);
}

/* ---- layout ---- */

static void files_are_laid_out_as_rocketmq_does(void **state)
{
	struct store_kit k;
	char text[8] = "";
	uint8_t unit[20];
	start(&k, state);
	kit_open_at(&k, 0);
	assert_true(size_of(&k, "abort") > 0);
	assert_int_equal(size_of(&k, "lock"), 4);
	struct mosaic_stream *q = kit_queue(&k, "%RETRY%group", 3);
	assert_int_equal(k.ops->start_at(q, 4040), 0);
	kit_append(&k, q, 40);
	kit_append(&k, k.log, SEGMENT + 100);
	assert_int_equal(kit_sync_queues(&k), 0);
	assert_int_equal(kit_save(&k, "config/topics.json", "{}", MOSAIC_DOC_BACKUP), 0);
	assert_int_equal(kit_close(&k), 0);
	assert_int_equal(size_of(&k, "commitlog/00000000000000000000"), SEGMENT);
	assert_int_equal(size_of(&k, "commitlog/00000000000000065536"), SEGMENT);
	assert_int_equal(size_of(&k, "commitlog/00000000000000131072"), -1); /* not needed yet */
	assert_int_equal(size_of(&k, "segment.tmp"), -1);
	const char *name = "consumequeue/%RETRY%group/3/00000000000000004000";
	assert_int_equal(size_of(&k, name), QUEUE_SEGMENT);
	assert_int_equal(size_of(&k, "consumequeue/%RETRY%group/3/00000000000000000000"), -1);
	assert_int_equal(size_of(&k, "abort"), -1);
	int fd = open(path_of(&k, name), O_RDONLY);
	assert_int_equal(pread(fd, unit, 20, 20), 20); /* before the first: filler */
	assert_memory_equal(unit, "\0\0\0\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0\0\0\0\0", 20);
	close(fd);
	fd = open(path_of(&k, "lock"), O_RDONLY);
	assert_int_equal(read(fd, text, 4), 4);
	assert_string_equal(text, "lock");
	close(fd);
	stop(&k);
}

static void default_segments_open_and_close_quickly(void **state)
{
	struct store_kit k;
	kit_init(&k, *state);
	uint64_t from = k.h.host.now_ns(&k.h.host);
	kit_open_at(&k, 0);
	uint64_t opened = k.h.host.now_ns(&k.h.host);
	kit_append(&k, k.log, 1000);
	uint64_t appended = k.h.host.now_ns(&k.h.host);
	assert_int_equal(size_of(&k, "commitlog/00000000000000000000"), 1 << 30);
	print_message("open %.2f ms, first append %.2f ms later\n", (double)(opened - from) / 1e6,
		      (double)(appended - opened) / 1e6);
	stop(&k);
}

static uint32_t n_descriptors(void)
{
	uint32_t n = 0;
	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void many_queues_need_few_descriptors(void **state)
{
	struct store_kit k;
	char topic[32];
	start(&k, state);
	kit_open_at(&k, 0);
	uint32_t before = n_descriptors();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 600; i++) {
			snprintf(topic, sizeof(topic), "t%d", i);
			kit_append(&k, kit_queue(&k, topic, 0), 2000);
		}
		assert_int_equal(kit_sync_queues(&k), 0);
		for (int i = 0; i < 600; i++) {
			snprintf(topic, sizeof(topic), "t%d", i);
			struct mosaic_stream *q = kit_queue(&k, topic, 0);
			kit_check(&k, q, 0, kit_info(&k, q).end);
		}
		assert_in_range(n_descriptors(), before, before + 256 + 16); /* queues, segments */
	}
	stop(&k);
}

/* Its folders cost more than all that a send does: they are made before a sync waits for them. */
static void a_new_queue_gets_its_file_unasked(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	struct mosaic_stream *q = kit_queue(&k, "T", 3);
	kit_append(&k, q, 20);
	const char *file = "consumequeue/T/3/00000000000000000000";
	for (int i = 0; i < 500 && size_of(&k, file) != 4000; i++)
		loop_host_turn(&k.h, 20);
	assert_int_equal(size_of(&k, file), 4000);
	kit_append(&k, q, 20);
	assert_int_equal(kit_sync_queues(&k), 0);
	kit_check(&k, q, 0, 40);
	stop(&k);
}

#define N_MANY 700

static void append_to_many(struct store_kit *k)
{
	for (int i = 0; i < N_MANY; i++)
		kit_append(k, kit_queue(k, "T", i), 20);
}

/* On the disk, not in the memory of the store. */
static void assert_many_are_written(const struct store_kit *k, uint64_t len)
{
	for (int i = 0; i < N_MANY; i++) {
		char name[64];
		uint8_t bytes[200];
		snprintf(name, sizeof(name), "consumequeue/T/%d/00000000000000000000", i);
		int fd = open(path_of(k, name), O_RDONLY);
		assert_true(fd >= 0);
		assert_true(len <= sizeof(bytes));
		assert_int_equal(read(fd, bytes, len), len);
		close(fd);
		for (uint64_t at = 0; at < len; at++)
			assert_int_equal(bytes[at], kit_byte(at));
	}
}

/* A batch looks at some of them at a time; what comes meanwhile, and what goes, do not disturb. */
static void a_sync_of_many_queues_covers_all_of_them(void **state)
{
	struct store_kit k;
	struct mosaic_req syncs[2], drop;
	uint32_t n_done[2], n_dropped;
	start(&k, state);
	kit_open_at(&k, 0);
	append_to_many(&k);
	kit_append(&k, kit_queue(&k, "gone", 0), 20);
	for (int i = 0; i < 2; i++) {
		kit_expect(&syncs[i], &n_done[i]);
		assert_true(k.ops->sync_queues(k.store, &syncs[i]) >= 0);
		if (i == 0)
			loop_host_turn(&k.h, 0);
		append_to_many(&k);
	}
	kit_expect(&drop, &n_dropped);
	assert_true(k.ops->stream_drop(kit_queue(&k, "gone", 0), &drop) >= 0);
	for (int i = 0; i < 2; i++) {
		kit_wait(&k, &n_done[i]);
		assert_int_equal(syncs[i].status, 0);
		assert_many_are_written(&k, i == 0 ? 20 : 40);
	}
	kit_wait(&k, &n_dropped);
	assert_int_equal(kit_sync_queues(&k), 0);
	assert_many_are_written(&k, 60);
	stop(&k);
}

/* The others go on; in the end the sync is not told as done, and the next one is whole. */
static void a_sync_in_which_one_write_met_a_full_disk_fails(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	append_to_many(&k);
	assert_int_equal(kit_sync_queues(&k), 0);
	append_to_many(&k);
	fault_set(&faults.pwritev_once, ENOSPC);
	assert_int_equal(kit_sync_queues(&k), MOSAIC_E_NOSPACE);
	assert_int_equal(kit_sync_queues(&k), 0);
	assert_many_are_written(&k, 40);
	stop(&k);
}

static struct mosaic_stream *queue_of_many(struct store_kit *k, int i, uint32_t *len)
{
	char topic[32];
	snprintf(topic, sizeof(topic), "t%d", i / 2);
	*len = 20 * (uint32_t)(i * 37 % 450); /* none, or up to three files */
	return kit_queue(k, topic, i % 2);
}

/* Several threads look for them; after a crash more of each end is kept in memory. */
static void many_queues_are_found_again(void **state)
{
	struct store_kit k;
	uint32_t len;
	start(&k, state);
	kit_open_at(&k, 0);
	for (int i = 0; i < 400; i++) {
		struct mosaic_stream *q = queue_of_many(&k, i, &len);
		for (uint32_t at = 0; at < len; at += 20)
			kit_append(&k, q, 20);
	}
	assert_int_equal(kit_close(&k), 0);
	make_file(&k, "consumequeue/file", 1); /* none of ours */
	mkdir(path_of(&k, "consumequeue/t1/01"), 0755);
	make_file(&k, "consumequeue/t1/01/00000000000000000000", 1);
	mkdir(path_of(&k, "consumequeue/t1/1x"), 0755);
	for (int round = 0; round < 3; round++) {
		if (round > 0)
			make_file(&k, "abort", 1);
		kit_open_at(&k, 0);
		assert_int_equal(k.open_req.was_clean, round == 0);
		for (int i = 0; i < 400; i++) {
			struct mosaic_stream *q = queue_of_many(&k, i, &len);
			assert_int_equal(kit_info(&k, q).begin, 0);
			assert_int_equal(kit_info(&k, q).end, len + 20 * round);
			kit_append(&k, q, 20);
			kit_check(&k, q, 0, len + 20 * round + 20);
		}
		assert_int_equal(kit_close(&k), 0);
	}
	make_file(&k, "consumequeue/t77/0/00000000000000000000", QUEUE_SEGMENT + 20);
	assert_refused(&k, MOSAIC_E_CORRUPT, "consumequeue/t77/0 has not 4000 bytes");
	kit_fini(&k);
}

/* ---- directories that cannot be used ---- */

static void a_path_that_is_no_directory_is_refused(void **state)
{
	struct store_kit k;
	start(&k, state);
	make_file(&k, "file", 1);
	kit_option(&k, "dir", path_of(&k, "file"));
	assert_refused(&k, MOSAIC_E_INVAL, "is not a directory");
	kit_option(&k, "dir", path_of(&k, "file/below"));
	assert_refused(&k, MOSAIC_E_INVAL, "is not a directory");
	kit_option(&k, "dir", path_of(&k, "new/and/deep"));
	assert_int_equal(kit_open(&k), 0);
	stop(&k);
}

static void a_directory_without_rights_is_refused(void **state)
{
	char dir[] = "/tmp/mosaic-rights-XXXXXX";
	assert_non_null(mkdtemp(dir));
	chmod(dir, 0500);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		struct store_kit k;
		if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		start(&k, state);
		kit_option(&k, "dir", dir);
		int32_t rc = kit_open(&k);
		bool says_it = strstr(k.error.text, dir) && strstr(k.error.text, "Permission");
		kit_fini(&k);
		_exit(rc == MOSAIC_E_IO && says_it ? 0 : 1);
	}
	int status = -1;
	waitpid(child, &status, 0);
	rmdir(dir);
	assert_int_equal(status, 0);
}

static void a_lock_of_another_process_is_respected(void **state)
{
	struct store_kit k;
	int held[2], go[2];
	char byte = 0, pid[16];
	start(&k, state);
	make_file(&k, "lock", 4);
	assert_int_equal(pipe(held), 0);
	assert_int_equal(pipe(go), 0);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) { /* as Java's FileChannel.tryLock(0, 1, false) */
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
		int fd = open(path_of(&k, "lock"), O_RDWR);
		if (fcntl(fd, F_SETLK, &lock) != 0 || write(held[1], "x", 1) != 1)
			_exit(1);
		_exit(read(go[0], &byte, 1) == 1 ? 0 : 1);
	}
	assert_int_equal(read(held[0], &byte, 1), 1);
	snprintf(pid, sizeof(pid), "process %d", (int)child);
	assert_refused(&k, MOSAIC_E_IO, pid);
	assert_int_equal(size_of(&k, "abort"), -1); /* nothing was touched */
	assert_int_equal(write(go[1], "x", 1), 1);
	waitpid(child, NULL, 0);
	assert_int_equal(kit_open(&k), 0);
	for (int i = 0; i < 2; i++) {
		close(held[i]);
		close(go[i]);
	}
	stop(&k);
}

static void two_stores_of_one_process_do_not_share_a_directory(void **state)
{
	struct store_kit k, second;
	start(&k, state);
	start(&second, state);
	assert_int_equal(kit_open(&k), 0);
	kit_option(&second, "dir", k.dir);
	assert_refused(&second, MOSAIC_E_IO, "is in use by process");
	kit_fini(&second);
	stop(&k);
}

static void segments_of_another_size_are_refused(void **state)
{
	struct store_kit k;
	start(&k, state);
	mkdir(path_of(&k, "commitlog"), 0755);
	make_file(&k, "commitlog/00000000000000000000", SEGMENT / 2);
	make_file(&k, "commitlog/00000000000000065536", SEGMENT);
	assert_refused(&k, MOSAIC_E_CORRUPT, "00000000000000000000 has 32768 bytes");
	make_file(&k, "commitlog/00000000000000000000", SEGMENT);
	make_file(&k, "commitlog/00000000000000131072", SEGMENT - 1);
	assert_refused(&k, MOSAIC_E_CORRUPT, "\"segment\" is 65536");
	make_file(&k, "commitlog/00000000000000131072", 0); /* a creation that was cut short */
	assert_int_equal(kit_open(&k), 0);
	assert_int_equal(kit_info(&k, k.log).end, 2 * SEGMENT);
	assert_int_equal(size_of(&k, "commitlog/00000000000000131072"), -1);
	assert_int_equal(kit_close(&k), 0);
	unlink(path_of(&k, "commitlog/00000000000000065536"));
	make_file(&k, "commitlog/00000000000000131072", SEGMENT);
	assert_refused(&k, MOSAIC_E_CORRUPT, "a file is missing");
	kit_fini(&k);
}

static void queue_files_of_another_size_are_refused(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	kit_append(&k, kit_queue(&k, "T", 0), 100);
	assert_int_equal(kit_close(&k), 0);
	kit_option(&k, "queueSegment", "6000");
	assert_refused(&k, MOSAIC_E_CORRUPT, "\"queueSegment\"");
	kit_option(&k, "queueSegment", "3990"); /* rounded up to units */
	assert_int_equal(kit_open(&k), 0);
	stop(&k);
}

static void the_end_of_a_queue_is_found_behind_gaps(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_option(&k, "queueSegment", "6000000");
	mkdir(path_of(&k, "consumequeue"), 0755);
	mkdir(path_of(&k, "consumequeue/T"), 0755);
	mkdir(path_of(&k, "consumequeue/T/0"), 0755);
	const char *name = "consumequeue/T/0/00000000000000000000";
	make_file(&k, name, 6000000);
	make_file(&k, "consumequeue/T/0/00000000000006000000", 6000000); /* made ahead, empty */
	int fd = open(path_of(&k, name), O_RDWR);
	assert_int_equal(pwrite(fd, "\1", 1, 20 * 5 + 3), 1);
	assert_int_equal(pwrite(fd, "\1", 1, 20 * 250000 + 19), 1);
	assert_int_equal(pwrite(fd, "\0\0\0", 3, 5900000), 3); /* data, but zeros */
	close(fd);
	kit_open_at(&k, 0);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	assert_int_equal(kit_info(&k, q).begin, 0);
	assert_int_equal(kit_info(&k, q).end, 20 * 250001);
	stop(&k);
}

/* Units that stand for nothing at the start of a file are in front of the queue, not the file: it
 * stays open, and what was read once is not cold again. */
static void a_queue_that_begins_inside_a_file_gets_warm(void **state)
{
	struct store_kit k;
	struct mosaic_read read = { 0 };
	start(&k, state);
	kit_open_at(&k, 0);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	assert_int_equal(k.ops->start_at(q, 2000), 0);
	kit_append(&k, q, 400);
	assert_int_equal(kit_close(&k), 0);
	kit_open_at(&k, 0);
	q = kit_queue(&k, "T", 0);
	assert_int_equal(kit_info(&k, q).begin, 2000);
	assert_int_equal(kit_read(&k, q, 2000, 400, &read), 0);
	k.ops->unpin(q, &read);
	assert_int_equal(k.ops->read(q, 2000, 400, &read), 0);
	k.ops->unpin(q, &read);
	stop(&k);
}

/* ---- disks that are full or fail ---- */

static void a_file_system_without_fallocate_will_do(void **state)
{
	struct store_kit k;
	start(&k, state);
	fault_set(&faults.no_fallocate, 1);
	kit_open_at(&k, 0);
	kit_append(&k, k.log, 100);
	assert_int_equal(kit_sync(&k, k.log, kit_info(&k, k.log).end), 0);
	fault_set(&faults.no_fallocate, 0);
	stop(&k);
}

static void a_full_disk_is_met_before_bytes_are_lent(void **state)
{
	struct store_kit k;
	struct mosaic_span room;
	struct mosaic_req req;
	uint32_t n_done;
	start(&k, state);
	kit_open_at(&k, 0);
	kit_append(&k, k.log, 100);
	fault_set(&faults.posix_fallocate, ENOSPC);
	int32_t rc;
	while ((rc = k.ops->reserve(k.log, 512, &room)) != MOSAIC_E_NOSPACE) {
		if (rc == 0)
			k.ops->commit(k.log, 512);
		else if (rc == MOSAIC_E_LIMIT && k.ops->reserve(k.log, room.len, &room) == 0)
			k.ops->commit(k.log, room.len);
		loop_host_turn(&k.h, 0);
	}
	uint64_t end = kit_info(&k, k.log).end;
	assert_int_equal(end % SEGMENT, 0);
	assert_int_equal(kit_sync(&k, k.log, end), 0);
	assert_true(loop_host_logged(&k.h, "disk_full"));
	assert_int_equal(k.h.n_failed, 0); /* no promise is broken */
	kit_expect(&req, &n_done);
	assert_true(k.ops->room(k.log, &req) >= 0);
	fault_set(&faults.posix_fallocate, 0);
	kit_wait(&k, &n_done);
	assert_int_equal(req.status, 0);
	assert_int_equal(k.ops->reserve(k.log, 512, &room), 0);
	stop(&k);
}

static void a_full_tmpfs_ends_in_no_signal(void **state)
{
	struct store_kit k;
	struct mosaic_span room;
	start(&k, state);
	if (mount("tmpfs", k.dir, "tmpfs", 0, "size=512k") != 0) {
		print_message("cannot mount a tmpfs here: %s\n", strerror(errno));
		kit_fini(&k);
		return;
	}
	kit_open_at(&k, 0);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	int32_t rc, of_queue = 0;
	while ((rc = k.ops->reserve(k.log, 512, &room)) != MOSAIC_E_NOSPACE) {
		if (rc == 0) {
			memset(room.ptr, 1, 512);
			k.ops->commit(k.log, 512);
		}
		if (of_queue == 0)
			kit_append(&k, q, 20);
		loop_host_turn(&k.h, 0);
	}
	assert_int_equal(kit_sync(&k, k.log, kit_info(&k, k.log).end), 0);
	assert_int_equal(k.h.n_failed, 0);
	assert_int_equal(kit_trim(&k, k.log, UINT64_MAX), 0); /* gives room */
	kit_append(&k, k.log, 1024);
	rc = kit_close(&k);
	assert_int_equal(umount2(k.dir, MNT_DETACH), 0);
	kit_fini(&k);
	/* The next segment may have taken the room before the queue got its last units down. */
	assert_true(rc == 0 || rc == MOSAIC_E_NOSPACE);
}

/* Small syncs: the pages ahead are written as zeros while the writer comes nearer. */
static void what_is_written_stands_where_zeros_were_prepared(void **state)
{
	enum { N = 400, BYTES = 6000 };
	struct store_kit k;
	start(&k, state);
	kit_option(&k, "segment", "1048576");
	kit_open_at(&k, 0);
	for (uint64_t i = 1; i <= N; i++) {
		kit_append(&k, k.log, BYTES);
		if (i % 2 == 0)
			assert_int_equal(kit_sync(&k, k.log, kit_info(&k, k.log).end), 0);
	}
	uint64_t end = kit_info(&k, k.log).end;
	kit_check(&k, k.log, 0, end);
	assert_int_equal(kit_close(&k), 0);
	assert_int_equal(kit_open(&k), 0);
	assert_int_equal(kit_truncate(&k, k.log, end), 0);
	kit_check(&k, k.log, 0, end);
	stop(&k);
}

/* A page ahead is late, as on a machine with much to do: nothing is written over what came. */
static void a_writer_overtakes_what_is_prepared(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_option(&k, "segment", "8388608");
	kit_open_at(&k, 0);
	fault_set(&faults.pwritev_us, 2000);
	while (kit_info(&k, k.log).end < 6 << 20) {
		kit_append(&k, k.log, 16 << 10);
		loop_host_turn(&k.h, 0);
	}
	fault_set(&faults.pwritev_us, 0);
	kit_check(&k, k.log, 0, kit_info(&k, k.log).end);
	stop(&k);
}

static void store_04_after_a_failed_sync_nothing_is_durable(void **state)
{
	struct store_kit k;
	struct mosaic_span room;
	start(&k, state);
	kit_open_at(&k, 0);
	kit_append(&k, k.log, 1000);
	assert_int_equal(kit_sync(&k, k.log, 1000), 0);
	kit_append(&k, k.log, 1000);
	fault_log_sync(EIO);
	assert_true(kit_sync(&k, k.log, 2000) < 0);
	fault_log_sync(0); /* the disk is fine again: too late */
	assert_true(kit_sync(&k, k.log, 2000) < 0);
	assert_true(kit_sync_queues(&k) < 0);
	assert_int_equal(k.ops->reserve(k.log, 1, &room), MOSAIC_E_FATAL);
	assert_int_equal(k.h.n_failed, 1);
	assert_non_null(strstr(k.h.failure.text, k.dir));
	kit_check(&k, k.log, 0, 2000); /* reading goes on */
	assert_true(kit_close(&k) < 0);
	assert_true(size_of(&k, "abort") > 0);
	assert_int_equal(kit_open(&k), 0);
	assert_int_equal(k.open_req.was_clean, 0);
	assert_int_equal(kit_truncate(&k, k.log, 2000), 0);
	stop(&k);
}

static void store_04_every_waiting_sync_fails(void **state)
{
	struct store_kit k;
	struct mosaic_sync syncs[5];
	uint32_t n_done[5];
	start(&k, state);
	kit_open_at(&k, 0);
	fault_log_sync(EIO);
	for (int i = 0; i < 5; i++) {
		kit_append(&k, k.log, 1000);
		syncs[i].upto = (uint64_t)(i + 1) * 1000;
		kit_expect(&syncs[i].req, &n_done[i]);
		assert_true(k.ops->sync(k.log, &syncs[i]) >= 0);
	}
	for (int i = 0; i < 5; i++) {
		kit_wait(&k, &n_done[i]);
		assert_true(syncs[i].req.status < 0);
	}
	fault_log_sync(0);
	assert_int_equal(k.h.n_failed, 1);
	assert_true(kit_close(&k) < 0);
	stop(&k);
}

static void store_04_a_failed_write_of_a_queue_is_final(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	fault_set(&faults.pwritev, EIO);
	kit_append(&k, kit_queue(&k, "T", 0), 20);
	assert_true(kit_sync_queues(&k) < 0);
	fault_set(&faults.pwritev, 0);
	assert_true(kit_sync_queues(&k) < 0);
	assert_int_equal(k.h.n_failed, 1);
	assert_true(kit_close(&k) < 0);
	stop(&k);
}

static void store_04_a_cut_of_a_queue_that_may_come_back_is_final(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	kit_append(&k, q, 60);
	assert_int_equal(kit_sync_queues(&k), 0);
	fault_set(&faults.fsync, EIO); /* of the folder: a deleted file may still have its name */
	assert_true(kit_truncate(&k, q, 20) < 0);
	fault_set(&faults.fsync, 0);
	assert_int_equal(k.h.n_failed, 1);
	assert_true(kit_close(&k) < 0);
	stop(&k);
}

static void a_stop_whose_folders_cannot_be_synced_is_not_clean(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	kit_append(&k, k.log, 100);
	assert_int_equal(kit_sync(&k, k.log, 100), 0);
	fault_set(&faults.fsync, EIO);
	assert_true(kit_close(&k) < 0);
	fault_set(&faults.fsync, 0);
	assert_true(size_of(&k, "abort") > 0);
	stop(&k);
}

static void a_queue_waits_for_room_on_a_full_disk(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	struct mosaic_stream *q = kit_queue(&k, "T", 0);
	fault_set(&faults.pwritev, ENOSPC);
	kit_append(&k, q, 3000);
	assert_int_equal(kit_sync_queues(&k), MOSAIC_E_NOSPACE);
	assert_int_equal(kit_sync_queues(&k), MOSAIC_E_NOSPACE);
	kit_append(&k, q, 9000); /* memory takes it meanwhile */
	kit_check(&k, q, 0, 12000);
	fault_set(&faults.pwritev, 0);
	assert_int_equal(kit_sync_queues(&k), 0);
	assert_int_equal(k.h.n_failed, 0);
	kit_check(&k, q, 0, 12000);
	stop(&k);
}

/* The helper makes the path of its file while the name is given up. */
static void a_queue_is_dropped_while_it_is_written(void **state)
{
	struct store_kit k;
	struct mosaic_req reqs[64];
	uint32_t n_done[64];
	char topic[32];
	start(&k, state);
	kit_open_at(&k, 0);
	for (int i = 0; i < 64; i++) {
		snprintf(topic, sizeof(topic), "t%d", i);
		struct mosaic_stream *q = kit_queue(&k, topic, 0);
		kit_append(&k, q, 3600);
		kit_expect(&reqs[i], &n_done[i]);
		assert_true(k.ops->stream_drop(q, &reqs[i]) >= 0);
	}
	for (int i = 0; i < 64; i++)
		kit_wait(&k, &n_done[i]);
	assert_int_equal(k.h.n_failed, 0);
	stop(&k);
}

static void store_09_a_failed_save_keeps_the_old_document(void **state)
{
	struct store_kit k;
	int *const each[] = { &faults.pwritev, &faults.fsync, &faults.renameat };
	start(&k, state);
	kit_open_at(&k, 0);
	/* Not the segments that are made ahead meanwhile. */
	__atomic_store_n(&faults.only_thread, "store-slow", __ATOMIC_SEQ_CST);
	assert_int_equal(kit_save(&k, "config/a.json", "old", MOSAIC_DOC_BACKUP), 0);
	for (int i = 0; i < 3; i++) {
		fault_set(each[i], ENOSPC);
		assert_int_equal(kit_save(&k, "config/a.json", "new", MOSAIC_DOC_BACKUP),
				 MOSAIC_E_NOSPACE);
		fault_set(each[i], 0);
		char *text = kit_load(&k, "config/a.json");
		assert_string_equal(text, "old");
		free(text);
	}
	/* Renamed before its bytes are on disk it could be neither, after a power cut. */
	fault_set(&faults.fsync, EIO);
	assert_int_equal(kit_save(&k, "config/a.json", "new", MOSAIC_DOC_LAZY), MOSAIC_E_IO);
	fault_set(&faults.fsync, 0);
	char *text = kit_load(&k, "config/a.json");
	assert_string_equal(text, "old");
	free(text);
	assert_int_equal(k.h.n_failed, 0);
	assert_int_equal(kit_save(&k, "../outside", "x", 0), MOSAIC_E_INVAL);
	__atomic_store_n(&faults.only_thread, NULL, __ATOMIC_SEQ_CST);
	stop(&k);
}

static void a_close_without_recovery_stays_a_crash(void **state)
{
	struct store_kit k;
	start(&k, state);
	kit_open_at(&k, 0);
	kit_append(&k, k.log, 1000);
	assert_int_equal(kit_close(&k), 0);
	make_file(&k, "abort", 1);
	for (int i = 0; i < 2; i++) { /* opened, closed, but nobody said where the log ends */
		assert_int_equal(kit_open(&k), 0);
		assert_int_equal(k.open_req.was_clean, 0);
		assert_int_equal(kit_close(&k), 0);
	}
	kit_open_at(&k, 1000);
	assert_int_equal(kit_close(&k), 0);
	assert_int_equal(kit_open(&k), 0);
	assert_int_equal(k.open_req.was_clean, 1);
	stop(&k);
}

static const struct CMUnitTest rules[] = {
	KIT_RULE(files_are_laid_out_as_rocketmq_does),
	KIT_RULE(default_segments_open_and_close_quickly),
	KIT_RULE(many_queues_need_few_descriptors),
	KIT_RULE(a_new_queue_gets_its_file_unasked),
	KIT_RULE(a_sync_of_many_queues_covers_all_of_them),
	KIT_RULE(a_sync_in_which_one_write_met_a_full_disk_fails),
	KIT_RULE(many_queues_are_found_again),
	KIT_RULE(a_path_that_is_no_directory_is_refused),
	KIT_RULE(a_directory_without_rights_is_refused),
	KIT_RULE(a_lock_of_another_process_is_respected),
	KIT_RULE(two_stores_of_one_process_do_not_share_a_directory),
	KIT_RULE(segments_of_another_size_are_refused),
	KIT_RULE(queue_files_of_another_size_are_refused),
	KIT_RULE(the_end_of_a_queue_is_found_behind_gaps),
	KIT_RULE(a_queue_that_begins_inside_a_file_gets_warm),
	KIT_RULE(a_file_system_without_fallocate_will_do),
	KIT_RULE(a_full_disk_is_met_before_bytes_are_lent),
	KIT_RULE(a_full_tmpfs_ends_in_no_signal),
	KIT_RULE(what_is_written_stands_where_zeros_were_prepared),
	KIT_RULE(a_writer_overtakes_what_is_prepared),
	KIT_RULE(store_04_after_a_failed_sync_nothing_is_durable),
	KIT_RULE(store_04_every_waiting_sync_fails),
	KIT_RULE(store_04_a_failed_write_of_a_queue_is_final),
	KIT_RULE(store_04_a_cut_of_a_queue_that_may_come_back_is_final),
	KIT_RULE(a_stop_whose_folders_cannot_be_synced_is_not_clean),
	KIT_RULE(a_queue_waits_for_room_on_a_full_disk),
	KIT_RULE(a_queue_is_dropped_while_it_is_written),
	KIT_RULE(store_09_a_failed_save_keeps_the_old_document),
	KIT_RULE(a_close_without_recovery_stays_a_crash),
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

int main(void)
{
	return kit_run(&mosaic_plugin_store_mmap, rules, N_RULES) +
	       kit_run(&mosaic_plugin_store_uring, rules, N_RULES);
}
