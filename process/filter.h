/*
 * filter: the words that filters of system calls are written in: one instruction each, or a few.
 *
 * A filter begins with CHECK_ARCH and LOAD(nr). What it refuses fails with EPERM rather than kill,
 * so that a C library that tries something new is an error in a log and not a lost connection.
 */
#ifndef POSTERN_FILTER_H
#define POSTERN_FILTER_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* FILTER_ARCH: filters are written for this architecture. */
#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOWED RETURN(SECCOMP_RET_ALLOW)
#ifdef POSTERN_INSTRUMENTED
#define REFUSE ALLOWED
#else
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#endif
#define CHECK_ARCH LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0), \
	RETURN(SECCOMP_RET_KILL_PROCESS)

/* A call, or else what stands n instructions further on. */
#define CALL(call, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, (n))
#define ALLOW(call) CALL(call, 1), ALLOWED

/*
 * Arguments are looked at in a call that is allowed with some values only. Such a row ends with
 * "ALLOWED, REFUSE": each OR goes to the first of these if it is the value, and is `n` instructions
 * before it; LAST skips it if it is not.
 */
#define WORD(i, word) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
	offsetof(struct seccomp_data, args[i]) + (word) * sizeof(uint32_t))
#define ARGUMENT(i) WORD(i, 0)
#define OR(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (n), 0)
#define LAST(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define LAST_OR(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))
#define MASK(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (bits))
#define NONE_OF(bits) MASK(bits), LAST(0)
#define AT_MOST(value) BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (value), 1, 0)

/* Stands for the number of the socket to the monitor, which is put in when it is known. */
#define TO_MONITOR UINT32_MAX

#endif
