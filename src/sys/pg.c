/*
 * Postgres by libpq: connections, statements, quoting, and what libpq and the server report turned into sentences. Everything
 * runs non-blocking under a deadline of its own, because neither connect_timeout (which counts for each address) nor
 * statement_timeout (which a stopped server does not keep) bounds a wait on this side.
 */
#include "sys/pg.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/library.h"

#define FUNCTIONS(X) \
	X(PQclear, clear) \
	X(PQconndefaults, conndefaults) \
	X(PQconnectPoll, connectPoll) \
	X(PQconnectStartParams, connectStartParams) \
	X(PQconnectionNeedsPassword, connectionNeedsPassword) \
	X(PQconninfoFree, conninfoFree) \
	X(PQconsumeInput, consumeInput) \
	X(PQencryptPasswordConn, encryptPasswordConn) \
	X(PQerrorMessage, errorMessage) \
	X(PQescapeIdentifier, escapeIdentifier) \
	X(PQescapeLiteral, escapeLiteral) \
	X(PQfinish, finish) \
	X(PQflush, flush) \
	X(PQfreemem, freemem) \
	X(PQgetResult, getResult) \
	X(PQgetisnull, getisnull) \
	X(PQgetvalue, getvalue) \
	X(PQisBusy, isBusy) \
	X(PQnfields, nfields) \
	X(PQntuples, ntuples) \
	X(PQresultErrorField, resultErrorField) \
	X(PQresultStatus, resultStatus) \
	X(PQsendQuery, sendQuery) \
	X(PQsendQueryParams, sendQueryParams) \
	X(PQserverVersion, serverVersion) \
	X(PQsetErrorVerbosity, setErrorVerbosity) \
	X(PQsetNoticeProcessor, setNoticeProcessor) \
	X(PQsetnonblocking, setnonblocking) \
	X(PQsocket, socket) \
	X(PQstatus, status)

GP_LIBRARY(libpq, "libpq.so.5", FUNCTIONS)

#define SOCKET_DIR "/var/run/postgresql"
#define LOOK_AT_SERVICE "see: systemctl status postgresql"

enum { CONNECT_S = 5, STATEMENT_S = 60, GRACE_S = 5 }; /* grace: the server's own time limit is to speak first */

struct gp_pg {
	PGconn *conn;
	bool broken; /* a statement was given up half way: what comes next on the wire belongs to nobody */
};

static void clear_result(PGresult **result)
{
	libpq.clear(*result);
}
#define AUTO_RESULT __attribute__((cleanup(clear_result))) PGresult *

static void silent(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* PGHOST, PGPASSWORD, PGSERVICE and the like of whoever called goldpath must not complete a login that says all there is to say. */
static void forget_environment(void)
{
	PQconninfoOption *options = libpq.conndefaults();

	for (PQconninfoOption *o = options; o && o->keyword; o++)
		if (o->envvar)
			unsetenv(o->envvar);
	unsetenv("PGSERVICEFILE");
	libpq.conninfoFree(options);
}

/* 1 ready, 0 the deadline has passed. */
static int wait_for(const PGconn *conn, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = libpq.socket(conn), .events = events };
		int64_t left = gp_left_ms(deadline);
		int n = left ? poll(&p, 1, (int)left) : 0;

		if (n >= 0 || errno != EINTR)
			return n != 0; /* an error of poll itself is one that libpq will meet again, and can name */
	}
}

/* ---- connecting ---------------------------------------------------------------------------------------------------- */

/* Where the server was looked for: the socket's path, or host:port. */
static const char *place(struct gp_arena *arena, const struct gp_pg_login *login)
{
	if (login->host[0] == '/')
		return gp_sprintf(arena, "%s/.s.PGSQL.%d", login->host, login->port);
	return gp_sprintf(arena, strchr(login->host, ':') ? "[%s]:%d" : "%s:%d", login->host, login->port);
}

/*
 * A failed connection has no result to ask for its SQLSTATE, and the text may be in any language. But at verbosity VERBOSE, set
 * before the server answers, libpq writes `FATAL:  28P01: message`. "" where the failure is not the server's word.
 */
