/*
 * From a descriptor that somebody else compiled to one that the host can trust:
 *
 *   versions    base ABI and kind, each by its own numbers, before anything else is read
 *   identity    name, version, license, summary; the name is the file's
 *   options     a table that fits the plugin's struct, with defaults that obey their own ranges
 *   operations  copied into the host's own zeroed table; nothing required is missing
 *
 * Every refusal names the file and says what is there and what is needed.
 */
#include "base/err.h"
#include "base/mem.h"
#include "plugin/kind.h"
#include "plugin/loaded.h"
#include "plugin/value.h"
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 256           /* no plugin has a tenth of it; guards against garbage */
#define OPTIONS_BYTES_MAX 65536
#define OPTION_FLAGS                                                                              \
	(MOSAIC_O_REQUIRED | MOSAIC_O_SECRET | MOSAIC_O_RELOADABLE | MOSAIC_O_DEPRECATED |        \
	 MOSAIC_O_EXPOSURE)
#define DESC_BYTES_0_1 (offsetof(struct mosaic_plugin, ops) + sizeof(void *))

static int check_versions(const struct mosaic_plugin *p, const char *file, struct mosaic_error *err)
{
	const struct kind *kind;

	if (p->abi_major != MOSAIC_ABI_MAJOR)
		return err_set(err, MOSAIC_E_UNSUPPORTED,
			       "%s: built for plugin ABI %u.%u, this host has %d.%d: the major "
			       "versions differ", file, p->abi_major, p->abi_minor,
			       MOSAIC_ABI_MAJOR, MOSAIC_ABI_MINOR);
	if (p->struct_size < DESC_BYTES_0_1)
		return err_set(err, MOSAIC_E_INVAL,
			       "%s: its descriptor has %u bytes, %zu are the least", file,
			       p->struct_size, DESC_BYTES_0_1);
	if (p->abi_minor_needed > MOSAIC_ABI_MINOR)
		return err_set(err, MOSAIC_E_UNSUPPORTED,
			       "%s: needs a host with plugin ABI %u.%u, this one has %d.%d", file,
			       p->abi_major, p->abi_minor_needed, MOSAIC_ABI_MAJOR,
			       MOSAIC_ABI_MINOR);
	kind = kind_of(p->kind);
	if (!kind)
		return err_set(err, MOSAIC_E_UNSUPPORTED, "%s: is of kind %u, unknown to this host",
			       file, p->kind);
	if (p->kind_major != kind->major)
		return err_set(err, MOSAIC_E_UNSUPPORTED,
			       "%s: built for %s interface %u.%u, this host has %u.%u: the major "
			       "versions differ", file, kind->name, p->kind_major, p->kind_minor,
			       kind->major, kind->minor);
	if (p->kind_minor_needed > kind->minor)
		return err_set(err, MOSAIC_E_UNSUPPORTED,
			       "%s: needs a host with %s interface %u.%u, this one has %u.%u", file,
			       kind->name, p->kind_major, p->kind_minor_needed, kind->major,
			       kind->minor);
	if (p->flags != 0 || p->reserved0 != 0)
		return err_set(err, MOSAIC_E_UNSUPPORTED,
			       "%s: sets flags that this host does not know (0x%x)", file,
			       p->flags != 0 ? p->flags : p->reserved0);
	return 0;
}

static int check_identity(const struct mosaic_plugin *p, const char *file, const char *name,
			  struct mosaic_error *err)
{
	const struct {
		const char *what, *value;
	} texts[] = {
		{ "name", p->name }, { "version", p->version },
		{ "license", p->license }, { "summary", p->summary },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!texts[i].value || texts[i].value[0] == '\0')
			return err_set(err, MOSAIC_E_INVAL, "%s: its descriptor has no %s", file,
				       texts[i].what);
	if (name && strcmp(name, p->name) != 0)
		return err_set(err, MOSAIC_E_INVAL,
			       "%s: calls itself \"%s\": its file must be called %s.so", file,
			       p->name, p->name);
	return 0;
}

