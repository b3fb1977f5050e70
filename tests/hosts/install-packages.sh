#!/usr/bin/env bash
# Installs what throwaway hosts need on the machine that runs them; does nothing, quickly, where all is there.
set -euo pipefail

# podman and crun run them, netavark with iptables connects them, mmdebstrap makes their images.
exec "$(dirname "${BASH_SOURCE[0]}")/../rig/install-packages.sh" podman crun netavark iptables nftables iproute2 \
  mmdebstrap debian-archive-keyring openssh-client openssl ca-certificates
