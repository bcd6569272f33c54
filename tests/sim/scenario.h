/* What happens to a cluster in a run: which faults, and what must hold in the end. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/cluster.h"

enum fault {
	FAULT_KILL = 1,       /* kill -9 of a broker */
	FAULT_POWER = 2,      /* power cut of a broker's machine */
	FAULT_STOP = 4,       /* a broker or NameServer is stopped properly */
	FAULT_NAMESRV = 8,    /* kill -9 of a NameServer */
	FAULT_PARTITION = 16, /* one-way or two-way, between two nodes or around one */
	FAULT_RESET = 32,     /* a connection breaks */
	FAULT_PAUSE = 64      /* a node stands still for seconds */
};

struct scenario {
	const char *name, *about;
	uint32_t faults; /* enum fault */
	bool flush_sync, lies, drifts;
	bool must_fail;  /* a mutant: some seed must break it */
	bool is_open;    /* finds what is not mended yet: runs only by name */
	void (*run)(struct cluster *c, const struct scenario *sc);
};

extern const struct scenario scenarios[];
extern const uint32_t n_scenarios;

struct scenario_result {
	bool has_failed;
	char failure[512];
	uint64_t trace, n_events;
	uint32_t n_ok, n_refused, n_unknown, n_seen, n_commits;
};

/* quiet: the last events of a failure are not printed. */
void scenario_run(const struct scenario *sc, uint64_t seed, const struct cluster_plugins *plugins,
		  bool verbose, bool quiet, struct scenario_result *result);

#endif
