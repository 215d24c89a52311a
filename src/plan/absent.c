/* Resource types for what should not be there: files, folders, users, a Redis database, a Postgres database and role. */
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"
#include "sys/redis.h"

#define GP_ARG(value) ((const char *const[]){ (value) })

enum { FLUSH_TIMEOUT_MS = 30000, RECORD_MAX = 1 << 20, FIRST_PERSON = 1000 };

static int path_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(resource->name, &st, err));
	if (there)
		gp_change_add(ctx, changes, '-', resource, "%s", "");
	return 0;
}

/* A folder is more than a file of ours could be. */
static int file_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct stat st;

	if (gp_fs_lstat(resource->name, &st, NULL) == 1 && S_ISDIR(st.st_mode)) {
		gp_fail(err, GP_E_REFUSED, "%s is a folder", resource->name);
		return gp_hint(err, "goldpath takes files of its own away, and that is none: move it");
	}
	return path_diff(ctx, resource, changes, err);
}

static int path_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_absent *spec = resource->spec;
	struct gp_strv names = { 0 };
	struct stat st;

	GP_TRY(gp_fs_lstat(resource->name, &st, err));
	if (spec && S_ISDIR(st.st_mode))
		GP_TRY(gp_fs_list(ctx->arena, resource->name, &names, err));
	for (size_t i = 0; i < names.n; i++)
		if (!gp_strv_has(&spec->known, names.v[i])) {
			gp_fail(err, GP_E_REFUSED, "%s/%s has come since it was looked at", resource->name, names.v[i]);
			return gp_hint(err, "the same command again keeps that too");
		}
	return gp_fs_remove(resource->name, err);
}

const struct gp_resource_type gp_absent_file_type = { .name = "file", .diff = file_diff, .apply = path_apply };
const struct gp_resource_type gp_absent_folder_type = { .name = "folder", .diff = path_diff, .apply = path_apply };

static int left_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	(void)err;
	gp_change_add(ctx, changes, '!', resource, "%s", (const char *)resource->spec);
	return 0;
}

const struct gp_resource_type gp_left_alone_type = { .name = "left alone:", .diff = left_diff };

/* The user and its group of the same name, either of which may be gone already. */
static int user_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_account account;
	int user, group;
	gid_t gid;

	GP_TRY(user = gp_account_find(ctx->arena, resource->name, &account, err));
	GP_TRY(group = gp_group_find(resource->name, &gid, err));
	if ((user && account.uid >= FIRST_PERSON) || (user && account.uid == 0) || (group && !user && gid >= FIRST_PERSON))
		gp_change_add(ctx, changes, '!', resource, "is no system user: it belongs to somebody else, and stays");
	else if (user || group)
		gp_change_add(ctx, changes, '-', resource, "%s", user ? "and its group" : "its group");
	return 0;
}

static int user_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	(void)ctx;
	return gp_account_delete(resource->name, err);
}

const struct gp_resource_type gp_absent_user_type = { .name = "user", .diff = user_diff, .apply = user_apply };

static int read_record(struct gp_ctx *ctx, const struct gp_absent_redis *spec, const char **ret_without, bool *ret_has, struct gp_error *err)
{
	const char *text = "", *without = "";
	struct gp_strv lines;

	*ret_has = false;
	if (gp_fs_read(ctx->arena, spec->record, RECORD_MAX, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++) {
		if (gp_streq(lines.v[i], spec->line))
			*ret_has = true;
		else
			without = gp_sprintf(ctx->arena, "%s%s\n", without, lines.v[i]);
	}
	*ret_without = without;
	return 0;
}

static int redis_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const char *without;
	bool has;

	GP_TRY(read_record(ctx, resource->spec, &without, &has, err));
	if (has)
		gp_change_add(ctx, changes, '-', resource, "%s", "");
	return 0;
}

/* Emptied before the number is free for another site. */
static int redis_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_absent_redis *spec = resource->spec;
	const char *without;
	bool has;

	if (!spec->shared)
		GP_TRY(gp_redis_flush("127.0.0.1", spec->port, FLUSH_TIMEOUT_MS, spec->number, err));
	GP_TRY(read_record(ctx, spec, &without, &has, err));
	return gp_fs_write(spec->record, without, strlen(without), 0600, (uid_t)-1, (gid_t)-1, err);
}

const struct gp_resource_type gp_absent_redis_type = { .name = "redis database", .diff = redis_diff, .apply = redis_apply };

static int exists(struct gp_ctx *ctx, int port, const char *sql, const char *name, bool *ret, struct gp_error *err)
{
	const char *there;
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, port, &pg, err));
	GP_TRY(gp_pg_value(pg, ctx->arena, sql, GP_ARG(name), 1, &there, err));
	*ret = there != NULL;
	return 0;
}

static int drop(struct gp_ctx *ctx, int port, const char *name, const char *before, const char *after, struct gp_error *err)
{
	const char *quoted;
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, port, &pg, err));
	GP_TRY(gp_pg_identifier(pg, ctx->arena, name, &quoted, err));
	return gp_pg_exec(pg, gp_sprintf(ctx->arena, "%s %s%s", before, quoted, after), err);
}

static int database_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_absent_pg *spec = resource->spec;
	bool there;

	GP_TRY(exists(ctx, spec->port, "select 1 from pg_database where datname = $1", spec->name, &there, err));
	if (there)
		gp_change_add(ctx, changes, '-', resource, "%s", "");
	return 0;
}

static int database_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_absent_pg *spec = resource->spec;
	struct gp_pg *pg;

	if (!gp_fs_exists(spec->dump))
		return gp_fail(err, GP_E_REFUSED, "there is no dump of it at %s", spec->dump);
	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	GP_TRY(gp_pg_open_database(pg, ctx->arena, spec->name, err));
	/* FORCE ends the sessions that somebody still has. */
	return drop(ctx, spec->port, spec->name, "DROP DATABASE", " WITH (FORCE)", err);
}

const struct gp_resource_type gp_absent_pg_database_type = { .name = "database", .diff = database_diff, .apply = database_apply };

static int role_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_absent_pg *spec = resource->spec;
	bool there;

	GP_TRY(exists(ctx, spec->port, "select 1 from pg_roles where rolname = $1", spec->name, &there, err));
	if (there)
		gp_change_add(ctx, changes, '-', resource, "%s", "");
	return 0;
}

/* Without CASCADE or REASSIGN: a role that owns something after all is not dropped. */
static int role_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_absent_pg *spec = resource->spec;

	return drop(ctx, spec->port, spec->name, "DROP ROLE", "", err);
}

const struct gp_resource_type gp_absent_pg_role_type = { .name = "database", .diff = role_diff, .apply = role_apply };
