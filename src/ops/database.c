/* The databases beside the live one: made, given what the live one has, exchanged with it, cleared away. */
#include "ops/database.h"

#include <poll.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "conf/site.h"
#include "ops/database_load.h"
#include "sys/ctx.h"
#include "sys/digest.h"
#include "sys/pg.h"
#include "sys/pg_team.h"

/* A name has 63 bytes; "_gp_drill_" and a stamp are 26 of them. */
enum { BASE_MAX = 37, DIGEST = 8, PASSWORD = 32, SWAP_TRIES = 10, SWAP_EVERY_MS = 20, LOAD_CONNECTIONS = GP_PG_TEAM_MAX + 1 };

#define GP_ARGS(...) ((const char *const[]){ __VA_ARGS__ })

struct gp_database gp_database_named(struct gp_ctx *ctx, const char *name, const char *host, int port)
{
	struct gp_database db = { .ctx = ctx, .name = name, .host = host, .port = port, .base = name };

	if (strlen(name) > BASE_MAX)
		db.base = gp_sprintf(ctx->arena, "%.*s_%.*s", BASE_MAX - DIGEST - 1, name, DIGEST, gp_sha256(ctx->arena, name, strlen(name)));
	return db;
}

int gp_database_of(struct gp_ctx *ctx, const struct gp_site *site, struct gp_database *ret, struct gp_error *err)
{
	if (!gp_site_database_is_local(site)) {
		gp_fail(err, GP_E_REFUSED, "the database of %s is on another host, %s", site->slug, site->database.host);
		return gp_hint(err, "load the dump there, by psql");
	}
	*ret = gp_database_named(ctx, site->database.name, site->database.host, (int)site->database.port);
	return 0;
}

static int admin(const struct gp_database *db, struct gp_pg **ret, struct gp_error *err)
{
	return gp_ctx_admin(db->ctx, db->port, ret, err);
}

/* A name that nobody has. Two within a second get two seconds. */
static int companion(const struct gp_database *db, const char *kind, const char **ret, struct gp_error *err)
{
	static const char sql[] = "select 1 from pg_database where datname = $1 union all select 1 from pg_roles where rolname = $1";
	const char *name = NULL, *taken = "";
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	for (int64_t when = gp_now(); taken; when++) {
		name = gp_sprintf(db->ctx->arena, "%s_gp_%s_%s", db->base, kind, gp_stamp(db->ctx->arena, when));
		GP_TRY(gp_pg_value(pg, db->ctx->arena, sql, GP_ARGS(name), 1, &taken, err));
	}
	*ret = name;
	return 0;
}

/* Commands that the server itself has put together, names quoted by it: each cell of the answer is one. */
static int exec_answer(const struct gp_database *db, const char *sql, const char *const *params, size_t n, struct gp_error *err)
{
	const char *const *cells;
	size_t rows, columns;
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	GP_TRY(gp_pg_rows(pg, db->ctx->arena, sql, params, n, &cells, &rows, &columns, err));
	for (size_t i = 0; i < rows * columns; i++)
		if (cells[i])
			GP_TRY(gp_pg_exec(pg, cells[i], err));
	return 0;
}

/* BASE_gp_KIND_STAMP of databases or roles, oldest first. */
static int find_companions(const struct gp_database *db, const char *column, const char *table, const char *kind, struct gp_strv *ret,
	struct gp_error *err)
{
	const char *prefix = gp_sprintf(db->ctx->arena, "%s_gp_%s_", db->base, kind), *const *cells;
	const char *sql = gp_sprintf(db->ctx->arena,
		"select %s from %s where starts_with(%s, $1) and substr(%s, length($1) + 1) ~ '^[0-9]{8}T[0-9]{6}Z$' order by 1", column, table, column,
		column);
	size_t rows, columns;
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	GP_TRY(gp_pg_rows(pg, db->ctx->arena, sql, GP_ARGS(prefix), 1, &cells, &rows, &columns, err));
	*ret = (struct gp_strv){ 0 };
	for (size_t i = 0; i < rows; i++)
		gp_strv_add(db->ctx->arena, ret, cells[i]);
	return 0;
}

/* ---- making a new one ------------------------------------------------------------------------------------------------- */

struct made {
	const char *name, *role, *password;
};

