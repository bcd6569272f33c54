/* Bytes that no client should send: odd ones are served, bad ones end their connection only. */
#include "robust.h"
#include "support/vectors.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FRAME 16777216u /* with its length word (NettyDecoder, 5.3.3) */
#define QUIET_MS 100        /* for what is never answered; everything else waits for an event */

static struct child broker; /* one for all tests: it must survive them in any order */

static int start(void **state)
{
	(void)state;
	child_init(&broker);
	child_config(&broker, ", \"segment\": \"64MiB\"", "flush-async", "",
		     ", \"maxTopics\": 300, \"maxGroups\": 300");
	child_start(&broker);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	child_stop(&broker);
	child_fini(&broker);
	return 0;
}

/* ---- helpers ---- */

/* The connection is closed by the broker without a word. */
static void closed_without_answer(struct client *c)
{
	struct answer a;
	int rc = client_next(c, &a, WAIT_MS);
	if (rc != 0)
		fail_msg("%s",
			 rc == 1 ? "answered instead of closed" : "neither answered nor closed");
}

static void closes_on(const void *bytes, size_t len)
{
	struct client c;
	client_open(&c, broker.broker[0]);
	client_bytes(&c, bytes, len);
	closed_without_answer(&c);
	client_close(&c);
}

static void closes_on_words(uint32_t first, uint32_t second)
{
	uint8_t bytes[64] = { 0 };
	put32(bytes, first);
	put32(bytes + 4, second);
	closes_on(bytes, sizeof(bytes));
}

/* The next answer's code, or -1 when the connection was closed. */
static int32_t code_or_closed(struct client *c)
{
	struct answer a;
	int rc = client_next(c, &a, WAIT_MS);
	if (rc < 0)
		fail_msg("neither answered nor closed");
	if (rc == 0)
		return -1;
	int32_t code = a.code;
	answer_free(&a);
	return code;
}

#define ASK_TOPIC "\"code\":351,\"language\":\"OTHER\",\"version\":479,\"opaque\":8,\"flag\":0"
#define ASK "{" ASK_TOPIC ",\"extFields\":{\"topic\":\"NoTopic\"}}"

static int32_t header_code(const char *header, const void *body, size_t body_len)
{
	struct client c;
	client_open(&c, broker.broker[0]);
	client_frame(&c, header, strlen(header), body, body_len);
	int32_t code = code_or_closed(&c);
	client_close(&c);
	return code;
}

/* ---- what Apache's servers did with odd frames ---- */

static uint8_t *from_hex(const char *hex, size_t *len)
{
	uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
	unsigned value;

	for (*len = 0; hex[0] != '\0' && hex[0] != '.'; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &value), 1);
		bytes[(*len)++] = (uint8_t)value;
	}
	return bytes;
}

/* Java answers missing fields with a NullPointerException's text: ours says what is missing. */
static bool is_java_text(const char *remark)
{
	return strstr(remark, "Exception") != NULL;
}

