/*
 * A site's file made of any bytes. What is accepted is a site that the rest of the program can rely on: every name is one, every
 * number within its bounds, what is required there; a refusal says why and writes nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "conf/site.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(enum gp_name_kind kind, const char *text)
{
	must(text && gp_name_ok(kind, text), gp_name_kind_name(kind));
}

static void check_names(enum gp_name_kind kind, const struct gp_strv *list)
{
	for (size_t i = 0; i < list->n; i++)
		check_name(kind, list->v[i]);
}

/* Neither an environment file nor a unit has room for more than one line. */
static void check_line(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		must(*p >= 0x20 && *p != 0x7f, "one line without control characters");
}

static void check_bounds(const struct gp_site *s)
{
	must(s->celery.concurrency >= 1 && s->celery.concurrency <= 64, "concurrency");
	must(s->gunicorn.workers >= 1 && s->gunicorn.workers <= 64, "workers");
	must(s->gunicorn.threads >= 1 && s->gunicorn.threads <= 64, "threads");
	must(s->gunicorn.timeout >= 5 && s->gunicorn.timeout <= 3600, "timeout");
	must(s->health.wait >= 5 && s->health.wait <= 900, "wait");
	must(s->database.port >= 1 && s->database.port <= 65535, "port");
	must(s->keep.releases >= 2 && s->keep.releases <= 100, "releases");
	must(s->requirements >= GP_REQ_AUTO && s->requirements <= GP_REQ_PYPROJECT, "requirements");
	must(s->health.contract == GP_HEALTH_JSON || s->health.contract == GP_HEALTH_HTTP, "contract");
	must(s->tls >= GP_TLS_AUTO && s->tls <= GP_TLS_FILES, "tls");
}

static void check_site(const struct gp_site *s)
{
	check_name(GP_NAME_domain, s->domain);
	check_name(GP_NAME_repo, s->repo);
	check_name(GP_NAME_ref, s->ref);
	check_name(GP_NAME_relpath, s->subdir);
	check_name(GP_NAME_module, s->project);
	check_name(GP_NAME_module, s->celery.app);
	check_name(GP_NAME_python, s->python);
	check_name(GP_NAME_urlpath, s->health.path);
	check_name(GP_NAME_dbname, s->database.name);
	check_name(GP_NAME_dbname, s->database.user);
	check_name(GP_NAME_host, s->database.host);
	if (s->sitemap)
		check_name(GP_NAME_urlpath, s->sitemap);
	if (s->tls == GP_TLS_FILES) {
		check_name(GP_NAME_abspath, s->tls_cert);
		check_name(GP_NAME_abspath, s->tls_key);
	}
	check_names(GP_NAME_domain, &s->aliases);
	check_names(GP_NAME_package, &s->packages);
	check_names(GP_NAME_envkey, &s->secrets);
	for (size_t i = 0; i < s->build.n; i++) {
		must(s->build.v[i].n > 0 && !s->build.v[i].v[s->build.v[i].n], "an argument list");
		for (size_t k = 0; k < s->build.v[i].n; k++)
			check_line(s->build.v[i].v[k]);
	}
	for (size_t i = 0; i < s->env.n; i++) {
		check_name(GP_NAME_envkey, s->env.v[i].key);
		check_line(s->env.v[i].value);
		for (size_t k = 0; k < i; k++)
			must(!gp_streq(s->env.v[i].key, s->env.v[k].key), "a key stands once");
	}
	check_bounds(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_site site = { .slug = "untouched" };
	struct gp_error err = { 0 };

	if (gp_site_parse(arena, "fuzz.yaml", "acme", (const char *)data, size, &site, &err) < 0) {
		must(err.kind == GP_E_CONFIG && err.msg[0], "a refusal says why");
		must(gp_starts_with(err.msg, "fuzz.yaml"), "and where");
		must(gp_streq(site.slug, "untouched"), "a refusal writes nothing");
		return 0;
	}
	check_site(&site);
	return 0;
}
