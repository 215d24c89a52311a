/* String helpers. */
#include "base/str.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

bool gp_starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool gp_ends_with(const char *s, const char *suffix)
{
	size_t a = strlen(s), b = strlen(suffix);

	return a >= b && strcmp(s + a - b, suffix) == 0;
}

void gp_strv_add(struct gp_arena *arena, struct gp_strv *list, const char *s)
{
	/* Room is doubled at 4, 8, 16, ...: n + 1 places are in use, the last one for the NULL. */
	if (!list->v || (list->n + 1 >= 4 && ((list->n + 1) & list->n) == 0)) {
		size_t cap = list->n + 1 < 4 ? 4 : (list->n + 1) * 2;
		const char **v = gp_alloc_array(arena, cap, sizeof(*v));

		if (list->n)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
	}
	list->v[list->n++] = s;
	list->v[list->n] = NULL;
}

bool gp_strv_has(const struct gp_strv *list, const char *s)
{
	for (size_t i = 0; i < list->n; i++)
		if (gp_streq(list->v[i], s))
			return true;
	return false;
}

const char *gp_strv_join(struct gp_arena *arena, const struct gp_strv *list, const char *between)
{
	size_t len = 1;
	char *text, *p;

	for (size_t i = 0; i < list->n; i++)
		len += strlen(list->v[i]) + strlen(between);
	p = text = gp_alloc(arena, len);
	for (size_t i = 0; i < list->n; i++) {
		p = stpcpy(p, list->v[i]);
		if (i + 1 < list->n)
			p = stpcpy(p, between);
	}
	return text;
}

const char *gp_strv_brief(struct gp_arena *arena, const struct gp_strv *list, size_t most)
{
	const struct gp_strv first = { .v = list->v, .n = list->n > most ? most : list->n };
	const char *text = gp_strv_join(arena, &first, ", ");

	return list->n > most ? gp_sprintf(arena, "%s and %zu more", text, list->n - most) : text;
}

struct gp_strv gp_lines(struct gp_arena *arena, const char *text)
{
	struct gp_strv lines = { 0 };

	while (*text) {
		size_t len = strcspn(text, "\n");

		gp_strv_add(arena, &lines, gp_strndup(arena, text, len));
		text += len + (text[len] == '\n');
	}
	return lines;
}

struct gp_strv gp_words(struct gp_arena *arena, const char *line)
{
	struct gp_strv words = { 0 };

	for (;;) {
		size_t len;

		line += strspn(line, " \t\r\n");
		if (!*line)
			return words;
		len = strcspn(line, " \t\r\n");
		gp_strv_add(arena, &words, gp_strndup(arena, line, len));
		line += len;
	}
}

const char *gp_trim(struct gp_arena *arena, const char *text)
{
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	return gp_strndup(arena, text, len);
}

const char *gp_last_lines(const char *text, size_t n)
{
	const char *p = text + strlen(text);

	if (!n)
		return p;
	if (p > text && p[-1] == '\n')
		p--;
	while (p > text) {
		if (p[-1] == '\n' && --n == 0)
			break;
		p--;
	}
	return p;
}

const char *gp_last_line(struct gp_arena *arena, const char *text)
{
	const char *found = "";

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n");

		if (strspn(p, " \t\r") < len)
			found = p;
		p += len + (p[len] == '\n');
	}
	return gp_trim(arena, gp_strndup(arena, found, strcspn(found, "\n")));
}

/* Levenshtein distance, given up (returning 3) for words too long to be a slip of the finger. */
static size_t distance(const char *a, const char *b)
{
	enum { MAX = 40 };
	size_t la = strlen(a), lb = strlen(b), row[MAX + 1];

	if (la > MAX || lb > MAX)
		return 3;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t change = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
			size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < best ? change : best;
		}
	}
	return row[lb];
}

const char *gp_closest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t best_distance = 3;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, names[i]);

		if (d < best_distance && d < strlen(word)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

size_t gp_utf8_length(const unsigned char *p, size_t left, uint32_t *ret)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	if (!n || n > left)
		return 0;
	*ret = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*ret = *ret << 6 | (p[i] & 0x3f);
	}
	/* longer than needed, a surrogate, beyond Unicode */
	if ((n == 3 && *ret < 0x800) || (n == 4 && (*ret < 0x10000 || *ret > 0x10ffff)) || (*ret >= 0xd800 && *ret < 0xe000))
		return 0;
	return n;
}

static bool is_control(uint32_t c, const char *but)
{
	if (c < 0x20)
		return !c || !strchr(but, (int)c);
	return (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
		(c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void gp_tame(char *text, size_t len, const char *but)
{
	unsigned char *p = (unsigned char *)text;

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = gp_utf8_length(p + i, len - i, &c);

		if (!n || is_control(c, but))
			memset(p + i, '?', n ? n : 1);
		i += n ? n : 1;
	}
}

const char *gp_size_words(struct gp_arena *arena, uint64_t bytes)
{
	if (bytes < 1 << 20)
		return gp_sprintf(arena, "%ju KiB", (uintmax_t)((bytes + 1023) >> 10));
	if (bytes < 1 << 30)
		return gp_sprintf(arena, "%.1f MiB", (double)bytes / (1 << 20));
	return gp_sprintf(arena, "%.1f GiB", (double)bytes / (1 << 30));
}
