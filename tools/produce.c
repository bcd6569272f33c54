/* mosaic produce TOPIC [MESSAGE...]: its command line, and where messages come from. */
#include "produce.h"
#include "base/mem.h"
#include "base/num.h"
#include "command.h"
#include "lines.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (15 << 20)
#define DAYS_40_S (40 * 86400)
#define LOOK_MS 50

static const char usage[] =
	"usage: mosaic produce TOPIC [MESSAGE...] [options]\n"
	"Sends each MESSAGE, or each line of standard input that is not empty, and waits for its\n"
	"acknowledgement. A topic that is not there is made. On a terminal a line shows how far\n"
	"it is. Into a pipe or a file goes JSON: a line for each message, and one for all.\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876); several: HOST:PORT;HOST:PORT\n"
	"What is sent:\n"
	"  --file FILE           each line of a file instead of standard input\n"
	"  --size BYTES          messages of this size, without any to be given\n"
	"  --count N             each MESSAGE, or --size, so often (1)\n"
	"  --tag TAG             tag of every message\n"
	"  --key KEYS            keys of every message, separated by blanks\n"
	"  --property NAME=VALUE a property of every message; more than once for more\n"
	"  --sharding-key KEY    all to one queue, that of the key\n"
	"  --delay-level N       delivered later, by the broker's table: 1s 5s 10s 30s 1m ...\n"
	"  --delay SECONDS       delivered so much later, by a broker that has timer messages\n"
	"How it is sent:\n"
	"  --rate N              messages a second at most\n"
	"  --in-flight N         so many unacknowledged at a time (1); more: in any order\n"
	"  --oneway              no acknowledgement: nobody knows what arrives\n"
	"  --keep-going          do not end with the first message that fails\n"
	"  --timeout SECONDS     for each message, all tries together (5)\n"
	"  --group NAME          of the producer (mosaic-produce)\n"
	"  --compress NAME       zlib, lz4 or zstd, for bodies of 4096 bytes or more\n"
	"  --compress-above N    for bodies of so many bytes or more\n"
	"What is printed:\n"
	"  --format text|json    whatever standard output is; --json is --format json\n"
	"  --quiet               only how many were sent\n"
	"Exit status: 0 all were acknowledged, 1 one was not (the rest was not sent, without\n"
	"--keep-going), 2 wrong command line, 130 Ctrl-C or SIGTERM came before all were sent.\n";

/* ---- the command line ---- */

enum {
	OPT_SIZE = 256,
	OPT_PROPERTY,
	OPT_SHARDING_KEY,
	OPT_DELAY_LEVEL,
	OPT_DELAY,
	OPT_IN_FLIGHT,
	OPT_ONEWAY,
	OPT_KEEP_GOING,
	OPT_TIMEOUT,
	OPT_COMPRESS,
	OPT_COMPRESS_ABOVE,
	OPT_FORMAT
};

static const struct option options[] = {
	{ "namesrv", required_argument, NULL, 'n' },
	{ "tag", required_argument, NULL, 't' },
	{ "key", required_argument, NULL, 'k' },
	{ "count", required_argument, NULL, 'c' },
	{ "file", required_argument, NULL, 'f' },
	{ "rate", required_argument, NULL, 'r' },
	{ "group", required_argument, NULL, 'g' },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "property", required_argument, NULL, OPT_PROPERTY },
	{ "sharding-key", required_argument, NULL, OPT_SHARDING_KEY },
	{ "delay-level", required_argument, NULL, OPT_DELAY_LEVEL },
	{ "delay", required_argument, NULL, OPT_DELAY },
	{ "in-flight", required_argument, NULL, OPT_IN_FLIGHT },
	{ "oneway", no_argument, NULL, OPT_ONEWAY },
	{ "keep-going", no_argument, NULL, OPT_KEEP_GOING },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "compress", required_argument, NULL, OPT_COMPRESS },
	{ "compress-above", required_argument, NULL, OPT_COMPRESS_ABOVE },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ NULL, 0, NULL, 0 }
};

