/* Trees, walked by descriptors: a folder that is swapped for a symlink meanwhile leads nowhere else. */
#include "sys/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"

enum { DEPTH_MAX = 200, MOUNTINFO_MAX = 4 << 20 };

static int walk(int fd, int depth, const char *path, struct gp_tree *tree, struct gp_error *err);

static int visit(int dir, const char *name, int depth, const char *path, struct gp_tree *tree, struct gp_error *err)
{
	struct stat st;
	int sub;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "look at %s/%s", path, name);
	tree->entries++;
	if (S_ISREG(st.st_mode))
		tree->bytes += (uint64_t)st.st_size;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth == 0)
		return gp_fail(err, GP_E_REFUSED, "%s: %s is nested too deep", path, name);
	sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read folder %s/%s", path, name);
	return walk(sub, depth - 1, path, tree, err);
}

/* Takes fd. */
static int walk(int fd, int depth, const char *path, struct gp_tree *tree, struct gp_error *err)
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
			result = visit(dirfd(dir), e->d_name, depth, path, tree, err);
	closedir(dir);
	return result;
}

int gp_tree_measure(const char *path, bool follow, struct gp_tree *ret, struct gp_error *err)
{
	struct gp_tree tree = { .entries = 1 };
	struct stat st;
	int fd;

	*ret = (struct gp_tree){ 0 };
	if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : gp_fail_errno(err, errno, "look at %s", path);
	if (S_ISREG(st.st_mode))
		tree.bytes = (uint64_t)st.st_size;
	if (S_ISDIR(st.st_mode)) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
		if (fd < 0)
			return gp_fail_errno(err, errno, "read folder %s", path);
		GP_TRY(walk(fd, DEPTH_MAX, path, &tree, err));
	}
	*ret = tree;
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
