/*
 * A dump becomes the site's database without the live one being touched until it is proven: checked whole, loaded into a database of its
 * own, put in its place by two renames in one transaction. The former one is kept, closed, so that it can be put back.
 *
 * The dump is loaded by a role that is made for it, owns the new database and has no other right: a dump may say DROP DATABASE, and the
 * site's own role may do that. No psql: nothing but the server reads it, so \! and \connect in it do nothing (they are refused).
 * Killed at any moment, the live name is that of one whole database, the former or the new one; gp_database_settle clears the rest away.
 */
#ifndef GP_OPS_DATABASE_H
#define GP_OPS_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dumpcount.h"
#include "base/str.h"
#include "sys/pg.h"

struct gp_account;
struct gp_arena;
struct gp_ctx;
struct gp_error;
struct gp_site;

struct gp_database {
	struct gp_ctx *ctx;
	const char *name, *host;
	int port;
	const char *base; /* what the names of its companions begin with: name, or a piece of it with a digest where name is long */
};

/* The site's database. One on another host is refused. */
int gp_database_of(struct gp_ctx *ctx, const struct gp_site *site, struct gp_database *ret, struct gp_error *err);

/* The same by name, on this host. */
struct gp_database gp_database_named(struct gp_ctx *ctx, const char *name, const char *host, int port);

/* An extension that a superuser has made in the live database: the next one gets it before anything of the dump is there. */
struct gp_extensions {
	struct gp_strv names, schemas; /* as SQL has them; of schemas those that are made for one */
};

struct gp_dump_file {
	const char *path;
	int fd;                  /* -1: none */
	uint64_t bytes;          /* of the file */
	const char *sha256;      /* of a file that goldpath packed; NULL: another one */
	struct gp_dumped dumped; /* what is in it */
};
void gp_dump_close(struct gp_dump_file *dump);
#define GP_AUTO_DUMP __attribute__((cleanup(gp_dump_close))) struct gp_dump_file

/* Open a dump (plain SQL, gzipped or not), as the user whose folder it lies in; as NULL: as goldpath itself. */
int gp_dump_find(const char *path, const struct gp_account *as, struct gp_dump_file *ret, struct gp_error *err);
/* Read it to its end: gzip's checksums, what is in it, pg_dump's closing line; refused where it is longer than `room` bytes, or of a newer
 * server than `version`, as gp_pg_version has it. */
int gp_dump_check(struct gp_ctx *ctx, struct gp_dump_file *dump, uint64_t room, int version, struct gp_error *err);
/* What a database takes on its server's disk; name NULL: the one that pg is in. 1 asked, 0 there is no such database, -1 error. */
int gp_database_bytes(struct gp_pg *pg, struct gp_arena *arena, const char *name, uint64_t *ret, struct gp_error *err);
/* For that: how long a dump there is room for on the server's disk, and which server it is. */
int gp_database_room(const struct gp_database *db, uint64_t *ret_bytes, int *ret_version, struct gp_error *err);
/* All of that. */
int gp_dump_open(const struct gp_database *db, const char *path, const struct gp_account *as, struct gp_dump_file *ret, struct gp_error *err);

/* Load it into a new database, BASE_gp_new_STAMP, that is like the live one in owner, rights, settings, encoding and locale, and count: each
 * table has the rows that the dump has. On failure nothing is left of it. */
int gp_database_load(const struct gp_database *db, const struct gp_dump_file *dump, const char **ret_new, struct gp_error *err);

/*
 * A drill: the same load into BASE_gp_drill_STAMP, which stays the property of the role that loaded it. That role has no right to any other
 * database: whoever is given this login cannot come near the live one. On failure nothing is left of it.
 */
struct gp_database_drill {
	struct gp_pg_login login;
};
int gp_database_drill(const struct gp_database *db, const struct gp_dump_file *dump, struct gp_database_drill *ret, struct gp_error *err);
/* Drop both. */
int gp_database_drill_end(const struct gp_database *db, const struct gp_database_drill *drill, struct gp_error *err);
/* Drop those of a drill that was killed. With the site's lock held. */
int gp_database_drill_settle(const struct gp_database *db, struct gp_error *err);

/* Put `in` in the place of the live one, which is kept as `out` (gp_database_kept_name), and takes no connections. *ret_ms: how long the site was
 * without. On failure everything is as it was, or, where the server did not answer any more, cannot be known: gp_database_is_kept tells later. */
int gp_database_swap(const struct gp_database *db, const char *in, const char *out, int64_t *ret_ms, struct gp_error *err);
/* A name for the one that is live, once it is kept, which nobody has: to be written down before the swap, so that whoever comes after a kill knows
 * whether there was one, and which database was live. */
int gp_database_kept_name(const struct gp_database *db, const char **ret, struct gp_error *err);
/* 1: there is a database of that name, 0: there is none. */
int gp_database_is_kept(const struct gp_database *db, const char *name, struct gp_error *err);

/* Put a kept one back, since the site is not well with the one that is live: that one, rejected, stays as *ret, and is none of the kept ones. */
int gp_database_undo(const struct gp_database *db, const char *old, const char **ret, struct gp_error *err);

/* The kept ones and the rejected ones. */
int gp_database_companions(const struct gp_database *db, struct gp_strv *ret, struct gp_error *err);
/* The kept ones, oldest first. */
int gp_database_kept(const struct gp_database *db, struct gp_strv *ret, struct gp_error *err);
/* Those that were loaded and wait to take the live one's place. */
int gp_database_waiting(const struct gp_database *db, struct gp_strv *ret, struct gp_error *err);
/* Drop those of the companions that are so many days old by now. What fails is told, and nothing else. */
void gp_database_drop_old(const struct gp_database *db, int64_t days);
/* Drop a kept one. */
int gp_database_drop(const struct gp_database *db, const char *old, struct gp_error *err);

/*
 * What a run that was killed has left: half-loaded databases and their roles go, a live name that is missing comes back from the newest
 * kept one, one that is closed is opened. Each is told as a note. With the site's lock held, so that none of it is somebody's at work.
 */
int gp_database_settle(const struct gp_database *db, struct gp_error *err);

#endif
