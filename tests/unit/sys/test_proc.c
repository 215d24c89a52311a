/*
 * The runner with real programs: how they end, what they say, what they are given, and that nothing of them is left: no process, no
 * descriptor, no variable of ours in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/proc.h"

#include "../scratch.h"

#define SH(script) GP_ARGV("/bin/sh", "-c", script)

static int run_sh(const char *script, struct gp_proc_result *ret)
{
	struct gp_error err = { 0 };
	int result = gp_proc_run(&(struct gp_proc){ .argv = SH(script) }, ret, &err);

	if (result < 0)
		print_error("%s\n", err.msg);
	return result;
}

static void assert_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Does the process still run? One that only waits to be reaped by whoever inherited it does not. */
static bool runs(pid_t pid)
{
	char path[32];
	const char *stat, *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stat = said(path);
	end = strrchr(stat, ')');
	return stat[0] != '(' && end && end[2] != 'Z' && end[2] != 'X';
}

static bool gone_soon(pid_t pid)
{
	for (int i = 0; i < 200 && runs(pid); i++)
		usleep(10000);
	return !runs(pid);
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
		{ "exit 127", 127, 0 },
		{ "kill -TERM $$", -1, SIGTERM },
		{ "kill -KILL $$", -1, SIGKILL },
		{ "kill -PIPE $$", -1, SIGPIPE },
		{ "exec >&- 2>&-; exit 3", 3, 0 }, /* its output ends before it does */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };

		assert_int_equal(run_sh(cases[i].script, &result), 0);
		assert_int_equal(result.status, cases[i].status);
		assert_int_equal(result.signal, cases[i].signal);
		assert_int_equal(result.out.len + result.err.len, 0);
		assert_true(result.ms >= 0 && result.ms < 10000);
	}
	assert_no_children();
}

static void test_must(void **state)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("echo fine") }, &result, &err), 0);
	assert_string_equal(gp_buf_str(&result.out), "fine\n");
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("true") }, NULL, NULL), 0);

	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("echo first >&2; echo out; echo last >&2; echo >&2; exit 7") }, NULL,
				 &err), -1);
	assert_int_equal(err.kind, GP_E_FAILED);
	assert_string_equal(err.msg, "sh exited with status 7: last");
	assert_string_equal(err.detail, "first\nlast\n\n");

	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("echo why; exit 1") }, NULL, &err), -1);
	assert_string_equal(err.msg, "sh exited with status 1: why"); /* stdout where stderr is silent */
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("exit 1") }, NULL, &err), -1);
	assert_string_equal(err.msg, "sh exited with status 1");
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("kill -SEGV $$") }, NULL, &err), -1);
	assert_string_equal(err.msg, "sh was ended by signal 11 (Segmentation fault)");
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("exit 1") }, NULL, NULL), -1);
}

/* stdout in pieces, from a file on stdin; 2 MiB of it, or until it is refused. */
static int count(void *arg, const char *data, size_t len, struct gp_error *err)
{
	size_t *counted = arg;

	(void)data;
	*counted += len;
	return *counted > 5000000 ? gp_fail(err, GP_E_REFUSED, "that is enough") : 0;
}

static void test_data(void **state)
{
	FILE *file = tmpfile();
	GP_AUTO_RESULT result = { 0 }, refused = { 0 };
	struct gp_error err = { 0 };
	size_t counted = 0;

	(void)state;
	assert_int_equal(ftruncate(fileno(file), 2 << 20), 0);
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = GP_ARGV("cat"), .in_fd = fileno(file), .data = count, .arg = &counted }, &result,
				 &err), 0);
	assert_int_equal(result.status, 0);
	assert_int_equal(counted, 2 << 20);
	assert_int_equal(result.out.len, 0);
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("cat /dev/zero; sleep 60"), .data = count, .arg = &counted }, &refused, &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_string_equal(err.msg, "that is enough");
	fclose(file);
	assert_no_children();
}

struct seen {
	struct gp_arena *arena;
	struct gp_strv out, err;
};

static void see(void *arg, bool is_stderr, const char *text)
{
	struct seen *seen = arg;

	gp_strv_add(seen->arena, is_stderr ? &seen->err : &seen->out, gp_strdup(seen->arena, text));
}

