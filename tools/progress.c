#include "progress.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1e9
#define PERIOD_NS (PROGRESS_MS * UINT64_C(1000000))

uint64_t progress_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void progress_init(struct progress *p)
{
	const char *terminal = getenv("TERM");

	*p = (struct progress){ .begin_ns = progress_now_ns() };
	p->next_ns = p->begin_ns + PERIOD_NS;
	p->is_on = isatty(STDERR_FILENO) != 0 && terminal != NULL &&
		   strcmp(terminal, "dumb") != 0;
}

void progress_tick(struct progress *p, uint64_t sent, uint64_t failed)
{
	uint64_t now = p->is_on ? progress_now_ns() : 0;

	if (now < p->next_ns || !p->is_on)
		return;
	double seconds = (double)(now - p->begin_ns) / SECOND;
	fprintf(stderr, "\r\033[K%llu sent, %llu failed, %.0f messages/s, %.1f s",
		(unsigned long long)sent, (unsigned long long)failed, (double)sent / seconds,
		seconds);
	p->is_shown = true;
	p->next_ns = now + PERIOD_NS;
}

void progress_hide(struct progress *p)
{
	if (p->is_shown)
		fputs("\r\033[K", stderr);
	p->is_shown = false;
}
