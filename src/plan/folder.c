/* Resource type: folders. Something else in a folder's place is never removed: it may be all that somebody has. */
#include <sys/stat.h>

#include "base/error.h"
#include "plan/owner.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"

static int look(const struct gp_resource *resource, struct stat *ret, struct gp_error *err)
{
	int there;

	GP_TRY(there = gp_fs_lstat(resource->name, ret, err));
	if (there && !S_ISDIR(ret->st_mode)) {
		gp_fail(err, GP_E_REFUSED, "%s is %s where a folder belongs", resource->name, S_ISLNK(ret->st_mode) ? "a symlink" : "a file");
		return gp_hint(err, "look at what it is, and move it away");
	}
	return there;
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_folder *spec = resource->spec;
	struct stat st;
	int there;

	GP_TRY(there = look(resource, &st, err));
	if (!there) {
		gp_change_add(ctx, changes, '+', resource, "%s", "");
		return 0;
	}
	return gp_owner_diff(ctx, resource, &st, spec->owner, spec->group, spec->mode, changes, err);
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_folder *spec = resource->spec;
	uid_t uid;
	gid_t gid;

	GP_TRY(gp_owner_find(ctx, spec->owner, spec->group, &uid, &gid, err));
	GP_TRY(gp_fs_mkdir(resource->name, spec->mode, uid, gid, err));
	return gp_owner_apply(ctx, resource->name, spec->owner, spec->group, spec->mode, err);
}

const struct gp_resource_type gp_folder_type = { .name = "folder", .diff = diff, .apply = apply };
