/*
 * Every run: start -> faults, drawn one after the other -> everything is repaired -> the cluster
 * must come together in bounded time -> all that was promised is looked at -> a clean stop.
 */
#include "sim/scenario.h"
#include "sim/simheap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A registration is tried again after 30 s at most, plus dialling and its own time limit; a
 * connection that died in silence is found by who writes to it, or after 120 s without a byte. */
#define CONVERGE_NS (150 * SECOND_NS)
#define SILENCE_NS (125 * SECOND_NS) /* RouteInfoManager: 120 s, looked at each 5 s */
#define DISAPPEAR_NS (2 * SECOND_NS) /* a connection that was closed or reset */
#define DELAY_NS (6 * SECOND_NS)     /* of the longest delay level that is used */
#define SETTLE_NS (20 * SECOND_NS)   /* for what clients wait for */

/* Those that are still stopping follow later. */
static void start_all(struct cluster *c)
{
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		member_start_in(&c->namesrvs[i], 100 * MS_NS);
	for (uint32_t i = 0; i < c->config.n_brokers; i++)
		member_start_in(&c->brokers[i], 100 * MS_NS);
}

static void repair(struct cluster *c)
{
	sim_say(&c->sim, "faults stop");
	simnet_heal(c->sim.net);
	for (uint32_t i = 0; i < c->sim.n_nodes; i++)
		sim_node_resume(&c->sim.nodes[i]);
	start_all(c);
}

/* ---- routes ---- */

static void probe_all(struct cluster *c, struct client *client)
{
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		client_probe(client, i);
	cluster_run(c, SECOND_NS);
}

static bool routes_are_whole(struct cluster *c)
{
	int64_t all = (INT64_C(1) << c->config.n_brokers) - 1;

	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		if (c->clients[0].probed[i] != all)
			return false;
	return true;
}

static void await_routes(struct cluster *c)
{
	uint64_t until = c->sim.now_ns + CONVERGE_NS;

	do {
		start_all(c);
		cluster_run(c, SECOND_NS);
		probe_all(c, &c->clients[0]);
	} while (!c->sim.has_failed && !(cluster_is_up(c) && routes_are_whole(c)) &&
		 c->sim.now_ns < until);
	if (!routes_are_whole(c))
		sim_fail(&c->sim, "after %llu s without faults the NameServers name %lld and %lld",
			 (unsigned long long)(CONVERGE_NS / SECOND_NS),
			 (long long)c->clients[0].probed[0], (long long)c->clients[0].probed[1]);
}

/* ---- the end of a run ---- */

/* All connections are new or known to work when as much as a call's time limit has passed. */
static void check_sending(struct cluster *c)
{
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++)
		client_set_rate(&c->clients[i], 300 * MS_NS, 20);
	cluster_run(c, SETTLE_NS / 2);
	uint32_t not_ok[CLUSTER_CLIENTS], ok = c->model.n_ok;
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++)
		not_ok[i] = c->clients[i].n_not_ok;
	cluster_run(c, 5 * SECOND_NS);
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++) {
		if (c->clients[i].n_not_ok != not_ok[i])
			sim_fail(&c->sim, "client%u cannot send although there are no faults", i);
		client_set_rate(&c->clients[i], 0, 0);
	}
	if (c->model.n_ok == ok)
		sim_fail(&c->sim, "nothing was sent although there are no faults");
}

static void check_consuming(struct cluster *c)
{
	uint64_t until = c->sim.now_ns + SETTLE_NS;

	cluster_run(c, DELAY_NS);
	while (!c->sim.has_failed && c->sim.now_ns < until) {
		cluster_run(c, SECOND_NS);
		if (c->clients[0].n_sends == 0 && c->clients[1].n_sends == 0 &&
		    client_is_caught_up(&c->clients[0]))
			return;
	}
	sim_fail(&c->sim, "the consumer has not read everything although there are no faults");
}

