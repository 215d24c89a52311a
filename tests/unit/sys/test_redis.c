/* Redis: every way a server can answer, refuse, or keep silent, played by a scripted server in a forked child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/redis.h"

struct fake {
	pid_t pid;
	int port;
};

/* A listening socket on a free loopback port. */
static int listen_somewhere(int *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

enum { CLOSE = 1, DRIP = 2 };

/* One answer for each thing read, in order, the last one again and again; with CLOSE it hangs up instead of repeating. */
static void serve(int listener, const char *const *answers, int how)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		char text[4096];

		for (size_t i = 0; fd >= 0 && answers[i] && read(fd, text, sizeof(text)) > 0;) {
			for (const char *p = answers[i]; how & DRIP && *p;) { /* a byte at a time, for ever */
				if (write(fd, p, 1) != 1)
					break;
				usleep(20000);
				p += p[1] != '\0';
			}
			if (write(fd, answers[i], strlen(answers[i])) < 0)
				break;
			if (answers[i + 1] || how & CLOSE)
				i++;
		}
		if (!answers[0] && !(how & CLOSE))
			pause(); /* accepted, and never a word */
		close(fd);
	}
}

static struct fake start(const char *const *answers, int how)
{
	struct fake f;
	int fd = listen_somewhere(&f.port);

	f.pid = fork();
	assert_true(f.pid >= 0);
	if (f.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve(fd, answers, how);
		_exit(0);
	}
	close(fd);
	return f;
}

static void stop(struct fake f)
{
	kill(f.pid, SIGKILL);
	waitpid(f.pid, NULL, 0);
}

#define ANSWERS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static int ping(const char *const *answers, int how, const char *password, int timeout_ms, struct gp_error *err)
{
	struct fake f = start(answers, how);
	int result = gp_redis_ping("127.0.0.1", f.port, password, timeout_ms, err);

	stop(f);
	assert_null(strchr(err->msg, '\n'));
	return result;
}

static void says(const struct gp_error *err, const char *msg, const char *hint)
{
	if (!strstr(err->msg, msg) || !strstr(err->hint, hint))
		fail_msg("got \"%s\" (hint \"%s\"), want \"%s\" (hint \"%s\")", err->msg, err->hint, msg, hint);
}

static void test_pong(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(ping(ANSWERS("+PONG\r\n"), 0, NULL, 2000, &err), 0);
	assert_int_equal(ping(ANSWERS("+OK\r\n", "+PONG\r\n"), 0, "secret-word", 2000, &err), 0);
}

static void test_password(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(ping(ANSWERS("-NOAUTH Authentication required.\r\n"), 0, NULL, 2000, &err), -1);
	says(&err, "asks for a password", "requirepass in /etc/redis/redis.conf");
	assert_int_equal(ping(ANSWERS("-WRONGPASS invalid username-password pair\r\n"), 0, "secret-word", 2000, &err), -1);
	says(&err, "refuses the password", "requirepass");
	assert_null(strstr(err.msg, "secret-word"));
	assert_int_equal(ping(ANSWERS("-ERR AUTH <password> called without any password configured for the default user.\r\n"), 0,
						 "secret-word", 2000, &err),
		-1);
	says(&err, "has no password, but is given one", "Redis URLs");
	assert_int_equal(ping(ANSWERS("-ERR Client sent AUTH, but no password is set\r\n"), 0, "secret-word", 2000, &err), -1);
	says(&err, "has no password, but is given one", "Redis URLs");
	assert_int_equal(ping(ANSWERS(":1\r\n"), 0, "secret-word", 2000, &err), -1);
	says(&err, "is not Redis", "ss -ltnp");
}

static void test_loading(void **state)
{
	struct gp_error err = { 0 };
	int64_t began;

	(void)state;
#define LOADING "-LOADING Redis is loading the dataset in memory\r\n"
	assert_int_equal(ping(ANSWERS(LOADING, LOADING, "+PONG\r\n"), 0, NULL, 3000, &err), 0);
	began = gp_mono_ms();
	assert_int_equal(ping(ANSWERS(LOADING), 0, NULL, 400, &err), -1);
	says(&err, "still loading its data", "systemctl status redis-server");
	assert_in_range(gp_mono_ms() - began, 200, 1500);
}

static void test_other_errors(void **state)
{
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(ping(ANSWERS("-MISCONF Redis is configured to save snapshots, but cannot\r\n"), 0, NULL, 2000, &err), -1);
	says(&err, "answers PING with an error: MISCONF Redis is configured", "journalctl -u redis-server");
	assert_int_equal(ping(ANSWERS("-\x1b[31mred\r\n"), 0, NULL, 2000, &err), -1);
	assert_null(strchr(err.msg, '\x1b'));
	assert_int_equal(ping(ANSWERS("-\r\n"), 0, NULL, 2000, &err), -1);
}

static void test_not_redis(void **state)
{
	static const char *const foreign[] = { "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "+OK\r\n", ":1\r\n", "$-1\r\n",
		"*0\r\n", "*-7\r\n", "$99999999999999999999\r\n", "\r\n\r\n\r\n" };
	struct gp_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		assert_int_equal(ping(ANSWERS(foreign[i]), 0, NULL, 2000, &err), -1);
		says(&err, "is not Redis", "systemctl status redis-server");
	}
}

