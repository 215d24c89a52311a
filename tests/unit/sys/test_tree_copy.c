/* Copying a tree: all of it, nothing followed, and gone on with after a kill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"
#include "sys/tree_copy.h"

#include "../scratch.h"

static struct gp_error err;
static struct gp_arena *arena;

static void lay(const char *path, const char *text)
{
	assert_int_equal(gp_fs_write(path, text, strlen(text), 0640, (uid_t)-1, (gid_t)-1, &err), 0);
}

static int begin(void **state)
{
	if (scratch_begin(state) < 0)
		return -1;
	arena = gp_arena_new();
	memset(&err, 0, sizeof(err));
	return mkdir(at("from"), 0755) < 0 || mkdir(at("from/a"), 0750) < 0 || mkdir(at("to"), 0755) < 0 ? -1 : 0;
}

static int finish(void **state)
{
	gp_arena_free(arena);
	return scratch_end(state);
}

static struct gp_tree_copied copied(void)
{
	const struct gp_tree_copy how = { .owner = getuid(), .other = getuid(), .group = getgid() };
	struct gp_tree_copied done;

	if (gp_tree_copy(at("from"), at("to"), &how, &done, &err) < 0)
		fail_msg("%s", err.msg);
	return done;
}

static const char *text_of(const char *path)
{
	const char *text;

	assert_int_equal(gp_fs_read_nofollow(arena, path, 4096, &text, NULL, &err), 1);
	return text;
}

static void test_whole(void **state)
{
	struct gp_tree_copied done;
	struct stat was, is;

	(void)state;
	lay(at("from/a/one"), "1");
	lay(at("from/new\nline"), "");
	lay(at("secret"), "s");
	assert_int_equal(chmod(at("from/a/one"), 04711), 0);
	assert_int_equal(symlink("a/one", at("from/link")), 0);
	assert_int_equal(symlink("../secret", at("from/out")), 0);
	assert_int_equal(symlink("a/../../secret", at("from/a/out")), 0);
	assert_int_equal(symlink(at("secret"), at("from/away")), 0);
	assert_int_equal(symlink("..", at("from/up")), 0);
	assert_int_equal(symlink("..one", at("from/a/no-way-out")), 0);
	assert_int_equal(mkfifo(at("from/fifo"), 0600), 0);
	lay(at("from/sparse"), "x");
	assert_int_equal(truncate(at("from/sparse"), 64 << 20), 0);
	done = copied();
	assert_int_equal(done.files, 3);
	assert_int_equal(done.links, 2);
	assert_int_equal(done.left_out, 5);
	assert_string_equal(text_of(at("to/a/one")), "1");
	assert_string_equal(gp_fs_readlink(arena, at("to/link")), "a/one");
	assert_string_equal(gp_fs_readlink(arena, at("to/a/no-way-out")), "..one");
	assert_false(gp_fs_exists(at("to/fifo")));
	assert_null(gp_fs_readlink(arena, at("to/out")));
	assert_null(gp_fs_readlink(arena, at("to/a/out")));
	assert_null(gp_fs_readlink(arena, at("to/away")));
	assert_null(gp_fs_readlink(arena, at("to/up")));
	assert_int_equal(lstat(at("from/a/one"), &was), 0);
	assert_int_equal(lstat(at("to/a/one"), &is), 0);
	assert_int_equal(is.st_mode & 07777, 0711); /* no set-id bit */
	assert_int_equal(is.st_mtim.tv_nsec, was.st_mtim.tv_nsec);
	assert_int_equal(lstat(at("to/a"), &is), 0);
	assert_int_equal(is.st_mode & 07777, 02750);
	assert_int_equal(lstat(at("to/sparse"), &is), 0);
	assert_int_equal(is.st_size, 64 << 20);
	assert_true(is.st_blocks < 1024);
}

/* What a run that was killed has left, or somebody has laid there. */
static void test_again(void **state)
{
	struct stat before, after;

	(void)state;
	lay(at("from/kept"), "same");
	lay(at("from/cut"), "whole");
	lay(at("from/link"), "a file");
	lay(at("outside"), "untouched");
	copied();
	assert_int_equal(lstat(at("to/kept"), &before), 0);
	lay(at("to/cut"), "wh");
	assert_int_equal(unlink(at("to/link")), 0);
	assert_int_equal(symlink(at("outside"), at("to/link")), 0);
	copied();
	assert_int_equal(lstat(at("to/kept"), &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_string_equal(text_of(at("to/cut")), "whole");
	assert_string_equal(text_of(at("to/link")), "a file");
	assert_string_equal(text_of(at("outside")), "untouched");
}

/* A link in the place of a folder leads nowhere, on neither side. */
static void test_links_for_folders(void **state)
{
	const struct gp_tree_copy how = { .owner = getuid(), .other = getuid(), .group = getgid() };
	struct gp_tree_copied done;

	(void)state;
	assert_int_equal(mkdir(at("elsewhere"), 0755), 0);
	lay(at("from/a/one"), "1");
	assert_int_equal(symlink(at("elsewhere"), at("to/a")), 0);
	assert_int_equal(gp_tree_copy(at("from"), at("to"), &how, &done, &err), -1);
	assert_false(gp_fs_exists(at("elsewhere/one")));
	assert_int_equal(symlink(at("from"), at("from2")), 0);
	assert_int_equal(gp_tree_copy(at("from2"), at("to"), &how, &done, &err), -1);
	/* None at all is no error: a snapshot may be without media. */
	assert_int_equal(gp_tree_copy(at("none"), at("to"), &how, &done, &err), 0);
	assert_int_equal(done.files, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, begin, finish),
		cmocka_unit_test_setup_teardown(test_again, begin, finish),
		cmocka_unit_test_setup_teardown(test_links_for_folders, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
