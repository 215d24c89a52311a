/*
 * Rollback: an older release becomes the site's, by the same steps as in a deploy, without building anything. What the database has meanwhile
 * and the older release does not know is asked first: code goes back by itself, data does not.
 */
#ifndef GP_OPS_ROLLBACK_H
#define GP_OPS_ROLLBACK_H

#include "base/str.h"
#include "ops/steps.h"

struct gp_ctx;
struct gp_database;
struct gp_deploy;
struct gp_error;
struct gp_unfinished;

enum gp_rollback_how {
	GP_ROLLBACK_ASK,          /* refuse where the database is ahead */
	GP_ROLLBACK_CODE_ONLY,    /* leave it ahead */
	GP_ROLLBACK_MIGRATE_BACK, /* take those migrations back, with the newer release's code */
	GP_ROLLBACK_RESTORE_DB,   /* put the dump in place that was made before the first of them: what was written since is kept aside */
};

/* "code-only", …; NULL for ASK. */
const char *gp_rollback_how_name(enum gp_rollback_how how);

struct gp_rollback_request {
	const char *slug, *to; /* to NULL: the release before the live one that was well */
	enum gp_rollback_how how;
};

struct gp_rollback {
	enum gp_rollback_how how;
	const char *from, *to;  /* releases; from: what serves now */
	struct gp_strv keep;    /* the migrations that may stay applied */
	struct gp_strv ahead;   /* applied, and `to` does not know them */
	const char *dump;       /* of the database before the first of those; NULL: there is none */
	const char *loaded;     /* RESTORE_DB: the database that waits to take the live one's place */
	const char *kept;       /* and the one that was live, once it has */
};

/* What a rollback would be; nothing is changed. Refused as the rollback itself would be, but for the question what about the database where
 * that is ahead, which is answered with the list. Takes the site's lock for --migrate-back only, about which the newer code is asked. ret->to equals ret->from: that release is live already. Refused where `to` is
 * gone, failed, or needs migrations that the database does not have. */
int gp_rollback_plan(struct gp_ctx *ctx, const struct gp_rollback_request *request, struct gp_rollback *ret, struct gp_error *err);

/* Do it. Refused (GP_E_REFUSED) with the list where the database is ahead and nobody said what about that. *ret as after a deploy. */
int gp_rollback_run(struct gp_ctx *ctx, const struct gp_rollback_request *request, struct gp_deploy *ret, struct gp_error *err);

/* Before a swap: settle under which name the live database will be kept, and write it down. */
int gp_rollback_keep(struct gp_deploy *d, const struct gp_database *db, struct gp_error *err);
/* Put the database back that was live before d's rollback put another one in its place, if it did. -1: it could not be, which is told. */
int gp_rollback_undo(struct gp_deploy *d);
/* Another database is live: workers that hold a connection to the former one answer one request each with an error. They are asked, so that it
 * is not a visitor who gets that. */
void gp_rollback_reconnect(struct gp_deploy *d);

/* The same of one that was cut off before its release was the site's. */
int gp_rollback_undo_cut_off(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_error *err);

/* d, about the release of a rollback that was cut off, so that it can be finished along gp_rollback_steps. */
int gp_rollback_resume(struct gp_deploy *d, const struct gp_unfinished *u, struct gp_error *err);

extern const struct gp_steps gp_rollback_steps;

#endif
