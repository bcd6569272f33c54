/* One broker of a configuration: keys, plugins, the address that clients dial; then all of them
 * together. */
#include "config/load.h"
#include "plugin/compose.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>

#define NAME_BYTES_MAX 127 /* Validators, 5.3.3 */

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

/* The NameServer of this process as seen from here, or the usual place; "[]" means none. */
static void default_namesrv(struct load *l, struct config_broker *b, const json_t *object)
{
	static const struct mosaic_option list = { .type = VALUE_LIST };
	char host[256], text[300];
	uint32_t port;

	if (b->namesrv.count > 0 || json_is_array(json_object_get(object, "namesrv")))
		return;
	snprintf(text, sizeof(text), "127.0.0.1:9876");
	if (l->config->has_namesrv) {
		ASSERT(value_parse_address(l->config->namesrv.listen, host, sizeof(host),
					   &port) == 0);
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
	problems_add(l->problems, at, "must be 1 to %d letters, digits and any of -_.%%|, not "
		     "\"%s\"", NAME_BYTES_MAX, name);
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
		bool is_needed = !slot->may_be_empty;

		/* Nothing to sync, nobody to ask for it. */
		if (slot->kind == MOSAIC_FLUSH && b->store.plugin &&
		    (b->store.plugin->desc.caps & MOSAIC_STORE_CAP_SYNC) == 0)
			is_needed = false;
		path_at(at, sizeof(at), "%s.%s", path, slot->name);
		if (slot->kind == MOSAIC_STORE) {
			load_store(l, b, object ? json_object_get(object, slot->name) : NULL, at);
			continue;
		}
		load_slot(l, load_place(b, i), slot->kind, is_needed,
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

	load_defaults(&config_transport, b);
	if (value) {
		path_at(at, sizeof(at), "%s.transport", path);
		only = json_object();
		json_object_set(only, "listen", (json_t *)(uintptr_t)value);
		load_table(l, &config_transport, b, only, at);
		json_decref(only);
	}
	load_pass_listen(&b->transport, b->listen);
}

void load_broker(struct load *l, struct config_broker *b, const json_t *object,
			const char *path)
{
	uint32_t before = l->problems->count;
	struct composition set = { &b->transport, &b->store, &b->flush, &b->replication,
				   &b->balance, false };

	load_defaults(&config_broker_table, b);
	if (object)
		load_table(l, &config_broker_table, b, object, path);
	load_retention(l, &b->retention, object ? json_object_get(object, "retention") : NULL,
		       path);
	load_slots(l, b, object, path);
	load_listen(l, b, object, path);
	find_address(l, b, path);
	default_namesrv(l, b, object);
	check_broker(l, b, path);
	set.is_slave = b->is_slave != 0;
	if (l->problems->count == before) /* needs of a plugin that is not there say nothing */
		compose_check(&set, path, l->problems);
}

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
		problems_add(l->problems, path, "has the name \"%s\" and the id %lld of "
			     "brokers[%u]", b->name, (long long)b->id, ia);
	path_at(at, sizeof(at), "%s.transport", path);
	if (same_listen(a->listen, b->listen))
		problems_add(l->problems, at, "listens at %s as brokers[%u] does", b->listen, ia);
	path_at(at, sizeof(at), "%s.store", path);
	if (same_options(&a->store, &b->store) &&
	    (a->store.plugin->desc.caps & MOSAIC_STORE_CAP_CRASH) != 0)
		problems_add(l->problems, at, "is the same as that of brokers[%u]: each broker "
			     "needs files of its own", ia);
}

void load_check_brokers(struct load *l)
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
