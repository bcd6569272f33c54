/* The table of commands. Each lives in a file of its own: mosaic run -> run.c, cmd_run(). */
#include "base/compiler.h"
#include "command.h"
#include "plugin/nearest.h"
#include <stdio.h>
#include <string.h>

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command commands[] = {
	{ "run", cmd_run, "run a configuration file; without one: NameServer and broker" },
	{ "check", cmd_check, "check a configuration file and say what it promises" },
	{ "plugins", cmd_plugins, "list and describe plugins, print the configuration's schema" },
	{ "produce", cmd_produce, "send messages" },
	{ "consume", cmd_consume, "receive messages" },
	{ "admin", cmd_admin, "look at a cluster and change it: topics, groups, offsets" },
	{ "bench", cmd_bench, "measure: produce, consume, end to end" },
	{ "store", cmd_store, "look at, check or repair the files of a broker that does not run" },
	{ "version", cmd_version, "print the version" },
	{ "help", cmd_help, "print this, or the help of a command" },
};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: mosaic COMMAND [ARGUMENTS]\n\n"
		    "A message broker that speaks Apache RocketMQ's protocol. To begin:\n\n"
		    "  mosaic run\n"
		    "  mosaic produce Hello \"a message\"\n"
		    "  mosaic consume Hello --from first\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\nmosaic COMMAND --help says more.\n");
}

static const struct command *find(const char *name)
{
	struct nearest near;
	char hint[96];

	nearest_init(&near, name);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		nearest_try(&near, commands[i].name);
	}
	(void)usage_error("mosaic", "there is no command \"%s\"%s", name,
			  nearest_hint(&near, hint, sizeof(hint)));
	return NULL;
}

/* argv[0] is what the command's messages begin with. */
static int run(const char *name, int argc, char **argv)
{
	const struct command *command = find(name);
	char title[32];

	if (!command)
		return EXIT_USAGE;
	snprintf(title, sizeof(title), "mosaic %s", command->name);
	argv[0] = title;
	return command->run(argc, argv);
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("mosaic " MOSAIC_VERSION);
	return 0;
}

static int cmd_help(int argc, char **argv)
{
	char help[] = "--help";
	char *args[] = { argv[0], help, NULL };

	if (argc < 2 || argv[1][0] == '-' || strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return 0;
	}
	return run(argv[1], 2, args);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cmd_help(1, argv);
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(1, argv);
	return run(argv[1], argc - 1, argv + 1);
}
