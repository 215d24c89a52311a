/* Provisioning: what the two configuration files ask for, as a plan for the engine. */
#ifndef GP_OPS_PROVISION_H
#define GP_OPS_PROVISION_H

#include "conf/host.h"
#include "conf/site.h"
#include "plan/plan.h"

struct gp_ctx;

struct gp_provision {
	const char *slug;        /* NULL: the host and every site that has a file */
	bool apply;              /* false: find out only */
};

/* Bring the host, and the site or sites, to what their files say. Takes the host's lock. The changes made (or, without apply,
 * needed) come back in *ret, in order; those made before a failure too. */
int gp_provision_run(struct gp_ctx *ctx, const struct gp_provision *request, struct gp_changes *ret, struct gp_error *err);

/* Parts of a plan, in the files provision_host.c and provision_site.c. */
int gp_provision_host(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, bool ssh_key, struct gp_error *err);
int gp_provision_site(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, const struct gp_site *site, bool apply,
	struct gp_error *err);
/* Who may log in, and how; sshd NULL: there is none, and nothing to do. */
struct gp_sshd;
void gp_provision_ssh(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_sshd *sshd);
/* The states of a site's units, once systemd has read their files. */
void gp_provision_site_states(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site);
/* The handlers that run once: after all unit files, and at the very end. */
void gp_provision_reload_units(struct gp_ctx *ctx, struct gp_plan *plan);
void gp_provision_reload_caddy(struct gp_ctx *ctx, struct gp_plan *plan);

/* The public half of the deploy user's SSH key, to be added to the repository's host; NULL where there is none. */
const char *gp_deploy_public_key(struct gp_ctx *ctx, const char *user);

/* Names of resources that other resources come after or notify. */
#define GP_RES_PACKAGES "the baseline"
#define GP_RES_RELOAD_UNITS "systemctl daemon-reload"
#define GP_RES_RELOAD_CADDY "reload caddy"
#define GP_RES_RESTART_CADDY "restart caddy"
#define GP_RES_RELOAD_SSH "reload ssh"
#define GP_RES_RESTART_REDIS "restart redis-server"

#endif
