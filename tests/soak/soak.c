/*
 * The driver: storms, in which servers and members go and come, and calms, in which everything must
 * be there and nothing be left over. Exit status 0: nothing was wrong.
 */
#include "soak.h"
#include "support/scratch.h"
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Of the sanitizers' runtimes, whose heap mallinfo2 does not see. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

#ifdef __SANITIZE_THREAD__
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return NOT_RACES;
}
#endif

#define WARM_UP 3 /* calms until what is kept for good is there */
#define HEAP_SLACK ((int64_t)2 << 20)
#define SERVERS (NAMESRVS + BROKERS)

struct measure {
	int64_t heap, rss;
	uint32_t threads, fds;
};

struct world {
	struct soak soak;
	uint64_t chance;
	struct server servers[SERVERS];
	struct ledger *ledger;
	struct producers *producers;
	struct consumers *consumers;
	struct measure most; /* of the calms of the warm-up */
	uint32_t n_calms, n_stops, n_kills, n_pauses, n_renewals;
};

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void pause_ms(uint32_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

uint32_t draw(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*state >> 33) % below);
}

static void say_list(const struct soak *s, const char *word, const char *format, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, args);
	printf("%9.3f %s%s\n", (double)(now_ns() - s->began_ns) / 1e9, word, line);
	fflush(stdout);
}

void say(const struct soak *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_list(s, "", format, args);
	va_end(args);
}

void failure(struct soak *s, const char *format, ...)
{
	va_list args;

	if (atomic_fetch_add(&s->n_failures, 1) >= 100)
		return;
	va_start(args, format);
	say_list(s, "WRONG ", format, args);
	va_end(args);
}

static void log_line(void *data, int32_t level, const char *line)
{
	char path[96];

	(void)level;
	snprintf(path, sizeof(path), "%s/client.log", ((struct soak *)data)->dir);
	FILE *f = fopen(path, "ae");
	if (f == NULL)
		return;
	/* The thread says which client it is. */
	fprintf(f, "%9.3f %d %s\n", (double)(now_ns() - ((struct soak *)data)->began_ns) / 1e9,
		(int)gettid(), line);
	fclose(f);
}

struct mosaic_client *client_make(struct soak *s)
{
	struct mosaic_error error = { .struct_size = sizeof(error) };
	struct mosaic_client *client = NULL;
	struct mosaic_client_options o = { .struct_size = sizeof(o), .namesrv = s->namesrv,
					   /* A calm of a short run does not wait for 30 s. */
					   .route_refresh_ms = s->seconds > 60 ? 0 : 3000,
					   .log = log_line, .log_data = s,
					   .log_level = s->log_level };

	if (mosaic_client_create(&o, &client, &error) != 0 ||
	    mosaic_client_start(client, &error) != 0) {
		failure(s, "client: %s", error.text);
		abort();
	}
	return client;
}

/* ---- what this process has ---- */

