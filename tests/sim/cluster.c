#include "sim/cluster.h"
#include "base/err.h"
#include "base/mem.h"
#include "plugin/value.h"
#include "sim/simheap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMESRV_PORT 9876

extern const struct mosaic_plugin mosaic_plugin_transport_memory, mosaic_plugin_store_memory,
	mosaic_plugin_flush_sync, mosaic_plugin_flush_async;

/* ---- plugins ---- */

/* A store that says "synced" without doing it, as a disk with a lying cache does. */
static int32_t lying_sync(struct mosaic_stream *stream, struct mosaic_sync *req)
{
	/* The store's own queue of operations keeps the order: a trim of nothing ends as a sync. */
	const struct mosaic_store_ops *ops = mosaic_plugin_store_memory.ops;
	return ops->trim(stream, 0, &req->req);
}

static void adopt(const struct mosaic_plugin *from, struct loaded_plugin *to)
{
	struct mosaic_error err = ERR_INIT;

	if (plugin_adopt(from, "(built in)", NULL, to, &err) == 0)
		return;
	fprintf(stderr, "%s\n", err.text);
	abort();
}

void cluster_plugins_init(struct cluster_plugins *p)
{
	adopt(&mosaic_plugin_transport_memory, &p->transport);
	adopt(&mosaic_plugin_store_memory, &p->store);
	adopt(&mosaic_plugin_flush_sync, &p->flush_sync);
	adopt(&mosaic_plugin_flush_async, &p->flush_async);
	adopt(&mosaic_plugin_store_memory, &p->lying_store);
	p->lying_store.ops.store.sync = lying_sync;
}

void cluster_plugins_fini(struct cluster_plugins *p)
{
	free(p->transport.file);
	free(p->store.file);
	free(p->flush_sync.file);
	free(p->flush_async.file);
	free(p->lying_store.file);
}

static void set_option(struct plugin_instance *p, const char *name, const char *value)
{
	const struct mosaic_plugin *desc = &p->plugin->desc;
	const struct mosaic_option *o = desc->options;

	while (strcmp(o->name, name) != 0)
		o++;
	ASSERT(o < desc->options + desc->n_options);
	ASSERT(value_set(o, slice_str(value), p->options, NULL) == 0);
}

/* ---- life of a member ---- */

static struct sim *sim_of(const struct member *m)
{
	return m->node->sim;
}

static void started(struct member *m, int status)
{
	if (status != 0) {
		sim_fail(sim_of(m), "%s does not start: %s", m->node->name, m->err.text);
		return;
	}
	sim_say(sim_of(m), "%s is up", m->node->name);
	m->state = MEMBER_UP;
}

static void on_started(struct mosaic_req *req)
{
	started(req->data, req->status);
}

static void make_instances(struct member *m)
{
	const struct cluster_config *c = &m->cluster->config;
	char text[32];

	plugin_instance_init(&m->transport, &c->plugins->transport);
	if (!m->is_broker)
		return;
	plugin_instance_init(&m->store, c->lies ? &c->plugins->lying_store : &c->plugins->store);
	plugin_instance_init(&m->flush, c->flush_sync ? &c->plugins->flush_sync :
							&c->plugins->flush_async);
	snprintf(text, sizeof(text), "%llums", (unsigned long long)(c->delay_ns / MS_NS));
	set_option(&m->store, "delay", text);
	set_option(&m->store, "segment", "64KiB"); /* small: many are filled */
	set_option(&m->store, "queueSegment", "2000");
}

static void free_instances(struct member *m)
{
	plugin_instance_free(&m->transport);
	if (!m->is_broker)
		return;
	plugin_instance_free(&m->store);
	plugin_instance_free(&m->flush);
}

static struct endpoint_config endpoint_of(struct member *m, const char *listen)
{
	return (struct endpoint_config){ .hosts = &m->node->hosts, .transport = m->transport,
					 .listen = listen, .max_connections = 1000 };
}

