#include "connect.h"
#include "base/err.h"
#include "base/mem.h"
#include <stdio.h>

int connect_client(const char *namesrv, void (*log)(void *data, int32_t level, const char *line),
		   void *log_data, struct mosaic_client **out, struct mosaic_error *err)
{
	const struct mosaic_client_options options = { .struct_size = sizeof(options),
						       .namesrv = namesrv,
						       .max_message = 15u << 20,
						       .log = log,
						       .log_data = log_data,
						       .log_level = MOSAIC_CLIENT_LOG_WARN };
	int rc = mosaic_client_create(&options, out, err);

	return rc == 0 ? mosaic_client_start(*out, err) : rc;
}

int connect_hint(int rc, struct mosaic_error *err)
{
	char why[sizeof(err->text)];

	if (rc != MOSAIC_E_CLOSED && rc != MOSAIC_E_TIMEOUT)
		return rc;
	snprintf(why, sizeof(why), "%s", err->text);
	return err_set(err, rc, "%s. Is a NameServer running there (mosaic run)? "
		       "--namesrv HOST:PORT names another", why);
}

int connect_queues(struct mosaic_client *client, const char *topic, bool for_write,
		   struct mosaic_queue **out, uint32_t *n, struct mosaic_error *err)
{
	uint32_t room = 0;
	int rc;

	*out = NULL;
	*n = 0;
	do { /* there may be more of them the second time */
		room = *n;
		*out = mem_resize(*out, (room + 1) * sizeof(**out));
		*n = room;
		rc = mosaic_client_queues(client, topic, for_write, *out, n, err);
	} while (rc == 0 && *n > room);
	return connect_hint(rc, err);
}
