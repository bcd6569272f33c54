/*
 * Folders of files that are named by their start: 20 digits.
 */
#ifndef STORE_COMMON_FOLDER_H
#define STORE_COMMON_FOLDER_H

#include <dirent.h>
#include <stdint.h>

/* Zeroed: empty, nothing to free. */
struct starts {
	uint64_t *at;
	uint32_t n, capacity;
};

/* NULL: errno says why. */
DIR *folder_open(int dir_fd, const char *path);
/* What is in the folder, sorted; other names are left alone. 0 or an errno. */
int folder_list(DIR *dir, struct starts *starts);

#endif
