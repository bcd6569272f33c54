/*
 * Sending, against a real broker: a `mosaic` of its own for each test, or, with
 * MOSAIC_CLIENT_NAMESRV and MOSAIC_CLIENT_BROKER (ports on this machine) in the environment, one
 * that runs already: tests/interop gives it Apache's. MOSAIC_CLIENT_CAN says what the latter can do
 * that ours cannot yet: "transaction timer recall reply".
 */
#include "robust.h"
#include "wire/message.h"
#include "wire/props.h"
#include <fnmatch.h>
#include <mosaic/producer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct fixture {
	struct child child;
	struct mosaic_client *client;
	struct mosaic_producer *producer;
	uint16_t namesrv, broker;
	uint32_t max_message;
};

static bool is_elsewhere(void)
{
	return getenv("MOSAIC_CLIENT_NAMESRV") != NULL;
}

/* Whether the broker has a feature; the reason for leaving a test out is printed. */
static bool can(const char *what)
{
	const char *list = getenv("MOSAIC_CLIENT_CAN");

	if (list != NULL && strstr(list, what) != NULL)
		return true;
	print_message("left out: this broker has no %s\n", what);
	return false;
}

static bool is_ours(void)
{
	if (is_elsewhere())
		print_message("left out: the broker is not this test's to kill\n");
	return !is_elsewhere();
}

static void open_client(struct fixture *f, const struct mosaic_producer_options *options)
{
	char namesrv[64];
	struct mosaic_error err = { .struct_size = sizeof(err) };
	/* The first one is dead: the next is asked. */
	snprintf(namesrv, sizeof(namesrv), "127.0.0.1:1;127.0.0.1:%u", f->namesrv);
	struct mosaic_client_options o = { .struct_size = sizeof(o), .namesrv = namesrv,
					   .max_message = f->max_message };
	assert_int_equal(mosaic_client_create(&o, &f->client, &err), 0);
	assert_int_equal(mosaic_client_start(f->client, &err), 0);
	assert_int_equal(mosaic_producer_create(f->client, options, &f->producer, &err), 0);
}

static void begin(struct fixture *f, const struct mosaic_producer_options *options)
{
	if (is_elsewhere()) {
		f->namesrv = (uint16_t)atoi(getenv("MOSAIC_CLIENT_NAMESRV"));
		f->broker = (uint16_t)atoi(getenv("MOSAIC_CLIENT_BROKER"));
	} else {
		child_init(&f->child);
		child_config(&f->child, "", "flush-async", "", "");
		child_start(&f->child);
		f->namesrv = f->child.namesrv;
		f->broker = f->child.broker[0];
	}
	open_client(f, options);
}

static void end(struct fixture *f)
{
	mosaic_client_destroy(&f->client);
	if (!is_elsewhere())
		child_fini(&f->child);
}

/* Each run has topics of its own: the broker may have been used before. */
static const char *topic(const char *name)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s-%d", name, (int)getpid());
	return text;
}

static struct mosaic_message message(const char *topic, const char *text)
{
	return (struct mosaic_message){ .struct_size = sizeof(struct mosaic_message),
					.topic = topic,
					.body = { (const uint8_t *)text, strlen(text) } };
}

/* A broker that was just started takes its time until it is in routes. */
static int await_broker(void **state)
{
	uint64_t due = now_ns() + UINT64_C(12) * WAIT_MS * 1000000;
	struct fixture f = { .max_message = 0 };
	struct mosaic_message m = message(topic("Ready"), "x");

	(void)state;
	if (!is_elsewhere())
		return 0;
	begin(&f, NULL);
	while (mosaic_producer_send(f.producer, &m, NULL) != 0) {
		assert_true(now_ns() < due);
		usleep(200000);
	}
	end(&f);
	return 0;
}

/* ---- reading what was sent, with nothing of the library ---- */

typedef void (*each_record)(void *ctx, const struct message *m);

