/* What a release says of itself is read as what a stranger wrote: strictly, bounded, and nothing in it draws on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/django.h"

static int read_text(struct gp_arena *arena, const char *text, struct gp_django *ret, struct gp_error *err)
{
	return gp_django_read(arena, text, strlen(text), NULL, ret, err);
}

static void test_whole(void **state)
{
	static const char text[] =
		"{\"v\":1,\"ok\":true,\"part\":\"collectstatic\",\"warnings\":3,\"known\":[\"shop.0001_initial\",\"shop.0002_x\"],"
		"\"applied\":[\"shop.0001_initial\",\"a\u00e4.0001\"],\"replaces\":{\"shop.0002_x\":[\"shop.0002_a\",\"shop.0002_b\"]},"
		"\"pending\":[{\"app\":\"shop\",\"name\":\"0002_x\",\"reversible\":false,\"atomic\":true,\"dangers\":["
		"{\"kind\":\"remove_field\",\"on\":\"shop.Product.price\"},{\"kind\":\"unknown\",\"on\":\"\"}]}],"
		"\"static\":\"1 static file copied\",\"more\":[]}";
	static const char *const needs[] = { "known", "pending", NULL };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_django django;

	(void)state;
	assert_int_equal(gp_django_read(arena, text, strlen(text), needs, &django, &err), 0);
	assert_true(django.ok);
	assert_true(django.applied_known);
	assert_null(django.refused);
	assert_string_equal(django.part, "collectstatic");
	assert_int_equal(django.warnings, 3);
	assert_int_equal(django.known.n, 2);
	assert_string_equal(django.applied.v[1], "a\u00e4.0001");
	assert_int_equal(django.squashed_count, 1);
	assert_string_equal(django.squashed[0].replaces.v[1], "shop.0002_b");
	assert_int_equal(django.pending.n, 1);
	assert_string_equal(django.pending.v[0].name, "shop.0002_x");
	assert_false(django.pending.v[0].reversible);
	assert_true(django.pending.v[0].atomic);
	assert_int_equal(django.pending.v[0].danger_count, 2);
	assert_string_equal(gp_danger_words(arena, &django.pending.v[0].dangers[0]), "takes away the field shop.Product.price");
	assert_non_null(strstr(gp_danger_words(arena, &django.pending.v[0].dangers[1]), "(something)"));
	assert_string_equal(django.collected, "1 static file copied");
	assert_int_equal(django.back.n, 0);
}

static void test_what_the_app_answered(void **state)
{
	static const char *const needs[] = { "http", NULL };
	static const char *const bad[] = { "\"http\":\"200\",\"body\":\"\",\"location\":\"\"", "\"http\":20,\"body\":\"\",\"location\":\"\"",
		"\"http\":600,\"body\":\"\",\"location\":\"\"", "\"http\":200,\"location\":\"\"", "\"http\":200,\"body\":\"\"",
		"\"http\":200,\"body\":{},\"location\":\"\"", "\"body\":\"\",\"location\":\"\"" };
	static const char text[] = "{\"v\":1,\"ok\":true,\"http\":503,\"body\":\"{\\\"status\\\"\",\"location\":\"/x\"}";
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_django django;

	(void)state;
	assert_int_equal(gp_django_read(arena, text, strlen(text), needs, &django, &err), 0);
	assert_int_equal(django.http, 503);
	assert_string_equal(django.body, "{\"status\"");
	assert_string_equal(django.location, "/x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *whole = gp_sprintf(arena, "{\"v\":1,\"ok\":true,%s}", bad[i]);

		if (gp_django_read(arena, whole, strlen(whole), needs, &django, &err) != -1)
			fail_msg("%s", whole);
	}
}

static void test_failed_part_way(void **state)
{
	static const char *const needs[] = { "known", NULL };
	static const char text[] = "{\"v\":1,\"ok\":false,\"part\":\"start\",\"refused\":\"shop.0002 cannot be reversed\"}";
	static const char done[] = "{\"v\":1,\"ok\":true,\"part\":\"start\"}";
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_django django;

	(void)state;
	assert_int_equal(gp_django_read(arena, text, strlen(text), needs, &django, &err), 0);
	assert_false(django.ok);
	assert_false(django.applied_known);
	assert_string_equal(django.refused, "shop.0002 cannot be reversed");
	/* only a failure may leave something out */
	assert_int_equal(gp_django_read(arena, done, strlen(done), needs, &django, &err), -1);
	assert_non_null(strstr(err.msg, "'known'"));
}

