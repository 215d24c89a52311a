/* How busy a unix listener is: with sockets of the test's own, asked of sock_diag and then of /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "sys/unix_diag.h"

#include "../scratch.h"

static bool by_name; /* the kernel has no unix_diag for this process: /proc/net/unix tells */

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, path);
	return a;
}

static int listen_on(const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static struct gp_unix_listener found(const char *path)
{
	struct gp_unix_listener l;
	struct gp_error err;

	assert_int_equal(gp_unix_listener_find(path, &l, &err), 1);
	return l;
}

/* "listening 1+2": queued and open. */
static const char *busy(const struct gp_unix_listener *l)
{
	static char text[64];
	struct gp_unix_busy b;
	struct gp_error err = { 0 };

	if (gp_unix_busy(l, &b, &err) < 0)
		fail_msg("%s", err.msg);
	snprintf(text, sizeof(text), "%s %u+%u", b.listening ? "listening" : "gone", b.queued, b.open);
	return text;
}

static void test_counts(void **state)
{
	const char *path = at("s");
	int listener = listen_on(path), client[3], server;
	const struct gp_unix_listener l = found(path);

	(void)state;
	assert_string_equal(busy(&l), "listening 0+0");
	for (size_t i = 0; i < 3; i++)
		client[i] = connect_to(path);
	assert_string_equal(busy(&l), "listening 3+0");
	server = accept(listener, NULL, NULL);
	assert_string_equal(busy(&l), "listening 2+1");
	close(client[0]);
	assert_string_equal(busy(&l), "listening 2+1"); /* whoever accepted it may still be at work on it */
	close(server);
	assert_string_equal(busy(&l), "listening 2+0");
	close(client[1]);
	assert_string_equal(busy(&l), "listening 2+0"); /* what it has sent is still to be answered */
	server = accept(listener, NULL, NULL);
	close(listener);
	assert_string_equal(busy(&l), "gone 0+1"); /* the third was reset */
	close(server);
	assert_string_equal(busy(&l), "gone 0+0");
	close(client[2]);
}

/* The listener that a restarted service leaves behind under the same name is another one. */
static void test_renamed_over(void **state)
{
	const char *path = at("s");
	int old = listen_on(path), queued = connect_to(path), new;
	const struct gp_unix_listener first = found(path);
	struct gp_unix_listener second;

	(void)state;
	assert_int_equal(rename(path, at("aside")), 0);
	new = listen_on(path);
	second = found(path);
	assert_string_equal(busy(&first), "listening 1+0");
	if (!by_name)
		assert_string_equal(busy(&second), "listening 0+0");
	assert_int_equal(rename(path, at("aside")), 0); /* the old one has no name any more */
	assert_string_equal(busy(&first), "listening 1+0");
	close(queued);
	close(old);
	if (!by_name)
		assert_string_equal(busy(&first), "gone 0+0");
	assert_string_equal(busy(&second), "listening 0+0");
	close(new);
}

static void test_unlinked(void **state)
{
	const char *path = at("s");
	int listener = listen_on(path), client = connect_to(path), server = accept(listener, NULL, NULL);
	const struct gp_unix_listener l = found(path);
	struct gp_unix_listener none = { .ino = 7 };

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_string_equal(busy(&l), "listening 0+1");
	assert_int_equal(gp_unix_listener_find(path, &none, NULL), 0);
	assert_int_equal(none.ino, 7);
	close(client);
	close(server);
	close(listener);
}

static void test_neighbours(void **state)
{
	const char *path = at("s"), *other = at("s.other"), *pair_path = at("p");
	int listener = listen_on(path), neighbour = listen_on(other), client = connect_to(other), pair[2];
	int bound = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = address(pair_path);
	const struct gp_unix_listener l = found(path);
	struct gp_unix_listener p;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_string_equal(busy(&l), "listening 0+0");
	/* a socket that was bound and does not listen is no listener */
	assert_int_equal(bind(bound, (struct sockaddr *)&a, sizeof(a)), 0);
	p = found(pair_path);
	assert_string_equal(busy(&p), "gone 0+0");
	close(bound);
	close(pair[0]);
	close(pair[1]);
	close(client);
	close(neighbour);
	close(listener);
}

/* More than one datagram of the kernel's answer. */
static void test_many(void **state)
{
	enum { N = 400 };
	const char *path = at("s");
	int listener = listen_on(path), client[N], server[N];
	const struct gp_unix_listener l = found(path);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		client[i] = connect_to(path);
		server[i] = accept(listener, NULL, NULL);
		assert_true(server[i] >= 0);
	}
	assert_string_equal(busy(&l), "listening 0+400");
	for (size_t i = 0; i < N; i++) {
		close(client[i]);
		close(server[i]);
	}
	assert_string_equal(busy(&l), "listening 0+0");
	close(listener);
}

static void test_names(void **state)
{
	const char *path = at("s");
	int listener = listen_on(path), before;
	struct gp_unix_listener l;
	struct gp_error err;

	(void)state;
	assert_int_equal(symlink("s", at("link")), 0);
	l = found(at("link")); /* as Caddy's name leads to gunicorn's */
	assert_string_equal(l.path, path);
	assert_string_equal(busy(&l), "listening 0+0");
	before = open_files();
	busy(&l);
	assert_int_equal(open_files(), before);
	close(listener);
	put(at("file"), "");
	assert_int_equal(gp_unix_listener_find(at("file"), &l, &err), 0);
	assert_int_equal(gp_unix_listener_find(at("nothing"), &l, &err), 0);
	assert_int_equal(gp_unix_listener_find(at("file/s"), &l, &err), 0);
}

/* From here on the kernel has no sock_diag for this process, like one that was built without it. */
static void forbid_netlink(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ||
		socket(AF_NETLINK, SOCK_DGRAM, 0) >= 0) {
		perror("seccomp");
		abort();
	}
	by_name = true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_renamed_over, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_unlinked, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_neighbours, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_many, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_names, scratch_begin, scratch_end),
	};
	int failed = cmocka_run_group_tests_name("unix listeners, by sock_diag", tests, NULL, NULL);

	forbid_netlink();
	return failed + cmocka_run_group_tests_name("unix listeners, from proc", tests, NULL, NULL);
}