static uint32_t count_entries(const char *path)
{
	DIR *d = opendir(path);
	uint32_t n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static int64_t rss_of(pid_t pid)
{
	char path[64], line[256];
	long long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "RssAnon: %lld", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib * 1024;
}

/* A thread that was joined is a while longer in the list of the kernel. */
static void await_threads(uint32_t most)
{
	uint64_t until = now_ns() + UINT64_C(20000000000);

	while (count_entries("/proc/self/task") > most && now_ns() < until)
		pause_ms(5);
}

static struct measure measure_now(void)
{
	struct measure m = { .threads = count_entries("/proc/self/task"),
			     .fds = count_entries("/proc/self/fd") };

	if (__sanitizer_get_current_allocated_bytes != NULL)
		m.heap = (int64_t)__sanitizer_get_current_allocated_bytes();
	else
		m.heap = (int64_t)mallinfo2().uordblks;
	m.rss = rss_of(getpid());
	return m;
}

/* ---- storm ---- */

static struct server *draw_server(struct world *w)
{
	struct server *s = &w->servers[draw(&w->chance, SERVERS)];

	return s->back_ns == 0 ? s : NULL;
}

static uint32_t draw_outage_ms(struct world *w)
{
	/* Now and then longer than a lock, a heartbeat and a pull live. */
	if (w->soak.seconds > 60 && draw(&w->chance, 12) == 0)
		return 20000 + draw(&w->chance, 25000);
	return draw(&w->chance, 4) == 0 ? draw(&w->chance, 8000) : draw(&w->chance, 1500);
}

static void servers_look(struct world *w, bool is_over)
{
	for (int i = 0; i < SERVERS; i++) {
		struct server *s = &w->servers[i];
		server_look(s);
		if (s->back_ns == 0 || (s->back_ns > now_ns() && !is_over))
			continue;
		if (s->is_paused)
			server_continue(s);
		else
			server_start(s);
		say(&w->soak, "%s is back", s->name);
	}
}

static void renew(struct world *w)
{
	uint32_t i = draw(&w->chance, MEMBERS);
	uint64_t began = now_ns();

	consumers_renew(w->consumers, i);
	w->n_renewals++;
	say(&w->soak, "member %u renewed in %llu ms", i,
	    (unsigned long long)(now_ns() - began) / 1000000);
}

static void strike(struct world *w)
{
	uint32_t kind = draw(&w->chance, 10);
	struct server *s = draw_server(w);
	uint32_t outage_ms = draw_outage_ms(w);

	if (kind == 0) {
		renew(w);
		return;
	}
	if (s == NULL)
		return;
	say(&w->soak, "%s %s for %u ms", s->name,
	    kind <= 3 ? "stopped" : kind <= 6 ? "killed" : "paused", outage_ms);
	if (kind <= 3) {
		server_stop(s);
		w->n_stops++;
	} else if (kind <= 6) {
		server_kill(s);
		w->n_kills++;
	} else {
		server_pause(s);
		w->n_pauses++;
	}
	s->back_ns = now_ns() + 1 + (uint64_t)outage_ms * 1000000;
}

static void storm(struct world *w, uint32_t ms)
{
	uint64_t until = now_ns() + (uint64_t)ms * 1000000, next = 0;
	uint32_t gap = w->soak.seconds > 60 ? 4000 : 900;

	while (now_ns() < until) {
		servers_look(w, false);
		if (now_ns() >= next) {
			strike(w);
			next = now_ns() + (uint64_t)draw(&w->chance, gap) * 1000000;
		}
		pause_ms(20);
	}
	servers_look(w, true);
}

/* ---- calm ---- */

static bool has_all(struct world *w, struct totals *t)
{
	bool is_all = true;

	ledger_totals(w->ledger, t);
	for (int g = 0; g < GROUPS; g++)
		is_all &= t->missing[g] == 0;
	return is_all;
}

static void await_messages(struct world *w)
{
	uint64_t began = now_ns(), until = began + PATIENCE_MS * UINT64_C(1000000);
	bool is_told = false;
	struct totals t;

	while (!has_all(w, &t) && now_ns() < until) {
		servers_look(w, true);
		if (!is_told && now_ns() - began > 15 * UINT64_C(1000000000)) {
			is_told = true;
			for (enum group g = 0; g < GROUPS; g++)
				ledger_tell_missing(w->ledger, g);
		}
		pause_ms(50);
	}
	for (enum group g = 0; g < GROUPS; g++)
		if (t.missing[g] > 0) {
			failure(&w->soak, "group %d has not got %llu messages", g,
				(unsigned long long)t.missing[g]);
			ledger_tell_missing(w->ledger, g);
		}
	while (consumers_bytes(w->consumers) > 0 && now_ns() < until)
		pause_ms(5);
	if (consumers_bytes(w->consumers) > 0)
		failure(&w->soak, "consumers hold %llu bytes that nobody waits for",
			(unsigned long long)consumers_bytes(w->consumers));
}

static void check_flat(struct world *w, const struct measure *m)
{
	struct measure *most = &w->most;

	if (++w->n_calms <= WARM_UP) {
		most->heap = m->heap > most->heap ? m->heap : most->heap;
		most->threads = m->threads > most->threads ? m->threads : most->threads;
		most->fds = m->fds > most->fds ? m->fds : most->fds;
		return;
	}
	if (m->heap > most->heap + HEAP_SLACK)
		failure(&w->soak, "the heap grows: %lld, was %lld", (long long)m->heap,
			(long long)most->heap);
	if (m->threads > most->threads)
		failure(&w->soak, "threads: %u, were %u", m->threads, most->threads);
	/* A client may have found its way to every server by now, and not earlier. */
	if (m->fds > most->fds + (MEMBERS + 1) * SERVERS)
		failure(&w->soak, "files: %u, were %u", m->fds, most->fds);
}

static void calm(struct world *w)
{
	uint64_t began = now_ns();
	struct totals t;

	producers_pause(w->producers);
	await_messages(w);
	if (w->n_calms >= WARM_UP)
		await_threads(w->most.threads);
	struct measure m = measure_now();
	check_flat(w, &m);
	ledger_totals(w->ledger, &t);
	say(&w->soak,
	    "calm %u after %.1f s: %llu sent, %llu failed, got %llu %llu %llu %llu; heap %lld KiB, "
	    "rss %lld KiB, %u threads, %u files",
	    w->n_calms, (double)(now_ns() - began) / 1e9, (unsigned long long)t.accepted,
	    (unsigned long long)t.failed, (unsigned long long)t.seen[0],
	    (unsigned long long)t.seen[1], (unsigned long long)t.seen[2],
	    (unsigned long long)t.seen[3], (long long)m.heap / 1024, (long long)m.rss / 1024,
	    m.threads, m.fds);
	producers_resume(w->producers);
}

/* ---- begin and end ---- */

/* Each broker has both topics before anybody sends. */
static void make_topics(struct world *w)
{
	static const char *const topics[] = { "Soak", "SoakOrder" };
	char namesrv[32], broker[32];

	for (int i = 0; i < BROKERS * 2; i++) {
		const char *const args[] = { "mosaic", "admin", "create-topic", topics[i % 2],
					     "--queues", "4", "--namesrv", namesrv, "--broker",
					     broker, NULL };
		uint64_t until = now_ns() + PATIENCE_MS * UINT64_C(1000000);

		snprintf(namesrv, sizeof(namesrv), "127.0.0.1:%u", w->servers[0].port);
		snprintf(broker, sizeof(broker), "127.0.0.1:%u",
			 w->servers[NAMESRVS + i / 2].port);
		while (!command_run(&w->soak, args)) {
			servers_look(w, false);
			if (w->soak.n_failures > 0 || now_ns() > until) {
				failure(&w->soak, "topics cannot be made: see command.log");
				return;
			}
			pause_ms(50);
		}
	}
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void world_open(struct world *w)
{
	struct soak *s = &w->soak;

	s->began_ns = now_ns();
	s->seconds = (uint32_t)number_of("SOAK_SECONDS", 10);
	s->seed = number_of("SOAK_SEED", s->seconds > 60 ? s->began_ns : 1);
	s->rate = (uint32_t)number_of("SOAK_RATE", 300);
	scratch_make(s->dir, "soak");
	w->chance = s->seed;
	s->log_level = (int32_t)number_of("SOAK_LOG", MOSAIC_CLIENT_LOG_WARN);
	say(s, "SOAK_SEED=%llu SOAK_SECONDS=%u SOAK_RATE=%u, in %s", (unsigned long long)s->seed,
	    s->seconds, s->rate, s->dir);
	servers_init(w->servers, s);
	make_topics(w);
	w->ledger = ledger_create(s, (s->seconds + 60) * s->rate);
}

static void world_close(struct world *w)
{
	for (int i = SERVERS - 1; i >= 0; i--) { /* brokers first: they take their leave */
		server_look(&w->servers[i]);
		if (w->servers[i].pid != 0)
			server_stop(&w->servers[i]);
	}
	ledger_destroy(&w->ledger);
	if (w->soak.n_failures == 0 && getenv("SOAK_KEEP") == NULL)
		scratch_remove(w->soak.dir);
	else
		printf("logs: %s\n", w->soak.dir);
}

/* All that was made is gone: the library leaves nothing. */
static void check_left(struct world *w, const struct measure *before)
{
	await_threads(before->threads);
	struct measure m = measure_now();

	say(&w->soak, "left: heap %lld bytes, %d threads, %d files",
	    (long long)(m.heap - before->heap), (int)(m.threads - before->threads),
	    (int)(m.fds - before->fds));
	if (m.threads != before->threads || m.fds != before->fds ||
	    m.heap > before->heap + HEAP_SLACK / 4)
		failure(&w->soak, "the library has left something");
}

static void run(struct world *w)
{
	bool is_long = w->soak.seconds > 60;
	uint32_t storm_ms = is_long ? 45000 : w->soak.seconds * 1000 / 2;
	uint64_t until = now_ns() + w->soak.seconds * UINT64_C(1000000000);

	w->consumers = consumers_create(&w->soak, w->ledger);
	w->producers = producers_create(&w->soak, w->ledger);
	while (now_ns() < until && w->soak.n_failures == 0) {
		storm(w, storm_ms);
		calm(w);
	}
	consumers_destroy(&w->consumers);
	producers_destroy(&w->producers);
}

int main(void)
{
	struct world w = { .n_calms = 0 };

	signal(SIGPIPE, SIG_IGN);
	world_open(&w);
	if (w.soak.n_failures == 0) {
		struct mosaic_client *first = client_make(&w.soak);
		mosaic_client_destroy(&first); /* what libuv makes once for a process is there */
		struct measure before = measure_now();
		run(&w);
		check_left(&w, &before);
	}
	world_close(&w);
	say(&w.soak,
	    "%u servers stopped, %u killed, %u paused; %u members renewed; %u calms: %u wrong",
	    w.n_stops, w.n_kills, w.n_pauses, w.n_renewals, w.n_calms, w.soak.n_failures);
	return w.soak.n_failures == 0 ? 0 : 1;
}
