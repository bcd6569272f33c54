/*
 * Commands of the program. Each tools/NAME.c has cmd_NAME(); argv[0] is "mosaic NAME".
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* exit status */
	const char *summary;
};

int cmd_admin(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_consume(int argc, char **argv);
int cmd_plugins(int argc, char **argv);
int cmd_produce(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_store(int argc, char **argv);

/* Exit status of every command. */
#define EXIT_USAGE 2 /* the command line is wrong; 1: it was right and did not work */
#define EXIT_INTERRUPTED 130 /* a signal came before all was done */

/* "mosaic run: TEXT", then where help is; format NULL: getopt has said it. Gives EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);
/* A number of at least 1. */
bool parse_count(const char *text, int64_t *out);
#define MOMENT_LAST (-1)
#define MOMENT_FIRST 0
/* first, last, milliseconds since 1970, or "2026-11-22 21:05:09" in local time. */
bool parse_moment(const char *text, int64_t *out);
/* 1 to most. */
bool parse_upto(const char *text, int64_t most, int64_t *out);
bool is_host_port(const char *text);
/* HOST:PORT;HOST:PORT */
bool is_namesrv_list(const char *text);

#endif
