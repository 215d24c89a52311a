/* The deploy table, and what a deploy is about. */
#include "ops/deploy.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/confined.h"
#include "ops/record.h"
#include "ops/releases.h"
#include "ops/slot.h"
#include "ops/statics.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"

static const char *without_build(const struct gp_deploy *d)
{
	return d->site.build.n ? NULL : "none";
}

static const struct gp_step steps[] = {
	{ "preflight", "look at Redis, Postgres, disk, memory and .env", gp_deploy_preflight, NULL },
	{ "fetch", "fetch the repository", gp_deploy_fetch, NULL },
	{ "checkout", "check out the release", gp_deploy_checkout, NULL },
	{ "venv", "Python packages", gp_deploy_venv, NULL },
	{ "build", "build commands", gp_deploy_build, without_build },
	{ "compile", "compile bytecode", gp_deploy_compile, NULL },
	{ "prepare", "checks, static files, what will be migrated", gp_deploy_prepare, NULL },
	{ "backup", "back up the database", gp_deploy_backup, gp_deploy_without_backup },
	{ "migrate", "manage.py migrate", gp_deploy_migrate, gp_deploy_without_migrate },
	{ "start", "start it beside the release that serves", gp_deploy_start, gp_steps_without_restart },
	{ "healthy", "wait until it is healthy", gp_deploy_healthy, gp_steps_without_restart },
	{ "switch", "lead visitors to it", gp_deploy_switch, gp_steps_without_restart },
	{ "smoke", "ask through Caddy", gp_deploy_smoke, gp_steps_without_restart },
	{ "commit", "make it the site's release", gp_deploy_commit, NULL },
	{ "celery", "restart Celery", gp_deploy_celery, gp_steps_without_celery },
	{ "drain", "let the old release finish", gp_deploy_drain, gp_steps_without_restart },
	{ "restart", "restart gunicorn on it", gp_deploy_restart, gp_steps_without_restart },
	{ "return", "lead visitors back to gunicorn", gp_deploy_return, gp_steps_without_restart },
	{ "prune", "remove old releases", gp_deploy_prune, NULL },
};

struct gp_strv gp_release_env_of(struct gp_deploy *d, const char *release, const char *sha)
{
	const char *statics = gp_dotenv_get(&d->env, "DJANGO_STATIC_ROOT");
	struct gp_strv env = { 0 };

	gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "GIT_SHA=%s", sha));
	gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "BUILD_ID=%s", release));
	gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "RELEASE=%s", release));
	gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "GOLDPATH_RELEASE_DIR=%s/%s", d->paths.releases, release));
	/* Somebody who collects elsewhere knows why. */
	if (statics && gp_streq(statics, d->paths.statics))
		gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "DJANGO_STATIC_ROOT=%s", gp_statics_of(d, release)));
	return env;
}

struct gp_strv gp_release_env(struct gp_deploy *d)
{
	return gp_release_env_of(d, d->release, d->sha);
}

int gp_deploy_load(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *d, struct gp_error *err)
{
	gid_t group;

	*d = (struct gp_deploy){ .ctx = ctx, .request = request, .sitemap = "", .health = { .release = "", .why = "", .hint = "", .body = "" } };
	GP_TRY(gp_host_load(ctx->arena, ctx->etc_dir, &d->host, err));
	GP_TRY(gp_site_load(ctx->arena, ctx->etc_dir, request->slug, &d->site, err));
	d->paths = gp_site_paths(ctx, request->slug);
	d->ref = request->ref ? request->ref : d->site.ref;
	d->domain = request->domain ? request->domain : d->site.domain;
	if (gp_account_find(ctx->arena, gp_deploy_user(&d->host, &d->site), &d->account, NULL) != 1 || !gp_fs_exists(d->paths.state) ||
		gp_group_find(d->paths.run_user, &group, NULL) != 1) {
		gp_fail(err, GP_E_CONFIG, "%s is not provisioned on this host", request->slug);
		return gp_hint(err, "`goldpath provision %s` first", request->slug);
	}
	/* Whatever is wrong with it, preflight says. */
	gp_dotenv_read(ctx, d->paths.env, &d->env, NULL);
	d->builder = d->account;
	d->builder.group_count = 2;
	d->builder.groups[0] = d->account.gid;
	d->builder.groups[1] = group;
	return 0;
}

int gp_release_commit(struct gp_deploy *d, const char *release, const char **ret, struct gp_error *err)
{
	struct gp_dotenv env = { 0 };
	GP_AUTO_IDENTITY was = { 0 };

	/* The folder is the deploy user's: nothing by another name is opened there. */
	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(gp_dotenv_read(d->ctx, gp_sprintf(d->ctx->arena, "%s/%s/.goldpath/release.env", d->paths.releases, release), &env, err));
	*ret = gp_dotenv_get(&env, "GIT_SHA");
	return 0;
}

