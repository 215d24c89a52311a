/* Files: whole or not at all, nothing left beside them, no symlink followed where none may be, nothing that blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"
#include "sys/tree.h"

#include "../scratch.h"

#define NOBODY_CHANGES (uid_t)-1, (gid_t)-1

static void test_write(void **state)
{
	static const char zeros[] = "a\0b\0";
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *path = at("file"), *text;
	struct gp_error err = { 0 };
	mode_t was = umask(077);
	size_t len;

	(void)state;
	for (mode_t mode = 0600; mode <= 04755; mode = mode == 0600 ? 0644 : mode == 0644 ? 0440 : mode == 0440 ? 04755 : 07777) {
		assert_int_equal(gp_fs_write(path, "one\n", 4, mode, NOBODY_CHANGES, &err), 0);
		assert_string_equal(said(path), "one\n");
		assert_int_equal(mode_of(path), mode); /* the umask takes nothing away */
		assert_int_equal(owner_of(path), geteuid());
	}
	assert_int_equal(gp_fs_write(path, zeros, 4, 0600, NOBODY_CHANGES, &err), 0);
	assert_int_equal(gp_fs_read(arena, path, 4, &text, &len, &err), 1);
	assert_int_equal(len, 4);
	assert_memory_equal(text, zeros, 5);
	assert_int_equal(gp_fs_write(path, "", 0, 0600, NOBODY_CHANGES, &err), 0);
	assert_string_equal(said(path), "");
	if (geteuid() == 0) {
		assert_int_equal(gp_fs_write(path, "x", 1, 02755, 12345, 54321, &err), 0);
		assert_int_equal(owner_of(path), 12345);
		assert_int_equal(mode_of(path), 02755); /* chown clears it, chmod comes after */
	}
	umask(was);
	assert_int_equal(entries(scratch), 1);
}

static void test_write_replaces(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	/* a symlink is replaced, not written through */
	put(at("target"), "old");
	assert_int_equal(symlink("target", at("link")), 0);
	assert_int_equal(gp_fs_write(at("link"), "new", 3, 0600, NOBODY_CHANGES, &err), 0);
	assert_string_equal(said(at("target")), "old");
	assert_string_equal(said(at("link")), "new");
	/* so is a hard link: the other name keeps what it had */
	assert_int_equal(link(at("target"), at("hard")), 0);
	assert_int_equal(gp_fs_write(at("hard"), "new", 3, 0600, NOBODY_CHANGES, &err), 0);
	assert_string_equal(said(at("target")), "old");
	/* a folder is not */
	assert_int_equal(mkdir(at("folder"), 0755), 0);
	assert_int_equal(gp_fs_write(at("folder"), "new", 3, 0600, NOBODY_CHANGES, &err), -1);
	assert_non_null(strstr(err.msg, "folder"));
	assert_int_equal(gp_fs_write(at("none/file"), "new", 3, 0600, NOBODY_CHANGES, &err), -1);
	assert_int_equal(err.sys_errno, ENOENT);
	assert_int_equal(gp_fs_write(at("target/file"), "new", 3, 0600, NOBODY_CHANGES, &err), -1);
	assert_int_equal(entries(scratch), 4);
}

struct checked {
	const char *path;
	int calls, answer;
};

static int look(void *arg, const char *candidate, struct gp_error *err)
{
	struct checked *c = arg;

	c->calls++;
	assert_string_not_equal(candidate, c->path);
	assert_string_equal(said(candidate), "new");
	assert_int_equal(mode_of(candidate), 0640);
	assert_string_equal(said(c->path), "old");
	return c->answer < 0 ? gp_fail(err, GP_E_CHECK, "no good") : 0;
}

static void test_write_checked(void **state)
{
	struct checked c = { .path = at("file"), .answer = -1 };
	struct gp_error err = { 0 };
	int before = open_files();

	(void)state;
	put(c.path, "old");
	assert_int_equal(gp_fs_write_checked(c.path, "new", 3, 0640, NOBODY_CHANGES, look, &c, &err), -1);
	assert_int_equal(err.kind, GP_E_CHECK);
	assert_string_equal(said(c.path), "old");
	assert_int_equal(mode_of(c.path), 0644);
	assert_int_equal(entries(scratch), 1); /* nothing beside it */
	c.answer = 0;
	assert_int_equal(gp_fs_write_checked(c.path, "new", 3, 0640, NOBODY_CHANGES, look, &c, &err), 0);
	assert_string_equal(said(c.path), "new");
	assert_int_equal(entries(scratch), 1);
	assert_int_equal(c.calls, 2);
	assert_int_equal(open_files(), before);
}

