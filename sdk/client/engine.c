#include "engine.h"
#include "base/mem.h"
#include <stdlib.h>

int engine_init(struct engine *e, const struct mosaic_host *host, const char *namesrv,
		uint64_t refresh_ns, struct mosaic_error *err)
{
	*e = (struct engine){ .host = host, .refresh_ns = refresh_ns };
	list_init(&e->sends);
	while (namesrv != NULL && *namesrv != '\0') {
		size_t len = strcspn(namesrv, ";");
		if (len > 0 && e->n_namesrv == ENGINE_NAMESRV_MAX)
			return err_set(err, MOSAIC_E_INVAL, "more than %d NameServers",
				       ENGINE_NAMESRV_MAX);
		if (len > 0)
			e->namesrv[e->n_namesrv++] = slice_dup(slice(namesrv, len));
		namesrv += len + (namesrv[len] == ';');
	}
	if (e->n_namesrv == 0)
		return err_set(err, MOSAIC_E_INVAL, "no NameServer is given");
	return 0;
}

void engine_dial_with(struct engine *e, const struct mosaic_transport_ops *ops,
		      struct mosaic_transport *transport)
{
	uint64_t random[2] = { e->host->random(e->host), e->host->random(e->host) };

	dialer_init(&e->dialer, e->host, ops, transport, NULL);
	e->namesrv_at = (uint32_t)(random[0] % e->n_namesrv);
	memcpy(e->id_prefix, random, sizeof(e->id_prefix));
	e->refresh = (struct mosaic_timer){ .fire = routes_refresh, .data = e };
	e->host->timer_start(e->host, &e->refresh, e->refresh_ns);
}

void engine_close(struct engine *e)
{
	e->is_closing = true;
	e->host->timer_stop(e->host, &e->refresh);
	while (!list_empty(&e->sends))
		send_end(LIST_ENTRY(e->sends.next, struct send, link), MOSAIC_E_CANCELED,
			 "the client stops");
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
	for (uint32_t pos = 0; (m = map_next(&e->avoided, &pos)) != NULL;)
		free(m->value);
	map_free(&e->routes);
	map_free(&e->avoided);
	for (uint32_t i = 0; i < e->n_namesrv; i++)
		free(e->namesrv[i]);
}
