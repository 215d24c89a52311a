/* Published trees: shared, replaced as a whole, taken out again; links lead nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/publish.h"

#include "../scratch.h"

static struct gp_error err;

static void trees(void)
{
	static const char *const folders[] = { "a", "b", "static", "a/css", "b/css" };

	err = (struct gp_error){ 0 };
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		assert_int_equal(mkdir(at("%s", folders[i]), 0755), 0);
	put(at("a/css/site.css"), "of a");
	put(at("a/css/site.1111.css"), "hashed a");
	put(at("b/css/site.css"), "of b");
	put(at("b/css/site.2222.css"), "hashed b");
	put(at("b/top.js"), "top");
}

static bool same(const char *a, const char *b)
{
	struct stat x, y;

	return stat(at("%s", a), &x) == 0 && stat(at("%s", b), &y) == 0 && x.st_ino == y.st_ino;
}

static bool is_there(const char *name)
{
	struct stat st;

	return lstat(at("%s", name), &st) == 0;
}

static void test_add_and_replace(void **state)
{
	(void)state;
	trees();
	assert_int_equal(gp_publish(at("a"), at("static"), GP_PUBLISH_REPLACE, &err), 0);
	assert_int_equal(gp_publish(at("b"), at("static"), GP_PUBLISH_ADD, &err), 0);
	assert_true(same("static/css/site.css", "a/css/site.css"));
	assert_true(same("static/css/site.1111.css", "a/css/site.1111.css"));
	assert_true(same("static/css/site.2222.css", "b/css/site.2222.css"));
	assert_true(same("static/top.js", "b/top.js"));
	assert_int_equal(gp_publish(at("b"), at("static"), GP_PUBLISH_REPLACE, &err), 0);
	assert_true(same("static/css/site.css", "b/css/site.css"));
	assert_true(same("static/css/site.1111.css", "a/css/site.1111.css")); /* pages of the release before still ask for it */
	assert_int_equal(gp_publish(at("a"), at("static"), GP_PUBLISH_REPLACE, &err), 0);
	assert_true(same("static/css/site.css", "a/css/site.css"));
	assert_int_equal(gp_publish(at("none"), at("static"), GP_PUBLISH_REPLACE, &err), 0);
	assert_int_equal(gp_publish(at("a"), at("none"), GP_PUBLISH_REPLACE, &err), -1);
	assert_non_null(strstr(err.msg, "open folder"));
}

static void test_withdraw(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_strv others = { 0 }, none = { 0 };

	(void)state;
	trees();
	put(at("static/robots.txt"), "somebody's own");
	assert_int_equal(gp_publish(at("a"), at("static"), GP_PUBLISH_REPLACE, &err), 0);
	assert_int_equal(gp_publish(at("b"), at("static"), GP_PUBLISH_ADD, &err), 0);
	gp_strv_add(arena, &others, at("b"));
	assert_int_equal(gp_publish_withdraw(at("a"), at("static"), &others, &err), 0);
	assert_false(is_there("static/css/site.1111.css"));
	assert_true(same("static/css/site.css", "b/css/site.css")); /* handed over */
	assert_true(same("static/css/site.2222.css", "b/css/site.2222.css"));
	assert_int_equal(gp_publish_withdraw(at("b"), at("static"), &none, &err), 0);
	assert_false(is_there("static/css/site.css"));
	assert_false(is_there("static/top.js"));
	assert_true(is_there("static/robots.txt"));
	assert_true(is_there("b/css/site.css")); /* the tree itself has all it had */
	assert_int_equal(gp_publish_withdraw(at("b"), at("none"), &none, &err), 0);
}

/* Links in either tree: what they lead to is neither read nor written. */
static void test_links(void **state)
{
	struct gp_strv none = { 0 };

	(void)state;
	trees();
	assert_int_equal(mkdir(at("outside"), 0755), 0);
	put(at("outside/secret"), "secret");
	assert_int_equal(symlink(at("outside/secret"), at("a/link")), 0);
	assert_int_equal(symlink(at("outside"), at("a/folder")), 0);
	assert_int_equal(gp_publish(at("a"), at("static"), GP_PUBLISH_REPLACE, &err), 0);
	assert_false(is_there("static/link"));
	assert_false(is_there("static/folder"));
	/* A link under a name that is to be published is replaced, not followed; one in a folder's place is an error. */
	assert_int_equal(symlink(at("outside/secret"), at("static/top.js")), 0);
	assert_int_equal(gp_publish(at("b"), at("static"), GP_PUBLISH_REPLACE, &err), 0);
	assert_true(same("static/top.js", "b/top.js"));
	assert_string_equal(said(at("outside/secret")), "secret");
	assert_int_equal(mkdir(at("b/folder"), 0755), 0);
	put(at("b/folder/file"), "x");
	assert_int_equal(symlink(at("outside"), at("static/folder")), 0);
	assert_int_equal(gp_publish(at("b"), at("static"), GP_PUBLISH_REPLACE, &err), -1);
	assert_false(is_there("outside/file"));
	put(at("outside/file"), "x");
	assert_int_equal(gp_publish_withdraw(at("b"), at("static"), &none, &err), 0);
	assert_true(is_there("outside/file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add_and_replace, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_withdraw, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_links, scratch_begin, scratch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