static void read_queue(struct client *raw, const char *name, int queue, each_record each, void *ctx)
{
	char queue_text[16], offset_text[24];
	int64_t offset = 0;

	snprintf(queue_text, sizeof(queue_text), "%d", queue);
	for (int32_t code = 0; code == 0 || code == 20;) {
		struct answer a;
		struct message m;
		uint32_t len;

		snprintf(offset_text, sizeof(offset_text), "%lld", (long long)offset);
		client_call(raw, &a, 11, NULL, 0, "consumerGroup", "robust-consumer", "topic", name,
			    "queueId", queue_text, "queueOffset", offset_text, "maxMsgNums", "32",
			    "sysFlag", "4", "commitOffset", "0", "suspendTimeoutMillis", "0",
			    "subscription", "*", "subVersion", "0", "expressionType", "TAG", NULL);
		code = a.code;
		for (size_t at = 0; code == 0 && at < a.body_len; at += len) {
			int kind = record_decode(a.body + at, a.body_len - at, true, &m, &len);
			assert_int_equal(kind, RECORD_MESSAGE);
			each(ctx, &m);
			offset = m.queue_offset + 1;
		}
		answer_free(&a);
	}
}

/* All queues of a topic of four. */
static void read_topic(const struct fixture *f, const char *name, each_record each, void *ctx)
{
	struct client raw;

	client_open(&raw, f->broker);
	for (int q = 0; q < 4; q++)
		read_queue(&raw, name, q, each, ctx);
	client_close(&raw);
}

static void count(void *ctx, const struct message *m)
{
	(void)m;
	++*(int *)ctx;
}

static int n_stored(const struct fixture *f, const char *name)
{
	int n = 0;

	read_topic(f, name, count, &n);
	return n;
}

/* Waits until a topic holds n messages. */
static void await_stored(const struct fixture *f, const char *name, int n)
{
	uint64_t due = now_ns() + UINT64_C(6) * WAIT_MS * 1000000;

	while (n_stored(f, name) < n) {
		assert_true(now_ns() < due);
		usleep(20000);
	}
	assert_int_equal(n_stored(f, name), n);
}

/* ---- tests ---- */

static void a_message_is_stored_and_can_be_pulled(void **state)
{
	struct fixture f = { .max_message = 0 };
	(void)state;
	begin(&f, NULL);
	for (int i = 0; i < 20; i++) {
		struct mosaic_message m = message(topic("Sent"), "hello");
		struct mosaic_send_result r;
		m.tag = "A";
		assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
		assert_int_equal(strlen(r.message_id), 32);
		assert_int_equal(strlen(r.offset_id), 32);
		assert_int_equal(r.stored, MOSAIC_STORED);
	}
	assert_int_equal(n_stored(&f, topic("Sent")), 20);
	struct mosaic_client_metrics n = { .struct_size = sizeof(n) };
	mosaic_client_metrics(f.client, &n);
	assert_true(n.requests >= n.sent + n.route_asks);
	assert_int_equal(n.sent, 20);
	assert_int_equal(n.bytes_held, 0);
	assert_true(n.heartbeats >= 1);
	assert_int_equal(n.connections, 2);
	end(&f);
}

/* The queues that Java's SelectMessageQueueByHash takes of four. */
static void one_key_has_one_queue_the_one_that_java_takes(void **state)
{
	static const struct {
		const char *key;
		int32_t queue;
	} keys[] = { { "key-1", 3 }, { "key-2", 0 }, { "order-17", 1 },
		     { "\xC3\xA4", 0 }, { "\xE4\xB8\xAD\xE6\x96\x87", 2 } };
	struct fixture f = { .max_message = 0 };
	(void)state;
	begin(&f, NULL);
	for (int i = 0; i < 15; i++) {
		struct mosaic_message m = message(topic("Keyed"), "x");
		struct mosaic_send_result r;
		m.sharding_key = keys[i % 5].key;
		assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
		assert_int_equal(r.queue_id, keys[i % 5].queue);
	}
	end(&f);
}