static const char *sqlstate_in(struct gp_arena *arena, const char *text)
{
	for (const char *p = strstr(text, ":  "); p; p = strstr(p + 1, ":  "))
		if (strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && gp_starts_with(p + 8, ": "))
			return gp_strndup(arena, p + 3, 5);
	return "";
}

/* The sentence in libpq's text: its first line, without where it connected to, severity and SQLSTATE. */
static const char *sentence(struct gp_arena *arena, const char *text)
{
	const char *line = gp_strndup(arena, text, strcspn(text, "\n"));
	const char *state = sqlstate_in(arena, line), *failed = strstr(line, " failed: ");

	if (*state)
		return strstr(line, gp_sprintf(arena, "%s: ", state)) + strlen(state) + 2;
	return failed && gp_starts_with(line, "connection to server ") ? failed + strlen(" failed: ") : line;
}

/* The server answered and said no. */
static int refused_by_server(struct gp_arena *arena, const struct gp_pg_login *login, const char *state, const char *text,
	struct gp_error *err)
{
	const char *said = sentence(arena, text);

	if (gp_streq(state, "28P01")) {
		gp_fail(err, GP_E_FAILED, "Postgres refuses the password of role '%s'", login->user);
		return gp_hint(err, "the role has another password, or there is no such role; ALTER ROLE ... PASSWORD sets a new one");
	}
	if (gp_streq(state, "28000") && strstr(said, "does not exist")) {
		gp_fail(err, GP_E_FAILED, "Postgres has no role '%s'", login->user);
		return gp_hint(err, "the roles there are: sudo -u postgres psql -c '\\du'");
	}
	if (gp_streq(state, "28000")) {
		gp_fail(err, GP_E_FAILED, "Postgres does not let role '%s' in: %s", login->user, said);
		if (login->host[0] == '/' && gp_streq(login->user, "postgres"))
			return gp_hint(err, "pg_hba.conf needs the line: local all postgres peer");
		return gp_hint(err, "see who may connect from where in pg_hba.conf: sudo -u postgres psql -c 'SHOW hba_file'");
	}
	if (gp_streq(state, "3D000")) {
		gp_fail(err, GP_E_FAILED, "Postgres has no database '%s'", login->dbname);
		return gp_hint(err, "the databases there are: sudo -u postgres psql -l");
	}
	if (gp_streq(state, "53300")) {
		gp_fail(err, GP_E_FAILED, "Postgres has no connection left for role '%s': %s", login->user, said);
		return gp_hint(err, "pg_stat_activity shows who holds them, max_connections in postgresql.conf is the limit");
	}
	if (gp_streq(state, "57P03")) {
		gp_fail(err, GP_E_FAILED, "Postgres on %s takes no connections now: %s", place(arena, login), said);
		return gp_hint(err, "try again in a moment; " LOOK_AT_SERVICE);
	}
	return gp_fail(err, GP_E_FAILED, "Postgres on %s refuses the connection: %s", place(arena, login), said);
}

