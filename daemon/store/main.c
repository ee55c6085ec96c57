/* SPDX-License-Identifier: MIT */
#include "daemon/store/store.h"

int main(int argc, char **argv)
{
	return process_main(&store_role, argc, argv);
}
