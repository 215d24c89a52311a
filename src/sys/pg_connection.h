/* What the two halves of the Postgres adapter, pg.c (connecting) and pg_query.c (asking), share. */
#ifndef GP_SYS_PG_CONNECTION_H
#define GP_SYS_PG_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gp_error;

struct gp_pg {
	PGconn *conn;
	PGresult *last;  /* of the statement under way: what it has come to so far */
	uint64_t copied; /* rows, as the server has counted them */
	int statement_s; /* how long a statement may take */
	bool broken; /* a statement was given up half way: what comes next on the wire belongs to nobody */
};

enum { GP_PG_STATEMENT_S = 60 };

#define GP_PG_LOOK "see: systemctl status postgresql"

/* Find libpq's functions for pg_query.c; whoever opens a connection sees to it. */
int gp_pg_load_query(struct gp_error *err);

/* Without waiting: what has come in of the statement under way. 1 it is done, 0 there is more to come, -1 it failed. */
int gp_pg_step(struct gp_pg *pg, struct gp_error *err);
/* A statement, rows and their end, without waiting; libpq keeps what the server does not take yet. */
int gp_pg_send(struct gp_pg *pg, const char *sql, struct gp_error *err);
int gp_pg_put(struct gp_pg *pg, const char *data, size_t len, struct gp_error *err);
int gp_pg_put_end(struct gp_pg *pg, struct gp_error *err);
/* Send what the server takes: 1 it does not take all of it now, 0 nothing is left, -1 error. */
int gp_pg_flush(struct gp_pg *pg, struct gp_error *err);
/* It took too long. */
int gp_pg_late(struct gp_pg *pg, struct gp_error *err);

/* poll(2) until deadline (gp_mono_ms). 1 ready, or an error that libpq will meet again and can name; 0 the deadline has passed. */
int gp_pg_wait(int fd, short events, int64_t deadline);

#endif
