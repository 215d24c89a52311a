/* Resource types: a role and a database in the host's Postgres, and the login that a site will do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/digest.h"
#include "sys/fs.h"
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

/* Do what the site will do. */
static int try_login(struct gp_ctx *ctx, const struct gp_pg_role *spec, const char *dbname, struct gp_error *err)
{
	GP_AUTO_PG pg = NULL;
	struct gp_pg_login login = { .host = spec->host, .port = spec->port, .dbname = dbname, .user = spec->role };

	GP_TRY(password_of(ctx, spec, &login.password, err));
	return gp_pg_open(&login, &pg, err);
}

/* What the server knows of a role, in one question. */
struct role {
	bool exists, owns, scram;
	const char *attributes; /* rights that it should not have, "" for none */
	const char *groups;     /* roles that it is a member of */
	int connections;        /* -1: no limit */
};

static int read_role(struct gp_ctx *ctx, const struct gp_pg_role *spec, struct role *ret, struct gp_error *err)
{
	static const char sql[] =
		"select concat_ws(', ', case when r.rolsuper then 'superuser' end, case when r.rolcreatedb then 'createdb' end,"
		" case when r.rolcreaterole then 'createrole' end, case when r.rolreplication then 'replication' end,"
		" case when r.rolbypassrls then 'bypassrls' end, case when not r.rolcanlogin then 'no login' end,"
		" case when r.rolvaliduntil < 'infinity' then 'valid until ' || r.rolvaliduntil end),"
		" coalesce(r.rolpassword like 'SCRAM-SHA-256$%', false), r.rolconnlimit,"
		" (select string_agg(g.rolname, ', ' order by g.rolname) from pg_auth_members m join pg_roles g on g.oid = m.roleid"
		"  where m.member = r.oid), exists (select from pg_database where datname = $2 and datdba = r.oid and datallowconn)"
		" from pg_authid r where r.rolname = $1";
	const char *const params[] = { spec->role, spec->login_dbname };
	const char *const *cells;
	size_t rows, columns;
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	GP_TRY(gp_pg_rows(pg, ctx->arena, sql, params, 2, &cells, &rows, &columns, err));
	*ret = (struct role){ .exists = rows > 0 };
	if (!ret->exists)
		return 0;
	ret->attributes = cells[0];
	ret->scram = gp_streq(cells[1], "t");
	ret->connections = atoi(cells[2]);
	ret->groups = cells[3];
	ret->owns = gp_streq(cells[4], "t");
	return 0;
}

/*
 * The login is proven by logging in, once: what it depends on (password, verifier, role, database, pg_hba.conf, the server's start) is
 * written down as one digest where a reboot forgets it, and the next question is only whether that is still so. A login costs 8 ms
 * of key derivation on both sides, on each host for each site.
 */
static int login_digest(struct gp_ctx *ctx, const struct gp_pg_role *spec, const char *password, const char **ret, struct gp_error *err)
{
	static const char sql[] =
		"select concat_ws('|', r, d, pg_postmaster_start_time(), current_setting('listen_addresses'),"
		" (select string_agg(h::text, '|') from pg_hba_file_rules h))"
		" from pg_authid r, pg_database d where r.rolname = $1 and d.datname = $2";
	const char *const params[] = { spec->role, spec->login_dbname };
	const char *facts;
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	GP_TRY(gp_pg_value(pg, ctx->arena, sql, params, 2, &facts, err));
	facts = gp_sprintf(ctx->arena, "%s|%s|%d|%s", facts ? facts : "", spec->host, spec->port, password);
	*ret = gp_sha256(ctx->arena, facts, strlen(facts));
	return 0;
}

static const char *proof_path(struct gp_ctx *ctx, const struct gp_pg_role *spec)
{
	return gp_sprintf(ctx->arena, "%s/login-%s", ctx->lock_dir, spec->login_dbname);
}

