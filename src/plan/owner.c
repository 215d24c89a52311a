/* Owner, group, mode. */
#include "plan/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"

int gp_owner_find(struct gp_ctx *ctx, const char *owner, const char *group, uid_t *ret_uid, gid_t *ret_gid, struct gp_error *err)
{
	int found = 1;

	(void)ctx;
	/* root is 0 by definition, and most of what is looked at is root's. */
	*ret_uid = 0;
	*ret_gid = 0;
	if (!gp_streq(owner, "root"))
		GP_TRY(gp_account_uid(owner, ret_uid, err));
	if (!gp_streq(group, "root"))
		GP_TRY(found = gp_group_find(group, ret_gid, err));
	return found ? 0 : gp_fail(err, GP_E_FAILED, "there is no group '%s' on this host", group);
}

int gp_owner_diff(struct gp_ctx *ctx, const struct gp_resource *resource, const struct stat *is, const char *owner, const char *group,
	mode_t mode, struct gp_changes *changes, struct gp_error *err)
{
	uid_t uid;
	gid_t gid;

	GP_TRY(gp_owner_find(ctx, owner, group, &uid, &gid, err));
	if (is->st_uid != uid)
		gp_change_add(ctx, changes, '~', resource, "owner %s → %s", gp_account_name(ctx->arena, is->st_uid), owner);
	if (is->st_gid != gid)
		gp_change_add(ctx, changes, '~', resource, "group %s → %s", gp_group_name(ctx->arena, is->st_gid), group);
	if ((is->st_mode & 07777) != mode)
		gp_change_add(ctx, changes, '~', resource, "mode %04o → %04o", is->st_mode & 07777, mode);
	return 0;
}

int gp_owner_apply(struct gp_ctx *ctx, const char *path, const char *owner, const char *group, mode_t mode, struct gp_error *err)
{
	GP_AUTO_FD fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	uid_t uid;
	gid_t gid;

	if (fd < 0)
		return gp_fail_errno(err, errno, "open %s", path);
	GP_TRY(gp_owner_find(ctx, owner, group, &uid, &gid, err));
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
		return gp_fail_errno(err, errno, "set owner and mode of %s", path);
	return 0;
}
