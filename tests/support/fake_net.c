#include "support/fake_net.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "wire/frame.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct fake_net {
	struct fake_host *host;
	struct list conns;    /* struct mosaic_conn */
	struct list attempts; /* struct attempt */
	struct mosaic_listener *listeners[8];
	void **blocks; /* memory of frames handed to the test */
	uint32_t n_listeners, n_blocks;
	uint32_t next_port;
};

struct mosaic_conn {
	struct list link;
	struct fake_net *net;
	const struct mosaic_conn_events *events;
	void *user;
	struct mosaic_address address;
	struct buf out; /* what the code wrote */
	size_t read_at;
	uint8_t *room;
	uint32_t room_len;
	struct mosaic_out_span *spans; /* written, not released yet */
	struct mosaic_req release, closed;
	bool is_blocked, release_posted, is_closing, is_closed;
	char why[96];
	int32_t version, next_opaque;
};

struct attempt {
	struct list link;
	struct fake_net *net;
	char to[64];
	bool is_taken;              /* accepted, refused or timed out */
	struct mosaic_connect *req; /* NULL once completed */
	struct mosaic_req done;
	struct mosaic_timer timer;
};

struct mosaic_transport *fake_net_transport(struct fake_net *net)
{
	return (struct mosaic_transport *)(void *)net;
}

static struct fake_net *net_of(struct mosaic_transport *t)
{
	return (struct fake_net *)(void *)t;
}

struct fake_net *fake_net_create(struct fake_host *host)
{
	struct fake_net *net = mem_alloc(sizeof(*net));

	net->host = host;
	net->next_port = 50000;
	list_init(&net->conns);
	list_init(&net->attempts);
	return net;
}

static void conn_release_spans(struct mosaic_conn *conn)
{
	while (conn->spans) {
		struct mosaic_out_span *span = conn->spans;

		conn->spans = span->next;
		span->release(span);
	}
}

static void conn_release_posted(struct mosaic_req *req)
{
	struct mosaic_conn *conn = req->data;

	conn->release_posted = false;
	conn_release_spans(conn);
}

static void conn_closed(struct mosaic_req *req)
{
	struct mosaic_conn *conn = req->data;

	conn_release_spans(conn);
	conn->is_closed = true;
	conn->events->closed(conn->user, conn, MOSAIC_E_CLOSED, conn->why);
}

static void conn_end(struct mosaic_conn *conn, const char *why)
{
	if (conn->is_closing)
		return;
	conn->is_closing = true;
	snprintf(conn->why, sizeof(conn->why), "%s", why);
	conn->closed.done = conn_closed;
	conn->closed.data = conn;
	conn->net->host->host.post(&conn->net->host->host, &conn->closed);
}

void fake_net_destroy(struct fake_net *net)
{
	LIST_FOR(it, &net->conns)
		conn_end(LIST_ENTRY(it, struct mosaic_conn, link), "net is gone");
	fake_host_run(net->host);
	LIST_FOR_SAFE(it, &net->conns) {
		struct mosaic_conn *conn = LIST_ENTRY(it, struct mosaic_conn, link);

		buf_free(&conn->out);
		free(conn->room);
		free(conn);
	}
	LIST_FOR_SAFE(it, &net->attempts) {
		struct attempt *a = LIST_ENTRY(it, struct attempt, link);

		net->host->host.timer_stop(&net->host->host, &a->timer);
		free(a);
	}
	for (uint32_t i = 0; i < net->n_blocks; i++)
		free(net->blocks[i]);
	free(net->blocks);
	free(net);
}

static struct mosaic_conn *conn_create(struct fake_net *net)
{
	struct mosaic_conn *conn = mem_alloc(sizeof(*conn));
	uint32_t port = net->next_port++;

	conn->net = net;
	conn->version = VERSION_V5_3_3;
	conn->address.ip[0] = 127;
	conn->address.ip[3] = 1;
	conn->address.ip_len = 4;
	conn->address.port = port;
	snprintf(conn->address.text, sizeof(conn->address.text), "127.0.0.1:%u", port);
	list_add_tail(&net->conns, &conn->link);
	return conn;
}

static void conn_drop(struct mosaic_conn *conn)
{
	list_remove(&conn->link);
	free(conn);
}

/* ---- the code's end ---- */

static int32_t net_listen(struct mosaic_transport *t, struct mosaic_listener *listener,
			  struct mosaic_error *err)
{
	struct fake_net *net = net_of(t);

	if (net->n_listeners == ARRAY_LEN(net->listeners))
		return err_set(err, MOSAIC_E_LIMIT, "too many listeners");
	net->listeners[net->n_listeners++] = listener;
	listener->port = 9876;
	return 0;
}

static void net_unlisten(struct mosaic_transport *t, struct mosaic_listener *listener)
{
	struct fake_net *net = net_of(t);

	for (uint32_t i = 0; i < net->n_listeners; i++)
		if (net->listeners[i] == listener)
			net->listeners[i--] = net->listeners[--net->n_listeners];
}

