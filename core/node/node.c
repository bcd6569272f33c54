/*
 *   node_run       make the units, start the first (its NameServer's port may be asked for by brokers),
 *                  then the others; tell the service manager; run; stop in reverse order
 *
 * Failure modes: a unit that does not start stops all others; the first error is the one reported.
 */
#include "node/node.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/notify.h"
#include "node/unit.h"
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CONNECTIONS 200000 /* per listener; the transport and the descriptor limit come first */

struct node {
	const struct config *config;
	struct logger *logger;
	const struct node_hooks *hooks;
	struct unit *units;
	uint32_t n_units, n_starting, n_stopping;
	uint32_t *broker_ports;
	char (*namesrv_texts)[64]; /* addresses whose port was not known before */
	const char ***namesrv_lists;
	uv_signal_t signals[4];
	uint32_t n_signals, n_signals_open;
	bool was_ready, is_stopping;
	int status;
	struct mosaic_error *err;
};

static void node_stop(struct node *n);

static void node_failed(struct node *n, int status, const struct mosaic_error *err)
{
	if (n->status != 0)
		return;
	n->status = status;
	if (n->err != NULL && err != NULL && err->text[0] != 0)
		*n->err = *err;
	else
		(void)err_set(n->err, status, "%s", status_text(status));
}

/* -- composition ------------------------------------------------------------------------------- */

static void runtime_info(void *ctx, void (*put)(void *to, const char *name, int64_t value),
			 void *to)
{
	struct unit *u = ctx;
	struct loop_stats s = loop_watch_stats(&u->loop.watch);
	put(to, "mosaicLoopTurns", (int64_t)s.turns);
	put(to, "mosaicLoopStallsAbove1ms", (int64_t)s.stalls);
	put(to, "mosaicLoopDisplacedAbove1ms", (int64_t)s.displaced);
	put(to, "mosaicLoopP50Micros", (int64_t)(s.p50_ns / 1000));
	put(to, "mosaicLoopP99Micros", (int64_t)(s.p99_ns / 1000));
	put(to, "mosaicLoopMaxMicros", (int64_t)(s.max_ns / 1000));
	put(to, "mosaicLoopBusyMillis", (int64_t)(s.busy_ns / MS_NS));
}

static void set_log_level(void *ctx, uint32_t level)
{
	struct unit *u = ctx;
	logger_set_level(u->loop.logger, level);
}

static uint64_t memory_of_machine(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 30;
}

static struct endpoint_config endpoint_of(struct unit *u, struct plugin_instance transport,
					  const char *listen)
{
	return (struct endpoint_config){ .hosts = &u->hosts, .transport = transport,
					 .listen = listen, .max_connections = MAX_CONNECTIONS };
}

static int make_namesrv(struct node *n, struct unit *u, struct mosaic_error *err)
{
	const struct config_namesrv *c = &n->config->namesrv;
	char host[64];
	uint32_t port = 0;
	(void)!value_parse_address(c->listen, host, sizeof(host), &port);
	struct namesrv_node_config nc = {
		.endpoint = endpoint_of(u, c->transport, c->listen),
		.kv_path = c->kv_config,
		.settings = { .broker_expiry_ms = c->broker_expiry_ns / MS_NS,
			      .scan_ms = c->scan_ns / MS_NS,
			      .listen_port = port,
			      .max_topics = (uint32_t)c->max_topics,
			      .max_brokers = (uint32_t)c->max_brokers },
	};
	struct namesrv_node *node = mem_alloc(sizeof(*node));
	int rc = namesrv_node_create(node, &nc, err);
	if (rc != 0)
		free(node);
	else
		u->namesrv = node;
	return rc;
}

