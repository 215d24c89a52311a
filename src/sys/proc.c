/*
 * The process runner. fork, not vfork: the child changes user, groups and session before exec, and each of those may fail with a
 * message. The parent polls three pipes and a pidfd until the child is gone and its output read, or the deadline has passed.
 */
#include "sys/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/confine.h"
#include "sys/fs.h"
#include "sys/program.h"

enum { DEFAULT_TIMEOUT_MS = 60000, DEFAULT_OUTPUT = 1 << 20, LINE_MAX_BYTES = 4096, DRAIN_MS = 200 };

/* What the child could not do, told to the parent through a close-on-exec pipe. */
struct start_failure {
	int number;
	bool confining;
	char doing[96];
};

/* What the child is handed, besides what it is to run. */
struct child_fds {
	int std[3];
	int report; /* closes at exec */
	int status; /* confined: where pid 1 writes how the program ended; else -1 */
};

struct stream {
	int fd;
	struct gp_buf *kept;
	struct gp_buf line;
	bool is_stderr;
};

bool gp_proc_have(const char *name)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	return gp_program_find(arena, name) != NULL;
}

static void child_cannot(int report, const char *doing, bool confining) __attribute__((noreturn));
static void child_cannot(int report, const char *doing, bool confining)
{
	struct start_failure failure = { .number = errno, .confining = confining };

	snprintf(failure.doing, sizeof(failure.doing), "%s", doing);
	while (write(report, &failure, sizeof(failure)) < 0 && errno == EINTR)
		;
	_exit(127);
}

static void child_fail(int report, const char *doing) __attribute__((noreturn));
static void child_fail(int report, const char *doing)
{
	child_cannot(report, doing, false);
}

/*
 * For good: all three ids. Within gp_account_assume the real one is still root's, which gives the right to change them here and
 * would be the program's way back to root if it stayed.
 */
static void become_user(const struct gp_account *as, int report)
{
	uid_t uid = as ? as->uid : geteuid(), real, effective, saved;
	gid_t gid = as ? as->gid : getegid();

	if (getresuid(&real, &effective, &saved) < 0)
		child_fail(report, "ask for its user");
	if (real == uid && effective == uid && saved == uid && (uid != 0 || !as))
		return;
	if (effective != 0 && real == 0 && seteuid(0) < 0)
		child_fail(report, "set its user");
	if (as && setgroups((size_t)as->group_count, as->groups) < 0)
		child_fail(report, "set its groups");
	if (setresgid(gid, gid, gid) < 0)
		child_fail(report, "set its group");
	if (setresuid(uid, uid, uid) < 0)
		child_fail(report, "set its user");
}

/* To their places: 0-2, the report at 3, the status at 4; everything else is closed. */
static void arrange(struct child_fds *fds)
{
	int high[3];

	/* Out of the way first: where goldpath was started without one of the three, a pipe may have its number. */
	fds->report = fcntl(fds->report, F_DUPFD_CLOEXEC, 5);
	if (fds->status >= 0)
		fds->status = fcntl(fds->status, F_DUPFD_CLOEXEC, 5);
	for (int i = 0; i < 3; i++)
		high[i] = fcntl(fds->std[i], F_DUPFD_CLOEXEC, 5);
	for (int i = 0; i < 3; i++)
		if (dup2(high[i], i) < 0)
			child_fail(fds->report, "connect its output");
	if (dup3(fds->report, 3, O_CLOEXEC) < 0 || (fds->status >= 0 && dup3(fds->status, 4, O_CLOEXEC) < 0))
		child_fail(fds->report, "report");
	fds->report = 3;
	fds->status = fds->status >= 0 ? 4 : -1;
	syscall(SYS_close_range, fds->status < 0 ? 4U : 5U, ~0U, 0U);
}

/*
 * Returns in the program's process; this one stays behind as pid 1 of the new namespace. A program that were pid 1 itself would not be
 * ended by signals from within (abort, kill), and would inherit orphans that it never reaps. It stays root, out of the program's reach.
 */
static void confine(const struct gp_confine *view, const struct child_fds *fds)
{
	struct pollfd parent = { .fd = fds->report };
	const char *doing = "";
	pid_t program;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Gone already: nobody holds the other end. getppid() is 0 in here and tells nothing. */
	if (poll(&parent, 1, 0) != 0)
		_exit(127);
	if (gp_confine_enter(view, &doing) < 0)
		child_cannot(fds->report, doing, true);
	program = fork();
	if (program < 0)
		child_fail(fds->report, "start it in its namespaces");
	if (program > 0) {
		syscall(SYS_close_range, 0U, 3U, 0U);
		gp_confine_init(program, fds->status);
	}
	close(fds->status);
	if (setsid() < 0)
		child_fail(fds->report, "start a session");
}

