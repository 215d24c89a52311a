/* Files and folders. */
#include "sys/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/str.h"

void gp_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

enum { FIRST_ROOM = 4096 };

/* Read to the end, or to max. Files in /proc say size 0: what is made for them grows, because it is wiped when it is freed. */
static int read_all(struct gp_arena *arena, int fd, size_t size, size_t max, const char **ret, size_t *ret_len)
{
	size_t len = 0, room = size ? size + 1 : FIRST_ROOM;
	char *data;

	room = room < max ? room : max;
	data = gp_alloc(arena, room + 1);
	for (;;) {
		ssize_t n = read(fd, data + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		len += (size_t)n;
		if (n == 0 || len == max)
			break;
		if (len == room && !size) {
			room = room * 2 < max ? room * 2 : max;
			data = memcpy(gp_alloc(arena, room + 1), data, len);
		} else if (len == room) {
			break; /* it has grown meanwhile */
		}
	}
	data[len] = '\0';
	*ret = data;
	*ret_len = len;
	return 0;
}

static int read_file(struct gp_arena *arena, const char *path, int flags, size_t max, const char **ret, size_t *ret_len,
	struct gp_error *err)
{
	GP_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	struct stat st;
	size_t len;

	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		if (errno == ELOOP && flags)
			return gp_fail(err, GP_E_REFUSED, "%s is a symlink, which is not followed here", path);
		return gp_fail_errno(err, errno, "open %s", path);
	}
	if (fstat(fd, &st) < 0)
		return gp_fail_errno(err, errno, "read %s", path);
	if (!S_ISREG(st.st_mode))
		return gp_fail(err, GP_E_CONFIG, "%s is no regular file", path);
	if ((uint64_t)st.st_size > max)
		return gp_fail(err, GP_E_CONFIG, "%s is larger than %zu KiB", path, max / 1024);
	if (read_all(arena, fd, (size_t)st.st_size, max, ret, &len) < 0)
		return gp_fail_errno(err, errno, "read %s", path);
	if (ret_len)
		*ret_len = len;
	return 1;
}

int gp_fs_read(struct gp_arena *arena, const char *path, size_t max, const char **ret, size_t *ret_len, struct gp_error *err)
{
	return read_file(arena, path, 0, max, ret, ret_len, err);
}

int gp_fs_read_nofollow(struct gp_arena *arena, const char *path, size_t max, const char **ret, size_t *ret_len,
	struct gp_error *err)
{
	return read_file(arena, path, O_NOFOLLOW, max, ret, ret_len, err);
}

int gp_fs_write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static const char *parent_of(struct gp_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return ".";
	return slash == path ? "/" : gp_strndup(arena, path, (size_t)(slash - path));
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What a writer of this target that was killed has left: ".NAME.XXXXXXXX~". Two that write one target at a time take each other's away, and
 * one of them fails: whoever writes without a lock (what `plan` keeps in /run/goldpath) must not mind that. */
static void sweep(struct gp_arena *arena, const char *path)
{
	const char *folder = parent_of(arena, path), *prefix = gp_sprintf(arena, ".%s.", base_of(path));
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (gp_starts_with(e->d_name, prefix) && strlen(e->d_name) == strlen(prefix) + 9 && gp_ends_with(e->d_name, "~"))
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

/* A hidden name beside the target: same filesystem, and no `*.conf` or `*.caddy` glob picks it up before it is renamed. */
static const char *temporary_name(struct gp_arena *arena, const char *path)
{
	sweep(arena, path);
	return gp_sprintf(arena, "%s/.%s.%s~", parent_of(arena, path), base_of(path), gp_secret_new(arena, 8));
}

int gp_fs_sync_dir(const char *path, struct gp_error *err)
{
	GP_AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return gp_fail_errno(err, errno, "sync %s", path);
	return 0;
}

static int write_candidate(const char *tmp, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct gp_error *err)
{
	GP_AUTO_FD fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return gp_fail_errno(err, errno, "write %s", tmp);
	/* Owner before mode: chown clears set-id bits, and a file is never readable for others under the wrong owner. */
	if (((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) < 0) || fchmod(fd, mode) < 0 ||
		gp_fs_write_all(fd, data, len) < 0 || fsync(fd) < 0)
		return gp_fail_errno(err, errno, "write %s", tmp);
	return 0;
}

int gp_fs_write_checked(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid,
	int (*check)(void *arg, const char *candidate, struct gp_error *err), void *arg, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *tmp = temporary_name(arena, path);

	if (write_candidate(tmp, data, len, mode, uid, gid, err) < 0 || (check && check(arg, tmp, err) < 0)) {
		unlink(tmp);
		return -1;
	}
	if (rename(tmp, path) < 0) {
		gp_fail_errno(err, errno, "put %s in place", path);
		unlink(tmp);
		return -1;
	}
	return gp_fs_sync_dir(parent_of(arena, path), err);
}

int gp_fs_write(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct gp_error *err)
{
	return gp_fs_write_checked(path, data, len, mode, uid, gid, NULL, NULL, err);
}

int gp_fs_append(const char *path, const char *line, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_FD fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const char *text;
	struct stat st;
	char last = '\n';

	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_size && pread(fd, &last, 1, st.st_size - 1) < 0))
		return gp_fail_errno(err, errno, "append to %s", path);
	/* One write of the whole line: a kill leaves it out or leaves it whole. One that a crash cut short stays a line of its own. */
	text = gp_sprintf(arena, "%s%s\n", last == '\n' ? "" : "\n", line);
	if (gp_fs_write_all(fd, text, strlen(text)) < 0 || fsync(fd) < 0) {
		gp_fail_errno(err, errno, "append to %s", path);
		(void)!ftruncate(fd, st.st_size); /* what a full disk let through */
		return -1;
	}
	return 0;
}

