/*
 * The confined view. By the mount calls that work on descriptors (Linux 5.12): every tree that is to be seen is taken hold of first, then
 * all is made read-only and covered, then the trees are put in place. No path is walked twice, so nothing can be swapped in between.
 */
#include "sys/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/fs.h"

/* linux/mount.h and sys/mount.h exclude each other in glibc 2.36, and 2.35 has no wrappers: the few names are written down here. */
enum {
	TREE_CLONE = 1,
	MOVE_FROM_FD = 0x04,
	MOVE_ONTO_SYMLINK = 0x40,
	ALL_BELOW = 0x8000, /* AT_RECURSIVE */
	ATTR_RDONLY = 1,
	ATTR_NOSUID = 2,
	ATTR_NODEV = 4,
	FS_SET_STRING = 1,
	FS_CREATE = 6,
};

struct attr {
	uint64_t set, clear, propagation, userns;
};

/* No network namespace: packages come over the network, and Postgres over loopback. */
const unsigned long long gp_confine_flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;

static int change(int fd, const char *path, int flags, uint64_t set)
{
	struct attr attr = { .set = set };

	return (int)syscall(SYS_mount_setattr, fd, path, flags, &attr, sizeof(attr));
}

/* A copy of the mounts from path on, belonging to nowhere yet. */
static int take(const struct gp_view *view)
{
	const char *path = view->from ? view->from : view->path;
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, TREE_CLONE | O_CLOEXEC | ALL_BELOW | AT_SYMLINK_NOFOLLOW);
	int number;

	if (fd < 0 || view->how == GP_VIEW_WRITE || change(fd, "", AT_EMPTY_PATH | ALL_BELOW, ATTR_RDONLY) == 0)
		return fd;
	number = errno;
	close(fd);
	errno = number;
	return -1;
}

static int put(int tree, const char *path, unsigned flags)
{
	return (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_FROM_FD | flags);
}

/* A tmpfs over path, or nothing where there is no path. */
static int cover(const char *path, const char *mode)
{
	GP_AUTO_FD fs = (int)syscall(SYS_fsopen, "tmpfs", 1U);
	GP_AUTO_FD tree = -1;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FS_SET_STRING, "mode", mode, 0) < 0 || syscall(SYS_fsconfig, fs, FS_CREATE, NULL, NULL, 0) < 0)
		return -1;
	tree = (int)syscall(SYS_fsmount, fs, 1U, ATTR_NOSUID | ATTR_NODEV);
	if (tree < 0)
		return -1;
	return put(tree, path, MOVE_ONTO_SYMLINK) < 0 && errno != ENOENT ? -1 : 0;
}

/* Something to mount on. It is missing only inside a cover, which is writable for this moment. */
static int make_target(const char *path, int tree)
{
	char part[4096];
	struct stat st;

	if (lstat(path, &st) == 0)
		return 0;
	if (fstat(tree, &st) < 0)
		return -1;
	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return S_ISDIR(st.st_mode) ? mkdir(part, 0755) : mknod(part, S_IFREG | 0644, 0);
}

static int show(const struct gp_view *view, int tree)
{
	if (view->how == GP_VIEW_EMPTY)
		return cover(view->path, "0755");
	if (tree < 0)
		return 0;
	return make_target(view->path, tree) < 0 ? -1 : put(tree, view->path, 0);
}

static int fail(const char **ret_doing, const char *doing)
{
	*ret_doing = doing;
	return -1;
}

