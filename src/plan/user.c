/* Resource types: users, and their membership in groups. */
#include "base/error.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"

static int user_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_user *spec = resource->spec;
	struct gp_account account;
	int found;

	GP_TRY(found = gp_account_find(ctx->arena, spec->user, &account, err));
	if (!found) {
		gp_change_add(ctx, changes, '+', resource, "%s", "");
		return 0;
	}
	if (account.uid == 0)
		return gp_fail(err, GP_E_REFUSED, "user '%s' is root by another name", spec->user);
	/* A person's account must not become the one that a site's code runs as. */
	if (!spec->home && account.uid >= 1000) {
		gp_fail(err, GP_E_REFUSED, "user '%s' exists and is no system user: it belongs to somebody else", spec->user);
		return gp_hint(err, "choose another slug, or rename that user");
	}
	/* And what repositories' code runs as, and people log in as, must not be a service's. */
	if (spec->home && account.uid < 1000) {
		gp_fail(err, GP_E_REFUSED, "user '%s' is a system user: it belongs to something else", spec->user);
		return gp_hint(err, "name another deploy_user");
	}
	if (!gp_account_whole(&account, spec->home))
		gp_change_add(ctx, changes, '~', resource, "half made: its group, password entry or home is missing");
	return 0;
}

static int user_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_user *spec = resource->spec;
	struct gp_account account;
	int found;

	GP_TRY(found = gp_account_find(ctx->arena, spec->user, &account, err));
	return found ? gp_account_repair(&account, spec->home, err) : gp_account_create(spec->user, spec->home, err);
}

const struct gp_resource_type gp_user_type = { .name = "user", .diff = user_diff, .apply = user_apply };

static int member_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_member *spec = resource->spec;
	struct gp_account account;
	gid_t gid;
	int found;

	GP_TRY(gp_account_get(ctx->arena, spec->user, &account, err));
	GP_TRY(found = gp_group_find(spec->group, &gid, err));
	if (!found)
		return gp_fail(err, GP_E_FAILED, "there is no group '%s' on this host", spec->group);
	if (!gp_group_has(spec->group, spec->user))
		gp_change_add(ctx, changes, '+', resource, "%s", "");
	return 0;
}

static void member_fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_member *spec = resource->spec;

	if (!spec->by_package)
		gp_change_add(ctx, changes, '+', resource, "%s", "");
}

static int member_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_member *spec = resource->spec;

	(void)ctx;
	return gp_group_add(spec->group, spec->user, err);
}

const struct gp_resource_type gp_member_type = { .name = "membership", .diff = member_diff, .fresh = member_fresh, .apply = member_apply };
