#include "sim/simhost.h"
#include "base/err.h"
#include "sim/simheap.h"
#include "sim/simnet.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_AT_ONCE 200000 /* without the clock moving: something posts itself for ever */

/* ---- the generator ---- */

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

uint64_t sim_random(struct sim *s)
{
	return splitmix64(&s->random);
}

uint64_t sim_between(struct sim *s, uint64_t from, uint64_t to)
{
	return from + sim_random(s) % (to - from + 1);
}

/* ---- what is said ---- */

void sim_trace(struct sim *s, uint64_t value)
{
	s->trace = (s->trace ^ value) * UINT64_C(0x100000001B3);
	s->trace ^= s->trace >> 29;
}

static void say(struct sim *s, const char *who, const char *text)
{
	char *line = s->lines[s->n_lines++ % SIM_LINES];

	snprintf(line, SIM_LINE, "%10.4f %-8s %s", (double)s->now_ns / 1e9, who, text);
	if (s->is_verbose)
		fprintf(stderr, "%s\n", line);
}

void sim_say(struct sim *s, const char *format, ...)
{
	char text[SIM_LINE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say(s, "--", text);
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->has_failed)
		return;
	s->has_failed = true;
	va_start(args, format);
	vsnprintf(s->failure, sizeof(s->failure), format, args);
	va_end(args);
	say(s, "FAILED", s->failure);
}

void sim_print_lines(const struct sim *s)
{
	uint64_t from = s->n_lines > SIM_LINES ? s->n_lines - SIM_LINES : 0;

	for (uint64_t i = from; i < s->n_lines; i++)
		fprintf(stderr, "  %s\n", s->lines[i % SIM_LINES]);
}

/* ---- the queue: a binary heap ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	if (a->order_ns != b->order_ns)
		return a->order_ns < b->order_ns;
	return a->tie < b->tie;
}

static void place(struct sim *s, uint32_t i, struct sim_event *e)
{
	s->queue[i] = e;
	e->at = i + 1;
}

static void sift_up(struct sim *s, uint32_t i, struct sim_event *e)
{
	while (i > 0 && is_before(e, s->queue[(i - 1) / 2])) {
		place(s, i, s->queue[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(s, i, e);
}

static void sift_down(struct sim *s, uint32_t i, struct sim_event *e)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= s->n_queue)
			break;
		if (child + 1 < s->n_queue && is_before(s->queue[child + 1], s->queue[child]))
			child++;
		if (!is_before(s->queue[child], e))
			break;
		place(s, i, s->queue[child]);
		i = child;
	}
	place(s, i, e);
}

static void queue_add(struct sim *s, struct sim_event *e)
{
	if (s->n_queue == s->cap_queue) {
		uint32_t owner = heap_enter(HEAP_WORLD);

		s->cap_queue = s->cap_queue ? s->cap_queue * 2 : 1024;
		s->queue = realloc(s->queue, s->cap_queue * sizeof(*s->queue));
		ASSERT(s->queue != NULL);
		heap_enter(owner);
	}
	sift_up(s, s->n_queue++, e);
}

static void queue_remove(struct sim *s, struct sim_event *e)
{
	uint32_t i = e->at - 1;
	struct sim_event *last = s->queue[--s->n_queue];

	e->at = 0;
	if (last == e)
		return;
	if (i > 0 && is_before(last, s->queue[(i - 1) / 2]))
		sift_up(s, i, last);
	else
		sift_down(s, i, last);
}

void sim_at(struct sim *s, struct sim_event *e, uint64_t due_ns)
{
	sim_cancel(s, e);
	e->due_ns = e->order_ns = due_ns < s->now_ns ? s->now_ns : due_ns;
	e->tie = sim_random(s);
	queue_add(s, e);
}

void sim_cancel(struct sim *s, struct sim_event *e)
{
	if (e->at != 0)
		queue_remove(s, e);
}

static void run_one(struct sim *s, struct sim_event *e)
{
	queue_remove(s, e);
	if (e->node != NULL && e->node->paused_until > s->now_ns) {
		e->due_ns = e->node->paused_until;
		queue_add(s, e);
		return;
	}
	s->n_events++;
	sim_trace(s, s->now_ns);
	sim_trace(s, (uint64_t)(uint8_t)e->kind << 8 | (e->node ? e->node->id : 0));
	e->fire(e);
}

void sim_run_until(struct sim *s, uint64_t until_ns)
{
	uint32_t at_once = 0;

	while (!s->has_failed && s->n_queue > 0 && s->queue[0]->due_ns <= until_ns) {
		at_once = s->queue[0]->due_ns > s->now_ns ? 0 : at_once + 1;
		s->now_ns = s->queue[0]->due_ns;
		run_one(s, s->queue[0]);
		if (at_once == EVENTS_AT_ONCE)
			sim_fail(s, "%u events without the clock moving, the last of kind %c",
				 at_once, s->n_queue > 0 ? s->queue[0]->kind : '?');
	}
	if (!s->has_failed && s->now_ns < until_ns)
		s->now_ns = until_ns;
}

/* ---- whose turn it is ---- */

