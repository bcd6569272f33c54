/* A commit log for flush plugins: syncs complete when the test says so. */
#ifndef PLUGINS_FAKE_LOG_H
#define PLUGINS_FAKE_LOG_H

#include "support/fake_host.h"
#include <mosaic/flush.h>

struct fake_log {
	struct fake_host host;
	struct mosaic_flush_port port;
	const struct mosaic_flush_ops *ops;
	struct mosaic_flush *flush;
	void *options;
	struct mosaic_sync *pending; /* asked for and not answered */
	uint32_t n_asked;
	uint32_t n_refuse; /* so many calls answer refuse_with */
	int32_t refuse_with;
	struct mosaic_req close_req;
	uint32_t n_closed;
};

void fake_log_open(struct fake_log *l, const struct mosaic_plugin *plugin, uint64_t durable);
void fake_log_append(struct fake_log *l, uint64_t end);
/* Answers the sync that is under way; 0: durable up to what was asked. */
void fake_log_answer(struct fake_log *l, int32_t status);
void fake_log_close(struct fake_log *l);
/* After close completed. */
void fake_log_fini(struct fake_log *l);
uint64_t fake_log_durable(const struct fake_log *l);

#endif
