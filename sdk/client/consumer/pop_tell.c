/* What brokers are told of messages that a push consumer has popped. */
#include "base/err.h"
#include "base/mem.h"
#include "consumer/pop_request.h"
#include "consumer/push.h"
#include "consumer/push_pop.h"
#include "wire/codes.h"
#include <stdio.h>
#include <stdlib.h>

struct telling {
	struct pop_ending ending;
	char topic[256];
	char receipt[RECEIPT_MAX];
};

static void fill_ending(struct ask *ask, struct header_writer *w)
{
	const struct member_ask *a = ask->data;
	const struct telling *t = a->data;

	pop_ending_put(&t->ending, w);
}

static void told(struct member_ask *a)
{
	const struct telling *t = a->data;
	const struct ask *ask = &a->ask;

	if (ask->status != 0 || ask->response->code != RES_SUCCESS)
		LOG_WARN(a->member->engine->host, "not_acknowledged",
			 "group=%s topic=%s offset=%lld code=%d", a->member->config.group, t->topic,
			 (long long)t->ending.parts.offset,
			 ask->status != 0 ? ask->status : ask->response->code);
	else if (!t->ending.is_change)
		number_add(&a->member->engine->numbers.acknowledged, 1);
	free(a->data);
}

void push_pop_tell(struct mosaic_consumer *c, const struct pop_answer *answer, const char *topic,
		   const struct message *m, uint64_t invisible_ms)
{
	struct telling *t = mem_alloc(sizeof(*t));
	struct broker *b;

	snprintf(t->topic, sizeof(t->topic), "%s", topic);
	receipt_make(answer, m, t->receipt);
	t->ending = (struct pop_ending){ .group = c->member.config.group, .topic = t->topic,
					 .receipt = t->receipt, .is_change = invisible_ms > 0,
					 .invisible_ms = (uint32_t)invisible_ms };
	if (receipt_read(t->receipt, &t->ending.parts) != 0 ||
	    (b = broker_find(c->member.engine, t->ending.parts.broker)) == NULL) {
		free(t);
		return;
	}
	struct member_ask *a = member_ask_make(&c->member, b, NULL);
	a->data = t;
	a->done = told;
	a->ask.code = pop_ending_code(&t->ending);
	a->ask.fill = fill_ending;
	a->ask.room = pop_ending_room(&t->ending);
	member_ask_send(a);
}

/* checkNeedAckOrDelay */
uint64_t push_pop_again_ms(const struct mosaic_consumer *c, const struct message *m)
{
	static const uint32_t seconds[] = { 10,	 30,  60,  120, 180, 240,  300,	 360,
					    420, 480, 540, 600, 1200, 1800, 3600, 7200 };
	const uint32_t last = ARRAY_LEN(seconds) - 1;
	uint32_t level = m->reconsume_times > 0 ? (uint32_t)m->reconsume_times : 0;
	int64_t age_s = ((int64_t)host_wall_ms(c->member.engine->host) - m->born_ms) / 1000;

	if (m->reconsume_times >= c->options.max_reconsume) {
		if (age_s > 2 * (int64_t)seconds[last])
			return 0;
		for (level = last + 1; level > 0 && age_s < seconds[level - 1];)
			level--;
	}
	return UINT64_C(1000) * seconds[level < last ? level : last];
}
