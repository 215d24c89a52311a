/* Resource types: a role and a database in the host's Postgres, and the login that a site will do. */
#include "base/arena.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/pg.h"

#define GP_ARG(value) ((const char *const[]){ (value) })

static int password_of(struct gp_ctx *ctx, const struct gp_pg_role *spec, const char **ret, struct gp_error *err)
{
	struct gp_dotenv env;
	int there;

	GP_TRY(there = gp_dotenv_read(ctx, spec->env_path, &env, err));
	*ret = there ? gp_dotenv_get(&env, spec->password_key) : NULL;
	if (!*ret || !**ret)
		return gp_fail(err, GP_E_CONFIG, "%s has no %s", spec->env_path, spec->password_key);
	return 0;
}

/* Try what the site will do. 1 works, 0 does not (and *err says why). */
static int try_login(struct gp_ctx *ctx, const struct gp_pg_role *spec, const char *dbname, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;
	struct gp_pg_login login = { .host = spec->host, .port = spec->port, .dbname = dbname, .user = spec->role };

	GP_TRY(password_of(ctx, spec, &login.password, err));
	return gp_pg_open(&login, &pg, err) == 0;
}

static int role_state(struct gp_ctx *ctx, const struct gp_pg_role *spec, bool *ret_exists, const char **ret_attributes,
	bool *ret_database, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;
	const char *database;

	GP_TRY(gp_pg_open_admin(spec->port, "postgres", &pg, err));
	GP_TRY(gp_pg_value(pg, ctx->arena,
		"select concat_ws(', ', case when rolsuper then 'superuser' end, case when rolcreaterole then 'createrole' end,"
		" case when rolreplication then 'replication' end, case when rolbypassrls then 'bypassrls' end,"
		" case when not rolcanlogin then 'no login' end) from pg_roles where rolname = $1",
		GP_ARG(spec->role), 1, ret_attributes, err));
	GP_TRY(gp_pg_value(pg, ctx->arena, "select 1 from pg_database where datname = $1", GP_ARG(spec->login_dbname), 1, &database, err));
	*ret_exists = *ret_attributes != NULL;
	*ret_database = database != NULL;
	return 0;
}

static int role_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_pg_role *spec = resource->spec;
	const char *attributes, *password;
	bool exists, database;
	struct gp_error why = { 0 };

	GP_TRY(role_state(ctx, spec, &exists, &attributes, &database, err));
	if (!exists) {
		gp_change_add(ctx, changes, '+', resource, "%s", "");
		return 0;
	}
	if (*attributes)
		gp_change_add(ctx, changes, '~', resource, "%s → none of that", attributes);
	GP_TRY(password_of(ctx, spec, &password, err));
	/* `postgres` is there on every server and may be connected to; the site's own database may not exist yet. */
	if (try_login(ctx, spec, database ? spec->login_dbname : "postgres", &why) != 1)
		gp_change_add(ctx, changes, '~', resource, "password (%s)", why.msg);
	return 0;
}

static int role_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_pg_role *spec = resource->spec;
	GP_AUTO_PG pg = NULL;
	const char *password, *verifier, *role, *literal, *there;

	GP_TRY(password_of(ctx, spec, &password, err));
	GP_TRY(gp_pg_open_admin(spec->port, "postgres", &pg, err));
	GP_TRY(gp_pg_identifier(pg, ctx->arena, spec->role, &role, err));
	/* The server is handed the SCRAM verifier: its log never has the password, whatever it logs. */
	GP_TRY(gp_pg_scram(pg, ctx->arena, spec->role, password, &verifier, err));
	GP_TRY(gp_pg_literal(pg, ctx->arena, verifier, &literal, err));
	GP_TRY(gp_pg_value(pg, ctx->arena, "select 1 from pg_roles where rolname = $1", GP_ARG(spec->role), 1, &there, err));
	return gp_pg_exec(pg, gp_sprintf(ctx->arena,
		"%s ROLE %s LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %s",
		there ? "ALTER" : "CREATE", role, literal), err);
}

const struct gp_resource_type gp_pg_role_type = { .name = "database", .diff = role_diff, .apply = role_apply };

static int database_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_pg_database *spec = resource->spec;
	GP_AUTO_PG pg = NULL;
	const char *owner;

	GP_TRY(gp_pg_open_admin(spec->port, "postgres", &pg, err));
	GP_TRY(gp_pg_value(pg, ctx->arena,
		"select r.rolname from pg_database d join pg_roles r on r.oid = d.datdba where d.datname = $1",
		GP_ARG(spec->database), 1, &owner, err));
	if (!owner) {
		gp_change_add(ctx, changes, '+', resource, "%s", "");
	} else if (!gp_streq(owner, spec->owner) && !gp_streq(owner, "postgres")) {
		/* One that an administrator made is taken over; one that another role owns is somebody's. */
		gp_fail(err, GP_E_REFUSED, "database '%s' exists and belongs to role '%s', not to '%s'", spec->database, owner, spec->owner);
		return gp_hint(err, "set database.name or database.user in the site's file");
	} else if (!gp_streq(owner, spec->owner)) {
		gp_change_add(ctx, changes, '~', resource, "owner %s → %s", owner, spec->owner);
	}
	return 0;
}

static int database_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_pg_database *spec = resource->spec;
	GP_AUTO_PG pg = NULL;
	const char *name, *owner, *there;

	GP_TRY(gp_pg_open_admin(spec->port, "postgres", &pg, err));
	GP_TRY(gp_pg_identifier(pg, ctx->arena, spec->database, &name, err));
	GP_TRY(gp_pg_identifier(pg, ctx->arena, spec->owner, &owner, err));
	GP_TRY(gp_pg_value(pg, ctx->arena, "select 1 from pg_database where datname = $1", GP_ARG(spec->database), 1, &there, err));
	if (there)
		return gp_pg_exec(pg, gp_sprintf(ctx->arena, "ALTER DATABASE %s OWNER TO %s", name, owner), err);
	/* template0: UTF-8 whatever locale the cluster was made with. C.UTF-8 exists on every Debian and Ubuntu. */
	return gp_pg_exec(pg, gp_sprintf(ctx->arena,
		"CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'", name, owner), err);
}

const struct gp_resource_type gp_pg_database_type = { .name = "database", .diff = database_diff, .apply = database_apply };

static int login_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_pg_role *spec = resource->spec;

	(void)changes;
	return try_login(ctx, spec, spec->login_dbname, err) == 1 ? 0 : -1;
}

/* Once role and database are made there is nothing to say of it. */
static void login_fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	(void)ctx, (void)resource, (void)changes;
}

static int login_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_changes none = { 0 };

	return login_diff(ctx, resource, &none, err);
}

const struct gp_resource_type gp_pg_login_type = { .name = "database login", .diff = login_diff, .fresh = login_fresh, .apply = login_apply };
