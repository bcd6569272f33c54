/*
 * Queue locks of orderly consumers. A lock is taken when it is free, expired or the client's own,
 * and lives 60 s from the last time it was asked for. They are lost at a restart, as in Apache's
 * broker.
 */
#include "broker/locks.h"
#include "base/err.h"
#include "base/mem.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <stdlib.h>

#define LOCKS_MAX 1000000 /* of all groups together */
#define NAME_MAX_BYTES 255
#define KEY_MAX (2 * NAME_MAX_BYTES + 16)

struct lock {
	char *client_id;
	uint64_t taken_ns;
};

struct lock_group {
	struct map queues; /* topic \0 broker \0 queue id -> struct lock */
};

struct locks {
	struct broker *broker;
	struct map groups; /* group -> struct lock_group */
	uint32_t n_locks;
};

struct locks *locks_create(struct broker *b)
{
	struct locks *l = mem_alloc(sizeof(*l));

	l->broker = b;
	return l;
}

static void lock_free(struct lock *lock)
{
	free(lock->client_id);
	free(lock);
}

static void group_free(struct lock_group *g)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&g->queues, &pos)) != NULL;)
		lock_free(e->value);
	map_free(&g->queues);
	free(g);
}

void locks_destroy(struct locks *l)
{
	struct map_entry *e;

	for (uint32_t pos = 0; (e = map_next(&l->groups, &pos)) != NULL;)
		group_free(e->value);
	map_free(&l->groups);
	free(l);
}

static bool is_expired(const struct locks *l, const struct lock *lock)
{
	return host_now_ns(l->broker->host) - lock->taken_ns > LOCK_EXPIRY_MS * MS_NS;
}

bool locks_group_has_any(const struct locks *l, struct mosaic_slice group)
{
	const struct lock_group *g = map_get(&l->groups, group);
	struct map_entry *e;

	if (!g)
		return false;
	for (uint32_t pos = 0; (e = map_next(&g->queues, &pos)) != NULL;)
		if (!is_expired(l, e->value))
			return true;
	return false;
}

static void group_remove_if_empty(struct locks *l, struct mosaic_slice name)
{
	struct lock_group *g = map_get(&l->groups, name);

	if (g && map_count(&g->queues) == 0) {
		map_remove(&l->groups, name);
		group_free(g);
	}
}

/* Expired locks of all groups go when the bound is reached. */
static void purge(struct locks *l)
{
	struct map_entry *group, *e;

	for (uint32_t pos = 0; (group = map_next(&l->groups, &pos)) != NULL;) {
		struct lock_group *g = group->value;

		for (uint32_t at = 0; (e = map_next(&g->queues, &at)) != NULL;) {
			struct lock *lock = e->value;

			if (!is_expired(l, lock))
				continue;
			map_remove(&g->queues, e->key);
			lock_free(lock);
			l->n_locks--;
		}
		group_remove_if_empty(l, group->key);
	}
}

/* ---- one queue -------------------------------------------------------------------------- */

/* False for something that is no message queue. */
static bool make_key(const json_t *queue, uint8_t *room, struct mosaic_slice *key)
{
	struct mosaic_slice topic = json_get_str(queue, "topic");
	struct mosaic_slice name = json_get_str(queue, "brokerName");
	int64_t queue_id = json_get_i64(queue, "queueId", -1);
	uint8_t *at = room;

	if (topic.len == 0 || topic.len > NAME_MAX_BYTES || name.len > NAME_MAX_BYTES ||
	    queue_id < 0 || queue_id > INT32_MAX)
		return false;
	memcpy(at, topic.ptr, topic.len);
	at += topic.len;
	*at++ = 0;
	if (name.len > 0)
		memcpy(at, name.ptr, name.len);
	at += name.len;
	*at++ = 0;
	for (int i = 0; i < 4; i++)
		*at++ = (uint8_t)(queue_id >> (8 * i));
	*key = slice(room, (size_t)(at - room));
	return true;
}

