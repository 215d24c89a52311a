/* Rollback: which release, what of the database, and the table. */
#include "ops/rollback.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/confined.h"
#include "ops/database.h"
#include "ops/deploy.h"
#include "ops/django.h"
#include "ops/record.h"
#include "ops/releases.h"
#include "ops/slot.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/pg.h"

enum { NAMED = 8 };

/* In the journal. */
static const char *const hows[] = {
	[GP_ROLLBACK_ASK] = NULL,
	[GP_ROLLBACK_CODE_ONLY] = "code-only",
	[GP_ROLLBACK_MIGRATE_BACK] = "migrate-back",
	[GP_ROLLBACK_RESTORE_DB] = "restore-db",
};

const char *gp_rollback_how_name(enum gp_rollback_how how)
{
	return hows[how];
}

static int read_applied(struct gp_deploy *d, struct gp_strv *ret, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;

	GP_TRY(gp_deploy_login(d, &pg, err));
	return gp_django_applied(pg, d->ctx->arena, ret, err);
}

static const struct gp_release *find(const struct gp_releases *list, const char *id)
{
	for (size_t i = 0; i < list->n; i++)
		if (gp_streq(list->v[i].record.release, id))
			return &list->v[i];
	return NULL;
}

/* NULL: the error says why not. */
static const struct gp_release *choose(struct gp_deploy *d, const char *to, const struct gp_releases *list, struct gp_error *err)
{
	const struct gp_release *release;

	if (!to)
		to = list->previous;
	if (!to) {
		gp_fail(err, GP_E_FAILED, "there is no release to go back to");
		gp_hint(err, "`goldpath releases %s` lists them", d->site.slug);
		return NULL;
	}
	release = find(list, to);
	if (!release || !release->there) {
		gp_fail(err, GP_E_USAGE, "%s has no release %s%s", d->site.slug, to, release ? " any more: it was removed" : "");
		gp_hint(err, "`goldpath releases %s` lists them", d->site.slug);
		return NULL;
	}
	return release;
}

/* The newest dump in which nothing that is ahead had been applied: those migrations may have come, gone and come again, and what was written
 * meanwhile is not in the older ones. */
static const char *dump_of(struct gp_ctx *ctx, const struct gp_releases *list, const struct gp_rollback *r)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct gp_release *release = &list->v[i];
		bool before = true;

		if (strcmp(release->record.release, r->to) <= 0 || !release->has_backup)
			continue;
		for (size_t k = 0; k < r->ahead.n; k++)
			before = before && !gp_strv_has(&release->record.applied_before, r->ahead.v[k]);
		if (before)
			return gp_strdup(ctx->arena, release->record.backup);
	}
	return NULL;
}

/* The release needs what the database does not have: it was taken back meanwhile, and only a deploy applies it again. */
static int check_missing(struct gp_deploy *d, const struct gp_record *record, const struct gp_strv *applied, struct gp_error *err)
{
	struct gp_strv missing = { 0 };

	for (size_t i = 0; i < record->applied_after.n; i++)
		if (!gp_strv_has(applied, record->applied_after.v[i]))
			gp_strv_add(d->ctx->arena, &missing, record->applied_after.v[i]);
	if (!missing.n)
		return 0;
	gp_fail(err, GP_E_REFUSED, "%s needs what the database does not have any more: %s", record->release,
		gp_strv_brief(d->ctx->arena, &missing, NAMED));
	return gp_hint(err, "deploy that commit, which migrates: goldpath deploy %s --ref %.12s", d->site.slug, record->sha);
}

static int look(struct gp_deploy *d, const struct gp_rollback_request *request, struct gp_rollback *r, struct gp_error *err)
{
	const struct gp_release *to;
	struct gp_django now = { 0 };
	struct gp_releases list;

	GP_TRY(gp_releases_list(d->ctx, &d->paths, &list, err));
	to = choose(d, request->to, &list, err);
	if (!to)
		return -1;
	*r = (struct gp_rollback){ .how = request->how, .from = gp_deploy_serving(d), .to = to->record.release };
	if (*to->record.ref)
		d->ref = to->record.ref;
	if (r->from && gp_streq(r->from, r->to))
		return 0;
	GP_TRY(read_applied(d, &now.applied, err));
	GP_TRY(check_missing(d, &to->record, &now.applied, err));
	if (!to->recorded)
		return 0; /* nobody wrote down what it knows: nothing can be said, and prepare's checks will */
	r->keep = gp_record_keeps(d->ctx, &to->record);
	r->ahead = gp_django_ahead(d->ctx->arena, &now, &r->keep);
	if (r->ahead.n)
		r->dump = dump_of(d->ctx, &list, r);
	return 0;
}