static void test_lines(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct seen seen = { .arena = arena };
	GP_AUTO_RESULT result = { 0 };
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("echo one; printf 'two\\r\\n\\n'; printf 'th'; sleep 0.1; echo ree;"
		"echo oops >&2; printf '10%%\\r20%%\\rend'; head -c 5000 /dev/zero | tr '\\0' x >&2"), .line = see, .arg = &seen }, &result, &err), 0);
	assert_string_equal(gp_strv_join(arena, &seen.out, "|"), "one|two|three|10%|20%|end");
	assert_int_equal(seen.err.n, 2);
	assert_string_equal(seen.err.v[0], "oops");
	assert_int_equal(strlen(seen.err.v[1]), 4096); /* a longer line is cut */
	assert_string_equal(gp_buf_str(&result.out), "one\ntwo\r\n\nthree\n10%\r20%\rend"); /* what is kept is what was said */
	assert_int_equal(result.err.len, 5005);
}

static void test_tails(void **state)
{
	GP_AUTO_RESULT result = { 0 };
	GP_AUTO_RESULT big = { 0 };
	struct gp_error err = { 0 };
	int64_t start = gp_mono_ms();

	(void)state;
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("seq 1 1000; seq 1001 2000 >&2"), .output_max = 50 }, &result, &err), 0);
	assert_true(result.out.len <= 50 && result.err.len <= 50);
	assert_true(result.out.truncated && result.err.truncated);
	assert_true(gp_ends_with(gp_buf_str(&result.out), "998\n999\n1000\n"));
	assert_true(gp_ends_with(gp_buf_str(&result.err), "1998\n1999\n2000\n"));

	/* 10 MB on each, at the same time: neither can block the other, and no more than 1 MiB of each is kept */
	assert_int_equal(run_sh("head -c 10000000 /dev/zero >&2 & head -c 10000000 /dev/zero; wait; echo end; echo end >&2", &big), 0);
	assert_int_equal(big.status, 0);
	assert_int_equal(big.out.len, 1 << 20);
	assert_int_equal(big.err.len, 1 << 20);
	assert_memory_equal(big.out.data + big.out.len - 4, "end\n", 4);
	assert_memory_equal(big.err.data + big.err.len - 4, "end\n", 4);
	assert_true(gp_mono_ms() - start < 20000);
}

static void test_input(void **state)
{
	enum { SIZE = 5000000 };
	char *input = malloc(SIZE);
	static const struct {
		const char *script, *out;
	} cases[] = {
		{ "wc -c", "5000000\n" },
		{ "tail -c 3", "xyz" },
		{ "true", "" },                       /* does not read at all */
		{ "exec <&-; sleep 0.1; echo a", "a\n" },
		{ "head -c 2", "xx" },                /* stops reading */
	};

	(void)state;
	memset(input, 'x', SIZE);
	memcpy(input + SIZE - 3, "xyz", 3);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };
		struct gp_error err = { 0 };

		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH(cases[i].script), .input = input, .input_len = SIZE }, &result, &err), 0);
		assert_int_equal(result.status, 0);
		assert_string_equal(gp_buf_str(&result.out), cases[i].out);
		assert_true(result.ms < 5000);
	}
	/* none: an end of file at once, also where the input is a text of no bytes */
	for (int i = 0; i < 2; i++) {
		GP_AUTO_RESULT result = { 0 };

		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("wc -c"), .input = i ? "" : NULL }, &result, NULL), 0);
		assert_string_equal(gp_buf_str(&result.out), "0\n");
	}
	/* one that never reads cannot outstay the deadline */
	GP_AUTO_RESULT late = { 0 };
	struct gp_error err = { 0 };
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("sleep 100"), .input = input, .input_len = SIZE, .timeout_ms = 200 }, &late,
				 &err), -1);
	assert_true(late.ms < 3000);
	free(input);
	assert_no_children();
}

static void test_deadline(void **state)
{
	/* Each names the process that must not survive. */
	static const char *const scripts[] = {
		"echo $$; exec sleep 100",
		"sleep 100 & echo $!; wait",
		"sleep 100 & echo $!; exec >&- 2>&-; wait",
		"trap '' TERM INT HUP; echo $$; while :; do sleep 0.05; done",
		"(sh -c 'sleep 100 & echo $!; wait' &); sleep 100",
		"bash -c 'set -m; sleep 100 & echo $!; wait'", /* a process group of its own, in the same session */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		GP_AUTO_RESULT result = { 0 };
		struct gp_error err = { 0 };
		pid_t pid;

		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH(scripts[i]), .timeout_ms = 300 }, &result, &err), -1);
		assert_int_equal(err.kind, GP_E_FAILED);
		assert_string_equal(err.msg, "/bin/sh did not end within 300 ms and was killed");
		assert_non_null(strstr(err.detail, gp_buf_str(&result.out)));
		assert_true(result.ms >= 290 && result.ms < 3000);
		assert_int_equal(result.status, -1);
		pid = atoi(gp_buf_str(&result.out));
		assert_true(pid > 1);
		if (!gone_soon(pid))
			fail_msg("script %zu: process %d still runs", i, (int)pid);
	}
	assert_no_children();
}

