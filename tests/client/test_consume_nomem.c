/*
 * The n-th allocation fails, on whatever thread, in the life of a client that consumes from a real
 * broker. Functions of the header say MOSAIC_E_NOMEM or do what they are for; no message is lost.
 */
#include "consume_rig.h"
#include "fail_alloc.h"

#define MESSAGES 6
#define LIVES_MS 1500 /* of one kind; then the rest is left out */

struct place {
	struct rig rig;
	const char *topic;
};

static const struct mosaic_error no_error = { .struct_size = sizeof(no_error) };

static int prepare(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	rig_init(&p->rig, "");
	p->topic = "Nomem";
	rig_send(&p->rig, p->topic, 0, MESSAGES, NULL, NULL);
	*state = p;
	return 0;
}

static int clean_up(void **state)
{
	struct place *p = *state;

	rig_fini(&p->rig);
	free(p);
	return 0;
}

/* A name of a group that nobody has used. */
static const char *fresh(void)
{
	static char text[32];
	static uint32_t n;

	snprintf(text, sizeof(text), "G-nomem-%u", n++);
	return text;
}

static int open_client(const struct place *p, struct mosaic_client **out)
{
	struct mosaic_error error = no_error;
	char namesrv[64];

	snprintf(namesrv, sizeof(namesrv), "127.0.0.1:%u", p->rig.namesrv);
	struct mosaic_client_options o = { .struct_size = sizeof(o), .namesrv = namesrv };
	int rc = mosaic_client_create(&o, out, &error);
	if (rc == 0) {
		rc = mosaic_client_start(*out, &error);
		if (rc != 0)
			mosaic_client_destroy(out);
	}
	return rc;
}

/*
 * Lives from one to the next until nothing is left that could fail: densely at first, where objects
 * are made, then further apart.
 */
static void live_often(struct place *p, int (*live)(struct place *p, struct mosaic_client *client))
{
	uint64_t until = now_ns() + LIVES_MS * UINT64_C(1000000);
	uint32_t n = 0, lives = 0, refused = 0;
	bool has_failed;

	do {
		struct mosaic_client *client = NULL;

		n += 1 + n / 8;
		atomic_store(&fail_in, n);
		int rc = open_client(p, &client);
		if (rc == 0)
			rc = live(p, client);
		mosaic_client_destroy(&client);
		has_failed = atomic_exchange(&fail_in, 0) == 0;
		if (rc != 0)
			assert_int_equal(rc, MOSAIC_E_NOMEM);
		assert_true(rc == 0 || has_failed);
		lives++;
		refused += rc != 0;
	} while (has_failed && now_ns() < until);
	print_message("%u lives, up to the allocation %u; %u refused\n", lives, n, refused);
	assert_true(refused > 0);
	assert_true(refused < lives);
}

static int push(struct place *p, struct mosaic_client *client, bool is_orderly)
{
	struct mosaic_error error = no_error;
	struct mosaic_consumer *c = NULL;
	struct sink sink;

	sink_init(&sink);
	struct mosaic_consumer_options o = { .struct_size = sizeof(o), .group = fresh(),
					     .listener = sink_listen, .listener_data = &sink,
					     .from = MOSAIC_FROM_FIRST, .threads = 2,
					     .is_orderly = is_orderly, .trace = 1 };
	int rc = mosaic_consumer_create(client, &o, &c, &error);
	if (rc == 0)
		rc = mosaic_consumer_subscribe(c, p->topic, MOSAIC_TAGS, NULL, &error);
	if (rc == 0)
		rc = mosaic_consumer_start(c, &error);
	if (rc == 0)
		AWAIT(sink_distinct(&sink) == MESSAGES);
	mosaic_consumer_destroy(&c);
	sink_fini(&sink);
	return rc;
}

static int push_concurrent(struct place *p, struct mosaic_client *client)
{
	return push(p, client, false);
}

static int push_orderly(struct place *p, struct mosaic_client *client)
{
	return push(p, client, true);
}

