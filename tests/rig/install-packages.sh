#!/usr/bin/env bash
# install-packages.sh [PACKAGE …]: installs Debian packages, by default those that the software and its rig run on; does
# nothing, quickly, where all are there.
# The rig starts its own private servers, so services that arrive with a package are neither started nor enabled.
set -euo pipefail

wanted=("$@")
# prometheus for its promtool, which tests the alert rules; its Alertmanager for whom they reach; librsvg and the fonts for
# the now-playing cards; stunnel for a platform that wants TLS.
[[ ${#wanted[@]} -gt 0 ]] || wanted=(ffmpeg nginx libnginx-mod-rtmp icecast2 liquidsoap postgresql prometheus prometheus-alertmanager stunnel4 librsvg2-bin fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji fonts-dejavu-core python3 python3-venv shellcheck)

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

# Debian's own switch: invoke-rc.d asks this file whether a package may start its service.
policy=/usr/sbin/policy-rc.d
ours=no
forget_policy() {
  if [[ $ours == yes ]]; then "${as_root[@]}" rm -f "$policy"; fi
}
trap forget_policy EXIT
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  ours=yes
  "${as_root[@]}" chmod 755 "$policy"
fi

echo "installing: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -q)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"

# Not at the next boot either: only what was not there before is disabled, never a service the owner had.
if command -v systemctl >/dev/null; then
  for package in "${missing[@]}"; do
    case $package in
      nginx | icecast2 | postgresql | prometheus | prometheus-alertmanager) "${as_root[@]}" systemctl disable --quiet "$package" || true ;;
    esac
  done
fi
