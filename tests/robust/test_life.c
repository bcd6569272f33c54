/* Start, stop, kill: what was acknowledged is there afterwards, and nobody waits for long. */
#include "load.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STORE ", \"segment\": \"4MiB\""

static void start(struct child *c, const char *flush)
{
	child_init(c);
	child_config(c, STORE, flush, "", "");
	child_start(c);
}

/* ---- kill -9: KILL_ROUNDS=n goes on for n kills per policy, from KILL_SEED=n ---- */

/* What was acknowledged is there; or, where nothing more was promised, a first part of it. */
static void check_kept(struct load *l, const struct child *c, bool is_all)
{
	if (!is_all)
		load_forget_lost(l, c->broker[0]);
	load_check(l, c->broker[0]);
}

static void kill_rounds(const char *flush, uint32_t rounds, bool is_all, unsigned seed)
{
	struct child c;
	struct load l;
	struct client client;

	print_message("KILL_SEED=%u\n", seed);
	load_init(&l, "RobustKill", 700);
	start(&c, flush);
	for (uint32_t round = 0; round < rounds; round++) {
		if (round > 0)
			child_start(&c);
		client_open(&client, c.broker[0]);
		/* Killed while up to 200 more are under way; round 1 in a row crosses segments. */
		assert_true(load_run(&l, &client, 300 + (uint32_t)rand_r(&seed) % 4000, 200));
		child_kill(&c);
		load_drain(&l, &client); /* answers that had left count */
		client_close(&client);
		child_start(&c);
		check_kept(&l, &c, is_all);
		check_serves(c.broker[0]);
		child_stop(&c);
	}
	assert_int_equal(child_log_count(&c, "event=recovery", "clean=0"), rounds);
	print_message("%s %s: %u kills, %llu acknowledged, %s there\n", child_store(), flush,
		      rounds, (unsigned long long)l.n_acked, is_all ? "all" : "a first part");
	load_free(&l);
	child_fini(&c);
}

/* In parts of 4, each in a folder of its own: every check reads all that was ever sent. */
static void kill_often(const char *flush, bool is_all)
{
	const char *text = getenv("KILL_ROUNDS"), *seed_text = getenv("KILL_SEED");
	uint64_t rounds = text ? strtoull(text, NULL, 10) : 4;
	unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : (unsigned)now_ns();
	for (uint64_t n = 0; n < rounds; n += 4)
		kill_rounds(flush, 4, is_all, seed++);
}

/* store-uring keeps in its own memory what it has not written yet. */
static void kill_9_keeps_what_flush_async_promises(void **state)
{
	(void)state;
	kill_often("flush-async", strcmp(child_store(), "store-mmap") == 0);
}

static void kill_9_loses_no_acknowledged_message_with_flush_sync(void **state)
{
	(void)state;
	kill_often("flush-sync", true);
}

/* ---- SIGTERM ---- */

static void set_offset(struct client *c, const char *offset)
{
	struct answer a;
	char group[] = "{\"groupName\":\"RobustGroup\",\"consumeEnable\":true}";

	client_call(c, &a, 200, group, strlen(group), NULL);
	assert_int_equal(a.code, 0);
	answer_free(&a);
	client_call(c, &a, 15, NULL, 0, "consumerGroup", "RobustGroup", "topic", "RobustTerm",
		    "queueId", "1", "commitOffset", offset, NULL);
	assert_int_equal(a.code, 0);
	answer_free(&a);
}

static void check_offset(struct client *c, const char *offset)
{
	struct answer a;
	client_call(c, &a, 14, NULL, 0, "consumerGroup", "RobustGroup", "topic", "RobustTerm",
		    "queueId", "1", NULL);
	assert_int_equal(a.code, 0);
	assert_string_equal(answer_field(&a, "offset"), offset);
	answer_free(&a);
}

