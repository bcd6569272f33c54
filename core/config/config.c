/*
 * The happy path: read the file, parse it strictly, fill the top, find the plugin folders, then the
 * NameServer, then each broker with its plugins, then what must hold between them. Nothing stops at
 * the first problem except text that is no JSON.
 */
#include "config/config.h"
#include "base/mem.h"
#include "config/locate.h"
#include "config/options.h"
#include "config/tables.h"
#include "plugin/compose.h"
#include "plugin/kind.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_BYTES 128
#define NAME_BYTES_MAX 127 /* Validators, 5.3.3 */

struct load {
	struct config *config;
	struct plugins *plugins;
	struct problems *problems;
};

static void *member_at(void *base, size_t offset)
{
	return (uint8_t *)base + offset;
}

static void defaults(const struct config_table *t, void *to)
{
	ASSERT(value_defaults(t->options, t->n, to, NULL) == 0);
}

static void fill(struct load *l, const struct config_table *t, void *to, const json_t *object,
		 const char *path)
{
	options_fill(t->options, t->n, to, object, NULL, path, l->problems);
}

/* ---- plugins in their places ---- */

/*
 * Reads { "plugin": NAME, options... }. object NULL: the fallback with its defaults. also: keys that
 * are the core's own. On a problem the place stays empty.
 */
static void fill_slot(struct load *l, struct plugin_instance *place, uint32_t kind,
		      const char *fallback, const json_t *object, const char *const *also,
		      const char *path)
{
	const json_t *name = object ? json_object_get(object, "plugin") : NULL;
	const char *wanted = name ? json_string_value(name) : fallback;
	const struct loaded_plugin *plugin;
	struct mosaic_error err = ERR_INIT;

	if (object && !json_is_object(object)) {
		problems_add(l->problems, path, "must be an object with \"plugin\" in it");
		return;
	}
	if (!wanted) {
		if (name)
			problems_add(l->problems, path, "\"plugin\" must be a text");
		else if (object)
			problems_add(l->problems, path, "needs \"plugin\", the name of a plugin");
		return;
	}
	if (plugins_find(l->plugins, wanted, kind, &plugin, &err) != 0) {
		problems_add(l->problems, path, "%s", err.text);
		return;
	}
	plugin_instance_init(place, plugin);
	json_t *nothing = json_object();
	options_fill(plugin->desc.options, plugin->desc.n_options, place->options,
		     object ? object : nothing, also, path, l->problems);
	json_decref(nothing);
}

/* A transport that has an option "listen" of its own is given the address too. */
static void pass_listen(struct plugin_instance *transport, const char *listen)
{
	const struct mosaic_option *o;

	if (!transport->plugin)
		return;
	o = options_find(transport->plugin->desc.options, transport->plugin->desc.n_options,
			 "listen");
	if (o && o->type == MOSAIC_T_ADDRESS)
		ASSERT(value_set(o, slice_str(listen), transport->options, NULL) == 0);
}

/* ---- the NameServer ---- */

static void load_namesrv(struct load *l, const json_t *object)
{
	static const char *const core_keys[] = { "plugin", "listen", NULL };
	struct config_namesrv *ns = &l->config->namesrv;
	const json_t *transport = object ? json_object_get(object, "transport") : NULL;

	l->config->has_namesrv = true;
	defaults(&config_namesrv_table, ns);
	if (object)
		fill(l, &config_namesrv_table, ns, object, "namesrv");
	if (json_object_get(transport, "listen"))
		problems_add(l->problems, "namesrv.transport.listen", "belongs into namesrv.listen");
	fill_slot(l, &ns->transport, MOSAIC_TRANSPORT, CONFIG_TRANSPORT_FALLBACK, transport, core_keys,
		  "namesrv.transport");
	pass_listen(&ns->transport, ns->listen);
}

/* ---- a broker ---- */

static bool is_any(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool parse_ip(const char *host, struct mosaic_address *a)
{
	if (inet_pton(AF_INET, host, a->ip) == 1)
		a->ip_len = 4;
	else if (inet_pton(AF_INET6, host, a->ip) == 1)
		a->ip_len = 16;
	else
		return false;
	return true;
}

/* As RocketMQ's brokerIP1: the first address of this machine that others may reach. */
static void first_address(struct mosaic_address *a)
{
	struct ifaddrs *all = NULL;

	parse_ip("127.0.0.1", a);
	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_LOOPBACK) != 0 || (i->ifa_flags & IFF_UP) == 0)
			continue;
		const struct sockaddr_in *in = (const void *)i->ifa_addr;
		memcpy(a->ip, &in->sin_addr, 4);
		break;
	}
	freeifaddrs(all);
}

static void print_address(struct mosaic_address *a)
{
	char ip[INET6_ADDRSTRLEN];

	inet_ntop(a->ip_len == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof(ip));
	snprintf(a->text, sizeof(a->text), a->ip_len == 4 ? "%s:%u" : "[%s]:%u", ip, a->port);
}

