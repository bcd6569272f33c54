/*
 * mosaic admin COMMAND: looks at a cluster and changes it, through a NameServer. Works with
 * Apache's as well.
 */
#include "admin.h"
#include "base/mem.h"
#include "command.h"
#include "plugin/nearest.h"
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

static const char usage[] =
	"usage: mosaic admin COMMAND [options]\n"
	"Looks at a cluster and changes it.\n"
	"  cluster                     brokers, what they take in and give out\n"
	"  broker NAME|HOST:PORT       all that a broker tells of itself\n"
	"  set NAME|HOST:PORT KEY=VALUE  changes a setting of a running broker\n"
	"  topics                      topics that users made (--all: all of them)\n"
	"  topic NAME                  its queues and their offsets\n"
	"  create-topic NAME           --queues N (8), --perm r|w|rw; changes one that is there\n"
	"  delete-topic NAME           with all its messages\n"
	"  groups                      consumer groups, members and lag\n"
	"  group NAME                  its members, and how far it is in each queue\n"
	"  delete-group NAME           with its offsets\n"
	"  reset-offsets GROUP TOPIC   --to first|last|TIME\n"
	"  message ID                  the message with a broker's id\n"
	"  find TOPIC                  --key KEY: messages with this key, or id of the producer\n"
	"Options of all commands:\n"
	"  --namesrv HOST:PORT   NameServer (127.0.0.1:9876)\n"
	"  --broker NAME|HOST:PORT  this broker only\n"
	"  --json                the same for programs\n"
	"Exit status: 0 done, 1 refused or not reached, 2 wrong command line.\n";

struct admin_command {
	const char *name;
	int (*run)(struct admin *a, char **args);
	int n_args;
};

static const struct admin_command commands[] = {
	{ "cluster", admin_cluster, 0 },
	{ "broker", admin_broker, 1 },
	{ "set", admin_set, 2 },
	{ "topics", admin_topics, 0 },
	{ "topic", admin_topic, 1 },
	{ "create-topic", admin_create_topic, 1 },
	{ "delete-topic", admin_delete_topic, 1 },
	{ "groups", admin_groups, 0 },
	{ "group", admin_group, 1 },
	{ "delete-group", admin_delete_group, 1 },
	{ "reset-offsets", admin_reset_offsets, 2 },
	{ "message", admin_message, 1 },
	{ "find", admin_find, 1 },
};

void admin_show(struct admin *a, struct table *t)
{
	if (a->as_json) {
		json_t *all = table_json(t);
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
	} else {
		table_print(t, stdout);
	}
	table_free(t);
}

void admin_say(struct admin *a, const char *format, ...)
{
	char text[1024];
	va_list args;
	json_t *said;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!a->as_json) {
		puts(text);
		return;
	}
	said = json_pack("{ss}", "done", text);
	json_dumpf(said, stdout, 0);
	putchar('\n');
	json_decref(said);
}

static const struct admin_command *find(const char *title, const char *name)
{
	struct nearest near;
	char hint[96];

	nearest_init(&near, name);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		nearest_try(&near, commands[i].name);
	}
	(void)usage_error(title, "there is no command \"%s\"%s", name,
			  nearest_hint(&near, hint, sizeof(hint)));
	return NULL;
}

static const struct option options[] = {
	{ "namesrv", required_argument, NULL, 'n' }, { "broker", required_argument, NULL, 'b' },
	{ "queues", required_argument, NULL, 'q' },  { "perm", required_argument, NULL, 'p' },
	{ "to", required_argument, NULL, 't' },	     { "key", required_argument, NULL, 'k' },
	{ "all", no_argument, NULL, 'a' },	     { "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },	     { NULL, 0, NULL, 0 }
};

/* NULL when it is fine, else what it must be. */
static const char *take(struct admin *a, int option, const char *value)
{
	switch (option) {
	case 'n':
		a->namesrv = value;
		return is_host_port(value) ? NULL : "--namesrv must be HOST:PORT";
	case 'b': a->broker = value; return NULL;
	case 't': a->to = value; return NULL;
	case 'k': a->key = value; return NULL;
	case 'a': a->all = true; return NULL;
	case 'j': a->as_json = true; return NULL;
	case 'q':
		return parse_count(value, &a->queues) ? NULL : "--queues must be 1 or more";
	default:
		a->perm = value;
		return strcmp(value, "r") == 0 || strcmp(value, "w") == 0 ||
				       strcmp(value, "rw") == 0
			       ? NULL
			       : "--perm must be r, w or rw";
	}
}

/* A negative result means go on, else it is the exit status. */
static int parse(int argc, char **argv, struct admin *a, const struct admin_command **command)
{
	int o;

	while ((o = getopt_long(argc, argv, "n:b:q:p:t:k:ajh", options, NULL)) != -1) {
		if (o == 'h')
			return fputs(usage, stdout), 0;
		if (o == '?')
			return usage_error(argv[0], NULL);
		const char *problem = take(a, o, optarg);
		if (problem)
			return usage_error(argv[0], "%s, not \"%s\"", problem, optarg);
	}
	if (optind == argc)
		return usage_error(argv[0], "which COMMAND?");
	*command = find(argv[0], argv[optind]);
	if (*command == NULL)
		return EXIT_USAGE;
	if (argc - optind - 1 != (*command)->n_args)
		return usage_error(argv[0], "%s takes %d arguments, not %d", (*command)->name,
				   (*command)->n_args, argc - optind - 1);
	return -1;
}

int cmd_admin(int argc, char **argv)
{
	struct admin a = { .namesrv = "127.0.0.1:9876", .err = ERR_INIT };
	const struct admin_command *command = NULL;
	int rc = parse(argc, argv, &a, &command);

	if (rc >= 0)
		return rc;
	rc = connect_client(a.namesrv, NULL, NULL, &a.client, &a.err);
	if (rc == 0)
		rc = command->run(&a, argv + optind + 1);
	mosaic_client_destroy(&a.client);
	free(a.brokers);
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", argv[0], a.err.text);
	return rc == 0 ? 0 : 1;
}
