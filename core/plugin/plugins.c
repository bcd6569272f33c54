#include "plugin/plugins.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "plugin/loader.h"
#include "plugin/nearest.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDERS_MAX 16
#define NAME_MAX_BYTES 64
#define SUFFIX ".so"
#define BUILT_IN "(built in)"

struct plugins {
	const struct plugin_builtin *builtins;
	uint32_t n_builtins;
	char *folders[FOLDERS_MAX];
	uint32_t n_folders;
	const char *defaults[MOSAIC_KIND_MAX + 1]; /* by kind */
	struct map loaded; /* file, or name of a built-in one -> struct loaded_plugin */
};

struct plugins *plugins_create(const struct plugin_builtin *builtins, uint32_t n_builtins)
{
	struct plugins *p = mem_alloc(sizeof(*p));

	p->builtins = builtins;
	p->n_builtins = n_builtins;
	p->loaded = (struct map)MAP_INIT;
	return p;
}

void plugins_destroy(struct plugins **plugins)
{
	struct plugins *p = *plugins;
	struct map_entry *e;
	uint32_t pos = 0;

	if (!p)
		return;
	while ((e = map_next(&p->loaded, &pos)) != NULL) {
		struct loaded_plugin *loaded = e->value;

		free(loaded->file);
		free(loaded);
	}
	map_free(&p->loaded);
	for (uint32_t i = 0; i < p->n_folders; i++)
		free(p->folders[i]);
	free(p);
	*plugins = NULL;
}

int plugins_add_folder(struct plugins *p, const char *folder, struct mosaic_error *err)
{
	char *real;

	if (p->n_folders == FOLDERS_MAX)
		return err_set(err, MOSAIC_E_LIMIT, "%s: there are more than %d plugin folders",
			       folder, FOLDERS_MAX);
	real = realpath(folder, NULL);
	if (!real)
		return err_set_os(err, MOSAIC_E_NOTFOUND, errno, "%s", folder);
	for (uint32_t i = 0; i < p->n_folders; i++) {
		if (strcmp(p->folders[i], real) == 0) {
			free(real);
			return 0;
		}
	}
	p->folders[p->n_folders++] = real;
	return 0;
}

void plugins_add_default_folders(struct plugins *p)
{
	static const char *const places[] = { "/plugins", "/../lib/mosaic/plugins" };
	char exe[PATH_MAX], path[PATH_MAX + 32];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (len <= 0)
		return;
	exe[len] = '\0';
	*strrchr(exe, '/') = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(path, sizeof(path), "%s%s", exe, places[i]);
		if (plugins_add_folder(p, path, NULL) != 0)
			continue; /* a default need not exist */
	}
}

uint32_t plugins_n_folders(const struct plugins *p)
{
	return p->n_folders;
}

bool plugins_is_empty(const struct plugins *p)
{
	return p->n_folders == 0 && p->n_builtins == 0;
}

void plugins_set_default(struct plugins *p, uint32_t kind, const char *name)
{
	ASSERT(kind <= MOSAIC_KIND_MAX);
	p->defaults[kind] = name;
}

const char *plugins_default(const struct plugins *p, uint32_t kind)
{
	ASSERT(kind <= MOSAIC_KIND_MAX);
	return p->defaults[kind];
}

/* Checks and keeps a descriptor under `key`. */
static int keep(struct plugins *p, const char *key, const struct mosaic_plugin *desc,
		const char *file, const char *name, const struct loaded_plugin **out,
		struct mosaic_error *err)
{
	struct loaded_plugin *loaded = mem_alloc(sizeof(*loaded));
	int rc = plugin_adopt(desc, file, name, loaded, err);

	if (rc != 0) {
		free(loaded);
		return rc;
	}
	loaded->file = mem_strdup(file);
	map_put(&p->loaded, slice_str(key), loaded);
	*out = loaded;
	return 0;
}

int plugins_load(struct plugins *p, const char *file, const struct loaded_plugin **out,
		 struct mosaic_error *err)
{
	const struct mosaic_plugin *desc;
	char *real = realpath(file, NULL), *name, *suffix;
	int rc;

