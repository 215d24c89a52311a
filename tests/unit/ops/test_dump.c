/* A dump as a file: what is whole is read, whoever packed it; cut short at any length, with any bit flipped, it is not taken for whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/database.h"
#include "sys/ctx.h"
#include "sys/pack.h"
#include "sys/proc.h"

#include "../scratch.h"

#define HEAD "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.20 (Debian 15.20)\n-- Dumped by pg_dump version 15.20\n\n"
#define ROWS                                                                                                                     \
	"COPY public.django_migrations (id, app, name) FROM stdin;\n1\tauth\t0001_initial\n\\.\n\n"                               \
	"COPY public.page (id, title) FROM stdin;\n1\ta\n2\tb\n3\t\\N\n\\.\n\nSELECT 1;\n\n"
#define END "--\n-- PostgreSQL database dump complete\n--\n\n"

enum { ROOM = 1 << 20, V15 = 150020 };

static struct gp_arena *arena;
static struct gp_ctx ctx;
static struct gp_error err;

static int begin(void **state)
{
	if (scratch_begin(state) < 0)
		return -1;
	arena = gp_arena_new();
	gp_ctx_init(&ctx, arena);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int finish(void **state)
{
	gp_arena_free(arena);
	return scratch_end(state);
}

/* As goldpath packs it; as gzip does, in two members; as it is. */
static size_t packed(const char *text, char *to, size_t room)
{
	GP_AUTO_PACK pack = NULL;
	struct gp_packed ret;
	size_t n, len = strlen(text);
	int fd = open(at("packed"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *into;

	assert_int_equal(gp_pack_begin(fd, 0, &pack, &err), 0);
	into = gp_pack_room(pack, &n);
	assert_true(n >= len);
	memcpy(into, text, len);
	assert_int_equal(gp_pack_add(pack, len, &err), 0);
	assert_int_equal(gp_pack_end(pack, arena, &ret, &err), 0);
	n = (size_t)pread(fd, to, room, 0);
	close(fd);
	return n;
}

static size_t gzipped(const char *text, char *to)
{
	size_t half = strlen(text) / 2, n = 0;

	for (int i = 0; i < 2; i++) {
		GP_AUTO_RESULT result = { 0 };

		assert_int_equal(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("gzip", "-c"), .input = text + (i ? half : 0),
			.input_len = i ? strlen(text) - half : half }, &result, &err), 0);
		memcpy(to + n, result.out.data, result.out.len);
		n += result.out.len;
	}
	return n;
}

static int check_with(const void *data, size_t len, uint64_t room, int version, struct gp_dump_file *ret)
{
	GP_AUTO_DUMP dump = { .fd = -1 };
	int result;

	put_bytes(at("dump"), data, len, 0600);
	memset(&err, 0, sizeof(err));
	assert_int_equal(gp_dump_find(at("dump"), NULL, &dump, &err), 0);
	result = gp_dump_check(&ctx, &dump, room, version, &err);
	if (ret) {
		*ret = dump;
		ret->fd = -1;
	}
	return result;
}

static int check(const void *data, size_t len)
{
	return check_with(data, len, ROOM, V15, NULL);
}

static void test_whole(void **state)
{
	static const char text[] = HEAD ROWS END;
	char room[8192];
	struct gp_dump_file dump;
	uint64_t rows = 0;

	(void)state;
	for (int how = 0; how < 3; how++) {
		size_t n = how == 0 ? packed(text, room, sizeof(room)) : how == 1 ? gzipped(text, room) : strlen(text);

		if (check_with(how == 2 ? text : room, n, ROOM, V15, &dump) < 0)
			fail_msg("%d: %s", how, err.msg);
		assert_int_equal(dump.bytes, n);
		assert_int_equal(dump.dumped.bytes, strlen(text));
		assert_int_equal(dump.dumped.tables.n, 2);
		assert_true(gp_tables_find(&dump.dumped.tables, "public.page", &rows) && rows == 3);
		assert_string_equal(dump.dumped.migrations.v[0], "auth.0001_initial");
		assert_int_equal(dump.sha256 != NULL, how == 0); /* which goldpath has packed is known by its digest */
	}
}

static void test_cut_short(void **state)
{
	static const char text[] = HEAD ROWS END;
	const size_t whole = (size_t)(strstr(text, "\n-- PostgreSQL database dump complete") - text) + strlen("\n-- PostgreSQL database dump complete");
	char room[8192], zipped[8192];
	size_t n = packed(text, room, sizeof(room)), z = gzipped(text, zipped);

	(void)state;
	for (size_t len = 0; len < n; len++)
		if (check(room, len) == 0)
			fail_msg("packed, %zu of %zu bytes", len, n);
	for (size_t len = 0; len < z; len += 3)
		if (check(zipped, len) == 0)
			fail_msg("gzipped, %zu of %zu bytes", len, z);
	for (size_t len = 0; len < whole; len += 2)
		if (check(text, len) == 0)
			fail_msg("plain, %zu of %zu bytes", len, whole);
}