static void find_address(struct load *l, struct config_broker *b, const char *path)
{
	struct mosaic_address *a = &b->address;
	char host[256], at[PATH_BYTES];
	uint32_t port;

	ASSERT(value_parse_address(b->listen, host, sizeof(host), &a->port) == 0);
	if (!b->address_option) {
		if (is_any(host) || !parse_ip(host, a))
			first_address(a);
	} else if (!parse_ip(b->address_option, a)) {
		if (value_parse_address(b->address_option, host, sizeof(host), &port) == 0 &&
		    parse_ip(host, a)) {
			a->port = port;
		} else {
			path_at(at, sizeof(at), "%s.address", path);
			problems_add(l->problems, at,
				     "must be an IP address or \"ip:port\", not \"%s\"",
				     b->address_option);
		}
	}
	print_address(a);
}

/* The NameServer of this process as seen from here, or the usual place. */
static void default_namesrv(struct load *l, struct config_broker *b)
{
	static const struct mosaic_option list = { .type = VALUE_LIST };
	char host[256], text[300];
	uint32_t port;

	if (b->namesrv.count > 0)
		return;
	snprintf(text, sizeof(text), "127.0.0.1:9876");
	if (l->config->has_namesrv) {
		ASSERT(value_parse_address(l->config->namesrv.listen, host, sizeof(host), &port) == 0);
		snprintf(text, sizeof(text), strchr(host, ':') ? "[%s]:%u" : "%s:%u",
			 strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" :
			 strcmp(host, "::") == 0 ? "::1" : host, port);
	}
	ASSERT(value_list_add(&list, slice_str(text), &b->namesrv, NULL) == 0);
}

static void check_name(struct load *l, const char *name, const char *path, const char *key)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.%|";
	char at[PATH_BYTES];

	if (name[0] != '\0' && strlen(name) <= NAME_BYTES_MAX &&
	    strspn(name, allowed) == strlen(name))
		return;
	path_at(at, sizeof(at), "%s.%s", path, key);
	problems_add(l->problems, at, "must be 1 to %d letters, digits and any of -_.%%|, not \"%s\"",
		     NAME_BYTES_MAX, name);
}

static void check_broker(struct load *l, const struct config_broker *b, const char *path)
{
	char host[256], at[PATH_BYTES];
	uint32_t port;

	check_name(l, b->cluster, path, "cluster");
	check_name(l, b->name, path, "name");
	if ((b->id == 0) == (b->is_slave != 0))
		problems_add(l->problems, path, "%s", b->is_slave ?
			     "a slave needs an \"id\" of 1 or more" : "a master has the id 0");
	for (uint32_t i = 0; i < b->namesrv.count; i++) {
		if (value_parse_address(b->namesrv.items[i], host, sizeof(host), &port) == 0)
			continue;
		path_at(at, sizeof(at), "%s.namesrv[%u]", path, i);
		problems_add(l->problems, at, "must be \"host:port\", not \"%s\"",
			     b->namesrv.items[i]);
	}
}

static void load_slots(struct load *l, struct config_broker *b, const json_t *object,
		       const char *path)
{
	static const char *const plugin_key[] = { "plugin", NULL };
	static const char *const transport_keys[] = { "plugin", "listen", NULL };
	char at[PATH_BYTES];

	for (uint32_t i = 0; i < config_n_slots; i++) {
		const struct config_slot *slot = &config_slots[i];
		const char *fallback = slot->fallback;

		/* Nothing to sync, nobody to ask for it. */
		if (slot->kind == MOSAIC_FLUSH && b->store.plugin &&
		    (b->store.plugin->desc.caps & MOSAIC_STORE_CAP_SYNC) == 0)
			fallback = NULL;
		path_at(at, sizeof(at), "%s.%s", path, slot->name);
		fill_slot(l, member_at(b, slot->offset), slot->kind, fallback,
			  object ? json_object_get(object, slot->name) : NULL,
			  slot->kind == MOSAIC_TRANSPORT ? transport_keys : plugin_key, at);
	}
}

/* "listen" of a broker stands beside the options of its transport. */
static void load_listen(struct load *l, struct config_broker *b, const json_t *object,
			const char *path)
{
	const json_t *value = json_object_get(json_object_get(object, "transport"), "listen");
	char at[PATH_BYTES];
	json_t *only;

	defaults(&config_transport, b);
	if (value) {
		path_at(at, sizeof(at), "%s.transport", path);
		only = json_object();
		json_object_set(only, "listen", (json_t *)(uintptr_t)value);
		fill(l, &config_transport, b, only, at);
		json_decref(only);
	}
	pass_listen(&b->transport, b->listen);
}

static void load_broker(struct load *l, struct config_broker *b, const json_t *object,
			const char *path)
{
	uint32_t before = l->problems->count;
	struct composition set = { &b->transport, &b->store, &b->flush, &b->replication,
				   &b->balance, false };

	defaults(&config_broker_table, b);
	if (object)
		fill(l, &config_broker_table, b, object, path);
	load_slots(l, b, object, path);
	load_listen(l, b, object, path);
	find_address(l, b, path);
	default_namesrv(l, b);
	check_broker(l, b, path);
	set.is_slave = b->is_slave != 0;
	if (l->problems->count == before) /* needs of a plugin that is not there say nothing */
		compose_check(&set, path, l->problems);
}

