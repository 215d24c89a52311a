/* Where a site's things lie: the names of the contract, written down once. */
#ifndef GP_OPS_PATHS_H
#define GP_OPS_PATHS_H

struct gp_ctx;

struct gp_paths {
	const char *root;      /* /srv/sum/<slug> */
	const char *app, *venv; /* the two symlinks: app → releases/ID, venv → app/.goldpath/venv, so one rename switches both */
	const char *env, *statics, *media, *backups, *repo, *releases, *venvs;
	const char *cache, *tmp; /* of the code that a deploy runs: home and caches, kept; temporary files, gone after it */
	const char *logs;      /* /var/log/sum/<slug> */
	const char *state;     /* /var/lib/goldpath/<slug> */
	const char *site_env, *release_env; /* in it: what the units read, root-owned copies of .env and of the release's own */
	const char *run_user;  /* sum-<slug>; of a slug longer than 28 the start and a digest, since a user's name has 32 characters at most */
	const char *gunicorn, *gunicorn_socket, *celery; /* units */
	const char *socket;    /* /run/sum-<slug>/gunicorn.sock */
	const char *caddy_file, *sudoers_file;
};

struct gp_paths gp_site_paths(struct gp_ctx *ctx, const char *slug);

/* /usr/bin/goldpath, as packaged: what sudoers lines and helper names point at. */
extern const char gp_program_path[];
/* uv's folder, and the version it is pinned to. */
extern const char gp_uv_version[];
const char *gp_uv_folder(struct gp_ctx *ctx);

#endif
