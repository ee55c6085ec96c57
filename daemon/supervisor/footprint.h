/* SPDX-License-Identifier: MIT */
/*
 * Memory as the kernel tells it: of processes, and what the machine or the control group of this node has
 * left. Everything is read when it is asked for, and -1 (or a negative share) where it cannot be read.
 */
#ifndef SKEP_DAEMON_SUPERVISOR_FOOTPRINT_H
#define SKEP_DAEMON_SUPERVISOR_FOOTPRINT_H

#include <sys/types.h>

#include "lib/base/base.h"

/* Bytes of resident memory of a process (RSS of /proc/PID/statm: shared pages count in each). */
int64_t footprint_rss(pid_t pid);

/* The same, with all its descendants. */
int64_t footprint_tree(pid_t pid);

/* Bytes that new processes may take before the machine has to swap or kill: the least of MemAvailable
 * and, for each control group from our own upwards that has a limit, what is left of it (its page cache
 * that is not in use is not counted as taken). */
int64_t footprint_available(void);

/* Of MemTotal, or of the tightest limit of a control group. */
int64_t footprint_limit(void);

/* The share of the last ten seconds, in per cent, in which some task waited for memory or for a CPU (PSI,
 * /proc/pressure; of our control group where the kernel has it for that). */
double footprint_memory_pressure(void);
double footprint_cpu_pressure(void);

/* For tests: another root than "/" for what is read of the system. */
void footprint_root(const char *root);

#endif
