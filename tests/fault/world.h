/*
 * A log over a store and a flush policy in one thread, with a ledger of what was sent and what was
 * promised about it. Time, threads and the order of everything follow from the seed.
 *
 *   world_init(&w, ...);
 *   world_open(&w, dir)   recovery; 0 or a reason
 *   world_send(&w)        one message that the ledger remembers
 *   world_turn(&w)        something happens: a thread goes on, an answer comes, time passes
 *   world_check(&w, ...)  what the log has is held against the ledger
 *   world_close(&w)
 */
#ifndef FAULT_WORLD_H
#define FAULT_WORLD_H

#include "log/log.h"
#include "support/fake_host.h"

#include <mosaic/plugin.h>

#define TOPICS 3
#define QUEUES 2
#define SENT_MOST 30000
#define NEVER UINT64_MAX
#define WATCHES 4

struct sent {
	struct gate_wait wait;
	uint32_t serial; /* never used twice: the body tells whose it is */
	uint32_t body_len;
	int topic, queue_id;
	int64_t index;
	uint64_t at, end;
	uint64_t sent_at;     /* disk_now() */
	uint64_t promised_at; /* from when on it must survive a power cut; NEVER */
	bool is_answered;
	enum gate_result result;
};

struct world {
	struct fake_host h;
	const struct mosaic_plugin *store_plugin, *flush_plugin;
	void *store_options, *flush_options;
	struct mosaic_store *store;
	struct mosaic_flush *flush;
	struct log *log;
	struct mosaic_watch *watches[WATCHES];
	struct log_open_req open;
	struct mosaic_error failure;
	bool has_failed; /* to be told to the log */
	uint64_t seed;
	struct sent *sent;
	uint32_t n_sent, serial;
	uint64_t n_refused;
	char why[512];
};

void world_init(struct world *w, const struct mosaic_plugin *store,
		const struct mosaic_plugin *flush, uint64_t seed);
void world_fini(struct world *w);
uint64_t world_draw(struct world *w, uint64_t below);
/* NULL or why it does not open. What was sent and promised before counts as promised. */
const char *world_open(struct world *w, const char *dir);
/* The messages that recovery has found are in the log and in the ledger; the rest is forgotten. */
void world_adopt(struct world *w);
/* 0 or what log_append said, after waiting for room. */
int world_send(struct world *w);
void world_turn(struct world *w);
/*
 * NULL, or what is wrong: of the first n_sent messages of the ledger the log must have a first
 * part, whole and in its queues, that has all that was promised until `now`.
 */
const char *world_check(struct world *w, uint32_t n_sent, uint64_t now);
/* The status of closing. */
int world_close(struct world *w);

#endif
