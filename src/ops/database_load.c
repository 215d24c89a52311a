/*
 * Reading a dump. gzip runs as nobody, with the open file as its input; what comes out is cut into statements (base/sql.h), and these go
 * to the server over one connection.
 */
#include "ops/database_load.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sql.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"
#include "sys/proc.h"

enum { TIMEOUT_MS = 6 * 3600 * 1000, STATEMENT_S = 3 * 3600, TAIL = 4096, STATEMENT_MAX = 64 << 20, ROOM_LEAST = 64 << 20 };

static const char closing_line[] = "\n-- PostgreSQL database dump complete";

/* ---- unpacking ------------------------------------------------------------------------------------------------------ */

typedef int gp_unpacked(void *arg, const char *data, size_t len, struct gp_error *err);

static int unpack(const struct gp_dump_file *dump, gp_unpacked *to, void *arg, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_account nobody;

	GP_TRY(gp_account_get(arena, "nobody", &nobody, err));
	if (lseek(dump->fd, 0, SEEK_SET) < 0)
		return gp_fail_errno(err, errno, "read it");
	/* -f: what is no gzip comes out as it is. */
	return gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("gzip", "-dcf"), .in_fd = dump->fd, .as = geteuid() == 0 ? &nobody : NULL,
		.timeout_ms = TIMEOUT_MS, .data = to, .arg = arg }, NULL, err);
}

/* The end of a dump, by which it is known to be whole. */
struct whole {
	uint64_t bytes, room;
	struct gp_buf tail;
};

static int add_to_tail(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct whole *w = arg;

	w->bytes += len;
	gp_buf_keep_tail(&w->tail, data, len);
	if (w->room && w->bytes > w->room) {
		gp_fail(err, GP_E_FAILED, "there is no room on the disk of Postgres for what is in it, more than %ju MiB", (uintmax_t)(w->room >> 20));
		return gp_hint(err, "make room: df -h; old databases that were kept: psql -l");
	}
	return 0;
}

static int is_whole(const struct whole *w, struct gp_error *err)
{
	/* pg_dump may write \unrestrict after it. */
	if (!w->bytes)
		return gp_fail(err, GP_E_FAILED, "there is nothing in it");
	if (w->tail.data && memmem(w->tail.data, w->tail.len, closing_line, strlen(closing_line)))
		return 0;
	gp_fail(err, GP_E_FAILED, "it does not end with pg_dump's closing line: it is cut short, or no dump");
	return gp_hint(err, "take another one");
}

/* What the database may grow to: its rows are about as long as in the dump, and have indexes. */
static int room_for(const struct gp_database *db, uint64_t *ret, struct gp_error *err)
{
	const char *folder;
	uint64_t inodes;
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(db->ctx, db->port, &pg, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, "select current_setting('data_directory')", NULL, 0, &folder, err));
	GP_TRY(gp_fs_free(folder, ret, &inodes, err));
	*ret = *ret > ROOM_LEAST ? (*ret - ROOM_LEAST) / 3 * 2 : 1;
	return 0;
}

static int open_as(const char *path, const struct gp_account *as, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };
	GP_AUTO_FD fd = -1;
	struct stat st;
	int result;

	/* A link that was laid in somebody's folder leads no further than they could go. */
	if (as)
		GP_TRY(gp_account_assume(as, &was, err));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return gp_fail_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return gp_fail(err, GP_E_REFUSED, "%s is no file", path);
	result = fd;
	fd = -1;
	return result;
}

int gp_dump_open(const struct gp_database *db, const char *path, const struct gp_account *as, struct gp_dump_file *ret, struct gp_error *err)
{
	struct whole w = { .tail.max = TAIL };
	GP_AUTO_DUMP dump = { .path = path, .fd = open_as(path, as, err) };
	int result;

	GP_TRY(dump.fd);
	GP_TRY(room_for(db, &w.room, err));
	result = unpack(&dump, add_to_tail, &w, err);
	if (result == 0)
		result = is_whole(&w, err);
	gp_buf_free(&w.tail);
	GP_TRY_TO(err, result, "the dump %s", path);
	dump.sql_bytes = w.bytes;
	*ret = dump;
	dump.fd = -1;
	return 0;
}

void gp_dump_close(struct gp_dump_file *dump)
{
	gp_closep(&dump->fd);
}

/* ---- loading -------------------------------------------------------------------------------------------------------- */

struct load {
	struct gp_database db;
	struct gp_pg *pg;
	struct gp_sql sql;
	struct whole whole;
	size_t left_out;
	char doing[100]; /* which statement: its words, none of its values */
};

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
 * carried over from there. Extensions that are there already belong to the superuser, and a newer pg_dump's setting is unknown to an older server.
 */
static bool is_left_out(const char *text)
{
	static const char *const beginnings[] = { "GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES ", "SET SESSION AUTHORIZATION ",
		"COMMENT ON EXTENSION ", "SET transaction_timeout " };

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncasecmp(text, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return is_owner(text);
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

static int statement(void *arg, const char *text, struct gp_error *err)
{
	struct load *l = arg;
	int rows;

	if (is_left_out(text)) {
		l->left_out++;
		return 0;
	}
	note_statement(l, text);
	rows = gp_pg_copy(l->pg, text, err);
	return rows < 0 ? gp_context(err, "%s", l->doing) : rows;
}

static int rows(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct load *l = arg;

	GP_TRY_TO(err, data ? gp_pg_copy_rows(l->pg, data, len, err) : gp_pg_copy_end(l->pg, err), "%s", l->doing);
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

	GP_TRY(add_to_tail(&l->whole, data, len, err));
	return gp_sql_feed(&l->sql, data, len, err);
}

static int run_load(struct load *l, const struct gp_dump_file *dump, struct gp_error *err)
{
	GP_TRY(unpack(dump, cut, l, err));
	GP_TRY(gp_sql_end(&l->sql, err));
	/* The file may have been written to since it was checked. */
	GP_TRY(is_whole(&l->whole, err));
	/* The planner's statistics are in no dump; without them the first queries are slow ones. */
	return gp_pg_exec(l->pg, "ANALYZE", err);
}

int gp_dump_load(const struct gp_database *db, const struct gp_dump_file *dump, const struct gp_pg_login *login, struct gp_error *err)
{
	struct gp_pg_login patient = *login;
	struct load l = { .db = *db, .whole.tail.max = TAIL };
	const struct gp_sql_sink sink = { .statement = statement, .rows = rows, .command = command, .arg = &l };
	GP_AUTO_PG pg = NULL;
	int result;

	patient.statement_s = STATEMENT_S;
	GP_TRY(gp_pg_open(&patient, &pg, err));
	l.pg = pg;
	gp_sql_begin(&l.sql, &sink, STATEMENT_MAX);
	result = run_load(&l, dump, err);
	gp_sql_free(&l.sql);
	gp_buf_free(&l.whole.tail);
	GP_TRY_TO(err, result, "load %s", dump->path);
	if (l.left_out)
		gp_tell_note(db->ctx, "%zu statements about owners, rights and extensions are left out", l.left_out);
	return 0;
}