static int start_broker(struct member *m)
{
	struct cluster *c = m->cluster;
	struct broker_node_config config = {
		.endpoint = endpoint_of(m, "0.0.0.0:10911"),
		.store = m->store,
		.flush = m->flush,
		.address = { .ip = { 10, 0, 0, (uint8_t)m->node->id }, .ip_len = 4 },
		.index = { .slots = 500, .entries = 2000 }, /* small: many are filled */
		.settings = {
			.cluster = "SimCluster",
			.name = m->node->name,
			.namesrv = c->namesrv_list,
			.n_namesrv = CLUSTER_NAMESRVS,
			.max_message_bytes = 16 * 1024,
			.auto_create_topic = true,
			.auto_create_group = true,
			.default_queues = MODEL_QUEUES,
			.permission = 6,
			.memory_bytes = UINT64_C(1) << 30,
			.max_held_pulls = 1000,
			.max_parked_sends = 1000,
			.max_parked_bytes = 1 << 20,
			.max_waiting_acks = 100000,
			.max_topics = 1000,
			.max_groups = 1000,
		},
	};

	m->broker = mem_alloc(sizeof(*m->broker));
	int rc = broker_node_create(m->broker, &config, &m->err);
	m->req = (struct mosaic_req){ .done = on_started, .data = m };
	return rc != 0 ? rc : broker_node_start(m->broker, &m->req, &m->err);
}

static int start_namesrv(struct member *m)
{
	struct namesrv_node_config config = {
		.endpoint = endpoint_of(m, "0.0.0.0:9876"),
		.settings = { .broker_expiry_ms = 120000, .scan_ms = 5000, .max_topics = 10000,
			      .max_brokers = 100 },
	};

	m->namesrv = mem_alloc(sizeof(*m->namesrv));
	int rc = namesrv_node_create(m->namesrv, &config, &m->err);
	return rc != 0 ? rc : namesrv_node_start(m->namesrv, &m->err);
}

static void start_fired(struct sim_event *event)
{
	struct member *m = event->data;
	struct sim *s = sim_of(m);

	ASSERT(m->state == MEMBER_DOWN);
	sim_say(s, "%s starts", m->node->name);
	sim_node_boot(m->node);
	m->state = MEMBER_STARTING;
	m->err = (struct mosaic_error)ERR_INIT;
	struct sim_node *was = sim_enter(s, m->node);
	make_instances(m);
	int rc = m->is_broker ? start_broker(m) : start_namesrv(m);
	sim_leave(s, was);
	if (rc != 0 || !m->is_broker)
		started(m, rc);
}

void member_start_in(struct member *m, uint64_t ns)
{
	if (m->event.at == 0 && m->state == MEMBER_DOWN)
		sim_at(sim_of(m), &m->event, sim_of(m)->now_ns + ns);
}

static void gone(struct member *m)
{
	sim_cancel(sim_of(m), &m->event);
	m->event.kind = 's';
	m->event.fire = start_fired;
	m->state = MEMBER_DOWN;
	m->broker = NULL;
	m->namesrv = NULL;
}

/* mosaic/draft/disk.h: after the crash the store is destroyed, for what it holds of the disk. */
static void on_killed(void *owner)
{
	struct member *m = owner;

	if (m->broker != NULL && m->broker->store != NULL)
		m->store.plugin->ops.store.destroy(m->broker->store);
}

void member_kill(struct member *m, uint32_t how)
{
	if (m->state == MEMBER_DOWN)
		return;
	sim_say(sim_of(m), "%s dies: %s", m->node->name,
		how == MOSAIC_CRASH_POWER ? "power cut" : "kill -9");
	sim_node_kill(m->node, how);
	if (m->is_broker)
		model_broker_down(&m->cluster->model, m->index, how);
	gone(m);
}

static void on_stopped(struct mosaic_req *req)
{
	struct member *m = req->data;

	m->event.kind = 'S';
	sim_at(sim_of(m), &m->event, sim_of(m)->now_ns);
}

/* Outside of all code of the node. */
static void stopped_fired(struct sim_event *event)
{
	struct member *m = event->data;
	struct sim *s = sim_of(m);
	struct sim_node *was = sim_enter(s, m->node);

	if (m->is_broker)
		broker_node_destroy(m->broker);
	else
		namesrv_node_destroy(m->namesrv);
	free(m->broker);
	free(m->namesrv);
	free_instances(m);
	sim_leave(s, was);
	uint32_t left = sim_node_end(m->node);
	if (left > 0)
		sim_fail(s, "%s has stopped and left %u blocks of memory", m->node->name, left);
	if (m->is_broker)
		model_broker_down(&m->cluster->model, m->index, 0);
	sim_say(s, "%s has stopped", m->node->name);
	gone(m);
}

