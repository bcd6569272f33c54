/*
 * With --group: a member of the group, beside others in whatever language. The one listener prints;
 * what it has printed is consumed and committed, nothing else is.
 */
#include "consume.h"
#include <pthread.h>
#include <stdio.h>

#define STOP_MS 10000 /* for the message that is being printed, and the offsets */

struct member {
	struct consume *consume;
	struct mosaic_consumer *consumer;
	pthread_mutex_t lock; /* guards what follows, and what consume_print changes */
	int rc;               /* 1: the last that is wanted was printed */
};

/* [listener's thread, the only one] */
static int32_t on_message(void *data, const struct mosaic_received *messages, uint32_t count,
			  uint32_t *consumed)
{
	struct member *m = data;

	(void)consumed;
	(void)count; /* one a call */
	pthread_mutex_lock(&m->lock);
	int rc = m->rc == 0 ? consume_print(m->consume, messages) : m->rc;
	if (rc >= 0 && fflush(stdout) != 0)
		rc = err_set(&m->consume->err, MOSAIC_E_IO,
			     "nobody reads standard output any more");
	if (rc != 0)
		mosaic_consumer_suspend(m->consumer); /* no call begins behind this one */
	m->rc = rc;
	pthread_mutex_unlock(&m->lock);
	return rc >= 0 ? MOSAIC_CONSUMED : MOSAIC_CONSUME_LATER;
}

static int start(struct consume *c, struct member *m)
{
	const struct mosaic_consumer_options options = { .struct_size = sizeof(options),
							 .group = c->group,
							 .listener = on_message,
							 .listener_data = m,
							 .threads = 1,
							 .from = consume_from(c),
							 .from_ms = c->from > 0 ? c->from : 0 };
	int rc = mosaic_consumer_create(c->client, &options, &m->consumer, &c->err);

	if (rc == 0)
		rc = mosaic_consumer_subscribe(m->consumer, c->topic, consume_kind(c),
					       consume_expression(c), &c->err);
	return rc == 0 ? mosaic_consumer_start(m->consumer, &c->err) : rc;
}

static int look(struct member *m)
{
	pthread_mutex_lock(&m->lock);
	int rc = m->rc != 0 ? m->rc : consume_look(m->consume);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

int consume_in_group(struct consume *c)
{
	struct member m = { .consume = c };
	int rc;

	pthread_mutex_init(&m.lock, NULL);
	rc = start(c, &m);
	while (rc == 0 && (rc = look(&m)) == 0)
		(void)interrupt_wait(&c->interrupt, CONSUME_LOOK_MS * UINT64_C(1000000));
	if (m.consumer != NULL)
		mosaic_consumer_stop(m.consumer, STOP_MS);
	mosaic_consumer_destroy(&m.consumer);
	pthread_mutex_destroy(&m.lock);
	return rc < 0 ? rc : 0;
}
