/* SHA-256. */
#include "sys/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/arena.h"

const char *gp_sha256(struct gp_arena *arena, const void *data, size_t len)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	char *hex;

	if (EVP_Digest(data, len, digest, &n, EVP_sha256(), NULL) != 1)
		abort(); /* libcrypto fails here only without memory */
	hex = gp_alloc(arena, n * 2 + 1);
	for (unsigned int i = 0; i < n; i++) {
		hex[i * 2] = "0123456789abcdef"[digest[i] >> 4];
		hex[i * 2 + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	return hex;
}