static void compare_answer(const char *name, struct answer *ours, json_t *sample)
{
	size_t len;
	uint8_t *frame = from_hex(json_string_value(json_object_get(sample, "received_hex")), &len);
	/* A NameServer's sample may be cut: its header is whole. */
	json_t *header =
		json_loadb((char *)frame + 8, get32(frame + 4), JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(header);
	int code = (int)json_integer_value(json_object_get(header, "code"));
	const char *remark = json_string_value(json_object_get(header, "remark"));

	if (ours->code == 3 && code != 3)
		print_message("%s: not compared: %s\n", name, ours->remark);
	else if (ours->code != code)
		fail_msg("%s: code %d, Apache's is %d (%s)", name, ours->code, code, ours->remark);
	if (remark != NULL && !is_java_text(remark))
		assert_string_equal(ours->remark, remark);
	if (remark != NULL && is_java_text(remark)) {
		assert_true(ours->remark[0] != '\0');
		assert_false(is_java_text(ours->remark));
	}
	json_decref(header);
	free(frame);
}

static void compare_case(json_t *sample)
{
	const char *name = json_string_value(json_object_get(sample, "case"));
	const char *server = json_string_value(json_object_get(sample, "server"));
	const char *received = json_string_value(json_object_get(sample, "received_hex"));
	bool is_closed = json_is_true(json_object_get(sample, "closed_by_server"));
	struct client c;
	struct answer a;
	size_t len;
	uint8_t *sent = from_hex(json_string_value(json_object_get(sample, "sent_hex")), &len);

	client_open(&c, strcmp(server, "broker") == 0 ? broker.broker[0] : broker.namesrv);
	client_bytes(&c, sent, len);
	int rc = client_next(&c, &a, is_closed || received[0] != '\0' ? WAIT_MS : QUIET_MS);
	if (rc != (is_closed ? 0 : received[0] != '\0' ? 1 : -1))
		fail_msg("%s: %s", name, rc == 1 ? "answered" : rc == 0 ? "closed" : "silence");
	if (rc == 1) {
		compare_answer(name, &a, sample);
		answer_free(&a);
	}
	if (rc == -1) { /* silence, but the connection serves on */
		client_call(&c, &a, 351, NULL, 0, "topic", "NoTopic", NULL);
		answer_free(&a);
	}
	client_close(&c);
	free(sent);
}

static void odd_frames_have_the_fate_they_have_at_apache(void **state)
{
	(void)state;
	json_t *all, *sample;
	size_t i;

	if (vectors_missing())
		skip();
	all = vectors_load("edge/edge.json");
	assert_non_null(all);
	struct client c; /* samples speak of this topic; topics are made by sending to them */
	client_open(&c, broker.broker[0]);
	assert_int_equal(client_send_wait(&c, "VecTopic", 0, "x", 1, NULL), 0);
	client_close(&c);
	json_array_foreach (all, i, sample)
		compare_case(sample);
	json_decref(all);
	check_serves(broker.broker[0]);
}

/* ---- lengths that lie ---- */

static void frame_lengths_that_lie_end_the_connection(void **state)
{
	(void)state;
	closes_on_words(0, 0);
	for (uint32_t len = 1; len < 4; len++) /* no room for the header's length */
		closes_on_words(len, 0);
	closes_on_words(MAX_FRAME - 3, 100);
	closes_on_words(0x7fffffff, 100); /* 2 GiB */
	closes_on_words(0x80000000, 100);
	closes_on_words(0xffffffff, 100);
	closes_on_words(8, 9);
	closes_on_words(8, 0xffffff);    /* header far beyond its frame */
	closes_on_words(56, 0x02000008); /* unknown serialization */
	closes_on_words(56, 0xff000008);
	check_serves(broker.broker[0]);
}

static void the_largest_frame_is_accepted(void **state)
{
	(void)state;
	size_t body_len = MAX_FRAME - 8 - strlen(ASK);
	uint8_t *body = calloc(1, body_len + 1);

	assert_int_equal(header_code(ASK, body, body_len), 17);
	assert_int_equal(header_code(ASK, body, body_len + 1), -1);
	free(body);
}

/* A length of 16 MiB with nothing behind it costs nothing and nobody. */
static void promised_bytes_take_no_memory(void **state)
{
	(void)state;
	enum {
		LIARS = 500
	};
	int fds[LIARS];
	uint8_t start_of_frame[9] = { 0 };
	uint64_t before;

	check_serves(broker.broker[0]);
	before = child_rss(&broker);
	put32(start_of_frame, MAX_FRAME - 4);
	put32(start_of_frame + 4, 100);
	for (int i = 0; i < LIARS; i++) {
		fds[i] = dial(broker.broker[0]);
		assert_int_equal(send(fds[i], start_of_frame, 9, MSG_NOSIGNAL), 9);
	}
	check_serves(broker.broker[0]);
	uint64_t after = child_rss(&broker);
	print_message("%d frames of which 9 bytes came: %llu bytes each\n", LIARS,
		      (unsigned long long)((after > before ? after - before : 0) / LIARS));
	if (!IS_SANITIZED)
		assert_true(after < before + LIARS * 16384u);
	for (int i = 0; i < LIARS; i++)
		close(fds[i]);
}

static void frames_arrive_in_any_pieces(void **state)
{
	(void)state;
	uint8_t frames[512];
	size_t one = 8 + strlen(ASK);
	struct client c;

	put32(frames, (uint32_t)(4 + strlen(ASK)));
	put32(frames + 4, (uint32_t)strlen(ASK));
	memcpy(frames + 8, ASK, strlen(ASK));
	memcpy(frames + one, frames, one);
	client_open(&c, broker.broker[0]);
	client_bytes(&c, frames, 2 * one); /* two in one segment */
	assert_int_equal(code_or_closed(&c), 17);
	assert_int_equal(code_or_closed(&c), 17);
	for (size_t i = 0; i < one; i++) /* TCP_NODELAY: one byte a segment */
		client_bytes(&c, frames + i, 1);
	assert_int_equal(code_or_closed(&c), 17);
	client_bytes(&c, frames, one + 3); /* a frame and a part of the next */
	assert_int_equal(code_or_closed(&c), 17);
	client_bytes(&c, frames + 3, one - 3);
	assert_int_equal(code_or_closed(&c), 17);
	client_close(&c);
}

/* ---- headers ---- */

static void headers_of_fastjson_are_understood(void **state)
{
	(void)state;
	assert_int_equal(
		header_code("{'code':351,'opaque':8,'flag':0,'extFields':{'topic':'T'}}", NULL, 0),
		17);
	assert_int_equal(header_code("{code:351,opaque:8,flag:0,extFields:{topic:\"T\"}}", NULL, 0),
			 17);
	assert_int_equal(header_code("{\"code\":351,\"opaque\":8,\"flag\":4,"
				     "\"extFields\":{\"topic\":\"T\"}}",
				     NULL, 0),
			 17);
	assert_int_equal(header_code("{\"code\":351,\"opaque\":8,\"unknown\":[1,{\"a\":[]}],"
				     "\"extFields\":{\"topic\":\"T\",\"x\":\"y\"}}",
				     NULL, 0),
			 17);
}

static void headers_that_are_no_json_end_the_connection(void **state)
{
	(void)state;
	static const char *const bad[] = { "{",
					   "}",
					   "[]",
					   "\"code\"",
					   "{\"code\":}",
					   "{\"code\":351",
					   "nonsense",
					   "{\"code\":351,\"extFields\":{\"topic\":\"T}}",
					   "{\"code\":99999999999}",
					   "{\"code\":\"abc\"}",
					   "{\"extFields\":{\"a\":\"\\u12\"}}",
					   "\xff\xfe\x00" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(header_code(bad[i], NULL, 0), -1);
	check_serves(broker.broker[0]);
}

static void a_header_may_be_nested_too_deeply(void **state)
{
	(void)state;
	enum {
		DEPTH = 100000
	};
	char *header = malloc(3 * DEPTH + 200);
	size_t len = (size_t)sprintf(header, "{" ASK_TOPIC ",\"x\":");

	memset(header + len, '[', DEPTH);
	memset(header + len + DEPTH, ']', DEPTH);
	strcpy(header + len + 2 * DEPTH, "}");
	assert_int_equal(header_code(header, NULL, 0), -1);
	header[len + DEPTH] = '\0'; /* never closed */
	assert_int_equal(header_code(header, NULL, 0), -1);
	free(header);
	check_serves(broker.broker[0]);
}

/* n fields, then the one that counts. */
static char *header_with_fields(uint32_t n)
{
	char *header = malloc(300 + n * 32);
	size_t len = (size_t)sprintf(header, "{" ASK_TOPIC ",\"extFields\":{");

	for (uint32_t i = 0; i < n; i++)
		len += (size_t)sprintf(header + len, "\"key%u\":\"value%u\",", i, i);
	sprintf(header + len, "\"topic\":\"NoTopic\"}}");
	return header;
}

static void a_header_with_10000_fields_hurts_nobody(void **state)
{
	(void)state;
	static const uint32_t counts[] = { 30, 1000, 10000, 400000 };

	for (size_t i = 0; i < 4; i++) {
		char *header = header_with_fields(counts[i]);
		int32_t code = header_code(header, NULL, 0);
		free(header);
		print_message("%u fields: %s\n", counts[i], code == -1 ? "closed" : "answered");
		if (i == 0)
			assert_int_equal(code, 17);
		else
			assert_true(code == 17 || code == -1);
	}
	check_serves(broker.broker[0]);
}

/* ---- bodies ---- */

static int32_t send_batch(const void *body, size_t len)
{
	struct client c;
	client_open(&c, broker.broker[0]);
	client_request(&c, 320, body, len, "a", "p", "b", "RobustBatch", "c", "TBW102", "d", "4",
		       "e", "0", "f", "0", "g", "1", "h", "0", "i", "", "j", "0", "k", "false", "m",
		       "true", NULL);
	int32_t code = code_or_closed(&c);
	client_close(&c);
	return code;
}

/* One message of a batch: 4 size, 4 magic, 4 CRC, 4 flag, 4+n body, 2+m properties. */
static size_t batch_item(uint8_t *p, const char *body)
{
	uint32_t n = (uint32_t)strlen(body);

	memset(p, 0, 22 + n);
	put32(p, 22 + n);
	put32(p + 16, n);
	memcpy(p + 20, body, n);
	return 22 + n;
}

static void batches_that_lie_store_nothing(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint32_t word;
	} lies[] = {
		{ 16, 0xffffffff }, { 16, 0x7fffffff }, { 16, 6 }, { 16, 100 }, { 23, 0xffff0000 },
	};
	uint8_t body[128];
	struct client c;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		/* The first message is good: none of a batch is stored when one is bad. */
		size_t first = batch_item(body, "first"),
		       len = first + batch_item(body + first, "12345");
		put32(body + first + lies[i].at, lies[i].word);
		if (lies[i].at == 23)
			memset(body + len - 2, 0xff, 2); /* the properties' length */
		int32_t code = send_batch(body, len);
		if (code == 0)
			fail_msg("lie %zu was believed", i);
	}
	assert_true(send_batch("\1\2\3", 3) != 0);
	assert_true(send_batch(NULL, 0) != 0);
	client_open(&c, broker.broker[0]);
	size_t len = batch_item(body, "good");
	assert_int_equal(send_batch(body, len), 0);
	put32(body,
	      0x7fffffff); /* a message's own size is not believed, as at Apache: it is counted */
	assert_int_equal(send_batch(body, len), 0);
	assert_int_equal(client_pull_all(&c, "RobustBatch", 0, NULL, NULL), 2);
	client_close(&c);
}

