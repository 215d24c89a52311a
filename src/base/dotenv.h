/*
 * `.env` files, read by the rules of systemd's EnvironmentFile= (systemd.exec(5); states as in systemd's env-file.c), because
 * systemd is who hands them to the site. Nothing in them is ever executed. Pure: text in, pairs out.
 */
#ifndef GP_BASE_DOTENV_H
#define GP_BASE_DOTENV_H

#include <stddef.h>

struct gp_arena;
struct gp_error;

enum { GP_DOTENV_MAX = 256 * 1024 }; /* bytes a file may have */

struct gp_dotenv_pair {
	const char *key, *value;
};

struct gp_dotenv {
	struct gp_dotenv_pair *pairs; /* in the order of the file; a key that comes twice stands once, with its last value */
	size_t n;
};

/*
 * Parse len bytes. Keys that systemd would drop (no valid names) are dropped. Fails (configuration) where systemd would refuse
 * the file or where its versions disagree: a NUL byte, text that is not UTF-8, a comment that ends in a backslash.
 */
int gp_dotenv_parse(struct gp_arena *arena, const char *text, size_t len, struct gp_dotenv *ret, struct gp_error *err);

/* The value of key, or NULL. */
const char *gp_dotenv_get(const struct gp_dotenv *env, const char *key);

/* "KEY=value\n", quoted where it must be, such that parsing gives the same value back. */
const char *gp_dotenv_line(struct gp_arena *arena, const char *key, const char *value);

#endif
