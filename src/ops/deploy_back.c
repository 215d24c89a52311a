/*
 * Deploy, when it does not go well: back to the release that served, from wherever this one came to, and what to do about a deploy that was
 * killed. What is so is asked of the machine (which release a unit runs, where the link leads), not remembered: so the same few lines hold
 * after a failure, after a kill and after a reboot.
 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/adopt.h"
#include "ops/deploy.h"
#include "ops/record.h"
#include "ops/releases.h"
#include "ops/restore.h"
#include "ops/rollback.h"
#include "ops/slot.h"
#include "ops/statics.h"
#include "sys/ctx.h"
#include "sys/fs.h"

static bool on_disk(struct gp_deploy *d, const char *release)
{
	return release && *release && !strchr(release, '/') && gp_fs_exists(gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, release));
}

/* After `deploy --no-restart` the two differ: then what runs is what a visitor sees, and the way back. */
const char *gp_deploy_serving(struct gp_deploy *d)
{
	const struct gp_slot routed = gp_slot_routed(d);
	const char *running = gp_slot_runs(d, &routed);

	return on_disk(d, running) ? running : gp_releases_live(d->ctx, &d->paths);
}

bool gp_deploy_serves(struct gp_deploy *d, const char **ret_words)
{
	const char *serving = gp_deploy_serving(d);
	struct gp_health health;

	if (!serving && d->adopt)
		serving = "what was set up by hand";
	*ret_words = gp_sprintf(d->ctx->arena, "no release of %s is live", d->site.slug);
	if (!serving)
		return false;
	health = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, GP_HEALTH_TIMEOUT_MS);
	if (health.status >= GP_HEALTH_DEGRADED)
		*ret_words = gp_sprintf(d->ctx->arena, "still serving %s", serving);
	else if (health.status > GP_HEALTH_NO_ANSWER)
		*ret_words = gp_sprintf(d->ctx->arena, "still serving %s, which is not well: %.200s", serving, health.why);
	else
		*ret_words = gp_sprintf(d->ctx->arena, "nothing serves: %s does not answer: %.200s", serving, health.why);
	return health.status > GP_HEALTH_NO_ANSWER;
}

/* What says that it is the site's release, for units and for people. Where it does say so nothing is written: the disk may be full. */
static int name_previous(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);
	const char *assigned = gp_slot_assigned(d->ctx, &stable), *app = gp_fs_readlink(d->ctx->arena, d->paths.app);

	if (!assigned || !gp_streq(assigned, d->previous))
		GP_TRY(gp_slot_assign(d, &stable, d->previous, err));
	if (app && gp_streq(app, gp_sprintf(d->ctx->arena, "releases/%s", d->previous)))
		return 0;
	return gp_deploy_link(d, d->previous, err);
}

/* As long as the old release was not stopped, this is one rename, and the first thing done. Where it was, it is started and proven first,
 * while the new one serves. It was live: how well it is now is no reason to leave visitors with the other one. */
static int to_previous(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);
	const bool runs = gp_streq(gp_slot_runs(d, &stable), d->previous);
	struct gp_error why = { 0 };
	struct gp_health health;

	d->unwell = true;
	if (runs)
		GP_TRY(gp_slot_route(d, &stable, err));
	if (gp_statics_publish(d, d->previous, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
	GP_TRY(name_previous(d, err));
	GP_TRY(gp_slot_env_back(d, err));
	if (!runs) {
		GP_TRY(gp_slot_restart(d, stable.unit, err));
		GP_TRY(gp_slot_wait(d, &stable, d->previous, &health, err));
		GP_TRY(gp_slot_route(d, &stable, err));
	}
	gp_tell_note(d->ctx, "stopping the new release");
	gp_deploy_end_next(d);
	return d->site.celery.enabled ? gp_deploy_celery_on(d, d->previous, err) : 0;
}

/* The first release there ever was. */
static int to_nothing(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths), next = gp_slot_next(&d->paths);

	GP_TRY(gp_slot_stop(d, next.unit, err));
	GP_TRY(gp_slot_stop(d, stable.unit, err));
	if (d->site.celery.enabled)
		GP_TRY(gp_slot_stop(d, d->paths.celery, err));
	GP_TRY(gp_fs_remove(next.env, err));
	GP_TRY(gp_fs_remove(stable.env, err));
	GP_TRY(gp_fs_remove(d->paths.app, err));
	return gp_slot_route(d, &stable, err);
}

