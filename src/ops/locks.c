/* Which locks there are: the host's, one for each file of a site, and what lies in the folder of locks besides. */
#include "ops/locks.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "conf/site.h"
#include "sys/ctx.h"
#include "sys/fs.h"

static const char ending[] = ".lock";

/* Sites that are being removed, or whose file somebody moved away. */
static int add_others(struct gp_ctx *ctx, struct gp_strv *names, struct gp_error *err)
{
	struct gp_strv files;

	GP_TRY(gp_fs_list(ctx->arena, ctx->lock_dir, &files, err));
	for (size_t i = 0; i < files.n; i++) {
		struct gp_lock_holder holder;
		const char *name;

		if (!gp_ends_with(files.v[i], ending))
			continue;
		name = gp_strndup(ctx->arena, files.v[i], strlen(files.v[i]) - strlen(ending));
		if (gp_name_ok(GP_NAME_slug, name) && !gp_strv_has(names, name) &&
			gp_lock_look(ctx->arena, ctx->lock_dir, name, &holder, NULL) == 1)
			gp_strv_add(ctx->arena, names, name);
	}
	return 0;
}

static int find_names(struct gp_ctx *ctx, const char *slug, struct gp_strv *ret, struct gp_error *err)
{
	struct gp_lock_holder holder;
	struct gp_strv slugs = { 0 };
	struct gp_site site;

	gp_strv_add(ctx->arena, ret, "host");
	GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &slugs, err));
	for (size_t i = 0; i < slugs.n; i++)
		if (!slug || gp_streq(slug, slugs.v[i]))
			gp_strv_add(ctx->arena, ret, slugs.v[i]);
	if (!slug)
		return add_others(ctx, ret, err);
	if (gp_strv_has(ret, slug))
		return 0;
	gp_strv_add(ctx->arena, ret, slug);
	/* A slug that was mistyped must not be told to be free. */
	if (gp_lock_look(ctx->arena, ctx->lock_dir, slug, &holder, err) == 1)
		return 0;
	return gp_site_load(ctx->arena, ctx->etc_dir, slug, &site, err);
}

int gp_locks_look(struct gp_ctx *ctx, const char *slug, struct gp_lock_state **ret, size_t *ret_n, struct gp_error *err)
{
	struct gp_lock_state *states;
	struct gp_strv names = { 0 };

	GP_TRY(find_names(ctx, slug, &names, err));
	states = gp_alloc_array(ctx->arena, names.n, sizeof(*states));
	for (size_t i = 0; i < names.n; i++) {
		int held = gp_lock_look(ctx->arena, ctx->lock_dir, names.v[i], &states[i].holder, err);

		GP_TRY(held);
		states[i].name = names.v[i];
		states[i].held = held;
	}
	*ret = states;
	*ret_n = names.n;
	return 0;
}
