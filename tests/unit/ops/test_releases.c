/* Records of releases, what is live and where a rollback would go, and which releases pruning leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/deploy.h"
#include "ops/django.h"
#include "ops/releases.h"

#include "../ctx.h"

static struct gp_deploy d;

static int begin(void **state)
{
	if (ctx_begin(state) < 0)
		return -1;
	d = (struct gp_deploy){ .ctx = &ctx, .paths = gp_site_paths(&ctx, "acme"), .site.keep.releases = 3 };
	if (gp_account_find(arena, gp_account_name(arena, geteuid()), &d.account, NULL) != 1)
		return -1;
	for (size_t i = 0; i < 7; i++) {
		static const char *const folders[] = { "state", "state/acme", "sites", "sites/acme", "sites/acme/releases", "sites/acme/venvs",
			"sites/acme/backups" };

		if (mkdir(at("%s", folders[i]), 0755) < 0)
			return -1;
	}
	return 0;
}

/* The n-th release, by name. */
static const char *id(int n)
{
	return gp_sprintf(arena, "20260101T0000%02dZ-0123abc", n);
}

static void ok(int result)
{
	if (result < 0)
		fail_msg("%s", err.msg);
}

/* Deploy it, as far as records and folders go. */
static void make(int n, const char *result, bool folder)
{
	struct gp_deploy it = d;

	it.release = id(n);
	it.sha = "0123abc";
	it.ref = "main";
	ok(gp_release_record_note(&it, &err));
	ok(gp_release_record_finish(&it, result, &err));
	if (folder)
		assert_int_equal(mkdir(at("sites/acme/releases/%s", id(n)), 0755), 0);
}

static void go_live(int n)
{
	put(d.paths.release_env, gp_sprintf(arena, "GIT_SHA=x\nRELEASE=%s\n", id(n)));
}

#define there(format, n) (access(at(format, id(n)), F_OK) == 0)
#define FOLDER "sites/acme/releases/%s"
#define RECORD "state/acme/releases/%s.json"

