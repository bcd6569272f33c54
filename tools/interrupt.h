/*
 * Ctrl-C and SIGTERM as something that is asked for: they are held back and wait in a descriptor.
 * After the first has come they work as ever, so that a second one ends a program that hangs.
 */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct interrupt {
	int fd; /* readable when one has come */
	bool came;
};

void interrupt_open(struct interrupt *i);
void interrupt_close(struct interrupt *i);
bool interrupt_came(struct interrupt *i);
/* Waits for one, or so long; whether one has come. */
bool interrupt_wait(struct interrupt *i, uint64_t ns);

#endif
