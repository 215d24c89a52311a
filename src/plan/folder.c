/* Resource type: folders. Something else in a folder's place is never removed: it may be all that somebody has. */
#include <errno.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/str.h"
#include "plan/owner.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"

/* A symlink that leads nowhere, or to an empty folder: nothing is lost with it. */
static bool leads_to_nothing(struct gp_ctx *ctx, const char *path)
{
	struct gp_strv names = { 0 };
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT;
	return S_ISDIR(st.st_mode) && gp_fs_list(ctx->arena, path, &names, NULL) == 0 && names.n == 0;
}

/* 1 a folder, 0 nothing (or a symlink that may go). */
static int look(struct gp_ctx *ctx, const struct gp_resource *resource, struct stat *ret, struct gp_error *err)
{
	const char *to = gp_fs_readlink(ctx->arena, resource->name);
	int there;

	GP_TRY(there = gp_fs_lstat(resource->name, ret, err));
	if (!there || S_ISDIR(ret->st_mode))
		return there;
	if (to && leads_to_nothing(ctx, resource->name))
		return 0;
	if (to) {
		gp_fail(err, GP_E_REFUSED, "%s is a symlink to %s where a folder belongs", resource->name, to);
		return gp_hint(err, "to have it elsewhere, mount it: a bind mount in /etc/fstab, after the link and what it leads to are out of the way");
	}
	gp_fail(err, GP_E_REFUSED, "%s is a file where a folder belongs", resource->name);
	return gp_hint(err, "look at what it is, and move it away");
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_folder *spec = resource->spec;
	const char *to = gp_fs_readlink(ctx->arena, resource->name);
	struct stat st;
	int there;

	GP_TRY(there = look(ctx, resource, &st, err));
	if (!there) {
		if (to)
			gp_change_add(ctx, changes, '~', resource, "a symlink to %s, with nothing there → a folder", to);
		else
			gp_change_add(ctx, changes, '+', resource, "%s", "");
		return 0;
	}
	return gp_owner_diff(ctx, resource, &st, spec->owner, spec->group, spec->mode, changes, err);
}

/* Its owner or its group is still to be made. */
static void fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_folder *spec = resource->spec;

	gp_change_add(ctx, changes, '~', resource, "owner %s, group %s, mode %04o", spec->owner, spec->group, (unsigned)spec->mode);
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_folder *spec = resource->spec;
	struct stat st;
	uid_t uid;
	gid_t gid;
	int there;

	GP_TRY(gp_owner_find(ctx, spec->owner, spec->group, &uid, &gid, err));
	GP_TRY(there = look(ctx, resource, &st, err));
	if (!there && gp_fs_readlink(ctx->arena, resource->name))
		GP_TRY(gp_fs_remove(resource->name, err));
	GP_TRY(gp_fs_mkdir(resource->name, spec->mode, uid, gid, err));
	return gp_owner_apply(ctx, resource->name, spec->owner, spec->group, spec->mode, err);
}

const struct gp_resource_type gp_folder_type = { .name = "folder", .diff = diff, .fresh = fresh, .apply = apply };