/* Autovacuum comes to each table that has been filled, and gives its lock to whoever waits for that long, by default a second each time. */
#define NOT_FOR_AUTOVACUUM "SET deadlock_timeout = '10ms'"

static int make_role(const struct gp_database *db, const struct made *m, struct gp_error *err)
{
	const char *verifier, *literal, *role, *until;
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	GP_TRY(gp_pg_identifier(pg, db->ctx->arena, m->role, &role, err));
	GP_TRY(gp_pg_scram(pg, db->ctx->arena, m->role, m->password, &verifier, err));
	GP_TRY(gp_pg_literal(pg, db->ctx->arena, verifier, &literal, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, "select quote_literal(now() + interval '1 day')", NULL, 0, &until, err));
	return gp_pg_exec(pg, gp_sprintf(db->ctx->arena,
		"CREATE ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT %d VALID UNTIL %s PASSWORD %s;"
		" ALTER ROLE %s " NOT_FOR_AUTOVACUUM,
		role, LOAD_CONNECTIONS, until, literal, role), err);
}

/* template0: nothing in it but what is Postgres' own. Which columns there are depends on the server's version, hence the JSON. */
static int make_database(const struct gp_database *db, const struct made *m, struct gp_error *err)
{
	static const char sql[] =
		"select format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L TABLESPACE %I', $2::text, $3::text,"
		" pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, t.spcname)"
		" || case j->>'datlocprovider' when 'i' then format(' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce(j->>'datlocale', j->>'daticulocale'))"
		"    when 'b' then format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', j->>'datlocale') else '' end,"
		" format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $2::text)"
		" from pg_database d join pg_tablespace t on t.oid = d.dattablespace, to_jsonb(d) j where d.datname = $1";
	const char *there;
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, "select 1 from pg_database where datname = $1", GP_ARGS(db->name), 1, &there, err));
	if (!there) {
		gp_fail(err, GP_E_CONFIG, "there is no database %s", db->name);
		return gp_hint(err, "goldpath provision makes it");
	}
	return exec_answer(db, sql, GP_ARGS(db->name, m->name, m->role), 3, err);
}

/* Before version 15 schema public is the superuser's, and a dump that drops and makes it would fail. */
static int open_schema(struct gp_pg *pg, const char *role, struct gp_error *err)
{
	return gp_pg_version(pg) < 150000 ? gp_pg_exec(pg, role, err) : 0;
}

static int prepare(const struct gp_database *db, const struct made *m, struct gp_error *err)
{
	GP_AUTO_PG inside = NULL;
	const char *role;

	GP_TRY(gp_pg_open_admin(db->port, m->name, &inside, err));
	GP_TRY(gp_pg_identifier(inside, db->ctx->arena, m->role, &role, err));
	return open_schema(inside, gp_sprintf(db->ctx->arena, "ALTER SCHEMA public OWNER TO %s", role), err);
}

/* All that the dump has made becomes the live database's owner's, and the role has nothing left. REASSIGN runs nothing of what was loaded. */
static int hand_over(const struct gp_database *db, const struct made *m, struct gp_error *err)
{
	static const char sql[] =
		"select format('REASSIGN OWNED BY %I TO %I; DROP OWNED BY %I', $2::text, r.rolname, $2::text)"
		" from pg_database d join pg_roles r on r.oid = d.datdba where d.datname = $1";
	GP_AUTO_PG inside = NULL;
	const char *commands;

	GP_TRY(gp_pg_open_admin(db->port, m->name, &inside, err));
	GP_TRY(gp_pg_value(inside, db->ctx->arena, sql, GP_ARGS(db->name, m->role), 2, &commands, err));
	if (!commands)
		return gp_fail(err, GP_E_FAILED, "the live database %s is gone", db->name);
	GP_TRY(gp_pg_exec(inside, NOT_FOR_AUTOVACUUM, err));
	return gp_pg_exec(inside, commands, err);
}

/*
 * Limit, rights and settings of the live one, and none that the dump has made up for the new one. Settings go from row to row: to write
 * them as commands is to guess which of them are lists, and a list's text may end the command and begin another, as superuser.
 */
