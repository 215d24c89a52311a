/* Resource type: Debian packages. */
#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/pkg.h"

static int missing(struct gp_ctx *ctx, const struct gp_packages *spec, struct gp_strv *ret, const char **ret_broken, struct gp_error *err)
{
	struct gp_pkg_db *db;

	GP_TRY(gp_pkg_open(ctx->arena, &db, err));
	*ret_broken = gp_pkg_broken(db);
	for (size_t i = 0; i < spec->names.n; i++)
		if (!gp_pkg_installed(db, spec->names.v[i]))
			gp_strv_add(ctx->arena, ret, spec->names.v[i]);
	return 0;
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_strv names = { 0 };
	const char *broken;

	GP_TRY(missing(ctx, resource->spec, &names, &broken, err));
	if (broken)
		gp_change_add(ctx, changes, '~', resource, "finish what dpkg was interrupted in (%s)", broken);
	if (names.n)
		gp_change_add(ctx, changes, '+', resource, "%s", gp_strv_join(ctx->arena, &names, ", "));
	return 0;
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_strv names = { 0 };
	const char *broken;

	GP_TRY(missing(ctx, resource->spec, &names, &broken, err));
	if (broken) {
		GP_TRY(gp_pkg_repair(ctx, err));
		names = (struct gp_strv){ 0 };
		GP_TRY(missing(ctx, resource->spec, &names, &broken, err));
	}
	return names.n == 0 ? 0 : gp_pkg_install(ctx, &names, err);
}

const struct gp_resource_type gp_packages_type = { .name = "packages", .diff = diff, .apply = apply };
