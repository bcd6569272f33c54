/* mosaic consume TOPIC: its command line, and what is the same with a group and without. */
#include "consume.h"
#include "base/num.h"
#include "command.h"
#include "connect.h"
#include "progress.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MAX 86400
#define SECOND_NS UINT64_C(1000000000)

static const char usage[] =
	"usage: mosaic consume TOPIC [options]\n"
	"Prints messages of a topic as they come, until --count or Ctrl-C.\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876); several: HOST:PORT;HOST:PORT\n"
	"  --group GROUP         as a member: shares queues with the others, goes on where the\n"
	"                        group was, and saves how far it came. Without: reads all queues\n"
	"                        by itself and saves nothing\n"
	"  --from MOMENT         where to begin otherwise: first, last (only new messages), ms\n"
	"                        since 1970, \"2026-11-22 21:05:09\", or offset=N in each queue\n"
	"  --queue N             this queue only\n"
	"  --tag EXPRESSION      for example \"TagA || TagB\" (*)\n"
	"  --sql CONDITION       SQL92 over properties, for example \"price > 10 AND kind = 'a'\"\n"
	"  --count N             end after N messages\n"
	"  --json                a line of JSON for each message\n"
	"%s"
	"  --timeout SECONDS     end with status 1 when no message came for so long\n"
	"--queue and --from offset=N do not go with --group.\n"
	"Exit status: 0 ended by --count, Ctrl-C or SIGTERM (offsets are saved), 1 did not work,\n"
	"2 wrong command line.\n";

/* ---- what is shared ---- */

int consume_print(struct consume *c, const struct mosaic_received *m)
{
	show_received(&c->show, m);
	c->last_ns = progress_now_ns();
	atomic_store(&c->is_told, false);
	if (ferror(stdout))
		return err_set(&c->err, MOSAIC_E_IO, "nobody reads standard output any more");
	return ++c->seen == c->count;
}

int consume_look(struct consume *c)
{
	if (interrupt_came(&c->interrupt))
		return 1;
	if (c->timeout_s > 0 &&
	    progress_now_ns() - c->last_ns > (uint64_t)c->timeout_s * SECOND_NS)
		return err_set(&c->err, MOSAIC_E_TIMEOUT, "no message came in time");
	return 0;
}

uint32_t consume_from(const struct consume *c)
{
	return c->from == MOMENT_FIRST || c->from_offset >= 0 ? MOSAIC_FROM_FIRST
	       : c->from == MOMENT_LAST			      ? MOSAIC_FROM_LAST
							      : MOSAIC_FROM_TIME;
}

uint32_t consume_kind(const struct consume *c)
{
	return c->sql != NULL ? MOSAIC_SQL92 : MOSAIC_TAGS;
}

const char *consume_expression(const struct consume *c)
{
	return c->sql != NULL ? c->sql : c->tag;
}

/* What the library tells of brokers: once, until messages come again. Offsets that lie before the
 * queue's first are nothing to tell of. [any thread] */
static void on_log(void *data, int32_t level, const char *line)
{
	struct consume *c = data;

	(void)level;
	if (strstr(line, "event=offset_moved") == NULL && !atomic_exchange(&c->is_told, true))
		fprintf(stderr, "mosaic consume: %s; trying on\n", line);
}

/* ---- begin and end ---- */

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

static int find_queues(struct consume *c)
{
	int rc = connect_queues(c->client, c->topic, false, &c->queues, &c->n_queues, &c->err);

	if (rc == MOSAIC_E_NOTFOUND)
		return err_set(&c->err, rc, "no broker of NameServer %s has topic %s to read from; "
			       "the first message makes it: mosaic produce %s MESSAGE", c->namesrv,
			       c->topic, c->topic);
	return rc == 0 && c->queue >= 0 ? keep_queue(c) : rc;
}

static int run(struct consume *c)
{
	int rc = connect_client(c->namesrv, on_log, c, &c->client, &c->err);

	if (rc == 0)
		rc = find_queues(c);
	if (rc != 0)
		return rc;
	interrupt_open(&c->interrupt); /* until here signals end it at once */
	c->last_ns = progress_now_ns();
	rc = c->group != NULL ? consume_in_group(c) : consume_alone(c);
	interrupt_close(&c->interrupt);
	return rc;
}

