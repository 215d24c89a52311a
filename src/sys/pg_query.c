/*
 * Postgres by libpq: statements and quoting. Non-blocking under a deadline of its own: a stopped server does not keep its own
 * statement_timeout.
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/library.h"
#include "sys/pg.h"
#include "sys/pg_connection.h"

#define FUNCTIONS(X) \
	X(PQclear, clear) \
	X(PQcmdStatus, cmdStatus) \
	X(PQcmdTuples, cmdTuples) \
	X(PQconsumeInput, consumeInput) \
	X(PQencryptPasswordConn, encryptPasswordConn) \
	X(PQescapeIdentifier, escapeIdentifier) \
	X(PQescapeLiteral, escapeLiteral) \
	X(PQflush, flush) \
	X(PQfreemem, freemem) \
	X(PQgetResult, getResult) \
	X(PQgetisnull, getisnull) \
	X(PQgetvalue, getvalue) \
	X(PQisBusy, isBusy) \
	X(PQnfields, nfields) \
	X(PQntuples, ntuples) \
	X(PQputCopyData, putCopyData) \
	X(PQputCopyEnd, putCopyEnd) \
	X(PQresultErrorField, resultErrorField) \
	X(PQresultStatus, resultStatus) \
	X(PQsendQuery, sendQuery) \
	X(PQsendQueryParams, sendQueryParams) \
	X(PQsocket, socket) \
	X(PQstatus, status) \
	X(PQtransactionStatus, transactionStatus)

GP_LIBRARY(libpq, "libpq.so.5", FUNCTIONS)

int gp_pg_load_query(struct gp_error *err)
{
	return load_libpq(err);
}

enum { GRACE_S = 5 }; /* grace: the server's own time limit is to speak first */

static void clear_result(PGresult **result)
{
	libpq.clear(*result);
}
#define AUTO_RESULT __attribute__((cleanup(clear_result))) PGresult *

