/* The start of data/release.py in the site's view, and of what failed there an error that says what to do. */
#include "ops/django.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"
#include "data/embed.h"
#include "ops/confined.h"
#include "ops/deploy.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"
#include "sys/proc.h"

enum { TIMEOUT_MS = 30 * 60 * 1000, ANSWER_MAX = 4 << 20 };

/* What Python says when a C library is not there, and what to do about it. */
static void hint_for_python(struct gp_deploy *d, struct gp_error *err)
{
	const char *said = err ? err->detail : "", *missing = strstr(said, ": cannot open shared object file");
	const char *magic = strstr(said, "failed to find lib");

	if (missing) {
		const char *start = missing;

		while (start > said && start[-1] != ' ' && start[-1] != '\n')
			start--;
		const char *name = gp_strndup(d->ctx->arena, start, (size_t)(missing - start));

		gp_context(err, "the shared library %s is missing on this host", name);
		gp_hint(err, "find its Debian package (`apt-file search %s`) and add it to `packages` in the site's file", name);
	} else if (magic) {
		size_t len = strcspn(magic + 15, " .\n");
		const char *name = gp_strndup(d->ctx->arena, magic + 15, len);

		gp_context(err, "the shared library %s is missing on this host", name);
		gp_hint(err, "add its Debian package (libmagic: libmagic1) to `packages` in the site's file");
	} else if (strstr(said, "ModuleNotFoundError")) {
		gp_hint(err, "is it in the requirements? `project`, `settings` and `subdir` in the site's file name what is imported");
	} else if (strstr(said, "No space left")) {
		gp_hint(err, "the disk is full: `df -h`");
	}
}

struct question {
	const char *what; /* of DO in data/release.py */
	bool dangers;
	const struct gp_strv *keep;
	const char *const *needs;
	const char *database, *env_file; /* of a drill */
};

/* As JSON. */
static const char *worded(struct gp_deploy *d, const struct question *q, const char *answer)
{
	json_t *object = json_pack("{s:s, s:s, s:b}", "do", q->what, "answer", answer, "dangers", q->dangers), *keep = json_array();
	const char *result;
	char *text;

	for (size_t i = 0; q->keep && i < q->keep->n; i++)
		json_array_append_new(keep, json_string(q->keep->v[i]));
	if (q->database && json_object_update_new(object, json_pack("{s:s, s:s, s:s, s:s, s:b}", "database", q->database, "wsgi", d->site.wsgi,
		"path", d->site.health.path, "host", d->site.domain, "https", d->site.tls != GP_TLS_OFF)) < 0)
		abort();
	if (!object || json_object_set_new(object, "keep", keep) < 0 || !(text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII)))
		abort();
	result = gp_strdup(d->ctx->arena, text);
	free(text);
	json_decref(object);
	return result;
}

/* Written by who may also have laid something else in its place: read as the deploy user, no link followed, and only so much of it. */
static int read_answer(struct gp_deploy *d, const char *path, const char *const *needs, struct gp_django *ret, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };
	const char *text = "";
	size_t len = 0;
	int there;

	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(there = gp_fs_read_nofollow(d->ctx->arena, path, ANSWER_MAX, &text, &len, err));
	gp_fs_remove(path, NULL);
	if (!there)
		return gp_fail(err, GP_E_FAILED, "manage.py ended before Django was asked anything");
	return gp_django_read(d->ctx->arena, text, len, needs, ret, err);
}

static int failed(struct gp_deploy *d, const struct gp_proc *proc, const struct gp_proc_result *result, const struct gp_django *said,
	struct gp_error *err)
{
	if (said->refused)
		return gp_fail(err, GP_E_REFUSED, "%s", said->refused);
	if (result->status == 0)
		return gp_fail(err, GP_E_FAILED, "manage.py ended as if all were well, in the midst of '%s'", said->part);
	gp_proc_fail(proc, result, err);
	gp_context(err, "manage.py%s%s", *said->part ? " " : "", said->part);
	hint_for_python(d, err);
	return -1;
}

static struct gp_proc confined(struct gp_deploy *d, const struct question *q, struct gp_proc proc)
{
	return q->env_file ? gp_confined_drill(d, proc, q->env_file) : gp_confined(d, proc, true);
}

