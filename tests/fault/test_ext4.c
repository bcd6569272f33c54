/*
 * The real program on a file system of its own: ext4 in a file, small enough to be filled, and shut
 * down in the middle of everything as a power cut would (EXT4_IOC_SHUTDOWN: from then on nothing
 * reaches the disk, what had not reached it is gone). Root only; others print why not.
 */
#include "robust/load.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define STORE ", \"segment\": 1048576, \"queueSegment\": 60000"
#define IMAGE_BYTES (64 << 20)
#define SHUTDOWN _IOR('X', 125, uint32_t)
#define SHUTDOWN_AT_ONCE 2 /* not even the journal is written */

struct disk {
	struct child c;
	char image[128], at[128];
};

static bool run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool run(const char *format, ...)
{
	char command[600];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command) == 0;
}

static bool disk_mount(const struct disk *d)
{
	return run("mount -o loop '%s' '%s'", d->image, d->at);
}

/* False, with the reason printed: this machine does not let us. */
static bool disk_init(struct disk *d)
{
	char path[128];
	child_init(&d->c);
	child_path(&d->c, "image", d->image, sizeof(d->image));
	child_path(&d->c, "disk", d->at, sizeof(d->at));
	assert_int_equal(mkdir(d->at, 0755), 0);
	int fd = open(d->image, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_BYTES), 0);
	close(fd);
	const char *why = NULL;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		why = "mounts of our own need root";
	else if (!run("mkfs.ext4 -q -F -m 0 '%s' 2>&1", d->image))
		why = "there is no mkfs.ext4";
	else if (!disk_mount(d))
		why = "no file can be mounted (mount -o loop)";
	if (why) {
		print_message("skipped: %s\n", why);
		child_fini(&d->c);
		return false;
	}
	assert_int_equal(symlink("disk/store", child_path(&d->c, "store", path, sizeof(path))), 0);
	assert_int_equal(mkdir(child_path(&d->c, "disk/store", path, sizeof(path)), 0755), 0);
	return true;
}

static void disk_fini(struct disk *d)
{
	(void)umount2(d->at, MNT_DETACH);
	child_fini(&d->c);
}

static bool disk_power_goes(const struct disk *d)
{
	uint32_t how = SHUTDOWN_AT_ONCE;
	int fd = open(d->at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	bool is_done = ioctl(fd, SHUTDOWN, &how) == 0;
	if (!is_done)
		print_message("skipped: this ext4 cannot be shut down: %s\n", strerror(errno));
	close(fd);
	return is_done;
}

/* A ring of a process that was killed is taken down later, and holds its files until then. */
static void disk_power_comes(const struct disk *d)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	uint64_t until = now_ns() + WAIT_MS * UINT64_C(1000000);
	while (umount(d->at) != 0) {
		assert_int_equal(errno, EBUSY);
		assert_true(now_ns() < until);
		nanosleep(&pause, NULL);
	}
	assert_true(disk_mount(d)); /* the journal is replayed */
}

/* ---- full, and freed again ---- */

/* Somebody else takes all that is left. */
static void fill(const struct disk *d)
{
	char path[160];
	struct statvfs st;
	snprintf(path, sizeof(path), "%s/ballast", d->at);
	int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(statvfs(d->at, &st), 0);
	for (uint64_t part = st.f_bavail * st.f_bsize; part >= 4096; part /= 2)
		while (fallocate(fd, 0, lseek(fd, 0, SEEK_END), (off_t)part) == 0)
			continue;
	close(fd);
}

static void make_room(const struct disk *d)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/ballast", d->at);
	assert_int_equal(unlink(path), 0);
}

static void run_until(struct load *l, struct client *client, const uint64_t *what, uint64_t more)
{
	uint64_t until = now_ns() + 3 * WAIT_MS * UINT64_C(1000000), before = *what;
	while (*what < before + more) {
		assert_true(load_run(l, client, 50, 16));
		assert_true(now_ns() < until);
	}
}

static void a_disk_that_is_full_now_and_then_loses_nothing(void **state)
{
	struct disk d;
	struct client client;
	struct load l;
	(void)state;
	if (!disk_init(&d))
		skip();
	child_config(&d.c, STORE, "flush-sync", "", "");
	child_start(&d.c);
	load_init(&l, "FaultFull", 3000);
	client_open(&client, d.c.broker[0]);
	for (int i = 0; i < 3; i++) {
		run_until(&l, &client, &l.n_acked, 400);
		fill(&d);
		uint32_t refused = l.n_refused;
		uint64_t until = now_ns() + 3 * WAIT_MS * UINT64_C(1000000);
		while (l.n_refused < refused + 200) {
			assert_true(load_run(&l, &client, 50, 16));
			assert_true(now_ns() < until);
		}
		assert_int_equal(l.refused, 14);
		assert_true(child_is_alive(&d.c));
		load_check(&l, d.c.broker[0]);
		if (i == 1) { /* and dies while it is full */
			child_kill(&d.c);
			load_drain(&l, &client);
			client_close(&client);
			make_room(&d);
			child_start(&d.c);
			client_open(&client, d.c.broker[0]);
		} else {
			make_room(&d);
		}
	}
	run_until(&l, &client, &l.n_acked, 400); /* it goes on, and nobody has started it again */
	client_close(&client);
	load_check(&l, d.c.broker[0]);
	child_kill(&d.c);
	child_start(&d.c);
	load_check(&l, d.c.broker[0]);
	print_message("%s: %llu acknowledged, %u refused\n", child_store(),
		      (unsigned long long)l.n_acked, l.n_refused);
	child_stop_slowly(&d.c);
	load_free(&l);
	disk_fini(&d);
}

