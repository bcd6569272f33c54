#include "node/unit.h"
#include "base/err.h"
#include "base/mem.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct mosaic_host *make_host(void *ctx, const char *name,
					   const struct host_events *events, void *user)
{
	struct unit *u = ctx;
	ASSERT(u->n_hosts < UNIT_HOSTS);
	struct host *h = &u->hosts_of[u->n_hosts++];
	host_init(h, &u->loop, name, events, user);
	return &h->api;
}

static void mute_host(void *ctx, const struct mosaic_host *host)
{
	struct unit *u = ctx;
	for (uint32_t i = 0; i < u->n_hosts; i++)
		if (&u->hosts_of[i].api == host)
			host_mute(&u->hosts_of[i]);
}

int unit_init(struct unit *u, struct logger *logger, struct host_loop *main_loop,
	      struct mosaic_error *err)
{
	memset(u, 0, sizeof(*u));
	u->err.struct_size = sizeof(u->err);
	signal(SIGPIPE, SIG_IGN); /* host_loop.h */
	signal(SIGXFSZ, SIG_IGN); /* ulimit -f: a write that fails, as on a full disk */
	int rc = host_loop_init(&u->loop, logger, err);
	if (rc != 0)
		return rc;
	u->has_loop = true;
	u->main_loop = main_loop ? main_loop : &u->loop;
	host_init(&u->core_host, &u->loop, "", NULL, NULL);
	u->hosts = (struct node_hosts){ .ctx = u,
					.core = &u->core_host.api,
					.make = make_host,
					.mute = mute_host };
	return 0;
}

static void *unit_thread(void *arg)
{
	struct unit *u = arg;
	host_loop_run(&u->loop);
	return NULL;
}

int unit_spawn(struct unit *u, struct mosaic_error *err)
{
	int rc = pthread_create(&u->thread, NULL, unit_thread, u);
	if (rc != 0)
		return err_set_os(err, MOSAIC_E_NOMEM, rc, "cannot start a thread for a broker");
	u->has_thread = true;
	return 0;
}

/* -- start and stop ---------------------------------------------------------------------------- */

static void on_answer(struct mosaic_req *req)
{
	struct unit *u = req->data;
	u->answered(u, req->status);
}

static void answer(struct unit *u, int status)
{
	u->answer = (struct mosaic_req){ .done = on_answer, .data = u, .status = status };
	host_loop_post(u->main_loop, &u->answer);
}

static void on_broker_started(struct mosaic_req *req)
{
	struct unit *u = req->data;
	answer(u, req->status);
}

static void on_start(struct mosaic_req *req)
{
	struct unit *u = req->data;
	int rc = u->namesrv ? namesrv_node_start(u->namesrv, &u->err) : 0;
	if (rc == 0 && u->namesrv != NULL && u->namesrv_bound != NULL)
		u->namesrv_bound(u, u->namesrv->endpoint.port);
	u->step = (struct mosaic_req){ .done = on_broker_started, .data = u };
	if (rc == 0 && u->broker != NULL) {
		rc = broker_node_start(u->broker, &u->step, &u->err);
		if (rc == 0)
			return;
	}
	answer(u, rc);
}

static void on_namesrv_stopped(struct mosaic_req *req)
{
	struct unit *u = req->data;
	int status = u->broker != NULL ? u->broker->stop_status : 0;
	u->stats = loop_watch_stats(&u->loop.watch); /* here: the loop goes on, and writes them */
	answer(u, status != 0 ? status : req->status);
}

static void on_broker_stopped(struct mosaic_req *req)
{
	struct unit *u = req->data;
	req->done = on_namesrv_stopped;
	if (u->namesrv != NULL)
		namesrv_node_stop(u->namesrv, req);
	else
		on_namesrv_stopped(req);
}

static void on_stop(struct mosaic_req *req)
{
	struct unit *u = req->data;
	u->step = (struct mosaic_req){ .done = on_broker_stopped, .data = u };
	if (u->broker != NULL)
		broker_node_stop(u->broker, &u->step);
	else
		on_broker_stopped(&u->step);
}

static void command(struct unit *u, void (*run)(struct mosaic_req *),
		    void (*answered)(struct unit *unit, int status))
{
	u->answered = answered;
	u->command = (struct mosaic_req){ .done = run, .data = u };
	host_loop_post(&u->loop, &u->command);
}

void unit_start(struct unit *u, void (*answered)(struct unit *unit, int status))
{
	command(u, on_start, answered);
}

void unit_stop(struct unit *u, void (*answered)(struct unit *unit, int status))
{
	command(u, on_stop, answered);
}

void unit_fini(struct unit *u)
{
	if (u->has_thread) {
		host_loop_stop(&u->loop);
		(void)pthread_join(u->thread, NULL);
	}
	if (u->broker != NULL)
		broker_node_destroy(u->broker);
	if (u->namesrv != NULL)
		namesrv_node_destroy(u->namesrv);
	if (u->has_loop)
		host_loop_fini(&u->loop);
	free(u->broker);
	free(u->namesrv);
	u->broker = NULL;
	u->namesrv = NULL;
}