static void a_message_without_body_is_refused(void **state)
{
	(void)state;
	struct client c;
	client_open(&c, broker.broker[0]);
	assert_int_equal(client_send_wait(&c, "RobustEmpty", 0, NULL, 0, NULL), 1);
	client_close(&c);
}

static void a_message_too_large_is_refused(void **state)
{
	(void)state;
	size_t len = 5 << 20; /* maxMessage is 4 MiB */
	uint8_t *body = calloc(1, len);
	struct client c;
	client_open(&c, broker.broker[0]);
	assert_int_equal(client_send_wait(&c, "RobustLarge", 0, body, len, NULL), 13);
	client_close(&c);
	free(body);
}

static void topics_with_bad_names_are_refused(void **state)
{
	(void)state;
	char *long_name = calloc(1, 70000);
	const char *names[] = { "", "a/../../b", "a b", "\x01", "..", "%s%n", "a\"b", long_name };
	struct client c;

	memset(long_name, 'a', 69999);
	client_open(&c, broker.broker[0]);
	for (size_t i = 0; i < 8; i++) {
		int32_t code = client_send_wait(&c, names[i], 0, "x", 1, NULL);
		if (i == 5)
			continue; /* '%' is a letter of names, and not one of formats */
		assert_true(code != 0 || i == 4);
	}
	client_close(&c);
	free(long_name);
	check_serves(broker.broker[0]);
}

