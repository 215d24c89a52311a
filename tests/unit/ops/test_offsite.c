/* Opening the site's repository, without restic: what is made the first time, and what is never made anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/deploy.h"
#include "ops/offsite.h"
#include "sys/fs.h"

#include "../ctx.h"

#define FOLDER "state/acme/offsite"

static struct gp_deploy d;
static struct {
	bool there;  /* the repository */
	int made, asked;
} fake;

int __real_gp_fs_mkdir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct gp_error *e);
int __wrap_gp_fs_mkdir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct gp_error *e);
int __wrap_gp_fs_mkdir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct gp_error *e)
{
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	return __real_gp_fs_mkdir(path, mode, geteuid(), getegid(), e);
}

int __real_gp_fs_write(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct gp_error *e);
int __wrap_gp_fs_write(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct gp_error *e);
int __wrap_gp_fs_write(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, struct gp_error *e)
{
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	return __real_gp_fs_write(path, data, len, mode, geteuid(), getegid(), e);
}

int __wrap_gp_restic_find(const struct gp_restic *r, struct gp_error *e);
int __wrap_gp_restic_find(const struct gp_restic *r, struct gp_error *e)
{
	(void)r, (void)e;
	fake.asked++;
	return fake.there;
}

int __wrap_gp_restic_init(const struct gp_restic *r, struct gp_error *e);
int __wrap_gp_restic_init(const struct gp_restic *r, struct gp_error *e)
{
	(void)r, (void)e;
	fake.made++;
	fake.there = true;
	return 1;
}

int __wrap_gp_restic_unlock(const struct gp_restic *r, struct gp_error *e);
int __wrap_gp_restic_unlock(const struct gp_restic *r, struct gp_error *e)
{
	(void)r, (void)e;
	return 0;
}

/* Far enough: what comes after the opening is another test's. */
int __wrap_gp_restic_backup(const struct gp_restic *r, const char *host, const struct gp_strv *tags, const struct gp_strv *paths,
	struct gp_restic_done *ret, struct gp_error *e);
int __wrap_gp_restic_backup(const struct gp_restic *r, const char *host, const struct gp_strv *tags, const struct gp_strv *paths,
	struct gp_restic_done *ret, struct gp_error *e)
{
	(void)r, (void)host, (void)tags, (void)paths, (void)ret;
	return gp_fail(e, GP_E_FAILED, "opened");
}

static int begin(void **state)
{
	static const char *const folders[] = { "etc", "etc/sites", "state", "state/acme", "sites", "sites/acme", "vault" };

	if (ctx_begin(state) < 0)
		return -1;
	memset(&fake, 0, sizeof(fake));
	d = (struct gp_deploy){ .ctx = &ctx, .paths = gp_site_paths(&ctx, "acme"), .site = { .slug = "acme" } };
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdir(at("%s", folders[i]), 0755) < 0)
			return -1;
	d.site.backup.offsite = gp_strdup(arena, at("vault/acme"));
	return gp_account_find(arena, gp_account_name(arena, geteuid()), &d.account, NULL) == 1 ? 0 : -1;
}

static void backup_says(const char *words)
{
	struct gp_restic_done done;

	memset(&err, 0, sizeof(err));
	assert_int_equal(gp_offsite_backup(&d, &done, &err), -1);
	if (!strstr(err.msg, words))
		fail_msg("%s", err.msg);
}

static void fetch_says(const char *words)
{
	const char *path;

	memset(&err, 0, sizeof(err));
	assert_int_equal(gp_offsite_fetch_dump(&d, &path, &err), -1);
	if (!strstr(err.msg, words))
		fail_msg("%s", err.msg);
}

static void test_made_the_first_time(void **state)
{
	const char *password;

	(void)state;
	backup_says("opened");
	assert_int_equal(fake.made, 1);
	assert_int_equal(mode_of(at(FOLDER "/password")), 0600);
	assert_string_equal(said(at(FOLDER "/repository")), gp_sprintf(arena, "%s\n", d.site.backup.offsite));
	password = gp_strdup(arena, said(at(FOLDER "/password")));
	backup_says("opened");
	assert_int_equal(fake.made, 1);
	assert_string_equal(said(at(FOLDER "/password")), password);
}

/* A new one would open nothing of what is there. */
static void test_the_password_is_gone(void **state)
{
	(void)state;
	backup_says("opened");
	assert_int_equal(unlink(at(FOLDER "/password")), 0);
	fake.asked = 0;
	backup_says("the password of the repository");
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_non_null(strstr(err.msg, d.site.backup.offsite));
	assert_non_null(strstr(err.hint, "kept elsewhere"));
	fetch_says("the password of the repository");
	assert_int_equal(err.kind, GP_E_CONFIG);
	assert_non_null(strstr(err.hint, "kept elsewhere"));
	/* It was the password of that one, wherever the site's file leads by now. */
	d.site.backup.offsite = gp_strdup(arena, at("vault/other"));
	backup_says(at("vault/acme"));
	assert_int_equal(fake.asked, 0);
	assert_int_equal(fake.made, 1);
	assert_int_equal(access(at(FOLDER "/password"), F_OK), -1);
	/* As the hint has it. */
	assert_int_equal(unlink(at(FOLDER "/repository")), 0);
	backup_says("opened");
	assert_int_equal(fake.made, 2);
}

static void test_not_there_any_more(void **state)
{
	(void)state;
	backup_says("opened");
	fake.there = false;
	backup_says("is not there any more");
	assert_non_null(strstr(err.hint, at(FOLDER "/repository")));
	fetch_says("is not there any more");
	assert_int_equal(fake.made, 1);
}

/* A path that was mistyped, or of a site that has only the password yet: there is no note that could be removed. */
static void test_never_was(void **state)
{
	(void)state;
	for (int noted = 0; noted < 2; noted++) {
		if (noted)
			backup_says("opened");
		else
			assert_int_equal(mkdir(at(FOLDER), 0700), 0);
		put(at(FOLDER "/password"), "secret\n");
		d.site.backup.offsite = gp_strdup(arena, at("vault/typo"));
		fake.there = false;
		fetch_says("there is no repository");
		assert_non_null(strstr(err.msg, "vault/typo"));
		assert_non_null(strstr(err.hint, "mounted"));
		assert_null(strstr(err.hint, "rm "));
		d.site.backup.offsite = gp_strdup(arena, at("vault/acme"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_the_first_time, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_the_password_is_gone, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_not_there_any_more, begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_never_was, begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
