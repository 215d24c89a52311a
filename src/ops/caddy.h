/* Having Caddy take its configuration, which is one for the whole host, whatever state the files of others are in. */
#ifndef GP_OPS_CADDY_H
#define GP_OPS_CADDY_H

#include <stdbool.h>

#include "plan/plan.h"

struct gp_ctx;
struct gp_error;

extern const char gp_caddyfile_path[];   /* /etc/caddy/Caddyfile */
extern const char gp_caddy_sites[];      /* /etc/caddy/sites-enabled */
extern const char gp_caddy_import[];     /* the line in the one that imports the other */

/*
 * Have the running Caddy take what lies in /etc/caddy, looked at before it is told. Where a file is broken, Caddy is given the last good copy
 * of that file in its place, so that one file's mistake does not keep another's change from going live; a file that Caddy never took
 * is left out. What was broken stays on record, for gp_caddy_attention. On failure Caddy goes on with what it had.
 */
int gp_caddy_reload(struct gp_ctx *ctx, struct gp_error *err);
/* Would Caddy, stopped now, start again? -1 and why not. A package that replaces Caddy restarts it. */
int gp_caddy_may_restart(struct gp_ctx *ctx, struct gp_error *err);
/* Stop and start it, where it may. */
int gp_caddy_restart(struct gp_ctx *ctx, struct gp_error *err);

/* Has /etc/caddy changed since Caddy was last told? */
int gp_caddy_reload_needed(struct gp_ctx *ctx, bool *ret, struct gp_error *err);

/* What in Caddy's configuration somebody should look at: broken files, and files of sites that are no more. */
int gp_caddy_attention(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err);

#endif
