/* What the two halves of the Postgres adapter, pg.c (connecting) and pg_query.c (asking), share. */
#ifndef GP_SYS_PG_CONNECTION_H
#define GP_SYS_PG_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct gp_error;

struct gp_pg {
	PGconn *conn;
	int statement_s; /* how long a statement may take */
	bool broken; /* a statement was given up half way: what comes next on the wire belongs to nobody */
};

enum { GP_PG_STATEMENT_S = 60 };

#define GP_PG_LOOK "see: systemctl status postgresql"

/* Find libpq's functions for pg_query.c; whoever opens a connection sees to it. */
int gp_pg_load_query(struct gp_error *err);

/* poll(2) until deadline (gp_mono_ms). 1 ready, or an error that libpq will meet again and can name; 0 the deadline has passed. */
int gp_pg_wait(int fd, short events, int64_t deadline);

#endif
