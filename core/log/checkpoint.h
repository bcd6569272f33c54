/*
 * The document "checkpoint" (StoreCheckpoint of 5.3.3): from where a recovery must look.
 *
 *   0 store time of the newest record known to be durable      16 the same of the index files
 *   8 of the newest record whose unit is known to be durable   24 master flushed offset
 *                                                              32 confirm offset
 *  64 our own: 8 magic, 8 offset of a record, 8 its store time, 8 the next offsets of all queues
 *    added up when it was the newest record with a unit, 4 CRC-32 of the 32 bytes before
 * 128 our own: 8 magic, 8 name of an index file, 40 its header, 4 CRC-32 of the 56 bytes before
 *
 * The record at 64 has a unit, and it, everything below it and all of their units are durable: a
 * recovery may start there; when the queues are shorter than their sum says, units were lost and it
 * starts at the log's beginning. Apache's broker leaves these bytes alone, and may have changed
 * everything since: recover.c believes them only when record and unit are found as they say.
 *
 * Written at most once a second while something changes, and at close. The consume queues are
 * made durable every 5 s or 64 MiB of log, and later when there are thousands of them. All [core].
 */
#ifndef LOG_CHECKPOINT_H
#define LOG_CHECKPOINT_H

#include "base/host.h"
#include "base/slice.h"
#include "log/index.h"
#include <mosaic/store.h>

#define CHECKPOINT_BYTES 4096

struct log;

/* What the log looked like when somebody began to make it durable. */
struct checkpoint_mark {
	uint64_t end;
	int64_t store_ms;
	uint64_t unit_phys; /* newest record with a unit, UINT64_MAX: none */
	int64_t unit_ms;
	uint64_t n_units;
};

struct checkpoint {
	struct log *log;
	/* What the document says. */
	int64_t physic_ms, logics_ms, index_ms;
	int64_t master_flushed, confirm;
	uint64_t resume; /* the record to start from, UINT64_MAX: not known */
	int64_t resume_ms;
	uint64_t n_units; /* of all queues: those of this record and of all before it */
	struct index_mark index;
	/* Under way. */
	struct checkpoint_mark records; /* counts when the durable watermark has reached its end */
	struct checkpoint_mark units;   /* the same, and the queues must be synced */
	bool has_records, has_units, are_units_synced;
	uint64_t synced_end; /* the log's end at the last sync of the queues */
	uint64_t synced_ns;
	bool is_changed, is_hurried, is_busy, is_failed;
	bool may_save; /* the second since the last save is over */
	void (*closed)(struct log *log);
	struct mosaic_timer timer;
	struct mosaic_req sync;
	struct mosaic_doc doc;
	uint8_t content[CHECKPOINT_BYTES];
};

void checkpoint_init(struct checkpoint *c, struct log *log);
/* Fields from the document; false, with all of them as at init, when it is none. */
NODISCARD bool checkpoint_parse(struct checkpoint *c, struct mosaic_slice content);
/* The log is open: everything up to its end is durable, the units too when are_units_durable. */
void checkpoint_start(struct checkpoint *c, bool are_units_durable);
/* The log has grown; is told once per burst. */
void checkpoint_grown(struct checkpoint *c);
/* Files of the index became durable: the last one's entries as the mark says (may be NULL), or all
 * of a full one, whose last record was stored at full_ms (0: none). */
void checkpoint_index(struct checkpoint *c, const struct index_mark *mark, int64_t full_ms);
/* Queues went away: make what is there now durable soon. */
void checkpoint_hurry(struct checkpoint *c);
/* Syncs the queues and writes the document a last time, then closed(log), perhaps inside the
 * call. */
void checkpoint_close(struct checkpoint *c, void (*closed)(struct log *log));

#endif
