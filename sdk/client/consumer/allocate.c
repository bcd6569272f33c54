#include "consumer/allocate.h"
#include "base/buf.h"
#include "base/mem.h"
#include "consumer/md5.h"
#include <stdlib.h>

#define POINTS 10 /* of a member on the ring (AllocateMessageQueueConsistentHash) */

enum allocate_way allocate_way(const char *name)
{
	if (name != NULL && strcmp(name, "circle") == 0)
		return ALLOCATE_CIRCLE;
	if (name != NULL && strcmp(name, "consistent-hash") == 0)
		return ALLOCATE_RING;
	return ALLOCATE_PLUGIN;
}

/* ---- the ring ---- */

struct point {
	uint32_t hash, member, order;
};

/* ConsistentHashRouter.MD5Hash: the first four bytes. */
static uint32_t hash(struct mosaic_slice text)
{
	uint8_t digest[16];

	md5(text.ptr, text.len, digest);
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
	       digest[3];
}

static int by_hash(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order; /* qsort is not stable */
}

static struct point *make_ring(const struct mosaic_slice *members, uint32_t n_members)
{
	struct point *ring = mem_alloc((size_t)n_members * POINTS * sizeof(*ring));
	struct buf key = BUF_INIT;

	for (uint32_t i = 0; i < n_members * POINTS; i++) {
		buf_clear(&key);
		buf_append_slice(&key, members[i / POINTS]);
		buf_append_byte(&key, '-');
		buf_append_i64(&key, i % POINTS);
		ring[i] = (struct point){ .hash = hash(buf_slice(&key)), .member = i / POINTS,
					  .order = i };
	}
	qsort(ring, (size_t)n_members * POINTS, sizeof(*ring), by_hash);
	buf_free(&key);
	return ring;
}

/* The first point at or behind the hash, the ring being closed. Of equal points the last one put
 * counts, as in a Java map. */
static uint32_t find_owner(const struct point *ring, uint32_t n, uint32_t at)
{
	uint32_t low = 0, high = n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ring[middle].hash < at)
			low = middle + 1;
		else
			high = middle;
	}
	low = low == n ? 0 : low;
	while (low + 1 < n && ring[low + 1].hash == ring[low].hash)
		low++;
	return ring[low].member;
}

static void allocate_ring(const char *topic, const struct route_queue *queues, uint32_t n_queues,
			  const struct mosaic_slice *members, uint32_t n_members, uint32_t *owners)
{
	struct point *ring = make_ring(members, n_members);
	struct buf key = BUF_INIT;

	for (uint32_t i = 0; i < n_queues; i++) {
		buf_clear(&key); /* MessageQueue.toString() */
		buf_printf(&key, "MessageQueue [topic=%s, brokerName=%s, queueId=%d]", topic,
			   queues[i].broker->name, (int)queues[i].id);
		owners[i] = find_owner(ring, n_members * POINTS, hash(buf_slice(&key)));
	}
	buf_free(&key);
	free(ring);
}

void allocate(enum allocate_way way, const struct balancer *plugin, const char *topic,
	      const struct route_queue *queues, uint32_t n_queues,
	      const struct mosaic_slice *members, uint32_t n_members, uint32_t *owners)
{
	switch (way) {
	case ALLOCATE_CIRCLE:
		for (uint32_t i = 0; i < n_queues; i++)
			owners[i] = i % n_members;
		break;
	case ALLOCATE_RING:
		allocate_ring(topic, queues, n_queues, members, n_members, owners);
		break;
	default:
		plugin->plugin->ops.balance.allocate(plugin->instance, n_queues, members,
						     n_members, owners);
		break;
	}
}
