/* Histogram of durations, resolution 3 %: 32 steps per power of two. Fixed size, no allocation. */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdint.h>

#define HIST_STEPS 32
#define HIST_BUCKETS (HIST_STEPS * 60)

struct hist {
	uint64_t count, sum, max;
	uint32_t buckets[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t value);
/* Value below which the share q (0..1) lies; 0 for an empty histogram. */
uint64_t hist_quantile(const struct hist *h, double q);
void hist_reset(struct hist *h);

#endif