struct sim_node *sim_enter(struct sim *s, struct sim_node *node)
{
	struct sim_node *was = s->running;

	s->running = node;
	heap_enter(node ? node->id : HEAP_WORLD);
	return was;
}

void sim_leave(struct sim *s, struct sim_node *was)
{
	(void)sim_enter(s, was);
}

/* ---- services of a host ---- */

static struct sim_host *of(const struct mosaic_host *api)
{
	return api->ctx;
}

static uint64_t node_now(const struct sim_node *n)
{
	return n->sim->now_ns / 1000 * (uint64_t)(1000000 + n->drift_ppm) / 1000;
}

static uint64_t now_ns(const struct mosaic_host *api)
{
	return node_now(of(api)->node);
}

static uint64_t wall_ms(const struct mosaic_host *api)
{
	struct sim_node *n = of(api)->node;

	return SIM_WALL_MS + (uint64_t)n->wall_offset_ms + node_now(n) / 1000000;
}

static uint64_t next_random(const struct mosaic_host *api)
{
	return splitmix64(&of(api)->node->random);
}

static struct sim_event *event_make(struct sim_node *n, char kind,
				    void (*fire)(struct sim_event *), void *data)
{
	uint32_t owner = heap_enter(HEAP_WORLD);
	struct sim_event *e = calloc(1, sizeof(*e));

	heap_enter(owner);
	ASSERT(e != NULL);
	*e = (struct sim_event){ .node = n, .fire = fire, .data = data, .kind = kind,
				 .dies = true, .is_owned = true };
	return e;
}

static void event_free(struct sim_event *e)
{
	uint32_t owner = heap_enter(HEAP_WORLD);

	free(e);
	heap_enter(owner);
}

static void timer_fired(struct sim_event *e)
{
	struct mosaic_timer *timer = e->data;
	struct sim_node *n = e->node, *was = sim_enter(n->sim, n);

	event_free(e);
	timer->due_ns = 0;
	timer->fire(timer);
	sim_leave(n->sim, was);
}

static struct sim_event *event_of(const struct mosaic_timer *timer)
{
	return (struct sim_event *)(uintptr_t)timer->reserved[0];
}

static void timer_start(const struct mosaic_host *api, struct mosaic_timer *timer, uint64_t delay)
{
	struct sim_node *n = of(api)->node;
	struct sim_event *e = timer->due_ns != 0 ? event_of(timer) :
						   event_make(n, 't', timer_fired, timer);
	/* No timer is ever early by the node's own clock. */
	uint64_t real = delay + delay / 1000000 * (uint64_t)(n->drift_ppm < 0 ? -n->drift_ppm : 0) +
			(delay > 0 ? 2000 : 0);

	timer->reserved[0] = (uint64_t)(uintptr_t)e;
	timer->due_ns = node_now(n) + delay + 1;
	sim_at(n->sim, e, n->sim->now_ns + real);
}

