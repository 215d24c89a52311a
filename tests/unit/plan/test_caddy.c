/* What Caddy stands on: ports that are free, an option in a file of somebody else's, the names of apt's lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/str.h"
#include "plan/types.h"

#include "../ctx.h"

static void test_ports(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port;

	(void)state;
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	port = ntohs(address.sin_port);
	assert_int_equal(gp_ports_free(&ctx, &port, 1, "caddy.service", &err), 0); /* bound, but nobody listens */
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(gp_ports_free(&ctx, &port, 1, "caddy.service", &err), -1);
	assert_int_equal(err.kind, GP_E_REFUSED);
	assert_non_null(strstr(err.msg, gp_sprintf(arena, "port %d is taken by ", port)));
	assert_non_null(strstr(err.msg, gp_sprintf(arena, "(pid %d)", (int)getpid())));
	assert_true(*err.hint != '\0');
	assert_int_equal(gp_ports_free(&ctx, &port, 0, "caddy.service", &err), 0);
	close(fd);
	assert_int_equal(gp_ports_free(&ctx, &port, 1, "caddy.service", &err), 0);
}

/* "+ …; ~ …" of a plan of one, or "error". */
static const char *run(bool apply, const struct gp_resource_type *type, const char *name, const void *spec)
{
	struct gp_plan plan = { 0 };
	struct gp_changes changes;
	struct gp_strv all = { 0 };

	gp_plan_add(&ctx, &plan, (struct gp_resource){ .type = type, .name = name, .spec = spec });
	if (gp_plan_run(&ctx, &plan, apply, NULL, &changes, &err) < 0)
		return "error";
	for (size_t i = 0; i < changes.n; i++)
		gp_strv_add(arena, &all, gp_sprintf(arena, "%c%s", changes.v[i].mark, strstr(changes.v[i].what, ": ") + 1));
	return gp_strv_join(arena, &all, "; ");
}

static void test_option(void **state)
{
	static const struct gp_caddy_option spec = { .option = "admin", .value = "unix//x", .why = "because" };
	const char *path = gp_strdup(arena, at("Caddyfile")), *link = gp_strdup(arena, at("link"));

	(void)state;
	assert_string_equal(run(true, &gp_caddy_option_type, path, &spec), "error");
	put_bytes(path, ":80 {\n}\n", 8, 0640);
	assert_int_equal(symlink(path, link), 0);
	assert_string_equal(run(false, &gp_caddy_option_type, link, &spec), "~ add 'admin unix//x'");
	assert_string_equal(run(true, &gp_caddy_option_type, link, &spec), "~ add 'admin unix//x'");
	assert_string_equal(said(path), "{\n\tadmin unix//x\n}\n\n:80 {\n}\n");
	assert_int_equal(mode_of(path), 0640);
	assert_string_equal(run(true, &gp_caddy_option_type, link, &spec), "");
	put(path, "{\n\tadmin off\n}\n");
	assert_string_equal(run(true, &gp_caddy_option_type, path, &spec), "! 'admin off' is there and stays; goldpath would have 'unix//x': because");
	assert_string_equal(said(path), "{\n\tadmin off\n}\n");
	put_bytes(path, "a\0b", 3, 0644);
	assert_string_equal(run(true, &gp_caddy_option_type, path, &spec), "error");
}

/* As apt of Debian 12 named them. */
static void test_list_name(void **state)
{
	static const struct {
		const char *uri, *name;
	} cases[] = {
		{ "https://dl.cloudsmith.io/public/caddy/stable/deb/debian", "dl.cloudsmith.io_public_caddy_stable_deb_debian_dists_s_main_binary-" },
		{ "http://127.0.0.1:8099", "127.0.0.1:8099_dists_s_main_binary-" },
		{ "http://127.0.0.1:8099/a_b/", "127.0.0.1:8099_a%5fb_dists_s_main_binary-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
			gp_apt_list_name(arena, &(struct gp_apt_source){ .uri = cases[i].uri, .suite = "s", .component = "main" }), cases[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ports, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_option, ctx_begin, ctx_end),
		cmocka_unit_test_setup_teardown(test_list_name, ctx_begin, ctx_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
