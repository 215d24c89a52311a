/*
 * OpenPGP public keys. gpg would need a package, a home folder and three processes to answer one question: the fingerprint of a key of
 * version 4 is the SHA-1 of its packet's body behind 0x99 and the body's length. Nothing is verified here but who the key says it is:
 * signatures are apt's work.
 */
#include "sys/openpgp.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { TAG_SIGNATURE = 2, TAG_KEY = 6, TAG_TRUST = 12, TAG_USER_ID = 13, TAG_SUBKEY = 14, TAG_USER_ATTRIBUTE = 17 };

struct packet {
	int tag;
	const uint8_t *body;
	size_t len;
};

/* The next packet; moves *at behind it. Partial and open-ended lengths are for data, not for keys. */
static bool next_packet(const uint8_t **at, const uint8_t *end, struct packet *ret)
{
	const uint8_t *p = *at;
	size_t octets, len = 0;
	uint8_t head = *p++;

	if (!(head & 0x80))
		return false;
	if (head & 0x40) { /* the new format: the first octet says how many there are */
		ret->tag = head & 0x3f;
		if (p == end)
			return false;
		if (*p >= 192 && *p < 224) {
			if (end - p < 2)
				return false;
			len = (size_t)((p[0] - 192) << 8) + p[1] + 192;
			p += 2;
			octets = 0;
		} else if (*p == 255) {
			p++;
			octets = 4;
		} else if (*p < 192) {
			octets = 1;
		} else {
			return false;
		}
	} else {
		ret->tag = head >> 2 & 0x0f;
		if ((head & 3) == 3)
			return false;
		octets = (size_t)1 << (head & 3);
	}
	if ((size_t)(end - p) < octets)
		return false;
	for (size_t i = 0; i < octets; i++)
		len = len << 8 | *p++;
	if ((size_t)(end - p) < len)
		return false;
	ret->body = p;
	ret->len = len;
	*at = p + len;
	return true;
}

static const char *fingerprint(struct gp_arena *arena, const struct packet *key)
{
	uint8_t *text = gp_alloc(arena, key->len + 3), digest[EVP_MAX_MD_SIZE];
	char *hex = gp_alloc(arena, GP_OPENPGP_FINGERPRINT_LEN + 1);
	unsigned int n = 0;

	text[0] = 0x99;
	text[1] = (uint8_t)(key->len >> 8);
	text[2] = (uint8_t)key->len;
	memcpy(text + 3, key->body, key->len);
	if (EVP_Digest(text, key->len + 3, digest, &n, EVP_sha1(), NULL) != 1)
		abort(); /* libcrypto fails here only without memory */
	for (unsigned int i = 0; i < n; i++) {
		hex[i * 2] = "0123456789ABCDEF"[digest[i] >> 4];
		hex[i * 2 + 1] = "0123456789ABCDEF"[digest[i] & 15];
	}
	return hex;
}

static int read_packets(struct gp_arena *arena, const uint8_t *data, size_t len, struct gp_openpgp_key *ret, struct gp_error *err)
{
	const uint8_t *at = data, *end = data + len;
	const char *found = NULL;
	struct packet packet;

	while (at < end) {
		if (!next_packet(&at, end, &packet))
			return gp_fail(err, GP_E_FAILED, "this is no OpenPGP key, or a part of one");
		if (packet.tag == TAG_KEY) {
			if (found)
				return gp_fail(err, GP_E_FAILED, "there is more than one OpenPGP key in it");
			if (packet.len < 6 || packet.len > UINT16_MAX || packet.body[0] != 4)
				return gp_fail(err, GP_E_FAILED, "it is an OpenPGP key of a version that is not supported (4 is)");
			found = fingerprint(arena, &packet);
		} else if (packet.tag != TAG_SIGNATURE && packet.tag != TAG_TRUST && packet.tag != TAG_USER_ID && packet.tag != TAG_SUBKEY &&
			packet.tag != TAG_USER_ATTRIBUTE) {
			return gp_fail(err, GP_E_FAILED, "there is something else than an OpenPGP public key in it");
		} else if (!found) {
			return gp_fail(err, GP_E_FAILED, "it does not begin with an OpenPGP public key");
		}
	}
	if (!found)
		return gp_fail(err, GP_E_FAILED, "there is no OpenPGP key in it");
	*ret = (struct gp_openpgp_key){ .packets = data, .len = len, .fingerprint = found };
	return 0;
}

/* The base64 between the armor's lines. The checksum line (=abcd) is left: a key that came over wrong has another fingerprint. */
static int dearmor(struct gp_arena *arena, const char *text, const uint8_t **ret, size_t *ret_len, struct gp_error *err)
{
	static const char begin[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----", end[] = "-----END PGP PUBLIC KEY BLOCK-----";
	const struct gp_strv lines = gp_lines(arena, text);
	GP_AUTO_BUF base64 = { 0 };
	bool headers = true, ended = false;
	uint8_t *data;
	size_t i = 0;
	int n;

	while (i < lines.n && !gp_streq(gp_trim(arena, lines.v[i]), begin))
		i++;
	for (i++; i < lines.n && !ended; i++) {
		const char *line = gp_trim(arena, lines.v[i]);

		ended = gp_streq(line, end);
		if (headers)
			headers = *line != '\0'; /* an empty line ends them */
		else if (!ended && line[0] != '=')
			gp_buf_puts(&base64, line);
	}
	for (; i < lines.n; i++)
		if (gp_streq(gp_trim(arena, lines.v[i]), begin))
			return gp_fail(err, GP_E_FAILED, "there is more than one OpenPGP key in it");
	if (!ended || !base64.len || base64.len % 4)
		return gp_fail(err, GP_E_FAILED, "this is no armored OpenPGP public key");
	data = gp_alloc(arena, base64.len / 4 * 3 + 1);
	n = EVP_DecodeBlock(data, (const uint8_t *)base64.data, (int)base64.len);
	if (n < 0)
		return gp_fail(err, GP_E_FAILED, "the armor of the OpenPGP key is broken");
	/* EVP_DecodeBlock counts the padding's bytes. */
	*ret_len = (size_t)n - gp_ends_with(base64.data, "=") - gp_ends_with(base64.data, "==");
	*ret = data;
	return 0;
}

int gp_openpgp_read(struct gp_arena *arena, const void *data, size_t len, struct gp_openpgp_key *ret, struct gp_error *err)
{
	const uint8_t *packets = data;

	if (len && !(packets[0] & 0x80)) {
		const char *text = gp_strndup(arena, data, len); /* ends at a NUL, which no armor has */

		GP_TRY(dearmor(arena, text, &packets, &len, err));
	}
	return read_packets(arena, packets, len, ret, err);
}
