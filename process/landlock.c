#include "process/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "queue/spool.h"

/*
 * The kernel's struct landlock_ruleset_attr, which grows with its ABI levels; headers may be older.
 */
struct ruleset {
	uint64_t fs;     /* rights that are denied where no rule gives them back */
	uint64_t net;    /* ABI 4: TCP */
	uint64_t scoped; /* ABI 6: what lies outside of the sandbox */
};

enum {
	NET_BIND_TCP = 1,
	NET_CONNECT_TCP = 2,
	SCOPE_ABSTRACT_UNIX_SOCKET = 1,
	SCOPE_SIGNAL = 2,
};

/* Names that come and go. No links but hard ones, no devices, no sockets, nothing to execute. */
#define NAMES \
	((uint64_t)(LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
		 LANDLOCK_ACCESS_FS_REFER))
#define FS_TRUNCATE (1U << 14) /* ABI 3 */
#define ALL_OF_SPOOL \
	(NAMES | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
		LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		LANDLOCK_ACCESS_FS_MAKE_DIR | FS_TRUNCATE)
/* What a session does: it writes a file in tmp/, which then gets names in lanes. It reads none. */
#define ALL_OF_TMP (NAMES | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define ALL_OF_FILES (NAMES | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define ALL_OF_LANES \
	(NAMES | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		LANDLOCK_ACCESS_FS_MAKE_DIR)

/* All that a kernel of this ABI level can deny to the role. */
static struct ruleset
ruleset_of(enum sandbox_role role, long abi)
{
#ifdef POSTERN_INSTRUMENTED
	(void)role;
	(void)abi;
	/* denied even if it is not named */
	return (struct ruleset){ .fs = LANDLOCK_ACCESS_FS_REFER };
#else
	enum { ABI_2 = 14, ABI_3 = 15, ABI_5 = 16 }; /* number of rights */
	int bits = abi >= 5 ? ABI_5 : abi >= 3 ? ABI_3 : ABI_2;
	struct ruleset r = { .fs = (UINT64_C(1) << bits) - 1 };
	if (abi >= 4)
		r.net = role == SANDBOX_RELAY ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 6)
		r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return r;
#endif
}

/* Octets of struct ruleset that a kernel of this ABI level knows. */
static size_t
ruleset_size(long abi)
{
	return abi >= 6 ? sizeof(struct ruleset)
		: abi >= 4 ? offsetof(struct ruleset, scoped)
			   : offsetof(struct ruleset, net);
}

/* The kernel's struct landlock_net_port_attr (ABI 4). Port 0: any that is free, to connect from. */
static const struct port_rule {
	uint64_t rights, port;
} any_port = { NET_BIND_TCP, 0 };

enum { RULE_NET_PORT = 2 };

/* What lies beneath a directory may be had with these rights, as far as the rules know them. */
static int
allow_beneath(int rules, const struct ruleset *attr, int dir, uint64_t rights)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = attr->fs & rights,
		.parent_fd = dir,
	};
	long r = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	return r < 0 ? -errno : 0;
}

/* The part of the spool that a role works in. 0 or -errno. */
static int
allow_spool(int rules, const struct ruleset *attr, enum sandbox_role role,
	const struct spool *spool)
{
	if (spool == NULL)
		return 0;
	if (role != SANDBOX_SESSION && role != SANDBOX_WORKER)
		return allow_beneath(rules, attr, spool->root, ALL_OF_SPOOL);
	int r = allow_beneath(rules, attr, spool->tmp, ALL_OF_TMP);
	return r < 0 ? r : allow_beneath(rules, attr, spool->lanes, ALL_OF_LANES);
}

static int
new_ruleset_of(enum sandbox_role role, long abi, struct ruleset *attr)
{
	*attr = ruleset_of(role, abi);
	long fd = syscall(SYS_landlock_create_ruleset, attr, ruleset_size(abi), 0);
	return fd < 0 ? -errno : (int)fd;
}

/*
 * Rules with all that this kernel can deny, *attr; an fd, or -errno. A kernel that knows as much as
 * we do need not be asked for its level first.
 */
static int
new_ruleset(enum sandbox_role role, struct ruleset *attr)
{
	enum { ABI_OURS = 6 };
	int fd = new_ruleset_of(role, ABI_OURS, attr);
	if (fd >= 0)
		return fd;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 2) /* ABI 1 cannot allow a rename from one directory to another */
		return -ENOSYS;
	return new_ruleset_of(role, abi, attr);
}

int
landlock_enter(enum sandbox_role role, const struct spool *spool, int files)
{
	struct ruleset attr;
	auto_fd rules = new_ruleset(role, &attr);
	if (rules < 0)
		return rules;
	int r = allow_spool(rules, &attr, role, spool);
	if (r == 0 && role == SANDBOX_RELAY && files >= 0)
		r = allow_beneath(rules, &attr, files, ALL_OF_FILES);
	if (r < 0)
		return r;
	if (role == SANDBOX_RELAY && attr.net != 0 &&
		syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &any_port, 0) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}
