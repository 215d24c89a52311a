/* Trees, walked by descriptors: a folder that is swapped for a symlink meanwhile leads nowhere else. */
#include "sys/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"

enum { DEPTH_MAX = 200, MOUNTINFO_MAX = 4 << 20 };

/* The files with several names that were counted: an open hash table of device and inode, never more than half full. */
struct seen {
	struct file {
		dev_t dev;
		ino_t ino;
	} *v;
	size_t n, cap;
};

static struct file *slot_of(const struct seen *seen, dev_t dev, ino_t ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15ULL >> 20) & (seen->cap - 1);

	while (seen->v[i].ino && (seen->v[i].ino != ino || seen->v[i].dev != dev))
		i = (i + 1) & (seen->cap - 1);
	return &seen->v[i];
}

static void grow(struct seen *seen)
{
	struct seen larger = { .n = seen->n, .cap = seen->cap ? seen->cap * 2 : 256 };

	larger.v = calloc(larger.cap, sizeof(*larger.v));
	if (!larger.v)
		abort();
	for (size_t i = 0; i < seen->cap; i++)
		if (seen->v[i].ino)
			*slot_of(&larger, seen->v[i].dev, seen->v[i].ino) = seen->v[i];
	free(seen->v);
	*seen = larger;
}

static bool is_first_name(struct seen *seen, const struct stat *st)
{
	struct file *slot;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2 || !st->st_ino)
		return true;
	if (seen->n * 2 >= seen->cap)
		grow(seen);
	slot = slot_of(seen, st->st_dev, st->st_ino);
	if (slot->ino)
		return false;
	*slot = (struct file){ .dev = st->st_dev, .ino = st->st_ino };
	seen->n++;
	return true;
}

struct count {
	struct gp_tree tree;
	struct seen seen;
};

static void add(struct count *count, const struct stat *st)
{
	count->tree.entries++;
	if (S_ISREG(st->st_mode))
		count->tree.bytes += (uint64_t)st->st_size;
	if (is_first_name(&count->seen, st))
		count->tree.disk += (uint64_t)st->st_blocks * 512;
}

static int walk(int fd, int depth, const char *path, struct count *count, struct gp_error *err);

static int visit(int dir, const char *name, int depth, const char *path, struct count *count, struct gp_error *err)
{
	struct stat st;
	int sub;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "look at %s/%s", path, name);
	add(count, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth == 0)
		return gp_fail(err, GP_E_REFUSED, "%s: %s is nested too deep", path, name);
	sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read folder %s/%s", path, name);
	return walk(sub, depth - 1, path, count, err);
}

/* Takes fd. */
static int walk(int fd, int depth, const char *path, struct count *count, struct gp_error *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int result = 0;

	if (!dir) {
		close(fd);
		return gp_fail_errno(err, errno, "read folder %s", path);
	}
	while (result == 0 && (e = readdir(dir)))
		if (!gp_streq(e->d_name, ".") && !gp_streq(e->d_name, ".."))
			result = visit(dirfd(dir), e->d_name, depth, path, count, err);
	closedir(dir);
	return result;
}

int gp_tree_measure(const char *path, bool follow, struct gp_tree *ret, struct gp_error *err)
{
	struct count count = { 0 };
	struct stat st;
	int fd, result = 0;

	*ret = (struct gp_tree){ 0 };
	if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : gp_fail_errno(err, errno, "look at %s", path);
	add(&count, &st);
	if (S_ISDIR(st.st_mode)) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
		if (fd < 0)
			return gp_fail_errno(err, errno, "read folder %s", path);
		result = walk(fd, DEPTH_MAX, path, &count, err);
	}
	free(count.seen.v);
	if (result == 0)
		*ret = count.tree;
	return result;
}

struct share {
	const char *path;
	uid_t uid;
	gid_t gid;
	bool apply;
	struct gp_tree_shared found;
};

static int share_folder(struct share *s, int fd, int depth, struct gp_error *err);

/* The group first: a chown takes set-id bits away. */
static int share_one(struct share *s, int dir, const char *name, const struct stat *st, struct gp_error *err)
{
	mode_t more = S_ISDIR(st->st_mode) ? 02070 : 0060, mode = (st->st_mode & 07777) | more;

	if (st->st_uid != s->uid) {
		s->found.strange++;
		return 0;
	}
	if (st->st_gid == s->gid && mode == (st->st_mode & 07777))
		return 0;
	s->found.shared++;
	if (!s->apply || ((st->st_gid == s->gid || fchownat(dir, name, (uid_t)-1, s->gid, AT_SYMLINK_NOFOLLOW) == 0) && fchmodat(dir, name, mode, 0) == 0))
		return 0;
	return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "let the group have %s/%s", s->path, name);
}

static int share_entry(struct share *s, int dir, const char *name, int depth, struct gp_error *err)
{
	struct stat st;
	int sub;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "look at %s/%s", s->path, name);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	GP_TRY(share_one(s, dir, name, &st, err));
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth == 0)
		return gp_fail(err, GP_E_REFUSED, "%s: %s is nested too deep", s->path, name);
	sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0 && (errno == ENOENT || st.st_uid != s->uid))
		return 0;
	return sub < 0 ? gp_fail_errno(err, errno, "read folder %s/%s", s->path, name) : share_folder(s, sub, depth - 1, err);
}

/* Takes fd. */
static int share_folder(struct share *s, int fd, int depth, struct gp_error *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int result = 0;

	if (!dir) {
		close(fd);
		return gp_fail_errno(err, errno, "read folder %s", s->path);
	}
	while (result == 0 && (e = readdir(dir)))
		if (!gp_streq(e->d_name, ".") && !gp_streq(e->d_name, ".."))
			result = share_entry(s, dirfd(dir), e->d_name, depth, err);
	closedir(dir);
	return result;
}

int gp_tree_share(const char *path, uid_t uid, gid_t gid, bool apply, struct gp_tree_shared *ret, struct gp_error *err)
{
	struct share s = { .path = path, .uid = uid, .gid = gid, .apply = apply };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "read folder %s", path);
	if (fd >= 0)
		GP_TRY(share_folder(&s, fd, DEPTH_MAX, err));
	*ret = s.found;
	return 0;
}

/* mountinfo writes blank, tab, newline and backslash as \ooo. */
static const char *unescaped(struct gp_arena *arena, const char *text)
{
	char *out = gp_strdup(arena, text), *to = out;

	for (const char *p = text; *p; p++) {
		if (*p == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return out;
}

void gp_tree_mounts_in(struct gp_arena *arena, const char *mountinfo, const char *path, struct gp_strv *ret)
{
	struct gp_strv lines = gp_lines(arena, mountinfo);
	size_t len = strlen(path);

	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = gp_words(arena, lines.v[i]);
		const char *point = words.n > 4 ? unescaped(arena, words.v[4]) : "";

		if (gp_starts_with(point, path) && (point[len] == '\0' || point[len] == '/') && !gp_strv_has(ret, point))
			gp_strv_add(arena, ret, point);
	}
}

int gp_tree_mounts(struct gp_arena *arena, const char *path, struct gp_strv *ret, struct gp_error *err)
{
	const char *text = "";

	if (gp_fs_read(arena, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, err) < 0)
		return -1;
	gp_tree_mounts_in(arena, text, path, ret);
	return 0;
}

int gp_tree_sync(const char *path, struct gp_error *err)
{
	GP_AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? gp_fail_errno(err, errno, "sync the filesystem of %s", path) : 0;
}