static void check_contents(struct cluster *c)
{
	uint64_t until = c->sim.now_ns + SETTLE_NS;

	client_audit(&c->clients[0]);
	while (!c->sim.has_failed && c->sim.now_ns < until && c->clients[0].n_audits > 0)
		cluster_run(c, SECOND_NS);
	if (c->clients[0].n_audits > 0)
		sim_fail(&c->sim, "%u queues cannot be read", c->clients[0].n_audits);
	uint32_t id = model_undelivered(&c->model);
	if (id != 0)
		sim_fail(&c->sim, "message %u was acknowledged, is due and was never delivered",
			 id);
}

static void check_stopping(struct cluster *c)
{
	for (uint32_t i = 0; i < c->config.n_brokers; i++)
		member_stop(&c->brokers[i]);
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		member_stop(&c->namesrvs[i]);
	cluster_run(c, 5 * SECOND_NS);
	for (uint32_t i = 0; i < c->config.n_brokers; i++)
		if (c->brokers[i].state != MEMBER_DOWN)
			sim_fail(&c->sim, "b%u does not stop", i);
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		if (c->namesrvs[i].state != MEMBER_DOWN)
			sim_fail(&c->sim, "ns%u does not stop", i);
}

static void finish(struct cluster *c)
{
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++)
		client_set_rate(&c->clients[i], SECOND_NS, 5);
	await_routes(c);
	check_sending(c);
	check_consuming(c);
	check_contents(c);
	check_stopping(c);
}

/* ---- drawn faults ---- */

static struct member *any_broker(struct cluster *c)
{
	return &c->brokers[sim_below(&c->sim, c->config.n_brokers)];
}

static struct member *any_namesrv(struct cluster *c)
{
	return &c->namesrvs[sim_below(&c->sim, CLUSTER_NAMESRVS)];
}

/* The two ways of a partition: between two, or one node against all others. */
static void partition(struct cluster *c)
{
	struct sim *s = &c->sim;
	struct sim_node *a = &s->nodes[sim_below(s, s->n_nodes)];
	bool both = sim_chance(s, 2), all = sim_chance(s, 3);
	struct sim_node *b = &s->nodes[sim_below(s, s->n_nodes)];

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		struct sim_node *n = &s->nodes[i];

		if (n == a || (!all && n != b))
			continue;
		simnet_block(s->net, a, n);
		if (both)
			simnet_block(s->net, n, a);
	}
	sim_say(s, "partition: %s -%s> %s", a->name, both ? "<" : "-", all ? "all" : b->name);
}

static void pause_one(struct cluster *c)
{
	struct sim *s = &c->sim;
	struct sim_node *n = &s->nodes[sim_below(s, s->n_nodes)];
	uint64_t most = sim_chance(s, 4) ? 12 * SECOND_NS : 2 * SECOND_NS;
	uint64_t ns = sim_between(s, 100 * MS_NS, most);

	sim_say(s, "%s stands still for %.3f s", n->name, (double)ns / 1e9);
	sim_node_pause(n, ns);
}

/* How long something stays down: mostly short, sometimes long enough to be missed. */
static uint64_t draw_down_ns(struct sim *s)
{
	return sim_between(s, 10 * MS_NS, sim_chance(s, 4) ? 20 * SECOND_NS : 3 * SECOND_NS);
}

static void break_something(struct cluster *c, uint32_t faults)
{
	struct sim *s = &c->sim;
	uint32_t fault = 1u << sim_below(s, 7);
	struct member *m = fault == FAULT_NAMESRV || (fault == FAULT_STOP && sim_chance(s, 4)) ?
				   any_namesrv(c) :
				   any_broker(c);

	switch (fault & faults) {
	case FAULT_KILL:
	case FAULT_NAMESRV:
		member_kill(m, MOSAIC_CRASH_PROCESS);
		member_start_in(m, draw_down_ns(s));
		break;
	case FAULT_POWER:
		member_kill(m, MOSAIC_CRASH_POWER);
		member_start_in(m, draw_down_ns(s));
		break;
	case FAULT_STOP:
		member_stop(m);
		break;
	case FAULT_PARTITION:
		if (sim_chance(s, 2))
			partition(c);
		else
			simnet_heal(s->net);
		break;
	case FAULT_RESET:
		(void)simnet_reset_one(s->net);
		break;
	case FAULT_PAUSE:
		pause_one(c);
		break;
	default:
		break;
	}
}

