/* Virtual environments. Everything here runs as the deploy user: requirements are somebody else's text, and packages run code. */
#include "ops/venv.h"

#include <jansson.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "data/embed.h"
#include "ops/confined.h"
#include "ops/deploy.h"
#include "sys/ctx.h"
#include "sys/digest.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { INSTALL_TIMEOUT_MS = 20 * 60 * 1000, REQUIREMENTS_MAX = 4 << 20, INCLUDE_DEPTH = 5 };

struct recipe {
	int kind;                 /* enum gp_requirements, never auto */
	const char *file;         /* its path */
	const char *uv;           /* the program, NULL: pip */
	const char *python;       /* what makes the venv: "python3", or a version for uv */
};

static const char *in_source(struct gp_deploy *d, const char *name)
{
	return gp_sprintf(d->ctx->arena, "%s/%s", d->source_dir, name);
}

static const struct {
	int kind;
	const char *name;
} requirement_files[] = {
	{ GP_REQ_UV_LOCK, "uv.lock" },
	{ GP_REQ_TXT, "requirements.txt" },
	{ GP_REQ_PYPROJECT, "pyproject.toml" },
};

/* Which file says what is needed. uv.lock first where uv may install: it is the most exact. */
static int find_requirements(struct gp_deploy *d, struct recipe *r, struct gp_error *err)
{
	const char *looked_for = "uv.lock, requirements.txt or pyproject.toml";
	bool any = d->site.requirements == GP_REQ_AUTO;

	for (size_t i = 0; i < sizeof(requirement_files) / sizeof(requirement_files[0]) && !r->file; i++) {
		const char *path = in_source(d, requirement_files[i].name);

		if (any ? requirement_files[i].kind == GP_REQ_UV_LOCK && !r->uv : d->site.requirements != requirement_files[i].kind)
			continue;
		r->kind = requirement_files[i].kind;
		if (!any)
			looked_for = requirement_files[i].name;
		if (gp_fs_exists(path))
			r->file = path;
	}
	if (!r->file) {
		gp_fail(err, GP_E_CONFIG, "there is no %s beside manage.py", looked_for);
		return gp_hint(err, "goldpath installs what the repository pins: add one, with gunicorn in it");
	}
	if (r->kind == GP_REQ_UV_LOCK && !r->uv) {
		gp_fail(err, GP_E_CONFIG, "uv.lock needs uv, which is switched off on this host");
		return gp_hint(err, "set `uv: true` in host.yaml and provision, or `requirements:` in the site's file");
	}
	return 0;
}

/* What a requirements file says, and the files it names by -r and -c: the venv's name must change when any of them does. */
static int add_requirements(struct gp_deploy *d, const char *path, int depth, struct gp_buf *out, struct gp_error *err)
{
	const char *text, *folder = gp_strndup(d->ctx->arena, path, (size_t)(strrchr(path, '/') - path));
	struct gp_strv lines;
	int there;

	GP_TRY(there = gp_fs_read(d->ctx->arena, path, REQUIREMENTS_MAX, &text, NULL, err));
	if (!there)
		return gp_fail(err, GP_E_CONFIG, "the requirements name %s, which is not there", path);
	gp_buf_puts(out, text);
	lines = gp_lines(d->ctx->arena, text);
	for (size_t i = 0; i < lines.n && depth; i++) {
		struct gp_strv words = gp_words(d->ctx->arena, lines.v[i]);

		if (words.n == 2 && (gp_streq(words.v[0], "-r") || gp_streq(words.v[0], "-c") || gp_streq(words.v[0], "--requirement") ||
							 gp_streq(words.v[0], "--constraint")) && words.v[1][0] != '/' && !strstr(words.v[1], "://"))
			GP_TRY(add_requirements(d, gp_sprintf(d->ctx->arena, "%s/%s", folder, words.v[1]), depth - 1, out, err));
	}
	return 0;
}

static int venv_name(struct gp_deploy *d, const struct recipe *r, const char **ret, struct gp_error *err)
{
	GP_AUTO_BUF all = { 0 };
	GP_AUTO_IDENTITY was = { 0 };

	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(add_requirements(d, r->file, r->kind == GP_REQ_TXT ? INCLUDE_DEPTH : 0, &all, err));
	if (r->kind == GP_REQ_UV_LOCK)
		GP_TRY(add_requirements(d, in_source(d, "pyproject.toml"), 0, &all, err));
	gp_buf_printf(&all, "\npython %s\ninstaller %s %d\n", d->python_version, r->uv ? "uv" : "pip", r->kind);
	*ret = gp_strndup(d->ctx->arena, gp_sha256(d->ctx->arena, gp_buf_str(&all), all.len), 16);
	return 0;
}

