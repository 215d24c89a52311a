/* Restore: the file, and the table. */
#include "ops/restore.h"

#include <poll.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/backup.h"
#include "ops/confined.h"
#include "ops/database_load.h"
#include "ops/deploy.h"
#include "ops/record.h"
#include "ops/slot.h"
#include "sys/ctx.h"
#include "sys/lock.h"
#include "sys/pg.h"

enum { LOOK_WAIT_MS = 10000, LOOK_EVERY_MS = 100 };

/* ---- the steps ---------------------------------------------------------------------------------------------------------- */

static const char *without_file(const struct gp_deploy *d)
{
	return d->restore->request->undo ? "--undo" : NULL;
}

static const char *without_backup(const struct gp_deploy *d)
{
	/* What is live is kept as it is. */
	return d->restore->request->undo ? "--undo" : d->restore->request->no_backup ? "--no-backup" : NULL;
}

static const char *without_look(const struct gp_deploy *d)
{
	return d->restore->answered ? NULL : "nothing answered before";
}

static const char *without_restart(const struct gp_deploy *d)
{
	return d->release ? gp_steps_without_restart(d) : "no release is live";
}

static const char *without_celery(const struct gp_deploy *d)
{
	return d->release ? gp_steps_without_celery(d) : "no release is live";
}

static const char *without_swap(const struct gp_deploy *d)
{
	return d->restore->local ? NULL : "it is in the live one already";
}

static const char *without_clear(const struct gp_deploy *d)
{
	return d->restore->local ? NULL : "none are kept";
}

static int backup(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_backup made;

	if (gp_backup_run(d, GP_BACKUP_RESTORE, &made, err) < 0)
		return gp_hint(err, "--no-backup goes on without one; the former database is kept all the same");
	d->restore->backup = made.path;
	return 0;
}

static int load_into_live(struct gp_deploy *d, struct gp_restore *r, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;

	gp_tell_warn(d->ctx, "the database is on another host: the dump is loaded into it in one transaction, for which the site waits");
	GP_TRY(gp_deploy_login(d, &pg, err));
	GP_TRY(gp_dump_load_live(d->ctx, &r->dump, pg, err));
	r->overwritten = true;
	return 0;
}

/* Beside the live one, which goes on meanwhile. */
static int load(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_restore *r = d->restore;

	return r->local ? gp_database_load(&r->db, &r->dump, &r->rollback.loaded, err) : load_into_live(d, r, err);
}

static int swap(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_restore *r = d->restore;

	GP_TRY(gp_rollback_keep(d, &r->db, err));
	GP_TRY(gp_database_swap(&r->db, r->rollback.loaded, r->rollback.kept, &r->swap_ms, err));
	gp_tell_note(d->ctx, "the database was away for %s; what was live is kept as %s", gp_duration(d->ctx->arena, r->swap_ms),
		r->rollback.kept);
	gp_rollback_reconnect(d);
	return 0;
}

/* What serves goes on with it, as soon as it has found that its connections are gone. */
static int look(struct gp_deploy *d, struct gp_error *err)
{
	int64_t begun = gp_mono_ms(), deadline = begun + LOOK_WAIT_MS;
	struct gp_health health;

	for (;;) {
		health = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, GP_HEALTH_TIMEOUT_MS);
		if (gp_slot_well_enough(d, &health, gp_mono_ms() - begun))
			break;
		if (gp_left_ms(deadline) == 0)
			return gp_health_fail(d->ctx, &health, d->release, "with that database", LOOK_WAIT_MS, err);
		poll(NULL, 0, LOOK_EVERY_MS);
	}
	d->health = health;
	return 0;
}

/* From here on it stays: a run that is cut off is finished, and not undone. That the journal says so is all. */
static int commit(struct gp_deploy *d, struct gp_error *err)
{
	(void)d;
	(void)err;
	return 0;
}

static int restart_celery(struct gp_deploy *d, struct gp_error *err)
{
	GP_TRY(gp_slot_restart(d, d->paths.celery, err));
	return gp_deploy_celery(d, err);
}

static int drain(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);

	(void)err;
	if (!gp_slot_is_routed(d, &stable))
		gp_slot_drain(d, &stable);
	return 0;
}

/* The same release, but not the same process. Where visitors are with it already it is what came up after a reboot. */
static int restart(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths);
	struct gp_health health;

	if (gp_slot_is_routed(d, &stable))
		return 0;
	GP_TRY(gp_slot_restart(d, stable.unit, err));
	GP_TRY(gp_slot_wait(d, &stable, d->release, &health, err));
	gp_slot_warm(d, &stable);
	return 0;
}

