/*
 * The messages of one queue that were pulled and are not consumed yet. Each is waiting (in ready),
 * out (somebody works on it) or done; the offset to commit is that of the oldest that is not done.
 * Knows nothing of sockets and threads. [core]
 */
#ifndef CONSUMER_PROCESS_QUEUE_H
#define CONSUMER_PROCESS_QUEUE_H

#include "base/list.h"
#include "engine.h"
#include "wire/message.h"

struct subscription;

/* The messages of one answer of a broker, in one block; ends with the last of its items. */
struct pulled {
	struct numbers *numbers;
	uint32_t n_items, n_left;
	size_t bytes;
};

struct item {
	struct list link;    /* in process_queue.items, by offset */
	struct list waiting; /* in process_queue.ready, or a list of its holder */
	struct pulled *from;
	struct process_queue *queue; /* NULL: the queue is not ours any more */
	const uint8_t *record;
	uint32_t len;
	int32_t tries; /* here, beyond those that the broker counts */
	int64_t offset;
	uint64_t out_ns; /* since when it is out; 0: waiting */
	bool is_going_back; /* to the broker: whoever ends that ends the item */
	bool is_returned;   /* by the listener, meanwhile */
};

struct process_queue {
	struct list items, ready;
	uint32_t n_items, n_out;
	size_t bytes;
	int64_t last;   /* offset of the newest that was added, -1: none */
	int64_t commit; /* everything below is done; -1: not known yet */
};

void process_queue_init(struct process_queue *q);
/* A new beginning: what is waiting is dropped, what is out finds no queue when it comes back. */
void process_queue_restart(struct process_queue *q, int64_t commit);

/*
 * Copies the records that the subscription takes and that are not older than `from` and adds them.
 * *next: where the next pull begins when the body breaks off before its end, else untouched.
 * Returns how many were added; -1 when memory is out.
 */
int64_t process_queue_add(struct process_queue *q, struct mosaic_slice body,
			  const struct subscription *sub, int64_t from, int64_t *next,
			  struct numbers *numbers);
/* Takes up to n in order; returns how many. */
uint32_t process_queue_take(struct process_queue *q, struct item **out, uint32_t n,
			    uint64_t now_ns);
/* Back into ready, before all that is behind it. Frees it when its queue is gone. */
void process_queue_put_back(struct item *item);
/* Consumed, or somebody else's now: frees the item. */
void process_queue_done(struct item *item);
/* The same for an item that is still with a listener: it comes back without a queue. */
void process_queue_forget(struct item *item);
/* The broker says that nothing is to be had below `offset`. */
void process_queue_skip(struct process_queue *q, int64_t offset);
/* Newest - oldest offset. */
int64_t process_queue_span(const struct process_queue *q);

/* The record again. [any] */
void item_decode(const struct item *item, struct message *m);

#endif