/* ---- the command line ---- */

static const struct option options[] = {
	{ "namesrv", required_argument, NULL, 'n' }, { "group", required_argument, NULL, 'g' },
	{ "from", required_argument, NULL, 'f' },    { "tag", required_argument, NULL, 't' },
	{ "count", required_argument, NULL, 'c' },   { "timeout", required_argument, NULL, 'w' },
	{ "queue", required_argument, NULL, 'q' },   { "format", required_argument, NULL, 'F' },
	{ "sql", required_argument, NULL, 's' },     { "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },	     { NULL, 0, NULL, 0 }
};

static const char *take_from(struct consume *c, const char *value)
{
	c->from_offset = -1;
	if (strncmp(value, "offset=", 7) != 0)
		return parse_moment(value, &c->from)
			       ? NULL
			       : "--from must be first, last, a time or offset=N";
	return num_parse_i64(slice_str(value + 7), &c->from_offset) == 0 && c->from_offset >= 0
		       ? NULL
		       : "--from offset=N must be 0 or more";
}

static const char *take_format(struct consume *c, const char *value)
{
	c->show.as_json = strcmp(value, "json") == 0;
	c->show.format = c->show.as_json || strcmp(value, "text") == 0 ? NULL : value;
	return c->show.format == NULL || show_check(value) == NULL
		       ? NULL
		       : "--format knows what --help lists";
}

/* One option's value; NULL when it is fine, else what it must be. */
static const char *take(struct consume *c, int option, const char *value)
{
	switch (option) {
	case 'n':
		c->namesrv = value;
		return is_namesrv_list(value) ? NULL : "--namesrv must be HOST:PORT";
	case 'g': c->group = value; return NULL;
	case 't': c->tag = value; return NULL;
	case 's': c->sql = value; return NULL;
	case 'c': return parse_count(value, &c->count) ? NULL : "--count must be 1 or more";
	case 'f': return take_from(c, value);
	case 'q':
		return num_parse_i64(slice_str(value), &c->queue) == 0 && c->queue >= 0
			       ? NULL
			       : "--queue must be 0 or more";
	case 'j': return take_format(c, "json");
	case 'F': return take_format(c, value);
	default:
		return parse_upto(value, TIMEOUT_MAX, &c->timeout_s)
			       ? NULL
			       : "--timeout must be a number of seconds from 1 to 86400";
	}
}

/* What does not go together. NULL when it does. */
static const char *check(const struct consume *c)
{
	if (c->tag != NULL && c->sql != NULL)
		return "either --tag or --sql, please";
	if (c->group != NULL && c->queue >= 0)
		return "--queue goes without --group: a group shares all queues";
	if (c->group != NULL && c->from_offset >= 0)
		return "--from offset=N goes without --group: mosaic admin reset-offsets moves one";
	return NULL;
}

/* A negative result means go on, else it is the exit status. */
static int parse(int argc, char **argv, struct consume *c)
{
	const char *problem;
	int o;

	while ((o = getopt_long(argc, argv, "n:g:f:t:s:c:w:q:F:jh", options, NULL)) != -1) {
		if (o == 'h')
			return printf(usage, show_format_help), 0;
		if (o == '?')
			return usage_error(argv[0], NULL);
		problem = take(c, o, optarg);
		if (problem != NULL)
			return usage_error(argv[0], "%s, not \"%s\"", problem, optarg);
	}
	if (argc - optind != 1)
		return usage_error(argv[0], argc == optind ? "which TOPIC?" : "one TOPIC, please");
	c->topic = argv[optind];
	problem = check(c);
	return problem != NULL ? usage_error(argv[0], "%s", problem) : -1;
}

int cmd_consume(int argc, char **argv)
{
	struct consume c = { .namesrv = "127.0.0.1:9876", .from = MOMENT_LAST, .from_offset = -1,
			     .queue = -1, .err = ERR_INIT };
	int rc = parse(argc, argv, &c);

	if (rc >= 0)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	rc = run(&c);
	mosaic_client_destroy(&c.client);
	free(c.queues);
	if (rc != 0)
		fprintf(stderr, "mosaic consume: %s\n", c.err.text);
	return rc == 0 ? 0 : 1;
}