/* In what gzip's checksum covers, it is found; where it is not (a name, a time), what comes out is the same. */
static void test_flipped_bits(void **state)
{
	static const char text[] = HEAD ROWS END;
	struct gp_dump_file dump;
	char room[8192];
	size_t n = packed(text, room, sizeof(room)), taken = 0;
	uint64_t rows = 0;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		room[i] = (char)(room[i] ^ (1 << (i % 8)));
		if (check_with(room, n, ROOM, V15, &dump) == 0) {
			taken++;
			assert_int_equal(dump.dumped.bytes, strlen(text));
			assert_true(gp_tables_find(&dump.dumped.tables, "public.page", &rows) && rows == 3);
		}
		room[i] = (char)(room[i] ^ (1 << (i % 8)));
	}
	assert_true(taken < 30);
}

static void refused(const void *data, size_t len, uint64_t room, int version, const char *says)
{
	assert_int_equal(check_with(data, len, room, version, NULL), -1);
	if (!strstr(err.msg, says))
		fail_msg("%s, not: %s", err.msg, says);
}

static void test_no_dump(void **state)
{
	static const char text[] = HEAD ROWS END, unended[] = HEAD ROWS, middle[] = HEAD "COPY public.page (id) FROM stdin;\n1\n" END;
	char noise[4096], bomb[8192];

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 2654435761u >> 13);
	refused("", 0, ROOM, V15, "nothing");
	assert_string_equal(err.hint, "take another one");
	refused(noise, sizeof(noise), ROOM, V15, "dump");
	refused("root:x:0:0\n", 11, ROOM, V15, "");
	refused(unended, strlen(unended), ROOM, V15, "closing line");
	refused(middle, strlen(middle), ROOM, V15, "");
	refused(text, strlen(text), 100, V15, "more than the 1 KiB that fit there");
	refused(text, strlen(text), 1, V15, "no room on the disk of Postgres: less than 64.0 MiB are free");
	assert_non_null(strstr(err.hint, "make room"));
	refused(bomb, packed(text, bomb, sizeof(bomb)), 100, V15, "no room");
	refused(text, strlen(text), ROOM, 140011, "it is of Postgres 15.20");
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_int_equal(check_with(text, strlen(text), ROOM, 170002, NULL), 0);
}

/* What a flipped bit has made of it may look like anything: that it is damaged is what is said, and not what it looks like. */
static void test_damaged_and_odd(void **state)
{
	static const char text[] = HEAD "SELECT\n\\connect other\n" END;
	char room[8192];

	(void)state;
	refused(text, strlen(text), ROOM, V15, "a command for psql");
	assert_int_equal(err.kind, GP_E_REFUSED);
	for (int how = 0; how < 2; how++) {
		size_t n = how ? gzipped(text, room) : packed(text, room, sizeof(room));

		refused(room, n, ROOM, V15, "a command for psql");
		room[n - 6] ^= 4; /* of the last member's CRC32 (RFC 1952) */
		refused(room, n, ROOM, V15, "");
		assert_int_equal(err.kind, GP_E_FAILED);
		assert_null(strstr(err.msg, "psql"));
	}
}

static void test_no_file(void **state)
{
	GP_AUTO_DUMP dump = { .fd = -1 };

	(void)state;
	assert_int_equal(gp_dump_find(at("none"), NULL, &dump, &err), -1);
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_int_equal(gp_dump_find(at("fifo"), NULL, &dump, &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_non_null(strstr(err.hint, "goldpath backups"));
	put(at("real"), "x");
	assert_int_equal(symlink("real", at("link")), 0);
	assert_int_equal(gp_dump_find(at("link"), NULL, &dump, &err), -1);
	assert_int_equal(gp_dump_find(scratch, NULL, &dump, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, begin, finish),
		cmocka_unit_test_setup_teardown(test_cut_short, begin, finish),
		cmocka_unit_test_setup_teardown(test_flipped_bits, begin, finish),
		cmocka_unit_test_setup_teardown(test_no_dump, begin, finish),
		cmocka_unit_test_setup_teardown(test_damaged_and_odd, begin, finish),
		cmocka_unit_test_setup_teardown(test_no_file, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