static int poll_all(struct mosaic_puller *puller)
{
	bool seen[MESSAGES] = { false };
	uint32_t n = 0, refused = 0, count;
	const struct mosaic_received *messages;

	while (n < MESSAGES) {
		int rc = mosaic_puller_poll(puller, LONG_MS, &messages, &count);
		if (rc != 0) {
			assert_int_equal(rc, MOSAIC_E_NOMEM);
			assert_int_equal(count, 0);
			assert_true(refused++ < 3);
			continue;
		}
		assert_true(count > 0);
		for (uint32_t i = 0; i < count; i++) {
			int number = messages[i].body.ptr[0] - '0';
			n += !seen[number];
			seen[number] = true;
		}
	}
	return 0;
}

static int pull(struct place *p, struct mosaic_client *client)
{
	struct mosaic_error error = no_error;
	struct mosaic_puller *puller = NULL;
	struct mosaic_puller_options o = { .struct_size = sizeof(o), .group = fresh(),
					   .from = MOSAIC_FROM_FIRST, .batch = 3 };

	int rc = mosaic_puller_create(client, &o, &puller, &error);
	if (rc == 0)
		rc = mosaic_puller_subscribe(puller, p->topic, MOSAIC_TAGS, NULL, &error);
	if (rc == 0)
		rc = mosaic_puller_start(puller, &error);
	if (rc == 0)
		rc = poll_all(puller);
	if (rc == 0)
		(void)mosaic_puller_commit(puller, &error); /* a broken connection is no loss */
	mosaic_puller_destroy(&puller);
	return rc;
}

static int pull_assigned(struct place *p, struct mosaic_client *client)
{
	struct mosaic_error error = no_error;
	struct mosaic_puller *puller = NULL;
	struct mosaic_puller_options o = { .struct_size = sizeof(o), .group = fresh(),
					   .from = MOSAIC_FROM_FIRST, .is_manual = 1 };
	struct mosaic_queue queues[16];
	uint32_t n = 16;

	int rc = mosaic_puller_create(client, &o, &puller, &error);
	if (rc != 0)
		return rc;
	if (mosaic_client_queues(client, p->topic, 0, queues, &n, &error) != 0)
		n = 0; /* the NameServer could not be asked */
	rc = mosaic_puller_assign(puller, queues, n, &error);
	if (rc == 0 && n > 0)
		rc = mosaic_puller_start(puller, &error);
	if (rc == 0 && n > 0)
		rc = poll_all(puller);
	mosaic_puller_destroy(&puller);
	return rc;
}

static void a_push_consumer_gets_all(void **state)
{
	live_often(*state, push_concurrent);
}

static void an_orderly_consumer_gets_all(void **state)
{
	live_often(*state, push_orderly);
}

static void a_puller_gets_all(void **state)
{
	live_often(*state, pull);
}

static void a_puller_of_given_queues_gets_all(void **state)
{
	live_often(*state, pull_assigned);
}

/* The client's thread finds no memory at all for a while; it waits. */
static void without_any_memory_the_client_waits(void **state)
{
	struct place *p = *state;
	struct mosaic_client *client = NULL, *other = NULL;
	struct mosaic_puller *puller = NULL;
	struct mosaic_error error = no_error;
	struct mosaic_puller_options o = { .struct_size = sizeof(o), .group = fresh(),
					   .from = MOSAIC_FROM_FIRST };

	assert_int_equal(open_client(p, &client), 0);
	assert_int_equal(mosaic_puller_create(client, &o, &puller, &error), 0);
	assert_int_equal(mosaic_puller_subscribe(puller, p->topic, MOSAIC_TAGS, NULL, &error), 0);
	assert_int_equal(mosaic_puller_start(puller, &error), 0);
	atomic_store(&is_none_left, true);
	pause_ms(50);
	assert_int_equal(open_client(p, &other), MOSAIC_E_NOMEM);
	assert_int_equal(mosaic_puller_subscribe(puller, "Other", MOSAIC_TAGS, NULL, &error),
			 MOSAIC_E_NOMEM);
	atomic_store(&is_none_left, false);
	assert_int_equal(poll_all(puller), 0);
	mosaic_client_destroy(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_push_consumer_gets_all),
		cmocka_unit_test(an_orderly_consumer_gets_all),
		cmocka_unit_test(a_puller_gets_all),
		cmocka_unit_test(a_puller_of_given_queues_gets_all),
		cmocka_unit_test(without_any_memory_the_client_waits),
	};

	return cmocka_run_group_tests(tests, prepare, clean_up);
}
