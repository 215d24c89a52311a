/* A site as one text, every field of it in it, so that two can be compared. */
#ifndef GP_TESTS_SITE_TEXT_H
#define GP_TESTS_SITE_TEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "conf/site.h"

static inline const char *site_text(struct gp_arena *arena, const struct gp_site *s)
{
	GP_AUTO_BUF out = { 0 };

	gp_buf_printf(&out, "%s|%s|%s|%s|%s|%s|%s|%s", s->slug, s->domain, s->repo, s->ref, s->subdir, s->project, s->settings, s->wsgi);
	gp_buf_printf(&out, "|%s %d|%d %d %s %lld", gp_strv_join(arena, &s->aliases, ","), s->aliases_serve, s->celery.enabled, s->celery.beat,
		s->celery.app, (long long)s->celery.concurrency);
	gp_buf_printf(&out, "|%d|%s|%s|", s->requirements, s->python, gp_strv_join(arena, &s->packages, ","));
	for (size_t i = 0; i < s->build.n; i++)
		gp_buf_printf(&out, "[%s]", gp_strv_join(arena, &s->build.v[i], ","));
	gp_buf_printf(&out, "|%lld %lld %lld %s %d", (long long)s->gunicorn.workers, (long long)s->gunicorn.threads,
		(long long)s->gunicorn.timeout, s->gunicorn.warm ? s->gunicorn.warm : "-", s->gunicorn.socket);
	gp_buf_printf(&out, "|%s %d %lld|%s|", s->health.path, s->health.contract, (long long)s->health.wait, s->sitemap ? s->sitemap : "-");
	for (size_t i = 0; i < s->env.n; i++)
		gp_buf_printf(&out, "%s=%s,", s->env.v[i].key, s->env.v[i].value);
	gp_buf_printf(&out, "|%s|%s %s %s %lld %d", gp_strv_join(arena, &s->secrets, ","), s->database.name, s->database.user, s->database.host,
		(long long)s->database.port, s->database.url);
	gp_buf_printf(&out, "|%d %s %s|%lld", s->tls, s->tls_cert ? s->tls_cert : "-", s->tls_key ? s->tls_key : "-", (long long)s->keep.releases);
	return gp_strdup(arena, gp_buf_str(&out));
}

#endif
