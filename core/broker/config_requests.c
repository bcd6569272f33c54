/*
 * The broker's settings as RocketMQ's tools see them: 26 GET_BROKER_CONFIG and
 * 25 UPDATE_BROKER_CONFIG.
 *
 * The table has the properties that mean something here, under Apache's names. Those with a setter
 * change at run time and until the restart: the configuration file stays the operator's. Other
 * names are accepted without an effect, as Apache does; they are named in the log and shown by 26.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "broker/admin_requests.h"
#include "broker/topics.h"
#include "wire/codes.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/property_lines.h"
#include <stdlib.h>

#define LINES_MAX 10000
#define NOTES_MAX 500 /* properties without an effect that are remembered */
#define NOTE_BYTES_MAX 4096
#define FRAME_BODY_MAX (FRAME_MAX - 65536) /* header and properties need room too */

struct property {
	const char *name;
	void (*get)(const struct broker *b, struct buf *out);
	/* NULL: cannot be changed while it runs. MOSAIC_E_INVAL for a bad value. */
	int (*set)(struct broker *b, struct mosaic_slice value);
};

static void put_bool(struct buf *out, bool value)
{
	buf_append_str(out, value ? "true" : "false");
}

static int take_i64(struct mosaic_slice value, int64_t min, int64_t max, int64_t *out)
{
	if (num_parse_i64(value, out) != 0 || *out < min || *out > max)
		return MOSAIC_E_INVAL;
	return 0;
}

#define BOOL_PROPERTY(member)                                                                     \
	static void get_##member(const struct broker *b, struct buf *out)                         \
	{                                                                                         \
		put_bool(out, b->config.member);                                                  \
	}                                                                                         \
	static int set_##member(struct broker *b, struct mosaic_slice value)                      \
	{                                                                                         \
		b->config.member = num_parse_bool(value);                                         \
		return 0;                                                                         \
	}

BOOL_PROPERTY(auto_create_topic)
BOOL_PROPERTY(auto_create_group)

static void get_queues(const struct broker *b, struct buf *out)
{
	buf_append_i64(out, b->config.default_queues);
}

static int set_queues(struct broker *b, struct mosaic_slice value)
{
	int64_t n;

	if (take_i64(value, 1, TOPIC_QUEUES_MAX, &n) != 0)
		return MOSAIC_E_INVAL;
	b->config.default_queues = (int32_t)n;
	return 0;
}

static void get_permission(const struct broker *b, struct buf *out)
{
	buf_append_i64(out, b->config.permission);
}

static int set_permission(struct broker *b, struct mosaic_slice value)
{
	int64_t n;

	if (take_i64(value, 0, 7, &n) != 0)
		return MOSAIC_E_INVAL;
	b->config.permission = (int32_t)n;
	topics_touch_all(b->topics);
	return 0;
}

static void get_max_message(const struct broker *b, struct buf *out)
{
	buf_append_i64(out, b->config.max_message_bytes);
}

static int set_max_message(struct broker *b, struct mosaic_slice value)
{
	int64_t n;

	/* What is above would not fit a frame. */
	if (take_i64(value, 1, FRAME_BODY_MAX, &n) != 0)
		return MOSAIC_E_INVAL;
	b->config.max_message_bytes = (uint32_t)n;
	return 0;
}

static int set_log_level(struct broker *b, struct mosaic_slice value)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!slice_is_nocase(value, names[i]))
			continue;
		if (b->config.set_log_level)
			b->config.set_log_level(b->config.set_log_level_ctx, i);
		return 0;
	}
	return MOSAIC_E_INVAL;
}

static void get_broker_id(const struct broker *b, struct buf *out)
{
	buf_append_i64(out, b->config.broker_id);
}

static void get_cluster(const struct broker *b, struct buf *out)
{
	buf_append_str(out, b->config.cluster);
}

static void get_name(const struct broker *b, struct buf *out)
{
	buf_append_str(out, b->config.name);
}

static struct mosaic_slice port_of(const struct broker *b)
{
	const char *colon = strrchr(b->config.address, ':');

	return slice_str(colon ? colon + 1 : "");
}

static void get_ip(const struct broker *b, struct buf *out)
{
	size_t port = port_of(b).len;
	size_t len = strlen(b->config.address);

	buf_append(out, b->config.address, port > 0 ? len - port - 1 : len);
}

static void get_port(const struct broker *b, struct buf *out)
{
	buf_append_slice(out, port_of(b));
}

