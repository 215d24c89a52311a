/* Unified diffs of a file on disk against the text that should be there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdbool.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"
#include "sys/diff.h"

#include "../scratch.h"

static void test_new_file(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_diff_unified(arena, "/etc/x", NULL, "one\ntwo\n"), "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1,2 @@\n+one\n+two\n");
}

static void test_changed_file(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *path = at("file");

	(void)state;
	put(path, "one\ntwo\nthree\n");
	assert_string_equal(gp_diff_unified(arena, "/etc/x", path, "one\n2\nthree\n"),
		"--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
	assert_string_equal(gp_diff_unified(arena, "/etc/x", path, "one\ntwo\nthree\n"), "");
	/* a file whose name could be an option, and one that is not text */
	put_bytes(at("-x"), "a\0b", 3, 0600);
	assert_true(gp_starts_with(gp_diff_unified(arena, "--help", at("-x"), "a\n"), "Binary files"));
}

static void test_cannot_be_had(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_diff_unified(arena, "/etc/x", at("nothing"), "a\n"), "(no diff of /etc/x could be made)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new_file, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_changed_file, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_cannot_be_had, scratch_begin, scratch_end),
	};

	signal(SIGPIPE, SIG_IGN); /* as the program does: diff may end before it has read all */
	return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
