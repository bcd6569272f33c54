/* Offsets of shares go to the broker (clustering) or into the file (broadcasting). */
#include "consumer/member.h"
#include "consumer/offset_file.h"
#include "wire/codes.h"

static void fill(struct ask *ask, struct header_writer *w)
{
	const struct member_ask *a = ask->data;
	/* topic@broker@queue: names have no @ in them but brokers' may, so from both ends. */
	struct mosaic_slice key = slice_str(a->key), topic = key, id = key, broker;
	size_t first = strcspn(a->key, "@"), last = key.len;

	while (key.ptr[last - 1] != '@')
		last--;
	topic.len = first;
	id = slice(key.ptr + last, key.len - last);
	broker = slice(key.ptr + first + 1, last - first - 2);
	header_put_str(w, "consumerGroup", a->member->config.group);
	header_put(w, "topic", topic);
	header_put(w, "queueId", id);
	header_put_i64(w, "commitOffset", a->offset);
	header_put(w, "bname", broker);
}

void offsets_committed(struct member_ask *a)
{
	struct share *s = map_get(&a->member->shares, slice_str(a->key));

	if (a->ask.status == 0 && a->ask.response->code == RES_SUCCESS)
		return;
	LOG_WARN(a->member->engine->host, "commit_failed", "group=%s queue=%s offset=%lld code=%d",
		 a->member->config.group, a->key, (long long)a->offset,
		 a->ask.status != 0 ? a->ask.status : (int)a->ask.response->code);
	if (s != NULL && s->told == a->offset)
		s->told = -1; /* with the next tick */
}

struct member_ask *offsets_make_one(struct member *m, const struct broker *b, const char *key,
				    int64_t offset)
{
	struct member_ask *a = member_ask_make(m, b, key);

	a->ask.code = REQ_UPDATE_CONSUMER_OFFSET;
	a->ask.room = HEADER_FIELD_ROOM(13, strlen(m->config.group)) +
		      HEADER_FIELD_ROOM(32, strlen(key)) + HEADER_FIELD_ROOM(12, 20) + 64;
	a->ask.fill = fill;
	a->offset = offset;
	a->done = offsets_committed;
	return a;
}

struct member_ask *offsets_make(struct share *s)
{
	struct member *m = s->member;

	if (s->queue.commit < 0 || s->queue.commit == s->told)
		return NULL;
	s->told = s->queue.commit;
	if (m->file != NULL) {
		offset_file_put(m->file, s->key, s->told);
		return NULL;
	}
	return offsets_make_one(m, s->broker, s->key, s->told);
}

void offsets_commit(struct share *s)
{
	struct member_ask *a = offsets_make(s);

	if (a != NULL)
		member_ask_send(a);
}

void offsets_put(struct member *m, const char *key, int64_t offset)
{
	offset_file_put(m->file, key, offset);
}

int offsets_save(struct member *m)
{
	struct mosaic_error error = ERR_INIT;
	char text[600];

	if (m->file == NULL || offset_file_write(m->file, &error) == 0)
		return 0;
	LOG_ERROR(m->engine->host, "offsets_not_written", "group=%s why=%s",
		  m->config.group, host_log_quote(text, sizeof(text), error.text));
	return error.code;
}

void offsets_tick(struct mosaic_timer *timer)
{
	struct member *m = timer->data;
	struct map_entry *e;

	for (uint32_t pos = 0; !m->config.is_manual && (e = map_next(&m->shares, &pos)) != NULL;)
		offsets_commit(e->value);
	(void)offsets_save(m); /* what fails is tried again with the next tick */
	m->engine->host->timer_start(m->engine->host, &m->commit, m->config.commit_ns);
}
