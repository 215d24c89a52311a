/* A backup and the list of them, with a pg_dump that does as it is told: what is there when all is well, and that else nothing is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/backup.h"
#include "ops/backups.h"
#include "ops/deploy.h"
#include "ops/releases.h"
#include "sys/digest.h"
#include "sys/fs.h"

#include "../fake_pg_dump.h"
#include "../scratch.h"

#define BACKUPS "sites/acme/backups"

static struct gp_arena *arena;
static struct gp_ctx ctx;
static struct gp_deploy d;
static struct gp_error err;

static int begin(void **state)
{
	static const char *const folders[] = { "state", "state/acme", "state/acme/releases", "sites", "sites/acme", "sites/acme/releases",
		BACKUPS };

	if (scratch_begin(state) < 0)
		return -1;
	arena = gp_arena_new();
	gp_ctx_init(&ctx, arena);
	ctx.state_dir = gp_strdup(arena, at("state"));
	ctx.sites_dir = gp_strdup(arena, at("sites"));
	memset(&err, 0, sizeof(err));
	memset(&fake, 0, sizeof(fake));
	d = (struct gp_deploy){ .ctx = &ctx, .paths = gp_site_paths(&ctx, "acme"), .site = { .slug = "acme", .database = { .name = "acme",
		.host = "127.0.0.1", .port = 5432 }, .backup = { 7, 4, 6, 3 } } };
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdir(at("%s", folders[i]), 0755) < 0)
			return -1;
	return gp_account_find(arena, gp_account_name(arena, geteuid()), &d.account, NULL) == 1 ? 0 : -1;
}

static int finish(void **state)
{
	gp_arena_free(arena);
	return scratch_end(state);
}

static void ok(int result)
{
	if (result < 0)
		fail_msg("%s", err.msg);
}

static void fails_with(const char *words)
{
	struct gp_backup backup;

	memset(&err, 0, sizeof(err));
	assert_int_equal(gp_backup_run(&d, GP_BACKUP_BY_HAND, &backup, &err), -1);
	if (!strstr(err.msg, words))
		fail_msg("%s", err.msg);
}

static struct gp_backup_list list(void)
{
	struct gp_backup_list all;

	ok(gp_backups_list(&ctx, &d.paths, "acme", &all, &err));
	return all;
}

/* A backup as it would have been made at another time. */
static const char *made_at(const char *stamp, const char *text)
{
	const char *name = gp_sprintf(arena, "acme_db_%s.sql.gz", stamp);
	struct gp_manifest m = { .file = name, .sha256 = gp_sha256(arena, text, strlen(text)), .bytes = strlen(text), .at = "2026-01-31T03:15:00Z",
		.verified = "2026-01-31T03:15:12Z", .site = "acme", .database = "acme", .server = "15.20", .client = "15.20", .release = "" };
	GP_AUTO_FD folder = open(at(BACKUPS), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	put(at(BACKUPS "/%s", name), text);
	ok(gp_manifest_write(arena, folder, &m, &d.account, &err));
	return name;
}

static void test_all_well(void **state)
{
	struct gp_backup backup;
	struct gp_backup_list all;
	const char *file;
	uint64_t rows;
	size_t len;

	(void)state;
	ok(gp_backup_run(&d, GP_BACKUP_DEPLOY, &backup, &err));
	assert_int_equal(entries(at(BACKUPS)), 2);
	assert_int_equal(mode_of(backup.path), 0600);
	assert_int_equal(gp_fs_read(arena, backup.path, 4096, &file, &len, NULL), 1);
	assert_string_equal(backup.manifest.sha256, gp_sha256(arena, file, len));
	assert_int_equal(backup.manifest.bytes, len);
	assert_int_equal(backup.manifest.sql_bytes, strlen(FAKE_DUMP));
	assert_string_equal(backup.manifest.server, "15.20 (Debian 15.20-0+deb12u1)");
	assert_int_equal(backup.manifest.server_number, 150020);
	assert_int_equal(backup.manifest.migrations.n, 1);
	assert_true(gp_tables_find(&backup.manifest.tables, "public.page", &rows));
	assert_int_equal(rows, 3);
	all = list();
	assert_int_equal(all.n, 1);
	assert_true(all.v[0].good && !all.v[0].needed);
	assert_string_equal(all.v[0].reason, "deploy");
	assert_string_equal(all.v[0].sha256, backup.manifest.sha256);
	assert_int_equal(all.v[0].rows, 4);
}

/* Names go by the second, and each has its own. */
static void test_many_in_a_second(void **state)
{
	struct gp_backup backup;

	(void)state;
	for (int i = 0; i < 5; i++)
		ok(gp_backup_run(&d, GP_BACKUP_BY_HAND, &backup, &err));
	assert_int_equal(list().n, 5);
	assert_int_equal(entries(at(BACKUPS)), 10);
}

static void test_pg_dump_fails(void **state)
{
	(void)state;
	fake.fails = "server closed the connection unexpectedly";
	for (int i = 0; i < 2; i++) {
		fake.dump = i ? "" : NULL; /* all written, or nothing */
		fails_with("dump database acme: pg_dump exited with status 1: server closed");
		assert_int_equal(entries(at(BACKUPS)), 0);
	}
}

/* What is wrong stands first, and the statement behind it names every table: that is shown in part. */
static void test_pg_dump_says_much(void **state)
{
	static const struct {
		const char *first, *then, *says, *hint;
	} cases[] = {
		{ "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n", "pg_dump: detail: Query was: ",
			"dump database acme: a table of the database is locked by somebody for longer than 30 s", "pg_locks" },
		{ "pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout\n", "pg_dump: error: query was: ",
			"dump database acme: a table of the database is locked by somebody for longer than 30 s", "pg_locks" },
		{ "pg_dump: [archiver (db)] query failed: ERROR:  canceling statement due to statement timeout\n",
			"pg_dump: [archiver (db)] query was: ", "is locked by somebody", "pg_locks" },
		{ "pg_dump: warning: no matter\npg_dump: error: query failed: ERROR:  permission denied for table t1\n", "pg_dump: detail: Query was: ",
			"dump database acme: pg_dump exited with status 1: query failed: ERROR:  permission denied for table t1", "" },
	};
	enum { LOCKS = 100000 };
	char *lock = gp_alloc(arena, LOCKS + 1);

	(void)state;
	memcpy(lock, "LOCK TABLE ", strlen("LOCK TABLE "));
	for (size_t i = strlen("LOCK TABLE "); i < LOCKS; i++)
		lock[i] = "public.t, "[i % 10];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.fails = gp_sprintf(arena, "%s%s%s\n", cases[i].first, cases[i].then, lock);
		fails_with(cases[i].says);
		assert_non_null(strstr(err.hint, cases[i].hint));
		assert_non_null(strstr(err.detail, cases[i].first));
		assert_non_null(strstr(err.detail, "LOCK TABLE "));
		assert_true(strlen(err.detail) < 600);
	}
}