/* Runs in the child, between fork and exec. Only descriptors 0-2 and the report (close-on-exec) survive. */
static void child(const struct gp_proc *proc, const char *program, const char *const *env, struct child_fds fds)
	__attribute__((noreturn));
static void child(const struct gp_proc *proc, const char *program, const char *const *env, struct child_fds fds)
{
	sigset_t none;

	/* A session of its own: no controlling terminal to push input into, and one group to kill. */
	if (setsid() < 0)
		child_fail(fds.report, "start a session");
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	arrange(&fds);
	if (proc->confine)
		confine(proc->confine, &fds);
	become_user(proc->as, fds.report);
	if (!proc->may_gain_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(fds.report, "give up privileges");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(proc->umask ? proc->umask : 022);
	if (chdir(proc->cwd ? proc->cwd : "/") < 0)
		child_fail(fds.report, "enter its folder");
	if (proc->confine && gp_confine_filter(proc->confine) < 0)
		child_cannot(fds.report, "a filter for system calls", true);
	/* execve wants char *const *; it changes nothing. */
	execve(program, (char *const *)(uintptr_t)proc->argv, (char *const *)(uintptr_t)env);
	child_fail(fds.report, "execute it");
}

static void emit_lines(const struct gp_proc *proc, struct stream *s, const char *data, size_t len)
{
	if (!proc->line)
		return;
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n' && data[i] != '\r') {
			if (s->line.len < LINE_MAX_BYTES)
				gp_buf_add(&s->line, data + i, 1);
			continue;
		}
		if (s->line.len)
			proc->line(proc->arg, s->is_stderr, gp_buf_str(&s->line));
		s->line.len = 0;
		if (s->line.data)
			s->line.data[0] = '\0';
	}
}

/* Read what is there; closes the stream at its end. */
static void drain(const struct gp_proc *proc, struct stream *s)
{
	char data[16384];
	ssize_t n = read(s->fd, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		gp_closep(&s->fd);
		return;
	}
	gp_buf_keep_tail(s->kept, data, (size_t)n);
	emit_lines(proc, s, data, (size_t)n);
}

static void finish_line(const struct gp_proc *proc, struct stream *s)
{
	if (proc->line && s->line.len)
		proc->line(proc->arg, s->is_stderr, gp_buf_str(&s->line));
	gp_buf_free(&s->line);
	gp_closep(&s->fd);
}

/* Feed stdin. A child that does not read it must not stall us, nor end us by SIGPIPE (ignored by main; EPIPE is no error here). */
static void feed(int *fd, const char **input, size_t *left)
{
	ssize_t n = *left ? write(*fd, *input, *left) : 0;

	if (n > 0) {
		*input += n;
		*left -= (size_t)n;
	}
	if (!*left || (n < 0 && errno != EINTR && errno != EAGAIN))
		gp_closep(fd);
}

/* Poll until the child has ended and both streams are closed. Returns false at the deadline. A grandchild that keeps the pipes open
 * after the child's end gets DRAIN_MS. */
static bool pump(const struct gp_proc *proc, int pidfd, int *in, struct stream streams[2], int64_t deadline)
{
	const char *input = proc->input;
	size_t left = proc->input_len;
	bool ended = false;

	while (!ended || streams[0].fd >= 0 || streams[1].fd >= 0) {
		struct pollfd fds[4] = {
			{ .fd = ended ? -1 : pidfd, .events = POLLIN },
			{ .fd = streams[0].fd, .events = POLLIN },
			{ .fd = streams[1].fd, .events = POLLIN },
			{ .fd = *in, .events = POLLOUT },
		};
		int n = poll(fds, 4, (int)gp_left_ms(deadline));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ended;
		for (int i = 0; i < 2; i++)
			if (fds[1 + i].revents)
				drain(proc, &streams[i]);
		if (fds[3].revents)
			feed(in, &input, &left);
		if (fds[0].revents) {
			int64_t soon = gp_mono_ms() + DRAIN_MS;

			ended = true;
			if (soon < deadline)
				deadline = soon;
		}
	}
	return true;
}

/* The session that a process is in, as /proc/PID/stat has it: "pid (comm) state ppid pgrp session ...". 0: it is gone. */
static pid_t session_of(const char *pid)
{
	char path[64], text[512];
	GP_AUTO_FD fd = -1;
	const char *after;
	int session = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	after = strrchr(text, ')');
	return after && sscanf(after + 1, " %*c %*d %*d %d", &session) == 1 && after[2] != 'Z' ? session : 0;
}

