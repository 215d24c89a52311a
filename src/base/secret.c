/* Secrets. */
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

const char *gp_secret_new(struct gp_arena *arena, size_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
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

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcasestr(key, parts[i]))
			return true;
	return gp_ends_with(key, "_URL") || gp_ends_with(key, "_BACKEND");
}

void gp_secret_add(struct gp_secrets *secrets, const char *value)
{
	const char *scheme = strstr(value, "://");

	if (scheme) {
		const char *user = scheme + 3, *at = strrchr(user, '@');
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

static const char *mask_one(struct gp_arena *arena, const char *text, const char *secret)
{
	GP_AUTO_BUF out = { 0 };
	const char *hit = strstr(text, secret);

	if (!hit)
		return text;
	for (; hit; hit = strstr(text, secret)) {
		gp_buf_add(&out, text, (size_t)(hit - text));
		gp_buf_puts(&out, "********");
		text = hit + strlen(secret);
	}
	gp_buf_puts(&out, text);
	return gp_strdup(arena, gp_buf_str(&out));
}

const char *gp_secret_mask(const struct gp_secrets *secrets, struct gp_arena *arena, const char *text)
{
	for (size_t i = 0; i < secrets->n; i++)
		text = mask_one(arena, text, secrets->values[i]);
	return text;
}
