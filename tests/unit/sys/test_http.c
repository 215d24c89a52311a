/* HTTP: answers of every kind and every way of having none, from a scripted server on loopback or a unix socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/http.h"

struct fake {
	pid_t pid;
	int port;
	char url[64];
	char path[64]; /* of the unix socket */
};

enum how { ONCE, HANG, DRIP, ECHO, ENDLESS };

static void serve(int listener, const char *answer, enum how how)
{
	for (;;) {
		static char request[16384];
		int fd = accept(listener, NULL, NULL);
		ssize_t n = read(fd, request, sizeof(request) - 1);
		size_t len = strlen(answer);

		if (n < 0)
			_exit(1);
		request[n] = '\0';
		if (write(fd, answer, len) < 0)
			_exit(1);
		switch (how) {
		case ONCE:
			break;
		case ECHO: /* the request comes back as the body */
			dprintf(fd, "Content-Length: %zd\r\n\r\n%s", n, request);
			break;
		case DRIP:
			while (write(fd, "x", 1) == 1)
				usleep(20000);
			break;
		case ENDLESS:
			while (write(fd, request, (size_t)n) > 0)
				;
			break;
		case HANG:
			while (read(fd, request, sizeof(request)) > 0)
				;
			break;
		}
		shutdown(fd, SHUT_WR);
		close(fd);
	}
}

