/* Deploy, the middle steps: packages, build commands, bytecode. All of it as the deploy user, none of it exposed yet. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/confined.h"
#include "ops/deploy.h"
#include "ops/releases.h"
#include "ops/venv.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { BUILD_TIMEOUT_MS = 30 * 60 * 1000, COMPILE_TIMEOUT_MS = 10 * 60 * 1000 };

int gp_deploy_venv(struct gp_deploy *d, struct gp_error *err)
{
	const char *link = gp_sprintf(d->ctx->arena, "%s/.goldpath/venv", d->release_dir);
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_venv_ensure(d, err));
	GP_TRY(gp_account_assume(&d->account, &was, err));
	/* Relative: from releases/ID/.goldpath/ to venvs/NAME. */
	return gp_fs_relink(link, gp_sprintf(d->ctx->arena, "../../../venvs/%s", strrchr(d->venv_dir, '/') + 1), err);
}

static bool is_set(const struct gp_strv *env, size_t n, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < n; i++)
		if (strncmp(env->v[i], key, len) == 0 && env->v[i][len] == '=')
			return true;
	return false;
}

/* What goldpath says of the release counts, whatever `.env` says of it. */
struct gp_strv gp_deploy_environment(struct gp_deploy *d, bool secrets)
{
	struct gp_arena *a = d->ctx->arena;
	struct gp_strv env = gp_release_env(d);
	size_t own;

	gp_strv_add(a, &env, gp_sprintf(a, "PATH=%s/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", d->venv_dir));
	gp_strv_add(a, &env, gp_sprintf(a, "VIRTUAL_ENV=%s", d->venv_dir));
	gp_strv_add(a, &env, "PYTHONDONTWRITEBYTECODE=1");
	gp_strv_add(a, &env, "PYTHONUNBUFFERED=1");
	own = env.n;
	for (size_t i = 0; secrets && i < d->env.n; i++)
		if (!is_set(&env, own, d->env.pairs[i].key))
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
	struct gp_strv env = gp_deploy_environment(d, false);

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