static void test_read(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	const char *text = NULL;
	size_t len = 99;

	(void)state;
	put(at("file"), "0123456789");
	put(at("empty"), "");
	assert_int_equal(symlink("file", at("link")), 0);
	assert_int_equal(symlink("nowhere", at("dangling")), 0);
	assert_int_equal(symlink("loop", at("loop")), 0);
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_int_equal(mkdir(at("folder"), 0755), 0);

	assert_int_equal(gp_fs_read(arena, at("file"), 10, &text, &len, &err), 1);
	assert_string_equal(text, "0123456789");
	assert_int_equal(len, 10);
	assert_int_equal(gp_fs_read(arena, at("file"), 10, &text, NULL, &err), 1);
	assert_int_equal(gp_fs_read(arena, at("empty"), 10, &text, &len, &err), 1);
	assert_string_equal(text, "");
	assert_int_equal(len, 0);
	assert_int_equal(gp_fs_read(arena, "/proc/self/status", 65536, &text, &len, &err), 1); /* says it has 0 bytes */
	assert_int_equal(len, strlen(text));
	assert_non_null(strstr(text, "Pid:"));
	assert_int_equal(gp_fs_read(arena, "/proc/self/smaps", 4 << 20, &text, &len, &err), 1); /* and has far more than one page */
	assert_true(len > 16384 && strlen(text) == len && text[len - 1] == '\n');
	assert_int_equal(gp_fs_read(arena, "/proc/self/status", 16, &text, &len, &err), 1);
	assert_int_equal(len, 16);

	text = "untouched";
	assert_int_equal(gp_fs_read(arena, at("file"), 9, &text, &len, &err), -1);
	assert_non_null(strstr(err.msg, "larger"));
	assert_int_equal(gp_fs_read(arena, at("none"), 10, &text, &len, &err), 0);
	assert_int_equal(gp_fs_read(arena, at("file/none"), 10, &text, &len, &err), 0);
	assert_int_equal(gp_fs_read(arena, at("dangling"), 10, &text, &len, &err), 0);
	assert_int_equal(gp_fs_read(arena, at("fifo"), 10, &text, &len, &err), -1); /* and does not wait for a writer */
	assert_non_null(strstr(err.msg, "no regular file"));
	assert_int_equal(gp_fs_read(arena, at("folder"), 10, &text, &len, &err), -1);
	assert_int_equal(gp_fs_read(arena, "/dev/zero", 10, &text, &len, &err), -1);
	assert_int_equal(gp_fs_read(arena, at("loop"), 10, &text, &len, &err), -1);
	assert_int_equal(err.sys_errno, ELOOP);
	assert_string_equal(text, "untouched");

	assert_int_equal(gp_fs_read(arena, at("link"), 10, &text, &len, &err), 1);
	assert_string_equal(text, "0123456789");
	assert_int_equal(gp_fs_read_nofollow(arena, at("file"), 10, &text, &len, &err), 1);
	assert_int_equal(gp_fs_read_nofollow(arena, at("none"), 10, &text, &len, &err), 0);
	assert_int_equal(gp_fs_read_nofollow(arena, at("fifo"), 10, &text, &len, &err), -1);
	assert_int_equal(gp_fs_read_nofollow(arena, at("link"), 10, &text, &len, &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_non_null(strstr(err.msg, "symlink"));
	assert_int_equal(gp_fs_read_nofollow(arena, at("dangling"), 10, &text, &len, &err), -1);
}

static void test_append(void **state)
{
	struct gp_error err = { 0 };
	const char *path = at("log");

	(void)state;
	assert_int_equal(gp_fs_append(path, "one", &err), 0);
	assert_int_equal(gp_fs_append(path, "", &err), 0);
	assert_int_equal(gp_fs_append(path, "two", &err), 0);
	assert_string_equal(said(path), "one\n\ntwo\n");
	assert_int_equal(mode_of(path), 0600);
	/* a line that a crash cut short stays a line of its own */
	put(path, "one\ntw");
	assert_int_equal(gp_fs_append(path, "three", &err), 0);
	assert_string_equal(said(path), "one\ntw\nthree\n");
	assert_int_equal(mode_of(path), 0644);
	assert_int_equal(symlink("log", at("link")), 0);
	assert_int_equal(gp_fs_append(at("link"), "four", &err), -1);
	assert_int_equal(gp_fs_append(at("none/log"), "four", &err), -1);
	assert_string_equal(said(path), "one\ntw\nthree\n");
}

static void test_folders(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_strv names;
	mode_t was = umask(027);

	(void)state;
	assert_int_equal(gp_fs_mkdir(at("a"), 0771, NOBODY_CHANGES, &err), 0);
	assert_int_equal(mode_of(at("a")), 0771);
	assert_int_equal(gp_fs_mkdir(at("a"), 0700, NOBODY_CHANGES, &err), 0);
	assert_int_equal(mode_of(at("a")), 0771); /* there already: left alone */
	assert_int_equal(gp_fs_mkdir(at("b/c"), 0700, NOBODY_CHANGES, &err), -1);
	assert_int_equal(err.sys_errno, ENOENT);
	if (geteuid() == 0) {
		assert_int_equal(gp_fs_mkdir(at("owned"), 02750, 12345, 54321, &err), 0);
		assert_int_equal(mode_of(at("owned")), 02750);
		assert_int_equal(owner_of(at("owned")), 12345);
	}
	umask(was);

	assert_int_equal(gp_fs_mkdirs(at("x/y/z"), &err), 0);
	assert_int_equal(gp_fs_mkdirs(at("x/y/z"), &err), 0);
	assert_int_equal(gp_fs_mkdirs(at("x//y/z/w/"), &err), 0);
	assert_int_equal(mode_of(at("x/y/z/w")), 0755);
	assert_int_equal(gp_fs_mkdirs("/", &err), 0);
	put(at("file"), "");
	assert_int_equal(gp_fs_mkdirs(at("file/y"), &err), -1);
	assert_int_equal(gp_fs_mkdirs(at("file"), &err), -1);
	assert_int_equal(err.sys_errno, ENOTDIR);

	put(at("x/.hidden"), "");
	put(at("x/B"), "");
	put(at("x/a b"), "");
	assert_int_equal(gp_fs_list(arena, at("x"), &names, &err), 0);
	assert_string_equal(gp_strv_join(arena, &names, "|"), ".hidden|B|a b|y");
	assert_int_equal(gp_fs_list(arena, at("none"), &names, &err), 0);
	assert_int_equal(names.n, 0);
	assert_int_equal(gp_fs_list(arena, at("file"), &names, &err), -1);
}

static void test_looking(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	uint64_t bytes = 0, inodes = 0;
	struct stat st;

	(void)state;
	put(at("file"), "");
	assert_int_equal(symlink("nowhere", at("link")), 0);
	assert_int_equal(gp_fs_lstat(at("file"), &st, &err), 1);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(gp_fs_lstat(at("link"), &st, &err), 1);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(gp_fs_lstat(at("none"), &st, &err), 0);
	assert_int_equal(gp_fs_lstat(at("file/none"), &st, &err), 0);
	assert_true(gp_fs_exists(at("file")));
	assert_false(gp_fs_exists(at("link"))); /* leads nowhere */
	assert_string_equal(gp_fs_readlink(arena, at("link")), "nowhere");
	assert_null(gp_fs_readlink(arena, at("file")));
	assert_null(gp_fs_readlink(arena, at("none")));
	assert_int_equal(gp_fs_free(scratch, &bytes, &inodes, &err), 0);
	assert_true(bytes > 0 && inodes > 0);
	assert_int_equal(gp_fs_free(at("none"), &bytes, &inodes, &err), -1);
	assert_int_equal(gp_fs_sync_dir(scratch, &err), 0);
	assert_int_equal(gp_fs_sync_dir(at("file"), &err), -1);
}

static void test_relink(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	const char *link = at("app");

	(void)state;
	assert_int_equal(gp_fs_relink(link, "releases/1", &err), 0);
	assert_string_equal(gp_fs_readlink(arena, link), "releases/1");
	assert_int_equal(gp_fs_relink(link, "releases/2", &err), 0);
	assert_string_equal(gp_fs_readlink(arena, link), "releases/2");
	assert_int_equal(entries(scratch), 1);

	/* to a folder: the link itself is replaced, nothing is put into the folder */
	assert_int_equal(mkdir(at("folder"), 0755), 0);
	assert_int_equal(gp_fs_relink(link, "folder", &err), 0);
	assert_int_equal(gp_fs_relink(link, "releases/3", &err), 0);
	assert_int_equal(entries(at("folder")), 0);

	put(at("file"), "mine");
	assert_int_equal(gp_fs_relink(at("file"), "x", &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_string_equal(said(at("file")), "mine");
	assert_int_equal(gp_fs_relink(at("folder"), "x", &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_int_equal(gp_fs_relink(at("none/app"), "x", &err), -1);
	assert_int_equal(entries(scratch), 3);
}

static void test_remove(void **state)
{
	struct gp_error err = { 0 };
	int before = open_files();

	(void)state;
	assert_int_equal(gp_fs_remove(at("none"), &err), 0);
	put(at("file"), "");
	assert_int_equal(gp_fs_remove(at("file/none"), &err), 0);
	assert_int_equal(gp_fs_remove(at("file"), &err), 0);
	assert_int_equal(mkdir(at("outside"), 0755), 0);
	put(at("outside/precious"), "kept");
	assert_int_equal(symlink("outside", at("link")), 0);
	assert_int_equal(gp_fs_remove(at("link"), &err), 0); /* the link, not what it leads to */

	/* a tree with one of everything */
	assert_int_equal(gp_fs_mkdirs(at("tree/a/b/c"), &err), 0);
	put_bytes(at("tree/a/file"), "", 0, 0);
	put(at("tree/a/.hidden"), "");
	put(at("tree/a/b/-rf *\n"), "");
	assert_int_equal(mkfifo(at("tree/a/fifo"), 0600), 0);
	assert_int_equal(symlink("../../../outside", at("tree/a/b/up")), 0);
	assert_int_equal(symlink(at("outside"), at("tree/away")), 0);
	assert_int_equal(link(at("outside/precious"), at("tree/hard")), 0);
	assert_int_equal(chmod(at("tree/a/b"), 0500), 0);
	if (geteuid() != 0)
		assert_int_equal(chmod(at("tree/a/b"), 0700), 0);
	assert_int_equal(gp_fs_remove(at("tree"), &err), 0);
	assert_int_equal(entries(scratch), 1);
	assert_string_equal(said(at("outside/precious")), "kept");
	assert_int_equal(open_files(), before);
}

#define LONG_NAME "a-name-of-some-length-that-makes-the-path-long"

/* Makes a tree of that depth below the scratch folder, step by step: its path is longer than any path may be. */
static void make_deep(const char *name, int depth)
{
	int fd = open(scratch, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < depth; i++) {
		const char *part = i ? LONG_NAME : name;
		int next;

		assert_int_equal(mkdirat(fd, part, 0755), 0);
		next = openat(fd, part, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

static void test_remove_deep_trees(void **state)
{
	struct gp_error err = { 0 };
	int before = open_files();

	(void)state;
	make_deep("deep", 150);
	assert_int_equal(gp_fs_remove(at("deep"), &err), 0);
	assert_int_equal(entries(scratch), 0);
	/* deeper than descriptors reach: cut into pieces */
	make_deep("abyss", 1500);
	if (gp_fs_remove(at("abyss"), &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(open_files(), before);
	assert_int_equal(entries(scratch), 0);
	/* names like those of the pieces are somebody's files as any others */
	assert_int_equal(mkdir(at("abyss"), 0755), 0);
	assert_int_equal(mkdir(at("abyss/.goldpath-deep-0"), 0755), 0);
	put(at("abyss/.goldpath-deep-1"), "");
	make_deep("abyss/x", 450);
	assert_int_equal(gp_fs_remove(at("abyss"), &err), 0);
	assert_int_equal(entries(scratch), 0);
}

/* In a mount namespace of the child's own, so that nothing of it is ever seen outside. */
static void test_remove_stays_on_its_filesystem(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(at("tree"), 0755), 0);
	assert_int_equal(mkdir(at("tree/mounted"), 0755), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct gp_error err = { 0 };

		if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("tmpfs", at("tree/mounted"), "tmpfs", 0, "size=64k") < 0)
			_exit(77);
		put(at("tree/mounted/precious"), "kept");
		if (gp_fs_remove(at("tree"), &err) == 0 || err.kind != GP_E_REFUSED || !strstr(err.msg, "filesystem"))
			_exit(1);
		_exit(gp_streq(said(at("tree/mounted/precious")), "kept") ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/* Whoever listens on a socket that another name takes the place of keeps its connections, and comes back by its second name. */
static void test_relink_over_socket(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *path = gp_strdup(arena, at("app.sock")), *kept = gp_strdup(arena, at("kept.sock"));
	GP_AUTO_FD listener = socket(AF_UNIX, SOCK_STREAM, 0), caller = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct gp_error err = { 0 };
	struct stat st;

	(void)state;
	strcpy(address.sun_path, path);
	assert_int_equal(bind(listener, (const void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(link(path, kept), 0);
	assert_int_equal(gp_fs_relink(path, "next/app.sock", &err), -1);
	assert_int_equal(gp_fs_relink_over_socket(path, "next/app.sock", &err), 0);
	assert_string_equal(gp_fs_readlink(arena, path), "next/app.sock");
	strcpy(address.sun_path, kept);
	assert_int_equal(connect(caller, (const void *)&address, sizeof(address)), 0);
	assert_int_equal(rename(kept, path), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	put(at("file"), "mine");
	assert_int_equal(gp_fs_relink_over_socket(at("file"), "x", &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
}

static void test_set_aside(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *path = gp_strdup(arena, at("app")), *aside = gp_strdup(arena, at("app.before"));
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	put(at("app/notes"), "mine");
	assert_int_equal(symlink("left by a run that was killed", aside), 0);
	assert_int_equal(gp_fs_set_aside(path, aside, "releases/1", &err), 0);
	assert_string_equal(gp_fs_readlink(arena, path), "releases/1");
	assert_string_equal(said(at("app.before/notes")), "mine");
	assert_int_equal(entries(scratch), 2);
	/* what lies there stays */
	assert_int_equal(mkdir(at("venv"), 0755), 0);
	assert_int_equal(gp_fs_set_aside(at("venv"), aside, "x", &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_string_equal(said(at("app.before/notes")), "mine");
	assert_null(gp_fs_readlink(arena, at("venv")));
}

static void test_share(void **state)
{
	struct gp_tree_shared found = { 0 };
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(mkdir(at("media"), 0755), 0);
	assert_int_equal(mkdir(at("media/a"), 0755), 0);
	put(at("media/a/one"), "x");
	put(at("outside"), "x");
	assert_int_equal(chmod(at("media/a/one"), 0600), 0);
	assert_int_equal(symlink("../outside", at("media/link")), 0);
	assert_int_equal(gp_tree_share(at("media"), geteuid(), getegid(), false, &found, &err), 0);
	assert_int_equal(found.shared, 2);
	assert_int_equal(mode_of(at("media/a/one")), 0600);
	assert_int_equal(gp_tree_share(at("media"), geteuid(), getegid(), true, &found, &err), 0);
	assert_int_equal(found.shared, 2);
	assert_int_equal(mode_of(at("media/a/one")), 0660);
	assert_int_equal(mode_of(at("media/a")), 02775);
	assert_int_equal(mode_of(at("outside")), 0644);
	assert_int_equal(gp_tree_share(at("media"), geteuid(), getegid(), true, &found, &err), 0);
	assert_int_equal(found.shared, 0);
	/* what is somebody else's is counted and left alone */
	assert_int_equal(chmod(at("media/a/one"), 0600), 0);
	assert_int_equal(gp_tree_share(at("media"), geteuid() + 1, getegid(), true, &found, &err), 0);
	assert_int_equal(found.strange, 2);
	assert_int_equal(mode_of(at("media/a/one")), 0600);
	assert_int_equal(gp_tree_share(at("none"), geteuid(), getegid(), true, &found, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_begin, scratch_end)
		IN_SCRATCH(test_write),
		IN_SCRATCH(test_write_replaces),
		IN_SCRATCH(test_write_checked),
		IN_SCRATCH(test_read),
		IN_SCRATCH(test_append),
		IN_SCRATCH(test_folders),
		IN_SCRATCH(test_looking),
		IN_SCRATCH(test_relink),
		IN_SCRATCH(test_relink_over_socket),
		IN_SCRATCH(test_set_aside),
		IN_SCRATCH(test_share),
		IN_SCRATCH(test_remove),
		IN_SCRATCH(test_remove_deep_trees),
		IN_SCRATCH(test_remove_stays_on_its_filesystem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
