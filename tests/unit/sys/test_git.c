/*
 * git itself, with repositories in a folder of the test's own: what a name stands for, what a checkout holds, and that a repository
 * or an address decides about nothing but content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/fs.h"
#include "sys/git.h"
#include "sys/proc.h"

#include "../scratch.h"

static struct gp_arena *arena;
static struct gp_account account;
static struct gp_git git;

/* A shell in the source repository, "src", as somebody who works there. What it prints, without the last newline. */
static const char *sh(const char *script)
{
	static const char *const env[] = { "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_GLOBAL=/dev/null", NULL };
	GP_AUTO_RESULT result = { 0 };
	struct gp_error err = { 0 };

	if (gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("/bin/sh", "-ec", script), .env = env, .cwd = at("src"), .as = &account }, &result,
		    &err) < 0)
		fail_msg("%s\n%s", err.msg, err.detail);
	return gp_trim(arena, gp_buf_str(&result.out));
}

static int begin(void **state)
{
	if (scratch_begin(state) < 0)
		return -1;
	arena = gp_arena_new();
	if (gp_account_get(arena, gp_account_name(arena, geteuid()), &account, NULL) < 0)
		return -1;
	account.home = scratch; /* nobody's ~/.gitconfig */
	git = (struct gp_git){ .arena = arena, .as = &account, .dir = gp_strdup(arena, at("repo.git")) };
	mkdir(at("src"), 0755);
	sh("git init -q -b main; echo one >file; mkdir sub; echo two >sub/manage.py; git add .; git commit -qm one");
	return 0;
}

static int finish(void **state)
{
	gp_arena_free(arena);
	return scratch_end(state);
}

static void fetch(void)
{
	struct gp_error err = { 0 };

	if (gp_git_fetch(&git, at("src"), &err) < 0)
		fail_msg("%s\n%s", err.msg, err.detail);
}

static const char *resolve(const char *ref)
{
	const char *sha = NULL;
	struct gp_error err = { 0 };

	if (gp_git_resolve(&git, ref, GP_E_USAGE, &sha, &err) < 0)
		fail_msg("%s: %s", ref, err.msg);
	return sha;
}

static void assert_unresolved(const char *ref, const char *why)
{
	const char *sha = "untouched";
	struct gp_error err = { 0 };

	assert_int_equal(gp_git_resolve(&git, ref, GP_E_USAGE, &sha, &err), -1);
	assert_int_equal(err.kind, GP_E_USAGE);
	assert_non_null(strstr(err.msg, why));
	assert_string_not_equal(err.hint, "");
	assert_string_equal(sha, "untouched");
	assert_int_equal(gp_git_resolve(&git, ref, GP_E_CONFIG, &sha, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);
}

static const char *checkout(const char *sha, const char *name)
{
	struct gp_error err = { 0 };
	const char *folder = gp_strdup(arena, at("%s", name));

	assert_int_equal(mkdir(folder, 0755), 0);
	if (gp_git_checkout(&git, sha, folder, &err) < 0)
		fail_msg("%s\n%s", err.msg, err.detail);
	return folder;
}

static void test_refs(void **state)
{
	const char *first = sh("git rev-parse HEAD"), *second, *third;

	(void)state;
	second = sh("git checkout -qb feature/x; echo 2 >file; git commit -qam two; git tag v1; git tag -am note v2; git rev-parse HEAD");
	third = sh("git checkout -q main; echo 3 >file; git commit -qam three; git branch both; git tag both; git branch split;"
		   "git tag split v1; git rev-parse HEAD");
	fetch();
	assert_string_equal(resolve("main"), third);
	assert_string_equal(resolve("feature/x"), second);
	assert_string_equal(resolve("v1"), second);
	assert_string_equal(resolve("v2"), second); /* an annotated tag stands for its commit */
	assert_string_equal(resolve("both"), third);
	assert_string_equal(resolve("refs/heads/split"), third);
	assert_string_equal(resolve("refs/tags/split"), second);
	assert_string_equal(resolve(first), first);
	assert_string_equal(resolve(gp_strndup(arena, first, 7)), first);
	assert_string_equal(resolve(gp_strndup(arena, first, 39)), first);
	assert_unresolved("split", "ambiguous");
	assert_unresolved("none", "there is no branch, tag or commit 'none'");
	assert_unresolved(gp_strndup(arena, first, 6), "there is no branch");
	assert_unresolved("0123456", "there is no branch");
	assert_unresolved("0123456789012345678901234567890123456789", "there is no branch");
	assert_unresolved("refs/heads/none", "there is no branch");
	assert_unresolved("HEAD", "there is no branch");
	assert_unresolved("feature", "there is no branch");
	assert_unresolved(sh("git rev-parse HEAD:file"), "there is no branch"); /* a blob is nothing to deploy */
}

/* Names that git would read as something else than a name never come as far as git. */
static void test_refs_that_are_none(void **state)
{
	static const char *const refs[] = { "-f", "--upload-pack=touch /tmp/x", "--all", "main^", "main~1", "main@{1}", "main:file", ":/one", "a..b",
		"main^{tree}", "", " ", "a b", "@{-1}", "x\ny" };

	(void)state;
	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++)
		assert_false(gp_name_ok(GP_NAME_ref, refs[i]));
}