/* Who was stopped properly comes back. */
static void restart_stopped(struct cluster *c)
{
	for (uint32_t i = 0; i < c->config.n_brokers; i++)
		member_start_in(&c->brokers[i], draw_down_ns(&c->sim));
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		member_start_in(&c->namesrvs[i], draw_down_ns(&c->sim));
}

static void run_faults(struct cluster *c, const struct scenario *sc)
{
	struct sim *s = &c->sim;
	uint64_t until = s->now_ns + sim_between(s, 8 * SECOND_NS, 30 * SECOND_NS);
	/* Some runs are busy, some calm. */
	uint64_t period = sim_between(s, 20 * MS_NS, 800 * MS_NS);

	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++)
		client_set_rate(&c->clients[i], sim_between(s, 5 * MS_NS, 150 * MS_NS),
				1 + (uint32_t)sim_below(s, 20));
	while (!s->has_failed && s->now_ns < until) {
		cluster_run(c, sim_below(s, period));
		break_something(c, sc->faults);
		if (sc->faults & FAULT_STOP)
			restart_stopped(c);
	}
	repair(c);
	finish(c);
}

/* ---- a power cut right after the first sends, and nobody sends again ---- */

static bool has_any_ok(const struct cluster *c)
{
	return c->model.n_ok > 0;
}

static void run_first(struct cluster *c, const struct scenario *sc)
{
	struct sim *s = &c->sim;

	(void)sc;
	await_routes(c);
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++)
		client_set_rate(&c->clients[i], 20 * MS_NS, 10);
	while (!s->has_failed && !has_any_ok(c))
		cluster_run(c, MS_NS / 4);
	cluster_run(c, sim_below(s, 20 * MS_NS));
	for (uint32_t i = 0; i < c->config.n_brokers; i++)
		member_kill(&c->brokers[i], MOSAIC_CRASH_POWER);
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++)
		client_set_rate(&c->clients[i], 0, 0);
	cluster_run(c, 4 * SECOND_NS); /* what was under way ends */
	repair(c);
	await_routes(c);
	check_contents(c);
	check_stopping(c);
}

/* ---- a broker that is gone for long ---- */

static bool is_named(struct cluster *c, struct client *client, uint32_t broker, bool reachable[])
{
	bool named = false;

	probe_all(c, client);
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		named = named || (reachable[i] && client->probed[i] >= 0 &&
				  (client->probed[i] >> broker & 1));
	return named;
}

/*
 * A broker dies, loses power, or is cut off from some or all NameServers; those must forget it
 * within the bound, and learn of it again when it is back.
 */
static void run_dead(struct cluster *c, const struct scenario *sc)
{
	struct sim *s = &c->sim;
	struct member *m = any_broker(c);
	uint32_t how = (uint32_t)sim_below(s, 3);
	bool cut[CLUSTER_NAMESRVS];
	uint64_t bound = how == 0 ? DISAPPEAR_NS : SILENCE_NS + 5 * SECOND_NS;

	(void)sc;
	await_routes(c);
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++)
		client_set_rate(&c->clients[i], 500 * MS_NS, 5);
	cluster_run(c, sim_below(s, 40 * SECOND_NS));
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		cut[i] = how != 2 || i == 0 || sim_chance(s, 2);
	if (how == 2) {
		bool one_way = sim_chance(s, 2);

		for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++) {
			if (!cut[i])
				continue;
			simnet_block(s->net, m->node, c->namesrvs[i].node);
			if (!one_way)
				simnet_block(s->net, c->namesrvs[i].node, m->node);
		}
		sim_say(s, "%s is cut off from %s", m->node->name, cut[1] ? "all" : "ns0");
	} else {
		member_kill(m, how == 0 ? MOSAIC_CRASH_PROCESS : MOSAIC_CRASH_POWER);
	}
	uint64_t until = s->now_ns + bound;
	cluster_run(c, bound > 2 * SECOND_NS ? bound - 2 * SECOND_NS : SECOND_NS / 2);
	while (!s->has_failed && is_named(c, &c->clients[1], m->index, cut))
		if (s->now_ns > until)
			sim_fail(s, "%s is gone for %llu s and still named", m->node->name,
				 (unsigned long long)(bound / SECOND_NS));
	cluster_run(c, sim_below(s, 30 * SECOND_NS));
	if (!s->has_failed && is_named(c, &c->clients[1], m->index, cut))
		sim_fail(s, "%s is gone and named again", m->node->name);
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		if (!cut[i] && !(c->clients[1].probed[i] >> m->index & 1))
			sim_fail(s, "%s is reachable, but ns%u does not name it", m->node->name, i);
	repair(c);
	finish(c);
}

