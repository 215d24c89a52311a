/*
 * Several connections to one database, worked side by side from one thread: what must come in order goes to the first while the others rest,
 * what need not goes to whichever is free. Once something has failed, nothing more is to be asked of the team but its end.
 */
#ifndef GP_SYS_PG_TEAM_H
#define GP_SYS_PG_TEAM_H

#include <stddef.h>
#include <stdint.h>

#include "sys/pg.h"

enum { GP_PG_TEAM_MAX = 4 };

struct gp_pg_team;

/* As many as are asked for, fewer where the server or the role has no more: one at least. */
int gp_pg_team_open(const struct gp_pg_login *login, size_t n, struct gp_pg_team **ret, struct gp_error *err);
void gp_pg_team_close(struct gp_pg_team *team); /* NULL is fine; what is under way is given up */
void gp_pg_team_closep(struct gp_pg_team **team);
#define GP_AUTO_PG_TEAM __attribute__((cleanup(gp_pg_team_closep))) struct gp_pg_team *

/* The first, once nothing is under way any more on any. It is the caller's until the next call about the team. */
int gp_pg_team_first(struct gp_pg_team *team, struct gp_pg **ret, struct gp_error *err);
/* Whichever is free first, for a question. It is the caller's until the next call about the team. */
int gp_pg_team_free(struct gp_pg_team *team, struct gp_pg **ret, struct gp_error *err);
/* A command for each of them: a setting. Comes back when all have done it. */
int gp_pg_team_all(struct gp_pg_team *team, const char *sql, struct gp_error *err);
/* A command for whichever is free first. Comes back when it is under way; `words` say in an error, which may come later, what was being done. */
int gp_pg_team_give(struct gp_pg_team *team, const char *sql, const char *words, struct gp_error *err);

/*
 * A COPY … FROM stdin (text format, a row a line) whose rows may come in any order: dealt out in blocks of about 1 MiB, each to a COPY of its
 * own. The end comes back before the server has taken all.
 */
int gp_pg_team_copy(struct gp_pg_team *team, const char *sql, const char *words, struct gp_error *err);
int gp_pg_team_rows(struct gp_pg_team *team, const char *data, size_t len, struct gp_error *err);
int gp_pg_team_copy_end(struct gp_pg_team *team, struct gp_error *err);

size_t gp_pg_team_size(const struct gp_pg_team *team);
/* The rows that the server has taken by all COPYs that have ended, those on the first by gp_pg_copy too. */
uint64_t gp_pg_team_copied(const struct gp_pg_team *team);

#endif