static int not_connected(const PGconn *conn, const struct gp_pg_login *login, struct gp_error *err)
{
	/* What libpq says of bytes that are not its protocol. */
	static const char *const foreign[] = { "received invalid response", "expected authentication request",
		"unsupported frontend protocol", "invalid message length", "lost synchronization", "unexpected response from server" };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_secrets secrets = { .arena = arena };
	const char *where = place(arena, login), *text, *state;

	if (login->password)
		gp_secret_add(&secrets, login->password);
	text = gp_secret_mask(&secrets, arena, libpq.errorMessage(conn));
	state = sqlstate_in(arena, text);
	if (*state)
		return refused_by_server(arena, login, state, text, err);
	if (libpq.connectionNeedsPassword(conn)) {
		gp_fail(err, GP_E_FAILED, "Postgres asks for a password of role '%s' and none is set", login->user);
		return gp_hint(err, "see who may connect how in pg_hba.conf: sudo -u postgres psql -c 'SHOW hba_file'");
	}
	if (strstr(text, strerror(ECONNREFUSED)) || strstr(text, strerror(ENOENT))) {
		gp_fail(err, GP_E_FAILED, "Postgres does not answer on %s", where);
		return gp_hint(err, "is it running, and on this port? " LOOK_AT_SERVICE);
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (strstr(text, foreign[i])) {
			gp_fail(err, GP_E_FAILED, "what answers on %s is not Postgres", where);
			return gp_hint(err, "ss -ltnp shows which program holds the port; " LOOK_AT_SERVICE);
		}
	if (strstr(text, "could not translate host name")) {
		gp_fail(err, GP_E_FAILED, "cannot resolve the host of Postgres, '%s'", login->host);
		return gp_hint(err, "is it spelled right? goldpath's own Postgres is on 127.0.0.1");
	}
	gp_fail(err, GP_E_FAILED, "cannot connect to Postgres on %s: %s", where, sentence(arena, text));
	return gp_hint(err, LOOK_AT_SERVICE);
}

static int poll_connection(PGconn *conn, const struct gp_pg_login *login, struct gp_error *err)
{
	int seconds = login->timeout_s > 0 ? login->timeout_s : CONNECT_S;
	int64_t deadline = gp_mono_ms() + (int64_t)seconds * 1000;
	PostgresPollingStatusType state = libpq.status(conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;

	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED)
			return not_connected(conn, login, err);
		if (!wait_for(conn, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
			GP_AUTO_ARENA arena = gp_arena_new();

			gp_fail(err, GP_E_FAILED, "Postgres does not answer on %s within %d s", place(arena, login), seconds);
			return gp_hint(err, "is it overloaded or stopped? " LOOK_AT_SERVICE);
		}
		state = libpq.connectPoll(conn);
	}
	return 0;
}

static int open_with(const struct gp_pg_login *login, const char *options, struct gp_pg **ret, struct gp_error *err)
{
	/* A password file that cannot exist: ~/.pgpass is not to be asked. Never /dev/null, about which libpq complains on stderr. */
	static const char *const keys[] = { "host", "port", "dbname", "user", "password", "options", "client_encoding",
		"application_name", "gssencmode", "passfile", NULL };
	char port[16];
	const char *const values[] = { login->host, port, login->dbname, login->user, login->password, options, "UTF8", "goldpath",
		"disable", "/nonexistent/pgpass", NULL };

	GP_TRY(load_libpq(err));
	GP_AUTO_PG pg = calloc(1, sizeof(*pg));
	snprintf(port, sizeof(port), "%d", login->port);
	forget_environment();
	if (!pg || !(pg->conn = libpq.connectStartParams(keys, values, 0)))
		abort(); /* out of memory */
	libpq.setNoticeProcessor(pg->conn, silent, NULL);
	libpq.setErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	GP_TRY(poll_connection(pg->conn, login, err));
	libpq.setErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
	libpq.setnonblocking(pg->conn, 1);
	*ret = pg;
	pg = NULL;
	return 0;
}

int gp_pg_open(const struct gp_pg_login *login, struct gp_pg **ret, struct gp_error *err)
{
	return open_with(login, "-c statement_timeout=60s", ret, err);
}

int gp_pg_open_admin(int port, const char *dbname, struct gp_pg **ret, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_pg_login login = { .host = SOCKET_DIR, .port = port, .dbname = dbname, .user = "postgres" };
	struct gp_account account;
	struct gp_identity was = { 0 };
	int found = gp_account_find(arena, "postgres", &account, err), result;

	GP_TRY(found);
	if (!found) {
		gp_fail(err, GP_E_FAILED, "there is no user 'postgres' on this host");
		return gp_hint(err, "is Postgres installed? apt-get install postgresql");
	}
	GP_TRY(gp_account_assume(&account, &was, err));
	/*
	 * A site owns its database and can put functions into its schema public. The superuser must not find one of those under a
	 * name it takes for a built-in one, so it looks names up in pg_catalog only.
	 */
	result = open_with(&login, "-c statement_timeout=60s -c search_path=pg_catalog", ret, err);
	gp_account_resume(&was);
	return result;
}

void gp_pg_close(struct gp_pg *pg)
{
	if (!pg)
		return;
	libpq.finish(pg->conn);
	free(pg);
}

void gp_pg_closep(struct gp_pg **pg)
{
	gp_pg_close(*pg);
}

int gp_pg_version(const struct gp_pg *pg)
{
	return libpq.serverVersion(pg->conn);
}

/* ---- statements ---------------------------------------------------------------------------------------------------- */

static const char *hint_for(const char *state)
{
	static const struct {
		const char *state, *hint;
	} hints[] = {
		{ "57014", "something may hold a lock: see pg_stat_activity" },
		{ "55P03", "something holds a lock: see pg_stat_activity" },
		{ "55006", "see who uses it in pg_stat_activity" },
		{ "53100", "the disk is full: df -h" },
		{ "57P01", LOOK_AT_SERVICE },
	};

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (gp_streq(state, hints[i].state))
			return hints[i].hint;
	return NULL;
}

static int lost(struct gp_pg *pg, struct gp_error *err)
{
	pg->broken = true;
	gp_fail(err, GP_E_FAILED, "the connection to Postgres is lost");
	return gp_hint(err, LOOK_AT_SERVICE);
}

static int failed(struct gp_pg *pg, const PGresult *result, struct gp_error *err)
{
	const char *state = libpq.resultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = libpq.resultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = libpq.resultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = libpq.resultErrorField(result, PG_DIAG_MESSAGE_HINT);
	const char *near;

	if (!state || !primary)
		return lost(pg, err);
	/* A syntax error quotes the statement, which may hold a verifier; a broken value (22, 23) is quoted in the detail. */
	near = gp_streq(state, "42601") ? strstr(primary, " at or near \"") : NULL;
	gp_fail(err, GP_E_FAILED, "Postgres: %.*s", (int)(near ? (size_t)(near - primary) : strlen(primary)), primary);
	if (detail && !gp_starts_with(state, "22") && !gp_starts_with(state, "23") && !gp_starts_with(state, "42"))
		gp_detail(err, detail, strlen(detail));
	if (!hint)
		hint = hint_for(state);
	if (libpq.status(pg->conn) == CONNECTION_BAD)
		pg->broken = true;
	return hint ? gp_hint(err, "%s", hint) : -1;
}

/* The next result of the statement under way, NULL after the last one. */
static int next_result(struct gp_pg *pg, int64_t deadline, PGresult **ret, struct gp_error *err)
{
	int unsent;

	while ((unsent = libpq.flush(pg->conn)) > 0 || libpq.isBusy(pg->conn)) {
		if (!wait_for(pg->conn, (short)(POLLIN | (unsent > 0 ? POLLOUT : 0)), deadline)) {
			pg->broken = true;
			gp_fail(err, GP_E_FAILED, "Postgres did not answer within %d s", STATEMENT_S + GRACE_S);
			return gp_hint(err, "is it overloaded or stopped? " LOOK_AT_SERVICE);
		}
		if (!libpq.consumeInput(pg->conn))
			return lost(pg, err);
	}
	*ret = libpq.getResult(pg->conn);
	return 0;
}

/*
 * Read all that belongs to the statement, so that the connection is good for the next one. Of several results the last one counts,
 * as with psql; but a server that says why it hangs up is not to be drowned out by the connection's end.
 */
static int collect(struct gp_pg *pg, PGresult **ret, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + (int64_t)(STATEMENT_S + GRACE_S) * 1000;
	AUTO_RESULT last = NULL;

	for (;;) {
		PGresult *result = NULL;
		ExecStatusType status;

		if (next_result(pg, deadline, &result, err) < 0)
			return last && libpq.resultStatus(last) == PGRES_FATAL_ERROR ? failed(pg, last, err) : -1;
		if (!result)
			break;
		status = libpq.resultStatus(result);
		if (last && libpq.resultStatus(last) == PGRES_FATAL_ERROR) {
			libpq.clear(result);
			continue;
		}
		libpq.clear(last);
		last = result;
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
			pg->broken = true;
			return gp_fail(err, GP_E_FAILED, "COPY is not possible here");
		}
	}
	if (!last)
		return lost(pg, err);
	switch (libpq.resultStatus(last)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		*ret = last;
		last = NULL;
		return 0;
	default:
		return failed(pg, last, err);
	}
}

