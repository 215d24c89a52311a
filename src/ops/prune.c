/*
 * Deploy, the very last step: old releases go. What stays: the live one, the one before it, and the newest `keep.releases`; failed ones
 * were taken away when they failed. A venv goes when no release that stays uses it. Nothing here can fail a deploy that went well.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "sys/ctx.h"
#include "sys/fs.h"

/* 20260131T235959Z-0123abc, as make_release_folder names them: only what goldpath made is ever deleted. */
static bool is_release(const char *name)
{
	static const char shape[] = "dddddddd" "T" "dddddd" "Z-" "xxxxxxx";

	if (strlen(name) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++) {
		const char *allowed = shape[i] == 'd' ? "0123456789" : shape[i] == 'x' ? "0123456789abcdef" : NULL;

		if (allowed ? !strchr(allowed, name[i]) : name[i] != shape[i])
			return false;
	}
	return true;
}

static bool is_venv(const char *name)
{
	return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

/* The releases that stay; the others are deleted. Names sort by time. */
static int prune_releases(struct gp_deploy *d, struct gp_strv *ret_kept, struct gp_error *err)
{
	struct gp_strv names;
	size_t newer = 0;

	GP_TRY(gp_fs_list(d->ctx->arena, d->paths.releases, &names, err));
	for (size_t i = names.n; i-- > 0;) {
		const char *name = names.v[i], *live = gp_release_live(d->ctx, &d->paths);
		bool stays = (live && gp_streq(name, live)) || (d->previous && gp_streq(name, d->previous)) || gp_streq(name, d->release);

		if (!is_release(name))
			continue;
		if (stays || newer < (size_t)d->site.keep.releases) {
			gp_strv_add(d->ctx->arena, ret_kept, name);
			newer++;
			continue;
		}
		GP_TRY(gp_fs_remove(gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, name), err));
		gp_tell_note(d->ctx, "%s removed", name);
	}
	return 0;
}

static int prune_venvs(struct gp_deploy *d, const struct gp_strv *releases, struct gp_error *err)
{
	struct gp_strv names, used = { 0 };

	for (size_t i = 0; i < releases->n; i++) {
		const char *target = gp_fs_readlink(d->ctx->arena, gp_sprintf(d->ctx->arena, "%s/%s/.goldpath/venv", d->paths.releases, releases->v[i]));

		if (target)
			gp_strv_add(d->ctx->arena, &used, strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	}
	GP_TRY(gp_fs_list(d->ctx->arena, d->paths.venvs, &names, err));
	for (size_t i = 0; i < names.n; i++) {
		if (!is_venv(names.v[i]) || gp_strv_has(&used, names.v[i]))
			continue;
		GP_TRY(gp_fs_remove(gp_sprintf(d->ctx->arena, "%s/%s", d->paths.venvs, names.v[i]), err));
		gp_tell_note(d->ctx, "venv %s removed", names.v[i]);
	}
	return 0;
}

int gp_deploy_prune(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_strv kept = { 0 };
	struct gp_error why = { 0 };
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_account_assume(&d->account, &was, err));
	if (prune_releases(d, &kept, &why) < 0 || prune_venvs(d, &kept, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
	return 0;
}