void gp_deploy_back(struct gp_deploy *d)
{
	struct gp_error why = { 0 };

	if (d->adopt)
		return gp_adopt_back(d);
	if ((d->previous ? to_previous(d, &why) : to_nothing(d, &why)) < 0)
		gp_tell_warn(d->ctx, "back to %s: %s", d->previous ? d->previous : "no release", why.msg);
}

/* The releases whose files stay, the one that serves first. */
static struct gp_strv others(struct gp_deploy *d, const char *but)
{
	struct gp_strv names = { 0 }, list = { 0 };

	if (d->previous)
		gp_strv_add(d->ctx->arena, &list, d->previous);
	gp_fs_list(d->ctx->arena, d->paths.releases, &names, NULL);
	for (size_t i = names.n; i-- > 0;)
		if (!gp_streq(names.v[i], but) && !gp_strv_has(&list, names.v[i]))
			gp_strv_add(d->ctx->arena, &list, names.v[i]);
	return list;
}

int gp_deploy_remove_release(struct gp_deploy *d, const char *id, struct gp_error *err)
{
	const char *live = gp_releases_live(d->ctx, &d->paths), *serving = gp_deploy_serving(d);
	struct gp_strv stay = others(d, id ? id : "");
	GP_AUTO_IDENTITY was = { 0 };

	/* One that could not be left serves on. */
	if (!on_disk(d, id) || (live && gp_streq(live, id)) || (serving && gp_streq(serving, id)))
		return 0;
	GP_TRY(gp_statics_withdraw(d, id, &stay, err));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	return gp_fs_remove(gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, id), err);
}

static int finish(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_lock *lock, struct gp_error *err)
{
	if (gp_streq(u->what, "deploy"))
		return gp_steps_walk(d, &gp_deploy_steps, GP_STEP_COMMIT, lock, err);
	GP_TRY(gp_rollback_resume(d, u, err));
	return gp_steps_walk(d, &gp_rollback_steps, GP_STEP_COMMIT, lock, err);
}

/*
 * An earlier one that was killed. Once it was the site's release it had been proven, and is finished; before that nobody but the
 * visitors of a moment saw it, and it is taken away.
 */
int gp_deploy_recover(struct gp_deploy *d, struct gp_lock *lock, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);
	const char *assigned = gp_slot_assigned(d->ctx, &stable), *words;
	struct gp_deploy_request request = { .slug = d->request->slug };
	struct gp_deploy old = *d;
	struct gp_unfinished u;
	struct gp_error why = { 0 };

	if (gp_fs_exists(d->paths.adopting)) {
		gp_fail(err, GP_E_REFUSED, "the adoption of %s has not been finished", d->site.slug);
		return gp_hint(err, "goldpath adopt %s", d->site.slug);
	}
	GP_TRY(gp_journal_read(d->ctx, &d->paths, &u, err));
	if (!u.found)
		return 0;
	request.ref = u.ref;
	request.no_restart = u.no_restart;
	old.request = &request;
	old.ref = u.ref;
	old.release = *u.release ? u.release : NULL;
	old.release_dir = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.releases, u.release);
	old.previous = on_disk(d, u.previous) ? u.previous : NULL;
	gp_tell_warn(d->ctx, "the %s of %s before this one was cut off in step '%s'", u.what, *u.ref ? u.ref : u.release, u.step);
	if (gp_streq(u.what, "restore"))
		return gp_restore_recover(&old, &u, lock, err);
	if (!u.undo && on_disk(d, u.release) && assigned && gp_streq(assigned, u.release)) {
		if (finish(&old, &u, lock, &why) < 0) {
			gp_tell_warn(d->ctx, "it could not be finished: %s", why.msg);
			return 1;
		}
		gp_tell_note(d->ctx, "%s had been proven: finished, it is live", u.release);
		return 0;
	}
	if (gp_streq(u.what, "rollback"))
		GP_TRY(gp_rollback_undo_cut_off(&old, &u, err));
	if (u.beside)
		gp_deploy_back(&old);
	if (gp_streq(u.what, "deploy")) {
		GP_TRY(gp_deploy_remove_release(&old, u.release, err));
		GP_TRY(gp_release_record_result(d->ctx, &d->paths, u.release, "failed", err));
	}
	gp_deploy_serves(&old, &words);
	if (u.beside)
		gp_tell_note(d->ctx, "%s had not become the site's release: taken back; %s", u.release, words);
	return gp_journal_note(d->ctx, &d->paths, "end", u.step, u.release, err);
}