static void a_chosen_queue_is_taken(void **state)
{
	struct fixture f = { .max_message = 0 };
	struct mosaic_queue queues[16];
	struct mosaic_send_result r;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	uint32_t n = 16;
	(void)state;
	begin(&f, NULL);
	struct mosaic_message m = message(topic("Chosen"), "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	assert_int_equal(mosaic_client_queues(f.client, topic("Chosen"), 1, queues, &n, &err), 0);
	assert_true(n >= 4);
	for (int i = 0; i < 4; i++) {
		m.queue = &queues[2];
		assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
		assert_int_equal(r.queue_id, queues[2].id);
	}
	end(&f);
}

static void a_send_can_be_waited_for_later_or_never(void **state)
{
	struct fixture f = { .max_message = 0 };
	struct mosaic_future *future;
	struct mosaic_send_result r;
	(void)state;
	begin(&f, NULL);
	struct mosaic_message m = message(topic("Future"), "x");
	assert_int_equal(mosaic_producer_send_future(f.producer, &m, &future), 0);
	assert_int_equal(mosaic_future_wait(future, WAIT_MS, &r), 0);
	assert_int_equal(mosaic_future_wait(future, 0, NULL), 0);
	assert_int_equal(strlen(r.offset_id), 32);
	mosaic_future_free(&future);
	assert_int_equal(mosaic_producer_send_future(f.producer, &m, &future), 0);
	mosaic_future_free(&future); /* nobody waits */
	assert_int_equal(mosaic_producer_send_oneway(f.producer, &m), 0);
	mosaic_producer_stop(f.producer, WAIT_MS);
	await_stored(&f, topic("Future"), 3);
	end(&f);
}

static void collect_ids(void *ctx, const struct message *m)
{
	json_t *ids = ctx;
	char *id = slice_dup(props_find(m->props, PROP_UNIQ_KEY));

	assert_int_equal(strlen(id), 32);
	json_object_set_new(ids, id, json_true());
	free(id);
}

static void a_batch_is_split_where_it_is_too_long(void **state)
{
	struct fixture f = { .max_message = 20000 };
	struct mosaic_message batch[50];
	struct mosaic_send_result r;
	static char text[1000];
	(void)state;
	begin(&f, NULL);
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 50; i++) {
		batch[i] = message(topic("Batch"), text);
		batch[i].tag = "A";
	}
	/* A topic that is made by a batch is not known to every broker in time. */
	assert_int_equal(mosaic_producer_send(f.producer, &batch[0], &r), 0);
	assert_int_equal(mosaic_producer_send_batch(f.producer, batch, 50, &r), 0);
	assert_int_equal(strlen(r.offset_id), 32);
	json_t *ids = json_object();
	read_topic(&f, topic("Batch"), collect_ids, ids);
	assert_int_equal(json_object_size(ids), 51);
	json_decref(ids);
	struct mosaic_client_metrics n = { .struct_size = sizeof(n) };
	mosaic_client_metrics(f.client, &n);
	assert_int_equal(n.sent, 1 + 3);
	batch[7].topic = "Another";
	assert_int_equal(mosaic_producer_send_batch(f.producer, batch, 50, &r), MOSAIC_E_INVAL);
	end(&f);
}

static void count_sent(void *data, const struct mosaic_send_result *result);

