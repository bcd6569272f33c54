/*
 * Happy path: produce_one -> room in the ring -> mosaic_producer_send_async -> answered(), on the
 * client's thread -> settle, in the order of sending.
 *
 * Failure modes: the client's bounds are reached: answers are waited for; a message fails: it is
 * shown, and without --keep-going no other one begins; a signal: what is under way is awaited, each
 * for --timeout at most.
 */
#include "base/mem.h"
#include "connect.h"
#include "produce.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_NS (50 * UINT64_C(1000000)) /* between two looks for signals and at the clock */
#define FULL_NS UINT64_C(1000000)

/* [client's thread] */
static void answered(void *data, const struct mosaic_send_result *result)
{
	struct sending *s = data;
	struct produce *p = s->produce;

	pthread_mutex_lock(&p->lock);
	s->result = *result;
	s->is_done = true;
	pthread_cond_signal(&p->answered);
	pthread_mutex_unlock(&p->lock);
}

/* ---- open and close ---- */

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static int check_topic(struct produce *p)
{
	struct mosaic_queue *queues;
	uint32_t n;
	int rc = connect_queues(p->client, p->topic, true, &queues, &n, &p->err);

	free(queues);
	if (rc == MOSAIC_E_NOTFOUND)
		return err_set(&p->err, rc, "no broker of NameServer %s has topic %s to write to, "
			       "and none makes it (autoCreateTopic)", p->namesrv, p->topic);
	return rc;
}

int produce_open(struct produce *p)
{
	struct mosaic_producer_options options = {
		.struct_size = sizeof(options), .group = p->group,
		.timeout_ms = (uint32_t)p->timeout_s * 1000,
		.max_in_flight = p->is_oneway ? 0 : (uint32_t)p->in_flight,
		.compression = p->compression, .compress_above = (uint32_t)p->compress_above };

	if (options.compress_above == 0)
		options.compress_above = UINT32_MAX; /* never */
	pthread_mutex_init(&p->lock, NULL);
	cond_init(&p->answered);
	p->ring = mem_alloc((size_t)p->in_flight * sizeof(*p->ring));
	int rc = connect_client(p->namesrv, NULL, NULL, &p->client, &p->err);
	if (rc == 0)
		rc = check_topic(p);
	if (rc == 0)
		rc = mosaic_producer_create(p->client, &options, &p->producer, &p->err);
	interrupt_open(&p->interrupt); /* nothing is begun so far: signals have ended it at once */
	progress_init(&p->progress);
	return rc;
}

void produce_close(struct produce *p)
{
	if (p->producer != NULL)
		mosaic_producer_stop(p->producer, (uint32_t)p->timeout_s * 1000);
	mosaic_producer_destroy(&p->producer);
	mosaic_client_destroy(&p->client);
	interrupt_close(&p->interrupt);
	pthread_cond_destroy(&p->answered);
	pthread_mutex_destroy(&p->lock);
	free(p->ring);
}

/* ---- answers ---- */

bool produce_ends(const struct produce *p)
{
	return p->interrupt.came || (p->failed > 0 && !p->goes_on);
}

static void settle_first(struct produce *p)
{
	struct sending *s = &p->ring[p->first];

	if (s->result.status == 0) {
		p->sent++;
		show_sent(p, s);
	} else {
		if (p->failed++ == 0)
			(void)err_set(&p->err, s->result.status, "%s", s->result.text);
		show_failed(p, s);
	}
	free(s->body);
	s->body = NULL;
	p->first = (p->first + 1) % (uint32_t)p->in_flight;
	p->n_waiting--;
}

/* Whether the first is answered; waits for it for a moment, or not at all. */
static bool first_is_done(struct produce *p, bool waits)
{
	const struct sending *s = &p->ring[p->first];
	struct timespec due;

	pthread_mutex_lock(&p->lock);
	if (waits && !s->is_done) {
		clock_gettime(CLOCK_MONOTONIC, &due);
		due.tv_nsec += (long)LOOK_NS;
		due.tv_sec += due.tv_nsec / (long)SECOND_NS;
		due.tv_nsec %= (long)SECOND_NS;
		(void)pthread_cond_timedwait(&p->answered, &p->lock, &due);
	}
	bool is_done = s->is_done;
	pthread_mutex_unlock(&p->lock);
	return is_done;
}

