/* systemd over sd-bus. Jobs are waited for by JobRemoved: the match is installed before the job is asked for, so no end is missed. */
#include "sys/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/fs.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER SYSTEMD ".Manager"

enum { CALL_TIMEOUT_US = 60 * 1000 * 1000 };

struct gp_bus {
	sd_bus *bus;
	bool subscribed;
	bool stale; /* units were enabled or disabled, of which systemd has not read yet who pulls them in */
};

static void unref_messagep(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}
#define AUTO_MESSAGE __attribute__((cleanup(unref_messagep))) sd_bus_message *

static void free_errorp(sd_bus_error *e)
{
	sd_bus_error_free(e);
}
#define AUTO_BUS_ERROR __attribute__((cleanup(free_errorp))) sd_bus_error

static void unref_slotp(sd_bus_slot **slot)
{
	sd_bus_slot_unref(*slot);
}
#define AUTO_SLOT __attribute__((cleanup(unref_slotp))) sd_bus_slot *

static void free_charp(char **p)
{
	free(*p);
}
#define AUTO_CHAR __attribute__((cleanup(free_charp))) char *

/* Root may speak to PID 1 itself, as systemctl does: half the time for each question, and no dbus-daemon needed. */
static int open_private(sd_bus **ret)
{
	sd_bus *conn = NULL;
	int rc = sd_bus_new(&conn);

	if (rc >= 0)
		rc = sd_bus_set_address(conn, "unix:path=/run/systemd/private");
	if (rc >= 0)
		rc = sd_bus_start(conn);
	if (rc < 0)
		sd_bus_unref(conn);
	else
		*ret = conn;
	return rc;
}

int gp_bus_open(struct gp_bus **ret, struct gp_error *err)
{
	struct gp_bus *bus;
	sd_bus *conn = NULL;
	int rc;

	/* What sd_booted(3) looks at. */
	if (access("/run/systemd/system/", F_OK) < 0) {
		gp_fail(err, GP_E_FAILED, "systemd is not running on this host");
		return gp_hint(err, "goldpath manages units and needs a host that was booted by systemd");
	}
	rc = geteuid() == 0 ? open_private(&conn) : -EACCES;
	if (rc < 0)
		rc = sd_bus_open_system(&conn);
	if (rc < 0) {
		gp_fail_errno(err, -rc, "connect to systemd over D-Bus");
		return gp_hint(err, "is dbus running? See `systemctl status dbus`");
	}
	sd_bus_set_method_call_timeout(conn, CALL_TIMEOUT_US);
	bus = calloc(1, sizeof(*bus));
	if (!bus)
		abort();
	bus->bus = conn;
	*ret = bus;
	return 0;
}

void gp_bus_close(struct gp_bus *bus)
{
	if (!bus)
		return;
	if (bus->stale)
		(void)gp_unit_daemon_reload(bus, NULL);
	sd_bus_flush_close_unref(bus->bus);
	free(bus);
}

static int bus_fail(struct gp_error *err, int rc, const sd_bus_error *e, const char *doing, const char *unit)
{
	const char *why = e->message ? e->message : strerror(-rc);

	gp_fail(err, GP_E_FAILED, "%s %s: %s", doing, unit, why);
	if (e->name && gp_ends_with(e->name, ".UnitMasked"))
		gp_hint(err, "somebody masked it: `systemctl unmask %s`", unit);
	return -1;
}

/* GetUnitFileState fails for a unit without a file: that is an answer, "". */
static const char *file_state(struct gp_bus *bus, struct gp_arena *arena, const char *unit)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	AUTO_MESSAGE reply = NULL;
	const char *state;

	if (sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, "GetUnitFileState", &e, &reply, "s", unit) < 0 ||
		sd_bus_message_read(reply, "s", &state) < 0)
		return "";
	return gp_strdup(arena, state);
}

static const char *text_property(struct gp_bus *bus, struct gp_arena *arena, const char *path, const char *interface, const char *name)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	AUTO_CHAR text = NULL;

	if (sd_bus_get_property_string(bus->bus, SYSTEMD, path, interface, name, &e, &text) < 0)
		return "";
	return gp_strdup(arena, text);
}

/* A unit that nobody has tried to start yet has no result either: its timestamp is 0. */
static bool condition_unmet(struct gp_bus *bus, const char *path)
{
	uint64_t tried = 0;
	int condition = 1;

	sd_bus_get_property_trivial(bus->bus, SYSTEMD, path, SYSTEMD ".Unit", "ConditionTimestamp", NULL, 't', &tried);
	sd_bus_get_property_trivial(bus->bus, SYSTEMD, path, SYSTEMD ".Unit", "ConditionResult", NULL, 'b', &condition);
	return tried && !condition;
}

