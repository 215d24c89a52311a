/*
 * Several connections at once. Each has at most a block and a piece of it in memory that the server has not taken yet, so that what is kept is
 * bounded however long the rows are.
 */
#include "sys/pg_team.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/library.h"
#include "sys/pg_connection.h"

#define FUNCTIONS(X) X(PQsocket, socket)

GP_LIBRARY(libpq, "libpq.so.5", FUNCTIONS)

enum { BLOCK = 1 << 20, TURN = 16 << 20, WORDS = 100 };

enum state { RESTS, WORKS, TAKES_ROWS };

struct member {
	struct gp_pg *pg;
	enum state state;
	size_t block;     /* bytes since it was last found to have taken all */
	size_t taken;     /* of this COPY */
	int64_t deadline;
	char words[WORDS];
};

struct gp_pg_team {
	struct member v[GP_PG_TEAM_MAX];
	size_t n;
	struct gp_buf copy; /* the COPY under way */
	char copy_words[WORDS];
	struct member *at;  /* who gets the next rows; NULL: nobody yet */
	bool row_ended;     /* the rows so far end where a row does */
	char last;          /* their last byte */
};

static void say(char *to, const char *words)
{
	size_t n = strnlen(words, WORDS - 1);

	memcpy(to, words, n);
	to[n] = '\0';
}

static void begin(struct member *m, enum state state, const char *words)
{
	m->state = state;
	m->deadline = gp_mono_ms() + (int64_t)m->pg->statement_s * 1000;
	say(m->words, words);
}

int gp_pg_team_open(const struct gp_pg_login *login, size_t n, struct gp_pg_team **ret, struct gp_error *err)
{
	GP_AUTO_PG_TEAM team = calloc(1, sizeof(*team));

	if (!team)
		abort(); /* out of memory */
	GP_TRY(load_libpq(err));
	GP_TRY(gp_pg_open(login, &team->v[0].pg, err));
	for (team->n = 1; team->n < n && team->n < GP_PG_TEAM_MAX; team->n++)
		if (gp_pg_open(login, &team->v[team->n].pg, NULL) < 0)
			break;
	*ret = team;
	team = NULL;
	return 0;
}

void gp_pg_team_close(struct gp_pg_team *team)
{
	if (!team)
		return;
	for (size_t i = 0; i < team->n; i++)
		gp_pg_close(team->v[i].pg);
	gp_buf_free(&team->copy);
	free(team);
}

void gp_pg_team_closep(struct gp_pg_team **team)
{
	gp_pg_team_close(*team);
}

/* What each has to say, and what can be sent: of those that take rows too. */
static int look(struct gp_pg_team *team, struct gp_error *err)
{
	for (size_t i = 0; i < team->n; i++) {
		struct member *m = &team->v[i];
		int done = 0;

		if (m->state == WORKS)
			done = gp_pg_step(m->pg, err);
		else if (m->state == TAKES_ROWS && m->block)
			done = gp_pg_flush(m->pg, err);
		GP_TRY_TO(err, done, "%s", m->words);
		if (m->state == WORKS && done)
			m->state = RESTS;
		else if (m->state == TAKES_ROWS && !done)
			m->block = 0;
	}
	return 0;
}

/* Until one of them has something to say, or takes more. */
static int wait_for_one(struct gp_pg_team *team, struct gp_error *err)
{
	struct pollfd p[GP_PG_TEAM_MAX];
	int64_t deadline = INT64_MAX;
	nfds_t n = 0;

	for (size_t i = 0; i < team->n; i++) {
		struct member *m = &team->v[i];
		int unsent;

		if (m->state == RESTS || (m->state == TAKES_ROWS && !m->block))
			continue;
		if (gp_left_ms(m->deadline) == 0)
			return gp_pg_late(m->pg, err), gp_context(err, "%s", m->words);
		GP_TRY_TO(err, unsent = gp_pg_flush(m->pg, err), "%s", m->words);
		p[n++] = (struct pollfd){ .fd = libpq.socket(m->pg->conn), .events = (short)(POLLIN | (unsent ? POLLOUT : 0)) };
		deadline = m->deadline < deadline ? m->deadline : deadline;
	}
	poll(p, n, (int)gp_left_ms(deadline));
	return look(team, err);
}

static bool all_rest(const struct gp_pg_team *team)
{
	for (size_t i = 0; i < team->n; i++)
		if (team->v[i].state != RESTS)
			return false;
	return true;
}

static int wait_for_all(struct gp_pg_team *team, struct gp_error *err)
{
	GP_TRY(look(team, err));
	while (!all_rest(team))
		GP_TRY(wait_for_one(team, err));
	return 0;
}

static struct member *resting(struct gp_pg_team *team)
{
	for (size_t i = 0; i < team->n; i++)
		if (team->v[i].state == RESTS)
			return &team->v[i];
	return NULL;
}

static int wait_for_rest(struct gp_pg_team *team, struct member **ret, struct gp_error *err)
{
	GP_TRY(look(team, err));
	while (!(*ret = resting(team)))
		GP_TRY(wait_for_one(team, err));
	return 0;
}

int gp_pg_team_first(struct gp_pg_team *team, struct gp_pg **ret, struct gp_error *err)
{
	GP_TRY(wait_for_all(team, err));
	*ret = team->v[0].pg;
	return 0;
}