/* Two objects whose names begin with the same 7 digits. */
static void test_ambiguous_commit(void **state)
{
	const char *pair;

	(void)state;
	/* 60000 blobs that no commit holds, the same ones every time */
	pair = sh("seq 60000 | awk '{ printf \"blob\\ndata %d\\n%s\\n\", length($0), $0 }' >../stream;"
		  "git fast-import --quiet --force <../stream; git cat-file --batch-all-objects --batch-check='%(objectname)' |"
		  "cut -c1-7 | sort | uniq -d | head -1");
	fetch();
	if (!*pair)
		skip();
	/* they are not fetched: bring them in by hand */
	sh("cp -r .git/objects/pack/. ../repo.git/objects/pack/; chmod -R u+w ../repo.git");
	assert_unresolved(pair, "objects start with it");
}

static void test_follows_the_source(void **state)
{
	const char *first, *second;

	(void)state;
	first = sh("git branch gone; git branch dir; git tag moved; git rev-parse HEAD");
	fetch();
	assert_string_equal(resolve("gone"), first);
	/* rewritten history, a moved tag, a branch gone, and one that is a folder now */
	second = sh("git commit -q --amend -m other; git tag -f moved >&2; git branch -D gone >&2; git branch -D dir >&2; git branch dir/sub; git rev-parse HEAD");
	fetch();
	assert_string_not_equal(first, second);
	assert_string_equal(resolve("main"), second);
	assert_string_equal(resolve("moved"), second);
	assert_string_equal(resolve("dir/sub"), second);
	assert_unresolved("gone", "there is no branch");
	assert_string_equal(resolve(first), first); /* a release that was made from it can be made again */
	fetch();
	assert_string_equal(resolve("main"), second);
}

static void test_checkout(void **state)
{
	const char *one = sh("chmod +x sub/manage.py; mkdir 'a b'; echo x >'a b/-rf'; printf 'r\\r\\n' >crlf; ln -s file link; ln -s /etc/passwd abs;"
			     "ln -s ../../.. up; ln -s nowhere dangling; git add .; git commit -qm all; git rev-parse HEAD");
	const char *two = sh("git rm -q file; git commit -qm less; git rev-parse HEAD");
	const char *folder, *other;
	bool has = false;
	struct gp_error err = { 0 };

	(void)state;
	fetch();
	folder = checkout(one, "out");
	assert_string_equal(said(at("out/file")), "one\n");
	assert_string_equal(said(at("out/a b/-rf")), "x\n");
	assert_string_equal(said(at("out/crlf")), "r\r\n");
	assert_int_equal(mode_of(at("out/file")), 0644);
	assert_int_equal(mode_of(at("out/sub/manage.py")), 0755);
	assert_int_equal(entries(folder), 8); /* and no .git among them */
	assert_int_equal(access(at("out/.git"), F_OK), -1);
	assert_string_equal(gp_fs_readlink(arena, at("out/link")), "file");
	assert_string_equal(gp_fs_readlink(arena, at("out/abs")), "/etc/passwd"); /* as it is, not what it leads to */
	assert_string_equal(gp_fs_readlink(arena, at("out/up")), "../../..");
	assert_string_equal(gp_fs_readlink(arena, at("out/dangling")), "nowhere");
	other = checkout(two, "out2");
	assert_int_equal(entries(other), 7);
	assert_int_equal(entries(scratch), 4); /* src, repo.git and the two: no index left */

	assert_int_equal(gp_git_has(&git, one, "file", &has, &err), 0);
	assert_true(has);
	assert_int_equal(gp_git_has(&git, two, "file", &has, &err), 0);
	assert_false(has);
	assert_int_equal(gp_git_has(&git, one, "sub/manage.py", &has, &err), 0);
	assert_true(has);
	assert_int_equal(gp_git_has(&git, one, "sub", &has, &err), 0);
	assert_true(has);

	assert_int_equal(mkdir(at("out3"), 0755), 0);
	assert_int_equal(gp_git_checkout(&git, "0123456789012345678901234567890123456789", at("out3"), &err), -1);
	assert_string_not_equal(err.msg, "");
	assert_int_equal(entries(at("out3")), 0);
	assert_int_equal(entries(scratch), 5);
}

