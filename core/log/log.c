/*
 * Opening and closing.
 *
 *   log_open   recover.c: store, checkpoint, queues, scan, truncate; then the flush plugin
 *   log_close  flush plugin (syncs what is left) -> the gate breaks for who still waits
 *              -> checkpoint.c: queues synced, document saved -> store
 */
#include "base/err.h"
#include "base/mem.h"
#include "log/log_priv.h"
#include <stdio.h>
#include <stdlib.h>

#define GATE_TIMEOUT_NS (5 * SECOND_NS)

struct log *log_create(const struct log_config *config)
{
	struct log *log = mem_alloc(sizeof(*log));
	log->config = *config;
	log->host = config->host;
	log->last_unit_phys = UINT64_MAX;
	log->priv = mem_alloc(sizeof(*log->priv));
	log->priv->room_tail = &log->priv->room_first;
	checkpoint_init(&log->priv->checkpoint, log);
	gate_init(&log->gate, log->host, config->flush_ops && config->flush_gates,
		  config->repl_ops && config->repl_gates,
		  config->gate_timeout_ns ? config->gate_timeout_ns : GATE_TIMEOUT_NS);
	log->index = index_create(log, &config->index);
	retention_init(&log->retention, log, &config->retention);
	return log;
}

int log_open(struct log *log, struct log_open_req *req)
{
	if (log->is_open || log->priv->recovery || log->is_broken)
		return MOSAIC_E_INVAL;
	return recovery_start(log, req);
}

void log_destroy(struct log *log)
{
	ASSERT(!log->is_open && !log->priv->recovery && !log->priv->close_req);
	struct map_entry *entry;
	for (uint32_t pos = 0; (entry = map_next(&log->queues, &pos)) != NULL;)
		queue_destroy(entry->value);
	map_free(&log->queues);
	while (log->priv->dropped) {
		struct queue *q = log->priv->dropped;
		log->priv->dropped = q->next_dropped;
		queue_destroy(q);
	}
	retention_fini(&log->retention);
	index_destroy(log->index);
	gate_fini(&log->gate);
	free(log->priv);
	free(log);
}

/* ---- closing ---- */

static void store_closed(struct mosaic_req *req)
{
	struct log *log = req->data;
	struct mosaic_req *close_req = log->priv->close_req;
	log->priv->close_req = NULL;
	if (log->priv->close_status == 0)
		log->priv->close_status = req->status;
	close_req->status = log->priv->close_status;
	close_req->done(close_req);
}

static void checkpoint_closed(struct log *log)
{
	struct mosaic_req *step = &log->priv->step;
	*step = (struct mosaic_req){ .done = store_closed, .data = log };
	int rc = log->config.store_ops->close(log->config.store, step);
	if (rc < 0) {
		step->status = rc;
		log->host->post(log->host, step);
	}
}

static void index_closed(struct log *log)
{
	checkpoint_close(&log->priv->checkpoint, checkpoint_closed);
}

static void flush_closed(struct mosaic_req *req)
{
	struct log *log = req->data;
	log->priv->close_status = req->status;
	/* Those whose bytes became durable were answered by the watermark. */
	gate_break(&log->gate);
	if (log->index)
		index_close(log->index, index_closed);
	else
		index_closed(log);
}

int log_close(struct log *log, struct mosaic_req *req)
{
	if (!log->is_open)
		return MOSAIC_E_INVAL;
	log->is_open = false;
	log->priv->close_req = req;
	retention_stop(&log->retention);
	log_tell_room(log);
	struct mosaic_req *step = &log->priv->step;
	*step = (struct mosaic_req){ .done = flush_closed, .data = log };
	int rc = MOSAIC_OK;
	if (log->config.flush_ops)
		rc = log->config.flush_ops->close(log->config.flush, step);
	if (!log->config.flush_ops || rc < 0) {
		step->status = rc;
		log->host->post(log->host, step);
	}
	return MOSAIC_PENDING;
}

/* ---- what plugins publish ---- */

void log_watermark(struct log *log, uint32_t which, uint64_t upto)
{
	/* Not yet open: the end is not known, and whoever publishes is only beginning. */
	if (log->priv->recovery || log->is_broken)
		return;
	if (which == MOSAIC_DURABLE && upto > log->durable) {
		log->durable = upto;
		gate_set_durable(&log->gate, upto);
	} else if (which == MOSAIC_ACKABLE) {
		gate_set_ackable(&log->gate, upto);
	}
	/* MOSAIC_VISIBLE: no plugin holds it back; consumers read up to the log's end. */
}

void log_promise(struct log *log, uint32_t which, uint32_t state)
{
	if (which == MOSAIC_ACKABLE)
		gate_set_repl_promise(&log->gate, state);
}

void log_fail(struct log *log, const struct mosaic_error *err)
{
	if (log->is_broken)
		return;
	log->is_broken = true;
	snprintf(log->why, sizeof(log->why), "%s", err->text);
	LOG_ERROR(log->host, "log_failed", "code=%s reason=\"%s\"", status_name(err->code),
		  log->why);
	gate_break(&log->gate);
	log_tell_room(log);
}

/* ---- reading ---- */

int log_read(struct log *log, uint64_t offset, uint32_t len, struct mosaic_read *read)
{
	if (!log->commit_log || offset >= log->end)
		return MOSAIC_E_NOTFOUND;
	int rc = log->config.store_ops->read(log->commit_log, offset, len, read);
	if (rc == MOSAIC_PENDING)
		log->unproven = log->end;
	return rc;
}

void log_unpin(struct log *log, struct mosaic_read *read)
{
	log->config.store_ops->unpin(log->commit_log, read);
}

/* ---- documents ---- */

int log_doc_load(struct log *log, struct mosaic_doc *doc)
{
	return log->config.store_ops->doc_load(log->config.store, doc);
}

void log_doc_release(struct log *log, struct mosaic_doc *doc)
{
	log->config.store_ops->doc_release(log->config.store, doc);
}

int log_doc_save(struct log *log, struct mosaic_doc *doc)
{
	return log->config.store_ops->doc_save(log->config.store, doc);
}
