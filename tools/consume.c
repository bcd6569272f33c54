/*
 * mosaic consume TOPIC: prints messages as they arrive, from every queue at once, by long polls.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "client.h"
#include "command.h"
#include "rpc/request.h"
#include "show.h"
#include "wire/codes.h"
#include "wire/message.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"usage: mosaic consume TOPIC [options]\n"
	"Prints messages of a topic as they come, until --count or Ctrl-C.\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876)\n"
	"  --group GROUP         go on where the group was, and save how far it came\n"
	"  --from MOMENT         where to begin otherwise: first, last (only new messages), ms\n"
	"                        since 1970, \"2026-11-22 21:05:09\", or offset=N in each queue\n"
	"  --queue N             this queue only\n"
	"  --tag EXPRESSION      for example \"TagA || TagB\" (*)\n"
	"  --count N             end after N messages\n"
	"  --json                a line of JSON for each message\n"
	"%s"
	"  --timeout SECONDS     end with status 1 when no message came for so long\n"
	"Exit status: 0 ended by --count or a signal, 1 did not work, 2 wrong command line.\n";

#define HOLD_MS 15000
#define TIMEOUT_MAX 86400
#define PULL_SYS_FLAGS "6" /* suspend | subscription in the header */

struct consume;

struct source {
	struct consume *consume;
	const struct client_queue *queue;
	int64_t offset;
	struct call call;
	struct dial_wait wait;
	bool busy; /* a call or a dial is under way */
};

struct consume {
	struct client client;
	const char *namesrv, *topic, *group, *tag;
	bool has_group;
	int64_t from;   /* a moment */
	int64_t from_offset, queue; /* -1: not given */
	struct show show;
	bool lost; /* the user was told that a broker does not answer */
	int64_t count, seen;
	struct client_queue *queues;
	struct source *sources;
	uint32_t n_queues;
	struct mosaic_timer idle, retry;
	uint64_t idle_ns;
	uv_signal_t interrupt, terminate;
	bool done, failed;
	struct mosaic_error err;
};

struct ask {
	struct call call;
	bool done;
	int status, code;
	int64_t offset;
};

static void source_pull(struct source *s);

static void consume_fail(struct consume *c, const char *text)
{
	c->failed = c->done = true;
	(void)err_set(&c->err, MOSAIC_E_IO, "%s", text);
}

static void on_idle(struct mosaic_timer *timer)
{
	consume_fail(timer->data, "no message came in time");
}

static void on_retry(struct mosaic_timer *timer)
{
	struct consume *c = timer->data;
	for (uint32_t i = 0; i < c->n_queues; i++)
		if (!c->sources[i].busy)
			source_pull(&c->sources[i]);
}

static void retry_later(struct consume *c)
{
	const struct mosaic_host *h = &c->client.host.api;
	if (c->retry.due_ns == 0)
		h->timer_start(h, &c->retry, SECOND_NS);
}

/* Told once; then every second until it works again. */
static void source_lost(struct source *s, const char *why)
{
	struct consume *c = s->consume;
	if (!c->lost)
		fprintf(stderr, "mosaic consume: broker %s at %s: %s; trying on\n",
			s->queue->broker, s->queue->address, why);
	c->lost = true;
	retry_later(c);
}

static void print_records(struct source *s, struct mosaic_slice body)
{
	struct consume *c = s->consume;
	struct message m;
	uint32_t len;
	while (body.len > 0 && !c->done) {
		if (record_decode(body.ptr, body.len, true, &m, &len) != RECORD_MESSAGE) {
			consume_fail(c, "the broker sent a record that is damaged");
			return;
		}
		show_received(&c->show, s->queue->broker, &m);
		s->offset = m.queue_offset + 1;
		body.ptr += len;
		body.len -= len;
		c->done = ++c->seen == c->count;
	}
	if (fflush(stdout) != 0)
		consume_fail(c, "nobody reads standard output any more");
	if (c->idle_ns > 0)
		c->client.host.api.timer_start(&c->client.host.api, &c->idle, c->idle_ns);
}

