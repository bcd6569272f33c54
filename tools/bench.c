/* mosaic bench produce|consume|e2e TOPIC: load and latency, through libmosaic like any program. */
#include "base/mem.h"
#include "bench.h"
#include "command.h"
#include "wire/json.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static const char usage[] =
	"usage: mosaic bench produce|consume|e2e TOPIC [options]\n"
	"Measures through the C client, one thread and one connection to each broker.\n"
	"  produce   sends; latency from the moment a message was due to its answer\n"
	"  consume   receives what the topic has; latency is not measured\n"
	"  e2e       sends and receives; latency from due to the listener\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876)\n"
	"  --size N              bytes of a message (1024, at least 32)\n"
	"  --rate N              messages a second (e2e: 1000); without, as fast as answers come\n"
	"  --in-flight N         messages without an answer at most (256)\n"
	"  --seconds N           that are measured (10)\n"
	"  --warmup N            seconds before (1)\n"
	"  --group NAME          of the consumer (mosaic-bench)\n"
	"  --quiet               no line each second\n"
	"  --json                figures for programs\n"
	"Exit status: 0 all were answered, 1 some were not, 2 wrong command line.\n";

uint64_t bench_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

void bench_sleep_until(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };
	if (bench_now_ns() < ns)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

void bench_add(struct bench *b, uint64_t due_ns, uint64_t bytes, bool failed)
{
	uint64_t now = bench_now_ns();

	pthread_mutex_lock(&b->lock);
	if ((due_ns != 0 ? due_ns : now) >= b->measure_ns) {
		if (due_ns != 0)
			hist_add(&b->latency, now > due_ns ? now - due_ns : 0);
		b->done++;
		b->bytes += bytes;
		b->failed += failed;
	}
	pthread_mutex_unlock(&b->lock);
}

void bench_begin(struct bench *b, uint64_t warmup_ns)
{
	pthread_mutex_lock(&b->lock);
	b->begin_ns = bench_now_ns();
	b->measure_ns = b->begin_ns + warmup_ns;
	hist_reset(&b->latency);
	b->done = b->failed = b->bytes = 0;
	pthread_mutex_unlock(&b->lock);
}

void bench_progress(struct bench *b, uint64_t *next_ns)
{
	uint64_t now = bench_now_ns();

	if (now < *next_ns)
		return;
	*next_ns = now + SECOND;
	if (b->quiet || b->as_json || !isatty(STDERR_FILENO))
		return;
	int64_t left = (int64_t)((b->measure_ns - b->begin_ns) / SECOND) + b->seconds -
		       (int64_t)((now - b->begin_ns) / SECOND);
	pthread_mutex_lock(&b->lock);
	fprintf(stderr, "\r%s  %3lld s left  %llu messages, %llu failed ",
		now < b->measure_ns ? "warm-up  " : "measuring", (long long)left,
		(unsigned long long)b->done, (unsigned long long)b->failed);
	pthread_mutex_unlock(&b->lock);
	if (left <= 1)
		fputs("\r\033[K", stderr);
}

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static void show_json(const struct bench *b, const char *what, double seconds)
{
	json_t *all = json_pack("{ss sI sI sf sf}", "what", what, "messages", (json_int_t)b->done,
				"failed", (json_int_t)b->failed, "messages_per_s",
				(double)b->done / seconds, "mb_per_s",
				(double)b->bytes / 1e6 / seconds);
	if (b->latency.count > 0)
		json_object_set_new(all, "latency_us",
				    json_pack("{sf sf sf sf sf}", "p50",
					      us(hist_quantile(&b->latency, 0.5)), "p90",
					      us(hist_quantile(&b->latency, 0.9)), "p99",
					      us(hist_quantile(&b->latency, 0.99)), "p999",
					      us(hist_quantile(&b->latency, 0.999)), "max",
					      us(b->latency.max)));
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(all);
}

void bench_show(const struct bench *b, const char *what, uint64_t took_ns)
{
	double seconds = (double)took_ns / (double)SECOND;

	if (b->as_json) {
		show_json(b, what, seconds);
		return;
	}
	printf("%-9s %llu messages, %llu failed\n", what, (unsigned long long)(b->done - b->failed),
	       (unsigned long long)b->failed);
	printf("rate      %.0f messages/s, %.1f MB/s\n", (double)b->done / seconds,
	       (double)b->bytes / 1e6 / seconds);
	if (b->latency.count > 0)
		printf("latency   p50 %.0f us, p90 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f "
		       "us\n",
		       us(hist_quantile(&b->latency, 0.5)), us(hist_quantile(&b->latency, 0.9)),
		       us(hist_quantile(&b->latency, 0.99)), us(hist_quantile(&b->latency, 0.999)),
		       us(b->latency.max));
}

