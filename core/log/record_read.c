#include "log/record_read.h"
#include "log/damage.h"

/* Most records fit into the first read; a longer one is read again as long as it says. */
#define FIRST_BYTES (64u * 1024)

static int record_step(struct record_read *r, uint32_t need, uint32_t want);

/* Whether a record that is not whole is one all the same, with a body that has changed. */
static bool is_damaged(const struct record_read *r)
{
	struct message m;
	uint32_t len;
	return record_decode(r->read.ptr, r->read.len, false, &m, &len) == RECORD_MESSAGE &&
	       m.phys_offset == (int64_t)r->offset;
}

/* The bytes are there: a whole record, or the beginning of a longer one. */
static int record_try(struct record_read *r)
{
	uint32_t len = 0;
	int kind = record_decode(r->read.ptr, r->read.len, true, &r->m, &len);
	if (kind == RECORD_MESSAGE && r->m.phys_offset == (int64_t)r->offset) {
		r->len = len;
		return 0;
	}
	if (kind == MOSAIC_E_CORRUPT && is_damaged(r))
		log_damaged(r->log, r->m.topic, r->m.queue_id, r->m.queue_offset, r->offset);
	log_unpin(r->log, &r->read);
	if (kind == MOSAIC_E_AGAIN && len > r->want && len <= r->log->config.max_record_bytes)
		return record_step(r, len, len);
	return MOSAIC_E_CORRUPT;
}

static void record_fetched(struct mosaic_req *req)
{
	struct record_read *r = req->data;
	r->status = req->status;
	if (r->status == 0) {
		r->status = record_try(r);
	} else if (r->status == MOSAIC_E_LOST) { /* perhaps only what lies behind it */
		log_lost(r->log, &r->read);
		r->status = record_step(r, r->need, r->want);
	}
	if (r->status != MOSAIC_PENDING)
		r->done(r);
}

/* Reads `want` bytes, or as many as are not lost, if `need` are not. */
static int record_step(struct record_read *r, uint32_t need, uint32_t want)
{
	r->need = need;
	r->want = log_readable(r->log, r->offset, want);
	if (r->want < need) {
		log_damaged(r->log, slice(NULL, 0), -1, -1, r->offset);
		return MOSAIC_E_CORRUPT;
	}
	r->read.req.done = record_fetched;
	r->read.req.data = r;
	int rc = log_read(r->log, r->offset, r->want, &r->read);
	return rc == 0 ? record_try(r) : rc;
}

int record_read(struct log *log, uint64_t offset, struct record_read *r)
{
	r->log = log;
	r->offset = offset;
	return record_step(r, 1, FIRST_BYTES);
}

void record_unpin(struct record_read *r)
{
	log_unpin(r->log, &r->read);
}
