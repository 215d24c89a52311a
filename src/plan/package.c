/* Resource type: Debian packages. */
#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/pkg.h"

static int missing(struct gp_ctx *ctx, const struct gp_packages *spec, struct gp_strv *ret, struct gp_error *err)
{
	struct gp_pkg_db *db;

	GP_TRY(gp_pkg_open(ctx->arena, &db, err));
	if (gp_pkg_broken(db)) {
		gp_fail(err, GP_E_FAILED, "dpkg was interrupted: package '%s' is half installed", gp_pkg_broken(db));
		return gp_hint(err, "run `dpkg --configure -a`, then this again");
	}
	for (size_t i = 0; i < spec->names.n; i++)
		if (!gp_pkg_installed(db, spec->names.v[i]))
			gp_strv_add(ctx->arena, ret, spec->names.v[i]);
	return 0;
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_strv names = { 0 };

	GP_TRY(missing(ctx, resource->spec, &names, err));
	if (names.n)
		gp_change_add(ctx, changes, '+', resource, "%s", gp_strv_join(ctx->arena, &names, ", "));
	return 0;
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_strv names = { 0 };

	GP_TRY(missing(ctx, resource->spec, &names, err));
	return gp_pkg_install(ctx->arena, &names, gp_tell_line, ctx, err);
}

const struct gp_resource_type gp_packages_type = { .name = "packages", .diff = diff, .apply = apply };