static void messages_are_batched_by_themselves(void **state)
{
	const struct mosaic_producer_options o = { .struct_size = sizeof(o),
						   .batch_linger_us = 20000 };
	struct fixture f = { .max_message = 0 };
	atomic_int counts[2] = { 0, 0 };
	(void)state;
	begin(&f, &o);
	struct mosaic_message m = message(topic("Linger"), "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(mosaic_producer_send_async(f.producer, &m, count_sent, counts), 0);
	mosaic_producer_stop(f.producer, WAIT_MS);
	assert_int_equal(atomic_load(&counts[0]), 100);
	json_t *ids = json_object();
	read_topic(&f, topic("Linger"), collect_ids, ids);
	assert_int_equal(json_object_size(ids), 101);
	json_decref(ids);
	end(&f);
}

static void look_at_compressed(void *ctx, const struct message *m)
{
	(void)ctx;
	assert_int_equal(m->sys_flag & 0x701, 0x201); /* zstd */
	assert_true(m->body.len < 1000);
}

static void a_long_body_travels_compressed(void **state)
{
	const struct mosaic_producer_options o = { .struct_size = sizeof(o),
						   .compression = MOSAIC_COMPRESSION_ZSTD };
	struct fixture f = { .max_message = 0 };
	static char text[10000];
	(void)state;
	begin(&f, &o);
	memset(text, 'x', sizeof(text) - 1);
	struct mosaic_message m = message(topic("Long"), text);
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	read_topic(&f, topic("Long"), look_at_compressed, NULL);
	assert_int_equal(n_stored(&f, topic("Long")), 1);
	end(&f);
}

static void a_delayed_message_comes_later(void **state)
{
	struct fixture f = { .max_message = 0 };
	(void)state;
	begin(&f, NULL);
	struct mosaic_message m = message(topic("Delayed"), "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	m.delay_level = 1; /* one second */
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	await_stored(&f, topic("Delayed"), 2);
	end(&f);
}

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void a_timer_message_comes_at_its_time_unless_it_is_recalled(void **state)
{
	struct fixture f = { .max_message = 0 };
	struct mosaic_send_result r;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	(void)state;
	if (!can("timer"))
		return;
	begin(&f, NULL);
	struct mosaic_message m = message(topic("Timer"), "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	m.deliver_ms = wall_ms() + 600000;
	assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
	if (can("recall")) {
		assert_true(r.recall_handle[0] != '\0');
		assert_int_equal(mosaic_producer_recall(f.producer, topic("Timer"), r.recall_handle,
							&err), 0);
		assert_int_equal(mosaic_producer_recall(f.producer, "Other", r.recall_handle,
							&err), MOSAIC_E_IO);
		assert_int_equal(mosaic_producer_recall(f.producer, topic("Timer"), "nonsense",
							&err), MOSAIC_E_INVAL);
	}
	m.deliver_ms = wall_ms() + 1500;
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	await_stored(&f, topic("Timer"), 2);
	end(&f);
}

static int32_t decide(void *data, const struct mosaic_message *m,
		      const struct mosaic_send_result *half)
{
	(void)m;
	assert_int_equal(half->status, 0);
	return *(int32_t *)data;
}

/* Also what was decided already may be asked for: it is the broker that decides when. */
static int32_t check_back(void *data, const struct mosaic_received *half)
{
	atomic_int *n = data;

	atomic_fetch_add(n, half->tag[0] == 'U');
	return half->tag[0] == 'R' ? MOSAIC_TRANSACTION_ROLLBACK : MOSAIC_TRANSACTION_COMMIT;
}

static void note_tag(void *ctx, const struct message *m)
{
	bool *seen = ctx;

	seen[props_find(m->props, PROP_TAGS).ptr[0]] = true;
}

static void transactions_are_committed_rolled_back_and_checked(void **state)
{
	atomic_int n_checks = 0;
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .group = "TxGroup",
						   .check = check_back, .check_data = &n_checks };
	struct fixture f = { .max_message = 0 };
	(void)state;
	if (!can("transaction"))
		return;
	begin(&f, &o);
	struct mosaic_message m = message(topic("Tx"), "x");
	struct mosaic_send_result r;
	for (int32_t what = 0; what <= MOSAIC_TRANSACTION_ROLLBACK; what++) {
		m.tag = what == MOSAIC_TRANSACTION_COMMIT ? "C"
			: what == MOSAIC_TRANSACTION_ROLLBACK ? "R" : "U";
		int rc = mosaic_producer_send_transaction(f.producer, &m, decide, &what, &r);
		assert_int_equal(rc, 0);
		assert_int_equal(strlen(r.transaction_id), 32);
	}
	bool seen[256] = { false };
	for (uint64_t due = now_ns() + UINT64_C(6) * WAIT_MS * 1000000; !seen['C'] || !seen['U'];) {
		assert_true(now_ns() < due);
		read_topic(&f, topic("Tx"), note_tag, seen);
	}
	assert_false(seen['R']);
	assert_true(atomic_load(&n_checks) >= 1);
	end(&f);
}

struct replied {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int32_t status;
	char body[64];
	bool is_done;
};

static void take_reply(void *data, int32_t status, const struct mosaic_received *reply)
{
	struct replied *r = data;

	pthread_mutex_lock(&r->lock);
	r->status = status;
	if (reply != NULL)
		snprintf(r->body, sizeof(r->body), "%.*s", (int)reply->body.len,
			 (const char *)reply->body.ptr);
	r->is_done = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void await_reply(struct replied *r)
{
	pthread_mutex_lock(&r->lock);
	while (!r->is_done)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

struct asked {
	struct mosaic_producer *producer;
	int n;
};

/* The consumer's part. */
static void reply_to(void *ctx, const struct message *m)
{
	static const char *const names[] = { "CORRELATION_ID", "REPLY_TO_CLIENT", "TTL",
					     "CLUSTER" };
	struct asked *asked = ctx;
	struct mosaic_property props[4];
	struct mosaic_received request = { .struct_size = sizeof(request), .n_properties = 4,
					   .properties = props };
	struct mosaic_slice body = { (const uint8_t *)"pong", 4 };

	for (int i = 0; i < 4; i++)
		props[i] = (struct mosaic_property){ names[i],
						     slice_dup(props_find(m->props, names[i])) };
	assert_int_equal(mosaic_producer_reply(asked->producer, &request, body, NULL), 0);
	asked->n++;
	for (int i = 0; i < 4; i++)
		free((void *)(uintptr_t)props[i].value);
}

static void a_request_gets_its_reply(void **state)
{
	struct replied r = { .lock = PTHREAD_MUTEX_INITIALIZER,
			     .changed = PTHREAD_COND_INITIALIZER };
	struct fixture f = { .max_message = 0 };
	(void)state;
	if (!can("reply"))
		return;
	begin(&f, NULL);
	struct mosaic_message m = message(topic("Asked"), "ping");
	struct asked asked = { .producer = f.producer };
	assert_int_equal(mosaic_producer_request(f.producer, &m, 6 * WAIT_MS, take_reply, &r), 0);
	for (uint64_t due = now_ns() + UINT64_C(60000000000); asked.n == 0;) {
		assert_true(now_ns() < due);
		read_topic(&f, topic("Asked"), reply_to, &asked);
	}
	await_reply(&r);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.body, "pong");
	end(&f);
}

static void a_request_without_reply_ends_in_time(void **state)
{
	struct replied r = { .lock = PTHREAD_MUTEX_INITIALIZER,
			     .changed = PTHREAD_COND_INITIALIZER };
	struct fixture f = { .max_message = 0 };
	(void)state;
	begin(&f, NULL);
	struct mosaic_message m = message(topic("Unasked"), "ping");
	assert_int_equal(mosaic_producer_request(f.producer, &m, 300, take_reply, &r), 0);
	await_reply(&r);
	assert_int_equal(r.status, MOSAIC_E_TIMEOUT);
	r.is_done = false;
	assert_int_equal(mosaic_producer_request(f.producer, &m, 60000, take_reply, &r), 0);
	mosaic_producer_stop(f.producer, 0);
	await_reply(&r);
	assert_int_equal(r.status, MOSAIC_E_CANCELED);
	end(&f);
}

static void see(void *data, const struct mosaic_message *m, const struct mosaic_send_result *result)
{
	atomic_int *n = data;

	assert_string_equal(m->tag, "A");
	assert_string_equal(m->keys, "k1 k2");
	if (result != NULL)
		assert_int_equal(result->status, 0);
	atomic_fetch_add(&n[result != NULL], 1);
}

static void a_hook_sees_each_send(void **state)
{
	atomic_int n[2] = { 0, 0 };
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .hook = see,
						   .hook_data = n };
	struct fixture f = { .max_message = 0 };
	(void)state;
	begin(&f, &o);
	struct mosaic_message m = message(topic("Hooked"), "x");
	m.tag = "A";
	m.keys = "k1 k2";
	for (int i = 0; i < 5; i++)
		assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), 0);
	assert_int_equal(atomic_load(&n[0]), 5);
	assert_int_equal(atomic_load(&n[1]), 5);
	end(&f);
}

