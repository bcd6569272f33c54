/*
 * mosaic/balance.h - queue selection: which queue a message goes to, and how the queues of a topic
 * are shared among the members of a consumer group.
 *
 *   BAL-01 pure: the same input gives the same answer, in every process.
 *   BAL-02 every queue is given to exactly one member.
 *   BAL-03 no allocation, no I/O; runs on any thread, in clients too.
 *
 * Kind change log, newest first:
 *   0.1  first shape
 */
#ifndef MOSAIC_BALANCE_H
#define MOSAIC_BALANCE_H

#include <mosaic/host.h>
#include <mosaic/plugin.h>

#define MOSAIC_BALANCE_MAJOR 0
#define MOSAIC_BALANCE_MINOR 1
#define MOSAIC_KIND_BALANCE                                                                       \
	.kind = MOSAIC_BALANCE, .kind_major = MOSAIC_BALANCE_MAJOR,                               \
	.kind_minor = MOSAIC_BALANCE_MINOR

#define MOSAIC_BALANCE_CAP_KEYED (UINT64_C(1) << 0) /* pick() keeps one key on one queue */

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_balance; /* the plugin's; immutable after create */

struct mosaic_balance_ops {
	uint32_t struct_size;
	uint32_t reserved0;
	/* [main] */
	int32_t (*create)(const struct mosaic_host *host, const void *options,
			  struct mosaic_balance **out, struct mosaic_error *error);
	/* [main] */
	void (*destroy)(struct mosaic_balance *balance);
	/* [any] index in [0, n_queues) for a message. `sequence` counts the caller's messages to
	 * this topic. key may be empty. n_queues is at least 1. */
	uint32_t (*pick)(const struct mosaic_balance *balance, struct mosaic_slice key,
			 uint64_t sequence, uint32_t n_queues);
	/* [any] owners[i] = index of the member that owns queue i. Members are sorted by id, queues
	 * by (topic, broker name, queue id). n_members is at least 1. */
	void (*allocate)(const struct mosaic_balance *balance, uint32_t n_queues,
			 const struct mosaic_slice *members, uint32_t n_members, uint32_t *owners);
};

#ifdef __cplusplus
}
#endif
#endif