/*
 * Kill whatever runs in the session of a child that is not reaped yet, so that its number cannot have been given away. Its process
 * group goes at once; process groups of its own (job control) are looked for, again until none is found: they may be forking.
 */
static void kill_session(pid_t leader)
{
	kill(-leader, SIGKILL);
	for (int round = 0; round < 10; round++) {
		DIR *dir = opendir("/proc");
		struct dirent *e;
		int found = 0;

		while (dir && (e = readdir(dir))) {
			pid_t pid = atoi(e->d_name);

			if (pid > 1 && pid != leader && session_of(e->d_name) == leader)
				found += kill(pid, SIGKILL) == 0;
		}
		if (dir)
			closedir(dir);
		if (!found)
			return;
	}
}

static int open_pipes(int in[2], int out[2], int errp[2], int report[2], bool has_input, struct gp_error *err)
{
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(errp, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0)
		return gp_fail_errno(err, errno, "make a pipe");
	if (has_input) {
		if (pipe2(in, O_CLOEXEC) < 0)
			return gp_fail_errno(err, errno, "make a pipe");
		fcntl(in[1], F_SETFL, O_NONBLOCK);
	} else {
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (in[0] < 0)
			return gp_fail_errno(err, errno, "open /dev/null");
	}
	return 0;
}

static int start_failed(const struct gp_proc *proc, const struct start_failure *failure, struct gp_error *err)
{
	if (failure->confining)
		return gp_confine_refused(failure->number, failure->doing, err);
	gp_fail_errno(err, failure->number, "cannot start %s (%s)", proc->argv[0], failure->doing);
	if (failure->number == ENOENT && gp_streq(failure->doing, "execute it"))
		gp_hint(err, "it, or the interpreter in its first line, is not there");
	return -1;
}

static int timed_out(const struct gp_proc *proc, const struct gp_proc_result *ret, int64_t timeout_ms, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const struct gp_buf *said = ret->err.len ? &ret->err : &ret->out;

	gp_fail(err, GP_E_FAILED, "%s did not end within %s and was killed", proc->argv[0], gp_duration(arena, timeout_ms));
	return gp_detail(err, gp_buf_str(said), said->len);
}

/* fork, into namespaces of its own where it is confined: then its end is the end of all that it started. */
static pid_t fork_child(const struct gp_proc *proc)
{
	/* struct clone_args as of Linux 5.3: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls. */
	uint64_t args[8] = { [0] = gp_confine_flags, [4] = SIGCHLD };

	return proc->confine ? (pid_t)syscall(SYS_clone3, args, sizeof(args)) : fork();
}

/* How it ended. Of a confined program pid 1 has written it down; it did not get to that if it was killed itself. */
static int wait_for(pid_t pid, int status_pipe)
{
	int status = 0, told;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status_pipe >= 0 && read(status_pipe, &told, sizeof(told)) == (ssize_t)sizeof(told))
		return told;
	return status;
}

