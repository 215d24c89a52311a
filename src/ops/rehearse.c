/* The steps of a rehearsal, and what is written down of it. */
#include "ops/rehearse.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/backups.h"
#include "ops/confined.h"
#include "ops/deploy.h"
#include "ops/django.h"
#include "ops/drill.h"
#include "ops/offsite.h"
#include "ops/record.h"
#include "ops/restore.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/pg.h"

struct drill {
	struct gp_deploy *d;
	struct gp_restore_request request;
	struct gp_restore file;          /* as a restore finds, reads and judges it */
	struct gp_database_drill scratch;
	bool loaded;
	int64_t began;
	struct gp_rehearsal *ret;
};

/* ---- which ---------------------------------------------------------------------------------------------------------------- */

/* The newest one that counts; where none does, the newest file with a backup's name: the seeds' scripts wrote no manifests. */
static int newest(struct gp_deploy *d, const char **ret, struct gp_error *err)
{
	struct gp_backup_list list;
	size_t i = 0;

	GP_TRY(gp_backups_list(d->ctx, &d->paths, d->site.slug, &list, err));
	if (!list.n) {
		gp_fail(err, GP_E_FAILED, "%s has no backup", d->site.slug);
		return gp_hint(err, "`goldpath backup %s` makes one", d->site.slug);
	}
	while (i < list.n && !list.v[i].good)
		i++;
	if (i && i < list.n)
		gp_tell_warn(d->ctx, "%s is newer, and not counted: %s", list.v[0].name, list.v[0].why);
	*ret = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.backups, list.v[i < list.n ? i : 0].name);
	return 0;
}

static int find(struct drill *r, const struct gp_rehearse_request *request, struct gp_error *err)
{
	struct gp_deploy *d = r->d;

	r->request = (struct gp_restore_request){ .slug = d->site.slug, .file = request->file };
	r->file = (struct gp_restore){ .request = &r->request, .local = true, .dump.fd = -1 };
	GP_TRY(gp_database_of(d->ctx, &d->site, &r->file.db, err));
	if (request->offsite)
		GP_TRY(gp_offsite_fetch_dump(d, &r->request.file, err));
	if (!r->request.file)
		GP_TRY(newest(d, &r->request.file, err));
	GP_TRY(gp_restore_find(d, &r->file, err));
	r->ret->file = r->file.file;
	r->ret->has_manifest = r->file.has_manifest;
	return 0;
}

/* ---- the steps ------------------------------------------------------------------------------------------------------------ */

static int check(struct drill *r, struct gp_error *err)
{
	GP_TRY(gp_restore_check(r->d, &r->file, err));
	r->ret->rows = r->file.dump.dumped.rows;
	r->ret->tables = r->file.dump.dumped.tables.n;
	return 0;
}

static int load(struct drill *r, struct gp_error *err)
{
	GP_TRY(gp_database_drill(&r->file.db, &r->file.dump, &r->scratch, err));
	r->loaded = true;
	r->ret->load_ms = gp_mono_ms() - r->began;
	return 0;
}

static int compare_lists(const struct gp_strv *have, const struct gp_strv *want, const char *where, struct gp_error *err)
{
	for (size_t i = 0; i < want->n; i++)
		if (!gp_strv_has(have, want->v[i]))
			return gp_fail(err, GP_E_FAILED, "%s is not among the migrations in %s", want->v[i], where);
	return 0;
}

/* Asked of the scratch database, by the role that loaded it. The rows were counted as it was loaded. */
static int read_migrations(struct drill *r, struct gp_strv *ret, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;

	GP_TRY(gp_pg_open(&r->scratch.login, &pg, err));
	return gp_django_applied(pg, r->d->ctx->arena, ret, err);
}

static int compare(struct drill *r, struct gp_error *err)
{
	const struct gp_strv *want = r->file.has_manifest ? &r->file.manifest.migrations : &r->file.dump.dumped.migrations;
	struct gp_strv have;

	GP_TRY(read_migrations(r, &have, err));
	GP_TRY(compare_lists(&have, want, "the database", err));
	GP_TRY(compare_lists(want, &have, r->file.has_manifest ? "the manifest" : "the dump", err));
	gp_tell_note(r->d->ctx, "%zu migrations, all there", have.n);
	return 0;
}

/* The release that the backup is of, where it is still there: a newer one may want columns that it has not. */
static const char *release_of(struct drill *r)
{
	const char *of = r->file.has_manifest ? r->file.manifest.release : "";

	if (*of && gp_fs_exists(gp_sprintf(r->d->ctx->arena, "%s/%s/.goldpath/venv/bin/python", r->d->paths.releases, of)))
		return of;
	return gp_deploy_serving(r->d);
}

static int app(struct drill *r, struct gp_error *err)
{
	const char *release = release_of(r);

	if (!release || !r->d->host.confine) {
		/* Its settings may read the real `.env`, which only a view of its own keeps from them. */
		gp_tell_warn(r->d->ctx, "no release is asked how it is on it: %s", release ? "without `confine` it could reach the live database" : "none is there");
		return 0;
	}
	r->ret->release = release;
	GP_TRY(gp_deploy_at(r->d, r->ret->release, err));
	GP_TRY(gp_drill_app(r->d, &r->scratch.login, &r->ret->health, err));
	gp_tell_note(r->d->ctx, "%s is %s on it", r->ret->release, gp_health_name(r->ret->health.status));
	return 0;
}

