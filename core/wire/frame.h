/*
 * The frame of the remoting protocol (RemotingCommand, NettyDecoder, RocketMQ 5.3.3):
 *
 *   4 bytes  total: how many bytes follow
 *   4 bytes  top 8 bits: serialize type of the header (0 JSON, 1 binary); low 24: header length
 *   header, then the body
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/slice.h"
#include "wire/header.h"

#define FRAME_LENGTH_BYTES 4
#define FRAME_PREFIX_BYTES 8               /* length word and header word */
#define FRAME_MAX (16u * 1024 * 1024)      /* including the length word */

/*
 * Decodes what a transport delivers: the frame without its length word. The header is decoded in
 * place (text is unescaped inside `frame`), so header and body borrow from it.
 * 0, MOSAIC_E_CORRUPT (the connection must be closed, as Apache does) or MOSAIC_E_LIMIT.
 */
NODISCARD int frame_decode(uint8_t *frame, uint32_t len, struct header *header,
			   struct mosaic_slice *body);

#endif