void member_stop(struct member *m)
{
	struct sim *s = sim_of(m);

	if (m->state != MEMBER_UP)
		return;
	sim_say(s, "%s is stopped", m->node->name);
	m->state = MEMBER_STOPPING;
	m->event.fire = stopped_fired;
	m->req = (struct mosaic_req){ .done = on_stopped, .data = m };
	struct sim_node *was = sim_enter(s, m->node);
	if (m->is_broker)
		broker_node_stop(m->broker, &m->req);
	else
		namesrv_node_stop(m->namesrv, &m->req);
	sim_leave(s, was);
}

/* ---- the whole ---- */

static void member_init(struct cluster *c, struct member *m, const char *kind, uint32_t index,
			bool is_broker)
{
	struct sim *s = &c->sim;
	char name[16];

	snprintf(name, sizeof(name), "%s%u", kind, index);
	*m = (struct member){ .cluster = c, .node = sim_node_add(s, name), .index = index,
			      .is_broker = is_broker };
	m->node->killed = on_killed;
	m->node->owner = m;
	m->event = (struct sim_event){ .fire = start_fired, .data = m, .kind = 's' };
	member_start_in(m, sim_below(s, SECOND_NS));
}

static void drift(struct cluster *c)
{
	for (uint32_t i = 0; i < c->sim.n_nodes; i++) {
		struct sim_node *n = &c->sim.nodes[i];

		n->drift_ppm = (int64_t)sim_below(&c->sim, 401) - 200;
		n->wall_offset_ms = (int64_t)sim_below(&c->sim, 20001) - 10000;
	}
}

void cluster_init(struct cluster *c, uint64_t seed, const struct cluster_config *config,
		  bool verbose)
{
	struct sim *s = &c->sim;

	memset(c, 0, sizeof(*c));
	sim_init(s, seed);
	s->is_verbose = verbose;
	model_init(&c->model, s);
	c->config = *config;
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++) {
		member_init(c, &c->namesrvs[i], "ns", i, false);
		snprintf(c->namesrv_addresses[i], sizeof(c->namesrv_addresses[i]), "%s:%u",
			 c->namesrvs[i].node->ip, NAMESRV_PORT);
		c->namesrv_list[i] = c->namesrv_addresses[i];
	}
	for (uint32_t i = 0; i < config->n_brokers; i++)
		member_init(c, &c->brokers[i], "b", i, true);
	for (uint32_t i = 0; i < config->n_brokers; i++)
		c->model.nodes[i] = c->brokers[i].node;
	for (uint32_t i = 0; i < CLUSTER_CLIENTS; i++) {
		char name[16];
		struct client_config cc = { .transport = &config->plugins->transport,
					    .model = &c->model,
					    .n_namesrv = CLUSTER_NAMESRVS,
					    .n_brokers = config->n_brokers,
					    .consumes = i == 0,
					    .long_one_in = seed % 4 == 0 ? 2 : 16 };
		snprintf(name, sizeof(name), "client%u", i);
		memcpy(cc.namesrv, c->namesrv_list, sizeof(c->namesrv_list));
		client_start(&c->clients[i], sim_node_add(s, name), &cc);
	}
	if (config->drifts)
		drift(c);
}

void cluster_fini(struct cluster *c)
{
	sim_fini(&c->sim);
	model_fini(&c->model);
}

bool cluster_is_up(const struct cluster *c)
{
	for (uint32_t i = 0; i < CLUSTER_NAMESRVS; i++)
		if (c->namesrvs[i].state != MEMBER_UP)
			return false;
	for (uint32_t i = 0; i < c->config.n_brokers; i++)
		if (c->brokers[i].state != MEMBER_UP)
			return false;
	return true;
}

void cluster_run(struct cluster *c, uint64_t ns)
{
	sim_run_until(&c->sim, c->sim.now_ns + ns);
}
