/*
 * Happy path: a broker of the topic is asked what is ours (QUERY_ASSIGNMENT) -> queues that are
 * pulled are shares, queues that are popped are the service's. Who has set the mode, an admin with
 * SET_MESSAGE_REQUEST_MODE, may change it at any time.
 *
 * Failure modes: the broker does not know the question: the members share out among themselves; it
 * has no answer, for it does not know us or the topic yet: what is ours stays, asked again soon.
 */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/member.h"
#include "memory.h"
#include "wire/codes.h"
#include <mosaic/consumer.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_PREFIX "%RETRY%"

struct assignment {
	struct route_queue *pulls, *pops;
	uint32_t n_pulls, n_pops;
};

static void take_one(struct member_topic *t, const json_t *one, struct assignment *a)
{
	const json_t *queue = json_object_get(one, "messageQueue");
	struct mosaic_slice name = json_get_str(queue, "brokerName");
	int64_t id = json_get_i64(queue, "queueId", INT32_MIN);
	char text[128];

	if (name.len >= sizeof(text) || !slice_is(json_get_str(queue, "topic"), t->sub->topic))
		return;
	text_copy(text, sizeof(text), name);
	struct broker *b = broker_find(t->member->engine, text);
	bool is_pop = slice_is(json_get_str(one, "mode"), "POP");
	if (b == NULL || id > INT32_MAX || id < (is_pop ? -1 : 0))
		return;
	if (is_pop)
		a->pops[a->n_pops++] = (struct route_queue){ b, (int32_t)id };
	else
		a->pulls[a->n_pulls++] = (struct route_queue){ b, (int32_t)id };
}

/* When a topic is pulled again, what was popped of it and failed is in a retry topic that nobody
 * pops any more. */
static void follow_retries(struct member_topic *t, const struct assignment *a)
{
	struct member *m = t->member;
	struct subscription *sub;
	char retry[400];

	if (strncmp(t->sub->topic, RETRY_PREFIX, strlen(RETRY_PREFIX)) == 0 ||
	    (a->n_pops > 0) == (a->n_pulls > 0))
		return;
	snprintf(retry, sizeof(retry), "%s%s_%s", RETRY_PREFIX, m->config.group, t->sub->topic);
	bool is_there = map_get(&m->topics, slice_str(retry)) != NULL;
	if (a->n_pops > 0 && is_there)
		member_unsubscribe(m, retry);
	else if (a->n_pulls > 0 && !is_there &&
		 subscription_make(retry, MOSAIC_TAGS, NULL, &sub, NULL) == 0)
		member_subscribe(m, sub);
}

/* false: the broker does not say. */
static bool read_answer(struct member_topic *t, struct mosaic_slice body)
{
	struct member *m = t->member;
	json_t *root = memory_json(body), *one;
	const json_t *all = json_object_get(root, "messageQueueAssignments");
	size_t i, n = json_array_size(all);
	bool is_said = json_is_array(all) && n <= ENGINE_QUEUES_MAX;

	if (is_said) {
		struct assignment a = { .pulls = mem_alloc((n + 1) * sizeof(*a.pulls)),
					.pops = mem_alloc((n + 1) * sizeof(*a.pops)) };
		json_array_foreach(all, i, one)
			take_one(t, one, &a);
		LOG_DEBUG(m->engine->host, "assigned", "group=%s topic=%s pulls=%u pops=%u",
			  m->config.group, t->sub->topic, a.n_pulls, a.n_pops);
		rebalance_apply(m, t->sub, a.pulls, a.n_pulls);
		m->ops->pops(m, t->sub->topic, a.pops, a.n_pops);
		follow_retries(t, &a);
		free(a.pulls);
		free(a.pops);
	}
	json_decref(root);
	return is_said;
}

static void answered(struct ask *ask)
{
	struct member_topic *t = ask->data;
	bool is_good = false;

	if (!t->member->is_running)
		return;
	if (ask->status == 0 && ask->response->code == RES_REQUEST_CODE_NOT_SUPPORTED) {
		char address[sizeof(ask->address)];
		memcpy(address, ask->address, sizeof(address));
		t->member->ops->pops(t->member, t->sub->topic, NULL, 0);
		rebalance_ask_members(t, address);
		return;
	}
	if (ask->status == 0 && ask->response->code == RES_SUCCESS)
		is_good = read_answer(t, ask->answer);
	else
		LOG_DEBUG(t->member->engine->host, "no_assignment", "group=%s code=%d",
			  t->member->config.group, ask->status != 0 ? ask->status
								    : ask->response->code);
	rebalance_end(t, is_good);
}

void assignment_ask(struct member_topic *t, const char *address)
{
	const struct member *m = t->member;
	struct json_writer w;

	buf_clear(&t->question);
	jw_init(&w, &t->question);
	jw_object(&w);
	jw_put_cstr(&w, "clientId", m->engine->client_id);
	jw_put_cstr(&w, "consumerGroup", m->config.group);
	jw_put_cstr(&w, "messageModel", "CLUSTERING");
	jw_put_cstr(&w, "strategyName", m->way == ALLOCATE_CIRCLE ? "AVG_BY_CIRCLE" : "AVG");
	jw_put_cstr(&w, "topic", t->sub->topic);
	jw_object_end(&w);
	t->ask = (struct ask){ .code = REQ_QUERY_ASSIGNMENT, .done = answered, .data = t,
			       .body = buf_slice(&t->question) };
	engine_ask(m->engine, &t->ask, address, MEMBER_ASK_NS);
}
