/*
 * Resource type: a dump of a database, as it is now. Postgres counts the rows written to each database; what it had counted when the dump
 * began is kept beside it, so that one question tells whether the dump still has all there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"
#include "sys/proc.h"

#define GP_ARG(value) ((const char *const[]){ (value) })

enum { DUMP_TIMEOUT_MS = 6 * 3600 * 1000, TAIL = 4096, SESSIONS_WAIT_MS = 5000, POLL_MS = 20 };

static const char closing_line[] = "-- PostgreSQL database dump complete";

/* NULL: there is no such database. */
static int written(struct gp_ctx *ctx, const struct gp_dump *spec, const char **ret, struct gp_error *err)
{
	static const char sql[] =
		"select concat_ws(' ', d.oid, s.tup_inserted, s.tup_updated, s.tup_deleted, extract(epoch from s.stats_reset))"
		" from pg_database d left join pg_stat_database s on s.datid = d.oid where d.datname = $1";
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	return gp_pg_value(pg, ctx->arena, sql, GP_ARG(spec->database), 1, ret, err);
}

/* A session's rows are counted at the latest when it ends, and those of a site that was stopped are just about to. */
static int wait_for_sessions(struct gp_ctx *ctx, const struct gp_dump *spec, struct gp_error *err)
{
	static const char sql[] = "select 1 from pg_stat_activity where datname = $1 and backend_type = 'client backend' limit 1";
	int64_t deadline = gp_mono_ms() + SESSIONS_WAIT_MS;
	const char *open = "";
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	while (open && gp_left_ms(deadline)) {
		GP_TRY(gp_pg_value(pg, ctx->arena, sql, GP_ARG(spec->database), 1, &open, err));
		if (open)
			poll(NULL, 0, POLL_MS); /* there is no event to wait for */
	}
	return 0;
}

static const char *count_path(struct gp_ctx *ctx, const struct gp_dump *spec)
{
	return gp_sprintf(ctx->arena, "%s.rows-written", spec->path);
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_dump *spec = resource->spec;
	bool there = gp_fs_exists(spec->path);
	const char *now, *then = "";

	GP_TRY(written(ctx, spec, &now, err));
	if (!now || (spec->again && !there))
		return 0;
	if (spec->again) {
		GP_TRY(wait_for_sessions(ctx, spec, err));
		GP_TRY(written(ctx, spec, &now, err));
	}
	if (gp_fs_read_nofollow(ctx->arena, count_path(ctx, spec), TAIL, &then, NULL, err) < 0)
		return -1;
	if (!there)
		gp_change_add(ctx, changes, '+', resource, "%s", spec->path);
	else if (!now || !gp_streq(now, then))
		gp_change_add(ctx, changes, '~', resource, "%s: was written to since", spec->path);
	return 0;
}

/* Read back whole: gzip compares its checksum, and pg_dump's closing line is there. pg_dump may write \unrestrict after it. */
static int check(int fd, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	const char *tail;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return gp_fail_errno(err, errno, "read the dump back");
	GP_TRY_TO(err, gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("gzip", "-dc"), .in_fd = fd, .output_max = TAIL,
		.timeout_ms = DUMP_TIMEOUT_MS }, &result, err), "read the dump back");
	tail = gp_buf_str(&result.out);
	if (result.out.len && strlen(tail) == result.out.len && strstr(tail, closing_line))
		return 0;
	return gp_fail(err, GP_E_FAILED, "the dump does not end with pg_dump's closing line: it is not complete");
}

/* From user postgres, who wrote it, to root. */
static int take_over(const char *path, struct gp_error *err)
{
	GP_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return gp_fail_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return gp_fail(err, GP_E_REFUSED, "%s is not the file that pg_dump wrote", path);
	if (fchown(fd, 0, 0) < 0 || fchmod(fd, 0600) < 0 || fsync(fd) < 0)
		return gp_fail_errno(err, errno, "keep %s", path);
	return check(fd, err);
}

/* Into the file, or into the one that is open as fd. */
static int run_dump(int number, const char *database, const struct gp_account *postgres, const char *file, int fd, struct gp_error *err)
{
	char port[16], to[512] = "--no-sync"; /* which is for files that it opens itself */

	snprintf(port, sizeof(port), "--port=%d", number);
	if (file && snprintf(to, sizeof(to), "--file=%s", file) >= (int)sizeof(to))
		return gp_fail(err, GP_E_FAILED, "%s: too long a path", file);
	if (gp_proc_must(&(struct gp_proc){
		.argv = GP_ARGV("pg_dump", "--format=plain", "--no-owner", "--no-privileges", "--clean", "--if-exists", "--compress=6",
			"--lock-wait-timeout=30s", "--no-password", port, to, "--", database),
		.as = postgres,
		.umask = 077,
		.out_fd = fd,
		.timeout_ms = DUMP_TIMEOUT_MS }, NULL, err) == 0)
		return 0;
	if (err && strstr(err->detail, "lock timeout"))
		gp_hint(err, "a session of the site holds a lock: stop its units, then this again");
	return -1;
}

static int open_it(struct gp_ctx *ctx, int port, const char *database, struct gp_error *err)
{
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, port, &pg, err));
	return gp_pg_open_database(pg, ctx->arena, database, err);
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_dump *spec = resource->spec;
	const char *file = gp_sprintf(ctx->arena, "%s/dump", spec->work), *count;
	struct gp_account postgres;

	GP_TRY(gp_account_get(ctx->arena, "postgres", &postgres, err));
	GP_TRY(open_it(ctx, spec->port, spec->database, err));
	GP_TRY(written(ctx, spec, &count, err));
	GP_TRY(gp_fs_remove(spec->work, err));
	GP_TRY(gp_fs_mkdir(spec->work, 0700, postgres.uid, postgres.gid, err));
	if (run_dump(spec->port, spec->database, &postgres, file, 0, err) < 0 || take_over(file, err) < 0) {
		gp_fs_remove(spec->work, NULL);
		return -1;
	}
	if (rename(file, spec->path) < 0)
		return gp_fail_errno(err, errno, "put %s in place", spec->path);
	GP_TRY(gp_fs_sync_dir(gp_strndup(ctx->arena, spec->path, (size_t)(strrchr(spec->path, '/') - spec->path)), err));
	GP_TRY(gp_fs_remove(spec->work, err));
	return gp_fs_write(count_path(ctx, spec), count ? count : "", count ? strlen(count) : 0, 0600, (uid_t)-1, (gid_t)-1, err);
}

int gp_dump_into(struct gp_ctx *ctx, int port, const char *database, int fd, struct gp_error *err)
{
	struct gp_account postgres;

	GP_TRY(gp_account_get(ctx->arena, "postgres", &postgres, err));
	GP_TRY(run_dump(port, database, &postgres, NULL, fd, err));
	if (fsync(fd) < 0)
		return gp_fail_errno(err, errno, "keep the dump");
	return check(fd, err);
}

const struct gp_resource_type gp_dump_type = { .name = "dump of", .diff = diff, .apply = apply };