static int carry_over(const struct gp_database *db, const struct made *m, struct gp_error *err)
{
	static const char rights[] =
		"select format('REVOKE ALL ON DATABASE %I FROM %s CASCADE', $2::text, case grantee when 0 then 'PUBLIC' else quote_ident(rolname) end)"
		" from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) left join pg_roles r on r.oid = grantee"
		" where datname = $2 and grantee <> datdba and (grantee = 0 or rolname is not null)"
		" union all select format('GRANT %s ON DATABASE %I TO %s%s', privilege_type, $2::text,"
		"  case grantee when 0 then 'PUBLIC' else quote_ident(rolname) end, case when is_grantable then ' WITH GRANT OPTION' else '' end)"
		" from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) left join pg_roles r on r.oid = grantee"
		" where datname = $1 and grantee <> datdba and (grantee = 0 or rolname is not null)"
		" union all select format('ALTER DATABASE %I CONNECTION LIMIT %s', $2::text, datconnlimit) from pg_database where datname = $1";
	static const char settings[] =
		"with live as (select oid from pg_database where datname = $1), new as (select oid from pg_database where datname = $2),"
		" gone as (delete from pg_db_role_setting where setdatabase = (select oid from new))"
		" insert into pg_db_role_setting (setdatabase, setrole, setconfig)"
		" select (select oid from new), setrole, setconfig from pg_db_role_setting where setdatabase = (select oid from live)";
	const char *const names[] = { db->name, m->name };
	const char *none;
	struct gp_pg *pg;

	GP_TRY(exec_answer(db, rights, names, 2, err));
	GP_TRY(exec_answer(db, "select format('ALTER DATABASE %I RESET ALL', $1::text)", &names[1], 1, err));
	GP_TRY(admin(db, &pg, err));
	return gp_pg_value(pg, db->ctx->arena, settings, names, 2, &none, err);
}

static int drop_role(const struct gp_database *db, const char *role, struct gp_error *err)
{
	return exec_answer(db, "select format('DROP ROLE IF EXISTS %I', $1::text)", GP_ARGS(role), 1, err);
}

static int drop_database(const struct gp_database *db, const char *name, struct gp_error *err)
{
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	/* Its owner may have made it a template, which cannot be dropped. */
	GP_TRY(gp_pg_open_database(pg, db->ctx->arena, name, err));
	return exec_answer(db, "select format('DROP DATABASE IF EXISTS %I WITH (FORCE)', $1::text)", GP_ARGS(name), 1, err);
}

/* What is to be loaded into: by the way that the dump will go, and asked of who answers there. Two servers may have databases of one name. */
static int check_place(const struct gp_database *db, const struct gp_pg_login *login, struct gp_error *err)
{
	static const char sql[] = "select current_database() || ' of server ' || (select system_identifier from pg_control_system())";
	const char *there, *here, *want;
	GP_AUTO_PG pg = NULL;
	struct gp_pg *own;

	GP_TRY(admin(db, &own, err));
	GP_TRY(gp_pg_value(own, db->ctx->arena, "select system_identifier from pg_control_system()", NULL, 0, &here, err));
	GP_TRY(gp_pg_open(login, &pg, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, sql, NULL, 0, &there, err));
	want = gp_sprintf(db->ctx->arena, "%s of server %s", login->dbname, here ? here : "?");
	if (there && gp_streq(there, want) && !gp_streq(login->dbname, db->name))
		return 0;
	return gp_fail(err, GP_E_REFUSED, "the dump would be loaded into database %s, and not into %s", there ? there : "?", want);
}

/*
 * What only a superuser may make, the role that loads cannot. A dump says what it will; so no other extensions are made than those that a
 * superuser has made in the live database, and before the dump has made anything that a script of theirs could come upon.
 */
