/* Requests for messages by key and by offset: 12 33. [core] */
#ifndef BROKER_QUERY_REQUESTS_H
#define BROKER_QUERY_REQUESTS_H

#include "rpc/request.h"

void query_on_key(void *broker, struct request *req);
void query_on_offset(void *broker, struct request *req);

#endif
