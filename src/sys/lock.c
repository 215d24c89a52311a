/* Locks. The file stays when the lock goes: unlinking it would let two holders have "the same" lock on two files. */
#include "sys/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"

enum { TEXT_MAX = 2048 };

/* The text of a lock file: "key: value" lines. */
static const char *field(struct gp_arena *arena, const char *text, const char *key)
{
	struct gp_strv lines = gp_lines(arena, text);

	for (size_t i = 0; i < lines.n; i++)
		if (gp_starts_with(lines.v[i], key) && gp_starts_with(lines.v[i] + strlen(key), ": "))
			return lines.v[i] + strlen(key) + 2;
	return "?";
}

static int held(struct gp_arena *arena, int fd, const char *name, struct gp_error *err)
{
	char text[TEXT_MAX + 1];
	ssize_t n = pread(fd, text, TEXT_MAX, 0);

	text[n > 0 ? n : 0] = '\0';
	gp_fail(err, GP_E_LOCKED, "%s is locked: %s (pid %s) has been running since %s, in step '%s'", name,
		field(arena, text, "command"), field(arena, text, "pid"), field(arena, text, "since"), field(arena, text, "step"));
	return gp_hint(err, "wait for it to end; the lock ends with its process, whatever ends that");
}

static void describe(int fd, const char *text)
{
	/* What others may read half-written here is only a description. */
	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, strlen(text), 0);
}

int gp_lock_take(struct gp_lock *lock, const char *dir, const char *name, const char *command, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *path = gp_sprintf(arena, "%s/%s.lock", dir, name);
	GP_AUTO_FD fd = -1;

	GP_TRY(gp_fs_mkdirs(dir, err));
	/* 0600: whoever can open a file can flock it, and would hold up every deploy. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return gp_fail_errno(err, errno, "open the lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return held(arena, fd, name, err);
		return gp_fail_errno(err, errno, "lock %s", path);
	}
	describe(fd, gp_sprintf(arena, "pid: %d\ncommand: %.500s\nsince: %s\nstep: start\n", (int)getpid(), command,
		gp_rfc3339(arena, gp_now())));
	lock->fd = fd;
	fd = -1;
	return 0;
}

void gp_lock_step(const struct gp_lock *lock, const char *step)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	char text[TEXT_MAX + 1];
	ssize_t n;

	if (lock->fd < 0)
		return;
	n = pread(lock->fd, text, TEXT_MAX, 0);
	text[n > 0 ? n : 0] = '\0';
	describe(lock->fd, gp_sprintf(arena, "pid: %s\ncommand: %s\nsince: %s\nstep: %.100s\n", field(arena, text, "pid"),
		field(arena, text, "command"), field(arena, text, "since"), step));
}

void gp_lock_release(struct gp_lock *lock)
{
	if (lock->fd >= 0) {
		(void)!ftruncate(lock->fd, 0);
		gp_closep(&lock->fd);
	}
}
