/*
 * mosaic plugins list | describe | schema | reference. Plugins are loaded in a child process: a
 * constructor that crashes or hangs is a line of the output and nothing more.
 */
#include "command.h"
#include "config/describe.h"
#include "defaults.h"
#include "plugin/probe.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct arguments {
	struct plugins *plugins;
	bool as_json;
	const char *name; /* of describe */
};

static const char usage[] =
	"usage: mosaic plugins list [--path DIR]... [--json]\n"
	"       mosaic plugins describe NAME|FILE.so [--path DIR]... [--json]\n"
	"       mosaic plugins schema [--path DIR]...\n"
	"       mosaic plugins reference [--path DIR]...\n\n"
	"list       one line per plugin; a bad one is named with the reason\n"
	"describe   what a plugin offers and needs, and its options\n"
	"schema     JSON Schema of the configuration file, with the options of all plugins\n"
	"reference  the same as a page of Markdown\n\n"
	"Without --path: plugins beside the program and ../lib/mosaic/plugins.\n";

/* What runs in the child is told by this. */
struct one {
	struct plugins *plugins;
	const char *name; /* or a file */
	enum { LINE, TEXT, JSON } form;
};

static int load_one(const struct one *o, const struct loaded_plugin **out, struct mosaic_error *err)
{
	if (strchr(o->name, '/') || strstr(o->name, ".so"))
		return plugins_load(o->plugins, o->name, out, err);
	return plugins_find(o->plugins, o->name, 0, out, err);
}

static int describe_one(void *ctx, struct buf *out, struct mosaic_error *err)
{
	const struct one *o = ctx;
	const struct loaded_plugin *plugin;
	int rc = load_one(o, &plugin, err);

	if (rc != 0)
		return rc;
	if (o->form == JSON)
		describe_json(plugin, 2, out);
	else if (o->form == TEXT)
		describe_text(plugin, out);
	else
		buf_printf(out, "%-12s %-16s %-8s %s", plugin_kind_name(plugin->desc.kind),
			   plugin->desc.name, plugin->desc.version, plugin->desc.summary);
	return 0;
}

static int schema_of_all(void *ctx, struct buf *out, struct mosaic_error *err)
{
	(void)err;
	describe_schema(ctx, out);
	return 0;
}

static int reference_of_all(void *ctx, struct buf *out, struct mosaic_error *err)
{
	(void)err;
	describe_reference(ctx, out);
	return 0;
}

struct list {
	struct arguments *args;
	struct buf out;
	uint32_t count, n_bad;
};

static void list_one(void *ctx, const char *name, const char *file)
{
	struct list *l = ctx;
	struct one one = { l->args->plugins, name, l->args->as_json ? JSON : LINE };
	struct mosaic_error err = ERR_INIT;

	if (l->args->as_json && l->out.len > 0)
		buf_append_str(&l->out, ",\n");
	if (probe_run(file ? file : name, describe_one, &one, &l->out, &err) == 0) {
		l->count++;
		if (!l->args->as_json)
			buf_append_byte(&l->out, '\n');
		return;
	}
	if (l->args->as_json && l->out.len >= 2 &&
	    memcmp(l->out.data + l->out.len - 2, ",\n", 2) == 0)
		l->out.len -= 2;
	fprintf(stderr, "%s\n", err.text);
	l->n_bad++;
}

static int list(struct arguments *args)
{
	struct list l = { .args = args, .out = BUF_INIT };

	plugins_each(args->plugins, list_one, &l);
	printf(args->as_json ? "[\n%s\n]\n" : "%s", buf_cstr(&l.out));
	if (l.count + l.n_bad == 0)
		fputs("mosaic plugins: no plugin was found; --path FOLDER says where to look\n",
		      stderr);
	buf_free(&l.out);
	return l.n_bad == 0 && l.count > 0 ? 0 : 1;
}

static int run_and_print(const char *what, probe_fn fn, void *ctx)
{
	struct mosaic_error err = ERR_INIT;
	struct buf out = BUF_INIT;
	int rc = probe_run(what, fn, ctx, &out, &err);

	if (rc == 0)
		fputs(buf_cstr(&out), stdout);
	else
		fprintf(stderr, "mosaic plugins: %s\n", err.text);
	buf_free(&out);
	return rc == 0 ? 0 : 1;
}

static int describe(struct arguments *args)
{
	struct one one = { args->plugins, args->name, args->as_json ? JSON : TEXT };
	int rc = run_and_print(args->name, describe_one, &one);

	if (rc == 0 && args->as_json)
		putchar('\n');
	return rc;
}

static int parse(int argc, char **argv, struct arguments *args)
{
	static const struct option options[] = {
		{ "path", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct mosaic_error err = ERR_INIT;
	int c;

	while ((c = getopt_long(argc, argv, "p:jh", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			if (plugins_add_folder(args->plugins, optarg, &err) == 0)
				break;
			return usage_error(argv[0], "--path %s", err.text);
		case 'j':
			args->as_json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return usage_error(argv[0], NULL);
		}
	}
	if (plugins_n_folders(args->plugins) == 0)
		plugins_add_default_folders(args->plugins);
	return -1;
}

static int dispatch(int argc, char **argv, struct arguments *args)
{
	int n = argc - optind;
	const char *verb = n > 0 ? argv[optind] : "";

	if (strcmp(verb, "list") == 0 && n == 1)
		return list(args);
	if (strcmp(verb, "schema") == 0 && n == 1)
		return run_and_print("the plugins", schema_of_all, args->plugins);
	if (strcmp(verb, "reference") == 0 && n == 1)
		return run_and_print("the plugins", reference_of_all, args->plugins);
	if (strcmp(verb, "describe") == 0 && n == 2) {
		args->name = argv[optind + 1];
		return describe(args);
	}
	return usage_error(argv[0], "say one of: list, describe NAME, schema, reference");
}

int cmd_plugins(int argc, char **argv)
{
	struct arguments args = { .plugins = tools_plugins() };
	int rc = parse(argc, argv, &args);

	if (rc < 0)
		rc = dispatch(argc, argv, &args);
	plugins_destroy(&args.plugins);
	return rc;
}
