/* SHA-256, by libcrypto. */
#ifndef GP_SYS_DIGEST_H
#define GP_SYS_DIGEST_H

#include <stddef.h>

struct gp_arena;

/* The digest of len bytes as 64 hexadecimal digits. */
const char *gp_sha256(struct gp_arena *arena, const void *data, size_t len);

/* The same piece by piece. */
struct gp_digest;
struct gp_digest *gp_digest_new(void);
void gp_digest_add(struct gp_digest *digest, const void *data, size_t len);
const char *gp_digest_end(struct gp_digest *digest, struct gp_arena *arena); /* once; it is still to be freed */
void gp_digest_free(struct gp_digest *digest);

#endif