static void attempt_posted(struct mosaic_req *req)
{
	struct attempt *a = req->data;
	struct mosaic_connect *connect = a->req;

	a->req = NULL;
	connect->req.done(&connect->req);
}

static void attempt_end(struct attempt *a, int32_t status, const char *why)
{
	struct mosaic_host *host = &a->net->host->host;

	host->timer_stop(host, &a->timer);
	a->is_taken = true;
	a->req->req.status = status;
	if (status != 0)
		err_set(a->req->error, status, "%s", why);
	a->done.done = attempt_posted;
	a->done.data = a;
	host->post(host, &a->done);
}

static void attempt_timed_out(struct mosaic_timer *timer)
{
	attempt_end(timer->data, MOSAIC_E_TIMEOUT, "connection timed out");
}

static int32_t net_connect(struct mosaic_transport *t, struct mosaic_connect *req)
{
	struct fake_net *net = net_of(t);
	struct attempt *a = mem_alloc(sizeof(*a));

	a->net = net;
	a->req = req;
	snprintf(a->to, sizeof(a->to), "%s", req->address);
	a->timer.fire = attempt_timed_out;
	a->timer.data = a;
	net->host->host.timer_start(&net->host->host, &a->timer, req->timeout_ns);
	list_add_tail(&net->attempts, &a->link);
	return MOSAIC_PENDING;
}

static int32_t net_close(struct mosaic_transport *t, struct mosaic_req *req)
{
	struct fake_net *net = net_of(t);

	net->n_listeners = 0;
	LIST_FOR(it, &net->attempts) {
		struct attempt *a = LIST_ENTRY(it, struct attempt, link);

		if (!a->is_taken)
			attempt_end(a, MOSAIC_E_CANCELED, "the transport closes");
	}
	LIST_FOR(it, &net->conns)
		conn_end(LIST_ENTRY(it, struct mosaic_conn, link), "the transport closes");
	net->host->host.post(&net->host->host, req);
	return MOSAIC_PENDING;
}

static uint8_t *conn_reserve(struct mosaic_conn *conn, uint32_t len)
{
	ASSERT(!conn->is_closed);
	if (conn->is_blocked || conn->is_closing)
		return NULL;
	free(conn->room);
	conn->room = malloc(len); /* exact, so that a sanitizer sees a write beyond it */
	conn->room_len = len;
	return conn->room;
}

static void conn_commit(struct mosaic_conn *conn, uint32_t len)
{
	ASSERT(conn->room != NULL);
	ASSERT(len <= conn->room_len);
	buf_append(&conn->out, conn->room, len);
	free(conn->room);
	conn->room = NULL;
}

static int32_t conn_send_span(struct mosaic_conn *conn, struct mosaic_out_span *span)
{
	struct mosaic_out_span **last = &conn->spans;

	if (conn->is_closing)
		return MOSAIC_E_CLOSED;
	if (conn->is_blocked)
		return MOSAIC_E_AGAIN;
	buf_append(&conn->out, span->ptr, span->len);
	span->next = NULL;
	while (*last)
		last = &(*last)->next;
	*last = span;
	if (!conn->release_posted) {
		conn->release_posted = true;
		conn->release.done = conn_release_posted;
		conn->release.data = conn;
		conn->net->host->host.post(&conn->net->host->host, &conn->release);
	}
	return 0;
}

static uint64_t conn_pending(const struct mosaic_conn *conn)
{
	if (conn->is_closing)
		return 0;
	return conn->out.len - conn->read_at + conn->is_blocked; /* blocked: something waits */
}

static void conn_close(struct mosaic_conn *conn, int32_t flush, const char *why)
{
	(void)flush;
	conn_end(conn, why);
}

const struct mosaic_transport_ops fake_net_ops = {
	.struct_size = sizeof(struct mosaic_transport_ops),
	.listen = net_listen,
	.unlisten = net_unlisten,
	.connect = net_connect,
	.close = net_close,
	.reserve = conn_reserve,
	.commit = conn_commit,
	.send_span = conn_send_span,
	.pending = conn_pending,
	.conn_close = conn_close,
};

/* ---- the test's end ---- */

struct mosaic_conn *fake_net_dial(struct fake_net *net, const char *address)
{
	for (uint32_t i = 0; i < net->n_listeners; i++) {
		struct mosaic_listener *listener = net->listeners[i];
		struct mosaic_conn *conn;

		if (strcmp(listener->address, address) != 0)
			continue;
		conn = conn_create(net);
		if (listener->accepted(listener->user, conn, &conn->address, &conn->events,
				       &conn->user) == 0)
			return conn;
		conn_drop(conn);
	}
	return NULL;
}

static struct attempt *net_attempt(struct fake_net *net, const char *address)
{
	LIST_FOR(it, &net->attempts) {
		struct attempt *a = LIST_ENTRY(it, struct attempt, link);

		if (!a->is_taken && strcmp(a->to, address) == 0)
			return a;
	}
	return NULL;
}

struct mosaic_conn *fake_net_accept(struct fake_net *net, const char *address)
{
	struct attempt *a = net_attempt(net, address);
	struct mosaic_conn *conn;

