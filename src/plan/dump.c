/*
 * Resource type: a dump of a database, as it is now. Postgres counts the rows written to each database; what it had counted when the dump
 * began is kept beside it, so that one question tells whether the dump still has all there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"
#include "sys/pg_dump.h"

#define GP_ARG(value) ((const char *const[]){ (value) })

enum { TAIL = 4096, SESSIONS_WAIT_MS = 5000, POLL_MS = 20 };

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

static int make(struct gp_ctx *ctx, const struct gp_dump *spec, const char *part, struct gp_error *err)
{
	GP_AUTO_FD fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct gp_pg_dumped dumped;

	if (fd < 0)
		return gp_fail_errno(err, errno, "open %s", part);
	GP_TRY(gp_pg_dump_local(ctx, &(struct gp_pg_dump){ .database = spec->database, .port = spec->port }, fd, &dumped, err));
	return rename(part, spec->path) < 0 ? gp_fail_errno(err, errno, "put %s in place", spec->path) : 0;
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_dump *spec = resource->spec;
	const char *part = gp_sprintf(ctx->arena, "%s.part", spec->path), *count;

	GP_TRY(written(ctx, spec, &count, err));
	if (make(ctx, spec, part, err) < 0) {
		gp_fs_remove(part, NULL);
		return -1;
	}
	GP_TRY(gp_fs_sync_dir(gp_strndup(ctx->arena, spec->path, (size_t)(strrchr(spec->path, '/') - spec->path)), err));
	return gp_fs_write(count_path(ctx, spec), count ? count : "", count ? strlen(count) : 0, 0600, (uid_t)-1, (gid_t)-1, err);
}

const struct gp_resource_type gp_dump_type = { .name = "dump of", .diff = diff, .apply = apply };
