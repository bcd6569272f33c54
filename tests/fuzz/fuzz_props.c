/* Properties: what is written after parsing holds the same pairs and is written alike again. */
#include "fuzz/fuzz.h"
#include "wire/props.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct props_edit edit, again;
	uint8_t *copy = fuzz_copy(data, size);
	struct mosaic_slice props = slice(copy, size), name, value;
	struct props_iter it = props_iter(props);
	struct buf once = BUF_INIT, twice = BUF_INIT;

	while (props_next(&it, &name, &value)) {
		ASSERT(name.len != 0);
		ASSERT(value.len != 0);
		ASSERT(fuzz_is_within(name, copy, size));
		ASSERT(fuzz_is_within(value, copy, size));
	}
	if (props_edit_parse(&edit, props) == 0) {
		props_edit_write(&edit, &once);
		for (uint32_t i = 0; i < edit.count; i++) {
			char *key = slice_dup(edit.pairs[i].name);

			if (strlen(key) == edit.pairs[i].name.len) {
				ASSERT(slice_eq(props_find(props, key), edit.pairs[i].value));
				ASSERT(slice_eq(props_find(buf_slice(&once), key),
						edit.pairs[i].value));
			}
			free(key);
		}
		ASSERT(props_edit_parse(&again, buf_slice(&once)) == 0);
		ASSERT(again.count == edit.count);
		props_edit_write(&again, &twice);
		ASSERT(slice_eq(buf_slice(&once), buf_slice(&twice)));
	}
	buf_free(&once);
	buf_free(&twice);
	free(copy);
	return 0;
}
