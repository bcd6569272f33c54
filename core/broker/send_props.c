/* Properties of a message as they will be stored, and what they forbid. */
#include "base/err.h"
#include "base/num.h"
#include "broker/schedule.h"
#include "broker/send_priv.h"
#include "wire/codes.h"
#include <stdio.h>
#include <string.h>

#define MESSAGE_INNER_BATCH 0x80 /* sysFlag */
#define PROP_INNER_NUM "INNER_NUM"

/* A unique key for a message whose client gave none: 16 bytes as RocketMQ's, in hex. */
static struct mosaic_slice uniq_make(struct sends *s, uint8_t out[32])
{
	const struct broker *b = s->broker;
	uint8_t raw[16];
	uint64_t random = b->host->random(b->host);
	memcpy(raw, b->config.store_host.ip, 4);
	memcpy(raw + 4, &random, 6);
	uint32_t ms = (uint32_t)host_wall_ms(b->host);
	raw[10] = (uint8_t)(ms >> 24);
	raw[11] = (uint8_t)(ms >> 16);
	raw[12] = (uint8_t)(ms >> 8);
	raw[13] = (uint8_t)ms;
	raw[14] = (uint8_t)(++s->uniq_counter >> 8);
	raw[15] = (uint8_t)s->uniq_counter;
	num_format_hex(out, raw, sizeof(raw));
	return slice(out, 32);
}

bool send_props(struct sends *sends, struct send *s, struct props_edit *edit,
		       uint8_t uniq_room[32])
{
	struct broker *b = sends->broker;
	const struct ticket *to = &s->req->ticket;
	bool added = props_edit_parse(edit, s->props) == 0;
	struct mosaic_slice transaction = props_edit_get(edit, &prop_key_tran_msg);
	if (added && transaction.ptr != NULL && num_parse_bool(transaction)) {
		SEND_REFUSE(to, RES_NO_PERMISSION,
			    "the broker[%s] sending transaction message is forbidden",
			    b->config.address);
		return false;
	}
	props_edit_drop(edit, &prop_key_pop_ck);
	s->uniq = props_edit_get(edit, &prop_key_uniq_key);
	/* A batch without a key stays without: its records then have none either, as in Apache. */
	bool add_uniq = s->uniq.len == 0 && !s->batch;
	if (add_uniq)
		s->uniq = uniq_make(sends, uniq_room);
	added = added && (!add_uniq || props_edit_set(edit, &prop_key_uniq_key, s->uniq) == 0) &&
		props_edit_set(edit, &prop_key_msg_region, slice(REGION, sizeof(REGION) - 1)) ==
			0 &&
		props_edit_set(edit, &prop_key_trace_on, slice("true", 4)) == 0 &&
		props_edit_set(edit, &prop_key_cluster, slice_str(b->config.cluster)) == 0;
	if (added && s->to->name_len > 4 && slice_has_prefix(slice_str(s->to->name), DLQ_PREFIX) &&
	    slice_has_prefix(s->topic, RETRY_PREFIX))
		added = props_edit_set(edit, &prop_key_delay, slice("-1", 2)) == 0;
	if (!added) {
		SEND_REFUSE(to, RES_MESSAGE_ILLEGAL,
			    "the message is illegal, it has more than %d properties",
			    PROPS_MAX_COUNT - 8);
		return false;
	}
	s->waits = !slice_is(props_edit_get(edit, &prop_key_wait), "false");
	return true;
}

bool send_wants_timer(const struct props_edit *edit)
{
	return props_edit_get(edit, &prop_key_timer_delay_sec).ptr != NULL ||
	       props_edit_get(edit, &prop_key_timer_delay_ms).ptr != NULL ||
	       props_edit_get(edit, &prop_key_timer_deliver_ms).ptr != NULL;
}

/* Inner batches need a queue type of their own. */
const char *send_forbids(const struct send *s, const struct props_edit *edit, int32_t *code)
{
	int32_t level = 0;
	struct mosaic_slice text = props_edit_get(edit, &prop_key_delay);
	*code = RES_SYSTEM_ERROR;
	if (text.ptr != NULL && num_parse_i32(text, &level) != 0)
		return "the property DELAY is no number";
	*code = RES_MESSAGE_ILLEGAL;
	if ((s->sys_flag & MESSAGE_INNER_BATCH) ||
	    (!s->batch && props_edit_find(edit, PROP_INNER_NUM).ptr != NULL))
		return "the message is illegal, the topic takes no inner batches";
	if (s->batch && level > 0)
		return "the message is illegal, a batch cannot be delayed";
	return NULL;
}

int32_t delay_level(const struct props_edit *edit)
{
	int32_t level = 0;
	struct mosaic_slice text = props_edit_get(edit, &prop_key_delay);
	if (text.ptr == NULL || num_parse_i32(text, &level) != 0 || level < 0)
		return 0;
	return level > DELAY_LEVELS ? DELAY_LEVELS : level;
}
