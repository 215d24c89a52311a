/* Counting a dump: the rows of each table, the migrations, the versions, and whether it is whole; the same whatever the pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/dumpcount.h"
#include "base/error.h"

#define HEAD "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)\n" \
	     "-- Dumped by pg_dump version 17.6\n\nSET statement_timeout = 0;\n"
#define TAIL "--\n-- PostgreSQL database dump complete\n--\n\n"

#define OLD "--\n-- Dumped from database version 9.6.24\n--\n"

static struct gp_arena *arena;
static struct gp_error err;

static int begin(void **state)
{
	(void)state;
	arena = gp_arena_new();
	memset(&err, 0, sizeof(err));
	return 0;
}

static int finish(void **state)
{
	(void)state;
	gp_arena_free(arena);
	return 0;
}

static int count_in(const char *text, size_t len, size_t piece, struct gp_dumped *ret)
{
	struct gp_dumpcount *c = gp_dumpcount_new(arena);
	int result = 0;

	for (size_t at = 0; at < len && result == 0; at += piece)
		result = gp_dumpcount_feed(c, text + at, len - at < piece ? len - at : piece, &err);
	if (result == 0)
		result = gp_dumpcount_end(c, ret, &err);
	gp_dumpcount_free(c);
	return result;
}

/* "public.page=2 …; app.0001 …", the same for pieces of any length. */
static void check(const char *body, const char *want)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 16, 17, 1000, 100000 };
	const char *text = gp_sprintf(arena, HEAD "%s" TAIL, body);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct gp_dumped d;
		const char *said = "";
		uint64_t rows = 0;

		assert_int_equal(count_in(text, strlen(text), pieces[i], &d), 0);
		for (size_t k = 0; k < d.tables.n; k++) {
			said = gp_sprintf(arena, "%s%s%s=%d", said, k ? " " : "", d.tables.v[k].name, (int)d.tables.v[k].rows);
			rows += d.tables.v[k].rows;
		}
		if (d.migrations.n)
			said = gp_sprintf(arena, "%s; %s", said, gp_strv_join(arena, &d.migrations, " "));
		assert_string_equal(said, want);
		assert_int_equal(d.rows, rows);
		assert_int_equal(d.bytes, strlen(text));
		assert_int_equal(d.copies, d.tables.n > 0);
	}
}

static void test_rows(void **state)
{
	(void)state;
	check("", "");
	check("COPY public.page (id, title) FROM stdin;\n1\ta\n2\tb\n\\.\n\n\nSELECT 1;\n", "public.page=2");
	check("COPY public.page (id) FROM stdin;\n\\.\n", "public.page=0");
	check("COPY public.b (id) FROM stdin;\n1\n\\.\nCOPY public.a (id) FROM stdin;\n\\N\n\\N\n\\N\n\\.\n", "public.a=3 public.b=1");
	/* A table with no columns, and rows that are empty; what looks like an end in the middle of a line. */
	check("COPY public.e  FROM stdin;\n\n\n\\.\nCOPY public.x (t) FROM stdin;\na\\.\nb\\\\.\n\\.\n", "public.e=2 public.x=2");
	check("COPY public.x (t) FROM stdin;\nCOPY public.y (t) FROM stdin;\n-- PostgreSQL database dump complete\n\\.\n", "public.x=2");
	check("INSERT INTO public.x VALUES ('COPY public.z (t) FROM stdin;\n1\n\\.\n');\n", "");
	check("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\nCOPY public.z (t) FROM stdin;\n$$;\n", "");
	check("COPY public.x (id) FROM stdin;\n1\n\\.\nCOPY public.x (id) FROM stdin;\n2\n\\.\n", "public.x=2");
	check("COPY public.x (id) TO stdout;\nCOPY (select 1) TO stdout;\nCOPY public.x FROM '/etc/passwd';\n", "");
}

static void test_names(void **state)
{
	(void)state;
	check("COPY public.\"user\" (id) FROM stdin;\n1\n\\.\n", "public.user=1");
	check("COPY \"Shop\".\"a.b\"\"c\" (\"x)y\", \"from\") FROM stdin;\n1\n\\.\n", "\"Shop\".\"a.b\"\"c\"=1");
	check("SET search_path = shop, pg_catalog;\nCOPY page (id) FROM stdin;\n1\n\\.\n", "shop.page=1");
	check("copy Page from STDIN;\n1\n\\.\n", "public.page=1");
	assert_string_equal(gp_table_name(arena, "public", "page_2"), "public.page_2");
	assert_string_equal(gp_table_name(arena, "Public", "2page"), "\"Public\".\"2page\"");
	assert_string_equal(gp_table_name(arena, "", "caf\xc3\xa9"), "\"\".\"caf\xc3\xa9\"");
}

static void test_migrations(void **state)
{
	(void)state;
	check("COPY public.django_migrations (id, app, name, applied) FROM stdin;\n1\tauth\t0001_initial\t2026\n2\tshop\t0002_x\t2026\n\\.\n",
		"public.django_migrations=2; auth.0001_initial shop.0002_x");
	check("COPY public.django_migrations (name, id, app) FROM stdin;\n0001_initial\t1\tauth\n\\.\n", "public.django_migrations=1; auth.0001_initial");
	/* What no migration is called is left out: an escape, a path, nothing, a null. */
	check("COPY public.django_migrations (id, app, name) FROM stdin;\n1\ta\\tb\tx\n2\t../a\tx\n3\t\t\n4\ta\t\\N\n5\n\\.\n", "public.django_migrations=5");
	/* That of another schema is another site's, or nobody's. */
	check("COPY old.django_migrations (id, app, name) FROM stdin;\n1\tauth\t0001\n\\.\n", "old.django_migrations=1");
	check("COPY public.django_migrations (id, app) FROM stdin;\n1\tauth\n\\.\n", "public.django_migrations=1");
}