/* The first line of the broker's remark. */
static void consume_refused(struct source *s, const struct header *h)
{
	struct mosaic_slice line = h->remark;
	const uint8_t *end = line.len > 0 ? memchr(line.ptr, '\n', line.len) : NULL;
	char text[384];
	if (end)
		line.len = (size_t)(end - line.ptr);
	snprintf(text, sizeof(text), "%s answered code %d: %.*s", s->queue->address, h->code,
		 SLICE_ARG(line));
	consume_fail(s->consume, text);
}

static void on_pulled(struct call *call)
{
	struct source *s = call->data;
	struct consume *c = s->consume;
	s->busy = false;
	if (c->done)
		return;
	if (call->status != 0) {
		source_lost(s, status_text(call->status));
		return;
	}
	int32_t code = call->response->code;
	if (code == RES_SERVICE_NOT_AVAILABLE) {
		source_lost(s, "starts or stops");
		return;
	}
	c->lost = false;
	int64_t next = s->offset;
	if (code == RES_SUCCESS)
		print_records(s, call->body);
	else if (code != RES_PULL_NOT_FOUND && code != RES_PULL_RETRY_IMMEDIATELY &&
		 code != RES_PULL_OFFSET_MOVED)
		consume_refused(s, call->response);
	if (!c->done && header_i64(call->response, "nextBeginOffset", &next) == 0)
		s->offset = next;
	if (!c->done)
		source_pull(s);
}

static void put_queue_fields(struct call_writer *cw, const struct source *s)
{
	header_put_str(&cw->w, "consumerGroup", s->consume->group);
	header_put_str(&cw->w, "topic", s->consume->topic);
	header_put_i64(&cw->w, "queueId", s->queue->id);
}

static void on_dialed(struct dial_wait *wait, struct peer *peer, const char *why)
{
	struct source *s = wait->data;
	s->busy = false;
	if (s->consume->done)
		return;
	if (peer)
		source_pull(s);
	else
		source_lost(s, why);
}

static void source_pull(struct source *s)
{
	struct consume *c = s->consume;
	struct call_writer cw;
	struct peer *peer = dialer_peek(&c->client.dialer, s->queue->address);
	if (peer == NULL) {
		s->busy = true;
		s->wait.done = on_dialed;
		s->wait.data = s;
		dialer_get(&c->client.dialer, s->queue->address, CLIENT_TIMEOUT_NS, &s->wait);
		return;
	}
	if (!call_begin(&cw, peer, REQ_PULL_MESSAGE, false, 4096, 0)) {
		retry_later(c);
		return;
	}
	put_queue_fields(&cw, s);
	header_put_i64(&cw.w, "queueOffset", s->offset);
	header_put_str(&cw.w, "maxMsgNums", "32");
	header_put_str(&cw.w, "sysFlag", PULL_SYS_FLAGS);
	header_put_str(&cw.w, "commitOffset", "0");
	header_put_i64(&cw.w, "suspendTimeoutMillis", HOLD_MS);
	header_put_str(&cw.w, "subscription", c->tag);
	header_put_str(&cw.w, "subVersion", "0");
	header_put_str(&cw.w, "expressionType", "TAG");
	s->call.done = on_pulled;
	s->call.data = s;
	s->busy = true;
	call_end(&cw, slice(NULL, 0), &s->call, (HOLD_MS + 10000) * MS_NS);
}

static void on_asked(struct call *call)
{
	struct ask *a = call->data;
	a->done = true;
	a->status = call->status;
	if (call->status != 0)
		return;
	a->code = call->response->code;
	(void)header_i64(call->response, "offset", &a->offset);
}

/* One offset request for a queue; code in *code. */
static int source_ask(struct source *s, int32_t request, int64_t commit, int32_t *code,
		      int64_t *offset)
{
	struct consume *c = s->consume;
	struct ask a = { .call.done = on_asked };
	struct call_writer cw;
	struct peer *peer;
	a.call.data = &a;
	int rc = client_peer(&c->client, s->queue->address, &peer, &c->err);
	if (rc != 0)
		return rc;
	if (!call_begin(&cw, peer, request, false, 2048, 0))
		return err_set(&c->err, MOSAIC_E_CLOSED, "the connection to %s broke",
			       s->queue->address);
	put_queue_fields(&cw, s);
	if (request == REQ_UPDATE_CONSUMER_OFFSET)
		header_put_i64(&cw.w, "commitOffset", commit);
	else if (request == REQ_SEARCH_OFFSET_BY_TIMESTAMP)
		header_put_i64(&cw.w, "timestamp", c->from);
	else if (request == REQ_QUERY_CONSUMER_OFFSET)
		header_put_str(&cw.w, "setZeroIfNotFound", "false"); /* --from decides */
	call_end(&cw, slice(NULL, 0), &a.call, CLIENT_TIMEOUT_NS);
	client_wait(&c->client, &a.done);
	if (a.status != 0)
		return err_set(&c->err, a.status, "%s did not answer: %s", s->queue->address,
			       status_text(a.status));
	*code = a.code;
	*offset = a.offset;
	return 0;
}

