/* What of a site is its own: its database and role, and what lies in its folder. */
#include "base/arena.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "base/parse.h"
#include "conf/site.h"
#include "ops/database.h"
#include "ops/remove.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"

static bool is_reserved(const char *name)
{
	static const char *const names[] = { "postgres", "template0", "template1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (gp_streq(name, names[i]))
			return true;
	return gp_starts_with(name, "pg_");
}

const char *gp_remove_keeps_database(struct gp_arena *arena, const struct gp_remove_db *db)
{
	if (is_reserved(db->name))
		return "it is Postgres' own";
	if (!db->local)
		return gp_sprintf(arena, "it is on %s", db->host);
	if (gp_strv_has(&db->databases, db->name))
		return "another site names it";
	if (db->there && !gp_streq(db->owner, db->user))
		return gp_sprintf(arena, "it belongs to role '%s', not to '%s'", db->owner, db->user);
	return NULL;
}

const char *gp_remove_keeps_role(struct gp_arena *arena, const struct gp_remove_db *db)
{
	if (is_reserved(db->user))
		return "it is Postgres' own";
	if (!db->local)
		return gp_sprintf(arena, "it is on %s", db->host);
	if (gp_strv_has(&db->roles, db->user))
		return "another site names it";
	if (db->role_super)
		return "it is a superuser";
	if (db->there && gp_remove_keeps_database(arena, db))
		return gp_sprintf(arena, "the database '%s' stays", db->name);
	if (db->elsewhere && *db->elsewhere)
		return gp_sprintf(arena, "it owns things, or has rights, elsewhere: %s", db->elsewhere);
	return NULL;
}

bool gp_remove_is_made(const char *name)
{
	static const char *const made[] = { "app", "venv", "repo.git", "releases", "venvs", "static", ".cache", "lost+found" };

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (gp_streq(name, made[i]))
			return true;
	return false;
}

static bool is_local(const char *host)
{
	struct gp_site site = { .database = { .host = host } };

	return gp_site_database_is_local(&site);
}

/* Names out of an environment file, of which a site's owner has written every line: they are names, or they are not taken. */
static void take_names(const struct gp_dotenv *env, struct gp_remove_db *ret)
{
	const char *name = gp_dotenv_get(env, "DJANGO_DB_NAME"), *user = gp_dotenv_get(env, "DJANGO_DB_USER");
	const char *host = gp_dotenv_get(env, "DJANGO_DB_HOST"), *port = gp_dotenv_get(env, "DJANGO_DB_PORT");
	int64_t number = 5432;

	if (!name || !user || !gp_name_ok(GP_NAME_dbname, name) || !gp_name_ok(GP_NAME_dbname, user) || (port && !gp_parse_int(port, 1, 65535, &number)))
		return;
	ret->name = name;
	ret->user = user;
	ret->host = host ? host : "127.0.0.1";
	ret->port = (int)number;
	ret->local = is_local(ret->host);
}

static void names_in_env(struct gp_ctx *ctx, const char *path, struct gp_remove_db *ret)
{
	struct gp_dotenv env;

	if (gp_dotenv_read(ctx, path, &env, NULL) == 1)
		take_names(&env, ret);
}

/* What another site may call its own: its file, what its units read, and where the file cannot be read the names that follow from it. */
static void add_claims(struct gp_ctx *ctx, const char *slug, struct gp_remove_db *db)
{
	struct gp_paths paths = gp_site_paths(ctx, slug);
	struct gp_remove_db env = { 0 };
	const char *guess = gp_site_underscored(ctx->arena, slug);
	struct gp_site site;
	bool known = gp_site_load(ctx->arena, ctx->etc_dir, slug, &site, NULL) == 0;

	gp_strv_add(ctx->arena, &db->databases, known ? site.database.name : guess);
	gp_strv_add(ctx->arena, &db->roles, known ? site.database.user : guess);
	names_in_env(ctx, paths.site_env, &env);
	if (env.name) {
		gp_strv_add(ctx->arena, &db->databases, env.name);
		gp_strv_add(ctx->arena, &db->roles, env.user);
	}
}

static int find_claims(struct gp_ctx *ctx, const char *slug, struct gp_remove_db *db, struct gp_error *err)
{
	struct gp_strv files = { 0 }, folders = { 0 };

	GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &files, err));
	GP_TRY(gp_fs_list(ctx->arena, ctx->state_dir, &folders, err));
	for (size_t i = 0; i < folders.n; i++)
		if (!gp_strv_has(&files, folders.v[i]) && gp_name_ok(GP_NAME_slug, folders.v[i]) &&
			gp_fs_exists(gp_site_paths(ctx, folders.v[i]).site_env))
			gp_strv_add(ctx->arena, &files, folders.v[i]);
	for (size_t i = 0; i < files.n; i++)
		if (!gp_streq(files.v[i], slug) && gp_name_ok(GP_NAME_slug, files.v[i]))
			add_claims(ctx, files.v[i], db);
	return 0;
}

