/*
 * The answer to a send, and the gate where it waits until its promise is kept.
 *
 *   send_refuse     RocketMQ's code and remark
 *   send_wait_gate  the answer waits, or leaves at once
 *   send_acked      the promise is kept, or cannot be: the answer
 */
#include "base/err.h"
#include "base/mem.h"
#include "broker/send_priv.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIQ_INLINE 64
#define WAITS_KEPT 4096 /* as many as producers have in flight in a good day: about 800 KiB */

static void put_region(struct reply *r)
{
	header_put(&r->w, PROP_MSG_REGION, slice(REGION, sizeof(REGION) - 1));
	header_put(&r->w, PROP_TRACE_ON, slice("true", 4));
}

void send_refuse(const struct ticket *to, int32_t code, const char *remark)
{
	struct reply r;
	if (!reply_begin(&r, to, code, REPLY_ROOM + (uint32_t)(6 * strlen(remark)), 0))
		return;
	put_region(&r);
	header_put_remark(&r.w, slice_str(remark));
	reply_end(&r);
}

static void send_answer(const struct broker *b, const struct ticket *to, int32_t code,
			const struct sent *sent)
{
	struct reply r;
	uint8_t id[MESSAGE_ID_MAX];
	struct mosaic_slice ids = sent->ids;
	if (to->oneway)
		return;
	if (!reply_begin(&r, to, code,
			 REPLY_ROOM + (uint32_t)ids.len + (uint32_t)(6 * sent->uniq.len), 0))
		return;
	if (ids.ptr == NULL)
		ids = slice(id, message_offset_id(id, &b->config.store_host, sent->phys_offset));
	header_put(&r.w, "msgId", ids);
	header_put_i64(&r.w, "queueId", sent->queue_id);
	header_put_i64(&r.w, "queueOffset", sent->queue_offset);
	if (sent->uniq.len > 0)
		header_put(&r.w, "transactionId", sent->uniq);
	put_region(&r);
	reply_end(&r);
}

/* SendMessageProcessor.diskUtil: all lie on one disk. */
static int32_t disk_full(const struct broker *b, char *remark, size_t cap)
{
	double used = b->log->retention.used_percent / 100.0;
	snprintf(remark, cap,
		 "service not available now. It may be caused by one of the following reasons: "
		 "the broker's disk is full [CL: %5.2f CQ: %5.2f INDEX: %5.2f], messages are put "
		 "to the slave, message store has been shut down, etc.", used, used, used);
	return RES_SERVICE_NOT_AVAILABLE;
}

int32_t sends_refusal(const struct broker *b, int error, char *remark, size_t cap)
{
	switch (error) {
	case MOSAIC_E_AGAIN:
		snprintf(remark, cap,
			 "[PC_SYNCHRONIZED]broker busy, start flow control for a while");
		return RES_SYSTEM_BUSY;
	case MOSAIC_E_LIMIT:
		snprintf(remark, cap,
			 "the message is illegal, maybe msg body or properties length not matched. "
			 "msg body length limit %uB, msg properties length limit 32KB.",
			 b->config.max_message_bytes);
		return RES_MESSAGE_ILLEGAL;
	case MOSAIC_E_NOTFOUND:
		snprintf(remark, cap, "the topic does not exist, or it has no such queue");
		return RES_TOPIC_NOT_EXIST;
	case MOSAIC_E_NOSPACE:
		if (b->log->retention.is_full)
			return disk_full(b, remark, cap);
		/* fallthrough */
	default:
		snprintf(remark, cap, "service not available now: %s",
			 b->log->why[0] ? b->log->why : status_text(error));
		return RES_SERVICE_NOT_AVAILABLE;
	}
}

void send_failed(const struct broker *b, const struct ticket *to, int error)
{
	char remark[640];
	int32_t code = sends_refusal(b, error, remark, sizeof(remark));
	send_refuse(to, code, remark);
}

/* -- at the gate ------------------------------------------------------------------------------ */

