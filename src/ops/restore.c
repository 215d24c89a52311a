/* Restore: the file, and the table. */
#include "ops/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/backup.h"
#include "ops/confined.h"
#include "ops/deploy.h"
#include "ops/record.h"
#include "ops/releases.h"
#include "ops/restore_live.h"
#include "ops/slot.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/pg.h"

enum { LOOK_WAIT_MS = 10000, LOOK_EVERY_MS = 100, PROBE_TIMEOUT_MS = 5000, DAY = 24 * 3600 };

#define GP_ARGS(...) ((const char *const[]){ __VA_ARGS__ })

static struct gp_restore *of(const struct gp_deploy *d)
{
	return (struct gp_restore *)(void *)d->rollback;
}

/* ---- the file ----------------------------------------------------------------------------------------------------------- */

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The site's backups are its deploy user's: a link that was laid there leads no further than that user could go. */
static const struct gp_account *whose(const struct gp_deploy *d, const char *path)
{
	return gp_starts_with(path, gp_sprintf(d->ctx->arena, "%s/", d->paths.root)) ? &d->account : NULL;
}

static int open_folder(struct gp_deploy *d, const char *path, int *ret, struct gp_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *folder = slash ? gp_strndup(d->ctx->arena, path, slash > path ? (size_t)(slash - path) : 1) : ".";
	const struct gp_account *as = whose(d, path);
	GP_AUTO_IDENTITY was = { 0 };

	if (as)
		GP_TRY(gp_account_assume(as, &was, err));
	*ret = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? gp_fail_errno(err, errno, "open folder %s", folder) : 0;
}

static int read_manifest(struct gp_deploy *d, struct gp_restore *r, struct gp_error *err)
{
	GP_AUTO_FD folder = -1;
	int there;

	GP_TRY(open_folder(d, r->file, &folder, err));
	there = gp_manifest_read(d->ctx->arena, folder, name_of(r->file), &r->manifest, err);
	if (there < 0) {
		gp_context(err, "the manifest of %s", r->file);
		return gp_hint(err, "without %s it is taken for a file of somebody else's, and only read whole",
			gp_manifest_name(d->ctx->arena, r->file));
	}
	r->has_manifest = there;
	return 0;
}

static const char *find_file(struct gp_deploy *d, const char *file)
{
	const char *backup = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.backups, file);

	return !strchr(file, '/') && !gp_fs_exists(file) && gp_fs_exists(backup) ? backup : file;
}

/* SLUG_db_STAMP.sql.gz: the slug, NULL where it is no such name. */
static const char *slug_of(struct gp_deploy *d, const char *name)
{
	const char *db = strstr(name, "_db_");

	return db && gp_stamp_time(db + strlen("_db_")) ? gp_strndup(d->ctx->arena, name, (size_t)(db - name)) : NULL;
}

int64_t gp_restore_file_time(const struct gp_restore *r)
{
	const char *db = r->file ? strstr(name_of(r->file), "_db_") : NULL;

	return db ? gp_stamp_time(db + strlen("_db_")) : 0;
}

static void warn_of_another_site(struct gp_deploy *d, const struct gp_restore *r)
{
	const char *site = r->has_manifest ? r->manifest.site : slug_of(d, name_of(r->file));

	if (site && !gp_streq(site, d->site.slug))
		gp_tell_warn(d->ctx, "%s is a backup of another site, %s", name_of(r->file), site);
}

static int find(struct gp_deploy *d, struct gp_restore *r, struct gp_error *err)
{
	if (r->request->undo)
		return 0;
	r->file = find_file(d, r->request->file);
	GP_TRY(gp_dump_find(r->file, whose(d, r->file), &r->dump, err));
	GP_TRY(read_manifest(d, r, err));
	warn_of_another_site(d, r);
	return 0;
}

