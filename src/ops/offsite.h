/*
 * The site's restic repository: media, the backups' folder, the site's file and `.env` in encrypted snapshots, elsewhere. What makes it the
 * site's lies in /var/lib/goldpath/<slug>/offsite, root's: the password, that was made up once, and a note of where the repository was made, so
 * that a disk which is not mounted is not taken for one that is new. Credentials stand in /etc/goldpath/sites/<slug>.offsite.
 */
#ifndef GP_OPS_OFFSITE_H
#define GP_OPS_OFFSITE_H

#include "base/str.h"
#include "sys/restic.h"

struct gp_ctx;
struct gp_deploy;
struct gp_error;

/* With the site's lock held, as all of these; d is loaded. A snapshot, those forgotten that are kept no longer, and a part of the
 * repository read back. Makes the repository the first time. */
int gp_offsite_backup(struct gp_deploy *d, struct gp_restic_done *ret, struct gp_error *err);

/* paths of the newest snapshot below the folder `to`, which is there and root's: to/srv/sum/<slug>/media. Media may hold links. */
int gp_offsite_fetch(struct gp_deploy *d, const struct gp_strv *paths, const char *to, struct gp_error *err);
/* The newest backup of the database in the newest snapshot, with its manifest where it has one, into the state folder; *ret: its path. What was
 * fetched so before is gone. */
int gp_offsite_fetch_dump(struct gp_deploy *d, const char **ret, struct gp_error *err);
/* Take that away. */
void gp_offsite_forget_dump(struct gp_deploy *d);

#endif
