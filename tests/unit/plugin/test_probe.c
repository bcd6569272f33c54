/* A child process stands between a bad constructor and this one. */
#include "plugin/probe.h"
#include "plugin/plugins.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static int load(void *ctx, struct buf *out, struct mosaic_error *err)
{
	struct plugins *plugins = plugins_create(NULL, 0);
	const struct loaded_plugin *plugin;
	int rc = plugins_load(plugins, ctx, &plugin, err);

	if (rc == 0)
		buf_append_str(out, plugin->desc.name);
	plugins_destroy(&plugins);
	return rc;
}

static int probe(const char *name, struct buf *out, struct mosaic_error *err)
{
	char file[600];

	snprintf(file, sizeof(file), "%s/plugins-bad/%s.so", getenv("MOSAIC_BUILD"), name);
	return probe_run(name, load, file, out, err);
}

static void brings_the_text_home(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(probe("good", &out, &err), 0);
	assert_string_equal(buf_cstr(&out), "good");
	buf_free(&out);
}

static void brings_the_error_home(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(probe("no-license", &out, &err), MOSAIC_E_INVAL);
	assert_non_null(strstr(err.text, "its descriptor has no license"));
	assert_int_equal(out.len, 0);
	buf_free(&out);
}

static void survives_a_constructor_that_crashes_or_exits(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(probe("crashes", &out, &err), MOSAIC_E_FATAL);
	assert_string_equal(err.text, "crashes: loading it ended the process: Aborted");
	assert_int_equal(probe("exits", &out, &err), MOSAIC_E_FATAL);
	assert_string_equal(err.text, "exits: loading it ended the process (exit 7)");
	buf_free(&out);
}

static int much(void *ctx, struct buf *out, struct mosaic_error *err)
{
	(void)ctx;
	(void)err;
	memset(buf_room(out, PROBE_OUTPUT_MAX + 1), 'x', PROBE_OUTPUT_MAX + 1);
	out->len = PROBE_OUTPUT_MAX + 1;
	return 0;
}

static void output_is_bounded(void **state)
{
	struct mosaic_error err = ERR_INIT;
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(probe_run("much", much, NULL, &out, &err), MOSAIC_E_LIMIT);
	assert_int_equal(out.len, 0);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brings_the_text_home),
		cmocka_unit_test(brings_the_error_home),
		cmocka_unit_test(survives_a_constructor_that_crashes_or_exits),
		cmocka_unit_test(output_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
