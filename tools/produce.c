/*
 * mosaic produce TOPIC [MESSAGE...]: sends each message (or each line of standard input) and says
 * where it went.
 */
#include "base/err.h"
#include "base/num.h"
#include "client.h"
#include "command.h"
#include "rpc/request.h"
#include "wire/codes.h"
#include "wire/props.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NEW_TOPIC_QUEUES 4 /* what the Java producer asks for */

static const char usage[] =
	"usage: mosaic produce TOPIC [MESSAGE...] [options]\n"
	"Sends each MESSAGE, or each line of standard input, and waits for its acknowledgement.\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876)\n"
	"  --tag TAG             tag of every message\n"
	"  --key KEY             key of every message\n"
	"  --count N             send everything N times (1)\n"
	"  --quiet               only say how many were sent\n";

struct produce {
	struct client client;
	const char *topic, *tag, *key;
	bool quiet;
	struct client_queue *queues;
	uint32_t n_queues;
	uint64_t sent;
};

struct sending {
	struct call call;
	bool done;
	int status, code;
	char remark[512];
	char id[64];
	int64_t offset;
};

static void on_sent(struct call *call)
{
	struct sending *s = call->data;
	s->done = true;
	s->status = call->status;
	if (call->status != 0)
		return;
	const struct header *h = call->response;
	s->code = h->code;
	snprintf(s->remark, sizeof(s->remark), "%.*s", SLICE_ARG(h->remark));
	snprintf(s->id, sizeof(s->id), "%.*s", SLICE_ARG(header_str(h, "msgId")));
	(void)header_i64(h, "queueOffset", &s->offset);
}

static void put_send_fields(struct call_writer *cw, const struct produce *p,
			    const struct client_queue *q)
{
	struct buf props = BUF_INIT;
	if (p->key != NULL)
		buf_printf(&props, PROP_KEYS "\1%s\2", p->key);
	if (p->tag != NULL)
		buf_printf(&props, PROP_TAGS "\1%s\2", p->tag);
	header_put_str(&cw->w, "a", "mosaic-produce");
	header_put_str(&cw->w, "b", p->topic);
	header_put_str(&cw->w, "c", "TBW102");
	header_put_i64(&cw->w, "d", NEW_TOPIC_QUEUES);
	header_put_i64(&cw->w, "e", q->id);
	header_put_str(&cw->w, "f", "0");
	header_put_i64(&cw->w, "g", (int64_t)host_loop_wall_ms());
	header_put_str(&cw->w, "h", "0");
	header_put(&cw->w, "i", buf_slice(&props));
	header_put_str(&cw->w, "j", "0");
	buf_free(&props);
}

static int produce_one(struct produce *p, struct mosaic_slice body, struct mosaic_error *err)
{
	const struct client_queue *q = &p->queues[p->sent % p->n_queues];
	struct sending s = { .call.done = on_sent };
	struct call_writer cw;
	struct peer *peer;
	size_t text = strlen(p->topic) + (p->tag ? strlen(p->tag) : 0) + (p->key ? strlen(p->key) : 0);
	s.call.data = &s;
	int rc = client_peer(&p->client, q->address, &peer, err);
	if (rc != 0)
		return rc;
	if (!call_begin(&cw, peer, REQ_SEND_MESSAGE_V2, false, (uint32_t)(1024 + 6 * text),
			(uint32_t)body.len))
		return err_set(err, MOSAIC_E_CLOSED, "the connection to %s broke", q->address);
	put_send_fields(&cw, p, q);
	call_end(&cw, body, &s.call, CLIENT_TIMEOUT_NS);
	client_wait(&p->client, &s.done);
	if (s.status != 0)
		return err_set(err, s.status, "no acknowledgement from %s: %s", q->address,
			       status_text(s.status));
	if (s.code != RES_SUCCESS)
		return err_set(err, MOSAIC_E_INVAL, "%s answered code %d: %s", q->address, s.code,
			       s.remark);
	p->sent++;
	if (!p->quiet)
		printf("sent   %s queue %d offset %lld: %.*s   (id %s)\n", q->broker, q->id,
		       (long long)s.offset, SLICE_ARG(body), s.id);
	return 0;
}

/* Keeps the queues that a topic has when a send makes it. */
static void keep_first_queues(struct produce *p)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < p->n_queues; i++)
		if (p->queues[i].id < NEW_TOPIC_QUEUES)
			p->queues[kept++] = p->queues[i];
	p->n_queues = kept;
}

/* Queues of the topic; a topic that is not there yet borrows those of the default topic. */
static int produce_route(struct produce *p, struct mosaic_error *err)
{
	int rc = client_route(&p->client, p->topic, true, p->queues, &p->n_queues, err);
	if (rc == 0 && p->n_queues == 0) {
		rc = client_route(&p->client, "TBW102", true, p->queues, &p->n_queues, err);
		keep_first_queues(p);
	}
	if (rc == 0 && p->n_queues == 0)
		rc = err_set(err, MOSAIC_E_NOTFOUND,
			     "topic %s has no route at %s, and no broker there makes topics by itself",
			     p->topic, p->client.namesrv);
	return rc;
}

static int produce_lines(struct produce *p, struct mosaic_error *err)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;
	while (rc == 0 && (n = getline(&line, &cap, stdin)) >= 0) {
		if (n > 0 && line[n - 1] == '\n')
			n--;
		if (n > 0)
			rc = produce_one(p, slice(line, (size_t)n), err);
	}
	free(line);
	return rc;
}

int cmd_produce(int argc, char **argv)
{
	static const struct option options[] = {
		{ "namesrv", required_argument, NULL, 'n' }, { "tag", required_argument, NULL, 't' },
		{ "key", required_argument, NULL, 'k' },     { "count", required_argument, NULL, 'c' },
		{ "quiet", no_argument, NULL, 'q' },         { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct produce p = { .quiet = false };
	struct mosaic_error err = ERR_INIT;
	const char *namesrv = "127.0.0.1:9876";
	int64_t count = 1;
	int c;
	while ((c = getopt_long(argc, argv, "n:t:k:c:qh", options, NULL)) != -1) {
		if (c == 'n')
			namesrv = optarg;
		else if (c == 't')
			p.tag = optarg;
		else if (c == 'k')
			p.key = optarg;
		else if (c == 'c' && num_parse_i64(slice_str(optarg), &count) == 0)
			continue;
		else if (c == 'q')
			p.quiet = true;
		else
			return fputs(usage, c == 'h' ? stdout : stderr), c == 'h' ? 0 : 2;
	}
	if (optind >= argc)
		return fputs(usage, stderr), 2;
	p.topic = argv[optind++];
	p.queues = calloc(CLIENT_QUEUES_MAX, sizeof(*p.queues));
	int rc = client_open(&p.client, namesrv, &err);
	if (rc == 0)
		rc = produce_route(&p, &err);
	for (int64_t round = 0; rc == 0 && round < count; round++) {
		if (optind >= argc)
			rc = produce_lines(&p, &err);
		for (int i = optind; rc == 0 && i < argc; i++)
			rc = produce_one(&p, slice_str(argv[i]), &err);
	}
	client_close(&p.client);
	free(p.queues);
	if (rc != 0)
		fprintf(stderr, "mosaic produce: %s\n", err.text);
	if (p.quiet)
		printf("sent %llu messages\n", (unsigned long long)p.sent);
	return rc == 0 ? 0 : 1;
}
