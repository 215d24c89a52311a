/* A backup's manifest: what was written is read again; whatever else lies there is no manifest, and is told so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/manifest.h"
#include "sys/account.h"
#include "sys/fs.h"

#include "../scratch.h"

#define FILE_NAME "acme_db_20260131T031500Z.sql.gz"
#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static struct gp_arena *arena;
static struct gp_account me;
static struct gp_error err;
static int folder;

static int begin(void **state)
{
	if (scratch_begin(state) < 0)
		return -1;
	arena = gp_arena_new();
	memset(&err, 0, sizeof(err));
	folder = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return gp_account_find(arena, gp_account_name(arena, geteuid()), &me, NULL) == 1 ? 0 : -1;
}

static int finish(void **state)
{
	close(folder);
	gp_arena_free(arena);
	return scratch_end(state);
}

static struct gp_manifest example(void)
{
	static struct gp_table_rows tables[] = { { "\"Shop\".\"a\"\"b\"", 0 }, { "public.page", 1234567890123 } };
	struct gp_manifest m = { .file = FILE_NAME, .sha256 = DIGEST, .bytes = 364ULL << 20, .sql_bytes = 5ULL << 30, .at = "2026-01-31T03:15:00Z",
		.verified = "2026-01-31T03:15:12Z", .ms = 12345, .reason = GP_BACKUP_DEPLOY, .site = "acme", .database = "acme",
		.server = "15.20 (Debian 15.20-0+deb12u1)", .client = "15.20", .server_number = 150020, .release = "20260131T000000Z-0123abc",
		.tables = { .v = tables, .n = 2 } };

	gp_strv_add(arena, &m.migrations, "auth.0001_initial");
	gp_strv_add(arena, &m.migrations, "../etc.passwd"); /* the database said so; it is no migration's name */
	return m;
}

static void test_there_and_back(void **state)
{
	struct gp_manifest m = example(), back;
	const char *why = "";

	(void)state;
	assert_int_equal(gp_manifest_read(arena, folder, FILE_NAME, &back, &err), 0);
	for (int again = 0; again < 2; again++)
		assert_int_equal(gp_manifest_write(arena, folder, &m, &me, &err), 0);
	assert_int_equal(entries(scratch), 1);
	assert_int_equal(mode_of(at(FILE_NAME ".json")), 0600);
	assert_int_equal(gp_manifest_read(arena, folder, FILE_NAME, &back, &err), 1);
	assert_string_equal(back.file, m.file);
	assert_string_equal(back.sha256, m.sha256);
	assert_true(back.bytes == m.bytes && back.sql_bytes == m.sql_bytes && back.ms == m.ms && back.reason == m.reason);
	assert_string_equal(back.at, m.at);
	assert_string_equal(back.verified, m.verified);
	assert_string_equal(back.site, m.site);
	assert_string_equal(back.database, m.database);
	assert_string_equal(back.server, m.server);
	assert_string_equal(back.client, m.client);
	assert_int_equal(back.server_number, m.server_number);
	assert_string_equal(back.release, m.release);
	assert_int_equal(back.migrations.n, 1);
	assert_string_equal(back.migrations.v[0], "auth.0001_initial");
	assert_true(gp_tables_same(arena, &back.tables, &m.tables, &why));
	assert_false(back.tables.partial);
}

/* A database that is no UTF-8 has names that JSON cannot have. */
static void test_other_encoding(void **state)
{
	struct gp_table_rows tables[] = { { "public.\"caf\xe9\"", 1 }, { "public.page", 2 } };
	struct gp_manifest m = example(), back;

	(void)state;
	m.tables = (struct gp_tables){ .v = tables, .n = 2 };
	assert_int_equal(gp_manifest_write(arena, folder, &m, &me, &err), 0);
	assert_int_equal(gp_manifest_read(arena, folder, FILE_NAME, &back, &err), 1);
	assert_int_equal(back.tables.n, 1);
	assert_true(back.tables.partial);
}

/* The good one's text with one piece of it replaced. */
static void check_replaced(const char *from, const char *to)
{
	struct gp_manifest m = example(), back;
	const char *text, *found;

	assert_int_equal(gp_manifest_write(arena, folder, &m, &me, &err), 0);
	text = said(at(FILE_NAME ".json"));
	found = strstr(text, from);
	assert_non_null(found);
	put(at(FILE_NAME ".json"), gp_sprintf(arena, "%.*s%s%s", (int)(found - text), text, to, found + strlen(from)));
	memset(&err, 0, sizeof(err));
	assert_int_equal(gp_manifest_read(arena, folder, FILE_NAME, &back, &err), -1);
	assert_non_null(strstr(err.msg, "the manifest " FILE_NAME ".json: it is "));
}

