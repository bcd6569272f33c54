#include "loop/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOME_MS UINT64_C(1795370400123) /* 2026-11-22T18:00:00.123Z */

static int setup(void **state)
{
	struct logger *logger = calloc(1, sizeof(*logger));
	unsetenv("JOURNAL_STREAM");
	int fd = memfd_create("log", MFD_CLOEXEC);
	fcntl(fd, F_SETFL, O_APPEND); /* as stderr of several threads */
	logger_init(logger, fd);
	*state = logger;
	return 0;
}

static int teardown(void **state)
{
	struct logger *logger = *state;
	close(logger->fd);
	free(logger);
	return 0;
}

static char text[1 << 20];

static const char *written(const struct logger *logger)
{
	ssize_t n = pread(logger->fd, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void a_line_is_logfmt(void **state)
{
	struct logger *logger = *state;
	logger_write(logger, SOME_MS, MOSAIC_LOG_INFO, "store-mmap", "segment_created", "n=7");
	logger_write(logger, SOME_MS, MOSAIC_LOG_ERROR, NULL, "stopped", "");
	assert_string_equal(written(logger),
			    "ts=2026-11-22T18:00:00.123Z level=info event=segment_created "
			    "plugin=store-mmap n=7\n"
			    "ts=2026-11-22T18:00:00.123Z level=error event=stopped\n");
}

static void lines_above_the_level_are_dropped_and_the_level_may_change(void **state)
{
	struct logger *logger = *state;
	uint32_t level;
	logger_write(logger, SOME_MS, MOSAIC_LOG_DEBUG, NULL, "hidden", NULL);
	assert_string_equal(written(logger), "");
	assert_int_equal(logger_parse_level("debug", &level), 0);
	logger_set_level(logger, level);
	logger_write(logger, SOME_MS, MOSAIC_LOG_DEBUG, NULL, "shown", NULL);
	assert_non_null(strstr(written(logger), "level=debug event=shown\n"));
	assert_int_equal(logger_parse_level("loud", &level), MOSAIC_E_INVAL);
}

static void a_text_cannot_forge_a_line(void **state)
{
	struct logger *logger = *state;
	logger_write(logger, SOME_MS, MOSAIC_LOG_WARN, "p", "e",
		     "a\nts=0 level=error\x7f\t\x1b[0m");
	const char *end = strchr(written(logger), '\n');
	assert_non_null(end);
	assert_string_equal(end, "\n");
	assert_non_null(strstr(text, " a ts=0 level=error   [0m\n"));
}

static void a_long_text_is_cut_and_still_ends_its_line(void **state)
{
	struct logger *logger = *state;
	static char longer[LOGGER_LINE * 2];
	memset(longer, 'x', sizeof(longer) - 1);
	logger_write(logger, SOME_MS, MOSAIC_LOG_INFO, "p", "e", longer);
	assert_int_equal(strlen(written(logger)), LOGGER_LINE);
	assert_int_equal(text[LOGGER_LINE - 1], '\n');
}

static void under_the_journal_a_line_begins_with_its_level(void **state)
{
	struct logger *logger = *state;
	struct stat st;
	char stream[64];
	fstat(logger->fd, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	logger_init(logger, logger->fd);
	logger_write(logger, SOME_MS, MOSAIC_LOG_WARN, "p", "e", "k=v");
	assert_string_equal(written(logger), "<4>event=e plugin=p k=v\n");
	setenv("JOURNAL_STREAM", "1:1", 1); /* of somebody else: inherited, but not our stderr */
	logger_init(logger, logger->fd);
	assert_false(logger->journal);
	unsetenv("JOURNAL_STREAM");
}

static void *write_many(void *arg)
{
	for (int i = 0; i < 500; i++)
		logger_write(arg, SOME_MS, MOSAIC_LOG_INFO, "p", "e", "0123456789");
	return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
	struct logger *logger = *state;
	pthread_t threads[4];
	char expected[128];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_many, logger);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	written(logger);
	size_t len = strcspn(text, "\n") + 1;
	snprintf(expected, sizeof(expected), "%.*s", (int)len, text);
	for (int i = 0; i < 2000; i++)
		assert_memory_equal(text + (size_t)i * len, expected, len);
	assert_int_equal(strlen(text), 2000 * len);
}

static void a_line_that_cannot_be_written_is_counted(void **state)
{
	struct logger *logger = *state;
	struct logger full;
	(void)logger;
	logger_init(&full, open("/dev/full", O_WRONLY));
	logger_write(&full, SOME_MS, MOSAIC_LOG_INFO, NULL, "e", NULL);
	assert_int_equal(atomic_load(&full.lost), 1);
	close(full.fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_is_logfmt),
		TEST(lines_above_the_level_are_dropped_and_the_level_may_change),
		TEST(a_text_cannot_forge_a_line),
		TEST(a_long_text_is_cut_and_still_ends_its_line),
		TEST(under_the_journal_a_line_begins_with_its_level),
		TEST(lines_of_several_threads_do_not_mix),
		TEST(a_line_that_cannot_be_written_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
