/* Postgres, by libpq. Values always travel as parameters, names through PQescapeIdentifier. */
#ifndef GP_SYS_PG_H
#define GP_SYS_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gp_arena;
struct gp_error;
struct gp_pg; /* a connection */

struct gp_pg_login {
	const char *host;     /* a name, an address or, starting with '/', the socket's folder */
	int port;
	const char *dbname, *user, *password; /* password NULL: none */
	int timeout_s;        /* to connect; 0: 5 */
	int statement_s;      /* for each statement; 0: 60 */
};

/*
 * Connect. Every statement on the connection has a time limit (statement_timeout 60 s). The failure says what is wrong and what
 * to look at: server down (`systemctl status postgresql`), password refused (err->sys_errno is EACCES then), no such role or
 * database, too many clients.
 */
int gp_pg_open(const struct gp_pg_login *login, struct gp_pg **ret, struct gp_error *err);
/* As the superuser: role postgres over the local socket, by peer authentication (acts as user postgres while connecting). */
int gp_pg_open_admin(int port, const char *dbname, struct gp_pg **ret, struct gp_error *err);
void gp_pg_close(struct gp_pg *pg); /* NULL is fine */
/* Is an idle connection still good for a statement? The server may have been restarted since the last one. */
bool gp_pg_usable(const struct gp_pg *pg);
void gp_pg_closep(struct gp_pg **pg);
#define GP_AUTO_PG __attribute__((cleanup(gp_pg_closep))) struct gp_pg *

/* server_version_num, e.g. 150013. */
int gp_pg_version(const struct gp_pg *pg);

/* A query with $1.. parameters; *ret is the first column of the first row, NULL if there was no row or it was null. */
int gp_pg_value(struct gp_pg *pg, struct gp_arena *arena, const char *sql, const char *const *params, size_t n, const char **ret,
	struct gp_error *err);
/* Rows as text: ret_rows[row * columns + column]. */
int gp_pg_rows(struct gp_pg *pg, struct gp_arena *arena, const char *sql, const char *const *params, size_t n,
	const char *const **ret_cells, size_t *ret_rows, size_t *ret_columns, struct gp_error *err);
/* A command. */
int gp_pg_exec(struct gp_pg *pg, const char *sql, struct gp_error *err);

/*
 * A command that rows may be for: 1 it is a COPY FROM stdin and waits for them, 0 done. Then the rows as they come in a file, in pieces of
 * any length, and the end; what was wrong with them is said at the end at the latest.
 */
int gp_pg_copy(struct gp_pg *pg, const char *sql, struct gp_error *err);
int gp_pg_copy_rows(struct gp_pg *pg, const char *data, size_t len, struct gp_error *err);
int gp_pg_copy_end(struct gp_pg *pg, struct gp_error *err);
/* The rows of all that, as the server has counted them. */
uint64_t gp_pg_copied(const struct gp_pg *pg);

/* From now on a statement may take so many seconds. */
int gp_pg_be_patient(struct gp_pg *pg, int seconds, struct gp_error *err);
/* Is a transaction open? */
bool gp_pg_in_transaction(const struct gp_pg *pg);

/* For commands that take no parameters (CREATE ROLE …): an identifier or a literal quoted by libpq. */
int gp_pg_identifier(struct gp_pg *pg, struct gp_arena *arena, const char *name, const char **ret, struct gp_error *err);
int gp_pg_literal(struct gp_pg *pg, struct gp_arena *arena, const char *text, const char **ret, struct gp_error *err);
/* The SCRAM-SHA-256 verifier of a password (PQencryptPasswordConn), so that the server's log never sees the password itself. */
int gp_pg_scram(struct gp_pg *pg, struct gp_arena *arena, const char *role, const char *password, const char **ret,
	struct gp_error *err);

/* As superuser: undo what a database's owner can do to keep others out of it, or to keep it from being dropped: connections not allowed or
 * limited, a template. One that is not there is fine. */
int gp_pg_open_database(struct gp_pg *pg, struct gp_arena *arena, const char *database, struct gp_error *err);

#endif
