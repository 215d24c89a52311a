/* Where a site's things lie: the names of the contract, written down once. */
#ifndef GP_OPS_PATHS_H
#define GP_OPS_PATHS_H

/* What the link at paths.socket says: which of the two gunicorns Caddy asks. */
#define GP_ROUTE_STABLE "stable/gunicorn.sock"
#define GP_ROUTE_NEXT "next/gunicorn.sock"

struct gp_ctx;

struct gp_paths {
	const char *root;      /* /srv/sum/<slug> */
	const char *app, *venv; /* for people: app → releases/ID, venv → app/.goldpath/venv, so one rename switches both */
	const char *env, *statics, *media, *backups, *repo, *releases, *venvs;
	const char *cache, *tmp; /* of the code that a deploy runs: home and caches, kept; temporary files, gone after it */
	const char *logs;      /* /var/log/sum/<slug> */
	const char *state;     /* /var/lib/goldpath/<slug> */
	/* In it what the units read, root-owned: a copy of `.env`, and which release gunicorn and Celery run. That one file says what is live. */
	const char *site_env, *site_env_before, *release_env, *next_env;
	const char *adopting;  /* is there from the beginning of the site's adoption to its end */
	const char *run_user;  /* sum-<slug>; of a slug longer than 28 the start and a digest, since a user's name has 32 characters at most */
	const char *gunicorn, *gunicorn_socket, *celery; /* units */
	const char *backup_timer, *backup_service, *rehearse_timer, *rehearse_service;
	const char *next;      /* the unit that serves a new release while the stable one moves on to it */
	const char *run;       /* /run/sum-<slug>, root's */
	const char *socket;    /* gunicorn.sock in it: a link to one of the two below, and what Caddy asks */
	const char *stable_socket, *next_socket;
	const char *tmpfiles;  /* what makes that link at boot (tmpfiles.d(5)) */
	const char *caddy_file, *sudoers_file;
};

struct gp_paths gp_site_paths(struct gp_ctx *ctx, const char *slug);

/* /usr/bin/goldpath, as packaged: what sudoers lines and helper names point at. */
extern const char gp_program_path[];
/* uv's folder, and the version it is pinned to. */
extern const char gp_uv_version[];
const char *gp_uv_folder(struct gp_ctx *ctx);

#endif