static int make_views(const struct gp_confine *confine, bool rest_read_only, const char **ret_doing)
{
	int trees[GP_VIEWS_MAX], result = 0;

	for (size_t i = 0; i < confine->n; i++) {
		trees[i] = confine->views[i].how == GP_VIEW_EMPTY || result < 0 ? -1 : take(&confine->views[i]);
		if (confine->views[i].how != GP_VIEW_EMPTY && result == 0 && trees[i] < 0 && errno != ENOENT)
			result = fail(ret_doing, confine->views[i].path);
	}
	if (result == 0 && rest_read_only && change(AT_FDCWD, "/", ALL_BELOW, ATTR_RDONLY | ATTR_NOSUID) < 0)
		result = fail(ret_doing, "read-only file systems");
	for (size_t i = 0; i < confine->n && result == 0; i++)
		if (show(&confine->views[i], trees[i]) < 0)
			result = fail(ret_doing, confine->views[i].path);
	for (size_t i = 0; i < confine->n && result == 0; i++)
		if (confine->views[i].how == GP_VIEW_EMPTY && change(AT_FDCWD, confine->views[i].path, 0, ATTR_RDONLY) < 0 && errno != ENOENT)
			result = fail(ret_doing, confine->views[i].path);
	for (size_t i = 0; i < confine->n; i++)
		gp_closep(&trees[i]);
	return result;
}

int gp_confine_enter(const struct gp_confine *confine, const char **ret_doing)
{
	static const unsigned long plain = MS_NOSUID | MS_NOEXEC;

	if (chdir("/") < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(ret_doing, "mounts of its own");
	if (make_views(confine, true, ret_doing) < 0)
		return -1;
	if (mount("proc", "/proc", "proc", plain | MS_NODEV, NULL) < 0)
		return fail(ret_doing, "/proc");
	/* The old one has the terminals of whoever is logged in as the same user. */
	if (mount("devpts", "/dev/pts", "devpts", plain, "newinstance,ptmxmode=0666,mode=0620") < 0 && errno != ENOENT)
		return fail(ret_doing, "/dev/pts");
	if (mount("mqueue", "/dev/mqueue", "mqueue", plain | MS_NODEV, NULL) < 0 && errno != ENOENT && errno != ENODEV)
		return fail(ret_doing, "/dev/mqueue");
	if (cover("/dev/shm", "1777") < 0)
		return fail(ret_doing, "/dev/shm");
	return 0;
}

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "seccomp: name this architecture"
#endif

int gp_confine_filter(const struct gp_confine *confine)
{
	enum { X32 = 0x40000000 };
	/* Mounts too: an overlay of the program's own user namespace copies symlinks up by itself. */
	static const uint32_t refused[] = {
#ifdef SYS_symlink
		SYS_symlink,
#endif
#ifdef SYS_mknod
		SYS_mknod,
#endif
		SYS_mknodat, SYS_symlinkat, SYS_mount, SYS_fsopen, SYS_fsmount, SYS_open_tree, SYS_move_mount, SYS_io_uring_setup,
	};
	enum { N = sizeof(refused) / sizeof(refused[0]), REFUSE = N + 5 };
	struct sock_filter code[REFUSE + 1] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 0, REFUSE - 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, REFUSE - 4, 0),
		[N + 4] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		[REFUSE] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};

	if (!confine->no_symlinks)
		return 0;
	for (size_t i = 0; i < N; i++)
		code[4 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(REFUSE - 5 - i), 0);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ .len = REFUSE + 1, .filter = code });
}

void gp_confine_init(pid_t program, int fd)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno != EINTR)
			_exit(127);
		if (pid != program)
			continue;
		while (write(fd, &status, sizeof(status)) < 0 && errno == EINTR)
			;
		_exit(0);
	}
}

int gp_confine_self(const struct gp_confine *confine, struct gp_error *err)
{
	const char *doing = "mounts of its own";

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 || make_views(confine, false, &doing) < 0)
		return gp_confine_refused(errno, doing, err);
	return 0;
}

int gp_confine_refused(int number, const char *doing, struct gp_error *err)
{
	gp_error_set(err, GP_E_REFUSED, number, __FILE__, __LINE__, "this host does not let goldpath confine a site's code (%s)", doing);
	return gp_hint(err, "in a container without privileges, if you trust the code of every site: `confine: false` in host.yaml");
}
