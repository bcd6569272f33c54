/* Cold reads get a rate while messages are written, and none else. */
#include "pace.h"
#include "support/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

struct reader {
	struct pace_turn turn; /* first */
	uint64_t n_bytes;      /* that it waits for */
	bool waits;
	uint64_t n_read;
};

struct world {
	struct fake_host host;
	struct pace pace;
	uint64_t log_end;
	struct reader readers[2];
};

static uint64_t reader_cost(struct pace_turn *turn)
{
	return ((struct reader *)turn)->n_bytes;
}

static void reader_go(struct pace_turn *turn)
{
	struct reader *reader = (struct reader *)turn;
	reader->n_read += reader->n_bytes;
	reader->waits = false;
}

static void reader_ask(struct world *w, int i, uint64_t n_bytes)
{
	struct reader *reader = &w->readers[i];
	reader->turn.cost = reader_cost;
	reader->turn.go = reader_go;
	reader->n_bytes = n_bytes;
	reader->waits = true;
	pace_ask(&w->pace, &reader->turn);
}

static void world_init(struct world *w, uint64_t least)
{
	*w = (struct world){ 0 };
	fake_host_init(&w->host);
	pace_init(&w->pace, &w->host.host, &w->log_end, least);
}

/* Each reader asks for the next piece as soon as it has one; bytes read in a second, by all. */
static uint64_t read_for_a_second(struct world *w, int n_readers, uint64_t written)
{
	uint64_t before = w->readers[0].n_read + w->readers[1].n_read;
	for (int ms = 0; ms < 1000; ms++) {
		for (int i = 0; i < n_readers; i++)
			for (int n = 0; n < 10 && !w->readers[i].waits; n++)
				reader_ask(w, i, MIB / 2);
		w->log_end += written / 1000;
		fake_host_advance_ms(&w->host, 1);
	}
	return w->readers[0].n_read + w->readers[1].n_read - before;
}

static void reads_do_not_wait_when_nobody_writes(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 64 * MIB);
	assert_int_equal(read_for_a_second(&w, 1, 0), 5000 * MIB); /* all that it asks for */
	fake_host_fini(&w.host);
}

static void reads_get_the_rate_while_somebody_writes(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 64 * MIB);
	read_for_a_second(&w, 1, MIB);
	assert_in_range(read_for_a_second(&w, 1, MIB), 63 * MIB, 65 * MIB);
	assert_in_range(read_for_a_second(&w, 2, MIB), 63 * MIB, 65 * MIB); /* both together */
	read_for_a_second(&w, 2, 0);
	assert_int_equal(read_for_a_second(&w, 1, 0), 5000 * MIB);
	fake_host_fini(&w.host);
}

static void readers_are_faster_than_the_writer(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 64 * MIB);
	read_for_a_second(&w, 1, 100 * MIB);
	assert_in_range(read_for_a_second(&w, 1, 100 * MIB), 290 * MIB, 310 * MIB);
	fake_host_fini(&w.host);
}

static void no_rate_is_no_bound(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 0);
	read_for_a_second(&w, 1, MIB);
	assert_int_equal(read_for_a_second(&w, 1, MIB), 5000 * MIB);
	fake_host_fini(&w.host);
}

static void what_was_fetched_meanwhile_costs_nothing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 64 * MIB);
	read_for_a_second(&w, 1, MIB);
	fake_host_advance_ms(&w.host, 100);
	w.log_end += MIB;
	reader_ask(&w, 0, 64 * MIB); /* a second's worth */
	assert_false(w.readers[0].waits);
	reader_ask(&w, 1, 0);
	assert_false(w.readers[1].waits);
	reader_ask(&w, 1, 1);
	assert_true(w.readers[1].waits);
	fake_host_fini(&w.host);
}

static void nobody_waits_at_close(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, MIB);
	read_for_a_second(&w, 2, MIB);
	read_for_a_second(&w, 2, MIB);
	assert_true(w.readers[0].waits && w.readers[1].waits);
	pace_hurry(&w.pace);
	assert_false(w.readers[0].waits || w.readers[1].waits);
	fake_host_fini(&w.host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_do_not_wait_when_nobody_writes),
		cmocka_unit_test(reads_get_the_rate_while_somebody_writes),
		cmocka_unit_test(readers_are_faster_than_the_writer),
		cmocka_unit_test(no_rate_is_no_bound),
		cmocka_unit_test(what_was_fetched_meanwhile_costs_nothing),
		cmocka_unit_test(nobody_waits_at_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
