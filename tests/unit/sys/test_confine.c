/*
 * Confined programs, real ones: what they see and may write, that they end and fail as others do, and that nothing they start lives on.
 * All of it needs root and a kernel that gives namespaces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/confine.h"
#include "sys/proc.h"

#include "../scratch.h"

#define SH(script) GP_ARGV("/bin/sh", "-c", script)

static struct gp_account user;
static struct gp_view views[8];
static struct gp_confine view;
static char sites[128], site[128], neighbour[128], release[128], repo[128], own_tmp[128], elsewhere[128];

static void folder(char *ret, const char *name)
{
	snprintf(ret, 128, "%s", at("%s", name));
	if (mkdir(ret, 0755) < 0 || chown(ret, user.uid, user.gid) < 0)
		abort();
}

/* Two sites that belong to one user, as on a host. */
static int begin(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	if (scratch_begin(state) < 0)
		return -1;
	if (geteuid() != 0)
		return 0;
	if (gp_account_get(arena, "daemon", &user, NULL) < 0)
		return -1;
	user.name = "daemon", user.home = "/usr/sbin", user.shell = "/bin/sh";
	user.groups[0] = user.gid, user.group_count = 1;
	folder(sites, "sites");
	folder(site, "sites/a");
	folder(neighbour, "sites/b");
	folder(release, "sites/a/release");
	folder(repo, "sites/a/repo.git");
	folder(own_tmp, "sites/a/tmp");
	folder(elsewhere, "elsewhere");
	put(at("sites/a/.env"), "OWN=1\n");
	put(at("sites/b/.env"), "SECRET=1\n");
	put(at("sites/a/repo.git/config"), "[core]\n");
	for (int i = 0; i < 3; i++)
		if (chown(i == 0 ? at("sites/a/.env") : i == 1 ? at("sites/b/.env") : at("sites/a/repo.git/config"), user.uid, user.gid) < 0)
			return -1;
	views[0] = (struct gp_view){ GP_VIEW_EMPTY, "/root", NULL };
	views[1] = (struct gp_view){ GP_VIEW_EMPTY, sites, NULL };
	views[2] = (struct gp_view){ GP_VIEW_READ, site, NULL };
	views[3] = (struct gp_view){ GP_VIEW_EMPTY, repo, NULL };
	views[4] = (struct gp_view){ GP_VIEW_WRITE, release, NULL };
	views[5] = (struct gp_view){ GP_VIEW_WRITE, "/var/tmp", own_tmp };
	views[6] = (struct gp_view){ GP_VIEW_READ, "/no/such/folder", NULL };
	view = (struct gp_confine){ .views = views, .n = 7 };
	return 0;
}

static void root_only(void)
{
	if (geteuid() != 0)
		skip();
}

static int run(const char *script, struct gp_proc_result *ret)
{
	struct gp_error err = { 0 };
	int result = gp_proc_run(&(struct gp_proc){ .argv = SH(script), .as = &user, .confine = &view }, ret, &err);

	if (result < 0)
		print_error("%s\n", err.msg);
	return result;
}

static bool runs(pid_t pid)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *stat = said(gp_sprintf(arena, "/proc/%d/stat", (int)pid)), *end = strrchr(stat, ')');

	return stat[0] != '(' && end && end[2] != 'Z' && end[2] != 'X';
}

/* The process outside that has this word among its arguments, 0: none. */
static pid_t find(const char *word)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	while ((e = readdir(dir))) {
		char path[300], text[4096];
		FILE *f;
		size_t n;

		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		if (atoi(e->d_name) <= 0 || !(f = fopen(path, "re")))
			continue;
		n = fread(text, 1, sizeof(text), f);
		fclose(f);
		if (memmem(text, n, word, strlen(word)))
			found = atoi(e->d_name);
	}
	closedir(dir);
	return found;
}

static bool none_soon(const char *word)
{
	for (int i = 0; i < 200 && find(word); i++)
		usleep(10000);
	return !find(word);
}

