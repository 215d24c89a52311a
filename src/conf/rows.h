/*
 * Configuration by rows. One row a key: name, type, where its value goes, bounds, default, one sentence of help. Reading a file,
 * checking it, writing a commented one and documenting it all walk the same rows, so a key cannot exist in one place only.
 * YAML itself is libyaml's work; its nodes end here.
 */
#ifndef GP_CONF_ROWS_H
#define GP_CONF_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"
#include "base/str.h"

struct gp_arena;
struct gp_error;

enum { GP_CONF_MAX = 256 * 1024 }; /* bytes a configuration file may have */

enum gp_key_type {
	GP_KEY_NAME,   /* const char *: a name of a kind (base/parse.h) */
	GP_KEY_TEXT,   /* const char *: any one-line text */
	GP_KEY_INT,    /* int64_t within lo..hi */
	GP_KEY_BOOL,   /* bool */
	GP_KEY_CHOICE, /* int: index into choices */
	GP_KEY_NAMES,  /* struct gp_strv: a list of names of a kind */
	GP_KEY_ARGVS,  /* struct gp_argvs: a list of argument lists */
	GP_KEY_PAIRS,  /* struct gp_pairs: names of a kind and plain values */
	GP_KEY_GROUP,  /* the rows in `group`, inside a mapping */
};

struct gp_argvs {
	struct gp_strv *v;
	size_t n;
};

struct gp_pair {
	const char *key, *value;
};

struct gp_pairs {
	struct gp_pair *v;
	size_t n;
};

struct gp_key {
	const char *name;
	enum gp_key_type type;
	size_t offset;               /* in the struct that is filled */
	enum gp_name_kind kind;      /* NAME, NAMES; PAIRS: of the keys */
	int64_t lo, hi;              /* INT; NAMES, ARGVS, PAIRS: hi is the most there may be */
	const char *const *choices;  /* CHOICE, NULL-terminated */
	const struct gp_key *group;  /* GROUP, ended by a row without a name */
	/* CHOICE only: a mapping instead of a choice is read by `group`, and the choice becomes the one called this. */
	const char *group_choice;
	bool required, nullable;     /* nullable: `null` gives NULL */
	const char *def;             /* the default as it would stand in the file; NULL: none, or derived (see help) */
	const char *help;
};

/*
 * Fill *base from a file's text by rows. Keys that start with "x-" are ignored; any other unknown key, a key that comes twice, a
 * wrong type or a value out of bounds is a configuration error that names file, line and key. label: how errors call the file.
 */
int gp_conf_parse(struct gp_arena *arena, const char *label, const char *text, size_t len, const struct gp_key *rows, void *base,
	struct gp_error *err);

/* Read path (owned by root, writable by nobody else) and parse it. 0, or -1; a file that is missing is an error of kind
 * configuration. */
int gp_conf_load(struct gp_arena *arena, const char *path, const struct gp_key *rows, void *base, struct gp_error *err);

/* The commented text of a new file: every key with its help. Keys in `set` (dotted key, YAML value) stand as given, every other one as
 * a comment with its default, which `derived` names where the rows cannot. */
const char *gp_conf_document(struct gp_arena *arena, const char *heading, const struct gp_key *rows, const struct gp_pairs *set,
	const struct gp_pairs *derived);

/* text, a file that gp_conf_parse takes, with other values (dotted key, YAML value) where those keys stand in it; a key that does not stays
 * out. Comments and all else stay as they are. What comes out is to be parsed: an anchor may have gone with a value. */
int gp_conf_replace(struct gp_arena *arena, const char *label, const char *text, const struct gp_pairs *values, const char **ret,
	struct gp_error *err);

#endif
