/*
 * lb-hash: messages with the same key go to the same queue, so they stay in order. The queue is the
 * one that RocketMQ's Java client picks (SelectMessageQueueByHash, 5.3.3: |key.hashCode() % n|), so
 * producers in both languages agree. A message without a key goes to the queues in turn.
 *
 * Queues are shared among the members in equal ranges: see average.h for why it is not a consistent
 * hash. (AllocateMessageQueueConsistentHash hashes broker names, which a balance plugin never
 * sees.)
 */
#include "../lb-common/balancer.h"

#define REPLACEMENT 0xFFFDu

/*
 * The next code point of UTF-8 text as Java decodes it: what is malformed becomes one U+FFFD for
 * its longest beginning that could have been right. *used: the bytes it takes.
 */
static uint32_t next_code_point(const uint8_t *p, size_t len, size_t *used)
{
	uint32_t low = 0x80, high = 0xBF, more, cp;

	*used = 1;
	if (p[0] < 0x80)
		return p[0];
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return REPLACEMENT;
	if (p[0] < 0xE0) {
		more = 1;
		cp = p[0] & 0x1Fu;
	} else if (p[0] < 0xF0) {
		more = 2;
		cp = p[0] & 0x0Fu;
		low = p[0] == 0xE0 ? 0xA0 : 0x80; /* no longer than needed */
	} else {
		more = 3;
		cp = p[0] & 0x07u;
		low = p[0] == 0xF0 ? 0x90 : 0x80;
		high = p[0] == 0xF4 ? 0x8F : 0xBF; /* not above U+10FFFF */
	}
	for (; more > 0; more--, low = 0x80, high = 0xBF) {
		if (*used == len || p[*used] < low || p[*used] > high)
			return REPLACEMENT;
		cp = cp << 6 | (p[(*used)++] & 0x3Fu);
	}
	return cp >= 0xD800 && cp <= 0xDFFF ? REPLACEMENT : cp;
}

/* String.hashCode: over the UTF-16 units, wrapping at 32 bits. */
static int32_t java_hash(struct mosaic_slice key)
{
	uint32_t hash = 0;
	size_t used;

	for (size_t at = 0; at < key.len; at += used) {
		uint32_t cp = next_code_point(key.ptr + at, key.len - at, &used);

		if (cp < 0x10000) {
			hash = 31 * hash + cp;
		} else {
			hash = 31 * hash + (0xD800 + ((cp - 0x10000) >> 10));
			hash = 31 * hash + (0xDC00 + ((cp - 0x10000) & 0x3FF));
		}
	}
	return (int32_t)hash;
}

static uint32_t lb_pick(const struct mosaic_balance *b, struct mosaic_slice key, uint64_t sequence,
			uint32_t n_queues)
{
	int64_t rest;

	(void)b;
	if (key.len == 0)
		return (uint32_t)(sequence % n_queues);
	rest = (int64_t)java_hash(key) % (int64_t)n_queues;
	return (uint32_t)(rest < 0 ? -rest : rest);
}

static const struct mosaic_balance_ops ops = {
	.struct_size = sizeof(ops),
	.create = balancer_create,
	.destroy = balancer_destroy,
	.pick = lb_pick,
	.allocate = balancer_allocate,
};

MOSAIC_PLUGIN(.name = "lb-hash", .version = "0.1.0", .vendor = "Mosaic", .license = "Apache-2.0",
	      .summary = "Messages with the same key to the same queue, as the Java client does",
	      MOSAIC_KIND_BALANCE, .caps = MOSAIC_BALANCE_CAP_KEYED, .ops = &ops);
