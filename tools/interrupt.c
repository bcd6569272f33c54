#include "interrupt.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static void those(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

void interrupt_open(struct interrupt *i)
{
	sigset_t set;

	those(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	i->came = false;
	i->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ASSERT(i->fd >= 0);
}

void interrupt_close(struct interrupt *i)
{
	close(i->fd);
}

bool interrupt_came(struct interrupt *i)
{
	struct signalfd_siginfo info;
	sigset_t set;

	if (i->came || read(i->fd, &info, sizeof(info)) != sizeof(info))
		return i->came;
	those(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	i->came = true;
	return true;
}

bool interrupt_wait(struct interrupt *i, uint64_t ns)
{
	struct pollfd fd = { .fd = i->fd, .events = POLLIN };
	const struct timespec time = { .tv_sec = (time_t)(ns / UINT64_C(1000000000)),
				       .tv_nsec = (long)(ns % UINT64_C(1000000000)) };

	if (!i->came)
		(void)ppoll(&fd, 1, &time, NULL);
	return interrupt_came(i);
}
