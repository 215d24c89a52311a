/* One backup, from the question whether there is room to the file under its name. */
#include "ops/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "ops/backups.h"
#include "ops/database.h"
#include "ops/deploy.h"
#include "ops/offsite.h"
#include "ops/record.h"
#include "ops/releases.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/pg.h"
#include "sys/pg_dump.h"

enum { ROOM_LEAST = 16 << 20, NAME_TRIES = 60 };

/* One name for all: the site's lock is held, and what a run that was killed has left goes. */
static const char part[] = ".goldpath-backup.part";

struct making {
	struct gp_deploy *d;
	int folder;
	const char *name;
	int64_t begun, start; /* seconds since the epoch; on the monotonic clock */
	struct gp_pg_dumped dumped;
};

static bool is_local(const struct gp_deploy *d)
{
	return gp_site_database_is_local(&d->site);
}

int gp_backup_check(struct gp_deploy *d, struct gp_error *err)
{
	const char *name = gp_dotenv_get(&d->env, "DJANGO_DB_NAME"), *port = gp_dotenv_get(&d->env, "DJANGO_DB_PORT"),
		*host = gp_dotenv_get(&d->env, "DJANGO_DB_HOST");
	int64_t number;

	if (is_local(d) && host && !gp_database_host_is_local(host)) {
		gp_fail(err, GP_E_CONFIG, "%s names a database on %.255s, the site's file one on this host", d->paths.env, host);
		return gp_hint(err, "set `database.host` in the site's file to where the site's database is");
	}
	if (!is_local(d) || ((!name || gp_streq(name, d->site.database.name)) &&
				    (!port || !gp_parse_int(port, 1, 65535, &number) || number == d->site.database.port)))
		return 0;
	gp_fail(err, GP_E_CONFIG, "%s names database %.64s on port %.8s, the site's file %s on port %d", d->paths.env, name ? name : "-",
		port ? port : "-", d->site.database.name, (int)d->site.database.port);
	return gp_hint(err, "set `database` in the site's file to the one that the site uses");
}

/* ---- before ------------------------------------------------------------------------------------------------------------- */

