/* The deploy table and the walk along it: journal, lock, undo, history. */
#include "ops/deploy.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/confined.h"
#include "ops/record.h"
#include "ops/releases.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"

struct step {
	const char *name;  /* in the journal, the history, the lock */
	const char *words; /* for people */
	int (*run)(struct gp_deploy *d, struct gp_error *err);
	const char *(*skip)(const struct gp_deploy *d); /* why this deploy has no such step, or NULL; may be absent */
};

static const char *without_build(const struct gp_deploy *d)
{
	return d->site.build.n ? NULL : "none";
}

static const char *without_restart(const struct gp_deploy *d)
{
	return d->request->no_restart ? "--no-restart" : NULL;
}

static const char *without_celery(const struct gp_deploy *d)
{
	return d->site.celery.enabled ? without_restart(d) : "not enabled";
}

static const struct step steps[] = {
	{ "preflight", "look at Redis, Postgres, disk and .env", gp_deploy_preflight, NULL },
	{ "fetch", "fetch the repository", gp_deploy_fetch, NULL },
	{ "checkout", "check out the release", gp_deploy_checkout, NULL },
	{ "venv", "Python packages", gp_deploy_venv, NULL },
	{ "build", "build commands", gp_deploy_build, without_build },
	{ "compile", "compile bytecode", gp_deploy_compile, NULL },
	{ "prepare", "checks, static files, what will be migrated", gp_deploy_prepare, NULL },
	{ "backup", "back up the database", gp_deploy_backup, gp_deploy_without_backup },
	{ "migrate", "manage.py migrate", gp_deploy_migrate, gp_deploy_without_migrate },
	{ "switch", "switch to the release", gp_deploy_switch, NULL },
	{ "restart", "restart gunicorn", gp_deploy_restart, without_restart },
	{ "healthy", "wait until it is healthy", gp_deploy_healthy, without_restart },
	{ "celery", "restart Celery", gp_deploy_celery, without_celery },
	{ "smoke", "ask through Caddy", gp_deploy_smoke, without_restart },
	{ "prune", "remove old releases", gp_deploy_prune, NULL },
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

const char *gp_live_release(struct gp_ctx *ctx, const struct gp_paths *paths)
{
	const char *target = gp_fs_readlink(ctx->arena, paths->app);

	/* releases/ID, as goldpath writes it; anything else was not made here. */
	if (!target || !gp_starts_with(target, "releases/") || !target[9] || target[9] == '.' || strchr(target + 9, '/') || !gp_fs_exists(paths->app))
		return NULL;
	return target + 9;
}

struct gp_strv gp_release_env(struct gp_deploy *d)
{
	struct gp_strv env = { 0 };

	gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "GIT_SHA=%s", d->sha));
	gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "BUILD_ID=%s", d->release));
	gp_strv_add(d->ctx->arena, &env, gp_sprintf(d->ctx->arena, "RELEASE=%s", d->release));
	return env;
}

static int load(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *d, struct gp_error *err)
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
	d->builder = d->account;
	d->builder.group_count = 2;
	d->builder.groups[0] = d->account.gid;
	d->builder.groups[1] = group;
	return 0;
}

static const char *in_releases(struct gp_deploy *d, const char *id)
{
	return gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, id);
}

static void remove_release(struct gp_deploy *d, const char *id)
{
	const char *live = gp_live_release(d->ctx, &d->paths);
	GP_AUTO_IDENTITY was = { 0 };

	if (!id || !*id || (live && gp_streq(live, id)) || gp_account_assume(&d->account, &was, NULL) < 0)
		return;
	gp_fs_remove(in_releases(d, id), NULL);
}

/*
 * An earlier deploy that was killed. What it left is taken away; where it had switched already, the site goes back to the release
 * before it, since nobody ever saw whether the new one works. Then this deploy starts from a state that it knows.
 */
