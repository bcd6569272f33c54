/* Disks that are full, closed to us, taken by another, or changed behind our back. */
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT (1u << 20)
#define STORE ", \"segment\": \"1MiB\""

static void start_in(struct child *c, const char *flush)
{
	child_config(c, STORE, flush, "", "");
	child_start(c);
}

static void send_some(struct load *l, const struct child *c, uint64_t n)
{
	struct client client;
	client_open(&client, c->broker[0]);
	assert_true(load_run(l, &client, n, 20));
	shutdown(client.fd, SHUT_WR); /* no more requests: the rest of the answers, and the end */
	load_drain(l, &client);
	client_close(&client);
}

/* ---- full disk ---- */

/* A tmpfs of our own, seen by this program and its children only. */
static bool mount_small(const char *dir, const char *size)
{
	char options[64];
	snprintf(options, sizeof(options), "size=%s", size);
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("tmpfs", dir, "tmpfs", 0, options) == 0)
		return true;
	print_message("skipped: no small file system can be mounted (%s); root can\n",
		      strerror(errno));
	return false;
}

/* A child whose folder "small" is such a disk; or the test is skipped. */
static void init_on_small_disk(struct child *c, const char *size)
{
	char path[128];
	child_init(c);
	child_path(c, "small", path, sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	if (!mount_small(path, size)) {
		child_fini(c);
		skip();
	}
}

static void write_ballast(const char *path, size_t bytes)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)bytes), 0);
	close(fd);
}

