/* Users and groups. Look-ups go through NSS (getpwnam), so that hosts with other sources of accounts are told the truth. */
#include "sys/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"
#include "sys/proc.h"

int gp_account_find(struct gp_arena *arena, const char *name, struct gp_account *ret, struct gp_error *err)
{
	struct passwd pw, *found = NULL;
	char text[16384];
	int count = GP_ACCOUNT_GROUPS_MAX, rc = getpwnam_r(name, &pw, text, sizeof(text), &found);

	if (rc && rc != ENOENT)
		return gp_fail_errno(err, rc, "look up user %s", name);
	if (!found)
		return 0;
	*ret = (struct gp_account){
		.name = gp_strdup(arena, pw.pw_name),
		.home = gp_strdup(arena, pw.pw_dir),
		.shell = gp_strdup(arena, pw.pw_shell),
		.uid = pw.pw_uid,
		.gid = pw.pw_gid,
	};
	if (getgrouplist(name, pw.pw_gid, ret->groups, &count) < 0)
		return gp_fail(err, GP_E_FAILED, "user %s is in more than %d groups", name, GP_ACCOUNT_GROUPS_MAX);
	ret->group_count = count;
	return 1;
}

int gp_account_get(struct gp_arena *arena, const char *name, struct gp_account *ret, struct gp_error *err)
{
	int found = gp_account_find(arena, name, ret, err);

	if (found == 0)
		return gp_fail(err, GP_E_FAILED, "there is no user '%s' on this host", name);
	return found < 0 ? -1 : 0;
}

int gp_account_uid(const char *name, uid_t *ret, struct gp_error *err)
{
	struct passwd pw, *found = NULL;
	char text[16384];
	int rc = getpwnam_r(name, &pw, text, sizeof(text), &found);

	if (rc && rc != ENOENT)
		return gp_fail_errno(err, rc, "look up user %s", name);
	if (!found)
		return gp_fail(err, GP_E_FAILED, "there is no user '%s' on this host", name);
	*ret = pw.pw_uid;
	return 0;
}

const char *gp_account_name(struct gp_arena *arena, uid_t uid)
{
	struct passwd pw, *found = NULL;
	char text[16384];

	if (getpwuid_r(uid, &pw, text, sizeof(text), &found) == 0 && found)
		return gp_strdup(arena, pw.pw_name);
	return gp_sprintf(arena, "uid %u", (unsigned)uid);
}

const char *gp_group_name(struct gp_arena *arena, gid_t gid)
{
	struct group gr, *found = NULL;
	char text[16384];

	if (getgrgid_r(gid, &gr, text, sizeof(text), &found) == 0 && found)
		return gp_strdup(arena, gr.gr_name);
	return gp_sprintf(arena, "gid %u", (unsigned)gid);
}

int gp_group_find(const char *name, gid_t *ret, struct gp_error *err)
{
	struct group gr, *found = NULL;
	char text[16384];
	int rc = getgrnam_r(name, &gr, text, sizeof(text), &found);

	if (rc && rc != ENOENT)
		return gp_fail_errno(err, rc, "look up group %s", name);
	if (!found)
		return 0;
	*ret = gr.gr_gid;
	return 1;
}

void gp_group_members(struct gp_arena *arena, const char *group, struct gp_strv *ret)
{
	struct group gr, *found = NULL;
	char text[16384];

	*ret = (struct gp_strv){ 0 };
	if (getgrnam_r(group, &gr, text, sizeof(text), &found) == 0 && found)
		for (char **name = gr.gr_mem; *name; name++)
			gp_strv_add(arena, ret, gp_strdup(arena, *name));
}

bool gp_group_has(const char *group, const char *user)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_account account;
	gid_t gid;

	if (gp_group_find(group, &gid, NULL) != 1 || gp_account_find(arena, user, &account, NULL) != 1)
		return false;
	for (int i = 0; i < account.group_count; i++)
		if (account.groups[i] == gid)
			return true;
	return false;
}

int gp_account_create(const char *name, const char *home, struct gp_error *err)
{
	/* --user-group: the group of the same name. No password is set: the account is locked for password logins. */
	if (home)
		return gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("useradd", "--create-home", "--home-dir", home, "--shell",
			"/bin/bash", "--user-group", "--comment", "", "--", name) }, NULL, err);
	return gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
		"--shell", "/usr/sbin/nologin", "--user-group", "--comment", "", "--", name) }, NULL, err);
}

static bool has_primary_group(const struct gp_account *account)
{
	struct group gr, *found = NULL;
	char text[16384];

	return getgrgid_r(account->gid, &gr, text, sizeof(text), &found) == 0 && found;
}

static bool has_shadow(const struct gp_account *account)
{
	struct spwd sp, *found = NULL;
	char text[16384];

	return getspnam_r(account->name, &sp, text, sizeof(text), &found) == 0 && found;
}

bool gp_account_whole(const struct gp_account *account, const char *home)
{
	return has_primary_group(account) && has_shadow(account) && (!home || gp_fs_exists(account->home));
}

int gp_account_repair(const struct gp_account *account, const char *home, struct gp_error *err)
{
	char gid[16];

	snprintf(gid, sizeof(gid), "%u", (unsigned)account->gid);
	if (!has_primary_group(account))
		GP_TRY(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("groupadd", "--gid", gid, "--", account->name) }, NULL, err));
	if (!has_shadow(account)) /* pwconv(8) gives every user that lacks one a locked entry */
		GP_TRY(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("pwconv") }, NULL, err));
	return home ? gp_fs_mkdir(account->home, 0755, account->uid, account->gid, err) : 0;
}

int gp_account_delete(const char *name, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_account account;
	int found;
	gid_t gid;

	GP_TRY(found = gp_account_find(arena, name, &account, err));
	if (found)
		GP_TRY(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("userdel", "--", name) }, NULL, err));
	/* userdel takes the group along where it has no other members. */
	GP_TRY(found = gp_group_find(name, &gid, err));
	return found ? gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("groupdel", "--", name) }, NULL, err) : 0;
}

int gp_group_add(const char *group, const char *user, struct gp_error *err)
{
	return gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("usermod", "--append", "--groups", group, "--", user) }, NULL, err);
}

int gp_account_assume(const struct gp_account *account, struct gp_identity *was, struct gp_error *err)
{
	*was = (struct gp_identity){ .uid = geteuid(), .gid = getegid() };
	if (account->uid == was->uid)
		return 0;
	was->group_count = getgroups(GP_ACCOUNT_GROUPS_MAX, was->groups);
	if (was->group_count < 0)
		return gp_fail_errno(err, errno, "read the groups of this process");
	was->active = true;
	if (setgroups((size_t)account->group_count, account->groups) < 0 || setegid(account->gid) < 0 || seteuid(account->uid) < 0) {
		int number = errno;

		gp_account_resume(was);
		return gp_fail_errno(err, number, "act as user %s", account->name);
	}
	return 0;
}

void gp_account_resume(struct gp_identity *was)
{
	if (!was->active)
		return;
	if ((geteuid() != was->uid && seteuid(was->uid) < 0) || setegid(was->gid) < 0 ||
		(was->uid == 0 && setgroups((size_t)was->group_count, was->groups) < 0)) {
		abort(); /* nothing may go on as a user that nobody chose */
	}
	was->active = false;
}
