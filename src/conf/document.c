/* Writing the commented file that `init` makes, from the rows that read it. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/rows.h"

static const char *value_of(const struct gp_pairs *pairs, const char *dotted)
{
	for (size_t i = 0; i < pairs->n; i++)
		if (gp_streq(pairs->v[i].key, dotted))
			return pairs->v[i].value;
	return NULL;
}

static bool any_set(const struct gp_pairs *set, const char *group)
{
	for (size_t i = 0; i < set->n; i++)
		if (gp_starts_with(set->v[i].key, group) && set->v[i].key[strlen(group)] == '.')
			return true;
	return false;
}

/* What a new file says: the keys that are set, and what to show for those that are not. */
struct document {
	struct gp_arena *arena;
	struct gp_buf out;
	const struct gp_pairs *set, *derived;
};

/* A key that is not set stands as a comment: "#ref: main", and in a group that is a comment as a whole "#  workers: 3". */
static void write_key(struct document *doc, const char *group, bool group_set, const struct gp_key *row)
{
	const char *dotted = group ? gp_sprintf(doc->arena, "%s.%s", group, row->name) : row->name;
	const char *value = value_of(doc->set, dotted), *indent = group ? "  " : "";
	const char *shown = row->def ? row->def : value_of(doc->derived, dotted);

	gp_buf_printf(&doc->out, "%s# %s\n", indent, row->help);
	if (value)
		gp_buf_printf(&doc->out, "%s%s: %s\n", indent, row->name, value);
	else if (group && !group_set)
		gp_buf_printf(&doc->out, "#  %s: %s\n", row->name, shown ? shown : "");
	else
		gp_buf_printf(&doc->out, "%s#%s: %s\n", indent, row->name, shown ? shown : "");
}

const char *gp_conf_document(struct gp_arena *arena, const char *heading, const struct gp_key *rows, const struct gp_pairs *set,
	const struct gp_pairs *derived)
{
	struct document doc = { .arena = arena, .set = set, .derived = derived };
	const char *text;

	gp_buf_puts(&doc.out, heading);
	for (; rows->name; rows++) {
		bool group_set = rows->type == GP_KEY_GROUP && any_set(set, rows->name);

		gp_buf_puts(&doc.out, "\n");
		if (rows->type != GP_KEY_GROUP) {
			write_key(&doc, NULL, false, rows);
			continue;
		}
		gp_buf_printf(&doc.out, "# %s\n%s%s:\n", rows->help, group_set ? "" : "#", rows->name);
		for (const struct gp_key *sub = rows->group; sub->name; sub++)
			write_key(&doc, rows->name, group_set, sub);
	}
	text = gp_strdup(arena, gp_buf_str(&doc.out));
	gp_buf_free(&doc.out);
	return text;
}
