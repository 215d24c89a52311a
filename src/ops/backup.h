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
struct gp_paths;

struct gp_backup {
	const char *path;
	struct gp_manifest manifest;
};

/* With the site's lock held; d is loaded (gp_deploy_load). What has been done is told. */
int gp_backup_run(struct gp_deploy *d, enum gp_backup_reason reason, struct gp_backup *ret, struct gp_error *err);

/* All of it for a site: load, lock, back up, and remove what is kept no longer. */
int gp_backup_site(struct gp_ctx *ctx, const char *slug, enum gp_backup_reason reason, struct gp_backup *ret, struct gp_error *err);

/* The backups' folder, by no link: the deploy user owns it, and the folder that it lies in. */
int gp_backups_open(const struct gp_paths *paths, const char *slug, int *ret, struct gp_error *err);

#endif