static void test_what_it_sees(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	static const struct {
		const char *script;
		bool works;
	} cases[] = {
		{ "cat .env", true },
		{ "cat ../b/.env", false },
		{ "ls ../b", false },
		{ "[ \"$(ls ..)\" = a ]", true },
		{ "cat repo.git/config", false },
		{ "[ -z \"$(ls -A repo.git)\" ]", true },
		{ "echo x >repo.git/config", false },
		{ "mkdir ../b", false },
		{ "echo x >release/file && [ -f release/file ]", true },
		{ "echo x >.env", false },
		{ "ln -s / link", false },
		{ "mv release gone", false },
		{ "rm -r tmp", false },
		{ "echo x >/var/tmp/file && cat tmp/file", true },
		{ "echo x >/dev/shm/file", true },
		{ "echo x >/dev/null; head -c 1 /dev/urandom", true },
		{ "ls ../../elsewhere", true },
		{ "touch ../../elsewhere/file", false }, /* its user's own, and in no view */
		{ "touch /tmp/goldpath-test-file", false },
		{ "ls /root/.??*", false },
		{ "[ $(ls -d /proc/[0-9]* | wc -l) -le 6 ]", true }, /* pid 1, the shells and what they call */
		{ "ls /proc/1/root/", false },
		{ "kill -0 1", false },
		{ "[ -z \"$(ls /dev/pts | grep -v ptmx)\" ]", true },
		{ "umount ..", false },
		{ "unshare -rm umount repo.git", false }, /* a user namespace of its own uncovers nothing */
		{ "unshare -rm sh -c 'umount -l ..; ls ../b'", false },
		{ "ln -s / release/link", true },
		{ "[ $(ulimit -c) != x ] && grep -q 'NoNewPrivs:.1' /proc/self/status", true },
		{ "grep -q 'CapEff:.0000000000000000' /proc/self/status", true },
	};

	(void)state;
	root_only();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };

		assert_int_equal(run(gp_sprintf(arena, "cd %s && { %s; }", site, cases[i].script), &result), 0);
		if ((result.status == 0) != cases[i].works)
			fail_msg("%s: status %d: %s%s", cases[i].script, result.status, gp_buf_str(&result.out), gp_buf_str(&result.err));
	}
	/* Outside nothing of it is to be seen but what was written. */
	assert_string_equal(said(at("sites/b/.env")), "SECRET=1\n");
	assert_string_equal(said(at("sites/a/.env")), "OWN=1\n");
	assert_string_equal(said(at("sites/a/release/file")), "x\n");
	assert_string_equal(said(at("sites/a/tmp/file")), "x\n");
	assert_int_not_equal(access("/dev/shm/file", F_OK), 0);
	assert_int_equal(owner_of(at("sites/a/release/file")), user.uid);
}

static void test_no_symlinks(void **state)
{
	static const struct {
		const char *script;
		bool works;
	} cases[] = {
		{ "echo x >plain && ln plain hard && mv plain moved", true },
		{ "ln -s / soft", false },
		{ "unshare -rm mount -t tmpfs none /mnt", false },
		{ "python3 -c 'import os; os.symlink(\"/\", \"soft\", dir_fd=os.open(\".\", 0))'", false },
		{ "ls", true },
	};

	(void)state;
	root_only();
	view.no_symlinks = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };

		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH(cases[i].script), .as = &user, .confine = &view, .cwd = release },
					 &result, NULL), 0);
		if ((result.status == 0) != cases[i].works)
			fail_msg("%s: status %d: %s", cases[i].script, result.status, gp_buf_str(&result.err));
	}
	view.no_symlinks = false;
	assert_int_not_equal(access(at("sites/a/release/soft"), F_OK), 0);
}

static void test_how_it_ends(void **state)
{
	static const struct {
		const char *script;
		int status, signal;
	} cases[] = {
		{ "exit 0", 0, 0 },
		{ "exit 1", 1, 0 },
		{ "exit 255", 255, 0 },
		{ "kill -TERM $$", -1, SIGTERM },
		{ "kill -KILL $$", -1, SIGKILL },
		{ "kill -ABRT $$", -1, SIGABRT },
		{ "kill -KILL 0", -1, SIGKILL }, /* its own group: not pid 1 */
		{ "exec >&- 2>&-; exit 3", 3, 0 },
		{ "(sleep 0.1; exit 9) & (setsid sleep 0.1 &); sleep 0.3; exit 4", 4, 0 }, /* orphans that end before it does */
	};

	(void)state;
	root_only();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };

		assert_int_equal(run(cases[i].script, &result), 0);
		assert_int_equal(result.status, cases[i].status);
		assert_int_equal(result.signal, cases[i].signal);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* A daemon: forked twice, in a session of its own, its output elsewhere, deaf to signals. */
#define DAEMON "trap '' TERM HUP INT; (setsid setsid sh -c \"exec sleep %s\" >/dev/null 2>&1 </dev/null &); "