/* Of options with a number: what it may be, and what is said when it is not. */
static const char *take_number(struct produce *p, int option, const char *value)
{
	switch (option) {
	case 'c': return parse_count(value, &p->count) ? NULL : "--count must be 1 or more";
	case 'r': return parse_count(value, &p->rate) ? NULL : "--rate must be 1 or more";
	case OPT_SIZE:
		return parse_upto(value, SIZE_MAX_BYTES, &p->size) ? NULL
								   : "--size must be 1 to 15728640";
	case OPT_IN_FLIGHT:
		return parse_upto(value, PRODUCE_IN_FLIGHT_MAX, &p->in_flight)
			       ? NULL
			       : "--in-flight must be 1 to 4096";
	case OPT_TIMEOUT:
		return parse_upto(value, 3600, &p->timeout_s) ? NULL
							      : "--timeout must be 1 to 3600";
	case OPT_DELAY_LEVEL:
		return parse_upto(value, 18, &p->delay_level) ? NULL
							      : "--delay-level must be 1 to 18";
	case OPT_DELAY:
		return parse_upto(value, DAYS_40_S, &p->delay_s) ? NULL
								 : "--delay must be 1 to 3456000";
	default:
		return parse_upto(value, SIZE_MAX_BYTES, &p->compress_above)
			       ? NULL
			       : "--compress-above must be 1 to 15728640";
	}
}

static const char *take_property(struct produce *p, char *text)
{
	char *value = strchr(text, '=');

	if (value == NULL || value == text || value[1] == '\0')
		return "--property must be NAME=VALUE";
	if (p->n_properties == PRODUCE_PROPERTIES_MAX)
		return "--property may be given 64 times";
	*value++ = '\0';
	p->properties[p->n_properties++] = (struct mosaic_property){ .name = text, .value = value };
	return NULL;
}

static const char *take_compression(struct produce *p, const char *name)
{
	static const char *const names[] = { "zlib", "lz4", "zstd" }; /* mosaic_compression */

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		p->compression = i;
		if (p->compress_above == 0)
			p->compress_above = 4096;
		return NULL;
	}
	return "--compress must be zlib, lz4 or zstd";
}

/* NULL when it is fine, else what it must be. */
static const char *take(struct produce *p, int option, char *value)
{
	switch (option) {
	case 'n':
		p->namesrv = value;
		return is_namesrv_list(value) ? NULL : "--namesrv must be HOST:PORT";
	case 't': p->tag = value; return NULL;
	case 'k': p->keys = value; return NULL;
	case 'f': p->file = value; return NULL;
	case 'g': p->group = value; return NULL;
	case 'q': p->is_quiet = true; return NULL;
	case 'j': p->format = PRODUCE_JSON; return NULL;
	case OPT_ONEWAY: p->is_oneway = true; return NULL;
	case OPT_KEEP_GOING: p->goes_on = true; return NULL;
	case OPT_SHARDING_KEY: p->sharding_key = value; return NULL;
	case OPT_PROPERTY: return take_property(p, value);
	case OPT_COMPRESS: return take_compression(p, value);
	case OPT_FORMAT:
		p->format = strcmp(value, "json") == 0 ? PRODUCE_JSON : PRODUCE_TEXT;
		return p->format == PRODUCE_JSON || strcmp(value, "text") == 0
			       ? NULL
			       : "--format must be text or json";
	default: return take_number(p, option, value);
	}
}

/* What does not go together. NULL when it does. */
static const char *check(const struct produce *p, bool has_messages)
{
	if (has_messages && p->file != NULL)
		return "either MESSAGEs or --file, please";
	if (p->size > 0 && (has_messages || p->file != NULL))
		return "--size makes the messages: no MESSAGE and no --file, please";
	if (!has_messages && p->size == 0 && p->count > 1)
		return "--count needs a MESSAGE or --size: standard input is read once";
	if (p->delay_level > 0 && p->delay_s > 0)
		return "either --delay-level or --delay, please";
	return NULL;
}