/* That one stays is no reason to undo anything. */
static int clear(struct gp_deploy *d, struct gp_error *err)
{
	(void)err;
	gp_database_drop_old(&d->restore->db, d->site.backup.keep_old);
	return 0;
}

static const struct gp_step steps[] = {
	{ "backup", "back up the database as it is", backup, without_backup },
	{ "load", "load the file into a new database, and count", load, without_file },
	{ GP_STEP_SWAP, "put it in place", swap, without_swap },
	{ "look", "ask what serves", look, without_look },
	{ GP_STEP_START, "start gunicorn anew beside the one that serves", gp_deploy_start, without_restart },
	{ "healthy", "wait until it is healthy", gp_deploy_healthy, without_restart },
	{ "switch", "lead visitors to it", gp_deploy_switch, without_restart },
	{ "smoke", "ask through Caddy", gp_deploy_smoke, without_restart },
	{ GP_STEP_COMMIT, "keep it", commit, NULL },
	{ "celery", "restart Celery", restart_celery, without_celery },
	{ "drain", "let the former gunicorn finish", drain, without_restart },
	{ "restart", "restart gunicorn", restart, without_restart },
	{ "return", "lead visitors back to it", gp_deploy_return, without_restart },
	{ "clear", "drop former databases that were kept long enough", clear, without_clear },
};

const struct gp_steps gp_restore_steps = { "restore", steps, sizeof(steps) / sizeof(steps[0]) };

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

/* d is loaded. */
static int prepare(struct gp_deploy *d, const struct gp_restore_request *request, struct gp_restore *r, struct gp_error *err)
{
	*r = (struct gp_restore){ .request = request, .dump.fd = -1, .local = gp_site_database_is_local(&d->site),
		.rollback.how = GP_ROLLBACK_RESTORE_DB };
	r->db = gp_database_named(d->ctx, d->site.database.name, d->site.database.host, (int)d->site.database.port);
	if (!request->undo || r->local)
		return 0;
	gp_fail(err, GP_E_REFUSED, "the database of %s is on another host, where none is kept", d->site.slug);
	return gp_hint(err, "restore the backup that was made before: goldpath backups %s", d->site.slug);
}

/* The one that serves, and how well: one that is not well is what a restore may be for, and need not be better afterwards. */
static int see(struct gp_deploy *d, struct gp_restore *r, struct gp_error *err)
{
	const char *serving = gp_deploy_serving(d);
	struct gp_health now;

	d->previous = r->rollback.from = r->rollback.to = serving;
	if (!serving)
		return 0;
	GP_TRY(gp_deploy_at(d, serving, err));
	now = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, GP_HEALTH_TIMEOUT_MS);
	d->unwell = now.status == GP_HEALTH_UNHEALTHY;
	r->answered = now.status > GP_HEALTH_NO_ANSWER;
	if (now.status < GP_HEALTH_DEGRADED)
		gp_tell_warn(d->ctx, "%s is not well now: %s", serving, *now.why ? now.why : "it does not say why");
	return 0;
}

static int settle(struct gp_restore *r, struct gp_error *err)
{
	struct gp_strv kept;

	if (!r->local)
		return 0;
	GP_TRY(gp_database_settle(&r->db, err));
	if (!r->request->undo)
		return 0;
	GP_TRY(gp_database_kept(&r->db, &kept, err));
	if (!kept.n)
		return gp_fail(err, GP_E_REFUSED, "no former database of %s is kept", r->db.name);
	r->rollback.loaded = kept.v[kept.n - 1];
	return 0;
}

static int run(struct gp_deploy *d, struct gp_restore *r, struct gp_lock *lock, struct gp_error *err)
{
	GP_TRY(gp_deploy_recover(d, lock, err));
	d->restore = r;
	d->rollback = &r->rollback;
	GP_TRY(settle(r, err));
	GP_TRY(see(d, r, err));
	GP_TRY(gp_restore_check(d, r, err));
	d->ref = r->rollback.dump = r->request->undo ? r->rollback.loaded : gp_restore_file_name(r);
	GP_TRY(gp_journal_begin(d->ctx, &d->paths, &(struct gp_unfinished){ .what = "restore", .ref = d->ref, .release = d->release,
		.previous = d->release, .no_restart = r->request->no_restart }, err));
	return gp_steps_walk(d, &gp_restore_steps, NULL, lock, err);
}

