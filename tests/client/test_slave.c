/*
 * Reading from a slave while the master is gone. Mosaic does not replicate yet: the slave here is a
 * broker with a copy of the master's store, and the test registers both at the NameServer.
 * tests/interop gives Apache's pair, which replicates: MOSAIC_CLIENT_MASTER_PID,
 * MOSAIC_CLIENT_SLAVE (a port) and MOSAIC_CLIENT_TOPIC, which `client_slave fill` has filled before
 * the slave began, for slaves hear of new topics once a minute.
 */
#include "consume_rig.h"
#include <signal.h>
#include <sys/wait.h>

#define MESSAGES 200
#define QUEUES 4
#define CACHED 8 /* a consumer holds this much of a queue, and a pull */

struct pair {
	struct child namesrv, master, slave;
	struct client registered[2]; /* their connections: with these they leave the routes */
	pid_t master_pid;
	uint16_t slave_port;
	struct rig rig; /* its own child is not started */
};

static void rig_open(struct pair *p, uint16_t namesrv)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_producer_options o = { .struct_size = sizeof(o), .timeout_ms = 10000 };

	p->rig = (struct rig){ .namesrv = namesrv };
	p->rig.client = rig_client(&p->rig);
	assert_int_equal(mosaic_producer_create(p->rig.client, &o, &p->rig.producer, &err), 0);
}

/* ---- ours ---- */

static void broker_open(struct child *c, const char *namesrv)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "{ \"roles\": [\"broker\"], \"broker\": { \"name\": \"pair\",\n"
		 "\"namesrv\": [\"%s\"],\n"
		 "\"transport\": { \"plugin\": \"transport-tcp\", \"listen\": \"127.0.0.1:0\" },\n"
		 "\"store\": { \"plugin\": \"store-mmap\", \"dir\": \"store\", \"segment\": "
		 "\"4MiB\" },\n"
		 "\"flush\": { \"plugin\": \"flush-async\" } } }",
		 namesrv);
	child_config_text(c, text);
}

/* As a broker does it; one with a single topic would be taken for a change of that topic. */
static void broker_register(struct pair *p, const struct child *c, const char *id,
			    const char *topic)
{
	struct client *conn = &p->registered[atoi(id)];
	struct answer a;
	char body[512], address[32];

	snprintf(body, sizeof(body),
		 "{\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":1,"
		 "\"stateVersion\":0,\"timestamp\":1},\"topicConfigTable\":{"
		 "\"%s\":{\"perm\":6,\"readQueueNums\":%d,\"topicName\":\"%s\","
		 "\"writeQueueNums\":%d},\"Other\":{\"topicName\":\"Other\"}}}}",
		 topic, QUEUES, topic, QUEUES);
	snprintf(address, sizeof(address), "127.0.0.1:%u", c->broker[0]);
	client_open(conn, p->namesrv.namesrv);
	client_call(conn, &a, 103, body, strlen(body), "brokerName", "pair", "brokerAddr", address,
		    "clusterName", "DefaultCluster", "haServerAddr", address, "brokerId", id,
		    "compressed", "false", NULL);
	if (a.code != 0)
		fail_msg("register: code %d, %s", a.code, a.remark);
	answer_free(&a);
}

/* Makes the topic, too. */
static void fill_master(struct pair *p, const char *topic)
{
	struct client c;
	char body[16];

	client_open(&c, p->master.broker[0]);
	for (int i = 0; i < MESSAGES; i++) {
		snprintf(body, sizeof(body), "%d", i);
		assert_int_equal(client_send_wait(&c, topic, i % QUEUES, body, strlen(body), NULL),
				 0);
	}
	client_close(&c);
}

static void pair_open_ours(struct pair *p, const char *topic)
{
	char command[256];

	child_init(&p->namesrv);
	child_init(&p->master);
	child_init(&p->slave);
	child_config_text(&p->namesrv,
			  "{ \"roles\": [\"namesrv\"],\n  \"namesrv\": "
			  "{ \"listen\": \"127.0.0.1:0\", \"kvConfig\": \"kv.json\" } }");
	child_start(&p->namesrv);
	broker_open(&p->master, "127.0.0.1:1"); /* nobody: the test does it */
	broker_open(&p->slave, "127.0.0.1:1");
	child_start(&p->master);
	fill_master(p, topic);
	kill(p->master.pid, SIGTERM);
	waitpid(p->master.pid, NULL, 0);
	p->master.pid = 0;
	snprintf(command, sizeof(command), "cp -r '%s/store' '%s/'", p->master.dir, p->slave.dir);
	assert_int_equal(system(command), 0);
	child_start(&p->master);
	child_start(&p->slave);
	broker_register(p, &p->master, "0", topic);
	broker_register(p, &p->slave, "1", topic);
	p->master_pid = p->master.pid;
	p->slave_port = p->slave.broker[0];
	rig_open(p, p->namesrv.namesrv);
}

/* ---- either ---- */

