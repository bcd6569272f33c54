#include "engine.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

static int read_namesrv(struct engine *e, const char *namesrv, struct mosaic_error *err)
{
	while (namesrv != NULL && *namesrv != '\0') {
		size_t len = strcspn(namesrv, ";");

		if (len > 0 && e->n_namesrv == ENGINE_NAMESRV_MAX)
			return err_set(err, MOSAIC_E_INVAL, "more than %d NameServers",
				       ENGINE_NAMESRV_MAX);
		if (len >= sizeof(((struct ask *)0)->address))
			return err_set(err, MOSAIC_E_INVAL, "a NameServer's address is too long");
		if (len > 0)
			e->namesrv[e->n_namesrv++] = slice_dup(slice(namesrv, len));
		namesrv += len + (namesrv[len] == ';');
	}
	if (e->n_namesrv == 0)
		return err_set(err, MOSAIC_E_INVAL, "no NameServer is given");
	return 0;
}

int engine_init(struct engine *e, const struct mosaic_host *host, const char *namesrv,
		uint64_t refresh_ns, uint64_t heartbeat_ns, const char *client_id,
		struct mosaic_error *err)
{
	*e = (struct engine){ .host = host, .refresh_ns = refresh_ns,
			      .heartbeat_ns = heartbeat_ns };
	snprintf(e->client_id, sizeof(e->client_id), "%s", client_id);
	list_init(&e->asks);
	list_init(&e->watches);
	list_init(&e->producers);
	list_init(&e->consumers);
	list_init(&e->checkers);
	return read_namesrv(e, namesrv, err);
}

void connection_seen(struct engine *e, struct peer *peer)
{
	if (peer->service != NULL)
		return;
	peer->service = &e->numbers;
	atomic_fetch_add_explicit(&e->numbers.connections, 1, memory_order_relaxed);
}

static void disconnected(void *ctx, struct peer *peer)
{
	struct engine *e = ctx;

	if (peer->service != NULL)
		atomic_fetch_sub_explicit(&e->numbers.connections, 1, memory_order_relaxed);
	/* The broker has forgotten us with the connection: it hears of us soon, if it is there. */
	if (!e->is_closing && e->beat.due_ns > host_now_ns(e->host) + SECOND_NS)
		e->host->timer_start(e->host, &e->beat, SECOND_NS);
}

void engine_dial_with(struct engine *e, const struct mosaic_transport_ops *ops,
		      struct mosaic_transport *transport)
{
	e->handler = (struct peer_handler){ .ctx = e, .request = incoming, .closed = disconnected };
	dialer_init(&e->dialer, e->host, ops, transport, &e->handler);
	e->namesrv_at = (uint32_t)(e->host->random(e->host) % e->n_namesrv);
	e->refresh = (struct mosaic_timer){ .fire = routes_refresh, .data = e };
	e->beat = (struct mosaic_timer){ .fire = heartbeat_tick, .data = e };
	e->host->timer_start(e->host, &e->refresh, e->refresh_ns);
	e->host->timer_start(e->host, &e->beat, e->heartbeat_ns);
}

void engine_close(struct engine *e)
{
	e->is_closing = true;
	e->host->timer_stop(e->host, &e->refresh);
	e->host->timer_stop(e->host, &e->beat);
	while (!list_empty(&e->asks))
		ask_cancel(LIST_ENTRY(e->asks.next, struct ask, link));
	routes_cancel(e);
	dialer_close(&e->dialer);
}

void engine_free(struct engine *e)
{
	struct map_entry *m;

	if (e->dialer.host != NULL)
		dialer_free(&e->dialer);
	for (uint32_t pos = 0; (m = map_next(&e->routes, &pos)) != NULL;)
		route_free(m->value);
	for (uint32_t pos = 0; (m = map_next(&e->brokers, &pos)) != NULL;)
		free(m->value);
	map_free(&e->routes);
	map_free(&e->brokers);
	map_free(&e->requests);
	for (uint32_t i = 0; i < e->n_namesrv; i++)
		free(e->namesrv[i]);
}
