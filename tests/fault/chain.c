#include "chain.h"

#include "calls.h"
#include "fibers.h"
#include "uring.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POINTS 10
#define PATH_MOST 160

struct point {
	char dir[PATH_MOST];
	uint32_t n_sent;
	uint64_t now;
	bool is_recovery; /* of the ledger before it */
};

struct life {
	struct chain *chain;
	struct world world;
	struct sent *before; /* the ledger while recovery runs */
	uint32_t n_before;
	char dir[64];
	struct point points[POINTS + 1];
	uint32_t n_points, generation;
	bool is_recovering;
};

/* ---- folders ---- */

void scratch_copy(const char *from, const char *to)
{
	char command[2 * PATH_MOST + 64];
	snprintf(command, sizeof(command), "cp -a --sparse=always '%s' '%s'", from, to);
	if (system(command) != 0)
		abort();
}

/* ---- a generation ---- */

static struct point *point_take(struct life *l)
{
	struct point *p = &l->points[l->n_points];
	snprintf(p->dir, sizeof(p->dir), "%s/g%u-p%u", l->dir, l->generation, l->n_points);
	l->n_points++;
	p->is_recovery = l->is_recovering;
	p->n_sent = l->is_recovering ? l->n_before : l->world.n_sent;
	p->now = disk_now();
	disk_image(p->dir);
	return p;
}

static void power_may_go(void *ctx)
{
	struct life *l = ctx;
	if (l->n_points < POINTS)
		point_take(l);
}

static bool fails(struct life *l, const struct point *p, const char *what, const char *why)
{
	snprintf(l->chain->why, sizeof(l->chain->why), "generation %u, %s%s%s: %s", l->generation,
		 what, p ? " " : "", p ? p->dir + strlen(l->dir) + 1 : "", why);
	return false;
}

/* Opens what a cut has left, in a world of its own. */
static bool point_check(struct life *l, const struct point *p)
{
	struct world v;
	const struct mosaic_plugin *other = world_draw(&l->world, 2) ? l->chain->other : NULL;
	world_init(&v, other ? other : l->chain->store, l->chain->flush, l->world.seed);
	const struct sent *ledger = p->is_recovery ? l->before : l->world.sent;
	memcpy(v.sent, ledger, p->n_sent * sizeof(*ledger));
	v.n_sent = 0; /* the watermarks of this world are not those of the ledger */
	if (getenv("FAULT_KEEP")) {
		char kept[PATH_MOST + 8];
		snprintf(kept, sizeof(kept), "%s-cut", p->dir);
		scratch_copy(p->dir, kept);
	}
	const char *why = world_open(&v, p->dir);
	if (!why) {
		l->chain->n_found_out += fake_host_logged(&v.h, "warn ");
		why = world_check(&v, p->n_sent, p->now);
		if (world_close(&v) != 0 && !why)
			why = "it does not close";
	}
	bool is_well = !why || fails(l, p, "power cut", why);
	world_fini(&v);
	if (is_well)
		scratch_remove(p->dir);
	return is_well;
}

static void work(struct life *l)
{
	struct world *w = &l->world;
	uint64_t n_bursts = world_draw(w, 60);
	for (uint64_t i = 0; i < n_bursts; i++) {
		uint64_t n = 1 + world_draw(w, 6);
		for (uint64_t j = 0; j < n; j++)
			(void)world_send(w);
		log_run_end(w->log);
		n = world_draw(w, 40);
		for (uint64_t j = 0; j < n; j++)
			world_turn(w);
		/* Sometimes long enough for the checkpoint and the queues. */
		if (world_draw(w, 12) == 0)
			fake_host_advance_ms(&w->h, world_draw(w, 6000));
	}
}

static bool generation_run(struct life *l, const char *work_dir)
{
	struct world *w = &l->world;
	struct chain *chain = l->chain;
	l->n_before = w->n_sent;
	for (uint32_t i = 0; i < w->n_sent; i++)
		if (w->sent[i].promised_at != NEVER)
			w->sent[i].promised_at = 0;
	memcpy(l->before, w->sent, w->n_sent * sizeof(*w->sent));
	l->is_recovering = true;
	const char *why = world_open(w, work_dir);
	if (!why)
		why = world_check(w, w->n_sent, 0);
	if (why)
		return fails(l, NULL, "recovery", why);
	world_adopt(w);
	l->is_recovering = false;
	uint32_t first = w->n_sent;
	work(l);
	chain->n_sent += w->n_sent - first;
	int rc = world_close(w);
	for (uint32_t i = 0; i < w->n_sent && rc == 0; i++)
		if (w->sent[i].promised_at == NEVER)
			w->sent[i].promised_at = disk_now(); /* a clean stop keeps everything */
	return rc == 0 || fails(l, NULL, "closing", "failed");
}

static bool generation(struct life *l, char *dir)
{
	struct chain *chain = l->chain;
	l->n_points = 0;
	fibers_forget(); /* of the chain before, when it was not well */
	uring_forget();
	disk_attach(dir, world_draw(&l->world, UINT64_MAX), chain->is_loose);
	for (int i = 0; i < CALLS; i++)
		if (chain->lies[i])
			disk_lie(i);
	disk_on_point(power_may_go, l, 20 + world_draw(&l->world, 200));
	bool is_well = generation_run(l, dir);
	if (is_well)
		point_take(l);
	chain->n_moments += disk_now();
	chain->n_points += l->n_points;
	disk_detach();
	/* The next generation's is opened and checked by that. */
	uint32_t next = l->n_points ? (uint32_t)world_draw(&l->world, l->n_points) : 0;
	for (uint32_t i = 0; i < l->n_points && is_well; i++)
		is_well = i == next || point_check(l, &l->points[i]);
	if (!is_well)
		return false;
	const struct point *p = &l->points[next];
	if (p->is_recovery)
		memcpy(l->world.sent, l->before, l->n_before * sizeof(*l->before));
	l->world.n_sent = p->n_sent;
	for (uint32_t i = 0; i < p->n_sent; i++)
		if (l->world.sent[i].promised_at > p->now)
			l->world.sent[i].promised_at = NEVER; /* it was promised later */
	scratch_remove(dir);
	snprintf(dir, PATH_MOST, "%s", p->dir);
	return true;
}

bool chain_run(struct chain *chain)
{
	struct life *l = calloc(1, sizeof(*l));
	char dir[PATH_MOST];
	if (!l || !(l->before = calloc(SENT_MOST, sizeof(*l->before))))
		abort();
	l->chain = chain;
	chain->why[0] = '\0';
	world_init(&l->world, chain->store, chain->flush, chain->seed);
	scratch_make_fast(l->dir, "fault");
	snprintf(dir, sizeof(dir), "%s/new", l->dir);
	if (__real_mkdir(dir, 0750) != 0)
		abort();
	bool is_well = true;
	for (l->generation = 0; l->generation < chain->generations && is_well; l->generation++) {
		if (l->world.n_sent > SENT_MOST / 2)
			break;
		is_well = generation(l, dir);
	}
	if (is_well || !getenv("FAULT_KEEP"))
		scratch_remove(l->dir);
	else
		fprintf(stderr, "kept: %s\n", l->dir);
	world_fini(&l->world);
	free(l->before);
	free(l);
	return is_well;
}
