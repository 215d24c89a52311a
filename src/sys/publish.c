/* Trees published as hard links, walked by descriptors: a folder that is swapped for a symlink meanwhile leads nowhere else. */
#include "sys/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"

enum { DEPTH_MAX = 100, SEND_MAX = 1 << 20 };

static const char temporary[] = ".goldpath-publish";

struct visit {
	int from, to;      /* the folders that are walked, side by side; to -1: there is none */
	const char *path;  /* of the folder in both trees, "" or ending in "/" */
	int depth;
};

/* One regular file. */
typedef int visit_file(void *arg, const struct visit *v, const char *name, const struct stat *st, struct gp_error *err);

struct walk {
	visit_file *file;
	void *arg;
	bool makes; /* folders that are missing in `to` */
};

static int folder(const struct walk *w, const struct visit *v, struct gp_error *err);

static int open_folder(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int sub_folder(const struct walk *w, const struct visit *v, const char *name, struct gp_error *err)
{
	char path[PATH_MAX];
	GP_AUTO_FD from = open_folder(v->from, name);
	GP_AUTO_FD to = -1;

	if (from < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read folder %s%s", v->path, name);
	if (v->depth >= DEPTH_MAX || snprintf(path, sizeof(path), "%s%s/", v->path, name) >= (int)sizeof(path))
		return gp_fail(err, GP_E_REFUSED, "%s%.100s is nested too deep", v->path, name);
	if (w->makes && mkdirat(v->to, name, 0755) < 0 && errno != EEXIST)
		return gp_fail_errno(err, errno, "make folder %s%s", v->path, name);
	if (v->to >= 0)
		to = open_folder(v->to, name);
	if (to < 0 && w->makes)
		return gp_fail_errno(err, errno, "open folder %s%s", v->path, name);
	return folder(w, &(struct visit){ from, to, path, v->depth + 1 }, err);
}

static int folder(const struct walk *w, const struct visit *v, struct gp_error *err)
{
	int fd = openat(v->from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat st;

	if (!dir) {
		gp_closep(&fd);
		return gp_fail_errno(err, errno, "read folder %s", *v->path ? v->path : ".");
	}
	while (result == 0 && (e = readdir(dir))) {
		if (gp_streq(e->d_name, ".") || gp_streq(e->d_name, "..") || gp_streq(e->d_name, temporary))
			continue;
		if (fstatat(v->from, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			result = errno == ENOENT ? 0 : gp_fail_errno(err, errno, "look at %s%s", v->path, e->d_name);
		else if (S_ISDIR(st.st_mode))
			result = sub_folder(w, v, e->d_name, err);
		else if (S_ISREG(st.st_mode))
			result = w->file(w->arg, v, e->d_name, &st, err);
	}
	closedir(dir);
	return result;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* As a file of its own, with the temporary name. */
static int copy(int from, int to, const char *name)
{
	GP_AUTO_FD in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	GP_AUTO_FD out = in < 0 ? -1 : openat(to, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ssize_t n = 1;

	if (out < 0)
		return -1;
	while (n > 0)
		n = sendfile(out, in, NULL, SEND_MAX);
	if (n == 0)
		return 0;
	unlinkat(to, temporary, 0);
	return -1;
}

/* Under the temporary name first: what is killed in between leaves one stray link, which the next one takes away. */
static int put(const struct visit *v, int from, const char *name, struct gp_error *err)
{
	unlinkat(v->to, temporary, 0);
	if (linkat(from, name, v->to, temporary, 0) < 0 &&
		((errno != EXDEV && errno != EMLINK && errno != EPERM) || copy(from, v->to, name) < 0))
		return gp_fail_errno(err, errno, "link %s%s", v->path, name);
	if (renameat(v->to, temporary, v->to, name) < 0) {
		gp_fail_errno(err, errno, "put %s%s in place", v->path, name);
		unlinkat(v->to, temporary, 0);
		return -1;
	}
	return 0;
}

static int publish_file(void *arg, const struct visit *v, const char *name, const struct stat *st, struct gp_error *err)
{
	const enum gp_publish_how *how = arg;
	struct stat there;

	if (linkat(v->from, name, v->to, name, 0) == 0)
		return 0;
	if (errno == EEXIST && (*how == GP_PUBLISH_ADD || (fstatat(v->to, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && is_same(&there, st))))
		return 0;
	return put(v, v->from, name, err);
}

int gp_publish(const char *from, const char *to, enum gp_publish_how how, struct gp_error *err)
{
	const struct walk w = { publish_file, &how, true };
	GP_AUTO_FD from_fd = open_folder(AT_FDCWD, from);
	GP_AUTO_FD to_fd = -1;

	if (from_fd < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read folder %s", from);
	to_fd = open_folder(AT_FDCWD, to);
	if (to_fd < 0)
		return gp_fail_errno(err, errno, "open folder %s", to);
	return folder(&w, &(struct visit){ from_fd, to_fd, "", 0 }, err);
}

/* The first of the other trees that has the name takes it over. 1: done. */
static int hand_over(const struct gp_strv *others, const struct visit *v, const char *name, struct gp_error *err)
{
	for (size_t i = 0; i < others->n; i++) {
		GP_AUTO_FD top = open_folder(AT_FDCWD, others->v[i]);
		GP_AUTO_FD dir = top < 0 ? -1 : *v->path ? open_folder(top, v->path) : openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct stat st;

		if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		GP_TRY(put(v, dir, name, err));
		return 1;
	}
	return 0;
}

static int withdraw_file(void *arg, const struct visit *v, const char *name, const struct stat *st, struct gp_error *err)
{
	struct stat there;
	int taken;

	if (v->to < 0 || fstatat(v->to, name, &there, AT_SYMLINK_NOFOLLOW) < 0 || !is_same(&there, st))
		return 0;
	GP_TRY(taken = hand_over(arg, v, name, err));
	if (!taken && unlinkat(v->to, name, 0) < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "remove %s%s", v->path, name);
	return 0;
}

int gp_publish_withdraw(const char *from, const char *to, const struct gp_strv *others, struct gp_error *err)
{
	const struct walk w = { withdraw_file, (void *)others, false };
	GP_AUTO_FD from_fd = open_folder(AT_FDCWD, from);
	GP_AUTO_FD to_fd = open_folder(AT_FDCWD, to);

	if (from_fd < 0 || to_fd < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "read folder %s", from_fd < 0 ? from : to);
	return folder(&w, &(struct visit){ from_fd, to_fd, "", 0 }, err);
}
