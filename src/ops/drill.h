/* What a rehearsal asks of the site's code: settings, checks and application of a release, led to the scratch database. */
#ifndef GP_OPS_DRILL_H
#define GP_OPS_DRILL_H

#include "ops/health.h"

struct gp_deploy;
struct gp_error;
struct gp_pg_login;

/* Of the release that d is about. Fails where it is not well there, unless what serves is no better. */
int gp_drill_app(struct gp_deploy *d, const struct gp_pg_login *login, struct gp_health *ret, struct gp_error *err);

#endif
