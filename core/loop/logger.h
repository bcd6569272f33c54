/*
 * The process's log: logfmt lines on a descriptor, one write(2) a line, so that lines of several
 * threads and processes never mix. Under the systemd journal (JOURNAL_STREAM names our descriptor)
 * a line begins with the level as "<N>" and leaves out the time, which the journal has. A pipe that
 * nobody empties makes the writer wait: the descriptor is the operator's, so is its reader.
 */
#ifndef LOOP_LOGGER_H
#define LOOP_LOGGER_H

#include "base/compiler.h"
#include <mosaic/host.h>
#include <stdatomic.h>

/* 4096: PIPE_BUF, up to which a write to a pipe is atomic. Longer lines are cut. */
#define LOGGER_LINE 4096

struct logger {
	int fd;
	bool journal;
	_Atomic uint32_t level; /* relaxed: nothing is published through it */
	_Atomic uint64_t lost;  /* lines that could not be written; relaxed counter */
};

/* fd stays the caller's. Level is info. [main] */
void logger_init(struct logger *logger, int fd);
/* Lines above this level (enum mosaic_log_level) are dropped. [any] */
void logger_set_level(struct logger *logger, uint32_t level);
/* "error", "warn", "info", "debug". 0, or MOSAIC_E_INVAL. */
NODISCARD int logger_parse_level(const char *text, uint32_t *level);
static inline bool logger_wants(const struct logger *logger, uint32_t level)
{
	return level <= atomic_load_explicit(&logger->level, memory_order_relaxed);
}
/* One line. plugin may be NULL. Control characters in text become blanks. [any] */
void logger_write(struct logger *logger, uint64_t wall_ms, uint32_t level, const char *plugin,
		  const char *event, const char *text);

#endif
