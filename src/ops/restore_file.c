/* Restore, the file: found, and what is known of it before it is read; read whole, and compared with its manifest. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/backups.h"
#include "ops/deploy.h"
#include "ops/releases.h"
#include "ops/restore.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"

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

const char *gp_restore_file_name(const struct gp_restore *r)
{
	return name_of(r->file);
}

int64_t gp_restore_file_time(const struct gp_restore *r)
{
	int64_t when = 0;

	if (r->file)
		gp_backup_name_read(NULL, name_of(r->file), NULL, &when);
	return when;
}

static void warn_of_another_site(struct gp_deploy *d, const struct gp_restore *r)
{
	const char *site = NULL;
	int64_t when;

	if (r->has_manifest)
		site = r->manifest.site;
	else
		gp_backup_name_read(d->ctx->arena, name_of(r->file), &site, &when);
	if (site && !gp_streq(site, d->site.slug))
		gp_tell_warn(d->ctx, "%s is a backup of another site, %s", name_of(r->file), site);
}

int gp_restore_find(struct gp_deploy *d, struct gp_restore *r, struct gp_error *err)
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
	else if (!r->manifest.tables.partial && !gp_tables_same(d->ctx->arena, &r->dump.dumped.tables, &r->manifest.tables, &differs))
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

	gp_tell_note(d->ctx, "%s is whole: %s of SQL, %ju rows in %zu tables%s%s%s%s", r->file,
		gp_size_words(d->ctx->arena, r->dump.dumped.bytes), (uintmax_t)r->dump.dumped.rows, r->dump.dumped.tables.n, at ? ", " : "",
		at ? gp_age(d->ctx->arena, gp_now() - at) : "", at ? " old" : "",
		r->has_manifest ? ", as its manifest says" : "; it has no manifest");
}

/* What the release that serves will find, or not find. A dump of INSERTs does not say which migrations are in it. */
static void tell_of_migrations(struct gp_deploy *d, const struct gp_restore *r)
{
	const struct gp_strv *has = &r->dump.dumped.migrations;
	bool says = has->n || gp_tables_find(&r->dump.dumped.tables, "public.django_migrations", &(uint64_t){ 0 });
	size_t unknown = 0, missing = 0;
	struct gp_record record;
	struct gp_strv knows;

	if (!d->release || gp_release_record_read(d->ctx, &d->paths, d->release, &record, NULL) != 1)
		return;
	knows = gp_record_keeps(d->ctx, &record);
	for (size_t i = 0; i < has->n; i++)
		unknown += !gp_strv_has(&knows, has->v[i]);
	for (size_t i = 0; i < record.migrations.n && says; i++)
		missing += !gp_strv_has(has, record.migrations.v[i]);
	if (unknown)
		gp_tell_warn(d->ctx, "it has %zu migration%s that %s does not know", unknown, unknown == 1 ? "" : "s", d->release);
	if (missing)
		gp_tell_warn(d->ctx, "%zu migration%s of %s %s not in it: a deploy applies %s", missing, missing == 1 ? "" : "s", d->release,
			missing == 1 ? "is" : "are", missing == 1 ? "it" : "them");
}

int gp_restore_check(struct gp_deploy *d, struct gp_restore *r, struct gp_error *err)
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

int gp_restore_look(struct gp_deploy *d, const struct gp_restore *r, struct gp_overwritten *ret, struct gp_error *err)
{
	struct gp_overwritten there = { .database = r->db.name, .rows = -1 };
	const char *rows = NULL;
	uint64_t bytes = 0;
	int sized;
	GP_AUTO_PG own = NULL;
	struct gp_backup_list list;

	GP_TRY(r->local ? gp_pg_open_admin(r->db.port, r->db.name, &own, err) : gp_deploy_login(d, &own, err));
	GP_TRY(sized = gp_database_bytes(own, d->ctx->arena, NULL, &bytes, err));
	GP_TRY(gp_pg_value(own, d->ctx->arena, "select pg_catalog.sum(n_live_tup) from pg_catalog.pg_stat_user_tables", NULL, 0, &rows, err));
	there.bytes = sized ? (int64_t)bytes : -1;
	if (rows)
		gp_parse_int(rows, 0, INT64_MAX, &there.rows);
	if (gp_backups_list(d->ctx, &d->paths, d->site.slug, &list, NULL) == 0 && list.n)
		there.backup = list.v[0].name;
	*ret = there;
	return 0;
}
