# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of rollback.sh that compares, writes and reads back values, and what the kernel changes along with them.

Its functions use `nl` and `say` of `script`, and read the files of a run.
"""

VALUES = r"""# Values, as kernel.py compares them.

words() { # sets text: $1 with single spaces
  set -- $1
  text=$*
}

count() { # sets number: how many words $1 has
  set -- $1
  number=$#
}

within() { # whether each word of $1 is one of $2
  for word in $1; do
    case " $2 " in
    *" $word "*) ;;
    *) return 1 ;;
    esac
  done
}

bare() { # sets text: the hexadecimal mask $1 without commas and leading zeros
  text=$1
  while :; do
    case $text in
    *,*) text=${text%%,*}${text#*,} ;;
    0?*) text=${text#0} ;;
    *) return 0 ;;
    esac
  done
}

same() { # whether $2 and $3 mean the same, compared as $1 says
  [ "$2" != "$3" ] || return 0
  case $1 in
  names) within "$2" "$3" && within "$3" "$2" ;;
  mask)
    bare "$2"
    one=$text
    bare "$3"
    [ "$one" = "$text" ]
    ;;
  *) return 1 ;;
  esac
}

mixed() { # whether $1 is a vector of which each number is that of $2, $3 or $4
  count "$1"
  length=$number
  [ "$length" -gt 1 ] || return 1
  rest=$1 one=$2 two=$3 three=$4
  count "$one"
  [ "$number" -eq "$length" ] || one=
  count "$two"
  [ "$number" -eq "$length" ] || two=
  count "$three"
  [ "$number" -eq "$length" ] || three=
  while [ "$length" -gt 0 ]; do
    case ${rest%% *} in
    "${one%% *}" | "${two%% *}" | "${three%% *}") ;;
    *) return 1 ;;
    esac
    rest=${rest#* } one=${one#* } two=${two#* } three=${three#* }
    length=$((length - 1))
  done
}

look() { # sets found: the value in the file $1. One read: the kernel gives most values to the first one only.
  found=$(dd if="$1" bs=262144 count=1 2>/dev/null) || return 1
  words "$found"
  found=$text
}

put() { # one write: what a second one would write is a value of its own
  [ -e "$1" ] && printf '%s\n' "$2" | dd of="$1" obs=65536 2>/dev/null
}

is_in() { # whether $2 is one of the names in $1
  case $1 in
  *" $2 "*) return 0 ;;
  esac
  return 1
}

each_key() { # calls $1 for each key, in the order of the way back
  while read -r key <&3; do
    read -r path <&3 && read -r how <&3 && read -r before <&3 && read -r after <&3 && read -r stored <&3 || return 1
    "$1"
  done 3<keys
  return 0
}

ours() {
  same "$how" "$found" "$after" || same "$how" "$found" "$stored" || mixed "$found" "$before" "$after" "$stored"
}

judge() { # adds the key to back if it is to be restored
  if ! look "$path"; then
    leave "$key" "is gone"
    return
  fi
  recall "$key"
  if same "$how" "$found" "$before" || ours || { [ -z "$was_held" ] && is_in "$along" "$key"; }; then
    back="$back$key "
  else
    leave "$key" "is $found now"
  fi
}

restore() {
  is_in "$back" "$key" || return 0
  look "$path" && same "$how" "$found" "$before" || put "$path" "$before"
}

check() {
  is_in "$back" "$key" || return 0
  if ! look "$path"; then
    leave "$key" "is gone"
  elif same "$how" "$found" "$before"; then
    return 0
  elif ours || is_in "$along" "$key"; then
    say "$key is still $found"
    failed=yes
  else
    leave "$key" "is $found now"
  fi
}

leave() {
  left="$left$1 "
  say "$1 $2: somebody else has changed it, so it is left alone"
}

# What the kernel changes along with the keys. Why it is done so is written in side_effects.py.

each_effect() { # calls $1 for each side effect
  while read -r key <&3; do
    read -r path <&3 && read -r how <&3 && read -r by <&3 && read -r before <&3 && read -r stored <&3 || return 1
    "$1"
  done 3<effects
  return 0
}

note() { # adds the side effect to along, and its value to record, unless the way back had begun before
  along="$along$key "
  case $record in
  *"$nl$key "*) ;;
  *) look "$path" && record="$record$key $found$nl" ;;
  esac
}

recall() { # sets found: what $1 was when the way back began, where it is a side effect
  case $record in
  *"$nl$1 "*)
    found=${record#*"$nl$1 "}
    found=${found%%"$nl"*}
    ;;
  esac
}

aim() { # sets now, and aim: what the side effect has to be. Fails if it is not to be restored
  is_in "$back" "$by" && ! is_in "$back" "$key" && look "$path" || return 1
  now=$found aim=$before
  recall "$key"
  # What a third party has put there is kept, and the kernel would not keep it.
  [ -z "$was_held" ] || same "$how" "$found" "$before" || same "$how" "$found" "$stored" || aim=$found
}

restore_effect() {
  aim || return 0
  same "$how" "$now" "$aim" || put "$path" "$aim"
}

check_effect() {
  aim || return 0
  same "$how" "$now" "$aim" && return 0
  say "$key is still $now"
  failed=yes
}

"""
