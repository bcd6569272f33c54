/*
 * The n-th call fails, for every n and every call that the store makes: with EIO, a full disk, or,
 * writing, halfway. Nothing is acknowledged that is not kept, everybody gets an answer, a store
 * that is broken says why, and what was promised is there after a restart, after a power cut, and
 * after a restart and a power cut behind it.
 *
 *   FAULT_SEED=n  other workloads than in CI
 */
#include "calls.h"
#include "chain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct mosaic_plugin mosaic_plugin_store_mmap;
extern const struct mosaic_plugin mosaic_plugin_store_uring;
extern const struct mosaic_plugin mosaic_plugin_flush_sync;
extern const struct mosaic_plugin mosaic_plugin_flush_async;

/* More calls of one kind than a workload makes. */
#define CALLS_MOST 2000
#define ANSWER_MS 20000 /* the gate gives up after 5 s */

struct trial {
	enum disk_call call;
	uint64_t n, seed;
	int os_errno;
	const struct mosaic_plugin *store, *flush;
	struct world w;
	char dir[64], broker[80], cut[80];
	bool is_silent;   /* it dies before it can leave a mark that its disk has failed */
};

static void fails(const struct trial *t, const char *what, const char *why)
{
	print_error("FAULT_SEED=%llu %s %s: %s number %llu, %s: %s: %s\n",
		    (unsigned long long)t->seed, t->store->name, t->flush->name,
		    disk_call_name(t->call), (unsigned long long)t->n,
		    t->os_errno == SHORT_WRITE ? "half written" : strerror(t->os_errno), what, why);
	exit(1); /* in the middle of everything */
}

static void send_some(struct world *w, int n_bursts)
{
	for (int i = 0; i < n_bursts; i++) {
		uint64_t n = 1 + world_draw(w, 5);
		for (uint64_t j = 0; j < n; j++)
			(void)world_send(w);
		log_run_end(w->log);
		n = world_draw(w, 30);
		for (uint64_t j = 0; j < n; j++)
			world_turn(w);
		if (i % 8 == 7)
			fake_host_advance_ms(&w->h, 6000); /* checkpoint, queues */
	}
}

/* Everybody gets an answer. */
static void wait_for_answers(struct trial *t)
{
	struct world *w = &t->w;
	uint64_t until = w->h.now_ns + ANSWER_MS * MS_NS;
	while (w->h.now_ns < until)
		world_turn(w);
	bool gates = t->flush->caps & MOSAIC_FLUSH_CAP_GATES;
	for (uint32_t i = 0; i < w->n_sent && gates; i++)
		if (!w->sent[i].is_answered && w->sent[i].promised_at == NEVER)
			fails(t, "no answer", "the gate does not open and does not give up");
}

/* A broken log says why and takes nothing more; another one takes messages. */
static void check_state(struct trial *t)
{
	struct world *w = &t->w;
	int rc = world_send(w);
	log_run_end(w->log);
	if (w->failure.code != 0 && (!w->log->is_broken || !w->log->why[0] || rc != MOSAIC_E_FATAL))
		fails(t, "broken", "it does not say so");
	if (w->failure.code == 0 && rc != 0)
		fails(t, "not broken", "it takes no messages");
}

/* Another process, the same cache: all that was sent is there as far as a cut shows, and all that
 * was promised. */
static void check_again(struct trial *t, const char *dir, const char *what)
{
	struct world *w = &t->w;
	const char *why = world_open(w, dir);
	if (!why)
		why = world_check(w, w->n_sent, NEVER - 1);
	if (why)
		fails(t, what, why);
	world_adopt(w);
}

static void close_world(struct trial *t)
{
	int rc = world_close(&t->w);
	if (rc == MOSAIC_E_TIMEOUT)
		fails(t, "closing", "it does not end");
	for (uint32_t i = 0; i < t->w.n_sent && rc == 0; i++)
		if (t->w.sent[i].promised_at == NEVER)
			t->w.sent[i].promised_at = disk_now();
}

static void check_cut(struct trial *t, const char *what)
{
	scratch_remove(t->cut);
	disk_image(t->cut);
	struct world v;
	world_init(&v, t->w.store_plugin, t->flush, t->seed);
	const char *why = world_open(&v, t->cut);
	memcpy(v.sent, t->w.sent, t->w.n_sent * sizeof(*v.sent));
	if (!why)
		why = world_check(&v, t->w.n_sent, NEVER - 1);
	if (why)
		fails(t, what, why);
	world_close(&v);
	world_fini(&v);
}

