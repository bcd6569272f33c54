/* What is refused and in which words: tests/plugins-bad has one plugin per rule. */
#include "plugin/plugins.h"
#include "base/slice.h"
#include "support/scratch.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
	struct plugins *plugins;
	char folder[64]; /* fresh and empty */
	char bad[512];   /* plugins-bad of the build */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->plugins = plugins_create(NULL, 0);
	scratch_make(f->folder, "loader");
	snprintf(f->bad, sizeof(f->bad), "%s/plugins-bad", getenv("MOSAIC_BUILD"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	plugins_destroy(&f->plugins);
	scratch_remove(f->folder);
	free(f);
	return 0;
}

/* Copies bytes of plugins-bad/good.so, all of them for a negative length. */
static void copy_good(const struct fixture *f, const char *to, long bytes)
{
	char command[1200];

	snprintf(command, sizeof(command), "head -c %ld %s/good.so > %s && chmod 644 %s",
		 bytes < 0 ? 1L << 30 : bytes, f->bad, to, to);
	assert_int_equal(system(command), 0);
}

static void assert_refused(struct fixture *f, const char *file, const char *text)
{
	struct mosaic_error err = ERR_INIT;
	const struct loaded_plugin *plugin;

	assert_true(plugins_load(f->plugins, file, &plugin, &err) < 0);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, err.text);
	if (!strstr(err.text, file))
		fail_msg("the file is not named in \"%s\"", err.text);
}

static void every_bad_plugin_is_refused_with_its_reason(void **state)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "wrong-major", "built for plugin ABI 3.4, this host has 0.1: the major versions "
				 "differ" },
		{ "wrong-kind-major", "built for balance interface 6.2, this host has 0.1: the "
		"major "
				      "versions differ" },
		{ "wrong-kind", "is of kind 77, unknown to this host" },
		{ "newer-needed", "needs a host with plugin ABI 0.40, this one has 0.1" },
		{ "newer-kind-needed", "needs a host with balance interface 0.50, this one has "
		"0.1" },
		{ "no-symbol", "is no plugin: it does not export mosaic_plugin" },
		{ "undefined", "undefined symbol: mosaic_test_nowhere" },
		{ "lacks-operation", "lacks the operation allocate, which every balance needs" },
		{ "wrong-name", "calls itself \"something-else\": its file must be called "
				"something-else.so" },
		{ "no-license", "its descriptor has no license" },
		{ "unknown-flags", "sets flags that this host does not know (0x10)" },
		{ "bad-default", "the default of option number must be at most 10, not 12" },
		{ "outside-option", "option number lies outside of its struct" },
		{ "unknown-type", "option number is of type 99, unknown here" },
	};
	struct fixture *f = *state;
	char file[600];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(file, sizeof(file), "%s/%s.so", f->bad, rows[i].name);
		assert_refused(f, file, rows[i].text);
	}
}

static void truncated_file_is_refused_at_every_length(void **state)
{
	struct fixture *f = *state;
	char file[128];
	struct stat st;
	char good[600];

	snprintf(good, sizeof(good), "%s/good.so", f->bad);
	assert_int_equal(stat(good, &st), 0);
	snprintf(file, sizeof(file), "%s/good.so", f->folder);
	copy_good(f, file, 0);
	assert_refused(f, file, "is no shared object of this machine");
	copy_good(f, file, 40);
	assert_refused(f, file, "is no shared object of this machine");
	copy_good(f, file, 100);
	assert_refused(f, file, "is truncated");
	copy_good(f, file, 4096);
	assert_refused(f, file, "is truncated: it has 4096 bytes, its headers speak of more");
}

static void text_file_is_refused(void **state)
{
	struct fixture *f = *state;
	char file[128];
	FILE *out;

	snprintf(file, sizeof(file), "%s/text.so", f->folder);
	out = fopen(file, "w");
	for (int i = 0; i < 100; i++)
		fputs("this is no shared object\n", out);
	fclose(out);
	assert_refused(f, file, "is no shared object of this machine");
}

