# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rollback.sh, which each run carries: the way back that needs no Python, no network and nobody watching.

It is the same text for every run. What differs is data, in files beside it that it reads line by line (see wayback):
no value, name or path is ever read as shell. It decides as `decisions` and `changeset` do, and takes the same lock.
"""

from .script_values import VALUES

NAME = "rollback.sh"

SCRIPT = (
    r"""#!/bin/sh
# Puts back what one run of tcptune replaced, from the files beside this one. Needs root.
#
#   sh rollback.sh          now
#   sh rollback.sh timer    when the time in `deadline` is over, unless the run was confirmed or rolled back before;
#                           at once if the process that was changing the host has died in the middle
#
# Files come before values, so that a boot in the middle gives the previous ones; folders that were made for them are
# taken away once they are empty. Values go back one by one, in the reverse order of the writes, and are read back; then
# what the kernel changes along with them. In the end systemd reads its units anew, where one was changed. What a third
# party has changed since is left alone, and its name written to `left`. The state it ends in is added to `state`.
# Exits 0 if there is nothing left to put back, 1 if something could not be.

set -u
set -f
umask 077
LC_ALL=C
PATH="${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin"
unset IFS
export LC_ALL PATH

case $0 in
*/*) cd -- "${0%/*}" || exit 1 ;;
esac
here=$(pwd -P) || exit 1
run=${here##*/}
lock=../../lock
act=${1:-now}
nl='
'

say() {
  printf 'tcptune: run %s: %s\n' "$run" "$*" >&2
}

# The lock. How it works, and why it is safe, is written in lock.py.

started() { # sets start: when process $1 began, - if it is gone, unknown if it is there and cannot be read
  start=-
  if ! line=$(cat "/proc/$1/stat" 2>/dev/null); then
    [ ! -e "/proc/$1/stat" ] || start=unknown
    return 0
  fi
  # The name in front can hold anything, so count from the last bracket.
  set -- ${line##*)}
  case ${1:-Z} in
  Z | X) ;;
  *) start=${20:--} ;;
  esac
}

gone() { # whether the process that a link names, $1, has ended for certain
  set -- $1
  [ $# -eq 5 ] || return 0
  case $1 in
  *[!0-9]*) return 0 ;;
  esac
  [ "$3" = "$boot" ] || return 0
  began=$2
  if [ "$4" != "$namespace" ]; then
    # Gone if it began before the first process here: the container was started again.
    started 1
    case $began$start in
    *[!0-9]*) return 1 ;;
    esac
    [ "$began" -lt "$start" ]
    return
  fi
  started "$1"
  [ "$start" != unknown ] && [ "$start" != "$began" ]
}

others() { # fails if a process of another link may live. Sets owner: what that link says
  owner=
  set +f
  set -- "$lock"/*
  set -f
  for link in "$@"; do
    # One that is missing has been released since.
    [ "${link##*/}" != "$mine" ] && owner=$(readlink "$link") || continue
    gone "$owner" || return 1
    rm -f "$link" 2>/dev/null
  done
  owner=
}

try_lock() { # fails if somebody lives who holds it
  others || return 1
  if ! ln -s "$me" "$lock/$mine" 2>/dev/null; then
    # The disk is full or read-only. Then nobody else can begin a change either, and the way back must not depend on it.
    refusals=$((refusals + 1))
    [ "$refusals" -ge 3 ] || return 1
    say "goes on without the lock: $lock cannot be written"
    return 0
  fi
  others && return 0
  unlock
  return 1
}

unlock() {
  rm -f "$lock/$mine"
}

# The record.

read_state() { # sets state: the last one that was entered
  state=
  while read -r word rest; do
    state=$word
  done <state
}

reached() { # whether the run was ever in one of the given states
  while read -r word rest; do
    for wanted in "$@"; do
      [ "$word" != "$wanted" ] || return 0
    done
  done <state
  return 1
}

durable() { # makes $1.new be $1 for good
  sync "$1.new" && mv -f "$1.new" "$1" && sync .
}

which_boot() { # sets boot_then and boot_now: on which boot the run began, and which one this is
  boot_then= boot_now=
  { read -r path && read -r boot_then; } <boot && boot_now=$(cat "$path" 2>/dev/null)
}

enter() { # records the state $1
  if { cat state && printf '%s %s\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"; } >state.new && durable state; then
    return 0
  fi
  say "the state $1 could not be recorded"
  return 1
}

"""
    + VALUES
    + r"""# Files.

digest() { # sets sum: the SHA-256 of the file $1, absent if there is none, other if it is no file
  sum=absent
  if [ -L "$1" ]; then
    sum=other
  elif [ -f "$1" ]; then
    sum=$(sha256sum <"$1") || sum=other
    sum=${sum%% *}
  elif [ -e "$1" ]; then
    sum=other
  fi
}

give_back() { # makes $path be the previous file, at once
  new="$folder/.$name.rollback.tmp"
  if [ "$before" = absent ]; then
    rm -f "$path" && sync "$folder"
    return
  fi
  digest "$number.before"
  if [ "$sum" != "$before" ]; then
    say "$here/$number.before is damaged"
    return 1
  fi
  cp "$number.before" "$new" && chown "$owner" "$new" && chmod "$mode" "$new" || return 1
  # Not every host that has labels has chcon; then the folder decides, as for any new file.
  if [ -n "$label" ] && command -v chcon >/dev/null; then
    chcon -- "$label" "$new" || return 1
  fi
  sync "$new" && mv -f "$new" "$path" && sync "$folder"
}

files() { # gives each file back that is still ours, in the order of the way back
  while read -r file <&3; do
    read -r path <&3 && read -r number <&3 && read -r before <&3 && read -r after <&3 && read -r mode <&3 &&
      read -r owner <&3 && read -r label <&3 || return 1
    folder=${path%/*} name=${path##*/}
    # What a write has left that was killed.
    set +f
    rm -f "$folder/.$name."*.tmp
    set -f
    digest "$path"
    case $sum in
    "$before") ;;
    "$after")
      if ! give_back; then
        say "$file could not be given back"
        failed=yes
      fi
      ;;
    *) leave "$file" "is another file" ;;
    esac
  done 3<files
}