/* False: fewer than n calls were made. */
static bool trial_run(struct trial *t)
{
	uint64_t n_calls;
	enum disk_call failed;
	world_init(&t->w, t->store, t->flush, t->seed);
	scratch_make_fast(t->dir, "fault");
	snprintf(t->broker, sizeof(t->broker), "%s/broker", t->dir);
	snprintf(t->cut, sizeof(t->cut), "%s/cut", t->dir);
	assert_int_equal(__real_mkdir(t->broker, 0750), 0);
	disk_attach(t->broker, t->seed, false);
	disk_fail(t->call, t->n, t->os_errno);
	const char *why = world_open(&t->w, t->broker);
	if (!why) {
		send_some(&t->w, 40);
		wait_for_answers(t);
		check_state(t);
		close_world(t);
	} else if (!strstr(why, t->broker) && !strstr(t->w.failure.text, t->broker)) {
		fails(t, "neither refusal nor log name a file", why);
	}
	bool has_failed = disk_has_failed(&failed, &n_calls);
	disk_fail(CALLS, 0, 0);
	check_cut(t, "after a power cut");
	if (t->is_silent) {
		char mark[96];
		snprintf(mark, sizeof(mark), "%s/broken", t->broker);
		(void)unlink(mark);
	}
	check_again(t, t->broker, "after a restart");
	send_some(&t->w, 10);
	wait_for_answers(t);
	check_cut(t, "after a restart and a power cut");
	close_world(t);
	check_cut(t, "after a clean stop and a power cut");
	disk_detach();
	scratch_remove(t->dir);
	world_fini(&t->w);
	return has_failed;
}

static void every_call_of(enum disk_call call, int os_errno, bool is_silent)
{
	const char *text = getenv("FAULT_SEED");
	static const struct mosaic_plugin *const stores[] = { &mosaic_plugin_store_mmap,
							      &mosaic_plugin_store_uring };
	static const struct mosaic_plugin *const policies[] = { &mosaic_plugin_flush_sync,
								&mosaic_plugin_flush_async };
	for (int i = 0; i < 4; i++) {
		struct trial t = { .call = call,
				   .os_errno = os_errno,
				   .is_silent = is_silent,
				   .seed = text ? strtoull(text, NULL, 10) : 7,
				   .store = stores[i / 2],
				   .flush = policies[i % 2] };
		bool is_mapped = t.store == &mosaic_plugin_store_mmap;
		if ((call == CALL_MSYNC || call == CALL_MMAP) && !is_mapped)
			continue;
		/* The first ones all, later ones ever fewer: they are alike. */
		uint64_t n_trials = 0;
		for (t.n = 1; t.n < CALLS_MOST && trial_run(&t); t.n += 1 + t.n / 4)
			n_trials++;
		print_message("%s, %s, %s: %llu trials\n", t.store->name, t.flush->name,
			      disk_call_name(call), (unsigned long long)n_trials);
		assert_true(n_trials > 0);
	}
}

static void every_call(enum disk_call call, int os_errno)
{
	every_call_of(call, os_errno, false);
}

/* kill -9 while the sync fails: the pages that were not written count as written for the kernel,
 * and nobody has heard of it. */
static void a_sync_fails_and_the_process_dies_of_it(void **state)
{
	(void)state;
	every_call_of(CALL_MSYNC, EIO, true);
	every_call_of(CALL_FSYNC, EIO, true);
	every_call_of(CALL_FDATASYNC, EIO, true);
}

#define EVERY(name, call, os_errno)                                                                \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		every_call(call, os_errno);                                                        \
	}

EVERY(an_msync_fails, CALL_MSYNC, EIO)
EVERY(an_fsync_fails, CALL_FSYNC, EIO)
EVERY(an_fdatasync_fails, CALL_FDATASYNC, EIO)
EVERY(an_fsync_of_a_folder_fails, CALL_FSYNC_DIR, EIO)
EVERY(a_write_fails, CALL_WRITE, EIO)
EVERY(a_write_finds_the_disk_full, CALL_WRITE, ENOSPC)
EVERY(a_write_is_short, CALL_WRITE, SHORT_WRITE)
EVERY(an_allocation_fails, CALL_ALLOCATE, EIO)
EVERY(an_allocation_finds_the_disk_full, CALL_ALLOCATE, ENOSPC)
EVERY(an_open_fails, CALL_OPEN, EIO)
EVERY(an_open_finds_the_disk_full, CALL_OPEN, ENOSPC)
EVERY(a_rename_fails, CALL_RENAME, EIO)
EVERY(an_unlink_fails, CALL_UNLINK, EIO)
EVERY(a_folder_cannot_be_made, CALL_MKDIR, ENOSPC)
EVERY(a_mapping_fails, CALL_MMAP, ENOMEM)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_msync_fails),
		cmocka_unit_test(a_sync_fails_and_the_process_dies_of_it),
		cmocka_unit_test(an_fsync_fails),
		cmocka_unit_test(an_fdatasync_fails),
		cmocka_unit_test(an_fsync_of_a_folder_fails),
		cmocka_unit_test(a_write_fails),
		cmocka_unit_test(a_write_finds_the_disk_full),
		cmocka_unit_test(a_write_is_short),
		cmocka_unit_test(an_allocation_fails),
		cmocka_unit_test(an_allocation_finds_the_disk_full),
		cmocka_unit_test(an_open_fails),
		cmocka_unit_test(an_open_finds_the_disk_full),
		cmocka_unit_test(a_rename_fails),
		cmocka_unit_test(an_unlink_fails),
		cmocka_unit_test(a_folder_cannot_be_made),
		cmocka_unit_test(a_mapping_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
