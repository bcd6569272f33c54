#include "fibers.h"

#include "calls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

/* The sanitizer must know which stack is in use. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, at, n) ((void)(save), (void)(at), (void)(n))
#define __sanitizer_finish_switch_fiber(save, at, n) ((void)(save), (void)(at), (void)(n))
#endif

#define FIBERS 16
#define STACK_BYTES ((size_t)1 << 20)

struct fiber {
	enum { FREE, READY, WAITING, ENDED } state;
	pthread_cond_t *cond; /* what it waits for */
	void *(*run)(void *arg);
	void *arg;
	void *stack, *fake_stack;
	ucontext_t context;
};

static struct fiber fibers[FIBERS], *current;
static ucontext_t main_context;
static void *main_fake_stack;
static const void *main_stack;
static size_t main_stack_bytes;

static void switch_to_main(struct fiber *f)
{
	int before = errno;
	current = NULL;
	__sanitizer_start_switch_fiber(f->state == ENDED ? NULL : &f->fake_stack, main_stack,
				       main_stack_bytes);
	if (swapcontext(&f->context, &main_context) != 0)
		abort();
	__sanitizer_finish_switch_fiber(f->fake_stack, &main_stack, &main_stack_bytes);
	errno = before;
}

static void fiber_main(void)
{
	struct fiber *f = current;
	__sanitizer_finish_switch_fiber(NULL, &main_stack, &main_stack_bytes);
	f->run(f->arg);
	f->state = ENDED;
	switch_to_main(f);
	abort();
}

static void resume(struct fiber *f)
{
	current = f;
	__sanitizer_start_switch_fiber(&main_fake_stack, f->stack, STACK_BYTES);
	if (swapcontext(&main_context, &f->context) != 0)
		abort();
	__sanitizer_finish_switch_fiber(main_fake_stack, NULL, NULL);
}

uint32_t fibers_ready(void)
{
	uint32_t n = 0;
	for (int i = 0; i < FIBERS; i++)
		n += fibers[i].state == READY;
	return n;
}

bool fibers_step(uint64_t draw)
{
	uint32_t n = fibers_ready();
	if (n == 0)
		return false;
	uint64_t which = draw % n;
	for (int i = 0; i < FIBERS; i++)
		if (fibers[i].state == READY && which-- == 0) {
			resume(&fibers[i]);
			return true;
		}
	return false;
}

void fiber_yield(void)
{
	if (current)
		switch_to_main(current);
}

bool fiber_is_current(void)
{
	return current != NULL;
}

void fibers_forget(void)
{
	for (int i = 0; i < FIBERS; i++) {
		if (fibers[i].state != FREE)
			__real_munmap(fibers[i].stack, STACK_BYTES);
		fibers[i] = (struct fiber){ 0 };
	}
}

/* ---- wrapped ---- */

#define WRAP(type, name, ...)                                                                      \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

static void fiber_start(struct fiber *f, void *(*run)(void *), void *arg)
{
	f->run = run;
	f->arg = arg;
	f->stack = __real_mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->stack == MAP_FAILED || getcontext(&f->context) != 0)
		abort();
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK_BYTES;
	f->context.uc_link = NULL;
	makecontext(&f->context, fiber_main, 0);
	f->state = READY;
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
	void *arg)
{
	(void)attr;
	for (uintptr_t i = 0; i < FIBERS; i++)
		if (fibers[i].state == FREE) {
			fiber_start(&fibers[i], run, arg);
			*thread = (pthread_t)(i + 1);
			return 0;
		}
	return EAGAIN;
}

WRAP(int, pthread_join, pthread_t thread, void **result)
{
	struct fiber *f = &fibers[(uintptr_t)thread - 1];
	if (result)
		*result = NULL;
	while (f->state != ENDED && current)
		switch_to_main(current);
	while (f->state != ENDED) {
		f->state = READY; /* whatever it waits for: it looks again */
		resume(f);
	}
	__real_munmap(f->stack, STACK_BYTES);
	*f = (struct fiber){ 0 };
	return 0;
}

WRAP(int, pthread_setname_np, pthread_t thread, const char *name)
{
	(void)thread;
	(void)name;
	return 0;
}

WRAP(int, pthread_cond_wait, pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!current)
		abort(); /* the core never waits */
	current->state = WAITING;
	current->cond = cond;
	pthread_mutex_unlock(mutex);
	switch_to_main(current);
	return pthread_mutex_lock(mutex);
}

/* Time is the test's: it goes on while others run. */
WRAP(int, nanosleep, const struct timespec *time, struct timespec *left)
{
	(void)time;
	(void)left;
	fiber_yield();
	return 0;
}

static int wake(const pthread_cond_t *cond)
{
	for (int i = 0; i < FIBERS; i++)
		if (fibers[i].state == WAITING && fibers[i].cond == cond)
			fibers[i].state = READY;
	return 0;
}

WRAP(int, pthread_cond_signal, pthread_cond_t *cond)
{
	return wake(cond);
}

WRAP(int, pthread_cond_broadcast, pthread_cond_t *cond)
{
	return wake(cond);
}
