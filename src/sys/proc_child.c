/* Between fork and exec: nothing here may allocate, and each step that fails says which it was. */
#include "sys/proc_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/account.h"
#include "sys/confine.h"
#include "sys/proc.h"

static void child_cannot(int report, const char *doing, bool confining) __attribute__((noreturn));
static void child_cannot(int report, const char *doing, bool confining)
{
	struct gp_start_failure failure = { .number = errno, .confining = confining };

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
static void arrange(struct gp_child_fds *fds)
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
static void confine(const struct gp_confine *view, const struct gp_child_fds *fds)
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

/*
 * Linux shares the processor out to sessions first (sched(7), autogroups), and this is one of its own: a nice value alone would be felt by
 * nobody. Within control groups that share it out, and for the disk (ioprio_set(2)), the nice value is what counts. What cannot be changed
 * stays: it is about speed alone.
 */
static void step_back(int nice)
{
	int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	char value[16];

	snprintf(value, sizeof(value), "%d", nice);
	if (fd >= 0) { /* else a kernel without */
		while (write(fd, value, strlen(value)) < 0 && errno == EINTR)
			;
		close(fd);
	}
	setpriority(PRIO_PROCESS, 0, nice);
}

/* Only descriptors 0-2 and the report (close-on-exec) survive. */
void gp_proc_child(const struct gp_proc *proc, const char *program, const char *const *env, struct gp_child_fds fds)
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
	/* In the session that it will be in, and as root, who may do so without waiting. */
	if (proc->nice)
		step_back(proc->nice);
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
