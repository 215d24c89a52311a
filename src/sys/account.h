/* Users and groups of the host: looking them up, making them, and acting as one of them. */
#ifndef GP_SYS_ACCOUNT_H
#define GP_SYS_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct gp_arena;
struct gp_error;

enum { GP_ACCOUNT_GROUPS_MAX = 64 };

struct gp_account {
	const char *name, *home, *shell;
	uid_t uid;
	gid_t gid;
	gid_t groups[GP_ACCOUNT_GROUPS_MAX]; /* the supplementary groups as of the look-up, gid included */
	int group_count;
};

/* 1 found, 0 no such user, -1 error. */
int gp_account_find(struct gp_arena *arena, const char *name, struct gp_account *ret, struct gp_error *err);
/* The same, no such user being an error. */
int gp_account_get(struct gp_arena *arena, const char *name, struct gp_account *ret, struct gp_error *err);
/* The uid alone; no such user is an error. */
int gp_account_uid(const char *name, uid_t *ret, struct gp_error *err);
/* The name of a uid; "uid 1234" where it has none. */
const char *gp_account_name(struct gp_arena *arena, uid_t uid);
const char *gp_group_name(struct gp_arena *arena, gid_t gid);
/* 1 found, 0 no such group, -1 error. */
int gp_group_find(const char *name, gid_t *ret, struct gp_error *err);
/* Is user a member of group (by /etc/group or as its primary group)? */
bool gp_group_has(const char *group, const char *user);
/* Its members by /etc/group; no such group has none. */
struct gp_strv;
void gp_group_members(struct gp_arena *arena, const char *group, struct gp_strv *ret);

/* useradd(8), usermod -aG. home NULL: a system user without a home or login. */
int gp_account_create(const char *name, const char *home, struct gp_error *err);
/* useradd writes passwd, shadow, group and the home folder one after the other: killed in between, it leaves a user that half exists. Is
 * all of it there, and if not, make what is missing. */
bool gp_account_whole(const struct gp_account *account, const char *home);
int gp_account_repair(const struct gp_account *account, const char *home, struct gp_error *err);
/* userdel(8) and groupdel(8): a system user and the group of its name, as far as they are there. Its home stays. */
int gp_account_delete(const char *name, struct gp_error *err);
int gp_group_add(const char *group, const char *user, struct gp_error *err);

/*
 * Act as that user for what follows (effective uid, gid and groups: files are opened with the user's rights, the kernel shows the
 * user to peers of a unix socket), then come back. For work inside folders that somebody else owns: a symlink laid there leads no
 * further than its owner could go. Not nested. Without root, assume succeeds only for the user that runs already.
 */
struct gp_identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[GP_ACCOUNT_GROUPS_MAX];
	int group_count;
	bool active;
};
int gp_account_assume(const struct gp_account *account, struct gp_identity *was, struct gp_error *err);
void gp_account_resume(struct gp_identity *was); /* also as cleanup; aborts rather than go on as somebody unknown */
#define GP_AUTO_IDENTITY __attribute__((cleanup(gp_account_resume))) struct gp_identity

#endif
