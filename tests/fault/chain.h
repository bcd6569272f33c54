/*
 * A life of a broker's directory in generations: each recovers what the last power cut has left,
 * sends, and has the power cut at many moments, in recovery and in closing too. Every cut is
 * opened and held against the ledger, and one of them is what the next generation starts with.
 */
#ifndef FAULT_CHAIN_H
#define FAULT_CHAIN_H

#include "disk.h"
#include "support/scratch.h"
#include "world.h"

struct chain {
	const struct mosaic_plugin *store, *flush;
	const struct mosaic_plugin *other; /* opens what every other cut has left */
	uint64_t seed;
	uint32_t generations;
	bool is_loose;
	bool lies[CALLS];
	/* Results. */
	uint32_t n_points;
	uint64_t n_sent, n_moments, n_found_out; /* found out: openings that warned */
	char why[600]; /* empty: all is well */
};

/* True when all is well. */
bool chain_run(struct chain *chain);

void scratch_copy(const char *from, const char *to);

#endif