int gp_unit_state(struct gp_bus *bus, struct gp_arena *arena, const char *unit, struct gp_unit_state *ret, struct gp_error *err)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	AUTO_MESSAGE reply = NULL;
	const char *path;
	uint32_t pid = 0;
	int rc;

	/* LoadUnit, not GetUnit: it answers for units that are not in memory too. */
	rc = sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, "LoadUnit", &e, &reply, "s", unit);
	if (rc < 0)
		return bus_fail(err, rc, &e, "ask systemd about", unit);
	rc = sd_bus_message_read(reply, "o", &path);
	if (rc < 0)
		return bus_fail(err, rc, &e, "ask systemd about", unit);
	*ret = (struct gp_unit_state){
		.load = text_property(bus, arena, path, SYSTEMD ".Unit", "LoadState"),
		.active = text_property(bus, arena, path, SYSTEMD ".Unit", "ActiveState"),
		.sub = text_property(bus, arena, path, SYSTEMD ".Unit", "SubState"),
		.file = file_state(bus, arena, unit),
		.result = "",
	};
	ret->condition_unmet = condition_unmet(bus, path);
	if (gp_ends_with(unit, ".service")) {
		ret->result = text_property(bus, arena, path, SYSTEMD ".Service", "Result");
		sd_bus_get_property_trivial(bus->bus, SYSTEMD, path, SYSTEMD ".Service", "MainPID", NULL, 'u', &pid);
		ret->main_pid = (pid_t)pid;
	}
	return 0;
}

int gp_unit_glance(struct gp_bus *bus, struct gp_arena *arena, const char *unit, struct gp_unit_state *ret, struct gp_error *err)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	AUTO_MESSAGE question = NULL;
	AUTO_MESSAGE reply = NULL;
	const char *load, *active, *sub, *path;
	int rc = sd_bus_message_new_method_call(bus->bus, &question, SYSTEMD, MANAGER_PATH, MANAGER, "ListUnitsByNames");

	if (rc >= 0)
		rc = sd_bus_message_append(question, "as", 1, unit);
	if (rc >= 0)
		rc = sd_bus_call(bus->bus, question, 0, &e, &reply);
	if (rc >= 0)
		rc = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
	/* name, description, load, active, sub, whom it follows, path, and three that nobody needs here */
	if (rc >= 0)
		rc = sd_bus_message_enter_container(reply, 'r', "ssssssouso");
	if (rc > 0)
		rc = sd_bus_message_read(reply, "sssssso", NULL, NULL, &load, &active, &sub, NULL, &path);
	if (rc <= 0)
		return bus_fail(err, rc ? rc : -EBADMSG, &e, "ask systemd about", unit);
	*ret = (struct gp_unit_state){ .load = gp_strdup(arena, load), .active = gp_strdup(arena, active), .sub = gp_strdup(arena, sub),
		.file = "", .result = "" };
	ret->condition_unmet = gp_streq(load, "loaded") && gp_streq(active, "inactive") && condition_unmet(bus, path);
	return 0;
}

bool gp_unit_is_known(struct gp_bus *bus, const char *unit)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;

	return sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, "GetUnit", &e, NULL, "s", unit) >= 0 ||
		!sd_bus_error_has_name(&e, SYSTEMD ".NoSuchUnit");
}

bool gp_unit_is_linked(struct gp_arena *arena, const char *unit)
{
	static const char *const by[] = { "multi-user.target", "sockets.target", "timers.target", "sysinit.target" };

	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++)
		if (gp_fs_readlink(arena, gp_sprintf(arena, "/etc/systemd/system/%s.wants/%s", by[i], unit)))
			return true;
	return false;
}

static int read_words(sd_bus_message *m, struct gp_arena *arena, struct gp_strv *ret)
{
	const char *word;
	int rc = sd_bus_message_enter_container(m, 'a', "s");

	while (rc > 0 && (rc = sd_bus_message_read(m, "s", &word)) > 0)
		gp_strv_add(arena, ret, gp_strdup(arena, word));
	return rc < 0 ? rc : sd_bus_message_exit_container(m);
}

/* path, argv, ignore errors; then when it last began and ended, which is of no use here */
static int read_exec(sd_bus_message *m, struct gp_arena *arena, struct gp_strv *ret)
{
	int rc = sd_bus_message_enter_container(m, 'a', "(sasbttttuii)");

	if (rc > 0)
		rc = sd_bus_message_enter_container(m, 'r', "sasbttttuii");
	if (rc > 0)
		rc = sd_bus_message_skip(m, "s");
	return rc > 0 ? read_words(m, arena, ret) : rc;
}

