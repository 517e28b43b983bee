# Sourced by scripts/story: how a step is told and checked, and what a container is here.

lab=/run/netctl-story
step=0
declare -A pid runtime

trap 'fail "line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND"' ERR

fail() {
  trap - ERR
  printf '\nThe story went wrong in step %d: %s\n' "$step" "$*" >&2
  exit 1
}

say() {
  step=$((step + 1))
  printf '\n%2d. %s\n' "$step" "$*"
}

# on WHO COMMAND...: types it on the host or inside a container, and shows what it prints.
on() {
  local who=$1 status=0
  shift
  printf '    %s# %s\n' "$who" "$*"
  if [ "$who" = host ]; then
    timeout 20 "$@" >"$lab/output" 2>&1 || status=$?
  else
    timeout 20 nsenter --target "${pid[$who]}" --all -- "$@" >"$lab/output" 2>&1 || status=$?
  fi
  sed 's/^/        /' "$lab/output"
  [ "$status" -eq 0 ] || fail "that command ended with status $status"
}

# sees PATTERN, misses PATTERN: what the last command printed.
sees() {
  grep -q -- "$1" "$lab/output" || fail "\"$1\" should be in that output"
}
misses() {
  ! grep -q -- "$1" "$lab/output" || fail "\"$1\" should not be in that output"
}

# wait_for COMMAND...: until it succeeds, at most five seconds.
wait_for() {
  local attempt
  for attempt in {1..100}; do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.05
  done
  fail "waited in vain for: $*"
}

is_known_dead() {
  netctl ps | grep -q dead
}

# The kernel is done with bringing the link up: its IPv6 address has been found to be nobody else's.
has_settled() {
  ip -6 addr show dev "$1" | grep -q 'inet6' && ! ip addr show | grep -q tentative
}

address_of() {
  nsenter --target "${pid[$1]}" --all -- ip -4 addr show eth0 | sed -n 's|.*inet \([0-9.]*\)/.*|\1|p'
}

# start_container NAME COMMAND...: a process in namespaces of its own (network, host name, IPC, mounts, processes) whose
# root file system holds nothing but busybox. It is what a container runtime does, without its comfort.
start_container() {
  local name=$1 rootfs=$lab/$1
  shift
  mkdir -p "$rootfs"/{bin,proc,www}
  cp /bin/busybox "$rootfs/bin"
  unshare --net --uts --ipc --mount --pid --fork --kill-child -- \
    /bin/bash scripts/story-container.sh "$name" "$rootfs" "$@" >"$lab/$name.log" 2>&1 &
  runtime[$name]=$!
  wait_for test -e "$rootfs/ready"
  pid[$name]=$(pgrep --parent "${runtime[$name]}")
}

# Without a word: the process is killed, its namespaces go with it.
end_container() {
  kill -KILL "${pid[$1]}"
  wait "${runtime[$1]}" || true
  unset "pid[$1]"
}

# The raw truth, not netctl's own listing: links, addresses, routes, the whole nf_tables ruleset, what the kernel is
# told about forwarding, and every record of the store.
snapshot() {
  ip -details link show
  ip addr show
  ip route show table all
  nft list ruleset
  sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.all.route_localnet
  records
}

# Key and value of every record, one line each. Left out are the schema number (V) and where a pool goes on (P): the next
# container shall not get the address that was given up last.
records() {
  local file
  for file in "$NETCTL_STATE_DIR"/live-*.mdb; do
    if [ -e "$file" ]; then mdb_dump -n -p "$file"; fi
  done | sed -n '/^HEADER=END/,/^DATA=END/{/^ /p}' | paste - - | grep -v '^ [VP]' || true
}

count_records() {
  records | awk '
    { count[substr($0, 2, 1)]++ }
    END { printf "    store: attachments %d, leases %d, claimed ports %d, networks %d\n",
                 count["A"], count["L"], count["C"] + count["D"], count["N"] }'
}

same_as_before() {
  snapshot >"$lab/after"
  cmp -s "$lab/before" "$lab/after"
}