static void timer_stop(const struct mosaic_host *api, struct mosaic_timer *timer)
{
	if (timer->due_ns == 0)
		return;
	timer->due_ns = 0;
	sim_cancel(of(api)->node->sim, event_of(timer));
	event_free(event_of(timer));
}

static int32_t watch(const struct mosaic_host *api, struct mosaic_watch *w)
{
	(void)api;
	(void)w;
	return MOSAIC_E_UNSUPPORTED;
}

static void unwatch(const struct mosaic_host *api, struct mosaic_watch *w)
{
	(void)api;
	(void)w;
}

static void node_post(struct sim_node *n, struct mosaic_req *req)
{
	req->next = NULL;
	if (n->posts != NULL)
		n->last_post->next = req;
	else
		n->posts = req;
	n->last_post = req;
	if (n->drain.at == 0)
		sim_at(n->sim, &n->drain, n->sim->now_ns);
}

static void drain_fired(struct sim_event *e)
{
	struct sim_node *n = e->data, *was;
	struct mosaic_req *req = n->posts;

	n->posts = req->next;
	if (n->posts != NULL)
		sim_at(n->sim, &n->drain, n->sim->now_ns);
	was = sim_enter(n->sim, n);
	req->done(req);
	sim_leave(n->sim, was);
}

static void post(const struct mosaic_host *api, struct mosaic_req *req)
{
	node_post(of(api)->node, req);
}

static void work_done(struct sim_event *e)
{
	struct mosaic_work *w = e->data;
	struct sim_node *n = e->node, *was = sim_enter(n->sim, n);

	event_free(e);
	w->run(w);
	w->req.done(&w->req);
	sim_leave(n->sim, was);
}

static int32_t work(const struct mosaic_host *api, struct mosaic_work *w)
{
	struct sim_node *n = of(api)->node;

	sim_at(n->sim, event_make(n, 'w', work_done, w),
	       n->sim->now_ns + sim_between(n->sim, 1000, 20 * MS_NS));
	return 0;
}

static void *alloc(const struct mosaic_host *api, size_t size)
{
	uint32_t owner = heap_enter(of(api)->node->id);
	void *ptr = malloc(size);

	heap_enter(owner);
	return ptr;
}

static void release(const struct mosaic_host *api, void *ptr)
{
	(void)api;
	free(ptr);
}

static void write_log(const struct mosaic_host *api, uint32_t level, const char *event,
		      const char *text)
{
	static const char letters[] = "EWID";
	struct sim_node *n = of(api)->node;
	char line[SIM_LINE];

	sim_trace(n->sim, (uint64_t)level << 32 | strlen(text));
	if (level >= MOSAIC_LOG_DEBUG && !n->sim->is_verbose)
		return;
	snprintf(line, sizeof(line), "%c %s %s", letters[level & 3], event, text);
	say(n->sim, n->name, line);
}

static int32_t on_core(const struct mosaic_host *api)
{
	(void)api;
	return 1;
}

static const void *extension(const struct mosaic_host *api, const char *id)
{
	struct sim_host *h = of(api);

	if (strcmp(id, MOSAIC_EXT_DISK) == 0)
		return &h->node->ext_disk;
	if (strcmp(id, MOSAIC_EXT_NETWORK) == 0)
		return &h->node->ext_network;
	if (h->events != NULL && h->events->extension != NULL)
		return h->events->extension(h->user, id);
	return NULL;
}

/* ---- watermarks, promises, failure: told by post, as core/node/host.c does ---- */

static void signal_core(struct sim_host *h)
{
	if (h->is_signalled)
		return;
	h->is_signalled = true;
	node_post(h->node, &h->signal);
}

