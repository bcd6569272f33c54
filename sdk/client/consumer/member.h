/*
 * A member of a consumer group: what push consumers and pullers have in common. Topics are
 * subscribed; queues of each are shared out (rebalance.c); each queue that is ours is a share,
 * which finds where to begin (start_offset.c), pulls (pull.c) and commits (offsets.c). What becomes
 * of the messages is the service's (ops). All [core].
 *
 *   1. A share is in member.shares from its making to its end; share_end() is its only end.
 *   2. At most one pull of a share is under way.
 *   3. Orderly and clustering: nothing is given out of a queue whose lock is older than 30 s, and a
 *      queue is unlocked only when nothing of it is out.
 *   4. Offsets are committed only by who has the share.
 */
#ifndef CONSUMER_MEMBER_H
#define CONSUMER_MEMBER_H

#include "client.h"
#include "consumer/allocate.h"
#include "consumer/process_queue.h"
#include "consumer/stats.h"
#include "consumer/subscription.h"

struct commits;
struct member;
struct offset_file;
struct json_writer;
struct share;

struct member_ops {
	/* Messages of the share are ready, or it is unlocked or unpaused. */
	void (*ready)(struct member *m, struct share *s);
	/* The share is about to end. */
	void (*ends)(struct member *m, struct share *s);
	/* push_pop.h; NULL: nothing is popped. */
	void (*pops)(struct member *m, const char *topic, const struct route_queue *queues,
		     uint32_t n);
	void (*write_pops)(const struct member *m, struct json_writer *w);
	/* Answers the request 309, now or later. NULL: there is nobody to consume. */
	void (*consume_directly)(struct member *m, struct request *req);
};

struct member_topic {
	struct member *member;
	struct subscription *sub;
	struct route_wait wait;
	struct ask ask; /* who is in the group */
	struct mosaic_timer again;
	uint32_t n_failed; /* rounds, one after the other */
	uint32_t n_missed; /* rounds in which the broker did not know us */
	bool is_busy, is_due;
	struct buf question; /* what is asked of a broker that shares queues out */
	struct topic_stats stats;
};

/* Set by the owner before member_init. */
struct member_config {
	const char *group;
	const char *type; /* consumeType of heartbeats */
	bool is_broadcast, is_orderly;
	bool is_manual; /* nobody commits but who asks for it */
	bool is_reader; /* is in no group and has no offsets there */
	bool is_brokered; /* brokers share the queues out, and say which are popped */
	uint32_t from;  /* enum mosaic_consume_from */
	int64_t from_ms;
	uint32_t pull_batch, max_cached, max_cached_bytes, max_span;
	uint32_t threads; /* told to admins */
	uint64_t commit_ns;
	const char *balance;    /* NULL: RocketMQ's average */
	const char *offset_dir; /* broadcasting */
};

struct member {
	struct mosaic_client *client;
	struct engine *engine;
	const struct member_ops *ops;
	struct member_config config; /* strings are copies */
	struct consumer_group heartbeat;
	enum allocate_way way;
	struct balancer balance;
	struct map topics; /* topic -> struct member_topic */
	struct map shares; /* share.key -> struct share */
	struct offset_file *file; /* broadcasting */
	struct mosaic_timer commit, lock, sample;
	uint32_t n_samples;
	struct stats_sums lost;
	struct route_watch watch;
	struct list asks; /* struct member_ask: commits, unlocks */
	struct list unlocks; /* struct member_ask.unlock: made and not yet answered */
	struct map commits; /* topic@broker -> struct commits */
	int64_t version;  /* of the newest subscription */
	uint64_t locks_asked_ns, started_ns, retold_ns;
	struct mosaic_queue *assigned; /* exactly these; NULL: shared out in the group */
	uint32_t n_assigned;
	bool is_running;
	void (*drained)(struct member *m); /* member_stop */
};

enum share_state {
	SHARE_LOCKING,
	SHARE_STARTING, /* finds where to begin */
	SHARE_RUNNING,
	SHARE_LEAVING   /* nothing is given out; ends when nothing is out */
};

struct share {
	struct member *member;
	struct subscription *sub; /* the topic's, or the share's own when it was assigned */
	struct broker *broker;
	int32_t id;
	enum share_state state;
	char *key;
	struct process_queue queue;
	int64_t next;    /* offset to pull next */
	int64_t told;    /* offset that the broker, or the file, knows; -1: none */
	int64_t from_broker; /* id of the broker to pull from: 0 the master */
	int64_t gone_broker; /* could not be reached: not asked until gone_ns */
	uint64_t gone_ns;
	uint64_t made_ns, locked_ns, pulled_ns, settled_ns;
	struct ask ask; /* start or pull */
	struct mosaic_timer timer;
	uint32_t n_failed;
	bool is_paused, is_full;
	/* the service's */
	struct list service;
	struct mosaic_timer suspend;
};

/* ---- member.c ---- */