/* The login to the site's own database, tried unless it is proven already. */
static int prove_login(struct gp_ctx *ctx, const struct gp_pg_role *spec, struct gp_error *err)
{
	const char *path = proof_path(ctx, spec), *password, *digest, *proven = "";

	if (!spec->local)
		return try_login(ctx, spec, spec->login_dbname, err);
	GP_TRY(password_of(ctx, spec, &password, err));
	GP_TRY(login_digest(ctx, spec, password, &digest, err));
	if (gp_fs_read_nofollow(ctx->arena, path, 1024, &proven, NULL, NULL) == 1 && gp_streq(proven, digest))
		return 0;
	GP_TRY(try_login(ctx, spec, spec->login_dbname, err));
	/* Only kept to be quicker next time; a plan beside this one takes no lock and may write it too. */
	if (gp_fs_mkdirs(ctx->lock_dir, NULL) == 0)
		(void)gp_fs_write(path, digest, strlen(digest), 0600, (uid_t)-1, (gid_t)-1, NULL);
	return 0;
}

/* `postgres` is there on every server and may be connected to; the site's own database may not be the role's yet. */
static int diff_password(struct gp_ctx *ctx, const struct gp_resource *resource, const struct role *role, struct gp_changes *changes,
	struct gp_error *err)
{
	const struct gp_pg_role *spec = resource->spec;
	struct gp_error why = { 0 };
	int result = role->owns ? prove_login(ctx, spec, &why) : try_login(ctx, spec, "postgres", &why);

	if (result == 0)
		return 0;
	if (why.sys_errno != EACCES) {
		if (err)
			*err = why;
		return -1;
	}
	gp_change_add(ctx, changes, '~', resource, "password is not the one in %s", spec->env_path);
	return 0;
}

static int role_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_pg_role *spec = resource->spec;
	struct gp_account account;
	struct role role;

	if (gp_account_find(ctx->arena, spec->role, &account, NULL) == 1) {
		gp_fail(err, GP_E_REFUSED, "the role '%s' would belong to the host's user of that name, who gets in without a password", spec->role);
		return gp_hint(err, "pg_hba.conf says peer for local connections: set another database.user in the site's file");
	}
	GP_TRY(read_role(ctx, spec, &role, err));
	if (!role.exists) {
		gp_change_add(ctx, changes, '+', resource, "%s", "");
		return 0;
	}
	if (*role.attributes)
		gp_change_add(ctx, changes, '~', resource, "%s → none of that", role.attributes);
	if (role.groups)
		gp_change_add(ctx, changes, '!', resource, "is a member of %s, with the rights of that", role.groups);
	if (role.connections != spec->connections)
		gp_change_add(ctx, changes, '~', resource, "connection limit %d → %d", role.connections, spec->connections);
	if (!role.scram)
		gp_change_add(ctx, changes, '~', resource, "password → stored by SCRAM");
	/* One that cannot log in, or has no such password, is mended first. */
	return *role.attributes || !role.scram || role.connections != spec->connections ? 0 : diff_password(ctx, resource, &role, changes, err);
}

/* A cluster that is there but stopped has its roles and databases still: nothing is said of what cannot be read. */
static void pg_fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	struct gp_strv clusters = { 0 };

	gp_fs_list(ctx->arena, "/etc/postgresql", &clusters, NULL);
	if (clusters.n == 0)
		gp_change_add(ctx, changes, '+', resource, "%s", "");
}

static int role_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_pg_role *spec = resource->spec;
	struct gp_pg *pg;
	const char *password, *verifier, *role, *literal, *there;

	GP_TRY(password_of(ctx, spec, &password, err));
	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	GP_TRY(gp_pg_identifier(pg, ctx->arena, spec->role, &role, err));
	/* The server is handed the SCRAM verifier: its log never has the password, whatever it logs. */
	GP_TRY(gp_pg_scram(pg, ctx->arena, spec->role, password, &verifier, err));
	GP_TRY(gp_pg_literal(pg, ctx->arena, verifier, &literal, err));
	GP_TRY(gp_pg_value(pg, ctx->arena, "select 1 from pg_roles where rolname = $1", GP_ARG(spec->role), 1, &there, err));
	return gp_pg_exec(pg, gp_sprintf(ctx->arena,
		"%s ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT %d VALID UNTIL 'infinity' PASSWORD %s",
		there ? "ALTER" : "CREATE", role, spec->connections, literal), err);
}

