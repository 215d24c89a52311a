/* Deploy, what Django does: checks, static files and what will be migrated, in one start of it; a dump first; then the migrations. */
#include "base/arena.h"
#include "base/error.h"
#include "ops/backup.h"
#include "ops/deploy.h"
#include "ops/django.h"
#include "ops/releases.h"
#include "sys/ctx.h"

enum { NAMED = 5, WARNED = 8 };

/* "shop.0003_price, shop.0004_stock and 3 more" */
static const char *named(struct gp_arena *arena, const struct gp_migrations *list)
{
	struct gp_strv names = { 0 };

	for (size_t i = 0; i < list->n; i++)
		gp_strv_add(arena, &names, list->v[i].name);
	return gp_strv_brief(arena, &names, NAMED);
}

/* Between `migrate` and `switch` the release that runs meets the new database, and so does one that is gone back to without its data. */
static void warn_of_dangers(struct gp_deploy *d, const struct gp_migrations *pending)
{
	size_t told = 0, more = 0;

	for (size_t i = 0; i < pending->n; i++) {
		for (size_t k = 0; k < pending->v[i].danger_count; k++) {
			if (told++ < WARNED)
				gp_tell_warn(d->ctx, "%s %s", pending->v[i].name, gp_danger_words(d->ctx->arena, &pending->v[i].dangers[k]));
			else
				more++;
		}
	}
	if (more)
		gp_tell_warn(d->ctx, "and %zu more of that kind", more);
	if (told)
		gp_tell_warn(d->ctx, "%s meets that database until the switch: what it does there may fail", d->previous);
}

static void tell(struct gp_deploy *d, const struct gp_django *django)
{
	struct gp_strv ahead;

	if (django->warnings)
		gp_tell_note(d->ctx, "%zu warning%s of Django's own; --verbose shows them", django->warnings, django->warnings == 1 ? "" : "s");
	if (*django->collected)
		gp_tell_note(d->ctx, "%s", django->collected);
	if (django->pending.n)
		gp_tell_note(d->ctx, "%zu migration%s%s%s", django->pending.n, django->pending.n == 1 ? " pends" : "s pend",
			django->applied.n ? ": " : "", django->applied.n ? named(d->ctx->arena, &django->pending) : "");
	else
		gp_tell_note(d->ctx, "nothing to migrate");
	ahead = gp_django_ahead(d->ctx->arena, django, &django->known);
	if (ahead.n)
		gp_tell_warn(d->ctx, "the database has %zu migration%s that this commit does not know: %s", ahead.n, ahead.n == 1 ? "" : "s",
			gp_strv_brief(d->ctx->arena, &ahead, NAMED));
	warn_of_dangers(d, &django->pending);
}

int gp_deploy_prepare(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_django *django = gp_alloc(d->ctx->arena, sizeof(*django));

	GP_TRY(gp_django_prepare(d, d->previous != NULL, django, err));
	d->django = django;
	tell(d, django);
	return gp_release_record_note(d, err);
}

int gp_deploy_look(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_django *django = gp_alloc(d->ctx->arena, sizeof(*django));

	GP_TRY(gp_django_look(d, django, err));
	d->django = django;
	return 0;
}

const char *gp_deploy_without_migrate(const struct gp_deploy *d)
{
	return d->django && !d->django->pending.n ? "nothing to migrate" : NULL;
}

const char *gp_deploy_without_backup(const struct gp_deploy *d)
{
	if (gp_deploy_without_migrate(d))
		return "nothing to migrate";
	return d->site.backup_before_migrate ? NULL : "backup_before_migrate: false";
}

int gp_deploy_backup(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_backup backup;

	GP_TRY(gp_backup_check(d, err));
	if (d->django && !d->django->applied.n) {
		gp_tell_note(d->ctx, "nothing is in the database yet");
		return 0;
	}
	GP_TRY(gp_backup_run(d, d->rollback ? GP_BACKUP_ROLLBACK : GP_BACKUP_DEPLOY, &backup, err));
	d->backup = backup.path;
	/* Before a migration touches anything it stands written which dump is from before it. */
	return gp_release_record_note(d, err);
}

static size_t now_applied(const struct gp_django *before, const struct gp_strv *applied)
{
	size_t n = 0;

	for (size_t i = 0; i < before->pending.n; i++)
		n += gp_strv_has(applied, before->pending.v[i].name);
	return n;
}

/* They are applied in order. */
static void name_the_first_left(struct gp_deploy *d, const struct gp_strv *applied, struct gp_error *err)
{
	for (size_t i = 0; i < d->django->pending.n; i++) {
		if (gp_strv_has(applied, d->django->pending.v[i].name))
			continue;
		gp_context(err, "%s", d->django->pending.v[i].name);
		return;
	}
}

int gp_deploy_migrate(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_django *after = gp_alloc(d->ctx->arena, sizeof(*after));
	int result = gp_django_migrate(d, after, err);
	size_t n = 0;

	if (after->applied_known) {
		struct gp_error why = { 0 };

		n = now_applied(d->django, &after->applied);
		d->applied_after = &after->applied;
		if (gp_release_record_note(d, &why) < 0)
			gp_tell_warn(d->ctx, "%s", why.msg);
	}
	if (result == 0)
		gp_tell_note(d->ctx, "%zu migration%s applied", n, n == 1 ? "" : "s");
	else if (n)
		gp_tell_warn(d->ctx, "%zu of %zu migrations are applied, and stay so", n, d->django->pending.n);
	if (result < 0 && after->applied_known)
		name_the_first_left(d, &after->applied, err);
	return result;
}
