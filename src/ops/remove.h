/*
 * Taking a site away. Two plans, one after the other: what would be lost is kept (a dump, copies), then everything that only this site
 * needed goes. Up to the end of the first nothing of the site has changed; the second can be cut off anywhere and gone on with.
 */
#ifndef GP_OPS_REMOVE_H
#define GP_OPS_REMOVE_H

#include "base/str.h"
#include "ops/paths.h"
#include "plan/plan.h"

struct gp_ctx;
struct gp_error;

struct gp_remove {
	const char *slug;
	bool apply; /* false: find out only */
};

/* A site's database, and who else has to do with it. */
struct gp_remove_db {
	const char *name, *user, *host; /* NULL name: not known */
	int port;
	bool local;
	struct gp_strv databases, roles; /* those that other sites name */
	struct gp_strv former; /* what restores have kept of it: they go with it */
	/* What the server says; all of it nothing where the database is elsewhere. */
	bool there, role_there, role_super;
	const char *owner;     /* of the database */
	const char *elsewhere; /* where else the role owns or may do something: "crm, shop"; "" nowhere */
};

/* Why it is not dropped; NULL: it is this site's and nobody else's. */
const char *gp_remove_keeps_database(struct gp_arena *arena, const struct gp_remove_db *db);
const char *gp_remove_keeps_role(struct gp_arena *arena, const struct gp_remove_db *db);
/* Did goldpath make this entry of a site's folder, and could make it again from the repository? */
bool gp_remove_is_made(const char *name);
/* From the site's file, else from what its units read; then all that others name and the server says. */
int gp_remove_find_db(struct gp_ctx *ctx, const struct gp_paths *paths, const char *slug, struct gp_remove_db *ret,
	struct gp_strv *ret_packages, struct gp_error *err);

/* What is known of the site that goes. */
struct gp_removal {
	const char *slug, *yaml;
	struct gp_paths paths;
	struct gp_remove_db db;
	bool drop_database, drop_role;
	struct gp_strv packages;  /* Debian's, which the site's file names */
	const char *backup;       /* the folder */
	const char *dump;         /* the file in it */
	const char *record;       /* what a run that was cut off has left: the stamp, and whether it had begun to remove */
	bool begun;
	struct gp_changes changes;
};

/* The changes made (or, without apply, needed) come back in ret->changes, those before a failure too. */
int gp_remove_run(struct gp_ctx *ctx, const struct gp_remove *request, struct gp_removal *ret, struct gp_error *err);

/* The two plans. remove_plan.c */
int gp_remove_plan_keep(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, bool apply, struct gp_error *err);
int gp_remove_plan_take(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, bool apply, struct gp_error *err);

/* Where backups of removed sites lie. */
#define GP_REMOVED_DIR "/var/backups/goldpath"

#endif
