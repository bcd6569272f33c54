/*
 * Happy path: (inflate ->) cut into topics -> register_body.
 * Failure modes: damaged JSON, zlib stream or lengths; more than REGISTER_INFLATED_MAX bytes; topic
 * names that are empty or too long. The whole body is refused then: half a table would be a lie.
 */
#include "namesrv/register_body.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include <stdlib.h>
#include <zlib.h>

#define VERSION_V3_0_11 37

void route_version_read(struct route_version *v, const json_t *object)
{
	v->state_version = json_get_i64(object, "stateVersion", 0);
	v->timestamp = json_get_i64(object, "timestamp", 0);
	v->counter = json_get_i64(object, "counter", 0);
}

static int add_topic(struct register_body *body, const struct registered_topic *topic,
		     struct mosaic_error *err)
{
	if (topic->name.len == 0 || topic->name.len > TOPIC_NAME_MAX)
		return err_set(err, MOSAIC_E_LIMIT,
			       "a topic name has %zu bytes; 1 to %d are allowed", topic->name.len,
			       TOPIC_NAME_MAX);
	body->topics[body->n_topics++] = *topic;
	return 0;
}

static int set_filter_servers(struct register_body *body, const json_t *array,
			      struct mosaic_error *err)
{
	if (!json_is_array(array))
		return 0; /* null: keep */
	body->has_filter_servers = true;
	if (json_array_size(array) == 0)
		return 0;
	body->filter_servers = json_dumps(array, JSON_COMPACT);
	if (body->filter_servers == NULL)
		return err_set(err, MOSAIC_E_NOMEM, "no memory for the filter server list");
	if (strlen(body->filter_servers) > FILTER_SERVERS_MAX)
		return err_set(err, MOSAIC_E_LIMIT, "the filter server list is too long");
	return 0;
}

static int alloc_topics(struct register_body *body, size_t n, struct mosaic_error *err)
{
	body->topics = calloc(n > 0 ? n : 1, sizeof(*body->topics));
	if (body->topics == NULL)
		return err_set(err, MOSAIC_E_NOMEM, "no memory for %zu topics", n);
	return 0;
}

static int decode_wrapper(struct register_body *body, const json_t *wrapper,
			  struct mosaic_error *err)
{
	json_t *table = json_object_get(wrapper, "topicConfigTable");
	const char *name;
	json_t *config;
	int rc;

