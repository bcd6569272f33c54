/*
 * One send, read top to bottom:
 *
 *   send_on_message    (send_check.c)  fields of the header
 *   send_check                         topic, permission, queue; unknown topics are made
 *   sends_await_topic  (send_wait.c)   a topic that was made is on disk before the first message
 *                                      is: what is acknowledged can be read after a crash
 *   send_props         (send_props.c)  properties as they will be stored
 *   send_append                        into the log (send_store.c, send_batch.c); a full log parks
 *                                      the request until there is room (send_wait.c)
 *   send_wait_gate     (send_answer.c) the answer waits until its promise is kept
 *   send_acked                         the answer
 *
 * Failure modes: a refused check answers with RocketMQ's code and remark; no room parks the request
 * (bounded) and runs it again; when too many answers wait at the gate, what would wait too is
 * answered 2; a broken log answers 14; a gate that cannot keep its promise answers 10, 11 or 12
 * with the full success header, which clients read as "stored, but".
 */
#include "base/err.h"
#include "base/mem.h"
#include "broker/send_priv.h"
#include "wire/codes.h"
#include <stdlib.h>
#include <string.h>

void send_message(const struct broker *b, const struct send *s, struct message *m)
{
	const struct mosaic_address *from = &s->req->ticket.peer->address;
	*m = (struct message){
		.topic = slice(s->to->name, s->to->name_len),
		.body = s->req->body,
		.queue_id = s->queue_id,
		.flag = s->flag,
		.sys_flag = s->sys_flag,
		.reconsume_times = s->reconsume_times,
		.born_ms = s->born_ms,
		.born_host = { .ip_len = from->ip_len, .port = from->port },
		.store_host = b->config.store_host,
	};
	memcpy(m->born_host.ip, from->ip, sizeof(m->born_host.ip));
}

/* False: there was no room, nothing was stored, the request is to be parked. */
static bool send_append_one(struct sends *sends, struct send *s, struct props_edit *edit)
{
	struct broker *b = sends->broker;
	struct message m;
	uint64_t end;
	if (delay_level(edit) == 0 && send_wants_timer(edit)) {
		send_refuse(&s->req->ticket, RES_SYSTEM_ERROR,
			    "accurate timer message is not enabled, timerWheelEnable is false");
		return true;
	}
	send_message(b, s, &m);
	int rc = sends_store(b, &m, edit, &end);
	if (rc == MOSAIC_E_AGAIN)
		return false;
	if (rc != 0) {
		send_failed(b, &s->req->ticket, rc);
		return true;
	}
	struct sent sent = { .queue_id = m.queue_id,
			     .queue_offset = m.queue_offset,
			     .phys_offset = m.phys_offset,
			     .uniq = s->uniq };
	/* A delayed message answers with the queue that the producer chose, as Apache does. */
	if (s->queue_id != m.queue_id)
		sent.queue_id = s->queue_id;
	send_wait_gate(sends, s, &sent, end);
	return true;
}

void send_run(struct sends *sends, const struct request *req, bool is_parked)
{
	struct broker *b = sends->broker;
	struct send s = { .req = req };
	struct props_edit edit;
	uint8_t uniq_room[32];

	const char *missing = send_parse(&s, &req->header);
	if (missing != NULL) {
		reply_missing(&req->ticket, missing);
		return;
	}
	if (req->body.len == 0) {
		send_refuse(&req->ticket, RES_SYSTEM_ERROR, "the message has no body");
		return;
	}
	if (!send_check(b, &s) || sends_await_topic(sends, s.to, req, send_on_message) ||
	    !send_props(sends, &s, &edit, uniq_room))
		return;
	int32_t code;
	const char *why = send_forbids(&s, &edit, &code);
	if (why != NULL) {
		send_refuse(&req->ticket, code, why);
		return;
	}
	if (s.waits && !req->ticket.oneway && UNLIKELY(send_gate_is_full(sends))) {
		send_refuse(&req->ticket, RES_SYSTEM_BUSY,
			    "[SYNC_BUSY]broker busy, start flow control for a while: too many "
			    "messages wait for the disk or the slaves (maxWaitingAcks)");
		return;
	}
	bool done;
	if (s.batch) {
		done = send_append_batch(sends, &s, &edit);
	} else if (req->body.len > b->config.max_message_bytes) {
		send_failed(b, &req->ticket, MOSAIC_E_LIMIT);
		return;
	} else {
		done = send_append_one(sends, &s, &edit);
	}
	if (!done && is_parked)
		sends_ask_room(sends);
	else if (!done)
		send_park(sends, req);
}

void send_on_message(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct sends *s = b->sends;
	/* What came later must not overtake what is parked: queues are FIFO per producer. */
	if (!list_empty(&s->parked))
		send_park(s, req);
	else
		send_run(s, req, false);
}

/* -- life ------------------------------------------------------------------------------------ */

struct sends *sends_create(struct broker *b)
{
	struct sends *s = mem_alloc(sizeof(*s));
	s->broker = b;
	list_init(&s->parked);
	list_init(&s->early);
	return s;
}

void sends_destroy(struct sends *s)
{
	if (s == NULL)
		return;
	send_waits_free(s);
	buf_free(&s->props);
	buf_free(&s->batch_props);
	buf_free(&s->ids);
	free(s);
}
