#include "wire/message.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/num.h"
#include "wire/props.h"

#define BATCH_FIXED_BYTES 22 /* five integers and the length of the properties */

static bool is_v2(const struct message *m)
{
	return m->topic.len > 127;
}

uint32_t record_len(const struct message *m)
{
	if (m->topic.len > INT16_MAX || m->props.len > PROPS_MAX || m->body.len > INT32_MAX)
		return 0;
	uint64_t len = RECORD_FIXED_BYTES + (is_v2(m) ? 1u : 0u) + (m->born_host.ip_len - 4) +
		       (m->store_host.ip_len - 4) + m->body.len + m->topic.len + m->props.len;
	return len <= INT32_MAX ? (uint32_t)len : 0;
}

static uint8_t *put_bytes(uint8_t *p, struct mosaic_slice bytes)
{
	if (bytes.len != 0)
		memcpy(p, bytes.ptr, bytes.len);
	return p + bytes.len;
}

static uint8_t *put_host(uint8_t *p, const struct host_address *host)
{
	ASSERT(host->ip_len == 4 || host->ip_len == 16);
	memcpy(p, host->ip, host->ip_len);
	put_be32(p + host->ip_len, host->port);
	return p + host->ip_len + 4;
}

void record_encode(uint8_t *at, uint32_t len, const struct message *m)
{
	const uint32_t host_bits = SYS_BORN_HOST_V6 | SYS_STORE_HOST_V6;
	uint32_t sys_flag = (uint32_t)m->sys_flag & ~host_bits;

	ASSERT(len != 0);
	ASSERT(len == record_len(m));
	if (m->born_host.ip_len == 16)
		sys_flag |= SYS_BORN_HOST_V6;
	if (m->store_host.ip_len == 16)
		sys_flag |= SYS_STORE_HOST_V6;
	put_be32(at, len);
	put_be32(at + RECORD_AT_MAGIC, is_v2(m) ? RECORD_MAGIC_V2 : RECORD_MAGIC_V1);
	put_be32(at + RECORD_AT_CRC, m->body_crc);
	put_be32(at + RECORD_AT_QUEUE_ID, (uint32_t)m->queue_id);
	put_be32(at + 16, (uint32_t)m->flag);
	put_be64(at + RECORD_AT_QUEUE_OFFSET, (uint64_t)m->queue_offset);
	put_be64(at + RECORD_AT_PHYS_OFFSET, (uint64_t)m->phys_offset);
	put_be32(at + RECORD_AT_SYS_FLAG, sys_flag);
	put_be64(at + 40, (uint64_t)m->born_ms);
	uint8_t *p = put_host(at + 48, &m->born_host);
	put_be64(p, (uint64_t)m->store_ms);
	p = put_host(p + 8, &m->store_host);
	put_be32(p, (uint32_t)m->reconsume_times);
	put_be64(p + 4, (uint64_t)m->prepared_offset);
	put_be32(p + 12, (uint32_t)m->body.len);
	p = put_bytes(p + 16, m->body);
	if (is_v2(m))
		*p++ = (uint8_t)(m->topic.len >> 8);
	*p++ = (uint8_t)m->topic.len;
	p = put_bytes(p, m->topic);
	put_be16(p, (uint16_t)m->props.len);
	p = put_bytes(p + 2, m->props);
	ASSERT(p == at + len);
}

static const uint8_t *get_host(const uint8_t *p, uint32_t ip_len, struct host_address *host)
{
	memcpy(host->ip, p, ip_len);
	host->ip_len = ip_len;
	host->port = get_be32(p + ip_len);
	return p + ip_len + 4;
}

/* The three parts of variable length at p must fill the record to its end exactly. */
static int decode_tail(const uint8_t *p, const uint8_t *end, uint32_t topic_len_bytes,
		       struct message *m)
{
	uint32_t n = get_be32(p);

	p += 4;
	if ((uint64_t)(end - p) < (uint64_t)n + topic_len_bytes + 2)
		return MOSAIC_E_CORRUPT;
	m->body = slice(p, n);
	p += n;
	n = topic_len_bytes == 1 ? *p : get_be16(p);
	p += topic_len_bytes;
	/* The byte and the short are signed in Java. */
	if (end - p < (int64_t)n + 2 || n > (topic_len_bytes == 1 ? 0x7Fu : 0x7FFFu))
		return MOSAIC_E_CORRUPT;
	m->topic = slice(p, n);
	p += n;
	n = get_be16(p);
	m->props = slice(p + 2, n);
	return n <= PROPS_MAX && end - p == (int64_t)n + 2 ? 0 : MOSAIC_E_CORRUPT;
}

