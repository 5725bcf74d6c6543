# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/socket_script.py by tests/collection/copies.py: change it there.
"""Part of the probe of sockets: what runs on the host.

Owners need a look at every open file of every process, so they are not looked for where there are very many; the same
holds for what `ss -i` tells of each connection. What is read is bounded by _SOCKETS_MOST, what is told by the lengths
of the lists.
"""

from __future__ import annotations

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.sockets import SocketState
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.processes import ABOUT

_SOCKETS_MOST = 500_000
_WITH_OWNERS = 100_000
"""With more open sockets, owners are not looked for."""
_WITH_FILES = 300_000
"""With more open files, neither: `ss` takes 10 to 30 us for each of the host, of any namespace and of any kind."""
_WITH_PROCESSES = 3_000
_WITH_DETAILS = 20_000
_PEERS = _PORTS = 50
_OWNERS = 60
KEYS = 100_000
"""Different destinations, or owners, that are told apart on the host before the largest are chosen."""
_PIDS = 48

TICKS_PER_S = 100
"""USER_HZ: /proc counts in it, whatever the kernel's own clock does. 100 on every machine but Alpha and Itanium."""

_STATES = " ".join(state.value for state in SocketState)
_SS_STATES = "ESTAB SYN-SENT SYN-RECV FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT UNCONN CLOSE-WAIT LAST-ACK LISTEN CLOSING"
"""Names that ss has for them, in the same order: that of the kernel's numbers."""