static void heartbeats_may_be_anything(void **state)
{
	(void)state;
	struct child b;
	size_t huge_len = 8 << 20, deep = 200000, groups = 0;
	char *huge = malloc(huge_len + 1), *nested = malloc(2 * deep + 64);
	size_t at = (size_t)sprintf(huge, "{\"clientID\":\"c\",\"consumerDataSet\":[");
	struct client c;
	struct answer a;

	for (; at < huge_len - 100; groups++)
		at += (size_t)sprintf(huge + at, "{\"groupName\":\"g%zu\"},", at);
	sprintf(huge + at, "{}]}");
	size_t n = (size_t)sprintf(nested, "{\"consumerDataSet\":");
	memset(nested + n, '[', deep);
	nested[n + deep] = '\0';
	const char *bodies[] = {
		"",
		"{",
		"null",
		"[]",
		"{}",
		"7",
		"\xff\xff",
		"{\"clientID\":7}",
		"{\"clientID\":\"c\",\"consumerDataSet\":{}}",
		"{\"clientID\":\"c\",\"consumerDataSet\":[null,1,\"x\",[]]}",
		"{\"clientID\":\"c\",\"producerDataSet\":[{\"groupName\":null}],"
		"\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":"
		"[{\"topic\":null,\"tagsSet\":7,\"codeSet\":[\"x\"]}]}]}",
		nested,
		huge
	};
	child_init(&b);
	child_config(&b, ", \"segment\": \"4MiB\"", "flush-async", "", ", \"maxGroups\": 50000");
	b.level = "warn";
	child_start(&b);
	check_serves(b.broker[0]); /* its group is made while there is room */
	client_open(&c, b.broker[0]);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		client_call(&c, &a, 34, bodies[i], strlen(bodies[i]), NULL);
		if (i == sizeof(bodies) / sizeof(bodies[0]) - 1)
			print_message("%zu groups in a heartbeat: code %d, %s\n", groups, a.code,
				      a.remark);
		answer_free(&a);
	}
	check_serves(b.broker[0]);
	client_close(&c);
	child_stop(&b);
	child_fini(&b);
	free(huge);
	free(nested);
}

