/* SHA-256, by libcrypto. */
#ifndef GP_SYS_DIGEST_H
#define GP_SYS_DIGEST_H

#include <stddef.h>

struct gp_arena;

/* The digest of len bytes as 64 hexadecimal digits. */
const char *gp_sha256(struct gp_arena *arena, const void *data, size_t len);

#endif
