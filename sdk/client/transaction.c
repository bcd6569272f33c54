/*
 * Happy path: half message sent -> run() of the caller -> commit or rollback told to the broker.
 *
 * Failure modes: the half message is not stored as promised: run() is not called, and what may be
 * there is rolled back; the commit is lost, or run() did not know: the broker asks (code 39), the
 * check thread calls options.check, and the answer goes back on the connection the question came
 * on; that connection is gone, or too many questions wait: dropped, the broker asks again.
 */
#include "base/mem.h"
#include "incoming.h"
#include "producer_priv.h"
#include "received.h"
#include "wire/codes.h"
#include "wire/props.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECKS_MAX 1024 /* that wait */
#define END_TIMEOUT_NS (3 * SECOND_NS)

/* What END_TRANSACTION says of a half message (EndTransactionRequestHeader, 5.3.3). */
struct half {
	int64_t table_offset, log_offset;
	char topic[256], message_id[64], transaction_id[64], broker[128];
	int32_t state; /* enum mosaic_transaction */
	bool is_checked;
	const char *tag, *keys; /* for the trace; borrowed, may be NULL */
};

static void put_end(const struct half *h, const char *group, struct header_writer *w)
{
	int32_t flag = h->state == MOSAIC_TRANSACTION_COMMIT	 ? SYS_TRANSACTION_COMMIT
		       : h->state == MOSAIC_TRANSACTION_ROLLBACK ? SYS_TRANSACTION_ROLLBACK
								 : 0;

	header_put_str(w, "topic", h->topic);
	header_put_str(w, "producerGroup", group);
	header_put_i64(w, "tranStateTableOffset", h->table_offset);
	header_put_i64(w, "commitLogOffset", h->log_offset);
	header_put_i64(w, "commitOrRollback", flag);
	header_put_bool(w, "fromTransactionCheck", h->is_checked);
	header_put_str(w, "msgId", h->message_id);
	header_put_str(w, "transactionId", h->transaction_id);
	header_put_str(w, "bname", h->broker);
}

static size_t end_room(const struct half *h, const char *group)
{
	return 9 * HEADER_FIELD_ROOM(24, 20) + 6 * (strlen(h->topic) + strlen(group) +
	       strlen(h->message_id) + strlen(h->transaction_id) + strlen(h->broker));
}

static void trace(const struct half *h, const struct mosaic_producer *p, const char *address)
{
	const struct trace_end end = { .topic = h->topic, .message_id = h->message_id,
				       .transaction_id = h->transaction_id, .tag = h->tag,
				       .keys = h->keys, .address = address, .state = h->state,
				       .is_checked = h->is_checked };

	if (p->sender.tracer != NULL)
		trace_ended(p->sender.tracer, p->group_name, &end);
}

/* ---- sending one ---- */

struct ending {
	struct client_task task;
	struct ask ask;
	struct half half;
	const struct mosaic_producer *producer;
};

static void fill_end(struct ask *a, struct header_writer *w)
{
	const struct ending *x = a->data;

	put_end(&x->half, x->producer->group_name, w);
}

static void told_end(struct ask *a)
{
	struct ending *x = a->data;

	client_task_end(&x->task, a->status);
}

static void begin_end(struct client_task *task)
{
	struct ending *x = CONTAINER_OF(task, struct ending, task);
	struct engine *e = &task->client->engine;
	struct broker *b = broker_find(e, x->half.broker);
	const char *address = b != NULL ? broker_address(b, 0) : NULL;

	if (address == NULL) {
		client_task_end(task, MOSAIC_E_NOTFOUND);
		return;
	}
	x->ask = (struct ask){ .code = REQ_END_TRANSACTION, .is_oneway = true, .fill = fill_end,
			       .done = told_end, .data = x,
			       .room = end_room(&x->half, x->producer->group_name) };
	trace(&x->half, x->producer, address);
	engine_ask(e, &x->ask, address, END_TIMEOUT_NS);
}

