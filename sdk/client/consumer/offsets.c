/*
 * Offsets of shares go to the broker (clustering) or into the file (broadcasting).
 *
 * Apache's broker makes the table of a topic and group without a lock: of several first commits
 * that meet in its threads it keeps one and answers success to all of them (5.3.3,
 * ConsumerOffsetManager.commitOffset). So the first of ours goes alone and the others wait for its
 * answer; and for what the first commits of other members have wiped out, everything is told again
 * every RETELL_NS, when somebody asks for a commit, and when a share ends.
 */
#include "base/mem.h"
#include "consumer/member.h"
#include "consumer/offset_file.h"
#include "wire/codes.h"
#include <stdlib.h>
#include <string.h>

#define RETELL_NS (30 * SECOND_NS)

/* First commits of a topic to a broker. */
struct opening {
	struct list waiting; /* struct member_ask, until the first is answered */
	bool is_open;
};

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

	if (s->queue.commit < 0)
		return NULL;
	s->told = s->queue.commit;
	if (m->file != NULL) {
		offset_file_put(m->file, s->key, s->told);
		return NULL;
	}
	return offsets_make_one(m, s->broker, s->key, s->told);
}

static struct mosaic_slice place_of(const struct member_ask *a)
{
	return slice(a->key, (size_t)(strrchr(a->key, '@') - a->key));
}

void offsets_send(struct member_ask *a)
{
	struct member *m = a->member;
	struct opening *o = map_get(&m->openings, place_of(a));

	if (o != NULL && !o->is_open) {
		list_add_tail(&o->waiting, &a->link);
		return;
	}
	if (o == NULL) {
		o = mem_alloc(sizeof(*o));
		list_init(&o->waiting);
		map_put(&m->openings, place_of(a), o);
		a->opening = o;
	}
	member_ask_send(a);
}

void offsets_opened(struct member_ask *a)
{
	struct opening *o = a->opening;

	o->is_open = true;
	while (!list_empty(&o->waiting)) {
		struct member_ask *next = LIST_ENTRY(o->waiting.next, struct member_ask, link);
		list_remove(&next->link);
		member_ask_send(next);
	}
	if (a->ask.status != 0 || a->ask.response->code != RES_SUCCESS) {
		map_remove(&a->member->openings, place_of(a)); /* the next is a first one again */
		free(o);
	}
}

void offsets_forget(struct member *m)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&m->openings, &pos)) != NULL;)
		free(e->value);
	map_free(&m->openings);
}

void offsets_commit(struct share *s)
{
	struct member_ask *a = s->queue.commit != s->told ? offsets_make(s) : NULL;

	if (a != NULL)
		offsets_send(a);
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
	uint64_t now = host_now_ns(m->engine->host);
	bool is_again = now - m->retold_ns >= RETELL_NS;
	struct map_entry *e;

	if (is_again)
		m->retold_ns = now;
	for (uint32_t pos = 0; !m->config.is_manual && (e = map_next(&m->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		if (is_again)
			s->told = -1;
		offsets_commit(s);
	}
	(void)offsets_save(m); /* what fails is tried again with the next tick */
	m->engine->host->timer_start(m->engine->host, &m->commit, m->config.commit_ns);
}
