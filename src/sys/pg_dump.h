/*
 * pg_dump, packed and counted as it writes (sys/pack.h, base/dumpcount.h), and the way back: a file read whole, counted once more. The same
 * dump in every case: plain SQL, without owners and rights, which drops what it makes.
 */
#ifndef GP_SYS_PG_DUMP_H
#define GP_SYS_PG_DUMP_H

#include <stdint.h>

#include "base/dumpcount.h"
#include "sys/pack.h"

struct gp_account;
struct gp_arena;
struct gp_error;

struct gp_pg_dump {
	const char *database;
	int port;
	const char *host, *user, *password; /* NULL: this host, as the superuser by peer authentication */
	const struct gp_account *as;        /* runs pg_dump: user postgres, or whose password it is */
	void (*progress)(void *arg, uint64_t bytes); /* of SQL, several times a second; NULL: nobody asks */
	void *arg;
};

struct gp_pg_dumped {
	struct gp_packed file;
	struct gp_dumped sql;
};

/* Into a file that is open for reading and writing and empty: synced, read back whole, and the same again. What it finds lives in the arena. */
int gp_pg_dump_into(struct gp_arena *arena, const struct gp_pg_dump *dump, int fd, struct gp_pg_dumped *ret, struct gp_error *err);

/* The same of a database on this host, by user postgres; its owner may have closed it to others. Of `dump` database, port and progress count. */
struct gp_ctx;
int gp_pg_dump_local(struct gp_ctx *ctx, const struct gp_pg_dump *dump, int fd, struct gp_pg_dumped *ret, struct gp_error *err);

#endif
