/*
 * Open files of consume queues: at most two of a queue, one that is written and one that is read,
 * and a bounded number of the store; the one that was used longest ago is closed first.
 */
#include "queue.h"

#include <stdlib.h>
#include <unistd.h>

#define STALE UINT64_MAX /* start of a file that is gone; closed with its last reference */

static void file_unlink_lru(struct mosaic_store *store, struct queue_file *file)
{
	*(file->newer ? &file->newer->older : &store->lru_new) = file->older;
	*(file->older ? &file->older->newer : &store->lru_old) = file->newer;
}

static void file_use(struct mosaic_store *store, struct queue_file *file)
{
	file->newer = NULL;
	file->older = store->lru_new;
	*(store->lru_new ? &store->lru_new->newer : &store->lru_old) = file;
	store->lru_new = file;
}

static void file_close(struct queue_file *file)
{
	struct mosaic_store *store = file->queue->base.store;
	file_unlink_lru(store, file);
	file->queue->files[file->slot] = NULL;
	store->n_files--;
	close(file->fd);
	free(file);
}

struct queue_file *cqueue_file_find(struct queue *q, uint64_t start)
{
	for (int slot = 0; slot < FILE_SLOTS; slot++) {
		struct queue_file *file = q->files[slot];
		if (!file || file->start != start)
			continue;
		file_unlink_lru(q->base.store, file);
		file_use(q->base.store, file);
		file->refs++;
		return file;
	}
	return NULL;
}

void cqueue_file_unref(struct queue_file *file)
{
	if (--file->refs == 0 && file->start == STALE)
		file_close(file);
}

void cqueue_file_keep(struct queue *q, uint32_t slot, uint64_t start, int fd)
{
	struct mosaic_store *store = q->base.store;
	struct queue_file *file = q->files[slot];
	if (file && file->refs == 0)
		file_close(file);
	for (file = store->lru_old; file && store->n_files >= QUEUE_FILES_MOST;) {
		struct queue_file *next = file->newer;
		if (file->refs == 0)
			file_close(file);
		file = next;
	}
	bool is_room = !q->files[slot] && store->n_files < QUEUE_FILES_MOST;
	file = is_room ? calloc(1, sizeof(*file)) : NULL;
	if (!file) {
		close(fd);
		return;
	}
	*file = (struct queue_file){ .queue = q, .slot = slot, .start = start, .fd = fd };
	q->files[slot] = file;
	store->n_files++;
	file_use(store, file);
}

void cqueue_files_close(struct queue *q)
{
	for (int slot = 0; slot < FILE_SLOTS; slot++) {
		struct queue_file *file = q->files[slot];
		if (file && file->refs == 0)
			file_close(file);
		else if (file)
			file->start = STALE;
	}
}