	route_version_read(&body->version, json_object_get(wrapper, "dataVersion"));
	rc = alloc_topics(body, json_object_size(table), err);
	if (rc != 0)
		return rc;
	json_object_foreach(table, name, config) {
		struct registered_topic topic = {
			.name = slice_str(name),
			/* Defaults of TopicConfig. */
			.read_queues = (int32_t)json_get_i64(config, "readQueueNums", 16),
			.write_queues = (int32_t)json_get_i64(config, "writeQueueNums", 16),
			.perm = (int32_t)json_get_i64(config, "perm", 6),
			.sys_flag = (int32_t)json_get_i64(config, "topicSysFlag", 0),
		};

		rc = add_topic(body, &topic, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int decode_json(struct register_body *body, struct mosaic_slice bytes,
		       int32_t sender_version, struct mosaic_error *err)
{
	const json_t *wrapper;
	int rc;

	if (bytes.len == 0)
		return alloc_topics(body, 0, err);
	body->json = json_read(bytes, err);
	if (body->json == NULL)
		return MOSAIC_E_CORRUPT;
	if (!json_is_object(body->json))
		return err_set(err, MOSAIC_E_CORRUPT, "the body is no JSON object");
	wrapper = body->json;
	if (sender_version >= VERSION_V3_0_11) {
		wrapper = json_object_get(body->json, "topicConfigSerializeWrapper");
		rc = set_filter_servers(body, json_object_get(body->json, "filterServerList"), err);
		if (rc != 0)
			return rc;
	}
	return decode_wrapper(body, wrapper, err);
}

/* Inflates into memory that doubles up to REGISTER_INFLATED_MAX. */
static int inflate_all(struct mosaic_slice in, uint8_t **out, size_t *out_len,
		       struct mosaic_error *err)
{
	size_t cap = in.len < 4096 ? 16384 : in.len * 4;
	uint8_t *memory = NULL;
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.ptr, .avail_in = (uInt)in.len };
	int rc = 0, zrc = Z_OK;

	if (inflateInit(&z) != Z_OK)
		return err_set(err, MOSAIC_E_NOMEM, "no memory to inflate the body");
	do {
		uint8_t *bigger;

		if (cap > REGISTER_INFLATED_MAX)
			cap = REGISTER_INFLATED_MAX;
		if (z.total_out == REGISTER_INFLATED_MAX) {
			rc = err_set(err, MOSAIC_E_LIMIT, "the body inflates to more than %u bytes",
				     REGISTER_INFLATED_MAX);
			break;
		}
		bigger = realloc(memory, cap);
		if (bigger == NULL) {
			rc = err_set(err, MOSAIC_E_NOMEM, "no memory to inflate the body");
			break;
		}
		memory = bigger;
		z.next_out = memory + z.total_out;
		z.avail_out = (uInt)(cap - z.total_out);
		zrc = inflate(&z, Z_NO_FLUSH);
		cap *= 2;
	} while (zrc == Z_OK && z.avail_out == 0);
	if (rc == 0 && zrc != Z_STREAM_END)
		rc = err_set(err, MOSAIC_E_CORRUPT, "the compressed body is damaged");
	*out_len = z.total_out;
	inflateEnd(&z);
	if (rc != 0) {
		free(memory);
		return rc;
	}
	*out = memory;
	return 0;
}

/* Reads 4 bytes of length and that many bytes. */
static bool take_block(struct mosaic_slice *in, struct mosaic_slice *block)
{
	uint32_t len;

	if (in->len < 4)
		return false;
	len = get_be32(in->ptr);
	if (len > in->len - 4)
		return false;
	*block = slice(in->ptr + 4, len);
	*in = slice(in->ptr + 4 + len, in->len - 4 - len);
	return true;
}

static struct mosaic_slice next_word(struct mosaic_slice *text)
{
	const uint8_t *blank = text->len ? memchr(text->ptr, ' ', text->len) : NULL;
	size_t len = blank ? (size_t)(blank - text->ptr) : text->len;
	struct mosaic_slice word = slice(text->ptr, len);

	*text = blank ? slice(blank + 1, text->len - len - 1) : slice(text->ptr + len, 0);
	return word;
}

static int decode_topic_line(struct register_body *body, struct mosaic_slice line,
			     struct mosaic_error *err)
{
	struct registered_topic topic = { .name = next_word(&line) };

	if (num_parse_i32(next_word(&line), &topic.read_queues) != 0 ||
	    num_parse_i32(next_word(&line), &topic.write_queues) != 0 ||
	    num_parse_i32(next_word(&line), &topic.perm) != 0)
		return err_set(err, MOSAIC_E_CORRUPT, "a topic of the compressed body is damaged");
	return add_topic(body, &topic, err);
}

static int decode_block_json(struct mosaic_slice *in, json_t **out, struct mosaic_error *err)
{
	struct mosaic_slice block;

	if (!take_block(in, &block))
		return err_set(err, MOSAIC_E_CORRUPT, "the compressed body is cut short");
	*out = json_read(block, err);
	return *out ? 0 : MOSAIC_E_CORRUPT;
}

static int decode_compressed(struct register_body *body, struct mosaic_slice bytes,
			     struct mosaic_error *err)
{
	struct mosaic_slice in, line;
	uint32_t n_topics;
	size_t len = 0;
	json_t *json;
	int rc;

	if (bytes.len == 0)
		return alloc_topics(body, 0, err);
	rc = inflate_all(bytes, &body->inflated, &len, err);
	if (rc != 0)
		return rc;
	in = slice(body->inflated, len);
	rc = decode_block_json(&in, &json, err);
	if (rc != 0)
		return rc;
	route_version_read(&body->version, json);
	json_decref(json);
	if (in.len < 4)
		return err_set(err, MOSAIC_E_CORRUPT, "the compressed body is cut short");
	n_topics = get_be32(in.ptr);
	in = slice(in.ptr + 4, in.len - 4);
	if (n_topics > in.len / 4)
		return err_set(err, MOSAIC_E_CORRUPT, "the compressed body has no %u topics",
			       n_topics);
	rc = alloc_topics(body, n_topics, err);
	for (uint32_t i = 0; rc == 0 && i < n_topics; i++) {
		if (!take_block(&in, &line))
			rc = err_set(err, MOSAIC_E_CORRUPT, "the compressed body is cut short");
		else
			rc = decode_topic_line(body, line, err);
	}
	if (rc == 0)
		rc = decode_block_json(&in, &json, err);
	if (rc != 0)
		return rc;
	rc = set_filter_servers(body, json, err);
	json_decref(json);
	return rc;
}

/* A zlib header (RFC 1950): deflate, 32 KiB window. No JSON text begins with 0x78, an x. */
static bool is_zlib(struct mosaic_slice bytes)
{
	return bytes.len >= 2 && bytes.ptr[0] == 0x78 && get_be16(bytes.ptr) % 31 == 0;
}

int register_body_decode(struct register_body *body, struct mosaic_slice bytes, bool compressed,
			 int32_t sender_version, struct mosaic_error *err)
{
	int rc;

	*body = (struct register_body){ .n_topics = 0 };
	/* Brokers of 5.3.3 with compressedRegister send a zlib body and say compressed=false. */
	if (compressed || is_zlib(bytes))
		rc = decode_compressed(body, bytes, err);
	else
		rc = decode_json(body, bytes, sender_version, err);
	if (rc != 0)
		register_body_free(body);
	return rc;
}

void register_body_free(struct register_body *body)
{
	free(body->topics);
	free(body->filter_servers);
	free(body->inflated);
	if (body->json)
		json_decref(body->json);
	*body = (struct register_body){ .n_topics = 0 };
}
