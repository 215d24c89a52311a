/* Deploy, the middle steps: packages, build commands, and what manage.py does. All of it as the deploy user, none of it exposed yet. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/confined.h"
#include "ops/deploy.h"
#include "ops/venv.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { BUILD_TIMEOUT_MS = 30 * 60 * 1000, MANAGE_TIMEOUT_MS = 30 * 60 * 1000, COMPILE_TIMEOUT_MS = 10 * 60 * 1000 };

int gp_deploy_venv(struct gp_deploy *d, struct gp_error *err)
{
	const char *link = gp_sprintf(d->ctx->arena, "%s/.goldpath/venv", d->release_dir);
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_venv_ensure(d, err));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	/* Relative: from releases/ID/.goldpath/ to venvs/NAME. */
	return gp_fs_relink(link, gp_sprintf(d->ctx->arena, "../../../venvs/%s", strrchr(d->venv_dir, '/') + 1), err);
}

/* PATH and what says which release this is; the site's secrets only where its own code runs. */
static struct gp_strv environment(struct gp_deploy *d, bool secrets)
{
	struct gp_arena *a = d->ctx->arena;
	struct gp_strv env = gp_release_env(d);

	gp_strv_add(a, &env, gp_sprintf(a, "PATH=%s/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", d->venv_dir));
	gp_strv_add(a, &env, gp_sprintf(a, "VIRTUAL_ENV=%s", d->venv_dir));
	gp_strv_add(a, &env, "PYTHONDONTWRITEBYTECODE=1");
	gp_strv_add(a, &env, "PYTHONUNBUFFERED=1");
	for (size_t i = 0; secrets && i < d->env.n; i++)
		gp_strv_add(a, &env, gp_sprintf(a, "%s=%s", d->env.pairs[i].key, d->env.pairs[i].value));
	return env;
}

/* A program of the host, or of the venv. */
static int find_build_program(struct gp_deploy *d, const struct gp_strv *argv, const char *const **ret, struct gp_error *err)
{
	const char *in_venv = gp_sprintf(d->ctx->arena, "%s/bin/%s", d->venv_dir, argv->v[0]);
	struct gp_strv own = { 0 };

	*ret = argv->v;
	if (strchr(argv->v[0], '/') || gp_proc_have(argv->v[0]))
		return 0;
	if (!gp_fs_exists(in_venv)) {
		gp_fail(err, GP_E_FAILED, "there is no program '%s', neither on this host nor in the venv", argv->v[0]);
		return gp_hint(err, "Debian packages go into `packages` in the site's file, Python packages into the requirements");
	}
	gp_strv_add(d->ctx->arena, &own, in_venv);
	for (size_t k = 1; k < argv->n; k++)
		gp_strv_add(d->ctx->arena, &own, argv->v[k]);
	*ret = own.v;
	return 0;
}

int gp_deploy_build(struct gp_deploy *d, struct gp_error *err)
{
	struct gp_strv env = environment(d, false);

	for (size_t i = 0; i < d->site.build.n; i++) {
		const struct gp_strv *argv = &d->site.build.v[i];
		const char *words = gp_strv_join(d->ctx->arena, argv, " ");
		struct gp_proc proc = gp_confined(d, (struct gp_proc){ .argv = argv->v, .env = env.v, .cwd = d->source_dir,
			.timeout_ms = BUILD_TIMEOUT_MS, .line = gp_tell_line, .arg = d->ctx }, false);

		gp_tell_note(d->ctx, "%s", words);
		GP_TRY_TO(err, find_build_program(d, argv, &proc.argv, err), "build command '%.200s'", words);
		GP_TRY_TO(err, gp_proc_must(&proc, NULL, err), "build command '%.200s'", words);
	}
	return 0;
}

int gp_deploy_compile(struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	const char *python = gp_sprintf(d->ctx->arena, "%s/bin/python", d->venv_dir);

	/* A file that does not compile may be a template for something else: the check that follows decides whether it matters. */
	const struct gp_proc proc = gp_confined(d, (struct gp_proc){ .argv = GP_ARGV(python, "-m", "compileall", "-q", "-j", "0", "-x",
		"/(node_modules|\\.git)/", d->source_dir), .cwd = d->source_dir, .timeout_ms = COMPILE_TIMEOUT_MS }, false);

	return gp_proc_run(&proc, &result, err);
}

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

static int manage(struct gp_deploy *d, const char *const *args, struct gp_proc_result *ret, struct gp_error *err)
{
	struct gp_strv env = environment(d, true), argv = { 0 };

	gp_strv_add(d->ctx->arena, &argv, gp_sprintf(d->ctx->arena, "%s/bin/python", d->venv_dir));
	gp_strv_add(d->ctx->arena, &argv, "manage.py");
	for (; *args; args++)
		gp_strv_add(d->ctx->arena, &argv, *args);
	/* umask 002: what it writes below media stays writable for the running site, by the setgid bit's group. */
	const struct gp_proc proc = gp_confined(d, (struct gp_proc){ .argv = argv.v, .env = env.v, .cwd = d->source_dir, .umask = 002,
		.timeout_ms = MANAGE_TIMEOUT_MS, .line = gp_tell_line, .arg = d->ctx }, true);

	if (gp_proc_must(&proc, ret, err) < 0) {
		gp_context(err, "manage.py %s", argv.v[2]);
		hint_for_python(d, err);
		return -1;
	}
	return 0;
}

int gp_deploy_check(struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv lines;
	size_t warnings = 0;

	GP_TRY(manage(d, GP_ARGV("check", "--deploy"), &result, err));
	lines = gp_lines(d->ctx->arena, gp_buf_str(&result.err));
	for (size_t i = 0; i < lines.n; i++)
		warnings += gp_starts_with(lines.v[i], "?: (") || strstr(lines.v[i], ": (security.W") != NULL;
	if (warnings)
		gp_tell_note(d->ctx, "%zu warning%s of Django's own; --verbose shows them", warnings, warnings == 1 ? "" : "s");
	return 0;
}

int gp_deploy_collectstatic(struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };

	GP_TRY(manage(d, GP_ARGV("collectstatic", "--noinput"), &result, err));
	gp_tell_note(d->ctx, "%s", gp_last_line(d->ctx->arena, gp_buf_str(&result.out)));
	return 0;
}

int gp_deploy_migrate(struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv lines;
	size_t applied = 0;

	GP_TRY(manage(d, GP_ARGV("migrate", "--noinput"), &result, err));
	lines = gp_lines(d->ctx->arena, gp_buf_str(&result.out));
	for (size_t i = 0; i < lines.n; i++)
		applied += gp_starts_with(lines.v[i], "  Applying ");
	if (applied)
		gp_tell_note(d->ctx, "%zu migration%s applied", applied, applied == 1 ? "" : "s");
	else
		gp_tell_note(d->ctx, "nothing to migrate");
	return 0;
}
