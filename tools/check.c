/* mosaic check FILE: everything that is wrong with a configuration, or what it is and promises. */
#include "command.h"
#include "defaults.h"
#include <getopt.h>
#include <stdio.h>

int cmd_check(int argc, char **argv);

static void print_usage(FILE *to)
{
	fputs("usage: mosaic check [--plugins DIR]... [FILE]\n\n"
	      "Loads every plugin that the file names, checks all of it and says what an\n"
	      "acknowledged message survives. Without FILE: the built-in defaults. Nothing is\n"
	      "opened or started.\n"
	      "Exit status: 0 valid, 1 not valid (every problem is printed).\n",
	      to);
}

/* Takes --plugins and --help; a negative result means go on, else the exit status. */
static int parse(int argc, char **argv, struct plugins *plugins)
{
	static const struct option options[] = {
		{ "plugins", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct mosaic_error err = ERR_INIT;
	int c;

	while ((c = getopt_long(argc, argv, "p:h", options, NULL)) != -1) {
		if (c == 'h') {
			print_usage(stdout);
			return 0;
		}
		if (c != 'p') {
			print_usage(stderr);
			return EXIT_USAGE;
		}
		if (plugins_add_folder(plugins, optarg, &err) != 0) {
			fprintf(stderr, "mosaic check: %s\n", err.text);
			return EXIT_USAGE;
		}
	}
	if (argc - optind <= 1)
		return -1;
	print_usage(stderr);
	return EXIT_USAGE;
}

static int check(const char *file, struct plugins *plugins)
{
	struct problems problems = PROBLEMS_INIT;
	struct config *config = NULL;
	struct buf out = BUF_INIT;
	int rc = tools_load(file, plugins, &config, &problems);

	if (rc == 0) {
		config_print(config, &out);
		printf("%s is valid.\n\n%s", config->file, buf_cstr(&out));
	} else {
		fprintf(stderr, "%s%u problem%s\n", problems_text(&problems), problems.count,
			problems.count == 1 ? "" : "s");
	}
	buf_free(&out);
	config_free(&config);
	problems_free(&problems);
	return rc == 0 ? 0 : 1;
}

int cmd_check(int argc, char **argv)
{
	struct plugins *plugins = tools_plugins();
	int rc = parse(argc, argv, plugins);

	if (rc < 0)
		rc = check(argv[optind], plugins);
	plugins_destroy(&plugins);
	return rc;
}
