/*
 * A stream of SQL as psql reads it, cut into statements, the rows that follow a COPY … FROM stdin, and psql's own commands (a line that
 * starts with a backslash). Only cut: what a statement means is for the server to say, also whether rows follow it. Pure.
 */
#ifndef GP_BASE_SQL_H
#define GP_BASE_SQL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct gp_error;

struct gp_sql_sink {
	/* A statement without its semicolon and without comments. 1: rows follow, 0: that was all, -1: stop. */
	int (*statement)(void *arg, const char *text, struct gp_error *err);
	/* Rows, in pieces of any length; NULL at their end. */
	int (*rows)(void *arg, const char *data, size_t len, struct gp_error *err);
	/* A line for psql, with its backslash. */
	int (*command)(void *arg, const char *line, struct gp_error *err);
	void *arg;
};

enum gp_sql_state {
	GP_SQL_PLAIN,
	GP_SQL_LINE_COMMENT,  /* -- */
	GP_SQL_BLOCK_COMMENT,
	GP_SQL_QUOTE,         /* '…' */
	GP_SQL_ESCAPES,       /* E'…', where a backslash escapes */
	GP_SQL_NAME,          /* "…" */
	GP_SQL_TAG,           /* $tag, until its second $ */
	GP_SQL_DOLLAR,        /* $tag$…$tag$ */
	GP_SQL_COMMAND,
	GP_SQL_BEFORE_ROWS,   /* the rest of a COPY's line */
	GP_SQL_ROWS,
};

struct gp_sql {
	const struct gp_sql_sink *sink;
	enum gp_sql_state state;
	struct gp_buf text;      /* the statement so far */
	char pending;            /* '-', '/' or '*' that may be half of a comment's mark; '\'' or '\\' inside of quotes */
	int comments;            /* nested block comments */
	int parentheses;
	int begins;              /* BEGIN ATOMIC … END of a function's body */
	char word[16];           /* the word under way */
	size_t word_len, words;
	char first[4];           /* first letters of the statement's first words, as far as they begin a function */
	size_t tag, body;        /* in text: where the dollar quote's tag and its body begin */
	bool line_start;
	char held[4];            /* what may become the line that ends the rows */
	size_t held_len;
};

/* A statement longer than statement_max bytes is an error. */
void gp_sql_begin(struct gp_sql *sql, const struct gp_sql_sink *sink, size_t statement_max);
int gp_sql_feed(struct gp_sql *sql, const char *data, size_t len, struct gp_error *err);
/* That was all. In the middle of something it is an error; a last statement without its semicolon is one too. */
int gp_sql_end(struct gp_sql *sql, struct gp_error *err);
void gp_sql_free(struct gp_sql *sql);
#define GP_AUTO_SQL __attribute__((cleanup(gp_sql_free))) struct gp_sql

#endif
