#include "bus_error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Calls that a signal handler may make, and nothing else: no stdio, no malloc. */

#define LINE_BYTES 1024

static void say(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static const char *take_hex(const char *p, uint64_t *value)
{
	*value = 0;
	for (;; p++) {
		int digit = *p >= '0' && *p <= '9' ? *p - '0'
			    : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
		if (digit < 0)
			return p;
		*value = *value * 16 + (uint64_t)digit;
	}
}

/* A line of /proc/self/maps: "from-upto rights offset device inode   path". */
static bool line_has(const char *line, uint64_t address)
{
	uint64_t from, upto;
	const char *p = take_hex(line, &from);
	if (*p != '-')
		return false;
	take_hex(p + 1, &upto);
	return address >= from && address < upto;
}

/* The path of what is mapped there, in `line`; NULL: none. */
static const char *find_path(int fd, uint64_t address, char line[LINE_BYTES])
{
	size_t len = 0;
	char c;
	while (read(fd, &c, 1) == 1) { /* once in a life */
		if (c != '\n') {
			line[len] = c;
			len += len + 1 < LINE_BYTES;
			continue;
		}
		line[len] = 0;
		len = 0;
		if (line_has(line, address))
			return strchr(line, '/');
	}
	return NULL;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	static const char before[] = "mosaic run: SIGBUS: ";
	static const char after[] =
		" is mapped and could not be read or written: the disk fails, or somebody has cut "
		"the file. What was acknowledged is kept as the flush policy promises\n";
	char line[LINE_BYTES];
	int saved = errno;
	(void)number;
	(void)context;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	const char *path = NULL;
	if (fd >= 0)
		path = find_path(fd, (uint64_t)(uintptr_t)info->si_addr, line);
	if (!path)
		path = "memory without a file";
	say(before, sizeof(before) - 1);
	say(path, strlen(path));
	say(after, sizeof(after) - 1);
	errno = saved; /* the same access again, and without a handler */
}

void bus_error_tell(void)
{
	struct sigaction action = { .sa_sigaction = on_bus_error,
				    .sa_flags = SA_SIGINFO | (int)SA_RESETHAND };
	sigemptyset(&action.sa_mask);
	(void)sigaction(SIGBUS, &action, NULL);
}