/* What a program leaves in its session goes with it; a daemon in a session of its own may stay, but holds nobody up. */
static void test_left_behind(void **state)
{
	static const struct {
		const char *script;
		int64_t timeout_ms;
		int result;
		bool own_session;
	} cases[] = {
		{ "sleep 100 & echo $!", 0, 0, false },
		{ "(sleep 100 & echo $!) & wait", 0, 0, false },
		{ "bash -c 'set -m; sleep 100 & echo $!'", 0, 0, false },
		{ "setsid sh -c 'echo $$; exec sleep 100' & sleep 0.2", 0, 0, true },
		{ "setsid sh -c 'echo $$; exec sleep 100' & sleep 100", 500, -1, true },
		{ "setsid sh -c 'echo $$; while :; do echo x; sleep 0.01; done' & sleep 0.2", 0, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };
		struct gp_error err = { 0 };
		int64_t start = gp_mono_ms();
		pid_t pid;

		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH(cases[i].script), .timeout_ms = cases[i].timeout_ms }, &result, &err),
			cases[i].result);
		assert_true(gp_mono_ms() - start < 2000);
		pid = atoi(gp_buf_str(&result.out));
		assert_true(pid > 1);
		if (cases[i].own_session)
			kill(pid, SIGKILL);
		assert_true(gone_soon(pid));
	}
	assert_no_children();
}

/* Begun, and ended when other things are done. */
static void test_beside(void **state)
{
	GP_AUTO_RESULT result = { 0 };
	GP_AUTO_RESULT late = { 0 };
	struct gp_proc_job *job = NULL;
	struct gp_error err = { 0 };
	int64_t start = gp_mono_ms();

	(void)state;
	assert_int_equal(gp_proc_begin(&(struct gp_proc){ .argv = SH("cat; sleep 0.3; echo said; exit 7"), .input = "read, ", .input_len = 6 }, &job,
		&err), 0);
	assert_true(gp_mono_ms() - start < 250);
	assert_int_equal(gp_proc_end(job, &result, &err), 0);
	assert_in_range(gp_mono_ms() - start, 290, 3000);
	assert_int_equal(result.status, 7);
	assert_string_equal(gp_buf_str(&result.out), "read, said\n");

	assert_int_equal(gp_proc_begin(&(struct gp_proc){ .argv = SH("exec sleep 100"), .timeout_ms = 300 }, &job, &err), 0);
	usleep(300000); /* the deadline counts from the beginning */
	start = gp_mono_ms();
	assert_int_equal(gp_proc_end(job, &late, &err), -1);
	assert_true(gp_mono_ms() - start < 250);
	assert_string_equal(err.msg, "/bin/sh did not end within 300 ms and was killed");
	assert_int_equal(gp_proc_begin(&(struct gp_proc){ .argv = (const char *const[]){ "/nonexistent/x", NULL } }, &job, &err), -1);
	assert_no_children();
}

static void test_abandoned(void **state)
{
	struct gp_proc_job *job = NULL;
	struct gp_error err = { 0 };
	char name[] = "/tmp/gp-test-proc-XXXXXX";
	int fd = mkstemp(name), pid = 0;
	const char *script[] = { "/bin/sh", "-c", "sleep 100 & echo $! >\"$0\"; wait", name, NULL };
	int64_t start = gp_mono_ms();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(gp_proc_begin(&(struct gp_proc){ .argv = script }, &job, &err), 0);
	while (pid <= 1 && gp_mono_ms() - start < 3000) {
		char text[32] = "";

		pid = pread(fd, text, sizeof(text) - 1, 0) > 0 && strchr(text, '\n') ? atoi(text) : 0;
	}
	assert_true(pid > 1);
	gp_proc_abandon(job);
	assert_true(gone_soon(pid)); /* and what it had started */
	assert_no_children();
	gp_proc_abandon(NULL);
	close(fd);
	unlink(name);
}

