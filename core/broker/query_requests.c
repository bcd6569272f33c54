/*
 * Requests for messages by key, 12, and by offset, 33 (QueryMessageProcessor, 5.3.3):
 *
 *   query_on_key -> the index finds offsets -> by_key_found -> their records one by one,
 *   by_key_next -> by_key_answer
 *
 * Records are given as they lie in the commit log. Whether a record has the key and not only its
 * hash is for the client to see, as with Apache's broker. Failure modes: nothing found is 22; a
 * record that is gone is left out.
 */
#include "broker/query_requests.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "log/record_read.h"
#include "wire/codes.h"
#include "wire/frame.h"
#include <inttypes.h>
#include <stdlib.h>

#define UNIQUE_KEY_MAX 32 /* defaultQueryMaxNum */
/* What fits into a frame beside the header. */
#define BODY_MAX (FRAME_MAX - 64 * 1024)

/* ---- 12 QUERY_MESSAGE -------------------------------------------------------------------- */

struct by_key {
	struct broker *broker;
	struct ticket ticket;
	struct index_query query;
	struct record_read record;
	uint32_t at; /* in the offsets of the query */
	struct buf body;
};

static void by_key_answer(struct by_key *k)
{
	static const char not_found[] = "can not find message, maybe time range not correct";
	bool is_found = k->body.len > 0;
	struct reply r;

	if (reply_begin(&r, &k->ticket, is_found ? RES_SUCCESS : RES_QUERY_NOT_FOUND, REPLY_ROOM,
			(uint32_t)k->body.len)) {
		header_put_i64(&r.w, "indexLastUpdateTimestamp", k->query.last_ms);
		header_put_i64(&r.w, "indexLastUpdatePhyoffset", k->query.last_phys);
		if (!is_found)
			header_put_remark(&r.w, slice_str(not_found));
		reply_end_copy(&r, buf_slice(&k->body));
	}
	buf_free(&k->body);
	ticket_drop(&k->ticket);
	free(k);
}

static void by_key_take(struct by_key *k)
{
	if (k->body.len + k->record.len <= BODY_MAX)
		buf_append(&k->body, k->record.read.ptr, k->record.len);
	record_unpin(&k->record);
}

static void by_key_next(struct by_key *k)
{
	while (k->at < k->query.n) {
		int rc = record_read(k->broker->log, k->query.phys_offsets[k->at], &k->record);
		if (rc == MOSAIC_PENDING)
			return;
		if (rc == 0)
			by_key_take(k);
		k->at++;
	}
	by_key_answer(k);
}

static void by_key_read(struct record_read *record)
{
	struct by_key *k = record->data;

	if (record->status == 0)
		by_key_take(k);
	k->at++;
	by_key_next(k);
}

static int compare_offsets(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void by_key_found(struct mosaic_req *req)
{
	struct by_key *k = req->data;

	if (req->status < 0)
		LOG_WARN(k->broker->host, "query_failed", "status=%d", req->status);
	if (k->query.n == 0) /* as DefaultMessageStore.queryMessage: it has not looked so far */
		k->query.last_ms = k->query.last_phys = 0;
	qsort(k->query.phys_offsets, k->query.n, sizeof(k->query.phys_offsets[0]),
	      compare_offsets);
	by_key_next(k);
}

void query_on_key(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct header *h = &req->header;
	int64_t begin_ms, end_ms;
	int32_t max;
	const char *missing = !header_find(h, "topic") ? "topic" :
			      !header_find(h, "key") ? "key" :
			      header_i32(h, "maxNum", &max) != 0 ? "maxNum" :
			      header_i64(h, "beginTimestamp", &begin_ms) != 0 ? "beginTimestamp" :
			      header_i64(h, "endTimestamp", &end_ms) != 0 ? "endTimestamp" : NULL;

	if (missing) {
		reply_missing(&req->ticket, missing);
		return;
	}
	if (slice_is(header_str(h, "_UNIQUE_KEY_QUERY"), "true"))
		max = UNIQUE_KEY_MAX;
	struct by_key *k = mem_alloc(sizeof(*k));
	k->broker = b;
	k->ticket = ticket_keep(&req->ticket);
	k->record.done = by_key_read;
	k->record.data = k;
	k->query.req = (struct mosaic_req){ .done = by_key_found, .data = k };
	k->query.hash = index_key_hash(index_topic_hash(header_str(h, "topic")),
				       header_str(h, "key"));
	k->query.begin_ms = begin_ms;
	k->query.end_ms = end_ms;
	k->query.max = max > 0 ? (uint32_t)max : 0;
	int rc = index_query(b->log->index, &k->query);
	if (rc == MOSAIC_PENDING)
		return;
	k->query.req.status = rc;
	by_key_found(&k->query.req);
}

/* ---- 33 VIEW_MESSAGE_BY_ID --------------------------------------------------------------- */

struct by_offset {
	struct ticket ticket;
	struct record_read record;
	int64_t offset;
};

static void by_offset_read(struct record_read *record)
{
	struct by_offset *o = record->data;

	if (record->status == 0) {
		reply_body(&o->ticket, RES_SUCCESS, slice(record->read.ptr, record->len));
		record_unpin(record);
	} else {
		reply_remark(&o->ticket, RES_SYSTEM_ERROR,
			     "can not find message by the offset, %" PRId64, o->offset);
	}
	ticket_drop(&o->ticket);
	free(o);
}

void query_on_offset(void *broker, struct request *req)
{
	struct broker *b = broker;
	int64_t offset;

	if (header_i64(&req->header, "offset", &offset) != 0) {
		reply_missing(&req->ticket, "offset");
		return;
	}
	struct by_offset *o = mem_alloc(sizeof(*o));
	o->ticket = ticket_keep(&req->ticket);
	o->offset = offset;
	o->record.done = by_offset_read;
	o->record.data = o;
	int rc = offset < 0 ? MOSAIC_E_NOTFOUND
			    : record_read(b->log, (uint64_t)offset, &o->record);
	if (rc == MOSAIC_PENDING)
		return;
	o->record.status = rc;
	by_offset_read(&o->record);
}