static int bring_extensions(const struct gp_database *db, const struct made *m, struct gp_extensions *ret, struct gp_error *err)
{
	static const char sql[] =
		"select format('%I', e.extname), case when n.nspname not in ('public', 'pg_catalog') then format('%I', n.nspname) end,"
		" format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', e.extname, n.nspname)"
		" from pg_extension e join pg_namespace n on n.oid = e.extnamespace join pg_roles r on r.oid = e.extowner"
		" where r.rolsuper and e.extname <> 'plpgsql' order by e.oid";
	static const char rights[] =
		"select format('GRANT SELECT, INSERT ON %s TO %I', c.oid::regclass, $1::text) from pg_depend d join pg_class c on c.oid = d.objid"
		" where d.classid = 'pg_class'::regclass and d.deptype = 'e' and c.relkind = 'r'";
	struct gp_arena *arena = db->ctx->arena;
	GP_AUTO_PG live = NULL;
	GP_AUTO_PG inside = NULL;
	const char *const *cells, *role;
	size_t n, columns;

	GP_TRY(gp_pg_open_admin(db->port, db->name, &live, err));
	GP_TRY(gp_pg_rows(live, arena, sql, NULL, 0, &cells, &n, &columns, err));
	if (!n)
		return 0;
	GP_TRY(gp_pg_open_admin(db->port, m->name, &inside, err));
	GP_TRY(gp_pg_identifier(inside, arena, m->role, &role, err));
	for (size_t i = 0; i < n; i++) {
		const char *name = cells[3 * i], *schema = cells[3 * i + 1];

		if (schema) {
			GP_TRY(gp_pg_exec(inside, gp_sprintf(arena, "CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s", schema, role), err));
			gp_strv_add(arena, &ret->schemas, schema);
		}
		GP_TRY_TO(err, gp_pg_exec(inside, cells[3 * i + 2], err), "extension %s, which the live database has", name);
		gp_strv_add(arena, &ret->names, name);
	}
	/* Some have tables that a dump gives rows to. */
	GP_TRY(gp_pg_rows(inside, arena, rights, GP_ARGS(m->role), 1, &cells, &n, &columns, err));
	for (size_t i = 0; i < n; i++)
		GP_TRY(gp_pg_exec(inside, cells[i], err));
	return 0;
}

static struct gp_pg_login login_of(const struct gp_database *db, const struct made *m)
{
	return (struct gp_pg_login){ .host = db->host, .port = db->port, .dbname = m->name, .user = m->role, .password = m->password };
}

static int make_and_load(const struct gp_database *db, const struct made *m, const struct gp_dump_file *dump, struct gp_error *err)
{
	const struct gp_pg_login login = login_of(db, m);
	struct gp_extensions there = { 0 };

	GP_TRY(make_role(db, m, err));
	GP_TRY(make_database(db, m, err));
	GP_TRY(prepare(db, m, err));
	GP_TRY(bring_extensions(db, m, &there, err));
	GP_TRY(check_place(db, &login, err));
	return gp_dump_load(db, dump, &there, &login, err);
}

static int fill(const struct gp_database *db, const struct made *m, const struct gp_dump_file *dump, struct gp_error *err)
{
	GP_TRY(make_and_load(db, m, dump, err));
	GP_TRY(hand_over(db, m, err));
	GP_TRY(carry_over(db, m, err));
	return drop_role(db, m->role, err);
}

/* Of which nothing may stay. */
static int discard(const struct gp_database *db, const char *name, const char *role, struct gp_error *err)
{
	GP_TRY(drop_database(db, name, err));
	return drop_role(db, role, err);
}

static int failed(const struct gp_database *db, const struct made *m, struct gp_error *err)
{
	struct gp_error why = { 0 };

	if (discard(db, m->name, m->role, &why) < 0)
		gp_tell_warn(db->ctx, "%s is left over: %s", m->name, why.msg);
	return gp_state(err, "the database %s is as it was", db->name);
}

int gp_database_load(const struct gp_database *db, const struct gp_dump_file *dump, const char **ret_new, struct gp_error *err)
{
	struct made m = { .password = gp_secret_new(db->ctx->arena, PASSWORD) };

	GP_TRY(companion(db, "new", &m.name, err));
	GP_TRY(companion(db, "load", &m.role, err));
	gp_secret_add(&db->ctx->secrets, m.password);
	if (fill(db, &m, dump, err) < 0)
		return failed(db, &m, err);
	*ret_new = m.name;
	return 0;
}

/* ---- a drill ------------------------------------------------------------------------------------------------------------ */