static void pair_open(struct pair *p, const char *topic)
{
	if (!is_elsewhere()) {
		pair_open_ours(p, topic);
		return;
	}
	p->master_pid = atoi(getenv("MOSAIC_CLIENT_MASTER_PID"));
	p->slave_port = (uint16_t)atoi(getenv("MOSAIC_CLIENT_SLAVE"));
	rig_open(p, (uint16_t)atoi(getenv("MOSAIC_CLIENT_NAMESRV")));
}

static void pair_close(struct pair *p)
{
	mosaic_client_destroy(&p->rig.client);
	if (is_elsewhere())
		return;
	client_close(&p->registered[1]);
	child_fini(&p->slave);
	child_fini(&p->master);
	child_fini(&p->namesrv);
}

/* The end of a queue as the slave has it; 0 when it does not hand messages out yet. */
static int64_t slave_end(struct client *c, const char *topic, const char *queue)
{
	struct answer a;
	int64_t end = 0;

	client_call(c, &a, 30, NULL, 0, "topic", topic, "queueId", queue, NULL);
	if (a.code == 0)
		end = atoll(answer_field(&a, "offset"));
	answer_free(&a);
	client_call(c, &a, 11, NULL, 0, "consumerGroup", "slave-probe", "topic", topic, "queueId",
		    queue, "queueOffset", "0", "maxMsgNums", "1", "sysFlag", "4", "commitOffset",
		    "0", "suspendTimeoutMillis", "0", "subscription", "*", "subVersion", "0",
		    "expressionType", "TAG", NULL);
	if (a.code != 0)
		end = 0;
	answer_free(&a);
	return end;
}

static bool slave_has_all(struct pair *p, const char *topic)
{
	struct client c;
	int64_t sum = 0;
	char queue[8];

	client_open(&c, p->slave_port);
	for (int i = 0; i < QUEUES; i++) {
		snprintf(queue, sizeof(queue), "%d", i);
		sum += slave_end(&c, topic, queue);
	}
	client_close(&c);
	return sum >= MESSAGES;
}

/* Apache's slave looks for its master every now and then only. */
static void await_slave(struct pair *p, const char *topic)
{
	uint64_t until = now_ns() + 3 * LONG_MS * UINT64_C(1000000);

	while (!slave_has_all(p, topic)) {
		if (now_ns() > until)
			fail_msg("the slave does not get the messages");
		pause_ms(100);
	}
}

static void kill_master(struct pair *p)
{
	assert_int_equal(kill(p->master_pid, SIGKILL), 0);
	if (is_elsewhere())
		return;
	waitpid(p->master.pid, NULL, 0);
	p->master.pid = 0;
	client_close(&p->registered[0]);
}

static void all_is_read_from_the_slave_when_the_master_is_gone(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct sink *sinks = calloc(2, sizeof(*sinks));
	const char *topic = is_elsewhere() ? getenv("MOSAIC_CLIENT_TOPIC") : own("Pair");
	const char *early = own("GEarly"), *late = own("GLate");
	(void)state;
	sink_init(&sinks[0]);
	sink_init(&sinks[1]);
	pair_open(p, topic);
	await_slave(p, topic);

	/* One is in the middle of it when the master dies... */
	struct mosaic_consumer_options o = rig_options(early, &sinks[0]);
	o.max_cached = o.pull_batch = CACHED;
	sink_block(&sinks[0], true);
	struct mosaic_consumer *c = rig_consumer(p->rig.client, &o, topic, NULL);
	AWAIT(sink_count(&sinks[0]) > 0);
	kill_master(p);
	sink_block(&sinks[0], false);
	AWAIT(sink_distinct(&sinks[0]) == MESSAGES);

	/* ... and one has never seen it. */
	struct mosaic_client *client = rig_client(&p->rig);
	struct mosaic_consumer_options n = rig_options(late, &sinks[1]);
	struct mosaic_consumer *d = rig_consumer(client, &n, topic, NULL);
	AWAIT(sink_distinct(&sinks[1]) == MESSAGES);

	mosaic_consumer_destroy(&c);
	mosaic_consumer_destroy(&d);
	mosaic_client_destroy(&client);
	pair_close(p);
	sink_fini(&sinks[0]);
	sink_fini(&sinks[1]);
	free(sinks);
	free(p);
}

/* Sends MESSAGES, in turn to all queues. */
static void the_master_is_filled(void **state)
{
	const char *topic = getenv("MOSAIC_CLIENT_TOPIC");
	struct mosaic_message first = { .struct_size = sizeof(first), .topic = topic,
					.body = { (const uint8_t *)"0", 1 } };
	struct pair p = { .master_pid = 0 };
	(void)state;
	rig_open(&p, (uint16_t)atoi(getenv("MOSAIC_CLIENT_NAMESRV")));
	AWAIT(mosaic_producer_send(p.rig.producer, &first, NULL) == 0);
	rig_send(&p.rig, topic, 1, MESSAGES, NULL, NULL);
	mosaic_client_destroy(&p.rig.client);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest filling[] = { cmocka_unit_test(the_master_is_filled) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_read_from_the_slave_when_the_master_is_gone),
	};
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "fill") == 0)
		return cmocka_run_group_tests(filling, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
