/*
 * Several connections at once, to a server that only plays the protocol: each connection is a process of its own, which writes down what it was
 * told and which rows it got. Rows are whole, in blocks, on all connections; what must wait waits; what fails is heard of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "sys/pg_team.h"

#include "../scratch.h"

#define WELCOME "R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x00" "15.4\0"
#define READY "Z\0\0\0\x05I"

enum { SLOW_MS = 300, MEMBERS = 3 };

static pid_t server;
static struct gp_error err;

static void out(int fd, const char *data, size_t len)
{
	if (write(fd, data, len) != (ssize_t)len)
		_exit(0);
}
#define OUT(fd, literal) out(fd, literal, sizeof(literal) - 1)

static void in(int fd, char *data, size_t len)
{
	for (size_t n = 0; n < len;) {
		ssize_t got = read(fd, data + n, len - n);

		if (got <= 0)
			_exit(0);
		n += (size_t)got;
	}
}

static void append(int number, const char *kind, const char *data, size_t len)
{
	FILE *f = fopen(at("%d.%s", number, kind), "ae");

	fwrite(data, 1, len, f);
	fclose(f);
}

static void refuse(int fd)
{
	static const char body[] = "SERROR\0C22P02\0Minvalid input\0";

	OUT(fd, "E\0\0\0\x22");
	out(fd, body, sizeof(body));
	OUT(fd, READY);
}

static void done(int fd, const char *tag)
{
	uint32_t len = htonl((uint32_t)strlen(tag) + 5);

	OUT(fd, "C");
	out(fd, (const char *)&len, 4);
	out(fd, tag, strlen(tag) + 1);
	OUT(fd, READY);
}

static void statement(int fd, int number, const char *text)
{
	append(number, "log", text, strlen(text));
	append(number, "log", "\n", 1);
	if (strncmp(text, "slow", 4) == 0)
		poll(NULL, 0, SLOW_MS);
	if (strncmp(text, "COPY", 4) == 0)
		OUT(fd, "G\0\0\0\x07\0\0\0");
	else if (strncmp(text, "wrong", 5) == 0)
		refuse(fd);
	else
		done(fd, "OK");
}

/* Rows: counted and kept. One that says "bad" is an error at once, and the rest of that COPY is not looked at. */
static void serve(int fd, int number)
{
	static char text[1 << 20];
	char tag[32];
	size_t rows = 0;
	bool bad = false;

	for (;;) {
		uint32_t len;
		char type;

		in(fd, &type, 1);
		in(fd, (char *)&len, 4);
		len = ntohl(len) - 4;
		in(fd, text, len);
		if (type == 'Q') {
			rows = 0;
			bad = false;
			statement(fd, number, text);
		} else if (type == 'd' && !bad) {
			append(number, "rows", text, len);
			for (size_t i = 0; i < len; i++)
				rows += text[i] == '\n';
			if (memmem(text, len, "bad", 3)) {
				bad = true;
				refuse(fd);
			}
		} else if (type == 'c' && !bad) {
			snprintf(tag, sizeof(tag), "COPY %zu", rows);
			append(number, "rows", "|", 1);
			done(fd, tag);
		} else if (type == 'X') {
			_exit(0);
		}
	}
}

static void session(int fd, int number, int most)
{
	static char text[4096];
	uint32_t len;

	in(fd, (char *)&len, 4);
	in(fd, text, ntohl(len) - 4);
	if (number >= most)
		_exit(0);
	OUT(fd, WELCOME READY);
	serve(fd, number);
}

static void listen_here(int most)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", at(".s.PGSQL.5432"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	server = fork();
	if (server == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		signal(SIGCHLD, SIG_IGN);
		for (int number = 0;; number++) {
			int client = accept(fd, NULL, NULL);

			if (fork() == 0)
				session(client, number, most);
			close(client);
		}
	}
	setpgid(server, server);
	close(fd);
}

