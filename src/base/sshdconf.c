/* Lines of sshd_config. */
#include "base/sshdconf.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"

static const char *lower(struct gp_arena *arena, const char *text, size_t len)
{
	char *word = gp_strndup(arena, text, len);

	for (char *p = word; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return gp_streq(word, "challengeresponseauthentication") ? "kbdinteractiveauthentication" : word;
}

/* A '#' that begins a word ends the line, unless it is in quotes. */
static size_t value_length(const char *text)
{
	bool quoted = false;
	size_t i = 0;

	for (; text[i]; i++) {
		if (text[i] == '"')
			quoted = !quoted;
		if (text[i] == '#' && !quoted && i && strchr(" \t", text[i - 1]))
			break;
	}
	return i;
}

static const char *read_value(struct gp_arena *arena, const char *text)
{
	const char *value = gp_trim(arena, gp_strndup(arena, text, value_length(text)));
	size_t len = strlen(value);

	return len >= 2 && value[0] == '"' && strchr(value + 1, '"') == value + len - 1 ? gp_strndup(arena, value + 1, len - 2) : value;
}

void gp_sshdconf_parse(struct gp_arena *arena, const char *text, struct gp_sshdconf *ret)
{
	struct gp_strv lines = gp_lines(arena, text);
	const char *match = NULL;

	*ret = (struct gp_sshdconf){ .v = gp_alloc_array(arena, lines.n + 1, sizeof(*ret->v)) };
	for (size_t i = 0; i < lines.n; i++) {
		const char *p = lines.v[i] + strspn(lines.v[i], " \t\r\f");
		size_t len = strcspn(p, " \t\r\f=\"");
		struct gp_sshdconf_line line = { .line = i + 1, .match = match };

		if (!len || *p == '#')
			continue;
		line.keyword = lower(arena, p, len);
		p += len + strspn(p + len, " \t\f");
		line.value = read_value(arena, *p == '=' ? p + 1 : p);
		if (gp_streq(line.keyword, "match")) {
			match = line.value;
			line.match = NULL;
		}
		ret->v[ret->n++] = line;
	}
}

const char *gp_sshdconf_get(const struct gp_sshdconf *conf, const char *keyword)
{
	for (size_t i = 0; i < conf->n; i++)
		if (!conf->v[i].match && gp_streq(conf->v[i].keyword, keyword))
			return conf->v[i].value;
	return NULL;
}

/* One star to come back to is enough: a later one can match all that an earlier one could leave. */
bool gp_sshdconf_match(const char *pattern, const char *text)
{
	const char *star = NULL, *from = text;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern == '?' || (*pattern && *pattern == *text)) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool user_matches(struct gp_arena *arena, const char *pattern, const char *user, bool any_host)
{
	const char *at = strrchr(pattern, '@');

	if (at && !any_host && !gp_streq(at, "@*"))
		return false;
	return gp_sshdconf_match(at ? gp_strndup(arena, pattern, (size_t)(at - pattern)) : pattern, user);
}

enum listed { NO_LIST, NOT_LISTED, LISTED };

static enum listed find(struct gp_arena *arena, const struct gp_sshdconf *conf, const char *keyword, const char *user,
	const struct gp_strv *groups)
{
	enum listed found = NO_LIST;

	for (size_t i = 0; i < conf->n && found != LISTED; i++) {
		struct gp_strv patterns;

		if (conf->v[i].match || !gp_streq(conf->v[i].keyword, keyword))
			continue;
		found = NOT_LISTED;
		patterns = gp_words(arena, conf->v[i].value);
		for (size_t k = 0; k < patterns.n; k++) {
			bool hit = user && user_matches(arena, patterns.v[k], user, keyword[0] == 'd');

			for (size_t g = 0; !user && g < groups->n; g++)
				hit = hit || gp_sshdconf_match(patterns.v[k], groups->v[g]);
			found = hit ? LISTED : found;
		}
	}
	return found;
}

const char *gp_sshdconf_excludes(struct gp_arena *arena, const struct gp_sshdconf *conf, const char *user, const struct gp_strv *groups)
{
	if (find(arena, conf, "denyusers", user, NULL) == LISTED)
		return "DenyUsers";
	if (find(arena, conf, "allowusers", user, NULL) == NOT_LISTED)
		return "AllowUsers";
	if (find(arena, conf, "denygroups", NULL, groups) == LISTED)
		return "DenyGroups";
	return find(arena, conf, "allowgroups", NULL, groups) == NOT_LISTED ? "AllowGroups" : NULL;
}