static int check_option(const struct mosaic_plugin *p, const struct mosaic_option *o,
			const char *file, struct mosaic_error *err)
{
	size_t bytes = value_bytes(o->type);

	if (!o->name || o->name[0] == '\0')
		return err_set(err, MOSAIC_E_INVAL, "%s: an option has no name", file);
	if (strcmp(o->name, "plugin") == 0)
		return err_set(err, MOSAIC_E_INVAL, "%s: no option may be called \"plugin\"", file);
	if (bytes == 0)
		return err_set(err, MOSAIC_E_UNSUPPORTED, "%s: option %s is of type %u, unknown "
			       "here", file, o->name, o->type);
	if ((o->flags & ~(uint32_t)OPTION_FLAGS) != 0)
		return err_set(err, MOSAIC_E_UNSUPPORTED,
			       "%s: option %s sets flags that this host does not know (0x%x)", file,
			       o->name, o->flags & ~(uint32_t)OPTION_FLAGS);
	if (o->offset > p->options_size || bytes > p->options_size - o->offset)
		return err_set(err, MOSAIC_E_INVAL, "%s: option %s lies outside of its struct",
			       file, o->name);
	if (o->type == MOSAIC_T_CHOICE && !o->choices)
		return err_set(err, MOSAIC_E_INVAL, "%s: option %s has no choices", file, o->name);
	for (const struct mosaic_option *other = p->options; other < o; other++)
		if (strcmp(other->name, o->name) == 0)
			return err_set(err, MOSAIC_E_INVAL, "%s: option %s is there twice", file,
				       o->name);
	return 0;
}

/* Tries the defaults on a scratch struct: a wrong one must show at load, not at three in the
 * night. */
static int check_defaults(const struct mosaic_plugin *p, const char *file, struct mosaic_error *err)
{
	void *scratch = mem_alloc(p->options_size);
	struct mosaic_error why = ERR_INIT;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < p->n_options; i++) {
		const struct mosaic_option *o = &p->options[i];

		if (!o->fallback)
			continue;
		rc = value_set(o, slice_str(o->fallback), scratch, &why);
		if (rc != 0)
			err_set(err, MOSAIC_E_INVAL, "%s: the default of option %s %s", file,
				o->name, why.text);
	}
	value_free(p->options, p->n_options, scratch);
	free(scratch);
	return rc;
}

static int check_options(const struct mosaic_plugin *p, const char *file, struct mosaic_error *err)
{
	if (p->n_options == 0)
		return 0;
	if (!p->options || p->n_options > OPTIONS_MAX || p->options_size > OPTIONS_BYTES_MAX)
		return err_set(err, MOSAIC_E_INVAL,
			       "%s: its option table is not usable (%u options in %u bytes)",
			       file, p->n_options, p->options_size);
	for (uint32_t i = 0; i < p->n_options; i++) {
		int rc = check_option(p, &p->options[i], file, err);
		if (rc != 0)
			return rc;
	}
	return check_defaults(p, file, err);
}

static int copy_ops(struct loaded_plugin *out, const char *file, struct mosaic_error *err)
{
	const struct kind *kind = kind_of(out->desc.kind);
	uint8_t *ours = (uint8_t *)&out->ops;
	uint32_t bytes;
	void *member;

	if (!out->desc.ops)
		return err_set(err, MOSAIC_E_INVAL, "%s: has no table of operations", file);
	memcpy(&bytes, out->desc.ops, sizeof(bytes));
	memset(&out->ops, 0, sizeof(out->ops));
	memcpy(ours, out->desc.ops, bytes < kind->ops_bytes ? bytes : kind->ops_bytes);
	for (uint32_t i = 0; i < kind->n_members; i++) {
		memcpy(&member, ours + kind->members[i].offset, sizeof(member));
		if (!member)
			return err_set(err, MOSAIC_E_INVAL,
				       "%s: lacks the operation %s, which every %s needs", file,
				       kind->members[i].name, kind->name);
	}
	bytes = (uint32_t)kind->ops_bytes; /* the host's table is of the host's size */
	memcpy(ours, &bytes, sizeof(bytes));
	return 0;
}

int plugin_adopt(const struct mosaic_plugin *theirs, const char *file, const char *name,
		 struct loaded_plugin *out, struct mosaic_error *err)
{
	int rc = check_versions(theirs, file, err);

	if (rc == 0)
		rc = check_identity(theirs, file, name, err);
	if (rc == 0)
		rc = check_options(theirs, file, err);
	if (rc != 0)
		return rc;
	memset(out, 0, sizeof(*out));
	memcpy(&out->desc, theirs,
	       theirs->struct_size < sizeof(out->desc) ? theirs->struct_size : sizeof(out->desc));
	out->desc.struct_size = sizeof(out->desc);
	return copy_ops(out, file, err);
}

void plugin_instance_init(struct plugin_instance *instance, const struct loaded_plugin *plugin)
{
	const struct mosaic_plugin *desc = &plugin->desc;

	instance->plugin = plugin;
	instance->options = mem_alloc(desc->options_size > 0 ? desc->options_size : 1);
	/* plugin_adopt tried them already */
	ASSERT(value_defaults(desc->options, desc->n_options, instance->options, NULL) == 0);
}

void plugin_instance_free(struct plugin_instance *instance)
{
	if (instance->plugin)
		value_free(instance->plugin->desc.options, instance->plugin->desc.n_options,
			   instance->options);
	free(instance->options);
	*instance = (struct plugin_instance){ NULL, NULL };
}
