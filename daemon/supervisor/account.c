/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

static void account_groups(struct account *a)
{
	int n = 0;

	getgrouplist(a->name, a->ids.gid, NULL, &n);
	a->groups = xcalloc((size_t)n, sizeof *a->groups);
	if (getgrouplist(a->name, a->ids.gid, a->groups, &n) < 0)
		n = 0; /* it grew meanwhile: fewer groups are the safe side */
	a->ids.groups = a->groups;
	a->ids.ngroups = (size_t)n;
}

int account_find(const char *name, struct account *ret, struct err *err)
{
	struct account a = {.ids = {.uid = geteuid(), .gid = getegid()}};
	struct passwd *pw;

	if (*name == '\0') {
		*ret = a;
		return 0;
	}
	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return errno ? err_sys(err, errno, "cannot look up user '%s'", name)
			     : err_set(err, -ENOENT, "there is no user '%s'", name);
	if (pw->pw_uid == geteuid()) {
		*ret = a;
		return 0;
	}
	if (geteuid() != 0)
		return err_set(err, -EPERM,
		    "only root can run processes as user '%s': start skepd as root, or leave `user` out",
		    name);
	a.change = true;
	a.ids.uid = pw->pw_uid;
	a.ids.gid = pw->pw_gid;
	a.name = xstrdup(pw->pw_name);
	a.home = xstrdup(pw->pw_dir);
	a.shell = xstrdup(pw->pw_shell);
	account_groups(&a);
	*ret = a;
	return 0;
}

void account_free(struct account *a)
{
	free(a->name);
	free(a->home);
	free(a->shell);
	free(a->groups);
	*a = (struct account){0};
}
