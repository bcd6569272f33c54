/*
 * mosaic consume TOPIC: prints messages as they arrive, from every queue at once, by long polls.
 */
#include "base/err.h"
#include "base/num.h"
#include "client.h"
#include "command.h"
#include "rpc/request.h"
#include "wire/codes.h"
#include "wire/message.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"usage: mosaic consume TOPIC [options]\n"
	"Prints messages of a topic until --count or Ctrl-C.\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876)\n"
	"  --group GROUP         go on where the group was, and save how far it came\n"
	"  --from first|last     where to begin otherwise (last: only new messages)\n"
	"  --tag EXPRESSION      for example \"TagA || TagB\" (*)\n"
	"  --count N             end after N messages\n"
	"  --timeout SECONDS     end with status 1 when no message came for so long\n";

#define HOLD_MS 15000
#define PULL_SYS_FLAGS "6" /* suspend | subscription in the header */

struct consume;

struct source {
	struct consume *consume;
	const struct client_queue *queue;
	int64_t offset;
	struct call call;
	bool busy;
};

struct consume {
	struct client client;
	const char *topic, *group, *tag;
	bool from_first, has_group;
	int64_t count, seen;
	struct client_queue *queues;
	struct source *sources;
	uint32_t n_queues;
	struct mosaic_timer idle, retry;
	uint64_t idle_ns;
	uv_signal_t interrupt;
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
		printf("received %s queue %d offset %lld: %.*s\n", s->queue->broker, m.queue_id,
		       (long long)m.queue_offset, SLICE_ARG(m.body));
		s->offset = m.queue_offset + 1;
		body.ptr += len;
		body.len -= len;
		c->done = ++c->seen == c->count;
	}
	fflush(stdout);
	if (c->idle_ns > 0)
		c->client.host.api.timer_start(&c->client.host.api, &c->idle, c->idle_ns);
}

static void on_pulled(struct call *call)
{
	struct source *s = call->data;
	struct consume *c = s->consume;
	s->busy = false;
	if (c->done)
		return;
	if (call->status != 0) {
		retry_later(c);
		return;
	}
	int32_t code = call->response->code;
	int64_t next = s->offset;
	if (code == RES_SUCCESS)
		print_records(s, call->body);
	else if (code != RES_PULL_NOT_FOUND && code != RES_PULL_RETRY_IMMEDIATELY &&
		 code != RES_PULL_OFFSET_MOVED) {
		fprintf(stderr, "mosaic consume: %s answered code %d: %.*s\n", s->queue->address,
			code, SLICE_ARG(call->response->remark));
		retry_later(c);
		return;
	}
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

static void source_pull(struct source *s)
{
	struct consume *c = s->consume;
	struct call_writer cw;
	struct peer *peer = dialer_peek(&c->client.dialer, s->queue->address);
	if (peer == NULL || !call_begin(&cw, peer, REQ_PULL_MESSAGE, false, 4096, 0)) {
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
	if (rc == 0 && code != RES_SUCCESS)
		rc = source_ask(s, c->from_first ? REQ_GET_MIN_OFFSET : REQ_GET_MAX_OFFSET, 0, &code,
				&s->offset);
	if (rc == 0 && s->offset < 0)
		s->offset = 0;
	return rc;
}

static int consume_start(struct consume *c)
{
	int rc = client_route(&c->client, c->topic, false, c->queues, &c->n_queues, &c->err);
	if (rc == 0 && c->n_queues == 0)
		rc = err_set(&c->err, MOSAIC_E_NOTFOUND, "topic %s has no route at %s", c->topic,
			     c->client.namesrv);
	c->sources = calloc(c->n_queues + 1, sizeof(*c->sources));
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

static int consume_run(struct consume *c, const char *namesrv)
{
	bool closed = false;
	int rc = client_open(&c->client, namesrv, &c->err);
	if (rc != 0) {
		client_close(&c->client);
		return rc;
	}
	c->idle.fire = on_idle;
	c->idle.data = c->retry.data = c;
	c->retry.fire = on_retry;
	(void)uv_signal_init(&c->client.loop.uv, &c->interrupt);
	c->interrupt.data = c;
	(void)uv_signal_start(&c->interrupt, on_interrupt, SIGINT);
	if (c->idle_ns > 0)
		c->client.host.api.timer_start(&c->client.host.api, &c->idle, c->idle_ns);
	rc = consume_start(c);
	if (rc == 0) {
		client_wait(&c->client, &c->done);
		rc = c->failed ? c->err.code : 0;
		consume_commit(c);
	}
	c->done = true;
	c->client.host.api.timer_stop(&c->client.host.api, &c->idle);
	c->client.host.api.timer_stop(&c->client.host.api, &c->retry);
	c->interrupt.data = &closed;
	uv_close((uv_handle_t *)&c->interrupt, on_interrupt_closed);
	client_wait(&c->client, &closed);
	client_close(&c->client);
	return rc;
}

int cmd_consume(int argc, char **argv)
{
	static const struct option options[] = {
		{ "namesrv", required_argument, NULL, 'n' }, { "group", required_argument, NULL, 'g' },
		{ "from", required_argument, NULL, 'f' },    { "tag", required_argument, NULL, 't' },
		{ "count", required_argument, NULL, 'c' },   { "timeout", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 }
	};
	struct consume c = { .group = "mosaic-consume", .tag = "*", .err = ERR_INIT };
	const char *namesrv = "127.0.0.1:9876";
	int64_t seconds = 0;
	int o;
	bool bad = false;
	while ((o = getopt_long(argc, argv, "n:g:f:t:c:w:h", options, NULL)) != -1) {
		if (o == 'n')
			namesrv = optarg;
		else if (o == 'g')
			c.group = optarg, c.has_group = true;
		else if (o == 'f')
			c.from_first = strcmp(optarg, "first") == 0,
			bad = bad || (!c.from_first && strcmp(optarg, "last") != 0);
		else if (o == 't')
			c.tag = optarg;
		else if (o == 'c')
			bad = bad || num_parse_i64(slice_str(optarg), &c.count) != 0;
		else if (o == 'w')
			bad = bad || num_parse_i64(slice_str(optarg), &seconds) != 0;
		else
			return fputs(usage, o == 'h' ? stdout : stderr), o == 'h' ? 0 : 2;
	}
	if (bad || optind + 1 != argc)
		return fputs(usage, stderr), 2;
	c.topic = argv[optind];
	c.idle_ns = seconds > 0 ? (uint64_t)seconds * SECOND_NS : 0;
	c.queues = calloc(CLIENT_QUEUES_MAX, sizeof(*c.queues));
	int rc = consume_run(&c, namesrv);
	free(c.queues);
	free(c.sources);
	if (rc != 0)
		fprintf(stderr, "mosaic consume: %s\n", c.err.text);
	return rc == 0 ? 0 : 1;
}
