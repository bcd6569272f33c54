/*
 * 318 UPDATE_NAMESRV_CONFIG, 319 GET_NAMESRV_CONFIG: properties text with RocketMQ's names.
 *
 * A request is applied as a whole or not at all. Names on the black list refuse it (16), as in
 * Java; names that we do not have are accepted and logged, because admin tools set them on whole
 * clusters.
 */
#include "base/num.h"
#include "namesrv/namesrv_priv.h"
#include "wire/property_lines.h"

enum option_type {
	OPTION_BOOL,
	OPTION_INT
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset;
	int64_t min, max; /* min > max: shown, a change is ignored */
};

#define AT(member) offsetof(struct namesrv_options, member)

/* By name; deleteTopicWithBrokerRegistration lives in the tables. */
static const struct option options[] = {
	{ "enableAllTopicList", OPTION_BOOL, AT(enable_all_topic_list), 0, 1 },
	{ "enableTopicList", OPTION_BOOL, AT(enable_topic_list), 0, 1 },
	{ "listenPort", OPTION_INT, AT(listen_port), 1, 0 },
	{ "needWaitForService", OPTION_BOOL, AT(need_wait_for_service), 0, 1 },
	{ "notifyMinBrokerIdChanged", OPTION_BOOL, AT(notify_min_broker_id_changed), 0, 1 },
	{ "orderMessageEnable", OPTION_BOOL, AT(order_message_enable), 0, 1 },
	{ "returnOrderTopicConfigToBroker", OPTION_BOOL, AT(return_order_topic_config), 0, 1 },
	{ "scanNotActiveBrokerInterval", OPTION_INT, AT(scan_ms), 100, 3600000 },
	{ "supportActingMaster", OPTION_BOOL, AT(support_acting_master), 0, 1 },
	{ "waitSecondsForService", OPTION_INT, AT(wait_seconds), 0, 86400 },
};

static const char *const black_list[] = { "configBlackList", "configStorePath", "kvConfigPath",
					  "rocketmqHome" };

#define DELETE_WITH_REGISTRATION "deleteTopicWithBrokerRegistration"

void namesrv_default_options(struct namesrv_options *o, const struct namesrv_config *config)
{
	*o = (struct namesrv_options){
		.enable_all_topic_list = true,
		.enable_topic_list = true,
		.return_order_topic_config = true,
		.scan_ms = config->scan_ms > 0 ? (int64_t)config->scan_ms : 5000,
		.wait_seconds = 45,
		.listen_port = config->listen_port,
	};
}

/* ---- 318 ---- */

static bool is_black(struct mosaic_slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(black_list); i++)
		if (slice_is(name, black_list[i]))
			return true;
	return false;
}

static bool parse_bool(struct mosaic_slice text, bool *out)
{
	*out = num_parse_bool(text);
	return *out || slice_is_nocase(text, "false");
}

/* Sets one option; false when the value is none for it. */
static bool set_option(struct namesrv_options *o, const struct option *option,
		       struct mosaic_slice text)
{
	char *at = (char *)o + option->offset;
	int64_t value;

	if (option->min > option->max)
		return true;
	if (option->type == OPTION_BOOL)
		return parse_bool(text, (bool *)(void *)at);
	if (num_parse_i64(text, &value) != 0 || value < option->min || value > option->max)
		return false;
	memcpy(at, &value, sizeof(value));
	return true;
}

static bool set_property(struct namesrv *n, struct namesrv_options *o, bool *delete_missing,
			 struct mosaic_slice name, struct mosaic_slice value)
{
	char quoted[128], text[64];

	if (slice_is(name, DELETE_WITH_REGISTRATION))
		return parse_bool(value, delete_missing);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (slice_is(name, options[i].name))
			return set_option(o, &options[i], value);
	buf_clear(&n->out);
	buf_append(&n->out, name.ptr, name.len < sizeof(text) ? name.len : sizeof(text));
	LOG_INFO(n->host, "property_ignored", "name=%s",
		 host_log_quote(quoted, sizeof(quoted), buf_cstr(&n->out)));
	return true;
}

void on_update_config(void *service, struct request *req)
{
	struct namesrv *n = service;
	struct namesrv_options changed = n->options;
	bool delete_missing = n->routes.delete_missing_topics;
	struct mosaic_slice text = req->body, name, value;

	while (property_lines_next(&text, &name, &value)) {
		if (is_black(name)) {
			reply_remark(&req->ticket, RES_NO_PERMISSION,
				     "Can not update config in black list.");
			return;
		}
		if (!set_property(n, &changed, &delete_missing, name, value)) {
			reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%.*s cannot be \"%.*s\"",
				     SLICE_ARG(name), SLICE_ARG(value));
			return;
		}
	}
	n->options = changed;
	n->routes.delete_missing_topics = delete_missing;
	LOG_INFO(n->host, "config_updated", "peer=%s", req->ticket.peer->address.text);
	reply_code(&req->ticket, RES_SUCCESS);
}

/* ---- 319 ---- */

static void append_option(struct buf *out, const struct namesrv_options *o,
			  const struct option *option)
{
	const char *at = (const char *)o + option->offset;

	buf_append_str(out, option->name);
	buf_append_byte(out, '=');
	if (option->type == OPTION_BOOL)
		buf_append_str(out, *(const bool *)(const void *)at ? "true" : "false");
	else
		buf_append_i64(out, *(const int64_t *)(const void *)at);
	buf_append_byte(out, '\n');
}

void on_get_config(void *service, struct request *req)
{
	struct namesrv *n = service;

	buf_clear(&n->out);
	buf_append_str(&n->out, "configBlackList=");
	for (size_t i = 0; i < ARRAY_LEN(black_list); i++) {
		buf_append_str(&n->out, i > 0 ? ";" : "");
		buf_append_str(&n->out, black_list[i]);
	}
	buf_append_str(&n->out, "\n" DELETE_WITH_REGISTRATION "=");
	buf_append_str(&n->out, n->routes.delete_missing_topics ? "true\n" : "false\n");
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].offset != AT(listen_port) || n->options.listen_port != 0)
			append_option(&n->out, &n->options, &options[i]);
	namesrv_answer_out(n, req);
}
