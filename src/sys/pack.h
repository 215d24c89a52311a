/*
 * gzip on all cores, by libdeflate: members of 1 MiB, packed side by side and written in order. Each says in its header (FEXTRA, RFC 1952) how
 * long it is, so that they can be unpacked side by side as well; for gunzip it is a file like any other. Memory is bounded, whatever passes.
 */
#ifndef GP_SYS_PACK_H
#define GP_SYS_PACK_H

#include <stddef.h>
#include <stdint.h>

struct gp_arena;
struct gp_error;
struct gp_pack;

struct gp_packed {
	uint64_t bytes, unpacked;
	const char *sha256; /* of the packed bytes */
};

/* To fd, from where it stands. level: libdeflate's, 1 to 12; 0: the one that was chosen by measurement. */
int gp_pack_begin(int fd, int level, struct gp_pack **ret, struct gp_error *err);
/* Where what comes next is to be put: *ret_len bytes, at least one. */
char *gp_pack_room(struct gp_pack *pack, size_t *ret_len);
/* That many bytes have been put there. Waits while all cores are busy. */
int gp_pack_add(struct gp_pack *pack, size_t len, struct gp_error *err);
/* That was all: the rest is written. Nothing at all gives an empty member, which is a gzip file too. */
int gp_pack_end(struct gp_pack *pack, struct gp_arena *arena, struct gp_packed *ret, struct gp_error *err);
void gp_pack_free(struct gp_pack *pack); /* at any time; NULL is fine */
void gp_pack_freep(struct gp_pack **pack);
#define GP_AUTO_PACK __attribute__((cleanup(gp_pack_freep))) struct gp_pack *

/* What comes out, in order, piece by piece. -1 stops. */
typedef int gp_unpacked(void *arg, const char *data, size_t len, struct gp_error *err);

/*
 * The way back, from fd's beginning to its end: checksums, sizes, and nothing behind the last member. 1 done, 0 it does not begin with a member
 * of this kind, and nothing was handed over (another gzip file, or none: for gzip), -1 error. Who wrote the file does not matter. data NULL:
 * only check.
 */
int gp_unpack(int fd, gp_unpacked *data, void *arg, struct gp_arena *arena, struct gp_packed *ret, struct gp_error *err);

#endif