static void file_or_folder_that_everybody_may_write_is_refused(void **state)
{
	struct fixture *f = *state;
	char file[128];

	snprintf(file, sizeof(file), "%s/good.so", f->folder);
	copy_good(f, file, -1);
	assert_int_equal(chmod(file, 0666), 0);
	assert_refused(f, file, "everybody may write this file, so it is not loaded");
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(chmod(f->folder, 01777), 0);
	assert_refused(f, file, "everybody may write its folder, so it is not loaded");
	assert_int_equal(chmod(f->folder, 0755), 0);
	struct mosaic_error err = ERR_INIT;
	const struct loaded_plugin *plugin;
	assert_int_equal(plugins_load(f->plugins, file, &plugin, &err), 0);
}

static void newer_plugin_that_needs_little_is_taken(void **state)
{
	struct fixture *f = *state;
	struct mosaic_error err = ERR_INIT;
	const struct loaded_plugin *plugin;

	assert_int_equal(plugins_add_folder(f->plugins, f->bad, &err), 0);
	assert_int_equal(plugins_find(f->plugins, "newer", MOSAIC_BALANCE, &plugin, &err), 0);
	assert_int_equal(plugin->desc.abi_minor, 80);
	assert_int_equal(plugin->ops.balance.struct_size, sizeof(struct mosaic_balance_ops));
	assert_int_equal(plugin->ops.balance.pick(NULL, slice(NULL, 0), 9, 4), 1);
}

static void a_name_is_loaded_once(void **state)
{
	struct fixture *f = *state;
	struct mosaic_error err = ERR_INIT;
	const struct loaded_plugin *one, *two;

	assert_int_equal(plugins_add_folder(f->plugins, f->bad, &err), 0);
	assert_int_equal(plugins_find(f->plugins, "good", 0, &one, &err), 0);
	assert_int_equal(plugins_find(f->plugins, "good", 0, &two, &err), 0);
	assert_ptr_equal(one, two);
	assert_string_equal(one->desc.version, "1.2.3");
}

static void wrong_kind_and_unknown_names_are_explained(void **state)
{
	struct fixture *f = *state;
	struct mosaic_error err = ERR_INIT;
	const struct loaded_plugin *plugin;

	assert_int_equal(plugins_find(f->plugins, "good", 0, &plugin, &err), MOSAIC_E_NOTFOUND);
	assert_non_null(strstr(err.text, "any folder, because none is configured"));
	assert_int_equal(plugins_add_folder(f->plugins, f->bad, &err), 0);
	assert_int_equal(plugins_find(f->plugins, "good", MOSAIC_STORE, &plugin, &err),
			 MOSAIC_E_INVAL);
	assert_string_equal(err.text, "good is a balance plugin, here belongs a store plugin");
	assert_int_equal(plugins_find(f->plugins, "god", 0, &plugin, &err), MOSAIC_E_NOTFOUND);
	assert_non_null(strstr(err.text, "did you mean \"good\"?"));
	assert_int_equal(plugins_find(f->plugins, "../good", 0, &plugin, &err), MOSAIC_E_INVAL);
	assert_non_null(strstr(err.text, "is no name of a plugin"));
	assert_int_equal(plugins_add_folder(f->plugins, "/no/such/folder", &err),
			 MOSAIC_E_NOTFOUND);
	assert_string_equal(err.text, "/no/such/folder: No such file or directory");
}

static void instance_has_the_defaults(void **state)
{
	struct fixture *f = *state;
	struct mosaic_error err = ERR_INIT;
	const struct loaded_plugin *plugin;
	struct plugin_instance instance;
	uint64_t size;

	assert_int_equal(plugins_add_folder(f->plugins, f->bad, &err), 0);
	assert_int_equal(plugins_find(f->plugins, "good", 0, &plugin, &err), 0);
	plugin_instance_init(&instance, plugin);
	memcpy(&size, instance.options, sizeof(size));
	assert_int_equal(size, 65536);
	plugin_instance_free(&instance);
	assert_null(instance.options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(every_bad_plugin_is_refused_with_its_reason),
		T(truncated_file_is_refused_at_every_length),
		T(text_file_is_refused),
		T(file_or_folder_that_everybody_may_write_is_refused),
		T(newer_plugin_that_needs_little_is_taken),
		T(a_name_is_loaded_once),
		T(wrong_kind_and_unknown_names_are_explained),
		T(instance_has_the_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