/* ---- all brokers ---- */

static bool same_options(const struct plugin_instance *a, const struct plugin_instance *b)
{
	bool same = a->plugin && a->plugin == b->plugin;
	struct buf left = BUF_INIT, right = BUF_INIT;

	for (uint32_t i = 0; same && i < a->plugin->desc.n_options; i++) {
		value_print(&a->plugin->desc.options[i], a->options, &left);
		value_print(&a->plugin->desc.options[i], b->options, &right);
		same = slice_eq(buf_slice(&left), buf_slice(&right));
	}
	buf_free(&left);
	buf_free(&right);
	return same;
}

/* port 0 is a different one each time */
static bool same_listen(const char *a, const char *b)
{
	return strcmp(a, b) == 0 && strcmp(strrchr(a, ':'), ":0") != 0;
}

static void check_pair(struct load *l, const struct config_broker *a, uint32_t ia,
		       const struct config_broker *b, uint32_t ib)
{
	char path[PATH_BYTES], at[PATH_BYTES + 16];

	path_at(path, sizeof(path), "brokers[%u]", ib);
	if (strcmp(a->name, b->name) == 0 && a->id == b->id)
		problems_add(l->problems, path, "has the name \"%s\" and the id %lld of brokers[%u]",
			     b->name, (long long)b->id, ia);
	path_at(at, sizeof(at), "%s.transport", path);
	if (same_listen(a->listen, b->listen))
		problems_add(l->problems, at, "listens at %s as brokers[%u] does", b->listen, ia);
	path_at(at, sizeof(at), "%s.store", path);
	if (same_options(&a->store, &b->store) &&
	    (a->store.plugin->desc.caps & MOSAIC_STORE_CAP_CRASH) != 0)
		problems_add(l->problems, at, "is the same as that of brokers[%u]: each broker needs "
			     "files of its own", ia);
}

static void check_brokers(struct load *l)
{
	const struct config *c = l->config;

	for (uint32_t i = 0; i < c->n_brokers; i++)
		for (uint32_t j = i + 1; j < c->n_brokers; j++)
			check_pair(l, &c->brokers[i], i, &c->brokers[j], j);
	for (uint32_t i = 0; c->has_namesrv && i < c->n_brokers; i++) {
		if (!same_listen(c->namesrv.listen, c->brokers[i].listen))
			continue;
		problems_add(l->problems, "namesrv.listen",
			     "is %s, where broker %s of this process listens too",
			     c->namesrv.listen, c->brokers[i].name);
		break;
	}
}

static void load_brokers(struct load *l, const json_t *one, const json_t *many)
{
	struct config *c = l->config;
	size_t n = many ? json_array_size(many) : 1;
	char path[PATH_BYTES];

	if (one && many)
		problems_add(l->problems, "brokers", "there is \"broker\" too: only one of the two");
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
	check_brokers(l);
}

/* ---- the file ---- */

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

static void find_folders(struct load *l)
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
}

static void load_top(struct load *l, const json_t *root)
{
	const json_t *namesrv = json_object_get(root, "namesrv");
	const json_t *one = json_object_get(root, "broker"), *many = json_object_get(root, "brokers");
	const json_t *plugins = json_object_get(root, "plugins"), *log = json_object_get(root, "log");

	fill(l, &config_top, l->config, root, "");
	defaults(&config_log, l->config);
	if (log)
		fill(l, &config_log, l->config, log, "log");
	if (plugins)
		fill(l, &config_plugins, l->config, plugins, "plugins");
	find_roles(l, namesrv, one || many);
	find_folders(l);
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
		buf_printf(&problems->text, "%s:%d:%d: is no JSON: %s\n", name, why.line, why.column,
			   why.text);
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
		problems_add(problems, "", "%s: %s", file, strerror(errno));
		return MOSAIC_E_NOTFOUND;
	}
	while ((n = fread(buf_room(out, 65536), 1, 65536, f)) > 0 && out->len <= CONFIG_FILE_MAX)
		out->len += n;
	if (ferror(f))
		problems_add(problems, "", "%s: %s", file, strerror(errno));
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

int config_default(struct plugins *plugins, struct config **out, struct problems *problems)
{
	static const char text[] = "{ \"roles\": [\"namesrv\", \"broker\"],"
		" \"broker\": { \"store\": { \"dir\": \"mosaic-data\" } } }";
	return config_load_text("(defaults)", slice_str(text), plugins, out, problems);
}

static void free_broker(struct config_broker *b)
{
	for (uint32_t i = 0; i < config_n_slots; i++)
		plugin_instance_free(member_at(b, config_slots[i].offset));
	value_free(config_broker_table.options, config_broker_table.n, b);
	value_free(config_transport.options, config_transport.n, b);
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
