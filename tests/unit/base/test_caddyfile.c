/* Caddyfiles: global options found and added, whatever else stands there; one line replaced by others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/caddyfile.h"

static void test_option(void **state)
{
	static const struct {
		const char *text, *value; /* of "admin"; NULL: not set */
	} cases[] = {
		{ "", NULL },
		{ "# only a comment\n", NULL },
		{ ":80 {\n\tadmin x\n}\n", NULL },
		{ "a.test {\n}\n{\n\tadmin x\n}\n", NULL },
		{ "{\n\tadmin unix//run/x.sock\n}\n", "unix//run/x.sock" },
		{ "# c\n\n  {  # the options\n  admin   localhost:1   # here\n}\n", "localhost:1" },
		{ "{\n\tadmin off\n}", "off" },
		{ "{\n\tadmin\n}", "" },
		{ "{\n\tadmin localhost:1 {\n\t\torigins x\n\t}\n}\n", "localhost:1 {" },
		{ "{\n\t# admin x\n}\n", NULL },
		{ "{\n\tadministrator x\n}\n", NULL },
		{ "{\n\tservers {\n\t\tadmin x\n\t}\n}\n:80 {\n\tadmin y\n}\n", NULL },
		{ "{\n\tlog {\n\t\toutput stderr\n\t}\n\tadmin x\n}\n", "x" },
		{ "{\n\temail a@b\n}\n:80 {\n\tadmin y\n}\n", NULL },
		{ "{\r\n\tadmin x\r\n}\r\n", "x" },
		{ "{\n\tadmin x", "x" },
		{ "{", NULL },
		{ "}", NULL },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *is = gp_caddyfile_option(arena, cases[i].text, "admin");

		if (!is != !cases[i].value)
			fail_msg("case %zu: %s", i, is ? is : "not set");
		if (is)
			assert_string_equal(is, cases[i].value);
	}
}

static void test_with_option(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_caddyfile_with_option(arena, "", "admin", "x"), "{\n\tadmin x\n}\n\n");
	assert_string_equal(gp_caddyfile_with_option(arena, "# c\n:80 {\n}\n", "admin", "x"), "{\n\tadmin x\n}\n\n# c\n:80 {\n}\n");
	/* A second block would be refused. */
	assert_string_equal(gp_caddyfile_with_option(arena, "# c\n{ # o\n\temail a@b\n}\n:80 {\n}\n", "admin", "x"),
		"# c\n{ # o\n\tadmin x\n\temail a@b\n}\n:80 {\n}\n");
}

static void test_what_was_added_is_found(void **state)
{
	static const char *const texts[] = { "", "# c", ":80 {\n}", "{\n}\n", "{\n\temail x\n}", "\n\n{\n\tservers {\n\t}\n}\na {\n}\n" };
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(gp_caddyfile_option(arena, gp_caddyfile_with_option(arena, texts[i], "admin", "x y"), "admin"), "x y");
}

static void test_replace_line(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(gp_caddyfile_replace_line(arena, "a\n import x \nb\n", "import x", "1\n2\n"), "a\n1\n2\nb\n");
	assert_string_equal(gp_caddyfile_replace_line(arena, "import x\nb\nimport x", "import x", ""), "b\n");
	assert_null(gp_caddyfile_replace_line(arena, "# import x\nimport xy\n", "import x", "1\n"));
}

static const char *names(struct gp_arena *arena, const struct gp_strv *list)
{
	return gp_strv_join(arena, list, " ");
}

static void test_site(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_caddyfile_site site;

	(void)state;
	gp_caddyfile_site(arena, "# by hand\nhttps://a.test:443, www.a.test,\n b.test {\n\ttls internal # c\n\thandle {\n\t\ttls no\n\t\treverse_proxy unix//x {\n\t\t}\n\t}\n}\n", &site);
	assert_string_equal(names(arena, &site.names), "a.test www.a.test b.test");
	assert_string_equal(site.tls, "internal");
	assert_int_equal(site.redirects.n + site.more + site.plain, 0);

	gp_caddyfile_site(arena, "(common) {\n\tencode gzip\n}\nwww.a.test {\n\tredir https://a.test{uri}\n}\nhttp://a.test {\n\treverse_proxy x\n}\n", &site);
	assert_string_equal(names(arena, &site.names), "a.test");
	assert_string_equal(names(arena, &site.redirects), "www.a.test");
	assert_true(site.plain);
	assert_null(site.tls);
	assert_int_equal(site.more, 0);

	/* one that redirects something and serves the rest serves; a second one that does is one too many */
	gp_caddyfile_site(arena, "a.test {\n\tredir /old /new\n\treverse_proxy x\n}\nc.test {\n\tfile_server\n}\n", &site);
	assert_string_equal(names(arena, &site.names), "a.test");
	assert_int_equal(site.more, 1);

	gp_caddyfile_site(arena, "a.test {\n", &site);
	assert_int_equal(site.names.n, 0);
	gp_caddyfile_site(arena, "}\n{\n}\n, {\n}\n", &site);
	assert_int_equal(site.names.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_option),
		cmocka_unit_test(test_with_option),
		cmocka_unit_test(test_what_was_added_is_found),
		cmocka_unit_test(test_replace_line),
		cmocka_unit_test(test_site),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