NODISCARD int member_init(struct member *m, struct mosaic_client *client,
			  const struct member_config *config, const struct member_ops *ops,
			  struct mosaic_error *error); /* [any] */
void member_free(struct member *m);                    /* [any] stopped or never started */
/* Takes the subscription; one of the same topic is replaced. */
void member_subscribe(struct member *m, struct subscription *sub);
void member_unsubscribe(struct member *m, const char *topic);
/* 0, or E_INVAL: a group has one member per client, for members are told apart by client ids; or
 * nothing is subscribed. */
NODISCARD int member_start(struct member *m, struct mosaic_error *error);
/* Nothing is pulled and no queue taken from now on. */
void member_quiet(struct member *m);
/* Behind member_quiet: what is still out finds no queue when it comes back. Commits, unlocks,
 * leaves the group; then, maybe inside, drained(). */
void member_stop(struct member *m, void (*drained)(struct member *m));
/* Of a topic, to add to; what is added for a topic that is not subscribed is lost. */
struct stats_sums *member_stats(struct member *m, const char *topic);
/* NULL: it is not ours. */
struct share *member_share(struct member *m, const char *topic, const char *broker, int32_t id);
#define MEMBER_ASK_NS (3 * SECOND_NS)

/* A request that may outlive the share that it is about. */
struct member_ask {
	struct list link, unlock;
	struct member *member;
	const struct broker *broker;
	struct member_ask *then; /* sent when this one has ended; may be NULL */
	struct commits *commits; /* it is one of these, or NULL */
	struct ask ask;
	char *key; /* of the share, or NULL */
	int64_t offset;
	void *data; /* the maker's */
	struct buf body;
	void (*done)(struct member_ask *a); /* may be NULL; it is freed behind it */
};
struct member_ask *member_ask_make(struct member *m, const struct broker *b, const char *key);
void member_ask_send(struct member_ask *a); /* to the master, or a slave without one */

/* ---- rebalance.c ---- */

void rebalance_topic(struct member_topic *t); /* now, or again when it is under way */
void rebalance_all(struct member *m);
void rebalance_stop(struct member_topic *t);
/* A round is over; the next one is soon when it was not good. */
void rebalance_end(struct member_topic *t, bool is_good);
/* Who is in the group, asked of a broker: the members share out among themselves. */
void rebalance_ask_members(struct member_topic *t, const char *address);
/* The queues that are ours from now on: others of the topic are left, new ones begin. */
void rebalance_apply(struct member *m, struct subscription *sub, const struct route_queue *queues,
		     uint32_t n);

/* ---- assignment.c ---- */

/* What is ours, asked of a broker. */
void assignment_ask(struct member_topic *t, const char *address);

/* ---- share.c ---- */

void share_make(struct member *m, struct subscription *sub, struct broker *broker, int32_t id);
void share_begin(struct share *s, int64_t offset, bool is_committed); /* start_offset.c found it */
/* Anew from an offset: what is cached is dropped. */
void share_restart(struct share *s, int64_t offset);
void share_relock(struct share *s); /* the lock is lost: anew when there is one again */
void share_quiet(struct share *s); /* asks for nothing more */
void share_leave(struct share *s);
void share_stay(struct share *s); /* it is ours again, when it was leaving */
void share_end(struct share *s, bool is_committing);
/* Messages were consumed or put back by the service. */
void share_settled(struct share *s);
void share_failed(struct share *s, void (*again)(struct mosaic_timer *timer), const char *what,
		  const char *why); /* logs, and tries again in a second or more */
/* Whether messages may be given out now. */
bool share_is_usable(const struct share *s);

/* ---- start_offset.c, pull.c ---- */

void start_offset_find(struct share *s);
void pull_next(struct share *s); /* when there is room and nothing is under way */

/* ---- offsets.c ---- */

/* What is new goes to the broker or into the file. offsets_make: the request that does it, new or
 * not, not yet sent; NULL when there is nothing to ask. */
void offsets_commit(struct share *s);
/* member_ask_send() for commits: now, or when those under way are answered. */
void offsets_send(struct member_ask *a);
void offsets_answered(struct member_ask *a);
void offsets_forget(struct member *m);
void offsets_committed(struct member_ask *a); /* its done(): sees to it that it is tried again */
struct member_ask *offsets_make_one(struct member *m, const struct broker *b, const char *key,
				    int64_t offset);
struct member_ask *offsets_make(struct share *s);
void offsets_put(struct member *m, const char *key, int64_t offset); /* into the file */
int offsets_save(struct member *m); /* the file; 0 when there is none */
void offsets_tick(struct mosaic_timer *timer);

/* ---- lock.c ---- */

#define LOCK_LIFE_NS (30 * SECOND_NS)
void lock_soon(struct member *m);
void lock_tick(struct mosaic_timer *timer);
struct member_ask *lock_make_unlock(struct share *s); /* not yet sent */

#endif
