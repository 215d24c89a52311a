/*
 * A ring of blocks. One thread, the caller's, fills them, and takes them out in the same order; the others pack, or unpack, the next one.
 * All reading, writing and hashing is the caller's thread's, so what fails fails there.
 */
#include "sys/pack.h"

#include <errno.h>
#include <libdeflate.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/digest.h"
#include "sys/fs.h"
#include "sys/library.h"

#define FUNCTIONS(X)                                                                               \
	X(libdeflate_alloc_compressor, alloc_compressor)                                           \
	X(libdeflate_free_compressor, free_compressor)                                             \
	X(libdeflate_deflate_compress, compress)                                                   \
	X(libdeflate_deflate_compress_bound, compress_bound)                                       \
	X(libdeflate_alloc_decompressor, alloc_decompressor)                                       \
	X(libdeflate_free_decompressor, free_decompressor)                                         \
	X(libdeflate_deflate_decompress_ex, decompress)                                            \
	X(libdeflate_crc32, crc32)
GP_LIBRARY(deflate, "libdeflate.so.0", FUNCTIONS)

/*
 * MEMBER_MAX: deflate needs 5 bytes a stored block more than it was given, and libdeflate's bound is well below this.
 * THREADS_MAX bounds the memory, 2 MiB a block.
 */
enum { BLOCK = 1 << 20, HEADER = 20, TRAILER = 8, MEMBER_MAX = BLOCK + BLOCK / 64, THREADS_MAX = 8, SPARE = 2, LEVEL = 4 };

/* RFC 1952: flag FEXTRA, no time, no system; 8 bytes of extra field, "GP" with 4 bytes: the whole member's length. */
static const unsigned char header[HEADER - 4] = { 0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 'G', 'P', 4, 0 };

struct block {
	char *plain, *packed;
	size_t plain_len, packed_len;
	bool done, bad;
};

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t filled, done;
	struct block *blocks;
	size_t n;
	uint64_t fill, work, take; /* how many were filled, taken up by a thread, taken out */
	bool over;
	int level;                 /* 0: unpack */
	pthread_t threads[THREADS_MAX];
	size_t thread_count;
};

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

static void put32(char *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (char)(value >> (8 * i));
}

static uint32_t get32(const char *from)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value |= (uint32_t)(unsigned char)from[i] << (8 * i);
	return value;
}

/* ---- what the threads do ---------------------------------------------------------------------------------------------- */

static void pack_block(struct libdeflate_compressor *tool, struct block *b)
{
	size_t len = deflate.compress(tool, b->plain, b->plain_len, b->packed + HEADER, MEMBER_MAX - HEADER - TRAILER);

	b->bad = len == 0;
	b->packed_len = HEADER + len + TRAILER;
	memcpy(b->packed, header, sizeof(header));
	put32(b->packed + sizeof(header), (uint32_t)b->packed_len);
	put32(b->packed + HEADER + len, deflate.crc32(0, b->plain, b->plain_len));
	put32(b->packed + HEADER + len + 4, (uint32_t)b->plain_len);
}

static void unpack_block(struct libdeflate_decompressor *tool, struct block *b)
{
	const char *trailer = b->packed + b->packed_len - TRAILER;
	size_t len = b->packed_len - HEADER - TRAILER, used = 0;

	b->bad = get32(trailer + 4) > BLOCK ||
		 deflate.decompress(tool, b->packed + HEADER, len, b->plain, get32(trailer + 4), &used, &b->plain_len) != LIBDEFLATE_SUCCESS ||
		 used != len || b->plain_len != get32(trailer + 4) || deflate.crc32(0, b->plain, b->plain_len) != get32(trailer);
}

static struct block *next_to_do(struct ring *r)
{
	while (r->work == r->fill && !r->over)
		pthread_cond_wait(&r->filled, &r->lock);
	return r->work == r->fill ? NULL : &r->blocks[r->work++ % r->n];
}

static void *work(void *arg)
{
	struct ring *r = arg;
	struct libdeflate_compressor *packer = r->level ? deflate.alloc_compressor(r->level) : NULL;
	struct libdeflate_decompressor *unpacker = r->level ? NULL : deflate.alloc_decompressor();
	struct block *b;

	if (!packer && !unpacker)
		abort(); /* no memory */
	pthread_mutex_lock(&r->lock);
	while ((b = next_to_do(r))) {
		pthread_mutex_unlock(&r->lock);
		if (packer)
			pack_block(packer, b);
		else
			unpack_block(unpacker, b);
		pthread_mutex_lock(&r->lock);
		b->done = true;
		pthread_cond_signal(&r->done);
	}
	pthread_mutex_unlock(&r->lock);
	deflate.free_compressor(packer);
	deflate.free_decompressor(unpacker);
	return NULL;
}

/* ---- the ring ----------------------------------------------------------------------------------------------------------- */