# Regular expressions and functions of POSIX awk alone: mawk, gawk and busybox read it.
_AWK = rf"""
BEGIN {{
  states = split("{_STATES}", name, " ")
  split("{_SS_STATES}", word, " ")
  for (i = 1; i <= states; i++) {{ known[word[i]] = name[i]; known[sprintf("%02X", i)] = name[i] }}
  soonest = latest = "-"
}}
function hex(text,   i, n) {{
  if (text in decimal) return decimal[text]
  n = 0
  for (i = 1; i <= length(text); i++) n = n * 16 + index("0123456789ABCDEF", substr(text, i, 1)) - 1
  if (length(text) == 4) decimal[text] = n
  return n
}}
function seconds(text,   n) {{
  n = 0
  if (match(text, /^[0-9]+min/)) {{ n = substr(text, 1, RLENGTH - 3) * 60; text = substr(text, RLENGTH + 1) }}
  if (match(text, /^[0-9]+sec/)) {{ n += substr(text, 1, RLENGTH - 3); text = substr(text, RLENGTH + 1) }}
  else if (match(text, /^[0-9]+\./)) {{ n += substr(text, 1, RLENGTH - 1); text = substr(text, RLENGTH + 1) }}
  if (match(text, /^[0-9]+ms/)) n += substr(text, 1, RLENGTH - 2) / 1000
  return n
}}
function address(text) {{
  gsub(/\[/, "", text); gsub(/\]/, "", text)
  sub(/^::[fF][fF][fF][fF]:/, "", text)
  return text
}}
function after(label,   from) {{
  if (!match($0, label ":[0-9]+")) return 0
  from = RSTART + length(label) + 1
  return substr($0, from, RLENGTH - length(label) - 1) + 0
}}
function most_of_busy(label,   text) {{
  if (!match($0, label ":[0-9]+ms[(][0-9.]+%[)]")) return 0
  text = substr($0, RSTART, RLENGTH)
  sub(/^.*[(]/, "", text)
  return text + 0 >= 50
}}
function remember() {{
  pid = "-"; who = ""; shared = rest = retries = peer_slow = buffer_small = 0; timer = "off"; quiet = late = "-"
}}
# What is cut out of a field is text to awk until something is added to it.
function record(   text, users, n, part, i) {{
  remember()
  state = known[$1]
  unread = $2; unsent = $3
  match($4, /:[0-9]+$/); here = address(substr($4, 1, RSTART - 1)); port = substr($4, RSTART + 1) + 0
  match($5, /:[0-9]+$/); there = address(substr($5, 1, RSTART - 1)); to = substr($5, RSTART + 1)
  text = $0; users = ""
  if (match(text, / users:[(][(].*,fd=[0-9]+[)][)]/)) {{
    users = substr(text, RSTART + 9, RLENGTH - 9)
    text = substr(text, RSTART + RLENGTH)
    n = split(users, part, ",pid=")
    who = part[1]; sub(/^"/, "", who); sub(/"$/, "", who)
    pid = part[2] + 0
    for (i = 3; i <= n; i++) if (part[i] + 0 != pid) shared = 1
    if (state == "LISTEN") for (i = 2; i <= n && i <= 5; i++) listens(part[i] + 0)
  }}
  owned = text ~ / ino:[1-9]/
  # Behind the users, whose names may look like a timer.
  if (match(text, / timer:[(][a-z]+,[^,)]*,[0-9]+[)]/)) {{
    n = split(substr(text, RSTART + 8, RLENGTH - 9), part, ",")
    timer = part[1]; rest = seconds(part[2]); retries = part[3] + 0
  }}
}}
function row(   part) {{
  remember()
  state = known[$4]
  split($2, part, ":"); here = part[1]; port = hex(part[2])
  split($3, part, ":"); there = part[1]; to = hex(part[2])
  sub(/^0000000000000000FFFF0000/, "", here); sub(/^0000000000000000FFFF0000/, "", there)
  split($5, part, ":"); unsent = hex(part[1]); unread = hex(part[2])
  split($6, part, ":"); rest = hex(part[2]) / {TICKS_PER_S}
  if (part[1] == "01") {{ timer = "on"; retries = hex($7) }}
  if (part[1] == "02") {{ timer = "keepalive"; retries = $9 + 0 }}
  if (part[1] == "04") {{ timer = "persist"; retries = $9 + 0 }}
  owned = $10 != "0"
}}
function sound(   alone) {{
  if (NF < 5) return 0
  if (mode == "proc") {{
    return NF > 9 && ($4 in known) && $2 ~ /^[0-9A-F]+:[0-9A-F]+$/ && $3 ~ /^[0-9A-F]+:[0-9A-F]+$/
  }}
  alone = $1 == "LISTEN" || $1 == "UNCONN"
  return ($1 in known) && $2 ~ /^[0-9]+$/ && $3 ~ /^[0-9]+$/ && $4 ~ /.:[0-9]+$/ && (alone || $5 ~ /.:[0-9]+$/)
}}
function listens(number) {{
  if (!(number in pids) && listening < {_PIDS}) {{ pids[number] = "listens"; listening++ }}
}}
function place(again,   key, waits) {{
  if (port in listener) {{
    waits = !owned && (state == "ESTABLISHED" || state == "CLOSE_WAIT")
    if (waits) {{
      unaccepted[port]++
      if (!(port in waiting)) waiting[port] = quiet
      else if (quiet != "-" && quiet > waiting[port]) waiting[port] = quiet
    }}
    if (owned && state == "ESTABLISHED" && unread > 0) {{ unread_on[port]++; waits = 1 }}
    in_port[port, state]++
    port_score[port] += waits || again ? 20 : 1
    if (again) {{ port_again[port]++; if (retries > port_most[port]) port_most[port] = retries }}
  }} else {{
    key = here " " there " " to
    if ((key in peer_score) || peers < {KEYS}) {{
      if (!(key in peer_score)) peers++
      in_peer[key, state]++
      peer_score[key] += again ? 20 : 1
      if (port >= lo && port <= hi) in_range[key]++
      if (again) {{ peer_again[key]++; if (retries > peer_most[key]) peer_most[key] = retries }}
    }} else crowd++
    if (port >= lo && port <= hi && !(port in used)) {{ used[port] = 1; ports_used++ }}
  }}
}}
function count(   key, again) {{
  total++
  sockets[state]++
  if (!owned) unowned[state]++
  if (state == "LISTEN") {{ listener[port] = 1; return }}
  again = timer == "on" && retries > 0
  if (again) {{ retransmitting++; if (retries > most) most = retries }}
  if (timer == "persist") closed++
  if (state == "ESTABLISHED") {{
    if (timer == "keepalive") {{
      alive++
      if (retries > 0) unanswered++
      if (soonest == "-" || rest < soonest) soonest = rest
      if (latest == "-" || rest > latest) latest = rest
    }} else if (timer == "off") idle++
    else busy++
    if (peer_slow) by_peer++
    if (buffer_small) by_buffer++
  }}
  if (state != "CLOSE") place(again)
  if (state == "TIME_WAIT") return
  key = state " " pid " " owned " " who
  if (!(key in held)) {{
    if (owners >= {KEYS}) {{ nameless++; return }}
    owners++
    longest[key] = oldest[key] = "-"
  }}
  held[key]++
  held_shared[key] += shared
  if (unread > 0) {{
    held_unread[key]++
    if (late != "-" && (oldest[key] == "-" || late > oldest[key])) oldest[key] = late
  }}
  held_in[key] += unread
  held_out[key] += unsent
  if (quiet != "-" && (longest[key] == "-" || quiet > longest[key])) longest[key] = quiet
}}
function least(score, room,   key, at, top, n, i) {{
  top = n = 0
  for (key in score) {{ at[score[key]]++; if (score[key] > top) top = score[key] }}
  for (i = top; i > 0; i--) {{ if (n + at[i] > room) break; n += at[i] }}
  spare = room - n
  return i
}}
function chosen(score, limit) {{ return score > limit || (score == limit && spare-- > 0) }}
function shares(table, key,   i, text) {{
  text = ""
  for (i = 1; i <= states; i++) if ((key SUBSEP name[i]) in table) text = text "," name[i] "=" table[key, name[i]]
  return substr(text, 2)
}}
mode == "ss" && /^[ \t]/ {{
  if (!pending) next
  if ($0 ~ / rto:/) {{
    details = 1
    if (state == "SYN_SENT" || state == "SYN_RECV") next
    quiet = after(" lastack") / 1000; late = after(" lastrcv") / 1000
    peer_slow = most_of_busy(" rwnd_limited"); buffer_small = most_of_busy(" sndbuf_limited")
  }}
  next
}}
$1 == "State" || $1 == "sl" {{ next }}
mode == "ss" && $0 == "failed" {{ failed = 1; next }}
{{
  if (pending) {{ count(); pending = 0 }}
  if (!sound()) {{ odd++; next }}
  if (total >= {_SOCKETS_MOST}) {{ beyond++; next }}
  if (mode == "ss") record(); else row()
  pending = 1
}}
END {{
  if (pending) count()
  if (failed) {{ print "failed"; exit }}
  print "source " mode
  printf "total %d\nbeyond %d\nodd %d\n", total, beyond, odd
  for (i = 1; i <= states; i++) {{
    if (name[i] in sockets) printf "state %s %d %d\n", name[i], sockets[name[i]], unowned[name[i]]
  }}
  printf "keepalive %d %d %d %s %s %d\n", alive, idle, busy, soonest, latest, unanswered
  printf "again %d %d %d\n", retransmitting, most, closed
  if (details) printf "limited %d %d\n", by_peer, by_buffer
  printf "local_ports %d\n", ports_used
  limit = least(peer_score, {_PEERS}); n = 0
  for (key in peer_score) if (chosen(peer_score[key], limit)) {{
    n++
    printf "peer %s %d %d %d %s\n", key, in_range[key], peer_again[key], peer_most[key], shares(in_peer, key)
  }}
  printf "peers_left_out %d %d\n", peers - n, crowd
  limit = least(port_score, {_PORTS}); n = 0; some = 0
  for (key in port_score) {{
    some++
    if (!chosen(port_score[key], limit)) continue
    n++
    printf "port %s %d %s %d ", key, unaccepted[key], (key in waiting) ? waiting[key] : "-", unread_on[key]
    printf "%d %d %s\n", port_again[key], port_most[key], shares(in_port, key)
  }}
  printf "ports_left_out %d\n", some - n
  limit = least(held, {_OWNERS}); n = 0; some = 0
  for (key in held) if (chosen(held[key], limit)) {{
    n++
    split(key, part, " ")
    if (part[2] != "-" && !(part[2] in pids) && some < {_PIDS}) {{ pids[part[2]] = "holds"; some++ }}
    printf "owner %d %d %d %.0f %.0f ", held[key], held_shared[key], held_unread[key], held_in[key], held_out[key]
    printf "%s %s %s\n", longest[key], oldest[key], key
  }}
  printf "owners_left_out %d %d\n", owners - n, nameless
  for (key in pids) print "pid", key, pids[key]
}}
"""