static void look_at_trace(void *ctx, const struct message *m)
{
	const char *id = ctx;
	char head[200], body[1000];

	snprintf(body, sizeof(body), "%.*s", (int)m->body.len, (const char *)m->body.ptr);
	const char *group = strstr(body, "\1DEFAULT_PRODUCER\1");
	if (strstr(body, id) == NULL)
		return; /* of another run */
	assert_int_equal(strncmp(body, "Pub\1", 4), 0);
	assert_non_null(group);
	snprintf(head, sizeof(head), "\1DEFAULT_PRODUCER\1%s\1%s\1A\1k1\1" "127.0.0.1:",
		 topic("Traced"), id);
	assert_int_equal(strncmp(group, head, strlen(head)), 0);
	assert_non_null(strstr(body, "\1true\2"));
	assert_non_null(strstr((const char *)props_find(m->props, PROP_KEYS).ptr, id));
	((char *)ctx)[0] = '\0';
}

static void sends_are_traced(void **state)
{
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .trace = 1 };
	struct fixture f = { .max_message = 0 };
	struct mosaic_send_result r;
	struct client raw;
	(void)state;
	if (!can("trace"))
		return;
	begin(&f, &o);
	struct mosaic_message m = message(topic("Traced"), "x");
	m.tag = "A";
	m.keys = "k1";
	assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
	client_open(&raw, f.broker);
	for (uint64_t due = now_ns() + UINT64_C(6) * WAIT_MS * 1000000; r.message_id[0] != '\0';) {
		assert_true(now_ns() < due);
		usleep(50000);
		read_queue(&raw, "RMQ_SYS_TRACE_TOPIC", 0, look_at_trace, r.message_id);
	}
	client_close(&raw);
	end(&f);
}

