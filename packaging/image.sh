#!/bin/sh
# The steps of the Dockerfile, as a script that can also be run without a container engine.
#   image.sh program ROOT   puts the program and what it needs to run into ROOT/opt/causeway; run it where npm is
#   image.sh user ROOT      makes the user, the command and the directory of the data in ROOT; run it as root
set -eu
step=${1:?a step}
root=${2:?a directory}
source=$(cd "$(dirname "$0")/.." && pwd)
# Numbers, so that Kubernetes sees that it is not root, and that a volume keeps its owner from image to image.
id=10000

case $step in
program)
  program=$root/opt/causeway
  mkdir -p "$program"
  cd "$source"
  cp -R package.json package-lock.json .npmrc LICENSE bin src packaging "$program"
  find "$program/src" -name '*.test.ts' -o -name '*.fuzz.ts' -o -name '*.testing.ts' | xargs rm -f
  cd "$program"
  npm ci --omit=dev --no-audit --no-fund
  # Whoever built it, everybody may read it and only root may change it.
  chmod -R u=rwX,go=rX "$program"
  ;;
user)
  mkdir -p "$root/etc" "$root/usr/local/bin"
  grep -qs '^causeway:' "$root/etc/group" || echo "causeway:x:$id:" >>"$root/etc/group"
  grep -qs '^causeway:' "$root/etc/passwd" ||
    echo "causeway:x:$id:$id:Causeway:/data:/usr/sbin/nologin" >>"$root/etc/passwd"
  ln -sf /opt/causeway/bin/causeway "$root/usr/local/bin/causeway"
  mkdir -p "$root/data"
  chown "$id:$id" "$root/data"
  chmod 700 "$root/data"
  ;;
*)
  echo "image.sh: no step is named $step" >&2
  exit 2
  ;;
esac
