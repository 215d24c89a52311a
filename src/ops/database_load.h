/* database.c's other half: a dump, unpacked, and statement by statement into a database that is there. */
#ifndef GP_OPS_DATABASE_LOAD_H
#define GP_OPS_DATABASE_LOAD_H

#include "ops/database.h"
#include "sys/pack.h"

struct gp_arena;
struct gp_pg;
struct gp_pg_login;

/* What is in the file, from its beginning, piece by piece. *ret says what the file was; its sha256 is NULL where goldpath did not pack it. */
int gp_dump_unpack(const struct gp_dump_file *dump, gp_unpacked *to, void *arg, struct gp_arena *arena, struct gp_packed *ret,
	struct gp_error *err);

/* As that role, which must have no right beyond that database; the extensions are in it already. The rows of each table are counted at the end: they are those of the dump. */
int gp_dump_load(const struct gp_database *db, const struct gp_dump_file *dump, const struct gp_extensions *there, const struct gp_pg_login *login,
	struct gp_error *err);

/* Over that connection, in the place of all that its role has in the database: in one transaction, counted before it ends. */
int gp_dump_load_live(struct gp_ctx *ctx, const struct gp_dump_file *dump, struct gp_pg *pg, struct gp_error *err);

#endif
