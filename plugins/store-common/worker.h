/*
 * A thread of the store that runs jobs in order and hands each back to the core thread.
 */
#ifndef STORE_COMMON_WORKER_H
#define STORE_COMMON_WORKER_H

#include <mosaic/host.h>
#include <pthread.h>
#include <stdbool.h>

/* Storage is the submitter's until done(). */
struct job {
	struct mosaic_req req; /* the worker's: how it comes back */
	struct job *next;
	struct mosaic_store *store;
	void (*run)(struct job *job);  /* [worker] sets the members below when it fails */
	void (*done)(struct job *job); /* [core] may free the job */
	int32_t status;                /* MOSAIC_E_... */
	int32_t os_errno;
	const char *what; /* literal: what failed */
	bool is_patient;  /* done() may come together with that of jobs behind this one */
};

struct worker {
	const struct mosaic_host *host;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards head, tail and is_stopping, nothing else */
	pthread_cond_t wake;
	struct job *head, **tail;
	bool is_running, is_stopping;
	int nice; /* above 0: gives way to the other threads, for processor and disk */
};

/* 0 or an errno. */
int worker_start(struct worker *worker, const struct mosaic_host *host, const char *name);
/* [core] */
void worker_submit(struct worker *worker, struct job *job);
/* Runs what is queued, then ends the thread. Nothing happens when it never ran. */
void worker_stop(struct worker *worker);

/*
 * [worker] Between two short pieces of a long job. Where kernels are not preemptible, or fair by
 * slices, who wakes on this thread's processor waits for it: for milliseconds, if it goes on.
 */
void worker_rest(uint64_t ns);

/* [worker] Fails a job: status from the errno. */
void job_fail(struct job *job, int os_errno, const char *what);

#endif