static void *need(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static size_t cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (size_t)n;
}

/* What is in the blocks is what is in a database: nothing of it stays in memory that others may get. */
static void ring_free(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->over = true;
	r->work = r->fill;
	pthread_cond_broadcast(&r->filled);
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < r->thread_count; i++)
		pthread_join(r->threads[i], NULL);
	for (size_t i = 0; i < r->n; i++) {
		explicit_bzero(r->blocks[i].plain, BLOCK);
		free(r->blocks[i].plain);
		free(r->blocks[i].packed);
	}
	free(r->blocks);
	pthread_cond_destroy(&r->filled);
	pthread_cond_destroy(&r->done);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void ring_freep(struct ring **r)
{
	if (*r)
		ring_free(*r);
	*r = NULL;
}
#define AUTO_RING __attribute__((cleanup(ring_freep))) struct ring *

/* Signals are the first thread's. */
static int start_threads(struct ring *r, struct gp_error *err)
{
	sigset_t all, was;
	int failed = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	for (size_t n = cores(); r->thread_count < n && !failed;) {
		failed = pthread_create(&r->threads[r->thread_count], NULL, work, r);
		r->thread_count += !failed;
	}
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	/* Slower with fewer, and no worse. */
	return r->thread_count ? 0 : gp_fail_errno(err, failed, "start a thread");
}

