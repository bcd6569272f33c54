#include "kit/kit_transport.h"

#include <signal.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <mosaic/plugin.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what the transport holds ---- */

static void *counted_alloc(const struct mosaic_host *api, size_t size)
{
	struct kit *kit = ((struct host *)api->ctx)->user;
	if (kit->fail_in > 0 && --kit->fail_in == 0)
		return NULL;
	void *ptr = malloc(size);
	kit->allocated += malloc_usable_size(ptr);
	return ptr;
}

static void counted_free(const struct mosaic_host *api, void *ptr)
{
	struct kit *kit = ((struct host *)api->ctx)->user;
	kit->allocated -= malloc_usable_size(ptr);
	free(ptr);
}

/* ---- the core's side ---- */

struct side *kit_side_create(struct kit *kit)
{
	struct side *side = calloc(1, sizeof(*side));
	side->kit = kit;
	assert_true(kit->n_sides < ARRAY_LEN(kit->sides));
	kit->sides[kit->n_sides++] = side;
	return side;
}

static void on_frame(void *user, struct mosaic_conn *conn, uint8_t *frame, uint32_t len)
{
	struct side *side = user;
	uint8_t word[4];
	assert_ptr_equal(side->conn, conn);
	assert_false(side->kit->in_call);
	put_be32(word, len);
	buf_append(&side->received, word, sizeof(word));
	buf_append(&side->received, frame, len);
	side->n_frames++;
	if (side->kit->on_frame != NULL)
		side->kit->on_frame(side, frame, len);
}

static void on_burst_end(void *user, struct mosaic_conn *conn)
{
	struct side *side = user;
	assert_ptr_equal(side->conn, conn);
	side->n_bursts++;
}

static void on_writable(void *user, struct mosaic_conn *conn)
{
	struct side *side = user;
	assert_ptr_equal(side->conn, conn);
	assert_false(side->kit->in_call);
	side->n_writable++;
	if (side->kit->on_writable != NULL)
		side->kit->on_writable(side);
}

static void on_closed(void *user, struct mosaic_conn *conn, int32_t status, const char *why)
{
	struct side *side = user;
	assert_ptr_equal(side->conn, conn);
	assert_false(side->kit->in_call);
	assert_non_null(why);
	side->conn = NULL;
	side->n_closed++;
	side->status = status;
	snprintf(side->why, sizeof(side->why), "%s", why);
}

const struct mosaic_conn_events kit_events = {
	.struct_size = sizeof(kit_events),
	.frame = on_frame,
	.burst_end = on_burst_end,
	.writable = on_writable,
	.closed = on_closed,
};

static int32_t on_accepted(void *user, struct mosaic_conn *conn, const struct mosaic_address *peer,
			   const struct mosaic_conn_events **events, void **conn_user)
{
	struct kit *kit = user;
	if (kit->refuse != 0)
		return kit->refuse;
	struct side *side = kit_side_create(kit);
	side->conn = conn;
	side->peer = *peer;
	*events = &kit_events;
	*conn_user = side;
	return 0;
}

struct side *kit_side(struct kit *kit, uint32_t i)
{
	KIT_UNTIL(kit, kit->n_sides > i);
	return kit->sides[i];
}

bool side_send(struct side *side, const void *bytes, uint32_t len)
{
	side->kit->in_call = true;
	uint8_t *room = side->kit->ops->reserve(side->conn, len);
	if (room != NULL) {
		memcpy(room, bytes, len);
		side->kit->ops->commit(side->conn, len);
	}
	side->kit->in_call = false;
	return room != NULL;
}

int32_t side_send_span(struct side *side, struct mosaic_out_span *span)
{
	side->kit->in_call = true;
	int32_t rc = side->kit->ops->send_span(side->conn, span);
	side->kit->in_call = false;
	return rc;
}

void side_close(struct side *side, bool flush)
{
	side->kit->in_call = true;
	side->kit->ops->conn_close(side->conn, flush, "the test closes");
	side->kit->in_call = false;
}

/* ---- start and stop ---- */

static uint64_t fallback_value(const struct mosaic_option *o)
{
	char *unit;
	if (o->fallback == NULL)
		return 0;
	uint64_t n = strtoull(o->fallback, &unit, 10);
	return strcmp(unit, "MiB") == 0 ? n << 20 : strcmp(unit, "s") == 0 ? n * SECOND_NS : n;
}

