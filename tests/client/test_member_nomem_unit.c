/* The n-th allocation of a member's life fails, n from 1 until there is no n-th: sharing out,
 * locking, pulling, committing, leaving. Whatever it was, all goes on. */
#include "member_rig.h"
#include "fail_alloc.h"

static const struct member_config orderly = { .from = MOSAIC_FROM_FIRST, .is_orderly = true };
static const struct member_config plain = { .from = MOSAIC_FROM_FIRST };

static bool are_pulling(const struct rig *r)
{
	bool are = true;

	for (int i = 0; i < QUEUES; i++)
		are &= is_pulling(r, i);
	return are;
}

/* What failed is tried again within seconds. */
static void await_pulls(struct rig *r)
{
	for (int i = 0; i < 400 && !are_pulling(r); i++)
		rig_advance(r, 100);
	assert_true(are_pulling(r));
}

static bool are_committed(const struct rig *r)
{
	bool are = true;

	for (int i = 0; i < QUEUES; i++)
		are &= r->committed[i] == 10 * i + 3;
	return are;
}

/* Those of a lost answer come with the next pull. */
static void deliver(struct rig *r, int32_t id)
{
	struct share *s = member_share(&r->member, "T", "a", id);

	for (int i = 0; i < 3 && s->queue.n_items == 0; i++) {
		await_pulls(r);
		rig_messages(r, id, 3, 8);
	}
	assert_int_equal(s->queue.n_items, 3);
	rig_consume(r, id, 3);
}

static void live(struct rig *r)
{
	rig_start(r);
	await_pulls(r);
	for (int i = 0; i < QUEUES; i++)
		deliver(r, i);
	for (int i = 0; i < 400 && !are_committed(r); i++)
		rig_advance(r, 100);
	assert_true(are_committed(r));
	await_pulls(r);
	/* Another member has half of them, then goes. */
	r->members = "{\"consumerIdList\":[\"" OWN_ID "\",\"192.0.2.1@c\"]}";
	rebalance_all(&r->member);
	for (int i = 0; i < 400 && map_count(&r->member.shares) != QUEUES / 2; i++)
		rig_advance(r, 100);
	r->members = "{\"consumerIdList\":[\"" OWN_ID "\"]}";
	r->pulls[2].opaque = r->pulls[3].opaque = 0;
	for (int i = 0; i < 2; i++)
		r->stored[QUEUES - 1 - i] = r->committed[QUEUES - 1 - i];
	rebalance_all(&r->member);
	await_pulls(r);
	rig_close(r);
}

static void live_often(const struct member_config *config)
{
	uint32_t n = 0;

	do {
		struct rig r;

		rig_open(&r, config);
		atomic_store(&fail_in, ++n);
		live(&r);
	} while (atomic_exchange(&fail_in, 0) == 0);
	assert_true(n > 100);
	print_message("%u allocations\n", n - 1);
}

static void a_concurrent_member_goes_on(void **state)
{
	(void)state;
	live_often(&plain);
}

static void an_orderly_member_goes_on(void **state)
{
	(void)state;
	live_often(&orderly);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_concurrent_member_goes_on),
		cmocka_unit_test(an_orderly_member_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