static int ask_server(struct gp_ctx *ctx, struct gp_remove_db *db, struct gp_error *err)
{
	/* pg_shdepend: what each database, and the cluster, holds of a role. The site's own database goes, with what is in it, and
	 * so do those that a restore has put aside. */
	static const char sql[] =
		"select d.oid is not null, coalesce(o.rolname, ''), r.oid is not null, coalesce(r.rolsuper, false),"
		" coalesce((select string_agg(distinct coalesce(h.datname, other.datname, 'the cluster'), ', ') from pg_shdepend s"
		"  left join pg_database h on h.oid = s.dbid"
		"  left join pg_database other on s.classid = 'pg_database'::regclass and other.oid = s.objid"
		"  where s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid"
		"  and coalesce(h.datname, other.datname, '') <> $1 and (not starts_with(coalesce(h.datname, other.datname, ''), $3)"
		"   or substr(coalesce(h.datname, other.datname), length($3) + 1) !~ '^(old|bad)_[0-9]{8}T[0-9]{6}Z$')), '')"
		" from (select 1) x left join pg_database d on d.datname = $1 left join pg_roles o on o.oid = d.datdba"
		" left join pg_roles r on r.rolname = $2";
	const struct gp_database database = gp_database_named(ctx, db->name, db->host, db->port);
	const char *const params[] = { db->name, db->user, gp_sprintf(ctx->arena, "%s_gp_", database.base) };
	struct gp_account postgres;
	const char *const *cells;
	size_t rows, columns;
	struct gp_pg *pg;
	int installed;

	GP_TRY(installed = gp_account_find(ctx->arena, "postgres", &postgres, err));
	if (!installed)
		return 0;
	GP_TRY(gp_ctx_admin(ctx, db->port, &pg, err));
	GP_TRY(gp_pg_rows(pg, ctx->arena, sql, params, 3, &cells, &rows, &columns, err));
	db->there = gp_streq(cells[0], "t");
	db->owner = cells[1];
	db->role_there = gp_streq(cells[2], "t");
	db->role_super = gp_streq(cells[3], "t");
	db->elsewhere = cells[4];
	return gp_database_companions(&database, &db->former, err);
}

int gp_remove_find_db(struct gp_ctx *ctx, const struct gp_paths *paths, const char *slug, struct gp_remove_db *ret,
	struct gp_strv *ret_packages, struct gp_error *err)
{
	struct gp_remove_db db = { .owner = "", .elsewhere = "" };
	struct gp_error why;
	struct gp_site site;

	if (gp_site_load(ctx->arena, ctx->etc_dir, slug, &site, &why) == 0) {
		db.name = site.database.name;
		db.user = site.database.user;
		db.host = site.database.host;
		db.port = (int)site.database.port;
		db.local = gp_site_database_is_local(&site);
		*ret_packages = site.packages;
	} else {
		names_in_env(ctx, paths->env, &db);
		names_in_env(ctx, paths->site_env, &db);
	}
	GP_TRY(find_claims(ctx, slug, &db, err));
	if (db.name && db.local)
		GP_TRY(ask_server(ctx, &db, err));
	*ret = db;
	return 0;
}