static int query(struct gp_pg *pg, const char *sql, const char *const *params, size_t n, PGresult **ret, struct gp_error *err)
{
	if (pg->broken || !libpq.sendQueryParams(pg->conn, sql, (int)n, NULL, params, NULL, NULL, 0))
		return lost(pg, err);
	return collect(pg, ret, err);
}

int gp_pg_value(struct gp_pg *pg, struct gp_arena *arena, const char *sql, const char *const *params, size_t n, const char **ret,
	struct gp_error *err)
{
	AUTO_RESULT result = NULL;

	GP_TRY(query(pg, sql, params, n, &result, err));
	*ret = libpq.ntuples(result) > 0 && libpq.nfields(result) > 0 && !libpq.getisnull(result, 0, 0)
		? gp_strdup(arena, libpq.getvalue(result, 0, 0))
		: NULL;
	return 0;
}

int gp_pg_rows(struct gp_pg *pg, struct gp_arena *arena, const char *sql, const char *const *params, size_t n,
	const char *const **ret_cells, size_t *ret_rows, size_t *ret_columns, struct gp_error *err)
{
	AUTO_RESULT result = NULL;
	const char **cells;
	int rows, columns;

	GP_TRY(query(pg, sql, params, n, &result, err));
	rows = libpq.ntuples(result);
	columns = libpq.nfields(result);
	cells = gp_alloc_array(arena, (size_t)rows * (size_t)columns + 1, sizeof(*cells));
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < columns; c++)
			if (!libpq.getisnull(result, r, c))
				cells[(size_t)r * (size_t)columns + (size_t)c] = gp_strdup(arena, libpq.getvalue(result, r, c));
	*ret_cells = cells;
	*ret_rows = (size_t)rows;
	*ret_columns = (size_t)columns;
	return 0;
}