/* ---- numbers ---- */

static const char *const numbers[] = { "-1",
				       "-2147483648",
				       "2147483647",
				       "2147483648",
				       "9223372036854775807",
				       "-9223372036854775808",
				       "9223372036854775808",
				       "99999999999999999999999",
				       "1e9",
				       "",
				       " 1",
				       "0x10",
				       "NaN" };
#define N_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static void pulls_with_any_numbers_are_answered(void **state)
{
	(void)state;
	struct client c;
	struct answer a;

	client_open(&c, broker.broker[0]);
	assert_int_equal(client_send_wait(&c, "RobustNumbers", 0, "x", 1, NULL), 0);
	for (size_t i = 0; i < N_NUMBERS; i++)
		for (int field = 0; field < 6; field++) {
			const char *v = numbers[i];
			client_call(&c, &a, 11, NULL, 0, "consumerGroup", "g", "topic",
				    "RobustNumbers", "queueId", field == 0 ? v : "0", "queueOffset",
				    field == 1 ? v : "0", "maxMsgNums", field == 2 ? v : "32",
				    "sysFlag", field == 3 ? v : "4", "commitOffset",
				    field == 4 ? v : "0", "suspendTimeoutMillis",
				    field == 5 ? v : "0", "subscription", "*", "subVersion", v,
				    "expressionType", "TAG", NULL);
			answer_free(&a);
		}
	client_close(&c);
	check_serves(broker.broker[0]);
}

static void offsets_may_be_the_largest_there_are(void **state)
{
	(void)state;
	struct client c;
	struct answer a;

	client_open(&c, broker.broker[0]);
	assert_int_equal(client_send_wait(&c, "RobustNumbers", 1, "x", 1, NULL), 0);
	for (size_t i = 0; i < N_NUMBERS; i++) {
		client_call(&c, &a, 15, NULL, 0, "consumerGroup", "g", "topic", "RobustNumbers",
			    "queueId", "1", "commitOffset", numbers[i], NULL);
		answer_free(&a);
		client_call(&c, &a, 14, NULL, 0, "consumerGroup", "g", "topic", "RobustNumbers",
			    "queueId", "1", NULL);
		answer_free(&a);
		client_call(&c, &a, 15, NULL, 0, "consumerGroup", "g", "topic", "RobustNumbers",
			    "queueId", numbers[i], "commitOffset", "0", NULL);
		answer_free(&a);
		client_call(&c, &a, 29, NULL, 0, "topic", "RobustNumbers", "queueId", "1",
			    "timestamp", numbers[i], NULL);
		answer_free(&a);
		client_call(&c, &a, 33, NULL, 0, "offset", numbers[i], NULL);
		answer_free(&a);
	}
	client_close(&c);
	check_serves(broker.broker[0]);
}

/* ---- every request there is, with nothing and with nonsense ---- */

static void ask_everything(struct child *c, uint16_t port, int variant)
{
	static const char nonsense[] = "{\"a\":[{}],\"table\":7,\"offsetTable\":{\"x\":null}}";
	static const int far[] = { 1007,   1008,   200050, 200051, 200052, 200053,
				   200054, 200055, 200056, 200151, -1,     2147483647 };
	struct client client;
	struct answer a;

	client_open(&client, port);
	for (int i = 0; i < 1024 + (int)(sizeof(far) / sizeof(far[0])); i++) {
		int code = i < 1024 ? i : far[i - 1024];
		const char *n = variant == 1 ? "-1" : "9223372036854775807", *t = "RobustAlive";
		if (variant == 0)
			client_request(&client, code, NULL, 0, NULL);
		else
			client_request(
				&client, code, nonsense, variant == 1 ? 0 : sizeof(nonsense) - 1,
				"topic", t, "consumerGroup", t, "group", n, "queueId", n, "offset",
				n, "queueOffset", n, "commitOffset", n, "timestamp", n,
				"maxMsgNums", n, "sysFlag", n, "brokerName", t, "brokerAddr", t,
				"brokerId", n, "clusterName", "x", "haServerAddr", "", "namespace",
				t, "key", t, "value", t, "clientId", t, "timerDelay", n, "e", n,
				"a", t, "b", t, "c", "x", "d", n, "f", n, "g", n, "h", n, NULL);
		/* Some are never answered, others not at once: what comes behind is. */
		int32_t mark = client_request(&client, 351, NULL, 0, "topic", "NoTopic", NULL);
		for (bool found = false; !found; answer_free(&a)) {
			int rc = client_next(&client, &a, WAIT_MS);
			if (rc != 1)
				fail_msg("request %d: %s", code, rc == 0 ? "closed" : "silence");
			found = a.opaque == mark;
		}
	}
	client_close(&client);
	assert_true(child_is_alive(c));
}

