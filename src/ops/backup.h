/*
 * A backup: pg_dump, packed on all cores, counted as it passes, read back whole; then it gets its name, and its manifest before that. Killed at
 * any moment, there is no file that looks like a backup and is none; what is left over goes with the next one.
 */
#ifndef GP_OPS_BACKUP_H
#define GP_OPS_BACKUP_H

#include "ops/manifest.h"

struct gp_ctx;
struct gp_deploy;
struct gp_error;

struct gp_backup {
	const char *path;
	struct gp_manifest manifest;
};

/* Does `.env` name the database that is the site's by its file? The superuser dumps it and the deploy user can read that, so none but that one. */
int gp_backup_check(struct gp_deploy *d, struct gp_error *err);

/* With the site's lock held; d is loaded (gp_deploy_load). How far it is, is told, and what was done. */
int gp_backup_run(struct gp_deploy *d, enum gp_backup_reason reason, struct gp_backup *ret, struct gp_error *err);

/* All of it for a site: load, lock, back up, and remove what is kept no longer. */
int gp_backup_site(struct gp_ctx *ctx, const char *slug, enum gp_backup_reason reason, struct gp_backup *ret, struct gp_error *err);

#endif
