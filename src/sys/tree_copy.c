/* A tree of files, copied by descriptors: nothing is followed, on either side. */
#include "sys/tree_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"
#include "sys/tree.h"

enum { DEPTH_MAX = 200, SHOWN_EVERY = 256, SPECIAL = 07000, FOLDER_BITS = 02000 };

struct copying {
	const struct gp_tree_copy *how;
	const char *from, *to;
	uid_t top; /* who owns the folder that is copied */
	struct gp_tree_copied done;
};

static uid_t owner_of(const struct copying *c, const struct stat *st)
{
	return st->st_uid == c->top ? c->how->owner : c->how->other;
}

/* copy_file_range(2) does not go from one filesystem to another, nor on every one. */
static ssize_t copy_range(int from, off_t *at, int to, off_t *out, size_t len)
{
	ssize_t n = copy_file_range(from, at, to, out, len, 0), written = 0;
	char data[64 * 1024];

	if (n >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
		return n;
	n = pread(from, data, len < sizeof(data) ? len : sizeof(data), *at);
	while (written < n) {
		ssize_t w = pwrite(to, data + written, (size_t)(n - written), *out + written);

		if (w < 0)
			return -1;
		written += w;
	}
	*at += written;
	*out += written;
	return n < 0 ? n : written;
}

/* By the filesystem, which shares the blocks; else what is written in it, so that a hole stays one. */
static int copy_data(int from, int to, off_t size)
{
	off_t at = 0, end;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	while (at < size && (at = lseek(from, at, SEEK_DATA)) >= 0 && at < size) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return -1;
		for (off_t out = at; at < end;) {
			ssize_t n = copy_range(from, &at, to, &out, (size_t)(end - at));

			if (n < 0)
				return -1;
			if (n == 0) /* it has become shorter meanwhile */
				return ftruncate(to, size);
		}
	}
	return at < 0 && errno != ENXIO ? -1 : ftruncate(to, size);
}