static void get_namesrv(const struct broker *b, struct buf *out)
{
	for (uint32_t i = 0; i < b->config.n_namesrv; i++) {
		if (i > 0)
			buf_append_byte(out, ';');
		buf_append_str(out, b->config.namesrv[i]);
	}
}

static void get_role(const struct broker *b, struct buf *out)
{
	bool is_sync = b->log->config.repl_gates;

	buf_append_str(out, b->config.broker_id != BROKER_MASTER_ID ? "SLAVE" :
			    is_sync				    ? "SYNC_MASTER" :
								      "ASYNC_MASTER");
}

static void get_flush(const struct broker *b, struct buf *out)
{
	buf_append_str(out, b->log->config.flush_gates ? "SYNC_FLUSH" : "ASYNC_FLUSH");
}

/* What is deleted, in RocketMQ's units. */
#define RETENTION_PROPERTY(member, unit, min, max)                                                \
	static void get_##member(const struct broker *b, struct buf *out)                         \
	{                                                                                         \
		buf_append_i64(out, (int64_t)b->log->retention.config.member / (unit));           \
	}                                                                                         \
	static int set_##member(struct broker *b, struct mosaic_slice value)                      \
	{                                                                                         \
		int64_t n;                                                                        \
		if (take_i64(value, min, max, &n) != 0)                                           \
			return MOSAIC_E_INVAL;                                                    \
		b->log->retention.config.member = n * (unit);                                     \
		return 0;                                                                         \
	}

RETENTION_PROPERTY(pause_ns, INT64_C(1000000), 0, 3600000)
RETENTION_PROPERTY(clean_percent, INT64_C(1), 0, 99)
RETENTION_PROPERTY(force_percent, INT64_C(1), 0, 99)
RETENTION_PROPERTY(stop_percent, INT64_C(1), 0, 99)

static void get_reserved(const struct broker *b, struct buf *out)
{
	buf_append_i64(out, (int64_t)b->log->retention.config.time_ms / 3600000);
}

/* 0 is "at once" there, and "never" in our file. */
static int set_reserved(struct broker *b, struct mosaic_slice value)
{
	int64_t hours;

	if (take_i64(value, 0, 1000000, &hours) != 0)
		return MOSAIC_E_INVAL;
	b->log->retention.config.time_ms = hours > 0 ? (uint64_t)hours * 3600000 : 1;
	return 0;
}

static void get_hours(const struct broker *b, struct buf *out)
{
	const char *between = "";

	for (uint32_t hour = 0; hour < 24; hour++) {
		if ((b->log->retention.config.hours >> hour & 1) == 0)
			continue;
		buf_printf(out, "%s%02u", between, hour);
		between = ";";
	}
}

static int set_hours(struct broker *b, struct mosaic_slice value)
{
	uint32_t hours = 0;

	while (value.len > 0) {
		const uint8_t *end = memchr(value.ptr, ';', value.len);
		size_t len = end ? (size_t)(end - value.ptr) : value.len;
		int64_t hour;
		if (take_i64(slice(value.ptr, len), 0, 23, &hour) != 0)
			return MOSAIC_E_INVAL;
		hours |= 1u << hour;
		len += end != NULL;
		value = slice(value.ptr + len, value.len - len);
	}
	b->log->retention.config.hours = hours;
	return 0;
}

/* Sorted by name, as they are written. */
static const struct property properties[] = {
	{ "autoCreateSubscriptionGroup", get_auto_create_group, set_auto_create_group },
	{ "autoCreateTopicEnable", get_auto_create_topic, set_auto_create_topic },
	{ "brokerClusterName", get_cluster, NULL },
	{ "brokerIP1", get_ip, NULL },
	{ "brokerId", get_broker_id, NULL },
	{ "brokerName", get_name, NULL },
	{ "brokerPermission", get_permission, set_permission },
	{ "brokerRole", get_role, NULL },
	{ "defaultTopicQueueNums", get_queues, set_queues },
	{ "deleteCommitLogFilesInterval", get_pause_ns, set_pause_ns },
	{ "deleteWhen", get_hours, set_hours },
	{ "diskMaxUsedSpaceRatio", get_clean_percent, set_clean_percent },
	{ "diskSpaceCleanForciblyRatio", get_force_percent, set_force_percent },
	{ "diskSpaceWarningLevelRatio", get_stop_percent, set_stop_percent },
	{ "fileReservedTime", get_reserved, set_reserved },
	{ "flushDiskType", get_flush, NULL },
	{ "listenPort", get_port, NULL },
	{ "maxMessageSize", get_max_message, set_max_message },
	{ "mosaicLogLevel", NULL, set_log_level },
	{ "namesrvAddr", get_namesrv, NULL },
};

