/*
 * Threads that are none: pthread_create, join and condition variables are wrapped by the linker,
 * and a thread of the code under test becomes a fiber that runs when the test says so, up to its
 * next wait or file call. So a run follows from its seed, and a debugger can walk through it.
 */
#ifndef FAULT_FIBERS_H
#define FAULT_FIBERS_H

#include <stdbool.h>
#include <stdint.h>

/* Runs a fiber that can go on, chosen by `draw`, until it waits, ends or yields; false: none
 * can. */
bool fibers_step(uint64_t draw);
/* How many can go on. */
uint32_t fibers_ready(void);
/* In a fiber: lets others run. Elsewhere nothing. */
void fiber_yield(void);
bool fiber_is_current(void);
/* Those of a world that was left in the middle, because it was found wrong, never go on. */
void fibers_forget(void);

#endif
