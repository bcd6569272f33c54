/*
 * Request code -> handler: the one table through which every request of a node goes. A code that
 * nobody serves gets RocketMQ's own answer, 3 REQUEST_CODE_NOT_SUPPORTED. [core]
 */
#ifndef NODE_DISPATCH_H
#define NODE_DISPATCH_H

#include "rpc/request.h"

#define DISPATCH_DIRECT 1024 /* codes below are an index; the few above are searched */
#define DISPATCH_FAR 64

struct dispatch_entry {
	void (*handle)(void *service, struct request *req);
	void *service;
	int32_t code;
};

struct dispatch {
	struct dispatch_entry direct[DISPATCH_DIRECT];
	struct dispatch_entry far[DISPATCH_FAR];
	uint32_t n_far;
};

/* A code that is added twice is a programming error. */
void dispatch_add(struct dispatch *d, const struct request_row *rows, uint32_t n_rows,
		  void *service);
void dispatch_request(const struct dispatch *d, struct request *req);

#endif