static int refuse(struct gp_deploy *d, const struct gp_rollback *r, struct gp_error *err)
{
	if (r->how == GP_ROLLBACK_RESTORE_DB && !r->ahead.n) {
		gp_fail(err, GP_E_REFUSED, "the database is not ahead of %s: there is no dump that belongs to it", r->to);
		return gp_hint(err, "without --restore-db the code goes back; `goldpath restore %s` puts a backup in place", d->site.slug);
	}
	if (r->how == GP_ROLLBACK_RESTORE_DB && !r->dump) {
		gp_fail(err, GP_E_REFUSED, "no dump is left from before %s", r->ahead.v[0]);
		return gp_hint(err, "--migrate-back or --code-only remain");
	}
	if (r->how != GP_ROLLBACK_ASK || !r->ahead.n)
		return 0;
	gp_fail(err, GP_E_REFUSED, "the database is ahead of %s by %zu migration%s: %s", r->to, r->ahead.n, r->ahead.n == 1 ? "" : "s",
		gp_strv_brief(d->ctx->arena, &r->ahead, NAMED));
	return gp_hint(err, "--migrate-back takes %s back, --code-only leaves %s%s%s", r->ahead.n == 1 ? "it" : "them", r->ahead.n == 1 ? "it" : "them",
		r->dump ? ", --restore-db goes back to the database of before: " : "", r->dump ? r->dump : "");
}

/* Asked of the newer code while nothing is touched: once the older release is live, it would be too late to find out. */
static int check_back(struct gp_deploy *d, const struct gp_rollback *r, struct gp_error *err)
{
	struct gp_deploy newer = *d;
	struct gp_django would;

	if (r->how != GP_ROLLBACK_MIGRATE_BACK || !r->ahead.n)
		return 0;
	GP_TRY(gp_deploy_at(&newer, r->from, err));
	GP_TRY(gp_django_plan_back(&newer, &r->keep, &would, err));
	for (size_t i = 0; i < r->ahead.n; i++) {
		if (gp_strv_has(&would.known, r->ahead.v[i]))
			continue;
		/* A deploy that failed half-way leaves such. */
		gp_fail(err, GP_E_REFUSED, "%s is in the database, and %s does not know it either: it cannot take it back", r->ahead.v[i], r->from);
		return gp_hint(err, "--code-only%s", r->dump ? " and --restore-db remain" : " remains");
	}
	return 0;
}

/* The newer release's code is run for that: confined, and with the site's lock. */
static int would_go_back(struct gp_deploy *d, const struct gp_rollback *r, struct gp_error *err)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	int result;

	if (r->how != GP_ROLLBACK_MIGRATE_BACK || !r->ahead.n)
		return 0;
	GP_TRY(gp_lock_take(&lock, d->ctx->lock_dir, d->site.slug, d->ctx->command, err));
	GP_TRY(gp_confined_begin(d, err));
	result = check_back(d, r, err);
	gp_confined_end(d);
	return result;
}

int gp_rollback_plan(struct gp_ctx *ctx, const struct gp_rollback_request *request, struct gp_rollback *ret, struct gp_error *err)
{
	const struct gp_deploy_request deploy = { .slug = request->slug };
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));

	GP_TRY(gp_deploy_load(ctx, &deploy, d, err));
	GP_TRY(look(d, request, ret, err));
	if (ret->how == GP_ROLLBACK_ASK || (ret->from && gp_streq(ret->from, ret->to)))
		return 0;
	GP_TRY(refuse(d, ret, err));
	return would_go_back(d, ret, err);
}

/* A Redis that is down makes every release unhealthy: then the older one need only be as well as what serves. */
static void see_how_well(struct gp_deploy *d)
{
	struct gp_health now = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, GP_HEALTH_TIMEOUT_MS);

	d->unwell = now.status == GP_HEALTH_UNHEALTHY;
	if (d->unwell)
		gp_tell_warn(d->ctx, "%s itself is unhealthy: %s: %s need not be better", d->rollback->from ? d->rollback->from : d->site.slug,
			*now.why ? now.why : "it does not say why", d->rollback->to);
}

/* What serves could still be asked for, and nothing is built: much less has to be well than for a deploy. */
static int preflight(struct gp_deploy *d, struct gp_error *err)
{
	see_how_well(d);
	return gp_deploy_check_env(d, err);
}

static const char *without_backup(const struct gp_deploy *d)
{
	return !d->rollback->ahead.n || d->rollback->how == GP_ROLLBACK_CODE_ONLY ? "the database stays as it is" : NULL;
}