#define MIGRATION(fields) "{\"v\":1,\"ok\":true,\"pending\":[{" fields "}]}"

static void test_refused(void **state)
{
	static const char *const cases[] = {
		"", "null", "[]", "1", "\"text\"", "{", "{}", "{\"ok\":true}", "{\"v\":1}", "{\"v\":2,\"ok\":true}", "{\"v\":\"1\",\"ok\":true}",
		"{\"v\":1,\"ok\":1}",
		"{\"v\":1,\"ok\":false,\"ok\":true}",
		"{\"v\":1,\"ok\":true} more",
		"{\"v\":1,\"ok\":true,\"warnings\":-1}", "{\"v\":1,\"ok\":true,\"warnings\":1e3}", "{\"v\":1,\"ok\":true,\"warnings\":9999999}",
		"{\"v\":1,\"ok\":true,\"part\":7}", "{\"v\":1,\"ok\":true,\"static\":[]}",
		"{\"v\":1,\"ok\":true,\"known\":{}}", "{\"v\":1,\"ok\":true,\"known\":[1]}", "{\"v\":1,\"ok\":true,\"known\":\"a.b\"}",
		"{\"v\":1,\"ok\":true,\"known\":[\"a\"]}", "{\"v\":1,\"ok\":true,\"known\":[\"a.b.c\"]}", "{\"v\":1,\"ok\":true,\"known\":[\".b\"]}",
		"{\"v\":1,\"ok\":true,\"known\":[\"a.\"]}", "{\"v\":1,\"ok\":true,\"known\":[\"a/b.c\"]}", "{\"v\":1,\"ok\":true,\"known\":[\"a.b/c\"]}",
		"{\"v\":1,\"ok\":true,\"applied\":[\"a.\\u001b[2J\"]}", "{\"v\":1,\"ok\":true,\"applied\":[\"a.b\\nc\"]}",
		"{\"v\":1,\"ok\":true,\"applied\":[\"a.b\\u0000\"]}", "{\"v\":1,\"ok\":true,\"applied\":[\"a.\\u202eb\"]}",
		"{\"v\":1,\"ok\":true,\"applied\":[\"a.\\u009b1m\"]}", "{\"v\":1,\"ok\":true,\"applied\":[\"a.b`c\"]}",
		"{\"v\":1,\"ok\":true,\"applied\":[\"a.\xff\"]}", "{\"v\":1,\"ok\":true,\"applied\":[\"a.\\ud800\"]}",
		"{\"v\":1,\"ok\":true,\"replaces\":[]}", "{\"v\":1,\"ok\":true,\"replaces\":{\"a\":[]}}", "{\"v\":1,\"ok\":true,\"replaces\":{\"a.b\":\"c.d\"}}",
		"{\"v\":1,\"ok\":true,\"pending\":{}}", "{\"v\":1,\"ok\":true,\"pending\":[\"a.b\"]}", MIGRATION(""),
		MIGRATION("\"app\":\"a\",\"name\":\"b\",\"reversible\":true,\"atomic\":true"),
		MIGRATION("\"app\":\"a\",\"name\":\"b\",\"reversible\":1,\"atomic\":true,\"dangers\":[]"),
		MIGRATION("\"app\":\"a.x\",\"name\":\"b\",\"reversible\":true,\"atomic\":true,\"dangers\":[]"),
		MIGRATION("\"app\":\"a\",\"name\":\"b.c\",\"reversible\":true,\"atomic\":true,\"dangers\":[]"),
		MIGRATION("\"app\":\"a\",\"name\":\"b\",\"reversible\":true,\"atomic\":true,\"dangers\":[1]"),
		MIGRATION("\"app\":\"a\",\"name\":\"b\",\"reversible\":true,\"atomic\":true,\"dangers\":[{\"kind\":\"nice\",\"on\":\"\"}]"),
		MIGRATION("\"app\":\"a\",\"name\":\"b\",\"reversible\":true,\"atomic\":true,\"dangers\":[{\"kind\":\"unique\",\"on\":1}]"),
		"{\"v\":1,\"ok\":true,\"back\":[{}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_error err = { 0 };
		struct gp_django django;

		if (read_text(arena, cases[i], &django, &err) == 0)
			fail_msg("read: %s", cases[i]);
		assert_int_equal(err.kind, GP_E_FAILED);
		assert_non_null(strstr(err.msg, "cannot be read"));
	}
}

