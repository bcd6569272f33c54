/* A client of RocketMQ's remoting protocol, JSON headers. */
#include "robust.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)(v >> 32));
	put32(p + 4, (uint32_t)v);
}

bool raise_nofile(uint64_t n)
{
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur >= n)
		return true;
	l.rlim_cur = n;
	if (l.rlim_max < n)
		l.rlim_max = n;
	if (setrlimit(RLIMIT_NOFILE, &l) == 0)
		return true;
	print_message("RLIMIT_NOFILE cannot be raised to %llu: %s\n", (unsigned long long)n,
		      strerror(errno));
	return false;
}

int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		fail_msg("connect to port %u: %s", port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

void client_open(struct client *c, uint16_t port)
{
	*c = (struct client){ .fd = dial(port) };
}

void client_close(struct client *c)
{
	close(c->fd);
	free(c->in);
	*c = (struct client){ .fd = -1 };
}

/* A server that has closed is no failure here: the missing answer will be. */
void client_bytes(struct client *c, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	while (len > 0) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

void client_frame(struct client *c, const char *header, size_t header_len, const void *body,
		  size_t body_len)
{
	uint8_t *frame = malloc(8 + header_len + body_len);

	put32(frame, (uint32_t)(4 + header_len + body_len));
	put32(frame + 4, (uint32_t)header_len);
	memcpy(frame + 8, header, header_len);
	if (body_len > 0)
		memcpy(frame + 8 + header_len, body, body_len);
	client_bytes(c, frame, 8 + header_len + body_len);
	free(frame);
}

static int32_t request(struct client *c, int32_t code, const void *body, size_t body_len,
		       va_list args)
{
	json_t *fields = json_object();
	const char *key;

	while ((key = va_arg(args, const char *)) != NULL)
		json_object_set_new(fields, key, json_string(va_arg(args, const char *)));
	json_t *header =
		json_pack("{s:i, s:s, s:i, s:i, s:i, s:o}", "code", code, "language", "OTHER",
			  "version", 479, "opaque", ++c->opaque, "flag", 0, "extFields", fields);
	char *text = json_dumps(header, JSON_COMPACT);
	client_frame(c, text, strlen(text), body, body_len);
	free(text);
	json_decref(header);
	return c->opaque;
}

int32_t client_request(struct client *c, int32_t code, const void *body, size_t body_len, ...)
{
	va_list args;
	va_start(args, body_len);
	int32_t opaque = request(c, code, body, body_len, args);
	va_end(args);
	return opaque;
}

/* ---- answers ---- */

static int fill(struct client *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	if (c->at > 0) {
		memmove(c->in, c->in + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
	}
	if (c->size - c->len < 65536) {
		c->size = c->size * 2 + 131072;
		c->in = realloc(c->in, c->size);
	}
	if (poll(&p, 1, timeout_ms) != 1)
		return -1;
	ssize_t n = recv(c->fd, c->in + c->len, c->size - c->len, 0);
	if (n <= 0)
		return 0; /* also a reset: the server closed with bytes of ours unread */
	c->len += (size_t)n;
	return 1;
}

static int next_frame(struct client *c, struct answer *a, int timeout_ms)
{
	while (c->len - c->at < 4 || c->len - c->at < 4 + (size_t)get32(c->in + c->at)) {
		int rc = fill(c, timeout_ms);
		if (rc <= 0)
			return rc;
	}
	const uint8_t *frame = c->in + c->at;
	uint32_t total = get32(frame), header_len = get32(frame + 4);

	assert_true(total >= 4);
	assert_true(header_len <= total - 4); /* and the answer is in JSON */
	*a = (struct answer){ .header = json_loadb((const char *)frame + 8, header_len, 0, NULL) };
	assert_non_null(a->header);
	a->code = (int32_t)json_integer_value(json_object_get(a->header, "code"));
	a->opaque = (int32_t)json_integer_value(json_object_get(a->header, "opaque"));
	a->remark = json_string_value(json_object_get(a->header, "remark"));
	if (a->remark == NULL)
		a->remark = "";
	a->body = frame + 8 + header_len;
	a->body_len = total - 4 - header_len;
	c->at += 4 + (size_t)total;
	return 1;
}

int client_next(struct client *c, struct answer *a, int timeout_ms)
{
	int rc;
	/* What the broker asks its clients (40: the group has changed) is no answer. */
	while ((rc = next_frame(c, a, timeout_ms)) == 1 &&
	       (json_integer_value(json_object_get(a->header, "flag")) & 1) == 0)
		answer_free(a);
	return rc;
}

void answer_free(struct answer *a)
{
	json_decref(a->header);
	a->header = NULL;
}

const char *answer_field(const struct answer *a, const char *key)
{
	return json_string_value(json_object_get(json_object_get(a->header, "extFields"), key));
}

static void next_of(struct client *c, struct answer *a, int32_t opaque)
{
	int rc = client_next(c, a, WAIT_MS);
	if (rc != 1)
		fail_msg("no answer: %s", rc == 0 ? "connection closed" : "silence");
	assert_int_equal(a->opaque, opaque);
}

int32_t client_call(struct client *c, struct answer *a, int32_t code, const void *body,
		    size_t body_len, ...)
{
	va_list args;
	va_start(args, body_len);
	int32_t opaque = request(c, code, body, body_len, args);
	va_end(args);
	next_of(c, a, opaque);
	return a->code;
}

/* ---- messages ---- */

int32_t client_send(struct client *c, const char *topic, int queue, const void *body, size_t len)
{
	char id[16];
	snprintf(id, sizeof(id), "%d", queue);
	return client_request(c, 310, body, len, "a", "robust-producer", "b", topic, "c", "TBW102",
			      "d", "4", "e", id, "f", "0", "g", "1700000000000", "h", "0", "i", "",
			      "j", "0", "k", "false", "m", "false", NULL);
}

int32_t client_send_wait(struct client *c, const char *topic, int queue, const void *body,
			 size_t len, int64_t *offset)
{
	struct answer a;
	next_of(c, &a, client_send(c, topic, queue, body, len));
	int32_t code = a.code;
	const char *text = answer_field(&a, "queueOffset");
	if (offset != NULL)
		*offset = text ? atoll(text) : -1;
	if (code != 0)
		assert_true(a.remark[0] != '\0'); /* a refusal says why */
	answer_free(&a);
	return code;
}

/* One record of the commit log (MessageDecoder): its size. */
static uint32_t take_record(const uint8_t *p, size_t left, int queue, int64_t offset,
			    void (*each)(void *, int64_t, const uint8_t *, uint32_t), void *ctx)
{
	assert_true(left >= 91);
	uint32_t total = get32(p), body_len = get32(p + 84);

	assert_true(total <= left);
	assert_int_equal(get32(p + 12), (uint32_t)queue);
	assert_int_equal(get64(p + 20), (uint64_t)offset);
	assert_true(body_len <= total - 91);
	if (each != NULL)
		each(ctx, offset, p + 88, body_len);
	return total;
}

int64_t client_pull_all(struct client *c, const char *topic, int queue,
			void (*each)(void *ctx, int64_t offset, const uint8_t *body, uint32_t len),
			void *ctx)
{
	int64_t offset = 0;
	char queue_text[16], offset_text[24];

	snprintf(queue_text, sizeof(queue_text), "%d", queue);
	for (;;) {
		struct answer a;
		snprintf(offset_text, sizeof(offset_text), "%lld", (long long)offset);
		client_call(c, &a, 11, NULL, 0, "consumerGroup", "robust-consumer", "topic", topic,
			    "queueId", queue_text, "queueOffset", offset_text, "maxMsgNums", "32",
			    "sysFlag", "4", "commitOffset", "0", "suspendTimeoutMillis", "0",
			    "subscription", "*", "subVersion", "0", "expressionType", "TAG", NULL);
		if (a.code == 20) { /* being read from disk, or filtered: again */
			answer_free(&a);
			continue;
		}
		if (a.code == 21 && offset == 0) { /* what was first is deleted */
			offset = atoll(answer_field(&a, "nextBeginOffset"));
			assert_true(offset > 0);
			answer_free(&a);
			continue;
		}
		if (a.code != 0) {
			if (a.code != 19)
				fail_msg("pull: code %d, %s", a.code, a.remark);
			answer_free(&a);
			return offset;
		}
		assert_true(a.body_len > 0);
		for (size_t at = 0; at < a.body_len; offset++)
			at += take_record(a.body + at, a.body_len - at, queue, offset, each, ctx);
		assert_non_null(answer_field(&a, "nextBeginOffset"));
		answer_free(&a);
	}
}

static void remember_last(void *ctx, int64_t offset, const uint8_t *body, uint32_t len)
{
	(void)offset;
	assert_true(len == 8);
	*(uint64_t *)ctx = get64(body);
}

void check_serves(uint16_t port)
{
	uint8_t body[8];
	uint64_t mark = now_ns(), last = 0;
	int64_t offset = -1;
	struct client c;

	client_open(&c, port);
	put64(body, mark);
	assert_int_equal(client_send_wait(&c, "RobustAlive", 0, body, sizeof(body), &offset), 0);
	assert_int_equal(client_pull_all(&c, "RobustAlive", 0, remember_last, &last), offset + 1);
	assert_int_equal(last, mark);
	client_close(&c);
}
