/*
 * A message and its CommitLog record (CommitLog, MessageDecoder of 5.3.3; all integers big-endian):
 *
 *   4 total size | 4 magic | 4 body CRC & 0x7fffffff | 4 queue id | 4 flag | 8 queue offset |
 *   8 physical offset | 4 sysFlag | 8 born ms | 8 or 20 born host | 8 store ms |
 *   8 or 20 store host | 4 reconsume times | 8 prepared transaction offset | 4 + n body |
 *   1 + n topic (2 + n in V2) | 2 + n properties
 *
 * The end of a segment: 4 bytes that are left, 4 blank magic.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "base/compiler.h"
#include "base/slice.h"

#define RECORD_MAGIC_V1 0xDAA320A7u
#define RECORD_MAGIC_V2 0xDAA320ABu /* topic length is a short: topics above 127 bytes */
#define RECORD_MAGIC_BLANK 0xCBD43194u
#define RECORD_BLANK_BYTES 8
#define RECORD_FIXED_BYTES 91 /* V1, IPv4 hosts, without body, topic and properties */

/* Offsets of fields that are patched or peeked at. */
#define RECORD_AT_MAGIC 4
#define RECORD_AT_CRC 8
#define RECORD_AT_QUEUE_ID 12
#define RECORD_AT_QUEUE_OFFSET 20
#define RECORD_AT_PHYS_OFFSET 28
#define RECORD_AT_SYS_FLAG 36

enum sys_flag {
	SYS_COMPRESSED = 0x1,
	SYS_MULTI_TAGS = 0x2,
	SYS_TRANSACTION_MASK = 0xC,
	SYS_TRANSACTION_PREPARED = 0x4,
	SYS_TRANSACTION_COMMIT = 0x8,
	SYS_TRANSACTION_ROLLBACK = 0xC,
	SYS_BORN_HOST_V6 = 0x10,
	SYS_STORE_HOST_V6 = 0x20,
	SYS_NEED_UNWRAP = 0x40,
	SYS_INNER_BATCH = 0x80
};

struct host_address {
	uint8_t ip[16];
	uint32_t ip_len; /* 4 or 16 */
	uint32_t port;
};

struct message {
	struct mosaic_slice topic, body, props;
	int32_t queue_id;
	int32_t flag;
	int32_t sys_flag; /* host bits are set by record_encode from the addresses */
	int32_t reconsume_times;
	int64_t queue_offset; /* index in the consume queue */
	int64_t phys_offset;  /* in the commit log */
	int64_t born_ms, store_ms;
	int64_t prepared_offset;
	struct host_address born_host, store_host;
	uint32_t body_crc; /* already masked with 0x7fffffff */
	/* The property TAGS, when the caller has it at hand: saves a search in props. */
	bool has_tags;
	struct mosaic_slice tags;
	/* The same for UNIQ_KEY and KEYS. */
	bool has_keys;
	struct mosaic_slice uniq_key, keys;
};

/* Bytes of the record; 0 when it cannot be encoded (topic > 32767 or properties > PROPS_MAX bytes
 * or the sum passes 2^31). */
uint32_t record_len(const struct message *m);
/* Writes the record; len must be record_len(m). */
void record_encode(uint8_t *at, uint32_t len, const struct message *m);

enum record_kind {
	RECORD_MESSAGE = 1,
	RECORD_BLANK = 2 /* *len = bytes to the end of the segment */
};

/*
 * Reads the record at `at`. Returns RECORD_MESSAGE (m and *len set; slices borrow) or RECORD_BLANK,
 * MOSAIC_E_AGAIN when the record is longer than avail (*len says how long; 8 when not even known),
 * MOSAIC_E_CORRUPT for anything that is no record. check_crc: compare the body's CRC too.
 */
int record_decode(const uint8_t *at, uint64_t avail, bool check_crc, struct message *m,
		  uint32_t *len);

/* A message id of the broker ("offset id"): upper-case hex of ip, port (4 bytes) and physical
 * offset. Writes 32 or 56 bytes and returns how many. */
uint32_t message_offset_id(uint8_t *out, const struct host_address *store_host,
			   int64_t phys_offset);
#define MESSAGE_ID_MAX 56
/* The way back: 0 or MOSAIC_E_INVAL. */
int message_offset_id_parse(struct mosaic_slice id, struct host_address *host,
			    int64_t *phys_offset);

/*
 * One record of a batch body (code 320): 4 size, 4 magic, 4 crc, 4 flag, 4 + n body, 2 + m
 * properties. Returns 1 and advances *at, 0 at the end, MOSAIC_E_CORRUPT.
 */
struct batch_item {
	struct mosaic_slice body, props;
	int32_t flag;
};
int batch_next(const uint8_t **at, const uint8_t *end, struct batch_item *item);

/* tagsCode of a consume queue unit: Java hash of TAGS, 0 without tags. */
int64_t message_tags_code(struct mosaic_slice tags);

#endif