static int source_start(struct source *s)
{
	struct consume *c = s->consume;
	int32_t code = RES_QUERY_NOT_FOUND;
	int rc = 0;
	if (c->has_group)
		rc = source_ask(s, REQ_QUERY_CONSUMER_OFFSET, 0, &code, &s->offset);
	if (rc == 0 && code != RES_SUCCESS && c->from_offset >= 0)
		s->offset = c->from_offset;
	else if (rc == 0 && code != RES_SUCCESS)
		rc = source_ask(s, c->from == MOMENT_FIRST  ? REQ_GET_MIN_OFFSET
				   : c->from == MOMENT_LAST ? REQ_GET_MAX_OFFSET
							    : REQ_SEARCH_OFFSET_BY_TIMESTAMP,
				0, &code, &s->offset);
	if (rc == 0 && s->offset < 0)
		s->offset = 0;
	return rc;
}

static int keep_queue(struct consume *c)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < c->n_queues; i++)
		if (c->queues[i].id == c->queue)
			c->queues[kept++] = c->queues[i];
	c->n_queues = kept;
	return kept > 0 ? 0
			: err_set(&c->err, MOSAIC_E_NOTFOUND, "topic %s has no queue %lld",
				  c->topic, (long long)c->queue);
}

static int consume_start(struct consume *c)
{
	int rc = client_route(&c->client, c->topic, false, c->queues, &c->n_queues, &c->err);
	if (rc == 0 && c->n_queues == 0)
		rc = err_set(&c->err, MOSAIC_E_NOTFOUND, "no broker of NameServer %s has topic %s "
			     "to read from; the first message makes it: mosaic produce %s MESSAGE",
			     c->client.namesrv, c->topic, c->topic);
	if (rc == 0 && c->queue >= 0)
		rc = keep_queue(c);
	c->sources = mem_alloc((c->n_queues + 1) * sizeof(*c->sources));
	for (uint32_t i = 0; rc == 0 && i < c->n_queues; i++) {
		c->sources[i].consume = c;
		c->sources[i].queue = &c->queues[i];
		rc = source_start(&c->sources[i]);
	}
	for (uint32_t i = 0; rc == 0 && i < c->n_queues; i++)
		source_pull(&c->sources[i]);
	return rc;
}

static void consume_commit(struct consume *c)
{
	int32_t code;
	int64_t offset;
	for (uint32_t i = 0; c->has_group && i < c->n_queues; i++) {
		struct source *s = &c->sources[i];
		if (source_ask(s, REQ_UPDATE_CONSUMER_OFFSET, s->offset, &code, &offset) != 0)
			fprintf(stderr, "mosaic consume: offset not saved: %s\n", c->err.text);
	}
}

static void on_interrupt(uv_signal_t *signal, int number)
{
	struct consume *c = signal->data;
	(void)number;
	c->done = true;
}

static void on_interrupt_closed(uv_handle_t *handle)
{
	*(bool *)handle->data = true;
}

static void signals_start(struct consume *c)
{
	(void)uv_signal_init(&c->client.loop.uv, &c->interrupt);
	(void)uv_signal_init(&c->client.loop.uv, &c->terminate);
	c->interrupt.data = c->terminate.data = c;
	(void)uv_signal_start(&c->interrupt, on_interrupt, SIGINT);
	(void)uv_signal_start(&c->terminate, on_interrupt, SIGTERM);
}

static void signal_stop(struct consume *c, uv_signal_t *signal)
{
	bool closed = false;
	signal->data = &closed;
	uv_close((uv_handle_t *)signal, on_interrupt_closed);
	client_wait(&c->client, &closed);
}