static void watermark(const struct mosaic_host *api, uint32_t which, uint64_t upto)
{
	struct sim_host *h = of(api);

	if (which >= MOSAIC_WATERMARKS || upto <= h->upto[which])
		return;
	h->upto[which] = upto;
	signal_core(h);
}

static void promise(const struct mosaic_host *api, uint32_t which, uint32_t state)
{
	struct sim_host *h = of(api);

	if (which >= MOSAIC_WATERMARKS)
		return;
	h->promise[which] = state;
	signal_core(h);
}

static void signalled(struct mosaic_req *req)
{
	struct sim_host *h = CONTAINER_OF(req, struct sim_host, signal);
	const struct host_events *ev = h->events;

	h->is_signalled = false;
	for (uint32_t i = 0; i < MOSAIC_WATERMARKS; i++) {
		if (h->upto[i] == h->told_upto[i])
			continue;
		h->told_upto[i] = h->upto[i];
		if (ev != NULL && ev->watermark != NULL)
			ev->watermark(h->user, i, h->upto[i]);
	}
	for (uint32_t i = 0; i < MOSAIC_WATERMARKS; i++) {
		if (h->promise[i] == h->told_promise[i])
			continue;
		h->told_promise[i] = h->promise[i];
		if (ev != NULL && ev->promise != NULL)
			ev->promise(h->user, i, h->promise[i]);
	}
}

static void fail(const struct mosaic_host *api, const struct mosaic_error *error)
{
	struct sim_host *h = of(api);

	if (h->has_failed)
		return;
	h->has_failed = true;
	h->failure = *error;
	h->node->has_failed = true;
	sim_fail(h->node->sim, "%s: %s has failed: %s", h->node->name, h->name, error->text);
	node_post(h->node, &h->fail);
}

static void failed(struct mosaic_req *req)
{
	struct sim_host *h = CONTAINER_OF(req, struct sim_host, fail);

	if (h->events != NULL && h->events->fail != NULL)
		h->events->fail(h->user, &h->failure);
}

static void host_init(struct sim_host *h, struct sim_node *n, const char *name,
		      const struct host_events *events, void *user)
{
	*h = (struct sim_host){ .node = n, .events = events, .user = user };
	snprintf(h->name, sizeof(h->name), "%s", name);
	h->signal.done = signalled;
	h->fail.done = failed;
	h->api = (struct mosaic_host){ .struct_size = sizeof(h->api),
				       .abi_major = MOSAIC_ABI_MAJOR,
				       .abi_minor = MOSAIC_ABI_MINOR,
				       .ctx = h,
				       .now_ns = now_ns,
				       .wall_ms = wall_ms,
				       .random = next_random,
				       .timer_start = timer_start,
				       .timer_stop = timer_stop,
				       .watch = watch,
				       .unwatch = unwatch,
				       .post = post,
				       .work = work,
				       .alloc = alloc,
				       .free = release,
				       .log = write_log,
				       .watermark = watermark,
				       .promise = promise,
				       .fail = fail,
				       .on_core = on_core,
				       .extension = extension };
}

static const struct mosaic_host *make_host(void *ctx, const char *name,
					   const struct host_events *events, void *user)
{
	struct sim_node *n = ctx;
	struct sim_host *h = n->instances;

	while (h->node != NULL)
		h++;
	ASSERT(h < n->instances + SIM_INSTANCES);
	host_init(h, n, name, events, user);
	return &h->api;
}

static void mute_host(void *ctx, const struct mosaic_host *host)
{
	(void)ctx;
	of(host)->events = NULL;
}

/* ---- nodes ---- */

struct sim_node *sim_node_add(struct sim *s, const char *name)
{
	ASSERT(s->n_nodes < SIM_NODES);
	struct sim_node *n = &s->nodes[s->n_nodes++];

