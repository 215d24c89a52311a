/* The EnvironmentFile= parser: one pass, one state machine, the states named as in systemd. */
#include "base/dotenv.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"

enum state {
	PRE_KEY,
	KEY,
	PRE_VALUE,
	VALUE,
	VALUE_ESCAPE,
	SINGLE_QUOTE,
	DOUBLE_QUOTE,
	DOUBLE_QUOTE_ESCAPE,
	COMMENT,
	COMMENT_ESCAPE,
};

struct parser {
	struct gp_arena *arena;
	struct gp_dotenv env;
	size_t cap;
	struct gp_buf key, value;
	size_t value_end; /* length of the value without trailing white space that was not quoted */
};

static void parser_free(struct parser *p)
{
	gp_buf_free(&p->key);
	gp_buf_free(&p->value);
}

static bool is_newline(char c)
{
	return c == '\n' || c == '\r';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || is_newline(c);
}

static void add_value(struct parser *p, char c, bool trailing_counts)
{
	gp_buf_add(&p->value, &c, 1);
	if (trailing_counts || !is_space(c))
		p->value_end = p->value.len;
}

static void put(struct parser *p)
{
	const char *key = gp_trim(p->arena, gp_buf_str(&p->key));
	const char *value = gp_strndup(p->arena, gp_buf_str(&p->value), p->value_end);
	struct gp_dotenv_pair *pair = NULL;

	p->key.len = p->value.len = p->value_end = 0;
	if (!gp_name_ok(GP_NAME_envkey, key))
		return;
	for (size_t i = 0; i < p->env.n; i++)
		if (gp_streq(p->env.pairs[i].key, key))
			pair = &p->env.pairs[i];
	if (!pair) {
		if (p->env.n == p->cap) {
			struct gp_dotenv_pair *more;

			p->cap = p->cap ? p->cap * 2 : 32;
			more = gp_alloc_array(p->arena, p->cap, sizeof(*more));
			if (p->env.n)
				memcpy(more, p->env.pairs, p->env.n * sizeof(*more));
			p->env.pairs = more;
		}
		pair = &p->env.pairs[p->env.n++];
		pair->key = key;
	}
	pair->value = value;
}

/* Strict UTF-8 as systemd checks it: no overlong forms, no surrogates, no noncharacters, nothing above U+10FFFF. */
static bool utf8_ok(const unsigned char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t c;

		n = gp_utf8_length(s + i, len - i, &c);
		/* U+FDD0 to U+FDEF, and the last two of each plane */
		if (!n || (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe)
			return false;
	}
	return true;
}

static enum state step(struct parser *p, enum state state, char c)
{
	switch (state) {
	case PRE_KEY:
		if (c == '#' || c == ';')
			return COMMENT;
		if (is_space(c))
			return PRE_KEY;
		gp_buf_add(&p->key, &c, 1);
		return KEY;
	case KEY:
		if (is_newline(c)) { /* a line without '=' is no assignment */
			p->key.len = 0;
			return PRE_KEY;
		}
		if (c == '=')
			return PRE_VALUE;
		gp_buf_add(&p->key, &c, 1);
		return KEY;
	case PRE_VALUE:
		if (is_newline(c)) {
			put(p);
			return PRE_KEY;
		}
		if (c == '\'')
			return SINGLE_QUOTE;
		if (c == '"')
			return DOUBLE_QUOTE;
		if (c == '\\')
			return VALUE_ESCAPE;
		if (is_space(c))
			return PRE_VALUE;
		add_value(p, c, true);
		return VALUE;
	case VALUE:
		if (is_newline(c)) {
			put(p);
			return PRE_KEY;
		}
		if (c == '\\') {
			p->value_end = p->value.len;
			return VALUE_ESCAPE;
		}
		add_value(p, c, false);
		return VALUE;
	case VALUE_ESCAPE: /* an escaped newline continues the line */
		if (!is_newline(c))
			add_value(p, c, true);
		return VALUE;
	case SINGLE_QUOTE:
		if (c == '\'')
			return PRE_VALUE;
		add_value(p, c, true);
		return SINGLE_QUOTE;
	case DOUBLE_QUOTE:
		if (c == '"')
			return PRE_VALUE;
		if (c == '\\')
			return DOUBLE_QUOTE_ESCAPE;
		add_value(p, c, true);
		return DOUBLE_QUOTE;
	case DOUBLE_QUOTE_ESCAPE:
		if (strchr("\"\\`$", c)) {
			add_value(p, c, true);
		} else if (c != '\n') {
			add_value(p, '\\', true);
			add_value(p, c, true);
		}
		return DOUBLE_QUOTE;
	case COMMENT:
		if (c == '\\')
			return COMMENT_ESCAPE;
		return is_newline(c) ? PRE_KEY : COMMENT;
	case COMMENT_ESCAPE:
		return COMMENT;
	}
	return PRE_KEY;
}

int gp_dotenv_parse(struct gp_arena *arena, const char *text, size_t len, struct gp_dotenv *ret, struct gp_error *err)
{
	__attribute__((cleanup(parser_free))) struct parser p = { .arena = arena };
	enum state state = PRE_KEY;
	size_t line = 1;

	if (len > GP_DOTENV_MAX)
		return gp_fail(err, GP_E_CONFIG, "larger than %d KiB", GP_DOTENV_MAX / 1024);
	if (len && memchr(text, '\0', len)) /* an empty gp_buf has no data */
		return gp_fail(err, GP_E_CONFIG, "contains a NUL byte");
	if (!utf8_ok((const unsigned char *)text, len))
		return gp_fail(err, GP_E_CONFIG, "is not UTF-8");
	for (size_t i = 0; i < len; i++) {
		line += text[i] == '\n';
		if (state == COMMENT_ESCAPE && is_newline(text[i])) {
			gp_fail(err, GP_E_CONFIG, "the comment in line %zu ends in a backslash", line - (text[i] == '\n'));
			return gp_hint(err, "systemd's versions disagree about the line after it: take the backslash away");
		}
		state = step(&p, state, text[i]);
	}
	if (state != PRE_KEY && state != KEY && state != COMMENT && state != COMMENT_ESCAPE)
		put(&p);
	*ret = p.env;
	return 0;
}

const char *gp_dotenv_get(const struct gp_dotenv *env, const char *key)
{
	for (size_t i = 0; i < env->n; i++)
		if (gp_streq(env->pairs[i].key, key))
			return env->pairs[i].value;
	return NULL;
}

const char *gp_dotenv_line(struct gp_arena *arena, const char *key, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+,=-?&!*()[]~^";
	GP_AUTO_BUF out = { 0 };

	if (strspn(value, plain) == strlen(value))
		return gp_sprintf(arena, "%s=%s\n", key, value);
	gp_buf_printf(&out, "%s=\"", key);
	for (const char *p = value; *p; p++) {
		if (strchr("\"\\`$", *p))
			gp_buf_puts(&out, "\\");
		gp_buf_add(&out, p, 1);
	}
	gp_buf_puts(&out, "\"\n");
	return gp_strdup(arena, gp_buf_str(&out));
}
