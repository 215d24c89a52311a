/*
 * Virtual environments: one for each combination of requirements, Python and installer, named by its hash. Reused where it exists,
 * built beside the others otherwise, never changed in place: a release keeps the packages it was proven with.
 */
#ifndef GP_OPS_VENV_H
#define GP_OPS_VENV_H

struct gp_deploy;
struct gp_error;

/* Find or build the one that d's release needs; sets d->venv_dir and d->python_version. */
int gp_venv_ensure(struct gp_deploy *d, struct gp_error *err);

#endif
