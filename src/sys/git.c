/* git. A repository is hostile: no hooks, no remote helpers, no prompts, no configuration but the user's own. */
#include "sys/git.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { FETCH_TIMEOUT_MS = 10 * 60 * 1000, LOCAL_TIMEOUT_MS = 5 * 60 * 1000 };

static const char *const git_env[] = {
	"GIT_TERMINAL_PROMPT=0",
	"GIT_ASKPASS=/bin/false",
	"SSH_ASKPASS=/bin/false",
	/* git-config(1), protocol.allow: only what fetches and runs nothing here. */
	"GIT_ALLOW_PROTOCOL=https:http:ssh:git:file",
	"GIT_SSH_COMMAND=ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new -oConnectTimeout=15 -oServerAliveInterval=15",
	"GIT_HTTP_LOW_SPEED_LIMIT=100",
	"GIT_HTTP_LOW_SPEED_TIME=60",
	NULL,
};

static int run(const struct gp_git *git, const char *const *args, const char *const *more_env, int64_t timeout_ms,
	struct gp_proc_result *ret, struct gp_error *err)
{
	struct gp_strv argv = { 0 }, env = { 0 };

	gp_strv_add(git->arena, &argv, "git");
	gp_strv_add(git->arena, &argv, "--git-dir");
	gp_strv_add(git->arena, &argv, git->dir);
	gp_strv_add(git->arena, &argv, "-c");
	gp_strv_add(git->arena, &argv, "core.hooksPath=/dev/null");
	gp_strv_add(git->arena, &argv, "-c");
	gp_strv_add(git->arena, &argv, "core.fsmonitor=false");
	for (; *args; args++)
		gp_strv_add(git->arena, &argv, *args);
	for (const char *const *e = git_env; *e; e++)
		gp_strv_add(git->arena, &env, *e);
	for (; more_env && *more_env; more_env++)
		gp_strv_add(git->arena, &env, *more_env);
	return gp_proc_run(&(struct gp_proc){ .argv = argv.v, .env = env.v, .as = git->as, .timeout_ms = timeout_ms, .line = git->line,
		.arg = git->arg }, ret, err);
}

static int must(const struct gp_git *git, const char *const *args, const char *const *more_env, int64_t timeout_ms,
	struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };

	GP_TRY(run(git, args, more_env, timeout_ms, &result, err));
	return result.status == 0 ? 0 : gp_proc_fail(&(struct gp_proc){ .argv = GP_ARGV("git") }, &result, err);
}

static void hint_for_fetch(const struct gp_git *git, struct gp_error *err)
{
	const char *said = err ? err->detail : "";

	if (strstr(said, "Permission denied (publickey"))
		gp_hint(err, "add %s/.ssh/id_ed25519.pub to the repository as a deploy key", git->as->home);
	else if (strstr(said, "Host key verification failed") || strstr(said, "HOST IDENTIFICATION HAS CHANGED"))
		gp_hint(err, "the server's key is not the one seen before: see %s/.ssh/known_hosts", git->as->home);
	else if (strstr(said, "could not read Username") || strstr(said, "Authentication failed"))
		gp_hint(err, "it asks for a password: give the site an ssh address, and the deploy user's key access to it");
	else if (strstr(said, "No space left"))
		gp_hint(err, "the disk is full: `df -h %s`", git->dir);
	else if (strstr(said, "dubious ownership"))
		gp_hint(err, "a repository on this host must belong to user %s", git->as->name);
	else
		gp_hint(err, "does this host reach it? Try: sudo -u %s git ls-remote ADDRESS", git->as->name);
}

/*
 * Programs are called for by what lies in a repository's folder: filters, helpers, a command for ssh. git runs unconfined, so nothing is
 * kept there but what `git init` writes; what the user needs goes into the user's own configuration.
 */
static int plain_config(const struct gp_git *git, struct gp_error *err)
{
	static const char plain[] = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
	static const char *const others[] = { "config.worktree", "commondir", "hooks", "info/attributes", "objects/info/alternates" };
	const char *path = gp_sprintf(git->arena, "%s/config", git->dir), *text = "";
	GP_AUTO_IDENTITY was = { 0 };

	if (git->as)
		GP_TRY(gp_account_assume(git->as, &was, err));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		GP_TRY(gp_fs_remove(gp_sprintf(git->arena, "%s/%s", git->dir, others[i]), err));
	if (gp_fs_read_nofollow(git->arena, path, sizeof(plain), &text, NULL, NULL) == 1 && gp_streq(text, plain))
		return 0;
	return gp_fs_write(path, plain, strlen(plain), 0644, (uid_t)-1, (gid_t)-1, err);
}