static void test_wrong_values(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "\"v\": 1", "\"v\": 2" },
		{ "\"v\": 1,", "" },
		{ "\"v\": 1", "\"v\": 1, \"v\": 1" },
		{ FILE_NAME, "acme_db_20260131T031501Z.sql.gz" },
		{ FILE_NAME, "../../etc/passwd" },
		{ DIGEST, "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ DIGEST, "ba78" },
		{ "\"bytes\": 381681664", "\"bytes\": -1" },
		{ "\"bytes\": 381681664", "\"bytes\": 1e3" },
		{ "\"bytes\": 381681664", "\"bytes\": 99999999999999999999" },
		{ "\"ms\": 12345", "\"ms\": \"12345\"" },
		{ "150020", "2147483648" },
		{ "2026-01-31T03:15:00Z", "yesterday" },
		{ "2026-01-31T03:15:12Z", "2026-01-31T03:15:12Z " },
		{ "\"deploy\"", "\"because\"" },
		{ "\"deploy\"", "null" },
		{ "20260131T000000Z-0123abc", "../../x" },
		{ "\"acme\"", "\"\\u001b[2J\"" },
		{ "\"acme\"", "\"a\\u0000\"" },
		{ "\"auth.0001_initial\"", "\"/etc/passwd\"" },
		{ "\"auth.0001_initial\"", "7" },
		{ "1234567890123", "-5" },
		{ "1234567890123", "{}" },
		{ "}", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_replaced(cases[i].from, cases[i].to);
}

static void check_bytes(const void *data, size_t len)
{
	struct gp_manifest back;

	put_bytes(at(FILE_NAME ".json"), data, len, 0600);
	memset(&err, 0, sizeof(err));
	assert_int_equal(gp_manifest_read(arena, folder, FILE_NAME, &back, &err), -1);
	assert_true(*err.msg);
}

static void test_no_manifest(void **state)
{
	enum { HUGE = (8 << 20) + 1 };
	char *much = gp_alloc(arena, HUGE);
	struct gp_manifest back;

	(void)state;
	check_bytes("", 0);
	check_bytes("\0\0\0", 3);
	check_bytes("[]", 2);
	check_bytes("{}", 2);
	memset(much, ' ', HUGE);
	check_bytes(much, HUGE);
	assert_non_null(strstr(err.msg, "too large"));
	memset(much, '[', HUGE - 1); /* deep */
	check_bytes(much, HUGE - 1);
	for (int i = 0; i < HUGE - 5; i += 5)
		memcpy(much + i, "{\"a\":", 5);
	check_bytes(much, HUGE - 1);

	/* No link is followed, nothing is waited for. */
	unlink(at(FILE_NAME ".json"));
	put(at("elsewhere"), "{}");
	assert_int_equal(symlink(at("elsewhere"), at(FILE_NAME ".json")), 0);
	assert_int_equal(gp_manifest_read(arena, folder, FILE_NAME, &back, &err), -1);
	unlink(at(FILE_NAME ".json"));
	assert_int_equal(mkfifo(at(FILE_NAME ".json"), 0600), 0);
	assert_int_equal(gp_manifest_read(arena, folder, FILE_NAME, &back, &err), -1);
	assert_non_null(strstr(err.msg, "no file"));
}

static void test_nowhere_to_write(void **state)
{
	struct gp_manifest m = example();
	GP_AUTO_FD none = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(gp_manifest_write(arena, none, &m, &me, &err), -1);
	assert_non_null(strstr(err.msg, "the manifest " FILE_NAME ".json: "));
	/* A folder of the part's name is somebody's idea of a joke. */
	assert_int_equal(mkdir(at(".goldpath-manifest.part"), 0755), 0);
	assert_int_equal(gp_manifest_write(arena, folder, &m, &me, &err), -1);
	assert_int_equal(entries(scratch), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_other_encoding),
		TEST(test_wrong_values),
		TEST(test_no_manifest),
		TEST(test_nowhere_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
