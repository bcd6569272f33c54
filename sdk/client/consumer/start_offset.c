/*
 * Where a share begins (RebalancePushImpl.computePullFromWhere, 5.3.3): where the group stopped;
 * else the end, the beginning or a time, as the member wants; of a retry topic the beginning.
 */
#include "consumer/member.h"
#include "consumer/offset_file.h"
#include "wire/codes.h"
#include <mosaic/consumer.h>
#include <stdio.h>

#define HALF_AN_HOUR_MS (30 * 60 * 1000)

static void again(struct mosaic_timer *timer)
{
	start_offset_find(timer->data);
}

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct share *s = ask->data;

	header_put_str(w, "topic", s->sub->topic);
	header_put_i64(w, "queueId", s->id);
	header_put_str(w, "bname", s->broker->name);
	if (ask->code == REQ_QUERY_CONSUMER_OFFSET)
		header_put_str(w, "consumerGroup", s->member->config.group);
	if (ask->code == REQ_SEARCH_OFFSET_BY_TIMESTAMP)
		header_put_i64(w, "timestamp", s->member->config.from_ms);
}

static void ask_broker(struct share *s, int32_t code, void (*done)(struct ask *ask))
{
	const char *address = broker_address_any(s->broker);

	if (address == NULL) {
		share_failed(s, again, "no_start_offset", "the broker has no address");
		return;
	}
	s->ask = (struct ask){
		.code = code,
		.room = HEADER_FIELD_ROOM(5, strlen(s->sub->topic)) + HEADER_FIELD_ROOM(7, 12) +
			HEADER_FIELD_ROOM(5, strlen(s->broker->name)) +
			HEADER_FIELD_ROOM(13, strlen(s->member->config.group)) +
			HEADER_FIELD_ROOM(9, 20),
		.fill = fill, .done = done, .data = s,
	};
	engine_ask(s->member->engine, &s->ask, address, MEMBER_ASK_NS);
}

/* The offset of an answer; false: it has been tried again. */
static bool read_offset(struct ask *ask, int64_t *offset)
{
	struct share *s = ask->data;
	char why[300];

	if (ask->status == 0 && ask->response->code == RES_SUCCESS &&
	    header_i64(ask->response, "offset", offset) == 0)
		return true;
	if (ask->status == MOSAIC_E_CANCELED)
		return false;
	if (ask->status != 0)
		snprintf(why, sizeof(why), "%s", ask->why);
	else
		snprintf(why, sizeof(why), "code %d: %.*s", (int)ask->response->code,
			 SLICE_ARG(ask->response->remark));
	share_failed(s, again, "no_start_offset", why);
	return false;
}

static void searched(struct ask *ask)
{
	int64_t offset;

	if (read_offset(ask, &offset))
		share_begin(ask->data, offset, false);
}

static void begin_anew(struct share *s)
{
	bool is_retry = slice_has_prefix(slice_str(s->sub->topic), "%RETRY%");

	switch (s->member->config.from) {
	case MOSAIC_FROM_LAST:
		if (is_retry)
			share_begin(s, 0, false);
		else
			ask_broker(s, REQ_GET_MAX_OFFSET, searched);
		break;
	case MOSAIC_FROM_TIME:
		ask_broker(s, is_retry ? REQ_GET_MAX_OFFSET : REQ_SEARCH_OFFSET_BY_TIMESTAMP,
			   searched);
		break;
	default:
		share_begin(s, 0, false);
		break;
	}
}

static void found(struct ask *ask)
{
	int64_t offset;

	if (ask->status == 0 && ask->response->code == RES_QUERY_NOT_FOUND)
		begin_anew(ask->data);
	else if (read_offset(ask, &offset))
		share_begin(ask->data, offset, true);
}

void start_offset_find(struct share *s)
{
	struct member *m = s->member;
	int64_t offset;

	if (m->config.from_ms == 0)
		m->config.from_ms = (int64_t)host_wall_ms(m->engine->host) - HALF_AN_HOUR_MS;
	if (m->config.is_reader)
		begin_anew(s);
	else if (m->file == NULL)
		ask_broker(s, REQ_QUERY_CONSUMER_OFFSET, found);
	else if (offset_file_get(m->file, s->key, &offset))
		share_begin(s, offset, true);
	else
		begin_anew(s);
}
