/*
 * Appending: room for the unit, room for the record, encode, commit both. Both rooms are lent
 * before either is committed, so that E_AGAIN leaves nothing behind but, at most, the blank
 * record that ends a segment.
 */
#include "base/bytes.h"
#include "log/delay.h"
#include "log/log_priv.h"
#include "wire/props.h"

int64_t record_peek_store_ms(const uint8_t *record)
{
	/* 40 bytes up to sysFlag's end, 8 born time, born host, then the store time. */
	uint32_t host = get_be32(record + RECORD_AT_SYS_FLAG) & SYS_BORN_HOST_V6 ? 20 : 8;
	return (int64_t)get_be64(record + 48 + host);
}

int64_t queue_tags_code(const struct queue *q, const struct message *m)
{
	if (UNLIKELY(q->is_delay))
		return m->store_ms + delay_level_ms((int64_t)q->queue_id + 1);
	struct mosaic_slice tags = m->has_tags ? m->tags : props_find(m->props, PROP_TAGS);
	return tags.len ? message_tags_code(tags) : 0;
}

/* Remembers which stream is full, for log_wait_room. */
static int no_room(struct log *log, struct mosaic_stream *stream, int rc)
{
	log->priv->full = stream;
	log->is_out_of_space = rc == MOSAIC_E_NOSPACE;
	return rc == MOSAIC_E_AGAIN || rc == MOSAIC_E_NOSPACE ? rc : MOSAIC_E_FATAL;
}

/* Ends the segment with a blank record over all that is left of it (CommitLog of 5.3.3). */
static int pad_segment(struct log *log, uint32_t left)
{
	const struct mosaic_store_ops *ops = log->config.store_ops;
	struct mosaic_span room;
	int rc = ops->reserve(log->commit_log, left, &room);
	if (rc != 0)
		return rc;
	memset(room.ptr, 0, left);
	if (left >= RECORD_BLANK_BYTES) {
		put_be32(room.ptr, left);
		put_be32(room.ptr + 4, RECORD_MAGIC_BLANK);
	}
	ops->commit(log->commit_log, left);
	log->end += left;
	return 0;
}

/* A record leaves at least the 8 bytes of a blank record behind it in its segment. */
static int reserve_record(struct log *log, uint32_t len, struct mosaic_span *room)
{
	uint64_t left = log->segment_bytes - log->end % log->segment_bytes;
	if (UNLIKELY(left < (uint64_t)len + RECORD_BLANK_BYTES)) {
		int rc = pad_segment(log, (uint32_t)left);
		if (rc != 0)
			return rc;
	}
	return log->config.store_ops->reserve(log->commit_log, len + RECORD_BLANK_BYTES, room);
}

static void commit_unit(struct queue *q, const struct mosaic_span *room, const struct message *m,
			uint32_t len, int64_t tags_code)
{
	struct log *log = q->log;
	struct queue_unit unit = { (uint64_t)m->phys_offset, len, tags_code };
	queue_unit_encode(room->ptr, &unit);
	log->config.store_ops->commit(q->stream, QUEUE_UNIT_BYTES);
	q->max_offset++;
	log->n_units++;
	q->max_phys = log->end;
	q->visible = q->max_offset;
	log->last_unit_phys = unit.phys_offset;
	log->last_unit_ms = m->store_ms;
}

int log_append(struct log *log, struct queue *queue, struct message *m, uint64_t *end)
{
	const struct mosaic_store_ops *ops = log->config.store_ops;
	if (UNLIKELY(!log->is_open || log->is_broken))
		return MOSAIC_E_FATAL;
	if (UNLIKELY(log->retention.is_full))
		return MOSAIC_E_NOSPACE;
	uint32_t len = record_len(m);
	if (UNLIKELY(len == 0 || len > log->config.max_record_bytes ||
		     (uint64_t)len + RECORD_BLANK_BYTES > log->segment_bytes))
		return MOSAIC_E_LIMIT;
	ASSERT(m->topic.len == queue->topic_len);

	struct mosaic_span unit = { 0 }, room;
	bool has_unit = record_has_unit(m->sys_flag);
	int rc = has_unit ? ops->reserve(queue->stream, QUEUE_UNIT_BYTES, &unit) : 0;
	if (UNLIKELY(rc != 0))
		return no_room(log, queue->stream, rc);
	rc = reserve_record(log, len, &room);
	if (UNLIKELY(rc != 0))
		return no_room(log, log->commit_log, rc);

	int64_t now_ms = (int64_t)host_wall_ms(log->host);
	log->last_store_ms = now_ms > log->last_store_ms ? now_ms : log->last_store_ms;
	m->store_ms = log->last_store_ms;
	m->queue_id = queue->queue_id;
	m->queue_offset = has_unit ? queue->max_offset : 0;
	m->phys_offset = (int64_t)log->end;
	record_encode(room.ptr, len, m);
	ops->commit(log->commit_log, len);
	log->end += len;
	log->visible = log->end;
	log->is_out_of_space = false;
	log->stats.records++;
	log->stats.bytes += len;
	*end = log->end;

	if (log->index)
		index_append(log->index, queue->key_hash, m, log->end);
	if (has_unit) {
		int64_t tags_code = queue_tags_code(queue, m);
		commit_unit(queue, &unit, m, len, tags_code);
		if (log->arrived)
			log->arrived(log->arrived_ctx, queue, queue->max_offset, tags_code, m);
	}
	return 0;
}

void log_run_end(struct log *log)
{
	if (log->end == log->told_end || !log->is_open)
		return;
	log->told_end = log->end;
	if (log->config.flush_ops)
		log->config.flush_ops->appended(log->config.flush, log->end);
	if (log->config.repl_ops)
		log->config.repl_ops->appended(log->config.repl, log->end);
	checkpoint_grown(&log->priv->checkpoint);
}

/* ---- waiting for room ---- */

static void room_told(struct mosaic_req *req)
{
	struct log *log = req->data;
	log->priv->asked_for_room = false;
	log_tell_room(log);
}

void log_tell_room(struct log *log)
{
	struct log_private *priv = log->priv;
	struct mosaic_req *req = priv->room_first;
	priv->room_first = NULL;
	priv->room_tail = &priv->room_first;
	while (req) {
		struct mosaic_req *next = req->next;
		req->status = 0;
		log->host->post(log->host, req);
		req = next;
	}
}

void log_wait_room(struct log *log, struct mosaic_req *req)
{
	struct log_private *priv = log->priv;
	req->next = NULL;
	*priv->room_tail = req;
	priv->room_tail = &req->next;
	if (priv->asked_for_room && !log->is_broken)
		return;
	priv->room = (struct mosaic_req){ .done = room_told, .data = log };
	int rc = priv->full && log->is_open && !log->is_broken
			 ? log->config.store_ops->room(priv->full, &priv->room)
			 : MOSAIC_E_CLOSED;
	if (rc < 0)
		log_tell_room(log); /* trying again says what is wrong */
	else
		priv->asked_for_room = true;
}