static void test_cannot_start(void **state)
{
	const char *noexec = at("noexec"), *interpreter = at("interpreter"), *format = at("format");
	const struct {
		const char *program, *cwd, *msg;
		int number;
	} cases[] = {
		{ at("missing"), NULL, "execute it): No such file or directory", ENOENT },
		{ noexec, NULL, "execute it): Permission denied", EACCES },
		{ interpreter, NULL, "execute it): No such file or directory", ENOENT },
		{ format, NULL, "execute it): Exec format error", ENOEXEC },
		{ scratch, NULL, "execute it): Permission denied", EACCES },
		{ "/bin/true", at("missing"), "enter its folder): No such file or directory", ENOENT },
		{ "/bin/true", noexec, "enter its folder): Not a directory", ENOTDIR },
		{ "goldpath-no-such-program", NULL, "there is no program 'goldpath-no-such-program' on this host", 0 },
	};

	(void)state;
	put(noexec, "#!/bin/sh\n");
	put_bytes(interpreter, "#!/no/such/shell\n", 17, 0755);
	put_bytes(format, "no program\n", 11, 0755);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_RESULT result = { 0 };
		struct gp_error err = { 0 };
		struct gp_proc proc = { .argv = GP_ARGV(cases[i].program), .cwd = cases[i].cwd };
		int before = open_files();

		assert_int_equal(gp_proc_run(&proc, &result, &err), -1);
		assert_int_equal(err.kind, GP_E_FAILED);
		assert_int_equal(err.sys_errno, cases[i].number);
		assert_non_null(strstr(err.msg, cases[i].msg));
		assert_non_null(strstr(err.msg, cases[i].program));
		assert_int_equal(open_files(), before);
		assert_int_equal(gp_proc_run(&proc, &result, NULL), -1);
		if (cases[i].program == interpreter)
			assert_non_null(strstr(err.hint, "interpreter"));
	}
	assert_no_children();
	assert_true(gp_proc_have("sh"));
	assert_true(gp_proc_have("/bin/sh"));
	assert_false(gp_proc_have("goldpath-no-such-program"));
}

static void test_environment(void **state)
{
	static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static const struct {
		const char *env[5], *want;
	} cases[] = {
		{ { NULL }, "%s\nLANG=C.UTF-8\nHOME=/root\n" },
		{ { "A=b c", "EMPTY=", "NEWLINE=x\ny", NULL }, "%s\nLANG=C.UTF-8\nHOME=/root\nA=b c\nEMPTY=\nNEWLINE=x\ny\n" },
		{ { "HOME=/", "LANG=de_DE.UTF-8", NULL }, "%s\nHOME=/\nLANG=de_DE.UTF-8\n" },
		{ { "PATHS=/x", NULL }, "%s\nLANG=C.UTF-8\nHOME=/root\nPATHS=/x\n" }, /* another name, however it begins */
	};

	(void)state;
	setenv("GOLDPATH_TEST_SECRET", "hunter2", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		GP_AUTO_RESULT result = { 0 };
		char *want = gp_strdup(arena, cases[i].want);

		want = gp_sprintf(arena, "%s%s", path, want + 2);
		assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = GP_ARGV("env"), .env = cases[i].env }, &result, NULL), 0);
		assert_string_equal(gp_buf_str(&result.out), want);
	}
	unsetenv("GOLDPATH_TEST_SECRET");
}

static void test_folder_and_umask(void **state)
{
	GP_AUTO_RESULT result = { 0 };
	GP_AUTO_RESULT set = { 0 };
	mode_t was = umask(0);

	(void)state;
	assert_int_equal(run_sh("pwd; umask", &result), 0);
	assert_string_equal(gp_buf_str(&result.out), "/\n0022\n");
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("pwd; umask"), .cwd = scratch, .umask = 077 }, &set, NULL), 0);
	assert_true(gp_starts_with(gp_buf_str(&set.out), scratch));
	assert_true(gp_ends_with(gp_buf_str(&set.out), "\n0077\n"));
	umask(was);
}

static void test_nice(void **state)
{
	static const char script[] = "nice; sed 's/.* nice //' /proc/self/autogroup 2>/dev/null || echo 7";
	GP_AUTO_RESULT result = { 0 };

	(void)state;
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH(script), .nice = 7 }, &result, NULL), 0);
	assert_string_equal(gp_buf_str(&result.out), "7\n7\n");
}