	if (!real)
		return err_set_os(err, MOSAIC_E_NOTFOUND, errno, "%s", file);
	*out = map_get(&p->loaded, slice_str(real));
	if (*out) {
		free(real);
		return 0;
	}
	/* The name is that of the path that was asked for: a link x.so -> x.so.1 keeps its own. */
	name = mem_strdup(strrchr(file, '/') ? strrchr(file, '/') + 1 : file);
	suffix = strstr(name, SUFFIX);
	if (suffix)
		*suffix = '\0';
	rc = loader_open(real, &desc, err);
	if (rc == 0)
		rc = keep(p, real, desc, real, name, out, err);
	free(name);
	free(real);
	return rc;
}

/* Names become file names: letters, digits and dashes only. */
static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static void try_name(void *ctx, const char *name, const char *file)
{
	(void)file;
	nearest_try(ctx, name);
}

static int not_found(struct plugins *p, const char *name, struct mosaic_error *err)
{
	struct buf where = BUF_INIT;
	struct nearest near;
	char hint[96];

	nearest_init(&near, name);
	plugins_each(p, try_name, &near);
	for (uint32_t i = 0; i < p->n_folders; i++)
		buf_printf(&where, "%s%s", i > 0 ? ", " : "", p->folders[i]);
	err_set(err, MOSAIC_E_NOTFOUND, "there is no plugin \"%s\" in %s%s", name,
		where.len > 0 ? buf_cstr(&where) : "any folder, because none is configured",
		nearest_hint(&near, hint, sizeof(hint)));
	buf_free(&where);
	return MOSAIC_E_NOTFOUND;
}

static int find_any(struct plugins *p, const char *name, const struct loaded_plugin **out,
		    struct mosaic_error *err)
{
	char path[PATH_MAX];

	if (!name_is_valid(name))
		return err_set(err, MOSAIC_E_INVAL,
			       "\"%s\" is no name of a plugin: small letters, digits and dashes",
			       name);
	*out = map_get(&p->loaded, slice_str(name));
	if (*out)
		return 0;
	for (uint32_t i = 0; i < p->n_builtins; i++)
		if (p->builtins[i].plugin->name && strcmp(p->builtins[i].plugin->name, name) == 0)
			return keep(p, name, p->builtins[i].plugin, BUILT_IN, name, out, err);
	for (uint32_t i = 0; i < p->n_folders; i++) {
		snprintf(path, sizeof(path), "%s/%s" SUFFIX, p->folders[i], name);
		if (access(path, F_OK) == 0)
			return plugins_load(p, path, out, err);
	}
	return not_found(p, name, err);
}

int plugins_find(struct plugins *p, const char *name, uint32_t kind,
		 const struct loaded_plugin **out, struct mosaic_error *err)
{
	int rc = find_any(p, name, out, err);

	if (rc != 0)
		return rc;
	if (kind != 0 && (*out)->desc.kind != kind)
		return err_set(err, MOSAIC_E_INVAL, "%s is a %s plugin, here belongs a %s plugin",
			       name, plugin_kind_name((*out)->desc.kind), plugin_kind_name(kind));
	return 0;
}

/* Adds NAME -> FILE of every *.so; a name that is known already (earlier folder) stays. */
static void list_folder(struct map *names, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL) {
		struct mosaic_slice name = slice_str(entry->d_name);
		struct buf path = BUF_INIT;

		if (name.len <= strlen(SUFFIX) ||
		    strcmp(entry->d_name + name.len - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		name.len -= strlen(SUFFIX);
		if (map_get(names, name))
			continue;
		buf_printf(&path, "%s/%s", folder, entry->d_name);
		map_put(names, name, mem_strdup(buf_cstr(&path)));
		buf_free(&path);
	}
	closedir(dir);
}

void plugins_each(struct plugins *p, void (*each)(void *ctx, const char *name, const char *file),
		  void *ctx)
{
	struct map names = MAP_INIT;
	struct map_entry **sorted;

	for (uint32_t i = 0; i < p->n_builtins; i++)
		free(map_put(&names, slice_str(p->builtins[i].plugin->name), mem_strdup("")));
	for (uint32_t i = 0; i < p->n_folders; i++)
		list_folder(&names, p->folders[i]);
	sorted = map_sorted(&names);
	for (uint32_t i = 0; i < map_count(&names); i++) {
		char *file = sorted[i]->value;

		each(ctx, (const char *)sorted[i]->key.ptr, file[0] ? file : NULL);
		free(file);
	}
	free(sorted);
	map_free(&names);
}
