/* On base/sql.h: statements that begin rows are read for their table, rows are counted by their newlines, all else passes. */
#include "base/dumpcount.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/scan.h"
#include "base/sql.h"

enum { STATEMENT_MAX = 64 << 20, HEAD = 4096, TAIL = 4096, TABLES_MAX = 65536, MIGRATIONS_MAX = 20000 };
enum { LINE_MAX_BYTES = 1024, PART_MAX = 255, NAME_MAX_BYTES = 256 };

static const char closing_line[] = "\n-- PostgreSQL database dump complete";

struct gp_dumpcount {
	struct gp_arena *arena;
	struct gp_sql sql;
	struct gp_sql_sink sink;
	struct gp_dumped dumped;
	size_t room;              /* in dumped.tables.v */
	char schema[NAME_MAX_BYTES]; /* that a name without one is in */
	uint64_t *rows;           /* of the table under way */
	uint64_t nowhere;         /* for one that is not kept in mind */
	bool migrations;          /* the table under way is django_migrations, and these are its columns */
	int app, name;
	struct gp_buf line;       /* of that table: the one under way */
	struct gp_buf head, tail;
};

/* ---- names ------------------------------------------------------------------------------------------------------------ */

static bool is_plain(const char *part)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";

	return *part && !isdigit((unsigned char)*part) && part[strspn(part, letters)] == '\0';
}

static void add_part(struct gp_buf *to, const char *part)
{
	if (is_plain(part)) {
		gp_buf_puts(to, part);
		return;
	}
	gp_buf_puts(to, "\"");
	for (; *part; part++)
		gp_buf_add(to, *part == '"' ? "\"\"" : part, *part == '"' ? 2 : 1);
	gp_buf_puts(to, "\"");
}

const char *gp_table_name(struct gp_arena *arena, const char *schema, const char *table)
{
	GP_AUTO_BUF name = { 0 };

	add_part(&name, schema);
	gp_buf_puts(&name, ".");
	add_part(&name, table);
	return gp_strdup(arena, gp_buf_str(&name));
}

/* Past blanks, and the word where it is the next; else NULL. */
static const char *word(const char *p, const char *wanted)
{
	size_t len = strlen(wanted);

	p += strspn(p, " \t\r\n");
	if (strncasecmp(p, wanted, len) != 0 || isalnum((unsigned char)p[len]) || p[len] == '_')
		return NULL;
	return p + len;
}

/* An identifier as SQL has it; NULL where there is none, or one that no table can have. */
static const char *identifier(const char *p, char ret[NAME_MAX_BYTES])
{
	size_t n = 0;

	p += strspn(p, " \t\r\n");
	if (*p == '"') {
		for (p++; *p && (*p != '"' || p[1] == '"') && n < NAME_MAX_BYTES - 1; p++) {
			p += *p == '"';
			ret[n++] = *p;
		}
		if (*p != '"')
			return NULL;
		p++;
	} else {
		for (; (isalnum((unsigned char)*p) || *p == '_' || *p == '$' || (unsigned char)*p >= 0x80) && n < NAME_MAX_BYTES - 1; p++)
			ret[n++] = (char)tolower((unsigned char)*p);
	}
	ret[n] = '\0';
	return n ? p + strspn(p, " \t\r\n") : NULL;
}

/* ---- statements --------------------------------------------------------------------------------------------------------- */

/* Which table the rows that follow are of. */
static uint64_t *add_table(struct gp_dumpcount *c, const char *schema, const char *table)
{
	struct gp_tables *tables = &c->dumped.tables;

	if (tables->n == TABLES_MAX) {
		tables->partial = true;
		return &c->nowhere;
	}
	if (tables->n == c->room) {
		struct gp_table_rows *more = gp_alloc_array(c->arena, c->room ? c->room * 2 : 64, sizeof(*more));

		if (c->room)
			memcpy(more, tables->v, c->room * sizeof(*more));
		c->room = c->room ? c->room * 2 : 64;
		tables->v = more;
	}
	tables->v[tables->n] = (struct gp_table_rows){ .name = gp_table_name(c->arena, schema, table) };
	return &tables->v[tables->n++].rows;
}