/* A submodule is an empty folder; its address is never asked. */
static void test_submodule(void **state)
{
	const char *sha = sh("git update-index --add --cacheinfo 160000,0123456789012345678901234567890123456789,mod;"
			     "printf '[submodule \"mod\"]\\npath = mod\\nurl = ext::sh -c touch%% ../ran\\n' >.gitmodules; git add .gitmodules;"
			     "git commit -qm mod; git rev-parse HEAD");

	(void)state;
	fetch();
	checkout(sha, "out");
	assert_int_equal(entries(at("out/mod")), 0);
	assert_int_equal(access(at("ran"), F_OK), -1);
}

/* Everything in a repository that git could be made to run: hooks here and there, filters, a configuration in the tree. */
static void test_nothing_of_it_runs(void **state)
{
	const char *sha;

	(void)state;
	put_bytes(at("evil"), "#!/bin/sh\ntouch \"$(dirname \"$0\")/ran\"\ncat\n", 43, 0755);
	sha = sh("printf '* filter=evil diff=evil\\n' >.gitattributes; printf '[filter \"evil\"]\\nsmudge = ../evil\\n[core]\\nfsmonitor = ../evil\\n' >.gitconfig;"
		 "git add .; git commit -qm evil; for h in post-checkout reference-transaction pre-auto-gc post-update upload-pack pre-receive;"
		 "do cp ../evil .git/hooks/$h; done; git config uploadpack.packObjectsHook ../evil; git config filter.evil.smudge ../evil;"
		 "git config core.fsmonitor ../evil; git rev-parse HEAD");
	fetch();
	checkout(sha, "out");
	assert_int_equal(access(at("ran"), F_OK), -1);
	/* and hooks that somebody has put into our own copy, and a configuration that calls programs for the .gitattributes above */
	(void)!mkdir(at("repo.git/hooks"), 0755); /* fetch has taken it away */
	put(at("repo.git/config"), gp_sprintf(arena, "[core]\nbare = true\nfsmonitor = %s\n[filter \"evil\"]\nsmudge = %s\nrequired = true\n"
						     "[include]\npath = %s\n", at("evil"), at("evil"), at("more")));
	put(at("more"), gp_sprintf(arena, "[filter \"evil\"]\nprocess = %s\n", at("evil")));
	put(at("repo.git/objects/info/alternates"), "/srv/other.git/objects\n");
	put_bytes(at("repo.git/hooks/reference-transaction"), "#!/bin/sh\ntouch ran-ours\n", 25, 0755);
	put_bytes(at("repo.git/hooks/post-checkout"), "#!/bin/sh\ntouch ran-ours\n", 25, 0755);
	sh("git commit -q --allow-empty -m more --no-verify");
	unlink(at("ran")); /* by that commit, in a repository that is its owner's */
	fetch();
	checkout(resolve("main"), "out2");
	assert_int_equal(access(at("repo.git/ran-ours"), F_OK), -1);
	assert_int_equal(access("/ran-ours", F_OK), -1);
	assert_int_equal(access(at("out2/ran-ours"), F_OK), -1);
	assert_int_equal(access(at("ran"), F_OK), -1);
	assert_null(strstr(said(at("repo.git/config")), "evil"));
	assert_int_equal(access(at("repo.git/objects/info/alternates"), F_OK), -1);
}

/* Trees that no honest git makes: out of the folder, into a .git, through a symlink. */
static void test_hostile_trees(void **state)
{
	static const char *const trees[] = {
		"printf '100644 blob %s\\t..\\n' $b | git mktree",
		"t=$(printf '100644 blob %s\\tprecious\\n' $b | git mktree); printf '040000 tree %s\\t..\\n' $t | git mktree",
		"t=$(printf '100644 blob %s\\tconfig\\n' $b | git mktree); printf '040000 tree %s\\t.git\\n' $t | git mktree",
		("t=$(printf '100644 blob %s\\tprecious\\n' $b | git mktree); l=$(printf .. | git hash-object -w --stdin);"
		 "printf '120000 blob %s\\ta\\n040000 tree %s\\ta\\n' $l $t | git mktree"),
	};

	(void)state;
	put(at("precious"), "kept");
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		const char *sha = sh(gp_sprintf(arena, "b=$(echo evil | git hash-object -w --stdin); c=$(git commit-tree -m x $(%s)); git branch -f t%zu $c; echo $c",
					 trees[i], i));
		const char *folder = gp_strdup(arena, at("out%zu", i));
		struct gp_error err = { 0 };

		fetch();
		assert_int_equal(mkdir(folder, 0755), 0);
		if (gp_git_checkout(&git, sha, folder, &err) < 0)
			assert_string_not_equal(err.msg, "");
		assert_string_equal(said(at("precious")), "kept");
		assert_int_equal(access(at("out%zu/.git", i), F_OK), -1);
		sh(gp_sprintf(arena, "git branch -qD t%zu", i));
	}
}

