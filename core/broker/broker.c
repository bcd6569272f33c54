/*
 * Life of a broker:
 *
 *   broker_open    log -> documents -> system topics -> timers -> registration
 *   broker_close   the same backwards: unregister -> documents -> log
 *
 * Failure modes: what fails at open undoes the steps before it and says why; what fails at close is
 * logged, and the log is then not marked clean.
 */
#include "broker/broker.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/admin_requests.h"
#include "broker/clients.h"
#include "broker/docs.h"
#include "broker/groups.h"
#include "broker/locks.h"
#include "broker/offsets.h"
#include "broker/pulls.h"
#include "broker/registrar.h"
#include "broker/schedule.h"
#include "broker/send_back.h"
#include "broker/sends.h"
#include "broker/stats.h"
#include "broker/topics.h"
#include "wire/codes.h"
#include <stdlib.h>

const struct request_row broker_rows[] = {
	{ REQ_SEND_MESSAGE, send_on_message },
	{ REQ_SEND_MESSAGE_V2, send_on_message },
	{ REQ_SEND_BATCH_MESSAGE, send_on_message },
	{ REQ_PULL_MESSAGE, pull_on_message },
	{ REQ_LITE_PULL_MESSAGE, pull_on_message },
	{ REQ_CONSUMER_SEND_MSG_BACK, back_on_message },
};
const uint32_t broker_n_rows = ARRAY_LEN(broker_rows);

struct opening {
	struct broker *b;
	struct broker_open_req *req;
	struct log_open_req log;
	struct docs_load_req docs;
	struct mosaic_req step;
	int docs_status;
};

struct closing {
	struct broker *b;
	struct mosaic_req *req;
	struct mosaic_req step;
	struct gate_wait gate;
};

void data_version_bump(struct data_version *v, const struct mosaic_host *host)
{
	v->timestamp = (int64_t)host_wall_ms(host);
	v->counter++;
}

static void broker_arrived(void *ctx, struct queue *queue, int64_t next_offset, int64_t tags_code,
			   const struct message *m)
{
	struct broker *b = ctx;
	(void)m;
	if (queue->polls != NULL)
		holds_arrived(b->holds, queue, next_offset, tags_code);
	if (slice_is(queue_topic(queue), TOPIC_SCHEDULE) && queue->queue_id < DELAY_LEVELS)
		schedule_arrived(b->schedule, queue);
}

struct broker *broker_create(const struct broker_config *config)
{
	struct broker *b = mem_alloc(sizeof(*b));
	b->config = *config;
	b->host = config->host;
	b->log = config->log;
	b->log->arrived = broker_arrived;
	b->log->arrived_ctx = b;
	b->boot_ms = (int64_t)host_wall_ms(b->host);
	b->stats = stats_create(b);
	b->docs = docs_create(b);
	b->topics = topics_create(b);
	b->groups = groups_create(b);
	b->clients = clients_create(b);
	b->offsets = offsets_create(b);
	b->locks = locks_create(b);
	b->sends = sends_create(b);
	b->pulls = pulls_create(b);
	b->holds = holds_create(b);
	b->schedule = schedule_create(b);
	b->registrar = registrar_create(b);
	return b;
}

void broker_destroy(struct broker *b)
{
	if (b == NULL)
		return;
	registrar_destroy(b->registrar);
	schedule_destroy(b->schedule);
	holds_destroy(b->holds);
	pulls_destroy(b->pulls);
	sends_destroy(b->sends);
	locks_destroy(b->locks);
	offsets_destroy(b->offsets);
	clients_destroy(b->clients);
	groups_destroy(b->groups);
	topics_destroy(b->topics);
	docs_destroy(b->docs);
	stats_destroy(b->stats);
	config_notes_destroy(b->notes);
	free(b);
}

/* -- open -------------------------------------------------------------------------------------- */

static void opened(struct opening *o, int status, const struct mosaic_error *err)
{
	struct broker_open_req *req = o->req;
	if (status != 0)
		req->err = *err;
	free(o);
	req->req.status = status;
	req->req.done(&req->req);
}

static void open_start(struct opening *o)
{
	struct broker *b = o->b;
	topics_add_system(b->topics);
	groups_add_system(b->groups);
	b->is_open = true;
	schedule_start(b->schedule);
	clients_start(b->clients);
	docs_start(b->docs);
	stats_start(b->stats);
	registrar_start(b->registrar);
	opened(o, 0, NULL);
}