/* Database and role have one name, and so what is left over is found by either. */
int gp_database_drill(const struct gp_database *db, const struct gp_dump_file *dump, struct gp_database_drill *ret, struct gp_error *err)
{
	struct made m = { .password = gp_secret_new(db->ctx->arena, PASSWORD) };

	GP_TRY(companion(db, "drill", &m.name, err));
	m.role = m.name;
	gp_secret_add(&db->ctx->secrets, m.password);
	if (make_and_load(db, &m, dump, err) < 0)
		return failed(db, &m, err);
	*ret = (struct gp_database_drill){ .login = login_of(db, &m) };
	return 0;
}

int gp_database_drill_end(const struct gp_database *db, const struct gp_database_drill *drill, struct gp_error *err)
{
	return discard(db, drill->login.dbname, drill->login.user, err);
}

int gp_database_drill_settle(const struct gp_database *db, struct gp_error *err)
{
	struct gp_strv databases, roles;

	GP_TRY(find_companions(db, "datname", "pg_database", "drill", &databases, err));
	GP_TRY(find_companions(db, "rolname", "pg_roles", "drill", &roles, err));
	for (size_t i = 0; i < databases.n; i++) {
		GP_TRY(drop_database(db, databases.v[i], err));
		gp_tell_note(db->ctx, "%s was left over from a rehearsal that was cut off, and is gone", databases.v[i]);
	}
	for (size_t i = 0; i < roles.n; i++)
		GP_TRY(drop_role(db, roles.v[i], err));
	return 0;
}

/* ---- exchanging ------------------------------------------------------------------------------------------------------- */

/*
 * One message, so one transaction: killed at any point, the server does all of it or nothing. Sessions are ended twice, since some that
 * were ended connect anew at once; the rename itself lets nobody in, and waits for who is still on the way out. The list of
 * sessions is kept for a transaction's length unless it is cleared. Databases that are closed stay closed for who comes too late.
 */
static const char swap_sql[] =
	"select format('SET LOCAL statement_timeout = ''1s'';"
	" SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (%1$L, %2$L) AND pid <> pg_backend_pid();"
	" SELECT pg_sleep(0.004); SELECT pg_stat_clear_snapshot();"
	" SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (%1$L, %2$L) AND pid <> pg_backend_pid();"
	" ALTER DATABASE %1$I RENAME TO %3$I; ALTER DATABASE %3$I ALLOW_CONNECTIONS false IS_TEMPLATE false;"
	" ALTER DATABASE %2$I RENAME TO %1$I; ALTER DATABASE %1$I ALLOW_CONNECTIONS true IS_TEMPLATE false', $1::text, $2::text, $3::text)";

int gp_database_kept_name(const struct gp_database *db, const char **ret, struct gp_error *err)
{
	return companion(db, "old", ret, err);
}

int gp_database_is_kept(const struct gp_database *db, const char *name, struct gp_error *err)
{
	const char *there;
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, "select 1 from pg_database where datname = $1", GP_ARGS(name), 1, &there, err));
	return there != NULL;
}

/* The server may have done it, and its answer was lost. */
static int try_swap(const struct gp_database *db, const char *commands, const char *out, struct gp_error *err)
{
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	if (gp_pg_exec(pg, commands, err) == 0)
		return 0;
	return gp_database_is_kept(db, out, NULL) == 1 ? 0 : -1;
}

int gp_database_swap(const struct gp_database *db, const char *in, const char *out, int64_t *ret_ms, struct gp_error *err)
{
	const char *commands;
	struct gp_pg *pg;
	int result = -1;

	GP_TRY(admin(db, &pg, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, swap_sql, GP_ARGS(db->name, in, out), 3, &commands, err));
	for (int i = 0; i < SWAP_TRIES && result < 0; i++) {
		int64_t began;

		if (i > 0)
			poll(NULL, 0, SWAP_EVERY_MS); /* somebody connected between the two, and was waited for in vain */
		began = gp_mono_ms();
		result = try_swap(db, commands, out, err);
		*ret_ms = gp_mono_ms() - began;
	}
	return result < 0 ? gp_context(err, "put %s in the place of %s", in, db->name) : 0;
}

int gp_database_kept(const struct gp_database *db, struct gp_strv *ret, struct gp_error *err)
{
	return find_companions(db, "datname", "pg_database", "old", ret, err);
}

