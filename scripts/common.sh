# Sourced by scripts/demo and scripts/test: packages and builds.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

need_root() {
  if [ "$(id -u)" -ne 0 ]; then
    echo "$(basename "$0") makes network namespaces: run it as root." >&2
    exit 1
  fi
}

# install_packages GROUP...: those lines of scripts/packages that are not installed yet.
install_packages() {
  local group package missing=()
  while read -r group package; do
    case " $* " in *" $group "*) ;; *) continue ;; esac
    dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      missing+=("$package")
  done < <(grep -v '^#' "$root/scripts/packages")
  [ ${#missing[@]} -eq 0 ] && return
  echo "== installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# build_preset PRESET [TARGET...]
build_preset() {
  local preset=$1
  shift
  (
    cd "$root"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset" -- -k 0 "$@"
  )
}
