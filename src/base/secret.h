/* Secrets: made from the kernel's random source, and kept out of everything that is shown or written down. */
#ifndef GP_BASE_SECRET_H
#define GP_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct gp_arena;

/* len characters out of A-Z a-z 0-9, each from getrandom(2): 5.95 bits a character. Needs no quoting in `.env`, URLs or SQL. */
const char *gp_secret_new(struct gp_arena *arena, size_t len);

/* Does a value under this key have to be kept secret? By its name: PASSWORD, SECRET, TOKEN, KEY, DSN, CREDENTIAL, or a *_URL. */
bool gp_secret_key(const char *key);

/* The secrets known so far, longest match masked first. Zero-initialise; the strings live in the arena. */
struct gp_secrets {
	struct gp_arena *arena;
	const char **values;
	size_t n, cap;
};

/* Remember a value. For an URL with user:password@ the password alone. Values under 6 characters are not secrets but words. */
void gp_secret_add(struct gp_secrets *secrets, const char *value);
/* text with every known secret replaced by "********"; text itself where none occurs. */
const char *gp_secret_mask(const struct gp_secrets *secrets, struct gp_arena *arena, const char *text);

/* Lines of configuration with the values of variables that gp_secret_key knows, in KEY=value anywhere in a line, as "********". */
const char *gp_secret_mask_assignments(struct gp_arena *arena, const char *text);

#endif
