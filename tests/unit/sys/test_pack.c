/* Packing: what comes out is what went in, for us and for gunzip; damage of any kind is seen; what cannot be written fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/digest.h"
#include "sys/fs.h"
#include "sys/pack.h"
#include "sys/proc.h"

#include "../scratch.h"

enum { BLOCK = 1 << 20 };

/* Nothing to pack in it, or much. */
static char *bytes(size_t len, bool random)
{
	char *data = malloc(len + 1);
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = random ? (char)(x >> 24) : "row\t17\n"[i % 7];
	}
	return data;
}

static int pack_in_pieces(int fd, const char *data, size_t len, size_t piece, struct gp_packed *ret, struct gp_arena *arena,
	struct gp_error *err)
{
	GP_AUTO_PACK pack = NULL;

	GP_TRY(gp_pack_begin(fd, 0, &pack, err));
	while (len) {
		size_t room, n;
		char *to = gp_pack_room(pack, &room);

		n = len < piece ? len : piece;
		n = n < room ? n : room;
		memcpy(to, data, n);
		GP_TRY(gp_pack_add(pack, n, err));
		data += n;
		len -= n;
	}
	return gp_pack_end(pack, arena, ret, err);
}

static int make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static int keep(void *arg, const char *data, size_t len, struct gp_error *err)
{
	(void)err;
	gp_buf_add(arg, data, len);
	return 0;
}

static void test_there_and_back(void **state)
{
	static const size_t sizes[] = { 0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 7 * BLOCK + 12345 };
	static const size_t pieces[] = { 65536, 3 * BLOCK };

	(void)state;
	for (size_t i = 0; i < 2 * 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i / 4];
		char *data = bytes(size, i & 1);
		GP_AUTO_ARENA arena = gp_arena_new();
		GP_AUTO_FD fd = make(at("f.gz"));
		GP_AUTO_RESULT gunzip = { 0 };
		GP_AUTO_BUF back = { 0 };
		struct gp_packed packed, unpacked;
		size_t len;
		const char *file;

		assert_int_equal(pack_in_pieces(fd, data, size, pieces[i >> 1 & 1], &packed, arena, NULL), 0);
		assert_int_equal(packed.unpacked, size);
		assert_int_equal(gp_fs_read(arena, at("f.gz"), 16 * BLOCK, &file, &len, NULL), 1);
		assert_int_equal(packed.bytes, len);
		assert_string_equal(packed.sha256, gp_sha256(arena, file, len));

		assert_int_equal(gp_unpack(fd, keep, &back, arena, &unpacked, NULL), 1);
		assert_int_equal(back.len, size);
		assert_memory_equal(size ? back.data : "", data, size);
		assert_int_equal(unpacked.bytes, packed.bytes);
		assert_int_equal(unpacked.unpacked, size);
		assert_string_equal(unpacked.sha256, packed.sha256);

		assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("gunzip", "-c", at("f.gz")), .output_max = 16 * BLOCK }, &gunzip,
			NULL), 0);
		assert_int_equal(gunzip.out.len, size);
		assert_memory_equal(size ? gunzip.out.data : "", data, size);
		free(data);
	}
}

/* What unpacking says of these bytes: 1 the same data again, 0 not our kind, -1 an error. Other data ends the test. */
static int look(const char *file, size_t len, const char *data, size_t size, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_BUF back = { 0 };
	struct gp_packed unpacked;
	int result;

	put_bytes(at("damaged"), file, len, 0600);
	GP_AUTO_FD fd = open(at("damaged"), O_RDONLY | O_CLOEXEC);
	result = gp_unpack(fd, keep, &back, arena, &unpacked, err);
	if (result == 0)
		assert_int_equal(back.len, 0);
	if (result == 1) {
		assert_int_equal(back.len, size);
		assert_memory_equal(back.data, data, size);
	}
	return result;
}

struct small {
	struct gp_arena *arena;
	char *data, *file;
	size_t size, len, second; /* second: where the second member begins */
};

/* Two members, the second one short: every place in it can be tried. */
static struct small small_file(struct gp_arena *arena)
{
	struct small s = { .arena = arena, .size = BLOCK + 150 };
	GP_AUTO_FD fd = make(at("small.gz"));
	struct gp_packed packed;
	const char *file;

	s.data = bytes(s.size, false);
	assert_int_equal(pack_in_pieces(fd, s.data, s.size, BLOCK, &packed, arena, NULL), 0);
	assert_int_equal(gp_fs_read(arena, at("small.gz"), BLOCK, &file, &s.len, NULL), 1);
	s.file = gp_alloc(arena, s.len);
	memcpy(s.file, file, s.len);
	memcpy(&s.second, s.file + 16, 4); /* the length that the header says */
	assert_true(s.second > 20 && s.second < s.len);
	return s;
}