int gp_restore_run(struct gp_ctx *ctx, const struct gp_restore_request *request, struct gp_restore *r, struct gp_deploy *d,
	struct gp_error *err)
{
	struct gp_deploy_request *deploy = gp_alloc(ctx->arena, sizeof(*deploy));
	GP_AUTO_LOCK lock = { .fd = -1 };
	int result;

	*deploy = (struct gp_deploy_request){ .slug = request->slug, .no_restart = request->no_restart };
	GP_TRY(gp_deploy_load(ctx, deploy, d, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, request->slug, ctx->command, err));
	GP_TRY(prepare(d, request, r, err));
	/* While all of the host can be seen: the file may lie anywhere. */
	result = gp_restore_find(d, r, err);
	if (result == 0 && (result = gp_confined_begin(d, err)) == 0) {
		result = run(d, r, &lock, err);
		gp_confined_end(d);
	}
	gp_dump_close(&r->dump);
	if (result < 0 && r->overwritten)
		gp_hint(err, "%s is what %s was before", r->backup ? r->backup : "no backup", r->db.name);
	else if (result < 0 && !*err->state)
		gp_state(err, "the database %s is as it was", r->db.name);
	return result;
}

int gp_restore_plan(struct gp_ctx *ctx, const struct gp_restore_request *request, struct gp_restore *r, struct gp_overwritten *ret_there,
	struct gp_error *err)
{
	struct gp_deploy_request deploy = { .slug = request->slug };
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));
	int result;

	GP_TRY(gp_deploy_load(ctx, &deploy, d, err));
	GP_TRY(prepare(d, request, r, err));
	result = gp_restore_find(d, r, err);
	gp_dump_close(&r->dump);
	GP_TRY(result);
	return gp_restore_look(d, r, ret_there, err);
}

/* ---- after a kill -------------------------------------------------------------------------------------------------------- */

static bool is_committed(const struct gp_unfinished *u)
{
	bool committed = false;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		committed = committed || gp_streq(steps[i].name, GP_STEP_COMMIT);
		if (gp_streq(steps[i].name, u->step))
			return committed;
	}
	return false;
}

/* What is so is asked of the server: a name that the journal has was meant, and may not have come to be, or not be any more. */
static int find_swapped(struct gp_deploy *d, const struct gp_unfinished *u, bool *ret, struct gp_error *err)
{
	struct gp_restore *r = d->restore;
	int kept = 0;

	GP_TRY(gp_database_settle(&r->db, err));
	if (*u->kept)
		GP_TRY(kept = gp_database_is_kept(&r->db, u->kept, err));
	if (kept)
		r->rollback.kept = u->kept;
	*ret = kept;
	return 0;
}

/* A database on another host is in the dump's transaction, or it is not; a run that was killed did not hear which. */
static const char *became_of(const struct gp_deploy *d, const struct gp_unfinished *u, bool swapped)
{
	if (d->restore->local)
		return swapped ? NULL : "is as it was";
	return gp_streq(u->step, "backup") || !*u->step ? "is as it was" : gp_streq(u->step, "load") ? "may have been restored, or not" : "has been restored";
}

int gp_restore_recover(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_lock *lock, struct gp_error *err)
{
	struct gp_restore_request *request = gp_alloc(d->ctx->arena, sizeof(*request));
	struct gp_restore *r = gp_alloc(d->ctx->arena, sizeof(*r));
	struct gp_error why = { 0 };
	const char *became;
	bool swapped = false;

	*request = (struct gp_restore_request){ .slug = d->site.slug, .no_restart = u->no_restart };
	GP_TRY(prepare(d, request, r, err));
	d->restore = r;
	d->rollback = &r->rollback;
	d->release = NULL;
	GP_TRY(see(d, r, err));
	if (r->local)
		GP_TRY(find_swapped(d, u, &swapped, err));
	if (!u->undo && is_committed(u)) {
		if (gp_steps_walk(d, &gp_restore_steps, GP_STEP_COMMIT, lock, &why) < 0) {
			gp_tell_warn(d->ctx, "it could not be finished: %s", why.msg);
			return 1;
		}
		gp_tell_note(d->ctx, "the site had been proven with the restored database: finished, it is live");
		return 0;
	}
	if (swapped && gp_rollback_undo(d) < 0)
		return gp_fail(err, GP_E_FAILED, "the restore that was cut off could not be taken back: the warning above says why");
	if (u->beside && d->previous)
		gp_deploy_back(d);
	became = became_of(d, u, swapped);
	if (became)
		gp_tell_note(d->ctx, "the database %s %s", r->db.name, became);
	return gp_journal_note(d->ctx, &d->paths, "end", u->step, d->release, err);
}
