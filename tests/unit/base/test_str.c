/* Strings: lists, splitting, last lines, did-you-mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"

static void test_affixes(void **state)
{
	(void)state;
	assert_true(gp_streq("", ""));
	assert_false(gp_streq("a", "A"));
	assert_true(gp_starts_with("abc", ""));
	assert_true(gp_starts_with("abc", "abc"));
	assert_false(gp_starts_with("ab", "abc"));
	assert_true(gp_ends_with("abc", ""));
	assert_true(gp_ends_with("abc", "bc"));
	assert_false(gp_ends_with("bc", "abc"));
	assert_false(gp_ends_with("abcd", "bc"));
}

static void test_list_grows_as_argv(void **state)
{
	enum { N = 1000 };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_strv list = { 0 };
	char word[16];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		snprintf(word, sizeof(word), "w%zu", i);
		gp_strv_add(arena, &list, gp_strdup(arena, word));
		assert_int_equal(list.n, i + 1);
		assert_null(list.v[list.n]);
	}
	for (size_t i = 0; i < N; i++) {
		snprintf(word, sizeof(word), "w%zu", i);
		assert_string_equal(list.v[i], word);
		assert_true(gp_strv_has(&list, word));
	}
	assert_false(gp_strv_has(&list, "w1000"));
	assert_false(gp_strv_has(&(struct gp_strv){ 0 }, ""));
}

static void test_join(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_strv list = { 0 };

	(void)state;
	assert_string_equal(gp_strv_join(arena, &list, ", "), "");
	gp_strv_add(arena, &list, "a");
	assert_string_equal(gp_strv_join(arena, &list, ", "), "a");
	gp_strv_add(arena, &list, "");
	gp_strv_add(arena, &list, "c");
	assert_string_equal(gp_strv_join(arena, &list, ", "), "a, , c");
	assert_string_equal(gp_strv_join(arena, &list, ""), "ac");
}

static void test_brief(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_strv list = { 0 };

	(void)state;
	assert_string_equal(gp_strv_brief(arena, &list, 2), "");
	gp_strv_add(arena, &list, "a");
	gp_strv_add(arena, &list, "b");
	assert_string_equal(gp_strv_brief(arena, &list, 2), "a, b");
	gp_strv_add(arena, &list, "c");
	assert_string_equal(gp_strv_brief(arena, &list, 2), "a, b and 1 more");
	assert_int_equal(list.n, 3);
}

static void test_lines_and_words(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_strv got = gp_lines(arena, "a\n\n b \nlast");

	(void)state;
	assert_int_equal(got.n, 4);
	assert_string_equal(got.v[0], "a");
	assert_string_equal(got.v[1], "");
	assert_string_equal(got.v[2], " b ");
	assert_string_equal(got.v[3], "last");
	assert_null(got.v[4]);
	assert_int_equal(gp_lines(arena, "a\nb\n").n, 2);
	assert_int_equal(gp_lines(arena, "\n").n, 1);
	assert_int_equal(gp_lines(arena, "").n, 0);

	got = gp_words(arena, " \tone  two\tthree ");
	assert_int_equal(got.n, 3);
	assert_string_equal(got.v[0], "one");
	assert_string_equal(got.v[1], "two");
	assert_string_equal(got.v[2], "three");
	assert_null(got.v[3]);
	assert_int_equal(gp_words(arena, " \t").n, 0);
	assert_int_equal(gp_words(arena, "").n, 0);
}

static void test_trim(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_trim(arena, " \t\r\n a b \n\r\t "), "a b");
	assert_string_equal(gp_trim(arena, " \n "), "");
	assert_string_equal(gp_trim(arena, ""), "");
	assert_string_equal(gp_trim(arena, "a"), "a");
}

static void test_last_lines(void **state)
{
	const char *text = "one\ntwo\nthree\n";

	(void)state;
	assert_string_equal(gp_last_lines(text, 1), "three\n");
	assert_string_equal(gp_last_lines(text, 2), "two\nthree\n");
	assert_ptr_equal(gp_last_lines(text, 3), text);
	assert_ptr_equal(gp_last_lines(text, 99), text);
	assert_string_equal(gp_last_lines(text, 0), "");
	assert_string_equal(gp_last_lines("one\ntwo", 1), "two");
	assert_string_equal(gp_last_lines("one", 1), "one");
	assert_string_equal(gp_last_lines("a\n\n", 1), "\n");
	assert_string_equal(gp_last_lines("\n", 1), "\n");
	assert_string_equal(gp_last_lines("", 3), "");
}

static void test_last_line(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_last_line(arena, "one\n two \r\n \t\r\n\n"), "two");
	assert_string_equal(gp_last_line(arena, "one"), "one");
	assert_string_equal(gp_last_line(arena, "one\ntwo"), "two");
	assert_string_equal(gp_last_line(arena, " \n\n"), "");
	assert_string_equal(gp_last_line(arena, ""), "");
}

static void test_closest(void **state)
{
	static const char *const names[] = { "deploy", "rollback", "backup", "restore", "check", "status" };
	enum { N = sizeof(names) / sizeof(names[0]) };
	char longer[300];

	(void)state;
	assert_string_equal(gp_closest("deply", names, N), "deploy");
	assert_string_equal(gp_closest("depoly", names, N), "deploy");
	assert_string_equal(gp_closest("chek", names, N), "check");
	assert_string_equal(gp_closest("statuses", names, N), "status");
	assert_string_equal(gp_closest("backup", names, N), "backup");
	assert_null(gp_closest("provision", names, N));
	assert_null(gp_closest("", names, N));
	assert_null(gp_closest("deploy", names, 0));
	assert_null(gp_closest("xxdepxloy", names, N));
	memset(longer, 'd', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_null(gp_closest(longer, names, N));
	/* of two candidates the nearer one */
	assert_string_equal(gp_closest("cats", (const char *const[]){ "cars!", "cats!", "bats" }, 3), "cats!");
}

static void test_tame(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "plain, tab\tand Küche → 東京 😀", "plain, tab\tand Küche → 東京 😀" },
		{ "a\033[2Jb\rc\n", "a?[2Jb?c?" },
		{ "\x7f", "?" },
		{ "a\xc2\x9b" "2Jb", "a??2Jb" },                         /* CSI as one C1 character */
		{ "a\x9b" "2Jb", "a?2Jb" },                              /* and as a bare byte */
		{ "evil\xe2\x80\xae" "txt.exe", "evil???txt.exe" },      /* U+202E turns what follows round */
		{ "\xe2\x81\xa6x\xe2\x81\xa9", "???x???" },             /* isolates */
		{ "\xe2\x80\xa8", "???" },                              /* line separator */
		{ "\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", "?????????" },/* overlong, surrogate, beyond Unicode */
		{ "cut \xe2\x82", "cut ??" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[100];

		strcpy(text, cases[i].from);
		gp_tame(text, strlen(text), "\t");
		assert_string_equal(text, cases[i].to);
	}
}

static void test_sizes(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_size_words(arena, 0), "0 KiB");
	assert_string_equal(gp_size_words(arena, 1), "1 KiB");
	assert_string_equal(gp_size_words(arena, 1024), "1 KiB");
	assert_string_equal(gp_size_words(arena, 1536 << 10), "1.5 MiB");
	assert_string_equal(gp_size_words(arena, 5ULL << 30), "5.0 GiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_affixes),
		cmocka_unit_test(test_list_grows_as_argv),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_brief),
		cmocka_unit_test(test_lines_and_words),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_last_lines),
		cmocka_unit_test(test_last_line),
		cmocka_unit_test(test_closest),
		cmocka_unit_test(test_tame),
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