static void full_disk(const char *flush)
{
	struct child c;
	struct client client;
	struct load l;
	char path[128], ballast[128];

	init_on_small_disk(&c, "24m");
	child_path(&c, "small/ballast", ballast, sizeof(ballast));
	write_ballast(ballast, 12 << 20);
	assert_int_equal(symlink("small/store", child_path(&c, "store", path, sizeof(path))), 0);
	child_path(&c, "small/store", path, sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	start_in(&c, flush);
	load_init(&l, "RobustFull", 4000);
	client_open(&client, c.broker[0]);
	for (int i = 0; i < 100 && l.n_refused < 500; i++)
		assert_true(load_run(&l, &client, 100, 20));
	print_message("%s: %llu messages, then code %d, %s\n", flush, (unsigned long long)l.n_acked,
		      l.refused, l.remark);
	assert_int_equal(l.refused, 14); /* SERVICE_NOT_AVAILABLE: clients go to another broker */
	assert_true(l.remark[0] != '\0');
	assert_true(child_is_alive(&c));
	child_log_wait(&c, "disk_full", "");
	assert_in_range(child_log_count(&c, "disk_full", ""), 1, 20); /* not a line per message */
	load_check(&l, c.broker[0]);

	assert_int_equal(unlink(ballast), 0); /* somebody makes room */
	uint64_t until = now_ns() + WAIT_MS * UINT64_C(1000000);
	uint64_t before = l.n_acked;
	while (l.n_acked == before) {
		assert_true(load_run(&l, &client, 20, 20));
		assert_true(now_ns() < until);
	}
	client_close(&client);
	load_check(&l, c.broker[0]);
	child_stop(&c);
	child_start(&c);
	load_check(&l, c.broker[0]);
	child_stop(&c);
	load_free(&l);
	(void)umount2(child_path(&c, "small", path, sizeof(path)), MNT_DETACH);
	child_fini(&c);
}

static void a_full_disk_refuses_and_loses_nothing_with_flush_async(void **state)
{
	(void)state;
	full_disk("flush-async");
}

static void a_full_disk_refuses_and_loses_nothing_with_flush_sync(void **state)
{
	(void)state;
	full_disk("flush-sync");
}

/* The disk is full before the broker starts: it says so, or serves what it can. */
static void a_start_on_a_full_disk_says_so(void **state)
{
	(void)state;
	struct child c;
	char path[128];

	init_on_small_disk(&c, "512k");
	assert_int_equal(symlink("small", child_path(&c, "store", path, sizeof(path))), 0);
	child_config(&c, STORE, "flush-async", "", "");
	child_start(&c);
	struct client client;
	client_open(&client, c.broker[0]);
	assert_int_equal(client_send_wait(&client, "NoRoom", 0, "x", 1, NULL), 14);
	child_log_wait(&c, "disk_full", "");
	client_close(&client);
	assert_true(child_is_alive(&c));
	child_stop(&c);
	(void)umount2(child_path(&c, "small", path, sizeof(path)), MNT_DETACH);
	child_fini(&c);
}

/* A write beyond ulimit -f is a signal that ends a process which does not ask for the error. Here
 * even the log on standard error goes beyond it. */
static void a_limit_of_file_sizes_is_like_a_full_disk(void **state)
{
	(void)state;
	struct child c;
	struct load l;
	struct client client;

	child_init(&c);
	start_in(&c, "flush-sync");
	load_init(&l, "RobustLimit", 500);
	send_some(&l, &c, 100);
	child_stop(&c);
	c.fsize = 700;
	if (strcmp(child_store(), "store-uring") == 0) { /* it writes while it recovers */
		assert_int_equal(child_refused(&c), 1);
	} else {
		child_start(&c);
		load_check(&l, c.broker[0]);
		client_open(&client, c.broker[0]);
		for (int i = 0; i < 200 && l.n_refused == 0; i++)
			assert_true(load_run(&l, &client, 20, 20));
		client_close(&client);
		assert_int_equal(l.refused, 14); /* SERVICE_NOT_AVAILABLE */
		assert_true(child_is_alive(&c));
		child_kill(&c);
	}
	c.fsize = 0;
	child_start(&c);
	load_check(&l, c.broker[0]);
	child_stop(&c);
	load_free(&l);
	child_fini(&c);
}

/* ---- directories that are not ours ---- */

static void check_refusal(struct child *c, const char *what)
{
	char path[128];

	(void)unlink(child_path(c, "err.log", path, sizeof(path)));
	assert_int_equal(child_refused(c), 1);
	char *log = child_log(c);
	char *why = strstr(log, "mosaic run:");
	assert_non_null(why);
	print_message("%.*s\n", (int)strcspn(why, "\n"), why);
	if (strstr(why, what) == NULL)
		fail_msg("the reason does not say \"%s\"", what);
	free(log);
}

/* Whether another user may run the program at all: a build below /root is closed to them. */
static bool may_run(uid_t uid, const char *program)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setuid(uid) == 0 && access(program, X_OK) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static void a_folder_without_rights_is_refused_in_words(void **state)
{
	(void)state;
	struct child c;
	char path[128];
	const struct passwd *nobody = getpwnam("nobody");

	if (geteuid() != 0 || nobody == NULL) {
		print_message("skipped: only root can start a child as somebody else\n");
		skip();
	}
	char program[512];
	snprintf(program, sizeof(program), "%s/mosaic", getenv("MOSAIC_BUILD"));
	if (!may_run(nobody->pw_uid, program)) {
		print_message("skipped: the user nobody cannot reach %s\n", program);
		skip();
	}
	child_init(&c);
	child_config(&c, STORE, "flush-async", "", "");
	assert_int_equal(chmod(c.dir, 0755), 0); /* to be read by nobody, not written */
	c.uid = nobody->pw_uid;
	check_refusal(&c, "store");
	assert_int_equal(mkdir(child_path(&c, "store", path, sizeof(path)), 0700), 0);
	check_refusal(&c, "ermission denied");
	assert_int_equal(chmod(path, 0555), 0);
	check_refusal(&c, "ermission denied");
	child_fini(&c);
}

/* Apache's broker leaves segments with holes. The end of one is cleared while the disk has no room
 * for what the holes would take: an answer, and no signal. */
static void holes_at_the_end_of_the_log_and_a_full_disk_are_refused_in_words(void **state)
{
	(void)state;
	struct child c;
	struct load l;
	struct statvfs fs;
	char path[128], ballast[128];

	init_on_small_disk(&c, "24m");
	assert_int_equal(symlink("small", child_path(&c, "store", path, sizeof(path))), 0);
	start_in(&c, "flush-sync");
	load_init(&l, "RobustHoles", 500);
	send_some(&l, &c, 100);
	child_kill(&c);
	int fd = open(child_path(&c, "store/commitlog/00000000000000000000", path, sizeof(path)),
		      O_RDWR | O_CLOEXEC);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, SEGMENT / 2,
				   SEGMENT / 2 - 4096), 0);
	assert_int_equal(pwrite(fd, "garbage", 7, SEGMENT - 200), 7);
	close(fd);
	for (unsigned i = 1; i < 8; i++) { /* made ahead: a recovery that deletes them makes room */
		char name[64];
		snprintf(name, sizeof(name), "store/commitlog/%020u", i * SEGMENT);
		(void)unlink(child_path(&c, name, path, sizeof(path)));
	}
	child_path(&c, "small", path, sizeof(path));
	assert_int_equal(statvfs(path, &fs), 0);
	child_path(&c, "small/ballast", ballast, sizeof(ballast));
	write_ballast(ballast, (fs.f_bavail - 32) * fs.f_bsize);
	check_refusal(&c, "no space is left");
	assert_int_equal(unlink(ballast), 0);
	child_start(&c);
	load_check(&l, c.broker[0]);
	child_stop(&c);
	load_free(&l);
	(void)umount2(path, MNT_DETACH);
	child_fini(&c);
}

