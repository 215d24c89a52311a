/*
 * What a dump holds, as its stream passes: the rows of each table (by COPY), Django's migrations, which versions made it, and whether
 * pg_dump's closing line is there. Pure.
 */
#ifndef GP_BASE_DUMPCOUNT_H
#define GP_BASE_DUMPCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct gp_arena;
struct gp_error;

struct gp_table_rows {
	const char *name; /* gp_table_name */
	uint64_t rows;
};

struct gp_tables {
	struct gp_table_rows *v; /* sorted by name; each once */
	size_t n;
	bool partial;            /* there were more than are kept in mind */
};

struct gp_dumped {
	struct gp_tables tables;
	struct gp_strv migrations;   /* "app.name", of public.django_migrations; in the order of the dump */
	const char *server, *client; /* versions as the dump says them ("15.20 (Debian …)"); "" where it does not */
	int server_number, client_number; /* as PQserverVersion has them: 150020; 0: not said */
	uint64_t bytes, rows;        /* of SQL; of all tables */
	bool copies;                 /* there was at least one COPY */
};

/* schema.table as SQL would have it: "…" only where a part is not of a-z, 0-9 and _, so that a table has one name, wherever it is read. */
const char *gp_table_name(struct gp_arena *arena, const char *schema, const char *table);

/* The rows of a table; *ret is written where it is there. */
bool gp_tables_find(const struct gp_tables *tables, const char *name, uint64_t *ret);
/* Do both hold the same tables with the same rows? Else *ret is what differs first, for people: "public.page: 12 rows, not 13". */
bool gp_tables_same(struct gp_arena *arena, const struct gp_tables *have, const struct gp_tables *want, const char **ret);

struct gp_dumpcount;
struct gp_dumpcount *gp_dumpcount_new(struct gp_arena *arena); /* what it finds lives in the arena */
void gp_dumpcount_free(struct gp_dumpcount *count);            /* NULL is fine */

int gp_dumpcount_feed(struct gp_dumpcount *count, const char *data, size_t len, struct gp_error *err);
/* That was all. Nothing at all, an end in the middle of something, and an end without the closing line are errors. */
int gp_dumpcount_end(struct gp_dumpcount *count, struct gp_dumped *ret, struct gp_error *err);

#endif
