/*
 * The gate: answers that wait until their end offset is below every watermark that gates. One FIFO
 * by end offset; a watermark that moves releases a prefix. Group commit needs no code of its own.
 * All [core].
 */
#ifndef LOG_GATE_H
#define LOG_GATE_H

#include "base/host.h"
#include "base/list.h"

enum gate_result {
	GATE_KEPT = 0,          /* every promise is kept */
	GATE_FLUSH_TIMEOUT = 1, /* written, not known to be durable: 10 FLUSH_DISK_TIMEOUT */
	GATE_SLAVE_TIMEOUT = 2, /* 12 FLUSH_SLAVE_TIMEOUT */
	GATE_NO_SLAVE = 3,      /* 11 SLAVE_NOT_AVAILABLE */
	GATE_BROKEN = 4         /* the store failed or the log is closing: nobody knows */
};

/* Storage is the waiter's until done(). */
struct gate_wait {
	struct list link;
	uint64_t end;
	uint64_t deadline_ns;
	void (*done)(struct gate_wait *wait, enum gate_result result);
};

struct gate {
	const struct mosaic_host *host;
	struct list waits; /* ascending end and ascending deadline */
	uint64_t n_waits;
	bool flush_gates, repl_gates;
	uint64_t durable, ackable;
	uint32_t repl_promise; /* enum mosaic_promise */
	uint64_t timeout_ns;   /* for every waiter alike: keeps the list ordered by deadline */
	struct mosaic_timer timer;
	bool is_releasing, is_broken;
};

void gate_init(struct gate *g, const struct mosaic_host *host, bool flush_gates, bool repl_gates,
	       uint64_t timeout_ns);
/* True when nothing gates bytes below end (any more): the caller answers at once. */
bool gate_is_open(const struct gate *g, uint64_t end);
/* end must not be below the end of a wait that is still there. done() never runs inside the
 * call. */
void gate_add(struct gate *g, struct gate_wait *wait, uint64_t end);
void gate_set_durable(struct gate *g, uint64_t upto);
void gate_set_ackable(struct gate *g, uint64_t upto);
/* Not now: those that wait for replication get GATE_NO_SLAVE at once. */
void gate_set_repl_promise(struct gate *g, uint32_t state);
/* The promise is lost for good: everybody who waits, and who comes later, gets GATE_BROKEN. */
void gate_break(struct gate *g);
void gate_fini(struct gate *g);

#endif
