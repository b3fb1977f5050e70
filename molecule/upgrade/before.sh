#!/usr/bin/env bash
# before.sh DIR: the release to upgrade from, as a tree of files. The last tag, or else the commit before this one.
# Where that can't provision the demo's host yet, or has the same service, it is this tree or that one, changed a little.
set -euo pipefail
place=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p "$place"
base=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet HEAD~1 || true)
if [[ -n $base ]] && git cat-file -e "$base:inventories/demo/hosts.yml" 2>/dev/null; then
  git archive "$base" | tar --extract --directory="$place"
  from="from $base"
else
  # What was deleted and isn't committed yet is still in git's list.
  git ls-files --cached --others --exclude-standard -z | tar --create --null --ignore-failed-read --files-from=- 2>/dev/null \
    | tar --extract --directory="$place"
  from="from this tree (${base:-no commit} has no inventories/demo)"
fi
# A release is named after its content.
if diff --recursive --brief --exclude=__pycache__ hook_service "$place/hook_service" >/dev/null \
  && diff --recursive --brief sql "$place/sql" >/dev/null; then
  echo '# an earlier release' >>"$place/hook_service/__init__.py"
  from+=", changed by a line"
fi
echo "$from"