int gp_unit_service(struct gp_bus *bus, struct gp_arena *arena, const char *unit, struct gp_unit_service *ret, struct gp_error *err)
{
	static const struct {
		const char *name, *type;
		int (*read)(sd_bus_message *m, struct gp_arena *arena, struct gp_strv *ret);
	} lists[] = { { "ExecStart", "a(sasbttttuii)", read_exec }, { "Environment", "as", read_words } };
	struct gp_unit_service service = { 0 };
	struct gp_strv *const to[] = { &service.argv, &service.environment };
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	AUTO_MESSAGE reply = NULL;
	const char *path;
	int rc = sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, "LoadUnit", &e, &reply, "s", unit);

	if (rc < 0 || (rc = sd_bus_message_read(reply, "o", &path)) < 0)
		return bus_fail(err, rc, &e, "ask systemd about", unit);
	service.folder = text_property(bus, arena, path, SYSTEMD ".Service", "WorkingDirectory");
	for (size_t i = 0; i < 2; i++) {
		AUTO_BUS_ERROR why = SD_BUS_ERROR_NULL;
		AUTO_MESSAGE list = NULL;

		rc = sd_bus_get_property(bus->bus, SYSTEMD, path, SYSTEMD ".Service", lists[i].name, &why, &list, lists[i].type);
		if (rc < 0 || (rc = lists[i].read(list, arena, to[i])) < 0)
			return bus_fail(err, rc, &why, "ask systemd about", unit);
	}
	*ret = service;
	return 0;
}

struct job_wait {
	const char *path; /* NULL until the job is known */
	char result[32];  /* "" until it has ended */
	/* JobRemoved can come before the answer to our call: until the path is known, ends are kept here. */
	struct {
		char path[96], result[32];
	} early[32];
	size_t early_n;
};

static int on_job_removed(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	struct job_wait *wait = arg;
	const char *path, *unit, *result;
	uint32_t id;

	(void)e;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	if (wait->path) {
		if (gp_streq(path, wait->path))
			snprintf(wait->result, sizeof(wait->result), "%s", result);
	} else if (wait->early_n < sizeof(wait->early) / sizeof(wait->early[0])) {
		snprintf(wait->early[wait->early_n].path, sizeof(wait->early[0].path), "%s", path);
		snprintf(wait->early[wait->early_n].result, sizeof(wait->early[0].result), "%s", result);
		wait->early_n++;
	}
	return 0;
}

static int subscribe(struct gp_bus *bus, struct gp_error *err)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	int rc;

	if (bus->subscribed)
		return 0;
	rc = sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, "Subscribe", &e, NULL, "");
	if (rc < 0 && !sd_bus_error_has_name(&e, SYSTEMD ".AlreadySubscribed"))
		return bus_fail(err, rc, &e, "subscribe to", "systemd");
	bus->subscribed = true;
	return 0;
}

static int wait_for_job(struct gp_bus *bus, struct job_wait *wait, int64_t timeout_ms, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + timeout_ms;

	for (size_t i = 0; i < wait->early_n; i++)
		if (gp_streq(wait->early[i].path, wait->path))
			memcpy(wait->result, wait->early[i].result, sizeof(wait->result));
	while (!wait->result[0]) {
		int rc = sd_bus_process(bus->bus, NULL);

		if (rc < 0)
			return gp_fail_errno(err, -rc, "listen to systemd");
		if (rc > 0)
			continue;
		if (gp_left_ms(deadline) == 0) {
			GP_AUTO_ARENA arena = gp_arena_new();

			return gp_fail(err, GP_E_FAILED, "the job did not end within %s", gp_duration(arena, timeout_ms));
		}
		rc = sd_bus_wait(bus->bus, (uint64_t)gp_left_ms(deadline) * 1000);
		if (rc < 0 && rc != -EINTR)
			return gp_fail_errno(err, -rc, "listen to systemd");
	}
	if (!gp_streq(wait->result, "done"))
		return gp_fail(err, GP_E_FAILED, "the job ended as '%s'", wait->result);
	return 0;
}

