#!/usr/bin/env bash
# before.sh DIR: the release to upgrade from, as a tree of files. The last tag, or else the commit before this one.
# Where that can't provision a host yet, this tree is made to look like an earlier one.
set -euo pipefail
place=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p "$place"
base=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet HEAD~1 || true)
if [[ -n $base ]] && git cat-file -e "$base:site.yml" 2>/dev/null; then
  git archive "$base" | tar --extract --directory="$place"
  echo "from $base"
else
  # What was deleted and isn't committed yet is still in git's list.
  git ls-files --cached --others --exclude-standard -z | tar --create --null --ignore-failed-read --files-from=- 2>/dev/null \
    | tar --extract --directory="$place"
  echo '# an earlier release' >>"$place/hook_service/__init__.py"
  echo "from this tree, changed: ${base:-no commit} has no site.yml"
fi
