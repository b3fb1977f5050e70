#!/usr/bin/env bash
# Installs what throwaway hosts need on the machine that runs them; does nothing, quickly, where all is there.
set -euo pipefail

# podman and crun run them, netavark with iptables connects them, mmdebstrap makes their images.
wanted=(podman crun netavark iptables nftables iproute2 mmdebstrap debian-archive-keyring openssh-client openssl
  ca-certificates)

missing=()
for package in "${wanted[@]}"; do
  if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) != installed ]]; then
    missing+=("$package")
  fi
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "not installed: ${missing[*]}. As root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "installing: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -q)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"
