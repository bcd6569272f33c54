/*
 * Accepting. The transport calls accept() itself: libuv would turn connections away in silence when
 * descriptors are out, and an operator must hear of that.
 */
#include "tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024         /* RocketMQ's */
#define ACCEPTS_PER_TURN 64  /* a storm of connections does not starve those that exist */
#define PAUSE_NS UINT64_C(100000000)

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void admit(struct tcp_listener *l, int fd, const struct sockaddr *from)
{
	struct mosaic_transport *t = l->transport;
	struct mosaic_address peer;

	tcp_address_set(&peer, from);
	if (t->n_conns >= (uint64_t)t->options.max_connections) {
		tcp_log_limited(t, MOSAIC_LOG_WARN, "connections_full",
				"peer=%s maxConnections=%lld text=\"turned away\"", peer.text,
				(long long)t->options.max_connections);
		close(fd);
		return;
	}
	struct mosaic_conn *c = tcp_conn_create(t, TCP_PROBING);
	if (c == NULL) {
		close(fd);
		return;
	}
	c->peer = peer;
	c->listener = l->api;
	c->max_frame = l->api->max_frame;
	int rc = uv_tcp_open(&c->tcp, fd);
	if (rc != 0)
		close(fd);
	else
		rc = tcp_conn_begin(c);
	if (rc != 0)
		tcp_conn_end(c, MOSAIC_E_IO, uv_strerror(rc)); /* the core never knew it */
}

/* It may have been lost while every descriptor was in use; it comes before new connections. */
static void keep_spare(struct mosaic_transport *t)
{
	if (t->spare_fd < 0)
		t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Descriptors are out: with the spare one a waiting client hears "no" instead of nothing. */
static bool turn_away(struct tcp_listener *l)
{
	struct mosaic_transport *t = l->transport;

	tcp_log_limited(t, MOSAIC_LOG_ERROR, "descriptors_out",
			"connections=%u text=\"new ones are turned away: raise LimitNOFILE\"",
			t->n_conns);
	if (t->spare_fd < 0)
		return false;
	close(t->spare_fd);
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	t->spare_fd = -1;
	keep_spare(t);
	return fd >= 0;
}

static void resume(struct mosaic_timer *timer)
{
	struct tcp_listener *l = timer->data;
	uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
}

/* The listening socket stays readable while accept() fails: without a pause the loop would spin. */
static void pause_accepting(struct tcp_listener *l)
{
	uv_poll_stop(&l->poll);
	l->transport->host->timer_start(l->transport->host, &l->pause, PAUSE_NS);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct tcp_listener *l = CONTAINER(poll, struct tcp_listener, poll);
	(void)status;
	(void)events;

	keep_spare(l->transport);
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		memset(&from, 0, sizeof(from));
		int fd = accept4(l->fd, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			admit(l, fd, (struct sockaddr *)&from);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if ((errno == EMFILE || errno == ENFILE) && turn_away(l))
			continue;
		if (errno != EMFILE && errno != ENFILE)
			tcp_log_limited(l->transport, MOSAIC_LOG_ERROR, "accept_failed",
					"port=%u error=\"%s\"", l->api->port, strerror(errno));
		pause_accepting(l);
		return;
	}
}

/* ---- listen ---- */

static int open_socket(const struct sockaddr_storage *address)
{
	socklen_t len = address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6);
	int on = 1;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (const struct sockaddr *)address, len) != 0 || listen(fd, BACKLOG) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static uint32_t bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	struct mosaic_address out;

	memset(&address, 0, sizeof(address));
	getsockname(fd, (struct sockaddr *)&address, &len);
	tcp_address_set(&out, (struct sockaddr *)&address);
	return out.port;
}

int32_t tcp_listen(struct mosaic_transport *t, struct mosaic_listener *api,
		   struct mosaic_error *error)
{
	struct sockaddr_storage address;
	char host[256];
	uint16_t port;

	if (t->close_req != NULL)
		return tcp_error(error, MOSAIC_E_CLOSED, 0, "the transport closes");
	tcp_start(t);
	if (tcp_address_split(api->address, host, sizeof(host), &port) != 0 ||
	    tcp_address_numeric(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port,
				&address) != 0)
		return tcp_error(error, MOSAIC_E_INVAL, 0,
				 "cannot listen at \"%s\": a numeric address and a port are needed",
				 api->address != NULL ? api->address : "");
	int fd = open_socket(&address);
	if (fd < 0)
		return tcp_error(error, MOSAIC_E_IO, -fd, "cannot listen at %s", api->address);
	struct tcp_listener *l = tcp_alloc(t, sizeof(*l));
	int rc = l != NULL ? uv_poll_init(t->loop, &l->poll, fd) : UV_ENOMEM;
	if (rc != 0) {
		tcp_free(t, l);
		close(fd);
		return tcp_error(error, MOSAIC_E_IO, -rc, "cannot listen at %s", api->address);
	}
	l->transport = t;
	l->api = api;
	l->fd = fd;
	l->pause = (struct mosaic_timer){ .fire = resume, .data = l };
	link_init(&l->link);
	link_move(&t->listeners, &l->link);
	t->n_handles++;
	uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
	api->port = bound_port(fd);
	api->reserved = l;
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct tcp_listener *l = CONTAINER(handle, struct tcp_listener, poll);
	struct mosaic_transport *t = l->transport;
	tcp_free(t, l);
	tcp_handle_closed(t);
}

/* Connections that the core does not know yet have nobody to be introduced to any more. */
static void end_probing(struct mosaic_transport *t, const struct mosaic_listener *api)
{
	for (uint32_t i = 0; i < IDLE_SLOTS; i++) {
		for (struct link *l = t->idle[i].next, *next; l != &t->idle[i]; l = next) {
			struct mosaic_conn *c = CONTAINER(l, struct mosaic_conn, link);
			next = l->next;
			if (c->state == TCP_PROBING && c->listener == api)
				tcp_conn_end(c, MOSAIC_E_CANCELED, "unlisten");
		}
	}
}

void tcp_unlisten(struct mosaic_transport *t, struct mosaic_listener *api)
{
	struct tcp_listener *l = api->reserved;

	if (l == NULL)
		return;
	api->reserved = NULL;
	end_probing(t, api);
	t->host->timer_stop(t->host, &l->pause);
	link_remove(&l->link);
	uv_close((uv_handle_t *)&l->poll, on_poll_closed);
	close(l->fd);
}
