/*
 * By psql's own rules (psqlscan.l), one byte at a time; rows, and texts in quotes, as fast as they can be looked through.
 * standard_conforming_strings is on, as in every dump.
 */
#include "base/sql.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/scan.h"

static const char end_of_rows[] = "\\.";

enum { COMMAND_MAX = 200 };

void gp_sql_begin(struct gp_sql *sql, const struct gp_sql_sink *sink, size_t statement_max)
{
	*sql = (struct gp_sql){ .sink = sink, .text.max = statement_max, .line_start = true };
}

void gp_sql_free(struct gp_sql *sql)
{
	gp_buf_free(&sql->text);
}

static bool in_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static char last(const struct gp_sql *sql, size_t back)
{
	return sql->text.len > back ? sql->text.data[sql->text.len - 1 - back] : '\0';
}

static void reset(struct gp_sql *sql)
{
	sql->text.len = 0;
	if (sql->text.data)
		sql->text.data[0] = '\0';
	sql->parentheses = sql->begins = 0;
	sql->word_len = sql->words = 0;
	memset(sql->first, 0, sizeof(sql->first));
}

static bool is_word(const struct gp_sql *sql, const char *word)
{
	return strlen(word) == sql->word_len && strncmp(sql->word, word, sql->word_len) == 0;
}

/* CREATE [OR REPLACE] FUNCTION or PROCEDURE: its body may be BEGIN ATOMIC … END, with semicolons that end no statement. */
static bool makes_function(const struct gp_sql *sql)
{
	const char *f = sql->first;
	char kind = f[1] == 'o' && f[2] == 'r' ? f[3] : f[1];

	return f[0] == 'c' && (kind == 'f' || kind == 'p');
}

static void end_word(struct gp_sql *sql)
{
	static const char *const beginnings[] = { "create", "or", "replace", "function", "procedure" };

	if (!sql->word_len)
		return;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (sql->words < sizeof(sql->first) && is_word(sql, beginnings[i]))
			sql->first[sql->words] = sql->word[0];
	sql->words++;
	if (makes_function(sql) && sql->parentheses == 0) {
		if (is_word(sql, "begin") || (is_word(sql, "case") && sql->begins))
			sql->begins++;
		else if (is_word(sql, "end") && sql->begins)
			sql->begins--;
	}
	sql->word_len = 0;
}

static void add_to_word(struct gp_sql *sql, char c)
{
	/* Longer ones are none that matter; they stay too long to be taken for one. */
	if (sql->word_len < sizeof(sql->word))
		sql->word[sql->word_len++] = (char)tolower((unsigned char)c);
}

static int too_long(const struct gp_sql *sql, struct gp_error *err)
{
	return gp_fail(err, GP_E_FAILED, "a statement in it is longer than %zu MiB", sql->text.max >> 20);
}

static int add(struct gp_sql *sql, char c, struct gp_error *err)
{
	if (c == '\0')
		return gp_fail(err, GP_E_FAILED, "there is a NUL byte in it: this is no SQL");
	gp_buf_add(&sql->text, &c, 1);
	return sql->text.truncated ? too_long(sql, err) : 0;
}

static int end_statement(struct gp_sql *sql, struct gp_error *err)
{
	int rows = 0;

	while (sql->text.len && isspace((unsigned char)last(sql, 0)))
		sql->text.data[--sql->text.len] = '\0';
	if (sql->text.len)
		rows = sql->sink->statement(sql->sink->arg, gp_buf_str(&sql->text), err);
	reset(sql);
	if (rows > 0)
		sql->state = GP_SQL_BEFORE_ROWS;
	return rows < 0 ? -1 : 0;
}