static void test_long_lines(void **state)
{
	char *line = gp_alloc(arena, 100001);

	(void)state;
	memset(line, 'x', 100000);
	check(gp_sprintf(arena, "COPY public.django_migrations (id, app, name, x) FROM stdin;\n1\ta\tb\t%s\n2\tc\td\te\n\\.\nSELECT '%s';\n", line, line),
		"public.django_migrations=2; c.d");
}

static void test_versions(void **state)
{
	struct gp_dumped d;

	(void)state;
	assert_int_equal(count_in(HEAD TAIL, strlen(HEAD TAIL), 5, &d), 0);
	assert_string_equal(d.server, "15.20 (Debian 15.20-0+deb12u1)");
	assert_string_equal(d.client, "17.6");
	assert_int_equal(d.server_number, 150020);
	assert_int_equal(d.client_number, 170006);
	assert_int_equal(count_in("\n" TAIL, strlen("\n" TAIL), 5, &d), 0);
	assert_string_equal(d.server, "");
	assert_int_equal(d.server_number, 0);
	assert_int_equal(count_in(OLD TAIL, strlen(OLD TAIL), 5, &d), 0);
	assert_int_equal(d.server_number, 90624);
}

static void test_cut_short(void **state)
{
	static const char text[] = HEAD "CREATE TABLE public.x (a text DEFAULT 'a;b');\nCOPY public.x (a) FROM stdin;\n1\n2\n\\.\nSELECT 1;\n" TAIL;
	size_t whole = (size_t)(strstr(text, "complete") - text) + strlen("complete");
	struct gp_dumped d;

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		bool ends = len >= whole && !(text[len - 1] == '-' && text[len - 2] == '\n'); /* half of a comment's mark is half of something */

		memset(&err, 0, sizeof(err));
		assert_int_equal(count_in(text, len, 1000, &d), ends ? 0 : -1);
		assert_true(ends || *err.msg);
	}
}

static void test_no_dump(void **state)
{
	static const char nul[] = "\0\0\0\0";
	struct gp_dumped d;

	(void)state;
	assert_int_equal(count_in(nul, 4, 4, &d), -1);
	assert_non_null(strstr(err.msg, "NUL"));
	assert_int_equal(count_in("SELECT 1;\n", 10, 10, &d), -1);
	assert_non_null(strstr(err.msg, "closing line"));
	/* After a table's rows a closing line within them is none. */
	assert_int_equal(count_in("COPY x FROM stdin;\n" TAIL, strlen("COPY x FROM stdin;\n" TAIL), 10, &d), -1);
	assert_non_null(strstr(err.msg, "rows"));
}

/* More tables than are kept in mind: all rows are counted, and it is said. */
static void test_many_tables(void **state)
{
	struct gp_dumpcount *c = gp_dumpcount_new(arena);
	struct gp_dumped d;
	uint64_t rows;

	(void)state;
	for (int i = 0; i < 65600; i++) {
		char text[80];
		int len = snprintf(text, sizeof(text), "COPY public.t%d (a) FROM stdin;\n1\n\\.\n", i);

		assert_int_equal(gp_dumpcount_feed(c, text, (size_t)len, &err), 0);
	}
	assert_int_equal(gp_dumpcount_feed(c, TAIL, strlen(TAIL), &err), 0);
	assert_int_equal(gp_dumpcount_end(c, &d, &err), 0);
	gp_dumpcount_free(c);
	assert_int_equal(d.tables.n, 65536);
	assert_true(d.tables.partial);
	assert_int_equal(d.rows, 65600);
	assert_true(gp_tables_find(&d.tables, "public.t777", &rows));
	assert_int_equal(rows, 1);
	assert_false(gp_tables_find(&d.tables, "public.t65599", &rows));
}

static void test_same(void **state)
{
	struct gp_table_rows a[] = { { "p.a", 1 }, { "p.b", 2 } }, b[] = { { "p.a", 1 }, { "p.b", 3 } };
	const struct gp_tables one = { .v = a, .n = 2 }, two = { .v = b, .n = 2 }, first = { .v = a, .n = 1 }, none = { 0 };
	const char *why = NULL;

	(void)state;
	assert_true(gp_tables_same(arena, &one, &one, &why));
	assert_true(gp_tables_same(arena, &none, &none, &why));
	assert_null(why);
	assert_false(gp_tables_same(arena, &one, &two, &why));
	assert_string_equal(why, "p.b: 2 rows, not 3");
	assert_false(gp_tables_same(arena, &first, &one, &why));
	assert_string_equal(why, "p.b is missing");
	assert_false(gp_tables_same(arena, &one, &none, &why));
	assert_string_equal(why, "p.a should not be there");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, begin, finish),
		cmocka_unit_test_setup_teardown(test_names, begin, finish),
		cmocka_unit_test_setup_teardown(test_migrations, begin, finish),
		cmocka_unit_test_setup_teardown(test_long_lines, begin, finish),
		cmocka_unit_test_setup_teardown(test_versions, begin, finish),
		cmocka_unit_test_setup_teardown(test_cut_short, begin, finish),
		cmocka_unit_test_setup_teardown(test_no_dump, begin, finish),
		cmocka_unit_test_setup_teardown(test_many_tables, begin, finish),
		cmocka_unit_test_setup_teardown(test_same, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
