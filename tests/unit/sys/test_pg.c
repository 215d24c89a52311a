/*
 * Postgres: what a login or a statement that fails is told as, and that answers arrive, from a server in a forked child that plays
 * the protocol's lines. Whether the statements of goldpath mean something to a real server is not the question here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
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
#include "sys/pg.h"

struct bytes {
	const char *data;
	size_t len;
};
#define BYTES(literal) ((struct bytes){ literal, sizeof(literal) - 1 })

/* Messages of the protocol: type, length (which counts itself), body. */
#define WELCOME                                                                                                                 \
	"R\0\0\0\x08\0\0\0\0"                                                                                                       \
	"S\0\0\0\x19"                                                                                                               \
	"client_encoding\0UTF8\0"                                                                                                   \
	"S\0\0\0\x18"                                                                                                               \
	"server_version\x00"                                                                                                        \
	"15.4\0"                                                                                                                    \
	"S\0\0\0\x23"                                                                                                               \
	"standard_conforming_strings\0on\0"
#define READY "Z\0\0\0\x05I"
#define DONE "C\0\0\0\x07OK\0" READY

struct script {
	struct bytes greeting;  /* instead of everything else, whatever the client says; NULL: speak Postgres */
	bool silent;            /* accept, and not a word */
	const char *state, *message, *password_first; /* an ErrorResponse to the login */
	struct bytes answers[4]; /* to the statements, in order; the connection closes after the last */
};

struct fake {
	pid_t pid;
	int port;
	char folder[64]; /* of the unix socket */
};

static void send_all(int fd, struct bytes b)
{
	if (b.len && write(fd, b.data, b.len) != (ssize_t)b.len)
		_exit(1);
}

static void send_error(int fd, const char *state, const char *message)
{
	char body[1024];
	uint32_t len;
	int n = snprintf(body, sizeof(body), "SFATAL%cVFATAL%cC%s%cM%s%cFauth.c%cL1%cRauth_failed%c", 0, 0, state, 0, message, 0, 0, 0,
				0) + 1;

	len = htonl((uint32_t)n + 4);
	send_all(fd, BYTES("E"));
	send_all(fd, (struct bytes){ (const char *)&len, 4 });
	send_all(fd, (struct bytes){ body, (size_t)n });
}

/* The start of a session, TLS declined. False: the client went away. */
static bool startup(int fd)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text));

	if (n == 8) { /* SSLRequest */
		send_all(fd, BYTES("N"));
		n = read(fd, text, sizeof(text));
	}
	return n > 8;
}

/* Wait for a whole statement: it ends with Sync (extended protocol) or is one Query message. */
static bool statement(int fd)
{
	static char text[65536];
	size_t used = 0;

	for (;;) {
		ssize_t n = read(fd, text + used, sizeof(text) - used);

		if (n <= 0 || text[0] == 'X')
			return false;
		used += (size_t)n;
		if (text[0] == 'Q' || (used >= 5 && memcmp(text + used - 5, "S\0\0\0\x04", 5) == 0))
			return true;
	}
}

static void session(int fd, const struct script *s)
{
	char text[4096];

	if (s->silent)
		pause();
	if (s->greeting.data) {
		if (read(fd, text, sizeof(text)) > 0)
			send_all(fd, s->greeting);
		return;
	}
	if (!startup(fd))
		return;
	if (s->password_first) {
		send_all(fd, BYTES("R\0\0\0\x08\0\0\0\x03")); /* in clear text */
		if (read(fd, text, sizeof(text)) <= 0)
			return;
	}
	if (s->state) {
		send_error(fd, s->state, s->message);
		return;
	}
	send_all(fd, BYTES(WELCOME READY));
	for (size_t i = 0; i < 4 && s->answers[i].data && statement(fd); i++)
		send_all(fd, s->answers[i]);
}

static int listen_on(struct fake *f, bool local)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(in);
	int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (local) {
		strcpy(f->folder, "/tmp/gp-test-pg-XXXXXX");
		assert_non_null(mkdtemp(f->folder));
		f->port = 5432;
		snprintf(un.sun_path, sizeof(un.sun_path), "%s/.s.PGSQL.5432", f->folder);
		assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
		f->port = ntohs(in.sin_port);
	}
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static struct fake start(const struct script *s, bool local)
{
	struct fake f = { 0 };
	int fd = listen_on(&f, local);

	f.pid = fork();
	assert_true(f.pid >= 0);
	if (f.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		for (;;) {
			int client = accept(fd, NULL, NULL);

			session(client, s);
			shutdown(client, SHUT_WR);
			close(client);
		}
	}
	close(fd);
	return f;
}

