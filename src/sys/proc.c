/*
 * The process runner. fork, not vfork: the child changes user, groups and session before exec, and each of those may fail with a
 * message. The parent polls three pipes and a pidfd until the child is gone and its output read, or the deadline has passed.
 */
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
#include "sys/proc_child.h"
#include "sys/proc_session.h"
#include "sys/program.h"

enum { DEFAULT_TIMEOUT_MS = 60000, DEFAULT_OUTPUT = 1 << 20, LINE_MAX_BYTES = 4096, DRAIN_MS = 200,
	PIPE_BYTES = 1 << 20, GATHER_BYTES = PIPE_BYTES / 8, GATHER_MS = 1 };

struct stream {
	int fd;
	struct gp_buf *kept;
	struct gp_buf line;
	bool is_stderr, refused;
};

bool gp_proc_have(const char *name)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	return gp_program_find(arena, name) != NULL;
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
static void drain(const struct gp_proc *proc, struct stream *s, struct gp_error *err)
{
	bool gathers = proc->room && !s->is_stderr;
	char own[16384], *data = own;
	size_t room = sizeof(own);
	ssize_t n;

	if (gathers)
		data = proc->room(proc->arg, &room);
	n = read(s->fd, data, room);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		gp_closep(&s->fd);
		return;
	}
	if (proc->data && !s->is_stderr) {
		s->refused = proc->data(proc->arg, data, (size_t)n, err) < 0;
		/* Who writes 4 KiB at a time would wake us for each of them. */
		if (gathers && n < GATHER_BYTES && (size_t)n < room)
			poll(NULL, 0, GATHER_MS);
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

/* Poll until the child has ended and both streams are closed, or its output is refused. Returns false at the deadline. A grandchild that keeps the pipes open
 * after the child's end gets DRAIN_MS. */
static bool pump(const struct gp_proc *proc, int pidfd, int *in, struct stream streams[2], int64_t deadline,
	struct gp_error *err)
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
				drain(proc, &streams[i], err);
		if (streams[0].refused)
			return true;
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

static const char *name_of(const struct gp_proc *proc)
{
	const char *slash = strrchr(proc->argv[0], '/');

	return proc->name ? proc->name : slash ? slash + 1 : proc->argv[0];
}

static int start_failed(const struct gp_proc *proc, const struct gp_start_failure *failure, struct gp_error *err)
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

	gp_fail(err, GP_E_FAILED, "%s did not end within %s and was killed", name_of(proc), gp_duration(arena, timeout_ms));
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

/* The report pipe closes at exec: this read lasts no longer than the start. */
static int wait_for_start(const struct gp_proc *proc, pid_t pid, int pidfd, int report, struct gp_error *err)
{
	struct gp_start_failure failure;
	ssize_t n;

	do
		n = read(report, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(failure) && pidfd >= 0)
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (pidfd < 0)
		return gp_fail(err, GP_E_FAILED, "cannot watch %s: pidfd_open failed", proc->argv[0]);
	return start_failed(proc, &failure, err);
}

/* A child that has been started and not been waited for. */
struct gp_proc_job {
	struct gp_proc proc;
	pid_t pid;
	int pidfd, in, out, err, status; /* status: where pid 1 of a confined program tells how it ended; or -1 */
	int64_t start, timeout;
};

static int start_job(const struct gp_proc *proc, struct gp_proc_job *ret, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_FD in0 = -1, in1 = -1, out0 = -1, out1 = -1, err0 = -1, err1 = -1, rep0 = -1, rep1 = -1, pidfd = -1;
	GP_AUTO_FD status0 = -1, status1 = -1;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, errp[2] = { -1, -1 }, report[2] = { -1, -1 }, told[2] = { -1, -1 };
	int64_t start = gp_mono_ms();
	const char *program;
	struct gp_strv env;
	int made;
	pid_t pid;

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
		gp_proc_child(proc, program, env.v, (struct gp_child_fds){ .std = { proc->in_fd > 2 ? proc->in_fd : in0,
			proc->out_fd > 2 ? proc->out_fd : out1, err1 }, .report = rep1, .status = status1 });
	gp_closep(&rep1);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
	fcntl(out0, F_SETFL, O_NONBLOCK);
	fcntl(err0, F_SETFL, O_NONBLOCK);
	if (proc->room)
		fcntl(out0, F_SETPIPE_SZ, PIPE_BYTES); /* smaller where the kernel will not */
	GP_TRY(wait_for_start(proc, pid, pidfd, rep0, err));

	*ret = (struct gp_proc_job){ .proc = *proc, .pid = pid, .pidfd = pidfd, .in = in1, .out = out0, .err = err0, .status = status0,
		.start = start, .timeout = proc->timeout_ms ? proc->timeout_ms : DEFAULT_TIMEOUT_MS };
	pidfd = in1 = out0 = err0 = status0 = -1; /* the job owns them now */
	return 0;
}

enum job_end { JOB_ENDED, JOB_TOO_LATE, JOB_REFUSED };

/* Until it has ended, or the deadline has passed, or what it writes is refused (then err says why). Nothing is left of it then, nor of its
 * session. */
static enum job_end end_job(struct gp_proc_job *job, int64_t deadline, struct gp_proc_result *ret, struct gp_error *err)
{
	struct stream streams[2] = { { .fd = job->out, .kept = &ret->out }, { .fd = job->err, .kept = &ret->err, .is_stderr = true } };
	bool in_time = pump(&job->proc, job->pidfd, &job->in, streams, deadline, err);
	int status;

	/* Whatever the child left behind in its session goes with it; at the deadline that is the child itself. */
	if (!in_time || streams[0].refused)
		kill(job->pid, SIGKILL);
	gp_proc_kill_session(job->pid);
	status = wait_for(job->pid, job->status);
	finish_line(&job->proc, &streams[0]);
	finish_line(&job->proc, &streams[1]);
	gp_closep(&job->in);
	gp_closep(&job->pidfd);
	gp_closep(&job->status);
	ret->ms = gp_mono_ms() - job->start;
	if (!in_time)
		return JOB_TOO_LATE;
	if (streams[0].refused)
		return JOB_REFUSED;
	ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return JOB_ENDED;
}

static struct gp_proc_result no_result(const struct gp_proc *proc)
{
	size_t keep = proc->output_max ? proc->output_max : DEFAULT_OUTPUT;

	return (struct gp_proc_result){ .status = -1, .out.max = keep, .err.max = keep };
}

static int result_of(const struct gp_proc_job *job, enum job_end end, const struct gp_proc_result *ret, struct gp_error *err)
{
	return end == JOB_ENDED ? 0 : end == JOB_REFUSED ? -1 : timed_out(&job->proc, ret, job->timeout, err);
}

int gp_proc_run(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err)
{
	struct gp_proc_job job;

	*ret = no_result(proc);
	GP_TRY(start_job(proc, &job, err));
	return result_of(&job, end_job(&job, job.start + job.timeout, ret, err), ret, err);
}

int gp_proc_begin(const struct gp_proc *proc, struct gp_proc_job **ret, struct gp_error *err)
{
	struct gp_proc_job *job = calloc(1, sizeof(*job));

	if (!job)
		abort();
	if (start_job(proc, job, err) < 0) {
		free(job);
		return -1;
	}
	*ret = job;
	return 0;
}

int gp_proc_end(struct gp_proc_job *job, struct gp_proc_result *ret, struct gp_error *err)
{
	int result;

	*ret = no_result(&job->proc);
	result = result_of(job, end_job(job, job->start + job->timeout, ret, err), ret, err);
	free(job);
	return result;
}

void gp_proc_abandon(struct gp_proc_job *job)
{
	GP_AUTO_RESULT result = { 0 };

	if (!job)
		return;
	job->proc.line = NULL;
	end_job(job, gp_mono_ms(), &result, NULL);
	free(job);
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
	const char *name = name_of(proc);

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
