#include "syncer.h"
#include <stdio.h>
#include <string.h>

/* The store refused because a bound of its own is reached: it needs a turn or two of the loop. */
#define RETRY_NS UINT64_C(1000000)

static void retry_fired(struct mosaic_timer *timer);
static void sync_done(struct mosaic_req *req);

static void syncer_init(struct syncer *s, const struct mosaic_host *host,
			void (*synced)(struct syncer *))
{
	*s = (struct syncer){ .host = host, .synced = synced };
	s->retry.fire = retry_fired;
	s->retry.data = s;
	s->sync.req.done = sync_done;
	s->sync.req.data = s;
}

static void syncer_open(struct syncer *s, const struct mosaic_flush_port *port)
{
	s->port = port;
	s->end = s->durable = port->durable;
	s->host->watermark(s->host, MOSAIC_DURABLE, s->durable);
}

void syncer_appended(struct syncer *s, uint64_t end)
{
	if (end > s->end)
		s->end = end;
}

/* Completion is posted: the caller of close() may be below us on the stack. */
static void complete_close(struct syncer *s)
{
	struct mosaic_req *req = s->closing;

	s->closing = NULL;
	req->status = s->failure;
	s->host->post(s->host, req);
}

/* A failed sync is final: what the disk holds above the watermark is unknown from here on. */
static void fail(struct syncer *s, int32_t status)
{
	struct mosaic_error error = { .struct_size = sizeof(error), .code = status };

	s->failure = status;
	snprintf(error.text, sizeof(error.text),
		 "a sync of the commit log up to offset %llu failed (status %d): bytes at and "
		 "above offset %llu are not known to be durable",
		 (unsigned long long)s->sync.upto, (int)status, (unsigned long long)s->durable);
	s->host->promise(s->host, MOSAIC_DURABLE, MOSAIC_PROMISE_BROKEN);
	s->host->fail(s->host, &error);
	if (s->closing)
		complete_close(s);
}

static void ask(struct syncer *s)
{
	int32_t rc;

	s->sync.upto = s->end;
	rc = s->port->sync(s->port->ctx, &s->sync);
	if (rc >= 0)
		return;
	if (rc == MOSAIC_E_AGAIN) {
		s->host->timer_start(s->host, &s->retry, RETRY_NS);
		return;
	}
	s->is_busy = 0;
	fail(s, rc);
}

void syncer_start(struct syncer *s)
{
	if (s->is_busy || s->failure != 0 || s->end <= s->durable)
		return;
	s->is_busy = 1;
	ask(s);
}

static void retry_fired(struct mosaic_timer *timer)
{
	ask(timer->data);
}

static void sync_done(struct mosaic_req *req)
{
	struct syncer *s = req->data;

	s->is_busy = 0;
	if (req->status != 0) {
		fail(s, req->status);
		return;
	}
	if (s->sync.upto > s->durable) {
		s->durable = s->sync.upto;
		if (s->end < s->durable)
			s->end = s->durable;
		s->host->watermark(s->host, MOSAIC_DURABLE, s->durable);
	}
	if (!s->closing)
		s->synced(s);
	else if (s->end > s->durable)
		syncer_start(s);
	else
		complete_close(s);
}

static void syncer_close(struct syncer *s, struct mosaic_req *req)
{
	s->closing = req;
	if (s->is_busy)
		return; /* sync_done goes on */
	if (s->failure == 0 && s->end > s->durable)
		syncer_start(s);
	else
		complete_close(s);
}

/* ---- the table of a policy ---- */

static struct syncer *syncer_of(struct mosaic_flush *f)
{
	return (struct syncer *)(void *)f;
}

int32_t syncer_flush_create(const struct mosaic_host *host, size_t size,
			    void (*synced)(struct syncer *), struct mosaic_flush **out,
			    struct mosaic_error *error)
{
	struct mosaic_flush *f = host->alloc(host, size);

	if (!f) {
		error->code = MOSAIC_E_NOMEM;
		return MOSAIC_E_NOMEM;
	}
	memset(f, 0, size);
	syncer_init(syncer_of(f), host, synced);
	*out = f;
	return 0;
}

int32_t syncer_flush_open(struct mosaic_flush *f, const struct mosaic_flush_port *port,
			  struct mosaic_error *error)
{
	(void)error;
	syncer_open(syncer_of(f), port);
	return 0;
}

int32_t syncer_flush_close(struct mosaic_flush *f, struct mosaic_req *req)
{
	syncer_close(syncer_of(f), req);
	return 0;
}

void syncer_flush_destroy(struct mosaic_flush *f)
{
	const struct mosaic_host *host = syncer_of(f)->host;

	host->free(host, f);
}
