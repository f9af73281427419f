# shellcheck shell=bash
# What ./run and ./test share. To be sourced with $repo set to the folder of the checkout.

# need_packages FILE...: installs the Debian packages these lists name and the machine lacks, and says so. A word "command=package" names a
# package that is wanted only where the command is missing, whoever installed it. Costs one dpkg query when nothing is missing.
need_packages() {
  local wanted missing word sudo=()
  wanted=$(sed -e 's/#.*//' -- "$@" | tr -s ' \t' '\n' | sed '/^$/d' | while read -r word; do
    case $word in
      *=*) command -v "${word%%=*}" >/dev/null || printf '%s\n' "${word#*=}" ;;
      *) printf '%s\n' "$word" ;;
    esac
  done | sort -u)
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    printf 'This machine has no apt-get. If the build stops, install what these Debian packages hold:\n%s\n' "$(paste -sd' ' <<<"$wanted")" >&2
    return 0
  fi
  # shellcheck disable=SC2086  # one package a word
  missing=$(comm -23 <(printf '%s\n' "$wanted") \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' | sort -u))
  [ -n "$missing" ] || return 0
  printf 'Missing Debian packages, to be installed now: %s\n' "$(paste -sd' ' <<<"$missing")" >&2
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      printf 'That needs root, and there is no sudo. As root:\n  apt-get update && apt-get install --no-install-recommends %s\n' \
        "$(paste -sd' ' <<<"$missing")" >&2
      return 1
    fi
    sudo=(sudo)
  fi
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600)
  "${apt[@]}" update >&2 || printf 'apt-get update reported errors; going on with the lists there are.\n' >&2
  # shellcheck disable=SC2086
  "${apt[@]}" install -y --no-install-recommends $missing </dev/null >&2
}

# build_jobs MB: how many compilers run at once: one a core, and no more than memory holds at MB each.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk -v each="$1" '/^MemAvailable:/ { n = int($2 / 1024 / each); print n < 1 ? 1 : n }' /proc/meminfo)
  if [ "$memory" -lt "$cores" ]; then echo "$memory"; else echo "$cores"; fi
}

# build_examples: the programs under examples/ that are compiled.
build_examples() {
  local out="${repo:?}/examples/site/cgi-bin/hello" source="$repo/examples/site-src/hello.c"
  [ "$out" -nt "$source" ] || clang-19 -std=c11 -O2 -Wall -Wextra -static -o "$out" "$source"
}
