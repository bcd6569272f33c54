/*
 * The happy path: read the file, parse it strictly, fill the top, find the plugin folders, then the
 * NameServer, then each broker with its plugins, then what must hold between them. Nothing stops at
 * the first problem except text that is no JSON.
 */
#include "config/config.h"
#include "base/mem.h"
#include "config/load.h"
#include "config/locate.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void load_namesrv(struct load *l, const json_t *object)
{
	static const char *const core_keys[] = { "plugin", "listen", NULL };
	struct config_namesrv *ns = &l->config->namesrv;
	const json_t *transport = object ? json_object_get(object, "transport") : NULL;

	l->config->has_namesrv = true;
	load_defaults(&config_namesrv_table, ns);
	if (object)
		load_table(l, &config_namesrv_table, ns, object, "namesrv");
	if (json_object_get(transport, "listen"))
		problems_add(l->problems, "namesrv.transport.listen",
			     "belongs into namesrv.listen");
	load_slot(l, &ns->transport, MOSAIC_TRANSPORT, true, transport, core_keys,
		  "namesrv.transport");
	load_pass_listen(&ns->transport, ns->listen);
}

static void load_brokers(struct load *l, const json_t *one, const json_t *many)
{
	struct config *c = l->config;
	size_t n = many ? json_array_size(many) : 1;
	char path[PATH_BYTES];

	if (one && many)
		problems_add(l->problems, "brokers",
			     "there is \"broker\" too: only one of the two");
	if (many && (!json_is_array(many) || n == 0 || n > CONFIG_BROKERS_MAX)) {
		problems_add(l->problems, "brokers", "must be an array of 1 to %d brokers",
			     CONFIG_BROKERS_MAX);
		return;
	}
	c->brokers = mem_alloc(n * sizeof(*c->brokers));
	c->n_brokers = (uint32_t)n;
	for (uint32_t i = 0; i < n; i++) {
		path_at(path, sizeof(path), many ? "brokers[%u]" : "broker", i);
		load_broker(l, &c->brokers[i], many ? json_array_get(many, i) : one, path);
	}
	load_check_brokers(l);
}

static bool has_role(const struct config *c, const char *role)
{
	for (uint32_t i = 0; i < c->roles.count; i++)
		if (strcmp(c->roles.items[i], role) == 0)
			return true;
	return false;
}

/* Without "roles": what there are sections for; without sections: both. */
static void find_roles(struct load *l, bool has_namesrv, bool has_broker)
{
	const struct mosaic_option *o = &config_top.options[0];
	bool none = !has_namesrv && !has_broker;

	if (l->config->roles.count == 0) {
		if (has_namesrv || none)
			ASSERT(value_list_add(o, slice_str("namesrv"), l->config, NULL) == 0);
		if (has_broker || none)
			ASSERT(value_list_add(o, slice_str("broker"), l->config, NULL) == 0);
	}
	if (has_namesrv && !has_role(l->config, "namesrv"))
		problems_add(l->problems, "namesrv", "is there, but not among the roles");
	if (has_broker && !has_role(l->config, "broker"))
		problems_add(l->problems, "broker", "is there, but not among the roles");
}

/* false: no plugin can be found anywhere, and each place for one would say so again. */
static bool find_folders(struct load *l)
{
	const struct value_list *path = &l->config->plugin_path;
	struct mosaic_error err = ERR_INIT;
	char at[PATH_BYTES];

	for (uint32_t i = 0; i < path->count; i++) {
		path_at(at, sizeof(at), "plugins.path[%u]", i);
		if (plugins_add_folder(l->plugins, path->items[i], &err) != 0)
			problems_add(l->problems, at, "%s", err.text);
	}
	if (path->count == 0 && plugins_n_folders(l->plugins) == 0)
		plugins_add_default_folders(l->plugins);
	if (!plugins_is_empty(l->plugins))
		return true;
	if (path->count == 0)
		problems_add(l->problems, "plugins.path", "must name the folder of the plugins: "
			     "neither plugins nor ../lib/mosaic/plugins is beside the program");
	return false;
}