/* Until no more than so many wait. */
static void settle(struct produce *p, uint32_t most)
{
	while (p->n_waiting > 0) {
		if (first_is_done(p, p->n_waiting > most))
			settle_first(p);
		else if (p->n_waiting <= most)
			break;
		(void)interrupt_came(&p->interrupt);
		progress_tick(&p->progress, p->sent, p->failed);
	}
}

void produce_settle(struct produce *p, bool until_all)
{
	settle(p, until_all ? 0 : (uint32_t)p->in_flight);
}

/* ---- sending ---- */

/* Waits until the next message is due; false: a signal has come. */
static bool keep_rate(struct produce *p)
{
	uint64_t due = p->progress.begin_ns;

	if (p->rate > 0)
		due += p->begun * SECOND_NS / (uint64_t)p->rate;
	for (;;) {
		uint64_t now = progress_now_ns(), left = now < due ? due - now : 0;

		progress_tick(&p->progress, p->sent, p->failed);
		if (interrupt_came(&p->interrupt) || left == 0)
			return !p->interrupt.came;
		produce_settle(p, false);
		(void)interrupt_wait(&p->interrupt, left < LOOK_NS ? left : LOOK_NS);
	}
}

static int64_t deliver_ms(const struct produce *p)
{
	struct timespec now;

	if (p->delay_s == 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t)now.tv_sec + p->delay_s) * 1000 + now.tv_nsec / 1000000;
}

static struct sending *next_place(struct produce *p, struct mosaic_slice body)
{
	struct sending *s = &p->ring[(p->first + p->n_waiting) % (uint32_t)p->in_flight];

	*s = (struct sending){ .produce = p, .body_len = body.len };
	if (p->format == PRODUCE_TEXT && !p->is_quiet) {
		s->body = mem_alloc(body.len + 1);
		memcpy(s->body, body.ptr, body.len);
	}
	return s;
}

/* The status of a message that the client refused at once. */
static void refused(struct produce *p, struct sending *s, int rc)
{
	s->result.status = rc;
	s->result.broker_code = -1;
	s->is_done = true;
	snprintf(s->result.text, sizeof(s->result.text), "a message of %zu bytes: %s", s->body_len,
		 mosaic_status_text(rc));
	p->n_waiting++;
	settle(p, 0);
}

static int begin(struct produce *p, const struct mosaic_message *m, struct sending *s)
{
	if (p->is_oneway)
		return mosaic_producer_send_oneway(p->producer, m);
	return mosaic_producer_send_async(p->producer, m, answered, s);
}

bool produce_one(struct produce *p, struct mosaic_slice body)
{
	struct mosaic_message m = { .struct_size = sizeof(m), .topic = p->topic, .tag = p->tag,
				    .keys = p->keys, .sharding_key = p->sharding_key,
				    .properties = p->properties, .n_properties = p->n_properties,
				    .body = body, .delay_level = (uint32_t)p->delay_level };
	int rc;

	settle(p, (uint32_t)p->in_flight - 1);
	if (produce_ends(p) || !keep_rate(p))
		return false;
	m.deliver_ms = deliver_ms(p);
	struct sending *s = next_place(p, body);
	while ((rc = begin(p, &m, s)) == MOSAIC_E_AGAIN)
		if (interrupt_wait(&p->interrupt, FULL_NS))
			break;
	p->begun++;
	if (rc != 0) {
		refused(p, s, rc);
	} else if (p->is_oneway) {
		free(s->body);
		s->body = NULL;
		p->sent++;
	} else {
		p->n_waiting++;
	}
	return !produce_ends(p);
}
