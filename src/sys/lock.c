/* Locks. The file stays when the lock goes: unlinking it would let two holders have "the same" lock on two files. */
#include "sys/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/fs.h"

enum { TEXT_MAX = 2048, LOCKS_MAX = 4 << 20 };

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

/* "1: FLOCK  ADVISORY  WRITE 1234 00:19:567 0 EOF". One that waits for the lock has "->" in front of FLOCK, and does not have it. */
static bool is_holder(struct gp_arena *arena, const char *line, const struct stat *file, int64_t *ret_pid)
{
	const struct gp_strv word = gp_words(arena, line);
	const char *is = gp_sprintf(arena, "%02x:%02x:%ju", major(file->st_dev), minor(file->st_dev), (uintmax_t)file->st_ino);

	return word.n >= 6 && gp_streq(word.v[1], "FLOCK") && gp_streq(word.v[5], is) && gp_parse_int(word.v[4], 0, INT32_MAX, ret_pid);
}

static int find_holder(struct gp_arena *arena, const struct stat *file, int *ret_pid, struct gp_error *err)
{
	int64_t pid;

	/* A list of more than a page comes in pieces, and what is before the next piece may go meanwhile: "free" is said twice. */
	for (int i = 0; i < 2; i++) {
		struct gp_strv lines;
		const char *text;

		if (gp_fs_read(arena, "/proc/locks", LOCKS_MAX, &text, NULL, err) != 1)
			return gp_context(err, "who holds which lock");
		lines = gp_lines(arena, text);
		for (size_t k = 0; k < lines.n; k++)
			if (is_holder(arena, lines.v[k], file, &pid)) {
				*ret_pid = (int)pid;
				return 1;
			}
	}
	return 0;
}

/* What the file says is of the holder only if its pid is: one that was killed leaves its text behind, and the next has yet to write. */
static void read_holder(struct gp_arena *arena, const char *path, struct gp_lock_holder *ret)
{
	const char *text = "", *comm = "?";

	if (gp_fs_read_nofollow(arena, path, TEXT_MAX, &text, NULL, NULL) == 1 &&
		gp_streq(field(arena, text, "pid"), gp_sprintf(arena, "%d", ret->pid))) {
		ret->command = field(arena, text, "command");
		ret->since = field(arena, text, "since");
		ret->step = field(arena, text, "step");
		return;
	}
	gp_fs_read(arena, gp_sprintf(arena, "/proc/%d/comm", ret->pid), TEXT_MAX, &comm, NULL, NULL);
	ret->command = gp_trim(arena, comm);
}

int gp_lock_look(struct gp_arena *arena, const char *dir, const char *name, struct gp_lock_holder *ret, struct gp_error *err)
{
	const char *path = gp_sprintf(arena, "%s/%s.lock", dir, name);
	struct gp_lock_holder holder = { 0 };
	struct stat st;
	int found = gp_fs_lstat(path, &st, err);

	if (found == 1)
		found = find_holder(arena, &st, &holder.pid, err);
	if (found != 1)
		return found;
	read_holder(arena, path, &holder);
	*ret = holder;
	return 1;
}
