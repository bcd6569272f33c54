/*
 * An io_uring without a kernel: the calls of liburing are wrapped by the linker, what is submitted
 * is done when the test says so, in an order that it draws (linked requests one after another), by
 * the same wrapped file calls as everything else.
 */
#ifndef FAULT_URING_H
#define FAULT_URING_H

#include <stdbool.h>
#include <stdint.h>

uint32_t uring_ready(void); /* requests that can be done now */
/* Does one of them, chosen by `draw`; false: there is none. */
bool uring_step(uint64_t draw);
/* Rings of a world that was left in the middle. */
void uring_forget(void);

#endif
