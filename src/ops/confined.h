/* Where the code of a site's repository runs in a deploy: with its own site in sight and nobody else's. */
#ifndef GP_OPS_CONFINED_H
#define GP_OPS_CONFINED_H

#include <stdbool.h>

#include "sys/confine.h"
#include "sys/proc.h"

struct gp_deploy;
struct gp_error;

/* Once, before the first step: a fresh folder for temporary files, and from here on this process sees no other site either: whatever
 * an earlier build left in its own site's folder leads no further. Refused where the host gives no namespaces. */
int gp_confined_begin(struct gp_deploy *d, struct gp_error *err);
/* The temporary files go. */
void gp_confined_end(struct gp_deploy *d);

/* The same program, to be run as the deploy user with the groups of this site only, with home and caches of this site, and confined
 * unless host.yaml says otherwise. publishes: manage.py, which may write static and media, and make no symlinks then; what else there is
 * lets visitors go first. */
struct gp_proc gp_confined(struct gp_deploy *d, struct gp_proc proc, bool publishes);

/* The same for a rehearsal: nothing of the site can be written to but its cache and logs, and where its `.env` lies it has env_file. */
struct gp_proc gp_confined_drill(struct gp_deploy *d, struct gp_proc proc, const char *env_file);

/* A program of the host's that reads what the site has, as goldpath itself: besides it sees only `more`, and writes only there. */
struct gp_proc gp_confined_reader(struct gp_deploy *d, struct gp_proc proc, const struct gp_view *more, size_t n);

#endif
