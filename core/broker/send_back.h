/* A consumer gives a message back: 36. [core] */
#ifndef BROKER_SEND_BACK_H
#define BROKER_SEND_BACK_H

#include "broker/broker.h"

void back_on_message(void *broker, struct request *req); /* 36 */

#endif
