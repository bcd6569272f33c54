/*
 * Bodies of requests to a broker, and its documents: whatever they hold, a request is answered once
 * and the broker goes on. First byte: which request or document (see `targets`).
 *
 * One broker serves many inputs, so that a body also meets what earlier ones left behind; after
 * some hundred it is stopped and a new one started.
 */
#include "unit/broker/rig.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/schedule.h"
#include "fuzz/fuzz.h"

#define INPUTS_PER_BROKER 300

enum document { TOPICS = -1, GROUPS = -2, OFFSETS = -3, DELAYS = -4 };

static const int32_t targets[] = {
	REQ_HEART_BEAT,
	REQ_LOCK_BATCH_MQ,
	REQ_UNLOCK_BATCH_MQ,
	REQ_CHECK_CLIENT_CONFIG,
	REQ_UPDATE_AND_CREATE_TOPIC_LIST,
	REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
	REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
	REQ_UPDATE_BROKER_CONFIG,
	TOPICS,
	GROUPS,
	OFFSETS,
	DELAYS,
};

static struct rig rig; /* a fuzz target is one thread and one process */
static uint32_t n_inputs;

static void load(enum document document, struct mosaic_slice text)
{
	struct mosaic_error err = ERR_INIT;
	struct broker *b = rig.broker;
	int rc = document == TOPICS  ? topics_load(b->topics, text, &err) :
		 document == GROUPS  ? groups_load(b->groups, text, &err) :
		 document == OFFSETS ? offsets_load(b->offsets, text, &err) :
				       schedule_load(b->schedule, text, &err);

	if (rc != 0)
		ASSERT(err.text[0] != 0); /* what is refused is refused in words */
}

static void ask(int32_t code, struct mosaic_slice body)
{
	struct mosaic_conn *c = fake_net_dial(rig.net, "broker:10911");
	struct fake_frame frame;

	ASSERT(c != NULL);
	fake_conn_request(c, code, body, NULL);
	/* Changes are answered when they are saved, and then at most a second later. */
	for (int i = 0; i < 20 && !fake_conn_next(c, &frame); i++) {
		ASSERT(i < 19);
		fake_host_advance_ms(&rig.host, 100);
	}
	fake_conn_close(c);
	fake_host_run(&rig.host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (n_inputs++ % INPUTS_PER_BROKER == 0) {
		if (n_inputs > 1)
			rig_close(&rig);
		rig_open(&rig, NULL);
	}
	uint8_t *copy = fuzz_copy(data + 1, size - 1);
	int32_t target = targets[data[0] % ARRAY_LEN(targets)];

	if (target < 0)
		load((enum document)target, slice(copy, size - 1));
	else
		ask(target, slice(copy, size - 1));
	free(copy);
	return 0;
}