static void sigterm_under_load(const char *flush)
{
	struct child c;
	struct load l;
	struct client load_client, client;

	load_init(&l, "RobustTerm", 1000);
	start(&c, flush);
	for (int round = 0; round < 3; round++) {
		if (round > 0)
			child_start(&c);
		client_open(&load_client, c.broker[0]);
		client_open(&client, c.broker[0]);
		assert_true(load_run(&l, &load_client, 2000, 300));
		set_offset(&client, round == 0 ? "11" : round == 1 ? "12" : "13");
		child_stop(&c); /* with up to 300 sends under way; gone within a second */
		load_drain(&l, &load_client);
		client_close(&load_client);
		client_close(&client);
		child_start(&c);
		assert_true(child_log_count(&c, "event=recovery", "clean=1") > 0);
		load_check(&l, c.broker[0]);
		client_open(&client, c.broker[0]);
		check_offset(&client, round == 0 ? "11" : round == 1 ? "12" : "13");
		client_close(&client);
		child_stop(&c);
	}
	assert_int_equal(child_log_count(&c, "event=recovery", "clean=0"), 0);
	load_free(&l);
	child_fini(&c);
}

static void sigterm_keeps_messages_and_offsets_with_flush_async(void **state)
{
	(void)state;
	sigterm_under_load("flush-async");
}

static void sigterm_keeps_messages_and_offsets_with_flush_sync(void **state)
{
	(void)state;
	sigterm_under_load("flush-sync");
}

/* A consumer that waits for messages (15 s) does not make the stop wait. */
static void a_waiting_pull_does_not_delay_the_stop(void **state)
{
	(void)state;
	struct child c;
	struct client client;

	start(&c, "flush-async");
	check_serves(c.broker[0]);
	client_open(&client, c.broker[0]);
	client_request(&client, 11, NULL, 0, "consumerGroup", "robust-consumer", "topic",
		       "RobustAlive", "queueId", "0", "queueOffset", "1", "maxMsgNums", "32",
		       "sysFlag", "6", "commitOffset", "0", "suspendTimeoutMillis", "15000",
		       "subscription", "*", "subVersion", "0", "expressionType", "TAG", NULL);
	child_stop(&c);
	client_close(&client);
	child_fini(&c);
}

/* ---- NameServers ---- */

static int32_t route_code(uint16_t namesrv, const char *topic)
{
	struct client c;
	struct answer a;
	client_open(&c, namesrv);
	int32_t code = client_call(&c, &a, 105, NULL, 0, "topic", topic, NULL);
	answer_free(&a);
	client_close(&c);
	return code;
}

static void broker_config(struct child *c, const char *namesrvs)
{
	char text[1024];
	snprintf(text, sizeof(text),
		 "{ \"roles\": [\"broker\"], \"broker\": { \"namesrv\": [%s], \"transport\":\n"
		 "{ \"plugin\": \"transport-tcp\", \"listen\": \"127.0.0.1:0\" }, \"store\":\n"
		 "{ \"plugin\": \"%s\", \"dir\": \"store\", \"segment\": \"4MiB\" }, "
		 "\"flush\":\n"
		 "{ \"plugin\": \"flush-async\" }, \"balance\": { \"plugin\": \"lb-roundrobin\" } "
		 "} }",
		 namesrvs, child_store());
	child_config_text(c, text);
}

static void namesrv_start(struct child *c)
{
	child_init(c);
	child_config_text(c, "{ \"roles\": [\"namesrv\"],\n  \"namesrv\": "
			     "{ \"listen\": \"127.0.0.1:0\", \"kvConfig\": \"kv.json\" } }");
	child_start(c);
}

static void a_clean_stop_unregisters_at_once(void **state)
{
	(void)state;
	struct child ns, b;
	char list[64];

	namesrv_start(&ns);
	child_init(&b);
	snprintf(list, sizeof(list), "\"127.0.0.1:%u\"", ns.namesrv);
	broker_config(&b, list);
	child_start(&b);
	check_serves(b.broker[0]);
	child_log_wait(&ns, "broker_registered", "broker-a");
	assert_int_equal(route_code(ns.namesrv, "TBW102"), 0);
	child_stop(&b);
	assert_int_equal(route_code(ns.namesrv, "TBW102"), 17);
	child_stop(&ns);
	child_fini(&b);
	child_fini(&ns);
}