static const char *without(const struct gp_deploy *d, enum gp_rollback_how how)
{
	if (!d->rollback->ahead.n)
		return "the database is not ahead";
	return d->rollback->how == how ? NULL : "not asked for";
}

static const char *without_restore(const struct gp_deploy *d)
{
	return without(d, GP_ROLLBACK_RESTORE_DB);
}

/* Beside the live one, which goes on meanwhile. */
static int load(struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_DUMP dump = { .fd = -1 };
	struct gp_database db;

	GP_TRY(gp_database_of(d->ctx, &d->site, &db, err));
	GP_TRY(gp_database_settle(&db, err));
	GP_TRY(gp_dump_open(&db, d->rollback->dump, &d->account, &dump, err));
	return gp_database_load(&db, &dump, &d->rollback->loaded, err);
}

int gp_rollback_keep(struct gp_deploy *d, const struct gp_database *db, struct gp_error *err)
{
	GP_TRY(gp_database_kept_name(db, &d->rollback->kept, err));
	return gp_journal_kept(d->ctx, &d->paths, d->rollback->kept, err);
}

/* A moment before visitors are led to the code that belongs to it. */
static int swap(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_database db;
	int64_t ms;

	GP_TRY(gp_database_of(d->ctx, &d->site, &db, err));
	GP_TRY(gp_rollback_keep(d, &db, err));
	GP_TRY(gp_database_swap(&db, d->rollback->loaded, d->rollback->kept, &ms, err));
	gp_tell_note(d->ctx, "the database was away for %s; what was live is kept as %s", gp_duration(d->ctx->arena, ms), d->rollback->kept);
	gp_rollback_reconnect(d);
	return 0;
}

void gp_rollback_reconnect(struct gp_deploy *d)
{
	const struct gp_slot stable = gp_slot_stable(&d->paths), next = gp_slot_next(&d->paths);

	gp_slot_warm(d, gp_slot_is_routed(d, &next) ? &next : &stable);
	gp_slot_warm(d, gp_slot_is_routed(d, &next) ? &stable : &next);
}

static void tell_undone(struct gp_deploy *d, const char *kept)
{
	gp_rollback_reconnect(d);
	gp_tell_note(d->ctx, "the database is again the one that was live; the restored one stays for a while as %s", kept);
}

/* Whether it was put in place is asked of the server: 0 where it was not, too. */
static int put_back(struct gp_deploy *d, const char *kept, struct gp_error *err)
{
	struct gp_database db;
	const char *now;
	int is_kept = 0;

	GP_TRY(gp_database_of(d->ctx, &d->site, &db, err));
	GP_TRY(gp_database_settle(&db, err));
	if (kept)
		GP_TRY(is_kept = gp_database_is_kept(&db, kept, err));
	if (!is_kept)
		return 0;
	GP_TRY(gp_database_undo(&db, kept, &now, err));
	tell_undone(d, now);
	return 0;
}

int gp_rollback_undo(struct gp_deploy *d)
{
	struct gp_rollback *r = d->rollback;
	struct gp_error why = { 0 };

	if (!r || r->how != GP_ROLLBACK_RESTORE_DB || !(r->loaded || r->kept))
		return 0;
	if (put_back(d, r->kept, &why) < 0) {
		gp_tell_warn(d->ctx, "the database could not be put back, and the next command tries again: %s", why.msg);
		return -1;
	}
	r->loaded = r->kept = NULL;
	return 0;
}

int gp_rollback_undo_cut_off(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_error *err)
{
	return gp_streq(u->how, hows[GP_ROLLBACK_RESTORE_DB]) ? put_back(d, *u->kept ? u->kept : NULL, err) : 0;
}

static const char *without_migrate_back(const struct gp_deploy *d)
{
	return without(d, GP_ROLLBACK_MIGRATE_BACK);
}

/* With the code that knows them. Nobody is served by it any more, and it still stands ready: if this fails, it is led to again. */
static int migrate_back(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_deploy newer = *d;
	struct gp_django done;

	GP_TRY(gp_deploy_at(&newer, d->rollback->from, err));
	GP_TRY_TO(err, gp_django_migrate_back(&newer, &d->rollback->keep, &done, err), "with the code of %s", d->rollback->from);
	gp_tell_note(d->ctx, "%zu migration%s taken back", done.back.n, done.back.n == 1 ? "" : "s");
	return 0;
}

