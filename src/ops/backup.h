/*
 * A backup: pg_dump, packed on all cores, counted as it passes, read back whole; then it gets its name, and its manifest before that. Killed at
 * any moment, there is no file that looks like a backup and is none; what is left over goes with the next one.
 */
#ifndef GP_OPS_BACKUP_H
#define GP_OPS_BACKUP_H

#include <stdbool.h>

#include "ops/manifest.h"
#include "sys/restic.h"

struct gp_ctx;
struct gp_deploy;
struct gp_error;

struct gp_backup {
	const char *path;                 /* NULL: none was made */
	struct gp_manifest manifest;
	struct gp_restic_done offsite;    /* its snapshot is NULL where none was asked for, or made */
};

/* Does `.env` name the database that is the site's by its file? The superuser dumps it and the deploy user can read that, so none but that one. */
int gp_backup_check(struct gp_deploy *d, struct gp_error *err);

/* With the site's lock held; d is loaded (gp_deploy_load). How far it is, is told, and what was done. */
int gp_backup_run(struct gp_deploy *d, enum gp_backup_reason reason, struct gp_backup *ret, struct gp_error *err);

/* All of it for a site, under one lock: back up, remove what is kept no longer, and with `media` take it all to the repository. *ret says how far
 * it came: a backup that did not get into the repository is one. */
int gp_backup_site(struct gp_ctx *ctx, const char *slug, enum gp_backup_reason reason, bool media, struct gp_backup *ret, struct gp_error *err);

#endif
