/*
 * Resource type: a place that is vacant, or ours. The first time a site is provisioned its folder must not hold what somebody else put
 * there; later on it is the site's own, and nobody is asked.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { SHOWN_MAX = 5 };

static int refuse(struct gp_ctx *ctx, const char *path, const struct gp_strv *strange, struct gp_error *err)
{
	struct gp_strv shown = { 0 };

	for (size_t i = 0; i < strange->n && i < SHOWN_MAX; i++)
		gp_strv_add(ctx->arena, &shown, strange->v[i]);
	gp_fail(err, GP_E_REFUSED, "%s is there already and holds what is not goldpath's: %s%s", path, gp_strv_join(ctx->arena, &shown, ", "),
		strange->n > shown.n ? ", …" : "");
	if (gp_strv_has(strange, "app") && gp_strv_has(strange, "venv"))
		return gp_hint(err, "a site that was set up by hand becomes goldpath's by `goldpath adopt %s`", strrchr(path, '/') + 1);
	return gp_hint(err, "move it away first, or choose another slug");
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_vacant *spec = resource->spec;
	struct gp_strv names = { 0 }, strange = { 0 };
	struct stat st;
	int there;

	(void)changes;
	if (spec->not_while && gp_fs_exists(spec->not_while)) {
		gp_fail(err, GP_E_REFUSED, "%s was set up by hand, and its adoption has not been finished", resource->name);
		return gp_hint(err, "goldpath adopt %s", strrchr(resource->name, '/') + 1);
	}
	if (gp_fs_exists(spec->ours_if))
		return 0;
	GP_TRY(there = gp_fs_lstat(resource->name, &st, err));
	if (!there || !S_ISDIR(st.st_mode))
		return 0; /* whoever makes the folder says what is in its way */
	GP_TRY(gp_fs_list(ctx->arena, resource->name, &names, err));
	for (size_t i = 0; i < names.n; i++)
		if (!gp_strv_has(&spec->welcome, names.v[i]))
			gp_strv_add(ctx->arena, &strange, names.v[i]);
	return strange.n ? refuse(ctx, resource->name, &strange, err) : 0;
}

const struct gp_resource_type gp_vacant_type = { .name = "place", .diff = diff };