static int decode_message(const uint8_t *at, uint32_t len, uint32_t topic_len_bytes,
			  struct message *m)
{
	m->sys_flag = (int32_t)get_be32(at + RECORD_AT_SYS_FLAG);
	uint32_t born_ip = m->sys_flag & SYS_BORN_HOST_V6 ? 16 : 4;
	uint32_t store_ip = m->sys_flag & SYS_STORE_HOST_V6 ? 16 : 4;

	if (len < RECORD_FIXED_BYTES - 1 + topic_len_bytes + born_ip - 4 + store_ip - 4)
		return MOSAIC_E_CORRUPT;
	m->has_tags = m->has_keys = false;
	m->body_crc = get_be32(at + RECORD_AT_CRC);
	m->queue_id = (int32_t)get_be32(at + RECORD_AT_QUEUE_ID);
	m->flag = (int32_t)get_be32(at + 16);
	m->queue_offset = (int64_t)get_be64(at + RECORD_AT_QUEUE_OFFSET);
	m->phys_offset = (int64_t)get_be64(at + RECORD_AT_PHYS_OFFSET);
	m->born_ms = (int64_t)get_be64(at + 40);
	const uint8_t *p = get_host(at + 48, born_ip, &m->born_host);
	m->store_ms = (int64_t)get_be64(p);
	p = get_host(p + 8, store_ip, &m->store_host);
	m->reconsume_times = (int32_t)get_be32(p);
	m->prepared_offset = (int64_t)get_be64(p + 4);
	return decode_tail(p + 12, at + len, topic_len_bytes, m);
}

int record_decode(const uint8_t *at, uint64_t avail, bool check_crc, struct message *m,
		  uint32_t *len)
{
	*len = RECORD_BLANK_BYTES;
	if (avail < RECORD_BLANK_BYTES)
		return MOSAIC_E_AGAIN;

	uint32_t total = get_be32(at), magic = get_be32(at + RECORD_AT_MAGIC);
	if (magic == RECORD_MAGIC_BLANK) {
		*len = total;
		return total >= RECORD_BLANK_BYTES && total <= INT32_MAX ? RECORD_BLANK
									  : MOSAIC_E_CORRUPT;
	}
	if (magic != RECORD_MAGIC_V1 && magic != RECORD_MAGIC_V2)
		return MOSAIC_E_CORRUPT;
	if (total < RECORD_FIXED_BYTES || total > INT32_MAX)
		return MOSAIC_E_CORRUPT;
	*len = total;
	if (total > avail)
		return MOSAIC_E_AGAIN;
	int rc = decode_message(at, total, magic == RECORD_MAGIC_V2 ? 2 : 1, m);
	if (rc != 0)
		return rc;
	if (check_crc && (hash_crc32(m->body.ptr, m->body.len) & 0x7FFFFFFF) != m->body_crc)
		return MOSAIC_E_CORRUPT;
	return RECORD_MESSAGE;
}

uint32_t message_offset_id(uint8_t *out, const struct host_address *store_host,
			   int64_t phys_offset)
{
	uint8_t bytes[28], *p = put_host(bytes, store_host);

	put_be64(p, (uint64_t)phys_offset);
	uint32_t len = (uint32_t)(p + 8 - bytes);
	num_format_hex(out, bytes, len);
	return 2 * len;
}

int message_offset_id_parse(struct mosaic_slice id, struct host_address *host,
			    int64_t *phys_offset)
{
	uint8_t bytes[28];
	size_t len = id.len / 2;

	if ((len != 16 && len != 28) || num_parse_hex(id, bytes, len) != 0)
		return MOSAIC_E_INVAL;
	*phys_offset = (int64_t)get_be64(get_host(bytes, (uint32_t)len - 12, host));
	return 0;
}

/* Size, magic and CRC of an item are not looked at, as Apache's broker does not: clients leave them
 * unset or wrong. */
int batch_next(const uint8_t **at, const uint8_t *end, struct batch_item *item)
{
	const uint8_t *p = *at;

	if (p == end)
		return 0;
	if (end - p < BATCH_FIXED_BYTES)
		return MOSAIC_E_CORRUPT;
	item->flag = (int32_t)get_be32(p + 12);
	uint32_t n = get_be32(p + 16);
	p += 20;
	if (end - p < (int64_t)n + 2)
		return MOSAIC_E_CORRUPT;
	item->body = slice(p, n);
	p += n;
	n = get_be16(p);
	p += 2;
	if (n > PROPS_MAX || end - p < (int64_t)n)
		return MOSAIC_E_CORRUPT;
	item->props = slice(p, n);
	*at = p + n;
	return 1;
}

int64_t message_tags_code(struct mosaic_slice tags)
{
	return hash_java(tags);
}
