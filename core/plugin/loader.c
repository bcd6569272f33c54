#include "plugin/loader.h"
#include "base/err.h"
#include "base/mem.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <ltdl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The stock loader binds lazily and says "file not found" for everything; see module_open. */
#define STOCK_LOADER "lt_dlopen"
#define OUR_LOADER "mosaic"

static lt_module module_open(lt_user_data data, const char *file, lt_dladvise advise)
{
	(void)data;
	(void)advise;
	return dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

/* Unloading breaks thread-local destructors and atexit handlers of what was loaded: never done. */
static int module_close(lt_user_data data, lt_module module)
{
	(void)data;
	(void)module;
	return 0;
}

static void *find_symbol(lt_user_data data, lt_module module, const char *name)
{
	(void)data;
	return dlsym(module, name);
}

/* libltdl keeps one list of loaders per process and holds on to this table. */
static const lt_dlvtable vtable = {
	.name = OUR_LOADER,
	.module_open = module_open,
	.module_close = module_close,
	.find_sym = find_symbol,
	.priority = LT_DLLOADER_PREPEND,
};

/* lt_dlexit is never called: what was loaded stays until the process ends. */
static int loader_init(struct mosaic_error *err)
{
	if (lt_dlinit() != 0)
		return err_set(err, MOSAIC_E_FATAL, "cannot start the loader: %s", lt_dlerror());
	if (lt_dlloader_find(OUR_LOADER))
		return 0;
	if (lt_dlloader_add(&vtable) != 0)
		return err_set(err, MOSAIC_E_FATAL, "cannot add the loader: %s", lt_dlerror());
	free(lt_dlloader_remove(STOCK_LOADER)); /* libltdl made it and forgets it here */
	return 0;
}

/* Who may write where a plugin lies runs code in this process. */
static int check_place(const char *file, struct stat *st, struct mosaic_error *err)
{
	char *folder = mem_strdup(file);
	struct stat dir;
	int rc = 0;

	*strrchr(folder, '/') = '\0';
	if (stat(file, st) != 0)
		rc = err_set_os(err, errno == ENOENT ? MOSAIC_E_NOTFOUND : MOSAIC_E_IO, errno, "%s",
				file);
	else if (!S_ISREG(st->st_mode))
		rc = err_set(err, MOSAIC_E_INVAL, "%s: is no file", file);
	else if ((st->st_mode & S_IWOTH) != 0)
		rc = err_set(err, MOSAIC_E_INVAL,
			     "%s: everybody may write this file, so it is not loaded (chmod o-w "
			     "helps)", file);
	else if (stat(folder[0] ? folder : "/", &dir) != 0)
		rc = err_set_os(err, MOSAIC_E_IO, errno, "%s", folder);
	else if ((dir.st_mode & S_IWOTH) != 0)
		rc = err_set(err, MOSAIC_E_INVAL,
			     "%s: everybody may write its folder, so it is not loaded (chmod o-w "
			     "%s helps)", file, folder);
	free(folder);
	return rc;
}

/* How long the file must be for all its segments; 0: not an ELF file of this machine. */
static uint64_t bytes_needed(int fd)
{
	ElfW(Ehdr) header;
	ElfW(Phdr) segment;
	uint64_t needed = 0, end;

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_phentsize != sizeof(segment))
		return 0;
	for (uint32_t i = 0; i < header.e_phnum; i++) {
		off_t at = (off_t)(header.e_phoff + i * sizeof(segment));

		if (at < 0 || pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
			return UINT64_MAX;
		if (__builtin_add_overflow(segment.p_offset, segment.p_filesz, &end))
			return UINT64_MAX;
		if (segment.p_type == PT_LOAD && end > needed)
			needed = end;
	}
	return needed;
}

static int check_complete(const char *file, const struct stat *st, struct mosaic_error *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	uint64_t needed;

	if (fd < 0)
		return err_set_os(err, MOSAIC_E_IO, errno, "%s", file);
	needed = bytes_needed(fd);
	close(fd);
	if (needed == 0)
		return err_set(err, MOSAIC_E_INVAL, "%s: is no shared object of this machine",
			       file);
	if (needed > (uint64_t)st->st_size)
		return err_set(err, MOSAIC_E_INVAL,
			       "%s: is truncated: it has %lld bytes, its headers speak of more",
			       file, (long long)st->st_size);
	return 0;
}

int loader_open(const char *file, const struct mosaic_plugin **out, struct mosaic_error *err)
{
	lt_dlhandle handle;
	struct stat st;
	const char *why;
	int rc;

	if (file[0] != '/')
		return err_set(err, MOSAIC_E_INVAL, "%s: is no absolute path", file);
	rc = check_place(file, &st, err);
	if (rc == 0)
		rc = check_complete(file, &st, err);
	if (rc == 0)
		rc = loader_init(err);
	if (rc != 0)
		return rc;
	dlerror(); /* forget what was before; after lt_dlopen it is module_open's reason */
	handle = lt_dlopen(file);
	if (!handle) {
		why = dlerror();
		return err_set(err, MOSAIC_E_INVAL, "%s: cannot be loaded: %s", file,
			       why ? why : lt_dlerror());
	}
	lt_dlmakeresident(handle);
	*out = lt_dlsym(handle, "mosaic_plugin");
	if (!*out)
		return err_set(err, MOSAIC_E_INVAL,
			       "%s: is no plugin: it does not export mosaic_plugin", file);
	return 0;
}