static void a_store_that_is_a_file_is_refused(void **state)
{
	(void)state;
	struct child c;
	char path[128];

	child_init(&c);
	child_config(&c, STORE, "flush-async", "", "");
	close(open(child_path(&c, "store", path, sizeof(path)), O_CREAT | O_WRONLY, 0644));
	check_refusal(&c, "store");
	child_fini(&c);
}

/* A FIFO would be waited for, for ever. */
static void a_document_that_is_no_file_is_refused(void **state)
{
	(void)state;
	struct child c;
	char path[128];

	child_init(&c);
	child_config(&c, STORE, "flush-async", "", "");
	assert_int_equal(mkdir(child_path(&c, "store", path, sizeof(path)), 0755), 0);
	assert_int_equal(mkdir(child_path(&c, "store/config", path, sizeof(path)), 0755), 0);
	assert_int_equal(mkfifo(child_path(&c, "store/config/topics.json", path, sizeof(path)),
				0644), 0);
	check_refusal(&c, "cannot read config/topics.json: an input or output operation failed");
	child_fini(&c);
}

static void a_store_in_use_is_refused(void **state)
{
	(void)state;
	struct child c, second;

	child_init(&c);
	start_in(&c, "flush-async");
	second = c;
	second.out = -1;
	second.pid = 0;
	check_refusal(&second, "in use");
	check_serves(c.broker[0]); /* the first goes on */
	child_stop(&c);
	close(second.out);
	child_fini(&c);
}