/* ---- power cuts ---- */

static void a_power_cut_under_load_loses_nothing_acknowledged(void **state)
{
	struct disk d;
	struct client client;
	struct load l;
	bool is_cut = true;
	(void)state;
	if (!disk_init(&d))
		skip();
	child_config(&d.c, STORE, "flush-sync", "", "");
	load_init(&l, "FaultPower", 900);
	for (int i = 0; i < 3 && is_cut; i++) {
		child_start(&d.c);
		if (i > 0)
			load_check(&l, d.c.broker[0]);
		client_open(&client, d.c.broker[0]);
		assert_true(load_run(&l, &client, 1500 + (uint64_t)i * 700, 16));
		is_cut = disk_power_goes(&d); /* with 16 under way */
		(void)load_run(&l, &client, 16, 16);
		child_kill_if_alive(&d.c);
		load_drain(&l, &client);
		client_close(&client);
		disk_power_comes(&d);
	}
	child_start(&d.c);
	load_check(&l, d.c.broker[0]);
	check_serves(d.c.broker[0]);
	print_message("%s: %llu acknowledged\n", child_store(), (unsigned long long)l.n_acked);
	child_stop_slowly(&d.c);
	load_free(&l);
	disk_fini(&d);
}

/* ---- a disk that lies ---- */

static void sync_file(const struct disk *d, const char *name)
{
	char path[160];
	int fd = open(child_path(&d->c, name, path, sizeof(path)), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

/* msync says that the log is on the disk, and it is not; the checkpoint is. After the power cut
 * messages are gone that were promised: nobody can bring them back, but the broker says so. */
static void a_sync_that_was_a_lie_is_told(void **state)
{
	struct disk d;
	struct client client;
	struct load l;
	char path[160], shim_file[160];
	(void)state;
	if (strcmp(child_store(), "store-mmap") != 0) {
		print_message("skipped: a preload does not see the ring of %s\n", child_store());
		skip();
	}
	if (!disk_init(&d))
		skip();
	child_config(&d.c, STORE, "flush-sync", "", "");
	int fd = open(child_path(&d.c, "lies", shim_file, sizeof(shim_file)), O_CREAT | O_WRONLY,
		      0600);
	assert_true(fd >= 0);
	close(fd);
	setenv("FAULT_SHIM_FILE", shim_file, 1);
	setenv("FAULT_SHIM_CALL", "msync", 1);
	setenv("FAULT_SHIM_ERRNO", "0", 1);
	setenv("LD_PRELOAD", FAULT_SHIM, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	child_start(&d.c);
	unsetenv("LD_PRELOAD");
	unsetenv("ASAN_OPTIONS");
	load_init(&l, "FaultLie", 900);
	client_open(&client, d.c.broker[0]);
	assert_true(load_run(&l, &client, 500, 1));
	uint64_t until = now_ns() + WAIT_MS * UINT64_C(1000000);
	while (access(child_path(&d.c, "store/checkpoint", path, sizeof(path)), F_OK) != 0) {
		assert_true(now_ns() < until); /* it is saved once a second */
		assert_true(load_run(&l, &client, 1, 1));
	}
	client_close(&client);
	sync_file(&d, "store/checkpoint");
	sync_file(&d, "store");
	bool is_cut = disk_power_goes(&d);
	child_kill_if_alive(&d.c);
	disk_power_comes(&d);
	child_start(&d.c);
	uint64_t was = l.n_acked, left = 0;
	load_forget_lost(&l, d.c.broker[0]);
	for (int q = 0; q < LOAD_QUEUES; q++)
		left += (uint64_t)l.found[q];
	print_message("%llu of %llu are left\n", (unsigned long long)left, (unsigned long long)was);
	if (is_cut && left < was)
		child_log_wait(&d.c, "event=log_lost", "missing_bytes=");
	check_serves(d.c.broker[0]);
	child_stop_slowly(&d.c);
	load_free(&l);
	disk_fini(&d);
}

int main(void)
{
	if (!child_store_is_usable())
		return 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_that_is_full_now_and_then_loses_nothing),
		cmocka_unit_test(a_power_cut_under_load_loses_nothing_acknowledged),
		cmocka_unit_test(a_sync_that_was_a_lie_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
