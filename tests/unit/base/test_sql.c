/* Cutting SQL: where a statement ends and where it does not, rows, psql's commands; the same whatever the pieces it arrives in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sql.h"
#include "base/str.h"

/* What came, one after the other: "s(…)" a statement, "r(…)" rows, "c(…)" a command. */
static int statement(void *arg, const char *text, struct gp_error *err)
{
	(void)err;
	gp_buf_printf(arg, "s(%s)", text);
	if (gp_starts_with(text, "fail"))
		return gp_fail(err, GP_E_FAILED, "told to");
	return gp_starts_with(text, "copy");
}

static int rows(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct gp_buf *seen = arg;

	(void)err;
	if (!gp_ends_with(gp_buf_str(seen), "~"))
		gp_buf_puts(seen, "r(~");
	seen->len--;
	if (data)
		gp_buf_add(seen, data, len);
	gp_buf_puts(seen, data ? "~" : ")");
	return 0;
}

static int command(void *arg, const char *line, struct gp_error *err)
{
	(void)err;
	gp_buf_printf(arg, "c(%s)", line);
	return 0;
}

static const char *cut(struct gp_arena *arena, const char *text, size_t len, size_t piece)
{
	GP_AUTO_BUF seen = { 0 };
	const struct gp_sql_sink sink = { .statement = statement, .rows = rows, .command = command, .arg = &seen };
	struct gp_error err = { 0 };
	GP_AUTO_SQL sql;
	int result = 0;

	gp_sql_begin(&sql, &sink, 1000);
	for (size_t at = 0; at < len && result == 0; at += piece)
		result = gp_sql_feed(&sql, text + at, len - at < piece ? len - at : piece, &err);
	if (result == 0)
		result = gp_sql_end(&sql, &err);
	return gp_sprintf(arena, "%s%s%s", gp_buf_str(&seen), result < 0 ? "!" : "", result < 0 ? err.msg : "");
}

static void check(const char *text, const char *want)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	for (size_t piece = 1; piece < 9; piece++)
		assert_string_equal(cut(arena, text, strlen(text), piece), want);
	assert_string_equal(cut(arena, text, strlen(text), 10000), want);
}

static void test_statements(void **state)
{
	(void)state;
	check("", "");
	check(" \n;;\n", "");
	check("select 1;select 2 ;", "s(select 1)s(select 2)");
	check("-- a; b\nselect 1; -- c;\n", "s(select 1)");
	check("/* a; /* b; */ c; */ select/*x*/1;", "s(select 1)");
	check("select 1 - 2 / 3 -\n4;", "s(select 1 - 2 / 3 -\n4)");
	check("select ';', 'it''s; ', '\\';", "s(select ';', 'it''s; ', '\\')");
	check("select '--', '/*', \"a;\"\"b\", 'x'--'\n;", "s(select '--', '/*', \"a;\"\"b\", 'x')");
	check("select E'\\';\\\\', e'a''\\';', 'E';", "s(select E'\\';\\\\', e'a''\\';', 'E')");
	check("select the'\\'; select 2;", "s(select the'\\')s(select 2)"); /* the e of a name is no E */
	check("do $$ a; b $$; do $x$ $$; $y$; $x$;", "s(do $$ a; b $$)s(do $x$ $$; $y$; $x$)");
	check("do $$;$ $$;", "s(do $$;$ $$)");
	check("select $1; select a$b$c; select 1$$;", "s(select $1)s(select a$b$c)s(select 1$$)");
	check("do $a$$a$; x;", "s(do $a$$a$)s(x)");
	check("create rule r as do (a; b); x;", "s(create rule r as do (a; b))s(x)");
	check("create function f() returns int begin atomic select 1; select case when true then 2 end; end; x;",
		"s(create function f() returns int begin atomic select 1; select case when true then 2 end; end)s(x)");
	check("CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC a; END; x;", "s(CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC a; END)s(x)");
	check("begin; x; end; create table begins (begin int); y;", "s(begin)s(x)s(end)s(create table begins (begin int))s(y)");
	check("fail;x;", "s(fail)!told to");
}

static void test_rows(void **state)
{
	(void)state;
	check("copy a from stdin;\n1\t;\n\\N\t'\n\\.\nx;", "s(copy a from stdin)r(1\t;\n\\N\t'\n)s(x)");
	check("copy a from stdin; -- here\n\\.\n", "s(copy a from stdin)r()");
	check("copy a from stdin;\n\\.x\n\\\\.\n.\n\\.\r\nx;", "s(copy a from stdin)r(\\.x\n\\\\.\n.\n)s(x)");
	check("copy a from stdin;\nb\n\\.", "s(copy a from stdin)r(b\n)");
	check("copy a from stdin;\n\\.\ncopy b from stdin;\n\\! id\n\\.\n", "s(copy a from stdin)r()s(copy b from stdin)r(\\! id\n)");
}

static void test_commands(void **state)
{
	(void)state;
	check("\\restrict abc\nx;\n\\unrestrict abc\n", "c(\\restrict abc)s(x)c(\\unrestrict abc)");
	check("  \\! id\r\n", "c(\\! id)");
	check("x; \\! id", "s(x)c(\\! id)");
	check("-- \\! id\n/* \\! id */ select '\\! id', \"\\! id\", $$\n\\! id\n$$;", "s(select '\\! id', \"\\! id\", $$\n\\! id\n$$)");
	check("select 1 \\! id\n;", "!there is a command for psql in the middle of a statement in it");
}

static void test_cut_short(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	static const char text[] = "copy a from stdin;\nrow\n\\.\n";
	char *big = gp_alloc(arena, 1500);

	(void)state;
	check("select 1", "!it ends in the middle of a statement");
	check("select 1; -", "s(select 1)!it ends in the middle of a statement");
	check("select 1; /* ", "s(select 1)!it ends in the middle of a statement");
	check("select 'a;", "!it ends in the middle of a statement");
	check("copy a from stdin;", "s(copy a from stdin)!it ends in the middle of a table's rows");
	check("copy a from stdin;\nrow\n", "s(copy a from stdin)r(row\n~!it ends in the middle of a table's rows");
	for (size_t len = 1; len < sizeof(text) - 2; len++)
		assert_true(strchr(cut(arena, text, len, 3), '!') || len == strlen("copy a from stdin;\nrow\n\\."));
	assert_non_null(strstr(cut(arena, "select \0;", 9, 9), "!there is a NUL byte"));
	memset(big, 'x', 1499);
	assert_string_equal(cut(arena, big, 1499, 100), "!a statement in it is longer than 0 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
