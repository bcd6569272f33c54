/* mosaic check FILE: everything that is wrong with a configuration, or what it is and promises. */
#include "command.h"
#include "defaults.h"
#include <getopt.h>
#include <stdio.h>

static const char usage[] =
	"usage: mosaic check [FILE] [options]\n"
	"Loads every plugin that FILE names, checks all of it and says what an acknowledged\n"
	"message survives; without FILE the defaults of `mosaic run`. Nothing is started.\n"
	"  --plugins DIR   look for plugins here, not beside the program (may be repeated)\n"
	"Exit status: 0 valid, 1 not valid (every problem is printed), 2 wrong command line.\n";

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
			fputs(usage, stdout);
			return 0;
		}
		if (c != 'p')
			return usage_error(argv[0], NULL);
		if (plugins_add_folder(plugins, optarg, &err) != 0)
			return usage_error(argv[0], "--plugins %s", err.text);
	}
	if (argc - optind > 1)
		return usage_error(argv[0], "one FILE, please: \"%s\" is a second one",
				   argv[optind + 1]);
	return -1;
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
