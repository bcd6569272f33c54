#include "disk.h"

#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
#define PAGE_SECTORS 8
#define PATH_MOST 256
#define FDS 1024
#define MAPS 64
#define FILES 512

/* A file or folder, which may have several names or none. */
struct inode {
	bool is_folder, is_dirty; /* dirty: may differ from the platter */
	uint8_t *platter;         /* what would be read after a power cut */
	uint64_t capacity, platter_size, size;
	uint8_t *ghost;    /* sectors that a failed sync left clean in the cache: their content */
	uint8_t *is_ghost; /* per sector */
};

struct name {
	char path[PATH_MOST];
	struct inode *inode;
};

struct names {
	struct name at[FILES];
	uint32_t n;
};

/* Of names or of a size, not durable yet. */
struct change {
	enum { NAME, UNNAME, MOVE, SIZE } kind;
	char path[PATH_MOST], to[PATH_MOST];
	struct inode *inode;
	uint64_t size;
	const struct inode *groups[2];
	bool is_forced;
};

struct map {
	const uint8_t *at;
	uint64_t len, offset;
	struct inode *inode;
};

struct disk {
	char root[PATH_MOST];
	bool is_attached, is_loose, lies[CALLS], has_failed;
	uint64_t seed, now, every;
	void (*on_point)(void *ctx);
	void *ctx;
	struct inode *inodes[FILES * 4];
	uint32_t n_inodes;
	struct names names, durable;
	struct change *journal;
	uint32_t n_journal, journal_capacity;
	struct inode *fds[FDS];
	char fd_paths[FDS][PATH_MOST];
	struct map maps[MAPS];
	enum disk_call fail_call, failed_call;
	uint64_t fail_in, n_calls;
	int fail_errno;
};

static struct disk disk;

const char *disk_call_name(enum disk_call call)
{
	static const char *const names[CALLS] = {
		"open",	     "write",		  "ftruncate", "fallocate", "msync",  "fsync",
		"fdatasync", "fsync of a folder", "rename",    "link",	    "unlink", "mkdir",
		"mmap",
	};
	return call < CALLS ? names[call] : "any call";
}

uint64_t disk_random(uint64_t below)
{
	uint64_t z = (disk.seed += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (z ^ (z >> 31)) % below;
}

/* ---- names ---- */

static struct name *names_find(struct names *names, const char *path)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (strcmp(names->at[i].path, path) == 0)
			return &names->at[i];
	return NULL;
}

static void names_put(struct names *names, const char *path, struct inode *inode)
{
	struct name *name = names_find(names, path);
	if (!name) {
		if (names->n == FILES)
			abort();
		name = &names->at[names->n++];
		snprintf(name->path, sizeof(name->path), "%s", path);
	}
	name->inode = inode;
}

static void names_take(struct names *names, const char *path)
{
	struct name *name = names_find(names, path);
	if (name)
		*name = names->at[--names->n];
}

static struct inode *inode_create(bool is_folder)
{
	struct inode *inode = calloc(1, sizeof(*inode));
	if (!inode || disk.n_inodes == sizeof(disk.inodes) / sizeof(disk.inodes[0]))
		abort();
	inode->is_folder = is_folder;
	disk.inodes[disk.n_inodes++] = inode;
	return inode;
}

/* The folder that holds this path. */
static struct inode *folder_of(const char *path)
{
	char folder[PATH_MOST];
	snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	struct name *name = names_find(&disk.names, slash ? folder : "");
	return name ? name->inode : NULL;
}

/* ---- the journal ---- */

static void change_apply(const struct change *c)
{
	switch (c->kind) {
	case NAME:
		names_put(&disk.durable, c->path, c->inode);
		break;
	case UNNAME:
		names_take(&disk.durable, c->path);
		break;
	case MOVE:
		names_take(&disk.durable, c->path);
		names_put(&disk.durable, c->to, c->inode);
		break;
	case SIZE:
		c->inode->platter_size = c->size;
		break;
	}
}

