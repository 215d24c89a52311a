/* Deploy, what Django does: checks, static files and what will be migrated, in one start of it; a dump first; then the migrations. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/deploy.h"
#include "ops/django.h"
#include "ops/releases.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"

enum { NAMED = 5, WARNED = 8, ROOM_LEAST = 16 << 20 };

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
	if (django->warnings)
		gp_tell_note(d->ctx, "%zu warning%s of Django's own; --verbose shows them", django->warnings, django->warnings == 1 ? "" : "s");
	if (*django->collected)
		gp_tell_note(d->ctx, "%s", django->collected);
	if (django->pending.n)
		gp_tell_note(d->ctx, "%zu migration%s%s%s", django->pending.n, django->pending.n == 1 ? " pends" : "s pend",
			django->applied.n ? ": " : "", django->applied.n ? named(d->ctx->arena, &django->pending) : "");
	else
		gp_tell_note(d->ctx, "nothing to migrate");
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

static bool is_local(const char *host)
{
	return gp_starts_with(host, "127.") || gp_streq(host, "localhost") || gp_streq(host, "::1") || *host == '/';
}

const char *gp_deploy_without_migrate(const struct gp_deploy *d)
{
	return d->django && !d->django->pending.n ? "nothing to migrate" : NULL;
}

const char *gp_deploy_without_backup(const struct gp_deploy *d)
{
	const char *host = gp_dotenv_get(&d->env, "DJANGO_DB_HOST");

	if (gp_deploy_without_migrate(d))
		return "nothing to migrate";
	if (!d->site.backup_before_migrate)
		return "backup_before_migrate: false";
	return gp_site_database_is_local(&d->site) && (!host || is_local(host)) ? NULL : "the database is on another host";
}

/* The superuser makes the dump, and the deploy user can read it: it must be of the site's own database, not of one that `.env` names. */
static int check_database(struct gp_deploy *d, struct gp_error *err)
{
	const char *name = gp_dotenv_get(&d->env, "DJANGO_DB_NAME"), *port = gp_dotenv_get(&d->env, "DJANGO_DB_PORT");
	int64_t number;

	if ((!name || gp_streq(name, d->site.database.name)) &&
		(!port || !gp_parse_int(port, 1, 65535, &number) || number == d->site.database.port))
		return 0;
	gp_fail(err, GP_E_CONFIG, "%s names database %.64s on port %.8s, the site's file %s on port %d", d->paths.env, name ? name : "-",
		port ? port : "-", d->site.database.name, (int)d->site.database.port);
	return gp_hint(err, "set `database` in the site's file to the one that the site uses, or `backup_before_migrate: false`");
}

/* Indexes are not in a dump, and gzip takes half of the rest at least: half of the database is more than enough. */
static int check_room(struct gp_deploy *d, struct gp_error *err)
{
	const char *const params[] = { d->site.database.name };
	uint64_t bytes, inodes, need;
	const char *text;
	struct gp_pg *pg;
	int64_t size;

	GP_TRY(gp_ctx_admin(d->ctx, (int)d->site.database.port, &pg, err));
	GP_TRY(gp_pg_value(pg, d->ctx->arena, "select pg_database_size(oid) from pg_database where datname = $1", params, 1, &text, err));
	if (!text || !gp_parse_int(text, 0, INT64_MAX, &size))
		return gp_fail(err, GP_E_FAILED, "there is no database %s", d->site.database.name);
	need = (uint64_t)size / 2 + ROOM_LEAST;
	GP_TRY(gp_fs_free(d->paths.backups, &bytes, &inodes, err));
	if (bytes >= need)
		return 0;
	gp_fail(err, GP_E_FAILED, "%s has %llu MiB free, and a dump of the database may need %llu", d->paths.backups,
		(unsigned long long)(bytes >> 20), (unsigned long long)(need >> 20));
	return gp_hint(err, "old dumps lie in %s; see `df -h %s`", d->paths.backups, d->paths.backups);
}

/* The folder, by no link: the deploy user owns it, and the folder that it lies in. */
static int open_backups(struct gp_deploy *d, int *ret, struct gp_error *err)
{
	GP_AUTO_FD root = open(d->paths.root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	*ret = root < 0 ? -1 : openat(root, strrchr(d->paths.backups, '/') + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	gp_fail_errno(err, errno, "open folder %s", d->paths.backups);
	return gp_hint(err, "`goldpath provision %s` makes it anew where it is missing", d->site.slug);
}

/* Under its name for good only once it is whole; and what lies there then is what was written. */
static int put_in_place(struct gp_deploy *d, int folder, int fd, const char *from, const char *to, struct gp_error *err)
{
	struct stat written, there;

	if (fchown(fd, d->account.uid, d->account.gid) < 0 || fchmod(fd, 0600) < 0 || fsync(fd) < 0)
		return gp_fail_errno(err, errno, "keep the dump");
	if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) < 0)
		return gp_fail_errno(err, errno, "put %s/%s in place", d->paths.backups, to);
	if (fstat(fd, &written) < 0 || fstatat(folder, to, &there, AT_SYMLINK_NOFOLLOW) < 0 || written.st_ino != there.st_ino ||
		written.st_dev != there.st_dev)
		return gp_fail(err, GP_E_REFUSED, "%s/%s is not the file that was written", d->paths.backups, to);
	return fsync(folder) < 0 ? gp_fail_errno(err, errno, "sync %s", d->paths.backups) : 0;
}

static int dump(struct gp_deploy *d, int folder, const char *name, struct gp_error *err)
{
	/* One name for all: what a killed deploy has left goes. */
	const char *part = ".goldpath-dump.part";
	GP_AUTO_FD fd = -1;

	if (unlinkat(folder, part, 0) < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "remove %s/%s", d->paths.backups, part);
	fd = openat(folder, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return gp_fail_errno(err, errno, "write in %s", d->paths.backups);
	if (gp_dump_into(d->ctx, (int)d->site.database.port, d->site.database.name, fd, err) == 0 &&
		put_in_place(d, folder, fd, part, name, err) == 0)
		return 0;
	unlinkat(folder, part, 0);
	return -1;
}

int gp_deploy_backup(struct gp_deploy *d, struct gp_error *err)
{
	const char *name = gp_sprintf(d->ctx->arena, "%s_db_%s.sql.gz", d->site.slug, gp_stamp(d->ctx->arena, gp_now()));
	GP_AUTO_FD folder = -1;

	GP_TRY(check_database(d, err));
	if (d->django && !d->django->applied.n) {
		gp_tell_note(d->ctx, "nothing is in the database yet");
		return 0;
	}
	GP_TRY(open_backups(d, &folder, err));
	GP_TRY(check_room(d, err));
	GP_TRY_TO(err, dump(d, folder, name, err), "dump database %s", d->site.database.name);
	d->backup = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.backups, name);
	gp_tell_note(d->ctx, "%s", d->backup);
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
