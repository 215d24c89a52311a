/*
 * Public keys as lines of authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT): options, type, base64, comment. A key counts only if
 * its base64 decodes to the fields that its type has, as sshd would find it. Pure.
 */
#ifndef GP_BASE_SSHKEY_H
#define GP_BASE_SSHKEY_H

#include <stdbool.h>

struct gp_arena;

enum { GP_SSHKEY_MAX = 16384 }; /* characters a line may have */

struct gp_sshkey {
	const char *options; /* "" for none */
	const char *type;    /* ssh-ed25519 */
	const char *blob;    /* the base64 text */
	const char *comment; /* "" for none */
	unsigned bits;       /* of an RSA key, 0 for others */
};

/* Is this line a key of a type that sshd takes? Blank lines and comments are none. */
bool gp_sshkey_parse(struct gp_arena *arena, const char *line, struct gp_sshkey *ret);

/* Does it let its owner in from anywhere, at any time, to a shell with a terminal: no options, or harmless ones? */
bool gp_sshkey_unrestricted(struct gp_arena *arena, const struct gp_sshkey *key);

#endif