	*n = (struct sim_node){ .sim = s, .id = s->n_nodes, .random = sim_random(s) };
	snprintf(n->name, sizeof(n->name), "%s", name);
	snprintf(n->ip, sizeof(n->ip), "10.0.0.%u", n->id);
	n->ext_disk = (struct mosaic_ext_disk){ .struct_size = sizeof(n->ext_disk),
						.disk = &n->disk };
	simnet_extension(s->net, n, &n->ext_network);
	sim_node_boot(n);
	return n;
}

void sim_node_boot(struct sim_node *n)
{
	memset(n->instances, 0, sizeof(n->instances));
	n->posts = n->last_post = NULL;
	n->drain = (struct sim_event){ .node = n, .fire = drain_fired, .data = n, .kind = 'p',
				       .dies = true };
	host_init(&n->core, n, "core", NULL, NULL);
	n->hosts = (struct node_hosts){ .ctx = n, .core = &n->core.api, .make = make_host,
					.mute = mute_host };
	if (n->is_on)
		return;
	n->is_on = true;
	simnet_power_on(n->sim->net, n);
}

static void drop_events(struct sim_node *n)
{
	struct sim *s = n->sim;

	for (uint32_t i = 0; i < s->n_queue;) {
		struct sim_event *e = s->queue[i];

		if (e->node != n || !e->dies) {
			i++;
			continue;
		}
		queue_remove(s, e);
		if (e->is_owned)
			event_free(e);
		i = 0; /* removing has moved others */
	}
	n->posts = n->last_post = NULL;
}

static void node_die(struct sim_node *n, uint32_t how, uint64_t random)
{
	drop_events(n);
	simnet_kill(n->sim->net, n, how);
	if (n->disk.crash != NULL)
		n->disk.crash(&n->disk, how, random);
	if (n->killed != NULL)
		n->killed(n->owner);
	(void)heap_kill(n->id);
}

void sim_node_kill(struct sim_node *n, uint32_t how)
{
	struct sim *s = n->sim;

	ASSERT(s->running == NULL);
	node_die(n, how, sim_random(s));
	sim_node_resume(n);
	n->is_on = how != MOSAIC_CRASH_POWER;
}

uint32_t sim_node_end(struct sim_node *n)
{
	drop_events(n);
	simnet_kill(n->sim->net, n, MOSAIC_CRASH_PROCESS);
	return heap_kill(n->id);
}

static uint64_t last_pause_ns(const struct sim_node *n)
{
	uint64_t now = n->sim->now_ns;

	return (n->paused_until < now ? n->paused_until : now) - n->paused_since;
}

void sim_node_resume(struct sim_node *n)
{
	n->paused_ns += last_pause_ns(n);
	n->paused_since = n->paused_until = 0;
}

void sim_node_pause(struct sim_node *n, uint64_t ns)
{
	sim_node_resume(n);
	n->paused_since = n->sim->now_ns;
	n->paused_until = n->paused_since + ns;
}

uint64_t sim_node_ran_ns(const struct sim_node *n)
{
	return n->sim->now_ns - n->paused_ns - last_pause_ns(n);
}

/* ---- the world ---- */

void sim_init(struct sim *s, uint64_t seed)
{
	*s = (struct sim){ .seed = seed, .random = seed, .now_ns = SECOND_NS };
	(void)sim_random(s);
	s->net = simnet_create(s);
}

void sim_fini(struct sim *s)
{
	(void)sim_enter(s, NULL);
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		node_die(&s->nodes[i], MOSAIC_CRASH_PROCESS, 0);
		if (s->nodes[i].disk.destroy != NULL)
			s->nodes[i].disk.destroy(&s->nodes[i].disk);
	}
	simnet_destroy(s->net);
	for (uint32_t i = 0; i < s->n_queue; i++)
		if (s->queue[i]->is_owned)
			free(s->queue[i]);
	free(s->queue);
}