static void stop(const struct fake *f)
{
	char path[128];

	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	if (f->folder[0]) {
		snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", f->folder);
		unlink(path);
		rmdir(f->folder);
	}
}

static struct gp_pg_login login_to(const struct fake *f)
{
	return (struct gp_pg_login){ .host = f->folder[0] ? f->folder : "127.0.0.1", .port = f->port, .dbname = "acme_db",
		.user = "acme", .password = "secret-word", .timeout_s = 3 };
}

static void says(const struct gp_error *err, const char *msg, const char *hint)
{
	if (!strstr(err->msg, msg) || !strstr(err->hint, hint))
		fail_msg("got \"%s\" (hint \"%s\"), want \"%s\" (hint \"%s\")", err->msg, err->hint, msg, hint);
	assert_null(strchr(err->msg, '\n'));
	assert_null(strstr(err->msg, "secret-word"));
	assert_null(strstr(err->hint, "secret-word"));
}

static void login_says(struct script s, const char *msg, const char *hint)
{
	for (int local = 0; local < 2; local++) {
		struct fake f = start(&s, local);
		struct gp_pg_login login = login_to(&f);
		struct gp_error err = { 0 };
		GP_AUTO_PG pg = NULL;

		assert_int_equal(gp_pg_open(&login, &pg, &err), -1);
		assert_null(pg);
		stop(&f);
		says(&err, msg, hint);
	}
}

static void test_nobody_there(void **state)
{
	struct fake f = { 0 }, local = { 0 };
	struct gp_pg_login login;
	struct gp_error err;
	struct gp_pg *pg = NULL;
	char msg[128];

	(void)state;
	close(listen_on(&f, false));
	login = login_to(&f);
	assert_int_equal(gp_pg_open(&login, &pg, &err), -1);
	snprintf(msg, sizeof(msg), "Postgres does not answer on 127.0.0.1:%d", f.port);
	assert_string_equal(err.msg, msg);
	says(&err, msg, "systemctl status postgresql");
	close(listen_on(&local, true));
	login = login_to(&local);
	snprintf(msg, sizeof(msg), "Postgres does not answer on %s/.s.PGSQL.5432", local.folder);
	assert_int_equal(gp_pg_open(&login, &pg, &err), -1); /* a socket without a server */
	says(&err, msg, "systemctl status postgresql");
	snprintf(msg, sizeof(msg), "%s/.s.PGSQL.5432", local.folder);
	unlink(msg);
	rmdir(local.folder);
	assert_int_equal(gp_pg_open(&login, &pg, &err), -1); /* no socket */
	says(&err, "Postgres does not answer on /tmp/", "systemctl status postgresql");
	assert_int_equal(gp_pg_open(&login, &pg, NULL), -1);
	assert_null(pg);
}

static void test_refusals(void **state)
{
	(void)state;
	login_says((struct script){ .state = "28P01", .message = "Passwort-Authentifizierung fehlgeschlagen" },
		"Postgres refuses the password of role 'acme'", "ALTER ROLE");
	login_says((struct script){ .state = "28P01", .message = "failed for secret-word", .password_first = "" },
		"Postgres refuses the password of role 'acme'", "ALTER ROLE");
	login_says((struct script){ .state = "28000", .message = "role \"acme\" does not exist" }, "Postgres has no role 'acme'", "\\du");
	login_says((struct script){ .state = "28000", .message = "no pg_hba.conf entry for host \"127.0.0.1\", user \"acme\"" },
		"Postgres does not let role 'acme' in: no pg_hba.conf entry for host", "hba_file");
	login_says((struct script){ .state = "3D000", .message = "database \"acme_db\" does not exist" },
		"Postgres has no database 'acme_db'", "psql -l");
	login_says((struct script){ .state = "53300", .message = "sorry, too many clients already" },
		"Postgres has no connection left for role 'acme': sorry, too many clients already", "max_connections");
	login_says((struct script){ .state = "57P03", .message = "the database system is starting up" },
		"takes no connections now: the database system is starting up", "systemctl status postgresql");
	login_says((struct script){ .state = "42501", .message = "permission denied with secret-word\nand more" },
		"refuses the connection: permission denied with ********", "");
}