/* Asked of the folder itself: a list of names may be cut short. */
static bool is_manifest_of_none(const struct making *m, const char *name)
{
	size_t len = strlen(name), tail = strlen(".json");
	const char *backup;
	struct stat st;
	int64_t when;

	if (len <= tail || !gp_ends_with(name, ".json"))
		return false;
	backup = gp_strndup(m->d->ctx->arena, name, len - tail);
	return gp_backup_name_ok(m->d->ctx->arena, m->d->site.slug, backup, &when) &&
	       fstatat(m->folder, backup, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* What runs that were killed have left: parts, and a manifest whose backup did not get its name. */
static int tidy(struct making *m, struct gp_error *err)
{
	static const char *const parts[] = { part, ".goldpath-manifest.part", ".goldpath-dump.part" };
	struct gp_deploy *d = m->d;
	struct gp_strv names;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (unlinkat(m->folder, parts[i], 0) < 0 && errno != ENOENT)
			return gp_fail_errno(err, errno, "remove %s/%s", d->paths.backups, parts[i]);
	GP_TRY(gp_backups_names(d->ctx->arena, m->folder, &names, err));
	for (size_t i = 0; i < names.n; i++)
		if (is_manifest_of_none(m, names.v[i]) && unlinkat(m->folder, names.v[i], 0) < 0)
			return gp_fail_errno(err, errno, "remove %s/%s", d->paths.backups, names.v[i]);
	return 0;
}

static int database_bytes(struct gp_deploy *d, uint64_t *ret, struct gp_error *err)
{
	bool local = is_local(d);
	GP_AUTO_PG own = NULL;
	struct gp_pg *pg;
	int there;

	GP_TRY(local ? gp_ctx_admin(d->ctx, (int)d->site.database.port, &pg, err) : gp_deploy_login(d, &own, err));
	GP_TRY(there = gp_database_bytes(local ? pg : own, d->ctx->arena, local ? d->site.database.name : NULL, ret, err));
	if (there)
		return 0;
	gp_fail(err, GP_E_CONFIG, "there is no database %s", d->site.database.name);
	return gp_hint(err, "`goldpath provision %s` makes it, with nothing in it", d->site.slug);
}

/* Of the newest one that is there, proven or not. 0: none. */
static uint64_t last_bytes(const struct making *m)
{
	struct gp_deploy *d = m->d;
	struct gp_strv names;
	struct stat st;
	int64_t when;

	if (gp_backups_names(d->ctx->arena, m->folder, &names, NULL) < 0)
		return 0;
	for (size_t i = names.n; i-- > 0;)
		if (gp_backup_name_ok(d->ctx->arena, d->site.slug, names.v[i], &when) &&
			fstatat(m->folder, names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			return (uint64_t)st.st_size;
	return 0;
}

/* Indexes are not in a dump, and what is packed is a third at most of what is left. Where there is one already, more than that is known. */
static int check_room(struct making *m, struct gp_error *err)
{
	struct gp_deploy *d = m->d;
	uint64_t last = last_bytes(m), size = 0, bytes, inodes, need;

	GP_TRY(database_bytes(d, &size, err));
	need = (last ? last / 2 * 3 : size / 3) + ROOM_LEAST;
	GP_TRY(gp_fs_free(d->paths.backups, &bytes, &inodes, err));
	if (bytes >= need)
		return 0;
	gp_fail(err, GP_E_FAILED, "%s has %llu MiB free, and a dump of the database may need %llu", d->paths.backups,
		(unsigned long long)(bytes >> 20), (unsigned long long)(need >> 20));
	return gp_hint(err, "`goldpath backups %s` lists the old ones; see `df -h %s`", d->site.slug, d->paths.backups);
}

/* A name that nobody has. Two within a second get two seconds. */
static int choose_name(struct making *m, struct gp_error *err)
{
	struct gp_deploy *d = m->d;

	for (int i = 0; i < NAME_TRIES; i++) {
		struct stat st;

		m->name = gp_backup_name(d->ctx->arena, d->site.slug, m->begun + i);
		if (fstatat(m->folder, m->name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			return 0;
	}
	return gp_fail(err, GP_E_FAILED, "%s has a file for each of %d seconds", d->paths.backups, NAME_TRIES);
}

/* ---- the dump ----------------------------------------------------------------------------------------------------------- */

static void tell_progress(void *arg, uint64_t bytes)
{
	struct making *m = arg;
	struct gp_ctx *ctx = m->d->ctx;
	int64_t ms = gp_mono_ms() - m->start;
	GP_AUTO_ARENA own = gp_arena_new();

	gp_tell(ctx, &(struct gp_event){ .kind = GP_EVENT_PROGRESS,
		.text = gp_sprintf(own, "%s, %s/s", gp_size_words(own, bytes), gp_size_words(own, bytes * 1000 / (uint64_t)(ms ? ms : 1))) });
}

/* By the site's own login, from this host: nobody is the superuser of another host's server. */
static int dump_remote(struct making *m, int fd, struct gp_error *err)
{
	struct gp_deploy *d = m->d;
	const char *host = gp_dotenv_get(&d->env, "DJANGO_DB_HOST"), *name = gp_dotenv_get(&d->env, "DJANGO_DB_NAME"),
		*user = gp_dotenv_get(&d->env, "DJANGO_DB_USER"), *port_text = gp_dotenv_get(&d->env, "DJANGO_DB_PORT");
	int64_t port;

	if (!port_text || !gp_parse_int(port_text, 1, 65535, &port))
		port = d->site.database.port;
	return gp_pg_dump_into(d->ctx->arena, &(struct gp_pg_dump){
		.database = name ? name : d->site.database.name,
		.port = (int)port,
		.host = host ? host : d->site.database.host,
		.user = user ? user : d->site.database.user,
		.password = gp_dotenv_get(&d->env, "DJANGO_DB_PASSWORD"),
		.as = &d->account,
		.progress = tell_progress,
		.arg = m }, fd, &m->dumped, err);
}

static int dump(struct making *m, int fd, struct gp_error *err)
{
	struct gp_deploy *d = m->d;

	if (!is_local(d))
		return dump_remote(m, fd, err);
	return gp_pg_dump_local(d->ctx, &(struct gp_pg_dump){ .database = d->site.database.name, .port = (int)d->site.database.port,
		.progress = tell_progress, .arg = m }, fd, &m->dumped, err);
}

static struct gp_manifest manifest_of(const struct making *m, enum gp_backup_reason reason)
{
	const struct gp_pg_dumped *dumped = &m->dumped;
	struct gp_deploy *d = m->d;
	const char *release = gp_releases_live(d->ctx, &d->paths);

	return (struct gp_manifest){
		.file = m->name,
		.sha256 = dumped->file.sha256,
		.bytes = dumped->file.bytes,
		.sql_bytes = dumped->file.unpacked,
		.at = gp_rfc3339(d->ctx->arena, m->begun),
		.verified = gp_rfc3339(d->ctx->arena, gp_now()),
		.ms = gp_mono_ms() - m->start,
		.reason = reason,
		.site = d->site.slug,
		.database = d->site.database.name,
		.server = dumped->sql.server,
		.server_number = dumped->sql.server_number,
		.client = dumped->sql.client,
		.release = release ? release : "",
		.migrations = dumped->sql.migrations,
		.tables = dumped->sql.tables,
	};
}

/* Whoever reads the path that is told finds the file there: the folder may have been moved away meanwhile. */
static int check_folder(struct making *m, struct gp_error *err)
{
	struct stat written, there;
	GP_AUTO_FD now = -1;

	GP_TRY(gp_backups_open(&m->d->paths, m->d->site.slug, &now, err));
	if (fstat(m->folder, &written) < 0 || fstat(now, &there) < 0 || written.st_ino != there.st_ino || written.st_dev != there.st_dev)
		return gp_fail(err, GP_E_REFUSED, "%s is another folder than it was", m->d->paths.backups);
	return 0;
}

/* Under its name for good only now that it is whole; and what lies there then is what was written. */
static int put_in_place(struct making *m, int fd, const struct gp_manifest *manifest, struct gp_error *err)
{
	struct gp_deploy *d = m->d;
	struct stat written, there;

	if (fchown(fd, d->account.uid, d->account.gid) < 0 || fchmod(fd, 0600) < 0 || fsync(fd) < 0)
		return gp_fail_errno(err, errno, "keep the dump");
	GP_TRY(gp_manifest_write(d->ctx->arena, m->folder, manifest, &d->account, err));
	if (renameat2(m->folder, part, m->folder, m->name, RENAME_NOREPLACE) < 0)
		return gp_fail_errno(err, errno, "put %s/%s in place", d->paths.backups, m->name);
	if (fstat(fd, &written) < 0 || fstatat(m->folder, m->name, &there, AT_SYMLINK_NOFOLLOW) < 0 || written.st_ino != there.st_ino ||
		written.st_dev != there.st_dev || written.st_size != (off_t)manifest->bytes)
		return gp_fail(err, GP_E_REFUSED, "%s/%s is not the file that was written", d->paths.backups, m->name);
	if (fsync(m->folder) < 0)
		return gp_fail_errno(err, errno, "sync %s", d->paths.backups);
	return check_folder(m, err);
}

static int make(struct making *m, enum gp_backup_reason reason, struct gp_manifest *ret, struct gp_error *err)
{
	GP_AUTO_FD fd = openat(m->folder, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return gp_fail_errno(err, errno, "write in %s", m->d->paths.backups);
	if (dump(m, fd, err) == 0) {
		*ret = manifest_of(m, reason);
		if (put_in_place(m, fd, ret, err) == 0)
			return 0;
		/* Its manifest without it is nothing; it without its manifest would be a file that only looks like a backup. */
		unlinkat(m->folder, m->name, 0);
		unlinkat(m->folder, gp_manifest_name(m->d->ctx->arena, m->name), 0);
	}
	unlinkat(m->folder, part, 0);
	return -1;
}

static void tell_done(struct making *m, const struct gp_manifest *done)
{
	struct gp_arena *a = m->d->ctx->arena;

	gp_tell_note(m->d->ctx, "%s of %s, %ju rows in %zu tables, read back whole after %s (%s/s)", gp_size_words(a, done->bytes),
		gp_size_words(a, done->sql_bytes), (uintmax_t)m->dumped.sql.rows, done->tables.n, gp_duration(a, done->ms),
		gp_size_words(a, done->sql_bytes * 1000 / (uint64_t)(done->ms ? done->ms : 1)));
}

int gp_backup_run(struct gp_deploy *d, enum gp_backup_reason reason, struct gp_backup *ret, struct gp_error *err)
{
	struct making m = { .d = d, .folder = -1, .begun = gp_now(), .start = gp_mono_ms() };
	GP_AUTO_FD folder = -1;
	struct gp_manifest done;

	GP_TRY(gp_backup_check(d, err));
	GP_TRY(gp_backups_open(&d->paths, d->site.slug, &folder, err));
	m.folder = folder;
	GP_TRY(tidy(&m, err));
	GP_TRY(check_room(&m, err));
	GP_TRY(choose_name(&m, err));
	GP_TRY_TO(err, make(&m, reason, &done, err), "dump database %s", d->site.database.name);
	*ret = (struct gp_backup){ .path = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.backups, m.name), .manifest = done };
	gp_tell_note(d->ctx, "%s", ret->path);
	tell_done(&m, &done);
	return 0;
}

/* ---- the command's ------------------------------------------------------------------------------------------------------ */

struct site_backup {
	struct gp_deploy *d;
	enum gp_backup_reason reason;
	bool media;
	struct gp_backup *ret;
};

static int back_up(struct site_backup *s, struct gp_error *err)
{
	return gp_backup_run(s->d, s->reason, s->ret, err);
}

/* There is a backup by now: what could not be removed is told, and does not undo that. */
static int prune(struct site_backup *s, struct gp_error *err)
{
	struct gp_database db;
	struct gp_unfinished u;
	struct gp_error why = { 0 };

	(void)err;
	if (gp_backups_prune(s->d, &why) < 0)
		gp_tell_warn(s->d->ctx, "%s", why.msg);
	/* What was cut off may have to go back to one. */
	if (gp_journal_read(s->d->ctx, &s->d->paths, &u, NULL) == 0 && !u.found && gp_database_of(s->d->ctx, &s->d->site, &db, NULL) == 0)
		gp_database_drop_old(&db, s->d->site.backup.keep_old);
	return 0;
}

/* 75 has the whole run repeated, by the timer too: a repository that somebody else holds is no reason for another dump. */
static int offsite(struct site_backup *s, struct gp_error *err)
{
	int result = gp_offsite_backup(s->d, &s->ret->offsite, err);

	if (result < 0 && err && err->kind == GP_E_LOCKED)
		err->kind = GP_E_FAILED;
	if (result < 0)
		return gp_context(err, s->ret->offsite.snapshot ? "the backup is made, and a snapshot of it" : "the backup is made, and is not in the repository");
	return 0;
}

static const struct {
	const char *name, *words;
	int (*run)(struct site_backup *s, struct gp_error *err);
} steps[] = {
	{ "backup", "back up the database", back_up },
	{ "prune", "remove what is kept no longer", prune },
	{ "offsite", "take it to the repository", offsite },
};

static int run_steps(struct site_backup *s, struct gp_lock *lock, struct gp_error *err)
{
	const int n = (int)(sizeof(steps) / sizeof(steps[0])) - !s->media;
	struct gp_ctx *ctx = s->d->ctx;

	for (int i = 0; i < n; i++) {
		int64_t start = gp_tell_step(ctx, steps[i].name, steps[i].words, i + 1, n);

		gp_lock_step(lock, steps[i].name);
		GP_TRY(gp_tell_ended(ctx, steps[i].name, start, steps[i].run(s, err)));
	}
	return 0;
}

int gp_backup_site(struct gp_ctx *ctx, const char *slug, enum gp_backup_reason reason, bool media, struct gp_backup *ret, struct gp_error *err)
{
	const struct gp_deploy_request request = { .slug = slug };
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));
	GP_AUTO_LOCK lock = { .fd = -1 };

	*ret = (struct gp_backup){ 0 };
	GP_TRY(gp_deploy_load(ctx, &request, d, err));
	GP_TRY(gp_lock_take(&lock, ctx->lock_dir, slug, ctx->command, err));
	return run_steps(&(struct site_backup){ .d = d, .reason = reason, .media = media, .ret = ret }, &lock, err);
}
