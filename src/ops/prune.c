/*
 * Old releases go: at the end of a deploy those beyond `keep.releases`, and before one, where the disk is short, as many as it takes. What
 * stays in either case: the live one, the one that a rollback goes to, what gunicorn runs, and the one that is being deployed. A venv goes
 * when no release that stays uses it. Nothing here can fail a deploy that went well.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/releases.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { FAILED_KEPT = 5 }; /* records of failed ones: their folders went when they failed */

static bool is_venv(const char *name)
{
	return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

static bool is(const char *name, const char *other)
{
	return other && gp_streq(name, other);
}

static bool is_needed(struct gp_deploy *d, const struct gp_release *r)
{
	const char *name = r->record.release;

	return r->live || r->previous || is(name, d->previous) || is(name, d->release);
}

/* The newest first. One whose dump is still there, or that somebody went back from, stays beside those that count, but no more of them than
 * those: what was left must not push out what a rollback could go to. */
static void choose(struct gp_deploy *d, const struct gp_releases *list, bool *stays)
{
	size_t counted = 0, beside = 0, keep = (size_t)d->site.keep.releases;

	for (size_t i = 0; i < list->n; i++) {
		const struct gp_release *r = &list->v[i];

		if (!r->there || (r->failed && !is_needed(d, r)))
			continue;
		if ((counted < keep && !gp_streq(r->record.result, GP_RELEASE_ROLLED_BACK)) || is_needed(d, r)) {
			stays[i] = true;
			counted++;
		} else if ((r->has_backup || gp_streq(r->record.result, GP_RELEASE_ROLLED_BACK)) && beside < keep) {
			stays[i] = true;
			beside++;
		}
	}
}

/* As the deploy user, to whom the folders belong. */
static int remove_as_owner(struct gp_deploy *d, const char *path, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_account_assume(&d->account, &was, err));
	return gp_fs_remove(path, err);
}

/* The folder first: a record without one says that there was one. */
static int remove_release(struct gp_deploy *d, const struct gp_release *r, struct gp_error *err)
{
	GP_TRY(gp_deploy_remove_release(d, r->record.release, err));
	if (!r->failed)
		GP_TRY(gp_release_record_remove(d->ctx, &d->paths, r->record.release, err));
	gp_tell_note(d->ctx, "%s removed", r->record.release);
	return 0;
}

static int remove_old(struct gp_deploy *d, const struct gp_releases *list, const bool *stays, struct gp_error *err)
{
	size_t failed = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct gp_release *r = &list->v[i];

		if (r->there && !stays[i])
			GP_TRY(remove_release(d, r, err));
		else if (!r->there && (!r->failed || failed++ >= FAILED_KEPT) && !is_needed(d, r))
			GP_TRY(gp_release_record_remove(d->ctx, &d->paths, r->record.release, err));
	}
	return 0;
}

/* Which are used is asked of the releases that are there. */
static int remove_venvs(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_strv names, releases, used = { 0 };

	GP_TRY(gp_fs_list(d->ctx->arena, d->paths.releases, &releases, err));
	for (size_t i = 0; i < releases.n; i++) {
		const char *target = gp_fs_readlink(d->ctx->arena, gp_sprintf(d->ctx->arena, "%s/%s/.goldpath/venv", d->paths.releases, releases.v[i]));

		if (target)
			gp_strv_add(d->ctx->arena, &used, strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	}
	GP_TRY(gp_fs_list(d->ctx->arena, d->paths.venvs, &names, err));
	for (size_t i = 0; i < names.n; i++) {
		if (!is_venv(names.v[i]) || gp_strv_has(&used, names.v[i]))
			continue;
		GP_TRY(remove_as_owner(d, gp_sprintf(d->ctx->arena, "%s/%s", d->paths.venvs, names.v[i]), err));
		gp_tell_note(d->ctx, "venv %s removed", names.v[i]);
	}
	return 0;
}

static int prune(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_releases list;
	bool *stays;

	GP_TRY(gp_releases_list(d->ctx, &d->paths, &list, err));
	stays = gp_alloc_array(d->ctx->arena, list.n + 1, sizeof(*stays));
	choose(d, &list, stays);
	GP_TRY(remove_old(d, &list, stays, err));
	return remove_venvs(d, err);
}

int gp_deploy_prune(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_error why = { 0 };

	(void)err;
	if (prune(d, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
	return 0;
}

static int has_room(struct gp_deploy *d, uint64_t bytes, uint64_t inodes, struct gp_error *err)
{
	uint64_t free_bytes, free_inodes;

	GP_TRY(gp_fs_free(d->paths.releases, &free_bytes, &free_inodes, err));
	return free_bytes >= bytes && free_inodes >= inodes;
}

int gp_prune_for_space(struct gp_deploy *d, uint64_t bytes, uint64_t inodes, struct gp_error *err)
{
	struct gp_releases list;
	int enough;

	GP_TRY(enough = has_room(d, bytes, inodes, err));
	if (enough)
		return 1;
	gp_tell_note(d->ctx, "the disk is short: what is not needed any more goes");
	GP_TRY(remove_venvs(d, err));
	GP_TRY(gp_releases_list(d->ctx, &d->paths, &list, err));
	for (size_t i = list.n; i-- > 0;) {
		GP_TRY(enough = has_room(d, bytes, inodes, err));
		if (enough)
			return 1;
		if (!list.v[i].there || is_needed(d, &list.v[i]))
			continue;
		GP_TRY(remove_release(d, &list.v[i], err));
		GP_TRY(remove_venvs(d, err));
	}
	return has_room(d, bytes, inodes, err);
}
