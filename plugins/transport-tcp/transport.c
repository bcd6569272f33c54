/*
 * Happy path: listen -> accept (listener.c) -> read, first bytes (input.c) -> accepted() ->
 * frame()... -> burst_end() -> the core reserves, commits and sends spans -> at the end of the turn
 * one write per connection (output.c). Ends: conn.c. Outgoing connections: dial.c.
 *
 * Failure modes: a peer that sends nonsense or too much is closed with a log line (limited:
 * strangers cannot fill the log); a peer that does not read is not read from; descriptors or memory
 * that run out turn new connections away and leave the old ones alone.
 */
#include "tcp.h"

#include <fcntl.h>
#include <mosaic/ext/libuv.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINES_PER_SECOND 20

#define AT(member) offsetof(struct tcp_options, member)

static const struct mosaic_option options[] = {
	{ "listen", MOSAIC_T_ADDRESS, 0, AT(listen), NULL, NULL, NULL, NULL,
	  "Address to accept connections at; port 0 takes any free one" },
	{ "maxConnections", MOSAIC_T_INT, 0, AT(max_connections), "65536", "1", "1048576", NULL,
	  "Connections at the same time, both directions; more are turned away" },
	{ "highPending", MOSAIC_T_SIZE, 0, AT(high_pending), "1MiB", "4KiB", "1GiB", NULL,
	  "Unwritten output above which nothing more is read from that peer" },
	{ "maxPending", MOSAIC_T_SIZE, 0, AT(max_pending), "64MiB", "64KiB", "2GiB", NULL,
	  "Unwritten output of one connection above which more is refused" },
	{ "maxFrameMemory", MOSAIC_T_SIZE, 0, AT(max_frame_memory), "256MiB", "1MiB", NULL, NULL,
	  "Memory for frames that have arrived in part, all connections together" },
	{ "idle", MOSAIC_T_DURATION, 0, AT(idle_ns), "120s", "0s", NULL, NULL,
	  "A connection without a read or a write for this long is closed; 0s: never" },
};

void *tcp_alloc(struct mosaic_transport *t, size_t size)
{
	void *ptr = t->host->alloc(t->host, size);
	if (ptr != NULL)
		memset(ptr, 0, size);
	return ptr;
}

void tcp_free(struct mosaic_transport *t, void *ptr)
{
	t->host->free(t->host, ptr);
}

void tcp_log(struct mosaic_transport *t, uint32_t level, const char *event, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	t->host->log(t->host, level, event, text);
}

void tcp_log_limited(struct mosaic_transport *t, uint32_t level, const char *event,
		     const char *format, ...)
{
	struct tcp_limiter *l = &t->limiter;
	char text[512];
	va_list args;

	if (uv_now(t->loop) - l->window_ms >= 1000) {
		if (l->suppressed > 0)
			tcp_log(t, MOSAIC_LOG_WARN, "lines_suppressed", "count=%u", l->suppressed);
		*l = (struct tcp_limiter){ .window_ms = uv_now(t->loop) };
	}
	if (l->lines >= LINES_PER_SECOND) {
		l->suppressed++;
		return;
	}
	l->lines++;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	t->host->log(t->host, level, event, text);
}

int32_t tcp_error(struct mosaic_error *error, int32_t code, int os_errno, const char *format, ...)
{
	if (error == NULL)
		return code;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	if (os_errno != 0 && n >= 0 && (size_t)n < sizeof(error->text))
		snprintf(error->text + n, sizeof(error->text) - (size_t)n, ": %s",
			 strerror(os_errno));
	error->code = code;
	error->os_errno = os_errno;
	return code;
}

static void start_idle_watch(struct mosaic_transport *t)
{
	if (t->options.idle_ns == 0)
		return;
	/* Fine enough: a connection is closed about 1 / 16 of the idle time late at most. */
	t->idle_tick_ms = t->options.idle_ns / 1000000 / (IDLE_SLOTS / 2) + 1;
	t->idle_timer = (struct mosaic_timer){ .fire = tcp_idle_tick, .data = t };
	t->host->timer_start(t->host, &t->idle_timer, t->idle_tick_ms * 1000000);
}

/* Until the first use nothing of the loop is taken: what was only created needs no close. */
void tcp_start(struct mosaic_transport *t)
{
	if (t->is_started)
		return;
	t->is_started = true;
	start_idle_watch(t);
	uv_prepare_init(t->loop, &t->prepare);
	uv_prepare_start(&t->prepare, tcp_output_turn);
	uv_unref((uv_handle_t *)&t->prepare);
	t->n_handles = 1;
}

