/* database.c's other half: a dump, statement by statement, into a database that is there. */
#ifndef GP_OPS_DATABASE_LOAD_H
#define GP_OPS_DATABASE_LOAD_H

#include "ops/database.h"

struct gp_pg_login;

/* As that role, which must have no right beyond that database. */
int gp_dump_load(const struct gp_database *db, const struct gp_dump_file *dump, const struct gp_pg_login *login, struct gp_error *err);

#endif