static void journal_add(struct change c)
{
	if (disk.n_journal == disk.journal_capacity) {
		disk.journal_capacity = disk.journal_capacity * 2 + 64;
		disk.journal = realloc(disk.journal, disk.journal_capacity * sizeof(c));
		if (!disk.journal)
			abort();
	}
	disk.journal[disk.n_journal++] = c;
}

/* Marks change i and everything that must come before it. */
static void journal_force(uint32_t i)
{
	struct change *c = &disk.journal[i];
	c->is_forced = true;
	for (uint32_t j = i; j-- > 0;) {
		const struct change *before = &disk.journal[j];
		bool is_related = !disk.is_loose;
		for (int a = 0; a < 2; a++)
			for (int b = 0; b < 2; b++)
				is_related |= c->groups[a] && c->groups[a] == before->groups[b];
		if (is_related && !before->is_forced)
			journal_force(j);
	}
}

static void journal_commit_forced(void)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < disk.n_journal; i++) {
		if (disk.journal[i].is_forced)
			change_apply(&disk.journal[i]);
		else
			disk.journal[kept++] = disk.journal[i];
	}
	disk.n_journal = kept;
}

/* A sync of this file or folder. */
static void journal_commit_of(const struct inode *inode)
{
	for (uint32_t i = 0; i < disk.n_journal; i++) {
		const struct change *c = &disk.journal[i];
		bool is_of = c->groups[0] == inode || c->groups[1] == inode;
		if (!disk.is_loose)
			is_of |= c->inode == inode;
		if (is_of)
			journal_force(i);
	}
	journal_commit_forced();
}

/* ---- data ---- */