static int drop(struct drill *r, struct gp_error *err)
{
	r->loaded = false;
	return gp_database_drill_end(&r->file.db, &r->scratch, err);
}

static const struct {
	const char *name, *words;
	int (*run)(struct drill *r, struct gp_error *err);
} steps[] = {
	{ "check", "read the backup whole", check },
	{ "load", "load it into a scratch database", load },
	{ "compare", "compare the migrations", compare },
	{ "app", "ask the release how it is on it", app },
	{ "drop", "drop the scratch database", drop },
};

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static int walk(struct drill *r, struct gp_lock *lock, const char **ret_step, struct gp_error *err)
{
	struct gp_ctx *ctx = r->d->ctx;

	for (int i = 0; i < STEPS; i++) {
		int64_t start = gp_tell_step(ctx, steps[i].name, steps[i].words, i + 1, STEPS);

		*ret_step = steps[i].name;
		gp_lock_step(lock, steps[i].name);
		if (steps[i].run == drop)
			r->ret->ms = start - r->began;
		if (gp_tell_ended(ctx, steps[i].name, start, steps[i].run(r, err)) < 0)
			return gp_context(err, "%s", steps[i].name);
	}
	*ret_step = NULL;
	return 0;
}

/* ---- what is written down --------------------------------------------------------------------------------------------------- */

/* One line in `rehearsals`. error NULL: it went well. */
static int note(struct drill *r, const char *error, struct gp_error *err)
{
	struct gp_ctx *ctx = r->d->ctx;
	/* A name that is no UTF-8 cannot be in JSON, and json_pack gives nothing then. */
	json_t *object = json_pack("{s:i, s:s, s:s?, s:s?, s:I, s:I, s:I, s:s?, s:b, s:s?}", "v", 1, "at", gp_rfc3339(ctx->arena, gp_now()), "file",
		r->ret->file, "sha256", r->file.dump.sha256, "ms", (json_int_t)r->ret->ms, "load_ms", (json_int_t)r->ret->load_ms, "rows",
		(json_int_t)r->ret->rows, "release", r->ret->release, "ok", error == NULL, "error", error);
	char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	int result;

	json_decref(object);
	if (!text)
		return gp_fail(err, GP_E_FAILED, "the rehearsal of %s cannot be noted: its name is no UTF-8", r->ret->file);
	result = gp_fs_append(gp_sprintf(ctx->arena, "%s/rehearsals", r->d->paths.state), text, err);
	free(text);
	return result;
}

static void write_down(struct drill *r, const char *step, const struct gp_error *failed)
{
	struct gp_ctx *ctx = r->d->ctx;
	const char *error = failed ? gp_secret_mask(&ctx->secrets, ctx->arena, failed->msg) : NULL;
	const struct gp_history entry = {
		.what = "rehearse",
		.file = r->ret->file,
		.release = r->ret->release,
		.result = failed ? "failed" : "ok",
		.step = step,
		.health = r->ret->release && !failed ? gp_health_name(r->ret->health.status) : NULL,
		.error = error,
		.ms = r->ret->ms,
	};
	struct gp_error why = { 0 };

	if (note(r, error, &why) < 0 || gp_history_add(ctx, &r->d->paths, &entry, &why) < 0)
		gp_tell_warn(ctx, "%s", why.msg);
}

static int rehearse(struct drill *r, struct gp_lock *lock, struct gp_error *err)
{
	struct gp_error why = { 0 };
	const char *step;

	GP_TRY(gp_database_drill_settle(&r->file.db, err));
	r->began = gp_mono_ms();
	if (walk(r, lock, &step, err) == 0) {
		write_down(r, NULL, NULL);
		return 0;
	}
	r->ret->ms = gp_mono_ms() - r->began;
	write_down(r, step, err);
	if (r->loaded && drop(r, &why) < 0)
		gp_tell_warn(r->d->ctx, "%s is left over, and goes with the next rehearsal: %s", r->scratch.login.dbname, why.msg);
	return gp_state(err, "the site and its database %s are as they were", r->file.db.name);
}

int gp_rehearse_run(struct gp_ctx *ctx, const struct gp_rehearse_request *request, struct gp_rehearsal *ret, struct gp_error *err)
{
	const struct gp_deploy_request deploy = { .slug = request->slug };
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));
	struct drill *r = gp_alloc(ctx->arena, sizeof(*r));
	GP_AUTO_LOCK lock = { .fd = -1 };
	int result;

	*ret = (struct gp_rehearsal){ 0 };
	*r = (struct drill){ .d = d, .ret = ret };
	GP_TRY(gp_deploy_load(ctx, &deploy, d, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, request->slug, ctx->command, err));
	/* Before this process sees no site but this one: the file may be another's. */
	result = find(r, request, err);
	if (result == 0)
		result = gp_confined_begin(d, err);
	if (result == 0)
		result = rehearse(r, &lock, err);
	gp_confined_end(d);
	gp_dump_close(&r->file.dump);
	if (request->offsite)
		gp_offsite_forget_dump(d);
	return result;
}
