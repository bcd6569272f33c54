/*
 * kill -9 at random points: a child appends to the commit log and to queues, syncs, trims and saves
 * a document, and tells in shared memory what it has committed. The next child opens the directory
 * and must find a prefix of the log that reaches what was synced, all of it where the store
 * promises that (MOSAIC_STORE_CAP_CRASH), a prefix of each queue that reaches what was synced, and
 * one of the two documents that may be there (STORE-01, 05, 09). The next child may be of another
 * store: they share the files.
 *
 * CRASH_ROUNDS and CRASH_SEED in the environment change the number of rounds and the points.
 */
#include "kit/store_kit.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define QUEUES 5

extern const struct mosaic_plugin mosaic_plugin_store_mmap, mosaic_plugin_store_uring;

/* Written by the child after the fact (or, _max, before it), so always at most what is true. */
struct shared {
	volatile uint64_t log_end, log_kept; /* committed; of these, what must be there */
	volatile uint64_t queue_end[QUEUES], queue_end_max[QUEUES], queue_synced[QUEUES];
	volatile uint64_t saved, saved_max;
	volatile uint32_t is_ready, was_opened;
};

static struct mosaic_stream *queue_at(struct store_kit *k, int i)
{
	char topic[8];
	snprintf(topic, sizeof(topic), "T%d", i);
	return kit_queue(k, topic, i);
}

static void check_document(struct store_kit *k, const struct shared *s)
{
	char *text = kit_load(k, "config/version.json");
	uint64_t version = text ? strtoull(text, NULL, 10) : 0;
	free(text);
	assert_in_range(version, s->saved, s->saved_max);
}

/* Up to where the log holds what was committed. */
static uint64_t find_end(struct store_kit *k, uint64_t from, uint64_t upto)
{
	while (from < upto) {
		struct mosaic_read read = { 0 };
		uint32_t want = upto - from < 70000 ? (uint32_t)(upto - from) : 70000;
		if (kit_read(k, k->log, from, want, &read) != 0)
			return from;
		uint32_t n = 0;
		while (n < read.len && read.ptr[n] == kit_byte(from + n))
			n++;
		bool ends = n < read.len;
		from += n;
		k->ops->unpin(k->log, &read);
		if (ends)
			return from;
	}
	return upto;
}

static void recover_log(struct store_kit *k, struct shared *s)
{
	struct mosaic_stream_info info = kit_info(k, k->log);
	assert_true(info.end >= s->log_kept);
	kit_check(k, k->log, info.begin, s->log_kept);
	uint64_t end = find_end(k, s->log_kept, s->log_end);
	assert_int_equal(kit_truncate(k, k->log, end), 0);
	/* It may be cut once more before anything is synced. */
	assert_int_equal(kit_sync(k, k->log, end), 0);
	s->log_end = s->log_kept = end;
}

static void recover(struct store_kit *k, struct shared *s)
{
	assert_int_equal(kit_open(k), 0);
	if (s->was_opened)
		assert_int_equal(k->open_req.was_clean, 0);
	s->was_opened = 1;
	recover_log(k, s);
	for (int i = 0; i < QUEUES; i++) {
		struct mosaic_stream *q = queue_at(k, i);
		uint64_t end = kit_info(k, q).end;
		assert_in_range(end, s->queue_synced[i], s->queue_end_max[i]);
		assert_int_equal(end % 20, 0);
		kit_check(k, q, 0, end);
		s->queue_end[i] = s->queue_end_max[i] = end;
	}
	check_document(k, s);
}