static void load_top(struct load *l, const json_t *root)
{
	const json_t *namesrv = json_object_get(root, "namesrv");
	const json_t *one = json_object_get(root, "broker");
	const json_t *many = json_object_get(root, "brokers");
	const json_t *plugins = json_object_get(root, "plugins");
	const json_t *log = json_object_get(root, "log");

	load_table(l, &config_top, l->config, root, "");
	load_defaults(&config_log, l->config);
	if (log)
		load_table(l, &config_log, l->config, log, "log");
	if (plugins)
		load_table(l, &config_plugins, l->config, plugins, "plugins");
	find_roles(l, namesrv, one || many);
	if (!find_folders(l))
		return;
	if (has_role(l->config, "namesrv"))
		load_namesrv(l, namesrv);
	if (has_role(l->config, "broker"))
		load_brokers(l, one, many);
}

static uint32_t line_of(const struct problems *problems, const char *path)
{
	return locate_line(problems->source, path);
}

int config_load_text(const char *name, struct mosaic_slice text, struct plugins *plugins,
		     struct config **out, struct problems *problems)
{
	struct load l = { mem_alloc(sizeof(struct config)), plugins, problems };
	uint32_t before = problems->count;
	json_error_t why;
	json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &why);

	l.config->file = mem_strdup(name);
	problems->file = l.config->file;
	if (!root) {
		buf_printf(&problems->text, "%s:%d:%d: is no JSON: %s\n", name, why.line,
			   why.column, why.text);
		problems->count++;
	} else {
		problems->line_of = line_of;
		problems->source = text;
		load_top(&l, root);
		problems->line_of = NULL;
		json_decref(root);
	}
	problems->file = NULL;
	if (problems->count == before) {
		*out = l.config;
		return 0;
	}
	config_free(&l.config);
	return MOSAIC_E_INVAL;
}

static int read_file(const char *file, struct buf *out, struct problems *problems)
{
	FILE *f = fopen(file, "rbe");
	size_t n;

	if (!f) {
		problems_add(problems, "", "cannot read %s: %s", file, strerror(errno));
		return MOSAIC_E_NOTFOUND;
	}
	while ((n = fread(buf_room(out, 65536), 1, 65536, f)) > 0 && out->len <= CONFIG_FILE_MAX)
		out->len += n;
	if (ferror(f))
		problems_add(problems, "", "cannot read %s: %s", file, strerror(errno));
	else if (out->len > CONFIG_FILE_MAX)
		problems_add(problems, "", "%s: is larger than %u bytes", file, CONFIG_FILE_MAX);
	fclose(f);
	return problems->count == 0 ? 0 : MOSAIC_E_INVAL;
}

int config_load_file(const char *file, struct plugins *plugins, struct config **out,
		     struct problems *problems)
{
	struct buf text = BUF_INIT;
	int rc = read_file(file, &text, problems);

	if (rc == 0)
		rc = config_load_text(file, buf_slice(&text), plugins, out, problems);
	buf_free(&text);
	return rc;
}

static void free_broker(struct config_broker *b)
{
	for (uint32_t i = 0; i < config_n_slots; i++)
		plugin_instance_free(load_place(b, i));
	value_free(config_broker_table.options, config_broker_table.n, b);
	value_free(config_transport.options, config_transport.n, b);
	value_free(config_retention_table.options, config_retention_table.n, &b->retention);
}

void config_free(struct config **config)
{
	struct config *c = *config;

	if (!c)
		return;
	for (uint32_t i = 0; i < c->n_brokers; i++)
		free_broker(&c->brokers[i]);
	free(c->brokers);
	plugin_instance_free(&c->namesrv.transport);
	value_free(config_namesrv_table.options, config_namesrv_table.n, &c->namesrv);
	value_free(config_plugins.options, config_plugins.n, c);
	value_free(config_top.options, config_top.n, c);
	free(c->file);
	free(c);
	*config = NULL;
}