int gp_fs_lstat(const char *path, struct stat *ret, struct gp_error *err)
{
	if (lstat(path, ret) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return gp_fail_errno(err, errno, "look at %s", path);
}

bool gp_fs_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

const char *gp_fs_readlink(struct gp_arena *arena, const char *path)
{
	char target[4096];
	ssize_t n = readlink(path, target, sizeof(target));

	return n < 0 || n == (ssize_t)sizeof(target) ? NULL : gp_strndup(arena, target, (size_t)n);
}

int gp_fs_mkdir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct gp_error *err)
{
	if (mkdir(path, 0700) < 0) {
		if (errno == EEXIST)
			return 0;
		return gp_fail_errno(err, errno, "make folder %s", path);
	}
	GP_AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) < 0) || fchmod(fd, mode) < 0) {
		gp_fail_errno(err, errno, "make folder %s", path);
		rmdir(path); /* the next run would take it for finished */
		return -1;
	}
	return 0;
}

static bool is_folder(const char *path)
{
	int number = errno; /* the caller's mkdir set it */
	struct stat st;
	bool is = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	errno = number;
	return is;
}

int gp_fs_mkdirs(const char *path, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	char *part = gp_strdup(arena, path);

	for (char *p = part + 1;; p++) {
		char c = *p;

		if (c != '/' && c)
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && (errno != EEXIST || !is_folder(part)))
			return gp_fail_errno(err, errno == EEXIST ? ENOTDIR : errno, "make folder %s", part);
		if (!c)
			return 0;
		*p = c;
	}
}

static int relink(const char *path, const char *target, bool over_socket, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *tmp = temporary_name(arena, path);
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(path, &st, err));
	if (there && !S_ISLNK(st.st_mode) && !(over_socket && S_ISSOCK(st.st_mode)))
		return gp_fail(err, GP_E_REFUSED, "%s is no symlink: it is left as it is", path);
	if (symlink(target, tmp) < 0)
		return gp_fail_errno(err, errno, "make symlink %s", path);
	if (rename(tmp, path) < 0) {
		gp_fail_errno(err, errno, "switch %s", path);
		unlink(tmp);
		return -1;
	}
	return gp_fs_sync_dir(parent_of(arena, path), err);
}

int gp_fs_relink(const char *path, const char *target, struct gp_error *err)
{
	return relink(path, target, false, err);
}

int gp_fs_relink_over_socket(const char *path, const char *target, struct gp_error *err)
{
	return relink(path, target, true, err);
}

