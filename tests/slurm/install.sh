#!/bin/sh
# Unpack Debian's Slurm into a folder, without installing it: no user, no service, no file in a system folder.
#   tests/slurm/install.sh FOLDER
# Packages that the machine has are used from there.
set -eu
folder=$1
command -v apt-get >/dev/null || { echo "Slurm for the tests comes from Debian's packages; there is no apt-get" >&2; exit 1; }

names() {
    apt-get install --simulate --no-install-recommends slurmctld slurmd slurm-client munge | sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}
missing=$(names 2>/dev/null) || { apt-get update -qq && missing=$(names); }

rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
for name in $missing; do
    apt-get download -qq -o APT::Sandbox::User=root "$name"
done
for package in *.deb; do
    [ -e "$package" ] && dpkg --extract "$package" . && rm "$package"
done
# Debian chooses among versions of Slurm by links, which only an installation makes.
for program in usr/sbin/*-wlm; do
    [ -e "$program" ] && ln -s "$(basename "$program")" "${program%-wlm}"
done
exit 0
