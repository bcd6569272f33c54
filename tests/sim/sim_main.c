/*
 * sim: runs scenarios by seed. A failure prints scenario, seed and the last events; the same seed
 * runs the same way again.
 */
#include "base/num.h"
#include "sim/scenario.h"
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: sim [options]\n"
	"  --scenario NAME   only this one\n"
	"  --seed N          the first seed (1)\n"
	"  --runs N          how many seeds of each scenario (20)\n"
	"  --seeds FILE      also the lines \"SCENARIO SEED\" of this file\n"
	"  --twice           every run again, and its trace compared\n"
	"  --mutants         the scenarios that must fail, until they do\n"
	"  --verbose         every log line\n"
	"  --list            the scenarios\n";

struct options {
	const char *scenario, *seeds;
	int64_t seed, runs;
	bool twice, mutants, verbose;
	struct cluster_plugins plugins;
};

struct totals {
	uint32_t runs, failed;
	uint64_t events, ok, refused, unknown, seen, commits;
};

static void run_one(struct options *o, const struct scenario *sc, uint64_t seed, struct totals *t)
{
	struct scenario_result r, again;

	scenario_run(sc, seed, &o->plugins, o->verbose, false, &r);
	t->runs++;
	t->events += r.n_events;
	t->ok += r.n_ok;
	t->refused += r.n_refused;
	t->unknown += r.n_unknown;
	t->seen += r.n_seen;
	t->commits += r.n_commits;
	if (r.has_failed) {
		t->failed++;
		printf("FAILED: %s\n  again with: sim --scenario %s --seed %" PRIu64
		       " --runs 1 --verbose\n", r.failure, sc->name, seed);
		return;
	}
	if (!o->twice)
		return;
	scenario_run(sc, seed, &o->plugins, false, true, &again);
	if (again.trace == r.trace && again.n_events == r.n_events)
		return;
	t->failed++;
	printf("FAILED: %s seed %" PRIu64 ": %" PRIu64 " events and trace %016" PRIx64
	       ", then %" PRIu64 " and %016" PRIx64 "\n",
	       sc->name, seed, r.n_events, r.trace, again.n_events, again.trace);
}

static void print_totals(const char *name, const struct totals *t)
{
	printf("%-14s %4u runs, %u failed: %" PRIu64 " events; sends ok %" PRIu64
	       ", refused %" PRIu64 ", unknown %" PRIu64 "; read %" PRIu64 ", commits %" PRIu64
	       "\n",
	       name, t->runs, t->failed, t->events, t->ok, t->refused, t->unknown, t->seen,
	       t->commits);
	fflush(stdout);
}

/* A mutant is found when any seed fails. */
static bool run_mutant(struct options *o, const struct scenario *sc)
{
	struct scenario_result r;

	for (int64_t i = 0; i < o->runs; i++) {
		scenario_run(sc, (uint64_t)(o->seed + i), &o->plugins, o->verbose, true, &r);
		if (!r.has_failed)
			continue;
		printf("%-14s found by seed %" PRId64 ": %s\n", sc->name, o->seed + i, r.failure);
		return true;
	}
	printf("FAILED: %s was not found in %" PRId64 " runs\n", sc->name, o->runs);
	return false;
}

static const struct scenario *find(const char *name)
{
	for (uint32_t i = 0; i < n_scenarios; i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	return NULL;
}

static uint32_t run_file(struct options *o)
{
	FILE *f = fopen(o->seeds, "r");
	char line[256], name[64];
	struct totals t = { 0 };
	uint64_t seed;

	if (f == NULL) {
		perror(o->seeds);
		return 1;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == '#' || sscanf(line, "%63s %" SCNu64, name, &seed) != 2)
			continue;
		const struct scenario *sc = find(name);
		if (sc != NULL) {
			run_one(o, sc, seed, &t);
			continue;
		}
		printf("FAILED: %s: there is no scenario %s\n", o->seeds, name);
		t.failed++;
	}
	fclose(f);
	print_totals("seeds", &t);
	return t.failed;
}

static uint32_t run_all(struct options *o)
{
	uint32_t failed = o->seeds ? run_file(o) : 0;

	for (uint32_t i = 0; i < n_scenarios; i++) {
		const struct scenario *sc = &scenarios[i];
		struct totals t = { 0 };

		if (o->scenario ? strcmp(o->scenario, sc->name) != 0 :
				  sc->must_fail != o->mutants || sc->is_open)
			continue;
		if (o->mutants) {
			failed += !run_mutant(o, sc);
			continue;
		}
		for (int64_t k = 0; k < o->runs; k++)
			run_one(o, sc, (uint64_t)(o->seed + k), &t);
		if (t.runs > 0)
			print_totals(sc->name, &t);
		failed += t.failed;
	}
	return failed;
}

static void list(void)
{
	for (uint32_t i = 0; i < n_scenarios; i++)
		printf("%-14s %s%s%s\n", scenarios[i].name, scenarios[i].about,
		       scenarios[i].must_fail ? " (must fail)" : "",
		       scenarios[i].is_open ? " (only by name: fails still)" : "");
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "scenario", required_argument, NULL, 'c' },
						 { "seed", required_argument, NULL, 's' },
						 { "runs", required_argument, NULL, 'n' },
						 { "seeds", required_argument, NULL, 'f' },
						 { "twice", no_argument, NULL, 't' },
						 { "mutants", no_argument, NULL, 'm' },
						 { "verbose", no_argument, NULL, 'v' },
						 { "list", no_argument, NULL, 'l' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	struct options o = { .seed = 1, .runs = 20 };
	bool bad = false;
	int ch;

	while ((ch = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (ch == 'c')
			o.scenario = optarg, bad = bad || find(optarg) == NULL;
		else if (ch == 's')
			bad = bad || num_parse_i64(slice_str(optarg), &o.seed) != 0;
		else if (ch == 'n')
			bad = bad || num_parse_i64(slice_str(optarg), &o.runs) != 0;
		else if (ch == 'f')
			o.seeds = optarg;
		else if (ch == 't')
			o.twice = true;
		else if (ch == 'm')
			o.mutants = true;
		else if (ch == 'v')
			o.verbose = true;
		else if (ch == 'l')
			return list(), 0;
		else
			return fputs(usage, ch == 'h' ? stdout : stderr), ch == 'h' ? 0 : 2;
	}
	if (bad || optind != argc)
		return fputs(usage, stderr), 2;
	json_set_alloc_funcs(malloc, free); /* the tracked ones */
	cluster_plugins_init(&o.plugins);
	uint32_t failed = run_all(&o);
	cluster_plugins_fini(&o.plugins);
	return failed == 0 ? 0 : 1;
}
