/*
 * What must be true, whatever breaks. Clients tell what they asked for and what they were answered;
 * the first contradiction ends the run.
 *
 *   1. A message that was answered SEND_OK stands at the offset of the answer for ever: after a kill of
 *      the process always, after a power cut when the flush policy gates.
 *   2. A message stands at one offset at most; one that was refused stands nowhere. One that was sent
 *      with a delay is delivered at least once.
 *   3. What a consumer has seen at an offset stays there, unless a power cut may have taken it.
 *   4. A committed consumer offset that was answered is there again after a restart, if it is older
 *      than the interval of saving; it is never more than was committed. After a power cut it may
 *      be gone, as Apache's.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "sim/simhost.h"

#define MODEL_BROKERS 4
#define MODEL_QUEUES 4
#define MODEL_COMMITS 64

struct model_message {
	uint8_t state;
	uint8_t broker, queue;
	bool is_delayed, was_seen;
	int64_t offset; /* -1: not known */
};

struct model_slot {
	uint32_t id; /* 0: nobody has seen it */
	bool is_acked;
};

/* A commit that was answered. */
struct model_commit {
	uint64_t ran_ns; /* of the broker: while it stands still it saves nothing */
	int64_t offset;
};

struct model_queue {
	struct model_slot *slots;
	uint32_t n_slots, cap_slots;
	struct model_commit commits[MODEL_COMMITS]; /* a ring, newest at n_commits - 1 */
	uint32_t n_commits;
	int64_t floor;       /* a query answers no less */
	int64_t unknown_min; /* the smallest commit that was not answered: it may arrive late */
	int64_t most;        /* that was ever asked for */
};

struct model {
	struct sim *sim;
	const struct sim_node *nodes[MODEL_BROKERS];
	struct model_queue queues[MODEL_BROKERS][MODEL_QUEUES];
	uint32_t epochs[MODEL_BROKERS]; /* how often it went down: an answer may come from before */
	struct model_message *messages; /* by id - 1 */
	uint32_t n_messages, cap_messages;
	uint32_t n_ok, n_refused, n_unknown, n_seen, n_commits;
};

void model_init(struct model *m, struct sim *sim);
void model_fini(struct model *m);

/* The id of a new message, from 1, or the first of several in a row. */
uint32_t model_invoke(struct model *m, uint32_t n, bool is_delayed);
void model_sent(struct model *m, uint32_t id, uint32_t broker, uint32_t queue, int64_t offset);
void model_sent_delayed(struct model *m, uint32_t id); /* where it will stand is not known */
void model_refused(struct model *m, uint32_t id);
void model_unknown(struct model *m, uint32_t id);
void model_seen(struct model *m, uint32_t id, uint32_t broker, uint32_t queue, int64_t offset);
/* A message with delay that was acknowledged and that nobody has seen; 0: there is none. */
uint32_t model_undelivered(const struct model *m);
/* The whole queue was read: it ends at `end`. */
void model_audited(struct model *m, uint32_t broker, uint32_t queue, int64_t end);

void model_commit_asked(struct model *m, uint32_t broker, uint32_t queue, int64_t offset);
void model_commit_done(struct model *m, uint32_t broker, uint32_t queue, int64_t offset);
void model_commit_unknown(struct model *m, uint32_t broker, uint32_t queue, int64_t offset);
/* -1: nothing is committed. */
void model_commit_read(struct model *m, uint32_t broker, uint32_t queue, int64_t offset);

/* how: enum mosaic_disk_crash; 0: it was stopped properly. */
void model_broker_down(struct model *m, uint32_t broker, uint32_t how);

#endif
