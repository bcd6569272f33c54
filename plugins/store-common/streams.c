/*
 * Which operation goes to the commit log's engine, which to a consume queue and which to a file of
 * the index.
 */
#include "ifile.h"
#include "queue.h"

static bool is_log(const struct mosaic_stream *stream)
{
	return stream->name.kind == MOSAIC_COMMIT_LOG;
}

static bool is_index(const struct mosaic_stream *stream)
{
	return stream->name.kind == MOSAIC_INDEX;
}

static const struct log_engine *engine_of(const struct mosaic_stream *stream)
{
	return stream->store->engine;
}

static struct commit_log *log_of(struct mosaic_stream *stream)
{
	return (struct commit_log *)stream; /* its first member */
}

int32_t store_stream_at(struct mosaic_store *store, uint32_t index,
			struct mosaic_stream_name *name)
{
	uint32_t n_logs = store->log && !store->engine->is_empty(store->log);
	if (index < n_logs) {
		*name = (struct mosaic_stream_name){ .kind = MOSAIC_COMMIT_LOG };
		return 0;
	}
	index -= n_logs;
	uint32_t n_queues = store->names.n;
	if (index >= n_queues + store->indexes.n)
		return MOSAIC_E_NOTFOUND;
	const struct name *entry = index < n_queues ? store->names.by_index[index]
						    : store->indexes.by_index[index - n_queues];
	*name = (struct mosaic_stream_name){ .kind = entry->kind,
					     .queue_id = entry->queue_id,
					     .topic = entry->topic };
	return 0;
}

int32_t store_stream_open(struct mosaic_store *store, const struct mosaic_stream_name *name,
			  struct mosaic_stream **out)
{
	int32_t rc = store_state(store);
	if (rc != 0)
		return rc;
	if (name->kind == MOSAIC_COMMIT_LOG) {
		*out = (struct mosaic_stream *)store->log;
		if (store->engine->is_empty(store->log)) /* nothing to find the end of */
			store->engine->prepare(store->log);
		return 0;
	}
	if (name->kind == MOSAIC_INDEX)
		return ifile_open(store, name, out);
	struct queue *q = NULL;
	rc = name->kind == MOSAIC_CONSUME_QUEUE ? cqueue_open(store, name, &q) : MOSAIC_E_INVAL;
	*out = rc == 0 ? &q->base : NULL;
	return rc;
}

void store_stream_info(struct mosaic_stream *stream, struct mosaic_stream_info *info)
{
	const struct queue *q = cqueue_of(stream);
	if (is_log(stream)) {
		engine_of(stream)->info(log_of(stream), info);
		return;
	}
	if (is_index(stream)) {
		ifile_info(ifile_of(stream), info);
		return;
	}
	info->begin = q->begin;
	info->end = q->end;
	info->segment_bytes = stream->store->options.queue_segment_bytes;
}

int32_t store_stream_drop(struct mosaic_stream *stream, struct mosaic_req *req)
{
	if (is_index(stream))
		return ifile_drop(ifile_of(stream), req);
	return is_log(stream) ? MOSAIC_E_UNSUPPORTED : cqueue_drop(cqueue_of(stream), req);
}

int32_t store_reserve(struct mosaic_stream *stream, uint32_t max_len, struct mosaic_span *room)
{
	return is_log(stream) ? engine_of(stream)->reserve(log_of(stream), max_len, room)
			      : cqueue_reserve(cqueue_of(stream), max_len, room);
}

void store_commit(struct mosaic_stream *stream, uint32_t len)
{
	if (is_log(stream))
		engine_of(stream)->commit(log_of(stream), len);
	else
		cqueue_commit(cqueue_of(stream), len);
}

int32_t store_room(struct mosaic_stream *stream, struct mosaic_req *req)
{
	return is_log(stream) ? engine_of(stream)->room(log_of(stream), req)
			      : cqueue_room(cqueue_of(stream), req);
}

int32_t store_start_at(struct mosaic_stream *stream, uint64_t offset)
{
	return is_log(stream) ? engine_of(stream)->start_at(log_of(stream), offset)
			      : cqueue_start_at(cqueue_of(stream), offset);
}

int32_t store_read(struct mosaic_stream *stream, uint64_t offset, uint32_t len,
		   struct mosaic_read *read)
{
	if (is_index(stream))
		return ifile_read(ifile_of(stream), offset, len, read);
	return is_log(stream) ? engine_of(stream)->read(log_of(stream), offset, len, read)
			      : cqueue_read(cqueue_of(stream), offset, len, read);
}

/* The stream may have been dropped meanwhile: the pin says what it is. */
void store_unpin(struct mosaic_stream *stream, struct mosaic_read *read)
{
	if (read->pin[1] == MOSAIC_COMMIT_LOG)
		stream->store->engine->unpin(read);
	else if (read->pin[1] == MOSAIC_INDEX)
		ifile_unpin(read);
	else
		cqueue_unpin(read);
	read->ptr = NULL;
}

int32_t store_sync(struct mosaic_stream *stream, struct mosaic_sync *req)
{
	if (is_log(stream))
		return engine_of(stream)->sync(log_of(stream), req);
	if (is_index(stream))
		return ifile_sync(ifile_of(stream), req);
	const struct queue *q = cqueue_of(stream);
	if (req->upto > q->end)
		return MOSAIC_E_INVAL;
	req->upto = q->end; /* all of it, as it is now */
	return cqueue_sync(stream->store, cqueue_of(stream), &req->req);
}

int32_t store_sync_queues(struct mosaic_store *store, struct mosaic_req *req)
{
	return cqueue_sync(store, NULL, req);
}

int32_t store_truncate(struct mosaic_stream *stream, uint64_t to, struct mosaic_req *req)
{
	if (is_index(stream))
		return ifile_truncate(ifile_of(stream), to, req);
	return is_log(stream) ? engine_of(stream)->truncate(log_of(stream), to, req)
			      : cqueue_truncate(cqueue_of(stream), to, req);
}

int32_t store_write(struct mosaic_stream *stream, struct mosaic_write *write)
{
	return is_index(stream) ? ifile_write(ifile_of(stream), write) : MOSAIC_E_UNSUPPORTED;
}

int32_t store_trim(struct mosaic_stream *stream, uint64_t below, struct mosaic_req *req)
{
	return is_log(stream) ? engine_of(stream)->trim(log_of(stream), below, req)
			      : cqueue_trim(cqueue_of(stream), below, req);
}

void store_distrust(struct mosaic_stream *stream, uint64_t from)
{
	if (is_log(stream))
		engine_of(stream)->distrust(log_of(stream), from);
	else if (!is_index(stream))
		cqueue_distrust(cqueue_of(stream), from);
}