struct send_wait {
	struct gate_wait gate;
	struct sends *sends;
	struct send_wait *next_free;
	struct ticket to;
	int32_t queue_id;
	int64_t queue_offset;
	int64_t phys_offset;
	char *ids; /* batch: comma list of message ids; owned */
	uint32_t uniq_len;
	uint8_t uniq[UNIQ_INLINE];
};

static struct send_wait *wait_take(struct sends *s)
{
	struct send_wait *w = s->free_waits;
	if (w != NULL) {
		s->free_waits = w->next_free;
		s->n_free--;
		return w;
	}
	w = mem_alloc(sizeof(*w));
	w->sends = s;
	return w;
}

static uint64_t wait_weight(const struct send_wait *w)
{
	return sizeof(*w) + (w->ids != NULL ? strlen(w->ids) : 0);
}

bool send_gate_is_full(const struct sends *s)
{
	const struct broker_config *c = &s->broker->config;
	return s->n_waits >= c->max_waiting_acks || s->wait_bytes >= c->max_parked_bytes;
}

static void wait_give(struct sends *s, struct send_wait *w)
{
	s->n_waits--;
	s->wait_bytes -= wait_weight(w);
	ticket_drop(&w->to);
	free(w->ids);
	w->ids = NULL;
	if (s->n_free >= WAITS_KEPT) {
		free(w);
		return;
	}
	s->n_free++;
	w->next_free = s->free_waits;
	s->free_waits = w;
}

static void send_acked(struct gate_wait *gate, enum gate_result result)
{
	static const int32_t codes[] = {
		[GATE_KEPT] = RES_SUCCESS,
		[GATE_FLUSH_TIMEOUT] = RES_FLUSH_DISK_TIMEOUT,
		[GATE_SLAVE_TIMEOUT] = RES_FLUSH_SLAVE_TIMEOUT,
		[GATE_NO_SLAVE] = RES_SLAVE_NOT_AVAILABLE,
		/* The bytes were written and may or may not survive: unknown to the producer. */
		[GATE_BROKEN] = RES_FLUSH_DISK_TIMEOUT,
	};
	struct send_wait *w = CONTAINER_OF(gate, struct send_wait, gate);
	struct sent sent = { .queue_id = w->queue_id,
			     .queue_offset = w->queue_offset,
			     .phys_offset = w->phys_offset,
			     .uniq = slice(w->uniq, w->uniq_len),
			     .ids = slice_str(w->ids) };
	send_answer(w->sends->broker, &w->to, codes[result], &sent);
	wait_give(w->sends, w);
}

void send_wait_gate(struct sends *s, const struct send *send, const struct sent *sent,
		    uint64_t end)
{
	struct broker *b = s->broker;
	const struct ticket *to = &send->req->ticket;
	if (to->oneway)
		return;
	if (!send->waits || gate_is_open(&b->log->gate, end)) {
		send_answer(b, to, RES_SUCCESS, sent);
		return;
	}
	struct send_wait *w = wait_take(s);
	w->to = ticket_keep(to);
	w->queue_id = sent->queue_id;
	w->queue_offset = sent->queue_offset;
	w->phys_offset = sent->phys_offset;
	w->ids = sent->ids.ptr ? slice_dup(sent->ids) : NULL;
	w->uniq_len = sent->uniq.len <= UNIQ_INLINE ? (uint32_t)sent->uniq.len : 0;
	if (w->uniq_len > 0) /* a batch may have none */
		memcpy(w->uniq, sent->uniq.ptr, w->uniq_len);
	w->gate.done = send_acked;
	s->n_waits++;
	s->wait_bytes += wait_weight(w);
	gate_add(&b->log->gate, &w->gate, end);
}

void send_waits_free(struct sends *s)
{
	while (s->free_waits != NULL) {
		struct send_wait *w = s->free_waits;
		s->free_waits = w->next_free;
		free(w);
	}
}
