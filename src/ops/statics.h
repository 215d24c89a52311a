/*
 * Static files. Each release collects its own, with its own manifest, into releases/ID/.goldpath/static; what Caddy serves, SITE/static, has
 * links to all of them. So pages of the release before keep their hashed files, and a name without a hash says what the live release says.
 * A site whose settings do not take DJANGO_STATIC_ROOT collects into SITE/static directly, and none of this applies.
 */
#ifndef GP_OPS_STATICS_H
#define GP_OPS_STATICS_H

struct gp_ctx;
struct gp_deploy;
struct gp_error;
struct gp_strv;

const char *gp_statics_of(struct gp_deploy *d, const char *release);

/* Names that only this release has are served too. */
int gp_statics_add(struct gp_deploy *d, const char *release, struct gp_error *err);
/* Names that several have are served as this release has them. */
int gp_statics_publish(struct gp_deploy *d, const char *release, struct gp_error *err);
/* A release is about to be deleted: what it alone brought goes, the rest is handed over to those that stay, the first one first. */
int gp_statics_withdraw(struct gp_deploy *d, const char *release, const struct gp_strv *stay, struct gp_error *err);

#endif
