#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void load_init(struct load *l, const char *topic, size_t body_bytes)
{
	*l = (struct load){ .topic = topic, .body_bytes = body_bytes };
	assert_true(body_bytes >= 8);
}

void load_free(struct load *l)
{
	for (int q = 0; q < LOAD_QUEUES; q++)
		free(l->acked[q]);
}

static void remember(struct load *l, int queue, int64_t offset, uint64_t number)
{
	assert_in_range(queue, 0, LOAD_QUEUES - 1);
	assert_true(offset >= 0);
	if (offset >= l->size[queue]) {
		int64_t size = (offset + 1) * 2;
		l->acked[queue] = realloc(l->acked[queue], (size_t)size * sizeof(uint64_t));
		memset(l->acked[queue] + l->size[queue], 0,
		       (size_t)(size - l->size[queue]) * sizeof(uint64_t));
		l->size[queue] = size;
	}
	assert_int_equal(l->acked[queue][offset], 0); /* no offset is given away twice */
	l->acked[queue][offset] = number + 1;
	l->n_acked++;
}

static void take(struct load *l, const struct client *c, struct answer *a)
{
	/* The connection only sends: its last opaque is that of number next - 1. */
	uint64_t number = l->next - 1 - (uint64_t)(c->opaque - a->opaque);

	if (a->code == 0) {
		remember(l, atoi(answer_field(a, "queueId")), atoll(answer_field(a, "queueOffset")),
			 number);
	} else {
		l->refused = a->code;
		l->n_refused++;
		snprintf(l->remark, sizeof(l->remark), "%s", a->remark);
	}
	answer_free(a);
}

bool load_run(struct load *l, struct client *c, uint64_t n, uint32_t window)
{
	uint8_t *body = calloc(1, l->body_bytes);
	uint64_t done = 0;
	bool is_open = true;

	while (done < n && is_open) {
		for (; l->under_way < window; l->under_way++) {
			put64(body, l->next);
			client_send(c, l->topic, (int)(l->next % LOAD_QUEUES), body, l->body_bytes);
			l->next++;
		}
		struct answer a;
		int rc = client_next(c, &a, WAIT_MS);
		if (rc < 0)
			fail_msg("a send was not answered");
		is_open = rc == 1;
		if (is_open)
			take(l, c, &a);
		l->under_way--;
		done++;
	}
	free(body);
	return is_open;
}

void load_drain(struct load *l, struct client *c)
{
	struct answer a;
	int rc;

	while ((rc = client_next(c, &a, WAIT_MS)) == 1)
		take(l, c, &a);
	assert_int_equal(rc, 0);
	l->under_way = 0;
}

struct check {
	struct load *l;
	int queue;
};

static void check_one(void *ctx, int64_t offset, const uint8_t *body, uint32_t len)
{
	struct check *check = ctx;
	struct load *l = check->l;

	assert_int_equal(len, l->body_bytes);
	if (offset < l->size[check->queue] && l->acked[check->queue][offset] != 0)
		assert_int_equal(get64(body), l->acked[check->queue][offset] - 1);
}

void load_check(struct load *l, uint16_t port)
{
	struct client c;

	client_open(&c, port);
	for (int q = 0; q < LOAD_QUEUES; q++) {
		struct check check = { l, q };
		l->found[q] = client_pull_all(&c, l->topic, q, check_one, &check);
		for (int64_t i = l->found[q]; i < l->size[q]; i++)
			if (l->acked[q][i] != 0)
				fail_msg("queue %d ends at %lld, but offset %lld was acknowledged",
					 q, (long long)l->found[q], (long long)i);
	}
	client_close(&c);
}

static void count_one(void *ctx, int64_t offset, const uint8_t *body, uint32_t len)
{
	struct check *check = ctx;

	check_one(ctx, offset, body, len);
	check->l->found[check->queue] = offset + 1;
}

void load_forget_lost(struct load *l, uint16_t port)
{
	struct client c;

	client_open(&c, port);
	for (int q = 0; q < LOAD_QUEUES; q++) {
		struct check check = { l, q };
		l->found[q] = 0;
		(void)client_pull_all(&c, l->topic, q, count_one, &check);
		for (int64_t i = l->found[q]; i < l->size[q]; i++)
			l->acked[q][i] = 0; /* other messages get these offsets */
	}
	client_close(&c);
}