int gp_pg_team_free(struct gp_pg_team *team, struct gp_pg **ret, struct gp_error *err)
{
	struct member *m;

	GP_TRY(wait_for_rest(team, &m, err));
	*ret = m->pg;
	return 0;
}

int gp_pg_team_all(struct gp_pg_team *team, const char *sql, struct gp_error *err)
{
	GP_TRY(wait_for_all(team, err));
	for (size_t i = 0; i < team->n; i++)
		GP_TRY(gp_pg_exec(team->v[i].pg, sql, err));
	return 0;
}

int gp_pg_team_give(struct gp_pg_team *team, const char *sql, const char *words, struct gp_error *err)
{
	struct member *m;

	GP_TRY(wait_for_rest(team, &m, err));
	begin(m, WORKS, words);
	GP_TRY_TO(err, gp_pg_send(m->pg, sql, err), "%s", words);
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------- */

/* A COPY of its own. The server's answer that it waits for rows comes at once. */
static int open_copy(struct gp_pg_team *team, struct member *m, struct gp_error *err)
{
	int rows_wanted;

	begin(m, TAKES_ROWS, team->copy_words);
	m->block = m->taken = 0;
	GP_TRY_TO(err, rows_wanted = gp_pg_copy(m->pg, gp_buf_str(&team->copy), err), "%s", m->words);
	if (!rows_wanted)
		return gp_fail(err, GP_E_FAILED, "%s: the server wants no rows", m->words);
	team->at = m;
	return 0;
}

int gp_pg_team_copy(struct gp_pg_team *team, const char *sql, const char *words, struct gp_error *err)
{
	struct member *m;

	team->copy.len = 0;
	gp_buf_puts(&team->copy, sql);
	say(team->copy_words, words);
	team->row_ended = true;
	team->last = '\0';
	GP_TRY(wait_for_rest(team, &m, err));
	return open_copy(team, m, err);
}

/* Who has taken all it got; else who rests, which costs a COPY more. */
static struct member *free_for_rows(struct gp_pg_team *team)
{
	struct member *m = resting(team);

	for (size_t i = 0; i < team->n && !m; i++)
		if (team->v[i].state == TAKES_ROWS && !team->v[i].block)
			m = &team->v[i];
	return m;
}

static int end_copy(struct member *m, struct gp_error *err)
{
	GP_TRY_TO(err, gp_pg_put_end(m->pg, err), "%s", m->words);
	m->state = WORKS;
	m->block = 0;
	return 0;
}

/* What the server says while it takes rows, libpq hears only at their end: so that a wrong one is not known after gigabytes only, they end now and
 * then, and begin anew. All end with a row here. */
static int end_long_ones(struct gp_pg_team *team, struct gp_error *err)
{
	for (size_t i = 0; i < team->n; i++)
		if (team->v[i].state == TAKES_ROWS && team->v[i].taken >= TURN)
			GP_TRY(end_copy(&team->v[i], err));
	return look(team, err);
}

static int next_member(struct gp_pg_team *team, struct gp_error *err)
{
	struct member *m;

	GP_TRY(end_long_ones(team, err));
	while (!(m = free_for_rows(team)))
		GP_TRY(wait_for_one(team, err));
	if (m->state == RESTS)
		return open_copy(team, m, err);
	team->at = m;
	return 0;
}

static int put(struct gp_pg_team *team, const char *data, size_t len, struct gp_error *err)
{
	struct member *m = team->at;

	m->deadline = gp_mono_ms() + (int64_t)m->pg->statement_s * 1000;
	m->block += len;
	m->taken += len;
	GP_TRY_TO(err, gp_pg_put(m->pg, data, len, err), "%s", m->words);
	/* A row that is longer than a block cannot go elsewhere. */
	while (m->block >= 2 * BLOCK)
		GP_TRY(wait_for_one(team, err));
	return 0;
}

/* Where the last row in data ends that surely does, 0: nowhere. A newline behind a backslash may belong to a value. */
static size_t end_of_row(const struct gp_pg_team *team, const char *data, size_t len)
{
	const char *newline;

	for (size_t n = len; (newline = memrchr(data, '\n', n)); n = (size_t)(newline - data)) {
		char before = newline > data ? newline[-1] : team->last;

		if (before != '\\')
			return (size_t)(newline - data) + 1;
	}
	return 0;
}

int gp_pg_team_rows(struct gp_pg_team *team, const char *data, size_t len, struct gp_error *err)
{
	enum { PIECE = 1 << 16 };

	while (len) {
		size_t n = len < PIECE ? len : PIECE, end;

		if (team->at->block >= BLOCK) {
			if (team->row_ended)
				GP_TRY(next_member(team, err));
			else if ((end = end_of_row(team, data, n)))
				n = end;
		}
		team->row_ended = end_of_row(team, data, n) == n;
		GP_TRY(put(team, data, n, err));
		team->last = data[n - 1];
		data += n;
		len -= n;
	}
	return 0;
}

int gp_pg_team_copy_end(struct gp_pg_team *team, struct gp_error *err)
{
	for (size_t i = 0; i < team->n; i++)
		if (team->v[i].state == TAKES_ROWS)
			GP_TRY(end_copy(&team->v[i], err));
	team->at = NULL;
	return look(team, err);
}

size_t gp_pg_team_size(const struct gp_pg_team *team)
{
	return team->n;
}

uint64_t gp_pg_team_copied(const struct gp_pg_team *team)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < team->n; i++)
		sum += gp_pg_copied(team->v[i].pg);
	return sum;
}