static void test_nothing_lives_on(void **state)
{
	static const struct {
		const char *word, *script;
		int result;
	} cases[] = {
		{ "71.71001", "sleep 0.2; exit 5", 0 },
		{ "71.71002", "sleep 100", -1 },
		{ "71.71003", "kill -KILL $$", 0 },
	};

	(void)state;
	root_only();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		GP_AUTO_RESULT result = { 0 };
		struct gp_error err = { 0 };
		const char *script = gp_sprintf(arena, DAEMON "%s", cases[i].word, cases[i].script);
		int64_t start = gp_mono_ms();

		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH(script), .as = &user, .confine = &view, .timeout_ms = 700 }, &result,
					 &err), cases[i].result);
		assert_true(gp_mono_ms() - start < 3000);
		if (cases[i].result < 0)
			assert_string_equal(err.msg, "sh did not end within 700 ms and was killed");
		assert_int_equal(find(cases[i].word), 0); /* at once: pid 1 does not end before them */
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* kill -9 of who started it. */
static void test_goldpath_killed(void **state)
{
	static const char script[] = "(setsid setsid sleep 71.71004 >/dev/null 2>&1 &); sleep 71.71004";
	pid_t pid;

	(void)state;
	root_only();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		GP_AUTO_RESULT result = { 0 };

		run(script, &result);
		_exit(0);
	}
	for (int i = 0; i < 300 && !find("71.71004"); i++)
		usleep(10000);
	usleep(100000);
	assert_true(find("71.71004") != 0);
	assert_true(runs(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(none_soon("71.71004"));
}

static void test_cannot_start(void **state)
{
	const struct {
		const char *program, *cwd, *msg;
		int number;
	} cases[] = {
		{ at("missing"), NULL, "execute it): No such file or directory", ENOENT },
		{ release, NULL, "execute it): Permission denied", EACCES },
		{ "/bin/true", neighbour, "enter its folder): No such file or directory", ENOENT },
	};

	(void)state;
	root_only();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };
		struct gp_error err = { 0 };
		int before = open_files();

		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = GP_ARGV(cases[i].program), .cwd = cases[i].cwd, .as = &user,
			.confine = &view }, &result, &err), -1);
		assert_int_equal(err.kind, GP_E_FAILED);
		assert_int_equal(err.sys_errno, cases[i].number);
		assert_non_null(strstr(err.msg, cases[i].msg));
		assert_int_equal(open_files(), before);
	}
}

/* Input, output and lines go through pid 1's namespace as anywhere. */
static void test_streams(void **state)
{
	GP_AUTO_RESULT result = { 0 };

	(void)state;
	root_only();
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("cat; echo oops >&2; ls /proc/self/fd | wc -l; echo $HOME"), .as = &user,
		.confine = &view, .input = "in\n", .input_len = 3 }, &result, NULL), 0);
	assert_string_equal(gp_buf_str(&result.out), "in\n4\n/usr/sbin\n"); /* 0, 1, 2 and ls' own */
	assert_string_equal(gp_buf_str(&result.err), "oops\n");
}

/* In the session that it has in there; its pid is another one outside. */
static void test_nice(void **state)
{
	static const char script[] = "nice; sed 's/.* nice //' /proc/self/autogroup 2>/dev/null || echo 7";
	GP_AUTO_RESULT result = { 0 };

	(void)state;
	root_only();
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH(script), .as = &user, .confine = &view, .nice = 7 }, &result, NULL), 0);
	assert_string_equal(gp_buf_str(&result.out), "7\n7\n");
}

/* A host that refuses: as whoever may not make namespaces. */
static void test_refused(void **state)
{
	GP_AUTO_RESULT result = { 0 };
	GP_AUTO_IDENTITY was = { 0 };
	struct gp_error err = { 0 };

	(void)state;
	root_only();
	assert_int_equal(gp_account_assume(&user, &was, &err), 0);
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("true"), .as = &user, .confine = &view }, &result, &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_int_equal(err.sys_errno, EPERM);
	assert_non_null(strstr(err.hint, "confine: false"));
}

/* What goldpath does to itself, in a process that is not needed afterwards. */
static void test_self(void **state)
{
	struct gp_view own[] = { { GP_VIEW_EMPTY, sites, NULL }, { GP_VIEW_WRITE, site, NULL } };
	struct gp_error err = { 0 };
	int status;
	pid_t pid;

	(void)state;
	root_only();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		GP_AUTO_RESULT result = { 0 };
		bool narrow = gp_confine_self(&(struct gp_confine){ .views = own, .n = 2 }, &err) == 0 && access(neighbour, F_OK) < 0 &&
			access(release, F_OK) == 0 && access("/root", F_OK) == 0;

		put(at("sites/a/by-itself"), "x\n");
		_exit(narrow && run("true", &result) == 0 && result.status == 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(access(neighbour, F_OK), 0);
	assert_string_equal(said(at("sites/a/by-itself")), "x\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_sees),
		cmocka_unit_test(test_no_symlinks),
		cmocka_unit_test(test_how_it_ends),
		cmocka_unit_test(test_nothing_lives_on),
		cmocka_unit_test(test_goldpath_killed),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_nice),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_self),
	};

	return cmocka_run_group_tests(tests, begin, scratch_end);
}
