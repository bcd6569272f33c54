#include "worker.h"

#include "store.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THROUGH_MOST 32
#define STACK_BYTES (256 * 1024)
#define TIMER_SLACK_NS 1000UL

/* Of this thread alone, as Linux has it; linux/ioprio.h: "best effort", the last of its levels. */
static void give_way(int nice)
{
	enum { WHO_PROCESS = 1, BEST_EFFORT = 2 << 13, LAST_LEVEL = 7 };
	(void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + nice);
	(void)syscall(SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT | LAST_LEVEL);
}

/* The next job; NULL: there is none, and without `waits` perhaps for this moment only. */
static struct job *worker_take(struct worker *w, bool waits)
{
	pthread_mutex_lock(&w->mutex);
	while (!w->head && !w->is_stopping && waits)
		pthread_cond_wait(&w->wake, &w->mutex);
	struct job *job = w->head;
	if (job) {
		w->head = job->next;
		if (!w->head)
			w->tail = &w->head;
	}
	pthread_mutex_unlock(&w->mutex);
	return job;
}

/* Jobs that are through and not yet posted, in order: each post may wake the core thread. */
struct through {
	struct job *first, **last;
	uint32_t n;
};

static void through_post(struct worker *w, struct through *through)
{
	for (struct job *job = through->first, *next; job; job = next) {
		next = job->next;
		w->host->post(w->host, &job->req);
	}
	*through = (struct through){ .last = &through->first };
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct through through = { .last = &through.first };
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS); /* a pause of 8 us is not 58 */
	if (w->nice > 0)
		give_way(w->nice);
	for (;;) {
		struct job *job = worker_take(w, through.n == 0);
		if (!job && through.n == 0)
			return NULL;
		if (job) {
			job->run(job);
			job->next = NULL;
			*through.last = job;
			through.last = &job->next;
			through.n++;
		}
		if (!job || !job->is_patient || through.n >= THROUGH_MOST)
			through_post(w, &through);
	}
}

int worker_start(struct worker *w, const struct mosaic_host *host, const char *name)
{
	w->host = host;
	w->tail = &w->head;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->wake, NULL);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* Signals are for the threads of the host, but for what this one brings about itself. */
	sigset_t all, before;
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return rc;
	pthread_setname_np(w->thread, name);
	w->is_running = true;
	return 0;
}

static void job_posted(struct mosaic_req *req)
{
	struct job *job = (struct job *)req; /* its first member */
	struct mosaic_store *store = job->store;
	job->done(job);
	store->n_jobs--;
	store_close_step(store);
}

void worker_submit(struct worker *w, struct job *job)
{
	job->req.done = job_posted;
	job->next = NULL;
	job->status = 0;
	job->os_errno = 0;
	job->store->n_jobs++;
	pthread_mutex_lock(&w->mutex);
	bool was_empty = !w->head;
	*w->tail = job;
	w->tail = &job->next;
	pthread_mutex_unlock(&w->mutex);
	if (was_empty) /* without the mutex, or the woken thread would sleep again for it */
		pthread_cond_signal(&w->wake);
}

void worker_stop(struct worker *w)
{
	if (!w->is_running)
		return;
	pthread_mutex_lock(&w->mutex);
	w->is_stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->mutex);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->mutex);
	w->is_running = false;
}

void worker_rest(uint64_t ns)
{
	const struct timespec rest = { .tv_nsec = (long)ns };
	(void)nanosleep(&rest, NULL);
}

void job_fail(struct job *job, int os_errno, const char *what)
{
	if (job->status != 0) /* the first failure tells why */
		return;
	bool is_full = os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG;
	job->status = is_full ? MOSAIC_E_NOSPACE
			      : (os_errno == ENOMEM ? MOSAIC_E_NOMEM : MOSAIC_E_IO);
	job->os_errno = os_errno;
	job->what = what;
}