/* A negative result means go on, else it is the exit status. */
static int parse(int argc, char **argv, struct produce *p)
{
	const char *problem;
	int o;

	while ((o = getopt_long(argc, argv, "n:t:k:c:f:r:g:jqh", options, NULL)) != -1) {
		if (o == 'h')
			return fputs(usage, stdout), 0;
		if (o == '?')
			return usage_error(argv[0], NULL);
		problem = take(p, o, optarg);
		if (problem != NULL)
			return usage_error(argv[0], "%s, not \"%s\"", problem, optarg);
	}
	if (optind >= argc)
		return usage_error(argv[0], "to which TOPIC?");
	p->topic = argv[optind];
	problem = check(p, optind + 1 < argc);
	if (problem != NULL)
		return usage_error(argv[0], "%s", problem);
	if (p->format == PRODUCE_AUTO)
		p->format = isatty(STDOUT_FILENO) ? PRODUCE_TEXT : PRODUCE_JSON;
	return -1;
}

/* ---- where messages come from ---- */

static void send_messages(struct produce *p, char **messages)
{
	for (int64_t round = 0; round < p->count; round++)
		for (char **m = messages; *m != NULL; m++)
			if (!produce_one(p, slice_str(*m)))
				return;
}

static void send_made(struct produce *p)
{
	char *body = mem_alloc((size_t)p->size);

	memset(body, 'm', (size_t)p->size);
	for (int64_t i = 0; i < p->count; i++)
		if (!produce_one(p, slice(body, (size_t)p->size)))
			break;
	free(body);
}

/* 0 or an error with p->err set. */
static int send_lines(struct produce *p, int fd)
{
	const char *name = p->file != NULL ? p->file : "standard input";
	struct mosaic_slice line;
	struct lines lines;
	int rc;

	if (isatty(fd))
		p->progress.is_on = false; /* it would stand where somebody types */
	lines_init(&lines, fd);
	do {
		rc = lines_next(&lines, &p->interrupt, LOOK_MS, &line);
		if (rc == 1 && line.len > 0)
			(void)produce_one(p, line);
		produce_settle(p, false);
		progress_tick(&p->progress, p->sent, p->failed);
	} while ((rc == 1 || rc == MOSAIC_E_AGAIN) && !produce_ends(p));
	if (rc == MOSAIC_E_IO)
		(void)err_set_os(&p->err, rc, errno, "cannot read %s", name);
	else if (rc == MOSAIC_E_LIMIT)
		(void)err_set(&p->err, rc, "%s: a line of more than %u bytes", name,
			      LINE_MAX_BYTES);
	lines_free(&lines);
	return rc == MOSAIC_E_IO || rc == MOSAIC_E_LIMIT ? rc : 0;
}

static int produce_run(struct produce *p, char **messages, int fd)
{
	int rc = 0;

	if (messages[0] != NULL)
		send_messages(p, messages);
	else if (p->size > 0)
		send_made(p);
	else
		rc = send_lines(p, fd);
	produce_settle(p, true);
	return rc;
}

/* The exit status. */
static int produce(struct produce *p, char **messages)
{
	int fd = p->file != NULL ? open(p->file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	int rc;

	if (fd < 0) {
		fprintf(stderr, "mosaic produce: cannot read %s: %s\n", p->file, strerror(errno));
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0); /* who reads a pipe waits for each line */
	rc = produce_open(p);
	bool is_open = rc == 0;
	if (is_open)
		rc = produce_run(p, messages, fd);
	if (is_open)
		show_summary(p, progress_now_ns() - p->progress.begin_ns);
	bool was_interrupted = p->interrupt.came;
	produce_close(p);
	if (p->file != NULL)
		close(fd);
	if (rc != 0 || (p->failed > 0 && !p->goes_on))
		fprintf(stderr, "mosaic produce: %s\n", p->err.text);
	if (fflush(stdout) != 0)
		rc = MOSAIC_E_IO;
	if (rc != 0 || p->failed > 0)
		return 1;
	return was_interrupted ? EXIT_INTERRUPTED : 0;
}

int cmd_produce(int argc, char **argv)
{
	struct produce p = { .namesrv = "127.0.0.1:9876", .group = "mosaic-produce", .count = 1,
			     .in_flight = 1, .timeout_s = 5, .err = ERR_INIT };
	int rc = parse(argc, argv, &p);

	return rc >= 0 ? rc : produce(&p, argv + optind + 1);
}