SCRIPT = f"""
set -- /proc/[0-9]*
read -r _ _ used _ </proc/net/sockstat
used=${{used:-0}} flags=-Htanoe files=
{{ read -r files _ </proc/sys/fs/file-nr; }} 2>/dev/null
if [ "$#" -gt {_WITH_PROCESSES} ]; then why="many $# processes"
elif [ "$used" -gt {_WITH_OWNERS} ]; then why="many $used open sockets"
elif [ "${{files:-0}}" -gt {_WITH_FILES} ]; then why="many $files open files"
else why=looked flags=${{flags}}p
fi
[ "$used" -gt {_WITH_DETAILS} ] || flags=${{flags}}i
set -- $(cat /proc/sys/net/ipv4/ip_local_port_range 2>/dev/null)
lo=${{1:-0}} hi=${{2:-0}}
# It may take seconds of a processor where there are very many, and what the host is for comes first.
gently=
if command -v nice >/dev/null; then gently='nice -n 10'; fi
program='{_AWK}'
said=
if command -v ss >/dev/null; then
  said=$(
    {{ $gently ss "$flags" 2>/dev/null || echo failed; }} | $gently awk -v mode=ss -v lo="$lo" -v hi="$hi" "$program"
  )
fi
case $said in
  'source ss'*) printf 'owners %s\\n' "$why" ;;
  *)
    set --
    for file in /proc/net/tcp /proc/net/tcp6; do [ ! -r "$file" ] || set -- "$@" "$file"; done
    said=
    [ $# -eq 0 ] || said=$($gently awk -v mode=proc -v lo="$lo" -v hi="$hi" "$program" "$@")
    ;;
esac
printf 'range %s %s\\n%s\\n' "$lo" "$hi" "$said"
pids=$(printf '%s\\n' "$said" | sed -n 's/^pid \\([0-9]*\\) .*/\\1/p')
printf 'uptime %s\\n' "$(cat /proc/uptime)"
{ABOUT}
if [ -n "$pids" ]; then
  set --
  for pid in $pids; do set -- "$@" "/proc/$pid/stat"; done
  # Past the name, which may hold anything, up to the start time: the rest tells addresses in its memory.
  grep -s '' /dev/null "$@" | sed -n 's/^\\([^:]*\\):.*) \\(\\([^ ]* \\)\\{{20\\}}\\).*/\\1:\\2/p'
  # Older kernels do not tell the number of open files: their names are counted.
  case $major.$minor in
    [2-5].*|6.[01]|6.[01]-*)
      for pid in $pids; do
        [ ! -r "/proc/$pid/fd" ] || printf 'open %s /proc/%s/fd\\n' "$(ls "/proc/$pid/fd" 2>/dev/null | wc -l)" "$pid"
      done
      ;;
  esac
fi
"""