/* ---- the table ---- */

const struct scenario scenarios[] = {
	{ .name = "calm", .about = "no faults, answers wait for the disk", .flush_sync = true,
	  .run = run_faults },
	{ .name = "kill", .about = "brokers are killed, answers do not wait for the disk",
	  .faults = FAULT_KILL, .run = run_faults },
	{ .name = "power", .about = "machines lose power, answers wait for the disk",
	  .faults = FAULT_POWER | FAULT_KILL, .flush_sync = true, .run = run_faults },
	{ .name = "partition", .about = "one-way and two-way partitions",
	  .faults = FAULT_PARTITION, .drifts = true, .run = run_faults },
	{ .name = "flaky", .about = "connections break, nodes stand still, clocks differ",
	  .faults = FAULT_RESET | FAULT_PAUSE, .flush_sync = true, .drifts = true,
	  .run = run_faults },
	{ .name = "stop", .about = "everything is stopped properly and started again",
	  .faults = FAULT_STOP | FAULT_NAMESRV | FAULT_RESET, .run = run_faults },
	{ .name = "dead", .about = "a broker is gone for long: NameServers forget it in time",
	  .drifts = true, .flush_sync = true, .run = run_dead },
	{ .name = "first", .about = "power is cut right after the first sends", .flush_sync = true,
	  .run = run_first },
	{ .name = "chaos", .about = "all faults together", .flush_sync = true, .drifts = true,
	  .faults = FAULT_KILL | FAULT_POWER | FAULT_STOP | FAULT_NAMESRV | FAULT_PARTITION |
		    FAULT_RESET | FAULT_PAUSE,
	  .run = run_faults },
	/* Mutants: the checkers must see what is wrong. */
	{ .name = "mutant-async", .about = "power cuts, but answers do not wait for the disk",
	  .faults = FAULT_POWER, .must_fail = true, .run = run_faults },
	{ .name = "mutant-liar", .about = "power cuts, and a disk that lies about syncs",
	  .faults = FAULT_POWER, .flush_sync = true, .lies = true, .must_fail = true,
	  .run = run_faults },
};
const uint32_t n_scenarios = ARRAY_LEN(scenarios);

void scenario_run(const struct scenario *sc, uint64_t seed, const struct cluster_plugins *plugins,
		  bool verbose, bool quiet, struct scenario_result *result)
{
	struct cluster *c = calloc(1, sizeof(*c));
	uint64_t mix = seed;

	ASSERT(c != NULL);
	for (const char *p = sc->name; *p != '\0'; p++) /* a seed means something else elsewhere */
		mix = mix * 131 + (uint8_t)*p;
	struct cluster_config config = { .plugins = plugins,
					 .n_brokers = 1 + (uint32_t)(mix / 7 % 3),
					 .flush_sync = sc->flush_sync,
					 .lies = sc->lies,
					 .drifts = sc->drifts,
					 .delay_ns = (mix / 21 % 3) * 4 * MS_NS };
	cluster_init(c, mix, &config, verbose);
	sc->run(c, sc);
	*result = (struct scenario_result){ .has_failed = c->sim.has_failed,
					    .trace = c->sim.trace,
					    .n_events = c->sim.n_events,
					    .n_ok = c->model.n_ok,
					    .n_refused = c->model.n_refused,
					    .n_unknown = c->model.n_unknown,
					    .n_seen = c->model.n_seen,
					    .n_commits = c->model.n_commits };
	memcpy(result->failure, c->sim.failure, sizeof(result->failure));
	if (c->sim.has_failed && !quiet)
		sim_print_lines(&c->sim);
	cluster_fini(c);
	free(c);
}