static int compare_manifest(struct gp_deploy *d, const struct gp_restore *r, struct gp_error *err)
{
	const char *differs = NULL;

	if (!r->dump.sha256 || !gp_streq(r->dump.sha256, r->manifest.sha256))
		gp_fail(err, GP_E_FAILED, "%s is not the file that its manifest is of: its SHA-256 is another one", r->file);
	else if (r->dump.dumped.bytes != r->manifest.sql_bytes)
		gp_fail(err, GP_E_FAILED, "%s holds %ju bytes, and its manifest says %ju", r->file, (uintmax_t)r->dump.dumped.bytes,
			(uintmax_t)r->manifest.sql_bytes);
	else if (!gp_tables_same(d->ctx->arena, &r->dump.dumped.tables, &r->manifest.tables, &differs))
		gp_fail(err, GP_E_FAILED, "%s is not what its manifest says: %s", r->file, differs);
	else
		return 0;
	return gp_hint(err, "it was changed after it had been made and read back; take another one");
}

/* By the one who loads it, where it is loaded; how much there is room for, only this host can say. */
static int server_of(struct gp_deploy *d, const struct gp_restore *r, uint64_t *ret_room, int *ret_version, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;

	if (r->local)
		return gp_database_room(&r->db, ret_room, ret_version, err);
	GP_TRY(gp_deploy_login(d, &pg, err));
	*ret_room = UINT64_MAX;
	*ret_version = gp_pg_version(pg);
	return 0;
}

static void tell_of_file(struct gp_deploy *d, const struct gp_restore *r)
{
	int64_t at = gp_restore_file_time(r);

	gp_tell_note(d->ctx, "%s is whole: %.1f MiB of SQL, %ju rows in %zu tables%s%s%s%s", r->file,
		(double)r->dump.dumped.bytes / (1 << 20), (uintmax_t)r->dump.dumped.rows, r->dump.dumped.tables.n, at ? ", " : "",
		at ? gp_age(d->ctx->arena, gp_now() - at) : "", at ? " old" : "",
		r->has_manifest ? ", as its manifest says" : "; it has no manifest");
}

/* What the release that serves will find, or not find. */
static void tell_of_migrations(struct gp_deploy *d, const struct gp_restore *r)
{
	const struct gp_strv *has = &r->dump.dumped.migrations;
	size_t unknown = 0, missing = 0;
	struct gp_record record;
	struct gp_strv knows;

	if (!d->release || gp_release_record_read(d->ctx, &d->paths, d->release, &record, NULL) != 1)
		return;
	knows = gp_record_keeps(d->ctx, &record);
	for (size_t i = 0; i < has->n; i++)
		unknown += !gp_strv_has(&knows, has->v[i]);
	for (size_t i = 0; i < record.migrations.n; i++)
		missing += !gp_strv_has(has, record.migrations.v[i]);
	if (unknown)
		gp_tell_warn(d->ctx, "it has %zu migration%s that %s does not know", unknown, unknown == 1 ? "" : "s", d->release);
	if (missing)
		gp_tell_warn(d->ctx, "%zu migration%s of %s %s not in it: a deploy applies %s", missing, missing == 1 ? "" : "s", d->release,
			missing == 1 ? "is" : "are", missing == 1 ? "it" : "them");
}

static int check(struct gp_deploy *d, struct gp_restore *r, struct gp_error *err)
{
	uint64_t room = 0;
	int version = 0;

	if (r->request->undo)
		return 0;
	GP_TRY(server_of(d, r, &room, &version, err));
	GP_TRY(gp_dump_check(d->ctx, &r->dump, room, version, err));
	if (r->has_manifest)
		GP_TRY(compare_manifest(d, r, err));
	tell_of_file(d, r);
	tell_of_migrations(d, r);
	return 0;
}

/* ---- the steps ---------------------------------------------------------------------------------------------------------- */

static const char *without_file(const struct gp_deploy *d)
{
	return of(d)->request->undo ? "--undo" : NULL;
}

static const char *without_backup(const struct gp_deploy *d)
{
	/* What is live is kept as it is. */
	return of(d)->request->undo ? "--undo" : of(d)->request->no_backup ? "--no-backup" : NULL;
}

static const char *without_look(const struct gp_deploy *d)
{
	return of(d)->answered ? NULL : "nothing answered before";
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
	return of(d)->local ? NULL : "it is in the live one already";
}

