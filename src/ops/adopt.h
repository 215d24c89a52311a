/*
 * Adoption: a site that was set up by hand along the runbook becomes goldpath's without a gap. What it is, is read from what is there; its
 * file is written; everything that can be is made beside it. Then the commit that it runs is built as a release and proven in the next
 * slot, visitors are led there by a rename over the old gunicorn's socket, and only when that one has answered all it was asked do unit
 * files, processes and folders change places. Until `commit` the way back is one rename; from there on the same command goes on.
 */
#ifndef GP_OPS_ADOPT_H
#define GP_OPS_ADOPT_H

#include <stdbool.h>

#include "ops/deploy.h"
#include "ops/init.h"
#include "ops/provision.h"
#include "plan/plan.h"
#include "sys/git.h"

struct gp_ctx;
struct gp_error;

struct gp_adopt_request {
	struct gp_init init;     /* what was said; NULL and false: found out */
	bool leave_uncommitted;  /* what is not committed in `app` may stay behind */
	bool apply;              /* false: find out only */
};

enum { GP_ADOPT_REDIS_MAX = 3 };

struct gp_adopt {
	struct gp_ctx *ctx;
	const struct gp_adopt_request *request;
	struct gp_paths paths;
	struct gp_host host;       /* as its file says, or as `init` would write it */
	struct gp_account account; /* who owns the folder */
	struct gp_git_work work;   /* `app`; nothing in it once that is a symlink */
	struct gp_site site;
	const char *text;          /* of the site's file; NULL: there is one */
	struct gp_init init;       /* what that was made of */
	struct gp_redis_use redis[GP_ADOPT_REDIS_MAX];
	size_t redis_n;
	bool done;                 /* it is goldpath's already */
	const char *committed;     /* the release that was proven by a run which did not get to its end; NULL: none */
	struct gp_changes changes; /* made or, without apply, to be made */
	struct gp_deploy deploy;   /* how far it came; nothing where there was nothing to do */
};

/* Find out, or do it. Takes the locks of host and site. */
int gp_adopt_run(struct gp_ctx *ctx, const struct gp_adopt_request *request, struct gp_adopt *ret, struct gp_error *err);

/* adopt_look.c: what the site is, from its folder, `.env`, units, checkout and Caddy file. Nothing is changed. */
int gp_adopt_look(struct gp_adopt *a, struct gp_error *err);
/* adopt_attention.c. What in the checkout is not in its commit: refused, unless it was said that it may stay behind. */
int gp_adopt_check_work(struct gp_adopt *a, struct gp_error *err);
/* What somebody should know, as changes with the mark '!': old sudoers lines, further units, files that stay behind. */
void gp_adopt_attention(struct gp_adopt *a);

/* adopt_live.c: the steps, which are a deploy's but for those that have to do with what was there before. */
int gp_adopt_walk(struct gp_deploy *d, const char *from, struct gp_lock *lock, struct gp_error *err);
/* Visitors back to what was set up by hand, where the site is not goldpath's yet. */
void gp_adopt_back(struct gp_deploy *d);
/* Copies of the files that goldpath's own take the place of, in the state folder. */
int gp_adopt_keep_files(struct gp_adopt *a, struct gp_error *err);

/* Provision a part of the plan. */
enum gp_adopt_part {
	GP_ADOPT_WHOLE,  /* to be shown: all but what says that the place is taken */
	GP_ADOPT_BESIDE, /* what the old gunicorn does not notice, and a reboot would not either */
	GP_ADOPT_CADDY,
	GP_ADOPT_REST,   /* the site's part as a whole */
};
int gp_adopt_provision(struct gp_ctx *ctx, const struct gp_adopt *a, enum gp_adopt_part part, bool apply, struct gp_changes *ret,
	struct gp_error *err);

#endif