int gp_unit_run(struct gp_bus *bus, const char *unit, enum gp_unit_verb verb, int64_t timeout_ms, struct gp_error *err)
{
	static const struct {
		const char *method, *words;
	} verbs[] = {
		[GP_UNIT_START] = { "StartUnit", "start" },
		[GP_UNIT_STOP] = { "StopUnit", "stop" },
		[GP_UNIT_RESTART] = { "RestartUnit", "restart" },
		[GP_UNIT_RELOAD] = { "ReloadUnit", "reload" },
		[GP_UNIT_RELOAD_OR_RESTART] = { "ReloadOrRestartUnit", "reload" },
	};
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	AUTO_MESSAGE reply = NULL;
	AUTO_SLOT slot = NULL;
	struct job_wait wait = { 0 };
	int rc;

	/* What nobody is known to want is forgotten as soon as it does not run: that a Condition kept it off, for one. */
	if (bus->stale)
		GP_TRY(gp_unit_daemon_reload(bus, err));
	GP_TRY(subscribe(bus, err));
	rc = sd_bus_match_signal(bus->bus, &slot, SYSTEMD, MANAGER_PATH, MANAGER, "JobRemoved", on_job_removed, &wait);
	if (rc < 0)
		return gp_fail_errno(err, -rc, "listen to systemd");
	rc = sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, verbs[verb].method, &e, &reply, "ss", unit, "replace");
	if (rc < 0)
		return bus_fail(err, rc, &e, verbs[verb].words, unit);
	rc = sd_bus_message_read(reply, "o", &wait.path);
	if (rc < 0)
		return gp_fail_errno(err, -rc, "%s %s", verbs[verb].words, unit);
	GP_TRY_TO(err, wait_for_job(bus, &wait, timeout_ms, err), "%s %s", verbs[verb].words, unit);
	return 0;
}

enum file_verb { ENABLE, DISABLE, UNMASK, UNMASK_RUNTIME };

static int unit_file_call(struct gp_bus *bus, const char *unit, enum file_verb verb, struct gp_error *err)
{
	static const struct {
		const char *method, *words;
	} verbs[] = {
		[ENABLE] = { "EnableUnitFiles", "enable" },
		[DISABLE] = { "DisableUnitFiles", "disable" },
		[UNMASK] = { "UnmaskUnitFiles", "unmask" },
		[UNMASK_RUNTIME] = { "UnmaskUnitFiles", "unmask" },
	};
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	AUTO_MESSAGE m = NULL;
	AUTO_MESSAGE reply = NULL;
	char *units[] = { (char *)(uintptr_t)unit, NULL }; /* only read */
	int rc;

	rc = sd_bus_message_new_method_call(bus->bus, &m, SYSTEMD, MANAGER_PATH, MANAGER, verbs[verb].method);
	if (rc >= 0)
		rc = sd_bus_message_append_strv(m, units);
	/* runtime: as asked; force (enable only): no, so that nobody else's symlink is replaced */
	if (rc >= 0)
		rc = verb == ENABLE ? sd_bus_message_append(m, "bb", 0, 0) : sd_bus_message_append(m, "b", verb == UNMASK_RUNTIME);
	if (rc >= 0)
		rc = sd_bus_call(bus->bus, m, CALL_TIMEOUT_US, &e, &reply);
	if (rc < 0)
		return bus_fail(err, rc, &e, verbs[verb].words, unit);
	/* A reload takes 0.15 s: one for all, before the next job or when the connection closes. */
	bus->stale = true;
	return 0;
}

int gp_unit_enable(struct gp_bus *bus, const char *unit, struct gp_error *err)
{
	return unit_file_call(bus, unit, ENABLE, err);
}

int gp_unit_disable(struct gp_bus *bus, const char *unit, struct gp_error *err)
{
	return unit_file_call(bus, unit, DISABLE, err);
}

int gp_unit_unmask(struct gp_bus *bus, const char *unit, struct gp_error *err)
{
	GP_TRY(unit_file_call(bus, unit, UNMASK, err));
	GP_TRY(unit_file_call(bus, unit, UNMASK_RUNTIME, err));
	return gp_unit_daemon_reload(bus, err);
}

int gp_unit_daemon_reload(struct gp_bus *bus, struct gp_error *err)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	int rc = sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, "Reload", &e, NULL, "");

	bus->stale = false;
	return rc < 0 ? bus_fail(err, rc, &e, "reload", "systemd's units") : 0;
}

int gp_unit_reset_failed(struct gp_bus *bus, const char *unit, struct gp_error *err)
{
	AUTO_BUS_ERROR e = SD_BUS_ERROR_NULL;
	int rc = sd_bus_call_method(bus->bus, SYSTEMD, MANAGER_PATH, MANAGER, "ResetFailedUnit", &e, NULL, "s", unit);

	/* A unit that is not in memory has no failed state. */
	if (rc < 0 && !sd_bus_error_has_name(&e, SYSTEMD ".NoSuchUnit"))
		return bus_fail(err, rc, &e, "reset", unit);
	return 0;
}