static bool take(struct locks *l, struct lock_group *g, struct mosaic_slice key,
		 struct mosaic_slice client_id)
{
	struct lock *lock = map_get(&g->queues, key);

	if (lock && !slice_is(client_id, lock->client_id)) {
		if (!is_expired(l, lock))
			return false;
		free(lock->client_id);
		lock->client_id = slice_dup(client_id);
	}
	if (!lock) {
		if (l->n_locks >= LOCKS_MAX)
			return false;
		lock = mem_alloc(sizeof(*lock));
		lock->client_id = slice_dup(client_id);
		map_put(&g->queues, key, lock);
		l->n_locks++;
	}
	lock->taken_ns = host_now_ns(l->broker->host);
	return true;
}

static void release(struct locks *l, struct lock_group *g, struct mosaic_slice key,
		    struct mosaic_slice client_id)
{
	struct lock *lock = map_get(&g->queues, key);

	if (!lock || !slice_is(client_id, lock->client_id))
		return;
	map_remove(&g->queues, key);
	lock_free(lock);
	l->n_locks--;
}

/* ---- 41, 42 ----------------------------------------------------------------------------- */

static json_t *read_body(const struct request *req, struct mosaic_slice *group,
			 struct mosaic_slice *client_id)
{
	struct mosaic_error err = ERR_INIT;
	json_t *body = json_read(req->body, &err);

	if (!body) {
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "the body cannot be read: %s",
			     err.text);
		return NULL;
	}
	*group = json_get_str(body, "consumerGroup");
	*client_id = json_get_str(body, "clientId");
	if (group->len > 0 && group->len <= NAME_MAX_BYTES && client_id->len > 0)
		return body;
	reply_remark(&req->ticket, RES_SYSTEM_ERROR, "consumerGroup or clientId is missing");
	json_decref(body);
	return NULL;
}

static void write_queue(const json_t *queue, struct json_writer *w)
{
	jw_object(w);
	jw_put_str(w, "brokerName", json_get_str(queue, "brokerName"));
	jw_put_i64(w, "queueId", json_get_i64(queue, "queueId", 0));
	jw_put_str(w, "topic", json_get_str(queue, "topic"));
	jw_object_end(w);
}

void lock_on_lock(void *broker, struct request *req)
{
	struct locks *l = ((struct broker *)broker)->locks;
	struct mosaic_slice group, client_id, key;
	struct buf out = BUF_INIT;
	uint8_t room[KEY_MAX];
	struct json_writer w;
	struct lock_group *g;
	size_t i;
	json_t *body, *queue;

	body = read_body(req, &group, &client_id);
	if (!body)
		return;
	if (l->n_locks >= LOCKS_MAX)
		purge(l);
	g = map_get(&l->groups, group);
	if (!g) {
		g = mem_alloc(sizeof(*g));
		map_put(&l->groups, group, g);
	}
	jw_init(&w, &out);
	jw_object(&w);
	jw_key(&w, "lockOKMQSet");
	jw_array(&w);
	json_array_foreach(json_object_get(body, "mqSet"), i, queue) {
		if (make_key(queue, room, &key) && take(l, g, key, client_id))
			write_queue(queue, &w);
	}
	jw_array_end(&w);
	jw_object_end(&w);
	group_remove_if_empty(l, group);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&out));
	buf_free(&out);
	json_decref(body);
}

void lock_on_unlock(void *broker, struct request *req)
{
	struct locks *l = ((struct broker *)broker)->locks;
	struct mosaic_slice group, client_id, key;
	uint8_t room[KEY_MAX];
	struct lock_group *g;
	size_t i;
	json_t *body, *queue;

	body = read_body(req, &group, &client_id);
	if (!body)
		return;
	g = map_get(&l->groups, group);
	json_array_foreach(json_object_get(body, "mqSet"), i, queue) {
		if (g && make_key(queue, room, &key))
			release(l, g, key, client_id);
	}
	group_remove_if_empty(l, group);
	reply_code(&req->ticket, RES_SUCCESS);
	json_decref(body);
}