const struct gp_resource_type gp_pg_role_type = { .name = "database", .diff = role_diff, .fresh = pg_fresh, .apply = role_apply };

/* Owner, encoding, and whether anybody but the owner may connect (Postgres lets all roles, unless told otherwise). */
static int read_database(struct gp_ctx *ctx, const struct gp_pg_database *spec, const char *const **ret_cells, bool *ret_there,
	struct gp_error *err)
{
	static const char sql[] =
		"select r.rolname, pg_encoding_to_char(d.encoding), has_database_privilege('public', d.oid, 'connect'),"
		" concat_ws(', ', case when not d.datallowconn then 'closed' end, case when d.datistemplate then 'a template' end,"
		" case when d.datconnlimit <> -1 then 'limited to ' || d.datconnlimit || ' connections' end)"
		" from pg_database d join pg_roles r on r.oid = d.datdba where d.datname = $1";
	size_t rows, columns;
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	GP_TRY(gp_pg_rows(pg, ctx->arena, sql, GP_ARG(spec->database), 1, ret_cells, &rows, &columns, err));
	*ret_there = rows > 0;
	return 0;
}

static int database_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_pg_database *spec = resource->spec;
	const char *const *cells;
	bool there;

	GP_TRY(read_database(ctx, spec, &cells, &there, err));
	if (!there) {
		gp_change_add(ctx, changes, '+', resource, "%s", "");
		return 0;
	}
	if (!gp_streq(cells[0], spec->owner) && !gp_streq(cells[0], "postgres")) {
		/* One that an administrator made is taken over; one that another role owns is somebody's. */
		gp_fail(err, GP_E_REFUSED, "database '%s' exists and belongs to role '%s', not to '%s'", spec->database, cells[0], spec->owner);
		return gp_hint(err, "set database.name or database.user in the site's file");
	}
	if (!gp_streq(cells[0], spec->owner))
		gp_change_add(ctx, changes, '~', resource, "owner %s → %s", cells[0], spec->owner);
	if (!gp_streq(cells[1], "UTF8"))
		gp_change_add(ctx, changes, '!', resource, "its encoding is %s, Django wants UTF8; only a dump and a new database change that", cells[1]);
	if (gp_streq(cells[2], "t"))
		gp_change_add(ctx, changes, '~', resource, "every role may connect → only its owner");
	/* All of these its owner, the site's code, can set: to keep a removal or the next provision out. */
	if (*cells[3])
		gp_change_add(ctx, changes, '~', resource, "%s → open, no template", cells[3]);
	return 0;
}

static int database_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_pg_database *spec = resource->spec;
	const char *name, *owner;
	const char *const *cells;
	struct gp_pg *pg;
	bool there;

	GP_TRY(gp_ctx_admin(ctx, spec->port, &pg, err));
	GP_TRY(gp_pg_identifier(pg, ctx->arena, spec->database, &name, err));
	GP_TRY(gp_pg_identifier(pg, ctx->arena, spec->owner, &owner, err));
	GP_TRY(read_database(ctx, spec, &cells, &there, err));
	/* template0: UTF-8 whatever locale the cluster was made with. C.UTF-8 exists on every Debian and Ubuntu. */
	if (!there)
		GP_TRY(gp_pg_exec(pg, gp_sprintf(ctx->arena,
			"CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'", name, owner), err));
	else if (!gp_streq(cells[0], spec->owner))
		GP_TRY(gp_pg_exec(pg, gp_sprintf(ctx->arena, "ALTER DATABASE %s OWNER TO %s", name, owner), err));
	GP_TRY(gp_pg_open_database(pg, ctx->arena, spec->database, err));
	return gp_pg_exec(pg, gp_sprintf(ctx->arena, "REVOKE ALL ON DATABASE %s FROM PUBLIC", name), err);
}

const struct gp_resource_type gp_pg_database_type = { .name = "database", .diff = database_diff, .fresh = pg_fresh, .apply = database_apply };

static int login_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_pg_role *spec = resource->spec;

	(void)changes;
	return prove_login(ctx, spec, err);
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
