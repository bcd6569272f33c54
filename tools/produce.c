/*
 * mosaic produce TOPIC [MESSAGE...]: sends each message (or each line of standard input) and says
 * where it went.
 */
#include "base/err.h"
#include "base/mem.h"
#include "client.h"
#include "command.h"
#include "rpc/request.h"
#include "wire/codes.h"
#include "wire/json.h"
#include "wire/props.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NEW_TOPIC_QUEUES 4 /* what the Java producer asks for */
#define BODY_MAX (16u << 20) /* no broker takes a longer frame */

static const char usage[] =
	"usage: mosaic produce TOPIC [MESSAGE...] [options]\n"
	"Sends each MESSAGE, or each line of standard input that is not empty, and waits for its\n"
	"acknowledgement. A topic that is not there is made.\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876)\n"
	"  --tag TAG             tag of every message\n"
	"  --key KEY             key of every message\n"
	"  --count N             send each MESSAGE N times (1)\n"
	"  --file FILE           each line of a file instead of standard input\n"
	"  --rate N              messages a second at most\n"
	"  --json                a line of JSON for each message\n"
	"  --quiet               only say how many were sent\n"
	"Exit status: 0 all were acknowledged, 1 one was not and the rest was not sent, 2 wrong\n"
	"command line.\n";

struct produce {
	struct client client;
	const char *namesrv, *topic, *tag, *key;
	int64_t count;
	const char *file;
	int64_t rate;  /* 0: as fast as acknowledgements come */
	bool quiet, as_json;
	uint64_t begin_ns; /* of the first message */
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

static void print_json(const struct client_queue *q, const struct sending *s)
{
	json_t *line = json_pack("{ss si sI ss}", "broker", q->broker, "queue", q->id, "offset",
				 (json_int_t)s->offset, "id", s->id);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(line);
}

/* Waits until the next message is due. */
static void keep_rate(struct produce *p)
{
	uint64_t now = host_loop_now_ns();
	if (p->sent == 0)
		p->begin_ns = now;
	if (p->rate == 0)
		return;
	uint64_t due = p->begin_ns + p->sent * SECOND_NS / (uint64_t)p->rate;
	if (due <= now)
		return;
	struct timespec pause = { .tv_sec = (time_t)((due - now) / SECOND_NS),
				  .tv_nsec = (long)((due - now) % SECOND_NS) };
	nanosleep(&pause, NULL);
}

static int produce_one(struct produce *p, struct mosaic_slice body, struct mosaic_error *err)
{
	const struct client_queue *q = &p->queues[p->sent % p->n_queues];
	struct sending s = { .call.done = on_sent };
	struct call_writer cw;
	struct peer *peer;
	size_t text = strlen(p->topic) + (p->tag ? strlen(p->tag) : 0) +
		      (p->key ? strlen(p->key) : 0);
	s.call.data = &s;
	keep_rate(p);
	if (body.len > BODY_MAX)
		return err_set(err, MOSAIC_E_INVAL, "a message of %zu bytes: %u are the most",
			       body.len, BODY_MAX);
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
	if (p->as_json)
		print_json(q, &s);
	else if (!p->quiet)
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
			     "no broker of NameServer %s has topic %s, and none of them makes "
			     "topics (autoCreateTopic)", p->client.namesrv, p->topic);
	return rc;
}

static int produce_lines(struct produce *p, struct mosaic_error *err)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;
	FILE *from = p->file != NULL ? fopen(p->file, "r") : stdin;
	if (from == NULL)
		return err_set(err, MOSAIC_E_NOTFOUND, "cannot read %s: %s", p->file,
			       strerror(errno));
	while (rc == 0 && (n = getline(&line, &cap, from)) >= 0) {
		if (n > 0 && line[n - 1] == '\n')
			n--;
		if (n > 0)
			rc = produce_one(p, slice(line, (size_t)n), err);
	}
	if (rc == 0 && ferror(from))
		rc = err_set(err, MOSAIC_E_IO, "cannot read %s: %s",
			     p->file != NULL ? p->file : "standard input", strerror(errno));
	free(line);
	if (p->file != NULL)
		fclose(from);
	return rc;
}

static const struct option options[] = {
	{ "namesrv", required_argument, NULL, 'n' }, { "tag", required_argument, NULL, 't' },
	{ "key", required_argument, NULL, 'k' },     { "count", required_argument, NULL, 'c' },
	{ "file", required_argument, NULL, 'f' },    { "rate", required_argument, NULL, 'r' },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },         { "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* A negative result means go on, else it is the exit status. */
static int parse(int argc, char **argv, struct produce *p)
{
	int o;
	while ((o = getopt_long(argc, argv, "n:t:k:c:f:r:jqh", options, NULL)) != -1) {
		switch (o) {
		case 'n': p->namesrv = optarg; break;
		case 't': p->tag = optarg; break;
		case 'k': p->key = optarg; break;
		case 'q': p->quiet = true; break;
		case 'f': p->file = optarg; break;
		case 'j': p->as_json = true; break;
		case 'r':
			if (!parse_count(optarg, &p->rate))
				return usage_error(argv[0], "--rate must be 1 or more, not \"%s\"",
						   optarg);
			break;
		case 'c':
			if (!parse_count(optarg, &p->count))
				return usage_error(argv[0], "--count must be 1 or more, not \"%s\"",
						   optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return usage_error(argv[0], NULL);
		}
	}
	if (!is_host_port(p->namesrv))
		return usage_error(argv[0], "--namesrv must be HOST:PORT, not \"%s\"", p->namesrv);
	if (optind >= argc)
		return usage_error(argv[0], "to which TOPIC?");
	if (argc - optind > 1 && p->file != NULL)
		return usage_error(argv[0], "either MESSAGEs or --file, please");
	if (argc - optind == 1 && p->count > 1)
		return usage_error(argv[0], "--count needs a MESSAGE: standard input is read once");
	return -1;
}

/* Without messages: the lines of standard input. */
static int produce_all(struct produce *p, char **messages, struct mosaic_error *err)
{
	int rc = produce_route(p, err);
	if (rc == 0 && !messages[0])
		rc = produce_lines(p, err);
	for (int64_t round = 0; rc == 0 && messages[0] && round < p->count; round++)
		for (char **m = messages; rc == 0 && *m; m++)
			rc = produce_one(p, slice_str(*m), err);
	return rc;
}

int cmd_produce(int argc, char **argv)
{
	struct produce p = { .namesrv = "127.0.0.1:9876", .count = 1 };
	struct mosaic_error err = ERR_INIT;
	int rc = parse(argc, argv, &p);
	if (rc >= 0)
		return rc;
	p.topic = argv[optind];
	p.queues = mem_alloc(CLIENT_QUEUES_MAX * sizeof(*p.queues));
	rc = client_open(&p.client, p.namesrv, &err);
	if (rc == 0)
		rc = produce_all(&p, argv + optind + 1, &err);
	client_close(&p.client);
	free(p.queues);
	if (rc != 0)
		fprintf(stderr, "mosaic produce: %s\n", err.text);
	if (p.quiet)
		printf("sent %llu messages\n", (unsigned long long)p.sent);
	return rc == 0 ? 0 : 1;
}