int gp_deploy_at(struct gp_deploy *d, const char *release, struct gp_error *err)
{
	const char *folder = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, release), *venv, *sha;
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_release_commit(d, release, &sha, err));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	venv = gp_fs_readlink(d->ctx->arena, gp_sprintf(d->ctx->arena, "%s/.goldpath/venv", folder));
	gp_account_resume(&was);
	if (!venv || !gp_fs_exists(gp_sprintf(d->ctx->arena, "%s/.goldpath/venv/bin/python", folder)))
		return gp_fail(err, GP_E_FAILED, "%s has no virtual environment any more", release);
	d->release = release;
	d->release_dir = folder;
	d->source_dir = gp_streq(d->site.subdir, ".") ? folder : gp_sprintf(d->ctx->arena, "%s/%s", folder, d->site.subdir);
	d->venv_dir = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.venvs, strrchr(venv, '/') ? strrchr(venv, '/') + 1 : venv);
	d->sha = sha;
	return 0;
}

const struct gp_steps gp_deploy_steps = { "deploy", steps, sizeof(steps) / sizeof(steps[0]) };

static int discard(struct gp_deploy *d, struct gp_error *err)
{
	GP_TRY(gp_deploy_remove_release(d, d->release, err));
	return gp_release_record_remove(d->ctx, &d->paths, d->release, err);
}

static const struct gp_step plan_steps[] = {
	{ "preflight", "look at Redis, Postgres, disk, memory and .env", gp_deploy_preflight, NULL },
	{ "fetch", "fetch the repository", gp_deploy_fetch, NULL },
	{ "checkout", "check out the release", gp_deploy_checkout, NULL },
	{ "venv", "Python packages", gp_deploy_venv, NULL },
	{ "build", "build commands", gp_deploy_build, without_build },
	{ "look", "checks, and what would be migrated", gp_deploy_look, NULL },
	{ "discard", "delete it again", discard, NULL },
};

const struct gp_steps gp_deploy_plan_steps = { "plan", plan_steps, sizeof(plan_steps) / sizeof(plan_steps[0]), .trial = true };

/* An unfinished deploy is finished or taken back by a deploy: a plan changes nothing. */
static int refuse_unfinished(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_unfinished u;

	GP_TRY(gp_journal_read(d->ctx, &d->paths, &u, err));
	if (!u.found)
		return 0;
	gp_fail(err, GP_E_REFUSED, "a %s of %s was cut off in step '%s'", u.what, d->site.slug, u.step);
	return gp_hint(err, "`goldpath deploy %s --resume` finishes it or takes it back", d->site.slug);
}

static int plan(struct gp_deploy *d, struct gp_lock *lock, struct gp_error *err)
{
	GP_TRY(refuse_unfinished(d, err));
	d->previous = gp_deploy_serving(d);
	GP_TRY(gp_journal_begin(d->ctx, &d->paths, &(struct gp_unfinished){ .what = "deploy", .ref = d->ref, .previous = d->previous }, err));
	return gp_steps_walk(d, &gp_deploy_plan_steps, NULL, lock, err);
}

int gp_deploy_plan(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	int result;

	GP_TRY(gp_deploy_load(ctx, request, d, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, request->slug, ctx->command, err));
	GP_TRY(gp_confined_begin(d, err));
	result = plan(d, &lock, err);
	gp_confined_end(d);
	return result;
}

int gp_deploy_resume(struct gp_ctx *ctx, const struct gp_deploy_request *request, const char **ret_words, struct gp_error *err)
{
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));
	GP_AUTO_LOCK lock = { .fd = -1 };
	bool serves;
	int result;

	GP_TRY(gp_deploy_load(ctx, request, d, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, request->slug, ctx->command, err));
	GP_TRY(gp_confined_begin(d, err));
	result = gp_deploy_recover(d, &lock, err);
	gp_confined_end(d);
	GP_TRY(result);
	serves = gp_deploy_serves(d, ret_words);
	if (result == 0)
		return 0;
	gp_fail(err, serves ? GP_E_DEPLOY : GP_E_FAILED, "what was cut off could not be finished: the warning above says why");
	return gp_state(err, "%s", *ret_words);
}

static int run(struct gp_deploy *d, struct gp_lock *lock, struct gp_error *err)
{
	GP_TRY(gp_deploy_recover(d, lock, err));
	d->previous = gp_deploy_serving(d);
	GP_TRY(gp_journal_begin(d->ctx, &d->paths, &(struct gp_unfinished){ .what = "deploy", .ref = d->ref, .previous = d->previous,
		.no_restart = d->request->no_restart }, err));
	return gp_steps_walk(d, &gp_deploy_steps, NULL, lock, err);
}

int gp_deploy_run_locked(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_lock *lock, struct gp_deploy *d, struct gp_error *err)
{
	int result;

	GP_TRY(gp_deploy_load(ctx, request, d, err));
	GP_TRY(gp_confined_begin(d, err));
	result = run(d, lock, err);
	gp_confined_end(d);
	return result;
}

int gp_deploy_run(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *ret, struct gp_error *err)
{
	GP_AUTO_LOCK lock = { .fd = -1 };

	GP_TRY(gp_deploy_load(ctx, request, ret, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, request->slug, ctx->command, err));
	return gp_deploy_run_locked(ctx, request, &lock, ret, err);
}