static const char *hint_for(const char *state)
{
	static const struct {
		const char *state, *hint;
	} hints[] = {
		{ "57014", "something may hold a lock: see pg_stat_activity" },
		{ "55P03", "something holds a lock: see pg_stat_activity" },
		{ "55006", "see who uses it in pg_stat_activity" },
		{ "53100", "the disk is full: df -h" },
		{ "57P01", GP_PG_LOOK },
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
	return gp_hint(err, GP_PG_LOOK);
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

static int64_t deadline_of(const struct gp_pg *pg)
{
	return gp_mono_ms() + (int64_t)(pg->statement_s + GRACE_S) * 1000;
}

int gp_pg_late(struct gp_pg *pg, struct gp_error *err)
{
	pg->broken = true;
	gp_fail(err, GP_E_FAILED, "Postgres did not answer within %d s", pg->statement_s + GRACE_S);
	return gp_hint(err, "is it overloaded or stopped? " GP_PG_LOOK);
}

static void forget(struct gp_pg *pg)
{
	libpq.clear(pg->last);
	pg->last = NULL;
}

static bool has_failed(const struct gp_pg *pg)
{
	return pg->last && libpq.resultStatus(pg->last) == PGRES_FATAL_ERROR;
}

/* Of several results the last one counts, as with psql; but a server that says why it hangs up is not to be drowned out by the connection's
 * end. */
static void keep_result(struct gp_pg *pg, PGresult *result)
{
	if (has_failed(pg)) {
		libpq.clear(result);
		return;
	}
	libpq.clear(pg->last);
	pg->last = result;
	if (libpq.resultStatus(result) == PGRES_COMMAND_OK && gp_starts_with(libpq.cmdStatus(result), "COPY "))
		pg->copied += strtoull(libpq.cmdTuples(result), NULL, 10);
}

/* What has come in: 1 that was all, or a COPY FROM stdin waits for its rows; 0 there is more to come; -1 the connection is lost. */
static int take(struct gp_pg *pg, struct gp_error *err)
{
	if (libpq.isBusy(pg->conn) && !libpq.consumeInput(pg->conn))
		return has_failed(pg) ? failed(pg, pg->last, err) : lost(pg, err);
	while (libpq.flush(pg->conn) <= 0 && !libpq.isBusy(pg->conn)) {
		PGresult *result = libpq.getResult(pg->conn);

		if (!result)
			return 1;
		keep_result(pg, result);
		if (libpq.resultStatus(pg->last) == PGRES_COPY_IN)
			return 1;
		if (libpq.resultStatus(pg->last) == PGRES_COPY_OUT || libpq.resultStatus(pg->last) == PGRES_COPY_BOTH) {
			pg->broken = true;
			return gp_fail(err, GP_E_FAILED, "COPY is not possible here");
		}
	}
	return 0;
}

/* Did the statement end well? */
static int judge(struct gp_pg *pg, struct gp_error *err)
{
	if (!pg->last)
		return lost(pg, err);
	switch (libpq.resultStatus(pg->last)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		return 0;
	case PGRES_COPY_IN:
		return 1;
	default:
		return failed(pg, pg->last, err);
	}
}

/*
 * Read all that belongs to the statement, so that the connection is good for the next one. ret_rows_wanted: a COPY FROM stdin may come up, and
 * ends it for now; NULL: nobody has rows.
 */
static int collect(struct gp_pg *pg, PGresult **ret, bool *ret_rows_wanted, struct gp_error *err)
{
	int64_t deadline = deadline_of(pg);
	int done, rows_wanted;

	while ((done = take(pg, err)) == 0)
		if (!gp_pg_wait(libpq.socket(pg->conn), (short)(POLLIN | (libpq.flush(pg->conn) > 0 ? POLLOUT : 0)), deadline))
			return has_failed(pg) ? failed(pg, pg->last, err) : gp_pg_late(pg, err);
	GP_TRY(done);
	GP_TRY(rows_wanted = judge(pg, err));
	if (rows_wanted && !ret_rows_wanted) {
		pg->broken = true;
		return gp_fail(err, GP_E_FAILED, "COPY is not possible here");
	}
	if (rows_wanted)
		*ret_rows_wanted = true;
	*ret = pg->last;
	pg->last = NULL;
	return 0;
}

int gp_pg_send(struct gp_pg *pg, const char *sql, struct gp_error *err)
{
	forget(pg);
	return pg->broken || !libpq.sendQuery(pg->conn, sql) ? lost(pg, err) : 0;
}

int gp_pg_step(struct gp_pg *pg, struct gp_error *err)
{
	int done = take(pg, err);

	if (done <= 0)
		return done;
	GP_TRY(judge(pg, err));
	forget(pg);
	return 1;
}

static int query(struct gp_pg *pg, const char *sql, const char *const *params, size_t n, PGresult **ret, struct gp_error *err)
{
	forget(pg);
	if (pg->broken || !libpq.sendQueryParams(pg->conn, sql, (int)n, NULL, params, NULL, NULL, 0))
		return lost(pg, err);
	return collect(pg, ret, NULL, err);
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
	GP_TRY(gp_pg_send(pg, sql, err));
	return collect(pg, &result, NULL, err);
}

int gp_pg_copy(struct gp_pg *pg, const char *sql, struct gp_error *err)
{
	AUTO_RESULT result = NULL;
	bool rows_wanted = false;

	GP_TRY(gp_pg_send(pg, sql, err));
	GP_TRY(collect(pg, &result, &rows_wanted, err));
	return rows_wanted;
}

int gp_pg_flush(struct gp_pg *pg, struct gp_error *err)
{
	int unsent = libpq.flush(pg->conn);

	return unsent < 0 ? lost(pg, err) : unsent;
}

int gp_pg_put(struct gp_pg *pg, const char *data, size_t len, struct gp_error *err)
{
	return libpq.putCopyData(pg->conn, data, (int)len) == 1 ? 0 : lost(pg, err);
}

int gp_pg_put_end(struct gp_pg *pg, struct gp_error *err)
{
	forget(pg);
	return libpq.putCopyEnd(pg->conn, NULL) == 1 ? 0 : lost(pg, err);
}

/* All of it goes out before the next piece is taken: libpq would keep what the server does not take yet in memory. */
static int send_off(struct gp_pg *pg, struct gp_error *err)
{
	int64_t deadline = deadline_of(pg);
	int unsent;

	while ((unsent = gp_pg_flush(pg, err)) > 0) {
		if (!gp_pg_wait(libpq.socket(pg->conn), POLLIN | POLLOUT, deadline)) {
			pg->broken = true;
			gp_fail(err, GP_E_FAILED, "Postgres did not take rows for %d s", pg->statement_s + GRACE_S);
			return gp_hint(err, "is it overloaded or stopped? " GP_PG_LOOK);
		}
		if (!libpq.consumeInput(pg->conn))
			return lost(pg, err);
	}
	return unsent;
}

int gp_pg_copy_rows(struct gp_pg *pg, const char *data, size_t len, struct gp_error *err)
{
	enum { PIECE = 1 << 16 };

	while (len) {
		size_t n = len < PIECE ? len : PIECE;

		GP_TRY(gp_pg_put(pg, data, n, err));
		data += n;
		len -= n;
		if (n == PIECE || !len)
			GP_TRY(send_off(pg, err));
	}
	return 0;
}

int gp_pg_copy_end(struct gp_pg *pg, struct gp_error *err)
{
	AUTO_RESULT result = NULL;

	GP_TRY(gp_pg_put_end(pg, err));
	return collect(pg, &result, NULL, err);
}

int gp_pg_be_patient(struct gp_pg *pg, int seconds, struct gp_error *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SET statement_timeout = '%ds'", seconds);
	GP_TRY(gp_pg_exec(pg, sql, err));
	pg->statement_s = seconds;
	return 0;
}

uint64_t gp_pg_copied(const struct gp_pg *pg)
{
	return pg->copied;
}

bool gp_pg_in_transaction(const struct gp_pg *pg)
{
	return libpq.transactionStatus(pg->conn) != PQTRANS_IDLE;
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

int gp_pg_open_database(struct gp_pg *pg, struct gp_arena *arena, const char *database, struct gp_error *err)
{
	const char *there, *name;

	/* -2: a DROP DATABASE that was cut off (Postgres 15.4 and newer). Nothing can be done with that one but to drop it. */
	GP_TRY(gp_pg_value(pg, arena, "select 1 from pg_database where datname = $1 and datconnlimit <> -2"
		" and (datistemplate or not datallowconn or datconnlimit <> -1)", &database, 1, &there, err));
	if (!there)
		return 0;
	GP_TRY(gp_pg_identifier(pg, arena, database, &name, err));
	return gp_pg_exec(pg, gp_sprintf(arena, "ALTER DATABASE %s ALLOW_CONNECTIONS true IS_TEMPLATE false CONNECTION LIMIT -1", name), err);
}
