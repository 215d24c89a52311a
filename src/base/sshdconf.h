/*
 * The grammar of sshd_config(5), which is that of what `sshd -T` prints too: a keyword and its value on a line. Who is let in by the
 * four lists of users and groups. Pure.
 */
#ifndef GP_BASE_SSHDCONF_H
#define GP_BASE_SSHDCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct gp_arena;

struct gp_sshdconf_line {
	const char *keyword; /* lower case; challengeresponseauthentication is called kbdinteractiveauthentication */
	const char *value;   /* without quotes around the whole and without a comment behind it; "" */
	const char *match;   /* what the Match block asks for in which this stands; NULL: it stands in none */
	size_t line;         /* from 1 */
};

struct gp_sshdconf {
	struct gp_sshdconf_line *v;
	size_t n;
};

void gp_sshdconf_parse(struct gp_arena *arena, const char *text, struct gp_sshdconf *ret);

/* The first value outside of Match blocks, which is the one that counts; NULL: not set. */
const char *gp_sshdconf_get(const struct gp_sshdconf *conf, const char *keyword);

/* sshd's patterns: '*' and '?'. */
bool gp_sshdconf_match(const char *pattern, const char *text);

/* The keyword (AllowUsers, ...) by which that user of these groups is not let in; NULL: none. A pattern that asks for the client's host
 * is read the careful way: it may deny, and it may not allow. */
const char *gp_sshdconf_excludes(struct gp_arena *arena, const struct gp_sshdconf *conf, const char *user, const struct gp_strv *groups);

#endif
