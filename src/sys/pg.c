/*
 * Postgres by libpq: connecting, and why that failed, in sentences. It runs non-blocking under a deadline of its own, because
 * connect_timeout counts for each address anew.
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
#include "sys/pg_connection.h"

#define FUNCTIONS(X) \
	X(PQclear, clear) \
	X(PQconndefaults, conndefaults) \
	X(PQconnectPoll, connectPoll) \
	X(PQconnectStartParams, connectStartParams) \
	X(PQconnectionNeedsPassword, connectionNeedsPassword) \
	X(PQconninfoFree, conninfoFree) \
	X(PQerrorMessage, errorMessage) \
	X(PQfinish, finish) \
	X(PQserverVersion, serverVersion) \
	X(PQsetErrorVerbosity, setErrorVerbosity) \
	X(PQsetNoticeProcessor, setNoticeProcessor) \
	X(PQsetnonblocking, setnonblocking) \
	X(PQsocket, socket) \
	X(PQstatus, status)

GP_LIBRARY(libpq, "libpq.so.5", FUNCTIONS)

#define SOCKET_DIR "/var/run/postgresql"

enum { CONNECT_S = 5 };

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
		if (err)
			err->sys_errno = EACCES;
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
		return gp_hint(err, "try again in a moment; " GP_PG_LOOK);
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
		return gp_hint(err, "is it running, and on this port? " GP_PG_LOOK);
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (strstr(text, foreign[i])) {
			gp_fail(err, GP_E_FAILED, "what answers on %s is not Postgres", where);
			return gp_hint(err, "ss -ltnp shows which program holds the port; " GP_PG_LOOK);
		}
	if (strstr(text, "could not translate host name")) {
		gp_fail(err, GP_E_FAILED, "cannot resolve the host of Postgres, '%s'", login->host);
		return gp_hint(err, "is it spelled right? goldpath's own Postgres is on 127.0.0.1");
	}
	gp_fail(err, GP_E_FAILED, "cannot connect to Postgres on %s: %s", where, sentence(arena, text));
	return gp_hint(err, GP_PG_LOOK);
}

/* 1 ready, 0 the deadline has passed. */
int gp_pg_wait(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = gp_left_ms(deadline);
		int n = left ? poll(&p, 1, (int)left) : 0;

		if (n >= 0 || errno != EINTR)
			return n != 0; /* an error of poll itself is one that libpq will meet again, and can name */
	}
}

static int poll_connection(PGconn *conn, const struct gp_pg_login *login, struct gp_error *err)
{
	int seconds = login->timeout_s > 0 ? login->timeout_s : CONNECT_S;
	int64_t deadline = gp_mono_ms() + (int64_t)seconds * 1000;
	PostgresPollingStatusType state = libpq.status(conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;

	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED)
			return not_connected(conn, login, err);
		if (!gp_pg_wait(libpq.socket(conn), (short)(state == PGRES_POLLING_READING ? POLLIN : POLLOUT), deadline)) {
			GP_AUTO_ARENA arena = gp_arena_new();

			gp_fail(err, GP_E_FAILED, "Postgres does not answer on %s within %d s", place(arena, login), seconds);
			return gp_hint(err, "is it overloaded or stopped? " GP_PG_LOOK);
		}
		state = libpq.connectPoll(conn);
	}
	return 0;
}

/* On loopback nobody listens in: TLS, which takes 5 ms, only where pg_hba.conf insists. */
static bool stays_here(const char *host)
{
	return host[0] == '/' || gp_starts_with(host, "127.") || gp_streq(host, "::1") || gp_streq(host, "localhost");
}

static int open_with(const struct gp_pg_login *login, const char *options, struct gp_pg **ret, struct gp_error *err)
{
	/* A password file that cannot exist: ~/.pgpass is not to be asked. Never /dev/null, about which libpq complains on stderr. */
	static const char *const keys[] = { "host", "port", "dbname", "user", "password", "options", "client_encoding",
		"application_name", "gssencmode", "sslmode", "passfile", NULL };
	char port[16];
	const char *const values[] = { login->host, port, login->dbname, login->user, login->password, options, "UTF8", "goldpath",
		"disable", stays_here(login->host) ? "allow" : "prefer", "/nonexistent/pgpass", NULL };

	GP_TRY(load_libpq(err));
	GP_TRY(gp_pg_load_query(err));
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
	pg->statement_s = login->statement_s ? login->statement_s : GP_PG_STATEMENT_S;
	*ret = pg;
	pg = NULL;
	return 0;
}

int gp_pg_open(const struct gp_pg_login *login, struct gp_pg **ret, struct gp_error *err)
{
	char options[64];

	snprintf(options, sizeof(options), "-c statement_timeout=%ds", login->statement_s ? login->statement_s : GP_PG_STATEMENT_S);
	return open_with(login, options, ret, err);
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
	libpq.clear(pg->last);
	libpq.finish(pg->conn);
	free(pg);
}

bool gp_pg_usable(const struct gp_pg *pg)
{
	/* Between statements the server has nothing to say but farewell. */
	return !pg->broken && libpq.status(pg->conn) == CONNECTION_OK && !gp_pg_wait(libpq.socket(pg->conn), POLLIN, gp_mono_ms());
}

void gp_pg_closep(struct gp_pg **pg)
{
	gp_pg_close(*pg);
}

int gp_pg_version(const struct gp_pg *pg)
{
	return libpq.serverVersion(pg->conn);
}
