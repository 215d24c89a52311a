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
#include "ops/steps.h"
#include "sys/account.h"

struct gp_adopt;
struct gp_ctx;
struct gp_django;
struct gp_error;
struct gp_lock;
struct gp_pg;
struct gp_restore;
struct gp_rollback;

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
	struct gp_rollback *rollback; /* NULL: it is none; a restore's too */
	struct gp_restore *restore;   /* NULL: it is none */
	const struct gp_adopt *adopt; /* NULL: it is none; else what serves until `commit` was set up by hand */
	const char *venv_dir;
	const char *python_version;
	const struct gp_django *django; /* what `prepare` found out */
	const char *backup;         /* the dump made before migrating, or NULL */
	const struct gp_strv *applied_after; /* the migrations in the database after `migrate`; NULL: not asked */
	struct gp_health health;    /* what the new release said of itself */
	bool unwell;                /* so is what serves: a release that says of itself that it is unhealthy will do */
	const char *sitemap;        /* what the sitemap answered, for people */
};

/* Run the whole table. *ret tells how far it came and what the site says, after a failure too. */
int gp_deploy_run(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *ret, struct gp_error *err);
/* The same by who has the site's lock. */
int gp_deploy_run_locked(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_lock *lock, struct gp_deploy *ret,
	struct gp_error *err);
/* Build the release and ask it what a deploy would migrate, then delete it again. *ret: ref, sha, django. */
int gp_deploy_plan(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *ret, struct gp_error *err);
/* Only finish, or take back, one that was cut off. *ret_words: what serves then (gp_deploy_serves). */
int gp_deploy_resume(struct gp_ctx *ctx, const struct gp_deploy_request *request, const char **ret_words, struct gp_error *err);

/* Load the files, find the accounts. Nothing is locked or changed. */
int gp_deploy_load(struct gp_ctx *ctx, const struct gp_deploy_request *request, struct gp_deploy *ret, struct gp_error *err);
/* The commit that a release was made of, as its folder says; NULL where it does not. */
int gp_release_commit(struct gp_deploy *d, const char *release, const char **ret, struct gp_error *err);
/* Be about a release that is there: its folders, its commit, its virtual environment. */
int gp_deploy_at(struct gp_deploy *d, const char *release, struct gp_error *err);
/* Is `.env` as a deploy needs it? */
int gp_deploy_check_env(struct gp_deploy *d, struct gp_error *err);
/* Connect to the site's database as the site does, with what `.env` says. */
int gp_deploy_login(struct gp_deploy *d, struct gp_pg **ret, struct gp_error *err);

extern const struct gp_steps gp_deploy_steps, gp_deploy_plan_steps;

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
/* What would be migrated, and nothing done. */
int gp_deploy_look(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_backup(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_migrate(struct gp_deploy *d, struct gp_error *err);
/* Why there is none of these steps, or NULL. */
const char *gp_deploy_without_backup(const struct gp_deploy *d);
const char *gp_deploy_without_migrate(const struct gp_deploy *d);
/* deploy_live.c */
int gp_deploy_start(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_healthy(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_switch(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_smoke(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_commit(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_celery(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_drain(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_restart(struct gp_deploy *d, struct gp_error *err);
int gp_deploy_return(struct gp_deploy *d, struct gp_error *err);
/* What they share with the way back: the links for people; Celery on a release, if it is not yet; the helper unit's end. */
int gp_deploy_link(struct gp_deploy *d, const char *release, struct gp_error *err);
int gp_deploy_celery_on(struct gp_deploy *d, const char *release, struct gp_error *err);
void gp_deploy_end_next(struct gp_deploy *d);
/* prune.c */
int gp_deploy_prune(struct gp_deploy *d, struct gp_error *err);
/* Where less is free: venvs that no release uses go, and then the oldest releases, until there is room or only what is needed is left.
 * 1: there is room, 0: there is not, -1: error. */
int gp_prune_for_space(struct gp_deploy *d, uint64_t bytes, uint64_t inodes, struct gp_error *err);
/* deploy_back.c: everything back to d->previous, from wherever d came to; without one, stop. What fails is told. */
void gp_deploy_back(struct gp_deploy *d);
/* Delete a release, and what it alone has in static. The live one stays, and one that is not there is fine. */
int gp_deploy_remove_release(struct gp_deploy *d, const char *id, struct gp_error *err);
/* What the journal says of one that was killed: finished where it had been proven, else undone; told of either way. 1: it could not be finished,
 * which is told too. */
int gp_deploy_recover(struct gp_deploy *d, struct gp_lock *lock, struct gp_error *err);
/* Does the site still answer? Asked and not assumed; *ret_words: "still serving …", "still serving …, which is not well: …", "nothing serves:
 * …", "no release of … is live". */
bool gp_deploy_serves(struct gp_deploy *d, const char **ret_words);

/* The release that the gunicorn was started on which visitors are led to, if it is still there; else the live one. NULL: none. */
const char *gp_deploy_serving(struct gp_deploy *d);
/* What says to a process which release it is: GIT_SHA, BUILD_ID, RELEASE, the folder, and where its static files are. */
struct gp_strv gp_release_env(struct gp_deploy *d);
struct gp_strv gp_release_env_of(struct gp_deploy *d, const char *release, const char *sha);

#endif