static void work(struct store_kit *k, struct shared *s, uint64_t i)
{
	char version[24];
	int at = (int)(i % QUEUES);
	bool keeps_all = (k->plugin->caps & MOSAIC_STORE_CAP_CRASH) != 0;
	struct mosaic_stream *q = queue_at(k, at);
	uint32_t len = 200 + i * 37 % 1500;
	if (!keeps_all) /* written before it is told here: what is there must be known */
		s->log_end += len;
	kit_append(k, k->log, len);
	s->log_end = kit_info(k, k->log).end;
	s->log_kept = keeps_all ? s->log_end : s->log_kept;
	s->queue_end_max[at] += 20;
	kit_append(k, q, 20);
	s->queue_end[at] = kit_info(k, q).end;
	if (i % 50 == 49) {
		assert_int_equal(kit_sync(k, k->log, s->log_end), 0);
		s->log_kept = s->log_end;
	}
	if (i % 300 == 199) {
		uint64_t ends[QUEUES];
		for (int j = 0; j < QUEUES; j++)
			ends[j] = s->queue_end[j];
		assert_int_equal(kit_sync_queues(k), 0);
		for (int j = 0; j < QUEUES; j++)
			s->queue_synced[j] = ends[j];
	}
	if (i % 100 == 50) {
		s->saved_max++;
		snprintf(version, sizeof(version), "%llu", (unsigned long long)s->saved_max);
		assert_int_equal(kit_save(k, "config/version.json", version, MOSAIC_DOC_BACKUP), 0);
		s->saved = s->saved_max;
	}
	if (i % 400 == 399 && s->log_end > 2000000)
		assert_int_equal(kit_trim(k, k->log, s->log_end - 1000000), 0);
	loop_host_turn(&k->h, 0);
}

static void child_main(const char *dir, const struct mosaic_plugin *plugin, struct shared *s)
{
	struct store_kit k;
	kit_init(&k, plugin);
	kit_option(&k, "dir", dir);
	kit_option(&k, "segment", "128KiB");
	kit_option(&k, "queueSegment", "4000");
	rmdir(k.dir); /* its own, unused */
	recover(&k, s);
	s->is_ready = 1;
	for (uint64_t i = 0;; i++)
		work(&k, s, i);
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t from_environment(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : fallback;
}

/* The stores that take turns, NULL at the end. */
static const struct mosaic_plugin *const only_mmap[] = { &mosaic_plugin_store_mmap, NULL };
static const struct mosaic_plugin *const only_uring[] = { &mosaic_plugin_store_uring, NULL };
static const struct mosaic_plugin *const in_turn[] = { &mosaic_plugin_store_mmap,
						       &mosaic_plugin_store_uring, NULL };

static void kill_9_loses_nothing_that_was_kept(void **state)
{
	const struct mosaic_plugin *const *plugins = *state;
	uint64_t n_plugins = plugins[1] ? 2 : 1;
	char dir[SCRATCH_MAX];
	uint64_t rounds = from_environment("CRASH_ROUNDS", 30);
	uint64_t first = from_environment("CRASH_SEED", (uint64_t)time(NULL)), seed = first | 1;
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s != MAP_FAILED);
	scratch_make(dir, "crash");
	for (uint64_t round = 0; round < rounds; round++) {
		s->is_ready = 0;
		fflush(NULL);
		const struct mosaic_plugin *plugin = plugins[draw(&seed) % n_plugins];
		pid_t child = fork();
		if (child == 0) {
			child_main(dir, plugin, s);
			_exit(1);
		}
		/* Sometimes while it still recovers. */
		uint64_t us = draw(&seed) % 60000;
		struct timespec pause = { .tv_nsec = (long)us * 1000 };
		nanosleep(&pause, NULL);
		kill(child, SIGKILL);
		int status = 0;
		waitpid(child, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("round %llu of CRASH_SEED=%llu failed", (unsigned long long)round,
				 (unsigned long long)first);
	}
	print_message("%llu rounds, %llu bytes, %llu documents\n", (unsigned long long)rounds,
		      (unsigned long long)s->log_end, (unsigned long long)s->saved);
	scratch_remove(dir);
	munmap(s, sizeof(*s));
}

#define TEST(plugins)                                                                             \
	{ "kill_9_loses_nothing_that_was_kept/" #plugins, kill_9_loses_nothing_that_was_kept,     \
	  NULL, NULL, (void *)(uintptr_t)(plugins) }

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(only_mmap), TEST(only_uring), TEST(in_turn) };
	size_t n = kit_is_usable(&mosaic_plugin_store_uring) ? 3 : 1;
	return _cmocka_run_group_tests("crash", tests, n, NULL, NULL);
}
