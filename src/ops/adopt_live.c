/*
 * Adoption, the steps: a deploy's, but for those that have to do with what was there before. The old gunicorn listens on a socket in a
 * folder of its own user. That folder becomes root's before anybody is led away, so that the old gunicorn, which deletes the name of its
 * socket when it ends, cannot take our link; its socket keeps a second name there, by which it is drained, and by which visitors
 * come back. Its unit's file changes only when the release is proven and is the site's: until then a reboot brings up what was there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/adopt.h"
#include "ops/caddy.h"
#include "ops/slot.h"
#include "ops/statics.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/tree.h"

enum { STEPS_MAX = 40, FILE_MAX = 1 << 20 };

static const char ours[] = "# Written by goldpath";

static const char *kept_socket(struct gp_deploy *d)
{
	return gp_sprintf(d->ctx->arena, "%s/before-goldpath.sock", d->paths.run);
}

static const char *kept_file(struct gp_ctx *ctx, const struct gp_paths *p, const char *path)
{
	return gp_sprintf(ctx->arena, "%s/removed/%s.before-goldpath", p->state, strrchr(path, '/') + 1);
}

static int keep_file(struct gp_adopt *a, const char *path, struct gp_error *err)
{
	const char *text;
	size_t len = 0;
	int there;

	GP_TRY(there = gp_fs_read(a->ctx->arena, path, FILE_MAX, &text, &len, err));
	if (!there || gp_starts_with(text, ours))
		return 0;
	return gp_fs_write(kept_file(a->ctx, &a->paths, path), text, len, 0600, 0, 0, err);
}

int gp_adopt_keep_files(struct gp_adopt *a, struct gp_error *err)
{
	GP_TRY(gp_fs_mkdirs(gp_sprintf(a->ctx->arena, "%s/removed", a->paths.state), err));
	GP_TRY(keep_file(a, a->paths.caddy_file, err));
	GP_TRY(keep_file(a, gp_sprintf(a->ctx->arena, "/etc/systemd/system/%s", a->paths.gunicorn), err));
	return keep_file(a, gp_sprintf(a->ctx->arena, "/etc/systemd/system/%s", a->paths.celery), err);
}

/* ---- parts of the plan ------------------------------------------------------------------------------------------------ */

struct wanted {
	const struct gp_paths *paths;
	const char *slug;
	enum gp_adopt_part part;
	const char *gunicorn, *socket, *celery; /* the units' files */
};

/* What the old gunicorn, Celery or Caddy would notice now, or at the next boot. */
static bool is_theirs(const struct wanted *w, const struct gp_resource *r)
{
	const struct gp_paths *p = w->paths;
	const char *const names[] = { p->tmpfiles, p->run, p->socket, w->gunicorn, w->socket, w->celery, p->caddy_file, p->gunicorn,
		p->gunicorn_socket, p->celery };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (gp_streq(r->name, names[i]))
			return true;
	return false;
}

static bool wants(const void *arg, const struct gp_resource *r)
{
	const struct wanted *w = arg;

	if (r->type == &gp_vacant_type)
		return false;
	switch (w->part) {
	case GP_ADOPT_WHOLE:
		/* The one is told of otherwise, the other would miss the site's file, which is written first. */
		return !gp_streq(r->name, w->paths->socket) && !(r->type == &gp_attention_type && gp_streq(r->name, GP_RES_OF_CADDY));
	case GP_ADOPT_BESIDE:
		return !is_theirs(w, r);
	case GP_ADOPT_CADDY:
		return gp_streq(r->name, w->paths->caddy_file) || gp_streq(r->name, GP_RES_RELOAD_CADDY);
	case GP_ADOPT_REST:
		return (r->group && gp_streq(r->group, w->slug)) || gp_streq(r->name, GP_RES_RELOAD_UNITS) || gp_streq(r->name, GP_RES_RELOAD_CADDY);
	}
	return false;
}

int gp_adopt_provision(struct gp_ctx *ctx, const struct gp_adopt *a, enum gp_adopt_part part, bool apply, struct gp_changes *ret,
	struct gp_error *err)
{
	const struct wanted w = { .paths = &a->paths, .slug = a->site.slug, .part = part,
		.gunicorn = gp_sprintf(ctx->arena, "/etc/systemd/system/%s", a->paths.gunicorn),
		.socket = gp_sprintf(ctx->arena, "/etc/systemd/system/%s", a->paths.gunicorn_socket),
		.celery = gp_sprintf(ctx->arena, "/etc/systemd/system/%s", a->paths.celery) };
	const struct gp_provision_part what = { .site = &a->site, .wants = wants, .arg = &w, .redis = a->redis, .redis_n = a->redis_n };

