/* Restore where no database can be made beside the live one: in one transaction, as the site's own role. */
#ifndef GP_OPS_RESTORE_LIVE_H
#define GP_OPS_RESTORE_LIVE_H

#include <stdint.h>

struct gp_deploy;
struct gp_dump_file;
struct gp_error;

/* All that the role owns in the site's database goes, and what the dump has comes, or nothing at all. The site waits meanwhile. */
int gp_restore_into_live(struct gp_deploy *d, const struct gp_dump_file *dump, struct gp_error *err);

#endif
