/* Without a group: a reader of its own, whose offsets nobody saves. */
#include "command.h"
#include "consume.h"
#include "progress.h"
#include <stdio.h>

#define BATCH 32
#define SEEK_MS 10000 /* for a queue to begin */

/* --from offset=N. A queue can be sought in as soon as the puller has its route. */
static int seek(struct consume *c, struct mosaic_puller *puller, const struct mosaic_queue *queue)
{
	uint64_t end_ns = progress_now_ns() + SEEK_MS * UINT64_C(1000000);
	int rc;

	while ((rc = mosaic_puller_seek(puller, queue, c->from_offset)) == MOSAIC_E_NOTFOUND &&
	       progress_now_ns() < end_ns && !interrupt_wait(&c->interrupt, 1000000)) {}
	if (rc != 0)
		return err_set(&c->err, rc, "queue %d of broker %s: %s", queue->id, queue->broker,
			       mosaic_status_text(rc));
	return 0;
}

static int start(struct consume *c, struct mosaic_puller **puller)
{
	const struct mosaic_puller_options options = { .struct_size = sizeof(options),
						       .group = "mosaic-consume",
						       .batch = BATCH,
						       .pull_batch = BATCH,
						       .is_reader = 1,
						       .from = consume_from(c),
						       .from_ms = c->from > 0 ? c->from : 0 };
	int rc = mosaic_puller_create(c->client, &options, puller, &c->err);

	if (rc == 0)
		rc = mosaic_puller_assign(*puller, c->queues, c->n_queues, &c->err);
	if (rc == 0)
		rc = mosaic_puller_filter(*puller, c->topic, consume_kind(c),
					  consume_expression(c), &c->err);
	if (rc == 0)
		rc = mosaic_puller_start(*puller, &c->err);
	for (uint32_t i = 0; rc == 0 && c->from_offset >= 0 && i < c->n_queues; i++)
		rc = seek(c, *puller, &c->queues[i]);
	return rc;
}

static int print_all(struct consume *c, const struct mosaic_received *messages, uint32_t count)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < count; i++)
		rc = consume_print(c, &messages[i]);
	if (fflush(stdout) != 0)
		rc = err_set(&c->err, MOSAIC_E_IO, "nobody reads standard output any more");
	return rc;
}

/* 1: the end. */
static int read_some(struct consume *c, struct mosaic_puller *puller)
{
	const struct mosaic_received *messages;
	uint32_t count;
	int rc = mosaic_puller_poll(puller, CONSUME_LOOK_MS, &messages, &count);

	if (rc == MOSAIC_E_NOMEM)
		return 0; /* the next poll shows them */
	if (rc != 0)
		return err_set(&c->err, rc, "%s", mosaic_status_text(rc));
	rc = print_all(c, messages, count);
	return rc != 0 ? rc : consume_look(c);
}

int consume_alone(struct consume *c)
{
	struct mosaic_puller *puller = NULL;
	int rc = start(c, &puller);

	while (rc == 0)
		rc = read_some(c, puller);
	mosaic_puller_destroy(&puller);
	return rc < 0 ? rc : 0;
}