static bool half_of(const struct mosaic_send_result *r, const char *topic, struct half *out)
{
	struct host_address host;

	*out = (struct half){ .table_offset = r->queue_offset };
	if (message_offset_id_parse(slice_str(r->offset_id), &host, &out->log_offset) != 0)
		return false;
	snprintf(out->topic, sizeof(out->topic), "%s", topic);
	snprintf(out->message_id, sizeof(out->message_id), "%s", r->message_id);
	snprintf(out->transaction_id, sizeof(out->transaction_id), "%s",
		 r->transaction_id[0] != '\0' ? r->transaction_id : r->message_id);
	snprintf(out->broker, sizeof(out->broker), "%s", r->broker);
	return true;
}

int32_t mosaic_producer_send_transaction(struct mosaic_producer *p,
					 const struct mosaic_message *message,
					 mosaic_transaction_run run, void *data,
					 struct mosaic_send_result *result)
{
	const struct mosaic_property more[] = { { PROP_TRAN_MSG, "true" },
						{ "PGROUP", p->group_name } };
	const struct send_shape shape = { .more = more, .n_more = ARRAY_LEN(more),
					  .sys_flag = SYS_TRANSACTION_PREPARED };
	struct mosaic_send_result local;
	struct ending x = { .task = { .begin = begin_end }, .producer = p };

	if (run == NULL || p->check == NULL)
		return MOSAIC_E_INVAL;
	result = result != NULL ? result : &local;
	int rc = producer_send_wait(p, message, &shape, result);
	if (rc != 0)
		return rc;
	if (!half_of(result, message->topic, &x.half))
		return MOSAIC_E_CORRUPT;
	x.half.tag = message->tag;
	x.half.keys = message->keys;
	x.half.state = result->stored == MOSAIC_STORED ? run(data, message, result)
						       : MOSAIC_TRANSACTION_ROLLBACK;
	/* When it is lost the broker asks. */
	(void)client_task_run(p->client, &x.task);
	return 0;
}

/* ---- being asked ---- */

struct check {
	struct list link;
	struct mosaic_req req;
	struct ticket ticket; /* [core] */
	struct received *received;
	struct half half;
	struct mosaic_producer *producer;
};

struct check_thread {
	struct list link; /* [core] in the engine's list of checkers */
	struct mosaic_producer *producer;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct list checks;
	uint32_t n_checks;
	bool is_over;
};

static void check_free(struct check *c) /* [core] */
{
	ticket_drop(&c->ticket);
	received_free(c->received);
	free(c);
}

/* Back on the client's thread: on the connection the question came on. */
static void checked(struct mosaic_req *req)
{
	struct check *c = CONTAINER_OF(req, struct check, req);
	const char *group = c->producer->group_name;
	struct call_writer cw;

	if (call_begin(&cw, c->ticket.peer, REQ_END_TRANSACTION, true,
		       (uint32_t)(HEADER_ROOM + end_room(&c->half, group)), 0)) {
		put_end(&c->half, group, &cw.w);
		call_end_oneway(&cw, slice(NULL, 0));
		trace(&c->half, c->producer, c->ticket.peer->address.text);
	}
	check_free(c);
}