/* Ask the host's Python what version it is and whether the project may run on it. */
static int ask_python(struct gp_deploy *d, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	json_t *answer;
	const char *version, *requires, *error;
	bool fits;

	/* -I: nothing from the checkout or the environment is imported; the script comes in by stdin. */
	const struct gp_proc ask = gp_confined(d, (struct gp_proc){ .argv = GP_ARGV("python3", "-I", "-", d->source_dir),
		.input = gp_data_project_py, .input_len = strlen(gp_data_project_py) }, false);
	GP_TRY_TO(err, gp_proc_must(&ask, &result, err), "ask Python about the project");
	answer = json_loads(gp_buf_str(&result.out), 0, NULL);
	version = json_string_value(json_object_get(answer, "version"));
	requires = json_string_value(json_object_get(answer, "requires"));
	error = json_string_value(json_object_get(answer, "error"));
	fits = json_is_true(json_object_get(answer, "fits"));
	d->python_version = gp_strdup(d->ctx->arena, version ? version : "");
	requires = gp_strdup(d->ctx->arena, requires ? requires : "");
	error = gp_strdup(d->ctx->arena, error ? error : "");
	json_decref(answer);
	if (*error)
		return gp_fail(err, GP_E_CONFIG, "%s", error);
	if (!gp_streq(d->site.python, "auto")) {
		d->python_version = d->site.python;
		return 0;
	}
	if (!fits) {
		gp_fail(err, GP_E_CONFIG, "the project wants Python %s (requires-python), and this host has %s", requires, d->python_version);
		return gp_hint(err, "set `python: \"3.x\"` in the site's file: uv brings that version");
	}
	return 0;
}

static int run_as_deploy(struct gp_deploy *d, const char *const *argv, const char *const *env, struct gp_error *err)
{
	const struct gp_proc proc = gp_confined(d, (struct gp_proc){ .argv = argv, .env = env, .cwd = d->source_dir,
		.timeout_ms = INSTALL_TIMEOUT_MS, .line = gp_tell_line, .arg = d->ctx }, false);

	return gp_proc_must(&proc, NULL, err);
}

static const char *const *uv_env(struct gp_deploy *d, const char *venv)
{
	struct gp_strv env = { 0 };
	struct gp_arena *a = d->ctx->arena;

	/* What the host trusts, uv trusts. The first name is older uv's, the second newer. */
	gp_strv_add(a, &env, "UV_NATIVE_TLS=1");
	gp_strv_add(a, &env, "UV_SYSTEM_CERTS=1");
	gp_strv_add(a, &env, "UV_NO_PROGRESS=1");
	gp_strv_add(a, &env, "UV_COMPILE_BYTECODE=1");
	/* Not hard links: a release that changes a file would change it in the cache, for those after it. */
	gp_strv_add(a, &env, "UV_LINK_MODE=copy");
	gp_strv_add(a, &env, "UV_HTTP_TIMEOUT=60");
	/* An interpreter that uv brings lies with the site: the running unit sees no home folder. */
	gp_strv_add(a, &env, gp_sprintf(a, "UV_PYTHON_INSTALL_DIR=%s/python", d->paths.venvs));
	if (gp_streq(d->site.python, "auto"))
		gp_strv_add(a, &env, "UV_PYTHON_DOWNLOADS=never");
	gp_strv_add(a, &env, gp_sprintf(a, "VIRTUAL_ENV=%s", venv));
	gp_strv_add(a, &env, gp_sprintf(a, "UV_PROJECT_ENVIRONMENT=%s", venv));
	return env.v;
}

static int make_venv(struct gp_deploy *d, const struct recipe *r, const char *venv, struct gp_error *err)
{
	if (r->uv && run_as_deploy(d, GP_ARGV(r->uv, "venv", "--quiet", "--no-project", "--python", r->python, "--", venv), uv_env(d, venv), err) < 0) {
		if (!gp_streq(d->site.python, "auto"))
			gp_hint(err, "uv could not bring Python %s: is it a version that exists, and does this host reach the internet?", d->site.python);
		return -1;
	}
	if (r->uv)
		return 0;
	if (!gp_streq(d->site.python, "auto")) {
		gp_fail(err, GP_E_CONFIG, "python: \"%s\" needs uv, which is switched off on this host", d->site.python);
		return gp_hint(err, "set `uv: true` in host.yaml and provision");
	}
	return run_as_deploy(d, GP_ARGV("python3", "-m", "venv", "--", venv), NULL, err);
}