static int listen_on(struct fake *f, const char *unix_path)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(in);
	int fd = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (unix_path) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", unix_path);
		assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
		f->port = ntohs(in.sin_port);
		snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d/health", f->port);
	}
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static struct fake start(const char *answer, enum how how, const char *unix_path)
{
	struct fake f = { 0 };
	int fd = listen_on(&f, unix_path);

	f.pid = fork();
	assert_true(f.pid >= 0);
	if (f.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve(fd, answer, how);
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

static void says(const struct gp_error *err, const char *msg)
{
	if (!strstr(err->msg, msg))
		fail_msg("got \"%s\", want \"%s\"", err->msg, msg);
	assert_null(strchr(err->msg, '\n'));
}

/* Ask a server that gives this answer; the request is for 127.0.0.1 unless it has an URL. */
static int get(const char *answer, enum how how, struct gp_http request, struct gp_arena *arena, struct gp_http_answer *ret,
	struct gp_error *err)
{
	struct fake f = start(answer, how, NULL);
	int result;

	if (!request.url)
		request.url = f.url;
	if (!request.timeout_ms)
		request.timeout_ms = 3000;
	result = gp_http_get(&request, arena, ret, err);
	stop(f);
	return result;
}

static void test_answers(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a;
	struct gp_error err;

	(void)state;
	assert_int_equal(get("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{}\r\n", ONCE,
						 (struct gp_http){ 0 }, arena, &a, &err),
		0);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "{}\r\n");
	assert_int_equal(a.body_len, 4);
	assert_string_equal(a.content_type, "application/json");
	assert_string_equal(a.location, "");
	assert_int_equal(get("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", ONCE, (struct gp_http){ 0 }, arena, &a, &err), 0);
	assert_int_equal(a.status, 502);
	assert_string_equal(a.body, "");
	assert_string_equal(a.content_type, "");
	assert_int_equal(get("HTTP/1.0 404 Not Found\r\n\r\nuntil the end", ONCE, (struct gp_http){ 0 }, arena, &a, &err), 0);
	assert_int_equal(a.status, 404);
	assert_string_equal(a.body, "until the end");
}

static void test_redirect_is_not_followed(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a;
	struct gp_error err;

	(void)state;
	assert_int_equal(get("HTTP/1.1 100 Continue\r\nLocation: /nowhere\r\n\r\nHTTP/1.1 301 Moved\r\nLOCATION: \t https://x.test/y \r\n"
						 "Content-Length: 0\r\n\r\n",
						 ONCE, (struct gp_http){ 0 }, arena, &a, &err),
		0);
	assert_int_equal(a.status, 301);
	assert_string_equal(a.location, "https://x.test/y");
}

static void test_body_is_cut(void **state)
{
	static const char ten[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a;
	struct gp_error err;

	(void)state;
	assert_int_equal(get(ten, ONCE, (struct gp_http){ .body_max = 4 }, arena, &a, &err), 0);
	assert_string_equal(a.body, "0123");
	assert_int_equal(a.body_len, 4);
	assert_int_equal(get(ten, ONCE, (struct gp_http){ .body_max = 10 }, arena, &a, &err), 0);
	assert_string_equal(a.body, "0123456789");
	/* one that never ends */
	assert_int_equal(get("HTTP/1.1 200 OK\r\n\r\n", ENDLESS, (struct gp_http){ 0 }, arena, &a, &err), 0);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.body_len, 64 * 1024);
	assert_int_equal(strlen(a.body), a.body_len);
}

static void test_request(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a;
	struct gp_error err;
	struct fake f;

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	assert_int_equal(get("HTTP/1.1 200 OK\r\n", ECHO, (struct gp_http){ .forwarded_proto = "https" }, arena, &a, &err), 0);
	assert_int_equal(strncmp(a.body, "GET /health HTTP/1.1\r\n", 22), 0);
	assert_non_null(strstr(a.body, "\r\nUser-Agent: goldpath\r\n"));
	assert_non_null(strstr(a.body, "\r\nX-Forwarded-Proto: https\r\n"));
	assert_non_null(strstr(a.body, "\r\nHost: 127.0.0.1:"));
	assert_int_equal(get("HTTP/1.1 200 OK\r\n", ECHO, (struct gp_http){ 0 }, arena, &a, &err), 0);
	assert_null(strstr(a.body, "X-Forwarded"));
	/* another address than the name's, the same port */
	f = start("HTTP/1.1 200 OK\r\n", ECHO, NULL);
	assert_int_equal(gp_http_get(&(struct gp_http){ .url = gp_sprintf(arena, "http://www.example.test:%d/", f.port),
									 .connect_to = "127.0.0.1", .timeout_ms = 3000 },
						 arena, &a, &err),
		0);
	stop(f);
	assert_non_null(strstr(a.body, gp_sprintf(arena, "\r\nHost: www.example.test:%d\r\n", f.port)));
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void test_unix_socket(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	char folder[] = "/tmp/gp-test-http-XXXXXX", path[64], too_long[200];
	struct gp_http request = { .url = "http://www.example.test/x", .unix_socket = path, .timeout_ms = 3000 };
	struct gp_http_answer a;
	struct gp_error err;
	struct fake f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	assert_int_equal(gp_http_get(&request, arena, &a, &err), -1);
	says(&err, gp_sprintf(arena, "there is no socket %s", path));
	f = start("HTTP/1.1 200 OK\r\n", ECHO, path);
	assert_int_equal(gp_http_get(&request, arena, &a, &err), 0);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\r\nHost: www.example.test\r\n"));
	stop(f);
	/* the file stays behind, nobody listens */
	assert_int_equal(gp_http_get(&request, arena, &a, &err), -1);
	says(&err, gp_sprintf(arena, "nothing listens on %s", path));
	assert_true(err.hint[0]);
	unlink(path);
	rmdir(folder);
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	request.unix_socket = too_long;
	assert_int_equal(gp_http_get(&request, arena, &a, &err), -1);
	says(&err, "too long");
}

static void test_no_answer(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a = { .status = 7 };
	struct gp_error err;
	struct fake f = { 0 };

	(void)state;
	close(listen_on(&f, NULL));
	assert_int_equal(gp_http_get(&(struct gp_http){ .url = f.url, .timeout_ms = 3000 }, arena, &a, &err), -1);
	says(&err, gp_sprintf(arena, "nothing listens on 127.0.0.1:%d: connection refused", f.port));
	assert_int_equal(gp_http_get(&(struct gp_http){ .url = f.url, .timeout_ms = 3000 }, arena, &a, NULL), -1);
	assert_int_equal(get("", ONCE, (struct gp_http){ .url = "http://user:secret-word@no-such-host.invalid/" }, arena, &a, &err), -1);
	says(&err, "cannot resolve the name no-such-host.invalid");
	assert_null(strstr(err.msg, "secret-word"));
	assert_int_equal(get("", ONCE, (struct gp_http){ .url = "ftp://127.0.0.1/" }, arena, &a, &err), -1);
	says(&err, "only http:// and https://");
	assert_int_equal(get("", ONCE, (struct gp_http){ .url = "file:///etc/passwd" }, arena, &a, &err), -1);
	says(&err, "only http:// and https://");
	assert_int_equal(get("", ONCE, (struct gp_http){ 0 }, arena, &a, &err), -1);
	says(&err, "closed the connection without an answer");
	assert_int_equal(get("SSH-2.0-OpenSSH_9.2\r\n", ONCE, (struct gp_http){ 0 }, arena, &a, &err), -1);
	says(&err, "is not HTTP");
	assert_int_equal(get("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", ONCE, (struct gp_http){ 0 }, arena, &a, &err), -1);
	says(&err, "in the middle of its answer");
	assert_int_equal(a.status, 7);
}

static void test_deadline(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a;
	struct gp_error err;
	int64_t began = gp_mono_ms();

	(void)state;
	assert_int_equal(get("", HANG, (struct gp_http){ .timeout_ms = 300 }, arena, &a, &err), -1);
	says(&err, "timed out after 0.3 s");
	assert_in_range(gp_mono_ms() - began, 250, 2000);
	began = gp_mono_ms();
	assert_int_equal(get("HTTP/1.1 200 OK\r\n\r\n", DRIP, (struct gp_http){ .timeout_ms = 300 }, arena, &a, &err), -1);
	says(&err, "timed out after 0.3 s");
	assert_in_range(gp_mono_ms() - began, 250, 2000);
}

/* Accepts three before it answers any, and tells how many it was asked by; more than 64 KiB to each. */
static pid_t start_crowd(int listener, int report)
{
	pid_t pid = fork();

	if (pid == 0) {
		char request[4096], body[100000] = "HTTP/1.1 200 OK\r\nContent-Length: 99961\r\n\r\n";
		char count = 0;
		int fds[3];

		alarm(10);
		for (int i = 0; i < 3; i++)
			fds[i] = accept(listener, NULL, NULL);
		for (int i = 0; i < 3; i++)
			if (read(fds[i], request, sizeof(request)) > 0 && write(fds[i], body, sizeof(body)) == (ssize_t)sizeof(body))
				count++;
		_exit(write(report, &count, 1) != 1);
	}
	return pid;
}

static void test_touch(void **state)
{
	struct fake f = { 0 };
	int listener = listen_on(&f, NULL), report[2];
	char count = 0;

	(void)state;
	assert_int_equal(pipe(report), 0);
	f.pid = start_crowd(listener, report[1]);
	close(listener);
	close(report[1]);
	gp_http_touch(&(struct gp_http){ .url = f.url, .timeout_ms = 8000 }, 3);
	assert_int_equal(read(report[0], &count, 1), 1);
	assert_int_equal(count, 3);
	close(report[0]);
	stop(f);
	/* Nobody there, nobody who answers, nobody to be asked. */
	gp_http_touch(&(struct gp_http){ .url = f.url, .timeout_ms = 300 }, 3);
	f = start("", HANG, NULL);
	gp_http_touch(&(struct gp_http){ .url = f.url, .timeout_ms = 300 }, 3);
	gp_http_touch(&(struct gp_http){ .url = f.url, .timeout_ms = 300 }, 0);
	stop(f);
}

static void test_tls(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a;
	struct gp_error err;
	struct fake f = start("HTTP/1.1 400 Bad Request\r\n\r\n", ONCE, NULL);
	const char *url = gp_sprintf(arena, "https://127.0.0.1:%d/", f.port);

	(void)state;
	assert_int_equal(gp_http_get(&(struct gp_http){ .url = url, .timeout_ms = 3000 }, arena, &a, &err), -1);
	says(&err, "TLS: no secure connection with 127.0.0.1");
	assert_int_equal(gp_http_get(&(struct gp_http){ .url = url, .ca_file = "/nonexistent/ca.pem", .timeout_ms = 3000 }, arena, &a,
						 &err),
		-1);
	says(&err, "TLS: cannot use the CA file /nonexistent/ca.pem");
	stop(f);
}

/* The caller's way with SIGPIPE is the same afterwards. */
static void test_sigpipe_is_put_back(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_http_answer a;
	struct sigaction now;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(get("", ONCE, (struct gp_http){ 0 }, arena, &a, NULL), -1);
	sigaction(SIGPIPE, NULL, &now);
	assert_true(now.sa_handler == SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_redirect_is_not_followed),
		cmocka_unit_test(test_body_is_cut),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_touch),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_sigpipe_is_put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
