/* Secrets. */
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

const char *gp_secret_new(struct gp_arena *arena, size_t len)
{
	static const char alphabet[] = ALNUM;
	char *secret = gp_alloc(arena, len + 1);

	for (size_t i = 0; i < len;) {
		unsigned char c;

		if (getrandom(&c, 1, 0) != 1) {
			if (errno == EINTR)
				continue;
			abort(); /* a kernel without randomness: nothing made here could be trusted */
		}
		if (c < 62 * 4) /* the rest would favour the first letters */
			secret[i++] = alphabet[c % 62];
	}
	return secret;
}

bool gp_secret_key(const char *key)
{
	static const char *const parts[] = { "PASSWORD", "PASSWD", "SECRET", "TOKEN", "KEY", "DSN", "CREDENTIAL" };
	static const char *const ends[] = { "_URL", "_BACKEND" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcasestr(key, parts[i]))
			return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strlen(key) >= strlen(ends[i]) && strcasecmp(key + strlen(key) - strlen(ends[i]), ends[i]) == 0)
			return true;
	return false;
}

void gp_secret_add(struct gp_secrets *secrets, const char *value)
{
	const char *scheme = strstr(value, "://");

	/* Only a value that begins with a scheme is an URL; one that has an URL somewhere inside is secret as a whole. */
	if (scheme && strspn(value, ALNUM "+-.") == (size_t)(scheme - value)) {
		const char *user = scheme + 3, *at = memrchr(user, '@', strcspn(user, "/?#"));

		if (!at) /* a password with a '/' that should have been encoded */
			at = strrchr(user, '@');
		const char *colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;

		if (!colon)
			return; /* an address without a password is no secret */
		value = gp_strndup(secrets->arena, colon + 1, (size_t)(at - colon - 1));
	}
	if (strlen(value) < 6)
		return;
	for (size_t i = 0; i < secrets->n; i++)
		if (gp_streq(secrets->values[i], value))
			return;
	if (secrets->n == secrets->cap) {
		size_t cap = secrets->cap ? secrets->cap * 2 : 8;
		const char **values = gp_alloc_array(secrets->arena, cap, sizeof(*values));

		if (secrets->n)
			memcpy(values, secrets->values, secrets->n * sizeof(*values));
		secrets->values = values;
		secrets->cap = cap;
	}
	/* Longest first: a secret that contains another one must not leave its tail behind. */
	size_t at = secrets->n++;
	while (at && strlen(secrets->values[at - 1]) < strlen(value)) {
		secrets->values[at] = secrets->values[at - 1];
		at--;
	}
	secrets->values[at] = gp_strdup(secrets->arena, value);
}

/* The length of the longest known secret that text begins with, 0 for none. */
static size_t secret_at(const struct gp_secrets *secrets, const char *text)
{
	for (size_t i = 0; i < secrets->n; i++)
		if (text[0] == secrets->values[i][0] && gp_starts_with(text, secrets->values[i]))
			return strlen(secrets->values[i]);
	return 0;
}

const char *gp_secret_mask(const struct gp_secrets *secrets, struct gp_arena *arena, const char *text)
{
	GP_AUTO_BUF out = { 0 };
	const char *rest = text, *p = text;

	while (*p) {
		const char *end = p + secret_at(secrets, p);

		if (end == p) {
			p++;
			continue;
		}
		/* One that begins inside this one and reaches beyond it goes with it: masked alone, either would leave a piece. */
		gp_buf_add(&out, rest, (size_t)(p - rest));
		gp_buf_puts(&out, "********");
		for (; p < end; p++) {
			size_t len = secret_at(secrets, p);

			if (len > (size_t)(end - p))
				end = p + len;
		}
		rest = end;
	}
	if (rest == text)
		return text;
	gp_buf_puts(&out, rest);
	return gp_strdup(arena, gp_buf_str(&out));
}

/* Of a variable of the environment, which is in capitals; KeyringMode= is no secret. */
static bool is_name(char c)
{
	return isupper((unsigned char)c) || isdigit((unsigned char)c) || c == '_';
}

/* Where a value ends: at the quote that opened before the name or before the value, or at white space. */
static size_t value_length(const char *value, char before)
{
	char quote = *value == '"' || *value == '\'' ? *value : before == '"' || before == '\'' ? before : '\0';
	size_t skip = quote && *value == quote ? 1 : 0, len = skip;

	while (value[len] && value[len] != '\n' && (quote ? value[len] != quote : !isspace((unsigned char)value[len])))
		len++;
	return len;
}

const char *gp_secret_mask_assignments(struct gp_arena *arena, const char *text)
{
	GP_AUTO_BUF out = { 0 };
	const char *from = text;

	for (const char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '=')) {
		const char *name = equals;
		size_t len;

		while (name > from && is_name(name[-1]))
			name--;
		len = value_length(equals + 1, name > text ? name[-1] : '\0');
		if (name == equals || !len || (name > text && islower((unsigned char)name[-1])) || !gp_secret_key(gp_strndup(arena, name, (size_t)(equals - name))))
			continue;
		gp_buf_add(&out, from, (size_t)(equals + 1 - from));
		gp_buf_puts(&out, "********");
		from = equals + 1 + len;
		equals = from - 1;
	}
	gp_buf_puts(&out, from);
	return gp_strdup(arena, gp_buf_str(&out));
}
