/*
 * The power goes away: what was promised is there when it comes back, and nothing that was cut off.
 *
 *   FAULT_SEED=n     repeats a run; a failure prints its seed
 *   FAULT_SECONDS=n  goes on so long, for a night; else as many runs as fit into CI
 *   FAULT_KEEP=1     leaves the folders of a failure behind
 */
#include "chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() ((void)0)
#define __lsan_enable() ((void)0)
#endif

extern const struct mosaic_plugin mosaic_plugin_store_mmap;
extern const struct mosaic_plugin mosaic_plugin_store_uring;
extern const struct mosaic_plugin mosaic_plugin_flush_sync;
extern const struct mosaic_plugin mosaic_plugin_flush_async;

/* In CI: the same ones every time. */
#define RUNS 4
#define FIRST_SEED 20261122
/* A mutant must be caught by then. */
#define MUTANT_RUNS 30

static uint64_t from_environment(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : fallback;
}

static void power_cuts_of(const struct mosaic_plugin *store, const struct mosaic_plugin *flush,
			  bool is_loose)
{
	uint64_t seconds = from_environment("FAULT_SECONDS", 0);
	uint64_t seed = from_environment("FAULT_SEED", seconds ? (uint64_t)time(NULL) : FIRST_SEED);
	uint64_t runs = getenv("FAULT_SEED") ? 1 : RUNS;
	uint64_t n_sent = 0, n_moments = 0, n_points = 0, n_runs = 0;
	time_t end = time(NULL) + (time_t)seconds;
	for (; seconds ? time(NULL) < end : n_runs < runs; n_runs++, seed++) {
		struct chain chain = { .store = store,
				       .other = store == &mosaic_plugin_store_mmap
							? &mosaic_plugin_store_uring
							: &mosaic_plugin_store_mmap,
				       .flush = flush,
				       .seed = seed,
				       .generations = 12,
				       .is_loose = is_loose };
		if (!chain_run(&chain))
			fail_msg("FAULT_SEED=%llu %s: %s", (unsigned long long)seed, store->name,
				 chain.why);
		n_sent += chain.n_sent;
		n_moments += chain.n_moments;
		n_points += chain.n_points;
	}
	print_message("%s: %llu runs, %llu messages, %llu power cuts at %llu moments\n",
		      store->name, (unsigned long long)n_runs, (unsigned long long)n_sent,
		      (unsigned long long)n_points, (unsigned long long)n_moments);
}

static void power_cuts(const struct mosaic_plugin *flush, bool is_loose)
{
	power_cuts_of(&mosaic_plugin_store_mmap, flush, is_loose);
	power_cuts_of(&mosaic_plugin_store_uring, flush, is_loose);
}

static void a_power_cut_loses_nothing_acknowledged_with_flush_sync(void **state)
{
	(void)state;
	power_cuts(&mosaic_plugin_flush_sync, false);
}

static void a_power_cut_loses_nothing_acknowledged_on_a_disk_that_orders_nothing(void **state)
{
	(void)state;
	power_cuts(&mosaic_plugin_flush_sync, true);
}

static void a_power_cut_leaves_a_first_part_with_flush_async(void **state)
{
	(void)state;
	power_cuts(&mosaic_plugin_flush_async, false);
}

static void a_power_cut_leaves_a_first_part_on_a_disk_that_orders_nothing(void **state)
{
	(void)state;
	power_cuts(&mosaic_plugin_flush_async, true);
}

/* The proof can fail: a disk that says "synced" and is not is noticed. */
static void a_disk_lies(const struct mosaic_plugin *store, enum disk_call call, bool is_loose)
{
	for (uint64_t run = 0; run < MUTANT_RUNS; run++) {
		struct chain chain = { .store = store,
				       .flush = &mosaic_plugin_flush_sync,
				       .seed = FIRST_SEED + run,
				       .generations = 12,
				       .is_loose = is_loose };
		chain.lies[call] = true;
		__lsan_disable(); /* a world that is found wrong is left as it is */
		bool is_well = chain_run(&chain);
		__lsan_enable();
		if (is_well)
			continue;
		print_message("%s, %s: run %llu, %s\n", store->name, disk_call_name(call),
			      (unsigned long long)run, chain.why);
		return;
	}
	fail_msg("nobody notices that %s is a lie", disk_call_name(call));
}

static void an_msync_that_does_nothing_is_noticed(void **state)
{
	(void)state;
	a_disk_lies(&mosaic_plugin_store_mmap, CALL_MSYNC, false);
}

static void a_sync_of_folders_that_does_nothing_is_noticed(void **state)
{
	(void)state;
	a_disk_lies(&mosaic_plugin_store_mmap, CALL_FSYNC_DIR, true);
	a_disk_lies(&mosaic_plugin_store_uring, CALL_FSYNC_DIR, true);
}

static void an_fdatasync_that_does_nothing_is_noticed(void **state)
{
	(void)state;
	a_disk_lies(&mosaic_plugin_store_mmap, CALL_FDATASYNC, false);
	a_disk_lies(&mosaic_plugin_store_uring, CALL_FDATASYNC, false); /* RWF_DSYNC */
	a_disk_lies(&mosaic_plugin_store_uring, CALL_FDATASYNC, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_power_cut_loses_nothing_acknowledged_with_flush_sync),
		cmocka_unit_test(
			a_power_cut_loses_nothing_acknowledged_on_a_disk_that_orders_nothing),
		cmocka_unit_test(a_power_cut_leaves_a_first_part_with_flush_async),
		cmocka_unit_test(a_power_cut_leaves_a_first_part_on_a_disk_that_orders_nothing),
		cmocka_unit_test(an_msync_that_does_nothing_is_noticed),
		cmocka_unit_test(a_sync_of_folders_that_does_nothing_is_noticed),
		cmocka_unit_test(an_fdatasync_that_does_nothing_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
