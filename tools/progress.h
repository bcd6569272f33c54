/* One line on a terminal that says how far a command is; drawn five times a second. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_MS 200

struct progress {
	bool is_on, is_shown;
	uint64_t begin_ns, next_ns;
};

/* On where standard error is a terminal that can take a line back. */
void progress_init(struct progress *p);
/* Draws when it is time for it. */
void progress_tick(struct progress *p, uint64_t sent, uint64_t failed);
/* Takes it away: before something else is printed, and at the end. */
void progress_hide(struct progress *p);

uint64_t progress_now_ns(void);

#endif