static int backup(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_backup made;

	if (gp_backup_run(d, GP_BACKUP_RESTORE, &made, err) < 0)
		return gp_hint(err, "--no-backup goes on without one; the former database is kept all the same");
	of(d)->backup = made.path;
	return 0;
}

/* Beside the live one, which goes on meanwhile. */
static int load(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_restore *r = of(d);

	return r->local ? gp_database_load(&r->db, &r->dump, &r->rollback.loaded, err) : gp_restore_into_live(d, &r->dump, err);
}

static int swap(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_restore *r = of(d);

	GP_TRY(gp_database_swap(&r->db, r->rollback.loaded, &r->rollback.kept, &r->swap_ms, err));
	gp_tell_note(d->ctx, "the database was away for %s; what was live is kept as %s", gp_duration(d->ctx->arena, r->swap_ms),
		r->rollback.kept);
	return 0;
}

/* What serves goes on with it, as soon as it has found that its connections are gone. */
static int look(struct gp_deploy *d, struct gp_error *err)
{
	int64_t begun = gp_mono_ms(), deadline = begun + LOOK_WAIT_MS;
	struct gp_health health;

	for (;;) {
		health = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, PROBE_TIMEOUT_MS);
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
	return gp_slot_wait(d, &stable, d->release, &health, err);
}

/* Databases that were replaced long ago. That one stays is no reason to undo anything. */
static int clear(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_restore *r = of(d);
	struct gp_error why = { 0 };
	struct gp_strv kept = { 0 };

	(void)err;
	if (gp_database_kept(&r->db, &kept, &why) < 0)
		gp_tell_warn(d->ctx, "%s", why.msg);
	for (size_t i = 0; i < kept.n; i++) {
		const char *stamp = strrchr(kept.v[i], '_') + 1;

		if (gp_now() - gp_stamp_time(stamp) < gp_restore_keeps_days(d) * DAY)
			continue;
		if (gp_database_drop(&r->db, kept.v[i], &why) < 0)
			gp_tell_warn(d->ctx, "%s", why.msg);
		else
			gp_tell_note(d->ctx, "%s was kept long enough, and is dropped", kept.v[i]);
	}
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
	{ "clear", "drop former databases that were kept long enough", clear, without_swap },
};

const struct gp_steps gp_restore_steps = { "restore", steps, sizeof(steps) / sizeof(steps[0]) };

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