int gp_pg_exec(struct gp_pg *pg, const char *sql, struct gp_error *err)
{
	AUTO_RESULT result = NULL;

	/* The simple protocol: utility commands of every kind go through it. */
	if (pg->broken || !libpq.sendQuery(pg->conn, sql))
		return lost(pg, err);
	return collect(pg, &result, err);
}

/* ---- quoting ------------------------------------------------------------------------------------------------------- */

/* Hand text that libpq allocated to the arena. */
static int keep(struct gp_arena *arena, char *quoted, const char *what, const char **ret, struct gp_error *err)
{
	if (!quoted) /* libpq's own message would show the text */
		return gp_fail(err, GP_E_FAILED, "cannot quote the %s for Postgres: it is not valid UTF-8", what);
	*ret = gp_strdup(arena, quoted);
	explicit_bzero(quoted, strlen(quoted));
	libpq.freemem(quoted);
	return 0;
}

int gp_pg_identifier(struct gp_pg *pg, struct gp_arena *arena, const char *name, const char **ret, struct gp_error *err)
{
	return keep(arena, libpq.escapeIdentifier(pg->conn, name, strlen(name)), "name", ret, err);
}

int gp_pg_literal(struct gp_pg *pg, struct gp_arena *arena, const char *text, const char **ret, struct gp_error *err)
{
	return keep(arena, libpq.escapeLiteral(pg->conn, text, strlen(text)), "text", ret, err);
}

int gp_pg_scram(struct gp_pg *pg, struct gp_arena *arena, const char *role, const char *password, const char **ret,
	struct gp_error *err)
{
	/* The algorithm is named, not asked for: password_encryption may still say md5 on a host that was upgraded. */
	char *verifier = libpq.encryptPasswordConn(pg->conn, password, role, "scram-sha-256");

	if (!verifier)
		return gp_fail(err, GP_E_FAILED, "cannot compute the SCRAM verifier of role '%s'", role);
	return keep(arena, verifier, "verifier", ret, err);
}