/* The release that was left, and those that were jumped over, are not where the next rollback goes, nor what a later one counts as good. */
static int mark_left(struct gp_deploy *d, const struct gp_rollback *r, struct gp_error *err)
{
	struct gp_releases list;

	GP_TRY(gp_releases_list(d->ctx, &d->paths, &list, err));
	for (size_t i = 0; i < list.n; i++) {
		const struct gp_record *record = &list.v[i].record;

		if (strcmp(record->release, r->to) > 0 && strcmp(record->release, r->from) <= 0 && gp_streq(record->result, "ok"))
			GP_TRY(gp_release_record_result(d->ctx, &d->paths, record->release, GP_RELEASE_ROLLED_BACK, err));
	}
	return 0;
}

static int write_down(struct gp_deploy *d, struct gp_error *err)
{
	const struct gp_rollback *r = d->rollback;
	struct gp_error why = { 0 };

	(void)err;
	if ((r->from && mark_left(d, r, &why) < 0) || gp_release_record_result(d->ctx, &d->paths, r->to, "ok", &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
	return 0;
}

static const struct gp_step steps[] = {
	{ "preflight", "look at .env", preflight, NULL },
	{ "backup", "back up the database", gp_deploy_backup, without_backup },
	{ "load", "load the dump into a new database", load, without_restore },
	{ GP_STEP_START, "start it beside the release that serves", gp_deploy_start, NULL },
	{ "healthy", "wait until it is healthy", gp_deploy_healthy, NULL },
	{ GP_STEP_SWAP, "put that database in place", swap, without_restore },
	{ "switch", "lead visitors to it", gp_deploy_switch, NULL },
	{ "smoke", "ask through Caddy", gp_deploy_smoke, NULL },
	{ GP_STEP_COMMIT, "make it the site's release", gp_deploy_commit, NULL },
	{ "celery", "restart Celery", gp_deploy_celery, gp_steps_without_celery },
	{ "migrate-back", "take migrations back", migrate_back, without_migrate_back },
	{ "drain", "let the newer release finish", gp_deploy_drain, NULL },
	{ "restart", "restart gunicorn on it", gp_deploy_restart, NULL },
	{ "return", "lead visitors back to gunicorn", gp_deploy_return, NULL },
	{ "record", "note it down", write_down, NULL },
};

const struct gp_steps gp_rollback_steps = { "rollback", steps, sizeof(steps) / sizeof(steps[0]) };

int gp_rollback_resume(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_error *err)
{
	struct gp_rollback *r = gp_alloc(d->ctx->arena, sizeof(*r));
	struct gp_django now = { 0 };
	struct gp_record record;
	int recorded;

	*r = (struct gp_rollback){ .from = d->previous, .to = u->release };
	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++)
		if (hows[i] && gp_streq(u->how, hows[i]))
			r->how = (enum gp_rollback_how)i;
	if (*u->kept)
		r->kept = u->kept;
	d->rollback = r;
	see_how_well(d);
	GP_TRY(gp_deploy_at(d, u->release, err));
	GP_TRY(recorded = gp_release_record_read(d->ctx, &d->paths, u->release, &record, err));
	if (!recorded || r->how != GP_ROLLBACK_MIGRATE_BACK)
		return 0;
	GP_TRY(read_applied(d, &now.applied, err));
	r->keep = gp_record_keeps(d->ctx, &record);
	r->ahead = gp_django_ahead(d->ctx->arena, &now, &r->keep);
	return 0;
}

static int run(struct gp_deploy *d, const struct gp_rollback_request *request, struct gp_rollback *r, struct gp_lock *lock,
	struct gp_error *err)
{
	GP_TRY(gp_deploy_recover(d, lock, err));
	GP_TRY(look(d, request, r, err));
	d->rollback = r;
	d->previous = r->from;
	GP_TRY(gp_deploy_at(d, r->to, err));
	if (r->from && gp_streq(r->from, r->to))
		return 0;
	GP_TRY(refuse(d, r, err));
	GP_TRY(check_back(d, r, err));
	GP_TRY(gp_journal_begin(d->ctx, &d->paths, &(struct gp_unfinished){ .what = "rollback", .ref = r->to, .release = r->to,
		.previous = r->from, .how = hows[r->how] }, err));
	return gp_steps_walk(d, &gp_rollback_steps, NULL, lock, err);
}

int gp_rollback_run(struct gp_ctx *ctx, const struct gp_rollback_request *request, struct gp_deploy *ret, struct gp_error *err)
{
	const struct gp_deploy_request deploy = { .slug = request->slug };
	struct gp_rollback *r = gp_alloc(ctx->arena, sizeof(*r));
	GP_AUTO_LOCK lock = { .fd = -1 };
	int result;

	GP_TRY(gp_deploy_load(ctx, &deploy, ret, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, request->slug, ctx->command, err));
	GP_TRY(gp_confined_begin(ret, err));
	result = run(ret, request, r, &lock, err);
	gp_confined_end(ret);
	return result;
}
