/* sshd's files in the order it reads them, and its greeting. What `sshd -T` says is for the tests on a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/net.h"
#include "sys/sshd.h"

#include "../scratch.h"

static struct gp_sshd make(struct gp_arena *arena)
{
	return (struct gp_sshd){ .arena = arena, .config = gp_strdup(arena, at("sshd_config")), .folder = gp_strdup(arena, at("d")),
		.defaults = gp_strdup(arena, at("defaults")) };
}

static void test_order(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshd sshd = make(arena);
	const struct gp_sshd_settings *settings;
	const char *said = "";

	(void)state;
	assert_int_equal(mkdir(at("d"), 0755), 0);
	put(at("sshd_config"), gp_sprintf(arena, "A 1\nInclude %s/*.conf /nowhere/*\nB 2\nMatch User x\nInclude %s/z\nC 3\n", sshd.folder,
		sshd.folder));
	put(at("d/50.conf"), "A 50\nMatch User y\nB 50\n");
	put(at("d/00.conf"), "A 0\n");
	put(at("d/00.off"), "A off\n");
	put(at("d/z"), "D z\n");
	assert_int_equal(gp_sshd_settings(&sshd, &settings, NULL), 0);
	for (size_t i = 0; i < settings->n; i++)
		said = gp_sprintf(arena, "%s%s%s%s%s ", said, settings->v[i].line.keyword, settings->v[i].line.match ? "?" : "=",
			gp_streq(settings->v[i].line.keyword, "include") ? "" : settings->v[i].line.value,
			settings->v[i].line.match ? settings->v[i].line.match : "");
	assert_string_equal(said, "a=1 include= a=0 a=50 match=User y b?50User y b=2 match=User x include?User x d?zUser x c?3User x ");
	/* asked once, until it is told that something has changed */
	put(at("d/00.conf"), "");
	assert_int_equal(gp_sshd_settings(&sshd, &settings, NULL), 0);
	assert_int_equal(settings->n, 11);
	gp_sshd_forget(&sshd);
	assert_int_equal(gp_sshd_settings(&sshd, &settings, NULL), 0);
	assert_int_equal(settings->n, 10);
}

static void test_loop(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_sshd sshd = make(arena);
	const struct gp_sshd_settings *settings;
	struct gp_error err = { 0 };

	(void)state;
	put(at("sshd_config"), gp_sprintf(arena, "Include %s\n", sshd.config));
	assert_int_equal(gp_sshd_settings(&sshd, &settings, &err), -1);
	assert_non_null(strstr(err.msg, "deeper than"));
}

/* A listener of this test's own, which says that to the first who comes. */
static struct gp_listener serve(int *ret_fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct gp_listener listener = { .address = "0.0.0.0" };
	socklen_t len = sizeof(to);

	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(*ret_fd, 5), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&to, &len), 0);
	listener.port = ntohs(to.sin_port);
	return listener;
}

static void answer(int fd, const char *text)
{
	if (fork() == 0) {
		int visitor = accept(fd, NULL, NULL);

		_exit(visitor < 0 || write(visitor, text, strlen(text)) < 0);
	}
}

static void test_greeting(void **state)
{
	struct gp_error err = { 0 };
	int fd;
	struct gp_listener listener = serve(&fd);

	(void)state;
	assert_int_equal(gp_sshd_greets(&listener, 0, 100, &err), 0);
	answer(fd, "SSH-2.0-OpenSSH_9.2\r\n");
	assert_int_equal(gp_sshd_greets(&listener, 1, 5000, &err), 0);
	answer(fd, "220 mail\r\n");
	assert_int_equal(gp_sshd_greets(&listener, 1, 300, &err), -1);
	assert_non_null(strstr(err.msg, "does not answer on 0.0.0.0 port"));
	close(fd);
	assert_int_equal(gp_sshd_greets(&listener, 1, 200, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, scratch_begin, scratch_end),
		cmocka_unit_test_setup_teardown(test_loop, scratch_begin, scratch_end),
		cmocka_unit_test(test_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
