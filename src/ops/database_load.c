/*
 * Loading a dump: cut into statements (base/sql.h), which go to the server over several connections. What pg_dump writes may be dealt out in two
 * places, the rows of a table that has no index nor trigger yet, and the building of indexes; all else waits for what came before it.
 */
#include "ops/database_load.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/sql.h"
#include "sys/ctx.h"
#include "sys/pg.h"
#include "sys/pg_team.h"

enum { STATEMENT_S = 3 * 3600, STATEMENT_MAX = 64 << 20, TEAM_LEAST = 2, WORDS = 100, QUESTION_MAX = 64 << 10 };

#define GP_ARGS(...) ((const char *const[]){ __VA_ARGS__ })

struct load {
	struct gp_database db;
	const struct gp_dump_file *dump;
	const struct gp_extensions *there; /* NULL: none */
	struct gp_pg_team *team;
	struct gp_pg *single; /* instead of a team: all of it is one transaction there */
	struct gp_pg *alone;  /* rows go to it, and to nobody else */
	struct gp_sql sql;
	uint64_t bytes;
	size_t left_out;
	bool alike;          /* the file is like pg_dump's so far, and all connections have the same settings */
	bool dealt;          /* and no transaction is open: work may be dealt out */
	char doing[WORDS];   /* which statement: its words, none of its values */
};

/* ---- which statement -------------------------------------------------------------------------------------------------- */

/* ALTER … OWNER TO somebody */
static bool is_owner(const char *text)
{
	static const char owner_to[] = " OWNER TO ";
	const char *name = NULL;

	if (strncasecmp(text, "ALTER ", 6) != 0)
		return false;
	for (const char *p = strcasestr(text, owner_to); p; p = strcasestr(p + 1, owner_to))
		name = p + strlen(owner_to);
	if (!name)
		return false;
	if (*name == '"')
		return strchr(name + 1, '"') && !strchr(name + 1, '"')[1];
	while (isalnum((unsigned char)*name) || *name == '_')
		name++;
	return !*name;
}

/*
 * What a dump without --no-owner and --no-privileges has besides: everything becomes the owner's of the live database, and rights are
 * carried over from there. Extensions that are there already belong to the superuser, what is to be replicated is the cluster's business, and a
 * newer pg_dump's setting is unknown to an older server.
 */
