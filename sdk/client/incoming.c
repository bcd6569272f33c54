/* Requests of brokers to us: one row per code. What is not here is answered with code 3. */
#include "incoming.h"
#include "wire/codes.h"

static const struct request_row rows[] = {
	{ REQ_CHECK_TRANSACTION_STATE, incoming_check },
	{ REQ_NOTIFY_CONSUMER_IDS_CHANGED, incoming_ids_changed },
	{ REQ_RESET_CONSUMER_CLIENT_OFFSET, incoming_reset_offset },
	{ REQ_GET_CONSUMER_STATUS_FROM_CLIENT, incoming_status },
	{ REQ_GET_CONSUMER_RUNNING_INFO, incoming_running_info },
	{ REQ_CONSUME_MESSAGE_DIRECTLY, incoming_consume_directly },
	{ REQ_PUSH_REPLY_MESSAGE_TO_CLIENT, incoming_reply },
};

void incoming(void *ctx, struct request *req)
{
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == req->header.code) {
			rows[i].handle(ctx, req);
			return;
		}
	reply_unsupported(req);
}
