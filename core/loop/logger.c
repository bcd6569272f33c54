#include "loop/logger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name;
	int syslog; /* severity of RFC 5424 */
} levels[] = {
	[MOSAIC_LOG_ERROR] = { "error", 3 },
	[MOSAIC_LOG_WARN] = { "warn", 4 },
	[MOSAIC_LOG_INFO] = { "info", 6 },
	[MOSAIC_LOG_DEBUG] = { "debug", 7 },
};

static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM"); /* device:inode of the journal's socket */
	uint64_t device, inode;
	struct stat st;
	return stream != NULL && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
	       fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void logger_init(struct logger *logger, int fd)
{
	logger->fd = fd;
	logger->journal = is_journal(fd);
	atomic_init(&logger->level, MOSAIC_LOG_INFO);
	atomic_init(&logger->lost, 0);
}

void logger_set_level(struct logger *logger, uint32_t level)
{
	atomic_store_explicit(&logger->level, level, memory_order_relaxed);
}

int logger_parse_level(const char *text, uint32_t *level)
{
	for (uint32_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*level = i;
			return 0;
		}
	}
	return MOSAIC_E_INVAL;
}

static size_t put(char *line, size_t len, const char *text)
{
	for (; *text != '\0' && len < LOGGER_LINE - 1; text++)
		line[len++] = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
	return len;
}

static size_t put_prefix(const struct logger *logger, char *line, uint64_t wall_ms, uint32_t level)
{
	if (logger->journal)
		return (size_t)snprintf(line, LOGGER_LINE, "<%d>", levels[level].syslog);
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t len = strftime(line, LOGGER_LINE, "ts=%Y-%m-%dT%H:%M:%S", &tm);
	return len + (size_t)snprintf(line + len, LOGGER_LINE - len, ".%03uZ level=%s ",
				      (unsigned)(wall_ms % 1000), levels[level].name);
}

void logger_write(struct logger *logger, uint64_t wall_ms, uint32_t level, const char *plugin,
		  const char *event, const char *text)
{
	if (level >= ARRAY_LEN(levels))
		level = MOSAIC_LOG_DEBUG;
	if (!logger_wants(logger, level))
		return;
	char line[LOGGER_LINE];
	size_t len = put_prefix(logger, line, wall_ms, level);
	len = put(line, len, "event=");
	len = put(line, len, event);
	if (plugin != NULL) {
		len = put(line, len, " plugin=");
		len = put(line, len, plugin);
	}
	if (text != NULL && text[0] != '\0') {
		len = put(line, len, " ");
		len = put(line, len, text);
	}
	line[len++] = '\n';
	ssize_t n;
	do
		n = write(logger->fd, line, len);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		atomic_fetch_add_explicit(&logger->lost, 1, memory_order_relaxed);
}
