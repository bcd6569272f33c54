/* What the files of the producer share. */
#ifndef CLIENT_PRODUCER_PRIV_H
#define CLIENT_PRODUCER_PRIV_H

#include "client.h"
#include "linger.h"
#include "send.h"
#include "trace.h"

struct mosaic_producer {
	struct mosaic_client *client;
	struct client_member member;
	struct mosaic_producer_options options; /* with defaults; strings are copies */
	struct sender sender;
	struct balancer balance, by_key;
	struct producer_group group; /* [core] */
	struct linger_set lingers;   /* [core] */
	struct tracer tracer;        /* [core] used with options.trace */
	char *group_name;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t idle;  /* n_busy has become 0 */
	uint64_t bytes;       /* of what counts against the bounds */
	uint32_t count;
	uint32_t n_busy; /* sends and requests whose owner has not been told yet */
	uint32_t n_requests; /* that wait for a reply */
	bool is_open;
	struct check_thread *check; /* transaction.c's, NULL without options.check */
};

/* How a send ends: on the client's thread, its place within the bounds already given back. */
typedef void (*send_ended)(void *data, const struct mosaic_send_result *result);

/* Room within the bounds, then onto the client's thread (to s->post.done, when that is set, which
 * calls send_start). On failure the send is freed. [any] */
NODISCARD int producer_submit(struct mosaic_producer *p, struct send *s, send_ended ended,
			      void *data);
/* The same, waited for: the status of the result. [blocks] */
int producer_submit_wait(struct mosaic_producer *p, struct send *s,
			 struct mosaic_send_result *result);
int producer_send_wait(struct mosaic_producer *p, const struct mosaic_message *m,
		       const struct send_shape *shape, struct mosaic_send_result *result);

/* transaction.c. open: 0 or E_NOMEM; close: [blocks], no check runs any more. */
NODISCARD int check_open(struct mosaic_producer *p, struct mosaic_error *error);
void check_close(struct mosaic_producer *p);

/* reply.c: ends the requests of a producer with E_CANCELED. [core] */
void requests_cancel(struct mosaic_producer *p);
/* A request or send more or less that stop waits for. [any] */
void producer_unbusy(struct mosaic_producer *p);

#endif