static void test_names(void **state)
{
	static const char *const good[] = { "20260131T235959Z-0123456", "00000000T000000Z-abcdef0" };
	static const char *const bad[] = { "", ".", "20260131T235959Z-012345", "20260131T235959Z-01234567", "20260131T235959Z-012345g",
		"20260131 235959Z-0123456", "2026013xT235959Z-0123456", "../0131T235959Z-0123456" };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_true(gp_name_ok(GP_NAME_release, good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(gp_name_ok(GP_NAME_release, bad[i]));
}

static void test_record(void **state)
{
	const char *known[] = { "a.0001", "b.0001" }, *one[] = { "a.0001" };
	struct gp_django django = { .known = { known, 2 }, .applied = { one, 1 }, .pending.n = 1 };
	struct gp_strv after = { known, 2 }, keeps;
	struct gp_record record;
	struct gp_deploy later;
	struct stat st;

	(void)state;
	ok(gp_release_record_note(&d, &err)); /* no release yet: nothing */
	assert_int_equal(gp_release_record_read(&ctx, &d.paths, id(1), &record, &err), 0);
	d.release = id(1);
	d.sha = "0123abc";
	d.ref = "v1 \xff";
	ok(gp_release_record_note(&d, &err));
	assert_int_equal(stat(at(RECORD, id(1)), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	d.django = &django;
	d.backup = "/x/backups/b.sql.gz";
	ok(gp_release_record_note(&d, &err));
	assert_int_equal(gp_release_record_read(&ctx, &d.paths, id(1), &record, &err), 1);
	assert_string_equal(record.result, "begun");
	assert_string_equal(record.ref, "");
	assert_string_equal(record.sha, "0123abc");
	assert_string_equal(record.backup, "/x/backups/b.sql.gz");
	assert_int_equal(record.at[10], 'T');
	assert_int_equal(record.migrations.n, 2);
	assert_int_equal(record.applied_before.n, 1);
	assert_false(record.applied_after_known); /* not before `migrate` has been asked */
	d.applied_after = &after;
	ok(gp_release_record_finish(&d, "ok", &err));
	/* one who knows less later leaves what was written */
	later = (struct gp_deploy){ .ctx = &ctx, .paths = d.paths, .release = id(1), .sha = "0123abc", .ref = "v1" };
	ok(gp_release_record_finish(&later, "ok", &err));
	ok(gp_release_record_result(&ctx, &d.paths, id(1), "failed", &err));
	assert_int_equal(gp_release_record_read(&ctx, &d.paths, id(1), &record, &err), 1);
	assert_string_equal(record.result, "failed");
	assert_string_equal(record.ref, "v1");
	assert_string_equal(record.backup, "/x/backups/b.sql.gz");
	assert_int_equal(record.applied_after.n, 2);
	keeps = gp_record_keeps(&ctx, &record);
	assert_true(gp_strv_has(&keeps, "b.0001"));
	ok(gp_release_record_result(&ctx, &d.paths, id(2), "failed", &err)); /* of none: nothing */
	assert_false(there(RECORD, 2));
	put(at(RECORD, id(3)), "{\"v\":1,");
	assert_int_equal(gp_release_record_read(&ctx, &d.paths, id(3), &record, &err), -1);
	ok(gp_release_record_remove(&ctx, &d.paths, id(1), &err));
	assert_false(there(RECORD, 1));
}

static void test_live(void **state)
{
	(void)state;
	assert_null(gp_releases_live(&ctx, &d.paths));
	put(d.paths.release_env, "GIT_SHA=x\n");
	assert_null(gp_releases_live(&ctx, &d.paths));
	put(d.paths.release_env, "RELEASE=../../etc\n");
	assert_null(gp_releases_live(&ctx, &d.paths));
	go_live(1);
	assert_null(gp_releases_live(&ctx, &d.paths)); /* its folder is gone */
	make(1, "ok", true);
	assert_string_equal(gp_releases_live(&ctx, &d.paths), id(1));
}

static void test_list(void **state)
{
	struct gp_releases list;

	(void)state;
	ok(gp_releases_list(&ctx, &d.paths, &list, &err));
	assert_int_equal(list.n, 0);
	assert_null(list.live);
	make(1, "ok", false);
	assert_int_equal(mkdir(at(FOLDER, id(2)), 0755), 0); /* from before there were records */
	make(3, "begun", true);
	make(4, "failed", false);
	make(5, "ok", true);
	make(6, "ok", true); /* rolled back from */
	assert_int_equal(mkdir(at("sites/acme/releases/mine"), 0755), 0);
	put(at("state/acme/releases/mine.json"), "{}");
	go_live(5);
	ok(gp_releases_list(&ctx, &d.paths, &list, &err));
	assert_int_equal(list.n, 6);
	assert_string_equal(list.v[0].record.release, id(6));
	assert_string_equal(list.live, id(5));
	assert_string_equal(list.previous, id(2));
	for (int i = 0; i < 6; i++) {
		assert_int_equal(list.v[i].live, 6 - i == 5);
		assert_int_equal(list.v[i].previous, 6 - i == 2);
		assert_int_equal(list.v[i].failed, 6 - i == 4);
		assert_int_equal(list.v[i].there, 6 - i != 1 && 6 - i != 4);
		assert_int_equal(list.v[i].recorded, 6 - i != 2);
	}
}

static void prune(void)
{
	ok(gp_deploy_prune(&d, &err));
}

static void test_prune_by_count(void **state)
{
	(void)state;
	for (int n = 1; n <= 9; n++)
		make(n, n == 7 ? "failed" : "ok", n != 7);
	go_live(9);
	d.release = id(9);
	prune();
	for (int n = 1; n <= 9; n++) { /* 9, 8 and 6: the failed one does not count */
		assert_int_equal(there(FOLDER, n), n == 6 || n == 8 || n == 9);
		assert_int_equal(there(RECORD, n), n >= 6);
	}
}

static void test_prune_leaves_what_is_needed(void **state)
{
	(void)state;
	for (int n = 1; n <= 9; n++)
		make(n, "ok", true);
	assert_int_equal(mkdir(at("sites/acme/releases/mine"), 0755), 0);
	go_live(2); /* rolled back to */
	d.previous = id(3);
	prune();
	for (int n = 1; n <= 9; n++)
		assert_int_equal(there(FOLDER, n), n <= 3 || n >= 7);
	assert_int_equal(access(at("sites/acme/releases/mine"), F_OK), 0);
}

/* Whoever goes back often, and deploys again, still has somewhere to go back to. */
static void test_prune_and_rolled_back(void **state)
{
	(void)state;
	for (int n = 1; n <= 9; n++)
		make(n, n == 9 || n <= 3 ? "ok" : GP_RELEASE_ROLLED_BACK, true);
	go_live(9);
	d.release = id(9);
	prune();
	for (int n = 1; n <= 9; n++) /* 9, 3 and 2 count; of those that were left the newest three stay too */
		assert_int_equal(there(FOLDER, n), n == 9 || n == 2 || n == 3 || n >= 6);
}

static void test_prune_and_dumps(void **state)
{
	(void)state;
	for (int n = 1; n <= 9; n++) {
		d.backup = gp_sprintf(arena, "/elsewhere/%d.sql.gz", n);
		make(n, "ok", true);
		if (n != 5) /* whose dump somebody removed */
			put(at("sites/acme/backups/%d.sql.gz", n), "x");
	}
	d.backup = NULL;
	go_live(9);
	prune();
	/* 9, 8 and 7 count; 6 and 4 stay for their dumps, 5 because it is what 6's is of, and no more than that */
	for (int n = 1; n <= 9; n++)
		assert_int_equal(there(FOLDER, n), n >= 4);
}

/* One commit deployed again and again does not push out what the dump before its migrations is of. */
static void test_prune_and_what_a_dump_is_of(void **state)
{
	(void)state;
	for (int n = 1; n <= 9; n++) {
		d.backup = n == 3 ? gp_sprintf(arena, "/elsewhere/%d.sql.gz", n) : NULL;
		make(n, "ok", true);
	}
	put(at("sites/acme/backups/3.sql.gz"), "x");
	go_live(9);
	prune();
	for (int n = 1; n <= 9; n++)
		assert_int_equal(there(FOLDER, n), n >= 7 || n == 3 || n == 2);
}

static void test_records_of_failed_ones(void **state)
{
	(void)state;
	make(1, "ok", true);
	for (int n = 2; n <= 9; n++)
		make(n, "failed", n == 3); /* of one the folder could not be removed then */
	go_live(1);
	prune();
	assert_true(there(FOLDER, 1));
	assert_false(there(FOLDER, 3));
	for (int n = 2; n <= 9; n++)
		assert_int_equal(there(RECORD, n), n >= 5 || n == 3);
	prune(); /* now it is one like the others */
	for (int n = 2; n <= 9; n++)
		assert_int_equal(there(RECORD, n), n >= 5);
}

static void venv_of(int n, const char *venv)
{
	mkdir(at("sites/acme/venvs/%s", venv), 0755);
	assert_int_equal(mkdir(at("sites/acme/releases/%s/.goldpath", id(n)), 0755), 0);
	assert_int_equal(symlink(gp_sprintf(arena, "../../../venvs/%s", venv), at("sites/acme/releases/%s/.goldpath/venv", id(n))), 0);
}

static void test_prune_for_space(void **state)
{
	(void)state;
	for (int n = 1; n <= 6; n++)
		make(n, "ok", true);
	venv_of(1, "1111111111111111");
	venv_of(6, "6666666666666666");
	assert_int_equal(mkdir(at("sites/acme/venvs/2222222222222222"), 0755), 0);
	assert_int_equal(mkdir(at("sites/acme/venvs/python"), 0755), 0);
	go_live(6);
	ok(gp_prune_for_space(&d, 0, 0, &err)); /* there is room */
	assert_true(there(FOLDER, 1));
	assert_int_equal(access(at("sites/acme/venvs/2222222222222222"), F_OK), 0);
	assert_int_equal(gp_prune_for_space(&d, UINT64_MAX, 0, &err), 0);
	for (int n = 1; n <= 6; n++)
		assert_int_equal(there(FOLDER, n), n >= 5); /* live, and where a rollback goes */
	assert_int_equal(access(at("sites/acme/venvs/1111111111111111"), F_OK), -1);
	assert_int_equal(access(at("sites/acme/venvs/2222222222222222"), F_OK), -1);
	assert_int_equal(access(at("sites/acme/venvs/6666666666666666"), F_OK), 0);
	assert_int_equal(access(at("sites/acme/venvs/python"), F_OK), 0);
}

static void test_size(void **state)
{
	static char block[1 << 20];
	uint64_t one, two;

	(void)state;
	make(1, "ok", true);
	memset(block, 'x', sizeof(block));
	put_bytes(at(FOLDER "/file", id(1)), block, sizeof(block), 0644);
	ok(gp_release_bytes(&ctx, &d.paths, id(1), &one, &err));
	assert_true(one >= sizeof(block) && one < 2 * sizeof(block));
	for (int i = 0; i < 400; i++)
		assert_int_equal(link(at(FOLDER "/file", id(1)), at(FOLDER "/link%d", id(1), i)), 0);
	for (int i = 0; i < 400; i++) { /* each a file of its own with two names */
		put(at(FOLDER "/own%d", id(1), i), "");
		assert_int_equal(link(at(FOLDER "/own%d", id(1), i), at(FOLDER "/twin%d", id(1), i)), 0);
	}
	assert_int_equal(mkdir(at("sites/acme/venvs/1111111111111111"), 0755), 0);
	put_bytes(at("sites/acme/venvs/1111111111111111/big"), block, sizeof(block), 0644);
	venv_of(1, "1111111111111111");
	ok(gp_release_bytes(&ctx, &d.paths, id(1), &two, &err));
	assert_true(two < one + (1 << 19)); /* folders grow */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, ctx_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_record),
		TEST(test_live),
		TEST(test_list),
		TEST(test_prune_by_count),
		TEST(test_prune_leaves_what_is_needed),
		TEST(test_prune_and_rolled_back),
		TEST(test_prune_and_dumps),
		TEST(test_prune_and_what_a_dump_is_of),
		TEST(test_records_of_failed_ones),
		TEST(test_prune_for_space),
		TEST(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