/* Apache's broker locks the same byte (FileChannel.tryLock). */
static void a_foreign_lock_is_respected(void **state)
{
	(void)state;
	struct child c;
	char path[128];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	child_init(&c);
	start_in(&c, "flush-async");
	check_serves(c.broker[0]);
	child_stop(&c);
	int fd = open(child_path(&c, "store/lock", path, sizeof(path)), O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
	check_refusal(&c, "in use");
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	check_refusal(&c, pid); /* names who holds it */
	close(fd);
	child_start(&c);
	check_serves(c.broker[0]);
	child_stop(&c);
	child_fini(&c);
}

/* ---- files that were changed ---- */

static const char *segment_path(const struct child *c, uint64_t begin, char *buf, size_t size)
{
	snprintf(buf, size, "%s/store/commitlog/%020llu", c->dir, (unsigned long long)begin);
	return buf;
}

struct tail {
	uint64_t segment;   /* where the last segment with records begins */
	uint32_t last, end; /* the last record and the end, in the segment */
	uint32_t n;         /* records in it */
};

/* Finds the end of the log by its records (store.md: size, magic). */
static struct tail find_tail(const struct child *c)
{
	struct tail t = { 0 };
	char path[160];

	while (access(segment_path(c, t.segment + SEGMENT, path, sizeof(path)), F_OK) == 0) {
		int next = open(path, O_RDONLY | O_CLOEXEC);
		uint8_t word[4];
		assert_int_equal(pread(next, word, 4, 0), 4);
		close(next);
		if (get32(word) == 0)
			break; /* made ahead */
		t.segment += SEGMENT;
	}
	int fd = open(segment_path(c, t.segment, path, sizeof(path)), O_RDONLY | O_CLOEXEC);
	uint8_t head[8];
	while (pread(fd, head, 8, t.end) == 8 && get32(head) != 0 &&
	       get32(head + 4) == 0xDAA320A7u) {
		t.last = t.end;
		t.end += get32(head);
		t.n++;
	}
	close(fd);
	assert_true(t.n > 1);
	return t;
}

static void change(const struct child *c, uint64_t segment, uint32_t at, const void *bytes,
		   size_t len)
{
	char path[160];
	int fd = open(segment_path(c, segment, path, sizeof(path)), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static int64_t found(const struct load *l)
{
	int64_t n = 0;
	for (int q = 0; q < LOAD_QUEUES; q++)
		n += l->found[q];
	return n;
}

/* What is damaged is not asked for any more. */
static void forget_after(struct load *l, uint16_t port, int64_t least, int64_t most)
{
	struct client c;
	int64_t n = 0;

	client_open(&c, port);
	for (int q = 0; q < LOAD_QUEUES; q++) {
		l->found[q] = client_pull_all(&c, l->topic, q, NULL, NULL);
		if (l->size[q] > l->found[q])
			l->size[q] = l->found[q];
		n += l->found[q];
	}
	client_close(&c);
	print_message("%lld of %llu messages are left\n", (long long)n,
		      (unsigned long long)l->n_acked);
	assert_in_range(n, least, most);
}

enum damage {
	FLIPPED,
	GARBAGE,
	CUT_SHORT,
	ZEROED
};

/* Damages the tail after a clean stop or a kill; the broker starts and keeps what lies before. */
static void damaged_tail(enum damage damage, bool is_killed)
{
	struct child c;
	struct load l;
	char path[160];
	uint8_t bytes[512];

	child_init(&c);
	start_in(&c, child_keeping_flush());
	load_init(&l, "RobustDamage", 900);
	send_some(&l, &c, 3000); /* three segments */
	if (is_killed)
		child_kill(&c);
	else
		child_stop(&c);
	struct tail t = find_tail(&c);
	int64_t total = (int64_t)l.n_acked, least = total;
	memset(bytes, damage == GARBAGE ? 0xa5 : 0, sizeof(bytes));
	switch (damage) {
	case FLIPPED: /* in the last record's body */
		memset(bytes, 0xff, 4);
		change(&c, t.segment, t.last + 400, bytes, 4);
		least = total - 1;
		break;
	case GARBAGE:
		change(&c, t.segment, t.end, bytes, sizeof(bytes));
		break;
	case CUT_SHORT:
		assert_int_equal(
			truncate(segment_path(&c, t.segment, path, sizeof(path)), t.last + 100), 0);
		least = total - 1;
		break;
	case ZEROED:
		change(&c, t.segment, t.last, bytes, sizeof(bytes));
		least = total - 1;
		break;
	}
	(void)unlink(child_path(&c, "err.log", path, sizeof(path)));
	if (damage == CUT_SHORT) { /* as at Apache: it could be the wrong configuration */
		check_refusal(&c, "truncate");
		assert_int_equal(truncate(segment_path(&c, t.segment, path, sizeof(path)), SEGMENT),
				 0);
	}
	child_start(&c);
	/* Zeros behind the log's end cannot be told from what was never written. */
	if (damage == FLIPPED || damage == CUT_SHORT || (damage == GARBAGE && is_killed))
		assert_true(child_log_count(&c, "level=warn", "") +
				    child_log_count(&c, "level=error", "") >
			    0);
	char *log = child_log(&c), *line = log;
	for (char *rest = log; (line = strsep(&rest, "\n")) != NULL;)
		if (strstr(line, "level=warn") || strstr(line, "level=error"))
			print_message("%s\n", line);
	free(log);
	/* What was not answered any more may be there. */
	forget_after(&l, c.broker[0], least, (int64_t)l.next);
	for (int q = 0; q < LOAD_QUEUES; q++) /* new ones take the offsets of those lost */
		for (int64_t i = l.found[q]; i < l.size[q]; i++)
			l.acked[q][i] = 0;
	send_some(&l, &c, 1000);
	load_check(&l, c.broker[0]);
	child_stop(&c);
	child_start(&c);
	load_check(&l, c.broker[0]);
	assert_in_range(found(&l), least + 1000, total + 1100);
	child_stop(&c);
	load_free(&l);
	child_fini(&c);
}

#define DAMAGE_TEST(name, damage, is_killed)                                                       \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		damaged_tail(damage, is_killed);                                                   \
	}

DAMAGE_TEST(a_flipped_byte_in_the_last_record_costs_that_record, FLIPPED, false)
DAMAGE_TEST(a_flipped_byte_in_the_last_record_costs_that_record_after_a_kill, FLIPPED, true)
DAMAGE_TEST(garbage_behind_the_end_costs_nothing, GARBAGE, false)
DAMAGE_TEST(garbage_behind_the_end_costs_nothing_after_a_kill, GARBAGE, true)
DAMAGE_TEST(a_truncated_segment_keeps_what_lies_before, CUT_SHORT, false)
DAMAGE_TEST(a_truncated_segment_keeps_what_lies_before_after_a_kill, CUT_SHORT, true)
DAMAGE_TEST(a_zeroed_record_keeps_what_lies_before_after_a_kill, ZEROED, true)

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Everything but the log can be made again, has a backup, or is asked for. */
static void lost_or_broken_side_files_are_made_again(void **state)
{
	(void)state;
	static const char *const files[] = { "store/checkpoint", "store/config/topics.json",
					     "store/config/consumerOffset.json",
					     "store/config/subscriptionGroup.json" };
	static const char *const texts[] = { "", "{", "nonsense", "[" };
	struct child c;
	struct load l;
	char path[160], backup[170];

	child_init(&c);
	start_in(&c, "flush-async");
	load_init(&l, "RobustSide", 500);
	send_some(&l, &c, 1000);
	child_stop(&c);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		child_path(&c, files[i], path, sizeof(path));
		snprintf(backup, sizeof(backup), "%s.bak", path);
		write_text(path, texts[i]);
		if (i > 0) { /* settings are not thrown away: it asks */
			write_text(backup, texts[i]);
			check_refusal(&c, files[i] + strlen("store/"));
			write_text(backup, "{}");
		}
		child_start(&c);
		/* A topic's settings may be gone with their file; a send makes the topic again. */
		send_some(&l, &c, 40);
		load_check(&l, c.broker[0]);
		child_stop(&c);
	}
	load_free(&l);
	child_fini(&c);
}

int main(void)
{
	if (!child_store_is_usable())
		return 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_disk_refuses_and_loses_nothing_with_flush_async),
		cmocka_unit_test(a_full_disk_refuses_and_loses_nothing_with_flush_sync),
		cmocka_unit_test(a_start_on_a_full_disk_says_so),
		cmocka_unit_test(a_limit_of_file_sizes_is_like_a_full_disk),
		cmocka_unit_test(
			holes_at_the_end_of_the_log_and_a_full_disk_are_refused_in_words),
		cmocka_unit_test(a_document_that_is_no_file_is_refused),
		cmocka_unit_test(a_folder_without_rights_is_refused_in_words),
		cmocka_unit_test(a_store_that_is_a_file_is_refused),
		cmocka_unit_test(a_store_in_use_is_refused),
		cmocka_unit_test(a_foreign_lock_is_respected),
		cmocka_unit_test(a_flipped_byte_in_the_last_record_costs_that_record),
		cmocka_unit_test(a_flipped_byte_in_the_last_record_costs_that_record_after_a_kill),
		cmocka_unit_test(garbage_behind_the_end_costs_nothing),
		cmocka_unit_test(garbage_behind_the_end_costs_nothing_after_a_kill),
		cmocka_unit_test(a_truncated_segment_keeps_what_lies_before),
		cmocka_unit_test(a_truncated_segment_keeps_what_lies_before_after_a_kill),
		cmocka_unit_test(a_zeroed_record_keeps_what_lies_before_after_a_kill),
		cmocka_unit_test(lost_or_broken_side_files_are_made_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