static void open_log_closed(struct mosaic_req *step)
{
	struct opening *o = step->data;
	opened(o, o->docs_status, &o->docs.err);
}

/* The log is open already and has to be closed again; documents that cannot be read stay as they
 * are. */
static void open_give_up(struct opening *o, int status)
{
	o->docs_status = status;
	o->step.done = open_log_closed;
	o->step.data = o;
	int rc = log_close(o->b->log, &o->step);
	if (rc < 0)
		open_log_closed(&o->step);
}

static void open_docs_loaded(struct mosaic_req *req)
{
	struct opening *o = req->data;
	if (req->status != 0)
		open_give_up(o, req->status);
	else
		open_start(o);
}

static void open_log_opened(struct mosaic_req *req)
{
	struct opening *o = req->data;
	if (req->status != 0) {
		opened(o, req->status, &o->log.err);
		return;
	}
	o->docs.req.done = open_docs_loaded;
	o->docs.req.data = o;
	o->docs.err.struct_size = sizeof(o->docs.err);
	int rc = docs_load(o->b->docs, &o->docs);
	if (rc < 0)
		open_give_up(o, rc);
}

int broker_open(struct broker *b, struct broker_open_req *req)
{
	struct opening *o = mem_alloc(sizeof(*o));
	o->b = b;
	o->req = req;
	o->log.req.done = open_log_opened;
	o->log.req.data = o;
	o->log.err.struct_size = sizeof(o->log.err);
	int rc = log_open(b->log, &o->log);
	if (rc < 0) {
		req->err = o->log.err;
		free(o);
	}
	return rc;
}

/* -- close ------------------------------------------------------------------------------------- */

static void close_end(struct mosaic_req *step)
{
	struct closing *c = step->data;
	struct mosaic_req *req = c->req;
	if (step->status != 0)
		LOG_ERROR(c->b->host, "broker_close_failed", "reason=\"%s\"",
			  c->b->log->why[0] ? c->b->log->why : status_text(step->status));
	req->status = step->status;
	free(c);
	req->done(req);
}

static void close_docs_saved(struct mosaic_req *step)
{
	struct closing *c = step->data;
	if (step->status != 0)
		LOG_ERROR(c->b->host, "documents_not_saved", "reason=\"%s\"",
			  status_text(step->status));
	step->done = close_end;
	int rc = log_close(c->b->log, step);
	if (rc < 0) {
		step->status = rc;
		close_end(step);
	}
}

static void close_durable(struct gate_wait *gate, enum gate_result result)
{
	struct closing *c = CONTAINER_OF(gate, struct closing, gate);
	struct mosaic_req *step = &c->step;
	(void)result; /* what could not be kept ends the close with an error at log_close */
	step->done = close_docs_saved;
	int rc = docs_flush(c->b->docs, step);
	if (rc < 0) {
		step->status = rc;
		close_docs_saved(step);
	}
}

/* Documents name offsets of the log: it is as durable as it promises before they are. */
static void close_unregistered(struct mosaic_req *step)
{
	struct closing *c = step->data;
	struct log *log = c->b->log;
	c->gate.done = close_durable;
	log_run_end(log);
	if (log->is_broken || gate_is_open(&log->gate, log->end))
		close_durable(&c->gate, GATE_KEPT);
	else
		gate_add(&log->gate, &c->gate, log->end);
}

int broker_close(struct broker *b, struct mosaic_req *req)
{
	struct closing *c = mem_alloc(sizeof(*c));
	c->b = b;
	c->req = req;
	c->step.data = c;
	c->step.done = close_unregistered;
	b->is_closing = true;
	sends_stop(b->sends);
	holds_stop(b->holds);
	schedule_stop(b->schedule);
	clients_stop(b->clients);
	stats_stop(b->stats);
	registrar_stop(b->registrar, &c->step);
	return 0;
}

/* -- events ------------------------------------------------------------------------------------ */

void broker_peer_closed(struct broker *b, struct peer *peer)
{
	holds_peer_closed(b->holds, peer);
	clients_peer_closed(b->clients, peer);
}

void broker_burst_end(struct broker *b)
{
	log_run_end(b->log);
	holds_burst_end(b->holds);
}
