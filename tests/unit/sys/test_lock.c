/* Locks: one holder, whom the second one is told about; the lock ends with the process, however that ends, and with nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/lock.h"

#include "../scratch.h"

/* A process that takes the lock, says so, and waits to be killed. outlived: it leaves a program behind that was started meanwhile. */
static pid_t hold(const char *name, const char *command, const char *step, pid_t *outlived)
{
	int ready[2];
	pid_t pid, child = 0;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct gp_lock lock = { .fd = -1 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (gp_lock_take(&lock, at("locks"), name, command, NULL) < 0)
			_exit(1);
		gp_lock_step(&lock, step);
		if (outlived) {
			child = fork();
			if (child == 0) {
				execl("/bin/sleep", "sleep", "30", (char *)NULL);
				_exit(1);
			}
		}
		if (write(ready[1], &child, sizeof(child)) != sizeof(child))
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &child, sizeof(child)), sizeof(child));
	close(ready[0]);
	if (outlived)
		*outlived = child;
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_second_taker(void **state)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	GP_AUTO_LOCK other = { .fd = -1 };
	struct gp_error err = { 0 };
	char pid_text[32];
	pid_t pid = hold("acme", "deploy acme", "migrate", NULL);

	(void)state;
	for (int i = 0; i < 2; i++) { /* and asking does not change what the file says */
		assert_int_equal(gp_lock_take(&lock, at("locks"), "acme", "provision acme", &err), -1);
		assert_int_equal(err.kind, GP_E_LOCKED);
		snprintf(pid_text, sizeof(pid_text), "pid %d)", (int)pid);
		assert_non_null(strstr(err.msg, pid_text));
		assert_non_null(strstr(err.msg, "acme is locked: deploy acme"));
		assert_non_null(strstr(err.msg, "step 'migrate'"));
		assert_non_null(strstr(err.hint, "wait"));
		assert_int_equal(lock.fd, -1);
	}
	assert_int_equal(gp_lock_take(&other, at("locks"), "host", "provision", &err), 0); /* another lock is another lock */
	end(pid);
	assert_int_equal(gp_lock_take(&lock, at("locks"), "acme", "provision acme", &err), 0);
	assert_int_equal(mode_of(at("locks/acme.lock")), 0600); /* nobody else can take it */
}

static void test_release(void **state)
{
	struct gp_lock first = { .fd = -1 }, second = { .fd = -1 }, never = { .fd = -1 };
	struct gp_error err = { 0 };
	int before = open_files();

	(void)state;
	assert_int_equal(gp_lock_take(&first, at("locks"), "acme", "one", &err), 0);
	assert_int_equal(gp_lock_take(&second, at("locks"), "acme", "two", &err), -1); /* by the same process just as well */
	assert_non_null(strstr(err.msg, "one"));
	assert_non_null(strstr(err.msg, "step 'start'"));
	gp_lock_release(&first);
	assert_int_equal(first.fd, -1);
	assert_string_equal(said(at("locks/acme.lock")), ""); /* the file stays and names nobody */
	assert_int_equal(gp_lock_take(&second, at("locks"), "acme", "two", &err), 0);
	gp_lock_release(&second);
	gp_lock_release(&second);
	gp_lock_release(&never);
	gp_lock_step(&never, "nothing");
	assert_int_equal(open_files(), before);
}

/* A program that the holder had started and that lives longer does not keep the lock. */
static void test_not_inherited(void **state)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	struct gp_error err = { 0 };
	pid_t child, pid = hold("acme", "deploy acme", "build", &child);
	int result = -1;

	(void)state;
	for (int i = 0; i < 100 && strcmp(said(at("ready")), "x") != 0; i++) { /* until it has called exec */
		char path[64], target[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)child);
		n = (ssize_t)snprintf(target, sizeof(target), "%s", said(path));
		if (n > 0 && strcmp(target, "sleep\n") == 0)
			break;
		usleep(10000);
	}
	end(pid);
	result = gp_lock_take(&lock, at("locks"), "acme", "again", &err);
	assert_int_equal(kill(child, 0), 0);
	kill(child, SIGKILL);
	assert_int_equal(result, 0);
}

static int look(struct gp_arena *arena, struct gp_lock_holder *ret)
{
	struct gp_error err = { 0 };
	int held = gp_lock_look(arena, at("locks"), "acme", ret, &err);

	if (held < 0)
		fail_msg("%s", err.msg);
	return held;
}