static void test_silence(void **state)
{
	struct gp_error err = { 0 };
	int64_t began = gp_mono_ms();
	int port, fd = listen_somewhere(&port);

	(void)state;
	/* accepted by the kernel, never by the program */
	assert_int_equal(gp_redis_ping("127.0.0.1", port, NULL, 300, &err), -1);
	says(&err, "within 300 ms", "systemctl status redis-server");
	assert_in_range(gp_mono_ms() - began, 250, 1500);
	close(fd);
	assert_int_equal(gp_redis_ping("127.0.0.1", port, NULL, 300, &err), -1);
	says(&err, "Connection refused", "systemctl status redis-server");
	assert_int_equal(ping((const char *const[]){ NULL }, 0, NULL, 300, &err), -1);
	says(&err, "within 300 ms", "systemctl status redis-server");
	assert_int_equal(ping((const char *const[]){ NULL }, CLOSE, NULL, 2000, &err), -1);
	says(&err, "does not answer on", "systemctl status redis-server");
	assert_int_equal(ping(ANSWERS("+PO"), CLOSE, NULL, 2000, &err), -1);
	says(&err, "closed the connection", "systemctl status redis-server");
}

/* Bytes that keep coming do not push the deadline out. */
static void test_dripping(void **state)
{
	struct gp_error err = { 0 };
	int64_t began = gp_mono_ms();

	(void)state;
	assert_int_equal(ping(ANSWERS("+PONNNNNN"), DRIP, NULL, 400, &err), -1);
	says(&err, "within 400 ms", "systemctl status redis-server");
	assert_in_range(gp_mono_ms() - began, 350, 1500);
}

static void test_no_error_wanted(void **state)
{
	int port, fd = listen_somewhere(&port);

	(void)state;
	close(fd);
	assert_int_equal(gp_redis_ping("127.0.0.1", port, NULL, 300, NULL), -1);
	assert_int_equal(gp_redis_ping("::1", port, NULL, 300, NULL), -1);
}

static int config(const char *answer, struct gp_arena *arena, const char **ret, struct gp_error *err)
{
	struct fake f = start(ANSWERS(answer), 0);
	int result = gp_redis_config("127.0.0.1", f.port, 2000, arena, (const char *const[]){ "maxmemory" }, 1, ret, err);

	stop(f);
	return result;
}

static void test_config(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	const char *value = "untouched";

	(void)state;
	assert_int_equal(config("*2\r\n$9\r\nmaxmemory\r\n$3\r\n100\r\n", arena, &value, &err), 0);
	assert_string_equal(value, "100");
	assert_int_equal(config("*2\r\n$4\r\nsave\r\n$0\r\n\r\n", arena, &value, &err), 0);
	assert_string_equal(value, "");
	assert_int_equal(config("*0\r\n", arena, &value, &err), 0);
	assert_null(value);
	value = "untouched";
	assert_int_equal(config("*1\r\n$1\r\nx\r\n", arena, &value, &err), -1);
	assert_int_equal(config("*2\r\n:1\r\n:2\r\n", arena, &value, &err), -1);
	assert_int_equal(config("*2\r\n$1\r\nx\r\n$-1\r\n", arena, &value, &err), -1);
	assert_int_equal(config("+OK\r\n", arena, &value, &err), -1);
	assert_int_equal(config("-NOAUTH Authentication required.\r\n", arena, &value, &err), -1);
	says(&err, "asks for a password", "requirepass");
	assert_int_equal(config("-ERR unknown command 'CONFIG'\r\n", arena, &value, &err), -1);
	says(&err, "answers CONFIG with an error: ERR unknown command", "");
	assert_string_equal(value, "untouched");
}

/* Several settings: one connection (the fake serves one at a time, and starts with its first answer again), all or nothing. */
static void test_configs(void **state)
{
	static const char *const keys[] = { "maxmemory", "nonesuch", "save" };
	struct fake f = start(ANSWERS("*2\r\n$9\r\nmaxmemory\r\n$3\r\n100\r\n", "*0\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n", "-ERR no more\r\n"), 0);
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *values[] = { "untouched", "untouched", "untouched", "untouched" };
	struct gp_error err = { 0 };

	(void)state;
	assert_int_equal(gp_redis_config("127.0.0.1", f.port, 2000, arena, keys, 3, values, &err), 0);
	assert_string_equal(values[0], "100");
	assert_null(values[1]);
	assert_string_equal(values[2], "");
	values[0] = "untouched";
	assert_int_equal(gp_redis_config("127.0.0.1", f.port, 2000, arena, (const char *const[]){ "a", "b", "c", "d" }, 4, values, &err), -1);
	says(&err, "answers CONFIG with an error: ERR no more", "");
	assert_string_equal(values[0], "untouched");
	stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pong),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_loading),
		cmocka_unit_test(test_other_errors),
		cmocka_unit_test(test_not_redis),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_dripping),
		cmocka_unit_test(test_no_error_wanted),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_configs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