static int make_broker(struct node *n, struct unit *u, uint32_t index, struct mosaic_error *err)
{
	const struct config_broker *c = &n->config->brokers[index];
	struct broker_node_config bc = {
		.endpoint = endpoint_of(u, c->transport, c->listen),
		.store = c->store,
		.flush = c->flush,
		.replication = c->replication,
		.address = c->address,
		.index = { .slots = c->index ? (uint32_t)c->index_slots : 0,
			   .entries = (uint32_t)c->index_entries },
		.retention = {
			.interval_ns = c->retention.interval_ns,
			.pause_ns = c->retention.pause_ns,
			.time_ms = c->retention.time_ns / MS_NS,
			.hours = c->retention.hours,
			.size_bytes = c->retention.size_bytes,
			.clean_percent = c->retention.disk_clean,
			.force_percent = c->retention.disk_force,
			.stop_percent = c->retention.disk_stop,
			.keep_unconsumed = c->retention.keep_unconsumed,
		},
		.settings = {
			.cluster = c->cluster,
			.name = c->name,
			.broker_id = c->id,
			.namesrv = n->namesrv_lists[index],
			.n_namesrv = c->namesrv.count,
			.max_message_bytes = (uint32_t)c->max_message_bytes,
			.auto_create_topic = c->auto_create_topic,
			.auto_create_group = c->auto_create_group,
			.default_queues = (int32_t)c->topic_queues,
			.permission = (int32_t)c->permission,
			.memory_bytes = memory_of_machine(),
			.max_held_pulls = (uint32_t)c->max_held_pulls,
			.max_parked_sends = (uint32_t)c->max_parked_sends,
			.max_parked_bytes = c->max_parked_bytes,
			.max_waiting_acks = (uint32_t)c->max_waiting_acks,
			.max_topics = (uint32_t)c->max_topics,
			.max_groups = (uint32_t)c->max_groups,
			.set_log_level = set_log_level,
			.set_log_level_ctx = u,
			.runtime_info = runtime_info,
			.runtime_info_ctx = u,
		},
	};
	if (c->store_note[0] != '\0')
		LOG_WARN(u->hosts.core, "store_fallback", "%s", c->store_note);
	struct broker_node *node = mem_alloc(sizeof(*node));
	int rc = broker_node_create(node, &bc, err);
	if (rc != 0)
		free(node);
	else
		u->broker = node;
	return rc;
}

/* NameServer addresses of each broker; port 0 stands for this process' own and is filled in
 * later. */
static void make_namesrv_lists(struct node *n)
{
	const struct config *c = n->config;
	n->namesrv_lists = mem_alloc((c->n_brokers + 1) * sizeof(*n->namesrv_lists));
	for (uint32_t i = 0; i < c->n_brokers; i++) {
		const struct value_list *list = &c->brokers[i].namesrv;
		n->namesrv_lists[i] = mem_alloc((list->count + 1) * sizeof(char *));
		for (uint32_t k = 0; k < list->count; k++)
			n->namesrv_lists[i][k] = list->items[k];
	}
}

