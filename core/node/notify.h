/* The service manager's ear: sd_notify(3)'s datagram, without libsystemd. */
#ifndef NODE_NOTIFY_H
#define NODE_NOTIFY_H

#include "base/compiler.h"
#include <mosaic/base.h>

/* Sends a state such as "READY=1\nSTATUS=serving" to NOTIFY_SOCKET. 0 also when nobody listens
 * there (no service manager). Never blocks: a full socket is MOSAIC_E_AGAIN. [main] */
NODISCARD int notify_send(const char *state, struct mosaic_error *err);

#endif
