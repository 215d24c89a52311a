/* A site's file, /etc/goldpath/sites/<slug>.yaml, as a struct. The keys, their bounds and defaults are the rows in site.c. */
#ifndef GP_CONF_SITE_H
#define GP_CONF_SITE_H

#include "conf/rows.h"

enum gp_tls { GP_TLS_AUTO, GP_TLS_INTERNAL, GP_TLS_OFF, GP_TLS_FILES };
enum gp_health_contract { GP_HEALTH_JSON, GP_HEALTH_HTTP };
enum gp_requirements { GP_REQ_AUTO, GP_REQ_TXT, GP_REQ_UV_LOCK, GP_REQ_PYPROJECT };

struct gp_site {
	const char *slug; /* from the file's name */
	const char *domain, *repo, *ref, *subdir, *project, *settings, *wsgi;
	const char *deploy_user;  /* NULL: the host's */
	struct gp_strv aliases;
	bool aliases_serve;
	struct {
		bool enabled, beat;
		const char *app;
		int64_t concurrency;
	} celery;
	int requirements;         /* enum gp_requirements */
	const char *python;       /* "auto" or "3.12" */
	struct gp_strv packages;
	struct gp_argvs build;
	struct gp_strv drop_ins;
	struct {
		int64_t workers, threads, timeout, drain; /* the last two in seconds */
		const char *warm;     /* NULL: nothing */
		bool socket;
	} gunicorn;
	struct {
		const char *path;
		int contract;         /* enum gp_health_contract */
		int64_t wait;         /* seconds */
	} health;
	const char *sitemap;      /* NULL: none */
	struct gp_pairs env;
	struct gp_strv secrets;   /* further keys of `.env` for which a secret is made */
	struct {
		const char *name, *user, *host;
		int64_t port;
		bool url;
	} database;
	int tls;                  /* enum gp_tls */
	const char *tls_cert, *tls_key;
	bool backup_before_migrate;
	struct {
		int64_t daily, weekly, monthly; /* how many are kept */
		int64_t keep_old;               /* days */
		const char *time, *rehearse;    /* "03:15", "Sun 04:15"; NULL: never */
		const char *offsite;            /* a restic repository, NULL: none */
		bool media;
	} backup;
	struct {
		int64_t releases;
	} keep;
};

extern const struct gp_key gp_site_keys[];

/* Who owns the site and deploys it: its own deploy user, or the host's. */
struct gp_host;
const char *gp_deploy_user(const struct gp_host *host, const struct gp_site *site);

/* Load DIR/sites/SLUG.yaml. A name that is no slug is a configuration error. Derived defaults are filled in. */
int gp_site_load(struct gp_arena *arena, const char *dir, const char *slug, struct gp_site *ret, struct gp_error *err);
/* The same from text. */
int gp_site_parse(struct gp_arena *arena, const char *label, const char *slug, const char *text, size_t len, struct gp_site *ret,
	struct gp_error *err);
/* The names that have a file in DIR/sites, sorted: slugs, unless gp_site_load says otherwise. */
int gp_site_list(struct gp_arena *arena, const char *dir, struct gp_strv *ret, struct gp_error *err);

/* Is that a name that goldpath uses itself, and no site's? */
bool gp_site_reserved(const char *slug);

/* slug with '-' as '_': the name of its database, role and Python project where nothing else is said. */
const char *gp_site_underscored(struct gp_arena *arena, const char *slug);

/* Is the database on this host (then role and database are made here) or somewhere else? */
bool gp_site_database_is_local(const struct gp_site *site);
/* The same of a host as libpq has it: "" and a path are a socket's. */
bool gp_database_host_is_local(const char *host);

#endif
