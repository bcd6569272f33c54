/*
 * Reads of consume queues: from a chunk when one holds the whole range; else into a buffer, from
 * the file as far as it is written and from chunks beyond. The core thread reads a file only when
 * it is open and the page cache has it (RWF_NOWAIT); a host worker does the rest.
 */
#include "queue.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIN_CHUNK = 16, PIN_BUFFER = 17 };

struct cold_read {
	struct mosaic_work work; /* first */
	struct queue *queue;
	struct mosaic_read *read;
	struct queue_file *file; /* NULL: the worker opens it */
	int fd;
	uint64_t start;  /* of the file */
	uint32_t n_file; /* bytes that come from it */
	uint8_t *buffer;
};

static int32_t read_chunk(struct chunk *chunk, uint64_t offset, uint32_t len,
			  struct mosaic_read *read)
{
	chunk->refs++;
	read->offset = offset;
	read->ptr = chunk->bytes + (offset - chunk->start);
	read->len = len;
	read->pin[0] = (uint64_t)(uintptr_t)chunk;
	read->pin[1] = PIN_CHUNK;
	return 0;
}

static int32_t read_buffer(uint8_t *buffer, uint64_t offset, uint32_t len,
			   struct mosaic_read *read)
{
	read->offset = offset;
	read->ptr = buffer;
	read->len = len;
	read->pin[0] = (uint64_t)(uintptr_t)buffer;
	read->pin[1] = PIN_BUFFER;
	return 0;
}

/* What is not in a file yet: [at, at + len) lies in chunks. */
static void copy_chunks(const struct queue *q, uint64_t at, uint8_t *to, uint32_t len)
{
	for (const struct chunk *c = q->head; c && len > 0; c = c->next) {
		if (c->start + c->len <= at)
			continue;
		uint64_t part = c->start + c->len - at;
		part = part < len ? part : len;
		memcpy(to, c->bytes + (at - c->start), part);
		to += part;
		at += part;
		len -= (uint32_t)part;
	}
}

static void cold_run(struct mosaic_work *work)
{
	struct cold_read *cold = (struct cold_read *)work;
	struct mosaic_read *read = cold->read;
	int fd = cold->file ? cold->file->fd : -1;
	work->req.status = 0;
	if (fd < 0) {
		char path[QUEUE_PATH_BYTES];
		cqueue_path(path, cold->queue, cold->start);
		fd = cold->fd = io_open(cold->queue->base.store->dir_fd, path, O_RDWR);
	}
	int64_t n = fd < 0 ? fd
			   : io_pread(fd, cold->buffer, cold->n_file, read->offset - cold->start);
	if (n != cold->n_file)
		work->req.status = MOSAIC_E_IO;
}

static void cold_done(struct mosaic_req *req)
{
	struct cold_read *cold = (struct cold_read *)req;
	struct queue *q = cold->queue;
	struct mosaic_store *store = q->base.store;
	struct mosaic_read *read = cold->read;
	uint64_t size = store->options.queue_segment_bytes;
	int32_t status = req->status;
	if (cold->file)
		cqueue_file_unref(cold->file);
	else if (cold->fd >= 0 && !q->is_dropped && !q->cut && cold->start + size > q->begin)
		cqueue_file_keep(q, FILE_READ, cold->start, cold->fd);
	else if (cold->fd >= 0)
		close(cold->fd);
	if (q->is_dropped || read->offset + read->len > q->end)
		status = MOSAIC_E_CANCELED; /* cut while it was read */
	if (status != 0) {
		free(cold->buffer);
		read->ptr = NULL;
	}
	free(cold);
	cqueue_unref(q);
	store_done(store, &read->req, status);
}

static int32_t read_cold(struct queue *q, struct queue_file *file, uint64_t start,
			 uint32_t n_file, uint8_t *buffer, struct mosaic_read *read)
{
	struct mosaic_store *store = q->base.store;
	struct cold_read *cold = calloc(1, sizeof(*cold));
	int32_t rc = cold ? store_accept(store) : MOSAIC_E_NOMEM;
	if (rc < 0) {
		free(cold);
		return rc;
	}
	*cold = (struct cold_read){ .queue = q, .read = read, .file = file, .fd = -1,
				    .start = start, .n_file = n_file, .buffer = buffer };
	cold->work.run = cold_run;
	cold->work.req.done = cold_done;
	rc = store->host->work(store->host, &cold->work);
	if (rc < 0) {
		store->n_pending--;
		free(cold);
		return rc;
	}
	if (file)
		file->refs++;
	q->refs++;
	return MOSAIC_PENDING;
}

/* What the page cache has. Some file systems (tmpfs, overlayfs) know no RWF_NOWAIT: there is no way
 * to ask, and a cold read that comes again would find them cold for ever. */
static ssize_t read_cached(int fd, const struct iovec *iov, off_t at)
{
	ssize_t n = preadv2(fd, iov, 1, at, RWF_NOWAIT);
	return n < 0 && errno == EOPNOTSUPP ? preadv(fd, iov, 1, at) : n;
}

int32_t cqueue_read(struct queue *q, uint64_t offset, uint32_t len, struct mosaic_read *read)
{
	if (offset < q->begin || offset >= q->end)
		return MOSAIC_E_NOTFOUND;
	if (len == 0)
		return MOSAIC_E_INVAL;
	uint64_t size = q->base.store->options.queue_segment_bytes;
	uint64_t limit = offset - offset % size + size;
	limit = limit < q->end ? limit : q->end;
	len = limit - offset < len ? (uint32_t)(limit - offset) : len;
	struct chunk *chunk = q->head;
	while (chunk && chunk->start + chunk->len <= offset)
		chunk = chunk->next;
	if (chunk && chunk->start <= offset && chunk->start + chunk->len >= offset + len)
		return read_chunk(chunk, offset, len, read);

	uint8_t *buffer = malloc(len);
	if (!buffer)
		return MOSAIC_E_NOMEM;
	read_buffer(buffer, offset, len, read);
	/* Where memory begins: everything below is in the file. */
	uint64_t in_memory = q->head ? q->head->start : q->written;
	uint32_t n_file = in_memory <= offset ? 0
			  : in_memory - offset < len ? (uint32_t)(in_memory - offset) : len;
	copy_chunks(q, offset + n_file, buffer + n_file, len - n_file);
	if (n_file == 0)
		return 0;
	uint64_t start = offset - offset % size;
	struct queue_file *file = q->cut ? NULL : cqueue_file_find(q, start);
	struct iovec iov = { .iov_base = buffer, .iov_len = n_file };
	int32_t rc;
	if (file && read_cached(file->fd, &iov, (off_t)(offset - start)) == (ssize_t)n_file)
		rc = 0;
	else
		rc = read_cold(q, file, start, n_file, buffer, read);
	if (file)
		cqueue_file_unref(file);
	if (rc < 0)
		free(buffer);
	return rc;
}

void cqueue_unpin(struct mosaic_read *read)
{
	if (read->pin[1] == PIN_BUFFER)
		free((void *)(uintptr_t)read->pin[0]);
	else
		chunk_unref((struct chunk *)(uintptr_t)read->pin[0]);
}