static struct gp_pg_team *team_of(size_t n, int most)
{
	struct gp_pg_team *team = NULL;

	listen_here(most);
	memset(&err, 0, sizeof(err));
	if (gp_pg_team_open(&(struct gp_pg_login){ .host = scratch, .port = 5432, .dbname = "d", .user = "u" }, n, &team, &err) < 0)
		fail_msg("%s", err.msg);
	return team;
}

static int finish(void **state)
{
	kill(-server, SIGKILL);
	waitpid(server, NULL, 0);
	return scratch_end(state);
}

static void ok(int result)
{
	if (result < 0)
		fail_msg("%s", err.msg);
}

/* How often a line stands in all files of that kind; *ret_files: in how many files there is something. */
static size_t count(const char *kind, const char *what, size_t *ret_files)
{
	size_t n = 0;

	*ret_files = 0;
	for (int i = 0; i < MEMBERS; i++) {
		const char *text = said(at("%d.%s", i, kind));

		*ret_files += strcmp(text, "(none)") != 0;
		for (const char *p = text; (p = strstr(p, what)); p++)
			n++;
	}
	return n;
}

/* Rows of many lengths, some with escaped newlines, one longer than two blocks; in pieces that end anywhere. */
static void test_rows(void **state)
{
	enum { ROWS = 60000 };
	struct gp_pg_team *team = team_of(MEMBERS, MEMBERS);
	size_t len = 0, n = 0, files, cap = 16 << 20;
	char *text = malloc(cap);

	(void)state;
	for (size_t i = 0; i < ROWS; i++)
		len += (size_t)sprintf(text + len, "row\t%zu\t%.*s\\\n\\n.\n", i, (int)(i % 90), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	len += (size_t)sprintf(text + len, "long\t");
	memset(text + len, 'y', 5 << 20);
	len += 5 << 20;
	len += (size_t)sprintf(text + len, "\nlast\t.\n");
	ok(gp_pg_team_copy(team, "COPY t FROM stdin", "COPY t", &err));
	for (size_t at_byte = 0; at_byte < len; at_byte += n) {
		n = 1 + (at_byte * 7919) % 70000;
		n = n < len - at_byte ? n : len - at_byte;
		ok(gp_pg_team_rows(team, text + at_byte, n, &err));
	}
	ok(gp_pg_team_copy_end(team, &err));
	ok(gp_pg_team_all(team, "SET x = y", &err));
	assert_int_equal(gp_pg_team_copied(team), 2 * ROWS + 2); /* the server that plays counts lines */
	gp_pg_team_close(team);
	free(text);
	/* Each got whole rows: what one begins with is the beginning of a row. (said() has the first MiB.) */
	assert_int_equal(count("log", "SET x = y", &files), MEMBERS);
	for (int i = 0; i < MEMBERS; i++) {
		const char *first = said(at("%d.rows", i));

		assert_true(strncmp(first, "row\t", 4) == 0 || strncmp(first, "long\t", 5) == 0);
	}
}

static void test_few_rows(void **state)
{
	struct gp_pg_team *team = team_of(MEMBERS, MEMBERS);
	size_t files;

	(void)state;
	for (int i = 0; i < 20; i++) {
		ok(gp_pg_team_copy(team, "COPY t FROM stdin", "COPY t", &err));
		if (i % 3)
			ok(gp_pg_team_rows(team, "a\nb\n", 4, &err));
		ok(gp_pg_team_copy_end(team, &err));
	}
	ok(gp_pg_team_all(team, "SET x = y", &err));
	assert_int_equal(gp_pg_team_copied(team), 26);
	gp_pg_team_close(team);
	assert_int_equal(count("rows", "a\nb\n|", &files), 13); /* a table that fits is one COPY */
	assert_int_equal(count("log", "COPY t", &files), 20);
}

static void test_side_by_side(void **state)
{
	struct gp_pg_team *team = team_of(MEMBERS, MEMBERS);
	int64_t begun = gp_mono_ms();
	struct gp_pg *first;
	size_t files;

	(void)state;
	for (int i = 0; i < MEMBERS; i++)
		ok(gp_pg_team_give(team, "slow", "an index", &err));
	assert_true(gp_mono_ms() - begun < SLOW_MS); /* nobody has waited yet */
	ok(gp_pg_team_first(team, &first, &err));
	assert_in_range(gp_mono_ms() - begun, SLOW_MS, 2 * SLOW_MS);
	ok(gp_pg_exec(first, "after", &err));
	gp_pg_team_close(team);
	assert_int_equal(count("log", "slow\n", &files), MEMBERS);
	assert_int_equal(files, MEMBERS);
	assert_string_equal(said(at("0.log")), "slow\nafter\n");
}

static void test_what_fails(void **state)
{
	struct gp_pg_team *team = team_of(MEMBERS, MEMBERS);
	struct gp_pg *first;

	(void)state;
	ok(gp_pg_team_give(team, "wrong", "CREATE INDEX i", &err));
	assert_int_equal(gp_pg_team_first(team, &first, &err), -1);
	assert_string_equal(err.msg, "CREATE INDEX i: Postgres: invalid input");
	gp_pg_team_close(team);
}

/* A row that is wrong is heard of before all of the others are sent. */
static void test_a_bad_row(void **state)
{
	struct gp_pg_team *team = team_of(MEMBERS, MEMBERS);
	static char block[1 << 20];
	int result = 0, blocks = 0;

	(void)state;
	memset(block, 'z', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	ok(gp_pg_team_copy(team, "COPY t FROM stdin", "COPY t", &err));
	ok(gp_pg_team_rows(team, "bad\n", 4, &err));
	for (; result == 0 && blocks < 200; blocks++)
		result = gp_pg_team_rows(team, block, sizeof(block), &err);
	assert_int_equal(result, -1);
	assert_string_equal(err.msg, "COPY t: Postgres: invalid input");
	assert_true(blocks < 100);
	gp_pg_team_close(team);
}

static void test_fewer_than_asked(void **state)
{
	struct gp_pg_team *team = team_of(MEMBERS, 1);

	(void)state;
	assert_int_equal(gp_pg_team_size(team), 1);
	ok(gp_pg_team_give(team, "slow", "an index", &err));
	ok(gp_pg_team_copy(team, "COPY t FROM stdin", "COPY t", &err));
	ok(gp_pg_team_rows(team, "a\n", 2, &err));
	ok(gp_pg_team_copy_end(team, &err));
	ok(gp_pg_team_all(team, "SET x = y", &err));
	gp_pg_team_close(team);
	assert_string_equal(said(at("0.log")), "slow\nCOPY t FROM stdin\nSET x = y\n");
}

static void test_server_goes(void **state)
{
	struct gp_pg_team *team = team_of(MEMBERS, MEMBERS);
	struct gp_pg *first;

	(void)state;
	ok(gp_pg_team_give(team, "slow", "an index", &err));
	kill(-server, SIGKILL);
	assert_int_equal(gp_pg_team_first(team, &first, &err), -1);
	assert_string_equal(err.msg, "an index: the connection to Postgres is lost");
	gp_pg_team_close(team);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, scratch_begin, finish),
		cmocka_unit_test_setup_teardown(test_few_rows, scratch_begin, finish),
		cmocka_unit_test_setup_teardown(test_side_by_side, scratch_begin, finish),
		cmocka_unit_test_setup_teardown(test_what_fails, scratch_begin, finish),
		cmocka_unit_test_setup_teardown(test_a_bad_row, scratch_begin, finish),
		cmocka_unit_test_setup_teardown(test_fewer_than_asked, scratch_begin, finish),
		cmocka_unit_test_setup_teardown(test_server_goes, scratch_begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