struct traces {
	char wanted[2][300]; /* each with "*" for what is not known; "" when it was seen */
};

static void look_for_traces(void *ctx, const struct message *m)
{
	struct traces *t = ctx;
	char body[8000];

	snprintf(body, sizeof(body), "%.*s", (int)m->body.len, (const char *)m->body.ptr);
	for (char *one = strtok(body, "\2"); one != NULL; one = strtok(NULL, "\2"))
		for (int i = 0; i < 2; i++)
			if (fnmatch(t->wanted[i], one, 0) == 0)
				t->wanted[i][0] = '\0';
}

static void ends_of_transactions_and_recalls_are_traced(void **state)
{
	atomic_int n = 0;
	int32_t what = MOSAIC_TRANSACTION_COMMIT;
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .trace = 1,
						   .check = check_back, .check_data = &n };
	struct fixture f = { .max_message = 0 };
	struct mosaic_send_result r;
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct traces t;
	struct client raw;
	(void)state;
	if (!can("trace") || !can("transaction") || !can("recall"))
		return;
	begin(&f, &o);
	struct mosaic_message m = message(topic("Ends"), "x");
	m.tag = "C";
	m.keys = "k9";
	assert_int_equal(mosaic_producer_send_transaction(f.producer, &m, decide, &what, &r), 0);
	snprintf(t.wanted[0], sizeof(t.wanted[0]),
		 "EndTransaction\1*\1DefaultRegion\1DEFAULT_PRODUCER\1%s\1%s\1C\1k9\1"
		 "127.0.0.1:*\1" "2\1%s\1COMMIT_MESSAGE\1false",
		 topic("Ends"), r.message_id, r.transaction_id);
	m.deliver_ms = wall_ms() + 600000;
	assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
	assert_int_equal(mosaic_producer_recall(f.producer, topic("Ends"), r.recall_handle, &err),
			 0);
	snprintf(t.wanted[1], sizeof(t.wanted[1]),
		 "Recall\1*\1*\1DEFAULT_PRODUCER\1%s\1%s\1true", topic("Ends"), r.message_id);
	client_open(&raw, f.broker);
	for (uint64_t due = now_ns() + UINT64_C(4) * WAIT_MS * 1000000;
	     t.wanted[0][0] != '\0' || t.wanted[1][0] != '\0';) {
		if (now_ns() > due)
			fail_msg("not traced: %s %s", t.wanted[0], t.wanted[1]);
		usleep(50000);
		read_queue(&raw, "RMQ_SYS_TRACE_TOPIC", 0, look_for_traces, &t);
	}
	client_close(&raw);
	end(&f);
}

static void balance_plugins_are_found_by_name(void **state)
{
	struct fixture f = { .max_message = 0 };
	struct mosaic_producer_options o = { .struct_size = sizeof(o), .balance = "lb-hash" };
	struct mosaic_error err = { .struct_size = sizeof(err) };
	struct mosaic_producer *p = NULL;
	(void)state;
	begin(&f, NULL);
	assert_int_equal(mosaic_producer_create(f.client, &o, &p, &err), 0);
	mosaic_producer_destroy(&p);
	assert_null(p);
	o.balance = "lb-hush";
	assert_int_equal(mosaic_producer_create(f.client, &o, &p, &err), MOSAIC_E_NOTFOUND);
	assert_non_null(strstr(err.text, "lb-hash"));
	end(&f);
}