/* A character of the statement, with what it opens. */
static int plain(struct gp_sql *sql, char c, struct gp_error *err)
{
	bool inside = in_name(last(sql, 0)), escapes = tolower((unsigned char)last(sql, 0)) == 'e' && !in_name(last(sql, 1));

	if (c == '\\') {
		if (sql->text.len)
			return gp_fail(err, GP_E_REFUSED, "there is a command for psql in the middle of a statement in it");
		sql->state = GP_SQL_COMMAND;
		return add(sql, c, err);
	}
	if (in_name(c) && !(c == '$' && !inside))
		add_to_word(sql, c);
	else
		end_word(sql);
	if (c == ';' && sql->parentheses == 0 && sql->begins == 0)
		return end_statement(sql, err);
	if (isspace((unsigned char)c) && !sql->text.len)
		return 0;
	if (c == '(')
		sql->parentheses++;
	else if (c == ')' && sql->parentheses)
		sql->parentheses--;
	else if (c == '\'')
		sql->state = escapes ? GP_SQL_ESCAPES : GP_SQL_QUOTE;
	else if (c == '"')
		sql->state = GP_SQL_NAME;
	else if (c == '$' && !inside) {
		sql->state = GP_SQL_TAG;
		sql->tag = sql->text.len;
	}
	return add(sql, c, err);
}

/* Outside of quotes: two characters may open a comment. */
static int plain_or_comment(struct gp_sql *sql, char c, struct gp_error *err)
{
	char before = sql->pending;

	sql->pending = '\0';
	if ((before == '-' && c == '-') || (before == '/' && c == '*')) {
		sql->state = c == '-' ? GP_SQL_LINE_COMMENT : GP_SQL_BLOCK_COMMENT;
		sql->comments = 1;
		end_word(sql);
		return sql->text.len ? add(sql, ' ', err) : 0;
	}
	if (before)
		GP_TRY(plain(sql, before, err));
	if (c == '-' || c == '/') {
		sql->pending = c;
		return 0;
	}
	return plain(sql, c, err);
}

static void block_comment(struct gp_sql *sql, char c)
{
	char before = sql->pending;

	sql->pending = c;
	if (before == '/' && c == '*')
		sql->comments++;
	else if (before == '*' && c == '/')
		sql->comments--;
	else
		return;
	sql->pending = '\0';
	if (sql->comments == 0)
		sql->state = GP_SQL_PLAIN;
}

/* Inside '…' or "…". The quote is over when what follows its mark is not that mark again: pending says that it was seen. */
static int quoted(struct gp_sql *sql, char c, struct gp_error *err)
{
	char mark = sql->state == GP_SQL_NAME ? '"' : '\'', before = sql->pending;

	if (before == mark && c != mark) {
		sql->pending = '\0';
		sql->state = GP_SQL_PLAIN;
		return plain_or_comment(sql, c, err);
	}
	sql->pending = '\0';
	if (before != mark && before != '\\' && (c == mark || (c == '\\' && sql->state == GP_SQL_ESCAPES)))
		sql->pending = c;
	return add(sql, c, err);
}

/* $1 is a parameter, and $tag without a second $ a name. */
static int tag(struct gp_sql *sql, char c, struct gp_error *err)
{
	bool first = sql->text.len == sql->tag + 1;

	if (c == '$') {
		GP_TRY(add(sql, c, err));
		sql->state = GP_SQL_DOLLAR;
		sql->body = sql->text.len;
		return 0;
	}
	if (in_name(c) && !(first && isdigit((unsigned char)c)))
		return add(sql, c, err);
	sql->state = GP_SQL_PLAIN;
	return plain_or_comment(sql, c, err);
}

static int dollar(struct gp_sql *sql, char c, struct gp_error *err)
{
	size_t len = sql->body - sql->tag;

	GP_TRY(add(sql, c, err));
	if (c == '$' && sql->text.len >= sql->body + len && memcmp(sql->text.data + sql->text.len - len, sql->text.data + sql->tag, len) == 0)
		sql->state = GP_SQL_PLAIN;
	return 0;
}

static int command(struct gp_sql *sql, char c, struct gp_error *err)
{
	int result;

	if (c != '\n') /* what is longer is none that anybody wants to know whole */
		return sql->text.len < COMMAND_MAX ? add(sql, c, err) : 0;
	sql->state = GP_SQL_PLAIN;
	while (sql->text.len && isspace((unsigned char)last(sql, 0)))
		sql->text.data[--sql->text.len] = '\0';
	result = sql->sink->command(sql->sink->arg, gp_buf_str(&sql->text), err);
	reset(sql);
	return result;
}

