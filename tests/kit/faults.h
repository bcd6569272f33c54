/*
 * System calls that fail on demand: a program linked with kit_faults has its calls of these wrapped
 * by the linker. faults.NAME is an errno for every call from now on, 0: the call goes through.
 */
#ifndef KIT_FAULTS_H
#define KIT_FAULTS_H

struct faults {
	int posix_fallocate, msync, pwritev, fdatasync, fsync, renameat;
	int ring_write, ring_sync, ring_read; /* what is asked of an io_uring */
	int ring_short; /* not 0: writes of a ring write one page */
	int no_fallocate; /* not 0: the file system cannot, libc writes a byte into each block */
	int pwritev_once; /* an errno for the next one alone */
	const char *only_thread; /* not NULL: in threads of this name alone */
	int pwritev_us; /* pwritev takes so much longer, before it does anything */
};

extern struct faults faults; /* set and read with __atomic: workers call too */

void fault_set(int *fault, int os_errno);
/* Whatever a store syncs its commit log with. */
void fault_log_sync(int os_errno);

#endif
