/* How much memory the host has. */
#ifndef GP_SYS_MEMORY_H
#define GP_SYS_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

struct gp_error;

/* MemTotal of /proc/meminfo in bytes: what the kernel has to give, a few percent less than what was paid for. In a container lxcfs says
 * there what the container may have. */
int gp_memory_total(uint64_t *ret, struct gp_error *err);

/* What new programs can have without anything being pushed out: MemAvailable and free swap, in bytes. */
int gp_memory_available(uint64_t *ret, struct gp_error *err);

/* What the processes of the control group that pid is in take, in bytes: their proportional shares (smaps_rollup, proc(5)). 0 where that cannot be
 * read. */
uint64_t gp_memory_of_group(pid_t pid);

#endif
