/*
 * A world with one clock: many nodes in one thread, each with its struct mosaic_host, over one
 * queue of events ordered by virtual time. What happens at the same time happens in an order drawn
 * from the seed. A node can be killed, paused and started again; its disk outlives it.
 */
#ifndef SIM_SIMHOST_H
#define SIM_SIMHOST_H

#include "base/host.h"
#include "node/hosts.h"
#include <mosaic/draft/disk.h>
#include <mosaic/draft/network.h>

#define SIM_NODES 16
#define SIM_INSTANCES 8
#define SIM_LINES 80 /* of the log that a failure shows */
#define SIM_LINE 240
#define SIM_WALL_MS UINT64_C(1700000000000)

struct sim;
struct sim_node;
struct sim_net;

/* Storage is the owner's; zero it before the first use. */
struct sim_event {
	uint64_t due_ns;   /* when it runs: later than order_ns when its node was paused */
	uint64_t order_ns; /* when it should */
	uint64_t tie;
	struct sim_node *node; /* that it waits for when that is paused; NULL: none */
	void (*fire)(struct sim_event *event);
	void *data;
	uint32_t at;       /* position in the queue + 1, 0: not there */
	char kind;         /* for the trace */
	bool dies, is_owned; /* with its node; freed by the queue */
};

/* The host of one plugin instance, or of the core. */
struct sim_host {
	struct mosaic_host api;
	struct sim_node *node;
	char name[32];
	const struct host_events *events;
	void *user;
	uint64_t upto[MOSAIC_WATERMARKS], told_upto[MOSAIC_WATERMARKS];
	uint32_t promise[MOSAIC_WATERMARKS], told_promise[MOSAIC_WATERMARKS];
	struct mosaic_req signal, fail;
	bool is_signalled, has_failed;
	struct mosaic_error failure;
};

struct sim_node {
	struct sim *sim;
	uint32_t id; /* from 1; owner of its memory */
	char name[16], ip[16];
	bool is_on;            /* the machine has power */
	uint64_t paused_since, paused_until; /* the last pause; 0: none */
	uint64_t paused_ns;                  /* all pauses before that */
	int64_t drift_ppm, wall_offset_ms;
	uint64_t random;
	struct sim_host core;
	struct sim_host instances[SIM_INSTANCES];
	struct node_hosts hosts;
	struct mosaic_req *posts, *last_post;
	struct sim_event drain;
	struct mosaic_disk disk;
	struct mosaic_ext_disk ext_disk;
	struct mosaic_ext_network ext_network;
	/* It dies: its disk is as the crash leaves it, its memory still there. May be NULL. */
	void (*killed)(void *owner);
	void *owner;
	/* A plugin has failed for good: nothing breaks a disk here, so that is never right. */
	bool has_failed;
};

struct sim {
	uint64_t seed, random;
	uint64_t now_ns;
	struct sim_event **queue;
	uint32_t n_queue, cap_queue;
	uint64_t n_events, trace; /* hash of all that has happened */
	struct sim_node nodes[SIM_NODES];
	uint32_t n_nodes;
	struct sim_node *running; /* whose code runs now, NULL: the world's */
	struct sim_net *net;
	bool is_verbose, has_failed;
	char failure[512];
	char lines[SIM_LINES][SIM_LINE];
	uint64_t n_lines;
};

void sim_init(struct sim *s, uint64_t seed);
void sim_fini(struct sim *s); /* every node is killed */
uint64_t sim_random(struct sim *s);
static inline uint64_t sim_below(struct sim *s, uint64_t n) { return sim_random(s) % n; }
static inline bool sim_chance(struct sim *s, uint32_t one_in) { return sim_below(s, one_in) == 0; }
/* from <= x <= to */
uint64_t sim_between(struct sim *s, uint64_t from, uint64_t to);

/* (Re)start an event. */
void sim_at(struct sim *s, struct sim_event *event, uint64_t due_ns);
void sim_cancel(struct sim *s, struct sim_event *event);
/* Runs events until the time is reached or something failed. */
void sim_run_until(struct sim *s, uint64_t until_ns);

/* A line of the world's log; kept for the failure. */
void sim_say(struct sim *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* The first failure counts; the run ends. */
void sim_fail(struct sim *s, const char *format, ...) PRINTF_LIKE(2, 3);
void sim_trace(struct sim *s, uint64_t value);
void sim_print_lines(const struct sim *s);

/* A node with address 10.0.0.<id>. It has no code of its own: whoever calls into code of a node
 * does so between sim_enter() and sim_leave(). */
struct sim_node *sim_node_add(struct sim *s, const char *name);
struct sim_node *sim_enter(struct sim *s, struct sim_node *node); /* returns who ran before */
void sim_leave(struct sim *s, struct sim_node *was);
/* Its events die, its memory is freed, its connections break as `how` says, its disk keeps what
 * `how` leaves: MOSAIC_CRASH_PROCESS or MOSAIC_CRASH_POWER. */
void sim_node_kill(struct sim_node *node, uint32_t how);
/* Ready for code again. */
void sim_node_boot(struct sim_node *node);
/* After its code has stopped: how many blocks of memory are left. They are freed. */
uint32_t sim_node_end(struct sim_node *node);
void sim_node_pause(struct sim_node *node, uint64_t ns);
void sim_node_resume(struct sim_node *node);
/* How long it did not stand still. */
uint64_t sim_node_ran_ns(const struct sim_node *node);

#endif
