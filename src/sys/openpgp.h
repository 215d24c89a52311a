/* OpenPGP public keys (RFC 4880, RFC 9580), as far as an apt repository needs: whose key is this, and may it be handed to apt? */
#ifndef GP_SYS_OPENPGP_H
#define GP_SYS_OPENPGP_H

#include <stddef.h>

struct gp_arena;
struct gp_error;

enum { GP_OPENPGP_MAX = 256 * 1024, GP_OPENPGP_FINGERPRINT_LEN = 40 };

struct gp_openpgp_key {
	const void *packets; /* binary, as apt takes it in a file that ends in .gpg */
	size_t len;
	const char *fingerprint; /* of the primary key, 40 upper-case hexadecimal digits */
};

/*
 * Read a key, armored or binary. There must be exactly one primary key, of version 4, and nothing but what belongs to it: apt trusts
 * every key that a file holds, so a second one behind a known first one is refused.
 */
int gp_openpgp_read(struct gp_arena *arena, const void *data, size_t len, struct gp_openpgp_key *ret, struct gp_error *err);

#endif