/* What operators have set, whether it has an effect or not. */
struct config_notes {
	struct map values; /* name -> text, of properties without an effect */
	struct data_version version;
};

void config_notes_destroy(struct config_notes *notes)
{
	struct map_entry *e;

	if (!notes)
		return;
	for (uint32_t pos = 0; (e = map_next(&notes->values, &pos)) != NULL;)
		free(e->value);
	map_free(&notes->values);
	free(notes);
}

static struct config_notes *notes_of(struct broker *b)
{
	if (!b->notes) {
		b->notes = mem_alloc(sizeof(*b->notes));
		b->notes->version.timestamp = b->boot_ms;
	}
	return b->notes;
}

static void note(struct broker *b, struct mosaic_slice name, struct mosaic_slice value)
{
	struct config_notes *notes = notes_of(b);

	if (name.len == 0 || name.len + value.len > NOTE_BYTES_MAX ||
	    (map_count(&notes->values) >= NOTES_MAX && !map_get(&notes->values, name)))
		return;
	free(map_put(&notes->values, name, slice_dup(value)));
}

/* ---- 26 --------------------------------------------------------------------------------- */

void admin_on_get_config(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct config_notes *notes = notes_of(b);
	struct buf body = BUF_INIT, text = BUF_INIT;
	struct map_entry *e;
	struct json_writer w;
	struct reply r;

	for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
		if (!properties[i].get)
			continue;
		buf_append_str(&body, properties[i].name);
		buf_append_byte(&body, '=');
		properties[i].get(b, &body);
		buf_append_byte(&body, '\n');
	}
	for (uint32_t pos = 0; (e = map_next(&notes->values, &pos)) != NULL;) {
		buf_append_slice(&body, e->key);
		buf_append_byte(&body, '=');
		buf_append_str(&body, e->value);
		buf_append_byte(&body, '\n');
	}
	jw_init(&w, &text);
	data_version_write(&notes->version, &w);
	if (reply_begin(&r, &req->ticket, RES_SUCCESS, REPLY_ROOM, (uint32_t)body.len)) {
		header_put(&r.w, "version", buf_slice(&text));
		reply_end_copy(&r, buf_slice(&body));
	}
	buf_free(&body);
	buf_free(&text);
}

/* ---- 25 --------------------------------------------------------------------------------- */

static bool has_forbidden(struct mosaic_slice text)
{
	static const char *const names[] = { "configBlackList", "brokerConfigPath",
					     "rocketmqHome" };
	struct mosaic_slice name, value;

	while (property_lines_next(&text, &name, &value))
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (slice_is(name, names[i]))
				return true;
	return false;
}

static void log_property(const struct broker *b, const char *event, struct mosaic_slice name,
			 struct mosaic_slice value)
{
	char *names = slice_dup(name), *values = slice_dup(value);
	char name_text[128], value_text[128];

	LOG_INFO(b->host, event, "name=%s value=%s",
		 host_log_quote(name_text, sizeof(name_text), names),
		 host_log_quote(value_text, sizeof(value_text), values));
	free(names);
	free(values);
}

/* 0, also for a name without an effect; MOSAIC_E_INVAL. */
static int set_property(struct broker *b, struct mosaic_slice name, struct mosaic_slice value)
{
	for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
		if (!slice_is(name, properties[i].name))
			continue;
		if (!properties[i].set) { /* cannot be changed while it runs */
			log_property(b, "config_without_effect", name, value);
			return 0;
		}
		if (properties[i].set(b, value) != 0)
			return MOSAIC_E_INVAL;
		log_property(b, "config_changed", name, value);
		return 0;
	}
	log_property(b, "config_without_effect", name, value);
	note(b, name, value);
	return 0;
}

void admin_on_update_config(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_slice text = req->body, name, value;
	uint32_t n = 0;

	if (has_forbidden(text)) {
		reply_remark(&req->ticket, RES_NO_PERMISSION,
			     "Can not update config in black list.");
		return;
	}
	while (n++ < LINES_MAX && property_lines_next(&text, &name, &value)) {
		if (set_property(b, name, value) == 0)
			continue;
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "the value \"%.*s\" does not fit %.*s",
			     SLICE_ARG(value), SLICE_ARG(name));
		return;
	}
	data_version_bump(&notes_of(b)->version, b->host);
	reply_code(&req->ticket, RES_SUCCESS);
}