static void test_cut_short(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct small s = small_file(arena);

	(void)state;
	for (size_t len = 0; len < s.len; len += len < 40 || len > s.second - 40 ? 1 : 97) {
		struct gp_error err = { 0 };
		int result;

		if (len == s.second)
			continue; /* a whole file of one member: what should be in it, manifest and closing line say */
		result = look(s.file, len, s.data, s.size, &err);
		assert_int_equal(result, len < 20 ? 0 : -1);
		if (len >= 20)
			assert_non_null(strstr(err.msg, "cut short"));
		assert_true(result >= 0 || strstr(err.hint, "another one"));
	}
	free(s.data);
}

static void test_flipped_bits(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct small s = small_file(arena);

	(void)state;
	for (size_t i = 0; i < s.len; i += i < 40 || i > s.second - 30 ? 1 : 61) {
		struct gp_error err = { 0 };
		char was = s.file[i];

		s.file[i] = (char)(was ^ (1 << i % 8));
		assert_int_equal(look(s.file, s.len, s.data, s.size, &err), i < 16 ? 0 : -1);
		assert_true(i < 16 || strstr(err.hint, "another one"));
		s.file[i] = was;
	}
	assert_int_equal(look(s.file, s.len, s.data, s.size, NULL), 1);
	free(s.data);
}

/* A member may say that it is of any length, or holds anything. */
static void test_hostile_members(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 19, 27, 2 * BLOCK, 0x7fffffff, 0xffffffff };
	GP_AUTO_ARENA arena = gp_arena_new();
	struct small s = small_file(arena);
	struct gp_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memcpy(s.file + 16, &lengths[i], 4);
		assert_int_equal(look(s.file, s.len, s.data, s.size, &err), -1);
	}
	memcpy(s.file + 16, &s.second, 4);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memcpy(s.file + s.second - 4, &lengths[i], 4);
		assert_int_equal(look(s.file, s.len, s.data, s.size, &err), -1);
	}
	free(s.data);
}

static void test_other_files(void **state)
{
	static const char *const texts[] = { "", "x", "-- PostgreSQL database dump\n\n-- and more of it than a header has\n" };
	GP_AUTO_FD none = open("/dev/null", O_RDONLY | O_CLOEXEC);
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_packed packed;
	const char *file;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(look(texts[i], strlen(texts[i]), NULL, 0, &err), 0);
	put(at("plain"), "gzip's own file, of some length, so that there is a header's worth of it\n");
	assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("gzip", at("plain")) }, NULL, NULL), 0);
	assert_int_equal(gp_fs_read(arena, at("plain.gz"), 4096, &file, &len, NULL), 1);
	assert_int_equal(look(file, len, NULL, 0, &err), 0);
	assert_int_equal(gp_unpack(-1, NULL, NULL, arena, &packed, &err), -1);
	(void)none;
}

static void test_full_disk(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	char *data = bytes(9 * BLOCK, true);
	struct gp_packed packed;

	(void)state;
	for (size_t size = 0; size <= 9 * BLOCK; size += 3 * BLOCK) {
		GP_AUTO_FD fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
		struct gp_error err = { 0 };

		assert_int_equal(pack_in_pieces(fd, data, size, 65536, &packed, arena, &err), -1);
		assert_non_null(strstr(err.msg, "No space left"));
	}
	free(data);
}

static int refuse(void *arg, const char *data, size_t len, struct gp_error *err)
{
	int *calls = arg;

	(void)data, (void)len;
	return ++*calls < 3 ? 0 : gp_fail(err, GP_E_REFUSED, "enough");
}

/* Whoever has enough stops it; and one that is begun may be let go of at any time. */
static void test_stopped(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	GP_AUTO_FD fd = make(at("f.gz"));
	char *data = bytes(9 * BLOCK, true);
	struct gp_error err = { 0 };
	struct gp_packed packed;
	int calls = 0, threads = entries("/proc/self/task");

	(void)state;
	assert_int_equal(pack_in_pieces(fd, data, 9 * BLOCK, BLOCK, &packed, arena, NULL), 0);
	assert_int_equal(gp_unpack(fd, refuse, &calls, arena, &packed, &err), -1);
	assert_string_equal(err.msg, "enough");
	assert_int_equal(calls, 3);
	for (size_t blocks = 0; blocks < 9; blocks++) {
		struct gp_pack *pack;

		assert_int_equal(gp_pack_begin(fd, 1, &pack, NULL), 0);
		for (size_t i = 0; i < blocks; i++) {
			size_t room;
			char *to = gp_pack_room(pack, &room);

			memcpy(to, data, room);
			assert_int_equal(gp_pack_add(pack, room, NULL), 0);
		}
		gp_pack_free(pack);
	}
	gp_pack_free(NULL);
	assert_int_equal(entries("/proc/self/task"), threads);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_hostile_members),
		cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
