# story-container.sh NAME ROOT_FOLDER COMMAND...: runs in fresh namespaces; makes them a container and becomes COMMAND.
set -eu
name=$1 rootfs=$2
shift 2
hostname "$name"
mount --bind "$rootfs" "$rootfs"
mount -t proc proc "$rootfs/proc"
mount -t tmpfs www "$rootfs/www"
echo "<h1>hello from $name</h1>" >"$rootfs/www/index.html"
cd "$rootfs"
pivot_root . .
exec /bin/busybox sh -euc 'umount -l .; cd /; /bin/busybox --install -s /bin; : >ready; exec "$@"' sh "$@"