is_empty() { # whether the folder $1 is
  set +f
  set -- "$1"/* "$1"/.[!.]* "$1"/..?*
  set -f
  for name in "$@"; do
    [ ! -e "$name" ] && [ ! -L "$name" ] || return 1
  done
}

folders() { # takes each folder away that was made for the files, in the order of the way back
  while read -r folder <&3; do
    [ -d "$folder" ] && [ ! -L "$folder" ] || continue
    if ! is_empty "$folder"; then
      say "$folder was made by this run and stays: it is not empty"
    elif ! { rmdir "$folder" && sync "${folder%/*}"; }; then
      say "$folder could not be taken away"
      failed=yes
    fi
  done 3<folders
}

reload_units() { # lets systemd read its units anew, where it is PID 1 and we are in its namespaces. Restarts none
  [ -s reload ] && read -r booted <reload && [ -d "$booted" ] || return 0
  for kind in net mnt pid; do
    outside=$(readlink "/proc/1/ns/$kind") && [ "$outside" = "$(readlink "/proc/self/ns/$kind")" ] || return 0
  done
  systemctl daemon-reload >/dev/null 2>&1 && return 0
  # The files are right, and a boot reads them: no reason to fail.
  say "systemctl daemon-reload failed, so systemd does not know the units as the files have them: run it by hand"
}

undo() { # ends in the state $1
  failed= left=' ' back=' ' along=' ' record=$nl known= was_held=
  ! reached held || was_held=yes
  which_boot
  case $state in
  rolling_back | failed_restored)
    # Another boot has given all settings values of its own.
    if [ -e found ] && read -r line <found && [ "$line" = "$boot_now" ]; then
      record=$nl$(cat found)$nl known=yes
    fi
    ;;
  esac
  each_effect note || failed=yes
  if [ "$along" != ' ' ] && [ -z "$known" ]; then
    { printf '%s%s' "$boot_now" "$record" >found.new && durable found; } || say "what was there could not be recorded"
  fi
  [ "$state" = rolling_back ] || enter rolling_back
  ! reached confirming || { files && folders; } || failed=yes
  if reached running; then
    each_key judge || failed=yes
    # Twice: restoring one can move another that was right before, as ip_forward does.
    each_key restore && each_effect restore_effect && each_key restore && each_effect restore_effect || failed=yes
    each_key check && each_effect check_effect || failed=yes
  fi
  # After the values, which do not wait for it. Whatever was given back now: a way back may have died before this.
  ! reached confirming || reload_units
  if ! { for name in $left; do printf '%s\n' "$name"; done >left.new && durable left; }; then
    say "what was left alone could not be recorded"
  fi
  [ -z "$failed" ] || set -- failed_restored
  enter "$1"
  unlock
  say "$1"
  [ -z "$failed" ]
  exit
}

# The time.

due() { # whether the time is over. Sets nap: for how many seconds to sleep otherwise
  [ -e deadline ] || return 1
  read -r end <deadline
  read -r up rest </proc/uptime
  nap=$((end - ${up%%.*}))
  [ "$nap" -gt 5 ] && nap=5
  [ "$nap" -le 0 ]
}

timer() {
  while :; do
    read_state
    nap=1
    case $state in
    held)
      # A guard of a confirm that failed and was taken back: there is no time to wait for.
      [ -e deadline ] || exit 0
      if ! due; then
        sleep "$nap"
        continue
      fi
      ;;
    prepared | running | confirming | rolling_back) ;;
    *) exit 0 ;;
    esac
    # To take the lock only for a look would turn away who comes next. Who is at work writes the last state before
    # letting go of it, so the state is read again once it is free.
    if ! others; then
      sleep 1
      continue
    fi
    read_state
    case $state in
    prepared | running | confirming | rolling_back) ;;
    *) due || continue ;;
    esac
    if try_lock; then
      read_state
      case $state in
      held) ! due || undo reverted ;;
      # Whoever was at work would hold the lock.
      prepared | running | confirming | rolling_back) undo reverted ;;
      esac
      unlock
    else
      sleep 1
    fi
  done
}

refusals=0
until started "$$" && [ "$start" != unknown ]; do
  sleep 1
done
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null) || boot=-
namespace=$(readlink /proc/self/ns/pid) || namespace=-
mine="$$-$start-$boot-$namespace" me="$$ $start $boot $namespace $run"

case $act in
timer) timer ;;
now) ;;
*)
  echo "usage: rollback.sh [timer]" >&2
  exit 2
  ;;
esac

if ! try_lock; then
  say "waits for another process to end: ${owner:-unknown}"
  until try_lock; do
    sleep 1
  done
fi
read_state
if reached rolled_back reverted lost; then
  unlock
  say "$state: there is nothing to put back"
  exit 0
fi
case $state in
prepared | running | held)
  if ! which_boot || [ "$boot_now" != "$boot_then" ]; then
    enter lost
    unlock
    say "lost: the host was booted since, so nothing of it is left"
    exit 0
  fi
  ;;
esac
undo rolled_back
"""
)