/* d is loaded. */
static int prepare(struct gp_deploy *d, const struct gp_restore_request *request, struct gp_restore *r, struct gp_error *err)
{
	*r = (struct gp_restore){ .request = request, .dump.fd = -1, .local = gp_site_database_is_local(&d->site),
		.rollback.how = GP_ROLLBACK_RESTORE_DB };
	r->db = gp_database_named(d->ctx, d->site.database.name, d->site.database.host, (int)d->site.database.port);
	d->rollback = &r->rollback;
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
	now = gp_health_ask(d->ctx, &d->site, d->site.domain, d->paths.socket, PROBE_TIMEOUT_MS);
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
	const char *name = r->file ? name_of(r->file) : "";

	GP_TRY(gp_deploy_recover(d, lock, err));
	d->rollback = &r->rollback;
	GP_TRY(settle(r, err));
	GP_TRY(see(d, r, err));
	GP_TRY(check(d, r, err));
	if (!r->file)
		name = r->rollback.loaded;
	r->rollback.dump = d->ref = name;
	GP_TRY(gp_journal_begin(d->ctx, &d->paths, &(struct gp_unfinished){ .what = "restore", .ref = name, .release = d->release,
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
	result = find(d, r, err);
	if (result == 0 && (result = gp_confined_begin(d, err)) == 0) {
		result = run(d, r, &lock, err);
		gp_confined_end(d);
	}
	gp_dump_close(&r->dump);
	if (result < 0 && !*err->state)
		gp_state(err, "the database %s is as it was", r->db.name);
	return result;
}

static int look_at_live(struct gp_deploy *d, const struct gp_restore *r, struct gp_overwritten *ret, struct gp_error *err)
{
	struct gp_overwritten there = { .database = r->db.name, .bytes = -1, .rows = -1 };
	const char *bytes = NULL, *rows = NULL;
	GP_AUTO_PG own = NULL;
	struct gp_strv files = { 0 };

	/* As superuser names are looked up in pg_catalog alone. */
	GP_TRY(r->local ? gp_pg_open_admin(r->db.port, r->db.name, &own, err) : gp_deploy_login(d, &own, err));
	GP_TRY(gp_pg_value(own, d->ctx->arena, "select pg_catalog.pg_database_size(pg_catalog.current_database())", NULL, 0, &bytes, err));
	GP_TRY(gp_pg_value(own, d->ctx->arena, "select pg_catalog.sum(n_live_tup) from pg_catalog.pg_stat_user_tables", NULL, 0, &rows, err));
	if (bytes)
		gp_parse_int(bytes, 0, INT64_MAX, &there.bytes);
	if (rows)
		gp_parse_int(rows, 0, INT64_MAX, &there.rows);
	gp_fs_list(d->ctx->arena, d->paths.backups, &files, NULL);
	for (size_t i = 0; i < files.n; i++) {
		const char *slug = slug_of(d, files.v[i]);

		if (slug && gp_streq(slug, d->site.slug) && gp_ends_with(files.v[i], ".sql.gz"))
			there.backup = files.v[i];
	}
	*ret = there;
	return 0;
}

int gp_restore_plan(struct gp_ctx *ctx, const struct gp_restore_request *request, struct gp_restore *r, struct gp_overwritten *ret_there,
	struct gp_error *err)
{
	struct gp_deploy_request deploy = { .slug = request->slug };
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));
	int result;

	GP_TRY(gp_deploy_load(ctx, &deploy, d, err));
	GP_TRY(prepare(d, request, r, err));
	result = find(d, r, err);
	gp_dump_close(&r->dump);
	GP_TRY(result);
	return look_at_live(d, r, ret_there, err);
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

/* One that still waits was not put in place; nor was a former one that still has that name. */
static int find_swapped(struct gp_deploy *d, const struct gp_unfinished *u, bool *ret, struct gp_error *err)
{
	struct gp_strv waiting, kept;
	struct gp_restore *r = of(d);

	GP_TRY(gp_database_waiting(&r->db, &waiting, err));
	GP_TRY(gp_database_settle(&r->db, err));
	GP_TRY(gp_database_kept(&r->db, &kept, err));
	*ret = u->swap && !waiting.n && kept.n && !gp_strv_has(&kept, u->ref);
	if (*ret)
		r->rollback.kept = kept.v[kept.n - 1];
	return 0;
}

int gp_restore_recover(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_lock *lock, struct gp_error *err)
{
	struct gp_restore_request *request = gp_alloc(d->ctx->arena, sizeof(*request));
	struct gp_restore *r = gp_alloc(d->ctx->arena, sizeof(*r));
	struct gp_error why = { 0 };
	bool swapped = false;

	*request = (struct gp_restore_request){ .slug = d->site.slug, .no_restart = u->no_restart };
	GP_TRY(prepare(d, request, r, err));
	d->release = NULL;
	GP_TRY(see(d, r, err));
	if (r->local)
		GP_TRY(find_swapped(d, u, &swapped, err));
	if (is_committed(u)) {
		if (gp_steps_walk(d, &gp_restore_steps, GP_STEP_COMMIT, lock, &why) < 0) {
			gp_tell_warn(d->ctx, "it could not be finished: %s", why.msg);
			return 1;
		}
		gp_tell_note(d->ctx, "the site had been proven with the restored database: finished, it is live");
		return 0;
	}
	if (swapped)
		gp_rollback_undo(d);
	if (u->beside && d->previous)
		gp_deploy_back(d);
	if (!swapped)
		gp_tell_note(d->ctx, "the database %s is as it was", r->db.name);
	return gp_journal_note(d->ctx, &d->paths, "end", u->step, d->release, err);
}