static void count_sent(void *data, const struct mosaic_send_result *result)
{
	atomic_int *counts = data;
	atomic_fetch_add(&counts[result->status == 0 ? 0 : 1], 1);
}

static void a_bound_on_what_is_in_flight_says_try_again(void **state)
{
	struct fixture f = { .max_message = 0 };
	atomic_int counts[2] = { 0, 0 };
	int accepted = 0, refused = 0;
	(void)state;
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .max_in_flight = 2 };
	begin(&f, &o);
	for (int i = 0; i < 200; i++) {
		struct mosaic_message m = message(topic("Bound"), "x");
		int32_t rc = mosaic_producer_send_async(f.producer, &m, count_sent, counts);
		assert_true(rc == 0 || rc == MOSAIC_E_AGAIN);
		accepted += rc == 0;
		refused += rc == MOSAIC_E_AGAIN;
	}
	assert_true(refused > 0);
	end(&f); /* each that was accepted ends once: answered or canceled */
	assert_int_equal(atomic_load(&counts[0]) + atomic_load(&counts[1]), accepted);
}

static void wrong_messages_are_refused_at_once(void **state)
{
	struct fixture f = { .max_message = 0 };
	(void)state;
	begin(&f, NULL);
	struct mosaic_message m = message("No blank", "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), MOSAIC_E_INVAL);
	m = message(topic("Empty"), "");
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), MOSAIC_E_INVAL);
	m = message(topic("Fine"), "x");
	m.tag = "a\1b";
	assert_int_equal(mosaic_producer_send_oneway(f.producer, &m), MOSAIC_E_INVAL);
	mosaic_client_stop(f.client);
	m.tag = NULL;
	assert_int_equal(mosaic_producer_send(f.producer, &m, NULL), MOSAIC_E_CLOSED);
	end(&f);
}

static void a_dead_broker_is_told_in_time(void **state)
{
	struct fixture f = { .max_message = 0 };
	struct mosaic_send_result r;
	const struct mosaic_producer_options o = { .struct_size = sizeof(o), .timeout_ms = 1500 };
	(void)state;
	if (!is_ours())
		return;
	begin(&f, &o);
	struct mosaic_message m = message(topic("Dead"), "x");
	assert_int_equal(mosaic_producer_send(f.producer, &m, &r), 0);
	child_kill(&f.child);
	int32_t rc = mosaic_producer_send(f.producer, &m, &r);
	assert_true(rc == MOSAIC_E_TIMEOUT || rc == MOSAIC_E_CLOSED);
	assert_true(r.text[0] != '\0');
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_stored_and_can_be_pulled),
		cmocka_unit_test(one_key_has_one_queue_the_one_that_java_takes),
		cmocka_unit_test(a_chosen_queue_is_taken),
		cmocka_unit_test(a_send_can_be_waited_for_later_or_never),
		cmocka_unit_test(a_batch_is_split_where_it_is_too_long),
		cmocka_unit_test(messages_are_batched_by_themselves),
		cmocka_unit_test(a_long_body_travels_compressed),
		cmocka_unit_test(a_delayed_message_comes_later),
		cmocka_unit_test(a_timer_message_comes_at_its_time_unless_it_is_recalled),
		cmocka_unit_test(transactions_are_committed_rolled_back_and_checked),
		cmocka_unit_test(a_request_gets_its_reply),
		cmocka_unit_test(a_request_without_reply_ends_in_time),
		cmocka_unit_test(a_hook_sees_each_send),
		cmocka_unit_test(sends_are_traced),
		cmocka_unit_test(ends_of_transactions_and_recalls_are_traced),
		cmocka_unit_test(balance_plugins_are_found_by_name),
		cmocka_unit_test(a_bound_on_what_is_in_flight_says_try_again),
		cmocka_unit_test(wrong_messages_are_refused_at_once),
		cmocka_unit_test(a_dead_broker_is_told_in_time),
	};
	return cmocka_run_group_tests(tests, await_broker, NULL);
}