int gp_proc_run(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_FD in0 = -1, in1 = -1, out0 = -1, out1 = -1, err0 = -1, err1 = -1, rep0 = -1, rep1 = -1, pidfd = -1;
	GP_AUTO_FD status0 = -1, status1 = -1;
	int64_t timeout = proc->timeout_ms ? proc->timeout_ms : DEFAULT_TIMEOUT_MS, start = gp_mono_ms();
	size_t keep = proc->output_max ? proc->output_max : DEFAULT_OUTPUT;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, errp[2] = { -1, -1 }, report[2] = { -1, -1 }, told[2] = { -1, -1 };
	struct start_failure failure;
	const char *program;
	struct gp_strv env;
	bool in_time;
	int status = 0, made;
	pid_t pid;

	*ret = (struct gp_proc_result){ .status = -1, .out.max = keep, .err.max = keep };
	program = gp_program_find(arena, proc->argv[0]);
	if (!program)
		return gp_fail(err, GP_E_FAILED, "there is no program '%s' on this host", proc->argv[0]);
	env = gp_program_env(arena, proc->as, proc->env);
	if (proc->confine && pipe2(told, O_CLOEXEC) < 0)
		return gp_fail_errno(err, errno, "make a pipe");
	status0 = told[0], status1 = told[1];
	made = open_pipes(in, out, errp, report, proc->input != NULL, err);
	in0 = in[0], in1 = in[1], out0 = out[0], out1 = out[1], err0 = errp[0], err1 = errp[1], rep0 = report[0], rep1 = report[1];
	GP_TRY(made);

	pid = fork_child(proc);
	if (pid < 0 && proc->confine)
		return gp_confine_refused(errno, "namespaces", err);
	if (pid < 0)
		return gp_fail_errno(err, errno, "start %s", proc->argv[0]);
	if (pid == 0)
		child(proc, program, env.v, (struct child_fds){ .std = { in0, out1, err1 }, .report = rep1, .status = status1 });
	gp_closep(&in0);
	gp_closep(&out1);
	gp_closep(&err1);
	gp_closep(&rep1);
	gp_closep(&status1);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
	fcntl(out0, F_SETFL, O_NONBLOCK);
	fcntl(err0, F_SETFL, O_NONBLOCK);

	/* The report pipe closes at exec: this read lasts no longer than the start. */
	ssize_t n;
	do
		n = read(rep0, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(failure) || pidfd < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		if (pidfd < 0)
			return gp_fail(err, GP_E_FAILED, "cannot watch %s: pidfd_open failed", proc->argv[0]);
		return start_failed(proc, &failure, err);
	}

	struct stream streams[2] = { { .fd = out0, .kept = &ret->out }, { .fd = err0, .kept = &ret->err, .is_stderr = true } };
	out0 = err0 = -1; /* the streams own them now */
	in_time = pump(proc, pidfd, &in1, streams, start + timeout);
	/* Whatever the child left behind in its session goes with it; at the deadline that is the child itself. */
	if (!in_time)
		kill(pid, SIGKILL);
	kill_session(pid);
	status = wait_for(pid, status0);
	finish_line(proc, &streams[0]);
	finish_line(proc, &streams[1]);
	ret->ms = gp_mono_ms() - start;
	if (!in_time)
		return timed_out(proc, ret, timeout, err);
	ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return 0;
}

/* The line that says what went wrong: the first that calls itself an error, else the last that is not indented (tracebacks, and advice
 * below an error, are indented). */
static const char *verdict(struct gp_arena *arena, const char *said)
{
	static const char *const marks[] = { "fatal: ", "error: ", "ERROR: ", "E: " };
	struct gp_strv lines = gp_lines(arena, said);

	for (size_t i = 0; i < lines.n; i++)
		for (size_t k = 0; k < sizeof(marks) / sizeof(marks[0]); k++)
			if (gp_starts_with(lines.v[i], marks[k]))
				return gp_trim(arena, lines.v[i] + strlen(marks[k]));
	for (size_t i = lines.n; i-- > 0;)
		if (lines.v[i][0] && !strchr(" \t\r", lines.v[i][0]))
			return gp_trim(arena, lines.v[i]);
	return gp_last_line(arena, said);
}

int gp_proc_fail(const struct gp_proc *proc, const struct gp_proc_result *result, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const struct gp_buf *said = result->err.len ? &result->err : &result->out;
	const char *last = verdict(arena, gp_buf_str(said));
	const char *name = strrchr(proc->argv[0], '/');

	name = name ? name + 1 : proc->argv[0];
	if (result->signal)
		gp_fail(err, GP_E_FAILED, "%s was ended by signal %d (%s)", name, result->signal, strsignal(result->signal));
	else
		gp_fail(err, GP_E_FAILED, "%s exited with status %d%s%.300s", name, result->status, *last ? ": " : "", last);
	return gp_detail(err, gp_buf_str(said), said->len);
}

int gp_proc_must(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err)
{
	GP_AUTO_RESULT own = { 0 };
	struct gp_proc_result *result = ret ? ret : &own;

	GP_TRY(gp_proc_run(proc, result, err));
	if (result->status != 0)
		return gp_proc_fail(proc, result, err);
	return 0;
}

int gp_proc_become(const char *const *argv, const void *input, size_t input_len, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_FD fd = memfd_create("goldpath-options", 0);
	const char *program = gp_program_find(arena, argv[0]);

	if (!program)
		return gp_fail(err, GP_E_FAILED, "there is no program '%s' on this host", argv[0]);
	if (fd < 0 || write(fd, input, input_len) != (ssize_t)input_len || lseek(fd, 0, SEEK_SET) < 0 || dup2(fd, STDIN_FILENO) < 0)
		return gp_fail_errno(err, errno, "hand the options over");
	execve(program, (char *const *)(uintptr_t)argv, environ);
	return gp_fail_errno(err, errno, "start %s", argv[0]);
}

void gp_proc_result_free(struct gp_proc_result *result)
{
	gp_buf_free(&result->out);
	gp_buf_free(&result->err);
}
