/* Accounts: looking them up, and acting as one: what is made then is that user's, and what that user may not read stays unread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <grp.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/account.h"
#include "sys/fs.h"

#include "../scratch.h"

static void test_look_up(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_account account;
	struct gp_error err = { 0 };
	gid_t gid = 99;

	(void)state;
	assert_int_equal(gp_account_find(arena, "root", &account, &err), 1);
	assert_string_equal(account.name, "root");
	assert_string_equal(account.home, "/root");
	assert_int_equal(account.uid, 0);
	assert_int_equal(account.gid, 0);
	assert_true(account.group_count >= 1);
	assert_int_equal(gp_account_get(arena, "root", &account, &err), 0);
	assert_int_equal(gp_account_find(arena, "goldpath-nobody", &account, &err), 0);
	assert_int_equal(gp_account_find(arena, "", &account, &err), 0);
	assert_int_equal(gp_account_get(arena, "goldpath-nobody", &account, &err), -1);
	assert_string_equal(err.msg, "there is no user 'goldpath-nobody' on this host");
	assert_string_equal(gp_account_name(arena, 0), "root");
	assert_string_equal(gp_account_name(arena, 3999999999U), "uid 3999999999");
	assert_string_equal(gp_group_name(arena, 0), "root");
	assert_string_equal(gp_group_name(arena, 3999999999U), "gid 3999999999");
	assert_int_equal(gp_group_find("root", &gid, &err), 1);
	assert_int_equal(gid, 0);
	assert_int_equal(gp_group_find("goldpath-nobodies", &gid, &err), 0);
	assert_true(gp_group_has("root", "root")); /* by its primary group */
	assert_false(gp_group_has("daemon", "root"));
	assert_false(gp_group_has("goldpath-nobodies", "root"));
	assert_false(gp_group_has("root", "goldpath-nobody"));
}

static void test_assume(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_identity was = { 0 };
	struct gp_account account;
	struct gp_error err = { 0 };
	gid_t groups[64], ours[] = { 0, 4, 54321 };
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(setgroups(3, ours), 0);
	assert_int_equal(gp_account_get(arena, "daemon", &account, &err), 0);
	assert_int_equal(chmod(scratch, 0777), 0);
	assert_int_equal(gp_account_assume(&account, &was, &err), 0);
	assert_int_equal(geteuid(), account.uid);
	assert_int_equal(getegid(), account.gid);
	assert_int_equal(getgroups(64, groups), account.group_count);
	put(at("made"), "");
	assert_int_equal(gp_fs_mkdir(at("folder"), 0755, (uid_t)-1, (gid_t)-1, &err), 0);
	assert_int_equal(gp_fs_relink(at("link"), "made", &err), 0);
	gp_account_resume(&was);
	assert_int_equal(geteuid(), 0);
	assert_int_equal(getegid(), 0);
	assert_int_equal(getgroups(64, groups), 3);
	assert_memory_equal(groups, ours, sizeof(ours));
	gp_account_resume(&was); /* a second time is nothing */
	assert_int_equal(geteuid(), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lstat(at("%s", (const char *const[]){ "made", "folder", "link" }[i]), &st), 0);
		assert_int_equal(st.st_uid, account.uid);
		assert_int_equal(st.st_gid, account.gid);
	}
}

static int inside(const struct gp_account *account, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_account_assume(account, &was, err));
	return gp_fail(err, GP_E_FAILED, "left early, as uid %d", (int)geteuid());
}

static void test_cleanup(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_account account;
	struct gp_error err = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(gp_account_get(arena, "daemon", &account, &err), 0);
	assert_int_equal(inside(&account, &err), -1);
	assert_non_null(strstr(err.msg, "as uid 1"));
	assert_int_equal(geteuid(), 0);
	/* to be who one is already is nothing to come back from */
	assert_int_equal(gp_account_get(arena, "root", &account, &err), 0);
	assert_int_equal(inside(&account, &err), -1);
	assert_int_equal(geteuid(), 0);
}

/* The owner of a folder puts a link to root's file where root is going to read and write. */
static void test_symlink_leads_no_further_than_its_owner(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_identity was = { 0 };
	struct gp_account account;
	struct gp_error err = { 0 };
	const char *text = NULL;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(gp_account_get(arena, "daemon", &account, &err), 0);
	put_bytes(at("shadow"), "root's", 6, 0600);
	assert_int_equal(mkdir(at("theirs"), 0755), 0);
	assert_int_equal(chown(at("theirs"), account.uid, account.gid), 0);
	assert_int_equal(symlink("../shadow", at("theirs/log")), 0);
	assert_int_equal(symlink("..", at("theirs/releases")), 0);

	assert_int_equal(gp_account_assume(&account, &was, &err), 0);
	assert_int_equal(gp_fs_read(arena, at("theirs/log"), 100, &text, NULL, &err), -1);
	assert_int_equal(err.sys_errno, EACCES);
	assert_int_equal(gp_fs_append(at("theirs/log"), "x", &err), -1);
	assert_int_equal(gp_fs_remove(at("theirs/releases/shadow"), &err), -1);
	assert_int_equal(err.sys_errno, EACCES);
	assert_int_equal(gp_fs_write(at("theirs/releases/shadow"), "x", 1, 0600, (uid_t)-1, (gid_t)-1, &err), -1);
	assert_int_equal(gp_fs_mkdir(at("theirs/releases/new"), 0755, (uid_t)-1, (gid_t)-1, &err), -1);
	gp_account_resume(&was);
	assert_string_equal(said(at("shadow")), "root's");
	assert_int_equal(entries(scratch), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look_up),
		cmocka_unit_test_setup_teardown(test_assume, scratch_begin, scratch_end),
		cmocka_unit_test(test_cleanup),
		cmocka_unit_test_setup_teardown(test_symlink_leads_no_further_than_its_owner, scratch_begin, scratch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