int gp_fs_set_aside(const char *path, const char *aside, const char *target, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	GP_TRY(relink(aside, target, false, err));
	if (renameat2(AT_FDCWD, path, AT_FDCWD, aside, RENAME_EXCHANGE) == 0)
		return gp_fs_sync_dir(parent_of(arena, path), err);
	/* Not every filesystem has that (ZFS): then the name is gone for a moment. */
	if (errno != EINVAL || unlink(aside) < 0 || rename(path, aside) < 0)
		return gp_fail_errno(err, errno, "put a symlink in the place of %s", path);
	return relink(path, target, false, err);
}

enum { DEPTH_MAX = 200 };

/* What one deletion carries along. */
struct removal {
	const char *path;
	dev_t dev;
	int top;        /* the folder that is deleted */
	unsigned moved; /* how many folders were moved up into it */
};

/* Each level keeps two descriptors open, so a tree that somebody made deeper than that is cut into pieces: its deepest part is moved up. */
static int move_up(struct removal *r, int from, const char *name, struct gp_error *err)
{
	char to[32];

	do
		snprintf(to, sizeof(to), ".goldpath-deep-%u", r->moved++);
	while (renameat2(from, name, r->top, to, RENAME_NOREPLACE) < 0 && errno == EEXIST && r->moved);
	return faccessat(from, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : gp_fail(err, GP_E_FAILED, "%s: %s is nested too deep", r->path, name);
}

static int empty_folder(int fd, int depth, struct removal *r, struct gp_error *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int result = 0;

	if (!dir) {
		close(fd);
		return gp_fail_errno(err, errno, "read folder %s", r->path);
	}
	while (result == 0 && (errno = 0, e = readdir(dir))) {
		int sub;
		struct stat st;

		if (gp_streq(e->d_name, ".") || gp_streq(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		sub = errno == EISDIR || errno == EPERM ? openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
		if (sub < 0 || fstat(sub, &st) < 0) {
			result = gp_fail_errno(err, errno, "delete %s/%s", r->path, e->d_name);
			gp_closep(&sub);
		} else if (st.st_dev != r->dev) {
			close(sub);
			result = gp_fail(err, GP_E_REFUSED, "%s: %s is another filesystem: unmount it first", r->path, e->d_name);
		} else if (depth == 0) {
			close(sub);
			result = move_up(r, dirfd(dir), e->d_name, err);
		} else if (empty_folder(sub, depth - 1, r, err) < 0) {
			result = -1;
		} else if (unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR) < 0) {
			result = gp_fail_errno(err, errno, "delete %s/%s", r->path, e->d_name);
		}
	}
	closedir(dir);
	return result;
}

int gp_fs_remove(const char *path, struct gp_error *err)
{
	struct removal r = { .path = path };
	GP_AUTO_FD top = -1;
	struct stat st;
	unsigned before;

	if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return gp_fail_errno(err, errno, "delete %s", path);
	top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0 || fstat(top, &st) < 0)
		return gp_fail_errno(err, errno, "delete %s", path);
	r.dev = st.st_dev;
	r.top = top;
	do {
		int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		before = r.moved;
		if (fd < 0)
			return gp_fail_errno(err, errno, "delete %s", path);
		GP_TRY(empty_folder(fd, DEPTH_MAX, &r, err));
	} while (r.moved != before);
	if (rmdir(path) < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "delete %s", path);
	return 0;
}

int gp_fs_free(const char *path, uint64_t *ret_bytes, uint64_t *ret_inodes, struct gp_error *err)
{
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return gp_fail_errno(err, errno, "ask for the free space of %s", path);
	*ret_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	/* btrfs and others have no fixed number of inodes and say 0 of 0 */
	*ret_inodes = v.f_files ? v.f_favail : UINT64_MAX;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int gp_fs_list(struct gp_arena *arena, const char *path, struct gp_strv *ret, struct gp_error *err)
{
	DIR *dir = opendir(path);
	struct gp_strv names = { 0 };
	struct dirent *e;

	if (!dir && errno != ENOENT)
		return gp_fail_errno(err, errno, "read folder %s", path);
	while (dir && (e = readdir(dir)))
		if (!gp_streq(e->d_name, ".") && !gp_streq(e->d_name, ".."))
			gp_strv_add(arena, &names, gp_strdup(arena, e->d_name));
	if (dir)
		closedir(dir);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	*ret = names;
	return 0;
}
