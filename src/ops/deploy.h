/*
 * Deploy: a table of steps (deploy.c), each a function on one struct. What has no step is not done; what a later version adds is a
 * row. Everything up to `switch` happens beside the running release and can fail without a visitor noticing.
 */
#ifndef GP_OPS_DEPLOY_H
#define GP_OPS_DEPLOY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dotenv.h"
#include "conf/host.h"
#include "conf/site.h"
#include "ops/health.h"
#include "ops/paths.h"
#include "sys/account.h"

struct gp_ctx;
struct gp_django;
struct gp_error;

struct gp_deploy_request {
	const char *slug;
	const char *ref;    /* NULL: the site's */
	const char *domain; /* NULL: the site's; only the smoke test asks for another */
	bool no_restart;    /* stop before gunicorn is restarted: for debugging, as in the old deploy.sh */
};

struct gp_deploy {
	struct gp_ctx *ctx;
	const struct gp_deploy_request *request;
	struct gp_host host;
	struct gp_site site;
	struct gp_paths paths;
	struct gp_account account;  /* the deploy user */
	struct gp_account builder;  /* the same with no groups but its own and the site's: what the repository's code runs as */
	struct gp_dotenv env;       /* `.env` */
	const char *ref, *domain;
	const char *sha;            /* 40 digits, once fetched */
	const char *release;        /* ID, once checked out */
	const char *release_dir;
	const char *source_dir;     /* release_dir, or the subdir in it where manage.py is */
	const char *previous;       /* the release that was live before, or NULL */
	const char *venv_dir;
	const char *python_version;
	const struct gp_django *django; /* what `prepare` found out */
	const char *backup;         /* the dump made before migrating, or NULL */
	const struct gp_strv *applied_after; /* the migrations in the database after `migrate`; NULL: not asked */
	bool switched;              /* app points at the new release */
	struct gp_health health;    /* what the new release said of itself */
	const char *sitemap;        /* what the sitemap answered, for people */
};

/* Run the whole table. *ret tells how far it came and what the site says, after a failure too. */
int gp_deploy_run(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *ret, struct gp_error *err);

/* The steps, by file. deploy_source.c */
int gp_deploy_preflight(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_fetch(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_checkout(struct gp_deploy *d, struct gp_error *err);
/* deploy_build.c */
int gp_deploy_venv(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_build(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_compile(struct gp_deploy *d, struct gp_error *err);
/* PATH of the venv and what says which release this is; with secrets `.env` too, where the site's own code runs. */
struct gp_strv gp_deploy_environment(struct gp_deploy *d, bool secrets);
/* deploy_django.c */
int gp_deploy_prepare(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_backup(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_migrate(struct gp_deploy *d, struct gp_error *err);
/* Why there is none of these steps, or NULL. */
const char *gp_deploy_without_backup(const struct gp_deploy *d);
const char *gp_deploy_without_migrate(const struct gp_deploy *d);
/* deploy_live.c */
int gp_deploy_switch(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_restart(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_healthy(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_celery(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_smoke(struct gp_deploy *d, struct gp_error *err);
/* prune.c */
int gp_deploy_prune(struct gp_deploy *d, struct gp_error *err);
/* Where less is free: venvs that no release uses go, and then the oldest releases, until there is room or only what is needed is left.
 * 1: there is room, 0: there is not, -1: error. */
int gp_prune_for_space(struct gp_deploy *d, uint64_t bytes, uint64_t inodes, struct gp_error *err);
/* Point everything back at the release before, and wait until that one is well; without one, stop. */
void gp_deploy_back(struct gp_deploy *d);
/* Does the release before still answer? Asked and not assumed; *ret_words: "still serving …", "still serving …, which is not well: …",
 * "nothing serves: …", "no release of … is live". */
bool gp_deploy_serves(struct gp_deploy *d, const char **ret_words);

/* The release that gunicorn was started on, if it is still there; else the one that `app` points at. NULL: none. */
const char *gp_deploy_serving(struct gp_deploy *d);
/* The release `app` points at, or NULL. */
const char *gp_live_release(struct gp_ctx *ctx, const struct gp_paths *paths);
/* GIT_SHA, BUILD_ID and RELEASE of a release, as environment assignments. */
struct gp_strv gp_release_env(struct gp_deploy *d);

#endif
