/* Owner, group and mode of a path, compared and mended the same way by every type that has them. */
#ifndef GP_PLAN_OWNER_H
#define GP_PLAN_OWNER_H

#include <sys/stat.h>

#include "plan/plan.h"

/* The uid and gid of two names; a name that does not exist is an error. */
int gp_owner_find(struct gp_ctx *ctx, const char *owner, const char *group, uid_t *ret_uid, gid_t *ret_gid, struct gp_error *err);
/* Add a change for each of owner, group and mode that is not as it should be. */
int gp_owner_diff(struct gp_ctx *ctx, const struct gp_resource *resource, const struct stat *is, const char *owner, const char *group,
	mode_t mode, struct gp_changes *changes, struct gp_error *err);
/* Set all three on a path, following no symlink at its end. */
int gp_owner_apply(struct gp_ctx *ctx, const char *path, const char *owner, const char *group, mode_t mode, struct gp_error *err);

#endif