static int ring_new(int level, struct ring **ret, struct gp_error *err)
{
	struct ring *r;

	GP_TRY(load_deflate(err));
	r = need(calloc(1, sizeof(*r)));
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->filled, NULL);
	pthread_cond_init(&r->done, NULL);
	r->level = level;
	r->n = cores() + SPARE;
	r->blocks = need(calloc(r->n, sizeof(*r->blocks)));
	for (size_t i = 0; i < r->n; i++) {
		r->blocks[i].plain = need(malloc(BLOCK));
		r->blocks[i].packed = need(malloc(MEMBER_MAX));
	}
	if (start_threads(r, err) < 0) {
		ring_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

static bool is_full(const struct ring *r)
{
	return r->fill - r->take == r->n;
}

/* The block to be filled next; there must be room. */
static struct block *to_fill(struct ring *r)
{
	return &r->blocks[r->fill % r->n];
}

static void filled(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	to_fill(r)->done = false;
	r->fill++;
	pthread_cond_signal(&r->filled);
	pthread_mutex_unlock(&r->lock);
}

/* The oldest that was filled; NULL: there is none, or it is not done and nobody wants to wait. */
static struct block *to_take(struct ring *r, bool wait)
{
	struct block *b = &r->blocks[r->take % r->n];
	bool done;

	if (r->take == r->fill)
		return NULL;
	pthread_mutex_lock(&r->lock);
	while (wait && !b->done)
		pthread_cond_wait(&r->done, &r->lock);
	done = b->done;
	pthread_mutex_unlock(&r->lock);
	return done ? b : NULL;
}

/* ---- packing ------------------------------------------------------------------------------------------------------------ */

struct gp_pack {
	struct ring *ring;
	struct gp_digest *digest;
	int fd;
	uint64_t bytes, unpacked;
};

int gp_pack_begin(int fd, int level, struct gp_pack **ret, struct gp_error *err)
{
	struct ring *ring;
	struct gp_pack *pack;

	GP_TRY(ring_new(level ? level : LEVEL, &ring, err));
	pack = need(calloc(1, sizeof(*pack)));
	*pack = (struct gp_pack){ .ring = ring, .digest = gp_digest_new(), .fd = fd };
	*ret = pack;
	return 0;
}

/* Write what is packed: all that is done by now, and with `all` the rest too. Without, wait only where no block is free any more. */
static int take_packed(struct gp_pack *pack, bool all, struct gp_error *err)
{
	struct block *b;

	while ((b = to_take(pack->ring, all || is_full(pack->ring)))) {
		if (b->bad)
			return gp_fail(err, GP_E_FAILED, "libdeflate could not pack a block");
		if (gp_fs_write_all(pack->fd, b->packed, b->packed_len) < 0)
			return gp_fail_errno(err, errno, "write it");
		gp_digest_add(pack->digest, b->packed, b->packed_len);
		pack->bytes += b->packed_len;
		b->plain_len = 0;
		pack->ring->take++;
	}
	return 0;
}

char *gp_pack_room(struct gp_pack *pack, size_t *ret_len)
{
	struct block *b = to_fill(pack->ring);

	*ret_len = BLOCK - b->plain_len;
	return b->plain + b->plain_len;
}

int gp_pack_add(struct gp_pack *pack, size_t len, struct gp_error *err)
{
	struct block *b = to_fill(pack->ring);

	b->plain_len += len;
	pack->unpacked += len;
	if (b->plain_len < BLOCK)
		return 0;
	filled(pack->ring);
	return take_packed(pack, false, err);
}

int gp_pack_end(struct gp_pack *pack, struct gp_arena *arena, struct gp_packed *ret, struct gp_error *err)
{
	if (to_fill(pack->ring)->plain_len || !pack->unpacked)
		filled(pack->ring);
	GP_TRY(take_packed(pack, true, err));
	*ret = (struct gp_packed){ .bytes = pack->bytes, .unpacked = pack->unpacked, .sha256 = gp_digest_end(pack->digest, arena) };
	return 0;
}

void gp_pack_free(struct gp_pack *pack)
{
	if (!pack)
		return;
	ring_free(pack->ring);
	gp_digest_free(pack->digest);
	free(pack);
}

void gp_pack_freep(struct gp_pack **pack)
{
	gp_pack_free(*pack);
	*pack = NULL;
}

/* ---- unpacking ---------------------------------------------------------------------------------------------------------- */

struct unpack {
	struct ring *ring;
	struct gp_digest *digest;
	int fd;
	uint64_t bytes, unpacked;
	gp_unpacked *data;
	void *arg;
};

/* len bytes, or fewer at the end of the file. */
static int read_at(const struct unpack *u, uint64_t offset, char *to, size_t len, size_t *ret, struct gp_error *err)
{
	for (*ret = 0; *ret < len;) {
		ssize_t n = pread(u->fd, to + *ret, len - *ret, (off_t)(offset + *ret));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return gp_fail_errno(err, errno, "read it");
		if (n == 0)
			break;
		*ret += (size_t)n;
	}
	return 0;
}

static bool is_header(const char *data, size_t len)
{
	return len == HEADER && memcmp(data, header, sizeof(header)) == 0;
}

/* It was written whole once, with a checksum behind each block. */
static int is_damaged(struct gp_error *err)
{
	return gp_hint(err, "take another one; was it copied to its end, and is its disk well (dmesg)?");
}

/* 1: the next member is in the block, 0: there is none any more. */
static int read_member(struct unpack *u, struct block *b, struct gp_error *err)
{
	size_t got, len;

	GP_TRY(read_at(u, u->bytes, b->packed, HEADER, &got, err));
	if (got == 0)
		return 0;
	len = is_header(b->packed, got) ? get32(b->packed + sizeof(header)) : 0;
	if (got == HEADER && (len < HEADER + TRAILER || len > MEMBER_MAX)) {
		gp_fail(err, GP_E_FAILED, "it is damaged at byte %ju: no block begins there", (uintmax_t)u->bytes);
		return is_damaged(err);
	}
	if (got == HEADER)
		GP_TRY(read_at(u, u->bytes + HEADER, b->packed + HEADER, len - HEADER, &got, err));
	if (got < len - HEADER || !len) {
		gp_fail(err, GP_E_FAILED, "it is cut short, after %ju bytes", (uintmax_t)u->bytes);
		return is_damaged(err);
	}
	b->packed_len = len;
	u->bytes += len;
	gp_digest_add(u->digest, b->packed, len);
	return 1;
}

static int take_unpacked(struct unpack *u, bool wait, struct gp_error *err)
{
	struct block *b;

	while ((b = to_take(u->ring, wait || is_full(u->ring)))) {
		if (b->bad) {
			gp_fail(err, GP_E_FAILED, "it is damaged: a checksum is wrong, after %ju MiB of what is in it", (uintmax_t)(u->unpacked >> 20));
			return is_damaged(err);
		}
		u->unpacked += b->plain_len;
		if (u->data && b->plain_len)
			GP_TRY(u->data(u->arg, b->plain, b->plain_len, err));
		u->ring->take++;
	}
	return 0;
}

static int unpack_all(struct unpack *u, struct gp_error *err)
{
	int more;

	do {
		GP_TRY(take_unpacked(u, false, err));
		GP_TRY(more = read_member(u, to_fill(u->ring), err));
		if (more)
			filled(u->ring);
	} while (more);
	return take_unpacked(u, true, err);
}

int gp_unpack(int fd, gp_unpacked *data, void *arg, struct gp_arena *arena, struct gp_packed *ret, struct gp_error *err)
{
	struct unpack u = { .fd = fd, .data = data, .arg = arg };
	AUTO_RING ring = NULL;
	char start[HEADER];
	size_t got;
	int result;

	GP_TRY(read_at(&u, 0, start, HEADER, &got, err));
	if (!is_header(start, got))
		return 0;
	GP_TRY(ring_new(0, &ring, err));
	u.ring = ring;
	u.digest = gp_digest_new();
	result = unpack_all(&u, err);
	if (result == 0)
		*ret = (struct gp_packed){ .bytes = u.bytes, .unpacked = u.unpacked, .sha256 = gp_digest_end(u.digest, arena) };
	gp_digest_free(u.digest);
	return result < 0 ? -1 : 1;
}