int gp_database_companions(const struct gp_database *db, struct gp_strv *ret, struct gp_error *err)
{
	struct gp_strv rejected;

	GP_TRY(gp_database_kept(db, ret, err));
	GP_TRY(find_companions(db, "datname", "pg_database", "bad", &rejected, err));
	for (size_t i = 0; i < rejected.n; i++)
		gp_strv_add(db->ctx->arena, ret, rejected.v[i]);
	return 0;
}

int gp_database_waiting(const struct gp_database *db, struct gp_strv *ret, struct gp_error *err)
{
	return find_companions(db, "datname", "pg_database", "new", ret, err);
}

static int check_kept(const struct gp_database *db, const char *old, struct gp_error *err)
{
	struct gp_strv kept;

	GP_TRY(gp_database_kept(db, &kept, err));
	return gp_strv_has(&kept, old) ? 0 : gp_fail(err, GP_E_REFUSED, "%s is no former database of %s", old, db->name);
}

int gp_database_undo(const struct gp_database *db, const char *old, const char **ret, struct gp_error *err)
{
	const char *rejected;
	int64_t ms;

	GP_TRY(gp_database_settle(db, err));
	GP_TRY(check_kept(db, old, err));
	/* It may have been written to, and so it stays for a while; but nobody who asks for the former one means this. */
	GP_TRY(companion(db, "bad", &rejected, err));
	GP_TRY(gp_database_swap(db, old, rejected, &ms, err));
	*ret = rejected;
	return 0;
}

int gp_database_drop(const struct gp_database *db, const char *old, struct gp_error *err)
{
	GP_TRY(check_kept(db, old, err));
	return drop_database(db, old, err);
}

void gp_database_drop_old(const struct gp_database *db, int64_t days)
{
	enum { DAY = 24 * 3600 };
	struct gp_error why = { 0 };
	struct gp_strv kept = { 0 };

	if (gp_database_companions(db, &kept, &why) < 0)
		gp_tell_warn(db->ctx, "%s", why.msg);
	for (size_t i = 0; i < kept.n; i++) {
		if (gp_now() - gp_stamp_time(strrchr(kept.v[i], '_') + 1) < days * DAY)
			continue;
		if (drop_database(db, kept.v[i], &why) < 0)
			gp_tell_warn(db->ctx, "%s", why.msg);
		else
			gp_tell_note(db->ctx, "%s was kept long enough, and is dropped", kept.v[i]);
	}
}

/* ---- after a kill ------------------------------------------------------------------------------------------------------ */

static int bring_back(const struct gp_database *db, struct gp_error *err)
{
	struct gp_strv kept;
	const char *old, *there, *closed;
	struct gp_pg *pg;

	GP_TRY(admin(db, &pg, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, "select 1 from pg_database where datname = $1", GP_ARGS(db->name), 1, &there, err));
	GP_TRY(gp_database_kept(db, &kept, err));
	if (!there && kept.n) {
		old = kept.v[kept.n - 1];
		GP_TRY(exec_answer(db, "select format('ALTER DATABASE %I RENAME TO %I', $1::text, $2::text)", GP_ARGS(old, db->name), 2, err));
		gp_tell_note(db->ctx, "there was no database %s: %s has that name again", db->name, old);
	}
	GP_TRY(gp_pg_value(pg, db->ctx->arena, "select 1 from pg_database where datname = $1 and not datallowconn", GP_ARGS(db->name), 1, &closed,
		err));
	if (!closed)
		return 0;
	GP_TRY(gp_pg_open_database(pg, db->ctx->arena, db->name, err));
	gp_tell_note(db->ctx, "the database %s took no connections, and does again", db->name);
	return 0;
}

int gp_database_settle(const struct gp_database *db, struct gp_error *err)
{
	struct gp_strv new, roles;

	GP_TRY(bring_back(db, err));
	GP_TRY(find_companions(db, "datname", "pg_database", "new", &new, err));
	GP_TRY(find_companions(db, "rolname", "pg_roles", "load", &roles, err));
	for (size_t i = 0; i < new.n; i++) {
		GP_TRY(drop_database(db, new.v[i], err));
		gp_tell_note(db->ctx, "%s was left over from a restore that was cut off, and is gone", new.v[i]);
	}
	for (size_t i = 0; i < roles.n; i++)
		GP_TRY(drop_role(db, roles.v[i], err));
	return gp_database_drill_settle(db, err);
}