/* ---- command line ---- */

static const struct option options[] = {
	{ "namesrv", required_argument, NULL, 'n' }, { "size", required_argument, NULL, 's' },
	{ "rate", required_argument, NULL, 'r' },    { "in-flight", required_argument, NULL, 'i' },
	{ "seconds", required_argument, NULL, 'S' }, { "warmup", required_argument, NULL, 'w' },
	{ "group", required_argument, NULL, 'g' },   { "quiet", no_argument, NULL, 'q' },
	{ "json", no_argument, NULL, 'j' },	     { "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* NULL when it is fine, else what it must be. */
static const char *take(struct bench *b, int option, const char *value)
{
	switch (option) {
	case 'n':
		b->namesrv = value;
		return is_host_port(value) ? NULL : "--namesrv must be HOST:PORT";
	case 'g': b->group = value; return NULL;
	case 'q': b->quiet = true; return NULL;
	case 'j': b->as_json = true; return NULL;
	case 's':
		return parse_count(value, &b->size) && b->size >= BENCH_STAMP &&
				       b->size <= 4 << 20
			       ? NULL
			       : "--size must be 32 to 4194304";
	case 'r': return parse_count(value, &b->rate) ? NULL : "--rate must be 1 or more";
	case 'i':
		return parse_count(value, &b->in_flight) && b->in_flight <= 65536
			       ? NULL
			       : "--in-flight must be 1 to 65536";
	case 'S':
		return parse_count(value, &b->seconds) && b->seconds <= 86400
			       ? NULL
			       : "--seconds must be 1 to 86400";
	default:
		b->warmup = 0;
		return strcmp(value, "0") == 0 ||
				       (parse_count(value, &b->warmup) && b->warmup <= 3600)
			       ? NULL
			       : "--warmup must be 0 to 3600";
	}
}

typedef int (*bench_kind)(struct bench *b);

static bench_kind kind_of(const char *name)
{
	if (strcmp(name, "produce") == 0)
		return bench_produce;
	if (strcmp(name, "consume") == 0)
		return bench_consume;
	return strcmp(name, "e2e") == 0 ? bench_e2e : NULL;
}

/* A negative result means go on, else it is the exit status. */
static int parse(int argc, char **argv, struct bench *b, bench_kind *kind)
{
	int o;

	while ((o = getopt_long(argc, argv, "n:s:r:i:S:w:g:qjh", options, NULL)) != -1) {
		if (o == 'h')
			return fputs(usage, stdout), 0;
		if (o == '?')
			return usage_error(argv[0], NULL);
		const char *problem = take(b, o, optarg);
		if (problem)
			return usage_error(argv[0], "%s, not \"%s\"", problem, optarg);
	}
	if (argc - optind != 2)
		return usage_error(argv[0], "say produce, consume or e2e, and one TOPIC");
	*kind = kind_of(argv[optind]);
	if (*kind == NULL)
		return usage_error(argv[0], "produce, consume or e2e, not \"%s\"", argv[optind]);
	b->topic = argv[optind + 1];
	if (*kind == bench_e2e && b->rate == 0)
		b->rate = 1000;
	return -1;
}

static int bench_run(struct bench *b, bench_kind kind)
{
	struct mosaic_client_options client = { .struct_size = sizeof(client),
						.namesrv = b->namesrv };
	struct mosaic_error err = { .code = 0 };

	if (getrandom(&b->run, sizeof(b->run), 0) != sizeof(b->run))
		b->run = bench_now_ns();
	int rc = mosaic_client_create(&client, &b->client, &err);
	if (rc == 0)
		rc = mosaic_client_start(b->client, &err);
	if (rc != 0) {
		snprintf(b->error, sizeof(b->error), "%s", err.text);
		return rc;
	}
	bench_begin(b, (uint64_t)b->warmup * SECOND);
	return kind(b);
}

int cmd_bench(int argc, char **argv)
{
	struct bench *b = mem_alloc(sizeof(*b)); /* the histogram is large for a stack */
	bench_kind kind = NULL;

	pthread_mutex_init(&b->lock, NULL);
	b->namesrv = "127.0.0.1:9876";
	b->group = "mosaic-bench";
	b->size = 1024;
	b->in_flight = 256;
	b->seconds = 10;
	b->warmup = 1;
	int rc = parse(argc, argv, b, &kind);
	if (rc < 0) {
		rc = bench_run(b, kind);
		mosaic_client_destroy(&b->client);
		rc = rc == 0 && b->failed == 0 ? 0 : 1;
		if (rc != 0)
			fprintf(stderr, "%s: %s\n", argv[0], b->error);
	}
	pthread_mutex_destroy(&b->lock);
	free(b);
	return rc;
}