int gp_git_fetch(const struct gp_git *git, const char *url, struct gp_error *err)
{
	if (!gp_fs_exists(gp_sprintf(git->arena, "%s/HEAD", git->dir)))
		GP_TRY_TO(err, must(git, GP_ARGV("init", "--quiet", "--bare", git->dir), NULL, LOCAL_TIMEOUT_MS, err), "make %s", git->dir);
	GP_TRY_TO(err, plain_config(git, err), "make %s", git->dir);
	if (must(git, GP_ARGV("fetch", "--quiet", "--force", "--prune", "--no-recurse-submodules", "--no-write-fetch-head", "--", url,
				 "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"), NULL, FETCH_TIMEOUT_MS, err) < 0) {
		hint_for_fetch(git, err);
		return gp_context(err, "fetch %s", url);
	}
	return 0;
}

/* The commit that an exact name stands for, or NULL. */
static int commit_of(const struct gp_git *git, const char *name, const char **ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	const char *peeled = gp_sprintf(git->arena, "%s^{commit}", name);

	GP_TRY(run(git, GP_ARGV("rev-parse", "--verify", "--quiet", "--end-of-options", peeled), NULL, LOCAL_TIMEOUT_MS, &result, err));
	*ret = result.status == 0 ? gp_trim(git->arena, gp_buf_str(&result.out)) : NULL;
	if (*ret && (strlen(*ret) != 40 || strspn(*ret, "0123456789abcdef") != 40))
		return gp_fail(err, GP_E_FAILED, "git names no commit for %s", name);
	return 0;
}

static int ambiguous(const char *ref, int error_kind, const char *what, const char *how, struct gp_error *err)
{
	gp_fail(err, (enum gp_error_kind)error_kind, "the ref '%s' is ambiguous: %s", ref, what);
	return gp_hint(err, "%s", how);
}

int gp_git_resolve(const struct gp_git *git, const char *ref, int error_kind, const char **ret_sha, struct gp_error *err)
{
	const char *branch, *tag, *commit = NULL;
	size_t len = strlen(ref);

	GP_TRY(commit_of(git, gp_sprintf(git->arena, "refs/heads/%s", ref), &branch, err));
	GP_TRY(commit_of(git, gp_sprintf(git->arena, "refs/tags/%s", ref), &tag, err));
	if (branch && tag && !gp_streq(branch, tag))
		return ambiguous(ref, error_kind, "a branch and a tag of that name stand for different commits",
			gp_sprintf(git->arena, "say refs/heads/%s or refs/tags/%s, or the commit itself", ref, ref), err);
	if (!branch && !tag && gp_starts_with(ref, "refs/"))
		GP_TRY(commit_of(git, ref, &commit, err));
	if (!branch && !tag && !commit && len >= 7 && len <= 40 && strspn(ref, "0123456789abcdef") == len) {
		GP_AUTO_RESULT all = { 0 };
		struct gp_strv lines;

		GP_TRY(commit_of(git, ref, &commit, err));
		GP_TRY(run(git, GP_ARGV("rev-parse", gp_sprintf(git->arena, "--disambiguate=%s", ref)), NULL, LOCAL_TIMEOUT_MS, &all, err));
		lines = gp_lines(git->arena, gp_buf_str(&all.out));
		if (!commit && lines.n > 1)
			return ambiguous(ref, error_kind, gp_sprintf(git->arena, "%zu objects start with it", lines.n), "give more digits", err);
	}
	if (!branch && !tag && !commit) {
		gp_fail(err, (enum gp_error_kind)error_kind, "there is no branch, tag or commit '%s' in the repository", ref);
		return gp_hint(err, "has it been pushed? A commit needs 7 digits at least");
	}
	*ret_sha = branch ? branch : tag ? tag : commit;
	return 0;
}

int gp_git_has(const struct gp_git *git, const char *sha, const char *path, _Bool *ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };

	GP_TRY(run(git, GP_ARGV("cat-file", "-e", gp_sprintf(git->arena, "%s:%s", sha, path)), NULL, LOCAL_TIMEOUT_MS, &result, err));
	*ret = result.status == 0;
	return 0;
}

