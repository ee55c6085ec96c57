/* SPDX-License-Identifier: MIT */
/* Which skep these headers are of. */
#ifndef SKEP_VERSION_H
#define SKEP_VERSION_H

#define SKEP_VERSION "0.1.0"
#define SKEP_VERSION_NUMBER 0x000100 /* two hexadecimal digits each: major, minor, patch */

#endif
