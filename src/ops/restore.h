/*
 * Restore: a dump becomes the site's database. It is read whole and loaded beside the live one, which serves on; counted; then it takes the live
 * one's place, and gunicorn and Celery are started anew on it. The former one is kept, and comes back by itself where the site is not well with
 * the new one. A database on another host gets the dump in one transaction instead: all of it or nothing.
 */
#ifndef GP_OPS_RESTORE_H
#define GP_OPS_RESTORE_H

#include "ops/database.h"
#include "ops/manifest.h"
#include "ops/rollback.h"
#include "ops/steps.h"

struct gp_ctx;
struct gp_deploy;
struct gp_error;
struct gp_lock;
struct gp_unfinished;

struct gp_restore_request {
	const char *slug;
	const char *file;  /* a path; a name alone may be one of the site's backups */
	bool undo;         /* no file: the former database, as it is kept */
	bool no_restart;   /* gunicorn and Celery run on */
	bool no_backup;
};

struct gp_restore {
	struct gp_rollback rollback; /* what waits to be the live one, and what was it. */
	const struct gp_restore_request *request;
	struct gp_database db;
	const char *file;            /* the path, NULL: undo */
	struct gp_dump_file dump;
	struct gp_manifest manifest; /* where the file has one */
	bool has_manifest;
	bool local;                  /* the database is on this host: loaded beside, and swapped */
	bool overwritten;            /* on another host: it is in the live one, and stays there */
	bool answered;               /* before: something was served */
	const char *backup;          /* of the database before, NULL: none was made */
	int64_t swap_ms;             /* how long the site was without a database */
};

/* What is there to be overwritten, and by what. */
struct gp_overwritten {
	const char *database;
	int64_t bytes, rows;         /* rows as Postgres estimates them; -1: unknown */
	const char *backup;          /* the newest of the site's, NULL: none */
};

/* What a restore would overwrite. Takes no lock, reads the file's manifest and not the file. */
int gp_restore_plan(struct gp_ctx *ctx, const struct gp_restore_request *request, struct gp_restore *ret, struct gp_overwritten *ret_there,
	struct gp_error *err);

/* Do it. ret_deploy: as after a deploy. */
int gp_restore_run(struct gp_ctx *ctx, const struct gp_restore_request *request, struct gp_restore *ret, struct gp_deploy *ret_deploy,
	struct gp_error *err);

/* One that was cut off: finished where the site had been proven with it, else undone. d is about the release that was served. As
 * gp_deploy_recover. */
int gp_restore_recover(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_lock *lock, struct gp_error *err);

/* The file's part, restore_file.c: find and open it, with its manifest; what it is said to be a backup of is told. */
int gp_restore_find(struct gp_deploy *d, struct gp_restore *restore, struct gp_error *err);
/* Read it to its end, and compare it with its manifest. */
int gp_restore_check(struct gp_deploy *d, struct gp_restore *restore, struct gp_error *err);
int gp_restore_look(struct gp_deploy *d, const struct gp_restore *restore, struct gp_overwritten *ret, struct gp_error *err);
/* Its name without the folder. */
const char *gp_restore_file_name(const struct gp_restore *restore);
/* The date in its name; 0 where there is none. */
int64_t gp_restore_file_time(const struct gp_restore *restore);

extern const struct gp_steps gp_restore_steps;

#endif