static void test_as_another_user(void **state)
{
	static const char script[] = "id -u; id -g; id -G; grep -E '^(Uid|Gid|NoNewPrivs|CapEff|Groups):' /proc/self/status; env";
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_RESULT result = { 0 };
	GP_AUTO_RESULT denied = { 0 };
	struct gp_error err = { 0 };
	struct gp_account account;
	const char *out;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(gp_account_get(arena, "daemon", &account, &err), 0);
	account.group_count = 2; /* a supplementary group besides its own */
	account.groups[0] = account.gid;
	account.groups[1] = 54321;
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH(script), .as = &account }, &result, &err), 0);
	out = gp_buf_str(&result.out);
	assert_true(gp_starts_with(out, "1\n1\n1 54321\n"));
	assert_non_null(strstr(out, "Uid:\t1\t1\t1\t1\n"));
	assert_non_null(strstr(out, "Gid:\t1\t1\t1\t1\n"));
	assert_non_null(strstr(out, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(out, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(out, gp_sprintf(arena, "HOME=%s\n", account.home)));
	assert_non_null(strstr(out, "USER=daemon\n"));
	assert_non_null(strstr(out, "LOGNAME=daemon\n"));
	assert_non_null(strstr(out, gp_sprintf(arena, "SHELL=%s\n", account.shell)));
	/* the folder is entered as that user, and the program looked at as that user */
	assert_int_equal(chmod(scratch, 0700), 0);
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("true"), .as = &account, .cwd = scratch }, &denied, &err), -1);
	assert_int_equal(err.sys_errno, EACCES);
	assert_int_equal(chmod(scratch, 0755), 0);
}

/* Started from within gp_account_assume: still wholly that user, with no way back to root. */
static void test_as_the_assumed_user(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_RESULT result = { 0 };
	struct gp_error err = { 0 };
	struct gp_account account;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(gp_account_get(arena, "daemon", &account, &err), 0);
	{
		GP_AUTO_IDENTITY was = { 0 };

		assert_int_equal(gp_account_assume(&account, &was, &err), 0);
		assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("grep", "-E", "^[UG]id:", "/proc/self/status"), .as = &account },
					 &result, &err), 0);
	}
	assert_string_equal(gp_buf_str(&result.out), "Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\n");
}

static void test_privileges(void **state)
{
	GP_AUTO_RESULT kept = { 0 };
	GP_AUTO_RESULT given_up = { 0 };
	const char *const *argv = GP_ARGV("grep", "NoNewPrivs", "/proc/self/status");

	(void)state;
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = argv }, &given_up, NULL), 0);
	assert_string_equal(gp_buf_str(&given_up.out), "NoNewPrivs:\t1\n");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		skip();
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = argv, .may_gain_privileges = true }, &kept, NULL), 0);
	assert_string_equal(gp_buf_str(&kept.out), "NoNewPrivs:\t0\n");
}

