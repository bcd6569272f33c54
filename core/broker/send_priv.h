/*
 * What the files of sending share: send.c (the line), send_check.c, send_props.c, send_store.c,
 * send_batch.c, send_answer.c, send_wait.c. What the rest of the broker sees is in sends.h.
 * All [core].
 */
#ifndef BROKER_SEND_PRIV_H
#define BROKER_SEND_PRIV_H

#include "base/list.h"
#include "broker/sends.h"
#include "broker/topics.h"

#define REGION "DefaultRegion"

struct send_wait;

struct sends {
	struct broker *broker;
	struct send_wait *free_waits; /* send_answer.c */
	uint32_t n_waits, n_free;     /* answers at the gate, and storage that is kept for more */
	uint64_t wait_bytes;          /* of those at the gate */
	struct list parked;           /* send_wait.c: until the log has room */
	struct list early;            /* until their topic is saved */
	uint32_t n_parked;            /* of both */
	uint64_t parked_bytes;
	struct mosaic_req room, topics_saved;
	uint64_t saving_change, saved_change; /* topics.n_changes that the file will have, has */
	bool waits_for_room, waits_for_topics;
	struct buf props; /* scratch: properties of the message being stored */
	struct buf batch_props, ids;
	uint32_t uniq_counter;
};

/* What a send asked for. */
struct send {
	const struct request *req;
	struct mosaic_slice group, topic, default_topic, props;
	int32_t default_queues, queue_id, sys_flag, flag, reconsume_times, max_reconsume;
	int64_t born_ms;
	bool batch, waits, has_max_reconsume, is_unit;
	const char *no_default; /* what is missing for making the topic */
	struct topic *to;
	struct mosaic_slice uniq;
};

/* What the answer says. */
struct sent {
	int32_t queue_id;
	int64_t queue_offset, phys_offset;
	struct mosaic_slice uniq, ids; /* ids: only for batches */
};

/* -- send.c ---------------------------------------------------------------------------------- */

/* is_parked: it ran before and stays where it is while there is no room. */
void send_run(struct sends *sends, const struct request *req, bool is_parked);
/* The message that a request asks for; a batch replaces body, flag and properties. */
void send_message(const struct broker *b, const struct send *s, struct message *m);

/* -- send_check.c ---------------------------------------------------------------------------- */

/* NULL, or the name of a field that is required and missing, or that is there and no number. */
const char *send_parse(struct send *s, const struct header *h);
/* Topic, permission and queue; unknown topics are made. False: answered with a refusal. */
bool send_check(struct broker *b, struct send *s);

/* -- send_props.c ---------------------------------------------------------------------------- */

/* The client's properties and those that the broker adds. False: answered with a refusal. */
bool send_props(struct sends *sends, struct send *s, struct props_edit *edit,
		uint8_t uniq_room[32]);
/* NULL, or why the message may not be stored, with the code of the answer. */
const char *send_forbids(const struct send *s, const struct props_edit *edit, int32_t *code);
/* True when a property asks for a delivery time that only the timer wheel could keep. */
bool send_wants_timer(const struct props_edit *edit);
/* 0: none. */
int32_t delay_level(const struct props_edit *edit);

/* -- send_batch.c ---------------------------------------------------------------------------- */

/* False: no room before the first record. Later the batch stops short and the producer is told to
 * come again: records may then be there twice, never not at all. */
bool send_append_batch(struct sends *sends, struct send *s, struct props_edit *edit);

/* -- send_answer.c --------------------------------------------------------------------------- */

void send_refuse(const struct ticket *to, int32_t code, const char *remark);
#define SEND_REFUSE(to, code, ...)                                                                \
	do {                                                                                      \
		char remark_[512];                                                                \
		snprintf(remark_, sizeof(remark_), __VA_ARGS__);                                  \
		send_refuse(to, code, remark_);                                                   \
	} while (0)
/* The refusal of a send that the log did not take. */
void send_failed(const struct broker *b, const struct ticket *to, int error);
/* No more answers may wait at the gate: the disk or the slaves do not keep up. */
bool send_gate_is_full(const struct sends *s);
/* Answers, now or when everything below `end` is as safe as this broker promises. */
void send_wait_gate(struct sends *s, const struct send *send, const struct sent *sent,
		    uint64_t end);
void send_waits_free(struct sends *s);

/* -- send_wait.c ----------------------------------------------------------------------------- */

void send_park(struct sends *s, const struct request *req);
/* Runs what is parked when the log has room. */
void sends_ask_room(struct sends *s);

#endif
