#include "wire/frame.h"
#include "base/bytes.h"

int frame_decode(uint8_t *frame, uint32_t len, struct header *header, struct mosaic_slice *body)
{
	if (len < FRAME_PREFIX_BYTES - FRAME_LENGTH_BYTES)
		return MOSAIC_E_CORRUPT;
	if (len > FRAME_MAX - FRAME_LENGTH_BYTES)
		return MOSAIC_E_LIMIT;

	uint32_t word = get_be32(frame);
	uint32_t header_len = word & 0xFFFFFF;
	frame += 4;
	len -= 4;
	if (header_len > len)
		return MOSAIC_E_CORRUPT;
	*body = slice(frame + header_len, len - header_len);
	return header_decode(frame, header_len, (uint8_t)(word >> 24), header);
}