static int install(struct gp_deploy *d, const struct recipe *r, const char *venv, struct gp_error *err)
{
	const char *python = gp_sprintf(d->ctx->arena, "%s/bin/python", venv);
	const char *const *pip_env = GP_ARGV("PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_TIMEOUT=60");

	if (r->uv && r->kind == GP_REQ_UV_LOCK)
		return run_as_deploy(d, GP_ARGV(r->uv, "sync", "--frozen", "--no-dev", "--no-install-project", "--quiet"), uv_env(d, venv), err);
	if (r->uv)
		return run_as_deploy(d, GP_ARGV(r->uv, "pip", "install", "--quiet", "--python", python, "-r", r->file), uv_env(d, venv), err);
	if (r->kind == GP_REQ_PYPROJECT)
		return run_as_deploy(d, GP_ARGV(python, "-m", "pip", "install", "--quiet", "."), pip_env, err);
	return run_as_deploy(d, GP_ARGV(python, "-m", "pip", "install", "--quiet", "-r", r->file), pip_env, err);
}

static void hint_for_install(struct gp_error *err)
{
	const char *said = err ? err->detail : "";

	if (strstr(said, "No solution found") || strstr(said, "No matching distribution") || strstr(said, "not found in the package registry"))
		gp_hint(err, "a package or version in the requirements does not exist, or two of them do not go together");
	else if (strstr(said, "requires-python") || strstr(said, "requires a different Python") || strstr(said, "Requires-Python"))
		gp_hint(err, "set `python: \"3.x\"` in the site's file: uv brings that version");
	else if (strstr(said, "No space left"))
		gp_hint(err, "the disk is full: `df -h`");
	else if (strstr(said, "dns error") || strstr(said, "error sending request") || strstr(said, "NewConnectionError"))
		gp_hint(err, "this host does not reach the package index: is there a network, and a proxy in between?");
}

/* The marker is written last, as the deploy user: a venv without it was cut off and is built anew. */
static int build_venv(struct gp_deploy *d, const struct recipe *r, const char *venv, const char *marker, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };
	int result;

	GP_TRY(gp_account_assume(&d->account, &was, err));
	GP_TRY(gp_fs_remove(venv, err));
	gp_account_resume(&was);
	result = make_venv(d, r, venv, err);
	if (result == 0 && (result = install(d, r, venv, err)) < 0) {
		hint_for_install(err);
		gp_context(err, "install %s", strrchr(r->file, '/') + 1);
	}
	GP_TRY(gp_account_assume(&d->account, &was, NULL));
	if (result < 0) {
		gp_fs_remove(venv, NULL);
		return -1;
	}
	/* uv's lock file is 0666, for anyone on the host to hold: nobody installs into this venv again. */
	GP_TRY(gp_fs_remove(gp_sprintf(d->ctx->arena, "%s/.lock", venv), err));
	return gp_fs_write(marker, "", 0, 0644, (uid_t)-1, (gid_t)-1, err);
}

int gp_venv_ensure(struct gp_deploy *d, struct gp_error *err)
{
	const char *uv = gp_sprintf(d->ctx->arena, "%s/bin/uv", gp_uv_folder(d->ctx)), *name, *marker;
	struct recipe r = {
		.uv = d->host.uv && gp_fs_exists(uv) ? uv : NULL,
		.python = gp_streq(d->site.python, "auto") ? "/usr/bin/python3" : d->site.python,
	};

	GP_TRY(find_requirements(d, &r, err));
	GP_TRY(ask_python(d, err));
	GP_TRY(venv_name(d, &r, &name, err));
	d->venv_dir = gp_sprintf(d->ctx->arena, "%s/%s", d->paths.venvs, name);
	marker = gp_sprintf(d->ctx->arena, "%s/.goldpath-complete", d->venv_dir);
	if (gp_fs_exists(marker)) {
		gp_tell_note(d->ctx, "%s unchanged, venv %s reused", strrchr(r.file, '/') + 1, name);
	} else {
		gp_tell_note(d->ctx, "%s, installed by %s into venv %s", strrchr(r.file, '/') + 1, r.uv ? "uv" : "pip", name);
		GP_TRY(build_venv(d, &r, d->venv_dir, marker, err));
	}
	if (!gp_fs_exists(gp_sprintf(d->ctx->arena, "%s/bin/gunicorn", d->venv_dir))) {
		gp_fail(err, GP_E_CONFIG, "%s does not install gunicorn", strrchr(r.file, '/') + 1);
		return gp_hint(err, "add gunicorn to it: that is what serves the site");
	}
	return 0;
}