static void test_unreachable(void **state)
{
	const struct {
		const char *url, *why;
	} cases[] = {
		{ at("nowhere"), "does not" },
		{ "http://127.0.0.1:1/x.git", "unable to access" },
		{ "git://127.0.0.1:1/x.git", "unable to connect" },
		{ "ext::sh -c touch% /tmp/goldpath-test-ran% >&2", "not allowed" },
		{ "fd::7", "not allowed" },
		{ "ftp://127.0.0.1/x.git", "not allowed" },
		{ "--upload-pack=touch", "strange pathname" }, /* no option: it stands behind "--" */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_error err = { 0 };

		assert_int_equal(gp_git_fetch(&git, cases[i].url, &err), -1);
		assert_int_equal(err.kind, GP_E_FAILED);
		if (!strstr(err.msg, cases[i].why) || !gp_starts_with(err.msg, gp_sprintf(arena, "fetch %s: git", cases[i].url)))
			fail_msg("%s: %s", cases[i].url, err.msg);
		assert_string_not_equal(err.hint, "");
	}
	assert_int_equal(access("/tmp/goldpath-test-ran", F_OK), -1);
	fetch(); /* what failed before does not stand in the way */
	assert_string_equal(resolve("main"), sh("git rev-parse main"));
}

/* To daemon, whose numbers are the same everywhere. */
static int give_away(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return lchown(path, 1, 1);
}

static void test_as_its_owner(void **state)
{
	struct gp_account daemon;
	struct gp_error err = { 0 };
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(gp_account_get(arena, "daemon", &daemon, &err), 0);
	daemon.home = scratch;
	git.as = &daemon;
	assert_int_equal(mkdir(at("theirs"), 0755), 0);
	assert_int_equal(chown(at("theirs"), daemon.uid, daemon.gid), 0);
	git.dir = gp_strdup(arena, at("theirs/repo.git"));
	/* git refuses a repository of somebody else's, and the hint says so */
	assert_int_equal(gp_git_fetch(&git, at("src"), &err), -1);
	assert_non_null(strstr(err.hint, "must belong to user daemon"));
	assert_int_equal(nftw(at("src"), give_away, 16, FTW_PHYS), 0);
	fetch();
	assert_int_equal(lstat(at("theirs/repo.git/HEAD"), &st), 0);
	assert_int_equal(st.st_uid, daemon.uid);
}

static void test_look_at_a_checkout(void **state)
{
	struct gp_git here = { .arena = arena, .as = &account, .dir = gp_strdup(arena, at("src")) };
	struct gp_git_work work;
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_git_look(&here, &work, &err), 0);
	assert_string_equal(work.sha, sh("git rev-parse HEAD"));
	assert_string_equal(work.ref, "main");
	assert_null(work.origin);
	assert_int_equal(work.changed.n + work.ignored.n, 0);

	sh("git remote add origin https://git.example.com/a.git; echo more >>file; mkdir new __pycache__; echo x >'new/a b'; echo x >__pycache__/a.pyc;"
	   "git mv sub/manage.py manage.py; printf '/.env\n' >.git/info/exclude; echo x >.env");
	assert_int_equal(gp_git_look(&here, &work, &err), 0);
	assert_string_equal(work.origin, "https://git.example.com/a.git");
	assert_string_equal(gp_strv_join(arena, &work.changed, "|"), "file|manage.py|new/a b");
	assert_string_equal(gp_strv_join(arena, &work.ignored, "|"), ".env");

	/* nobody is on a branch: a tag, else the commit */
	sh("git stash -q; git checkout -q --detach");
	assert_int_equal(gp_git_look(&here, &work, &err), 0);
	assert_string_equal(work.ref, work.sha);
	sh("git tag v1");
	assert_int_equal(gp_git_look(&here, &work, &err), 0);
	assert_string_equal(work.ref, "v1");

	here.dir = gp_strdup(arena, at("none"));
	assert_int_equal(gp_git_look(&here, &work, &err), -1);
	assert_int_equal(err.kind, GP_E_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_SOURCE(test) cmocka_unit_test_setup_teardown(test, begin, finish)
		WITH_SOURCE(test_refs),
		WITH_SOURCE(test_refs_that_are_none),
		WITH_SOURCE(test_ambiguous_commit),
		WITH_SOURCE(test_follows_the_source),
		WITH_SOURCE(test_checkout),
		WITH_SOURCE(test_submodule),
		WITH_SOURCE(test_nothing_of_it_runs),
		WITH_SOURCE(test_hostile_trees),
		WITH_SOURCE(test_unreachable),
		WITH_SOURCE(test_as_its_owner),
		WITH_SOURCE(test_look_at_a_checkout),
	};

	if (!gp_proc_have("git"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
