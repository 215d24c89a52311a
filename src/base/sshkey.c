/* Public keys. The blob is fields, each with its length in four bytes before it (RFC 4253, 6.6). */
#include "base/sshkey.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/str.h"

enum { FIELDS_MAX = 4 };

/* The fields after the type's own name; the one at `at` has `size` bytes. Certificates and DSA are left out: the first are no keys,
 * the second sshd takes no more. */
static const struct {
	const char *type;
	size_t fields, at, size;
} types[] = {
	{ "ssh-ed25519", 1, 0, 32 },
	{ "ssh-rsa", 2, 1, 0 },
	{ "ecdsa-sha2-nistp256", 2, 1, 65 },
	{ "ecdsa-sha2-nistp384", 2, 1, 97 },
	{ "ecdsa-sha2-nistp521", 2, 1, 133 },
	{ "sk-ssh-ed25519@openssh.com", 2, 0, 32 },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", 3, 1, 65 },
};

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static unsigned char *decode(struct gp_arena *arena, const char *text, size_t *ret_len)
{
	size_t len = strlen(text), pad = 0, n = 0;
	unsigned char *out = gp_alloc(arena, len / 4 * 3 + 1);
	uint32_t bits = 0;

	if (!len || len % 4)
		return NULL;
	while (pad < 2 && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len; i++) {
		int value = i < len - pad ? digit(text[i]) : 0;

		if (value < 0)
			return NULL;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 == 3) {
			out[n++] = (unsigned char)(bits >> 16);
			out[n++] = (unsigned char)(bits >> 8);
			out[n++] = (unsigned char)bits;
		}
	}
	*ret_len = n - pad;
	return out;
}

struct field {
	const unsigned char *data;
	size_t len;
};

/* The number of fields, or 0 where they do not add up. */
static size_t split(const unsigned char *data, size_t len, struct field *ret)
{
	size_t n = 0;

	while (len) {
		size_t size;

		if (n == FIELDS_MAX || len < 4)
			return 0;
		size = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
		if (!size || size > len - 4)
			return 0;
		ret[n++] = (struct field){ data + 4, size };
		data += 4 + size;
		len -= 4 + size;
	}
	return n;
}

static unsigned bit_length(struct field number)
{
	unsigned bits = 0;

	while (number.len && !*number.data) {
		number.data++;
		number.len--;
	}
	for (unsigned char top = number.len ? *number.data : 0; top; top >>= 1)
		bits++;
	return number.len ? bits + 8 * (unsigned)(number.len - 1) : 0;
}

static bool check_blob(struct gp_arena *arena, struct gp_sshkey *key)
{
	struct field fields[FIELDS_MAX];
	size_t len;
	unsigned char *data = decode(arena, key->blob, &len);
	size_t n = data ? split(data, len, fields) : 0;

	for (size_t i = 0; n && i < sizeof(types) / sizeof(types[0]); i++) {
		if (!gp_streq(key->type, types[i].type))
			continue;
		if (n != types[i].fields + 1 || fields[0].len != strlen(key->type) || memcmp(fields[0].data, key->type, fields[0].len) != 0)
			return false;
		if (!types[i].size)
			key->bits = bit_length(fields[types[i].at + 1]);
		return types[i].size ? fields[types[i].at + 1].len == types[i].size : key->bits > 0;
	}
	return false;
}

/* "type base64 comment" */
static bool read_key(struct gp_arena *arena, const char *text, struct gp_sshkey *ret)
{
	size_t type = strcspn(text, " \t"), blob;
	const char *rest = text + type + strspn(text + type, " \t");

	blob = strcspn(rest, " \t");
	if (!type || !blob)
		return false;
	ret->type = gp_strndup(arena, text, type);
	ret->blob = gp_strndup(arena, rest, blob);
	ret->comment = gp_trim(arena, rest + blob);
	return check_blob(arena, ret);
}

/* Options end at the first blank outside of quotes; \" is no end of them. */
static size_t options_length(const char *text)
{
	bool quoted = false;
	size_t i = 0;

	for (; text[i] && (quoted || (text[i] != ' ' && text[i] != '\t')); i++) {
		if (text[i] == '\\' && text[i + 1] == '"')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
	}
	return i;
}

bool gp_sshkey_parse(struct gp_arena *arena, const char *line, struct gp_sshkey *ret)
{
	struct gp_sshkey key = { .options = "" };
	size_t n;

	line += strspn(line, " \t");
	if (!*line || *line == '#' || strlen(line) > GP_SSHKEY_MAX)
		return false;
	if (!read_key(arena, line, &key)) {
		n = options_length(line);
		key = (struct gp_sshkey){ .options = gp_strndup(arena, line, n) };
		if (!read_key(arena, line + n + strspn(line + n, " \t"), &key))
			return false;
	}
	*ret = key;
	return true;
}

bool gp_sshkey_unrestricted(struct gp_arena *arena, const struct gp_sshkey *key)
{
	static const char *const harmless[] = { "agent-forwarding", "no-agent-forwarding", "port-forwarding", "no-port-forwarding", "pty",
		"user-rc", "no-user-rc", "x11-forwarding", "no-x11-forwarding", "no-touch-required" };
	struct gp_strv list = { 0 };

	/* What has a value (from=, command=, expiry-time=) is not harmless, so a comma in quotes needs no care. */
	for (const char *p = key->options; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
		gp_strv_add(arena, &list, gp_strndup(arena, p, strcspn(p, ",")));
	for (size_t i = 0; i < list.n; i++) {
		bool known = false;

		for (size_t k = 0; k < sizeof(harmless) / sizeof(harmless[0]); k++)
			known = known || strcasecmp(list.v[i], harmless[k]) == 0;
		if (!known)
			return false;
	}
	return true;
}
