#include "base/hist.h"
#include <string.h>

/*
 * Bucket i < 32 holds the value i. Above, a value with its highest bit at e >= 5 falls into one of
 * 32 steps of width 2^(e-5): the top 6 bits of the value choose the bucket.
 */
static uint32_t bucket_of(uint64_t value)
{
	if (value < HIST_STEPS)
		return (uint32_t)value;
	uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - 5;
	return shift * HIST_STEPS + (uint32_t)(value >> shift);
}

static uint64_t bucket_last_value(uint32_t bucket)
{
	if (bucket < 2 * HIST_STEPS)
		return bucket;
	uint32_t shift = bucket / HIST_STEPS - 1;
	uint64_t first = (uint64_t)(bucket % HIST_STEPS + HIST_STEPS) << shift;
	return first + ((UINT64_C(1) << shift) - 1);
}

void hist_add(struct hist *h, uint64_t value)
{
	h->count++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
	h->buckets[bucket_of(value)]++;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t seen = 0;
	double wanted = q * (double)h->count;

	for (uint32_t i = 0; i < HIST_BUCKETS && h->count != 0; i++) {
		seen += h->buckets[i];
		if (seen == 0 || (double)seen < wanted)
			continue;
		uint64_t last = bucket_last_value(i);
		return last < h->max ? last : h->max;
	}
	return h->max;
}

void hist_reset(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}
