/* What a program is given: the folder, the user and the environment that were asked for, and nothing of ours besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"
#include "sys/account.h"

#include "../programs.h"
#include "../scratch.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cannot_start, scratch_begin, scratch_end),
		cmocka_unit_test(test_environment),
		cmocka_unit_test_setup_teardown(test_folder_and_umask, scratch_begin, scratch_end),
		cmocka_unit_test(test_nice),
		cmocka_unit_test_setup_teardown(test_as_another_user, scratch_begin, scratch_end),
		cmocka_unit_test(test_as_the_assumed_user),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_nothing_inherited),
		cmocka_unit_test(test_closed_descriptors),
		cmocka_unit_test(test_become),
	};

	signal(SIGPIPE, SIG_IGN); /* as the program does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