/* Free, held, held by a process that has not written anything down yet: the text of the one before is not its. */
static void test_look(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_lock_holder h = { 0 };
	int fd, waits[2], before = open_files();
	pid_t pid, waiter;

	(void)state;
	assert_int_equal(look(arena, &h), 0); /* there is no file yet */
	pid = hold("acme", "deploy acme", "migrate", NULL);
	assert_int_equal(look(arena, &h), 1);
	assert_int_equal(h.pid, pid);
	assert_string_equal(h.command, "deploy acme");
	assert_string_equal(h.step, "migrate");
	assert_non_null(strstr(h.since, "T"));
	end(pid);
	assert_non_null(strstr(said(at("locks/acme.lock")), "deploy acme")); /* it was killed */
	assert_int_equal(look(arena, &h), 0);

	fd = open(at("locks/acme.lock"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0); /* whoever shares it keeps the others out too */
	assert_int_equal(look(arena, &h), 1);
	assert_int_equal(h.pid, getpid());
	assert_string_equal(h.command, "test_sys_lock");
	assert_null(h.since);
	assert_null(h.step);
	assert_int_equal(pipe2(waits, O_CLOEXEC), 0);
	waiter = fork();
	if (waiter == 0) { /* in line for the lock */
		int own = open(at("locks/acme.lock"), O_RDWR | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd);
		if (write(waits[1], "x", 1) != 1)
			_exit(1);
		flock(own, LOCK_EX);
		_exit(0);
	}
	assert_int_equal(read(waits[0], &(char){ 0 }, 1), 1);
	usleep(50000);
	assert_int_equal(look(arena, &h), 1);
	assert_int_equal(h.pid, getpid());
	end(waiter);
	close(waits[0]);
	close(waits[1]);
	close(fd);
	assert_int_equal(look(arena, &h), 0);
	assert_int_equal(open_files(), before);
}

/* Whoever takes the lock while somebody looks gets it, every time. */
static void test_look_disturbs_nobody(void **state)
{
	enum { TIMES = 3000 };
	pid_t taker = fork();
	int status, seen = 0;

	(void)state;
	if (taker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < TIMES; i++) {
			struct gp_lock lock = { .fd = -1 };

			if (gp_lock_take(&lock, at("locks"), "acme", "deploy acme", NULL) < 0)
				_exit(1);
			gp_lock_release(&lock);
		}
		_exit(0);
	}
	while (waitpid(taker, &status, WNOHANG) == 0) {
		GP_AUTO_ARENA arena = gp_arena_new();
		struct gp_lock_holder h;

		if (look(arena, &h) == 1) {
			assert_int_equal(h.pid, taker);
			seen++;
		}
	}
	assert_int_equal(status, 0);
	assert_true(seen > 0);
}

static void test_strange_files(void **state)
{
	GP_AUTO_LOCK lock = { .fd = -1 };
	struct gp_lock taken = { .fd = -1 };
	struct gp_error err = { 0 };
	static char command[5000];
	int fd;

	(void)state;
	/* a description that is missing, or longer than any */
	assert_int_equal(gp_lock_take(&taken, at("locks"), "acme", "x", &err), 0);
	fd = open(at("locks/acme.lock"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(gp_lock_take(&lock, at("locks"), "acme", "y", &err), -1);
	assert_int_equal(err.kind, GP_E_LOCKED);
	assert_non_null(strstr(err.msg, "pid ?"));
	close(fd);
	gp_lock_release(&taken);
	memset(command, 'c', sizeof(command) - 1);
	assert_int_equal(gp_lock_take(&taken, at("locks"), "acme", command, &err), 0);
	gp_lock_step(&taken, command);
	assert_int_equal(gp_lock_take(&lock, at("locks"), "acme", "y", &err), -1);
	assert_int_equal(err.kind, GP_E_LOCKED);
	assert_non_null(strstr(err.msg, "step 'cccc"));
	gp_lock_release(&taken);
	/* a symlink laid in its place is not followed */
	assert_int_equal(symlink("../precious", at("locks/trap.lock")), 0);
	assert_int_equal(gp_lock_take(&lock, at("locks"), "trap", "x", &err), -1);
	assert_int_equal(access(at("precious"), F_OK), -1);
	put(at("file"), "");
	assert_int_equal(gp_lock_take(&lock, at("file"), "acme", "x", &err), -1);
	assert_string_not_equal(err.msg, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_second_taker, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_release, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_not_inherited, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_look, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_look_disturbs_nobody, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_strange_files, scratch_begin, scratch_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
