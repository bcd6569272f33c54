/*
 * Queues of a topic shared among the members of a group as RocketMQ's default does it
 * (AllocateMessageQueueAveragely, 5.3.3): consecutive ranges, the first n_queues % n_members
 * members get one queue more. A group whose members run different clients stays whole only if all
 * of them use the same rule, so both balance plugins use this one.
 */
#ifndef LB_COMMON_AVERAGE_H
#define LB_COMMON_AVERAGE_H

#include <stdint.h>

static inline void average_allocate(uint32_t n_queues, uint32_t n_members, uint32_t *owners)
{
	uint32_t share = n_queues / n_members, extra = n_queues % n_members;
	uint32_t queue = 0;

	for (uint32_t member = 0; member < n_members && queue < n_queues; member++) {
		uint32_t count = share + (member < extra ? 1 : 0);

		while (count-- > 0)
			owners[queue++] = member;
	}
}

#endif
