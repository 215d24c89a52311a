/* Provisioning: what the two configuration files ask for, as a plan for the engine. */
#ifndef GP_OPS_PROVISION_H
#define GP_OPS_PROVISION_H

#include <stdint.h>
#include <sys/types.h>

#include "conf/host.h"
#include "conf/site.h"
#include "plan/plan.h"

struct gp_ctx;

struct gp_provision {
	const char *slug;        /* NULL: the host and every site that has a file */
	bool apply;              /* false: find out only */
	const struct gp_changes *only; /* what was agreed to (gp_plan_run), or NULL */
	const struct gp_provision_part *part; /* NULL: all of it */
};

/* A site that was set up by hand is brought to its file part by part (ops/adopt.h): then only some resources of the plan are looked at, the
 * caller holds the host's lock, and the site is what it is told here. */
struct gp_provision_part {
	const struct gp_site *site;
	bool (*wants)(const void *arg, const struct gp_resource *resource);
	const void *arg;
	/* Redis' numbers as they are. */
	const struct gp_redis_use *redis;
	size_t redis_n;
};
struct gp_redis_use {
	const char *use;
	int number;
};

/* Bring the host, and the site or sites, to what their files say. Takes the host's lock. The changes made (or, without apply,
 * needed) come back in *ret, in order; those made before a failure too. A failure that is one site's alone stops no other: ret->partial. */
int gp_provision_run(struct gp_ctx *ctx, const struct gp_provision *request, struct gp_changes *ret, struct gp_error *err);

struct gp_sshd;
/* Parts of a plan, in the files provision_host.c and provision_site.c. */
int gp_provision_host(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, bool https, struct gp_sshd *sshd,
	struct gp_error *err);
/* A deploy user, the host's or a site's own; with ssh_key, its key. */
void gp_provision_deploy_user(struct gp_ctx *ctx, struct gp_plan *plan, const char *user, bool ssh_key);
int gp_provision_site(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, const struct gp_site *site,
	struct gp_error *err);
int gp_provision_redis(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_error *err);
/* Bytes that Redis may fill: of a host with so much memory, or (not 0) as the host's file says. */
uint64_t gp_redis_maxmemory(uint64_t host_bytes, int64_t megabytes);
/* In provision_baseline.c: packages besides the fixed list; what must hold before anything is changed; the rest of the baseline. */
int gp_provision_baseline_packages(struct gp_ctx *ctx, const struct gp_host *host, struct gp_strv *names, struct gp_error *err);
void gp_provision_checks(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_strv *packages);
int gp_provision_baseline(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_error *err);
/* Who may log in, and how; sshd NULL: there is none, and nothing to do. After the deploy user. */
void gp_provision_ssh(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_sshd *sshd);
/* A file of root's from a template, checked before it is put in place (check may be NULL). */
struct gp_var;
int gp_provision_rendered(struct gp_ctx *ctx, struct gp_plan *plan, const char *path, const char *text, const struct gp_var *vars, size_t n,
	struct gp_resource resource, mode_t mode, int (*check)(void *, const char *, struct gp_error *), struct gp_error *err);
/* What was added from `first` on is that site's alone: what goes wrong with it stops no other. */
void gp_provision_group(struct gp_plan *plan, size_t first, const struct gp_site *site);
/* A site's units and the link between its gunicorns, in provision_units.c. */
struct gp_paths;
int gp_provision_site_units(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site, const struct gp_paths *p, struct gp_error *err);
/* The states of a site's units, once systemd has read their files. */
void gp_provision_site_states(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_site *site);
/* The handler by which Caddy takes what has changed in its files. */
void gp_provision_reload_caddy(struct gp_ctx *ctx, struct gp_plan *plan);
/* The handler that runs once, after all unit files. */
void gp_provision_reload_units(struct gp_ctx *ctx, struct gp_plan *plan);

/* Caddy, in provision_caddy.c: before anything is installed (https: some site wants port 443), after the packages, and at the very end. */
void gp_provision_caddy_ports(struct gp_ctx *ctx, struct gp_plan *plan, bool https);
void gp_provision_caddy(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host);
void gp_provision_caddy_states(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host);
/* The Caddy file of a site that is not asked for: Caddy's configuration is one for the whole host. Does nothing where Caddy would refuse it, or
 * the site was never provisioned. */
int gp_provision_neighbour(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, const struct gp_site *site,
	struct gp_error *err);

/* The public half of the deploy user's SSH key, to be added to the repository's host; NULL where there is none. */
const char *gp_deploy_public_key(struct gp_ctx *ctx, const char *user);

/* Names of resources that other resources come after or notify. */
#define GP_RES_PACKAGES "the baseline"
#define GP_RES_CADDY "caddy"
/* How the names of the units of Postgres' clusters begin. */
#define GP_RES_CLUSTER "postgresql@"
/* Not there with `firewall: off`. One that lost its rules may deny the host its own Redis and Postgres. */
#define GP_RES_FIREWALL "ufw"
#define GP_RES_RELOAD_UNITS "systemctl daemon-reload"
#define GP_RES_RELOAD_CADDY "reload caddy"
#define GP_RES_RESTART_CADDY "restart caddy"
#define GP_RES_OF_CADDY "of Caddy"
#define GP_RES_RELOAD_SSH "reload ssh"

#endif
