# make          smtpd and relay, in build/
# make check    install what is missing, run every test
# make demo     a message through a small internet of our own, and what happened to it
# The other targets are explained in docs/CONTRIBUTING.md.

VERSION = 0.1.0
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
B ?= build

CC ?= cc
CPPFLAGS += -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' -I. -include lib/banned.h
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough
HARDEN = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CFLAGS ?= -O2 -g
CSTD = -std=c17
LDHARDEN = -pie -Wl,-z,relro,-z,now
# smtpd is static: loading the C library costs a third of a short process (docs/ARCHITECTURE.md).
STATIC ?= -static-pie
SANITIZE =

ALLFLAGS = $(CSTD) $(CPPFLAGS) $(WARN) $(HARDEN) $(CFLAGS) $(SANITIZE)

