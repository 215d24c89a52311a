/*
 * A Caddyfile, line by line. The block of global options is the first thing that is no comment, begins with a line "{" and ends with a
 * line "}"; Caddy itself wants an opening brace at the end of its line and a closing one alone on its own.
 */
#include "base/caddyfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

/* Words of a line before its comment; their number. */
static struct gp_strv words_of(struct gp_arena *arena, const char *line)
{
	struct gp_strv words = gp_words(arena, gp_trim(arena, line));

	for (size_t i = 0; i < words.n; i++) {
		if (words.v[i][0] == '#') {
			words.n = i;
			words.v[i] = NULL;
		}
	}
	return words;
}

static bool is_word(const struct gp_strv *words, const char *word)
{
	return words->n == 1 && gp_streq(words->v[0], word);
}

/* The number of the line that opens the block of global options; false: there is none. */
static bool global_block(struct gp_arena *arena, const struct gp_strv *lines, size_t *ret)
{
	for (size_t i = 0; i < lines->n; i++) {
		struct gp_strv words = words_of(arena, lines->v[i]);

		if (!words.n)
			continue;
		*ret = i;
		return is_word(&words, "{");
	}
	return false;
}

const char *gp_caddyfile_option(struct gp_arena *arena, const char *text, const char *name)
{
	const struct gp_strv lines = gp_lines(arena, text);
	size_t i, depth = 1;

	if (!global_block(arena, &lines, &i))
		return NULL;
	for (i++; i < lines.n && depth; i++) {
		struct gp_strv words = words_of(arena, lines.v[i]);

		if (!words.n)
			continue;
		if (is_word(&words, "}")) {
			depth--;
			continue;
		}
		if (depth == 1 && gp_streq(words.v[0], name)) {
			words.v++;
			words.n--;
			return gp_strv_join(arena, &words, " ");
		}
		depth += gp_streq(words.v[words.n - 1], "{");
	}
	return NULL;
}

const char *gp_caddyfile_with_option(struct gp_arena *arena, const char *text, const char *name, const char *value)
{
	const struct gp_strv lines = gp_lines(arena, text);
	GP_AUTO_BUF out = { 0 };
	size_t block;

	if (!global_block(arena, &lines, &block))
		return gp_sprintf(arena, "{\n\t%s %s\n}\n\n%s", name, value, text);
	for (size_t i = 0; i < lines.n; i++) {
		gp_buf_printf(&out, "%s\n", lines.v[i]);
		if (i == block)
			gp_buf_printf(&out, "\t%s %s\n", name, value);
	}
	return gp_strdup(arena, gp_buf_str(&out));
}

const char *gp_caddyfile_replace_line(struct gp_arena *arena, const char *text, const char *line, const char *by)
{
	const struct gp_strv lines = gp_lines(arena, text);
	GP_AUTO_BUF out = { 0 };
	bool found = false;

	for (size_t i = 0; i < lines.n; i++) {
		bool is = gp_streq(gp_trim(arena, lines.v[i]), line);

		if (is && !found)
			gp_buf_puts(&out, by);
		else if (!is)
			gp_buf_printf(&out, "%s\n", lines.v[i]);
		found = found || is;
	}
	return found ? gp_strdup(arena, gp_buf_str(&out)) : NULL;
}

/* "https://www.example.com:443" → "www.example.com"; NULL for one without a name. */
static const char *name_of(struct gp_arena *arena, const char *address)
{
	const char *scheme = strstr(address, "://"), *host = scheme ? scheme + 3 : address;
	size_t len = strcspn(host, ":/");

	return len ? gp_strndup(arena, host, len) : NULL;
}

/* The addresses at the head of a block: words with commas between or behind them, the last one "{". */
static struct gp_strv head_of(struct gp_arena *arena, const struct gp_strv *words)
{
	struct gp_strv list = { 0 };

	for (size_t i = 0; i < words->n; i++) {
		char *rest = gp_strdup(arena, words->v[i]), *part;

		while ((part = strsep(&rest, ",")))
			if (*part && !gp_streq(part, "{"))
				gp_strv_add(arena, &list, part);
	}
	return list;
}

struct block {
	struct gp_strv head;
	const char *tls;
	bool redirects, serves;
};

static void end_block(struct gp_arena *arena, const struct block *block, struct gp_caddyfile_site *site)
{
	bool redirects = block->redirects && !block->serves;
	struct gp_strv *to = redirects ? &site->redirects : &site->names;

	/* The global options; a snippet. */
	if (!block->head.n || block->head.v[0][0] == '(')
		return;
	if (!redirects && site->names.n) {
		site->more++;
		return;
	}
	for (size_t i = 0; i < block->head.n; i++) {
		const char *name = name_of(arena, block->head.v[i]);

		if (name && !gp_strv_has(to, name))
			gp_strv_add(arena, to, name);
		site->plain = site->plain || (!redirects && gp_starts_with(block->head.v[i], "http://"));
	}
	if (!redirects)
		site->tls = block->tls;
}

void gp_caddyfile_site(struct gp_arena *arena, const char *text, struct gp_caddyfile_site *ret)
{
	const struct gp_strv lines = gp_lines(arena, text);
	struct gp_caddyfile_site site = { 0 };
	struct block block = { 0 };
	struct gp_strv head = { 0 };
	size_t depth = 0;

	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = words_of(arena, lines.v[i]);
		bool opens = words.n && gp_streq(words.v[words.n - 1], "{");

		if (!words.n)
			continue;
		if (depth == 0) {
			/* Addresses may go on in the next line, after a comma. */
			for (size_t k = 0; k < words.n; k++)
				gp_strv_add(arena, &head, words.v[k]);
			if (opens)
				block = (struct block){ .head = head_of(arena, &head) };
			if (opens || !gp_ends_with(words.v[words.n - 1], ","))
				head = (struct gp_strv){ 0 };
		} else if (is_word(&words, "}")) {
			if (--depth == 0)
				end_block(arena, &block, &site);
			continue;
		} else {
			block.redirects = block.redirects || gp_streq(words.v[0], "redir");
			block.serves = block.serves || gp_streq(words.v[0], "reverse_proxy") || gp_streq(words.v[0], "php_fastcgi");
			if (depth == 1 && gp_streq(words.v[0], "tls"))
				block.tls = gp_strv_join(arena, &(struct gp_strv){ words.v + 1, words.n - 1 }, " ");
		}
		depth += opens;
	}
	*ret = site;
}