static int32_t transport_create(const struct mosaic_host *host, const void *opts,
				struct mosaic_transport **out, struct mosaic_error *error)
{
	const struct mosaic_ext_libuv *ext = host->extension(host, MOSAIC_EXT_LIBUV);
	if (ext == NULL)
		return tcp_error(error, MOSAIC_E_UNSUPPORTED, 0,
				 "this host has no " MOSAIC_EXT_LIBUV);
	if (ext->uv_version >> 16 != UV_VERSION_MAJOR)
		return tcp_error(error, MOSAIC_E_UNSUPPORTED, 0,
				 "the host has libuv %u, this plugin was built with %u",
				 ext->uv_version >> 16, (unsigned)UV_VERSION_MAJOR);
	struct mosaic_transport *t = host->alloc(host, sizeof(*t));
	if (t == NULL)
		return tcp_error(error, MOSAIC_E_NOMEM, 0, "no memory for a transport");
	*t = (struct mosaic_transport){ .host = host, .loop = ext->loop };
	t->options = *(const struct tcp_options *)opts;
	t->read_buffer = host->alloc(host, READ_BYTES);
	if (t->read_buffer == NULL) {
		host->free(host, t);
		return tcp_error(error, MOSAIC_E_NOMEM, 0, "no memory for a transport");
	}
	link_init(&t->dirty);
	t->turn = t->round = 1; /* a new connection was read in none */
	link_init(&t->flushing);
	link_init(&t->listeners);
	link_init(&t->dials);
	for (uint32_t i = 0; i < IDLE_SLOTS; i++)
		link_init(&t->idle[i]);
	t->flush_timer = (struct mosaic_timer){ .fire = tcp_flush_expired, .data = t };
	t->nudge = (struct mosaic_req){ .done = tcp_output_nudged, .data = t };
	t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	*out = t;
	return 0;
}

/* ---- close: everything ends, the last handle that is gone completes the request ---- */

void tcp_handle_closed(struct mosaic_transport *t)
{
	t->n_handles--;
	if (t->n_handles > 0 || t->close_req == NULL)
		return;
	struct mosaic_req *req = t->close_req;
	t->close_req = NULL;
	req->status = 0;
	t->host->post(t->host, req);
}

static void on_prepare_closed(uv_handle_t *handle)
{
	tcp_handle_closed(CONTAINER(handle, struct mosaic_transport, prepare));
}

static void end_all(struct link *head)
{
	while (!link_alone(head))
		tcp_conn_end(CONTAINER(head->next, struct mosaic_conn, link), MOSAIC_E_CANCELED,
			     "the transport closes");
}

static int32_t transport_close(struct mosaic_transport *t, struct mosaic_req *req)
{
	if (t->close_req != NULL)
		return MOSAIC_E_INVAL;
	tcp_start(t);
	t->close_req = req;
	while (!link_alone(&t->listeners))
		tcp_unlisten(t, CONTAINER(t->listeners.next, struct tcp_listener, link)->api);
	tcp_cancel_dials(t);
	for (uint32_t i = 0; i < IDLE_SLOTS; i++)
		end_all(&t->idle[i]);
	end_all(&t->flushing);
	t->host->timer_stop(t->host, &t->idle_timer);
	t->host->timer_stop(t->host, &t->flush_timer);
	uv_close((uv_handle_t *)&t->prepare, on_prepare_closed);
	return 0;
}

static void transport_destroy(struct mosaic_transport *t)
{
	tcp_chunks_free(t);
	if (t->spare_fd >= 0)
		close(t->spare_fd);
	tcp_free(t, t->read_buffer);
	t->host->free(t->host, t);
}

static const struct mosaic_transport_ops ops = {
	.struct_size = sizeof(ops),
	.create = transport_create,
	.listen = tcp_listen,
	.unlisten = tcp_unlisten,
	.connect = tcp_connect,
	.close = transport_close,
	.destroy = transport_destroy,
	.reserve = tcp_reserve,
	.commit = tcp_commit,
	.send_span = tcp_send_span,
	.pending = tcp_pending,
	.conn_close = tcp_conn_close,
};

MOSAIC_PLUGIN(.name = "transport-tcp", .version = MOSAIC_VERSION, .vendor = "Mosaic",
	      .license = "Apache-2.0",
	      .summary = "TCP with one loop, one read and one write per turn and connection",
	      MOSAIC_KIND_TRANSPORT, .caps = MOSAIC_TRANSPORT_CAP_REMOTE, .ops = &ops,
	      MOSAIC_OPTIONS(struct tcp_options, options));