static int real_open(const struct inode *inode)
{
	char path[2 * PATH_MOST];
	for (uint32_t i = 0; i < disk.names.n; i++) {
		if (disk.names.at[i].inode != inode)
			continue;
		snprintf(path, sizeof(path), "%s/%s", disk.root, disk.names.at[i].path);
		return __real_open(path, O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

static void inode_grow(struct inode *inode, uint64_t size)
{
	if (size <= inode->capacity)
		return;
	uint64_t capacity = (size + 65535) & ~UINT64_C(65535);
	inode->platter = realloc(inode->platter, capacity);
	inode->ghost = realloc(inode->ghost, capacity);
	inode->is_ghost = realloc(inode->is_ghost, capacity / SECTOR);
	if (!inode->platter || !inode->ghost || !inode->is_ghost)
		abort();
	memset(inode->platter + inode->capacity, 0, capacity - inode->capacity);
	memset(inode->is_ghost + inode->capacity / SECTOR, 0,
	       (capacity - inode->capacity) / SECTOR);
	inode->capacity = capacity;
}

enum pick { PICK_ALL, PICK_NONE, PICK_HALF, PICK_FEW, PICK_MOST, PICK_PREFIX, PICK_PAGES, PICKS };

static bool is_picked(enum pick pick, uint64_t salt, uint64_t limit, uint64_t sector)
{
	uint64_t unit = pick == PICK_PAGES ? sector / PAGE_SECTORS : sector;
	uint64_t hash = (unit + 1) * UINT64_C(0x9E3779B97F4A7C15) ^ salt;
	hash = (hash ^ (hash >> 29)) * UINT64_C(0xBF58476D1CE4E5B9) >> 40;
	switch (pick) {
	case PICK_ALL:
		return true;
	case PICK_HALF:
	case PICK_PAGES:
		return hash % 2 == 0;
	case PICK_FEW:
		return hash % 8 == 0;
	case PICK_MOST:
		return hash % 8 != 0;
	case PICK_PREFIX:
		return sector < limit;
	default:
		return false;
	}
}

/* Brings picked sectors of [from, upto) to the platter. */
static void inode_write_back(struct inode *inode, uint64_t from, uint64_t upto, enum pick pick)
{
	uint64_t size = inode->size;
	if (!inode->is_dirty || inode->is_folder)
		return;
	inode_grow(inode, size);
	upto = upto < size ? upto : size;
	from -= from % SECTOR;
	int fd = real_open(inode);
	if (fd < 0)
		return; /* no name any more: what it holds is of no interest */
	uint64_t salt = disk_random(UINT64_MAX);
	uint64_t limit = from / SECTOR + disk_random((upto - from) / SECTOR + 2);
	uint8_t now[64 * SECTOR];
	for (uint64_t at = from; at < upto; at += sizeof(now)) {
		uint64_t part = upto - at < sizeof(now) ? upto - at : sizeof(now);
		ssize_t n = pread(fd, now, part, (off_t)at);
		if (n <= 0)
			break;
		memset(now + n, 0, sizeof(now) - (size_t)n);
		if (memcmp(now, inode->platter + at, (size_t)n) == 0)
			continue;
		for (uint64_t s = 0; s < (uint64_t)n; s += SECTOR) {
			uint64_t sector = (at + s) / SECTOR;
			bool is_lost = inode->is_ghost[sector] &&
				       memcmp(inode->ghost + at + s, now + s, SECTOR) == 0;
			if (!is_lost && is_picked(pick, salt, limit, sector))
				memcpy(inode->platter + at + s, now + s, SECTOR);
		}
	}
	close(fd);
}

/* EIO: what was dirty is clean now, and nowhere. */
static void inode_lose(struct inode *inode, uint64_t from, uint64_t upto)
{
	uint64_t size = inode->size;
	inode_grow(inode, size);
	upto = upto < size ? upto : size;
	int fd = real_open(inode);
	for (uint64_t at = from - from % SECTOR; fd >= 0 && at < upto; at += SECTOR) {
		uint8_t now[SECTOR] = { 0 };
		if (pread(fd, now, SECTOR, (off_t)at) <= 0)
			break;
		if (memcmp(now, inode->platter + at, SECTOR) == 0)
			continue;
		memcpy(inode->ghost + at, now, SECTOR);
		inode->is_ghost[at / SECTOR] = 1;
	}
	if (fd >= 0)
		close(fd);
}

static void inode_sync(struct inode *inode, uint64_t from, uint64_t upto, int os_errno)
{
	if (os_errno == EIO) {
		inode_lose(inode, from, upto);
		return;
	}
	if (os_errno != 0)
		return;
	inode_write_back(inode, from, upto, PICK_ALL);
	journal_commit_of(inode);
}

/* ---- moments ---- */

static void write_back_something(void)
{
	uint32_t n_dirty = 0;
	for (uint32_t i = 0; i < disk.n_inodes; i++)
		n_dirty += disk.inodes[i]->is_dirty;
	uint64_t which = n_dirty ? disk_random(n_dirty) : 0;
	for (uint32_t i = 0; i < disk.n_inodes && n_dirty; i++)
		if (disk.inodes[i]->is_dirty && which-- == 0)
			inode_write_back(disk.inodes[i], 0, UINT64_MAX,
					 (enum pick)disk_random(PICKS));
}

static void journal_commit_some(void)
{
	if (disk.n_journal == 0)
		return;
	/* In a loose disk each related group gets its own part: forcing one drags its own along. */
	for (int i = 0; i < 3; i++)
		if (disk_random(2))
			journal_force((uint32_t)disk_random(disk.n_journal));
	journal_commit_forced();
}

void disk_moment(void)
{
	if (!disk.is_attached)
		return;
	disk.now++;
	if (disk_random(16) == 0)
		write_back_something();
	if (disk_random(32) == 0)
		journal_commit_some();
	if (disk.on_point && disk_random(disk.every) == 0)
		disk.on_point(disk.ctx);
}

uint64_t disk_now(void)
{
	return ++disk.now;
}

void disk_on_point(void (*on_point)(void *ctx), void *ctx, uint64_t every)
{
	disk.on_point = on_point;
	disk.ctx = ctx;
	disk.every = every;
}

/* ---- life ---- */

static void add_real(const char *path, const struct stat *st)
{
	const char *below = path + strlen(disk.root);
	below += *below == '/';
	struct inode *inode = inode_create(S_ISDIR(st->st_mode));
	names_put(&disk.names, below, inode);
	names_put(&disk.durable, below, inode);
	if (inode->is_folder)
		return;
	inode->size = inode->platter_size = (uint64_t)st->st_size;
	inode->is_dirty = true;
	inode_write_back(inode, 0, UINT64_MAX, PICK_ALL);
	inode->is_dirty = false;
}

static int add_found(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	add_real(path, st);
	return 0;
}

void disk_attach(const char *root, uint64_t seed, bool is_loose)
{
	memset(&disk, 0, sizeof(disk));
	snprintf(disk.root, sizeof(disk.root), "%s", root);
	disk.seed = seed;
	disk.is_loose = is_loose;
	if (nftw(root, add_found, 16, FTW_PHYS) != 0)
		abort();
	disk.is_attached = true;
}

void disk_detach(void)
{
	for (uint32_t i = 0; i < disk.n_inodes; i++) {
		free(disk.inodes[i]->platter);
		free(disk.inodes[i]->ghost);
		free(disk.inodes[i]->is_ghost);
		free(disk.inodes[i]);
	}
	free(disk.journal);
	disk.journal = NULL;
	disk.is_attached = false;
}

bool disk_is_loose(void)
{
	return disk.is_loose;
}

bool disk_is_attached(void)
{
	return disk.is_attached;
}

static void put_file(const char *path, const struct inode *inode)
{
	int fd = __real_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0 || __real_ftruncate(fd, (off_t)inode->platter_size) != 0)
		abort();
	uint64_t most = inode->platter_size < inode->capacity ? inode->platter_size
							      : inode->capacity;
	/* Pages of zeros stay holes. */
	static const uint8_t zeros[PAGE_SECTORS * SECTOR];
	for (uint64_t at = 0, part; at < most; at += part) {
		part = most - at < sizeof(zeros) ? most - at : sizeof(zeros);
		if (memcmp(inode->platter + at, zeros, part) != 0 &&
		    __real_pwrite(fd, inode->platter + at, part, (off_t)at) != (ssize_t)part)
			abort();
	}
	close(fd);
}

void disk_image(const char *to)
{
	char path[3 * PATH_MOST];
	journal_commit_some();
	enum pick pick = (enum pick)disk_random(PICKS);
	for (uint32_t i = 0; i < disk.n_inodes && pick != PICK_NONE; i++)
		inode_write_back(disk.inodes[i], 0, UINT64_MAX, pick);
	if (__real_mkdir(to, 0750) != 0)
		abort();
	/* Folders first; what is in a folder that is not there is not there either. */
	for (uint32_t depth = 0; depth < 4; depth++)
		for (uint32_t i = 0; i < disk.durable.n; i++) {
			const struct name *name = &disk.durable.at[i];
			uint32_t slashes = 0;
			for (const char *p = name->path; *p; p++)
				slashes += *p == '/';
			if (!name->path[0] || slashes != depth)
				continue;
			snprintf(path, sizeof(path), "%s/%s", to, name->path);
			if (name->inode->is_folder) {
				(void)__real_mkdir(path, 0750);
				continue;
			}
			*strrchr(path, '/') = '\0';
			bool has_folder = access(path, F_OK) == 0;
			snprintf(path, sizeof(path), "%s/%s", to, name->path);
			if (has_folder)
				put_file(path, name->inode);
		}
}

/* ---- faults ---- */

void disk_fail(enum disk_call call, uint64_t n, int os_errno)
{
	disk.fail_call = call;
	disk.fail_in = n;
	disk.fail_errno = os_errno;
	disk.has_failed = false;
	disk.n_calls = 0;
}

bool disk_has_failed(enum disk_call *call, uint64_t *n_calls)
{
	*call = disk.failed_call;
	*n_calls = disk.n_calls;
	return disk.has_failed;
}

void disk_lie(enum disk_call call)
{
	disk.lies[call] = true;
}

int disk_fault(enum disk_call call)
{
	if (disk.is_attached && disk.lies[call])
		return LIE;
	if (!disk.is_attached || (disk.fail_call != CALLS && disk.fail_call != call))
		return 0;
	disk.n_calls++;
	if (disk.fail_in == 0 || --disk.fail_in > 0)
		return 0;
	disk.has_failed = true;
	disk.failed_call = call;
	return disk.fail_errno;
}

/* ---- what calls.c tells ---- */

bool disk_path(int dir_fd, const char *path, char *out)
{
	if (!disk.is_attached)
		return false;
	char text[2 * PATH_MOST];
	size_t root_len = strlen(disk.root);
	if (path[0] == '/') {
		if (strncmp(path, disk.root, root_len) != 0 ||
		    (path[root_len] != '/' && path[root_len] != '\0'))
			return false;
		path += root_len;
		path += *path == '/';
		snprintf(text, sizeof(text), "%s", path);
	} else {
		if (dir_fd < 0 || dir_fd >= FDS || !disk.fds[dir_fd])
			return false;
		const char *folder = disk.fd_paths[dir_fd];
		if (strcmp(path, ".") == 0)
			snprintf(text, sizeof(text), "%s", folder);
		else
			snprintf(text, sizeof(text), "%s%s%s", folder, *folder ? "/" : "", path);
	}
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == '/')
		text[--len] = '\0';
	if (len >= PATH_MOST)
		abort();
	memcpy(out, text, len + 1);
	return true;
}

static uint64_t real_size(const struct inode *inode)
{
	struct stat st = { 0 };
	int fd = real_open(inode);
	if (fd < 0)
		return inode->size;
	if (fstat(fd, &st) != 0)
		abort();
	close(fd);
	return (uint64_t)st.st_size;
}

/* Something about the file has changed: its size is looked at, its content is not known. */
static void inode_changed(struct inode *inode)
{
	if (inode->is_folder)
		return;
	uint64_t size = real_size(inode);
	inode->is_dirty = true;
	if (size == inode->size)
		return;
	inode->size = size;
	journal_add((struct change){ .kind = SIZE, .inode = inode, .size = size,
				     .groups = { inode } });
}

void disk_opened(int fd, const char *path, int flags, bool was_there)
{
	if (fd >= FDS)
		abort();
	struct name *name = names_find(&disk.names, path);
	struct inode *inode = name ? name->inode : NULL;
	if (!was_there || !inode) {
		struct stat st = { 0 };
		(void)fstat(fd, &st);
		inode = inode_create(S_ISDIR(st.st_mode));
		journal_add((struct change){ .kind = NAME, .inode = inode,
					     .groups = { folder_of(path) } });
		snprintf(disk.journal[disk.n_journal - 1].path, PATH_MOST, "%s", path);
		names_put(&disk.names, path, inode);
	}
	disk.fds[fd] = inode;
	snprintf(disk.fd_paths[fd], PATH_MOST, "%s", path);
	if (flags & O_TRUNC)
		inode_changed(inode);
}

void disk_closed(int fd)
{
	if (fd >= 0 && fd < FDS)
		disk.fds[fd] = NULL;
}

bool disk_has_fd(int fd)
{
	return disk.is_attached && fd >= 0 && fd < FDS && disk.fds[fd];
}

bool disk_is_folder(int fd)
{
	return disk_has_fd(fd) && disk.fds[fd]->is_folder;
}

void disk_wrote(int fd, uint64_t at, uint64_t n)
{
	struct inode *inode = disk.fds[fd];
	inode_changed(inode);
	for (uint64_t s = at / SECTOR; n > 0 && s <= (at + n - 1) / SECTOR; s++)
		if (s < inode->capacity / SECTOR)
			inode->is_ghost[s] = 0;
}

/* Bytes beyond a new end are zeros now, which the platter learns as any other change: some of them
 * earlier, some later. */
void disk_resized(int fd)
{
	inode_changed(disk.fds[fd]);
}

void disk_mapped(const void *at, uint64_t len, int fd, uint64_t offset)
{
	disk.fds[fd]->is_dirty = true; /* from now on, at any moment */
	for (int i = 0; i < MAPS; i++)
		if (!disk.maps[i].at) {
			disk.maps[i] = (struct map){ at, len, offset, disk.fds[fd] };
			return;
		}
	abort();
}

static struct map *map_find(const void *at)
{
	const uint8_t *p = at;
	for (int i = 0; i < MAPS; i++) {
		const struct map *map = &disk.maps[i];
		if (map->at && p >= map->at && p < map->at + map->len)
			return &disk.maps[i];
	}
	return NULL;
}

bool disk_has_map(const void *at)
{
	return disk.is_attached && map_find(at);
}

void disk_unmapped(const void *at)
{
	struct map *map = disk.is_attached ? map_find(at) : NULL;
	if (map)
		map->at = NULL;
}

void disk_synced(int fd, int os_errno)
{
	inode_sync(disk.fds[fd], 0, UINT64_MAX, os_errno);
}

void disk_synced_range(int fd, uint64_t from, uint64_t len, int os_errno)
{
	inode_sync(disk.fds[fd], from, from + len, os_errno);
}

bool disk_synced_map(const void *at, uint64_t len, int os_errno)
{
	const struct map *map = map_find(at);
	if (!map)
		return false;
	uint64_t from = map->offset + (uint64_t)((const uint8_t *)at - map->at);
	inode_sync(map->inode, from, from + len, os_errno);
	return true;
}

void disk_synced_all(void)
{
	for (uint32_t i = 0; i < disk.n_inodes; i++)
		inode_write_back(disk.inodes[i], 0, UINT64_MAX, PICK_ALL);
	for (uint32_t i = 0; i < disk.n_journal; i++)
		disk.journal[i].is_forced = true;
	journal_commit_forced();
}

void disk_forgot(int fd)
{
	struct inode *inode = disk.fds[fd];
	char path[2 * PATH_MOST];
	snprintf(path, sizeof(path), "%s/%s", disk.root, disk.fd_paths[fd]);
	int real = __real_open(path, O_RDWR | O_CLOEXEC);
	for (uint64_t at = 0; real >= 0 && at < inode->size && at < inode->capacity; at += SECTOR) {
		uint8_t now[SECTOR] = { 0 };
		if (!inode->is_ghost[at / SECTOR] || pread(real, now, SECTOR, (off_t)at) <= 0)
			continue;
		inode->is_ghost[at / SECTOR] = 0;
		if (memcmp(now, inode->ghost + at, SECTOR) == 0 &&
		    __real_pwrite(real, inode->platter + at, SECTOR, (off_t)at) != SECTOR)
			abort();
	}
	if (real >= 0)
		close(real);
}

static struct change *journal_name(int kind, const char *path, struct inode *inode)
{
	journal_add((struct change){ .kind = kind, .inode = inode, .groups = { folder_of(path) } });
	struct change *c = &disk.journal[disk.n_journal - 1];
	snprintf(c->path, sizeof(c->path), "%s", path);
	return c;
}

void disk_renamed(const char *from, const char *to)
{
	struct name *name = names_find(&disk.names, from);
	if (!name)
		abort();
	struct inode *inode = name->inode;
	if (inode->is_folder)
		abort(); /* no store does that */
	struct change *c = journal_name(MOVE, from, inode);
	snprintf(c->to, sizeof(c->to), "%s", to);
	c->groups[1] = folder_of(to);
	names_take(&disk.names, from);
	names_put(&disk.names, to, inode);
}

void disk_linked(const char *from, const char *to)
{
	struct inode *inode = names_find(&disk.names, from)->inode;
	journal_name(NAME, to, inode);
	names_put(&disk.names, to, inode);
}

void disk_unlinked(const char *path)
{
	struct name *name = names_find(&disk.names, path);
	journal_name(UNNAME, path, name ? name->inode : NULL);
	names_take(&disk.names, path);
}

void disk_made_folder(const char *path)
{
	struct inode *inode = inode_create(true);
	journal_name(NAME, path, inode);
	names_put(&disk.names, path, inode);
}