static void fill(uint8_t *out, const struct mosaic_plugin *plugin, const struct kit_option *set)
{
	for (uint32_t i = 0; i < plugin->n_options; i++) {
		const struct mosaic_option *o = &plugin->options[i];
		uint64_t value = fallback_value(o);
		if (o->type == MOSAIC_T_ADDRESS || o->type == MOSAIC_T_STRING)
			continue;
		for (const struct kit_option *s = set; s != NULL && s->name != NULL; s++)
			if (strcmp(s->name, o->name) == 0)
				value = s->value;
		memcpy(out + o->offset, &value, sizeof(value));
	}
}

void kit_start(struct kit *kit, const struct mosaic_plugin *plugin,
	       const struct kit_option *options)
{
	struct mosaic_error err = ERR_INIT;
	uint8_t filled[256] = { 0 };

	memset(kit, 0, sizeof(*kit));
	logger_init(&kit->logger, memfd_create("log", MFD_CLOEXEC));
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(host_loop_init(&kit->loop, &kit->logger, &err), 0);
	host_init(&kit->host, &kit->loop, plugin->name, NULL, kit);
	kit->host.api.alloc = counted_alloc;
	kit->host.api.free = counted_free;
	kit->ops = plugin->ops;
	assert_true(plugin->options_size <= sizeof(filled));
	fill(filled, plugin, options);
	assert_int_equal(kit->ops->create(&kit->host.api, filled, &kit->transport, &err), 0);
	kit->listener = (struct mosaic_listener){ .address = "127.0.0.1:0",
						  .max_frame = KIT_MAX_FRAME,
						  .user = kit,
						  .accepted = on_accepted };
	assert_int_equal(kit->ops->listen(kit->transport, &kit->listener, &err), 0);
	assert_true(kit->listener.port > 0);
}

static void transport_closed(struct mosaic_req *req)
{
	((struct kit *)req->data)->is_closed = true;
}

void kit_stop(struct kit *kit)
{
	struct mosaic_req req = { .done = transport_closed, .data = kit };
	kit->in_call = true;
	assert_int_equal(kit->ops->close(kit->transport, &req), 0);
	kit->in_call = false;
	KIT_UNTIL(kit, kit->is_closed);
	for (uint32_t i = 0; i < kit->n_sides; i++) {
		assert_int_equal(kit->sides[i]->n_closed, 1);
		buf_free(&kit->sides[i]->received);
		free(kit->sides[i]);
	}
	kit->ops->destroy(kit->transport);
	assert_int_equal(kit->allocated, 0);
	host_loop_fini(&kit->loop);
	close(kit->logger.fd);
}

void kit_turn(struct kit *kit)
{
	uv_run(&kit->loop.uv, UV_RUN_NOWAIT);
}

bool kit_logged(struct kit *kit, const char *text)
{
	static const size_t size = 1 << 20;
	char *all = calloc(1, size);
	ssize_t n = pread(kit->logger.fd, all, size - 1, 0);
	bool found = n > 0 && strstr(all, text) != NULL;
	free(all);
	return found;
}

/* ---- the other side ---- */

int peer_open(struct kit *kit)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)kit->listener.port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

void peer_send(struct kit *kit, int fd, const void *bytes, size_t len)
{
	const char *p = bytes;
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		assert_true(n > 0 || errno == EAGAIN);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
		kit_turn(kit);
	}
}

void peer_send_frame(struct kit *kit, int fd, const void *body, uint32_t len)
{
	uint8_t *frame = malloc(len + 4);
	put_be32(frame, len);
	memcpy(frame + 4, body, len);
	peer_send(kit, fd, frame, len + 4);
	free(frame);
}

void peer_read(struct kit *kit, int fd, void *bytes, size_t len)
{
	char *p = bytes;
	while (len > 0) {
		ssize_t n = recv(fd, p, len, 0);
		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
		kit_turn(kit);
	}
}

bool peer_is_at_end(struct kit *kit, int fd)
{
	char byte;
	ssize_t n;
	while ((n = recv(fd, &byte, 1, 0)) < 0 && errno == EAGAIN)
		kit_turn(kit);
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* ---- transport-tcp ---- */

extern const struct mosaic_plugin mosaic_plugin_transport_tcp;

struct kit *kit_tcp_start(const struct kit_option *options)
{
	struct kit *kit = malloc(sizeof(*kit));
	kit_start(kit, &mosaic_plugin_transport_tcp, options);
	return kit;
}

void kit_tcp_stop(struct kit *kit)
{
	kit_stop(kit);
	free(kit);
}

void side_echo(struct side *side, uint8_t *frame, uint32_t len)
{
	assert_true(side_send(side, frame - 4, len + 4));
}

void side_close_at_once(struct side *side, uint8_t *frame, uint32_t len)
{
	if (frame[0] == 'c')
		side_close(side, false);
	if (frame[0] != 'f')
		return;
	side_echo(side, frame, len);
	side_close(side, true);
}