	return gp_provision_run(ctx, &(struct gp_provision){ .slug = a->site.slug, .apply = apply, .part = &what }, ret, err);
}

/* ---- the steps ------------------------------------------------------------------------------------------------------------ */

static int adopt_fetch(struct gp_deploy *d, struct gp_error *err)
{
	if (gp_deploy_fetch(d, err) == 0)
		return 0;
	if (err && err->kind == GP_E_USAGE) {
		*err = (struct gp_error){ 0 };
		gp_fail(err, GP_E_FAILED, "the commit that app is at, %.12s, is not in %s", d->ref, d->site.repo);
		gp_hint(err, "push it there first");
	}
	return -1;
}

/* What either user has made in media, both can read and write. */
static int share_media(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_tree_shared found;
	GP_AUTO_IDENTITY was = { 0 };
	gid_t group;

	if (gp_group_find(d->paths.run_user, &group, err) != 1)
		return gp_fail(err, GP_E_FAILED, "there is no group %s", d->paths.run_user);
	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(gp_tree_share(d->paths.media, d->account.uid, group, true, &found, err));
	if (found.shared)
		gp_tell_note(d->ctx, "%llu files and folders in media: the site's own user may write them too", (unsigned long long)found.shared);
	return 0;
}

static int adopt_start(struct gp_deploy *d, struct gp_error *err)
{
	GP_TRY(share_media(d, err));
	return gp_deploy_start(d, err);
}

/* The folder of the socket is the old gunicorn's own, in /run, which is root's. */
static int take_folder(struct gp_deploy *d, struct gp_error *err)
{
	const char *kept = kept_socket(d);
	struct stat st;
	int there;

	if (lchown(d->paths.run, 0, 0) < 0 || chmod(d->paths.run, 0755) < 0)
		return gp_fail_errno(err, errno, "take over %s", d->paths.run);
	GP_TRY(there = gp_fs_lstat(d->paths.socket, &st, err));
	if (!there || !S_ISSOCK(st.st_mode))
		return 0;
	GP_TRY(gp_fs_remove(kept, err));
	return link(d->paths.socket, kept) < 0 ? gp_fail_errno(err, errno, "give %s a second name", d->paths.socket) : 0;
}

static int adopt_switch(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot next = gp_slot_next(&d->paths);
	struct gp_changes changes;

	GP_TRY(take_folder(d, err));
	GP_TRY(gp_statics_publish(d, d->release, err));
	/* Before visitors move: from now on Caddy keeps no connection to the old gunicorn open between two requests. */
	GP_TRY(gp_adopt_provision(d->ctx, d->adopt, GP_ADOPT_CADDY, true, &changes, err));
	return gp_fs_relink_over_socket(d->paths.socket, next.route, err);
}

/* The unit's new file is read before the old process is stopped: so systemd takes away stable/ and not the folder that it is in. */
static int adopt_commit(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);
	struct gp_changes changes;

	GP_TRY(gp_slot_assign(d, &stable, d->release, err));
	return gp_adopt_provision(d->ctx, d->adopt, GP_ADOPT_REST, true, &changes, err);
}

static int adopt_drain(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_slot old = gp_slot_stable(&d->paths);

	(void)err;
	if (gp_slot_is_routed(d, &old) || gp_streq(gp_slot_runs(d, &old), d->release))
		return 0;
	old.socket = kept_socket(d);
	gp_slot_drain(d, &old);
	return 0;
}

static int adopt_restart(struct gp_deploy *d, struct gp_error *err)
{
	GP_TRY(gp_deploy_restart(d, err));
	/* What the old gunicorn has written since the first time. */
	GP_TRY(share_media(d, err));
	return gp_fs_remove(kept_socket(d), err);
}

