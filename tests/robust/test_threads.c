/*
 * The whole program under ThreadSanitizer: a NameServer and two brokers, each with its core thread,
 * and the threads of their stores, flush plugins and workers, while several connections send, pull,
 * wait, and change what the threads share. CMakeLists.txt sets what ThreadSanitizer is told.
 */
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS 2
#define SENDERS 2 /* for each broker */

struct sender {
	struct client client;
	struct load load;
	char topic[32];
	uint16_t port;
};

/* name, flush plugin, folder */
#define BROKER \
	"{ \"name\": \"%s\", \"flush\": { \"plugin\": \"%s\" },\n" \
	"  \"transport\": { \"plugin\": \"transport-tcp\", \"listen\": \"127.0.0.1:0\" },\n" \
	"  \"store\": { \"plugin\": \"store-mmap\", \"dir\": \"%s\",\n" \
	"               \"segment\": \"4MiB\" } }"

static void start(struct child *c)
{
	char text[2048];

	child_init(c);
	snprintf(text, sizeof(text),
		 "{ \"roles\": [\"namesrv\", \"broker\"],\n"
		 "  \"namesrv\": { \"listen\": \"127.0.0.1:0\", \"kvConfig\": \"kv.json\" },\n"
		 "  \"brokers\": [ " BROKER ", " BROKER " ] }\n",
		 "a", "flush-sync", "a", "b", "flush-async", "b");
	child_config_text(c, text);
	child_start(c);
	assert_int_equal(c->n_brokers, BROKERS);
}

static void call(struct client *c, int32_t code, const char *body, const char *key,
		 const char *value)
{
	struct answer a;

	client_call(c, &a, code, body, body ? strlen(body) : 0, key, value, NULL);
	if (a.code != 0)
		fail_msg("%d is answered %d %s", code, a.code, a.remark);
	answer_free(&a);
}

/* A pull that waits at the end of a queue, until a message comes or the program ends. */
static void wait_for_message(struct client *c, const char *topic, int64_t offset)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)offset);
	client_request(c, 11, NULL, 0, "consumerGroup", "Waiters", "topic", topic, "queueId", "0",
		       "queueOffset", text, "maxMsgNums", "32", "sysFlag", "6", "commitOffset",
		       "0", "suspendTimeoutMillis", "15000", "subscription", "*", "subVersion",
		       "0", "expressionType", "TAG", NULL);
}

/* What touches state that threads share: the log's level, documents, figures of the loop. */
static void operate(struct client *c, int round)
{
	char topic[32];
	struct answer a;

	call(c, 25, round % 2 ? "mosaicLogLevel=info" : "mosaicLogLevel=debug", NULL, NULL);
	call(c, 28, NULL, NULL, NULL);
	call(c, 26, NULL, NULL, NULL);
	snprintf(topic, sizeof(topic), "Made%d", round);
	client_call(c, &a, 17, NULL, 0, "topic", topic, "defaultTopic", "TBW102", "readQueueNums",
		    "4", "writeQueueNums", "4", "perm", "6", "topicFilterType", "SINGLE_TAG", NULL);
	assert_int_equal(a.code, 0);
	answer_free(&a);
	assert_int_equal(client_send_wait(c, topic, 0, "x", 1, NULL), 0);
	call(c, 215, NULL, "topic", topic);
}

static void round_of_load(struct sender *senders, struct client *operators, int round)
{
	for (int i = 0; i < BROKERS * SENDERS; i++) {
		struct sender *s = &senders[i];

		/* Up to 100 sends stay under way while the others have their turn. */
		assert_true(load_run(&s->load, &s->client, 600, 100));
		wait_for_message(&operators[BROKERS + i / SENDERS], s->topic, round * 100);
		operate(&operators[i / SENDERS], round * BROKERS * SENDERS + i);
	}
	for (int i = 0; i < BROKERS * SENDERS; i++)
		load_check(&senders[i].load, senders[i].port);
}

/*
 * The report at `at`, cut off behind its end. Of descriptors ThreadSanitizer knows too little:
 * libuv closes them by a bare system call, and the store opens the next one of the same number by
 * openat(), both of which it does not see.
 */
static bool is_race(char *at, char **next)
{
	char *end = strstr(at, "SUMMARY: ThreadSanitizer");

	*next = end ? end + 1 : at + strlen(at);
	if (end)
		*end = 0;
	return strstr(at, "Location is file descriptor") == NULL;
}

static void check_log(const struct child *c)
{
	char *log = child_log(c);
	bool found = false;

	for (char *at = log; (at = strstr(at, "WARNING: ThreadSanitizer")) != NULL;) {
		char *report = at;

		if (!is_race(report, &at))
			continue;
		found = true;
		print_message("%.900s\n", report); /* cmocka prints no more at a time */
		if (strlen(report) > 900)
			print_message("%.900s\n", report + 900);
	}
	assert_false(found);
	free(log);
}

static void no_data_race_under_load(void **state)
{
	struct child c;
	struct sender senders[BROKERS * SENDERS];
	struct client operators[2 * BROKERS]; /* the second half waits for messages */

	(void)state;
	start(&c);
	for (int i = 0; i < 2 * BROKERS; i++)
		client_open(&operators[i], c.broker[i % BROKERS]);
	for (int i = 0; i < BROKERS * SENDERS; i++) {
		struct sender *s = &senders[i];

		s->port = c.broker[i / SENDERS];
		snprintf(s->topic, sizeof(s->topic), "Threads%d", i);
		load_init(&s->load, s->topic, 3000);
		client_open(&s->client, s->port);
	}
	for (int round = 0; round < 3; round++)
		round_of_load(senders, operators, round);
	child_stop(&c);
	check_log(&c);
	for (int i = 0; i < BROKERS * SENDERS; i++) {
		client_close(&senders[i].client);
		load_free(&senders[i].load);
	}
	for (int i = 0; i < 2 * BROKERS; i++)
		client_close(&operators[i]);
	child_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_data_race_under_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