	if (a == NULL)
		return NULL;
	conn = conn_create(net);
	conn->events = a->req->events;
	conn->user = a->req->user;
	a->req->conn = conn;
	a->req->peer = conn->address;
	attempt_end(a, 0, "");
	fake_host_run(net->host);
	return conn;
}

bool fake_net_refuse(struct fake_net *net, const char *address, const char *why)
{
	struct attempt *a = net_attempt(net, address);

	if (a == NULL)
		return false;
	attempt_end(a, MOSAIC_E_IO, why);
	fake_host_run(net->host);
	return true;
}

bool fake_conn_next(struct mosaic_conn *conn, struct fake_frame *frame)
{
	struct fake_net *net = conn->net;
	size_t left = conn->out.len - conn->read_at;
	uint8_t *bytes;
	uint32_t len;

	if (left == 0)
		return false;
	ASSERT(left >= FRAME_PREFIX_BYTES); /* the code writes whole frames */
	len = get_be32(conn->out.data + conn->read_at);
	ASSERT(len <= left - FRAME_LENGTH_BYTES);
	bytes = mem_alloc(len);
	memcpy(bytes, conn->out.data + conn->read_at + FRAME_LENGTH_BYTES, len);
	conn->read_at += FRAME_LENGTH_BYTES + len;
	net->blocks = mem_resize(net->blocks, (net->n_blocks + 1) * sizeof(*net->blocks));
	net->blocks[net->n_blocks++] = bytes;
	ASSERT(frame_decode(bytes, len, &frame->header, &frame->body) == 0);
	return true;
}

void fake_conn_raw(struct mosaic_conn *conn, const void *bytes, uint32_t len)
{
	uint8_t *copy = mem_alloc(len);

	ASSERT(!conn->is_closed);
	if (len > 0)
		memcpy(copy, bytes, len);
	conn->events->frame(conn->user, conn, copy, len);
	free(copy);
	conn->events->burst_end(conn->user, conn);
}

static void conn_send(struct mosaic_conn *conn, int32_t code, int32_t opaque, int32_t flag,
		      struct mosaic_slice body, va_list fields)
{
	va_list count;
	const char *key, *value;
	struct header_writer w;
	size_t room = HEADER_ROOM;
	uint8_t *memory;
	uint32_t used;

	va_copy(count, fields);
	while ((key = va_arg(count, const char *)) != NULL) {
		value = va_arg(count, const char *);
		room += HEADER_FIELD_ROOM(strlen(key), strlen(value));
	}
	va_end(count);
	memory = mem_alloc(room + body.len);
	header_begin(&w, memory, room, SERIALIZE_JSON, code, opaque, flag, LANGUAGE_JAVA,
		     conn->version);
	while ((key = va_arg(fields, const char *)) != NULL)
		header_put_str(&w, key, va_arg(fields, const char *));
	used = header_end(&w, (uint32_t)body.len);
	ASSERT(used > 0);
	if (body.len > 0)
		memcpy(memory + used, body.ptr, body.len);
	fake_conn_raw(conn, memory + FRAME_LENGTH_BYTES,
		      (uint32_t)(used + body.len - FRAME_LENGTH_BYTES));
	free(memory);
}

int32_t fake_conn_request(struct mosaic_conn *conn, int32_t code, struct mosaic_slice body, ...)
{
	int32_t opaque = conn->next_opaque++;
	va_list fields;

	va_start(fields, body);
	conn_send(conn, code, opaque, 0, body, fields);
	va_end(fields);
	return opaque;
}

void fake_conn_oneway(struct mosaic_conn *conn, int32_t code, struct mosaic_slice body, ...)
{
	va_list fields;

	va_start(fields, body);
	conn_send(conn, code, conn->next_opaque++, HEADER_ONEWAY, body, fields);
	va_end(fields);
}

void fake_conn_respond(struct mosaic_conn *conn, int32_t opaque, int32_t code,
		       struct mosaic_slice body, ...)
{
	va_list fields;

	va_start(fields, body);
	conn_send(conn, code, opaque, HEADER_RESPONSE, body, fields);
	va_end(fields);
}

uint32_t fake_net_attempts(const struct fake_net *net, const char *address)
{
	uint32_t n = 0;

	LIST_FOR(it, &net->attempts)
		n += strcmp(LIST_ENTRY(it, struct attempt, link)->to, address) == 0;
	return n;
}

void fake_conn_version(struct mosaic_conn *conn, int32_t version)
{
	conn->version = version;
}

void fake_conn_block(struct mosaic_conn *conn, bool blocked)
{
	bool was_blocked = conn->is_blocked;

	conn->is_blocked = blocked;
	if (was_blocked && !blocked && !conn->is_closing)
		conn->events->writable(conn->user, conn);
}

void fake_conn_close(struct mosaic_conn *conn)
{
	conn_end(conn, "closed by the far end");
}

bool fake_conn_is_closed(const struct mosaic_conn *conn)
{
	return conn->is_closing;
}

const char *fake_conn_why(const struct mosaic_conn *conn)
{
	return conn->why;
}