/* Nothing of ours gets into it: no descriptor, no blocked or ignored signal, no terminal, no session. */
static void test_nothing_inherited(void **state)
{
	static const char script[] = "i=3; while [ $i -lt 300 ]; do [ -e /proc/$$/fd/$i ] && echo fd $i; i=$((i+1)); done;"
				     "readlink /proc/$$/fd/0; cut -d' ' -f6,7 /proc/$$/stat; echo $$ 0";
	GP_AUTO_RESULT result = { 0 };
	GP_AUTO_RESULT signals = { 0 };
	int leak[3] = { open("/dev/null", O_RDONLY), dup2(1, 47), dup2(1, 211) }, before;
	unsigned long blocked, ignored;
	sigset_t block, was;
	char *p;

	(void)state;
	sigfillset(&block);
	sigprocmask(SIG_BLOCK, &block, &was);
	before = open_files();
	assert_int_equal(run_sh(script, &result), 0);
	/* not by the shell, which has signals blocked for moments of its own */
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = GP_ARGV("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status") }, &signals, NULL), 0);
	assert_int_equal(open_files(), before);
	sigprocmask(SIG_SETMASK, &was, NULL);
	for (size_t i = 0; i < 3; i++)
		close(leak[i]);
	assert_int_equal(sscanf(gp_buf_str(&signals.out), "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	/* 32 and 33 are glibc's own (signal(7)): nobody can set them, and whoever ran this test may have had them ignored */
	assert_int_equal(ignored & ~(3UL << 31), 0);
	assert_true(gp_starts_with(gp_buf_str(&result.out), "/dev/null\n"));
	/* the session's number is its own pid, and there is no terminal */
	p = strchr(result.out.data, '\n') + 1;
	assert_int_equal(atoi(p), atoi(strchr(p, '\n') + 1));
	assert_int_equal(atoi(strchr(p, ' ')), 0);
}

/* Standard descriptors that are closed here (a daemon's) are still there for it. */
static void test_closed_descriptors(void **state)
{
	(void)state;
	for (unsigned closed = 1; closed < 8; closed++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			GP_AUTO_RESULT result = { 0 };
			bool good;

			for (int fd = 0; fd < 3; fd++)
				if (closed & (1U << fd))
					close(fd);
			good = gp_proc_run(&(struct gp_proc){ .argv = SH("cat; echo err >&2"), .input = "in\n", .input_len = 3 }, &result, NULL) == 0 &&
				result.status == 0 && gp_streq(gp_buf_str(&result.out), "in\n") && gp_streq(gp_buf_str(&result.err), "err\n");
			good = good && gp_proc_run(&(struct gp_proc){ .argv = GP_ARGV("/no/such/program") }, &result, NULL) < 0;
			gp_proc_result_free(&result);
			_exit(good ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("with descriptors %u closed", closed);
	}
}

static void tell_pid(void *arg, bool is_stderr, const char *text)
{
	(void)is_stderr;
	dprintf(*(int *)arg, "%s\n", text);
}

static void test_never_outlives_its_runner(void **state)
{
	int fds[2], status;
	char text[32] = "";
	pid_t runner, pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	runner = fork();
	assert_true(runner >= 0);
	if (runner == 0) {
		GP_AUTO_RESULT result = { 0 };

		gp_proc_run(&(struct gp_proc){ .argv = SH("echo $$; exec sleep 100"), .line = tell_pid, .arg = &fds[1] }, &result, NULL);
		_exit(1);
	}
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	pid = atoi(text);
	assert_true(pid > 1 && runs(pid));
	kill(runner, SIGKILL);
	assert_int_equal(waitpid(runner, &status, 0), runner);
	assert_true(gone_soon(pid));
	close(fds[0]);
	close(fds[1]);
}

static void test_become(void **state)
{
	struct gp_error err = { 0 };
	char text[64] = "";
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		gp_proc_become(GP_ARGV("sh", "-c", "cat; exit 5"), "--ref\0main\0", 11, NULL);
		_exit(99);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 5);
	assert_int_equal(read(fds[0], text, sizeof(text)), 11);
	assert_memory_equal(text, "--ref\0main\0", 11);
	close(fds[0]);
	assert_int_equal(gp_proc_become(GP_ARGV("goldpath-no-such-program"), "", 0, &err), -1);
	assert_non_null(strstr(err.msg, "goldpath-no-such-program"));
}

static void test_open_files_for_streams(void **state)
{
	int in = open(at("in"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), out = open(at("out"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	GP_AUTO_RESULT result = { 0 };
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(write(in, "one\ntwo\n", 8), 8);
	assert_int_equal(lseek(in, 4, SEEK_SET), 4);
	assert_int_equal(gp_proc_run(&(struct gp_proc){ .argv = SH("cat; echo no >&2; exit 3"), .in_fd = in, .out_fd = out }, &result, &err), 0);
	assert_int_equal(result.status, 3);
	assert_int_equal(result.out.len, 0);
	assert_string_equal(gp_buf_str(&result.err), "no\n");
	assert_string_equal(said(at("out")), "two\n");
	close(in);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_it_ends),
		cmocka_unit_test(test_must),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_tails),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test_setup_teardown(test_cannot_start, scratch_begin, scratch_end),
		cmocka_unit_test(test_environment),
		cmocka_unit_test_setup_teardown(test_folder_and_umask, scratch_begin, scratch_end),
		cmocka_unit_test(test_nice),
		cmocka_unit_test_setup_teardown(test_as_another_user, scratch_begin, scratch_end),
		cmocka_unit_test(test_as_the_assumed_user),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_nothing_inherited),
		cmocka_unit_test(test_closed_descriptors),
		cmocka_unit_test(test_never_outlives_its_runner),
		cmocka_unit_test(test_become),
		cmocka_unit_test_setup_teardown(test_open_files_for_streams, scratch_begin, scratch_end),
	};

	signal(SIGPIPE, SIG_IGN); /* as the program does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
