/* The rows of everything that is not sending or pulling: broker.c joins them with its own. */
#ifndef BROKER_CONTROL_ROWS_H
#define BROKER_CONTROL_ROWS_H

#include "rpc/request.h"

extern const struct request_row control_rows[];
extern const uint32_t control_n_rows;

#endif
