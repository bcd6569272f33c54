/*
 * mosaic run [FILE]: runs what the file says, or NameServer and broker in one process with no file.
 */
#include "base/err.h"
#include "bus_error.h"
#include "command.h"
#include "defaults.h"
#include "node/node.h"
#include "plugin/compose.h"
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const char usage[] =
	"usage: mosaic run [FILE] [options]\n"
	"Runs NameServer and broker as FILE says; without FILE both, with data in ./mosaic-data.\n"
	"  --plugins DIR      look for plugins here, not beside the program (may be repeated)\n"
	"  --log-level LEVEL  error, warn, info or debug; else what FILE says\n"
	"`mosaic plugins reference` says what may stand in FILE, `mosaic check FILE` checks it.\n"
	"Exit status: 0 stopped by SIGINT or SIGTERM, 1 did not work, 2 wrong command line.\n";

/* "0.0.0.0:0" with the port that was bound. */
static void print_address(const char *listen, uint32_t port)
{
	char host[64];
	uint32_t given;
	if (value_parse_address(listen, host, sizeof(host), &given) == 0)
		printf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* Where a store keeps its data: its option "dir", if it has one. */
static void print_place(const struct plugin_instance *store)
{
	const struct mosaic_plugin *desc = &store->plugin->desc;
	struct buf text = BUF_INIT;
	for (uint32_t i = 0; i < desc->n_options; i++)
		if (strcmp(desc->options[i].name, "dir") == 0)
			value_print(&desc->options[i], store->options, &text);
	printf("%s", text.len > 0 ? buf_cstr(&text) : "memory only");
	buf_free(&text);
}

static void print_survival(const struct config_broker *b)
{
	struct composition set = { .transport = &b->transport,
				   .store = &b->store,
				   .flush = &b->flush,
				   .replication = &b->replication,
				   .balance = &b->balance,
				   .is_slave = b->is_slave != 0 };
	struct buf text = BUF_INIT;
	compose_survives(&set, &text);
	printf("%s", buf_cstr(&text));
	buf_free(&text);
}

/* Three lines: where it listens, where the data lies, what an ack survives. */
static void on_ready(void *ctx, const struct node_ports *ports)
{
	const struct config *c = ctx;
	printf("listening: ");
	if (ports->namesrv != 0) {
		printf("NameServer ");
		print_address(c->namesrv.listen, ports->namesrv);
	}
	for (uint32_t i = 0; i < ports->n_brokers; i++) {
		const struct config_broker *b = &c->brokers[i];
		printf("%sbroker %s ", ports->namesrv || i ? ", " : "", b->name);
		print_address(b->listen, ports->brokers[i]);
	}
	printf("\ndata:      ");
	for (uint32_t i = 0; i < c->n_brokers; i++) {
		printf("%s", i ? ", " : "");
		print_place(&c->brokers[i].store);
	}
	if (c->n_brokers == 0)
		printf("%s (KV config)",
		       c->namesrv.kv_config ? c->namesrv.kv_config : "memory only");
	printf("\nan ack survives: ");
	for (uint32_t i = 0; i < c->n_brokers; i++) {
		printf("%s", i ? " | " : "");
		print_survival(&c->brokers[i]);
	}
	printf("%s\n", c->n_brokers ? "" : "nothing to acknowledge here, this is a NameServer");
	fflush(stdout);
}

/* level: NULL for the file's. */
static int run(const char *file, struct plugins *plugins, const uint32_t *level)
{
	struct problems problems = PROBLEMS_INIT;
	struct mosaic_error err = ERR_INIT;
	struct config *config = NULL;
	struct logger logger;
	int rc = tools_load(file, plugins, &config, &problems);
	if (rc != 0) {
		fprintf(stderr, "%smosaic run: %u problem%s, nothing was started\n",
			problems_text(&problems), problems.count, problems.count == 1 ? "" : "s");
		problems_free(&problems);
		return 1;
	}
	logger_init(&logger, STDERR_FILENO);
	logger_set_level(&logger, config->log_level);
	if (level)
		logger_set_level(&logger, *level);
	bus_error_tell();
	struct node_hooks hooks = { .ctx = config, .ready = on_ready };
	rc = node_run(config, &logger, &hooks, &err);
	if (rc != 0)
		fprintf(stderr, "mosaic run: %s\n", err.text);
	config_free(&config);
	problems_free(&problems);
	return rc == 0 ? 0 : 1;
}

/* A negative result means go on, else it is the exit status. */
static int parse(int argc, char **argv, struct plugins *plugins, uint32_t *level, bool *has_level)
{
	static const struct option options[] = { { "plugins", required_argument, NULL, 'p' },
						 { "log-level", required_argument, NULL, 'l' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	struct mosaic_error err = ERR_INIT;
	int o;
	while ((o = getopt_long(argc, argv, "p:l:h", options, NULL)) != -1) {
		switch (o) {
		case 'p':
			if (plugins_add_folder(plugins, optarg, &err) != 0)
				return usage_error(argv[0], "--plugins %s", err.text);
			break;
		case 'l':
			if (logger_parse_level(optarg, level) != 0)
				return usage_error(argv[0], "--log-level must be error, warn, info "
						   "or debug, not \"%s\"", optarg);
			*has_level = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return usage_error(argv[0], NULL);
		}
	}
	if (argc - optind > 1)
		return usage_error(argv[0], "one FILE, please: \"%s\" is a second one",
				   argv[optind + 1]);
	return -1;
}

int cmd_run(int argc, char **argv)
{
	struct plugins *plugins = tools_plugins();
	bool has_level = false;
	uint32_t level;
	int rc = parse(argc, argv, plugins, &level, &has_level);
	if (rc < 0)
		rc = run(argv[optind], plugins, has_level ? &level : NULL);
	plugins_destroy(&plugins);
	return rc;
}