/* Nothing that runs goes by these names any more. */
static int adopt_links(struct gp_deploy *d, struct gp_error *err)
{
	const struct { const char *path, *target; } rows[] = {
		{ d->paths.venv, "app/.goldpath/venv" }, { d->paths.app, gp_sprintf(d->ctx->arena, "releases/%s", d->release) },
	};
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_account_assume(&d->account, &was, err));
	for (size_t i = 0; i < 2; i++) {
		struct stat st;
		int there;

		GP_TRY(there = gp_fs_lstat(rows[i].path, &st, err));
		if (there && S_ISDIR(st.st_mode))
			GP_TRY(gp_fs_set_aside(rows[i].path, gp_sprintf(d->ctx->arena, "%s.before-goldpath", rows[i].path), rows[i].target, err));
	}
	gp_account_resume(&was);
	return gp_deploy_link(d, d->release, err);
}

static int adopt_finish(struct gp_deploy *d, struct gp_error *err)
{
	return gp_fs_remove(d->paths.adopting, err);
}

static const struct gp_step others[] = {
	{ "fetch", NULL, adopt_fetch, NULL },
	{ "start", "start it beside the old gunicorn", adopt_start, NULL },
	{ "switch", NULL, adopt_switch, NULL },
};

static const struct gp_step last[] = {
	{ GP_STEP_COMMIT, "make it the site's release, and the units goldpath's", adopt_commit, NULL },
	{ "drain", "let the old gunicorn finish", adopt_drain, NULL },
	{ "restart", "restart gunicorn on it", adopt_restart, NULL },
	{ "return", "lead visitors back to gunicorn", gp_deploy_return, NULL },
	{ "celery", "restart Celery", gp_deploy_celery, gp_steps_without_celery },
	{ "links", "put app and venv aside, and links in their place", adopt_links, NULL },
	{ "finish", "the site is goldpath's", adopt_finish, NULL },
};

static struct gp_step instead(const struct gp_step *step)
{
	struct gp_step is = *step;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!gp_streq(others[i].name, step->name))
			continue;
		is.run = others[i].run;
		is.words = others[i].words ? others[i].words : is.words;
	}
	return is;
}

int gp_adopt_walk(struct gp_deploy *d, const char *from, struct gp_lock *lock, struct gp_error *err)
{
	struct gp_step rows[STEPS_MAX];
	struct gp_steps steps = { .what = "adopt", .v = rows };

	for (int i = 0; i < gp_deploy_steps.n && steps.n < STEPS_MAX && !gp_streq(gp_deploy_steps.v[i].name, GP_STEP_COMMIT); i++)
		rows[steps.n++] = instead(&gp_deploy_steps.v[i]);
	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]) && steps.n < STEPS_MAX; i++)
		rows[steps.n++] = last[i];
	return gp_steps_walk(d, &steps, from, lock, err);
}

/* ---- back ------------------------------------------------------------------------------------------------------------------- */

static int old_caddy(struct gp_deploy *d, struct gp_error *err)
{
	const char *text, *is = "";
	size_t len = 0;
	int there;

	GP_TRY(there = gp_fs_read(d->ctx->arena, kept_file(d->ctx, &d->paths, d->paths.caddy_file), FILE_MAX, &text, &len, err));
	GP_TRY(gp_fs_read(d->ctx->arena, d->paths.caddy_file, FILE_MAX, &is, NULL, err));
	if (!there || gp_streq(is, text))
		return 0;
	GP_TRY(gp_fs_write(d->paths.caddy_file, text, len, 0644, 0, 0, err));
	return gp_caddy_reload(d->ctx, err);
}

static int to_old(struct gp_deploy *d, struct gp_error *err)
{
	const char *kept = kept_socket(d);
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(kept, &st, err));
	if (there && gp_fs_readlink(d->ctx->arena, d->paths.socket) && rename(kept, d->paths.socket) < 0)
		return gp_fail_errno(err, errno, "lead visitors back to the old gunicorn");
	if (there) {
		/* rename(2) does nothing where both are names of one socket. */
		GP_TRY(gp_fs_remove(kept, err));
		if (lchown(d->paths.run, st.st_uid, st.st_gid) < 0)
			return gp_fail_errno(err, errno, "give %s back", d->paths.run);
	}
	GP_TRY(old_caddy(d, err));
	gp_deploy_end_next(d);
	return 0;
}

void gp_adopt_back(struct gp_deploy *d)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);
	const char *assigned = gp_slot_assigned(d->ctx, &stable);
	struct gp_error why = { 0 };

	/* It was proven, and serves: there is nothing to go back to that would be better. */
	if (assigned && d->release && gp_streq(assigned, d->release))
		return;
	if (to_old(d, &why) < 0)
		gp_tell_warn(d->ctx, "back to what was set up by hand: %s", why.msg);
}