static bool is_left_out(const char *text)
{
	static const char *const beginnings[] = { "GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES ", "SET SESSION AUTHORIZATION ",
		"COMMENT ON EXTENSION ", "CREATE PUBLICATION ", "ALTER PUBLICATION ", "DROP PUBLICATION ", "COMMENT ON PUBLICATION ",
		"CREATE SUBSCRIPTION ", "ALTER SUBSCRIPTION ", "DROP SUBSCRIPTION ", "COMMENT ON SUBSCRIPTION ", "SET transaction_timeout " };

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncasecmp(text, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return is_owner(text);
}

/* Is it `beginning NAME`, and a blank or nothing behind it? */
static bool is_about(const char *text, const char *beginning, const struct gp_strv *names)
{
	size_t len = strlen(beginning);

	if (strncasecmp(text, beginning, len) != 0)
		return false;
	for (size_t i = 0; i < names->n; i++) {
		size_t end = len + strlen(names->v[i]);

		if (gp_starts_with(text + len, names->v[i]) && (!text[end] || text[end] == ' '))
			return true;
	}
	return false;
}

/* An extension that is there already, and the schema that was made for it. */
static bool is_there(const struct load *l, const char *text)
{
	static const char *const extension[] = { "CREATE EXTENSION IF NOT EXISTS ", "CREATE EXTENSION ", "DROP EXTENSION IF EXISTS ", "DROP EXTENSION " };
	static const char *const schema[] = { "CREATE SCHEMA ", "DROP SCHEMA IF EXISTS ", "DROP SCHEMA " };

	if (!l->there || !l->there->names.n)
		return false;
	for (size_t i = 0; i < sizeof(extension) / sizeof(extension[0]); i++)
		if (is_about(text, extension[i], &l->there->names))
			return true;
	for (size_t i = 0; i < sizeof(schema) / sizeof(schema[0]); i++)
		if (is_about(text, schema[i], &l->there->schemas))
			return true;
	return false;
}

static bool begins(const char *text, const char *const *beginnings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strncasecmp(text, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

/* What holds for the session: each connection needs it. */
static bool is_setting(const char *text)
{
	static const char *const settings[] = { "SET ", "RESET ", "SELECT pg_catalog.set_config(" };
	static const char *const others[] = { "SET LOCAL ", "SET TRANSACTION ", "SET CONSTRAINTS " };

	return begins(text, settings, sizeof(settings) / sizeof(settings[0])) && !begins(text, others, sizeof(others) / sizeof(others[0]));
}

/* The end of the name that text begins with. */
static const char *after_name(const char *text)
{
	if (*text != '"')
		return text + strcspn(text, " (");
	do
		text = strchrnul(text + 1, '"');
	while (text[0] == '"' && text[1] == '"' && *++text);
	return *text ? text + 1 : text;
}

/* An index is built, one way or the other: nothing but its own table is touched. */
static bool is_index(const char *text)
{
	static const char *const indexes[] = { "CREATE INDEX ", "CREATE UNIQUE INDEX " };
	static const char *const keys[] = { " PRIMARY KEY (", " UNIQUE (", " UNIQUE NULLS NOT DISTINCT (" };
	static const char add[] = "\n    ADD CONSTRAINT ";
	const char *name;

	if (begins(text, indexes, sizeof(indexes) / sizeof(indexes[0])))
		return true;
	name = gp_starts_with(text, "ALTER TABLE ") ? strstr(text, add) : NULL;
	return name && begins(after_name(name + strlen(add)), keys, sizeof(keys) / sizeof(keys[0]));
}

/* COPY name (columns) FROM stdin, as pg_dump has it: its two parts. */
static bool is_copy(struct gp_arena *arena, const char *text, const char **ret_table, const char **ret_columns)
{
	static const char copy[] = "COPY ", from[] = ") FROM stdin";
	const char *table = text + strlen(copy), *end = table;
	bool quoted = false;

	if (!gp_starts_with(text, copy) || !gp_ends_with(text, from) || strlen(text) > QUESTION_MAX)
		return false;
	for (; *end && (quoted || *end != ' '); end++)
		quoted ^= *end == '"';
	if (!gp_starts_with(end, " ("))
		return false;
	*ret_table = gp_strndup(arena, table, (size_t)(end - table));
	*ret_columns = gp_sprintf(arena, ", %.*s,", (int)(strlen(end + 2) - strlen(from)), end + 2);
	return true;
}

/*
 * May the rows come in any order? Not where something is made of each as it comes: by an index or a foreign key that is there already, a trigger,
 * a rule, or a counter behind a column that the dump does not give.
 */
static int any_order(struct load *l, const char *text, bool *ret, struct gp_error *err)
{
	static const char sql[] =
		"select c.relkind = 'r' and c.relpersistence <> 't' and not c.relhasindex and not c.relhastriggers and not c.relhasrules"
		" and not exists (select 1 from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
		"  and (a.atthasdef or a.attidentity <> '') and a.attgenerated = ''"
		"  and pg_catalog.strpos($2::text, ', ' || pg_catalog.quote_ident(a.attname) || ',') = 0)"
		" from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1::text)";
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *table, *columns, *yes = NULL;
	struct gp_pg *pg;

	*ret = false;
	if (!l->dealt || !is_copy(arena, text, &table, &columns))
		return 0;
	GP_TRY(gp_pg_team_free(l->team, &pg, err));
	GP_TRY(gp_pg_value(pg, arena, sql, GP_ARGS(table, columns), 2, &yes, err));
	*ret = yes && gp_streq(yes, "t");
	return 0;
}

static void note_statement(struct load *l, const char *text)
{
	size_t n = strcspn(text, "('$=;");

	if (n >= sizeof(l->doing))
		n = sizeof(l->doing) - 1;
	memcpy(l->doing, text, n);
	l->doing[n] = '\0';
	while (n && isspace((unsigned char)l->doing[n - 1]))
		l->doing[--n] = '\0';
	gp_tame(l->doing, n, "");
}

/* ---- to the server ---------------------------------------------------------------------------------------------------- */

static int first(struct load *l, struct gp_pg **ret, struct gp_error *err)
{
	if (!l->single)
		return gp_pg_team_first(l->team, ret, err);
	*ret = l->single;
	return 0;
}

static int refused(const struct load *l, const char *text, struct gp_error *err)
{
	if (err && l->db.name && gp_starts_with(text, "CREATE EXTENSION ") && strstr(err->msg, "permission denied")) {
		err->hint[0] = '\0';
		gp_hint(err, "what a superuser has made in the live database comes along: make it there, `sudo -u postgres psql -d %s`, and try again",
			l->db.name);
	}
	return gp_context(err, "%s", l->doing);
}

/* Once all before it is done, and before all that follows. 1: rows follow. */
static int in_order(struct load *l, const char *text, struct gp_error *err)
{
	struct gp_pg *pg;
	int rows_wanted;

	GP_TRY(first(l, &pg, err));
	if ((rows_wanted = gp_pg_copy(pg, text, err)) < 0)
		return refused(l, text, err);
	if (rows_wanted) {
		l->alone = pg;
		return 1;
	}
	if (l->single && !gp_pg_in_transaction(pg))
		return gp_fail(err, GP_E_FAILED, "%s: it ended the transaction: what came before it stays", l->doing);
	/* One in a transaction is the first connection's alone. */
	l->alike = l->alike && !is_setting(text);
	l->dealt = l->alike && !gp_pg_in_transaction(pg);
	return 0;
}

/* In one transaction: pg_dump has some of its own around large objects, which it can do without. 1: not for the server, 0 it is. */
static int skip_transaction(const char *text, struct gp_error *err)
{
	static const char *const own[] = { "BEGIN", "START TRANSACTION", "COMMIT", "END" };
	static const char *const others[] = { "ROLLBACK", "ABORT", "SAVEPOINT ", "RELEASE ", "PREPARE " };

	if (begins(text, others, sizeof(others) / sizeof(others[0])))
		return gp_fail(err, GP_E_REFUSED, "there is %.10s in it, and it has to be one transaction", text);
	return begins(text, own, sizeof(own) / sizeof(own[0]));
}

static int statement(void *arg, const char *text, struct gp_error *err)
{
	struct load *l = arg;
	int skip = l->single ? skip_transaction(text, err) : 0;
	bool any;

	GP_TRY(skip);
	if (skip)
		return 0;
	if (is_left_out(text) || is_there(l, text)) {
		l->left_out++;
		return 0;
	}
	note_statement(l, text);
	if (l->dealt && is_setting(text)) {
		GP_TRY_TO(err, gp_pg_team_all(l->team, text, err), "%s", l->doing);
		return 0;
	}
	if (l->dealt && is_index(text))
		return gp_pg_team_give(l->team, text, l->doing, err);
	GP_TRY(any_order(l, text, &any, err));
	if (!any)
		return in_order(l, text, err);
	GP_TRY(gp_pg_team_copy(l->team, text, l->doing, err));
	return 1;
}

static int rows(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct load *l = arg;
	struct gp_pg *pg = l->alone;

	if (!pg)
		return data ? gp_pg_team_rows(l->team, data, len, err) : gp_pg_team_copy_end(l->team, err);
	if (!data)
		l->alone = NULL;
	GP_TRY_TO(err, data ? gp_pg_copy_rows(pg, data, len, err) : gp_pg_copy_end(pg, err), "%s", l->doing);
	return 0;
}

static int command(void *arg, const char *line, struct gp_error *err)
{
	(void)arg;
	if (gp_starts_with(line, "\\restrict ") || gp_starts_with(line, "\\unrestrict "))
		return 0;
	gp_fail(err, GP_E_REFUSED, "there is a command for psql in it, %.20s", line);
	return gp_hint(err, "a dump of one database has none: pg_dump without --create, not pg_dumpall");
}

static int cut(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct load *l = arg;

	l->bytes += len;
	return gp_sql_feed(&l->sql, data, len, err);
}

/* ---- afterwards --------------------------------------------------------------------------------------------------------- */

/* By the role that loaded it: a dump may have put a view in a table's place, whose functions run as whoever asks. */
static int count_table(struct load *l, struct gp_pg *pg, const char *const cells[5], size_t *found, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *name = gp_table_name(arena, cells[0], cells[1]), *from = cells[3], *text;
	uint64_t want;
	int64_t have;

	if (!gp_tables_find(&l->dump->dumped.tables, name, &want))
		return 0;
	*found += 1;
	/* An extension's own table has rows of its own, which no dump has. */
	if (gp_streq(cells[4], "t"))
		return 0;
	GP_TRY_TO(err, gp_pg_value(pg, arena, gp_sprintf(arena, "select count(*) from %s", from), NULL, 0, &text, err), "count %s", name);
	if (text && gp_parse_int(text, 0, INT64_MAX, &have) && (uint64_t)have == want)
		return 0;
	return gp_fail(err, GP_E_FAILED, "%s has %s rows, and the dump has %ju", name, text ? text : "no", (uintmax_t)want);
}

/* The planner's statistics are in no dump; without them the first queries are slow ones. One collects them of a table while another one counts. */
static int collect(struct load *l, const char *quoted, struct gp_pg **pg, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	if (l->single)
		return 0;
	GP_TRY(gp_pg_team_give(l->team, gp_sprintf(arena, "ANALYZE %s", quoted), "ANALYZE", err));
	return gp_pg_team_free(l->team, pg, err);
}

static int compare(struct load *l, struct gp_error *err)
{
	static const char sql[] =
		/* Rows of tables that inherit from one are in COPYs of their own; those of a partitioned table are nowhere but in its parts. */
		"select n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname),"
		" pg_catalog.format('%s %I.%I', case c.relkind when 'r' then 'only' else '' end, n.nspname, c.relname),"
		" exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')"
		" from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
		" where c.relkind in ('r', 'p', 'm') and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%' order by 1, 2";
	const struct gp_tables *want = &l->dump->dumped.tables;
	const char *const *cells;
	size_t n, columns, found = 0;
	struct gp_pg *pg;

	GP_TRY(first(l, &pg, err));
	GP_TRY(gp_pg_rows(pg, l->db.ctx->arena, sql, NULL, 0, &cells, &n, &columns, err));
	for (size_t i = 0; i < n; i++) {
		GP_TRY(collect(l, cells[columns * i + 2], &pg, err));
		GP_TRY(count_table(l, pg, cells + columns * i, &found, err));
	}
	GP_TRY(first(l, &pg, err));
	if (found < want->n)
		return gp_fail(err, GP_E_FAILED, "%zu tables of the dump are not there", want->n - found);
	return 0;
}

/* The file may have been written to since it was checked. */
static int check_same(const struct load *l, const struct gp_packed *packed, struct gp_error *err)
{
	bool same = l->bytes == l->dump->dumped.bytes && (!l->dump->sha256 || !packed->sha256 || gp_streq(l->dump->sha256, packed->sha256));

	return same ? 0 : gp_fail(err, GP_E_FAILED, "it was written to meanwhile");
}

static int run_load(struct load *l, struct gp_error *err)
{
	const struct gp_sql_sink sink = { .statement = statement, .rows = rows, .command = command, .arg = l };
	struct gp_packed packed = { 0 };
	struct gp_pg *pg;
	int result;

	gp_sql_begin(&l->sql, &sink, STATEMENT_MAX);
	result = gp_dump_unpack(l->dump, cut, l, l->db.ctx->arena, &packed, err);
	if (result == 0)
		result = gp_sql_end(&l->sql, err);
	gp_sql_free(&l->sql);
	GP_TRY(result);
	GP_TRY(first(l, &pg, err));
	if (!l->single && gp_pg_in_transaction(pg)) {
		gp_fail(err, GP_E_FAILED, "it begins a transaction and does not end it: what is in it would be lost");
		return gp_hint(err, "put COMMIT; at its end, or take another one");
	}
	GP_TRY(check_same(l, &packed, err));
	return compare(l, err);
}

static void tell(const struct load *l, uint64_t copied, size_t connections)
{
	if (l->left_out)
		gp_tell_note(l->db.ctx, "%zu statements about owners, rights, extensions and publications are left out", l->left_out);
	gp_tell_note(l->db.ctx, "%ju rows in %zu tables, over %zu connection%s: all there", (uintmax_t)copied, l->dump->dumped.tables.n,
		connections, connections == 1 ? "" : "s");
}

static size_t connections(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores < TEAM_LEAST ? TEAM_LEAST : cores > GP_PG_TEAM_MAX ? GP_PG_TEAM_MAX : (size_t)cores;
}

static int load_over(struct load *l, struct gp_error *err)
{
	/* Most of the time goes into packing long values. Where the server can, by lz4: pglz, the default, takes several times as long. */
	static const char lz4[] = "select pg_catalog.set_config(name, 'lz4', false) from pg_catalog.pg_settings"
		" where name = 'default_toast_compression' and 'lz4' = any (enumvals)";

	/* What is not yet on disk when the server dies is a database that nobody uses; before the swap all of it is. */
	GP_TRY(gp_pg_team_all(l->team, "SET synchronous_commit = off", err));
	GP_TRY(gp_pg_team_all(l->team, lz4, err));
	return run_load(l, err);
}

int gp_dump_load(const struct gp_database *db, const struct gp_dump_file *dump, const struct gp_extensions *there, const struct gp_pg_login *login,
	struct gp_error *err)
{
	struct gp_pg_login patient = *login;
	struct load l = { .db = *db, .dump = dump, .there = there, .alike = *dump->dumped.client, .dealt = *dump->dumped.client };
	GP_AUTO_PG_TEAM team = NULL;

	patient.statement_s = STATEMENT_S;
	GP_TRY(gp_pg_team_open(&patient, l.dealt ? connections() : 1, &team, err));
	l.team = team;
	GP_TRY_TO(err, load_over(&l, err), "load %s", dump->path);
	tell(&l, gp_pg_team_copied(team), gp_pg_team_size(team));
	return 0;
}

/* ---- into the live one --------------------------------------------------------------------------------------------------- */

/* All that the role has made. What an extension has made stays, and so do rights, which the role could not give itself again. */
static const char clear_sql[] =
	"DO $do$ DECLARE command text; me oid := (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user); BEGIN"
	" PERFORM pg_catalog.set_config('search_path', '', true);"
	" FOR command IN WITH mine AS ("
	"  SELECT CASE c.relkind WHEN 'S' THEN 2 ELSE 1 END AS place,"
	"   pg_catalog.format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN"
	"   'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname) AS command, c.oid,"
	"   n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	"   WHERE c.relowner = me AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"
	"  UNION ALL SELECT 3, pg_catalog.format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure), p.oid, n.nspname"
	"   FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.proowner = me"
	"  UNION ALL SELECT 4, pg_catalog.format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname), t.oid, n.nspname"
	"   FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
	"   LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid"
	"   WHERE t.typowner = me AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')"
	"  UNION ALL SELECT 5, pg_catalog.format('DROP SCHEMA IF EXISTS %I CASCADE', n.nspname), n.oid, n.nspname"
	"   FROM pg_catalog.pg_namespace n WHERE n.nspowner = me AND n.nspname <> 'public')"
	"  SELECT m.command FROM mine m WHERE m.nspname NOT LIKE 'pg\\_%' AND m.nspname <> 'information_schema' AND NOT EXISTS"
	"   (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = m.oid AND d.deptype = 'e') ORDER BY m.place"
	" LOOP EXECUTE command; END LOOP;"
	" PERFORM pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE lomowner = me; END $do$";

static int replace_all(struct load *l, struct gp_error *err)
{
	GP_TRY(gp_pg_exec(l->single, "BEGIN; SET LOCAL lock_timeout = '60s'", err));
	GP_TRY_TO(err, gp_pg_exec(l->single, clear_sql, err), "clear the database");
	GP_TRY(run_load(l, err));
	GP_TRY(gp_pg_exec(l->single, "COMMIT", err));
	/* It is done; statistics come sooner or later. */
	gp_pg_exec(l->single, "ANALYZE", NULL);
	return 0;
}

int gp_dump_load_live(struct gp_ctx *ctx, const struct gp_dump_file *dump, struct gp_pg *pg, struct gp_error *err)
{
	struct load l = { .db.ctx = ctx, .dump = dump, .single = pg };

	GP_TRY(gp_pg_be_patient(pg, STATEMENT_S, err));
	GP_TRY_TO(err, replace_all(&l, err), "load %s", dump->path);
	tell(&l, gp_pg_copied(pg), 1);
	return 0;
}
