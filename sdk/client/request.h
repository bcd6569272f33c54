/*
 * Any request of the protocol, for the project's own tools: the archive has it, the shared library
 * and the installed headers have not. [blocks]
 */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "wire/header.h"
#include <mosaic/client.h>

struct client_request {
	int32_t code;
	uint32_t timeout_ms;
	const char *const *fields; /* names and values in turn, NULL ends them; may be NULL */
	struct mosaic_slice body;
	/* Runs on the client's thread with the answer, whatever its code; gives the status. */
	int (*take)(void *data, const struct header *response, struct mosaic_slice body);
	void *data;
};

/* The status of take; else error says why, with the address, and it did not run. */
MOSAIC_EXPORT int mosaic_tool_request(struct mosaic_client *client, const char *address,
				      const struct client_request *request,
				      struct mosaic_error *error);

#endif
