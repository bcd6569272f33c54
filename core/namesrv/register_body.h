/*
 * The body of REGISTER_BROKER (RegisterBrokerBody, TopicConfigSerializeWrapper of 5.3.3) in its
 * three forms: JSON, JSON of senders before V3_0_11 (without the outer object), and the zlib form:
 *
 *   4 + n  DataVersion as JSON
 *   4      number of topics
 *   each   4 + n  "name readQueues writeQueues perm filterType {attributes}"; the last is optional
 *   4 + n  filterServerList as JSON
 *   ...    mapping infos of static topics (not read)
 */
#ifndef NAMESRV_REGISTER_BODY_H
#define NAMESRV_REGISTER_BODY_H

#include "base/slice.h"
#include "wire/json.h"

#define TOPIC_NAME_MAX 512 /* "%RETRY%", a group of 255, "_" and a topic fit */
#define REGISTER_INFLATED_MAX (64u * 1024 * 1024)
#define FILTER_SERVERS_MAX (64u * 1024)

struct route_version { /* DataVersion */
	int64_t state_version, timestamp, counter;
};

struct registered_topic {
	struct mosaic_slice name; /* borrows from the body or from json */
	int32_t read_queues, write_queues, perm, sys_flag;
};

struct register_body {
	struct route_version version;
	struct registered_topic *topics;
	uint32_t n_topics;
	bool has_filter_servers; /* false: keep what is known */
	char *filter_servers;    /* JSON array; NULL: an empty one */
	json_t *json;
	uint8_t *inflated;
};

/* Slices borrow from `bytes` too. On an error (E_CORRUPT, E_LIMIT, E_NOMEM) there is nothing to
 * free. */
NODISCARD int register_body_decode(struct register_body *body, struct mosaic_slice bytes,
				   bool compressed, int32_t sender_version,
				   struct mosaic_error *err);
void register_body_free(struct register_body *body);

/* Missing members are 0, as in Java's default. */
void route_version_read(struct route_version *v, const json_t *object);
static inline bool route_version_eq(const struct route_version *a, const struct route_version *b)
{
	return a->state_version == b->state_version && a->timestamp == b->timestamp &&
	       a->counter == b->counter;
}

#endif