int gp_git_checkout(const struct gp_git *git, const char *sha, const char *folder, struct gp_error *err)
{
	/* An index of its own: the bare repository has none, and two checkouts never meet in one. */
	const char *index = gp_sprintf(git->arena, "GIT_INDEX_FILE=%s.index", folder);
	const char *const *env = GP_ARGV(index, gp_sprintf(git->arena, "GIT_WORK_TREE=%s", folder));
	int result = -1;

	if (must(git, GP_ARGV("read-tree", sha), env, LOCAL_TIMEOUT_MS, err) == 0 &&
		must(git, GP_ARGV("checkout-index", "--all", "--quiet", gp_sprintf(git->arena, "--prefix=%s/", folder)), env, LOCAL_TIMEOUT_MS,
			err) == 0)
		result = 0;
	gp_fs_remove(index + strlen("GIT_INDEX_FILE="), NULL);
	if (result < 0 && err && strstr(err->detail, "No space left"))
		gp_hint(err, "the disk is full: `df -h %s`", folder);
	return result;
}

/* ---- a checkout -------------------------------------------------------------------------------------------------------- */

/* The folder is its owner's, and so is the configuration in it: git runs as nobody else. */
static int ask_work(const struct gp_git *git, const char *const *args, struct gp_proc_result *ret, struct gp_error *err)
{
	struct gp_strv argv = { 0 };

	gp_strv_add(git->arena, &argv, "git");
	gp_strv_add(git->arena, &argv, "--no-optional-locks");
	gp_strv_add(git->arena, &argv, "-C");
	gp_strv_add(git->arena, &argv, git->dir);
	for (; *args; args++)
		gp_strv_add(git->arena, &argv, *args);
	return gp_proc_run(&(struct gp_proc){ .argv = argv.v, .env = git_env, .as = git->as, .timeout_ms = LOCAL_TIMEOUT_MS }, ret, err);
}

/* What it prints, trimmed; NULL where it fails or prints nothing. */
static int answer(const struct gp_git *git, const char *const *args, const char **ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };

	GP_TRY(ask_work(git, args, &result, err));
	*ret = result.status == 0 ? gp_trim(git->arena, gp_buf_str(&result.out)) : NULL;
	if (*ret && !**ret)
		*ret = NULL;
	return 0;
}

static bool is_compiled(const char *path)
{
	return gp_ends_with(path, ".pyc") || gp_ends_with(path, "__pycache__/") || strstr(path, "__pycache__/");
}

/* "XY PATH", ended by NUL; after one that was renamed its former name, without the letters before it. */
static int look_status(const struct gp_git *git, struct gp_git_work *work, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	const char *text, *end;

	GP_TRY(ask_work(git, GP_ARGV("status", "--porcelain", "-z", "--untracked-files=all", "--ignored=matching",
		"--ignore-submodules=none"), &result, err));
	if (result.status != 0)
		return gp_proc_fail(&(struct gp_proc){ .argv = GP_ARGV("git") }, &result, err);
	text = gp_buf_str(&result.out);
	end = text + result.out.len;
	for (const char *p = text; p < end && strlen(p) > 3; p += strlen(p) + 1) {
		const char *path = gp_strdup(git->arena, p + 3);

		if (!is_compiled(path))
			gp_strv_add(git->arena, p[0] == '!' ? &work->ignored : &work->changed, path);
		if (p[0] == 'R' || p[0] == 'C')
			p += strlen(p) + 1;
	}
	return 0;
}

int gp_git_look(const struct gp_git *git, struct gp_git_work *ret, struct gp_error *err)
{
	struct gp_git_work work = { 0 };

	GP_TRY(answer(git, GP_ARGV("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), &work.sha, err));
	if (!work.sha || strlen(work.sha) != 40 || strspn(work.sha, "0123456789abcdef") != 40)
		return gp_fail(err, GP_E_CONFIG, "%s is no git checkout with a commit in it", git->dir);
	GP_TRY(answer(git, GP_ARGV("symbolic-ref", "--short", "--quiet", "HEAD"), &work.ref, err));
	if (!work.ref)
		GP_TRY(answer(git, GP_ARGV("describe", "--exact-match", "--tags", "HEAD"), &work.ref, err));
	if (!work.ref)
		work.ref = work.sha;
	GP_TRY(answer(git, GP_ARGV("remote", "get-url", "origin"), &work.origin, err));
	GP_TRY(look_status(git, &work, err));
	*ret = work;
	return 0;
}