static void test_tamed(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_django django;

	(void)state;
	assert_int_equal(read_text(arena, "{\"v\":1,\"ok\":false,\"part\":\"a\\u001b[2J\",\"static\":\"one\\ntwo\\u202e\",\"refused\":\"\\u009b\"}",
		&django, &err), 0);
	assert_string_equal(django.part, "a?[2J");
	assert_string_equal(django.collected, "one?two???");
	assert_string_equal(django.refused, "??");
}

static void test_bounds(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF many = { 0 };
	GP_AUTO_BUF deep = { 0 };
	struct gp_error err = { 0 };
	struct gp_django django;
	int64_t start = gp_mono_ms();
	char name[2100];

	(void)state;
	gp_buf_puts(&many, "{\"v\":1,\"ok\":true,\"known\":[\"a.b\"");
	for (int i = 0; i < 20000; i++)
		gp_buf_puts(&many, ",\"a.b\"");
	gp_buf_puts(&many, "]}");
	assert_int_equal(read_text(arena, gp_buf_str(&many), &django, &err), -1);
	while (deep.len < 1 << 20)
		gp_buf_puts(&deep, "{\"known\":");
	assert_int_equal(read_text(arena, gp_buf_str(&deep), &django, &err), -1);
	memset(name, 'a', sizeof(name));
	name[1020] = '.';
	name[1020 + 1021] = '\0';
	assert_true(gp_migration_name_ok(name));
	name[1020 + 1021] = 'a';
	name[1020 + 1022] = '\0';
	assert_false(gp_migration_name_ok(name));
	assert_true(gp_mono_ms() - start < 5000);
}

static struct gp_strv list(struct gp_arena *arena, const char *words)
{
	return gp_words(arena, words);
}

static void test_ahead(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_squashed squashed = { .name = "a.0001_squashed", .replaces = list(arena, "a.0001 a.0002") };
	struct gp_django now = { .applied = list(arena, "a.0001 a.0002 a.0001_squashed b.0001"), .squashed = &squashed, .squashed_count = 1 };
	static const struct {
		const char *keep, *ahead;
	} cases[] = {
		{ "a.0001 a.0002 b.0001", "" },      /* the squashed one stands for what is kept */
		{ "a.0001 a.0002", "b.0001" },
		{ "a.0001 b.0001", "a.0002 a.0001_squashed" },
		{ "a.0001_squashed", "a.0001 a.0002 b.0001" },
		{ "", "a.0001 a.0002 a.0001_squashed b.0001" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_strv keep = list(arena, cases[i].keep), ahead = gp_django_ahead(arena, &now, &keep);

		assert_string_equal(gp_strv_join(arena, &ahead, " "), cases[i].ahead);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_what_the_app_answered),
		cmocka_unit_test(test_failed_part_way),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_tamed),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
