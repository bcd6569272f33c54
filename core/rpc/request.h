/*
 * A request that arrived, and the answer to it.
 *
 * The straight case: a handler gets a struct request on the stack, answers and returns. A handler
 * that must wait takes a ticket (enough to answer later: 24 bytes and a reference to the peer), or
 * keeps the whole request (a copy of its frame) when it will run the request again.
 */
#ifndef RPC_REQUEST_H
#define RPC_REQUEST_H

#include "rpc/peer.h"
#include "wire/header.h"

/* What is needed to answer. Taking one out of a request makes a reference: see ticket_keep. */
struct ticket {
	struct peer *peer;
	int32_t opaque;
	int32_t version;
	bool oneway;
};

struct request {
	struct ticket ticket; /* borrowed: no reference of its own */
	struct mosaic_slice body;
	struct header header;
};

/* The same ticket with a reference to the peer; give it back with ticket_drop after answering. */
struct ticket ticket_keep(const struct ticket *ticket);
void ticket_drop(struct ticket *ticket);

/* One row of a service's table: request code -> handler. `service` is the service's own struct. */
struct request_row {
	int32_t code;
	void (*handle)(void *service, struct request *req);
};

/* A copy of a request on the heap, with its own frame and a reference to its peer. NULL when memory
 * is out. kept->bytes is what it weighs, for bounds. */
struct kept_request {
	size_t bytes;
	struct request req; /* last: its field array ends where the request's fields end */
};
struct kept_request *request_keep(const struct request *req);
void kept_request_free(struct kept_request *kept);

/*
 * Writing an answer: begin, put fields through `w`, end. Begin returns false when nothing is to be
 * sent (oneway, closed): then the other calls must not be made. A peer that does not read its
 * answers (TRANS-04) is closed by begin.
 */
struct reply {
	struct header_writer w;
	struct peer *peer;
	int32_t opaque;
	uint32_t body_room;
};

/* room: bytes for header and fields, REPLY_ROOM for a handful of short ones; body_room: bytes for a
 * body that is written behind the header by reply_end_copy. Fields that do not fit turn the answer
 * into code 1 and an error line in the log: reckon with HEADER_ROOM and HEADER_FIELD_ROOM. */
#define REPLY_ROOM 512
bool reply_begin(struct reply *r, const struct ticket *to, int32_t code, uint32_t room,
		 uint32_t body_room);
void reply_end(struct reply *r);                                      /* no body */
void reply_end_copy(struct reply *r, struct mosaic_slice body);       /* body copied */
/* Body copied from pieces; their sum must not pass the body_room of reply_begin. */
void reply_end_gather(struct reply *r, const struct mosaic_slice *pieces, uint32_t n_pieces);
/* Body as spans (linked by next, in order) that the transport writes without a copy; body_len is
 * their sum. Their release() runs in any case. */
void reply_end_spans(struct reply *r, struct mosaic_out_span *first, uint32_t body_len);

/* Whole answers in one call. The remark is formatted: for errors and control requests. */
void reply_code(const struct ticket *to, int32_t code);
void reply_remark(const struct ticket *to, int32_t code, const char *format, ...) PRINTF_LIKE(3, 4);
void reply_body(const struct ticket *to, int32_t code, struct mosaic_slice body);
/* Java's answer when a required field is missing or is no number: code 1 and a remark naming it. */
void reply_missing(const struct ticket *to, const char *field);
/* Java's answer to a code that nobody serves: 3, " request type N not supported". */
void reply_unsupported(const struct request *req);

#endif