static void *run_checks(void *check_thread)
{
	struct check_thread *t = check_thread;
	struct mosaic_producer *p = t->producer;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (!t->is_over && list_empty(&t->checks))
			pthread_cond_wait(&t->changed, &t->lock);
		if (t->is_over)
			break;
		struct check *c = LIST_ENTRY(t->checks.next, struct check, link);
		list_remove(&c->link);
		t->n_checks--;
		pthread_mutex_unlock(&t->lock);
		c->half.state = p->options.check(p->options.check_data, &c->received->api);
		c->req.done = checked;
		host_loop_post(&p->client->loop, &c->req); /* the client outlives this thread */
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void put_check(struct check_thread *t, struct check *c)
{
	pthread_mutex_lock(&t->lock);
	bool is_full = t->n_checks >= CHECKS_MAX || t->is_over;
	if (!is_full) {
		list_add_tail(&t->checks, &c->link);
		t->n_checks++;
		pthread_cond_signal(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	if (is_full)
		check_free(c);
}

static void copy(char *out, size_t room, struct mosaic_slice text)
{
	snprintf(out, room, "%.*s", SLICE_ARG(text));
}

/* Everything the answer needs is in the question and its half message. */
static bool read_half(const struct request *req, const struct received *received, struct half *h)
{
	*h = (struct half){ .is_checked = true };
	if (header_i64(&req->header, "tranStateTableOffset", &h->table_offset) != 0 ||
	    header_i64(&req->header, "commitLogOffset", &h->log_offset) != 0)
		return false;
	copy(h->topic, sizeof(h->topic), header_str(&req->header, "topic"));
	copy(h->broker, sizeof(h->broker), header_str(&req->header, "bname"));
	copy(h->transaction_id, sizeof(h->transaction_id),
	     header_str(&req->header, "transactionId"));
	copy(h->message_id, sizeof(h->message_id), slice_str(received->api.message_id));
	h->tag = received->api.tag;
	h->keys = received->api.keys;
	return true;
}

static struct check_thread *checker_of(struct engine *e, struct mosaic_slice group)
{
	LIST_FOR(it, &e->checkers) {
		struct check_thread *t = LIST_ENTRY(it, struct check_thread, link);

		if (slice_is(group, t->producer->group_name))
			return t;
	}
	return NULL;
}

void incoming_check(void *service, struct request *req)
{
	struct engine *e = service;
	struct message m;
	uint32_t len;

	if (record_decode(req->body.ptr, req->body.len, false, &m, &len) != RECORD_MESSAGE)
		return; /* the broker asks again, and will not get an answer then either */
	struct check_thread *t = checker_of(e, props_find(m.props, "PGROUP"));
	struct check *c = t != NULL ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL)
		return;
	char broker[128];
	copy(broker, sizeof(broker), header_str(&req->header, "bname"));
	if (received_make(&m, broker, NULL, t->producer->sender.max_message, &c->received) != 0 ||
	    !read_half(req, c->received, &c->half)) {
		received_free(c->received);
		free(c);
		return;
	}
	c->producer = t->producer;
	c->ticket = ticket_keep(&req->ticket);
	put_check(t, c);
}

/* ---- open and close ---- */

static void begin_checking(struct client_task *task)
{
	struct check_thread *t = task->data;

	list_add_tail(&task->client->engine.checkers, &t->link);
	client_task_end(task, 0);
}

static void begin_no_more(struct client_task *task)
{
	struct check_thread *t = task->data;

	list_remove(&t->link);
	client_task_end(task, 0);
}

/* Runs behind all answers that the check thread has posted. */
static void begin_drop(struct client_task *task)
{
	struct check_thread *t = task->data;

	while (!list_empty(&t->checks)) {
		struct check *c = LIST_ENTRY(t->checks.next, struct check, link);
		list_remove(&c->link);
		check_free(c);
	}
	client_task_end(task, 0);
}

static int start_thread(struct check_thread *t)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&t->thread, NULL, run_checks, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

void check_close(struct mosaic_producer *p)
{
	struct check_thread *t = p->check;
	struct client_task no_more = { .begin = begin_no_more, .data = t };
	struct client_task drop = { .begin = begin_drop, .data = t };

	if (t == NULL)
		return;
	(void)client_task_run(p->client, &no_more);
	pthread_mutex_lock(&t->lock);
	t->is_over = true;
	pthread_cond_signal(&t->changed);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	(void)client_task_run(p->client, &drop);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
	p->check = NULL;
}

int check_open(struct mosaic_producer *p, struct mosaic_error *error)
{
	struct check_thread *t = mem_alloc(sizeof(*t));
	struct client_task begin = { .begin = begin_checking, .data = t };

	t->producer = p;
	list_init(&t->link);
	list_init(&t->checks);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	int os = start_thread(t);
	if (os != 0) {
		free(t);
		return err_set_os(error, MOSAIC_E_NOMEM, os, "cannot start the check thread");
	}
	p->check = t;
	int rc = client_task_run(p->client, &begin);
	if (rc == 0)
		return 0;
	check_close(p);
	return err_set(error, rc, "a producer is made off the client's thread, while it runs");
}
