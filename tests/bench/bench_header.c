/*
 * Nanoseconds for one header or record, as JSON: the smallest of ten rounds, because what disturbs
 * a round only ever makes it slower. Run it on a quiet machine.
 */
#include "base/bytes.h"
#include "base/hash.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "wire/props.h"
#include <stdio.h>
#include <time.h>

#define ROUNDS 10
#define TURNS 200000

static const char send_header[] =
	"{\"code\":310,\"extFields\":{\"a\":\"PG_ORDERS\",\"b\":\"Orders\",\"c\":\"TBW102\","
	"\"d\":\"4\","
	"\"e\":\"0\",\"f\":\"0\",\"g\":\"1700000000000\",\"h\":\"0\",\"i\":\"KEYS\\u0001K0\\u0002"
	"UNIQ_KEY\\u0001FD0000000000000000000000000000010000000000000000000000\\u0002WAIT\\u0001"
	"true\\u0002TAGS\\u0001TagA\\u0002\",\"j\":\"0\",\"k\":\"false\",\"m\":\"false\",\"n\":"
	"\"broker-a\"},"
	"\"flag\":0,\"language\":\"JAVA\",\"opaque\":4,\"serializeTypeCurrentRPC\":\"JSON\","
	"\"version\":479}";

static uint8_t binary_header[512], scratch[1024];
static uint32_t binary_len;
static struct header h;
static uint64_t sink; /* keeps the compiler from leaving the work out */

static void decode_json(void)
{
	memcpy(scratch, send_header, sizeof(send_header) - 1);
	sink += (uint64_t)header_decode(scratch, sizeof(send_header) - 1, SERIALIZE_JSON, &h);
}

static void copy_only(void)
{
	memcpy(scratch, send_header, sizeof(send_header) - 1);
	sink += scratch[sink & 63];
}

static void decode_binary(void)
{
	sink += (uint64_t)header_decode(binary_header, binary_len, SERIALIZE_BINARY, &h);
}

static void find_14_fields(void)
{
	static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g",
					    "h", "i", "j", "k", "l", "m", "n" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		sink += header_find(&h, keys[i]) != NULL;
}

static void encode(uint8_t serialize)
{
	struct header_writer w;

	header_begin(&w, scratch, sizeof(scratch), serialize, 0, 4, 1, LANGUAGE_JAVA, 479);
	header_put_str(&w, "queueId", "0");
	header_put_str(&w, "transactionId",
		       "FD0000000000000000000000000000010000000000000000000000");
	header_put_str(&w, "msgId", "7F00000100002A9F0000000000000102");
	header_put_str(&w, "TRACE_ON", "true");
	header_put_str(&w, "MSG_REGION", "DefaultRegion");
	header_put_i64(&w, "queueOffset", 123456);
	sink += header_end(&w, 0);
}

static void encode_json(void) { encode(SERIALIZE_JSON); }
static void encode_binary(void) { encode(SERIALIZE_BINARY); }

static void encode_record(void)
{
	static const uint8_t body[128];
	struct message m = {
		.topic = slice_str("Orders"), .body = slice(body, sizeof(body)),
		.props = slice_str("MSG_REGION\001DefaultRegion\002TAGS\001TagA\002WAIT\001t\002"),
		.born_host = { { 127, 0, 0, 1 }, 4, 40000 },
		.store_host = { { 127, 0, 0, 1 }, 4, 10911 }
	};
	m.body_crc = hash_crc32(body, sizeof(body)) & 0x7FFFFFFF;
	record_encode(scratch, record_len(&m), &m);
	sink += scratch[100];
}

static void decode_record(void)
{
	struct message m;
	uint32_t len;

	sink += (uint64_t)record_decode(scratch, sizeof(scratch), true, &m, &len);
}

static void edit_props(void)
{
	static struct props_edit edit;
	static struct buf out;

	buf_clear(&out);
	sink += (uint64_t)props_edit_parse(&edit, slice_str("KEYS\001K0\002UNIQ_KEY\001FD00\002"
							    "WAIT\001true\002TAGS\001TagA\002"));
	sink += (uint64_t)props_edit_put(&edit, slice_str("MSG_REGION"),
					 slice_str("DefaultRegion"));
	sink += (uint64_t)props_edit_put(&edit, slice_str("TRACE_ON"), slice_str("true"));
	sink += (uint64_t)props_edit_put(&edit, slice_str("CLUSTER"), slice_str("DefaultCluster"));
	props_edit_write(&edit, &out);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static double measure(void (*work)(void))
{
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns();

		for (int i = 0; i < TURNS; i++)
			work();
		double ns = (now_ns() - start) / TURNS;
		best = ns < best ? ns : best;
	}
	return best;
}

static void prepare_binary(void)
{
	struct header_writer w;
	uint8_t frame[512];

	decode_json();
	header_begin(&w, frame, sizeof(frame), SERIALIZE_BINARY, 310, 4, 0, LANGUAGE_JAVA, 479);
	for (uint32_t i = 0; i < h.n_fields; i++) {
		char key[2] = { (char)h.fields[i].key.ptr[0], 0 };

		header_put(&w, key, h.fields[i].value);
	}
	binary_len = header_end(&w, 0) - FRAME_PREFIX_BYTES;
	memcpy(binary_header, frame + FRAME_PREFIX_BYTES, binary_len);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*work)(void);
	} benches[] = {
		{ "copy_header_only", copy_only },       { "header_decode_json", decode_json },
		{ "header_find_14", find_14_fields },    { "header_decode_binary", decode_binary },
		{ "header_encode_json", encode_json },   { "header_encode_binary", encode_binary },
		{ "record_encode_128", encode_record },  { "record_decode_128", decode_record },
		{ "props_edit_7", edit_props },
	};
	prepare_binary();
	printf("{\"unit\":\"ns\",\"json_header_bytes\":%zu", sizeof(send_header) - 1);
	for (size_t i = 0; i < ARRAY_LEN(benches); i++)
		printf(",\"%s\":%.1f", benches[i].name, measure(benches[i].work));
	printf("}\n");
	return sink == 0;
}
