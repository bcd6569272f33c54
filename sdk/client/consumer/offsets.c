/*
 * Offsets of shares go to the broker (clustering) or into the file (broadcasting).
 *
 * Apache's broker takes requests of one connection in several threads, and makes the table of a
 * topic and group without a lock: of first commits that meet it keeps one and answers success to
 * all (5.3.3, ConsumerOffsetManager.commitOffset); of an older and a newer one either may come
 * last. So commits of a topic to a broker go in rounds, the first of them one commit alone, and no
 * pull carries an offset, for nobody knows when the broker has read it. What the first commits of
 * other members have wiped out is told again: every RETELL_NS, when somebody asks for a commit, and
 * when a share ends.
 */
#include "base/mem.h"
#include "consumer/member.h"
#include "consumer/offset_file.h"
#include "wire/codes.h"
#include <stdlib.h>
#include <string.h>

#define RETELL_NS (30 * SECOND_NS)

/* Of a topic to a broker. */
struct commits {
	struct list waiting; /* struct member_ask: the next round */
	uint32_t n_out;      /* the round that is under way */
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

static struct commits *commits_of(struct member *m, const char *key)
{
	struct mosaic_slice place = slice(key, (size_t)(strrchr(key, '@') - key));
	struct commits *c = map_get(&m->commits, place);

	if (c == NULL) {
		c = mem_alloc(sizeof(*c));
		list_init(&c->waiting);
		map_put(&m->commits, place, c);
	}
	return c;
}

static void begin(struct commits *c, struct member_ask *a)
{
	c->n_out++;
	member_ask_send(a);
}

void offsets_send(struct member_ask *a)
{
	a->commits = commits_of(a->member, a->key);
	if (a->commits->n_out == 0)
		begin(a->commits, a);
	else
		list_add_tail(&a->commits->waiting, &a->link);
}

void offsets_answered(struct member_ask *a)
{
	struct commits *c = a->commits;

	if (--c->n_out > 0)
		return;
	while (!list_empty(&c->waiting)) {
		struct member_ask *next = LIST_ENTRY(c->waiting.next, struct member_ask, link);
		list_remove(&next->link);
		begin(c, next);
	}
}

void offsets_forget(struct member *m)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&m->commits, &pos)) != NULL;)
		free(e->value);
	map_free(&m->commits);
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

/* What is still under way has the next tick's offset, not this one's. */
static bool is_due(const struct share *s)
{
	return s->queue.commit >= 0 && s->queue.commit != s->told &&
	       (s->member->file != NULL || commits_of(s->member, s->key)->n_out == 0);
}

void offsets_tick(struct mosaic_timer *timer)
{
	struct member *m = timer->data;
	uint64_t now = host_now_ns(m->engine->host);
	bool is_again = now - m->retold_ns >= RETELL_NS;
	struct map_entry *e;
	struct list due;

	list_init(&due);
	if (is_again)
		m->retold_ns = now;
	for (uint32_t pos = 0; !m->config.is_manual && (e = map_next(&m->shares, &pos)) != NULL;) {
		struct share *s = e->value;
		if (is_again)
			s->told = -1;
		struct member_ask *a = is_due(s) ? offsets_make(s) : NULL;
		if (a != NULL)
			list_add_tail(&due, &a->link);
	}
	while (!list_empty(&due)) {
		struct member_ask *a = LIST_ENTRY(due.next, struct member_ask, link);
		list_remove(&a->link);
		offsets_send(a);
	}
	(void)offsets_save(m); /* what fails is tried again with the next tick */
	m->engine->host->timer_start(m->engine->host, &m->commit, m->config.commit_ns);
}