static void test_no_password(void **state)
{
	struct script s = { .password_first = "" };
	struct fake f = start(&s, false);
	struct gp_pg_login login = login_to(&f);
	struct gp_error err;
	struct gp_pg *pg = NULL;

	(void)state;
	setenv("PGPASSWORD", "not asked for", 1);
	setenv("PGSSLMODE", "require", 1);
	login.password = NULL;
	assert_int_equal(gp_pg_open(&login, &pg, &err), -1);
	says(&err, "Postgres asks for a password of role 'acme' and none is set", "pg_hba.conf");
	stop(&f);
}

static void test_not_postgres(void **state)
{
	(void)state;
	login_says((struct script){ .greeting = BYTES("HTTP/1.1 400 Bad Request\r\n\r\n") }, "is not Postgres", "ss -ltnp");
	login_says((struct script){ .greeting = BYTES("\xff\xfe\0\0\0\0") }, "is not Postgres", "systemctl status postgresql");
	login_says((struct script){ .greeting = BYTES("") }, "cannot connect to Postgres on ", "systemctl status postgresql");
}

static void test_silence(void **state)
{
	struct script s = { .silent = true };
	struct fake f = start(&s, false);
	struct gp_pg_login login = login_to(&f);
	struct gp_error err;
	struct gp_pg *pg = NULL;
	int64_t began = gp_mono_ms();

	(void)state;
	login.timeout_s = 1;
	assert_int_equal(gp_pg_open(&login, &pg, &err), -1);
	says(&err, "within 1 s", "systemctl status postgresql");
	assert_in_range(gp_mono_ms() - began, 900, 2500);
	stop(&f);
}

static void test_statements(void **state)
{
	/* two columns (text), one row: 'a' and null */
	static const struct script s = { .answers = {
		BYTES("1\0\0\0\x04" "2\0\0\0\x04" "T\0\0\0\x30\0\x02"
			"x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0" "yyy\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
			"D\0\0\0\x0f\0\x02\0\0\0\x01" "a\xff\xff\xff\xff" DONE),
		BYTES("1\0\0\0\x04" "2\0\0\0\x04" "n\0\0\0\x04" DONE),
		BYTES(DONE),
		BYTES("E\0\0\0\x43SERROR\0C42601\0Msyntax error at or near \"SCRAM-SHA-256$4096:x\"\0\0" READY),
	} };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct fake f = start(&s, false);
	struct gp_pg_login login = login_to(&f);
	struct gp_error err = { 0 };
	GP_AUTO_PG pg = NULL;
	const char *const *cells;
	const char *value = "untouched";
	size_t rows, columns;

	(void)state;
	assert_int_equal(gp_pg_open(&login, &pg, &err), 0);
	assert_int_equal(gp_pg_version(pg), 150004);
	assert_int_equal(gp_pg_rows(pg, arena, "SELECT $1", (const char *const[]){ "p" }, 1, &cells, &rows, &columns, &err), 0);
	assert_int_equal(rows, 1);
	assert_int_equal(columns, 2);
	assert_string_equal(cells[0], "a");
	assert_null(cells[1]);
	assert_int_equal(gp_pg_value(pg, arena, "SELECT", NULL, 0, &value, &err), 0);
	assert_null(value);
	assert_int_equal(gp_pg_exec(pg, "CREATE", &err), 0);
	assert_int_equal(gp_pg_exec(pg, "broken", &err), -1);
	assert_string_equal(err.msg, "Postgres: syntax error"); /* and not what it is near to */
	/* the script is over and the connection closed */
	assert_int_equal(gp_pg_exec(pg, "SELECT", &err), -1);
	says(&err, "the connection to Postgres is lost", "systemctl status postgresql");
	assert_int_equal(gp_pg_value(pg, arena, "SELECT", NULL, 0, &value, &err), -1);
	says(&err, "the connection to Postgres is lost", "systemctl status postgresql");
	stop(&f);
}

/* COPY would wait for data that nobody sends. */
static void test_copy(void **state)
{
	static const struct script s = { .answers = { BYTES("G\0\0\0\x07\0\0\0"), BYTES("") } };
	struct fake f = start(&s, true);
	struct gp_pg_login login = login_to(&f);
	struct gp_error err = { 0 };
	GP_AUTO_PG pg = NULL;

	(void)state;
	assert_int_equal(gp_pg_open(&login, &pg, &err), 0);
	assert_int_equal(gp_pg_exec(pg, "COPY x FROM STDIN", &err), -1);
	says(&err, "COPY is not possible here", "");
	assert_int_equal(gp_pg_exec(pg, "SELECT", &err), -1);
	stop(&f);
}