static int recover(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_unfinished u;
	const char *live = gp_live_release(d->ctx, &d->paths);

	GP_TRY(gp_journal_read(d->ctx, &d->paths, &u, err));
	if (!u.found)
		return 0;
	gp_tell_warn(d->ctx, "the deploy of %s before this one was cut off in step '%s'", u.ref, u.step);
	if (u.switched && live && gp_streq(live, u.release)) {
		const char *words;

		d->previous = *u.previous && gp_fs_exists(in_releases(d, u.previous)) ? u.previous : NULL;
		gp_deploy_back(d);
		gp_deploy_serves(d, &words);
		gp_tell_note(d->ctx, "it had switched to %s, which nobody had seen work: taken back; %s", u.release, words);
	}
	remove_release(d, u.release);
	GP_TRY(gp_release_record_result(d->ctx, &d->paths, u.release, "failed", err));
	return gp_journal_note(d->ctx, &d->paths, "end", u.step, u.release, err);
}

static int run_step(struct gp_deploy *d, const struct step *step, int index, struct gp_error *err)
{
	const char *skipped = step->skip ? step->skip(d) : NULL;
	int64_t start = gp_mono_ms();

	gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_STEP, .name = step->name, .text = step->words, .index = index + 1,
		.total = STEPS });
	if (skipped) {
		gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_SKIPPED, .name = step->name, .text = skipped });
		return 0;
	}
	GP_TRY(gp_journal_note(d->ctx, &d->paths, "begin", step->name, d->release, err));
	if (step->run(d, err) < 0) {
		gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_FAILED, .name = step->name, .ms = gp_mono_ms() - start });
		return -1;
	}
	GP_TRY(gp_journal_note(d->ctx, &d->paths, "done", step->name, d->release, err));
	gp_tell(d->ctx, &(struct gp_event){ .kind = GP_EVENT_DONE, .name = step->name, .ms = gp_mono_ms() - start });
	return 0;
}

/* After a failure: nothing half done stays, and the error says what serves now. */
static void undo(struct gp_deploy *d, const struct step *step, struct gp_error *err)
{
	const char *words;

	if (d->switched)
		gp_deploy_back(d);
	remove_release(d, d->release);
	if (gp_deploy_serves(d, &words)) {
		if (err->kind == GP_E_FAILED)
			err->kind = GP_E_DEPLOY;
		gp_hint(err, "mend it and deploy again: goldpath deploy %s%s%s", d->site.slug, d->request->ref ? " --ref " : "",
			d->request->ref ? d->request->ref : "");
	}
	gp_state(err, "%s", words);
	gp_context(err, "%s", step->name);
}

static void write_history(struct gp_deploy *d, const char *result, const struct step *step, const struct gp_error *err, int64_t ms)
{
	static const char *const names[] = {
		[GP_HEALTH_NO_ANSWER] = NULL,
		[GP_HEALTH_BAD] = "bad",
		[GP_HEALTH_UNHEALTHY] = "unhealthy",
		[GP_HEALTH_DEGRADED] = "degraded",
		[GP_HEALTH_OK] = "ok",
	};
	struct gp_history entry = {
		.release = d->release,
		.ref = d->ref,
		.sha = d->sha,
		.result = result,
		.step = step ? step->name : NULL,
		.health = names[d->health.status],
		.error = err ? gp_secret_mask(&d->ctx->secrets, d->ctx->arena, err->msg) : NULL,
		.ms = ms,
	};
	struct gp_error why = { 0 };

	if (gp_history_add(d->ctx, &d->paths, &entry, &why) < 0 || gp_release_record_finish(d, result, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
}

int gp_deploy_run(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *ret, struct gp_error *err)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	struct gp_deploy *d = ret;
	int64_t start = gp_mono_ms();

	GP_TRY(load(ctx, request, d, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, request->slug, ctx->command, err));
	GP_TRY(gp_confined_begin(d, err));
	GP_TRY(recover(d, err));
	d->previous = gp_deploy_serving(d);
	GP_TRY(gp_journal_begin(ctx, &d->paths, d->ref, d->previous, err));
	for (int i = 0; i < STEPS; i++) {
		gp_lock_step(&lock, steps[i].name);
		if (run_step(d, &steps[i], i, err) == 0)
			continue;
		gp_confined_end(d);
		undo(d, &steps[i], err);
		write_history(d, "failed", &steps[i], err, gp_mono_ms() - start);
		gp_journal_note(ctx, &d->paths, "end", steps[i].name, d->release, NULL);
		return -1;
	}
	gp_confined_end(d);
	write_history(d, "ok", NULL, NULL, gp_mono_ms() - start);
	return gp_journal_note(ctx, &d->paths, "end", NULL, d->release, err);
}