static void every_request_survives_nonsense(void **state)
{
	(void)state;
	struct child c; /* of its own: some of these requests change what a broker does */

	child_init(&c);
	child_config(&c, ", \"segment\": \"4MiB\"", "flush-async", "", "");
	child_start(&c);
	for (int variant = 0; variant < 3; variant++) {
		ask_everything(&c, c.broker[0], variant);
		ask_everything(&c, c.namesrv, variant);
	}
	check_serves(c.broker[0]);
	child_stop(&c);
	child_start(&c); /* nothing was saved that it would not read */
	check_serves(c.broker[0]);
	child_stop(&c);
	child_fini(&c);
}

/* ---- bounds ---- */

static void topics_are_bounded(void **state)
{
	(void)state;
	char name[32];
	int32_t code = 0;
	int made = 0;
	struct client c;
	struct answer a;

	client_open(&c, broker.broker[0]);
	for (; made < 1000 && code == 0; made++) {
		snprintf(name, sizeof(name), "Bound%d", made);
		client_send(&c, name, 0, "x", 1);
		assert_int_equal(client_next(&c, &a, WAIT_MS), 1);
		code = a.code;
		if (code != 0) {
			print_message("topic %d: code %d, %s\n", made, code, a.remark);
			assert_true(a.remark[0] != '\0');
		}
		answer_free(&a);
	}
	assert_in_range(made, 200, 301);
	assert_int_equal(client_send_wait(&c, "Bound0", 0, "x", 1, NULL), 0); /* known ones go on */
	client_close(&c);
}

static void groups_are_bounded(void **state)
{
	(void)state;
	char name[32], body[256];
	int32_t refused = 0;
	struct client c;
	struct answer a;

	client_open(&c, broker.broker[0]);
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "Group%d", i);
		snprintf(body, sizeof(body), "{\"groupName\":\"%s\",\"consumeEnable\":true}", name);
		client_call(&c, &a, 200, body, strlen(body), NULL);
		if (a.code != 0 && refused++ == 0) {
			print_message("group %d: code %d, %s\n", i, a.code, a.remark);
			assert_true(a.remark[0] != '\0');
		}
		answer_free(&a);
	}
	assert_in_range(refused, 100, 200);
	client_close(&c);
	check_serves(broker.broker[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_frames_have_the_fate_they_have_at_apache),
		cmocka_unit_test(frame_lengths_that_lie_end_the_connection),
		cmocka_unit_test(the_largest_frame_is_accepted),
		cmocka_unit_test(promised_bytes_take_no_memory),
		cmocka_unit_test(frames_arrive_in_any_pieces),
		cmocka_unit_test(headers_of_fastjson_are_understood),
		cmocka_unit_test(headers_that_are_no_json_end_the_connection),
		cmocka_unit_test(a_header_may_be_nested_too_deeply),
		cmocka_unit_test(a_header_with_10000_fields_hurts_nobody),
		cmocka_unit_test(batches_that_lie_store_nothing),
		cmocka_unit_test(a_message_without_body_is_refused),
		cmocka_unit_test(a_message_too_large_is_refused),
		cmocka_unit_test(topics_with_bad_names_are_refused),
		cmocka_unit_test(heartbeats_may_be_anything),
		cmocka_unit_test(pulls_with_any_numbers_are_answered),
		cmocka_unit_test(offsets_may_be_the_largest_there_are),
		cmocka_unit_test(every_request_survives_nonsense),
		cmocka_unit_test(groups_are_bounded),
		cmocka_unit_test(topics_are_bounded),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
