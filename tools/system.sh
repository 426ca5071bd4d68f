#!/bin/sh
# Install what Lightwell uses of the system, where this user may; otherwise say in one line what is missing.
# Usage: tools/system.sh bwrap|chromium|postgres|softhsm|golang ...
set -u
missing=""
for want in "$@"; do
  case "$want" in
    bwrap) command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap" ;;
    chromium) [ -x /usr/bin/chromium ] || missing="$missing chromium" ;;
    postgres) ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql" ;;
    ip) command -v ip >/dev/null 2>&1 || missing="$missing iproute2" ;;
    nats) command -v nats-server >/dev/null 2>&1 || missing="$missing nats-server" ;;
    softhsm) command -v softhsm2-util >/dev/null 2>&1 || missing="$missing softhsm2" ;;
    # Go itself comes with the tests' packages; this is the library the independent verifier is built on.
    golang) [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ] || missing="$missing golang-golang-x-mod-dev" ;;
  esac
done
[ -z "$missing" ] && exit 0
root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
if command -v apt-get >/dev/null 2>&1 && { [ -z "$root" ] || sudo -n true 2>/dev/null; }; then
  echo "Installing from the distribution:$missing"
  export DEBIAN_FRONTEND=noninteractive
  $root apt-get update -qq >/dev/null 2>&1
  # shellcheck disable=SC2086  # the names are words of our own
  $root apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 && exit 0
fi
echo "Please install:$missing (on Debian or Ubuntu: sudo apt-get install$missing); parts that need them will say so." >&2
exit 1
