/*
 * What of the log is deleted, and when (CleanCommitLogService of 5.3.3, and our own rules):
 *
 *   time    the oldest segment was last written `time` ago, and it is one of the hours, or the disk
 *           is fuller than clean_percent
 *   disk    the disk is fuller than force_percent: the oldest segment goes, however young
 *   size    the log is larger than `size`: the same
 *   stop    the disk is fuller than stop_percent: appends are refused until it is not
 *
 * A segment goes as a whole, one after the other with a pause; the one that is written to never. It
 * stays when a topic with a time of its own still wants it (not against disk and size), or when
 * keep_unconsumed is set and a group has not come that far (against everything). Then the queues'
 * first offsets follow, and those of their files that are wholly below. All [core].
 */
#ifndef LOG_RETENTION_H
#define LOG_RETENTION_H

#include "base/host.h"
#include "log/queue.h"
#include <mosaic/store.h>

struct log;

struct retention_config {
	uint64_t interval_ns; /* cleanResourceInterval, 10 s; 0: nothing is ever deleted */
	uint64_t pause_ns;    /* between two segments: deleteCommitLogFilesInterval, 100 ms */
	uint64_t time_ms;     /* fileReservedTime, 72 h */
	uint32_t hours;       /* deleteWhen: bit h for the hour that begins at h, local time */
	uint64_t size_bytes;  /* 0: no limit */
	/* diskMaxUsedSpaceRatio 75, diskSpaceCleanForciblyRatio 85, diskSpaceWarningLevelRatio
	 * 90; 0: off */
	int64_t clean_percent, force_percent, stop_percent;
	bool keep_unconsumed;
	/* Sets what is wanted of the queues (queue.h: wish); before each round. May be NULL. */
	void (*look)(void *ctx);
	void *ctx;
	/* Hour of the day where the operator is. NULL: UTC. */
	uint32_t (*hour)(uint64_t wall_ms);
};

struct retention_stats {
	uint64_t segments, bytes; /* deleted since start */
	uint64_t held;            /* rounds that ended because somebody still wants the segment */
};

struct retention {
	struct log *log;
	struct retention_config config;
	struct retention_stats stats;
	uint32_t used_percent; /* of the disk, rounded up; 0: not known */
	bool is_full;          /* above stop_percent */
	uint32_t manual;       /* rounds that do not wait for the hour */

	struct mosaic_timer timer; /* private from here */
	struct mosaic_req wait;
	struct mosaic_space space;
	struct cursor units;
	struct queue_search search;
	void (*step)(struct retention *r);
	struct queue **queues; /* those of the walk: the table may grow meanwhile */
	uint32_t n_queues, at, looked;
	int64_t low, high;
	bool has_bounds, has_searched;
	bool is_running, is_stopped, is_waiting, is_by_time;
	uint64_t now_ms;
	uint64_t next;      /* where the segment ends that is to go */
	uint64_t held_next; /* the last one that was said to be held */
	uint64_t synced;    /* units of records below are on the disk, or cannot be */
	const char *reason;
};

void retention_init(struct retention *r, struct log *log, const struct retention_config *config);
/* The log is open. */
void retention_start(struct retention *r);
/* The log closes; what was asked of the store still ends. */
void retention_stop(struct retention *r);
/* Stopped, and the store is closed. */
void retention_fini(struct retention *r);
/* Deletes what is due by time now and in the next rounds, whatever the hour
 * (executeDeleteFilesManually). */
void retention_now(struct retention *r);

#endif