/* A pg_dump that says that all went well, and did not write all. */
static void test_cut_short(void **state)
{
	const char *whole = FAKE_DUMP;
	size_t last = (size_t)(strstr(whole, "complete") - whole) + strlen("complete");

	(void)state;
	for (size_t len = 0; len < last; len += 7) {
		fake.dump = gp_strndup(arena, whole, len);
		fails_with("dump database acme: what pg_dump wrote: ");
		assert_int_equal(entries(at(BACKUPS)), 0);
	}
}

static void test_no_database(void **state)
{
	(void)state;
	fake.gone = true;
	fails_with("there is no database acme");
	assert_int_equal(err.kind, GP_E_CONFIG);
	fake.gone = false;
	fake.down = true;
	fails_with("no Postgres answers");
	assert_int_equal(fake.runs, 0);
}

static void test_no_room(void **state)
{
	(void)state;
	fake.bytes = "9000000000000000000";
	fails_with("MiB free, and a dump of the database may need");
	/* How large the last one was says more than the size of the database, which is indexes too. */
	made_at("20260101T000000Z", "small");
	ok(gp_backup_run(&d, GP_BACKUP_BY_HAND, &(struct gp_backup){ 0 }, &err));
}

static void test_another_database_in_env(void **state)
{
	struct gp_dotenv env = { 0 };

	(void)state;
	ok(gp_dotenv_parse(arena, "DJANGO_DB_NAME=template1\n", strlen("DJANGO_DB_NAME=template1\n"), &env, &err));
	d.env = env;
	fails_with("names database template1");
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_int_equal(fake.runs, 0);
}

