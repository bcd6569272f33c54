/* Fresh folders of tests, below $TMPDIR or /tmp: a real file system, where store-uring works. */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

#define SCRATCH_MAX 64

/* Makes a folder; NAME says whose it is. Ends the program when that cannot be. */
void scratch_make(char dir[SCRATCH_MAX], const char *name);
/* The same, in memory where there is some: ten times faster. */
void scratch_make_fast(char dir[SCRATCH_MAX], const char *name);
/* Removes a file or a folder with all that is in it; none is fine. */
void scratch_remove(const char *path);
/* Removes `name` of the folder. */
void scratch_remove_below(const char *dir, const char *name);

#endif
