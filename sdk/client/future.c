/* A send that is waited for later, or never. Two hold a future: its owner and the send. */
#include "producer_priv.h"
#include <stdlib.h>
#include <time.h>

struct mosaic_future {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ended;
	struct mosaic_send_result result;
	bool is_done;
	uint32_t refs;
};

static void future_drop(struct mosaic_future *f)
{
	pthread_mutex_lock(&f->lock);
	bool is_last = --f->refs == 0;
	pthread_mutex_unlock(&f->lock);
	if (!is_last)
		return;
	pthread_cond_destroy(&f->ended);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void sent(void *data, const struct mosaic_send_result *result)
{
	struct mosaic_future *f = data;

	pthread_mutex_lock(&f->lock);
	f->result = *result;
	f->is_done = true;
	pthread_cond_broadcast(&f->ended);
	pthread_mutex_unlock(&f->lock);
	future_drop(f);
}

int32_t mosaic_producer_send_future(struct mosaic_producer *p,
				    const struct mosaic_message *message,
				    struct mosaic_future **out)
{
	struct mosaic_future *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return MOSAIC_E_NOMEM;
	pthread_mutex_init(&f->lock, NULL);
	client_cond_init(&f->ended);
	f->refs = 2;
	int rc = mosaic_producer_send_async(p, message, sent, f);
	if (rc != 0) {
		f->refs = 1;
		future_drop(f);
		return rc;
	}
	*out = f;
	return 0;
}

int32_t mosaic_future_wait(struct mosaic_future *f, uint32_t timeout_ms,
			   struct mosaic_send_result *result)
{
	struct timespec due = client_due(timeout_ms);
	int32_t rc = MOSAIC_E_TIMEOUT;

	pthread_mutex_lock(&f->lock);
	while (!f->is_done && pthread_cond_timedwait(&f->ended, &f->lock, &due) == 0)
		;
	if (f->is_done) {
		rc = f->result.status;
		if (result != NULL)
			*result = f->result;
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

void mosaic_future_free(struct mosaic_future **future)
{
	if (*future != NULL)
		future_drop(*future);
	*future = NULL;
}