/* The folder is somebody else's: a link in its place, or in that of the one around it, is not followed. */
static void test_links(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("elsewhere"), 0755), 0);
	assert_int_equal(mkdir(at("elsewhere/backups"), 0755), 0);
	assert_int_equal(rmdir(at(BACKUPS)), 0);
	assert_int_equal(symlink(at("elsewhere/backups"), at(BACKUPS)), 0);
	fails_with("open folder");
	assert_int_equal(rename(at("sites/acme"), at("sites/was")), 0);
	assert_int_equal(symlink(at("elsewhere"), at("sites/acme")), 0);
	fails_with("open folder");
	assert_int_equal(entries(at("elsewhere/backups")), 0);
}

/* What runs that were killed have left goes, also where somebody has put something else under its name; what is others' stays. */
static void test_left_over(void **state)
{
	struct gp_backup backup;

	(void)state;
	put(at("theirs"), "theirs");
	put(at(BACKUPS "/.goldpath-backup.part"), "half");
	assert_int_equal(symlink(at("theirs"), at(BACKUPS "/.goldpath-manifest.part")), 0);
	put(at(BACKUPS "/acme_db_20260101T000000Z.sql.gz.json"), "{}");
	put(at(BACKUPS "/acme_db_20260101.sql.gz.json"), "{}");
	put(at(BACKUPS "/other_db_20260101T000000Z.sql.gz.json"), "{}");
	put(at(BACKUPS "/acme_db_20260102T000000Z.sql.gz"), "by the script before");
	ok(gp_backup_run(&d, GP_BACKUP_BY_HAND, &backup, &err));
	assert_string_equal(said(at("theirs")), "theirs");
	assert_int_equal(entries(at(BACKUPS)), 5);
	assert_int_equal(access(at(BACKUPS "/acme_db_20260101T000000Z.sql.gz.json"), F_OK), -1);
	assert_int_equal(access(at(BACKUPS "/acme_db_20260102T000000Z.sql.gz"), F_OK), 0);
	/* A folder is no file of ours. */
	assert_int_equal(mkdir(at(BACKUPS "/.goldpath-backup.part"), 0755), 0);
	fails_with(".goldpath-backup.part");
}

static void test_names(void **state)
{
	static const char *const wrong[] = { "", "acme_db_", "acme_db_20260101T000000Z.sql", "acme_db_20260101T000000Z.sql.gz.json",
		"acme_db_20260101T000000Z.sql.gz ", "acme_db_20261301T000000Z.sql.gz", "acme_db_2026 101T000000Z.sql.gz",
		"acme_db_20260230T000000Z.sql.gz", "acm_db_20260101T0000000Z.sql.gz", "acme-x_db_20260101T000000Z.sql.gz", "Acme_db_20260101T000000Z.sql.gz" };
	int64_t when;

	(void)state;
	assert_true(gp_backup_name_ok(arena, "acme", "acme_db_20260131T235959Z.sql.gz", &when));
	assert_string_equal(gp_rfc3339(arena, when), "2026-01-31T23:59:59Z");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (gp_backup_name_ok(arena, "acme", wrong[i], &when))
			fail_msg("%s", wrong[i]);
}

/* Whatever lies there: it is listed for what it is, and disturbs nothing. */
static void test_hostile_folder(void **state)
{
	struct gp_backup_list all;

	(void)state;
	made_at("20260105T000000Z", "good");
	put(at(BACKUPS "/acme_db_20260104T000000Z.sql.gz"), "no manifest");
	made_at("20260103T000000Z", "changed");
	put(at(BACKUPS "/acme_db_20260103T000000Z.sql.gz"), "changed since");
	made_at("20260102T000000Z", "a manifest that is none");
	put(at(BACKUPS "/acme_db_20260102T000000Z.sql.gz.json"), "\033[2J{");
	assert_int_equal(symlink("/etc/passwd", at(BACKUPS "/acme_db_20260106T000000Z.sql.gz")), 0);
	assert_int_equal(mkdir(at(BACKUPS "/acme_db_20260107T000000Z.sql.gz"), 0755), 0);
	assert_int_equal(mkfifo(at(BACKUPS "/acme_db_20260108T000000Z.sql.gz"), 0600), 0);
	all = list();
	assert_int_equal(all.n, 4);
	assert_string_equal(all.v[0].name, "acme_db_20260105T000000Z.sql.gz");
	assert_true(all.v[0].good && !*all.v[0].why);
	assert_true(!all.v[1].good && gp_streq(all.v[1].why, "no manifest"));
	assert_true(!all.v[2].good && strstr(all.v[2].why, "13 bytes long, and not 7"));
	assert_true(!all.v[3].good && strstr(all.v[3].why, "no JSON"));
}