/* COPY schema.table (column, …) FROM stdin. p: behind the list's parenthesis; returns what is behind the list, or NULL. */
static const char *columns(struct gp_dumpcount *c, const char *p)
{
	char column[NAME_MAX_BYTES];
	int i = 0;

	c->app = c->name = -1;
	do {
		p = identifier(p, column);
		if (p && gp_streq(column, "app"))
			c->app = i;
		else if (p && gp_streq(column, "name"))
			c->name = i;
		i++;
	} while (p && *p++ == ',');
	return p && p[-1] == ')' ? p : NULL;
}

static int statement(void *arg, const char *text, struct gp_error *err)
{
	char schema[NAME_MAX_BYTES], table[NAME_MAX_BYTES];
	struct gp_dumpcount *c = arg;
	const char *p = word(text, "set");

	(void)err;
	/* pg_dump until 10.2 named tables without their schema. */
	if (p && (p = word(p, "search_path")) && (p += strspn(p, " \t"), *p == '=') && identifier(p + 1, schema))
		memcpy(c->schema, schema, sizeof(schema));
	p = word(text, "copy");
	if (!p || !(p = identifier(p, table)))
		return 0;
	memcpy(schema, c->schema, sizeof(schema));
	if (*p == '.') {
		memcpy(schema, table, sizeof(schema));
		if (!(p = identifier(p + 1, table)))
			return 0;
	}
	c->app = c->name = -1;
	if (*p == '(' && !(p = columns(c, p + 1)))
		return 0;
	if (!(p = word(p, "from")) || !word(p, "stdin"))
		return 0;
	c->rows = add_table(c, schema, table);
	c->migrations = gp_streq(schema, "public") && gp_streq(table, "django_migrations") && c->app >= 0 && c->name >= 0;
	c->line.len = 0;
	c->line.truncated = false;
	c->dumped.copies = true;
	return 1;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

/* The n-th column of a row; what has an escape in it, or what else no migration's name has, is none. */
static size_t field(const char *line, int n, const char **ret)
{
	size_t len;

	for (; n > 0; n--) {
		line = strchr(line, '\t');
		if (!line)
			return 0;
		line++;
	}
	len = strcspn(line, "\t");
	*ret = line;
	if (len > PART_MAX || strcspn(line, ". /\\\"'`") < len)
		return 0;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			return 0;
	return len;
}

static void end_line(struct gp_dumpcount *c)
{
	const char *line = gp_buf_str(&c->line), *app, *name;
	size_t app_len = field(line, c->app, &app), name_len = field(line, c->name, &name);

	if (!c->line.truncated && app_len && name_len && c->dumped.migrations.n < MIGRATIONS_MAX)
		gp_strv_add(c->arena, &c->dumped.migrations, gp_sprintf(c->arena, "%.*s.%.*s", (int)app_len, app, (int)name_len, name));
	c->line.len = 0;
	c->line.truncated = false;
}

static void read_migrations(struct gp_dumpcount *c, const char *data, size_t len)
{
	while (len) {
		const char *newline = memchr(data, '\n', len);
		size_t n = newline ? (size_t)(newline - data) : len;

		gp_buf_add(&c->line, data, n);
		if (!newline)
			return;
		end_line(c);
		data += n + 1;
		len -= n + 1;
	}
}

static int rows(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct gp_dumpcount *c = arg;
	size_t n = data ? gp_scan_count(data, len, '\n') : 0;

	(void)err;
	*c->rows += n;
	c->dumped.rows += n;
	if (c->migrations && data)
		read_migrations(c, data, len);
	return 0;
}

static int command(void *arg, const char *line, struct gp_error *err)
{
	(void)arg, (void)line, (void)err;
	return 0;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

struct gp_dumpcount *gp_dumpcount_new(struct gp_arena *arena)
{
	struct gp_dumpcount *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->arena = arena;
	c->sink = (struct gp_sql_sink){ .statement = statement, .rows = rows, .command = command, .arg = c };
	c->dumped = (struct gp_dumped){ .server = "", .client = "" };
	c->rows = &c->nowhere;
	memcpy(c->schema, "public", sizeof("public"));
	c->line.max = LINE_MAX_BYTES;
	c->head.max = HEAD;
	c->tail.max = TAIL;
	gp_sql_begin(&c->sql, &c->sink, STATEMENT_MAX);
	return c;
}

void gp_dumpcount_free(struct gp_dumpcount *c)
{
	if (!c)
		return;
	gp_sql_free(&c->sql);
	gp_buf_free(&c->line);
	gp_buf_free(&c->head);
	gp_buf_free(&c->tail);
	free(c);
}

int gp_dumpcount_feed(struct gp_dumpcount *c, const char *data, size_t len, struct gp_error *err)
{
	c->dumped.bytes += len;
	if (c->head.len < HEAD)
		gp_buf_add(&c->head, data, len);
	gp_buf_keep_tail(&c->tail, data, len);
	return gp_sql_feed(&c->sql, data, len, err);
}

/* 15.20 is 150020, 9.6.24 is 90624. */
static int number_of(const char *text)
{
	int major = 0, minor = 0, patch = 0, n = sscanf(text, "%3d.%2d.%2d", &major, &minor, &patch);

	if (n < 1 || major <= 0 || minor < 0 || patch < 0)
		return 0;
	return major < 10 ? major * 10000 + minor * 100 + patch : major * 10000 + minor;
}

/* "-- Dumped from database version 15.20 (Debian …)": what stands behind the words. */
static const char *version(struct gp_dumpcount *c, const char *words)
{
	const char *at = strstr(gp_buf_str(&c->head), words);
	char *text;

	if (!at)
		return "";
	at += strlen(words);
	text = gp_strndup(c->arena, at, strcspn(at, "\r\n"));
	gp_tame(text, strlen(text), "");
	return text;
}

static int by_name(const void *a, const void *b)
{
	const struct gp_table_rows *one = a, *other = b;

	return strcmp(one->name, other->name);
}

/* Rows of one table may come in several pieces. */
static void sort(struct gp_tables *tables)
{
	size_t n = 0;

	if (tables->n)
		qsort(tables->v, tables->n, sizeof(*tables->v), by_name);
	for (size_t i = 0; i < tables->n; i++) {
		if (n && gp_streq(tables->v[n - 1].name, tables->v[i].name))
			tables->v[n - 1].rows += tables->v[i].rows;
		else
			tables->v[n++] = tables->v[i];
	}
	tables->n = n;
}

int gp_dumpcount_end(struct gp_dumpcount *c, struct gp_dumped *ret, struct gp_error *err)
{
	if (!c->dumped.bytes) {
		gp_fail(err, GP_E_FAILED, "there is nothing in it");
		return gp_hint(err, "take another one");
	}
	GP_TRY(gp_sql_end(&c->sql, err));
	/* pg_dump may write \unrestrict after it. */
	if (!memmem(c->tail.data, c->tail.len, closing_line, strlen(closing_line))) {
		gp_fail(err, GP_E_FAILED, "it does not end with pg_dump's closing line: it is cut short, or no dump");
		return gp_hint(err, "take another one");
	}
	c->dumped.server = version(c, "\n-- Dumped from database version ");
	c->dumped.client = version(c, "\n-- Dumped by pg_dump version ");
	c->dumped.server_number = number_of(c->dumped.server);
	c->dumped.client_number = number_of(c->dumped.client);
	sort(&c->dumped.tables);
	*ret = c->dumped;
	return 0;
}

bool gp_tables_find(const struct gp_tables *tables, const char *name, uint64_t *ret)
{
	const struct gp_table_rows key = { .name = name };
	const struct gp_table_rows *found = tables->n ? bsearch(&key, tables->v, tables->n, sizeof(key), by_name) : NULL;

	if (found)
		*ret = found->rows;
	return found;
}

bool gp_tables_same(struct gp_arena *arena, const struct gp_tables *have, const struct gp_tables *want, const char **ret)
{
	size_t i = 0, k = 0;

	while (i < have->n || k < want->n) {
		int order = i == have->n ? 1 : k == want->n ? -1 : strcmp(have->v[i].name, want->v[k].name);

		if (order > 0)
			*ret = gp_sprintf(arena, "%s is missing", want->v[k].name);
		else if (order < 0)
			*ret = gp_sprintf(arena, "%s should not be there", have->v[i].name);
		else if (have->v[i].rows != want->v[k].rows)
			*ret = gp_sprintf(arena, "%s: %ju rows, not %ju", have->v[i].name, (uintmax_t)have->v[i].rows, (uintmax_t)want->v[k].rows);
		if (order || have->v[i].rows != want->v[k].rows)
			return false;
		i++;
		k++;
	}
	return true;
}