static bool is_copied(int dir, const char *name, const struct stat *st)
{
	struct stat there;

	return fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(there.st_mode) && there.st_size == st->st_size &&
		there.st_mtim.tv_sec == st->st_mtim.tv_sec && there.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

/* Its time comes last: one that was cut off has another, and is copied anew. */
static int copy_file(struct copying *c, int from_dir, int to_dir, const char *name, struct gp_error *err)
{
	GP_AUTO_FD from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	GP_AUTO_FD to = -1;
	struct stat st;

	if (from < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read %s/%s", c->from, name);
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return gp_fail(err, GP_E_FAILED, "%s/%s has become something else meanwhile", c->from, name);
	c->done.files++;
	c->done.bytes += (uint64_t)st.st_size;
	if (is_copied(to_dir, name, &st))
		return 0;
	if (unlinkat(to_dir, name, 0) < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "replace %s/%s", c->to, name);
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0 || copy_data(from, to, st.st_size) < 0 || fchown(to, owner_of(c, &st), c->how->group) < 0 ||
		fchmod(to, st.st_mode & 07777 & ~(mode_t)SPECIAL) < 0 ||
		futimens(to, (const struct timespec[]){ st.st_atim, st.st_mtim }) < 0)
		return gp_fail_errno(err, errno, "copy %s/%s", c->from, name);
	return 0;
}

/* One that leads out would lead to something of this host's: Caddy follows it, and serves what it may read. */
static bool stays_inside(const char *target)
{
	if (*target == '/')
		return false;
	for (const char *p = target; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
			return false;
	return true;
}

static int copy_link(struct copying *c, int from_dir, int to_dir, const char *name, const struct stat *st, struct gp_error *err)
{
	char target[PATH_MAX], there[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1), is;

	if (n < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read the symlink %s/%s", c->from, name);
	target[n] = '\0';
	if (!stays_inside(target)) {
		c->done.left_out++;
		return 0;
	}
	c->done.links++;
	is = readlinkat(to_dir, name, there, sizeof(there) - 1);
	if (is >= 0)
		there[is] = '\0';
	if ((is < 0 || !gp_streq(there, target)) && ((unlinkat(to_dir, name, 0) < 0 && errno != ENOENT) || symlinkat(target, to_dir, name) < 0))
		return gp_fail_errno(err, errno, "make the symlink %s/%s", c->to, name);
	if (fchownat(to_dir, name, owner_of(c, st), c->how->group, AT_SYMLINK_NOFOLLOW) < 0 ||
		utimensat(to_dir, name, (const struct timespec[]){ st->st_atim, st->st_mtim }, AT_SYMLINK_NOFOLLOW) < 0)
		return gp_fail_errno(err, errno, "give away %s/%s", c->to, name);
	return 0;
}

static int copy_folder(struct copying *c, int from, int to, int depth, struct gp_error *err);

/* Closed to all until it is full: what lies in it is given away file by file. */
static int enter(struct copying *c, int from_dir, int to_dir, const char *name, const struct stat *st, int depth, struct gp_error *err)
{
	GP_AUTO_FD from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	GP_AUTO_FD to = -1;

	if (from < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read folder %s/%s", c->from, name);
	if (depth == 0)
		return gp_fail(err, GP_E_REFUSED, "%s: %s is nested too deep", c->from, name);
	if (mkdirat(to_dir, name, 0700) < 0 && errno != EEXIST)
		return gp_fail_errno(err, errno, "make folder %s/%s", c->to, name);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return gp_fail_errno(err, errno, "open folder %s/%s", c->to, name);
	GP_TRY(copy_folder(c, from, to, depth - 1, err));
	/* The group's bit, so that what is made in it later has the group too. */
	if (fchown(to, owner_of(c, st), c->how->group) < 0 || fchmod(to, (st->st_mode & 0777) | FOLDER_BITS) < 0 ||
		futimens(to, (const struct timespec[]){ st->st_atim, st->st_mtim }) < 0)
		return gp_fail_errno(err, errno, "copy folder %s/%s", c->from, name);
	return 0;
}

static int copy_entry(struct copying *c, int from, int to, const char *name, int depth, struct gp_error *err)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "look at %s/%s", c->from, name);
	if (c->how->line && c->done.files % SHOWN_EVERY == 0)
		c->how->line(c->how->arg, &c->done);
	if (S_ISDIR(st.st_mode))
		return enter(c, from, to, name, &st, depth, err);
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, to, name, err);
	if (S_ISLNK(st.st_mode))
		return copy_link(c, from, to, name, &st, err);
	c->done.left_out++;
	return 0;
}

static int copy_folder(struct copying *c, int from, int to, int depth, struct gp_error *err)
{
	int own = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *e;

	if (!dir) {
		gp_closep(&own);
		return gp_fail_errno(err, errno, "read a folder in %s", c->from);
	}
	while (result == 0 && (e = readdir(dir)))
		if (!gp_streq(e->d_name, ".") && !gp_streq(e->d_name, ".."))
			result = copy_entry(c, from, to, e->d_name, depth, err);
	closedir(dir);
	return result;
}

int gp_tree_copy(const char *from, const char *to, const struct gp_tree_copy *how, struct gp_tree_copied *ret, struct gp_error *err)
{
	struct copying c = { .how = how, .from = from, .to = to };
	GP_AUTO_FD source = open(from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	GP_AUTO_FD target = open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	*ret = c.done;
	if (source < 0 && errno == ENOENT)
		return 0;
	if (source < 0 || fstat(source, &st) < 0)
		return gp_fail_errno(err, errno, "read folder %s", from);
	if (target < 0)
		return gp_fail_errno(err, errno, "open folder %s", to);
	c.top = st.st_uid;
	GP_TRY(copy_folder(&c, source, target, DEPTH_MAX, err));
	*ret = c.done;
	return gp_tree_sync(to, err);
}