static void test_rehearsed_and_needed(void **state)
{
	const char *one = made_at("20260105T000000Z", "one"), *two = made_at("20260104T000000Z", "two");
	struct gp_backup_list all;

	(void)state;
	put(at("state/acme/rehearsals"), gp_sprintf(arena,
		"{\"sha256\":\"%1$s\",\"at\":\"2026-01-06T00:00:00Z\",\"ms\":5,\"ok\":false,\"error\":\"no\"}\n"
		"{\"sha256\":\"%1$s\",\"at\":\"2026-01-07T00:00:00Z\",\"ms\":9,\"ok\":true}\n[]\n{\"sha256\":7}\n{\"sha256\":\"\"}\n{\"sha2",
		gp_sha256(arena, "one", 3)));
	put(at("state/acme/releases/20260104T000001Z-0123abc.json"), gp_sprintf(arena, "{\"backup\":\"/x/%s\"}", two));
	put(at("state/acme/releases/20260104T000002Z-0123abc.json"), gp_sprintf(arena, "{\"backup\":\"/x/%s\"}", one)); /* its folder is gone */
	assert_int_equal(mkdir(at("sites/acme/releases/20260104T000001Z-0123abc"), 0755), 0);
	all = list();
	assert_int_equal(all.n, 2);
	assert_true(all.v[0].rehearsed.ok && all.v[0].rehearsed.ms == 9 && !*all.v[0].rehearsed.error);
	assert_string_equal(all.v[0].rehearsed.at, "2026-01-07T00:00:00Z");
	assert_string_equal(all.v[1].rehearsed.at, "");
	assert_false(all.v[0].needed);
	assert_true(all.v[1].needed);
}

static void test_prune(void **state)
{
	const char *needed = made_at("20200104T000000Z", "needed");
	struct gp_backup backup;

	(void)state;
	made_at("20200103T000000Z", "the same month");
	put(at(BACKUPS "/acme_db_20200102T000000Z.sql.gz"), "by the script before");
	put(at("state/acme/releases/20200104T000001Z-0123abc.json"), gp_sprintf(arena, "{\"backup\":\"/x/%s\"}", needed));
	assert_int_equal(mkdir(at("sites/acme/releases/20200104T000001Z-0123abc"), 0755), 0);
	ok(gp_backup_run(&d, GP_BACKUP_BY_HAND, &backup, &err));
	d.site.backup.daily = d.site.backup.weekly = d.site.backup.monthly = 1;
	ok(gp_backups_prune(&d, &err));
	assert_int_equal(access(at(BACKUPS "/acme_db_20200103T000000Z.sql.gz"), F_OK), -1);
	assert_int_equal(access(at(BACKUPS "/acme_db_20200103T000000Z.sql.gz.json"), F_OK), -1);
	assert_int_equal(access(at(BACKUPS "/%s", needed), F_OK), 0);
	assert_int_equal(access(at(BACKUPS "/acme_db_20200102T000000Z.sql.gz"), F_OK), 0);
	assert_int_equal(access(backup.path, F_OK), 0);
	assert_int_equal(entries(at(BACKUPS)), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
	const struct CMUnitTest tests[] = {
		TEST(test_all_well),
		TEST(test_many_in_a_second),
		TEST(test_pg_dump_fails),
		TEST(test_pg_dump_says_much),
		TEST(test_cut_short),
		TEST(test_no_database),
		TEST(test_no_room),
		TEST(test_another_database_in_env),
		TEST(test_links),
		TEST(test_left_over),
		TEST(test_names),
		TEST(test_hostile_folder),
		TEST(test_rehearsed_and_needed),
		TEST(test_prune),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
