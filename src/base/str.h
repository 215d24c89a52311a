/* Small string work on top of libc: tests, splitting, lists. Results live in the arena they are asked from. */
#ifndef GP_BASE_STR_H
#define GP_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gp_arena;

static inline bool gp_streq(const char *a, const char *b)
{
	return __builtin_strcmp(a, b) == 0;
}

bool gp_starts_with(const char *s, const char *prefix);
bool gp_ends_with(const char *s, const char *suffix);

/* A list of strings that is always a valid argv: v[n] is NULL. */
struct gp_strv {
	const char **v;
	size_t n;
};

/* Append (copying the pointer, not the text). */
void gp_strv_add(struct gp_arena *arena, struct gp_strv *list, const char *s);
bool gp_strv_has(const struct gp_strv *list, const char *s);
/* "a, b, c"; "" for none. */
const char *gp_strv_join(struct gp_arena *arena, const struct gp_strv *list, const char *between);

/* "a, b and 3 more": at most so many by name. */
const char *gp_strv_brief(struct gp_arena *arena, const struct gp_strv *list, size_t most);

/* The lines of text, without their newlines; a last line without one counts. */
struct gp_strv gp_lines(struct gp_arena *arena, const char *text);
/* The words of a line, split at blanks and tabs. */
struct gp_strv gp_words(struct gp_arena *arena, const char *line);

/* text without leading and trailing white space. */
const char *gp_trim(struct gp_arena *arena, const char *text);
/* The last n lines of text, as a pointer into it. */
const char *gp_last_lines(const char *text, size_t n);
/* The last line that is not blank, trimmed; "" where there is none. */
const char *gp_last_line(struct gp_arena *arena, const char *text);

/* The length of the well-formed UTF-8 character at p (RFC 3629), of at most left bytes, 0 where there is none; *ret is its code point. */
size_t gp_utf8_length(const unsigned char *p, size_t left, uint32_t *ret);

/*
 * Make text from outside fit to be shown: whatever could move a cursor, start a terminal's sequence or turn the order of letters
 * round becomes '?', byte for byte. That is C0 (but for those in `but`), DEL, C1 (U+009B starts a sequence just as ESC [ does), the
 * bidirectional controls (Unicode TR 36), and bytes that are no UTF-8, which a terminal may take for C1.
 */
void gp_tame(char *text, size_t len, const char *but);

/* "12 KiB", "364.2 MiB", "1.3 GiB". */
const char *gp_size_words(struct gp_arena *arena, uint64_t bytes);

/* The entry of names[0..n) closest to word, for "did you mean"; NULL if none is within two edits. */
const char *gp_closest(const char *word, const char *const *names, size_t n);

#endif
