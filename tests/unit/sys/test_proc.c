/* The runner with real programs: how they end, what they say and are told, and that nothing of them is left, no process and no descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdbool.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

#include "../programs.h"
#include "../scratch.h"

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
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = SH("exit 1"), .name = "what it starts" }, NULL, &err), -1);
	assert_string_equal(err.msg, "what it starts exited with status 1");
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
		assert_string_equal(err.msg, "sh did not end within 300 ms and was killed");
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
	assert_string_equal(err.msg, "sh did not end within 300 ms and was killed");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_it_ends),
		cmocka_unit_test(test_must),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_tails),
		cmocka_unit_test(test_input),
		cmocka_unit_test_setup_teardown(test_open_files_for_streams, scratch_begin, scratch_end),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_never_outlives_its_runner),
	};

	signal(SIGPIPE, SIG_IGN); /* as the program does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
