# Runs a command as a container would: as process 1 and user 10000, in a root directory with only the system's programs.
# isolate.sh ROOT COMMAND...; as root, in mount and process namespaces of its own.
set -e
root=$1
shift
mount --make-rprivate /
for folder in bin lib lib64 usr/bin usr/lib usr/lib64; do
  [ -e "/$folder" ] || continue
  mkdir -p "$root/$folder"
  mount --rbind "/$folder" "$root/$folder"
done
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
: >"$root/dev/null"
mount --bind /dev/null "$root/dev/null"
exec env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin chroot --userspec=10000:10000 "$root" "$@"