static int consume_run(struct consume *c)
{
	const struct mosaic_host *host = &c->client.host.api;
	int rc = client_open(&c->client, c->namesrv, &c->err);
	if (rc != 0) {
		client_close(&c->client);
		return rc;
	}
	c->idle.fire = on_idle;
	c->idle.data = c->retry.data = c;
	c->retry.fire = on_retry;
	signals_start(c);
	if (c->idle_ns > 0)
		host->timer_start(host, &c->idle, c->idle_ns);
	rc = consume_start(c);
	if (rc == 0) {
		client_wait(&c->client, &c->done);
		rc = c->failed ? c->err.code : 0;
		consume_commit(c);
	}
	c->done = true;
	host->timer_stop(host, &c->idle);
	host->timer_stop(host, &c->retry);
	signal_stop(c, &c->interrupt);
	signal_stop(c, &c->terminate);
	client_close(&c->client);
	return rc;
}

static const struct option options[] = {
	{ "namesrv", required_argument, NULL, 'n' }, { "group", required_argument, NULL, 'g' },
	{ "from", required_argument, NULL, 'f' },    { "tag", required_argument, NULL, 't' },
	{ "count", required_argument, NULL, 'c' },   { "timeout", required_argument, NULL, 'w' },
	{ "queue", required_argument, NULL, 'q' },   { "format", required_argument, NULL, 'F' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 }
};

/* One option's value; NULL when it is fine, else what it must be. */
static const char *take(struct consume *c, int option, const char *value)
{
	int64_t seconds;
	switch (option) {
	case 'n':
		c->namesrv = value;
		return is_host_port(value) ? NULL : "--namesrv must be HOST:PORT";
	case 'g':
		c->group = value;
		c->has_group = true;
		return NULL;
	case 't':
		c->tag = value;
		return NULL;
	case 'c': return parse_count(value, &c->count) ? NULL : "--count must be 1 or more";
	case 'f':
		c->from_offset = -1;
		if (strncmp(value, "offset=", 7) == 0 ? num_parse_i64(slice_str(value + 7),
								      &c->from_offset) == 0 &&
								c->from_offset >= 0
						      : parse_moment(value, &c->from))
			return NULL;
		return "--from must be first, last, a time or offset=N";
	case 'q':
		return num_parse_i64(slice_str(value), &c->queue) == 0 && c->queue >= 0
			       ? NULL
			       : "--queue must be 0 or more";
	case 'j': c->show.as_json = true; return NULL;
	case 'F':
		c->show.format = value;
		return show_check(value) == NULL ? NULL : "--format knows what --help lists";
	default:
		if (!parse_count(value, &seconds) || seconds > TIMEOUT_MAX)
			return "--timeout must be a number of seconds from 1 to 86400";
		c->idle_ns = (uint64_t)seconds * SECOND_NS;
		return NULL;
	}
}

/* A negative result means go on, else it is the exit status. */
static int parse(int argc, char **argv, struct consume *c)
{
	const char *problem;
	int o;
	while ((o = getopt_long(argc, argv, "n:g:f:t:c:w:q:F:jh", options, NULL)) != -1) {
		if (o == 'h')
			return printf(usage, show_format_help), 0;
		if (o == '?')
			return usage_error(argv[0], NULL);
		problem = take(c, o, optarg);
		if (problem)
			return usage_error(argv[0], "%s, not \"%s\"", problem, optarg);
	}
	if (argc - optind != 1)
		return usage_error(argv[0], argc == optind ? "which TOPIC?" : "one TOPIC, please");
	c->topic = argv[optind];
	return -1;
}

int cmd_consume(int argc, char **argv)
{
	struct consume c = { .namesrv = "127.0.0.1:9876", .group = "mosaic-consume", .tag = "*",
			     .from = MOMENT_LAST, .from_offset = -1, .queue = -1,
			     .err = ERR_INIT };
	int rc = parse(argc, argv, &c);
	if (rc >= 0)
		return rc;
	c.queues = mem_alloc(CLIENT_QUEUES_MAX * sizeof(*c.queues));
	rc = consume_run(&c);
	free(c.queues);
	free(c.sources);
	if (rc != 0)
		fprintf(stderr, "mosaic consume: %s\n", c.err.text);
	return rc == 0 ? 0 : 1;
}
