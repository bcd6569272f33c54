#include "plugin/compose.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Made of capabilities alone: names mean nothing to the code under test. */
struct set {
	struct loaded_plugin plugins[MOSAIC_KIND_MAX + 1];
	struct plugin_instance places[MOSAIC_KIND_MAX + 1];
	uint64_t window_ns;
	struct composition composition;
};

static const struct mosaic_option window[] = {
	{ "window", MOSAIC_T_DURATION, MOSAIC_O_EXPOSURE, 0, "1s", NULL, NULL, NULL, "" },
};

static void put(struct set *s, uint32_t kind, const char *name, uint64_t caps, uint64_t wants)
{
	s->plugins[kind].desc = (struct mosaic_plugin){ .kind = (uint16_t)kind, .name = name,
							.caps = caps, .wants = wants };
	s->places[kind].plugin = &s->plugins[kind];
}

static void init(struct set *s)
{
	*s = (struct set){ .window_ns = UINT64_C(2000000000) };
	s->composition = (struct composition){ &s->places[MOSAIC_TRANSPORT],
					       &s->places[MOSAIC_STORE], &s->places[MOSAIC_FLUSH],
					       &s->places[MOSAIC_REPLICATION],
					       &s->places[MOSAIC_BALANCE], false };
}

static void assert_survives(const struct set *s, const char *text)
{
	struct buf out = BUF_INIT;

	compose_survives(&s->composition, &out);
	assert_string_equal(buf_cstr(&out), text);
	buf_free(&out);
}

static void survives_is_said_in_words(void **state)
{
	const uint64_t disk = MOSAIC_STORE_CAP_SYNC | MOSAIC_STORE_CAP_CRASH;
	struct set s;

	(void)state;
	init(&s);
	put(&s, MOSAIC_STORE, "a", disk, 0);
	put(&s, MOSAIC_FLUSH, "b", MOSAIC_FLUSH_CAP_GATES, MOSAIC_STORE_CAP_SYNC);
	assert_survives(&s, "process crash (kill -9) and power loss of this machine; not the loss "
			    "of this machine");
	put(&s, MOSAIC_FLUSH, "b", 0, 0);
	assert_survives(&s, "process crash (kill -9); not a power cut, which can lose the "
			    "messages that were not synced yet; not the loss of this machine");
	s.plugins[MOSAIC_FLUSH].desc.options = window;
	s.plugins[MOSAIC_FLUSH].desc.n_options = 1;
	s.places[MOSAIC_FLUSH].options = &s.window_ns;
	assert_survives(&s, "process crash (kill -9); not a power cut, which can lose about "
			    "the last 2s of messages; not the loss of this machine");
	put(&s, MOSAIC_STORE, "a", MOSAIC_STORE_CAP_SYNC, 0);
	assert_survives(&s, "neither a process crash (kill -9) nor a power cut for certain, which "
			    "can lose about the last 2s of messages; not the loss of this machine");
	s.places[MOSAIC_FLUSH].plugin = NULL;
	put(&s, MOSAIC_STORE, "a", disk, 0);
	assert_survives(&s, "process crash (kill -9); not a power cut, which can lose "
			    "everything, as nothing asks for a sync; not the loss of this machine");
	put(&s, MOSAIC_STORE, "a", 0, 0);
	assert_survives(&s, "nothing: messages live in memory");
	put(&s, MOSAIC_REPLICATION, "c", MOSAIC_REPLICATION_CAP_ACKABLE, 0);
	assert_survives(&s, "nothing on this machine, where messages live in memory; the loss of "
			    "this machine: another node has the message");
}

static void gating_flush_over_a_store_in_memory_promises_nothing(void **state)
{
	struct set s;

	(void)state;
	init(&s);
	put(&s, MOSAIC_STORE, "a", 0, 0);
	put(&s, MOSAIC_FLUSH, "b", MOSAIC_FLUSH_CAP_GATES, 0);
	assert_survives(&s, "nothing: messages live in memory");
}

static void all_unmet_needs_are_told_at_once(void **state)
{
	struct problems problems = PROBLEMS_INIT;
	struct set s;

	(void)state;
	init(&s);
	put(&s, MOSAIC_STORE, "plain", MOSAIC_STORE_CAP_PIN, UINT64_C(1) << 3);
	put(&s, MOSAIC_FLUSH, "strict", MOSAIC_FLUSH_CAP_GATES, MOSAIC_STORE_CAP_SYNC);
	put(&s, MOSAIC_REPLICATION, "copier", 0,
	    MOSAIC_STORE_CAP_PIN | MOSAIC_STORE_CAP_TRUNCATE | UINT64_C(1) << 40);
	compose_check(&s.composition, "broker", &problems);
	assert_int_equal(problems.count, 4);
	assert_string_equal(problems_text(&problems),
		"broker.store: plain needs something this host does not know (bit 3)\n"
		"broker.flush: strict needs SYNC of the store (what was synced survives power "
		"loss), and plain does not offer it\n"
		"broker.replication: copier needs TRUNCATE of the store (the log can be cut back), "
		"and plain does not offer it\n"
		"broker.replication: copier needs something this host does not know (bit 40)\n");
	problems_free(&problems);
}

static void slave_without_replication_is_refused(void **state)
{
	struct problems problems = PROBLEMS_INIT;
	struct set s;

	(void)state;
	init(&s);
	s.composition.is_slave = true;
	compose_check(&s.composition, "broker", &problems);
	assert_int_equal(problems.count, 1);
	assert_non_null(strstr(problems_text(&problems), "a slave needs a replication plugin"));
	problems_free(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_is_said_in_words),
		cmocka_unit_test(gating_flush_over_a_store_in_memory_promises_nothing),
		cmocka_unit_test(all_unmet_needs_are_told_at_once),
		cmocka_unit_test(slave_without_replication_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