/* The own NameServer has its port: brokers that asked for port 0 get it. */
static void on_namesrv_bound(struct unit *u, uint32_t port)
{
	struct node *n = u->owner;
	char host[56];
	uint32_t given, used = 0;
	for (uint32_t i = 0; i < n->config->n_brokers; i++)
		for (uint32_t k = 0; n->namesrv_lists[i][k] != NULL; k++) {
			const char *text = n->namesrv_lists[i][k];
			if (used >= CONFIG_BROKERS_MAX ||
			    value_parse_address(text, host, sizeof(host), &given) != 0 ||
			    given != 0)
				continue;
			snprintf(n->namesrv_texts[used], sizeof(n->namesrv_texts[0]),
				 strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
			n->namesrv_lists[i][k] = n->namesrv_texts[used++];
		}
}

static int make_units(struct node *n, struct mosaic_error *err)
{
	const struct config *c = n->config;
	uint32_t count = c->n_brokers > 1 ? c->n_brokers : 1;
	n->units = mem_alloc(count * sizeof(*n->units));
	n->broker_ports = mem_alloc((c->n_brokers + 1) * sizeof(*n->broker_ports));
	n->namesrv_texts = mem_alloc(CONFIG_BROKERS_MAX * sizeof(n->namesrv_texts[0]));
	make_namesrv_lists(n);
	for (uint32_t i = 0; i < count; i++) {
		struct unit *u = &n->units[i];
		int rc = unit_init(u, n->logger, i == 0 ? NULL : &n->units[0].loop, err);
		n->n_units = i + 1;
		u->owner = n;
		u->namesrv_bound = on_namesrv_bound;
		if (rc == 0 && i == 0 && c->has_namesrv)
			rc = make_namesrv(n, u, err);
		if (rc == 0 && i < c->n_brokers)
			rc = make_broker(n, u, i, err);
		if (rc == 0 && i > 0)
			rc = unit_spawn(u, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* -- life -------------------------------------------------------------------------------------- */

static void notify(struct node *n, const char *state)
{
	struct mosaic_error err = ERR_INIT;
	if (notify_send(state, &err) != 0)
		LOG_WARN(&n->units[0].core_host.api, "notify_failed", "reason=\"%s\"", err.text);
}

static void node_ready(struct node *n)
{
	n->was_ready = true;
	struct node_ports ports = { .n_brokers = n->config->n_brokers, .brokers = n->broker_ports };
	if (n->units[0].namesrv != NULL)
		ports.namesrv = n->units[0].namesrv->endpoint.port;
	for (uint32_t i = 0; i < n->config->n_brokers; i++)
		n->broker_ports[i] = n->units[i].broker->endpoint.port;
	notify(n, "READY=1\nSTATUS=serving");
	if (n->hooks != NULL && n->hooks->ready != NULL)
		n->hooks->ready(n->hooks->ctx, &ports);
}

static void on_unit_started(struct unit *u, int status)
{
	struct node *n = u->owner;
	n->n_starting--;
	if (status != 0)
		node_failed(n, status, &u->err);
	if (n->n_starting > 0)
		return;
	if (n->status != 0 || n->is_stopping)
		node_stop(n);
	else
		node_ready(n);
}

static void on_first_started(struct unit *u, int status)
{
	struct node *n = u->owner;
	if (status == 0)
		for (uint32_t i = 1; i < n->n_units; i++) {
			n->n_starting++;
			unit_start(&n->units[i], on_unit_started);
		}
	on_unit_started(u, status);
}

static void on_signal_closed(uv_handle_t *handle)
{
	struct node *n = handle->data;
	if (--n->n_signals_open == 0)
		host_loop_stop(&n->units[0].loop);
}

static void log_loop(const struct unit *u)
{
	const struct loop_stats s = u->stats;
	LOG_INFO(
		&u->core_host.api, "loop",
		"turns=%llu busy_ms=%llu p50_us=%llu p99_us=%llu max_us=%llu stalls_above_1ms=%llu "
		"displaced_above_1ms=%llu",
		(unsigned long long)s.turns, (unsigned long long)(s.busy_ns / MS_NS),
		(unsigned long long)(s.p50_ns / 1000), (unsigned long long)(s.p99_ns / 1000),
		(unsigned long long)(s.max_ns / 1000), (unsigned long long)s.stalls,
		(unsigned long long)s.displaced);
}

static void on_unit_stopped(struct unit *u, int status)
{
	struct node *n = u->owner;
	if (status != 0)
		node_failed(n, status, NULL);
	if (n->was_ready)
		log_loop(u);
	if (--n->n_stopping > 0)
		return;
	for (uint32_t i = 0; i < n->n_signals; i++)
		uv_close((uv_handle_t *)&n->signals[i], on_signal_closed);
}

static void node_stop(struct node *n)
{
	n->is_stopping = true;
	if (n->n_starting > 0)
		return; /* on_unit_started comes back here */
	notify(n, "STOPPING=1");
	n->n_stopping = n->n_units;
	for (uint32_t i = n->n_units; i-- > 0;)
		unit_stop(&n->units[i], on_unit_stopped);
}

static void change_level(struct node *n, int step)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	int level = (int)atomic_load_explicit(&n->logger->level, memory_order_relaxed) + step;
	if (level < MOSAIC_LOG_ERROR || level > MOSAIC_LOG_DEBUG)
		return;
	logger_set_level(n->logger, (uint32_t)level);
	host_log(&n->units[0].core_host.api, (uint32_t)level, "log_level_changed", "to=%s",
		 names[level]);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct node *n = handle->data;
	loop_watch_skip(&n->units[0].loop.watch);
	if (number == SIGUSR1 || number == SIGUSR2) {
		change_level(n, number == SIGUSR1 ? 1 : -1);
		return;
	}
	if (n->is_stopping)
		_exit(130); /* asked twice: at once; what was acknowledged is on disk or mapped */
	LOG_INFO(&n->units[0].core_host.api, "stopping", "signal=%d", number);
	node_stop(n);
}

static void listen_to_signals(struct node *n)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };
	for (uint32_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uv_signal_t *s = &n->signals[n->n_signals];
		if (uv_signal_init(&n->units[0].loop.uv, s) != 0)
			continue;
		s->data = n;
		n->n_signals++;
		(void)uv_signal_start(s, on_signal, numbers[i]);
	}
	n->n_signals_open = n->n_signals;
}

static void node_free(struct node *n)
{
	for (uint32_t i = n->n_units; i-- > 0;)
		unit_fini(&n->units[i]);
	for (uint32_t i = 0; n->namesrv_lists != NULL && i < n->config->n_brokers; i++)
		free(n->namesrv_lists[i]);
	free(n->namesrv_lists);
	free(n->namesrv_texts);
	free(n->broker_ports);
	free(n->units);
}

/*
 * The heap keeps what it has had, up to a bound: giving memory back and taking it again are system
 * calls that wait for whoever else changes the memory map, and the core thread must not wait.
 */
static void keep_heap(void)
{
	(void)mallopt(M_TRIM_THRESHOLD, 64 << 20);
	(void)mallopt(M_TOP_PAD, 1 << 20);
	(void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
}

int node_run(const struct config *config, struct logger *logger, const struct node_hooks *hooks,
	     struct mosaic_error *err)
{
	struct node n = { .config = config, .logger = logger, .hooks = hooks, .err = err };
	keep_heap();
	int rc = make_units(&n, err);
	if (rc == 0) {
		listen_to_signals(&n);
		n.n_starting = 1;
		unit_start(&n.units[0], on_first_started);
		host_loop_run(&n.units[0].loop);
		rc = n.status;
	}
	node_free(&n);
	return rc;
}
