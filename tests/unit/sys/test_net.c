/* What listens: sockets this test opens itself must be found, with their owner; closed and connected ones must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/net.h"

/* A listening socket on that address and a free port; -1 where the host has no such address (no IPv6). */
static int listen_on(const char *address, uint16_t *ret_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	bool v6 = strchr(address, ':');
	struct sockaddr *sa = v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
	socklen_t size = v6 ? sizeof(in6) : sizeof(in);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr), 1);
	if (fd >= 0 && (bind(fd, sa, size) < 0 || listen(fd, 4) < 0 || getsockname(fd, sa, &size) < 0)) {
		close(fd);
		return -1;
	}
	*ret_port = ntohs(v6 ? in6.sin6_port : in.sin_port);
	return fd;
}

static const struct gp_listener *find(struct gp_arena *arena, bool with_owner, const char *address, uint16_t port)
{
	const struct gp_listener *found = NULL;
	struct gp_listener *list;
	struct gp_error err;
	size_t n;

	assert_int_equal(gp_net_listeners(arena, with_owner, &list, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		if (i)
			assert_true(list[i - 1].port <= list[i].port);
		if (list[i].port == port && strcmp(list[i].address, address) == 0)
			found = &list[i];
	}
	return found;
}

static void test_addresses(void **state)
{
	static const struct {
		const char *address;
		bool v6, loopback;
	} cases[] = {
		{ "127.0.0.1", false, true },
		{ "127.8.9.10", false, true },
		{ "0.0.0.0", false, false },
		{ "::1", true, true },
		{ "::", true, false },
		{ "::ffff:127.0.0.1", true, true },
	};
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		GP_AUTO_ARENA arena = gp_arena_new();
		const struct gp_listener *l;
		uint16_t port;
		int fd = listen_on(cases[i].address, &port);

		if (fd < 0)
			continue;
		seen++;
		l = find(arena, true, cases[i].address, port);
		assert_non_null(l);
		assert_int_equal(l->v6, cases[i].v6);
		assert_int_equal(l->loopback, cases[i].loopback);
		assert_int_equal(l->pid, getpid());
		close(fd);
		assert_null(find(arena, true, cases[i].address, port));
	}
	assert_true(seen >= 3);
}

static void test_owner(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const struct gp_listener *l;
	char was[16];
	uint16_t port;
	int fd = listen_on("127.0.0.1", &port);

	(void)state;
	prctl(PR_GET_NAME, was);
	prctl(PR_SET_NAME, "a) b\x1b[1m cdefgh"); /* the longest there is, and hostile */
	l = find(arena, true, "127.0.0.1", port);
	assert_non_null(l);
	assert_string_equal(l->comm, "a) b?[1m cdefgh");
	l = find(arena, false, "127.0.0.1", port);
	assert_non_null(l);
	assert_int_equal(l->pid, 0);
	assert_string_equal(l->comm, "");
	prctl(PR_SET_NAME, was);
	close(fd);
}

static void test_only_listeners(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	uint16_t port;
	int listener = listen_on("127.0.0.1", &port), client = socket(AF_INET, SOCK_STREAM, 0), server;

	(void)state;
	a.sin_port = htons(port);
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	server = accept(listener, NULL, NULL);
	assert_int_equal(getsockname(client, (struct sockaddr *)&a, &size), 0);
	assert_null(find(arena, true, "127.0.0.1", ntohs(a.sin_port)));
	close(listener);
	assert_null(find(arena, true, "127.0.0.1", port)); /* still the local port of an established connection */
	close(server);
	close(client);
}

static void test_many(void **state)
{
	enum { N = 100 };
	GP_AUTO_ARENA arena = gp_arena_new();
	uint16_t ports[N];
	int fds[N];

	(void)state;
	for (size_t i = 0; i < N; i++)
		fds[i] = listen_on("127.0.0.1", &ports[i]);
	for (size_t i = 0; i < N; i += 33) {
		const struct gp_listener *l = find(arena, true, "127.0.0.1", ports[i]);

		assert_non_null(l);
		assert_int_equal(l->pid, getpid());
	}
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
}

static const char *resolved(struct gp_arena *arena, const char *host)
{
	struct gp_error err = { 0 };
	struct gp_strv addresses;

	if (gp_net_resolve(arena, host, &addresses, &err) < 0)
		fail_msg("%s", err.msg);
	return gp_strv_join(arena, &addresses, " ");
}

static void test_resolve(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_string_equal(resolved(arena, "127.0.0.1"), "127.0.0.1");
	assert_string_equal(resolved(arena, "::1"), "::1");
	assert_non_null(strstr(resolved(arena, "localhost"), "1"));
	assert_string_equal(resolved(arena, "no such host"), "");
	assert_string_equal(resolved(arena, "name.invalid"), "");
}

static void test_is_ours(void **state)
{
	(void)state;
	assert_true(gp_net_is_ours("127.0.0.1"));
	assert_false(gp_net_is_ours("192.0.2.1")); /* RFC 5737: nobody's */
	assert_false(gp_net_is_ours("0.0.0.0"));
	assert_false(gp_net_is_ours(""));
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_only_listeners),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_resolve),
	};
	const struct CMUnitTest alone[] = {
		cmocka_unit_test(test_is_ours),
	};
	int failed = cmocka_run_group_tests_name("net, by sock_diag", tests, NULL, NULL);

	failed += cmocka_run_group_tests_name("net, addresses", alone, NULL, NULL);

	forbid_netlink();
	return failed + cmocka_run_group_tests_name("net, from proc", tests, NULL, NULL);
}