static int step(struct gp_sql *sql, char c, struct gp_error *err)
{
	switch (sql->state) {
	case GP_SQL_LINE_COMMENT:
		if (c == '\n')
			sql->state = GP_SQL_PLAIN;
		return 0;
	case GP_SQL_BLOCK_COMMENT:
		block_comment(sql, c);
		return 0;
	case GP_SQL_QUOTE:
	case GP_SQL_ESCAPES:
	case GP_SQL_NAME:
		return quoted(sql, c, err);
	case GP_SQL_TAG:
		return tag(sql, c, err);
	case GP_SQL_DOLLAR:
		return dollar(sql, c, err);
	case GP_SQL_COMMAND:
		return command(sql, c, err);
	case GP_SQL_BEFORE_ROWS:
		if (c == '\n') {
			sql->state = GP_SQL_ROWS;
			sql->line_start = true;
			sql->held_len = 0;
		}
		return 0;
	case GP_SQL_PLAIN:
	case GP_SQL_ROWS:
		break;
	}
	return plain_or_comment(sql, c, err);
}

static int end_rows(struct gp_sql *sql, struct gp_error *err)
{
	sql->state = GP_SQL_PLAIN;
	sql->held_len = 0;
	return sql->sink->rows(sql->sink->arg, NULL, 0, err);
}

/* A line that begins with a backslash: \. alone ends the rows; \N is a null. */
static int hold(struct gp_sql *sql, char c, struct gp_error *err)
{
	size_t n = sql->held_len;

	if (c == '\n' && (n == 2 || (n == 3 && sql->held[2] == '\r')))
		return end_rows(sql, err);
	if ((n < 2 && c == end_of_rows[n]) || (n == 2 && c == '\r')) {
		sql->held[sql->held_len++] = c;
		return 0;
	}
	sql->held_len = 0;
	sql->line_start = c == '\n';
	GP_TRY(sql->sink->rows(sql->sink->arg, sql->held, n, err));
	return sql->sink->rows(sql->sink->arg, &c, 1, err);
}

/* How many bytes of data it took. */
static size_t rows(struct gp_sql *sql, const char *data, size_t len, int *result, struct gp_error *err)
{
	const char *newline;
	size_t n;

	if (sql->held_len || (sql->line_start && data[0] == '\\')) {
		*result = hold(sql, data[0], err);
		return 1;
	}
	newline = gp_scan_pair(data, len, '\n', '\\');
	n = newline ? (size_t)(newline - data) + 1 : len;
	sql->line_start = data[n - 1] == '\n';
	*result = sql->sink->rows(sql->sink->arg, data, n, err);
	return n;
}

/* The same of a text in quotes, up to what may be its end: large objects are such texts. */
static size_t quoted_text(struct gp_sql *sql, const char *data, size_t len, int *result, struct gp_error *err)
{
	const char *mark = sql->pending ? data : memchr(data, '\'', len);
	size_t n = mark ? (size_t)(mark - data) : len;

	if (n == 0 || memchr(data, '\0', n)) {
		*result = quoted(sql, data[0], err);
		return 1;
	}
	gp_buf_add(&sql->text, data, n);
	*result = sql->text.truncated ? too_long(sql, err) : 0;
	return n;
}

int gp_sql_feed(struct gp_sql *sql, const char *data, size_t len, struct gp_error *err)
{
	for (size_t i = 0; i < len;) {
		int result = 0;

		if (sql->state == GP_SQL_ROWS)
			i += rows(sql, data + i, len - i, &result, err);
		else if (sql->state == GP_SQL_QUOTE)
			i += quoted_text(sql, data + i, len - i, &result, err);
		else
			result = step(sql, data[i++], err);
		GP_TRY(result);
	}
	return 0;
}

int gp_sql_end(struct gp_sql *sql, struct gp_error *err)
{
	if (sql->state == GP_SQL_ROWS && sql->held_len >= 2)
		GP_TRY(end_rows(sql, err));
	if (sql->state == GP_SQL_COMMAND)
		GP_TRY(command(sql, '\n', err));
	if (sql->state == GP_SQL_ROWS || sql->state == GP_SQL_BEFORE_ROWS)
		return gp_fail(err, GP_E_FAILED, "it ends in the middle of a table's rows");
	if (sql->text.len || sql->pending || sql->state == GP_SQL_BLOCK_COMMENT)
		return gp_fail(err, GP_E_FAILED, "it ends in the middle of a statement");
	return 0;
}
