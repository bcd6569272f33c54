/* Requests of brokers to us: one row per code. What is not here is answered with code 3. */
#include "engine.h"
#include "wire/codes.h"

static const struct request_row rows[] = {
	{ 0, NULL },
};

void incoming(void *ctx, struct request *req)
{
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].handle != NULL && rows[i].code == req->header.code) {
			rows[i].handle(ctx, req);
			return;
		}
	reply_unsupported(req);
}
