#include "fake_log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int32_t fake_sync(void *ctx, struct mosaic_sync *req)
{
	struct fake_log *l = ctx;

	assert_null(l->pending); /* FLUSH-03 */
	if (l->n_refuse > 0) {
		l->n_refuse--;
		return l->refuse_with;
	}
	l->n_asked++;
	l->pending = req;
	return 0;
}

static void closed(struct mosaic_req *req)
{
	struct fake_log *l = req->data;

	l->n_closed++;
}

/* The tables are small and simple: numbers by their texts as the host would fill them. */
static void fill_defaults(const struct mosaic_plugin *p, uint8_t *options)
{
	for (uint32_t i = 0; i < p->n_options; i++) {
		const struct mosaic_option *o = &p->options[i];
		char *unit;
		uint64_t value = strtoull(o->fallback, &unit, 10);

		if (strcmp(unit, "ms") == 0)
			value *= MS_NS;
		else if (strcmp(unit, "s") == 0)
			value *= SECOND_NS;
		else
			value *= strcmp(unit, "KiB") == 0 ? 1024 : 1;
		memcpy(options + o->offset, &value, sizeof(value));
	}
}

void fake_log_open(struct fake_log *l, const struct mosaic_plugin *plugin, uint64_t durable)
{
	struct mosaic_error err = { .struct_size = sizeof(err) };

	*l = (struct fake_log){ .ops = plugin->ops };
	fake_host_init(&l->host);
	l->port = (struct mosaic_flush_port){ .struct_size = sizeof(l->port), .ctx = l,
					      .durable = durable, .sync = fake_sync };
	l->options = calloc(1, plugin->options_size + 1);
	fill_defaults(plugin, l->options);
	assert_int_equal(l->ops->create(&l->host.host, l->options, &l->flush, &err), 0);
	assert_int_equal(l->ops->open(l->flush, &l->port, &err), 0);
}

void fake_log_append(struct fake_log *l, uint64_t end)
{
	l->ops->appended(l->flush, end);
	fake_host_run(&l->host);
}

void fake_log_answer(struct fake_log *l, int32_t status)
{
	struct mosaic_sync *req = l->pending;

	assert_non_null(req);
	l->pending = NULL;
	req->req.status = status;
	req->req.done(&req->req);
	fake_host_run(&l->host);
}

void fake_log_close(struct fake_log *l)
{
	l->close_req = (struct mosaic_req){ .done = closed, .data = l };
	assert_int_equal(l->ops->close(l->flush, &l->close_req), 0);
	assert_int_equal(l->n_closed, 0); /* never inside the call */
	fake_host_run(&l->host);
}

void fake_log_fini(struct fake_log *l)
{
	assert_int_equal(l->n_closed, 1);
	assert_int_equal(fake_host_timers(&l->host), 0);
	l->ops->destroy(l->flush);
	fake_host_fini(&l->host);
	free(l->options);
}

uint64_t fake_log_durable(const struct fake_log *l)
{
	return l->host.upto[MOSAIC_DURABLE];
}