/* Who waits for a NameServer that says nothing waits as long as its call: 5 s. */
#define MUTE_MS 4500

/* A port where nobody listens refuses; one that listens and says nothing is worse: both here. */
static void dead_nameservers_delay_nothing(void **state)
{
	(void)state;
	struct child ns, b;
	char list[256];
	struct client c;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	namesrv_start(&ns);
	assert_int_equal(bind(mute, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(mute, 1), 0);
	assert_int_equal(getsockname(mute, (struct sockaddr *)&a, &len), 0);
	snprintf(list, sizeof(list), "\"127.0.0.1:%u\", \"127.0.0.1:%u\", \"127.0.0.1:%u\"", 1,
		 ntohs(a.sin_port), ns.namesrv);
	child_init(&b);
	broker_config(&b, list);
	child_start(&b);
	uint64_t ready_ms = (b.ready_ns - b.started_ns) / 1000000;
	child_log_wait(&b, "nameserver_registered", "");
	child_log_wait(&b, "nameserver_not_registered", "127.0.0.1:1");
	print_message("ready after %llu ms beside two dead NameServers\n",
		      (unsigned long long)ready_ms);
	assert_in_range(ready_ms, 0, MUTE_MS - 1);
	client_open(&c, b.broker[0]);
	uint64_t began = now_ns();
	assert_int_equal(client_send_wait(&c, "Fresh", 0, "x", 1, NULL), 0); /* makes a topic */
	uint64_t took_ms = (now_ns() - began) / 1000000;
	print_message("a topic made by a send: %llu ms\n", (unsigned long long)took_ms);
	assert_in_range(took_ms, 0, MUTE_MS - 1);
	client_close(&c);
	child_stop(&b);
	assert_int_equal(route_code(ns.namesrv, "TBW102"), 17);
	child_stop(&ns);
	close(mute);
	child_fini(&b);
	child_fini(&ns);
}

/* ---- starting ---- */

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void the_first_ack_comes_soon_after_the_start(void **state)
{
	(void)state;
	uint64_t took[5];
	struct child c;
	struct client client;

	for (int i = 0; i < 5; i++) {
		child_init(&c);
		child_config(&c, "", "flush-async", "", ""); /* a segment of 1 GiB: the default */
		child_start(&c);
		client_open(&client, c.broker[0]);
		assert_int_equal(client_send_wait(&client, "First", 0, "x", 1, NULL), 0);
		took[i] = now_ns() - c.started_ns;
		client_close(&client);
		child_stop(&c);
		child_fini(&c);
	}
	qsort(took, 5, sizeof(took[0]), by_size);
	print_message("first acknowledgement after the start of the process: %.1f ms (goal: 50)\n",
		      (double)took[2] / 1e6);
	assert_true(took[2] < 5000000000); /* the figure is for a quiet machine */
}

static void readiness_is_told_to_the_service_manager(void **state)
{
	(void)state;
	struct child c;
	char note[256];
	start(&c, "flush-async");
	assert_non_null(strstr(c.note, "READY=1")); /* child_start has waited for it */
	child_stop(&c);
	ssize_t n = recv(c.notify, note, sizeof(note) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	note[n] = '\0';
	assert_non_null(strstr(note, "STOPPING=1"));
	child_fini(&c);
}

static void the_log_level_follows_signals(void **state)
{
	(void)state;
	struct child c;
	start(&c, "flush-async");
	close(dial(c.broker[0]));
	kill(c.pid, SIGUSR1);
	child_log_wait(&c, "log_level_changed", "to=debug");
	check_serves(c.broker[0]);
	child_log_wait(&c, "level=debug", "");
	kill(c.pid, SIGUSR2);
	child_log_wait(&c, "log_level_changed", "to=info");
	kill(c.pid, SIGUSR2);
	child_log_wait(&c, "log_level_changed", "to=warn");
	uint32_t n = child_log_count(&c, "level=info", "");
	check_serves(c.broker[0]);
	assert_int_equal(child_log_count(&c, "level=info", ""), n);
	child_stop(&c);
	child_fini(&c);
}

static void brokers_of_one_process_are_independent(void **state)
{
	(void)state;
	enum {
		BROKERS = 3
	};
	char text[4096];
	size_t len;
	struct child c;
	struct load l[BROKERS];
	struct client client;

	child_init(&c);
	len = (size_t)snprintf(text, sizeof(text),
			       "{ \"namesrv\": { \"listen\": \"127.0.0.1:0\", "
			       "\"kvConfig\": \"kv.json\" }, \"brokers\": [");
	for (int i = 0; i < BROKERS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s\n{ \"name\": \"broker-%c\", \"transport\": { "
					"\"plugin\": \"transport-tcp\", "
					"\"listen\": \"127.0.0.1:0\" }, \"store\": { \"plugin\": "
					"\"%s\", \"dir\": "
					"\"store-%d\", \"segment\": \"4MiB\" }, \"flush\": { "
					"\"plugin\": \"%s\" "
					"}, \"balance\": { \"plugin\": \"lb-roundrobin\" } }",
					i ? "," : "", 'a' + i, child_store(), i,
					child_keeping_flush());
	snprintf(text + len, sizeof(text) - len, "] }");
	child_config_text(&c, text);
	child_start(&c);
	assert_int_equal(c.n_brokers, BROKERS);
	for (int i = 0; i < BROKERS; i++) {
		load_init(&l[i], "RobustMany", 100 + (size_t)i);
		client_open(&client, c.broker[i]);
		assert_true(load_run(&l[i], &client, 2000, 100));
		shutdown(client.fd, SHUT_WR);
		load_drain(&l[i], &client);
		client_close(&client);
		child_log_wait(&c, "broker_registered",
			       i == 0   ? "broker-a"
			       : i == 1 ? "broker-b"
					: "broker-c");
	}
	assert_int_equal(route_code(c.namesrv, "TBW102"), 0);
	child_kill(&c);
	child_start(&c);
	for (int i = 0; i < BROKERS; i++) {
		load_check(&l[i], c.broker[i]);
		load_free(&l[i]);
	}
	child_stop(&c);
	child_fini(&c);
}

int main(void)
{
	if (!child_store_is_usable())
		return 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readiness_is_told_to_the_service_manager),
		cmocka_unit_test(the_first_ack_comes_soon_after_the_start),
		cmocka_unit_test(the_log_level_follows_signals),
		cmocka_unit_test(kill_9_keeps_what_flush_async_promises),
		cmocka_unit_test(kill_9_loses_no_acknowledged_message_with_flush_sync),
		cmocka_unit_test(sigterm_keeps_messages_and_offsets_with_flush_async),
		cmocka_unit_test(sigterm_keeps_messages_and_offsets_with_flush_sync),
		cmocka_unit_test(a_waiting_pull_does_not_delay_the_stop),
		cmocka_unit_test(a_clean_stop_unregisters_at_once),
		cmocka_unit_test(dead_nameservers_delay_nothing),
		cmocka_unit_test(brokers_of_one_process_are_independent),
	};
	const struct CMUnitTest only_kills[] = {
		cmocka_unit_test(kill_9_keeps_what_flush_async_promises),
		cmocka_unit_test(kill_9_loses_no_acknowledged_message_with_flush_sync),
	};
	return getenv("KILL_ROUNDS") ? cmocka_run_group_tests(only_kills, NULL, NULL)
				     : cmocka_run_group_tests(tests, NULL, NULL);
}