static void test_quoting(void **state)
{
	static const struct script s = { .answers = { BYTES("") } };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct fake f = start(&s, true);
	struct gp_pg_login login = login_to(&f);
	struct gp_error err = { 0 };
	GP_AUTO_PG pg = NULL;
	const char *text = NULL;

	(void)state;
	assert_int_equal(gp_pg_open(&login, &pg, &err), 0);
	assert_int_equal(gp_pg_identifier(pg, arena, "o\"neil; DROP", &text, &err), 0);
	assert_string_equal(text, "\"o\"\"neil; DROP\"");
	assert_int_equal(gp_pg_literal(pg, arena, "it's", &text, &err), 0);
	assert_string_equal(text, "'it''s'");
	assert_int_equal(gp_pg_literal(pg, arena, "back\\slash", &text, &err), 0);
	assert_string_equal(text, " E'back\\\\slash'");
	assert_int_equal(gp_pg_literal(pg, arena, "secret-word\xc3", &text, &err), -1);
	says(&err, "not valid UTF-8", "");
	assert_int_equal(gp_pg_identifier(pg, arena, "secret-word\xc3", &text, &err), -1);
	says(&err, "not valid UTF-8", "");
	assert_int_equal(gp_pg_scram(pg, arena, "acme", "secret-word", &text, &err), 0);
	assert_int_equal(strncmp(text, "SCRAM-SHA-256$4096:", 19), 0);
	assert_null(strstr(text, "secret-word"));
	stop(&f);
}

/* A server that is shut down says so, and then hangs up: what it said is what counts. */
static void test_last_words(void **state)
{
	static const struct script s = { .answers = {
		BYTES("E\0\0\0\x33SFATAL\0C57P01\0Mterminating the connection now\0\0"),
	} };
	struct fake f = start(&s, false);
	struct gp_pg_login login = login_to(&f);
	struct gp_error err = { 0 };
	GP_AUTO_PG pg = NULL;

	(void)state;
	assert_int_equal(gp_pg_open(&login, &pg, &err), 0);
	assert_int_equal(gp_pg_exec(pg, "SELECT", &err), -1);
	says(&err, "Postgres: terminating the connection now", "systemctl status postgresql");
	assert_int_equal(gp_pg_exec(pg, "SELECT", &err), -1);
	says(&err, "the connection to Postgres is lost", "systemctl status postgresql");
	stop(&f);
}

static void test_unresolvable(void **state)
{
	struct gp_pg_login login = { .host = "no-such-host.invalid", .port = 5432, .dbname = "d", .user = "u" };
	struct gp_error err;
	struct gp_pg *pg = NULL;

	(void)state;
	assert_int_equal(gp_pg_open(&login, &pg, &err), -1);
	says(&err, "cannot resolve the host of Postgres, 'no-such-host.invalid'", "127.0.0.1");
}

/* Nothing is on port 1, so this fails on every host; how depends on whether it has a user postgres. Nobody stays somebody else. */
static void test_admin_comes_back(void **state)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct gp_error err = { 0 };
	struct gp_pg *pg = NULL;

	(void)state;
	assert_int_equal(gp_pg_open_admin(1, "postgres", &pg, &err), -1);
	assert_null(pg);
	assert_true(err.msg[0]);
	assert_int_equal(geteuid(), uid);
	assert_int_equal(getegid(), gid);
}

static void test_close_nothing(void **state)
{
	(void)state;
	gp_pg_close(NULL);
}

/* COPY FROM stdin: the server asks for rows (G), gets them, and says at the end how that went. */
static void test_copy_in(void **state)
{
	static const struct script s = { .answers = {
		BYTES("G\0\0\0\x09\0\0\x01\0\0" ),
		BYTES(DONE),
	} };
	struct fake f = start(&s, false);
	struct gp_pg_login login = login_to(&f);
	struct gp_error err = { 0 };
	GP_AUTO_PG pg = NULL;

	(void)state;
	assert_int_equal(gp_pg_open(&login, &pg, &err), 0);
	assert_int_equal(gp_pg_copy(pg, "COPY t FROM stdin", &err), 1);
	assert_int_equal(gp_pg_copy_rows(pg, "", 0, &err), 0);
	stop(&f);
	assert_int_equal(gp_pg_copy_end(pg, &err), -1); /* it went away meanwhile */
	says(&err, "the connection to Postgres is lost", "systemctl status postgresql");
	assert_int_equal(gp_pg_copy(pg, "SELECT 1", &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_no_password),
		cmocka_unit_test(test_not_postgres),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_copy_in),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_unresolvable),
		cmocka_unit_test(test_admin_comes_back),
		cmocka_unit_test(test_close_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
