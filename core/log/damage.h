/*
 * Damage: bits that changed on a disk after they were written whole, and bytes that a disk cannot
 * read any more. Either costs the messages that it hits: they are skipped, counted and told, and
 * everything else goes on.
 *
 * Changed bits. What is handed out is compared with what it must be. What was appended since the
 * log was opened is in memory as it came; it is trusted. What lies below `unproven` may have been
 * read from a disk and is compared each time it is handed out: at open that is the whole log, and a
 * read that had to wait for the store (MOSAIC_PENDING) moves it to the log's end as it is then: the
 * store brings in more than it is asked for, so nobody knows which of the older bytes came back. A
 * consumer that keeps up reads above it and pays nothing.
 *
 * A record has a checksum of its body, says where it lies, and to which topic, queue and index it
 * belongs. Its properties have no checksum (RocketMQ's files have none).
 *
 * Lost bytes. The store tells them from a disk that does not answer at all (MOSAIC_E_LOST,
 * MOSAIC_E_IO in mosaic/store.h): after the latter nothing is skipped, who asks is told to ask
 * again. What is lost is remembered, so that the reader whom it was told of, and others, step over
 * the records in it; for a minute, since a cable can be plugged in again. All [core].
 */
#ifndef LOG_DAMAGE_H
#define LOG_DAMAGE_H

#include "log/log.h"

static inline bool log_is_proven(const struct log *log, uint64_t offset)
{
	return offset >= log->unproven;
}

/* Whether a unit can be of a record: within one segment of what exists. What was trimmed fits. */
bool unit_fits(const struct log *log, const struct queue_unit *unit);
/* Whether the bytes are the record of this unit, unit->size of them, and whole. */
bool record_fits(const struct queue *q, int64_t index, const struct queue_unit *unit,
		 const uint8_t *bytes);
/* Counts it, and tells of it once a second at most. */
void log_damaged(struct log *log, struct mosaic_slice topic, int32_t queue_id, int64_t index,
		 uint64_t at);

/* A read of the commit log has ended with MOSAIC_E_LOST. */
void log_lost(struct log *log, const struct mosaic_read *read);
/* How many of `len` bytes from `offset` on come before the first that is known to be lost. */
uint32_t log_readable(struct log *log, uint64_t offset, uint32_t len);

#endif