static int ask(struct gp_deploy *d, const struct question *q, struct gp_django *ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	const char *name = gp_sprintf(d->ctx->arena, "answer-%s", gp_secret_new(d->ctx->arena, 12));
	const char *answer = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.tmp, name);
	/* Confined, that folder is /tmp. */
	const char *input = worded(d, q, d->host.confine ? gp_sprintf(d->ctx->arena, "/tmp/%s", name) : answer);
	const char *python = gp_sprintf(d->ctx->arena, "%s/bin/python", d->venv_dir);
	struct gp_strv env = gp_deploy_environment(d, true);
	/* umask 002: what it writes below media stays writable for the running site, by the setgid bit's group. */
	const struct gp_proc proc = confined(d, q, (struct gp_proc){ .argv = GP_ARGV(python, "-c", gp_data_release_py), .env = env.v,
		.cwd = d->source_dir, .umask = 002, .input = input, .input_len = strlen(input), .timeout_ms = TIMEOUT_MS,
		.line = gp_tell_line, .arg = d->ctx });
	struct gp_error unread = { 0 };

	*ret = (struct gp_django){ .part = "", .collected = "", .body = "", .location = "" };
	GP_TRY(gp_proc_run(&proc, &result, err));
	if (read_answer(d, answer, q->needs, ret, &unread) < 0 && result.status == 0) {
		if (err)
			*err = unread;
		return -1;
	}
	return result.status == 0 && ret->ok ? 0 : failed(d, &proc, &result, ret, err);
}

int gp_django_prepare(struct gp_deploy *d, bool dangers, struct gp_django *ret, struct gp_error *err)
{
	static const char *const needs[] = { "warnings", "known", "applied", "pending", "static", NULL };

	return ask(d, &(struct question){ .what = "prepare", .dangers = dangers, .needs = needs }, ret, err);
}

int gp_django_look(struct gp_deploy *d, struct gp_django *ret, struct gp_error *err)
{
	static const char *const needs[] = { "warnings", "known", "applied", "pending", NULL };

	return ask(d, &(struct question){ .what = "look", .dangers = true, .needs = needs }, ret, err);
}

int gp_django_migrate(struct gp_deploy *d, struct gp_django *ret, struct gp_error *err)
{
	static const char *const needs[] = { "applied", NULL };

	return ask(d, &(struct question){ .what = "migrate", .needs = needs }, ret, err);
}

int gp_django_migrate_back(struct gp_deploy *d, const struct gp_strv *keep, struct gp_django *ret, struct gp_error *err)
{
	static const char *const needs[] = { "applied", "back", NULL };

	return ask(d, &(struct question){ .what = "back", .keep = keep, .needs = needs }, ret, err);
}

int gp_django_plan_back(struct gp_deploy *d, const struct gp_strv *keep, struct gp_django *ret, struct gp_error *err)
{
	static const char *const needs[] = { "known", "applied", "back", NULL };

	return ask(d, &(struct question){ .what = "back_plan", .keep = keep, .needs = needs }, ret, err);
}

int gp_django_drill(struct gp_deploy *d, const char *database, const char *env_file, struct gp_django *ret, struct gp_error *err)
{
	static const char *const needs[] = { "known", "applied", "pending", "http", NULL };

	return ask(d, &(struct question){ .what = "drill", .needs = needs, .database = database, .env_file = env_file }, ret, err);
}

int gp_django_applied(struct gp_pg *pg, struct gp_arena *arena, struct gp_strv *ret, struct gp_error *err)
{
	static const char sql[] = "select string_agg(app || '.' || name, E'\\n' order by app, name) from django_migrations";
	const char *there, *text = NULL;
	struct gp_strv lines;

	*ret = (struct gp_strv){ 0 };
	GP_TRY(gp_pg_value(pg, arena, "select to_regclass('django_migrations')", NULL, 0, &there, err));
	if (there)
		GP_TRY(gp_pg_value(pg, arena, sql, NULL, 0, &text, err));
	lines = gp_lines(arena, text ? text : "");
	for (size_t i = 0; i < lines.n; i++)
		if (gp_migration_name_ok(lines.v[i]))
			gp_strv_add(arena, ret, lines.v[i]);
	return 0;
}
