#!/usr/bin/env bash
# Makes the image debian:bookworm-slim with debootstrap and imports it, for a machine that reaches Debian's packages but
# no image registry. Run as root, where docker answers: docker/base-image.sh
# With --if-missing it does so only when docker has no such image and cannot pull one.
#
# DEBIAN_MIRROR  where the packages come from (http://deb.debian.org)
set -euo pipefail

suite=bookworm
image=debian:$suite-slim
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}

die() {
    echo "base-image: $*" >&2
    exit 1
}

docker version >/dev/null 2>&1 || die "docker does not answer. Is its daemon running?"
if [[ ${1:-} == --if-missing ]]; then
    docker image inspect "$image" >/dev/null 2>&1 && exit
    docker pull --quiet "$image" 2>/dev/null && exit
fi
((EUID == 0)) || die "debootstrap needs root: sudo $0"
if ! command -v debootstrap >/dev/null; then
    echo "base-image: installing debootstrap with apt" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null
fi

tree=$(mktemp -d)
trap 'rm -rf --one-file-system "$tree"' EXIT
chmod 755 "$tree"

echo "base-image: fetching the packages of $suite from $mirror (about a minute)" >&2
debootstrap --variant=minbase "$suite" "$tree" "$mirror/debian" >"$tree.log" 2>&1 ||
    { cat "$tree.log" >&2 && die "debootstrap failed; what it printed is above."; }
rm -f "$tree.log"

cat >"$tree/etc/apt/sources.list" <<SOURCES
deb $mirror/debian $suite main
deb $mirror/debian $suite-updates main
deb $mirror/debian-security $suite-security main
SOURCES
# As in Debian's own slim image: no manuals, and no packages kept.
cat >"$tree/etc/dpkg/dpkg.cfg.d/docker" <<'DPKG'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
DPKG
echo 'APT::Keep-Downloaded-Packages "false";' >"$tree/etc/apt/apt.conf.d/docker-clean"
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d" # nothing starts services in an image
chmod 755 "$tree/usr/sbin/policy-rc.d"
rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*.bin "$tree"/var/cache/apt/archives/*.deb "$tree"/var/log/*.log \
    "$tree"/usr/share/man/* "$tree"/usr/share/locale/* "$tree"/etc/resolv.conf "$tree"/etc/hostname
find "$tree/usr/share/doc" -type f ! -name copyright -delete

tar -C "$tree" --numeric-owner --one-file-system -c . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
echo "base-image: $(docker images "$image" --format '{{.Repository}}:{{.Tag}} is ready, {{.Size}}')" >&2
