/* record_decode and batch_next; a record that is accepted must be written again byte for byte. */
#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "wire/message.h"

static void check_record(const uint8_t *record, size_t size)
{
	struct message m;
	uint32_t len;
	int rc = record_decode(record, size, false, &m, &len);

	if (rc == MOSAIC_E_AGAIN)
		ASSERT(len > size);
	if (rc != RECORD_MESSAGE)
		return;
	ASSERT(len <= size);
	ASSERT(fuzz_is_within(m.topic, record, len));
	ASSERT(fuzz_is_within(m.body, record, len));
	ASSERT(fuzz_is_within(m.props, record, len));
	if (get_be32(record + RECORD_AT_MAGIC) == RECORD_MAGIC_V2 && m.topic.len < 128)
		return; /* we would write V1 */
	uint8_t *again = malloc(len);
	ASSERT(again);
	ASSERT(record_len(&m) == len);
	record_encode(again, len, &m);
	ASSERT(memcmp(again, record, len) == 0);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);
	const uint8_t *at = copy, *before = copy;
	struct batch_item item;

	check_record(copy, size);
	while (batch_next(&at, copy + size, &item) == 1) {
		ASSERT(at > before);
		ASSERT(fuzz_is_within(item.body, copy, size));
		ASSERT(fuzz_is_within(item.props, copy, size));
		before = at;
	}
	free(copy);
	return 0;
}
