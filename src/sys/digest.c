/* SHA-256. */
#include "sys/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/arena.h"

/* libcrypto fails here only without memory. */
static void must(int result)
{
	if (result != 1)
		abort();
}

static const char *hex_of(struct gp_arena *arena, const unsigned char *digest, unsigned int n)
{
	char *hex = gp_alloc(arena, n * 2 + 1);

	for (unsigned int i = 0; i < n; i++) {
		hex[i * 2] = "0123456789abcdef"[digest[i] >> 4];
		hex[i * 2 + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	return hex;
}

const char *gp_sha256(struct gp_arena *arena, const void *data, size_t len)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	must(EVP_Digest(data, len, digest, &n, EVP_sha256(), NULL));
	return hex_of(arena, digest, n);
}

struct gp_digest {
	EVP_MD_CTX *evp;
};

struct gp_digest *gp_digest_new(void)
{
	struct gp_digest *digest = calloc(1, sizeof(*digest));

	if (!digest)
		abort();
	digest->evp = EVP_MD_CTX_new();
	must(digest->evp && EVP_DigestInit_ex(digest->evp, EVP_sha256(), NULL));
	return digest;
}

void gp_digest_add(struct gp_digest *digest, const void *data, size_t len)
{
	must(EVP_DigestUpdate(digest->evp, data, len));
}

const char *gp_digest_end(struct gp_digest *digest, struct gp_arena *arena)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	must(EVP_DigestFinal_ex(digest->evp, bytes, &n));
	return hex_of(arena, bytes, n);
}

void gp_digest_free(struct gp_digest *digest)
{
	EVP_MD_CTX_free(digest->evp);
	free(digest);
}
